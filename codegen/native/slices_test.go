package native

import (
	"slices"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// TestSlices computes products with parts of a value: as they are, seen in more dimensions, across their rows, so that they are copied in another order; a part of a part; and
// a part that is a result, too, or is read where it may be outside.
func TestSlices(t *testing.T) {
	needLLVM(t)
	for name, test := range map[string]struct {
		text  string
		shape []int
		nests int // that are left
	}{
		"attention": {`
func @f(%x: f32[B, 70, 96]) -> (f32[B, 4, 70, 70], f32[B, 70, 4, 8]) {
  %q: f32[B, 70, 32] = map [b<B, i<70, j<32] %x[b, i, j]
  %k: f32[B, 70, 32] = map [b<B, i<70, j<32] %x[b, i, j+32]
  %v: f32[B, 70, 32] = map [b<B, i<70, j<32] %x[b, i, j+64]
  %qs: f32[B, 70, 4, 8] = reshape %q
  %ks: f32[B, 70, 4, 8] = reshape %k
  %vs: f32[B, 70, 4, 8] = reshape %v
  %w: f32[B, 4, 70, 70] = sum [b<B, n<4, i<70, j<70 | e<8] mul(%qs[b, i, n, e], %ks[b, j, n, e])
  %z: f32[B, 70, 4, 8] = sum [b<B, i<70, n<4, e<8 | j<70] mul(%w[b, n, i, j], %vs[b, j, n, e])
  return %w, %z
}`, []int{5, 70, 96}, 3},
		"part of a part": {`
func @f(%x: f32[B, 70, 96]) -> (f32[B, 20]) {
  %y: f32[B, 40, 64] = map [b<B, i<40, j<64] %x[b, i+3, j+16]
  %p: f32[B, 40, 20] = map [b<B, i<40, j<20] %y[b, i, j+5]
  %z: f32[B, 20] = sum [b<B, j<20 | i<40] mul(%p[b, i, j], %y[b, i, 2*j])
  return %z
}`, []int{5, 70, 96}, 1},
		"a part that is a result": {`
func @f(%x: f32[B, 70, 96]) -> (f32[B, 40, 64], f32[B, 64]) {
  %y: f32[B, 40, 64] = map [b<B, i<40, j<64] %x[b, i+3, j+16]
  %z: f32[B, 64] = sum [b<B, j<64 | i<40] mul(%y[b, i, j], %x[b, i, j])
  return %y, %z
}`, []int{5, 70, 96}, 2},
		"outside": {`
func @f(%x: f32[B, 70, 96]) -> (f32[B, 64]) {
  %y: f32[B, 40, 64] = map [b<B, i<40, j<64] %x[b, i+3, j+16]
  %z: f32[B, 64] = sum [b<B, j<64 | i<40] mul(%y[b, i-1, j] else 0.0, %x[b, i, j])
  return %z
}`, []int{5, 70, 96}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			m := parse(t, test.text)
			l := newLowering(m, levels[1], codegen.Fast)
			body := l.arrange(fuse(m.Funcs[0]), 1, nil, nil, m.Funcs[0].Results, nil).Body
			body = slices.DeleteFunc(body, func(in *ir.Instr) bool { return in.Op != ir.OpNest })
			if len(body) != test.nests {
				t.Errorf("%d nests are left, want %d", len(body), test.nests)
			}
			p, q := compileBoth(t, m)
			x := random(1, tensor.F32, -1, 1, test.shape...)
			got, want := mustCall(t, p, "f", x), mustCall(t, q, "f", x)
			for k := range want {
				if d := differ(got[k], want[k], 1e-5); d != "" {
					t.Errorf("result %d: %s", k, d)
				}
			}
		})
	}
}
