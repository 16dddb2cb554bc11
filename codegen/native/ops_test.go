package native

import (
	"fmt"
	"math"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// interesting numbers of each type: limits, specials, and a spread over all magnitudes.
func interestingF32() []float32 {
	x := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, 0.5, -0.5, 2, -2, 3, -3, 1.5, 1e-10, -1e-10,
		float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32,
		math.SmallestNonzeroFloat32, 1.17549435e-38, 88.72, 88.73, -87.3, -103.9, -104.1, 2147483648, -2147483648, 2147483520,
		0.70710677, 0.7071068, 0.99999994, 1.0000001, 16777216, 0.78539816, 1.5707964, 3.1415927, 1e4, 1e8,
	}
	seed := uint32(7)
	next := func() float64 {
		seed = seed*1664525 + 1013904223
		return float64(seed>>8) / (1 << 24)
	}
	for range 4000 {
		x = append(x, float32(math.Exp2(next()*40-30)*math.Copysign(1, next()-0.5)))
	}
	for k := range 2000 {
		x = append(x, float32(k-1000)*0.0123)
	}
	return x
}

func interestingI32() []int32 {
	x := []int32{0, 1, -1, 2, -2, 3, 7, -7, math.MaxInt32, math.MinInt32, math.MaxInt32 - 1, math.MinInt32 + 1, 1 << 16, -(1 << 16), 46341, 1000003}
	seed := uint32(3)
	for range 400 {
		seed = seed*1664525 + 1013904223
		x = append(x, int32(seed), int32(seed)>>20)
	}
	return x
}

// ulps returns how far got is from want in units of want's last place as an f32.
func ulps(got float32, want float64) float64 {
	w := float32(want)
	switch {
	case math.IsNaN(want) || math.IsNaN(float64(got)):
		if math.IsNaN(want) && got != got {
			return 0
		}
		return math.Inf(1)
	case got == w:
		return 0
	case math.IsInf(float64(got), 0) || math.IsInf(float64(w), 0):
		if math.Abs(want) > math.MaxFloat32*(1-1e-6) && math.IsInf(float64(got), 0) == (math.Signbit(float64(got)) == math.Signbit(want)) {
			return 1 // on either side of the limit
		}
		return math.Inf(1)
	}
	unit := math.Abs(float64(math.Nextafter32(w, float32(math.Inf(1)))) - float64(w))
	return math.Abs(float64(got)-want) / max(unit, math.SmallestNonzeroFloat32)
}

// worst is the greatest error in ulp that an op may have; 0.51 is what rounding a double gives. Ops that are not listed are exact.
var worst = map[ir.Op]float64{
	ir.OpExp: 1.5, ir.OpExpm1: 0.51, ir.OpLog: 0.51, ir.OpLog1p: 0.51, ir.OpTanh: 0.51, ir.OpErf: 0.51, ir.OpSin: 0.51, ir.OpCos: 0.51,
	ir.OpPow: 0.51, ir.OpMod: 0.51, ir.OpAdd: 0.5, ir.OpSub: 0.5, ir.OpMul: 0.5, ir.OpDiv: 0.5, ir.OpSqrt: 0.5,
	ir.OpSquare: 0.5,
}

// loose is the greatest absolute error of composite ops, relative to 1 where the result is above that: roundings between their parts
// grow where the parts cancel or overflow.
var loose = map[ir.Op]float64{ir.OpSigmoid: 2e-7, ir.OpNormal: 2e-6}

// TestEveryOp compares every scalar op with its definition: for f32 in ulp of the row's Eval in double precision.
func TestEveryOp(t *testing.T) {
	needLLVM(t)
	f, n := interestingF32(), interestingI32()
	// Operands are drawn from the lists with different strides, so that all kinds of pairs occur.
	const count = 20011 // a prime
	draw := func(d tensor.DType, k int) *tensor.Tensor {
		x := tensor.New(d, count)
		for i := range count {
			at := i * (1 + 17*k) / (1 + k)
			switch d {
			case tensor.F32:
				x.F32[i] = f[(at+k*i/len(f))%len(f)]
			case tensor.I32:
				x.I32[i] = n[(at+k*i/len(n))%len(n)]
			default:
				x.Bool[i] = at>>k%2 == 0
			}
		}
		return x
	}
	m := ir.NewModule()
	type test struct {
		op   ir.Op
		args []*tensor.Tensor
	}
	var tests []test
	ir.Ops(func(op ir.Op) {
		if op.Row().Class != ir.ClassScalar {
			return
		}
		arity := len(op.Row().Params)
		for _, d := range []tensor.DType{tensor.F32, tensor.I32, tensor.Bool} {
			types := make([]tensor.DType, arity)
			for k := range types {
				types[k] = d
			}
			if op == ir.OpSelect {
				types[0] = tensor.Bool
			}
			if _, err := op.ResultDType(types); err != nil {
				continue
			}
			var args []*tensor.Tensor
			var reads []*ir.Expr
			for k, d := range types {
				args = append(args, draw(d, k))
				reads = append(reads, ir.ReadOf(d, k, ir.Loop(0)))
			}
			body := ir.Apply(op, reads...)
			nest := &ir.Nest{Combine: ir.Map, Out: 1, Index: []ir.Index{{Name: "i", Extent: ir.Int(count)}}, Body: body}
			addNest(m, fmt.Sprintf("f%d", len(tests)), nest, args)
			tests = append(tests, test{op, args})
		}
	})
	p, err := Backend{}.Compile(m, codegen.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for k, test := range tests {
		name := fmt.Sprintf("%s of %v", test.op, test.args[len(test.args)-1].DType)
		t.Run(name, func(t *testing.T) {
			out, err := p.Call(fmt.Sprintf("f%d", k), test.args...)
			if err != nil {
				t.Fatal(err)
			}
			x := make([]float64, len(test.args))
			greatest, at := 0.0, ""
			for i := range count {
				for j, a := range test.args {
					x[j] = a.At(i)
				}
				want := meaning(test.op, test.args[0].DType, x)
				if out[0].DType != tensor.F32 {
					if got := out[0].At(i); got != want {
						t.Fatalf("%s of %v is %v, want %v", test.op, x, got, want)
					}
					continue
				}
				if (test.op == ir.OpSin || test.op == ir.OpCos) && math.Abs(x[0]) > 1e9 {
					continue
				}
				if tol := loose[test.op]; tol > 0 {
					if got := float64(out[0].F32[i]); !(math.Abs(got-want) <= tol*max(1, math.Abs(want))) && !(got != got && want != want) {
						t.Fatalf("%s of %v is %v, want %v", test.op, x, got, want)
					}
					continue
				}
				if u := ulps(out[0].F32[i], want); u > greatest {
					greatest, at = u, fmt.Sprintf("%v: got %v, want %v", x, out[0].F32[i], want)
				}
			}
			if greatest > worst[test.op] {
				t.Errorf("%.3f ulp at %s", greatest, at)
			}
			t.Logf("%.3f ulp at %s", greatest, at)
		})
	}
}

// meaning computes an op in double precision, or i32.
func meaning(op ir.Op, d tensor.DType, x []float64) float64 {
	if d == tensor.I32 {
		a, b := int64(x[0]), int64(x[len(x)-1])
		switch op {
		case ir.OpAdd:
			return float64(int32(a + b))
		case ir.OpSub:
			return float64(int32(a - b))
		case ir.OpMul:
			return float64(int32(a * b))
		case ir.OpNeg:
			return float64(int32(-a))
		case ir.OpAbs:
			return float64(int32(max(a, -a)))
		case ir.OpDiv, ir.OpMod:
			if b == 0 {
				return 0
			}
			q := int64(math.Floor(float64(a) / float64(b)))
			if op == ir.OpMod {
				return float64(int32(a - b*q))
			}
			return float64(int32(q))
		}
	}
	switch op {
	case ir.OpSquare:
		return x[0] * x[0]
	case ir.OpSigmoid:
		return 1 / (1 + math.Exp(-x[0]))
	case ir.OpRelu:
		return math.Max(x[0], 0)
	case ir.OpNormal:
		u := ir.Uniform(int32(x[0]), int32(x[1]), int32(x[2]), int32(x[3]))
		v := ir.Uniform(int32(x[0]), int32(int64(x[1])+1), int32(x[2]), int32(x[3]))
		return math.Sqrt(-2*math.Log(1-u)) * math.Cos(2*math.Pi*v)
	}
	return op.Row().Eval(x)
}

// TestOnePlusErf compares 1 + erf(x), which is one function in fast math, with its meaning, and that it is exactly 0, 2 or no number where that
// is what rounding gives.
func TestOnePlusErf(t *testing.T) {
	needLLVM(t)
	x := tensor.New(tensor.F32, len(interestingF32()))
	copy(x.F32, interestingF32())
	body := ir.Apply(ir.OpAdd, ir.F32(1), ir.Apply(ir.OpErf, ir.ReadOf(tensor.F32, 0, ir.Loop(0))))
	nest := &ir.Nest{Combine: ir.Map, Out: 1, Index: []ir.Index{{Name: "i", Extent: ir.Int(x.Len())}}, Body: body}
	for math1, tol := range map[codegen.Math]float64{codegen.Fast: 1.5e-7, codegen.Strict: 1.2e-7} {
		m := ir.NewModule()
		addNest(m, "f", nest, []*tensor.Tensor{x})
		p, err := Backend{}.Compile(m, codegen.Options{Threads: 1, Math: math1})
		if err != nil {
			t.Fatal(err)
		}
		out := mustCall(t, p, "f", x)[0]
		for k, v := range x.F32 {
			want, got := 1+math.Erf(float64(v)), float64(out.F32[k])
			switch {
			case v != v || v <= -4 || v >= 4:
				if float32(got) != float32(1+float32(math.Erf(float64(v)))) && v == v || (got != got) != (v != v) {
					t.Errorf("%v: of %v it is %v, want %v", math1, v, got, want)
				}
			case !(math.Abs(got-want) <= tol):
				t.Errorf("%v: of %v it is %v, want %v", math1, v, got, want)
			}
		}
	}
}
