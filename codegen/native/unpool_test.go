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
  %5: f32[B, 15, 13, 16] = sum [b<B, i<15, j<13, c<16 | o<19, di<3, dj<3] mul(%2[b, DATA, o] else 0.0, %w[di, dj, c, o])
  return %3, %4, %5USE
}
`

func TestGradientsBeforePoolingStayPooled(t *testing.T) {
	for _, c := range []struct {
		what, place, data, extra, use string
		pooled                        bool
	}{
		{"the gradient of a layer", "2*i+j-4*(i/2)-2*(j/2)", "i-di, j-dj", "", "", true},
		{"a layer with two rows around it", "2*i+j-4*(i/2)-2*(j/2)", "i-di+2, j-dj", "", "", true},
		{"a row around it, so that windows begin in odd ones", "2*i+j-4*(i/2)-2*(j/2)", "i-di+1, j-dj", "", "", false},
		{"a column around it", "2*i+j-4*(i/2)-2*(j/2)", "i-di, j-dj+1", "", "", false},
		{"places in the transposed window", "2*j+i-4*(j/2)-2*(i/2)", "i-di, j-dj", "", "", false},
		{"a gradient that is returned", "2*i+j-4*(i/2)-2*(j/2)", "i-di, j-dj", ", f32[B, 13, 11, 19]", ", %2", false},
	} {
		m := parse(t, strings.NewReplacer("PLACE", c.place, "DATA", c.data, "EXTRA", c.extra, "USE", c.use).Replace(pooledLayer))
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

// trainedLayers are a convolution with max-pooling and its gradient in one function, in sizes that tiles and vectors do not divide, and of few channels.
const trainedLayers = `
func @f(%x: f32[B, 15, 13, CH], %k: f32[3, 3, CH, OUT], %dz: f32[B, 6, 5, OUT]) -> (f32[B, 6, 5, OUT], f32[3, 3, CH, OUT]EXTRA) {
  %0: f32[B, 13, 11, OUT] = sum [b<B, i<13, j<11, o<OUT | di<3, dj<3, c<CH] mul(%x[b, i+di, j+dj, c], %k[di, dj, c, o])
  %1: f32[B, 6, 5, OUT] = max [b<B, i<6, j<5, c<OUT | di<2, dj<2] relu(%0[b, 2*i+di, 2*j+dj, c])
  %2: i32[B, 6, 5, OUT] = argmax [b<B, i<6, j<5, c<OUT | di<2, dj<2] relu(%0[b, 2*i+di, 2*j+dj, c])
  %3: f32[B, 13, 11, OUT] = map [b<B, i<13, j<11, c<OUT] select(less(0.0, %1[b, (i/2), (j/2), c] else 0.0), select(equal(%2[b, (i/2), (j/2), c] else 0, 2*i+j-4*(i/2)-2*(j/2)), %dz[b, (i/2), (j/2), c] else 0.0, 0.0), 0.0)
  %4: f32[3, 3, CH, OUT] = sum [di<3, dj<3, c<CH, o<OUT | b<B, i<13, j<11] mul(%x[b, i+di, j+dj, c], %3[b, i, j, o])
MORE  return %1, %4USE
}
`

// Places of maxima are bytes if nothing but kernels that know of it reads them.
func TestPlacesAreBytes(t *testing.T) {
	const toData = "  %5: f32[B, 15, 13, 16] = sum [b<B, i<15, j<13, c<16 | o<19, di<3, dj<3] mul(%3[b, i-di, j-dj, o] else 0.0, %k[di, dj, c, o])\n"
	for _, c := range []struct {
		what, channels, out, extra, more, use string
		bytes                                 bool
	}{
		{"a layer", "16", "19", ", f32[B, 15, 13, 16]", toData, ", %5", true},
		{"a layer of few channels", "3", "32", "", "", "", true},
		{"places that are returned", "16", "19", ", i32[B, 6, 5, 19]", "", ", %2", false},
		{"places that another nest reads", "16", "19", ", i32[19]", "  %5: i32[19] = sum [c<19 | b<B, i<6, j<5] %2[b, i, j, c]\n", ", %5", false},
	} {
		m := parse(t, strings.NewReplacer("CH", c.channels, "OUT", c.out, "EXTRA", c.extra, "MORE", c.more, "USE", c.use).Replace(trainedLayers))
		_, reference := compileBoth(t, m)
		for _, level := range levelsOf(goruntime.GOARCH) {
			p, err := newLowering(m, level, codegen.Fast).procedure(m.Funcs[0])
			if err != nil {
				t.Fatal(err)
			}
			bytes, numbers := 0, 0
			for _, s := range p.Slots {
				switch {
				case len(s.Type.Shape) == 4 && s.Type.DType == tensor.U8:
					bytes++
				case len(s.Type.Shape) == 4 && s.Type.DType == tensor.I32:
					numbers++
				}
			}
			if (bytes == 1) != c.bytes || (numbers > 0) == c.bytes {
				t.Errorf("%s, %s: %d values are bytes and %d are not", level.Name, c.what, bytes, numbers)
			}
			one, two := compileAt(t, m, level)
			for _, batch := range []int{1, 7} {
				var args []*tensor.Tensor
				for k, v := range m.Funcs[0].Params {
					args = append(args, random(uint32(batch+k), tensor.F32, -1, 1, dims(v.Type, batch)...))
				}
				got, again, want := mustCall(t, one, "f", args...), mustCall(t, two, "f", args...), mustCall(t, reference, "f", args...)
				for k := range want {
					if want[k].DType == tensor.I32 {
						if d := differ(got[k], want[k], 0); d != "" {
							t.Errorf("%s, %s, B = %d: result %d: %s", level.Name, c.what, batch, k, d)
						}
					} else if e := relativeError(got[k], want[k]); !(e < winogradTolerance) {
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
