package ir

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
)

func parsed(t testing.TB, text string) *Module {
	t.Helper()
	m, err := Parse(diag.NewFile("test.nnir", text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return m
}

// forms.nnir has every form of the text, and is a valid module.
func forms(t testing.TB) string {
	text, err := os.ReadFile("testdata/forms.nnir")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestForms(t *testing.T) {
	text := forms(t)
	m := parsed(t, text)
	if diff := cmp.Diff(text, Print(m)); diff != "" {
		t.Errorf("-text +printed:\n%s", diff)
	}
	if err := Verify(m); err != nil {
		t.Error(err)
	}
	bare := PrintOptions{NoLoc: true}.Print(m)
	if strings.Contains(bare, " at ") || len(bare) >= len(text) {
		t.Errorf("places remain:\n%s", bare)
	}
	if f := m.Func("CatDog"); !strings.HasPrefix(f.String(), "func @CatDog(%x: f32[B, 32, 32, 3]) -> (f32[B, 1]) {\n  %r:") {
		t.Errorf("a function prints as\n%s", f)
	}
}

// Text that is not as Print writes it: what it is read as.
func TestParseFreeForm(t *testing.T) {
	const function = "func @f(%x: f32[N, 4], %i: i32[4]) -> (f32[N, 4]) {\n  %y: f32[N, 4] = %s\n  return %y\n}\n"
	for _, c := range [][2]string{
		{"map[a<N,b<4]%x[a,b]", "map [a<N, b<4] %x[a, b]"},
		{"map [a<N, b<4] # all of it\n %x[a, b]", "map [a<N, b<4] %x[a, b]"},
		{"map [a<N, b<2+2] %x[1+a-1, b*1]", "map [a<N, b<4] %x[a, b]"},
		{"map [a<N, b<4] %x[a, (b+4*N-N*4)/1]", "map [a<N, b<4] %x[a, b]"},
		{"map [a<N, b<4] %x[a, %i[b]+1-1]", "map [a<N, b<4] %x[a, %i[b]]"},
		{"map [a<N, b<4] %x[a, -(-2*b)/2]", "map [a<N, b<4] %x[a, b]"},
		{"map [a<N, b<4] to_f32(%i[b]+%i[b])", "map [a<N, b<4] to_f32(2*%i[b])"},
		{"map [a<N, b<4] to_f32(%i[b]*2/3)", "map [a<N, b<4] to_f32(((2*%i[b])/3))"},
		{"map [a<N, b<4] to_f32((%i[b]))", "map [a<N, b<4] to_f32(%i[b])"},
		{"map [a<N, b<4] -1e3", "map [a<N, b<4] -1000.0"},
		{"map [a<N, b<4] to_f32(-2147483648)", ""},
		{"map [a<N, b<4] - inf", "map [a<N, b<4] -inf"},
		{"sum [a<N, b<4 | ] 1.", "sum [a<N, b<4] 1.0"},
		{"sum [a<N, b<4 | c<2, d<N] %x[d, c]", ""},
		{"map [a<N, b<4] where (a < N, 0 < 1) %x[a, b] else -0.0", ""},
		{"map [a<N, b<4] select(equal(%i[(%i[b-1] else 0)], -3), nan, to_f32(a+2*b-N))", ""},
	} {
		want := c[1]
		if want == "" {
			want = c[0]
		}
		text := strings.Replace(function, "%s", c[0], 1)
		if diff := cmp.Diff(strings.Replace(function, "%s", want, 1), Print(parsed(t, text))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c[0], diff)
		}
	}
}

func TestParseErrors(t *testing.T) {
	in := func(line string) string {
		return "cell @c: f32[4] param\nfunc @f(%x: f32[N, 4], %i: i32[4], %q: f32[]) -> () {\n" + line + "\nreturn\n}\n"
	}
	for _, c := range []struct{ text, want string }{
		{"module", `1:1 unexpected-token expected cell or func, found "module"`},
		{"cell c", `1:6 unexpected-token expected the cell's name, found "c"`},
		{"cell @", `1:6 invalid-character a name must follow @`},
		{"cell @c: f64[] param", `1:10 unknown-name f64 is no element type: they are f32, i32 and bool`},
		{"cell @c: f32[3] weight", `1:17 unknown-name weight is no kind of cell: they are param, state, slot, stream, metric and part`},
		{"cell @c: f32[3] param cell @c: i32[] slot", `1:28 duplicate-name a second cell @c`},
		{"cell @c: f32[b] param", `1:14 unknown-name b is no loop index here, and symbols start with an upper-case letter`},
		{"cell @c: f32[%x[]] param", `1:14 unknown-name %x is not defined before this place`},
		{"cell @\"c", `1:7 unterminated-string the string has no closing "`},
		{"cell @\"\\q\": f32[] param", `1:6 invalid-escape "\q" is no string`},
		{"cell @c: f32[99999999999] param", `1:14 invalid-number 99999999999 is too large`},
		{"cell @c: f32[99999999999999999999999] param", `1:14 invalid-number 99999999999999999999999 is too large`},
		{"cell @c: f32[2000000000*N*2000000000] param", `1:26 invalid-number the index expression has a number that is too large`},
		{"cell @c: f32[N*M] param", `1:15 type-mismatch one side of a product must be a constant`},
		{"cell @c: f32[N/0] param", `1:15 type-mismatch a quotient must be by a constant of at least 1`},
		{"cell @c: f32[N/M] param", `1:15 type-mismatch a quotient must be by a constant of at least 1`},
		{"cell @c: f32[3", `1:15 unexpected-token expected ], found the end`},
		{"func @f() -> () { return } func @f() -> () { return }", `1:33 duplicate-name a second function @f`},
		{"func @f() -> () { return", `1:25 unexpected-token expected a value, found the end`},
		{"func @f(%a: f32[], %a: f32[]) -> () { return }", `1:20 duplicate-name a second value %a`},
		{"func @f(%a: f32[]) -> () { return %a }", `1:28 type-mismatch 1 values returned, but the function has 0 results`},
		{"func @f(%a: f32[]) -> (i32[]) { return %a }", `1:40 type-mismatch %a is f32[], but the function's result 1 is i32[]`},
		{"func @f() -> (f32[]) { return %a }", `1:31 unknown-name %a is not defined before this place`},
		{in("%y: f32[] = blend %x"), `3:13 unknown-name blend is no instruction`},
		{in("%y: f32[] = add %x"), `3:13 unknown-name add is no instruction`},
		{in("%y: f32[] = map [] %y[]"), `3:20 unknown-name %y is not defined before this place`},
		{in("%x: f32[] = map [] 1.0"), `3:1 duplicate-name a second value %x`},
		{in("map [] 1.0"), `3:1 type-mismatch map has one result, not 0`},
		{in("%y: f32[4] = map [a<4, a<4] 1.0"), `3:24 duplicate-name a cannot name a loop index: it names something else here`},
		{in("%y: f32[4] = map [N<4] 1.0"), `3:19 duplicate-name N cannot name a loop index: it names something else here`},
		{in("%y: f32[4] = map [else<4] 1.0"), `3:19 duplicate-name else cannot name a loop index: it names something else here`},
		{in("%y: f32[4] = map [a<%i[0]] 1.0"), `3:21 unexpected-token a dimension cannot depend on data`},
		{in("%y: f32[4] = map [a<4, b<a] 1.0"), `3:26 unknown-name a is no loop index here, and symbols start with an upper-case letter`},
		{in("%y: f32[4] = map [a<4] %x[0, %q[]]"), `3:30 type-mismatch an index must be i32, and %q is f32`},
		{in("%y: f32[4] = map [a<4] %q[]+1"), `3:24 type-mismatch an index must be i32, and %q is f32`},
		{in("%y: f32[4] = map [a<4] add(%q[], 1)"), `3:24 type-mismatch add takes (T, T) -> T, not i32 as operand 2`},
		{in("%y: f32[4] = map [a<4] add(%q[])"), `3:24 type-mismatch add takes 2 operands, not 1`},
		{in("%y: f32[4] = map [a<4] gelu(%q[])"), `3:24 unknown-name there is no scalar op gelu`},
		{in("%y: f32[4] = map [a<4] %q[] else 1"), `3:34 unexpected-token expected an f32 literal, such as 1.0 or inf, found "1"`},
		{in("%y: i32[4] = map [a<4] %i[a] else 1.5"), `3:35 unexpected-token expected a whole number, found "1.5"`},
		{in("%y: i32[4] = map [a<4] 2147483647+1"), `3:24 invalid-number 2147483648 does not fit an i32`},
		{in("%y: i32[4] = map [a<4] %i[a] else -2147483649"), `3:35 invalid-number -2147483649 does not fit an i32`},
		{in("%y: f32[4] = map [a<4] 1e999"), `3:24 invalid-number 1e999 is too large`},
		{in("%y: f32[4] = map [a<4]"), `4:1 unknown-name return is no loop index here, and symbols start with an upper-case letter`},
		{in("%y: f32[4] = map [a<4] " + strings.Repeat("neg(", 1200)), `3:4024 nesting-too-deep more than 1000 levels of nesting`},
		{in("%y: f32[4] = map [a<4] " + strings.Repeat("(", 1200)), `3:1023 nesting-too-deep more than 1000 levels of nesting`},
		{in("%y: f32[4] = map [a<4] " + strings.Repeat("%i[", 1200)), `3:1524 nesting-too-deep more than 1000 levels of nesting`},
		{in("%y: f32[2] = const [1.0]"), `3:14 type-mismatch 1 elements for f32[2]`},
		{in("%y: f32[2147483647, 2147483647, 2147483647, 2147483647] = const [1.0]"), `3:59 type-mismatch 1 elements for f32[2147483647, 2147483647, 2147483647, 2147483647]`},
		{in("%y: f32[N] = const [1.0]"), `3:14 type-mismatch a constant cannot be f32[N]`},
		{in("%y: f32[1] = const [1]"), `3:21 unexpected-token expected an f32 literal, such as 1.0 or inf, found "1"`},
		{in("%y: bool[1] = const [1]"), `3:22 unexpected-token expected true or false, found "1"`},
		{in("%y: f32[4] = read @d"), `3:19 unknown-name there is no cell @d`},
		{in("%y: f32[4] = call @g()"), `3:19 unknown-name there is no function @g`},
		{in("%y: f32[4] = read @c at 3"), `3:25 unexpected-token expected the file's name, found "3"`},
		{in("%y: f32[4] = scan t<3 carried -1"), `3:31 unexpected-token expected the number of carried values, found "-"`},
		{in("%y: f32[4] = map [a<4] %q[] ~"), `3:29 invalid-character '~' has no meaning here`},
	} {
		_, err := Parse(diag.NewFile("t", c.text))
		var list *diag.List
		if !errors.As(err, &list) || len(list.All) != 1 {
			t.Errorf("%s: error %v", c.text, err)
			continue
		}
		d := list.All[0]
		at := d.Span.File.Position(d.Span.Start)
		if got := fmt.Sprintf("%d:%d %s %s", at.Line, at.Col, d.Code, d.Message); got != c.want {
			t.Errorf("%.200s\n got %s\nwant %s", c.text, got, c.want)
		}
	}
}

// Names that the text has no place for are changed, and never two made one.
func TestPrintNames(t *testing.T) {
	b := NewFunc("a b")
	x := b.Param("x", Type{tensor.F32, []Affine{Symbol("N"), Int(2)}})
	b.Param("x", Scalar(tensor.I32))
	b.Param("", Scalar(tensor.I32))
	b.Param("x_1", Scalar(tensor.I32))
	b.Param("0", Scalar(tensor.I32))
	b.Param("größe.1", Scalar(tensor.I32))
	b.Param("a b", Scalar(tensor.I32))
	y := b.Nest(&Nest{
		Combine: Sum, Out: 1, Index: []Index{{"N", Symbol("N")}, {"", Int(2)}, {"i1", Int(2)}, {"i1", Int(2)}, {"to", Int(2)}},
		Body: ReadOf(tensor.F32, 0, Loop(0), Loop(1)),
	}, x)
	b.Return("the loss", y)
	m := NewModule()
	m.AddFunc(b.Func)
	want := `func @"a b"(%x: f32[N, 2], %x_2: i32[], %1: i32[], %x_1: i32[], %0: i32[], %größe.1: i32[], %a_b: i32[]) -> ("the loss": f32[N]) {
  %2: f32[N] = sum [i0<N | i1<2, i1_1<2, i1_2<2, i4<2] %x[i0, i1]
  return %2
}
`
	if diff := cmp.Diff(want, Print(m)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(want, Print(parsed(t, want))); diff != "" {
		t.Errorf("again: -want +got:\n%s", diff)
	}
}

// Operands have no order in the text but that of their reads, and none twice.
func TestPrintOrdersOperands(t *testing.T) {
	b := NewFunc("f")
	v := func(name string) *Value { return b.Param(name, Type{tensor.I32, []Affine{Int(4)}}) }
	p, q, r := v("p"), v("q"), v("r")
	at := func(k int) Affine { return LoadIndex(&Read{Operand: k, Index: []Affine{Loop(0)}}) }
	b.Nest(&Nest{Index: []Index{{"i", Int(4)}}, Out: 1, Body: Apply(OpAdd,
		ReadOf(tensor.I32, 3, at(1).Add(at(0))), IndexValue(at(0).Add(at(1)).Add(at(2)).Add(at(4))))}, p, q, r, r, p)
	b.Func.ResultNames = nil
	const want = "add(%r[%p[i]+%q[i]], %r[i]+2*%p[i]+%q[i])"
	text := b.Func.String()
	if !strings.Contains(text, want) {
		t.Fatalf("printed\n%swant %s", text, want)
	}
	if again := Print(parsed(t, text)); again != text {
		t.Errorf("first\n%sthen\n%s", text, again)
	}
}

// A module that is broken can still be printed.
func TestPrintBroken(t *testing.T) {
	stranger := &Value{Name: "s", Type: Scalar(tensor.F32)}
	f := &Func{Name: "f", Results: []*Value{stranger, nil}}
	f.Body = []*Instr{
		{Op: OpNest, Nest: &Nest{Combine: Sum, Body: Apply(OpAdd, ReadOf(tensor.F32, 7, Loop(3)), ReadOf(tensor.F32, 0))}, Args: []*Value{stranger}},
		{Op: OpReshape},
		{Op: OpAdd, Args: []*Value{nil}},
	}
	want := `func @f() -> (f32[], f32[]) {
  sum [] add(%!operand7[!index3], %!undefined[])
  reshape
  add %!undefined
  return %!undefined, %!undefined
}
`
	f.Results[1] = &Value{Type: Scalar(tensor.F32)}
	if diff := cmp.Diff(want, f.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// randomModule draws a module of every form, which need not be valid.
type randomModule struct {
	t *rapid.T
	m *Module
	b *Builder
	v []*Value // defined in the function
}

var hints = []string{"", "x", "y", "x", "1", "x_1", "i0", "else", "N", "größe", "a b", "a.b", "%", "\xff", "\u2028", "true"}

func drawModule(t *rapid.T) *Module {
	r := &randomModule{t: t, m: NewModule()}
	for i := range rapid.IntRange(0, 3).Draw(t, "cells") {
		kind := rapid.SampledFrom([]CellKind{Param, State, Slot, Stream, Metric}).Draw(t, "kind")
		r.m.AddCell(&Cell{Name: r.hint() + fmt.Sprint(i), Type: r.typ(), Kind: kind})
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "functions") {
		f := r.function(r.hint()+fmt.Sprint(i), 2)
		f.Finite = rapid.Bool().Draw(t, "finite")
		r.m.AddFunc(f)
	}
	return r.m
}

func (r *randomModule) hint() string { return rapid.SampledFrom(hints).Draw(r.t, "hint") }

func (r *randomModule) dtype() tensor.DType {
	return rapid.SampledFrom([]tensor.DType{tensor.F32, tensor.I32, tensor.Bool}).Draw(r.t, "type")
}

func (r *randomModule) typ() Type {
	t := Type{DType: r.dtype()}
	for range rapid.IntRange(0, 3).Draw(r.t, "rank") {
		d, _ := drawAffine(r.t, 2, 0)
		t.Shape = append(t.Shape, d)
	}
	return t
}

func (r *randomModule) value() *Value { return rapid.SampledFrom(r.v).Draw(r.t, "value") }

func (r *randomModule) function(name string, depth int) *Func {
	outer, outerB := r.v, r.b
	defer func() { r.v, r.b = outer, outerB }()
	r.v, r.b = nil, NewFunc(name)
	for range rapid.IntRange(1, 3).Draw(r.t, "params") {
		r.v = append(r.v, r.b.Param(r.hint(), r.typ()))
	}
	for range rapid.IntRange(0, 5).Draw(r.t, "instructions") {
		if rapid.Bool().Draw(r.t, "place") {
			r.b.Loc = Loc{r.hint(), rapid.IntRange(0, 9).Draw(r.t, "line"), rapid.IntRange(0, 99).Draw(r.t, "column"), r.hint()}
		}
		in := r.instruction(depth)
		for _, v := range in.Results {
			v.Name = r.hint()
		}
		r.v = append(r.v, in.Results...)
	}
	for i := range rapid.IntRange(0, 2).Draw(r.t, "results") {
		name := r.hint()
		if name != "" {
			name += fmt.Sprint(i)
		}
		r.b.Return(name, r.value())
	}
	return r.b.Func
}

func (r *randomModule) instruction(depth int) *Instr {
	kinds := 9
	if depth > 0 {
		kinds = 10
	}
	switch kind := rapid.IntRange(0, kinds-1).Draw(r.t, "instruction"); kind {
	case 0:
		return r.b.Append(&Instr{Op: OpReshape, Args: []*Value{r.value()}}, r.typ())
	case 1:
		n := rapid.IntRange(0, 3).Draw(r.t, "elements")
		data := tensor.New(r.dtype(), n, 2)
		for i := range data.Len() {
			v := rapid.SampledFrom([]float64{0, 1, -1, math.Copysign(0, -1), 0.1, 1e30, math.Inf(-1), math.NaN()}).Draw(r.t, "element")
			if data.DType != tensor.F32 {
				v = float64(i % 2)
			}
			data.Set(i, v)
		}
		return r.b.Append(&Instr{Op: OpConst, Data: data}, Type{data.DType, []Affine{Int(n), Int(2)}})
	case 2, 3:
		if len(r.m.Cells) > 0 {
			c := rapid.SampledFrom(r.m.Cells).Draw(r.t, "cell")
			if kind == 2 {
				return r.b.Append(&Instr{Op: OpRead, Cell: c}, r.typ())
			}
			return r.b.Append(&Instr{Op: OpWrite, Cell: c, Args: []*Value{r.value()}})
		}
	case 4:
		if len(r.m.Funcs) > 0 {
			f := rapid.SampledFrom(r.m.Funcs).Draw(r.t, "called")
			in := &Instr{Op: OpCall, Call: f}
			for range rapid.IntRange(0, 2).Draw(r.t, "arguments") {
				in.Args = append(in.Args, r.value())
			}
			return r.b.Append(in, make([]Type, 0)...)
		}
	case 5:
		return r.b.Append(&Instr{Op: OpGrad, Args: []*Value{r.value(), r.value()}}, r.typ(), r.typ())
	case 9:
		body := r.function("", depth-1)
		trip, _ := drawAffine(r.t, 1, 0)
		n := rapid.IntRange(0, 3)
		s := &Scan{
			Body: body, Trip: trip, Carried: n.Draw(r.t, "carried"), Slices: n.Draw(r.t, "slices"), Axis: n.Draw(r.t, "axis"),
			Reversed: rapid.Bool().Draw(r.t, "reversed"), Length: rapid.Bool().Draw(r.t, "length"),
		}
		return r.b.Append(&Instr{Op: OpScan, Scan: s, Args: []*Value{r.value(), r.value()}}, r.typ(), r.typ())
	}
	return r.nest()
}

func (r *randomModule) nest() *Instr {
	t := r.t
	n := &Nest{Combine: rapid.SampledFrom([]Combine{Map, Sum, Prod, Max, Min, ArgMax, ArgMin}).Draw(t, "combine")}
	for range rapid.IntRange(0, indices).Draw(t, "indices") {
		extent, _ := drawAffine(t, 1, 0)
		n.Index = append(n.Index, Index{r.hint(), extent})
	}
	n.Out = rapid.IntRange(0, len(n.Index)).Draw(t, "out")
	args := make([]*Value, rapid.IntRange(1, 4).Draw(t, "operands"))
	for i := range args {
		args[i] = r.value()
	}
	var index func(depth int) Affine
	load := func(depth, k int) *Read {
		read := &Read{Operand: k}
		for range args[k].Type.Shape {
			read.Index = append(read.Index, index(depth-1))
		}
		if rapid.Bool().Draw(t, "guarded") {
			read.Guarded, read.Else = true, 1
			if args[k].Type.DType == tensor.F32 {
				read.Else = math.Inf(-1)
			}
		}
		return read
	}
	index = func(depth int) Affine {
		a, _ := drawAffine(t, 2, len(n.Index))
		k := rapid.IntRange(0, len(args)-1).Draw(t, "operand")
		if depth > 0 && args[k].Type.DType == tensor.I32 {
			a = a.Add(LoadIndex(load(depth, k)).Scale(rapid.IntRange(-2, 2).Draw(t, "factor")))
			if rapid.Bool().Draw(t, "quotient") {
				a = a.Div(3)
			}
		}
		return a
	}
	n.Body = drawExpr(t, r.dtype(), 3, func(t *rapid.T, d tensor.DType) *Expr {
		k := rapid.IntRange(0, len(args)-1).Draw(t, "operand")
		switch {
		case args[k].Type.DType == d && rapid.Bool().Draw(t, "read"):
			return &Expr{Leaf: LeafRead, DType: d, Read: load(2, k)}
		case d == tensor.I32:
			return IndexValue(index(1))
		case d == tensor.Bool:
			return Const(d, float64(rapid.IntRange(0, 1).Draw(t, "bool")))
		}
		return F32(rapid.Float64().Draw(t, "literal"))
	})
	for range rapid.IntRange(0, 2).Draw(t, "guards") {
		n.Guards = append(n.Guards, Guard{index(2), index(1)})
	}
	typ := Type{n.ResultDType(), n.ResultShape()}
	if rapid.Bool().Draw(t, "scatter") {
		typ = r.typ()
		n.Combine, n.Out, n.Shape, n.Write = Sum, 0, typ.Shape, []Affine{}
		for range rapid.IntRange(0, 2).Draw(t, "written") {
			n.Write = append(n.Write, index(2))
		}
	}
	return r.b.Append(&Instr{Op: OpNest, Nest: n, Args: args}, typ)
}

// Print and Parse are inverses: the text is the same again, and so is all that the text stands for.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModule(t)
		text := Print(m)
		again, err := Parse(diag.NewFile("t", text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(text, Print(again)); diff != "" {
			t.Fatalf("-first +again:\n%s", diff)
		}
		if len(m.Cells) != len(again.Cells) || len(m.Funcs) != len(again.Funcs) {
			t.Fatal("cells or functions are lost")
		}
		for i, c := range m.Cells {
			d := again.Cells[i]
			if c.Name != d.Name || !c.Type.Equal(d.Type) || c.Kind != d.Kind {
				t.Fatalf("cell %v became %v", c, d)
			}
		}
		for i, f := range m.Funcs {
			if why := funcsDiffer(f, again.Funcs[i]); why != "" {
				t.Fatalf("function %d: %s\n%s", i, why, text)
			}
		}
	})
}

// funcsDiffer says in what f and g differ apart from names and from operands that the text has no place for.
func funcsDiffer(f, g *Func) string {
	if f.Name != g.Name || f.Finite != g.Finite || !cmp.Equal(f.ResultNames, g.ResultNames) ||
		len(f.Params) != len(g.Params) || len(f.Body) != len(g.Body) || len(f.Results) != len(g.Results) {
		return "header or sizes"
	}
	same := map[*Value]*Value{}
	equal := func(xs, ys []*Value) bool {
		for i := range xs {
			if i >= len(ys) || same[xs[i]] != ys[i] {
				return false
			}
		}
		return len(xs) == len(ys)
	}
	define := func(xs, ys []*Value) bool {
		for i := range xs {
			if i >= len(ys) || !xs[i].Type.Equal(ys[i].Type) {
				return false
			}
			same[xs[i]] = ys[i]
		}
		return len(xs) == len(ys)
	}
	if !define(f.Params, g.Params) {
		return "parameters"
	}
	for i, a := range f.Body {
		b := g.Body[i]
		aArgs := a.Args
		if a.Op != b.Op || a.Loc != b.Loc {
			return "op or place"
		}
		switch a.Op {
		case OpNest:
			var n *Nest
			n, aArgs = canonicalNest(a.Nest, a.Args)
			if why := nestsDiffer(n, b.Nest); why != "" {
				return why
			}
		case OpConst:
			if !cmp.Equal(a.Data.Shape, b.Data.Shape) || a.Data.DType != b.Data.DType {
				return "constant's type"
			}
			for i := range a.Data.Len() {
				if compareNumbers(a.Data.At(i), b.Data.At(i)) != 0 {
					return "constant"
				}
			}
		case OpRead, OpWrite:
			if a.Cell.Name != b.Cell.Name {
				return "cell"
			}
		case OpCall:
			if a.Call.Name != b.Call.Name {
				return "called function"
			}
		case OpScan:
			s, t := *a.Scan, *b.Scan
			if why := funcsDiffer(s.Body, t.Body); why != "" {
				return "body: " + why
			}
			if !s.Trip.Equal(t.Trip) || s.Carried != t.Carried || s.Slices != t.Slices || s.Axis != t.Axis ||
				s.Reversed != t.Reversed || s.Length != t.Length {
				return "scan"
			}
		}
		if !equal(aArgs, b.Args) {
			return "operands of " + a.Op.String()
		}
		if !define(a.Results, b.Results) {
			return "results of " + a.Op.String()
		}
	}
	if !equal(f.Results, g.Results) {
		return "results"
	}
	return ""
}

func nestsDiffer(a, b *Nest) string {
	affines := func(x, y []Affine) bool {
		for i := range x {
			if i >= len(y) || !x[i].Equal(y[i]) {
				return false
			}
		}
		return len(x) == len(y) && (x == nil) == (y == nil)
	}
	var ea, eb, ga, gb []Affine
	for _, ix := range a.Index {
		ea = append(ea, ix.Extent)
	}
	for _, ix := range b.Index {
		eb = append(eb, ix.Extent)
	}
	for _, g := range a.Guards {
		ga = append(ga, g.E, g.Limit)
	}
	for _, g := range b.Guards {
		gb = append(gb, g.E, g.Limit)
	}
	switch {
	case a.Combine != b.Combine || a.Out != b.Out:
		return "form of the nest"
	case !affines(ea, eb):
		return "extents"
	case !affines(ga, gb):
		return "guards"
	case !affines(a.Write, b.Write) || !affines(a.Shape, b.Shape):
		return "write map"
	case !a.Body.Equal(b.Body):
		return fmt.Sprintf("body %v became %v", a.Body, b.Body)
	}
	return ""
}

// Whatever the text, Parse returns a module or an error, and what it returns can be printed, read again and checked.
func FuzzParse(f *testing.F) {
	f.Add(forms(f))
	f.Add("func @f(%x: f32[N]) -> (f32[]) {\n  %y: f32[] = sum [| i<N] where (i < 3) %x[(i/2)] else -inf\n  return %y\n}\n")
	f.Add("cell @\"a\\\"\": bool[N-1, (T+1)/2] stream")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(diag.NewFile("fuzz", text))
		if err != nil {
			var list *diag.List
			if !errors.As(err, &list) {
				t.Fatalf("error %T", err)
			}
			return
		}
		printed := Print(m)
		again, err := Parse(diag.NewFile("printed", printed))
		if err != nil {
			t.Fatalf("%v\n%s", err, printed)
		}
		if diff := cmp.Diff(printed, Print(again)); diff != "" {
			t.Fatalf("-first +again:\n%s", diff)
		}
		err, errAgain := Verify(m), Verify(again)
		if (err == nil) != (errAgain == nil) {
			t.Fatalf("%v, after printing %v\n%s", err, errAgain, printed)
		}
	})
}
