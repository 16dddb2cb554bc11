package passes

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// randomFunc builds a function of two f32 parameters from nests with strides, guards, elses, data indices, every combiner,
// scatters and reshapes, and returns its loss.
func randomFunc(t *rapid.T, b *ir.Builder) (loss *ir.Value, params []*ir.Value) {
	shape := func(label string) ir.Type {
		return f32(rapid.SliceOfN(rapid.IntRange(1, 4), 1, 3).Draw(t, label)...)
	}
	params = []*ir.Value{b.Param("x", shape("x")), b.Param("y", shape("y"))}
	data := b.Const(tensor.FromI32([]int32{2, 0, 3, 1, 2}, 5))
	pool := []*ir.Value{params[0], params[1]}
	for range rapid.IntRange(1, 4).Draw(t, "nests") {
		v := randomNest(t, b, pool, data)
		if len(v.Type.Shape) > 1 && rapid.IntRange(0, 3).Draw(t, "reshape") == 0 {
			n := 1
			for _, d := range v.Type.Shape {
				n *= d.MustConst()
			}
			v = b.Reshape(v, ir.Int(n))
		}
		pool = append(pool, v)
	}
	return total3(b, b.Apply(ir.OpSin, pool[len(pool)-1])), params
}

func randomNest(t *rapid.T, b *ir.Builder, pool []*ir.Value, data *ir.Value) *ir.Value {
	draw := func(lo, hi int, label string) int { return rapid.IntRange(lo, hi).Draw(t, label) }
	n := &ir.Nest{Out: draw(0, 2, "out")}
	for i := range n.Out + draw(0, 2, "reduced") {
		n.Index = append(n.Index, ix(fmt.Sprintf("i%d", i), draw(1, 4, "extent")))
	}
	if len(n.Index) > n.Out {
		n.Combine = rapid.SampledFrom([]ir.Combine{ir.Sum, ir.Sum, ir.Prod, ir.Max, ir.Min}).Draw(t, "combine")
	}
	affine := func() ir.Affine {
		a := ir.Int(draw(-1, 1, "offset"))
		for range draw(0, 2, "terms") {
			if len(n.Index) > 0 {
				a = a.Add(ir.Loop(draw(0, len(n.Index)-1, "loop")).Scale(draw(-1, 3, "coef")))
			}
		}
		switch draw(0, 6, "division") {
		case 0:
			return a.Div(draw(2, 3, "divisor"))
		case 1:
			return a.Mod(draw(2, 3, "divisor"))
		}
		return a
	}
	args := []*ir.Value{data}
	read := func() *ir.Expr {
		x := rapid.SampledFrom(pool).Draw(t, "operand")
		args = append(args, x)
		r := &ir.Read{Operand: len(args) - 1}
		for range x.Type.Shape {
			a := affine()
			if len(n.Index) > 0 && draw(0, 5, "data") == 0 {
				a = ir.LoadIndex(&ir.Read{Operand: 0, Index: []ir.Affine{ir.Loop(draw(0, len(n.Index)-1, "loop"))}})
			}
			r.Index = append(r.Index, a)
		}
		if !inside(r, x.Type.Shape, n.Extent) {
			r.Guarded, r.Else = true, rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "else")
		}
		return &ir.Expr{Leaf: ir.LeafRead, DType: tensor.F32, Read: r}
	}
	var expr func(depth int) *ir.Expr
	expr = func(depth int) *ir.Expr {
		if depth == 0 {
			return read()
		}
		switch draw(0, 9, "expr") {
		case 0:
			return ir.Apply(ir.OpAdd, expr(depth-1), expr(depth-1))
		case 1, 2, 3:
			return ir.Apply(ir.OpMul, expr(depth-1), expr(depth-1))
		case 4:
			return ir.Apply(ir.OpDiv, expr(depth-1), ir.Apply(ir.OpAdd, ir.F32(2), ir.Apply(ir.OpSin, expr(depth-1))))
		case 5:
			return ir.Apply(rapid.SampledFrom([]ir.Op{ir.OpTanh, ir.OpSin, ir.OpSigmoid, ir.OpNeg, ir.OpExp, ir.OpAbs, ir.OpRelu}).Draw(t, "op"), expr(depth-1))
		case 6:
			return ir.Apply(ir.OpSelect, ir.Apply(ir.OpLess, ir.IndexValue(affine()), ir.IndexValue(affine())), expr(depth-1), ir.F32(0.25))
		}
		return read()
	}
	n.Body = expr(2)
	if n.Combine == ir.Map || n.Combine == ir.Sum || n.Combine == ir.Prod {
		for range draw(0, 1, "guards") {
			n.Guards = append(n.Guards, ir.Guard{E: affine(), Limit: ir.Int(draw(1, 4, "limit"))})
		}
	}
	if n.Combine == ir.Sum && draw(0, 2, "scatter") == 0 {
		n.Out, n.Write, n.Shape = 0, []ir.Affine{}, []ir.Affine{}
		for range draw(1, 2, "dims") {
			w := affine()
			bounds, _ := ir.BoundsOf(w, n.Extent)
			w = w.Sub(bounds.Lo)
			n.Write, n.Shape = append(n.Write, w), append(n.Shape, bounds.Hi.Sub(bounds.Lo).AddConst(1))
		}
	}
	used, operands := compact(n, args)
	return b.Nest(used, operands...)
}

// TestRandomGradients checks gradients of random functions, and that the optional passes change nothing.
func TestRandomGradients(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := ir.NewFunc("f")
		loss, params := randomFunc(t, b)
		b.Return("loss", loss)
		forward := ir.NewModule()
		forward.AddFunc(b.Func)
		backward := reparse(t, ir.Print(forward))
		back := &ir.Builder{Func: backward.Func("f")}
		for i, g := range back.Grad(back.Func.Results[0], back.Func.Params...) {
			back.Return(fmt.Sprintf("d%d", i), g)
		}
		source := ir.Print(backward)

		random := rand.New(rand.NewPCG(1, 2))
		args := make([]*array, len(params))
		for i, p := range params {
			args[i] = newArray((&machine{}).dims(p.Type.Shape)...)
			for k := range args[i].data {
				args[i].data[k] = random.Float64()*2 - 1
			}
		}
		var first []*array
		for _, passes := range [][]string{{"grad"}, {"grad", "gather"}, pipeline} {
			m := reparse(t, source)
			if err := Run(m, Options{Only: passes, VerifyEach: true}); err != nil {
				t.Fatal(err)
			}
			results := (&machine{}).run(m.Func("f"), args...)
			if first == nil {
				first = results
				checkDifferences(t, b.Func, args, results[1:])
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

func reparse(t *rapid.T, source string) *ir.Module {
	m, err := ir.Parse(diag.NewFile("random", source))
	if err != nil {
		t.Fatalf("%v in\n%s", err, source)
	}
	return m
}
