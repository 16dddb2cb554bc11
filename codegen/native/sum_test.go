package native

import (
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir/tensor"
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
	for _, math := range []codegen.Math{codegen.Fast, codegen.Strict} {
		p, _ := compileWith(t, m, codegen.Options{Threads: 1, Math: math})
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
