package passes

import (
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

func verify(m *ir.Module) error { return ir.Verify(m) }

func text(m *ir.Module) string { return ir.Print(m) }

// fold folds constants in a scalar expression.
func fold(e *ir.Expr) *ir.Expr {
	return e.Rewrite(func(e *ir.Expr) *ir.Expr {
		if e.Leaf != ir.NotLeaf {
			return e
		}
		isc := func(k int, v float64) bool { c, ok := e.Args[k].IsConst(); return ok && c == v }
		switch e.Op {
		case ir.OpMul:
			if isc(0, 1) {
				return e.Args[1]
			}
			if isc(1, 1) {
				return e.Args[0]
			}
			if isc(0, 0) {
				return e.Args[0]
			}
			if isc(1, 0) {
				return e.Args[1]
			}
		case ir.OpAdd:
			if isc(0, 0) {
				return e.Args[1]
			}
			if isc(1, 0) {
				return e.Args[0]
			}
		case ir.OpSelect:
			if c, ok := e.Args[0].IsConst(); ok {
				if c != 0 {
					return e.Args[1]
				}
				return e.Args[2]
			}
		}
		x := make([]float64, len(e.Args))
		for i, a := range e.Args {
			c, ok := a.IsConst()
			if !ok {
				return e
			}
			x[i] = c
		}
		if f := e.Op.Row().Eval; f != nil && e.DType == tensor.F32 {
			return ir.Const(e.DType, float64(float32(f(x))))
		}
		return e
	})
}
