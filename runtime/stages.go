package runtime

import (
	"fmt"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Stages calls the stages of f, whose arguments have been checked, in their order.
//
// Errors: the first that call returns.
func Stages(f *ir.Func, args []*tensor.Tensor, call func(stage *ir.Func, args []*tensor.Tensor) error) error {
	for _, s := range f.Stages {
		if s.Size == 0 {
			if err := call(s.Func, args); err != nil {
				return err
			}
			continue
		}
		examples := 0
		for i, p := range f.Params {
			if p.PerExample() {
				examples = args[i].Shape[0]
			}
		}
		if s.Most > 0 && examples > s.Most {
			return fmt.Errorf("a batch of %d examples, where the program has planned for %d at most", examples, s.Most)
		}
		for first := 0; first < examples; first += s.Size {
			part := make([]*tensor.Tensor, 0, len(args)+2)
			for i, a := range args {
				if f.Params[i].PerExample() {
					a = a.Rows(first, min(first+s.Size, examples))
				}
				part = append(part, a)
			}
			part = append(part, number(first), number(examples))
			if err := call(s.Func, part); err != nil {
				return err
			}
		}
	}
	return nil
}

func number(n int) *tensor.Tensor {
	t := tensor.New(tensor.I32)
	t.I32[0] = int32(n)
	return t
}
