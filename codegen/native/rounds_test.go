package native

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// roundsText has a scan whose sequences are a parameter, which is read otherwise, too, and a nest's result; what it stacks is read by a nest, is a
// result, and goes through another scan.
const roundsText = `
func @f(%x: f32[B, 5, 3], %h: f32[B, 3]) -> (f32[B, 5, 3], f32[B, 3], f32[15]) {
  %e: f32[B, 5, 3] = map [b<B, i<5, j<3] exp(%x[b, i, j])
  %last: f32[B, 3], %all: f32[B, 5, 3], %before: f32[B, 5, 3] = scan t<5 carried 1 slices 2 axis 1 (%h, %x, %e) {
    (%t: i32[], %c: f32[B, 3], %s: f32[B, 3], %u: f32[B, 3]) -> (f32[B, 3], f32[B, 3], f32[B, 3]) {
      %z: f32[B, 3] = map [b<B, j<3] mul(0.5, add(mul(%c[b, j], %s[b, j]), %u[b, j]))
      return %z, %z, %c
    }
  }
  %more: f32[B, 3] = scan t<4 carried 1 slices 1 axis 1 reversed (%last, %before) {
    (%t: i32[], %c: f32[B, 3], %s: f32[B, 3]) -> (f32[B, 3]) {
      %z: f32[B, 3] = map [b<B, j<3] sub(%s[b, j], %c[b, j])
      return %z
    }
  }
  %sum: f32[5, 3] = sum [i<5, j<3 | b<B] mul(%e[b, i, j], %all[b, i, j])
  %flat: f32[15] = reshape %sum
  return %all, %more, %flat
}
`

func TestRoundsFirst(t *testing.T) {
	m := parse(t, roundsText)
	g := newLowering(m, levels[1], codegen.Fast).roundsFirst(m.Funcs[0])
	out := ir.NewModule()
	out.AddFunc(g)
	want := `func @f(%x: f32[B, 5, 3], %h: f32[B, 3]) -> (f32[B, 5, 3], f32[B, 3], f32[15]) {
  %e: f32[5, B, 3] = map [i<5, b<B, j<3] exp(%x[b, i, j])
  %x_1: f32[5, B, 3] = map [i0<5, i1<B, i2<3] %x[i1, i0, i2]
  %last: f32[B, 3], %all: f32[5, B, 3], %before: f32[5, B, 3] = scan t<5 carried 1 slices 2 axis 0 (%h, %x_1, %e) {
    (%t: i32[], %c: f32[B, 3], %s: f32[B, 3], %u: f32[B, 3]) -> (f32[B, 3], f32[B, 3], f32[B, 3]) {
      %z: f32[B, 3] = map [b<B, j<3] mul(0.5, add(mul(%c[b, j], %s[b, j]), %u[b, j]))
      return %z, %z, %c
    }
  }
  %more: f32[B, 3] = scan t<4 carried 1 slices 1 axis 0 reversed (%last, %before) {
    (%t: i32[], %c: f32[B, 3], %s: f32[B, 3]) -> (f32[B, 3]) {
      %z: f32[B, 3] = map [b<B, j<3] sub(%s[b, j], %c[b, j])
      return %z
    }
  }
  %sum: f32[5, 3] = sum [i<5, j<3 | b<B] mul(%e[i, b, j], %all[i, b, j])
  %flat: f32[15] = reshape %sum
  %all_1: f32[B, 5, 3] = map [i0<B, i1<5, i2<3] %all[i1, i0, i2]
  return %all_1, %more, %flat
}
`
	if diff := cmp.Diff(want, ir.Print(out)); diff != "" {
		t.Errorf("want (-) and got (+) differ:\n%s", diff)
	}
}

// TestElementsInPlace runs scans whose elements and carried values are not copied, an odd and an even number of rounds: values that are carried only, stacked
// only, both, and twice; that change places; and scans within scans.
func TestElementsInPlace(t *testing.T) {
	m := parse(t, roundsText+`
func @g(%x: f32[T, 4], %a: f32[4], %b: f32[4], %c: f32[4]) -> (f32[4], f32[4], f32[4], f32[T, 4], f32[T, 4], f32[T, 4]) {
  %p: f32[4], %q: f32[4], %r: f32[4], %ys: f32[T, 4], %zs: f32[T, 4], %again: f32[T, 4] = scan t<T carried 3 slices 1 axis 0 (%a, %b, %c, %x) {
    (%t: i32[], %a: f32[4], %b: f32[4], %c: f32[4], %s: f32[4]) -> (f32[4], f32[4], f32[4], f32[4], f32[4], f32[4]) {
      %y: f32[4] = map [j<4] add(%a[j], mul(0.5, %s[j]))
      %z: f32[4] = map [j<4] sub(%y[j], mul(0.25, %c[j]))
      return %z, %a, %y, %y, %s, %y
    }
  }
  return %p, %q, %r, %ys, %zs, %again
}
func @h(%x: f32[T, 3, 4], %a: f32[4]) -> (f32[4], f32[T, 3, 4]) {
  %p: f32[4], %ys: f32[T, 3, 4] = scan t<T carried 1 slices 1 axis 0 (%a, %x) {
    (%t: i32[], %a: f32[4], %s: f32[3, 4]) -> (f32[4], f32[3, 4]) {
      %q: f32[4], %in: f32[3, 4] = scan u<3 carried 1 slices 1 axis 0 (%a, %s) {
        (%u: i32[], %c: f32[4], %s: f32[4]) -> (f32[4], f32[4]) {
          %y: f32[4] = map [j<4] sub(%s[j], mul(0.5, %c[j]))
          %n: f32[4] = map [j<4] add(%y[j], 1.0)
          return %n, %y
        }
      }
      %twice: f32[3, 4] = map [i<3, j<4] mul(2.0, %in[i, j])
      return %q, %twice
    }
  }
  return %p, %ys
}
`)
	p, q := compileBoth(t, m)
	for rounds := range 5 {
		vector := func(seed uint32) *tensor.Tensor { return random(seed, tensor.F32, -1, 1, 4) }
		for name, args := range map[string][]*tensor.Tensor{
			"f": {random(1, tensor.F32, -1, 1, 1+rounds, 5, 3), random(2, tensor.F32, -1, 1, 1+rounds, 3)},
			"g": {random(3, tensor.F32, -1, 1, 1+rounds, 4), vector(4), vector(5), vector(6)},
			"h": {random(7, tensor.F32, -1, 1, 1+rounds, 3, 4), vector(8)},
		} {
			for range 2 { // a call leaves nothing behind for the next
				got, want := mustCall(t, p, name, args...), mustCall(t, q, name, args...)
				for k := range want {
					if d := differ(got[k], want[k], 1e-5); d != "" {
						t.Errorf("%s, %d rounds, result %d: %s", name, 1+rounds, k, d)
					}
				}
			}
		}
	}
}

// TestGuardedRows adds rows where data says, and leaves out those that lie outside.
func TestGuardedRows(t *testing.T) {
	m := parse(t, `
func @f(%x: f32[B, 5, 37], %t: i32[B, 5]) -> (f32[7, 37]) {
  %0: f32[7, 37] = scatter [b<B, i<5, j<37] where (%t[b, i] < 7) %x[b, i, j] to [%t[b, i], j]
  return %0
}
`)
	p, q := compileBoth(t, m)
	x, at := random(1, tensor.F32, -1, 1, 3, 5, 37), random(2, tensor.I32, -3, 10, 3, 5)
	if d := differ(mustCall(t, p, "f", x, at)[0], mustCall(t, q, "f", x, at)[0], 1e-5); d != "" {
		t.Error(d)
	}
}

// TestCopiesAcross copies matrices in another order of dimensions: in squares that divide them and that do not, in panels, of batches, beside an offset, and of integers.
func TestCopiesAcross(t *testing.T) {
	for _, c := range []struct{ nest, of, to string }{
		{"map [i<64, j<48] %x[j, i]", "f32[48, 64]", "f32[64, 48]"},
		{"map [i<37, j<16] %x[j, i]", "f32[16, 37]", "f32[37, 16]"},
		{"map [i<37, j<21] %x[j, i]", "f32[21, 37]", "f32[37, 21]"},
		{"map [p<2, i<40, j<64] %x[64*p+j, i]", "f32[128, 40]", "f32[2, 40, 64]"},
		{"map [b<B, h<3, d<32, t<16] %x[b, t, h, d]", "f32[B, 16, 3, 32]", "f32[B, 3, 32, 16]"},
		{"map [i<33, j<32] %x[j+1, i+2]", "f32[33, 35]", "f32[33, 32]"},
		{"map [i<50, j<16] %x[j, i]", "i32[16, 50]", "i32[50, 16]"},
		{"map [i<B, j<16] %x[j, i]", "f32[16, B]", "f32[B, 16]"},
	} {
		m := parse(t, "func @f(%x: "+c.of+") -> ("+c.to+") {\n  %0: "+c.to+" = "+c.nest+"\n  return %0\n}\n")
		p, q := compileBoth(t, m)
		var shape []int
		for _, d := range m.Funcs[0].Params[0].Type.Shape {
			shape = append(shape, d.EvalDim(func(string) int { return 3 }))
		}
		x := random(1, m.Funcs[0].Params[0].Type.DType, -100, 100, shape...)
		if d := differ(mustCall(t, p, "f", x)[0], mustCall(t, q, "f", x)[0], 0); d != "" {
			t.Errorf("%s: %s", c.nest, d)
		}
	}
}
