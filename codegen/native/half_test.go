package native

import (
	"fmt"
	"math"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// halfModules read cells that are stored as bf16 in all ways: products, rows by number, elements outside, scans, convolutions, as results.
var halfModules = map[string]string{
	"product": `
cell @w: f32[37, 45] param bf16
func @f(%x: f32[B, 37]) -> (y: f32[B, 45]) {
  %w: f32[37, 45] = read @w
  %y: f32[B, 45] = sum [b<B, o<45 | k<37] mul(%x[b, k], %w[k, o])
  return %y
}`,
	"transposed": `
cell @w: f32[45, 37] param bf16
func @f(%x: f32[B, 37]) -> (y: f32[B, 45]) {
  %w: f32[45, 37] = read @w
  %y: f32[B, 45] = sum [b<B, o<45 | k<37] mul(%x[b, k], %w[o, k])
  return %y
}`,
	"convolution": `
cell @w: f32[3, 3, 37, 8] param bf16
func @f(%x: f32[B, 37]) -> (y: f32[B, 4, 4, 8]) {
  %w: f32[3, 3, 37, 8] = read @w
  %y: f32[B, 6, 6, 8] = sum [b<B, i<6, j<6, o<8 | di<3, dj<3, c<37] mul(%x[b, c], %w[di, dj, c, o])
  %z: f32[B, 4, 4, 8] = sum [b<B, i<4, j<4, o<8 | di<3, dj<3, c<8] mul(%y[b, i+di, j+dj, c], %w[di, dj, c, o])
  return %z
}`,
	"whole": `
cell @w: f32[B, 37] param bf16
func @f(%x: f32[B, 37]) -> (a: f32[B, 37], b: f32[B, 37]) {
  %w: f32[B, 37] = read @w
  %y: f32[B, 37] = map [b<B, i<37] add(%x[b, i], %w[b, i])
  return %w, %y
}`,
}

// half returns a program of one of the modules on a backend; its cell is stored as bf16 or, for comparison, not.
func half(t *testing.T, backend codegen.Backend, text string, stored bool) (*ir.Module, func(x *tensor.Tensor, w *tensor.Tensor) []*tensor.Tensor) {
	t.Helper()
	needLLVM(t)
	m, err := ir.Parse(diag.NewFile("half.ir", text))
	if err != nil {
		t.Fatal(err)
	}
	if err := ir.Verify(m); err != nil {
		t.Fatal(err)
	}
	if !m.Cells[0].Half {
		t.Fatal("the cell is not stored as bf16")
	}
	m.Cells[0].Half = stored
	p, err := backend.Compile(m, codegen.Options{Math: codegen.Fast, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	return m, func(x, w *tensor.Tensor) []*tensor.Tensor {
		t.Helper()
		if err := p.SetCell("w", w); err != nil {
			t.Fatal(err)
		}
		out, err := p.Call("f", x)
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Cell("w")
		if err != nil {
			t.Fatal(err)
		}
		return append(out, v)
	}
}

// noise returns a tensor of numbers about 1.
func noise(shape ...int) *tensor.Tensor {
	x := tensor.New(tensor.F32, shape...)
	for i := range x.F32 {
		x.F32[i] = float32(math.Sin(float64(i)*12.9898)) * (1 + float32(i%7)/3)
	}
	return x
}

// What is computed with weights stored as bf16 is what is computed with rounded weights: the same as the interpreter's but for the order of
// sums, and bit for bit that of the same code on weights of f32.
func TestHalf(t *testing.T) {
	for name, text := range halfModules {
		for _, batch := range []int{1, 3, 33} {
			t.Run(fmt.Sprint(name, " ", batch), func(t *testing.T) {
				x := noise(batch, 37)
				m, native := half(t, Backend{}, text, true)
				shape := make([]int, len(m.Cells[0].Type.Shape))
				for k, d := range m.Cells[0].Type.Shape {
					shape[k] = d.EvalDim(func(string) int { return batch })
				}
				w := noise(shape...)
				rounded := w.Clone()
				for i, v := range w.F32 {
					rounded.F32[i] = tensor.RoundBF16(v)
				}
				_, whole := half(t, Backend{}, text, false)
				_, meaning := half(t, interp.Backend{}, text, true)
				got, same, want := native(x, w), whole(x, rounded), meaning(x, w)
				for k := range want {
					largest := 0.0
					for _, v := range want[k].F32 {
						largest = math.Max(largest, math.Abs(float64(v)))
					}
					for i, v := range want[k].F32 {
						if d := math.Abs(float64(got[k].F32[i] - v)); d > 5e-6*largest {
							t.Fatalf("result %d, element %d: %v, the interpreter's is %v", k, i, got[k].F32[i], v)
						}
						if d := math.Abs(float64(got[k].F32[i] - same[k].F32[i])); d > 1e-6*largest {
							t.Fatalf("result %d, element %d: %v, with weights of f32 %v", k, i, got[k].F32[i], same[k].F32[i])
						}
					}
				}
				last := got[len(got)-1]
				for i, v := range rounded.F32 {
					if last.F32[i] != v {
						t.Fatalf("weight %d is %v, rounded it would be %v", i, last.F32[i], v)
					}
				}
			})
		}
	}
}

// A call that gives such a cell a value rounds it too.
func TestHalfIsWritten(t *testing.T) {
	text := `
cell @w: f32[5, 9] param bf16
func @f(%x: f32[5, 9]) -> (y: f32[5, 9]) {
  %w: f32[5, 9] = read @w
  %y: f32[5, 9] = map [i<5, j<9] add(%x[i, j], %w[i, j])
  write @w, %y
  return %y
}`
	for _, backend := range []codegen.Backend{Backend{}, interp.Backend{}} {
		_, f := half(t, backend, text, true)
		x, w := noise(5, 9), tensor.New(tensor.F32, 5, 9)
		out := f(x, w)
		for i, v := range x.F32 {
			if out[0].F32[i] != v || out[1].F32[i] != tensor.RoundBF16(v) {
				t.Fatalf("%s: element %d is %v and stored as %v, from %v", backend.Name(), i, out[0].F32[i], out[1].F32[i], v)
			}
		}
	}
}
