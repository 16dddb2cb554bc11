package native

import (
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// joinable has a cell with gates, whose sums are read in parts; nests over other loops between those that are joined, one that reads a joined nest's result in another place, which
// must come after it; a result that only the parts read; and one that a scan's body reads from around it.
const joinable = `
func @f(%x: f32[B, 32], %y: f32[B, 32], %c: f32[B, 8]) -> (f32[B, 8], f32[B, 8], f32[B, 8], f32[B, 8], f32[B, 4]) {
  %z: f32[B, 32] = map [b<B, j<32] add(%x[b, j], %y[b, j])
  %i: f32[B, 8] = map [b<B, j<8] sigmoid(%z[b, j])
  %f: f32[B, 8] = map [b<B, j<8] sigmoid(%z[b, j+8])
  %g: f32[B, 8] = map [b<B, j<8] tanh(%z[b, j+16])
  %half: f32[B, 4] = map [b<B, j<4] exp(%c[b, 2*j])
  %o: f32[B, 8] = map [b<B, j<8] sigmoid(%z[b, j+24])
  %next: f32[B, 8] = map [b<B, j<8] add(mul(%f[b, j], %c[b, j]), mul(%i[b, j], %g[b, j]))
  %h: f32[B, 8] = map [b<B, j<8] mul(%o[b, j], tanh(%next[b, j]))
  %back: f32[B, 8] = map [b<B, j<8] sub(%next[b, 7-j], %c[b, j])
  return %next, %h, %o, %back, %half
}
`

func TestJoin(t *testing.T) {
	m := parse(t, joinable)
	l := newLowering(m, levels[1], codegen.Fast)
	f := l.arrange(fuse(m.Funcs[0]), 1, nil, nil, m.Funcs[0].Results, nil)
	var results [][]string
	for _, in := range f.Body {
		var names []string
		for _, r := range in.Results {
			names = append(names, r.Name)
		}
		results = append(results, names)
	}
	// The gates are computed in one kernel, from the sums' operands; only what is read elsewhere is stored.
	want := [][]string{{"half"}, {"o", "next", "h"}, {"back"}}
	if len(results) != len(want) {
		t.Fatalf("got kernels with the results %v, want %v", results, want)
	}
	seen := map[string]int{}
	for k, names := range results {
		for _, n := range names {
			seen[n] = k
		}
	}
	if seen["o"] != seen["next"] || seen["next"] != seen["h"] || seen["back"] <= seen["next"] {
		t.Errorf("got kernels with the results %v, want %v in an order in which what is read is there", results, want)
	}
	m = parse(t, joinable+`
func @scan(%x: f32[B, 8], %w: f32[8, 8]) -> (f32[B, 8], f32[8, 8]) {
  %v: f32[8, 8] = map [i<8, j<8] mul(2.0, %w[i, j])
  %u: f32[8, 8] = map [i<8, j<8] exp(%w[i, j])
  %last: f32[B, 8] = scan t<3 carried 1 slices 0 axis 0 (%x, %v) {
    (%t: i32[], %h: f32[B, 8], %v: f32[8, 8]) -> (f32[B, 8]) {
      %p: f32[B, 8] = sum [b<B, j<8 | i<8] mul(%h[b, i], %v[i, j])
      %n: f32[B, 8] = map [b<B, j<8] tanh(%p[b, j])
      return %n
    }
  }
  return %last, %u
}
`)
	p, q := compileBoth(t, m)
	for name, args := range map[string][]*tensor.Tensor{
		"f":    {random(1, tensor.F32, -1, 1, 5, 32), random(2, tensor.F32, -1, 1, 5, 32), random(3, tensor.F32, -1, 1, 5, 8)},
		"scan": {random(4, tensor.F32, -1, 1, 5, 8), random(5, tensor.F32, -1, 1, 8, 8)},
	} {
		got, want := mustCall(t, p, name, args...), mustCall(t, q, name, args...)
		for k := range want {
			if d := differ(got[k], want[k], 1e-5); d != "" {
				t.Errorf("%s, result %d: %s", name, k, d)
			}
		}
	}
}
