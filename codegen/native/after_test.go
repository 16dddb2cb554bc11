package native

import (
	"slices"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// TestAfter computes what follows products of their sums: a residual sum, in rows and columns that tiles do not divide; of a product that something else reads afterwards, too; several
// results of one product; in a scan, whose result is carried. What reads the product before is in the way, and so are places, exponentials and sums that are long.
func TestAfter(t *testing.T) {
	needLLVM(t)
	for name, test := range map[string]struct {
		text  string
		nests int // that are left
	}{
		"residual": {`
func @f(%x: f32[B, 70, 12], %w: f32[12, 133], %y: f32[B, 70, 133]) -> (f32[B, 70, 133]) {
  %p: f32[B, 70, 133] = sum [b<B, i<70, j<133 | k<12] mul(%x[b, i, k], %w[k, j])
  %z: f32[B, 70, 133] = map [b<B, i<70, j<133] add(%y[b, i, j], max(%p[b, i, j], 0.0))
  return %z
}`, 1},
		"read again": {`
func @f(%x: f32[B, 70, 12], %w: f32[12, 133], %y: f32[B, 70, 133]) -> (f32[B, 70, 133], f32[B, 70]) {
  %p: f32[B, 70, 133] = sum [b<B, i<70, j<133 | k<12] mul(%x[b, i, k], %w[k, j])
  %z: f32[B, 70, 133] = map [b<B, i<70, j<133] sub(%y[b, i, j], mul(2.0, %p[b, i, j]))
  %s: f32[B, 70] = sum [b<B, i<70 | j<133] mul(%p[b, i, j], %z[b, i, j])
  return %z, %s
}`, 2},
		"several": {`
func @f(%x: f32[B, 70, 12], %w: f32[12, 133], %y: f32[B, 70, 133]) -> (f32[B, 70, 133], f32[B, 70, 133], f32[B, 70, 133]) {
  %p: f32[B, 70, 133] = sum [b<B, i<70, j<133 | k<12] mul(%x[b, i, k], %w[k, j])
  %z: f32[B, 70, 133] = map [b<B, i<70, j<133] sub(%y[b, i, j], %p[b, i, j])
  %u: f32[B, 70, 133] = map [b<B, i<70, j<133] mul(%y[b, i, j], %p[b, i, j])
  return %p, %z, %u
}`, 1},
		"of two products": {`
func @f(%x: f32[B, 70, 12], %w: f32[12, 133], %y: f32[B, 70, 133]) -> (f32[B, 70, 133]) {
  %p: f32[B, 70, 133] = sum [b<B, i<70, j<133 | k<12] mul(%x[b, i, k], %w[k, j])
  %q: f32[B, 70, 133] = sum [b<B, i<70, j<133 | k<12] mul(%x[b, i, k], %w[11-k, j])
  %z: f32[B, 70, 133] = map [b<B, i<70, j<133] mul(%q[b, i, j], add(%p[b, i, j], %y[b, i, j]))
  return %z
}`, 2},
		"in the way": {`
func @f(%x: f32[B, 70, 12], %w: f32[12, 133], %y: f32[B, 70, 133]) -> (f32[B, 70, 133], f32[B, 70]) {
  %p: f32[B, 70, 133] = sum [b<B, i<70, j<133 | k<12] mul(%x[b, i, k], %w[k, j])
  %s: f32[B, 70] = sum [b<B, i<70 | j<133] %p[b, i, j]
  %z: f32[B, 70, 133] = map [b<B, i<70, j<133] add(%y[b, i, j], %p[b, i, j])
  return %z, %s
}`, 3},
		"costly": {`
func @f(%x: f32[B, 70, 12], %w: f32[12, 133], %y: f32[B, 70, 133]) -> (f32[B, 70, 133]) {
  %p: f32[B, 70, 133] = sum [b<B, i<70, j<133 | k<12] mul(%x[b, i, k], %w[k, j])
  %z: f32[B, 70, 133] = map [b<B, i<70, j<133] add(%y[b, i, j], exp(%p[b, i, j]))
  return %z
}`, 2},
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
			for _, batch := range []int{1, 3} {
				args := []*tensor.Tensor{random(1, tensor.F32, -1, 1, batch, 70, 12), random(2, tensor.F32, -1, 1, 12, 133), random(3, tensor.F32, -1, 1, batch, 70, 133)}
				got, want := mustCall(t, p, "f", args...), mustCall(t, q, "f", args...)
				for k := range want {
					if d := differ(got[k], want[k], 1e-5); d != "" {
						t.Errorf("batch %d, result %d: %s", batch, k, d)
					}
				}
			}
		})
	}
}

// TestAfterInRounds has what follows a product carried from round to round, where the two change places, and batches that are smaller than a tile.
func TestAfterInRounds(t *testing.T) {
	m := parse(t, `
func @f(%x: f32[B, 8192], %w: f32[8192, 4], %u: f32[4, 8192]) -> (f32[B, 8192], f32[3, B, 8192]) {
  %last: f32[B, 8192], %all: f32[3, B, 8192] = scan t<3 carried 1 slices 0 axis 0 (%x, %w, %u) {
    (%t: i32[], %h: f32[B, 8192], %w: f32[8192, 4], %u: f32[4, 8192]) -> (f32[B, 8192], f32[B, 8192]) {
      %s: f32[B, 4] = sum [b<B, j<4 | k<8192] mul(%h[b, k], %w[k, j])
      %p: f32[B, 8192] = sum [b<B, j<8192 | k<4] mul(%s[b, k], %u[k, j])
      %n: f32[B, 8192] = map [b<B, j<8192] sub(mul(0.5, %h[b, j]), mul(0.001, %p[b, j]))
      return %n, %n
    }
  }
  return %last, %all
}
`)
	p, q := compileBoth(t, m)
	for _, batch := range []int{1, 7} {
		args := []*tensor.Tensor{random(1, tensor.F32, -1, 1, batch, 8192), random(2, tensor.F32, -1, 1, 8192, 4), random(3, tensor.F32, -1, 1, 4, 8192)}
		got, want := mustCall(t, p, "f", args...), mustCall(t, q, "f", args...)
		for k := range want {
			if d := differ(got[k], want[k], 1e-5); d != "" {
				t.Errorf("batch %d, result %d: %s", batch, k, d)
			}
		}
	}
}
