package native

import (
	"fmt"
	"math"
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// needLLVM skips a test where there is no code generator, except where everything must be tested.
func needLLVM(t testing.TB) *Toolchain {
	t.Helper()
	tools, err := FindToolchain()
	if err == nil {
		if _, err = DetectLevel(); err == nil {
			return tools
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
	return nil
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
	loop := func() ir.Affine { return ir.Loop(g.intn(len(g.extents), "loop")) }
	switch g.intn(8, "kind") {
	case 0:
		return a
	case 1, 2, 3:
		return loop()
	case 4, 5:
		return a.Add(loop().Scale(g.intn(5, "coef") - 2)).Add(loop().Scale(g.intn(4, "coef") - 1))
	case 6:
		if depth > 0 {
			return g.affine(depth - 1).Div(2 + g.intn(3, "den"))
		}
	case 7:
		if depth > 0 {
			return g.affine(depth - 1).Mod(2 + g.intn(3, "den"))
		}
	}
	return loop()
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
			a = ir.LoadIndex(&ir.Read{Operand: g.add(g.fill(tensor.I32, lo, hi, 1, m)), Index: []ir.Affine{load}})
		case guarded && g.chance(60, "cut"):
			a = a.AddConst(-g.intn(3, "shift"))
			n = max(1, n-g.intn(4, "cut"))
		}
		ix, shape[k] = append(ix, a), n
	}
	for tensor.New(tensor.Bool, shape...).Len() > 1<<16 { // a guard makes it right again
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
			other = math.Abs(math.Floor(other) / 3)
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
		e := []int{1, 2, 3, 4, 5, 7, 8, 13, 37, 96, 700, 5000, 0}[g.intn(13, "extent")]
		if points*e > 60_000 || e == 0 && g.chance(80, "nonempty") {
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
	if n.Combine == ir.Prod && points > 900 { // beyond that partial products overflow, in an order of their own
		n.Combine = ir.Sum
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
		n.Write = []ir.Affine{}
		n.Shape = []ir.Affine{}
		elements := 1
		for range 1 + g.intn(3, "rank") {
			a, m := g.inside(g.affine(1))
			if g.chance(25, "data") {
				at, k := g.inside(g.affine(0))
				a = ir.LoadIndex(&ir.Read{Operand: g.add(g.fill(tensor.I32, 0, m-1, 1, k)), Index: []ir.Affine{at}})
			}
			n.Write, n.Shape = append(n.Write, a), append(n.Shape, ir.Int(m))
			if elements *= m; elements > 1<<20 {
				n.Write, n.Shape = []ir.Affine{ir.Int(0)}, []ir.Affine{ir.Int(1)}
				break
			}
		}
	}
	return n
}

// sample is a nest with operands.
type sample struct {
	nest *ir.Nest
	args []*tensor.Tensor
	note string
}

var samples = rapid.Custom(func(t *rapid.T) sample {
	g := &generator{T: t}
	n := g.nest()
	note := ""
	for i, e := range g.extents {
		note += fmt.Sprintf("i%d < %d; ", i, e)
	}
	for i, a := range g.args {
		note += fmt.Sprintf("%%%d %v; ", i, a)
	}
	note += fmt.Sprintf("%v out %d guards %v write %v shape %v: %v", n.Combine, n.Out, n.Guards, n.Write, n.Shape, n.Body)
	return sample{n, g.args, note}
})

// addNest adds a function of that name that computes a nest of its parameters.
func addNest(m *ir.Module, name string, n *ir.Nest, args []*tensor.Tensor) {
	b := ir.NewFunc(name)
	b.Loc = ir.Loc{File: "a.nn", Line: 3, Col: 4}
	var params []*ir.Value
	for i, a := range args {
		shape := make([]ir.Affine, len(a.Shape))
		for k, d := range a.Shape {
			shape[k] = ir.Int(d)
		}
		params = append(params, b.Param(fmt.Sprintf("x%d", i), ir.Type{DType: a.DType, Shape: shape}))
	}
	b.Return("z", b.Nest(n, params...))
	m.AddFunc(b.Func)
}

func compileBoth(t testing.TB, m *ir.Module) (native, reference runtime.Program) {
	t.Helper()
	return compileWith(t, m, codegen.Options{Threads: 2})
}

func compileWith(t testing.TB, m *ir.Module, opts codegen.Options) (native, reference runtime.Program) {
	t.Helper()
	needLLVM(t)
	p, err := Backend{}.Compile(m, opts)
	if err != nil {
		t.Fatal(err)
	}
	q, err := interp.Backend{}.Compile(m, codegen.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return p, q
}

// differ describes where two tensors differ by more than tol, relatively or below 1 absolutely; "" if nowhere.
func differ(got, want *tensor.Tensor, tol float64) string {
	if fmt.Sprint(got.DType, got.Shape) != fmt.Sprint(want.DType, want.Shape) {
		return fmt.Sprintf("got %v, want %v", got, want)
	}
	for k := range want.Len() {
		g, w := got.At(k), want.At(k)
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		if !(math.Abs(g-w) <= tol*max(1, math.Abs(w))) {
			return fmt.Sprintf("element %d is %v, want %v", k, g, w)
		}
	}
	return ""
}

func TestRandomNests(t *testing.T) {
	needLLVM(t)
	batch, first := 300, 1
	if s := os.Getenv("NNC_NESTS"); s != "" { // FIRST,COUNT: others than the usual ones
		if _, err := fmt.Sscanf(s, "%d,%d", &first, &batch); err != nil {
			t.Fatal(err)
		}
	}
	m := ir.NewModule()
	all := make([]sample, batch)
	for k := range all {
		all[k] = samples.Example(k + first)
		addNest(m, fmt.Sprintf("f%d", k), all[k].nest, all[k].args)
	}
	p, q := compileBoth(t, m)
	for k, s := range all {
		fn := fmt.Sprintf("f%d", k)
		want, wantErr := q.Call(fn, s.args...)
		got, err := p.Call(fn, s.args...)
		switch {
		case wantErr != nil && err == nil:
			t.Errorf("%s: no error, want %v\n%s", fn, wantErr, s.note)
		case wantErr != nil:
		case err != nil:
			t.Errorf("%s: %v\n%s", fn, err, s.note)
		default:
			// The interpreter sums in double precision.
			if d := differ(got[0], want[0], 2e-5); d != "" {
				t.Errorf("%s: %s\n%s", fn, d, s.note)
			}
		}
	}
}
