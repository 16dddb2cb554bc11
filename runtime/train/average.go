package train

import (
	"errors"
	"fmt"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// withAverages calls f while parameters have the values of their averages, if the train keeps any.
func (r *run) withAverages(f func() error) (err error) {
	if len(r.t.Averages) == 0 {
		return f()
	}
	weights := map[string]*tensor.Tensor{}
	for _, a := range r.t.Averages {
		if weights[a.Param], err = r.prog.Cell(a.Param); err != nil {
			return err
		}
	}
	defer func() {
		for name, v := range weights {
			err = errors.Join(err, r.prog.SetCell(name, v))
		}
	}()
	if err := r.putAverages(); err != nil {
		return err
	}
	return f()
}

// putAverages gives parameters the values of their averages.
func (r *run) putAverages() error {
	for _, a := range r.t.Averages {
		v, err := r.prog.Cell(a.Cell)
		if err != nil {
			return err
		}
		if err := r.prog.SetCell(a.Param, v); err != nil {
			return fmt.Errorf("%s: %w", a.Param, err)
		}
	}
	return nil
}
