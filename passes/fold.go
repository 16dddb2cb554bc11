package passes

import (
	"math"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// fold computes what is constant in a scalar expression and drops neutral operands. A product with 0 is 0, also where the
// other factor is not finite: a cotangent that does not flow is nothing, whatever it would have been multiplied by.
func fold(e *ir.Expr) *ir.Expr { return e.Rewrite(foldNode) }

func foldNode(e *ir.Expr) *ir.Expr {
	if e.Leaf != ir.NotLeaf {
		return e
	}
	if v, ok := evaluate(e); ok {
		return ir.Const(e.DType, v)
	}
	is := func(i int, v float64) bool {
		c, ok := e.Args[i].IsConst()
		return ok && c == v
	}
	switch e.Op {
	case ir.OpAdd:
		if is(0, 0) {
			return e.Args[1]
		}
		if is(1, 0) {
			return e.Args[0]
		}
	case ir.OpSub:
		if is(1, 0) {
			return e.Args[0]
		}
	case ir.OpMul:
		if is(0, 1) || is(1, 0) {
			return e.Args[1]
		}
		if is(1, 1) || is(0, 0) {
			return e.Args[0]
		}
	case ir.OpDiv:
		if is(1, 1) {
			return e.Args[0]
		}
	case ir.OpNeg:
		if a := e.Args[0]; a.Leaf == ir.NotLeaf && a.Op == ir.OpNeg {
			return a.Args[0]
		}
	case ir.OpSelect:
		switch {
		case is(0, 1):
			return e.Args[1]
		case is(0, 0), e.Args[1].Equal(e.Args[2]):
			return e.Args[2]
		}
	}
	return e
}

// evaluate returns the value of an op on constants. An f32 is not rounded here, since the working precision is the
// backend's choice. Whole numbers that leave the range of an i32 are left to the backends, which agree on them.
func evaluate(e *ir.Expr) (float64, bool) {
	x := make([]float64, len(e.Args))
	for i, a := range e.Args {
		c, ok := a.IsConst()
		if !ok {
			return 0, false
		}
		x[i] = c
	}
	f := e.Op.Row().Eval
	if f == nil {
		if e = e.Op.Expand(e.Args); e == nil {
			return 0, false
		}
		return fold(e).IsConst()
	}
	v := f(x)
	switch e.DType {
	case tensor.F32, tensor.Bool:
		return v, true
	}
	if v != math.Trunc(v) || math.Abs(v) > math.MaxInt32 { // also what is no number: divisions round down, by zero give 0
		return 0, false
	}
	return v, true
}
