package exec

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/nnc-lang/nnc/ir"
)

// TestBoundsHold computes ops in single precision for numbers from intervals.
func TestBoundsHold(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	number := func() float64 {
		if rnd.IntN(8) == 0 {
			return 0
		}
		return float64(float32(math.Ldexp(rnd.Float64()*2-1, rnd.IntN(270)-150)))
	}
	ir.Ops(func(op ir.Op) {
		if !Bounds(op) {
			return
		}
		row := op.Row()
		tried := 0
		for range 20000 {
			var x [2]interval
			for k := range x {
				a, b := number(), number()
				x[k] = interval{min(a, b), max(a, b)}
			}
			same := operands(op) == 2 && op == ir.OpMul && rnd.IntN(2) == 0
			if same {
				x[1] = x[0]
			}
			bounds := apply(op, x[:operands(op)], same)
			if !bounds.valid() {
				continue
			}
			tried++
			for range 20 {
				var at [2]float64
				for k, v := range x {
					at[k] = float64(float32(min(v.hi, max(v.lo, v.lo+rnd.Float64()*(v.hi-v.lo)))))
					at[k] = min(v.hi, max(v.lo, at[k]))
				}
				if same {
					at[1] = at[0]
				}
				var z float64
				switch {
				case op == ir.OpSelect:
					z = row.Eval([]float64{float64(rnd.IntN(2)), at[0], at[1]})
				case row.Eval == nil:
					z = at[0] * at[0] // of OpSquare
				default:
					z = row.Eval(at[:operands(op)])
				}
				if z = float64(float32(z)); !(z >= bounds.lo && z <= bounds.hi) {
					t.Fatalf("%s of %v is %v, which is not in %v, which follows from %v", op, at[:operands(op)], z, bounds, x[:operands(op)])
				}
			}
		}
		if tried < 1000 {
			t.Errorf("%s: there were bounds in %d cases only", op, tried)
		}
	})
}

// TestBoundsOfWhatMayNotBeFinite wants none.
func TestBoundsOfWhatMayNotBeFinite(t *testing.T) {
	big := interval{0, 3e38}
	for name, v := range map[string]interval{
		"x/0":        apply(ir.OpDiv, []interval{{1, 2}, {0, 1}}, false),
		"x/−1…1":     apply(ir.OpDiv, []interval{{1, 2}, {-1, 1}}, false),
		"√−1":        apply(ir.OpSqrt, []interval{{-1e-9, 2}}, false),
		"x+y":        apply(ir.OpAdd, []interval{{0, 1.5e38}, {0, 1.5e38}}, false),
		"x²":         apply(ir.OpSquare, []interval{{-1.9e19, 0}}, false),
		"x·y":        apply(ir.OpMul, []interval{{0, 1e25}, {-1e25, 0}}, false),
		"large":      apply(ir.OpStop, []interval{big}, false),
		"no number":  {math.NaN(), math.NaN()},
		"no numbers": {0, math.NaN()},
	} {
		if v.valid() {
			t.Errorf("%s is bounded by %v", name, v)
		}
	}
}

// TestExtremes looks at elements in several pieces.
func TestExtremes(t *testing.T) {
	team, err := teamOf(2)
	if err != nil {
		t.Fatal(err)
	}
	f := &frame{team: team}
	x := make([]float32, 200_000)
	for k := range x {
		x[k] = float32(k%1000) - 300
	}
	bytes := viewBytes(x, 4)
	x[70_000], x[199_999] = -5000, 9000
	if got := f.extremes(bytes); got != (interval{-5000, 9000}) {
		t.Errorf("elements lie in %v, not in [−5000, 9000]", got)
	}
	for _, at := range []int{0, 65_536, 199_999} {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			was := x[at]
			x[at] = float32(bad)
			if got := f.extremes(bytes); got.valid() {
				t.Errorf("%v at %d: elements are said to lie in %v", bad, at, got)
			}
			x[at] = was
		}
	}
}
