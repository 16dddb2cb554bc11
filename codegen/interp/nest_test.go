package interp

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// nestModule wraps a nest in a function f of its operands.
func nestModule(n *ir.Nest, args []*tensor.Tensor) *ir.Module {
	b := ir.NewFunc("f")
	b.Loc = ir.Loc{File: "a.nn", Line: 3, Col: 4}
	var params []*ir.Value
	for i, a := range args {
		shape := make([]ir.Affine, len(a.Shape))
		for k, d := range a.Shape {
			shape[k] = ir.Int(d)
		}
		d := a.DType
		if d == tensor.F64 {
			d = tensor.F32
		}
		params = append(params, b.Param(fmt.Sprintf("x%d", i), ir.Type{DType: d, Shape: shape}))
	}
	b.Return("z", b.Nest(n, params...))
	m := ir.NewModule()
	m.AddFunc(b.Func)
	return m
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func mustCompile(t failer, m *ir.Module, opts codegen.Options) runtime.Program {
	t.Helper()
	p, err := Backend{}.Compile(m, opts)
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	return p
}

func call(t failer, p runtime.Program, fn string, args ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	out, err := p.Call(fn, args...)
	if err != nil {
		t.Fatalf("%s: %v", fn, err)
	}
	return out
}

// same demands equal tensors up to a relative error of tol, or absolute where below 1.
func same(t failer, what string, got, want *tensor.Tensor, tol float64) {
	t.Helper()
	if fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) {
		t.Fatalf("%s: shape %v, want %v", what, got.Shape, want.Shape)
	}
	for k := range want.Len() {
		g, w := got.At(k), want.At(k)
		if g == w || math.IsNaN(g) && math.IsNaN(w) || got.DType == tensor.F32 && float32(g) == float32(w) {
			continue
		}
		if !(math.Abs(g-w) <= tol*max(1, math.Abs(w))) {
			t.Fatalf("%s: element %d is %v, want %v", what, k, g, w)
		}
	}
}

// sameBits demands the same bits.
func sameBits(t failer, what string, a, b *tensor.Tensor) {
	t.Helper()
	for k := range a.Len() {
		if math.Float64bits(a.At(k)) != math.Float64bits(b.At(k)) {
			t.Fatalf("%s: element %d is %v and %v", what, k, a.At(k), b.At(k))
		}
	}
}

// checkNest compares the interpreter with the naive evaluator in both precisions and with several numbers of threads.
func checkNest(t failer, n *ir.Nest, args []*tensor.Tensor) {
	t.Helper()
	want, ok := naiveNest(n, args)
	m := nestModule(n, args)
	var first *tensor.Tensor
	for _, threads := range []int{1, 2, 3, 8} {
		p := mustCompile(t, m, codegen.Options{Threads: threads})
		if !ok {
			if _, err := p.Call("f", args...); err == nil {
				t.Fatalf("no error for an index outside its operand")
			}
			continue
		}
		got := call(t, p, "f", args...)[0]
		if first == nil {
			first = got
			same(t, "f32", got, want, 2e-5)
		} else {
			sameBits(t, fmt.Sprintf("%d threads", threads), first, got)
		}
	}
	if ok {
		p := mustCompile(t, m, codegen.Options{Precision: tensor.F64, Threads: 2})
		same(t, "f64", call(t, p, "f", args...)[0], want, 1e-12)
	}
}

// generator draws random nests with operands that fit them.
type generator struct {
	*rapid.T
	extents []int
	args    []*tensor.Tensor
}

func (g *generator) intn(n int, label string) int { return rapid.IntRange(0, n-1).Draw(g.T, label) }

func (g *generator) chance(percent int, label string) bool { return g.intn(100, label) < percent }

func (g *generator) limits(i int) ir.Affine { return ir.Int(g.extents[i]) }

// affine draws an index expression over the loops.
func (g *generator) affine(depth int) ir.Affine {
	a := ir.Int(g.intn(3, "const"))
	if len(g.extents) == 0 {
		return a
	}
	switch g.intn(8, "kind") {
	case 0:
		return a
	case 1, 2, 3:
		return ir.Loop(g.intn(len(g.extents), "loop"))
	case 4, 5:
		a = a.Add(ir.Loop(g.intn(len(g.extents), "loop")).Scale(g.intn(5, "coef") - 2))
		return a.Add(ir.Loop(g.intn(len(g.extents), "loop")).Scale(g.intn(4, "coef") - 1))
	case 6:
		if depth > 0 {
			return g.affine(depth - 1).Div(2 + g.intn(3, "den"))
		}
	case 7:
		if depth > 0 {
			return g.affine(depth - 1).Mod(2 + g.intn(3, "den"))
		}
	}
	return ir.Loop(g.intn(len(g.extents), "loop"))
}

// inside shifts a to be at least 0 and returns a size that it stays below.
func (g *generator) inside(a ir.Affine) (ir.Affine, int) {
	b, ok := ir.BoundsOf(a, g.limits)
	if !ok {
		panic("bounds")
	}
	lo, hi := b.Lo.MustConst(), b.Hi.MustConst()
	if lo < 0 {
		a, hi = a.AddConst(-lo), hi-lo
	}
	return a, max(1, hi+1+g.intn(2, "slack"))
}

func (g *generator) add(t *tensor.Tensor) int {
	g.args = append(g.args, t)
	return len(g.args) - 1
}

func (g *generator) fill(d tensor.DType, lo, hi int, scale float64, shape ...int) *tensor.Tensor {
	t := tensor.New(d, shape...)
	seed := uint32(g.intn(1<<20, "seed"))
	for k := range t.Len() {
		seed = seed*1664525 + 1013904223
		t.Set(k, float64(lo+int(seed>>8)%(hi-lo+1))*scale)
	}
	return t
}

// read draws a read of a new operand.
func (g *generator) read(d tensor.DType) *ir.Expr {
	rank := g.intn(4, "rank")
	guarded := g.chance(35, "guarded")
	var ix []ir.Affine
	shape := make([]int, rank)
	for k := range rank {
		a, n := g.inside(g.affine(1))
		switch {
		case g.chance(15, "data"): // an index that is data
			load, m := g.inside(g.affine(0))
			n = 1 + g.intn(6, "size")
			lo, hi := 0, n-1
			if guarded || g.chance(3, "outside") {
				lo, hi = -1, n
			}
			a = ir.LoadIndex(&ir.Read{Operand: g.add(g.fill(tensor.I32, lo, hi, 1, m)), Index: []ir.Affine{load}}).Scale(1)
		case guarded && g.chance(60, "cut"):
			a = a.AddConst(-g.intn(3, "shift"))
			n = max(1, n-g.intn(4, "cut"))
		}
		ix, shape[k] = append(ix, a), n
	}
	for product(shape) > 1<<16 { // a guard makes it right again
		for k := range shape {
			shape[k] = (shape[k] + 1) / 2
		}
		guarded = true
	}
	var t *tensor.Tensor
	switch d {
	case tensor.F32:
		t = g.fill(tensor.F32, -8, 8, 0.25, shape...)
	case tensor.I32:
		t = g.fill(tensor.I32, -9, 9, 1, shape...)
	default:
		t = g.fill(tensor.Bool, 0, 1, 1, shape...)
	}
	k := g.add(t)
	if guarded {
		other := []float64{0, 1, -2.5}[g.intn(3, "else")]
		if d == tensor.I32 {
			other = math.Floor(other)
		} else if d == tensor.Bool {
			other = float64(g.intn(2, "else"))
		}
		return ir.ReadElse(d, k, other, ix...)
	}
	return ir.ReadOf(d, k, ix...)
}

// expr draws a scalar expression of type d whose values stay small and whose operations are exact in f32.
func (g *generator) expr(d tensor.DType, depth int) *ir.Expr {
	if depth == 0 || g.chance(25, "leaf") {
		switch {
		case g.chance(15, "literal"):
			v := float64(g.intn(5, "value") - 2)
			if d == tensor.Bool {
				v = math.Abs(math.Mod(v, 2))
			}
			return ir.Const(d, v)
		case d == tensor.I32 && g.chance(30, "index"):
			return ir.IndexValue(g.affine(1))
		}
		return g.read(d)
	}
	e := func(d tensor.DType) *ir.Expr { return g.expr(d, depth-1) }
	pick := func(ops ...ir.Op) ir.Op { return ops[g.intn(len(ops), "op")] }
	if g.chance(20, "select") {
		return ir.Apply(ir.OpSelect, e(tensor.Bool), e(d), e(d))
	}
	switch d {
	case tensor.F32:
		switch g.intn(5, "arity") {
		case 0:
			return ir.Apply(pick(ir.OpNeg, ir.OpAbs, ir.OpSign, ir.OpFloor, ir.OpRelu, ir.OpStop), e(d))
		case 1:
			return ir.Apply(ir.OpToF32, e([]tensor.DType{tensor.I32, tensor.Bool}[g.intn(2, "from")]))
		}
		return ir.Apply(pick(ir.OpAdd, ir.OpSub, ir.OpMul, ir.OpMin, ir.OpMax), e(d), e(d))
	case tensor.I32:
		switch g.intn(5, "arity") {
		case 0:
			return ir.Apply(pick(ir.OpNeg, ir.OpAbs, ir.OpSign), e(d))
		case 1:
			return ir.Apply(ir.OpToI32, e(tensor.F32))
		}
		return ir.Apply(pick(ir.OpAdd, ir.OpSub, ir.OpMul, ir.OpDiv, ir.OpMod, ir.OpMin, ir.OpMax), e(d), e(d))
	}
	if g.chance(30, "logic") {
		return ir.Apply(pick(ir.OpAnd, ir.OpOr), e(d), e(d))
	}
	of := []tensor.DType{tensor.F32, tensor.I32}[g.intn(2, "of")]
	return ir.Apply(pick(ir.OpLess, ir.OpLessEqual, ir.OpEqual, ir.OpNotEqual), e(of), e(of))
}

// nest draws a nest.
func (g *generator) nest() *ir.Nest {
	n := &ir.Nest{}
	loops := g.intn(5, "loops")
	points := 1
	for k := range loops {
		e := []int{1, 2, 3, 4, 5, 7, 8, 13, 37, 700, 0}[g.intn(11, "extent")]
		if points*e > 40_000 || e == 0 && g.chance(80, "nonempty") {
			e = 2
		}
		points *= max(1, e)
		g.extents = append(g.extents, e)
		n.Index = append(n.Index, ir.Index{Name: fmt.Sprintf("i%d", k), Extent: ir.Int(e)})
	}
	d := []tensor.DType{tensor.F32, tensor.F32, tensor.I32, tensor.Bool}[g.intn(4, "dtype")]
	n.Combine = ir.Combine(g.intn(7, "combine"))
	if d == tensor.Bool && n.Combine != ir.Max && n.Combine != ir.Min {
		n.Combine = ir.Map
	}
	n.Out = loops
	if n.Combine != ir.Map {
		n.Out = g.intn(loops+1, "out")
	}
	n.Body = g.expr(d, 2)
	for range g.intn(3, "guards") * g.intn(2, "guarded") {
		e := g.affine(1).AddConst(-g.intn(3, "shift"))
		limit := ir.Int(g.intn(8, "limit"))
		if g.chance(30, "own") {
			a, m := g.inside(g.affine(0))
			limit = ir.LoadIndex(&ir.Read{Operand: g.add(g.fill(tensor.I32, 0, 9, 1, m)), Index: []ir.Affine{a}})
		}
		n.Guards = append(n.Guards, ir.Guard{E: e, Limit: limit})
	}
	if n.Combine == ir.Sum && g.chance(40, "scatter") {
		n.Out = 0
		size := 1
		n.Write = []ir.Affine{}
		n.Shape = []ir.Affine{}
		for range 1 + g.intn(3, "rank") {
			a, m := g.inside(g.affine(1))
			if g.chance(25, "data") {
				at, k := g.inside(g.affine(0))
				a = ir.LoadIndex(&ir.Read{Operand: g.add(g.fill(tensor.I32, 0, m-1, 1, k)), Index: []ir.Affine{at}})
			}
			if size*m > 1<<16 {
				a, m = ir.Int(0), 1
			}
			size *= m
			n.Write, n.Shape = append(n.Write, a), append(n.Shape, ir.Int(m))
		}
	}
	return n
}

func TestRandomNests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &generator{T: t}
		n := g.nest()
		for i, e := range g.extents {
			t.Logf("i%d < %d", i, e)
		}
		t.Logf("%v out %d guards %v write %v shape %v: %v", n.Combine, n.Out, n.Guards, n.Write, n.Shape, n.Body)
		checkNest(t, n, g.args)
	})
}

// TestEmbeddingGradient scatters rows, many of them on the same ones, in several jobs.
func TestEmbeddingGradient(t *testing.T) {
	const tokens, words, units = 400, 11, 150
	ids := tensor.New(tensor.I32, tokens)
	for k := range ids.I32 {
		ids.I32[k] = int32(k * k % words)
	}
	at := ir.LoadIndex(&ir.Read{Operand: 0, Index: []ir.Affine{ir.Loop(0)}})
	n := &ir.Nest{
		Combine: ir.Sum, Index: ir.Indices([]ir.Affine{ir.Int(tokens), ir.Int(units)}),
		Write: []ir.Affine{at, ir.Loop(1)}, Shape: []ir.Affine{ir.Int(words), ir.Int(units)},
		Body: ir.ReadOf(tensor.F32, 1, ir.Loop(0), ir.Loop(1)),
	}
	args := []*tensor.Tensor{ids, ramp(tokens, units)}
	if parts := len(compiledNest(n, args).parts); parts < 2 {
		t.Errorf("%d job", parts)
	}
	checkNest(t, n, args)
	ids.I32[399] = words
	checkNest(t, n, args) // an error
}

// TestInplace checks which operands an elementwise nest may overwrite.
func TestInplace(t *testing.T) {
	n := &ir.Nest{Combine: ir.Map, Out: 2, Index: ir.Indices([]ir.Affine{ir.Int(3), ir.Int(3)})}
	i, j := ir.Loop(0), ir.Loop(1)
	n.Body = ir.Apply(ir.OpAdd,
		ir.Apply(ir.OpMul, ir.ReadOf(tensor.F32, 0, i, j), ir.ReadOf(tensor.F32, 1, j, i)),
		ir.Apply(ir.OpAdd, ir.ReadOf(tensor.F32, 2, j), ir.Apply(ir.OpAdd, ir.ReadOf(tensor.F32, 3, i, j), ir.ReadOf(tensor.F32, 3, j, i))))
	got := compiledNest(n, []*tensor.Tensor{ramp(3, 3), ramp(3, 3), ramp(3), ramp(3, 3)}).inplace
	if fmt.Sprint(got) != "[true false false false]" {
		t.Errorf("in place: %v", got)
	}
}
