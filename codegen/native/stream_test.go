package native

import (
	"fmt"
	"slices"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// streamedModule reads matrices that no cache holds by rows and by columns, as f32 and as bf16.
const streamedModule = `
cell @w: f32[1088, 1024] param
cell @h: f32[1088, 1024] param bf16
func @across(%x: f32[B, 1088]) -> (f32[B, 1024]) {
  %w: f32[1088, 1024] = read @w
  %z: f32[B, 1024] = sum [i<B, j<1024 | k<1088] mul(%x[i, k], %w[k, j])
  return %z
}
func @down(%x: f32[B, 1024]) -> (f32[B, 1088]) {
  %w: f32[1088, 1024] = read @w
  %z: f32[B, 1088] = sum [i<B, j<1088 | k<1024] mul(%x[i, k], %w[j, k])
  return %z
}
func @across_half(%x: f32[B, 1088]) -> (f32[B, 1024]) {
  %w: f32[1088, 1024] = read @h
  %z: f32[B, 1024] = sum [i<B, j<1024 | k<1088] mul(%w[k, j], %x[i, k])
  return %z
}
func @of_nine(%x: f32[9, 1088]) -> (f32[9, 1024]) {
  %w: f32[1088, 1024] = read @w
  %z: f32[9, 1024] = sum [i<9, j<1024 | k<1088] mul(%x[i, k], %w[k, j])
  return %z
}
func @down_three(%x: f32[3, 1024]) -> (f32[3, 1088]) {
  %w: f32[1088, 1024] = read @w
  %z: f32[3, 1088] = sum [i<3, j<1088 | k<1024] mul(%x[i, k], %w[j, k])
  return %z
}`

// A product with a large matrix is the interpreter's but for the order of sums, for batches with and without rows that are left over, and the same bits
// whatever the number of threads is.
func TestStreamed(t *testing.T) {
	w := random(7, tensor.F32, -1, 1, 1088, 1024)
	sameOfBatches(t, parse(t, streamedModule), map[string]*tensor.Tensor{"w": w, "h": w}, 1, 3, 4, 6, 33)
}

// sameOfBatches compares the functions of m, of these cells, with the interpreter for batches of these sizes, and one thread's bits with two threads'.
func sameOfBatches(t *testing.T, m *ir.Module, cells map[string]*tensor.Tensor, batches ...int) {
	t.Helper()
	two, meaning := compileWith(t, m, codegen.Options{Threads: 2})
	one, err := Backend{}.Compile(m, codegen.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []runtime.Program{one, two, meaning} {
		for name, w := range cells {
			if err := p.SetCell(name, w); err != nil {
				t.Fatal(err)
			}
		}
	}
	for k, f := range m.Funcs {
		for _, b := range batches {
			x := random(uint32(10*k+b), tensor.F32, -1, 1, dims(f.Params[0].Type, b)...)
			got, again, want := mustCall(t, one, f.Name, x)[0], mustCall(t, two, f.Name, x)[0], mustCall(t, meaning, f.Name, x)[0]
			if d := differ(got, want, 5e-5); d != "" {
				t.Errorf("%s of %d: %s", f.Name, b, d)
			}
			if !slices.Equal(got.F32, again.F32) {
				t.Errorf("%s of %d: two threads give other bits", f.Name, b)
			}
		}
	}
}

// Blocks of such a matrix are copied to scratch memory, unless it is known that there are too few rows.
func TestStreamedIsFound(t *testing.T) {
	needLLVM(t)
	m := parse(t, streamedModule)
	for _, level := range levels {
		p, low, err := lower(m, level, codegen.Fast)
		if err != nil {
			t.Fatal(err)
		}
		for k, f := range p.Funcs {
			var scratch []exec.Poly
			for _, s := range f.Steps {
				if l := s.Launch; l != nil {
					scratch = append(scratch, low.kernels[l.Kernel].Scratch)
				}
			}
			streams := !slices.ContainsFunc(scratch, func(p exec.Poly) bool { return len(p) == 0 })
			if want := m.Funcs[k].Name != "down_three"; streams != want {
				t.Errorf("%s, %s: scratch memory %v", level.Name, m.Funcs[k].Name, fmt.Sprint(scratch))
			}
		}
	}
}

// A single row goes through a matrix that no cache near by holds in whole rows, as far as registers suffice, else in parts of them; several rows in tiles.
func TestSingleRow(t *testing.T) {
	m := parse(t, `
cell @w: f32[640, 512] param
cell @h: f32[320, 1024] param
cell @n: f32[40, 512] param
func @whole(%x: f32[B, 640]) -> (f32[B, 512]) {
  %w: f32[640, 512] = read @w
  %z: f32[B, 512] = sum [i<B, j<512 | k<640] mul(%x[i, k], %w[k, j])
  return %z
}
func @parts(%x: f32[B, 320]) -> (f32[B, 1024]) {
  %w: f32[320, 1024] = read @h
  %z: f32[B, 1024] = sum [i<B, j<1024 | k<320] mul(%x[i, k], %w[k, j])
  return %z
}
func @near(%x: f32[B, 40]) -> (f32[B, 512]) {
  %w: f32[40, 512] = read @n
  %z: f32[B, 512] = sum [i<B, j<512 | k<40] mul(%x[i, k], %w[k, j])
  return %z
}`)
	cells := map[string]*tensor.Tensor{}
	for name, shape := range map[string][]int{"w": {640, 512}, "h": {320, 1024}, "n": {40, 512}} {
		cells[name] = random(7, tensor.F32, -1, 1, shape...)
	}
	sameOfBatches(t, m, cells, 1, 2, 3, 5, 9)
	for _, level := range levels {
		p, low, err := lower(m, level, codegen.Fast)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range low.kernels {
			p.Kernels = append(p.Kernels, k.Kernel)
		}
		want := []int{1, 1024 / 256, 512 / 256}
		if level.Lanes < 16 {
			want = []int{512 / (8 * level.Lanes), 1024 / (8 * level.Lanes), 512 / (8 * level.Lanes)}
		}
		for k := range want {
			table, err := p.Table(m.Funcs[k].Name, map[string]int{"B": 1})
			if err != nil {
				t.Fatal(err)
			}
			if got := table.Rows[0].Kernel.Points; got != want[k] {
				t.Errorf("%s, %s: %d tiles of a single row, not %d", level.Name, m.Funcs[k].Name, got, want[k])
			}
		}
	}
}
