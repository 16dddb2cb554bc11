package native

import (
	"slices"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/runtime/exec"
)

func TestElementwiseNestsShareKernels(t *testing.T) {
	m := parse(t, `
func @f(%x: f32[B, 8, 3], %y: f32[20], %z: f32[B], %w: f32[20], %s: f32[]) -> (f32[B, 8, 3], f32[20], f32[B], f32[20], f32[B, 8, 3]) {
  %0: f32[B, 8, 3] = map [b<B, i<8, j<3] mul(%s[], tanh(%x[b, i, j]))
  %1: f32[20] = map [i<20] mul(%s[], tanh(%y[i]))
  %2: f32[B] = map [b<B] mul(%s[], tanh(%z[b]))
  %3: f32[20] = map [i<20] mul(%s[], tanh(%w[19-i]))
  %4: f32[B, 8, 3] = map [b<B, i<8, j<3] mul(%s[], to_f32(i))
  return %0, %1, %2, %3, %4
}`)
	low := newLowering(m, levels[0], codegen.Fast)
	p, err := low.procedure(m.Funcs[0])
	if err != nil {
		t.Fatal(err)
	}
	k := func(i int) int { // that makes result i
		at := slices.IndexFunc(p.Steps, func(s exec.Step) bool { return s.Launch.Results[0] == p.Results[i] })
		return p.Steps[at].Launch.Kernel
	}
	if k(0) != k(1) || k(1) != k(2) {
		t.Error("equal elementwise nests of three shapes have kernels of their own")
	}
	if k(3) == k(1) || k(4) == k(0) || k(3) == k(4) {
		t.Error("different nests share a kernel")
	}
}
