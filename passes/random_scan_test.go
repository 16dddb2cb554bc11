package passes

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// scanMaker draws scans over the batch, of three examples.
type scanMaker struct {
	t    *rapid.T
	more int  // scans that may still be drawn
	ends bool // an enclosing scan has lengths
}

func (s *scanMaker) draw(lo, hi int, label string) int {
	return rapid.IntRange(lo, hi).Draw(s.t, label)
}

const examples = 3

func batched(dims ...int) ir.Type {
	t := f32(dims...)
	t.Shape = slices.Insert(t.Shape, 0, ir.Symbol("B"))
	return t
}

// scan adds a scan with initial values, sequences and unchanged values from pool, and returns its f32 results over examples. The
// pool holds f32 values of width 2: by example (f32[B, 2]), of a sequence (f32[B, n, 2]), shared matrices and vectors.
func (s *scanMaker) scan(b *ir.Builder, pool []*ir.Value, lengths *ir.Value) []*ir.Value {
	s.more--
	pick := func(rank int, label string, accept func(*ir.Value) bool) *ir.Value {
		var fit []*ir.Value
		for _, v := range pool {
			if len(v.Type.Shape) == rank && accept(v) {
				fit = append(fit, v)
			}
		}
		return fit[s.draw(0, len(fit)-1, label)]
	}
	example := func(v *ir.Value) bool { return v.Type.Shape[0].Equal(ir.Symbol("B")) }
	shared := func(v *ir.Value) bool { return !example(v) }

	trip := s.draw(1, 3, "trip")
	sc := &ir.Scan{
		Trip: ir.Int(trip), Axis: 1, Carried: s.draw(1, 3, "carried"), Slices: s.draw(0, 2, "slices"),
		Reversed: rapid.Bool().Draw(s.t, "reversed"), Length: lengths != nil && rapid.Bool().Draw(s.t, "length"),
	}
	defer func(outer bool) { s.ends = outer }(s.ends)
	s.ends = s.ends || sc.Length
	g := ir.NewFunc("")
	counter := g.Param("t", ir.Scalar(tensor.I32))
	var args, vectors, inner []*ir.Value // operands; f32[B, 2] inside; what the body may use
	for range sc.Carried {
		args = append(args, pick(2, "initial", example))
		vectors = append(vectors, g.Param("c", batched(2)))
	}
	var alive *ir.Value
	if rapid.Bool().Draw(s.t, "while") {
		sc.Carried++
		args = append(args, b.Nest(&ir.Nest{Combine: ir.Map, Index: []ir.Index{{Name: "b", Extent: ir.Symbol("B")}}, Out: 1, Body: ir.Const(tensor.Bool, 1)}))
		alive = g.Param("alive", ir.Type{DType: tensor.Bool, Shape: []ir.Affine{ir.Symbol("B")}})
	}
	for range sc.Slices {
		args = append(args, pick(3, "sequence", func(v *ir.Value) bool { return example(v) && v.Type.Shape[1].MustConst() >= trip }))
		vectors = append(vectors, g.Param("x", batched(2)))
	}
	capture := func(v *ir.Value) *ir.Value {
		args = append(args, v)
		p := g.Param("u", v.Type)
		inner = append(inner, p)
		return p
	}
	matrix, vector := capture(pick(2, "matrix", shared)), capture(pick(1, "vector", shared))
	vectors = append(vectors, capture(pick(2, "captured", example)))
	capture(pick(3, "captured sequence", func(v *ir.Value) bool { return example(v) && v.Type.Shape[1].MustConst() == 3 }))
	if sc.Length {
		args = append(args, lengths)
		if rapid.Bool().Draw(s.t, "body takes lengths") {
			g.Param("lengths", lengths.Type)
		}
	}
	read := func(k int) *ir.Expr { return ir.ReadOf(tensor.F32, k, ir.Loops(0, 2)...) }
	ij := []ir.Index{{Name: "b", Extent: ir.Symbol("B")}, ix("o", 2)}
	step := func() *ir.Value {
		x := vectors[s.draw(0, len(vectors)-1, "x")]
		y := vectors[s.draw(0, len(vectors)-1, "y")]
		switch s.draw(0, 8, "step") {
		case 0, 1: // a product with the captured matrix
			return g.Nest(&ir.Nest{
				Combine: ir.Sum, Index: append(slices.Clone(ij), ix("k", 2)), Out: 2,
				Body: ir.Apply(ir.OpMul, ir.ReadOf(tensor.F32, 0, ir.Loop(0), ir.Loop(2)), ir.ReadOf(tensor.F32, 1, ir.Loop(2), ir.Loop(1))),
			}, x, matrix)
		case 2: // the vector inside a function, the counter as a number
			body := ir.Apply(ir.OpTanh, ir.Apply(ir.OpAdd, ir.Apply(ir.OpMul, read(0), ir.ReadOf(tensor.F32, 1, ir.Loop(1))), read(2)))
			body = ir.Apply(ir.OpMul, body, ir.Apply(ir.OpToF32, ir.Apply(ir.OpAdd, ir.Const(tensor.I32, 1), ir.ReadOf(tensor.I32, 3))))
			return g.Nest(&ir.Nest{Combine: ir.Map, Index: ij, Out: 2, Body: body}, x, vector, y, counter)
		case 3: // the vector at the counter: a read by data
			at := ir.LoadIndex(&ir.Read{Operand: 2})
			body := ir.Apply(ir.OpMul, read(0), &ir.Expr{Leaf: ir.LeafRead, DType: tensor.F32, Read: &ir.Read{Operand: 1, Index: []ir.Affine{at}, Guarded: true, Else: 0.5}})
			return g.Nest(&ir.Nest{Combine: ir.Map, Index: ij, Out: 2, Body: body}, x, vector, counter)
		case 4: // over examples, and a scalar of the round
			mean := g.Nest(&ir.Nest{Combine: ir.Sum, Index: []ir.Index{ij[0], ij[1]}, Body: ir.Apply(ir.OpSin, read(0))}, vectors[0])
			if s.ends { // examples that have ended would take part
				mean = g.Nest(&ir.Nest{Combine: ir.Sum, Index: []ir.Index{ix("k", 2)}, Body: ir.Apply(ir.OpMul, ir.ReadOf(tensor.F32, 0, ir.Loop(0)), ir.Apply(ir.OpToF32, ir.ReadOf(tensor.I32, 1)))}, vector, counter)
			}
			return g.Nest(&ir.Nest{Combine: ir.Map, Index: ij, Out: 2, Body: ir.Apply(ir.OpMul, read(0), ir.Apply(ir.OpSin, ir.ReadOf(tensor.F32, 1)))}, x, mean)
		case 5: // the greatest and its place, reduced by the matrix
			return g.Nest(&ir.Nest{
				Combine: ir.Max, Index: append(slices.Clone(ij), ix("k", 2)), Out: 2,
				Body: ir.Apply(ir.OpMul, ir.ReadOf(tensor.F32, 0, ir.Loop(0), ir.Loop(2)), ir.Apply(ir.OpSin, ir.ReadOf(tensor.F32, 1, ir.Loop(2), ir.Loop(1)))),
			}, x, matrix)
		case 6: // what does not change: to be hoisted
			twice := g.Apply(ir.OpSin, g.Reshape(matrix, ir.Int(4)))
			return g.Nest(&ir.Nest{Combine: ir.Map, Index: ij, Out: 2, Body: ir.Apply(ir.OpMul, read(0), ir.ReadOf(tensor.F32, 1, ir.Loop(1).Scale(2)))}, x, twice)
		case 7:
			if s.more > 0 {
				var in *ir.Value
				if sc.Length && len(g.Func.Params) == 1+len(args) {
					in = g.Func.Params[len(g.Func.Params)-1]
				}
				for _, v := range s.scan(g, slices.Concat(inner, vectors), in) {
					if len(v.Type.Shape) == 2 {
						vectors = append(vectors, v)
					}
				}
				return vectors[len(vectors)-1]
			}
		}
		return g.Nest(&ir.Nest{Combine: ir.Map, Index: ij, Out: 2, Body: ir.Apply(ir.OpMul, ir.Apply(ir.OpSigmoid, read(0)), read(1))}, x, y)
	}
	for range s.draw(1, 3, "steps") {
		vectors = append(vectors, step())
	}
	goesOn := alive
	if alive != nil {
		sum := ir.Apply(ir.OpLess, ir.ReadOf(tensor.F32, 1, ir.Loop(0), ir.Int(0)), ir.F32(0.4))
		goesOn = g.Nest(&ir.Nest{Combine: ir.Map, Index: ij[:1], Out: 1, Body: ir.Apply(ir.OpAnd, ir.ReadOf(tensor.Bool, 0, ir.Loop(0)), sum)}, alive, vectors[0])
	}
	for i := range sc.Carried {
		if alive != nil && i == sc.Carried-1 {
			g.Return("", goesOn)
			continue
		}
		next := vectors[s.draw(0, len(vectors)-1, "next")]
		if alive != nil {
			body := ir.Apply(ir.OpSelect, ir.ReadOf(tensor.Bool, 0, ir.Loop(0)), read(1), read(2))
			next = g.Nest(&ir.Nest{Combine: ir.Map, Index: ij, Out: 2, Body: body}, goesOn, next, vectors[i])
		}
		g.Return("", next)
	}
	for range s.draw(0, 2, "yields") {
		g.Return("", vectors[s.draw(0, len(vectors)-1, "yield")])
	}
	sc.Body = g.Func
	var types []ir.Type
	for i, r := range g.Func.Results {
		types = append(types, r.Type)
		if i >= sc.Carried {
			types[i].Shape = slices.Insert(slices.Clone(r.Type.Shape), 1, sc.Trip)
		}
	}
	results := b.Append(&ir.Instr{Op: ir.OpScan, Scan: sc, Args: args}, types...).Results
	return slices.DeleteFunc(slices.Clone(results), func(v *ir.Value) bool { return v.Type.DType != tensor.F32 })
}

// TestRandomScans checks gradients of random scans, and that the optional passes change nothing.
func TestRandomScans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := ir.NewFunc("f")
		params := []*ir.Value{
			b.Param("h", batched(2)), b.Param("x", batched(3, 2)), b.Param("w", f32(2, 2)), b.Param("v", f32(2)),
		}
		lengths := b.Param("lengths", ir.Type{DType: tensor.I32, Shape: []ir.Affine{ir.Symbol("B")}})
		maker := &scanMaker{t: t, more: 3}
		pool := slices.Clone(params)
		for maker.more > 0 && (maker.more == 3 || rapid.Bool().Draw(t, "another")) {
			pool = append(pool, maker.scan(b, pool, lengths)...)
		}
		var loss *ir.Value
		for _, v := range pool[len(params):] {
			if part := total3(b, b.Apply(ir.OpSin, v)); loss == nil {
				loss = part
			} else if rapid.Bool().Draw(t, "part of the loss") {
				loss = b.Apply(ir.OpAdd, loss, part)
			}
		}
		order := maker.draw(1, 2, "order")
		if order == 2 {
			for _, g := range b.Grad(loss, params...) {
				loss = b.Apply(ir.OpAdd, loss, total3(b, g))
			}
		}
		b.Return("loss", loss)
		forward := ir.NewModule()
		forward.AddFunc(b.Func)
		if err := ir.Verify(forward); err != nil {
			t.Fatal(err)
		}
		backward := reparse(t, ir.Print(forward))
		back := &ir.Builder{Func: backward.Func("f")}
		for i, g := range back.Grad(back.Func.Results[0], back.Func.Params[:len(params)]...) {
			back.Return(fmt.Sprintf("d%d", i), g)
		}
		source := ir.Print(backward)
		if err := Run(forward, Options{Only: []string{"grad"}, VerifyEach: true}); err != nil {
			t.Fatal(err)
		}

		random := rand.New(rand.NewPCG(1, 2))
		args := make([]*array, len(params))
		for i, p := range params {
			args[i] = newArray((&machine{symbols: map[string]int{"B": examples}}).dims(p.Type.Shape)...)
			for k := range args[i].data {
				args[i].data[k] = random.Float64()*2 - 1
			}
		}
		args = append(args, &array{[]int{examples}, []float64{2, 0, 3}})
		var first []*array
		for _, passes := range [][]string{{"grad"}, {"hoist", "grad", "dce"}, {"hoist", "grad", "gather"}, pipeline} {
			m := reparse(t, source)
			if err := Run(m, Options{Only: passes, VerifyEach: true}); err != nil {
				t.Fatal(err)
			}
			results := (&machine{symbols: map[string]int{"B": examples}}).run(m.Func("f"), args...)
			if first == nil {
				first = results
				checkDifferences(t, forward.Func("f"), args[:len(params)], results[1:], args[len(params):]...)
			}
			for i, r := range results {
				for k, v := range r.data {
					if want := first[i].data[k]; !(math.Abs(v-want) <= 1e-9*(1+math.Abs(want))) {
						t.Fatalf("%v: result %d[%d] is %v, not %v\n%s", passes, i, k, v, want, ir.Print(m))
					}
				}
			}
		}
	})
}
