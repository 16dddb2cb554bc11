package cost

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
)

func parse(t *testing.T, text string) *ir.Module {
	t.Helper()
	m, err := ir.Parse(diag.NewFile("test.ir", text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestFlops(t *testing.T) {
	m := parse(t, `cell @dense.kernel: f32[8, 16] param
cell @dense.bias: f32[16] param

func @inner(%x: f32[B, 16]) -> (f32[B, 16]) {
  %0: f32[B, 16] = map [b<B, i<16] exp(neg(%x[b, i])) at "a.nn":9:1 in "inner"
  return %0
}

func @net(%x: f32[B, 8]) -> (f32[B, 16]) {
  %0: f32[8, 16] = read @dense.kernel at "a.nn":1:1 in "dense"
  %1: f32[16] = read @dense.bias at "a.nn":1:1 in "dense"
  %2: f32[B, 16] = sum [b<B, i<16 | k<8] mul(%x[b, k], %0[k, i]) at "a.nn":1:1 in "dense"
  %3: f32[B, 16] = map [b<B, i<16] add(%2[b, i], %1[i]) at "a.nn":1:1 in "dense"
  %4: f32[B, 16] = map [b<B, i<16] mul(%3[b, i], %3[b, i]) at "a.nn":1:1 in "dense"
  %5: f32[B, 16] = map [b<B, i<16] tanh(%4[b, i]) at "a.nn":2:1
  %6: f32[B, 16] = map [b<B, i<16] log(%4[b, i]) at "a.nn":2:1
  %7: f32[B, 16] = call @inner(%5) at "a.nn":3:1
  %8: f32[B, 16] = call @inner(%7) at "a.nn":3:1
  return %8
}
`)
	want := map[string]int{
		"dense": 2*8*16 + 16 + 16, // product, bias, square
		"":      16,               // tanh; the logarithm is not needed
		"inner": 2 * 2 * 16,       // called twice
	}
	if diff := cmp.Diff(want, Flops(m.Func("net"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFlopsOfScan(t *testing.T) {
	m := parse(t, `func @net(%h0: f32[B, 4], %xs: f32[B, 5, 4]) -> (f32[B, 4]) {
  %h: f32[B, 4] = scan t<5 carried 1 slices 1 axis 1 (%h0, %xs) at "a.nn":1:2 in "rnn" {
    (%t: i32[], %h: f32[B, 4], %x: f32[B, 4]) -> (f32[B, 4]) {
      %n: f32[B, 4] = map [b<B, i<4] tanh(add(%h[b, i], %x[b, i])) at "a.nn":1:2 in "rnn"
      return %n
    }
  }
  return %h
}
`)
	if diff := cmp.Diff(map[string]int{"rnn": 5 * 4 * 2}, Flops(m.Func("net"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
