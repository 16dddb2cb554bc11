package native

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// longSums are of many terms, one after the other in each lane or in none; %y is not used by all.
var longSums = []string{
	"sum [c<4 | b<B, i<64, j<64] %x[b, i, j, c] : [B, 64, 64, 4] [1]",
	"sum [c<4 | b<B, i<63, j<64] %x[b, i+1, j, c] : [B, 64, 64, 4] [1]",
	"sum [c<3, d<2 | b<B, i<62, j<30] %x[b, i, 2*j+c, d] : [B, 62, 64, 3] [1]",
	"sum [c<16 | b<B, i<64, j<64] mul(%x[b, i, j, c], %y[c]) : [B, 64, 64, 16] [16]",
	"sum [c<40 | b<B, i<64, j<32] mul(%x[b, i, j, c], %y[b, i, j, c]) : [B, 64, 32, 40] [B, 64, 32, 40]",
	"sum [c<2 | b<B, i<4096] %x[b, c, i] : [B, 2, 4096] [1]",
}

// Equal terms, which are rounded all in the same direction, make no more than a small error.
func TestLongSums(t *testing.T) {
	m := nestModule(t, longSums)
	for _, precise := range []codegen.Math{codegen.Fast, codegen.Strict} {
		p, _ := compileWith(t, m, codegen.Options{Threads: 1, Math: precise})
		q, err := interp.Backend{}.Compile(m, codegen.Options{Precision: tensor.F64})
		if err != nil {
			t.Fatal(err)
		}
		for k, f := range m.Funcs {
			for _, b := range []int{1, 16} {
				var args []*tensor.Tensor
				for i, v := range f.Params {
					x := tensor.New(tensor.F32, dims(v.Type, b)...)
					for e := range x.F32 {
						x.F32[e] = []float32{0.1, 0.7}[i]
					}
					args = append(args, x)
				}
				got, want := mustCall(t, p, f.Name, args...)[0], mustCall(t, q, f.Name, args...)[0]
				e := relativeError(got, want)
				if !(e < 3e-6) {
					t.Errorf("B = %d: the error is %.2g: %s", b, e, longSums[k])
				}
			}
		}
	}
}

// Reductions over nothing are what combines with everything, of each type, also where the result has several elements or vectors.
func TestReductionsOverNothing(t *testing.T) {
	var text strings.Builder
	for _, c := range []string{"sum f32", "prod f32", "max f32", "min f32", "sum i32", "prod i32", "max i32", "min i32", "max bool", "min bool"} {
		combine, dtype, _ := strings.Cut(c, " ")
		fmt.Fprintf(&text, "func @%s_%s(%%x: %s[B, T]) -> (%s[B], %s[], %s[B]) {\n", combine, dtype, dtype, dtype, dtype, dtype)
		fmt.Fprintf(&text, "  %%0: %s[B] = %s [b<B | t<T-1] %%x[b, t+1]\n  %%1: %s[] = %s [| b<B, t<T-1] %%x[b, t+1]\n", dtype, combine, dtype, combine)
		fmt.Fprintf(&text, "  %%2: %s[B] = %s [b<B | t<T] where (t+1 < 1) %%x[b, t]\n  return %%0, %%1, %%2\n}\n", dtype, combine)
	}
	m := parse(t, text.String())
	p, q := compileBoth(t, m)
	want := map[string]float64{
		"max_f32": math.Inf(-1), "min_f32": math.Inf(1), "prod_f32": 1, "max_i32": math.MinInt32, "min_i32": math.MaxInt32, "prod_i32": 1, "min_bool": 1,
	}
	for _, f := range m.Funcs {
		x := tensor.New(f.Params[0].Type.DType, 37, 1)
		for what, program := range map[string]runtime.Program{"native": p, "the interpreter": q} {
			for k, v := range mustCall(t, program, f.Name, x) {
				for e := range v.Len() {
					if v.At(e) != want[f.Name] {
						t.Errorf("%s: result %d of %s has %v at %d, not %v", what, k, f.Name, v.At(e), e, want[f.Name])
						break
					}
				}
			}
		}
	}
}
