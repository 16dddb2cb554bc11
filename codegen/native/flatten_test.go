package native

import (
	"slices"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir/tensor"
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

// Random numbers of two places, and the greatest elements of two tensors, share kernels, and are what the interpreter makes.
func TestPlacesShareKernels(t *testing.T) {
	m := parse(t, `
func @f(%s: i32[], %x: f32[B, 5, 3], %y: f32[7]) -> (f32[5, 3], f32[2, 4], f32[B, 5, 3], f32[7], f32[4, 3], f32[1, 6], f32[], f32[]) {
  %0: f32[5, 3] = map [i<5, j<3] add(0.5, uniform(%s[], 123, 0, 3*i+j))
  %1: f32[2, 4] = map [i<2, j<4] add(0.5, uniform(%s[], -77, 0, 4*i+j))
  %2: f32[B, 5, 3] = map [b<B, i<5, j<3] mul(%x[b, i, j], normal(%s[], 5, 1, 15*b+3*i+j))
  %3: f32[7] = map [i<7] mul(%y[i], normal(%s[], 6, 1, i))
  %4: f32[4, 3] = map [i<4, j<3] add(0.5, uniform(%s[], 123, 0, i+4*j))
  %5: f32[1, 6] = map [i<1, j<6] add(0.5, uniform(%s[], 9, 0, j))
  %6: f32[] = max [| b<B, i<5, j<3] abs(%x[b, i, j])
  %7: f32[] = max [| i<7] abs(%y[i])
  return %0, %1, %2, %3, %4, %5, %6, %7
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
	if k(0) != k(1) || k(0) != k(5) || k(2) != k(3) || k(6) != k(7) {
		t.Error("equal nests have kernels of their own")
	}
	if k(4) == k(0) {
		t.Error("elements in another order share a kernel")
	}
	one, two := compileBoth(t, m)
	for _, b := range []int{1, 33} {
		args := []*tensor.Tensor{{DType: tensor.I32, I32: []int32{5}}, random(1, tensor.F32, -1, 1, b, 5, 3), random(2, tensor.F32, -1, 1, 7)}
		got, want := mustCall(t, one, "f", args...), mustCall(t, two, "f", args...)
		for i := range want {
			if d := differ(got[i], want[i], 2e-6); d != "" {
				t.Errorf("B = %d, result %d: %s", b, i, d)
			}
		}
	}
}
