package native

import (
	"fmt"
	"math"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// firstLayer is the gradient of a first layer's weights before max-pooling, with pixels outside of the image if PAD is 1.
func firstLayer(c, o, pad int) string {
	return strings.NewReplacer("HIGH", fmt.Sprint(14+2*(1-pad)), "WIDE", fmt.Sprint(12+2*(1-pad)), "PAD", fmt.Sprint(pad), "CC", fmt.Sprint(c), "OO", fmt.Sprint(o)).Replace(`
func @f(%x: f32[B, HIGH, WIDE, CC], %z: f32[B, 14, 12, OO], %dz: f32[B, 7, 6, OO]) -> (f32[3, 3, CC, OO]) {
  %0: f32[B, 7, 6, OO] = max [b<B, i<7, j<6, c<OO | di<2, dj<2] %z[b, 2*i+di, 2*j+dj, c]
  %1: i32[B, 7, 6, OO] = argmax [b<B, i<7, j<6, c<OO | di<2, dj<2] %z[b, 2*i+di, 2*j+dj, c]
  %2: f32[B, 14, 12, OO] = map [b<B, i<14, j<12, c<OO] select(less(0.0, %0[b, (i/2), (j/2), c] else 0.0), select(equal(%1[b, (i/2), (j/2), c] else 0, 2*i+j-4*(i/2)-2*(j/2)), %dz[b, (i/2), (j/2), c] else 0.0, 0.0), 0.0)
  %3: f32[3, 3, CC, OO] = sum [di<3, dj<3, c<CC, o<OO | b<B, i<14, j<12] mul(%x[b, i+di-PAD, j+dj-PAD, c] else 0.0, %2[b, i, j, o])
  return %3
}`)
}

// The gradient of a first layer's weights is the interpreter's, whether it is computed from pooled elements or not, with the same bits for any number of threads; what
// is not finite anywhere in an image is not lost.
func TestGradientFromPooledElements(t *testing.T) {
	for _, c := range []struct {
		channels, outputs, pad int
		pooled                 bool // on AVX-512
	}{
		{3, 32, 0, true},
		{3, 16, 1, true},
		{3, 64, 1, true},
		{4, 48, 1, true},
		{3, 24, 1, false},
		{5, 32, 0, false},
	} {
		name := fmt.Sprintf("%d×%d, padding %d", c.channels, c.outputs, c.pad)
		m := parse(t, firstLayer(c.channels, c.outputs, c.pad))
		_, reference := compileBoth(t, m)
		for _, level := range levelsOf(goruntime.GOARCH) {
			low := newLowering(m, level, codegen.Fast)
			if _, err := low.procedure(m.Funcs[0]); err != nil {
				t.Fatal(err)
			}
			found := slices.ContainsFunc(low.kernels, func(k *kernel) bool { return strings.HasPrefix(k.key, fmt.Sprintf("winograd %d ", pooledPart)) })
			if want := c.pooled && level.Lanes == pooledLanes && level.Arch == "amd64"; found != want {
				t.Errorf("%s, %s: computed from pooled elements: %v", name, level.Name, found)
			}
			one, two := compileAt(t, m, level)
			for _, batch := range []int{1, 7, 33} {
				var args []*tensor.Tensor
				for k, v := range m.Funcs[0].Params {
					args = append(args, random(uint32(batch+k), tensor.F32, -1, 1, dims(v.Type, batch)...))
				}
				got, again, want := mustCall(t, one, "f", args...)[0], mustCall(t, two, "f", args...)[0], mustCall(t, reference, "f", args...)[0]
				if e := relativeError(got, want); !(e < winogradTolerance) {
					t.Errorf("%s, %s, B = %d: relative error %v", name, level.Name, batch, e)
				}
				if !slices.Equal(got.F32, again.F32) {
					t.Errorf("%s, %s, B = %d: two threads give other bits", name, level.Name, batch)
				}
				for _, at := range []int{0, len(args[0].F32) / 2, len(args[0].F32) - 1} {
					old := args[0].F32[at]
					args[0].F32[at] = float32(math.Inf(1))
					got, want = mustCall(t, one, "f", args...)[0], mustCall(t, reference, "f", args...)[0]
					for k, x := range want.F32 {
						if x-x != 0 && got.F32[k]-got.F32[k] == 0 {
							t.Errorf("%s, %s, B = %d, infinite at %d: element %d is %v, not %v", name, level.Name, batch, at, k, got.F32[k], x)
							break
						}
					}
					args[0].F32[at] = old
				}
			}
		}
	}
}
