package ir

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// evalExpr computes e in float64 with operand k being x[k].
func evalExpr(e *Expr, x []float64) float64 {
	switch e.Leaf {
	case LeafConst:
		return e.Value
	case LeafRead:
		return x[e.Read.Operand]
	}
	if e.Op.Row().Eval == nil {
		return evalExpr(e.Op.Expand(e.Args), x)
	}
	args := make([]float64, len(e.Args))
	for i, a := range e.Args {
		args[i] = evalExpr(a, x)
	}
	v := e.Op.Row().Eval(args)
	if e.DType == tensor.I32 {
		v += 0 // whole numbers have no negative zero
	}
	return v
}

// operandsOf returns reads of operands that fit op, with T and A being f32.
func operandsOf(op Op) []*Expr {
	want, _ := op.Row().signature()
	args := make([]*Expr, len(want))
	for k, w := range want {
		d := tensor.F32
		if fixed, ok := tensor.ParseDType(w); ok {
			d = fixed
		}
		args[k] = ReadOf(d, k)
	}
	return args
}

// The gradient of every row agrees with differences of its own definition, at random points where the op is smooth.
func TestGradientsOfRows(t *testing.T) {
	Ops(func(op Op) {
		if op.Row().Class != ClassScalar || op == OpStop {
			return
		}
		args := operandsOf(op)
		e := Apply(op, args...)
		if e.DType != tensor.F32 {
			return
		}
		random := rand.New(rand.NewPCG(1, uint64(op)))
		z, dz := ReadOf(tensor.F32, len(args)), ReadOf(tensor.F32, len(args)+1)
		for k, a := range args {
			if a.DType != tensor.F32 {
				continue
			}
			g := op.GradOf(k, args, z, dz)
			checked := 0
			for range 400 {
				x := make([]float64, len(args), len(args)+2)
				for i, b := range args {
					x[i] = 6*random.Float64() - 3
					if b.DType == tensor.Bool {
						x[i] = float64(random.IntN(2))
					}
				}
				at := func(d float64) float64 {
					y := append([]float64{}, x...)
					y[k] += d
					return evalExpr(e, y)
				}
				slope := func(h float64) float64 { return (at(h) - at(-h)) / (2 * h) }
				// Differences with steps of 1e-5 are good to about 1e-9 of a smooth function of size 1; where two steps disagree
				// there is a kink or a pole.
				want := slope(1e-5)
				if rough := slope(2e-5); math.IsNaN(want) || math.Abs(want) > 1e3 || math.Abs(rough-want) > 1e-6*(1+math.Abs(want)) {
					continue
				}
				cotangent := 2*random.Float64() - 1
				got := 0.0
				if g != nil {
					got = evalExpr(g, append(x, at(0), cotangent))
				}
				if math.Abs(got-cotangent*want) > 1e-5*(1+math.Abs(want)) {
					t.Fatalf("%s at %v: gradient %d is %v, differences say %v", op, x, k+1, got, cotangent*want)
				}
				checked++
			}
			if checked < 100 {
				t.Errorf("%s: only %d points could be checked", op, checked)
			}
		}
	})
}

// Gradients have the values that the rows' docs promise where the op has a kink, and are finite there.
func TestGradientsAtKinks(t *testing.T) {
	for _, c := range []struct {
		op   Op
		k    int
		x    []float64
		want float64
	}{
		{OpRelu, 0, []float64{0}, 0},
		{OpAbs, 0, []float64{0}, 0},
		{OpMax, 0, []float64{2, 2}, 1},
		{OpMax, 1, []float64{2, 2}, 0},
		{OpMin, 0, []float64{2, 2}, 1},
		{OpMin, 1, []float64{2, 2}, 0},
		{OpPow, 0, []float64{0, 0}, 0},
		{OpPow, 0, []float64{0, 2}, 0},
		{OpPow, 0, []float64{-2, 3}, 12},
		{OpPow, 1, []float64{0, 2}, 0},
		{OpPow, 1, []float64{-2, 3}, 0},
		{OpSelect, 1, []float64{0, math.NaN(), 1}, 0},
		{OpSelect, 2, []float64{0, math.NaN(), 1}, 1},
	} {
		args := operandsOf(c.op)
		n := len(args)
		x := append(c.x, evalExpr(Apply(c.op, args...), c.x), 1)
		g := c.op.GradOf(c.k, args, ReadOf(tensor.F32, n), ReadOf(tensor.F32, n+1))
		if got := evalExpr(g, x); got != c.want {
			t.Errorf("%s%v: gradient %d is %v, want %v", c.op, c.x, c.k+1, got, c.want)
		}
	}
}
