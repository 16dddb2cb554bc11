package interp

import (
	"errors"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// Blame finds the operation to blame for a value that is not finite, what, which another backend met when it called fn with args while the
// cells had the values that cell returns.
func Blame(m *ir.Module, fn string, args []*tensor.Tensor, what string, cell func(string) (*tensor.Tensor, error)) error {
	unknown := &runtime.NonFiniteError{What: what, Op: "unknown"}
	p, err := Backend{}.Compile(m, codegen.Options{})
	if err != nil {
		return unknown
	}
	for _, c := range m.Cells {
		if c.Kind == ir.Part {
			continue
		}
		if t, err := cell(c.Name); err == nil {
			if err := p.SetCell(c.Name, t); err != nil {
				return unknown
			}
		}
	}
	if _, err := p.Call(fn, args...); errors.As(err, new(*runtime.NonFiniteError)) {
		return err
	}
	return unknown
}
