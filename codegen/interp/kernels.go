package interp

import (
	"fmt"
	"math"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// node is one scalar op, read, index or literal of a body.
type node[F float] struct {
	op      ir.Op // of a scalar op
	leaf    ir.Leaf
	dtype   tensor.DType
	args    []int
	access  *access
	index   *index
	value   float64
	uniform bool // the same at all points
	run     func(w *worker[F], n int)
}

// loops over strips. Each computes n = len(d) elements.

type number interface{ float32 | float64 | int32 }

func add[T number](d, a, b []T) {
	a, b = a[:len(d)], b[:len(d)]
	for k := range d {
		d[k] = a[k] + b[k]
	}
}

func sub[T number](d, a, b []T) {
	a, b = a[:len(d)], b[:len(d)]
	for k := range d {
		d[k] = a[k] - b[k]
	}
}

func mul[T number](d, a, b []T) {
	a, b = a[:len(d)], b[:len(d)]
	for k := range d {
		d[k] = a[k] * b[k]
	}
}

func div[T float](d, a, b []T) {
	a, b = a[:len(d)], b[:len(d)]
	for k := range d {
		d[k] = a[k] / b[k]
	}
}

func minimum[T number](d, a, b []T) {
	a, b = a[:len(d)], b[:len(d)]
	for k := range d {
		d[k] = min(a[k], b[k])
	}
}

func maximum[T number](d, a, b []T) {
	a, b = a[:len(d)], b[:len(d)]
	for k := range d {
		d[k] = max(a[k], b[k])
	}
}

func less[T number](d []bool, a, b []T) {
	a, b = a[:len(d)], b[:len(d)]
	for k := range d {
		d[k] = a[k] < b[k]
	}
}

func lessEqual[T number](d []bool, a, b []T) {
	a, b = a[:len(d)], b[:len(d)]
	for k := range d {
		d[k] = a[k] <= b[k]
	}
}

func equal[T number](d []bool, a, b []T) {
	a, b = a[:len(d)], b[:len(d)]
	for k := range d {
		d[k] = a[k] == b[k]
	}
}

func notEqual[T number](d []bool, a, b []T) {
	a, b = a[:len(d)], b[:len(d)]
	for k := range d {
		d[k] = a[k] != b[k]
	}
}

func choose[T any](d []T, c []bool, a, b []T) {
	c, a, b = c[:len(d)], a[:len(d)], b[:len(d)]
	for k := range d {
		x := b[k]
		if c[k] {
			x = a[k]
		}
		d[k] = x
	}
}

func neg[T number](d, a []T) {
	a = a[:len(d)]
	for k := range d {
		d[k] = -a[k]
	}
}

func relu[T number](d, a []T) {
	a = a[:len(d)]
	for k := range d {
		d[k] = max(a[k], 0)
	}
}

func square[T number](d, a []T) {
	a = a[:len(d)]
	for k := range d {
		d[k] = a[k] * a[k]
	}
}

func identity[T any](d, a []T) { copy(d, a) }

// wide makes a loop of a function that computes in double precision.
func wide[T float](f func(float64) float64) func(d, a []T) {
	return func(d, a []T) {
		a = a[:len(d)]
		for k := range d {
			d[k] = T(f(float64(a[k])))
		}
	}
}

func sigmoid(a float64) float64 { return 1 / (1 + math.Exp(-a)) }

func sign(a float64) float64 {
	switch {
	case a > 0:
		return 1
	case a < 0:
		return -1
	}
	return a * a // 0, or not a number
}

// pointwise makes a loop of a function of two operands.
func pointwise[T number](f func(a, b T) T) func(d, a, b []T) {
	return func(d, a, b []T) {
		a, b = a[:len(d)], b[:len(d)]
		for k := range d {
			d[k] = f(a[k], b[k])
		}
	}
}

func divI32(a, b int32) int32 {
	if b == 0 {
		return 0
	}
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

func modI32(a, b int32) int32 {
	if b == 0 {
		return 0
	}
	return a - b*divI32(a, b)
}

func unaryFloat[F float](op ir.Op) func(d, a []F) {
	switch op {
	case ir.OpNeg:
		return neg[F]
	case ir.OpRelu:
		return relu[F]
	case ir.OpSquare:
		return square[F]
	case ir.OpToF32, ir.OpStop:
		return identity[F]
	case ir.OpAbs:
		return wide[F](math.Abs)
	case ir.OpSign:
		return wide[F](sign)
	case ir.OpFloor:
		return wide[F](math.Floor)
	case ir.OpExp:
		return wide[F](math.Exp)
	case ir.OpLog:
		return wide[F](math.Log)
	case ir.OpLog1p:
		return wide[F](math.Log1p)
	case ir.OpExpm1:
		return wide[F](math.Expm1)
	case ir.OpSqrt:
		return wide[F](math.Sqrt)
	case ir.OpSin:
		return wide[F](math.Sin)
	case ir.OpCos:
		return wide[F](math.Cos)
	case ir.OpTanh:
		return wide[F](math.Tanh)
	case ir.OpErf:
		return wide[F](math.Erf)
	case ir.OpSigmoid:
		return wide[F](sigmoid)
	}
	return nil
}

func unaryI32(op ir.Op) func(d, a []int32) {
	switch op {
	case ir.OpNeg:
		return neg[int32]
	case ir.OpToI32:
		return identity[int32]
	case ir.OpAbs:
		return func(d, a []int32) {
			for k := range d {
				d[k] = max(a[k], -a[k])
			}
		}
	case ir.OpSign:
		return func(d, a []int32) {
			for k := range d {
				d[k] = min(max(a[k], -1), 1)
			}
		}
	}
	return nil
}

func binaryFloat[F float](op ir.Op) func(d, a, b []F) {
	switch op {
	case ir.OpAdd:
		return add[F]
	case ir.OpSub:
		return sub[F]
	case ir.OpMul:
		return mul[F]
	case ir.OpDiv:
		return div[F]
	case ir.OpMin:
		return minimum[F]
	case ir.OpMax:
		return maximum[F]
	case ir.OpMod:
		return pointwise(func(a, b F) F { x, y := float64(a), float64(b); return F(x - y*math.Floor(x/y)) })
	case ir.OpPow:
		return pointwise(func(a, b F) F { return F(math.Pow(float64(a), float64(b))) })
	}
	return nil
}

func binaryI32(op ir.Op) func(d, a, b []int32) {
	switch op {
	case ir.OpAdd:
		return add[int32]
	case ir.OpSub:
		return sub[int32]
	case ir.OpMul:
		return mul[int32]
	case ir.OpMin:
		return minimum[int32]
	case ir.OpMax:
		return maximum[int32]
	case ir.OpDiv:
		return pointwise(divI32)
	case ir.OpMod:
		return pointwise(modI32)
	}
	return nil
}

func comparison[T number](op ir.Op) func(d []bool, a, b []T) {
	switch op {
	case ir.OpLess:
		return less[T]
	case ir.OpLessEqual:
		return lessEqual[T]
	case ir.OpEqual:
		return equal[T]
	case ir.OpNotEqual:
		return notEqual[T]
	}
	return nil
}

// kernel returns the loop of a scalar op from the registers args to the register z. Ops that have no loop of their own are computed
// by their row in double precision.
func kernel[F float](op ir.Op, types []tensor.DType, args []int, z int, result tensor.DType) (func(w *worker[F], n int), error) {
	x, y := args[0], args[min(1, len(args)-1)]
	switch {
	case op == ir.OpSelect:
		c, a, b := args[0], args[1], args[2]
		switch result {
		case tensor.F32:
			return func(w *worker[F], n int) { choose(w.f[z][:n], w.b[c], w.f[a], w.f[b]) }, nil
		case tensor.I32:
			return func(w *worker[F], n int) { choose(w.i[z][:n], w.b[c], w.i[a], w.i[b]) }, nil
		}
		return func(w *worker[F], n int) { choose(w.b[z][:n], w.b[c], w.b[a], w.b[b]) }, nil
	case op == ir.OpUniform:
		return random[F](args, z, func(k0, k1, c0, c1 int32) float64 { return ir.Uniform(k0, k1, c0, c1) }), nil
	case op == ir.OpNormal:
		return random[F](args, z, func(k0, k1, c0, c1 int32) float64 {
			return math.Sqrt(-2*math.Log(1-ir.Uniform(k0, k1, c0, c1))) * math.Cos(2*math.Pi*ir.Uniform(k0, k1+1, c0, c1))
		}), nil
	case types[0] == tensor.F32 && result == tensor.F32 && len(args) == 1:
		if f := unaryFloat[F](op); f != nil {
			return func(w *worker[F], n int) { f(w.f[z][:n], w.f[x]) }, nil
		}
	case types[0] == tensor.I32 && result == tensor.I32 && len(args) == 1:
		if f := unaryI32(op); f != nil {
			return func(w *worker[F], n int) { f(w.i[z][:n], w.i[x]) }, nil
		}
	case types[0] == tensor.F32 && result == tensor.F32 && len(args) == 2:
		if f := binaryFloat[F](op); f != nil {
			return func(w *worker[F], n int) { f(w.f[z][:n], w.f[x], w.f[y]) }, nil
		}
	case types[0] == tensor.I32 && result == tensor.I32 && len(args) == 2:
		if f := binaryI32(op); f != nil {
			return func(w *worker[F], n int) { f(w.i[z][:n], w.i[x], w.i[y]) }, nil
		}
	case types[0] == tensor.F32 && result == tensor.Bool && len(args) == 2:
		if f := comparison[F](op); f != nil {
			return func(w *worker[F], n int) { f(w.b[z][:n], w.f[x], w.f[y]) }, nil
		}
	case types[0] == tensor.I32 && result == tensor.Bool && len(args) == 2:
		if f := comparison[int32](op); f != nil {
			return func(w *worker[F], n int) { f(w.b[z][:n], w.i[x], w.i[y]) }, nil
		}
	case op == ir.OpToF32 && types[0] == tensor.I32:
		return func(w *worker[F], n int) {
			d, a := w.f[z][:n], w.i[x]
			for k := range d {
				d[k] = F(a[k])
			}
		}, nil
	}
	eval := op.Row().Eval
	if eval == nil {
		return nil, fmt.Errorf("the interpreter cannot compute %s of %v", op, types)
	}
	return func(w *worker[F], n int) {
		var x [4]float64
		for k := range n {
			for j, a := range args {
				x[j] = w.at(types[j], a, k)
			}
			v := eval(x[:len(args)])
			switch result {
			case tensor.F32:
				w.f[z][k] = F(v)
			case tensor.I32:
				w.i[z][k] = int32(v)
			default:
				w.b[z][k] = v != 0
			}
		}
	}, nil
}

func random[F float](args []int, z int, f func(k0, k1, c0, c1 int32) float64) func(w *worker[F], n int) {
	return func(w *worker[F], n int) {
		k0, k1, c0, c1, d := w.i[args[0]], w.i[args[1]], w.i[args[2]], w.i[args[3]], w.f[z]
		for k := range n {
			d[k] = F(f(k0[k], k1[k], c0[k], c1[k]))
		}
	}
}

// at returns element k of a register.
func (w *worker[F]) at(d tensor.DType, reg, k int) float64 {
	switch d {
	case tensor.F32:
		return float64(w.f[reg][k])
	case tensor.I32:
		return float64(w.i[reg][k])
	}
	if w.b[reg][k] {
		return 1
	}
	return 0
}
