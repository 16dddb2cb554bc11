package native

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// parse reads a module, from testdata if the text is a file's name.
func parse(t testing.TB, text string) *ir.Module {
	t.Helper()
	if strings.HasSuffix(text, ".ir") {
		b, err := os.ReadFile(filepath.Join("testdata", text))
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	m, err := ir.Parse(diag.NewFile("test.ir", text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// random fills a tensor with numbers in [lo, hi), whole ones for i32.
func random(seed uint32, d tensor.DType, lo, hi float64, shape ...int) *tensor.Tensor {
	x := tensor.New(d, shape...)
	for k := range x.Len() {
		seed = seed*1664525 + 1013904223
		v := lo + (hi-lo)*float64(seed>>8)/(1<<24)
		if d != tensor.F32 {
			v = math.Floor(v)
		}
		x.Set(k, v)
	}
	return x
}

func mustCall(t testing.TB, p runtime.Program, fn string, args ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	out, err := p.Call(fn, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// models are whole programs after the passes, as the compiler prints them.
var models = []struct {
	file    string
	predict string
	image   []int
	classes float64
}{
	{"catdog.ir", "CatDog.predict", []int{32, 32, 3}, 2},
	{"digits.ir", "Reader.predict", []int{28, 28, 1}, 10},
}

func TestTrainingAgreesWithTheInterpreter(t *testing.T) {
	for _, model := range models {
		t.Run(model.file, func(t *testing.T) {
			p, q := compileBoth(t, parse(t, model.file))
			seed := tensor.FromI32([]int32{7})
			mustCall(t, p, "init", seed)
			mustCall(t, q, "init", seed)
			for step := range uint32(6) {
				b := 5 + int(step)*3 // other batch sizes, so other launch tables
				image := random(step, tensor.F32, 0, 256, append([]int{b}, model.image...)...)
				label := random(step+99, tensor.I32, 0, model.classes, b)
				got, want := mustCall(t, p, "train.step", image, label), mustCall(t, q, "train.step", image, label)
				for k := range want {
					// Different orders of summation in f32, carried on by Adam's divisions.
					if d := differ(got[k], want[k], 1e-4); d != "" {
						t.Fatalf("step %d, result %d: %s", step, k, d)
					}
				}
				got, want = mustCall(t, p, model.predict, image), mustCall(t, q, model.predict, image)
				if d := differ(got[0], want[0], 1e-3); d != "" {
					t.Fatalf("step %d, prediction: %s", step, d)
				}
			}
			for _, c := range p.Module().Cells {
				got, err := p.Cell(c.Name)
				if err != nil {
					t.Fatal(err)
				}
				want, err := q.Cell(c.Name)
				if err != nil {
					t.Fatal(err)
				}
				if d := differ(got, want, 5e-3); d != "" {
					t.Errorf("%s: %s", c.Name, d)
				}
			}
		})
	}
}

// TestThreadsDoNotChangeBits trains and predicts with 1, 2, 3 and 8 threads: no bit of a loss, a prediction or a cell differs.
func TestThreadsDoNotChangeBits(t *testing.T) {
	needLLVM(t)
	for _, model := range models {
		for _, choice := range []codegen.Math{codegen.Fast, codegen.Strict} {
			var first []*tensor.Tensor
			for _, threads := range []int{1, 2, 3, 8} {
				p, err := Backend{}.Compile(parse(t, model.file), codegen.Options{Threads: threads, Math: choice})
				if err != nil {
					t.Fatal(err)
				}
				mustCall(t, p, "init", tensor.FromI32([]int32{1}))
				var all []*tensor.Tensor
				for step := range uint32(3) {
					b := 32 - int(step)
					image := random(step, tensor.F32, 0, 256, append([]int{b}, model.image...)...)
					all = append(all, mustCall(t, p, "train.step", image, random(step, tensor.I32, 0, model.classes, b))...)
					all = append(all, mustCall(t, p, model.predict, image)...)
				}
				for _, c := range p.Module().Cells {
					x, err := p.Cell(c.Name)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, x)
				}
				if first == nil {
					first = all
				}
				for k := range all {
					if !slices.Equal(bits(all[k]), bits(first[k])) {
						t.Fatalf("%s, math %d, %d threads: tensor %d differs", model.file, choice, threads, k)
					}
				}
			}
		}
	}
}

// bits are the bits of a tensor's elements.
func bits(t *tensor.Tensor) []uint32 {
	all := make([]uint32, t.Len())
	for k := range all {
		if t.DType == tensor.F32 {
			all[k] = math.Float32bits(t.F32[k])
		} else {
			all[k] = uint32(int32(t.At(k)))
		}
	}
	return all
}

func TestNotFiniteLeavesCellsAlone(t *testing.T) {
	p, _ := compileBoth(t, parse(t, `
cell @w: f32[3] param
cell @n: i32[] slot

func @step(%x: f32[3]) -> (loss: f32[]) finite {
  %0: f32[3] = read @w
  %1: f32[3] = map [i<3] add(%0[i], log(%x[i]))
  write @w, %1
  %2: i32[] = read @n
  %3: i32[] = map [] add(%2[], 1)
  write @n, %3
  %4: f32[] = sum [| i<3] %x[i]
  return %4
}
`))
	mustCall(t, p, "step", tensor.FromF32([]float32{1, 2, 3}, 3))
	before, _ := p.Cell("w")
	for _, bad := range []float32{0, -1, float32(math.Inf(1)), float32(math.NaN())} {
		_, err := p.Call("step", tensor.FromF32([]float32{1, bad, 3}, 3))
		var e *runtime.NonFiniteError
		if !errors.As(err, &e) {
			t.Fatalf("%v: got %v, want a NonFiniteError", bad, err)
		}
		if bad <= 0 && (e.What != "w" || e.Op != "log") {
			t.Errorf("%v: got %v, want w to be blamed on log", bad, e)
		}
		w, _ := p.Cell("w")
		n, _ := p.Cell("n")
		if d := differ(w, before, 0); d != "" || n.I32[0] != 1 {
			t.Errorf("%v: the cells changed: %s, n = %d", bad, d, n.I32[0])
		}
	}
}

func TestCellsSwapAndForward(t *testing.T) {
	p, q := compileBoth(t, parse(t, `
cell @a: f32[4] param
cell @b: f32[4] param
cell @c: f32[4] param
cell @s: f32[B, 2] stream

func @swap(%x: f32[4]) -> (old: f32[4], f32[4]) {
  %0: f32[4] = read @a
  %1: f32[4] = read @b
  write @a, %1
  write @b, %0
  %2: f32[4] = read @a
  %3: f32[4] = map [i<4] add(%2[i], %x[i])
  write @c, %3
  write @c, %x
  %4: f32[4] = map [i<4] add(%3[i], 1.0)
  write @a, %4
  return %0, %3
}

func @stream(%x: f32[B, 2]) -> (f32[B, 2]) {
  %0: f32[B, 2] = read @s
  %1: f32[B, 2] = map [b<B, i<2] add(%0[b, i], %x[b, i])
  write @s, %1
  return %1
}
`))
	for step := range uint32(4) {
		x := random(step, tensor.F32, -1, 1, 4)
		got, want := mustCall(t, p, "swap", x), mustCall(t, q, "swap", x)
		for k := range want {
			if d := differ(got[k], want[k], 0); d != "" {
				t.Fatalf("step %d, result %d: %s", step, k, d)
			}
		}
		for _, c := range []string{"a", "b", "c"} {
			got, _ := p.Cell(c)
			want, _ := q.Cell(c)
			if d := differ(got, want, 0); d != "" {
				t.Fatalf("step %d, cell %s: %s", step, c, d)
			}
		}
		y := random(step, tensor.F32, -1, 1, 3, 2)
		if d := differ(mustCall(t, p, "stream", y)[0], mustCall(t, q, "stream", y)[0], 0); d != "" {
			t.Fatalf("step %d: %s", step, d)
		}
	}
	if _, err := p.Call("stream", random(1, tensor.F32, 0, 1, 5, 2)); err == nil {
		t.Error("no error for a stream of another batch")
	}
}

func TestDataIndexOutside(t *testing.T) {
	p, q := compileBoth(t, parse(t, `
func @gather(%x: f32[5, 20], %i: i32[B]) -> (f32[B, 20]) {
  %0: f32[B, 20] = map [b<B, j<20] %x[%i[b], j]
  return %0
}
`))
	x := random(1, tensor.F32, 0, 1, 5, 20)
	for _, ix := range [][]int32{{0, 4, 2}, {0, 5, -1}, {3, -1}} {
		i := tensor.FromI32(ix, len(ix))
		got, err := p.Call("gather", x, i)
		want, wantErr := q.Call("gather", x, i)
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%v: got error %v, want %v", ix, err, wantErr)
		}
		if err == nil {
			if d := differ(got[0], want[0], 0); d != "" {
				t.Error(d)
			}
		}
	}
}

func TestScans(t *testing.T) {
	// Built by hand: a recurrent layer with swapped carried values, yields along axis 0 or 1, both directions, with and without lengths.
	needLLVM(t)
	for _, axis := range []int{0, 1} {
		for _, reversed := range []bool{false, true} {
			for _, lengths := range []bool{false, true} {
				t.Run(fmt.Sprintf("axis %d, reversed %v, lengths %v", axis, reversed, lengths), func(t *testing.T) {
					m := scanModule(axis, reversed, lengths)
					p, q := compileBoth(t, m)
					shape := []int{4, 6, 5}
					if axis == 0 {
						shape = []int{6, 4, 5}
					}
					args := []*tensor.Tensor{
						random(1, tensor.F32, -1, 1, 4, 5), random(2, tensor.F32, -1, 1, 4, 5),
						random(3, tensor.F32, -1, 1, shape...), random(4, tensor.F32, -1, 1, 5), tensor.FromI32([]int32{6, 2, 0, 3}, 4),
					}
					got, want := mustCall(t, p, "f", args...), mustCall(t, q, "f", args...)
					for k := range want {
						if d := differ(got[k], want[k], 1e-6); d != "" {
							t.Errorf("result %d: %s", k, d)
						}
					}
				})
			}
		}
	}
}

// TestScanKeepsNextValuesApart is for a bug: a next carried value had the place of what it was computed from.
func TestScanKeepsNextValuesApart(t *testing.T) {
	p, q := compileBoth(t, parse(t, `
func @f(%w: f32[4, 12]) -> (f32[4, 12]) {
  %0: f32[4, 12] = map [i0<4, i1<12] 0.0
  %1: f32[4, 12] = scan i<4 carried 1 slices 0 axis 0 (%0, %w) {
    (%i: i32[], %q: f32[4, 12], %0: f32[4, 12]) -> (q: f32[4, 12]) {
      %1: f32[12] = map [i0<12] exp(%0[%i[], i0])
      %2: f32[4, 12] = map [k<4, j<12] select(equal(k, %i[]), %1[j], %q[k, j])
      return %2
    }
  }
  return %1
}`))
	w := random(2, tensor.F32, -1, 1, 4, 12)
	if d := differ(mustCall(t, p, "f", w)[0], mustCall(t, q, "f", w)[0], 1e-6); d != "" {
		t.Error(d)
	}
}

// scanModule returns a function of a scan: (a, b) → (b, tanh(a·x_t + w)), yielding a + t.
func scanModule(axis int, reversed, lengths bool) *ir.Module {
	row := ir.Type{DType: tensor.F32, Shape: []ir.Affine{ir.Symbol("B"), ir.Int(5)}}
	stacked := ir.Type{DType: tensor.F32, Shape: []ir.Affine{ir.Symbol("B"), ir.Symbol("T"), ir.Int(5)}}
	if axis == 0 {
		stacked.Shape[0], stacked.Shape[1] = stacked.Shape[1], stacked.Shape[0]
	}
	vec := ir.Type{DType: tensor.F32, Shape: []ir.Affine{ir.Int(5)}}
	each := func(e *ir.Expr) *ir.Nest {
		return &ir.Nest{Combine: ir.Map, Index: ir.Indices(row.Shape), Out: 2, Body: e}
	}
	at := func(k int) *ir.Expr { return ir.ReadOf(tensor.F32, k, ir.Loop(0), ir.Loop(1)) }

	body := ir.NewFunc("body")
	t := body.Param("t", ir.Scalar(tensor.I32))
	a, b := body.Param("a", row), body.Param("b", row)
	x := body.Param("x", row)
	w := body.Param("w", vec)
	next := body.Nest(each(ir.Apply(ir.OpTanh, ir.Apply(ir.OpAdd, ir.Apply(ir.OpMul, at(0), at(1)), ir.ReadOf(tensor.F32, 2, ir.Loop(1))))), a, x, w)
	y := body.Nest(each(ir.Apply(ir.OpAdd, at(0), ir.Apply(ir.OpToF32, ir.ReadOf(tensor.I32, 1)))), a, t)
	body.Return("", b)
	body.Return("", next)
	body.Return("", y)

	f := ir.NewFunc("f")
	args := []*ir.Value{
		f.Param("a", row), f.Param("b", row), f.Param("xs", stacked), f.Param("w", vec),
		f.Param("n", ir.Type{DType: tensor.I32, Shape: []ir.Affine{ir.Symbol("B")}}),
	}
	if !lengths {
		args = args[:4]
	}
	in := f.Append(&ir.Instr{Op: ir.OpScan, Args: args, Scan: &ir.Scan{
		Body: body.Func, Trip: ir.Symbol("T"), Carried: 2, Slices: 1, Axis: axis, Reversed: reversed, Length: lengths,
	}}, row, row, stacked)
	for _, r := range in.Results {
		f.Return("", r)
	}
	f.Return("", f.Apply(ir.OpAdd, in.Results[0], in.Results[1]))
	m := ir.NewModule()
	m.AddFunc(f.Func)
	return m
}

// A value that no machine holds is an error before it is computed.
func TestTooLarge(t *testing.T) {
	m := parse(t, `
func @f(%x: f32[B]) -> (f32[B, B, B]) {
  %y: f32[B, B, B] = map [a<B, b<B, c<B] add(add(%x[a], %x[b]), %x[c])
  return %y
}
`)
	p, _ := compileBoth(t, m)
	if _, err := p.Call("f", tensor.New(tensor.F32, 2000)); !errors.Is(err, runtime.ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}

// A value that is computed element by element of one that nothing needs afterwards takes its place.
func TestElementwiseInPlace(t *testing.T) {
	m := parse(t, `
func @f(%x: f32[B, 1000]) -> (y: f32[B, 1000]) {
  %a: f32[B, 1000] = map [b<B, i<1000] exp(%x[b, i])
  %s: f32[B] = sum [b<B | i<1000] %a[b, i]
  %c: f32[B, 1000] = map [b<B, i<1000] relu(sub(%a[b, i], 1.5))
  %q: f32[B] = max [b<B | i<1000] %c[b, i]
  %d: f32[B, 1000] = map [b<B, i<1000] tanh(%c[b, i])
  %r: f32[B] = min [b<B | i<1000] %d[b, i]
  %y: f32[B, 1000] = map [b<B, i<1000] add(add(%d[b, i], %r[b]), mul(%s[b], %q[b]))
  return %y
}`)
	p, q := compileBoth(t, m)
	x := random(3, tensor.F32, -1, 1, 7, 1000)
	if d := differ(mustCall(t, p, "f", x)[0], mustCall(t, q, "f", x)[0], 1e-5); d != "" {
		t.Error(d)
	}
	memory, err := Memory(m, "f", map[string]int{"B": 7})
	if err != nil {
		t.Fatal(err)
	}
	// %a, %c and %d are one after the other where %a is; %y, which is read otherwise, needs a place of its own.
	if matrix := 4 * 7 * 1000; memory.Arena < 2*matrix || memory.Arena > 2*matrix+4096 {
		t.Errorf("%d bytes are needed, not those of two matrices, %d", memory.Arena, 2*matrix)
	}
}
