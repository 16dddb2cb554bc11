package native

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// inPlace returns the names of the cells that each step behind the gate of a function writes.
func inPlace(p *exec.Program, fn string) [][]string {
	var all [][]string
	for k, f := range p.Module.Funcs {
		if f.Name != fn {
			continue
		}
		c := &p.Funcs[k]
		for _, st := range c.Steps[c.Gate:] {
			var cells []string
			for _, z := range st.Launch.Results {
				if c.Slots[z].Place == exec.Cell {
					cells = append(cells, p.Module.Cells[c.Slots[z].Index].Name)
				}
			}
			all = append(all, cells)
		}
	}
	return all
}

func TestOptimizersUpdateInPlaceInOnePass(t *testing.T) {
	p, _ := stored(t, parse(t, "digits.ir"))
	var want [][]string
	for _, name := range []string{"conv2d.kernel", "conv2d.bias", "conv2d_1.kernel", "conv2d_1.bias", "dense.kernel", "dense.bias", "dense_1.kernel", "dense_1.bias"} {
		want = append(want, []string{"adam." + name + ".m", "adam." + name + ".v", name})
	}
	got := inPlace(p, "train.step")
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("updates in place are %v, want %v", got, want)
	}
	var first []string // what init draws goes to the cells as well
	for _, cells := range inPlace(p, "init") {
		first = append(first, cells...)
	}
	if len(first) != len(p.Module.Cells) {
		t.Errorf("init writes in place %v", first)
	}
	m, err := p.Memory("train.step", map[string]int{"B": 32})
	if err != nil {
		t.Fatal(err)
	}
	params := 0
	for _, c := range p.Module.Cells {
		n := 4
		for _, d := range c.Type.Shape {
			n *= d.MustConst()
		}
		params += n
	}
	if m.Cells != params {
		t.Errorf("cells take %d bytes, want %d: one value each", m.Cells, params)
	}
}

// updateModule has functions that write cells in ways that are easy to get wrong in place.
const updateModule = `
cell @w: f32[40, 3] param
cell @m: f32[40, 3] slot
cell @e: f32[40, 3] slot
cell @u: f32[3, 40] param
cell @s: f32[] slot
cell @a: f32[7] param
cell @b: f32[7] param

func @init(%seed: i32[]) -> () {
  %0: f32[40, 3] = map [i<40, j<3] to_f32(i)
  write @w, %0
  %1: f32[3, 40] = map [i<3, j<40] to_f32(j)
  write @u, %1
  %2: f32[7] = map [i<7] to_f32(i)
  write @a, %2
  write @b, %2
  return
}

func @momentum(%g: f32[40, 3]) -> (loss: f32[]) finite {
  %0: f32[40, 3] = read @w
  %1: f32[40, 3] = read @m
  %2: f32[40, 3] = read @e
  %3: f32[40, 3] = map [i<40, j<3] sqrt(add(1.0, square(%g[i, j])))
  %4: f32[40, 3] = map [i<40, j<3] add(mul(0.9, %1[i, j]), %3[i, j])
  %5: f32[40, 3] = map [i<40, j<3] sub(%0[i, j], mul(0.1, add(%4[i, j], %3[i, j])))
  %6: f32[40, 3] = map [i<40, j<3] add(mul(0.99, %2[i, j]), mul(0.01, %5[i, j]))
  write @m, %4
  write @w, %5
  write @e, %6
  %7: f32[] = sum [| i<40, j<3] mul(%0[i, j], %g[i, j])
  return %7
}

func @clipped(%g: f32[40, 3]) -> (loss: f32[], f32[40, 3]) finite {
  %0: f32[40, 3] = read @w
  %1: f32[] = sum [| i<40, j<3] square(%g[i, j])
  %2: f32[] = map [] div(1.0, add(1.0, sqrt(%1[])))
  %3: f32[40, 3] = map [i<40, j<3] sub(%0[i, j], mul(%2[], %g[i, j]))
  write @w, %3
  %4: f32[] = read @s
  %5: f32[] = map [] add(%4[], %1[])
  write @s, %5
  return %1, %0
}

func @transposed(%g: f32[40, 3]) -> () finite {
  %0: f32[40, 3] = read @w
  %1: f32[3, 40] = read @u
  %2: f32[40, 3] = map [i<40, j<3] add(%0[i, j], %1[j, i])
  %3: f32[3, 40] = map [i<3, j<40] add(%1[i, j], %0[j, i])
  write @w, %2
  write @u, %3
  return
}

func @crossed(%x: f32[7]) -> () {
  %0: f32[7] = read @a
  %1: f32[7] = read @b
  %2: f32[7] = map [i<7] add(%0[i], %x[6-i])
  %3: f32[7] = map [i<7] add(%0[6-i], %x[i])
  write @a, %3
  write @b, %2
  %4: f32[7] = map [i<7] add(%1[i], 1.0)
  write @a, %4
  return
}

func @rotated(%x: f32[7]) -> (f32[7]) {
  %0: f32[7] = read @a
  %1: f32[7] = map [i<7] mul(0.5, %0[6-i])
  write @a, %1
  %2: f32[7] = read @b
  %3: f32[7] = map [i<7] add(%2[i], %x[i])
  write @b, %3
  return %3
}

func @product(%x: f32[7, 5]) -> () {
  %0: f32[7] = sum [i<7 | k<5] mul(%x[i, k], %x[i, k])
  write @a, %0
  return
}
`

func TestUpdatesInPlace(t *testing.T) {
	m := parse(t, updateModule)
	p, q := compileBoth(t, m)
	program, _ := stored(t, m)
	for fn, want := range map[string][][]string{
		"momentum":   {{"m", "w", "e"}},
		"clipped":    {{"w"}, {"s"}},
		"transposed": {{"w"}}, // u is computed before w changes, and copied after
		"rotated":    nil,
		"product":    {{"a"}},
		"init":       {{"w"}, {"u"}, {"a", "b"}},
	} {
		if got := inPlace(program, fn); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s updates in place %v, want %v", fn, got, want)
		}
	}
	mustCall(t, p, "init", tensor.FromI32([]int32{1}))
	mustCall(t, q, "init", tensor.FromI32([]int32{1}))
	for step := range uint32(3) {
		for _, fn := range []string{"momentum", "clipped", "transposed", "crossed", "rotated", "product", "momentum"} {
			shape := []int{40, 3}
			switch fn {
			case "crossed", "rotated":
				shape = []int{7}
			case "product":
				shape = []int{7, 5}
			}
			x := random(step, tensor.F32, -1, 1, shape...)
			got, want := mustCall(t, p, fn, x), mustCall(t, q, fn, x)
			for k := range want {
				if d := differ(got[k], want[k], 1e-5); d != "" {
					t.Errorf("step %d, %s, result %d: %s", step, fn, k, d)
				}
			}
			for _, c := range m.Cells {
				got, err := p.Cell(c.Name)
				if err != nil {
					t.Fatal(err)
				}
				want, err := q.Cell(c.Name)
				if err != nil {
					t.Fatal(err)
				}
				if d := differ(got, want, 1e-5); d != "" {
					t.Fatalf("step %d, after %s, cell %s: %s", step, fn, c.Name, d)
				}
			}
		}
	}
}

// TestOverflowLeavesCellsAlone has gradients that are finite, of which one update is not.
func TestOverflowLeavesCellsAlone(t *testing.T) {
	p, _ := compileBoth(t, parse(t, updateModule))
	mustCall(t, p, "init", tensor.FromI32([]int32{1}))
	mustCall(t, p, "momentum", random(1, tensor.F32, -1, 1, 40, 3))
	cells := func() []*tensor.Tensor {
		var all []*tensor.Tensor
		for _, c := range p.Module().Cells {
			x, err := p.Cell(c.Name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, x)
		}
		return all
	}
	before := cells()
	for _, at := range []int{0, 57, 119} {
		g := random(2, tensor.F32, -1, 1, 40, 3)
		g.F32[at] = 1e25 // its square overflows, the loss does not
		_, err := p.Call("momentum", g)
		if e := (*runtime.NonFiniteError)(nil); !errors.As(err, &e) || e.Op != "square" {
			t.Errorf("element %d: got %v, want a square to be blamed", at, err)
		}
		for k, x := range cells() {
			if d := differ(x, before[k], 0); d != "" {
				t.Errorf("element %d: %s changed: %s", at, p.Module().Cells[k].Name, d)
			}
		}
	}
	g := random(2, tensor.F32, -1, 1, 40, 3)
	g.F32[3] = float32(math.Inf(1))
	if _, err := p.Call("momentum", g); err == nil {
		t.Error("no error for an infinite gradient")
	}
}

func TestWritesInScans(t *testing.T) {
	m := parse(t, `
cell @s: f32[B, 2] stream
cell @n: i32[] slot

func @f(%x: f32[5, B, 2], %y: f32[B, 2]) -> (f32[B, 2], f32[5, B, 2], f32[B, 2], i32[]) {
  %0: f32[B, 2], %1: f32[5, B, 2] = scan i<5 carried 1 slices 1 axis 0 (%y, %x) {
    (%i: i32[], %c: f32[B, 2], %x: f32[B, 2]) -> (c: f32[B, 2], y: f32[B, 2]) {
      %0: f32[B, 2] = read @s
      %1: f32[B, 2] = map [b<B, j<2] add(mul(0.5, %0[b, j]), %x[b, j])
      write @s, %1
      %2: f32[B, 2] = read @s
      %3: f32[B, 2] = map [b<B, j<2] add(%c[b, j], mul(%0[b, j], %2[b, j]))
      %4: i32[] = read @n
      %5: i32[] = map [] add(%4[], %i[])
      write @n, %5
      return %3, %0
    }
  }
  %2: f32[B, 2] = read @s
  %3: i32[] = read @n
  return %0, %1, %2, %3
}
`)
	p, q := compileBoth(t, m)
	for step := range uint32(3) {
		args := []*tensor.Tensor{random(step, tensor.F32, -1, 1, 5, 3, 2), random(step+9, tensor.F32, -1, 1, 3, 2)}
		got, want := mustCall(t, p, "f", args...), mustCall(t, q, "f", args...)
		for k := range want {
			if d := differ(got[k], want[k], 1e-6); d != "" {
				t.Errorf("step %d, result %d: %s", step, k, d)
			}
		}
		for _, c := range []string{"s", "n"} {
			got, _ := p.Cell(c)
			want, _ := q.Cell(c)
			if d := differ(got, want, 1e-6); d != "" {
				t.Errorf("step %d, cell %s: %s", step, c, d)
			}
		}
	}
}

// A counter and the number that depends on it have one shape but two element types: they are not computed together.
func TestUpdatesOfTwoElementTypes(t *testing.T) {
	p, q := compileBoth(t, parse(t, `
cell @n: i32[] slot
cell @w: f32[] param

func @step(%x: f32[]) -> () {
  %n: i32[] = read @n
  %w: f32[] = read @w
  %m: i32[] = map [] add(%n[], 1)
  %v: f32[] = map [] select(equal(%m[], 1), %x[], mul(0.5, add(%w[], %x[])))
  write @n, %m
  write @w, %v
  return
}
`))
	for _, x := range []float32{3, 5, 2} {
		mustCall(t, p, "step", tensor.FromF32([]float32{x}))
		mustCall(t, q, "step", tensor.FromF32([]float32{x}))
	}
	for _, name := range []string{"n", "w"} {
		got, err := p.Cell(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := q.Cell(name)
		if err != nil {
			t.Fatal(err)
		}
		if d := differ(got, want, 0); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// proofModule has updates whose values follow from bounds (step), or do not (logarithm).
const proofModule = `
cell @w: f32[300, 200] param
cell @v: f32[300, 200] slot
cell @c: f32[20] param

func @init(%seed: i32[]) -> () {
  %0: f32[300, 200] = map [i<300, j<200] to_f32(sub(i, j))
  write @w, %0
  %1: f32[300, 200] = map [i<300, j<200] 0.0
  write @v, %1
  %2: f32[20] = map [i<20] 1.0
  write @c, %2
  return
}

func @step(%x: f32[B, 300], %y: f32[B, 200]) -> (loss: f32[]) finite {
  %w: f32[300, 200] = read @w
  %v: f32[300, 200] = read @v
  %g: f32[300, 200] = sum [i<300, j<200 | b<B] mul(%x[b, i], %y[b, j])
  %0: f32[300, 200] = map [i<300, j<200] add(mul(0.9, %v[i, j]), mul(0.1, square(%g[i, j])))
  %1: f32[300, 200] = map [i<300, j<200] sub(%w[i, j], div(mul(0.1, %g[i, j]), add(sqrt(%0[i, j]), 0.001)))
  write @v, %0
  write @w, %1
  %2: f32[] = sum [| b<B] %x[b, 0]
  return %2
}

func @logarithm(%g: f32[20]) -> (loss: f32[]) finite {
  %c: f32[20] = read @c
  %0: f32[20] = map [i<20] log(add(%c[i], %g[i]))
  write @c, %0
  %1: f32[] = sum [| i<20] %g[i]
  return %1
}
`

// checksOf calls a function and counts the checks that it makes beside that of its loss.
func checksOf(t *testing.T, p runtime.Program, fn string, args ...*tensor.Tensor) (int, error) {
	t.Helper()
	parts, err := p.(runtime.Profiler).Profile(fn, args...)
	n := -1
	for _, part := range parts {
		if part.What == "check" {
			n++
		}
	}
	return n, err
}

func TestProofsReplaceChecks(t *testing.T) {
	p, q := compileBoth(t, parse(t, proofModule))
	cell := func(p runtime.Program, name string) *tensor.Tensor {
		x, err := p.Cell(name)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, p := range []runtime.Program{p, q} {
		mustCall(t, p, "init", tensor.FromI32([]int32{1}))
	}
	x, y := random(1, tensor.F32, -1, 1, 5, 300), random(2, tensor.F32, -1, 1, 5, 200)
	set := func(name string, at int, v float32) {
		for _, p := range []runtime.Program{p, q} {
			c := cell(p, name)
			c.F32[at] = v
			if err := p.SetCell(name, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	// step calls both, and wants equal cells.
	step := func(when string, wantChecks int, wantError bool) {
		t.Helper()
		before := cell(p, "w")
		n, err := checksOf(t, p, "step", x, y)
		if _, wrong := q.Call("step", x, y); (err != nil) != wantError || (wrong != nil) != wantError {
			t.Errorf("%s: errors are %v and %v", when, err, wrong)
		}
		if n != wantChecks && !wantError { // of a call that fails nothing is told
			t.Errorf("%s: %d checks, want %d", when, n, wantChecks)
		}
		if wantError {
			if d := differ(cell(p, "w"), before, 0); d != "" {
				t.Errorf("%s: w changed: %s", when, d)
			}
			return
		}
		for _, name := range []string{"w", "v"} {
			if d := differ(cell(p, name), cell(q, name), 1e-5); d != "" {
				t.Errorf("%s: %s: %s", when, name, d)
			}
		}
	}
	step("first", 0, false)
	step("again", 0, false)
	set("w", 70, 3.4e38)
	step("w too large for bounds", 1, false)
	set("w", 70, 1)
	step("the next proof is not tried", 1, false)
	step("then it is", 0, false)
	set("v", 59_999, -1e3) // its root is no number
	step("v negative", 1, true)
	set("v", 59_999, 0)
	step("v mended, not tried", 1, false)
	step("tried", 0, false)
	x.F32[7] = 1e20
	step("squares overflow", 1, true)
	x.F32[7] = float32(math.NaN())
	step("no number", 1, true)
	x.F32[7] = 0.5
	step("mended", 0, false)
	for b := range 5 { // each product's square is finite, and that of their sum is not
		x.F32[b*300+3], y.F32[b*200+5] = 1.2e19, 1
	}
	step("the square of a sum overflows", 1, true)
	for b := range 5 {
		x.F32[b*300+3] = 0.5
	}
	step("mended again, not tried", 1, false)

	g := random(3, tensor.F32, 5, 6, 20)
	if n, err := checksOf(t, p, "logarithm", g); n != 1 || err != nil {
		t.Errorf("a logarithm: %d checks, %v", n, err)
	}
	g.F32[3] = -100
	if _, err := checksOf(t, p, "logarithm", g); err == nil {
		t.Error("no error for the logarithm of a negative number")
	}
}

// sumModule has updates from sums over the batch, of which the rows do not fill tiles, nor the columns vectors; @kept returns such a sum, too.
const sumModule = `
cell @w: f32[2111, 499] param
cell @v: f32[2111, 499] slot
cell @n: f32[] slot

func @step(%x: f32[B, 2111], %y: f32[B, 499]) -> (loss: f32[]) finite {
  %w: f32[2111, 499] = read @w
  %v: f32[2111, 499] = read @v
  %n: f32[] = read @n
  %m: f32[] = map [] add(%n[], 1.0)
  write @n, %m
  %g: f32[2111, 499] = sum [i<2111, j<499 | b<B] mul(%x[b, i], %y[b, j])
  %0: f32[2111, 499] = map [i<2111, j<499] add(mul(0.9, %v[i, j]), %g[i, j])
  %1: f32[2111, 499] = map [i<2111, j<499] sub(%w[i, j], div(mul(0.1, %0[i, j]), %m[]))
  write @v, %0
  write @w, %1
  return %n
}

func @kept(%x: f32[B, 2111], %y: f32[B, 499]) -> (loss: f32[], f32[2111, 499]) finite {
  %w: f32[2111, 499] = read @w
  %n: f32[] = read @n
  %g: f32[2111, 499] = sum [i<2111, j<499 | b<B] mul(%x[b, i], %y[b, j])
  %1: f32[2111, 499] = map [i<2111, j<499] sub(%w[i, j], mul(0.1, %g[i, j]))
  write @w, %1
  return %n, %g
}
`

func TestUpdatesFromSums(t *testing.T) {
	m := parse(t, sumModule)
	program, _ := stored(t, m)
	for k, want := range []bool{true, false} { // a kernel with two factors, two cells and a number
		f, found := &program.Funcs[k], false
		for _, st := range f.Steps[f.Gate:] {
			found = found || len(st.Launch.Results) == 2 && len(st.Launch.Args) == 5
		}
		if found != want {
			t.Errorf("%s: the update is computed from the sum: %v, want %v", m.Funcs[k].Name, found, want)
		}
	}
	p, q := compileBoth(t, m)
	one, err := exec.New(program, exec.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for step, batch := range []int{5, 1, 33, 64} {
		x, y := random(uint32(step), tensor.F32, -1, 1, batch, 2111), random(uint32(step+50), tensor.F32, -1, 1, batch, 499)
		for _, fn := range []string{"step", "kept"} {
			got, want := mustCall(t, p, fn, x, y), mustCall(t, q, fn, x, y)
			mustCall(t, one, fn, x, y)
			for k := range want {
				if d := differ(got[k], want[k], 1e-5); d != "" {
					t.Errorf("%s of %d: result %d: %s", fn, batch, k, d)
				}
			}
			for _, c := range m.Cells {
				got, _ := p.Cell(c.Name)
				want, _ := q.Cell(c.Name)
				alone, _ := one.Cell(c.Name)
				if d := differ(got, want, 1e-5); d != "" {
					t.Fatalf("%s of %d: %s: %s", fn, batch, c.Name, d)
				}
				if d := differ(got, alone, 0); d != "" {
					t.Fatalf("%s of %d: %s differs with one thread: %s", fn, batch, c.Name, d)
				}
			}
		}
	}
	// What bounds do not prove is computed and checked.
	cell := func(p runtime.Program, name string) *tensor.Tensor {
		x, err := p.Cell(name)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	x, y := random(7, tensor.F32, -1, 1, 3, 2111), random(8, tensor.F32, -1, 1, 3, 499)
	w := cell(p, "w")
	w.F32[2111*499-1] = 3e38
	for _, p := range []runtime.Program{p, q} {
		if err := p.SetCell("w", w); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := checksOf(t, p, "step", x, y); n != 2 || err != nil { // of n, and of w and v
		t.Errorf("%d checks of a large weight, %v", n, err)
	}
	mustCall(t, q, "step", x, y)
	if d := differ(cell(p, "w"), cell(q, "w"), 1e-5); d != "" {
		t.Errorf("a large weight: %s", d)
	}
	before := cell(p, "w")
	x.F32[2110], y.F32[498] = 1e30, 1e30
	if _, err := p.Call("step", x, y); err == nil {
		t.Error("no error for a gradient that overflows")
	}
	if d := differ(cell(p, "w"), before, 0); d != "" {
		t.Errorf("after an overflow: %s", d)
	}
}
