package ir

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Nests that are right only because of what the verifier can prove.
func TestVerifyAccepts(t *testing.T) {
	for _, line := range []string{
		"%y: f32[N, 4] = map [a<N, b<4] %x[a, 3-b]",
		"%y: f32[N] = sum [a<N | b<2, c<2] %x[a, 2*b+c]",
		"%y: f32[N] = sum [a<N | b<4] where (a+b-3 < N, 0 < 1) %x[a+b-3, b]",
		"%y: f32[N] = sum [a<N | b<9] where (b-5 < 4) %x[a, b-5]",
		"%y: f32[N] = sum [a<N | b<9] where (b-5 < 2) %x[a, 2*b-9]",
		"%y: f32[N] = sum [a<N | b<9] where (b-5 < 2) %x[a, 8-b]",
		"%y: f32[N] = sum [a<N | b<4] where (b < %i[0]) %x[a, b]",
		"%y: f32[N] = sum [a<N | b<9] where (((b-1)/2) < 4, b-2*((b-1)/2)-1 < 1) %x[a, ((b-1)/2)]",
		"%y: f32[N] = map [a<N] %x[a-1, 7] else 0.0",
		"%y: f32[N] = map [a<N] %x[a, %i[(%i[0] else 1)+%i[3]]+9]",
		"%y: f32[7] = scatter [b<4, c<4] 1.0 to [b+c]",
		"%y: f32[7] = scatter [b<9] where (-1 < 1) 1.0 to [-1]",
		"%y: f32[7] = scatter [b<4] 1.0 to [%i[b]]",
		"%y: f32[] = scatter [b<4] 1.0 to []",
		"%y: f32[N] = sum [a<N] %x[(a/2), 0]",
		"%y: f32[(N/2)] = map [a<(N/2)] %x[2*a+1, 0]",
		"%y: i32[N] = argmin [a<N | b<4] %x[a, b]",
		"%y: f32[4*N] = reshape %x",
		"%y: f32[2, 2, N] = reshape %x",
		"%y: f32[N, 4] = call @g(%x)",
		"%y: bool[4] = map [a<4] equal(%i[a], N)",
		"%y: f32[N, 4] = grad %q, %x",
		"%y: f32[M] = read @stream",
	} {
		text := strings.Replace(verifyFrame, "LINE", line, 1)
		if err := Verify(parsed(t, text)); err != nil {
			t.Errorf("%s\n%v", line, err)
		}
	}
}

const verifyFrame = `cell @stream: f32[M] stream
cell @w: f32[4] param

func @f(%x: f32[N, 4], %i: i32[4], %q: f32[], %len: i32[N]) -> () {
  LINE at "net.nn":3:7
  return
}

func @g(%x: f32[K, 4]) -> (f32[K, 4]) {
  return %x
}
`

func TestVerifyRejects(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"%y: f32[N, 4] = map [a<N, b<4] %x[a, b+1]", "%y: index b+1 may be outside dimension 2 of %x, which is 4"},
		{"%y: f32[N, 4] = map [a<N, b<4] %x[a-1, b]", "%y: index a-1 may be outside dimension 1 of %x, which is N"},
		{"%y: f32[N, 4] = map [a<N, b<4] %x[b, a]", "%y: index b may be outside dimension 1 of %x, which is N"},
		{"%y: f32[N] = sum [a<N | b<12] where (b-5 < 5) %x[a, b-5]", "%y: index b-5 may be outside dimension 2 of %x, which is 4"},
		{"%y: f32[N] = sum [a<N | b<9] where (b < %i[0]) %x[a, b]", "%y: index b may be outside dimension 2 of %x, which is 4"},
		{"%y: f32[N] = map [a<N] %x[a, %i[4]]", "%y: index 4 may be outside dimension 1 of %i, which is 4"},
		{"%y: f32[N] = map [a<N] %x[a]", "%y: 1 indices for %x, which is f32[N, 4]"},
		{"%y: f32[6] = scatter [b<4, c<4] 1.0 to [b+c]", "%y: write index b+c may be outside dimension 1, which is 6"},
		{"%y: f32[6] = scatter [b<4] 1.0 to [b, 0]", "%y: the write map has 2 indices for 1 dimensions"},
		{"%y: f32[N, 5] = map [a<N, b<4] %x[a, b]", "%y: the nest is f32[N, 4], not f32[N, 5]"},
		{"%y: i32[N, 4] = map [a<N, b<4] %x[a, b]", "%y: the nest is f32[N, 4], not i32[N, 4]"},
		{"%y: f32[N] = argmax [a<N | b<4] %x[a, b]", "%y: the nest is i32[N], not f32[N]"},
		{"%y: f32[N] = map [a<N | b<4] %x[a, b]", "%y: a map has no reduced indices"},
		{"%y: bool[N] = max [a<N | b<4] less(%x[a, b], 0.0)", "%y: max combines numbers, not bool"},
		{"%y: f32[3] = map [a<-3] 1.0", "%y: dimension -3 is negative"},
		{"%y: f32[P] = map [a<P] 1.0", "%y: %y: symbol P is bound by no parameter and no cell"},
		{"%y: i32[4] = map [a<4] P", "%y: symbol P is bound by no parameter and no cell"},
		{"%y: f32[N, 5] = reshape %x", "%y: f32[N, 5] has not the elements of f32[N, 4]"},
		{"%y: f32[N, N] = reshape %x", "%y: f32[N, N] has not the elements of f32[N, 4]"},
		{"%y: i32[N, 4] = reshape %x", "%y: i32[N, 4] has not the elements of f32[N, 4]"},
		{"%y: f32[4*N], %z: f32[] = reshape %x", "%y: reshape has 1 results, not 2"},
		{"%y: f32[4*N] = reshape %x, %x", "%y: reshape has 1 operands, not 2"},
		{"%y: f32[5] = read @w", "%y: cell @w is f32[4], not f32[5]"},
		{"write @w, %q", "write: cell @w is f32[4], not f32[]"},
		{"%y: f32[4] = call @g(%q)", "%y: parameter 1 of @g is f32[K, 4], not f32[]"},
		{"%y: f32[N, 4] = call @g(%x, %x)", "%y: @g has 1 parameters and 1 results, not 2 and 1"},
		{"%y: f32[N, 5] = call @g(%x)", "%y: result 1 of @g is f32[N, 4], not f32[N, 5]"},
		{"call @f(%x, %i, %q, %len)", "the function calls itself"},
		{"%y: f32[N, 4] = grad %x, %x", "%y: only an f32[] has gradients, not f32[N, 4]"},
		{"%y: i32[4] = grad %q, %i", "%y: there are gradients only by f32, not by i32[4]"},
		{"%y: f32[4] = grad %q, %x", "%y: the gradient by %x is f32[N, 4], not f32[4]"},
		{"%y: f32[] = grad %q", "%y: grad has an operand to differentiate and others to differentiate by"},
	} {
		text := strings.Replace(verifyFrame, "LINE", c.line, 1)
		err := Verify(parsed(t, text))
		want := `net.nn:3:7: @f: ` + c.want
		if c.want == "the function calls itself" {
			want = "@f: " + c.want
		}
		if err == nil || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", c.line, err, want)
		}
	}
}

func TestVerifyScan(t *testing.T) {
	const frame = `func @f(%h0: f32[B, 4], %xs: f32[B, T, 4], %len: i32[B], %w: f32[4, 4]) -> () {
  RESULTS = scan t<TRIP carried 1 slices 1 axis AXIS length (ARGS) {
    (%t: i32[], %h: f32[B, 4], %x: SLICE, %w: f32[4, 4]) -> (f32[B, 4], f32[B]) {
      %s: f32[B] = sum [b<B | i<4, j<4] mul(add(%h[b, i], %x[b, j]), %w[i, j])
      %n: f32[B, 4] = map [b<B, i<4] add(%s[b], to_f32(%t[]))
      return %n, %s
    }
  }
  return
}
`
	for _, c := range []struct{ change, to, want string }{
		{"", "", ""},
		{"TRIP", "T", ""},
		{"TRIP", "T+1", "@f: %h: sequence %xs may have fewer than T+1 elements"},
		{"TRIP", "N", "@f: %h: symbol N is bound by no parameter and no cell"},
		{"AXIS", "0", "@f: %h: sequence %xs may have fewer than T elements"},
		{"AXIS", "3", "@f: %h: f32[B, T, 4] has no dimension 3 to step through"},
		{"ARGS", "%h0, %xs, %len", "@f: %h: parameter 4 of the body is f32[4, 4], not i32[B]"},
		{"ARGS", "%h0, %xs, %w, %w, %len", "@f: %h: the body has 4 parameters, not the counter and 5 others"},
		{"ARGS", "%h0, %xs", "@f: %h: the lengths are missing"},
		{"ARGS", "%h0, %xs, %w", "@f: %h: lengths are i32[B], not f32[4, 4]"},
		{"ARGS", "%h0", "@f: %h: 1 operands for 1 carried values and 1 sequences"},
		{"ARGS", "%w, %xs, %w, %len", "@f: %h: parameter 2 of the body is f32[B, 4], not f32[4, 4]"},
		{"SLICE", "f32[T, 4]", "@f: %h: parameter 3 of the body is f32[T, 4], not f32[B, 4]"},
		{"RESULTS", "%h: f32[B, 4]", "@f: %h: 1 results for 2 of the body and 1 carried values"},
		{"RESULTS", "%h: f32[B, 4], %y: f32[B]", "@f: %h: result 2 is f32[B, T], not f32[B]"},
		{"add(%s[b], to_f32(%t[]))", "%s[b+1]", "@f: %n: index b+1 may be outside dimension 1 of %s, which is B"},
		{"return %n, %s\n", "%u: f32[B, 4] = call @f(%h, %x, %t, %w)\nreturn %u, %s\n", "@f: %u: @f has 4 parameters and 0 results, not 4 and 1"},
		{"return %n, %s\n", "call @f(%h, %x, %t, %w)\nreturn %n, %s\n", "@f: call: parameter 2 of @f is f32[B, T, 4], not f32[B, 4]"},
	} {
		text := frame
		if c.change != "" {
			text = strings.Replace(text, c.change, c.to, 1)
		}
		text = strings.NewReplacer(
			"RESULTS", "%h: f32[B, 4], %ys: f32[B, T]", "TRIP", "T", "AXIS", "1", "ARGS", "%h0, %xs, %w, %len", "SLICE", "f32[B, 4]",
		).Replace(text)
		got := ""
		if err := Verify(parsed(t, text)); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s → %s:\n got %s\nwant %s", c.change, c.to, got, c.want)
		}
	}
}

// Mistakes of passes, which no text can hold.
func TestVerifyStructure(t *testing.T) {
	type parts struct {
		m    *Module
		f    *Func
		cell *Cell
		x    *Value
		map1 *Instr // reads x
		read *Instr
	}
	build := func() parts {
		p := parts{m: NewModule()}
		p.cell = p.m.AddCell(&Cell{Name: "c", Type: Scalar(tensor.F32), Kind: Param})
		b := NewFunc("f")
		p.x = b.Param("x", Type{tensor.F32, []Affine{Int(4)}})
		b.Return("y", b.Apply(OpNeg, p.x))
		b.Return("", b.Read(p.cell))
		p.f = p.m.AddFunc(b.Func)
		p.map1, p.read = p.f.Body[0], p.f.Body[1]
		return p
	}
	if err := Verify(build().m); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		breakIt func(parts)
		want    string
	}{
		{func(p parts) { p.f.Body = p.f.Body[1:] }, "@f: result 1 (a value) is not defined"},
		{func(p parts) { p.f.Body = append(p.f.Body, p.map1) }, "@f: %0: %0 is defined twice"},
		{func(p parts) { p.f.Params = nil }, "@f: %0: operand 1 (%x) is not defined before this instruction"},
		{func(p parts) { p.map1.Args[0] = p.map1.Results[0] }, "@f: %0: operand 1 (%0) is not defined before this instruction"},
		{func(p parts) { p.map1.Args[0] = nil }, "@f: %0: operand 1 (a value) is not defined before this instruction"},
		{func(p parts) { p.map1.Results[0].Def = p.read }, "@f: %0: %0 does not refer to the instruction that defines it"},
		{func(p parts) { p.map1.Args = nil }, "@f: %0: there is no operand 0"},
		{func(p parts) { p.map1.Results = nil }, "@f: nest: nest has 1 results, not 0"},
		{func(p parts) { p.map1.Nest = nil }, "@f: %0: the nest is missing"},
		{func(p parts) { p.map1.Nest.Out = 2 }, "@f: %0: 2 of 1 indices are the result's"},
		{func(p parts) { p.map1.Nest.Combine = 9 }, "@f: %0: there is no combiner 9"},
		{func(p parts) { p.map1.Nest.Body.DType = tensor.I32 }, "@f: %0: neg is f32 here, not i32"},
		{func(p parts) { p.map1.Nest.Body = Const(tensor.I32, 1.5) }, "@f: %0: 1.5 is no literal of type i32"},
		{func(p parts) { p.map1.Nest.Body = Const(tensor.Bool, 2) }, "@f: %0: 2 is no literal of type bool"},
		{func(p parts) { p.map1.Nest.Body = Const(tensor.F64, 2) }, "@f: %0: 2 is no literal of type f64"},
		{func(p parts) { p.map1.Nest.Body = ReadOf(tensor.I32, 0, Loop(0)) }, "@f: %0: %x is f32[4], but read as i32"},
		{func(p parts) { p.map1.Nest.Body = ReadOf(tensor.F32, 0, Loop(5)) }, "@f: %0: there is no loop index 5"},
		{func(p parts) { p.map1.Nest.Body.Args = nil }, "@f: %0: neg takes 1 operands, not 0"},
		{func(p parts) { p.map1.Nest.Body.Op = OpNest }, "@f: %0: nest is no scalar op"},
		{func(p parts) { p.map1.Nest.Write = []Affine{} }, "@f: %0: a scatter is a sum without indices of its result"},
		{func(p parts) {
			p.map1.Nest.Body = ReadOf(tensor.F32, 0, Affine{Terms: []Term{{0, Loop(0).Terms[0].Atom}}})
		}, "@f: %0: 0*$0 is not in canonical form"},
		{func(p parts) {
			p.map1.Nest.Body = IndexValue(Affine{Terms: []Term{{1, Atom{Kind: AtomQuotient, Num: &Affine{Const: 4}, Den: 2}}}})
		}, "@f: %0: ((4)/2) is not in canonical form"},
		{func(p parts) { p.map1.Op = OpAdd }, "@f: %0: add is no instruction"},
		{func(p parts) { p.read.Cell = nil }, "@f: %1: the cell does not belong to the module"},
		{func(p parts) { p.read.Op = OpCall }, "@f: %1: the called function does not belong to the module"},
		{func(p parts) { p.read.Op = OpConst }, "@f: %1: the constant's elements are missing"},
		{func(p parts) { p.read.Op, p.read.Data = OpConst, tensor.New(tensor.F32, 2) }, "@f: %1: the constant is f32[2], not f32[]"},
		{func(p parts) { p.read.Op, p.read.Data = OpConst, &tensor.Tensor{DType: tensor.F32} }, "@f: %1: 0 elements for f32[]"},
		{func(p parts) { p.read.Op = OpScan }, "@f: %1: the scan's body is missing"},
		{func(p parts) { p.read.Results[0].Type.DType = tensor.F64 }, "@f: %1: %1: f64 is no element type of a program"},
		{func(p parts) { p.f.ResultNames = nil }, "@f: 0 names for 2 results"},
		{func(p parts) { p.f.ResultNames[1] = "y" }, "@f: a second result named y"},
		{func(p parts) { p.x.Type.Shape[0] = Loop(0) }, "@f: %x: dimension $0 depends on a loop index"},
		{func(p parts) { p.x.Type.Shape[0] = LoadIndex(&Read{}) }, "@f: %x: dimension load depends on data"},
		{func(p parts) { p.x.Type.Shape[0] = Symbol("n") }, `@f: %x: "n" cannot name a symbol`},
		{func(p parts) { p.cell.Kind = "weight" }, `cell @c: "weight" is no kind of cell`},
		{func(p parts) { p.cell.Type.DType = tensor.Invalid }, "cell @c: invalid is no element type of a program"},
		{func(p parts) { p.m.Cells = append(p.m.Cells, p.cell) }, "a second cell @c"},
		{func(p parts) { p.m.Funcs = append(p.m.Funcs, p.f) }, "a second function @f"},
	} {
		p := build()
		c.breakIt(p)
		err := Verify(p.m)
		var invalid *InvalidError
		if !errors.As(err, &invalid) || err.Error() != c.want {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
}

// Proofs that could go on for ever are given up: the text may come from anyone.
func TestVerifyGivesUp(t *testing.T) {
	var quotients, guards, sums []string
	for i := range 60 {
		quotients = append(quotients, fmt.Sprintf("((a+b+%d)/%d)", i, 61+i))
		guards = append(guards, fmt.Sprintf("a+b-%d < N", i))
	}
	for range 40 {
		sums = append(sums, "N+M+N/2+M/3+N/5+M/7+1")
	}
	for _, line := range []string{
		"%y: f32[N, 4] = map [a<N, b<4] %x[a, " + strings.Join(quotients, "-") + "]",
		"%y: f32[N, 4] = map [a<N, b<4] %x[a, " + strings.Join(quotients, "+") + "]",
		"%y: f32[N, 4] = map [a<N, b<4] where (" + strings.Join(guards, ", ") + ") %x[a-2*b, 0]",
		"%y: f32[" + strings.Join(sums, ", ") + "] = reshape %x",
		"%y: f32[N, 4] = map [a<N, b<4] %x[a, " + strings.Repeat("%i[", 450) + "b+4" + strings.Repeat("]", 450) + "]",
		"%y: f32[N, 4] = map [a<N, b<4] %x[a, " + strings.Repeat("(", 900) + "b+9" + strings.Repeat("/2+b)", 900) + "]",
	} {
		if Verify(parsed(t, strings.Replace(verifyFrame, "LINE", line, 1))) == nil {
			t.Errorf("accepted: %.80s", line)
		}
	}
}

func TestSameCount(t *testing.T) {
	b, n := Symbol("B"), Symbol("N")
	for _, c := range []struct {
		x, y []Affine
		want bool
	}{
		{[]Affine{b, Int(6)}, []Affine{b, Int(2), Int(3)}, true},
		{[]Affine{b, n}, []Affine{n, b}, true},
		{[]Affine{b.Scale(3), n.Scale(2)}, []Affine{n, Int(6), b}, true},
		{[]Affine{b.AddConst(1), n}, []Affine{n, b.AddConst(1)}, true},
		{[]Affine{b.AddConst(1), b.AddConst(-1), Int(0)}, []Affine{Int(0)}, true},
		{[]Affine{b}, []Affine{n}, false},
		{[]Affine{b, b}, []Affine{b}, false},
		{nil, []Affine{Int(1)}, true},
		{[]Affine{Int(1 << 31), Int(1 << 31), Int(1 << 31)}, nil, false}, // 2⁹³ is no 64-bit number
		{[]Affine{b.Div(2), Int(2)}, []Affine{b}, false},
	} {
		if got := sameCount(c.x, c.y); got != c.want {
			t.Errorf("%v and %v: %v", c.x, c.y, got)
		}
	}
}
