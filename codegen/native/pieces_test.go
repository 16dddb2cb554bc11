package native

import (
	"errors"
	"slices"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// TestPieces puts values together of parts that are written in place, and of some that cannot be.
func TestPieces(t *testing.T) {
	needLLVM(t)
	for name, test := range map[string]struct {
		text  string
		args  []*tensor.Tensor
		nests int // that are left
	}{
		"elementwise parts, in a kernel": {`
func @f(%x: f32[B, 40], %y: f32[B, 40]) -> (f32[B, 120]) {
  %a: f32[B, 40] = map [b<B, j<40] exp(mul(%x[b, j], %y[b, j]))
  %b: f32[B, 40] = map [b<B, j<40] exp(sub(%x[b, j], %y[b, j]))
  %c: f32[B, 40] = map [b<B, j<40] exp(%y[b, j])
  %all: f32[B, 120] = map [b<B, j<120] add(add(%b[b, j-80] else 0.0, %c[b, j] else 0.0), %a[b, j-40] else 0.0)
  return %all
}`, []*tensor.Tensor{random(1, tensor.F32, -1, 1, 5, 40), random(2, tensor.F32, -1, 1, 5, 40)}, 1},
		"parts of other sizes": {`
func @f(%x: f32[B, 40], %y: f32[B, 9]) -> (f32[B, 49]) {
  %a: f32[B, 40] = map [b<B, j<40] exp(%x[b, j])
  %b: f32[B, 9] = map [b<B, j<9] exp(%y[b, j])
  %all: f32[B, 49] = map [b<B, j<49] add(%b[b, j] else 0.0, %a[b, j-9] else 0.0)
  return %all
}`, []*tensor.Tensor{random(1, tensor.F32, -1, 1, 5, 40), random(2, tensor.F32, -1, 1, 5, 9)}, 2},
		"in another dimension": {`
func @f(%x: f32[B, 4, 8], %y: f32[B, 2, 8]) -> (f32[B, 6, 8]) {
  %a: f32[B, 4, 8] = map [b<B, i<4, j<8] exp(%x[b, i, j])
  %b: f32[B, 2, 8] = map [b<B, i<2, j<8] exp(%y[b, i, j])
  %all: f32[B, 6, 8] = map [b<B, i<6, j<8] add(%a[b, i-2, j] else 0.0, %b[b, i, j] else 0.0)
  return %all
}`, []*tensor.Tensor{random(1, tensor.F32, -1, 1, 5, 4, 8), random(2, tensor.F32, -1, 1, 5, 2, 8)}, 2},
		"products, seen as matrices": {`
func @f(%x: f32[B, 7, 70], %w: f32[70, 4, 8], %u: f32[70, 32]) -> (f32[B, 7, 64]) {
  %a: f32[B, 7, 4, 8] = sum [b<B, i<7, n<4, e<8 | k<70] mul(%x[b, i, k], %w[k, n, e])
  %seen: f32[B, 7, 32] = reshape %a
  %b: f32[B, 7, 32] = sum [b<B, i<7, e<32 | k<70] mul(%x[b, i, k], %u[k, e])
  %all: f32[B, 7, 64] = map [b<B, i<7, j<64] add(%b[b, i, j] else 0.0, %seen[b, i, j-32] else 0.0)
  return %all
}`, []*tensor.Tensor{random(1, tensor.F32, -1, 1, 5, 7, 70), random(2, tensor.F32, -1, 1, 70, 4, 8), random(3, tensor.F32, -1, 1, 70, 32)}, 2},
		"a part that something else reads": {`
func @f(%x: f32[B, 40]) -> (f32[B, 80], f32[B]) {
  %a: f32[B, 40] = map [b<B, j<40] exp(%x[b, j])
  %b: f32[B, 40] = map [b<B, j<40] exp(mul(2.0, %x[b, j]))
  %all: f32[B, 80] = map [b<B, j<80] add(%a[b, j] else 0.0, %b[b, j-40] else 0.0)
  %s: f32[B] = sum [b<B | j<40] %a[b, j]
  return %all, %s
}`, []*tensor.Tensor{random(1, tensor.F32, -1, 1, 5, 40)}, 3},
		"parts that leave a gap, or overlap": {`
func @f(%x: f32[B, 40]) -> (f32[B, 81], f32[B, 79]) {
  %a: f32[B, 40] = map [b<B, j<40] exp(%x[b, j])
  %b: f32[B, 40] = map [b<B, j<40] exp(mul(2.0, %x[b, j]))
  %gap: f32[B, 81] = map [b<B, j<81] add(%a[b, j] else 0.0, %b[b, j-41] else 0.0)
  %c: f32[B, 40] = map [b<B, j<40] exp(mul(3.0, %x[b, j]))
  %d: f32[B, 40] = map [b<B, j<40] exp(mul(4.0, %x[b, j]))
  %over: f32[B, 79] = map [b<B, j<79] add(%c[b, j] else 0.0, %d[b, j-39] else 0.0)
  return %gap, %over
}`, []*tensor.Tensor{random(1, tensor.F32, -1, 1, 5, 40)}, 4},
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
			got, want := mustCall(t, p, "f", test.args...), mustCall(t, q, "f", test.args...)
			for k := range want {
				if d := differ(got[k], want[k], 1e-5); d != "" {
					t.Errorf("result %d: %s", k, d)
				}
			}
		})
	}
}

// TestPiecesFromCallToCall calls functions of which a piece stays the same from call to call and another does not, and one with a piece that is a sum of no terms.
func TestPiecesFromCallToCall(t *testing.T) {
	m := parse(t, `
cell @w: f32[9] param
func @whole(%x: f32[B, 40]) -> (f32[B, 49]) {
  %w: f32[9] = read @w
  %a: f32[B, 9] = map [b<B, j<9] exp(%w[j])
  %b: f32[B, 40] = map [b<B, j<40] exp(%x[b, j])
  %all: f32[B, 49] = map [b<B, j<49] add(%a[b, j] else 0.0, %b[b, j-9] else 0.0)
  return %all
}
func @read(%x: f32[B, 40]) -> (f32[B, 5]) {
  %w: f32[9] = read @w
  %a: f32[B, 9] = map [b<B, j<9] exp(%w[j])
  %b: f32[B, 40] = map [b<B, j<40] exp(%x[b, j])
  %all: f32[B, 49] = map [b<B, j<49] add(%a[b, j] else 0.0, %b[b, j-9] else 0.0)
  %z: f32[B, 5] = sum [b<B, i<5 | j<45] exp(%all[b, i+j])
  return %z
}
func @none(%x: f32[B, T, 9], %y: f32[B, 46]) -> (f32[B, 49]) {
  %b: f32[B, 40] = sum [b<B, j<40 | k<7] exp(%y[b, j+k])
  %a: f32[B, 9] = sum [b<B, j<9 | t<T-1] %x[b, t+1, j]
  %all: f32[B, 49] = map [b<B, j<49] add(%a[b, j] else 0.0, %b[b, j-9] else 0.0)
  return %all
}`)
	p, q := compileWith(t, m, codegen.Options{Threads: 1})
	w := random(9, tensor.F32, -1, 1, 9)
	if err := errors.Join(p.SetCell("w", w), q.SetCell("w", w)); err != nil {
		t.Fatal(err)
	}
	for seed := range uint32(3) {
		x := random(seed, tensor.F32, -1, 1, 5, 40)
		for _, fn := range []string{"whole", "read"} {
			if d := differ(mustCall(t, p, fn, x)[0], mustCall(t, q, fn, x)[0], 1e-5); d != "" {
				t.Errorf("%s, call %d: %s", fn, seed+1, d)
			}
		}
		x, y := random(1, tensor.F32, -1, 1, 5, int(3-seed), 9), random(2, tensor.F32, -1, 1, 5, 46)
		if d := differ(mustCall(t, p, "none", x, y)[0], mustCall(t, q, "none", x, y)[0], 1e-5); d != "" {
			t.Errorf("none, %d terms: %s", 2-seed, d)
		}
	}
}

// TestPiecesOfRounds puts a value together in each round of a scan, which also stacks it.
func TestPiecesOfRounds(t *testing.T) {
	m := parse(t, `
func @f(%x: f32[3, B, 8], %w: f32[24, 8]) -> (f32[B, 8], f32[3, B, 24]) {
  %h: f32[B, 8] = map [b<B, j<8] 1.0
  %last: f32[B, 8], %z: f32[3, B, 24] = scan t<3 carried 1 slices 1 axis 0 (%h, %x, %w) {
    (%t: i32[], %h: f32[B, 8], %x: f32[B, 8], %w: f32[24, 8]) -> (f32[B, 8], f32[B, 24]) {
      %a: f32[B, 8] = map [b<B, j<8] tanh(mul(%h[b, j], %x[b, j]))
      %b: f32[B, 8] = map [b<B, j<8] tanh(sub(%h[b, j], %x[b, j]))
      %c: f32[B, 8] = map [b<B, j<8] tanh(add(%h[b, j], %x[b, j]))
      %all: f32[B, 24] = map [b<B, j<24] add(add(%b[b, j-16] else 0.0, %c[b, j] else 0.0), %a[b, j-8] else 0.0)
      %n: f32[B, 8] = sum [b<B, j<8 | k<24] mul(%all[b, k], %w[k, j])
      return %n, %all
    }
  }
  return %last, %z
}
`)
	p, q := compileBoth(t, m)
	args := []*tensor.Tensor{random(1, tensor.F32, -1, 1, 3, 5, 8), random(2, tensor.F32, -1, 1, 24, 8)}
	got, want := mustCall(t, p, "f", args...), mustCall(t, q, "f", args...)
	for k := range want {
		if d := differ(got[k], want[k], 1e-5); d != "" {
			t.Errorf("result %d: %s", k, d)
		}
	}
}
