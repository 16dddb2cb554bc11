package interp

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// parse reads IR text.
func parse(t failer, text string) *ir.Module {
	t.Helper()
	m, err := ir.Parse(diag.NewFile("test.ir", text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := ir.Verify(m); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return m
}

func program(t failer, text string) runtime.Program {
	t.Helper()
	return mustCompile(t, parse(t, text), codegen.Options{Threads: 3})
}

func scalar(v float64) *tensor.Tensor { return tensor.FromF64([]float64{v}) }

func f32s(v ...float32) *tensor.Tensor { return tensor.FromF32(v, len(v)) }

// TestEveryOp computes every scalar op on operands of every type it takes, special values included.
func TestEveryOp(t *testing.T) {
	values := map[tensor.DType][]float64{
		tensor.F32:  {0, math.Copysign(0, -1), 1, -1, 0.5, -2.75, 3, 88, -104, 1e-6, 3e9, math.Inf(1), math.Inf(-1), math.NaN()},
		tensor.I32:  {0, 1, -1, 2, -7, 3, 12, math.MaxInt32, math.MinInt32},
		tensor.Bool: {0, 1},
	}
	ir.Ops(func(op ir.Op) {
		if op.Row().Class != ir.ClassScalar {
			return
		}
		found := 0
		arity := len(op.Row().Params)
		for combo := range 81 {
			types := make([]tensor.DType, arity)
			rest := combo
			for i := range types {
				types[i] = []tensor.DType{tensor.F32, tensor.I32, tensor.Bool}[rest%3]
				rest /= 3
			}
			if _, err := op.ResultDType(types); err != nil || rest > 0 {
				continue
			}
			found++
			t.Run(fmt.Sprint(op, types), func(t *testing.T) {
				n := &ir.Nest{Combine: ir.Map}
				var args []*tensor.Tensor
				var reads []*ir.Expr
				for i, d := range types { // every value of one operand meets every value of the others
					n.Index = append(n.Index, ir.Index{Extent: ir.Int(len(values[d]))})
					x := tensor.New(d, len(values[d]))
					for k, v := range values[d] {
						x.Set(k, v)
					}
					args = append(args, x)
					reads = append(reads, ir.ReadOf(d, i, ir.Loop(i)))
				}
				n.Out = len(n.Index)
				n.Body = ir.Apply(op, reads...)
				want, _ := naiveNest(n, args)
				got := call(t, mustCompile(t, nestModule(n, args), codegen.Options{Precision: tensor.F64}), "f", args...)[0]
				same(t, "f64", got, want, 1e-12)
				got = call(t, mustCompile(t, nestModule(n, args), codegen.Options{}), "f", args...)[0]
				if op == ir.OpMod { // in f32 the quotient of large numbers is another
					return
				}
				same(t, "f32", got, want, 1e-6)
			})
		}
		if found == 0 {
			t.Errorf("no operands for %s", op)
		}
	})
}

// TestReductionsOfNaN checks that a not-a-number wins wherever it stands.
func TestReductionsOfNaN(t *testing.T) {
	for _, size := range []int{1, 5, 700, 100_000} {
		for _, at := range []int{0, size / 2, size - 1} {
			for _, combine := range []ir.Combine{ir.Max, ir.Min, ir.Sum, ir.Prod, ir.ArgMax, ir.ArgMin} {
				x := tensor.New(tensor.F32, size)
				for k := range x.F32 {
					x.F32[k] = float32(k%17) - 8
				}
				x.F32[at] = float32(math.NaN())
				n := &ir.Nest{Combine: combine, Index: ir.Indices([]ir.Affine{ir.Int(size)}), Body: ir.ReadOf(tensor.F32, 0, ir.Loop(0))}
				args := []*tensor.Tensor{x}
				want := math.NaN()
				if combine == ir.ArgMax || combine == ir.ArgMin {
					want = float64(at)
				}
				got := call(t, mustCompile(t, nestModule(n, args), codegen.Options{}), "f", args...)[0]
				if g := got.At(0); g != want && !(math.IsNaN(g) && math.IsNaN(want)) {
					t.Errorf("%v of %d with NaN at %d: %v, want %v", combine, size, at, g, want)
				}
			}
		}
	}
}

// TestLargeReductions has reductions large enough for several jobs, over whole tensors, leading and trailing dimensions.
func TestLargeReductions(t *testing.T) {
	for _, c := range []struct {
		extents []int
		out     int
		read    []int
	}{
		{[]int{300_007}, 0, []int{0}},
		{[]int{3, 100, 500, 2}, 0, []int{0, 1, 2, 3}},
		{[]int{7, 30_011}, 1, []int{1, 0}}, // over the first dimension of a tall tensor
		{[]int{30_011, 7}, 1, []int{0, 1}},
		{[]int{7, 30_011}, 1, []int{0, 1}},
		{[]int{20_011, 9}, 1, []int{1, 0}},
	} {
		shape := make([]int, len(c.read))
		ix := make([]ir.Affine, len(c.read))
		for k, l := range c.read {
			shape[k], ix[k] = c.extents[l], ir.Loop(l)
		}
		x := ramp(shape...)
		for _, combine := range []ir.Combine{ir.Sum, ir.Max, ir.Min, ir.ArgMax, ir.ArgMin} {
			n := &ir.Nest{Combine: combine, Out: c.out, Body: ir.ReadOf(tensor.F32, 0, ix...)}
			for _, e := range c.extents {
				n.Index = append(n.Index, ir.Index{Extent: ir.Int(e)})
			}
			checkNest(t, n, []*tensor.Tensor{x})
		}
	}
}

// TestSelectHidesNaN: the side that is not chosen has no influence.
func TestSelectHidesNaN(t *testing.T) {
	p := program(t, `
func @f(%x: f32[4]) -> (f32[4]) {
  %y: f32[4] = map [i<4] select(less(0.0, %x[i]), log(%x[i]), 0.0)
  return %y
}
`)
	got := call(t, p, "f", f32s(1, 0, -1, float32(math.E)))[0]
	same(t, "log", got, f32s(0, 0, 0, 1), 1e-6)
}

const counterText = `
cell @n: i32[] state
cell @w: f32[2] param

func @step(%x: f32[2]) -> (before: i32[], after: i32[], same: i32[]) finite {
  %a: i32[] = read @n
  %b: i32[] = map [] add(%a[], 1)
  write @n, %b
  %c: i32[] = read @n
  %v: f32[2] = map [i<2] log(%x[i])
  write @w, %v
  return %a, %c, %c
}

func @set(%x: f32[2]) -> () {
  write @w, %x
  return
}
`

func TestCells(t *testing.T) {
	p := program(t, counterText)
	for k := range 3 {
		out := call(t, p, "step", f32s(1, 1))
		if out[0].At(0) != float64(k) || out[1].At(0) != float64(k+1) || out[2].At(0) != float64(k+1) {
			t.Fatalf("call %d: a read before and after the write gave %v and %v", k, out[0].At(0), out[1].At(0))
		}
		out[1].I32[0] = 99 // the results are the caller's
		out[2].I32[0] = 98
	}
	x := f32s(5, 6)
	call(t, p, "set", x)
	x.F32[0] = 7 // and so are the arguments
	w, _ := p.Cell("w")
	if diff := cmp.Diff([]float32{5, 6}, w.F32); diff != "" {
		t.Error(diff)
	}
	w.F32[0] = 8
	w, _ = p.Cell("w")
	if w.F32[0] != 5 {
		t.Error("Cell returned the cell's own memory")
	}
	if err := p.SetCell("w", tensor.FromF64([]float64{1, 2}, 2)); err != nil {
		t.Error(err)
	}
	for _, err := range []error{
		p.SetCell("w", f32s(1)), p.SetCell("w", tensor.New(tensor.I32, 2)), p.SetCell("none", f32s(1)),
	} {
		if err == nil {
			t.Error("no error for a value that does not fit")
		}
	}
}

// TestFailedCallLeavesCells: a call that is refused has no effect, and says which operation is to blame.
func TestFailedCallLeavesCells(t *testing.T) {
	p := program(t, counterText)
	call(t, p, "step", f32s(1, 1))
	_, err := p.Call("step", f32s(1, 0))
	var bad *runtime.NonFiniteError
	if !errors.As(err, &bad) {
		t.Fatalf("got %v", err)
	}
	bad.Loc = ir.Loc{}
	if diff := cmp.Diff(&runtime.NonFiniteError{What: "w", Op: "log", Note: "log of 0"}, bad); diff != "" {
		t.Error(diff)
	}
	n, _ := p.Cell("n")
	w, _ := p.Cell("w")
	if n.I32[0] != 1 || w.F32[1] != 0 {
		t.Errorf("cells changed to %v, %v", n.I32, w.F32)
	}
	if out := call(t, p, "step", f32s(1, 1)); out[1].I32[0] != 2 {
		t.Errorf("the call after a failed one counts %d", out[1].I32[0])
	}
}

func TestBlame(t *testing.T) {
	for name, c := range map[string]struct {
		body     string
		x        []float32
		op, note string
	}{
		"nested":    {`%y: f32[2] = map [i<2] mul(2.0, add(1.0, div(1.0, %x[i])))`, []float32{1, 0}, "div", "div of 1 and 0"},
		"sum":       {`%m: f32[2] = map [i<2] mul(%x[i], 1e30)  %y: f32[2] = sum [i<2 | k<2] %m[k]`, []float32{3e8, 3e8}, "sum", ""},
		"chosen":    {`%y: f32[2] = map [i<2] select(less(%x[i], 0.0), sqrt(%x[i]), log(%x[i]))`, []float32{1, -4}, "sqrt", "sqrt of -4"},
		"parameter": {`%y: f32[2] = map [i<2] %x[i]`, []float32{1, float32(math.NaN())}, "parameter", "in x"},
		"later":     {`%u: f32[2] = map [i<2] exp(%x[i])  %y: f32[2] = map [i<2] sub(%u[i], %u[i])`, []float32{1, 100}, "exp", "exp of 100"},
	} {
		t.Run(name, func(t *testing.T) {
			text := "func @f(%x: f32[2]) -> (loss: f32[]) finite {\n  " + strings.ReplaceAll(c.body, ")  %", ")\n  %")
			text += "\n  %l: f32[] = sum [| i<2] %y[i]\n  return %l\n}\n"
			_, err := program(t, text).Call("f", f32s(c.x...))
			var bad *runtime.NonFiniteError
			if !errors.As(err, &bad) {
				t.Fatalf("got %v", err)
			}
			if bad.What != "loss" || bad.Op != c.op || bad.Note != c.note {
				t.Errorf("got %+v", *bad)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	p := program(t, `
func @f(%ids: i32[B], %table: f32[4, 3]) -> (f32[B, 3]) {
  %y: f32[B, 3] = map [b<B, i<3] %table[%ids[b], i] at "m.nn":7:9 in "embedding"
  return %y
}
`)
	ids := tensor.FromI32([]int32{0, 3}, 2)
	table := tensor.New(tensor.F32, 4, 3)
	call(t, p, "f", ids, table)
	for want, args := range map[string][]*tensor.Tensor{
		"m.nn:7:9: in embedding: read: index 4 is outside [0, 4)":                {tensor.FromI32([]int32{1, 4, -1}, 3), table},
		"m.nn:7:9: in embedding: read: index -1 is outside [0, 4)":               {tensor.FromI32([]int32{-1}, 1), table},
		"it takes 2 arguments, not 1":                                            {ids},
		"parameter table is f32[4, 3]: it was given f32[3, 4]":                   {ids, tensor.New(tensor.F32, 3, 4)},
		"parameter ids is i32[B]: it was given f32[2]":                           {f32s(1, 2), table},
		"parameter ids is i32[B]: it was given i32[0], but B must be at least 1": {tensor.New(tensor.I32, 0), table},
		"parameter table is f32[4, 3]: the argument is missing":                  {ids, nil},
	} {
		_, err := p.Call("f", args...)
		if err == nil || err.Error() != "f: "+want {
			t.Errorf("got  %v\nwant f: %s", err, want)
		}
	}
	if _, err := p.Call("g"); err == nil {
		t.Error("no error for an unknown function")
	}
}

// A value that no machine holds is an error before it is computed.
func TestTooLarge(t *testing.T) {
	p := program(t, `
func @f(%x: f32[B]) -> (f32[B, B, B]) {
  %y: f32[B, B, B] = map [a<B, b<B, c<B] add(add(%x[a], %x[b]), %x[c])
  return %y
}
`)
	if _, err := p.Call("f", tensor.New(tensor.F32, 2000)); !errors.Is(err, runtime.ErrTooLarge) {
		t.Errorf("error %v", err)
	}
}

// TestScan checks order, lengths and stacking.
func TestScan(t *testing.T) {
	text := `
func @f(%h0: f32[B, 2], %x: f32[B, 3, 2], %w: f32[2]%DECL) -> (f32[B, 2], f32[B, 3, 2]) {
  %h: f32[B, 2], %ys: f32[B, 3, 2] = scan t<3 carried 1 slices 1 axis 1%MODE (%h0, %x, %w%ARG) {
    (%t: i32[], %h: f32[B, 2], %xt: f32[B, 2], %w: f32[2]) -> (f32[B, 2], f32[B, 2]) {
      %n: f32[B, 2] = map [b<B, i<2] add(mul(%h[b, i], %w[i]), %xt[b, i])
      %y: f32[B, 2] = map [b<B, i<2] add(%n[b, i], mul(100.0, to_f32(%t[])))
      return %n, %y
    }
  }
  return %h, %ys
}
`
	x := tensor.New(tensor.F32, 2, 3, 2)
	for k := range x.F32 {
		x.F32[k] = float32(k)
	}
	h0 := tensor.FromF32([]float32{1, 2, 3, 4}, 2, 2)
	w := f32s(0.5, 2)
	lengths := tensor.FromI32([]int32{3, 1}, 2)
	for _, mode := range []string{"", " reversed", " length", " reversed length"} {
		own := strings.Contains(mode, "length")
		decl, arg := "", ""
		args := []*tensor.Tensor{h0, x, w}
		if own {
			decl, arg = ", %n: i32[B]", ", %n"
			args = append(args, lengths)
		}
		p := program(t, strings.NewReplacer("%DECL", decl, "%MODE", mode, "%ARG", arg).Replace(text))
		got := call(t, p, "f", args...)
		h, ys := h0.Clone(), tensor.New(tensor.F32, 2, 3, 2)
		for k := range 3 {
			step := k
			if strings.Contains(mode, "reversed") {
				step = 2 - k
			}
			for b := range 2 {
				if own && step >= int(lengths.I32[b]) {
					continue
				}
				for i := range 2 {
					h.F32[b*2+i] = h.F32[b*2+i]*w.F32[i] + x.F32[(b*3+step)*2+i]
					ys.F32[(b*3+step)*2+i] = h.F32[b*2+i] + 100*float32(step)
				}
			}
		}
		same(t, "carried"+mode, got[0], h, 0)
		same(t, "yields"+mode, got[1], ys, 0)
	}
}

func TestCall(t *testing.T) {
	p := program(t, `
func @twice(%x: f32[N]) -> (f32[N]) {
  %y: f32[N] = map [i<N] add(%x[i], %x[i])
  return %y
}

func @f(%x: f32[B, 3]) -> (f32[3*B]) {
  %r: f32[3*B] = reshape %x
  %y: f32[3*B] = call @twice(%r)
  %z: f32[3*B] = call @twice(%y)
  return %z
}
`)
	for _, b := range []int{1, 4} {
		x := ramp(b, 3)
		want := tensor.New(tensor.F32, 3*b)
		for k := range want.F32 {
			want.F32[k] = 4 * x.F32[k]
		}
		same(t, "f", call(t, p, "f", x)[0], want, 0)
	}
}

// TestRecycledMemory runs chains of nests whose intermediate buffers are overwritten as soon as they are free, twice: the results must be
// those of the naive evaluator, and the arguments must stay as they were.
func TestRecycledMemory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := ir.NewFunc("f")
		typ := ir.Type{DType: tensor.F32, Shape: []ir.Affine{ir.Int(6), ir.Int(4)}}
		x, y := ramp(6, 4), ramp(6, 4)
		y.F32[3] = 2.5
		values := []*ir.Value{b.Param("x", typ), b.Param("y", typ)}
		naive := []*tensor.Tensor{x, y}
		cell := &ir.Cell{Name: "c", Type: typ}
		m := ir.NewModule()
		m.AddCell(cell)
		m.AddFunc(b.Func)
		state := tensor.New(tensor.F64, 6, 4)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			i := rapid.IntRange(0, len(values)-1).Draw(t, "a")
			j := rapid.IntRange(0, len(values)-1).Draw(t, "b")
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0: // reads elsewhere than it writes
				n := &ir.Nest{Combine: ir.Map, Index: ir.Indices(typ.Shape), Out: 2}
				n.Body = ir.Apply(ir.OpSub, ir.ReadOf(tensor.F32, 0, ir.Loop(0), ir.Loop(1)), ir.ReadOf(tensor.F32, 1, ir.Int(5).Sub(ir.Loop(0)), ir.Loop(1)))
				values = append(values, b.Nest(n, values[i], values[j]))
				z, _ := naiveNest(n, []*tensor.Tensor{naive[i], naive[j]})
				naive = append(naive, z)
			case 1:
				values = append(values, b.Reshape(values[i], typ.Shape...))
				naive = append(naive, naive[i])
			case 2:
				b.Write(cell, values[i])
				state = naive[i]
			case 3:
				values = append(values, b.Read(cell))
				naive = append(naive, state)
			default:
				n := &ir.Nest{Combine: ir.Map, Index: ir.Indices(typ.Shape), Out: 2}
				n.Body = ir.Apply(ir.OpMax, ir.ReadOf(tensor.F32, 0, ir.Loop(0), ir.Loop(1)), ir.Apply(ir.OpNeg, ir.ReadOf(tensor.F32, 1, ir.Loop(0), ir.Loop(1))))
				values = append(values, b.Nest(n, values[i], values[j]))
				z, _ := naiveNest(n, []*tensor.Tensor{naive[i], naive[j]})
				naive = append(naive, z)
			}
		}
		results := rapid.SliceOfN(rapid.IntRange(0, len(values)-1), 1, 3).Draw(t, "results")
		for _, r := range results {
			b.Return("", values[r])
		}
		p := mustCompile(t, m, codegen.Options{Threads: 1}).(*machine[float32])
		p.mem.poison = true
		before := []*tensor.Tensor{x.Clone(), y.Clone()}
		for range 2 {
			if err := p.SetCell("c", tensor.New(tensor.F32, 6, 4)); err != nil {
				t.Fatalf("%v", err)
			}
			got := call(t, p, "f", x, y)
			call(t, p, "f", x, y) // must not touch what the first call returned
			for k, r := range results {
				same(t, fmt.Sprint("result ", k), got[k], naive[r], 1e-6)
			}
			sameBits(t, "x", x, before[0])
			sameBits(t, "y", y, before[1])
		}
	})
}

// TestConcurrentCalls: calls from several goroutines run one after the other.
func TestConcurrentCalls(t *testing.T) {
	p := program(t, counterText)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 20 {
				if _, err := p.Call("step", f32s(1, 2)); err != nil {
					t.Error(err)
				}
				if _, err := p.Cell("w"); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	if n, _ := p.Cell("n"); n.I32[0] != 160 {
		t.Errorf("%d of 160 calls counted", n.I32[0])
	}
}

// TestPrecision: in double precision results differ from those in single precision where they should.
func TestPrecision(t *testing.T) {
	m := parse(t, "func @f(%x: f32[]) -> (f32[]) {\n  %y: f32[] = map [] div(%x[], 3.0)\n  return %y\n}\n")
	p := mustCompile(t, m, codegen.Options{Precision: tensor.F64})
	got := call(t, p, "f", scalar(1))[0]
	if got.DType != tensor.F64 || got.F64[0] != 1.0/3 {
		t.Errorf("got %v %v", got, got.F64)
	}
	if _, err := (Backend{}).Compile(m, codegen.Options{Precision: tensor.I32}); err == nil {
		t.Error("no error for i32 as precision")
	}
}
