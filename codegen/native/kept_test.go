package native

import (
	"slices"
	"sync"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// What depends on cells alone, the transformed weights of the convolution, is computed once for many calls, and again when the cells change, by
// SetCell or by a step.
func TestWhatCellsAloneDecideIsKept(t *testing.T) {
	const text = `
cell @w: f32[3, 3, 8, 16] param

func @predict(%x: f32[B, 10, 10, 8]) -> (y: f32[B, 8, 8, 16]) {
  %0: f32[3, 3, 8, 16] = read @w
  %1: f32[B, 8, 8, 16] = sum [b<B, i<8, j<8, o<16 | di<3, dj<3, c<8] mul(%x[b, i+di, j+dj, c], %0[di, dj, c, o])
  return %1
}

func @step(%d: f32[3, 3, 8, 16]) -> (none: f32[]) {
  %0: f32[3, 3, 8, 16] = read @w
  %1: f32[3, 3, 8, 16] = map [i<3, j<3, k<8, l<16] add(%0[i, j, k, l], %d[i, j, k, l])
  write @w, %1
  %2: f32[] = map [] 0.0
  return %2
}
`
	needLLVM(t)
	p, q := compileWith(t, parse(t, text), codegen.Options{Math: codegen.Fast, Threads: 2})
	x, d := random(1, tensor.F32, -1, 1, 2, 10, 10, 8), random(2, tensor.F32, -1, 1, 3, 3, 8, 16)
	agree := func(when string) {
		t.Helper()
		got, want := mustCall(t, p, "predict", x)[0], mustCall(t, q, "predict", x)[0]
		if e := relativeError(got, want); !(e < winogradTolerance) {
			t.Fatalf("%s: relative error %v", when, e)
		}
	}
	launches := func() int {
		t.Helper()
		parts, err := p.(runtime.Profiler).Profile("predict", x)
		if err != nil {
			t.Fatal(err)
		}
		return len(parts)
	}
	set := func(seed uint32) {
		t.Helper()
		w := random(seed, tensor.F32, -1, 1, 3, 3, 8, 16)
		for _, r := range []runtime.Program{p, q} {
			if err := r.SetCell("w", w); err != nil {
				t.Fatal(err)
			}
		}
	}
	set(3)
	if n := launches(); n != 2 {
		t.Errorf("the first call makes %d launches, not two", n)
	}
	if n := launches(); n != 1 {
		t.Errorf("a second call makes %d launches, not one", n)
	}
	agree("at first")
	set(4)
	agree("after SetCell")
	for _, r := range []runtime.Program{p, q} {
		mustCall(t, r, "step", d)
	}
	agree("after a step")
	if n := launches(); n != 1 {
		t.Errorf("a call after one with the same weights makes %d launches, not one", n)
	}

	// Calls at the same time: the first that comes computes what is kept, for batches of different sizes too.
	set(5)
	want := mustCall(t, q, "predict", x)[0]
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			for range 20 {
				in := x
				if k%2 == 1 {
					in = tensor.FromF32(slices.Concat(x.F32, x.F32), 4, 10, 10, 8)
				}
				out, err := p.Call("predict", in)
				if err != nil {
					t.Error(err)
					return
				}
				got := tensor.FromF32(out[0].F32[:want.Len()], want.Shape...)
				if e := relativeError(got, want); !(e < winogradTolerance) {
					t.Errorf("relative error %v", e)
				}
			}
		})
	}
	wg.Wait()
}
