package ir

import (
	"math"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Fold computes what is known in a scalar expression: ops on literals, the side that a literal condition chooses, and identities
// that hold for every number, infinity, not-a-number and negative zero included: x·1, x/1, x−0, x+(−0), −(−x), but not 0·x or x+0.
//
// Literals are kept as exact as a float64 is. An op on f32 literals is computed only where both precisions give about the same
// number, so that folding does not hide what overflows, vanishes or decides differently in f32.
func Fold(e *Expr) *Expr { return e.Rewrite(foldNode) }

// foldNode folds e, whose operands are folded.
func foldNode(e *Expr) *Expr {
	if e.Leaf != NotLeaf {
		return e
	}
	if v, ok := e.value(); ok {
		return Const(e.DType, v)
	}
	if x := identity(e); x != nil {
		return x
	}
	return e
}

// value computes e if all its operands are literals.
func (e *Expr) value() (float64, bool) {
	args := make([]float64, len(e.Args))
	for i, a := range e.Args {
		v, ok := a.IsConst()
		if !ok {
			return 0, false
		}
		args[i] = v
	}
	row := e.Op.Row()
	switch {
	case len(args) == 0 || row.Class != ClassScalar:
		return 0, false
	case row.Eval == nil:
		return Fold(e.Op.Expand(e.Args)).IsConst()
	case e.DType == tensor.I32 && e.Args[0].DType == tensor.I32:
		return evalI32(e.Op, args), true
	}
	exact := row.Eval(args)
	if e.DType == tensor.I32 {
		exact += 0 // whole numbers have no negative zero
	}
	rounded := make([]float64, len(args))
	for i, a := range e.Args {
		rounded[i] = args[i]
		if a.DType == tensor.F32 {
			rounded[i] = float64(float32(args[i]))
		}
	}
	in32 := row.Eval(rounded)
	if e.DType == tensor.F32 {
		in32 = float64(float32(in32))
		return exact, agree(exact, in32)
	}
	return exact, exact == in32
}

// agree reports whether x is about what f32 makes of it. The bound leaves room for operands that are no f32 and for an op that
// makes their error some times greater.
func agree(x, in32 float64) bool {
	if x == in32 || x != x && in32 != in32 {
		return true
	}
	return math.Abs(x-in32) <= 1e-5*math.Abs(x)
}

// evalI32 computes an op on whole numbers, which wrap around.
func evalI32(op Op, x []float64) float64 {
	switch op {
	case OpMul:
		return float64(int32(x[0]) * int32(x[1]))
	case OpDiv, OpMod:
		a, b := int64(x[0]), int64(x[1])
		if b == 0 {
			return 0
		}
		q := a / b
		if a%b != 0 && (a < 0) != (b < 0) {
			q--
		}
		if op == OpMod {
			return float64(a - q*b)
		}
		return float64(int32(q))
	}
	return float64(int32(int64(op.Row().Eval(x)))) // sums, differences, … of i32 are exact in a float64
}

// identity returns what e is equal to without its op, or nil.
func identity(e *Expr) *Expr {
	a := e.Args[0]
	is := func(k int, v float64) bool {
		c, ok := e.Args[k].IsConst()
		return ok && c == v && (math.Signbit(c) == math.Signbit(v) || e.DType == tensor.I32)
	}
	switch e.Op {
	case OpAdd:
		zero := math.Copysign(0, -1) // x + 0 is 0 where x is −0
		if is(1, zero) {
			return a
		}
		if is(0, zero) {
			return e.Args[1]
		}
	case OpSub:
		if is(1, 0) {
			return a
		}
	case OpMul:
		if is(1, 1) {
			return a
		}
		if is(0, 1) {
			return e.Args[1]
		}
	case OpDiv, OpPow:
		if is(1, 1) {
			return a
		}
	case OpNeg, OpNot:
		if a.Leaf == NotLeaf && a.Op == e.Op {
			return a.Args[0]
		}
	case OpMin, OpMax:
		if a.Equal(e.Args[1]) {
			return a
		}
	case OpToF32, OpToI32:
		if a.DType == e.DType {
			return a
		}
	case OpAnd, OpOr:
		for k, x := range e.Args {
			c, ok := x.IsConst()
			switch {
			case !ok:
			case (c != 0) == (e.Op == OpAnd): // true and x, false or x
				return e.Args[1-k]
			default:
				return x
			}
		}
	case OpSelect:
		if c, ok := a.IsConst(); ok {
			if c != 0 {
				return e.Args[1]
			}
			return e.Args[2]
		}
		if e.Args[1].Equal(e.Args[2]) {
			return e.Args[1]
		}
	}
	return nil
}
