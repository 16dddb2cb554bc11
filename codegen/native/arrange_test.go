package native

import (
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// TestCopiesAreMadeOnce looks for the copies of a matrix that a scan multiplies by in every round, and that is multiplied by again afterwards.
func TestCopiesAreMadeOnce(t *testing.T) {
	m := parse(t, `
func @f(%h: f32[B, 64], %w: f32[64, 64]) -> (f32[B, 64]) {
  %0: f32[B, 64] = scan i<50 carried 1 slices 0 axis 0 (%h, %w) {
    (%i: i32[], %s: f32[B, 64], %m: f32[64, 64]) -> (s: f32[B, 64]) {
      %1: f32[B, 64] = sum [b<B, j<64 | k<64] mul(%s[b, k], %m[j, k])
      %2: f32[B, 64] = sum [b<B, j<64 | k<64] mul(%1[b, k], %m[j, k])
      return %2
    }
  }
  return %0
}
`)
	f := newLowering(m, levels[1], codegen.Fast).arrange(m.Funcs[0], 1, nil, nil, m.Funcs[0].Results, nil)
	copies := func(body []*ir.Instr) (n int) {
		for _, in := range body {
			if in.Op == ir.OpNest && in.Nest.Combine == ir.Map {
				n++
			}
		}
		return n
	}
	scan := f.Body[len(f.Body)-1]
	if got := copies(f.Body); got != 1 || len(f.Body) != 2 {
		t.Errorf("%d copies are made before the scan, among %d instructions", got, len(f.Body))
	}
	if got := copies(scan.Scan.Body.Body); got != 0 {
		t.Errorf("%d copies are made in every round", got)
	}
	p, q := compileBoth(t, m)
	h, w := random(1, tensor.F32, -1, 1, 3, 64), random(2, tensor.F32, -0.1, 0.1, 64, 64)
	got, want := mustCall(t, p, "f", h, w)[0], mustCall(t, q, "f", h, w)[0]
	if d := differ(got, want, 1e-4); d != "" {
		t.Error(d)
	}
}
