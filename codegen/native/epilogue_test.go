package native

import (
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// convolutionsWithMore are a convolution with bias and activation; its max-pooling, with and without the places of the maxima, in sizes that
// tiles do not divide; some of few channels; and one whose result is read otherwise, too.
const convolutionsWithMore = `
func @elementwise(%x: f32[B, 9, 11, 8], %w: f32[3, 3, 8, 21], %b: f32[21], %s: f32[]) -> (f32[B, 7, 9, 21]) {
  %0: f32[B, 7, 9, 21] = sum [b<B, i<7, j<9, o<21 | di<3, dj<3, c<8] mul(%x[b, i+di, j+dj, c], %w[di, dj, c, o])
  %1: f32[B, 7, 9, 21] = map [b<B, i<7, j<9, o<21] mul(%s[], tanh(add(%0[b, i, j, o], %b[o])))
  return %1
}
func @pooled(%x: f32[B, 13, 20, 16], %w: f32[3, 3, 16, 32], %b: f32[32], %s: f32[]) -> (f32[B, 5, 9, 32]) {
  %0: f32[B, 11, 18, 32] = sum [b<B, i<11, j<18, o<32 | di<3, dj<3, c<16] mul(%x[b, i+di, j+dj, c], %w[di, dj, c, o])
  %1: f32[B, 5, 9, 32] = max [b<B, i<5, j<9, o<32 | p<2, q<2] relu(add(%0[b, 2*i+p, 2*j+q, o], %b[o]))
  return %1
}
func @placed(%x: f32[B, 13, 20, 16], %w: f32[3, 3, 16, 21], %b: f32[21], %s: f32[]) -> (f32[B, 5, 9, 21], i32[B, 5, 9, 21]) {
  %0: f32[B, 11, 18, 21] = sum [b<B, i<11, j<18, o<21 | di<3, dj<3, c<16] mul(%x[b, i+di, j+dj, c], %w[di, dj, c, o])
  %1: i32[B, 5, 9, 21] = argmax [b<B, i<5, j<9, o<21 | p<2, q<2] relu(add(%0[b, 2*i+p, 2*j+q, o], %b[o]))
  %2: f32[B, 5, 9, 21] = max [b<B, i<5, j<9, o<21 | p<2, q<2] relu(add(%0[b, 2*i+p, 2*j+q, o], %b[o]))
  return %2, %1
}
func @few(%x: f32[B, 15, 21, 3], %w: f32[3, 3, 3, 32], %b: f32[32], %s: f32[]) -> (f32[B, 6, 9, 32], i32[B, 6, 9, 32]) {
  %0: f32[B, 13, 19, 32] = sum [b<B, i<13, j<19, o<32 | di<3, dj<3, c<3] mul(%x[b, i+di, j+dj, c], %w[di, dj, c, o])
  %1: i32[B, 6, 9, 32] = argmax [b<B, i<6, j<9, o<32 | p<2, q<2] relu(add(%0[b, 2*i+p, 2*j+q, o], %b[o]))
  %2: f32[B, 6, 9, 32] = max [b<B, i<6, j<9, o<32 | p<2, q<2] relu(add(%0[b, 2*i+p, 2*j+q, o], %b[o]))
  return %2, %1
}
func @padded(%x: f32[B, 10, 13, 4], %w: f32[3, 3, 4, 64], %b: f32[64], %s: f32[]) -> (f32[B, 10, 13, 64]) {
  %0: f32[B, 10, 13, 64] = sum [b<B, i<10, j<13, o<64 | di<3, dj<3, c<4] mul(%x[b, i+di-1, j+dj-1, c] else 0.0, %w[di, dj, c, o])
  %1: f32[B, 10, 13, 64] = map [b<B, i<10, j<13, o<64] tanh(add(%0[b, i, j, o], %b[o]))
  return %1
}
func @kept(%x: f32[B, 9, 11, 8], %w: f32[3, 3, 8, 21], %b: f32[21], %s: f32[]) -> (f32[B, 7, 9, 21], f32[21]) {
  %0: f32[B, 7, 9, 21] = sum [b<B, i<7, j<9, o<21 | di<3, dj<3, c<8] mul(%x[b, i+di, j+dj, c], %w[di, dj, c, o])
  %1: f32[B, 7, 9, 21] = map [b<B, i<7, j<9, o<21] sin(add(%0[b, i, j, o], %b[o]))
  %2: f32[21] = sum [o<21 | b<B, i<7, j<9] %0[b, i, j, o]
  return %1, %2
}
`

func TestConvolutionsWithWhatFollows(t *testing.T) {
	m := parse(t, convolutionsWithMore)
	reference, err := interp.Backend{}.Compile(m, codegen.Options{Precision: tensor.F64})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"elementwise": 2, "pooled": 2, "placed": 2, "few": 1, "padded": 1, "kept": 4}
	for _, level := range levelsOf(goruntime.GOARCH) {
		low := newLowering(m, level, codegen.Fast)
		one, two := compileAt(t, m, level)
		for _, f := range m.Funcs {
			p, err := low.procedure(f)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Steps) != want[f.Name] {
				t.Errorf("%s takes %d steps, not %d", f.Name, len(p.Steps), want[f.Name])
			}
			for _, batch := range []int{1, 5} {
				var args []*tensor.Tensor
				for k, v := range f.Params {
					args = append(args, random(uint32(batch+k), tensor.F32, -1, 1, dims(v.Type, batch)...))
				}
				got, again, ref := mustCall(t, one, f.Name, args...), mustCall(t, two, f.Name, args...), mustCall(t, reference, f.Name, args...)
				for k := range ref {
					if ref[k].DType == tensor.I32 { // two elements that nearly are equal may change places
						other := 0
						for e := range ref[k].Len() {
							if ref[k].At(e) != got[k].At(e) {
								other++
							}
						}
						if other > ref[k].Len()/1000 {
							t.Errorf("%s, %s, B = %d: %d of %d places are others", level.Name, f.Name, batch, other, ref[k].Len())
						}
					} else if e := relativeError(got[k], ref[k]); !(e < winogradTolerance) {
						t.Errorf("%s, %s, B = %d: result %d: the error is %.2g", level.Name, f.Name, batch, k, e)
					}
					if d := differ(again[k], got[k], 0); d != "" {
						t.Errorf("%s, %s, B = %d: two threads make another result: %s", level.Name, f.Name, batch, d)
					}
				}
			}
		}
	}
}

// A training step keeps of a convolution before max-pooling the maxima and their places.
func TestMaximaAreReadInPlaceOfWhatTheyAreOf(t *testing.T) {
	const text = `
func @f(%x: f32[B, 8, 8, 4], %dz: f32[B, 4, 4, 4]) -> (f32[B, 4, 4, 4], f32[B, 8, 8, 4]) {
  %0: f32[B, 8, 8, 4] = map [b<B, i<8, j<8, c<4] relu(%x[b, i, j, c])
  %1: f32[B, 4, 4, 4] = max [b<B, i<4, j<4, c<4 | di<2, dj<2] %0[b, 2*i+di, 2*j+dj, c]
  %2: i32[B, 4, 4, 4] = argmax [b<B, i<4, j<4, c<4 | di<2, dj<2] %0[b, 2*i+di, 2*j+dj, c]
  %3: f32[B, 8, 8, 4] = map [b<B, i<8, j<8, c<4] select(equal(%2[b, (i/2), (j/2), c], PLACE), %dz[b, (i/2), (j/2), c], 0.0)
  %4: f32[B, 8, 8, 4] = map [b<B, i<8, j<8, c<4] select(less(0.0, %0[b, i, j, c]), %3[b, i, j, c], 0.0)
  return %1, %4
}
`
	for place, want := range map[string]string{
		"2*i+j-4*(i/2)-2*(j/2)": "select(less(0, %2[$0 ($1/2) ($2/2) $3]), %1[$0 $1 $2 $3], 0)",
		"2*j+i-4*(j/2)-2*(i/2)": "select(less(0, %0[$0 $1 $2 $3]), %1[$0 $1 $2 $3], 0)", // the place in the transposed window
	} {
		m := parse(t, strings.Replace(text, "PLACE", place, 1))
		if got := maxima(m.Funcs[0]).Body[4].Nest.Body.String(); got != want {
			t.Errorf("with the place %s: %s, want %s", place, got, want)
		}
	}
}
