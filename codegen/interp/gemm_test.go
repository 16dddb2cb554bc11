package interp

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// contractionOf draws a sum of products over batch, M, N and K loops in any order, with strides, shifts, quotients and guards.
func (g *generator) contractionOf() *ir.Nest {
	n := &ir.Nest{Combine: ir.Sum}
	type loop struct {
		name string
		in   int // 1: the first factor, 2: the second
		out  bool
	}
	var loops []loop
	add := func(name string, in int, out bool, least, most int) {
		for k := range least + g.intn(most-least+1, name) {
			loops = append(loops, loop{fmt.Sprint(name, k), in, out})
		}
	}
	add("b", 3, true, 0, 1)
	add("m", 1, true, 0, 2)
	add("n", 2, true, 1, 2)
	loops = rapid.Permutation(loops).Draw(g.T, "order")
	n.Out = len(loops)
	k := len(loops)
	add("k", 3, false, 1, 3)
	copy(loops[k:], rapid.Permutation(loops[k:]).Draw(g.T, "order"))
	points := 1
	for _, l := range loops {
		e := []int{1, 2, 3, 4, 5, 8, 13, 70, 200}[g.intn(9, "extent")]
		for points*e > 120_000 {
			e = (e + 1) / 2
			if e == 1 {
				break
			}
		}
		points *= e
		g.extents = append(g.extents, e)
		n.Index = append(n.Index, ir.Index{Name: l.name, Extent: ir.Int(e)})
	}
	factor := func(in int) *ir.Expr {
		var mine []int
		for i, l := range loops {
			if l.in&in != 0 {
				mine = append(mine, i)
			}
		}
		mine = rapid.Permutation(mine).Draw(g.T, "dims")
		var ix []ir.Affine
		var shape []int
		guarded := g.chance(30, "guarded")
		for len(mine) > 0 {
			a := ir.Loop(mine[0])
			mine = mine[1:]
			if len(mine) > 0 && g.chance(40, "pair") {
				a = a.Scale(1 + g.intn(3, "stride")).Add(ir.Loop(mine[0]).Scale(1 - 2*g.intn(2, "sign")))
				mine = mine[1:]
			}
			if g.chance(10, "quotient") {
				a = a.AddConst(g.intn(2, "const")).Div(2)
			}
			a, size := g.inside(a)
			if guarded && g.chance(60, "cut") {
				a, size = a.AddConst(-g.intn(3, "shift")), max(1, size-g.intn(4, "cut"))
			}
			ix, shape = append(ix, a), append(shape, size)
		}
		if product(shape) > 1<<18 {
			g.T.Skip("large operand")
		}
		k := g.add(g.fill(tensor.F32, -8, 8, 0.25, shape...))
		if guarded {
			return ir.ReadElse(tensor.F32, k, 0, ix...)
		}
		return ir.ReadOf(tensor.F32, k, ix...)
	}
	x, y := factor(1), factor(2)
	if g.chance(50, "swap") {
		x, y = y, x
	}
	n.Body = ir.Apply(ir.OpMul, x, y)
	switch g.intn(6, "scale") {
	case 0:
		n.Body = ir.Apply(ir.OpMul, ir.F32(0.5), n.Body)
	case 1:
		n.Body = ir.Apply(ir.OpDiv, n.Body, ir.F32(4))
	}
	return n
}

func compiledNest(n *ir.Nest, args []*tensor.Tensor) *nest[float32] {
	types, shapes := make([]tensor.DType, len(args)), make([][]int, len(args))
	for i, a := range args {
		types[i], shapes[i] = a.DType, a.Shape
	}
	t, err := compileNest[float32](n, ir.Loc{}, types, shapes)
	if err != nil {
		panic(err)
	}
	return t
}

func TestRandomContractions(t *testing.T) {
	packed, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		g := &generator{T: t}
		n := g.contractionOf()
		t.Logf("%v: %v", n.Index, n.Body)
		if compiledNest(n, g.args).gemm != nil {
			packed++
		}
		all++
		checkNest(t, n, g.args)
	})
	if packed*10 < all {
		t.Errorf("only %d of %d contractions were products of matrices", packed, all)
	}
}

// TestContractionsOfNetworks checks that the products of dense and convolutional layers take the fast way, and their values.
func TestContractionsOfNetworks(t *testing.T) {
	L := ir.Loop
	read := func(k int, ix ...ir.Affine) *ir.Expr { return ir.ReadOf(tensor.F32, k, ix...) }
	padded := func(k int, ix ...ir.Affine) *ir.Expr { return ir.ReadElse(tensor.F32, k, 0, ix...) }
	for name, c := range map[string]struct {
		extents []int
		out     int
		x, y    *ir.Expr
		shapes  [2][]int
	}{
		"dense":                {[]int{5, 33, 700}, 2, read(0, L(0), L(2)), read(1, L(2), L(1)), [2][]int{{5, 700}, {700, 33}}},
		"dense, data":          {[]int{5, 700, 33}, 2, read(0, L(0), L(2)), read(1, L(1), L(2)), [2][]int{{5, 33}, {700, 33}}},
		"dense, weights":       {[]int{700, 33, 5}, 2, read(0, L(2), L(0)), read(1, L(2), L(1)), [2][]int{{5, 700}, {5, 33}}},
		"both transposed":      {[]int{70, 33, 50}, 2, read(0, L(2), L(0)), read(1, L(1), L(2)), [2][]int{{50, 70}, {33, 50}}},
		"convolution":          {[]int{3, 9, 8, 6, 3, 3, 4}, 4, read(0, L(0), L(1).Add(L(4)), L(2).Add(L(5)), L(6)), read(1, L(4), L(5), L(6), L(3)), [2][]int{{3, 11, 10, 4}, {3, 3, 4, 6}}},
		"padded":               {[]int{3, 9, 8, 6, 3, 3, 4}, 4, padded(0, L(0), L(1).Add(L(4)).AddConst(-1), L(2).Add(L(5)).AddConst(-1), L(6)), read(1, L(4), L(5), L(6), L(3)), [2][]int{{3, 9, 8, 4}, {3, 3, 4, 6}}},
		"strided":              {[]int{3, 5, 4, 6, 3, 3, 4}, 4, read(0, L(0), L(1).Scale(2).Add(L(4)), L(2).Scale(2).Add(L(5)), L(6)), read(1, L(4), L(5), L(6), L(3)), [2][]int{{3, 11, 9, 4}, {3, 3, 4, 6}}},
		"convolution, data":    {[]int{3, 11, 10, 4, 3, 3, 6}, 4, padded(0, L(0), L(1).Sub(L(4)), L(2).Sub(L(5)), L(6)), read(1, L(4), L(5), L(3), L(6)), [2][]int{{3, 9, 8, 6}, {3, 3, 4, 6}}},
		"convolution, weights": {[]int{3, 3, 4, 6, 3, 19, 18}, 4, read(0, L(4), L(5).Add(L(0)), L(6).Add(L(1)), L(2)), read(1, L(4), L(5), L(6), L(3)), [2][]int{{3, 21, 20, 4}, {3, 19, 18, 6}}},
		"attention":            {[]int{2, 3, 17, 19, 8}, 4, read(0, L(0), L(2), L(1), L(4)), read(1, L(0), L(3), L(1), L(4)), [2][]int{{2, 17, 3, 8}, {2, 19, 3, 8}}},
	} {
		t.Run(name, func(t *testing.T) {
			n := &ir.Nest{Combine: ir.Sum, Out: c.out, Body: ir.Apply(ir.OpMul, c.x, c.y)}
			for _, e := range c.extents {
				n.Index = append(n.Index, ir.Index{Extent: ir.Int(e)})
			}
			args := []*tensor.Tensor{ramp(c.shapes[0]...), ramp(c.shapes[1]...)}
			if compiledNest(n, args).gemm == nil {
				t.Errorf("it is not computed as a product of matrices")
			}
			checkNest(t, n, args)
		})
	}
}

// ramp returns a tensor of small numbers that differ.
func ramp(shape ...int) *tensor.Tensor {
	x := tensor.New(tensor.F32, shape...)
	for k := range x.F32 {
		x.F32[k] = float32(k*7%31-15) / 16
	}
	return x
}

// TestZeroTimesInfinity checks that products keep to IEEE 754 although gonum skips zero factors.
func TestZeroTimesInfinity(t *testing.T) {
	for _, bad := range []float64{math.Inf(1), math.NaN()} {
		for side := range 2 {
			for _, trans := range []bool{false, true} {
				n := &ir.Nest{Combine: ir.Sum, Out: 2, Index: ir.Indices([]ir.Affine{ir.Int(20), ir.Int(30), ir.Int(40)})}
				x, y := ramp(20, 40), ramp(40, 30)
				yAt := ir.ReadOf(tensor.F32, 1, ir.Loop(2), ir.Loop(1))
				if trans {
					y = ramp(30, 40)
					yAt = ir.ReadOf(tensor.F32, 1, ir.Loop(1), ir.Loop(2))
				}
				n.Body = ir.Apply(ir.OpMul, ir.ReadOf(tensor.F32, 0, ir.Loop(0), ir.Loop(2)), yAt)
				a, b := x, y
				if side == 1 {
					a, b = y, x
				}
				clear(a.F32)
				b.F32[77] = float32(bad)
				args := []*tensor.Tensor{x, y}
				if compiledNest(n, args).gemm == nil {
					t.Fatal("it is not computed as a product of matrices")
				}
				want, _ := naiveNest(n, args)
				p := mustCompile(t, nestModule(n, args), codegen.Options{})
				same(t, fmt.Sprint(bad, side, trans), call(t, p, "f", args...)[0], want, 1e-6)
			}
		}
	}
}
