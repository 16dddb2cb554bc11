package cost

import "testing"

func TestProducts(t *testing.T) {
	m := parse(t, `func @f(%x: f32[B, 8], %w: f32[8, 16]) -> (f32[B, 16], f32[B]) {
  %0: f32[B, 16] = sum [b<B, i<16 | k<8] mul(%x[b, k], %w[k, i])
  %1: f32[B] = sum [b<B | i<16] exp(%0[b, i])
  %2: f32[B] = sum [b<B | i<16] mul(%0[b, i], 2.0)
  %3: f32[B] = map [b<B] add(%1[b], %2[b])
  return %0, %3
}
`)
	got := Products(m.Func("f"), func(string) int { return 5 })
	if want := 2.0 * 5 * 16 * 8; got != want {
		t.Errorf("%v products are counted, not %v", got, want)
	}
}
