package native

import (
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// pooledLayer is the gradient of a convolution with an activation before max-pooling in its bias, its weights and what it is of. 13 and 11 are odd: some
// elements are in no window, and tiles lie partly outside.
const pooledLayer = `
func @f(%x: f32[B, 15, 13, 16], %w: f32[3, 3, 16, 19], %z: f32[B, 13, 11, 19], %dz: f32[B, 6, 5, 19]) -> (f32[19], f32[3, 3, 16, 19], f32[B, 15, 13, 16]EXTRA) {
  %0: f32[B, 6, 5, 19] = max [b<B, i<6, j<5, c<19 | di<2, dj<2] %z[b, 2*i+di, 2*j+dj, c]
  %1: i32[B, 6, 5, 19] = argmax [b<B, i<6, j<5, c<19 | di<2, dj<2] %z[b, 2*i+di, 2*j+dj, c]
  %2: f32[B, 13, 11, 19] = map [b<B, i<13, j<11, c<19] select(less(0.0, %0[b, (i/2), (j/2), c] else 0.0), select(equal(%1[b, (i/2), (j/2), c] else 0, PLACE), %dz[b, (i/2), (j/2), c] else 0.0, 0.0), 0.0)
  %3: f32[19] = sum [c<19 | b<B, i<13, j<11] %2[b, i, j, c]
  %4: f32[3, 3, 16, 19] = sum [di<3, dj<3, c<16, o<19 | b<B, i<13, j<11] mul(%x[b, i+di, j+dj, c], %2[b, i, j, o])
  %5: f32[B, 15, 13, 16] = sum [b<B, i<15, j<13, c<16 | o<19, di<3, dj<3] mul(%2[b, i-di, j-dj, o] else 0.0, %w[di, dj, c, o])
  return %3, %4, %5USE
}
`

func TestGradientsBeforePoolingStayPooled(t *testing.T) {
	for _, c := range []struct {
		what, place, extra, use string
		pooled                  bool
	}{
		{"the gradient of a layer", "2*i+j-4*(i/2)-2*(j/2)", "", "", true},
		{"places in the transposed window", "2*j+i-4*(j/2)-2*(i/2)", "", "", false},
		{"a gradient that is returned", "2*i+j-4*(i/2)-2*(j/2)", ", f32[B, 13, 11, 19]", ", %2", false},
	} {
		m := parse(t, strings.NewReplacer("PLACE", c.place, "EXTRA", c.extra, "USE", c.use).Replace(pooledLayer))
		_, reference := compileBoth(t, m)
		for _, level := range levelsOf(goruntime.GOARCH) {
			p, err := newLowering(m, level, codegen.Fast).procedure(m.Funcs[0])
			if err != nil {
				t.Fatal(err)
			}
			written := false
			for _, s := range p.Steps {
				for _, z := range s.Launch.Results {
					written = written || p.Slots[z].Type.Equal(m.Funcs[0].Params[2].Type)
				}
			}
			if written == c.pooled {
				t.Errorf("%s, %s: the gradient before pooling is written: %v", level.Name, c.what, written)
			}
			one, two := compileAt(t, m, level)
			for _, batch := range []int{1, 7} {
				var args []*tensor.Tensor
				for k, v := range m.Funcs[0].Params {
					args = append(args, random(uint32(batch+k), tensor.F32, -1, 1, dims(v.Type, batch)...))
				}
				got, again, want := mustCall(t, one, "f", args...), mustCall(t, two, "f", args...), mustCall(t, reference, "f", args...)
				for k := range want {
					if e := relativeError(got[k], want[k]); !(e < winogradTolerance) {
						t.Errorf("%s, %s, B = %d: result %d: relative error %v", level.Name, c.what, batch, k, e)
					}
					if d := differ(again[k], got[k], 0); d != "" {
						t.Errorf("%s, %s, B = %d: two threads make another result: %s", level.Name, c.what, batch, d)
					}
				}
			}
		}
	}
}
