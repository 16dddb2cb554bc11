package passes

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

func f32(dims ...int) ir.Type {
	t := ir.Type{DType: tensor.F32}
	for _, d := range dims {
		t.Shape = append(t.Shape, ir.Int(d))
	}
	return t
}

// total3 is Σ v³ over all elements, a loss whose cotangent differs from element to element.
func total3(b *ir.Builder, v *ir.Value) *ir.Value {
	read := ir.ReadOf(tensor.F32, 0, ir.Loops(0, len(v.Type.Shape))...)
	body := ir.Apply(ir.OpMul, read, ir.Apply(ir.OpMul, read, read))
	return b.Nest(&ir.Nest{Combine: ir.Sum, Index: ir.Indices(v.Type.Shape), Body: body}, v)
}

func ix(name string, n int) ir.Index { return ir.Index{Name: name, Extent: ir.Int(n)} }

// layers are forward functions of their parameters, all f32, whose gradients are checked.
var layers = map[string]struct {
	params []ir.Type
	build  func(b *ir.Builder, p []*ir.Value) *ir.Value
}{
	"dense": {[]ir.Type{f32(3, 4), f32(4, 5), f32(5)}, func(b *ir.Builder, p []*ir.Value) *ir.Value {
		z := b.Nest(&ir.Nest{
			Combine: ir.Sum, Index: []ir.Index{ix("b", 3), ix("o", 5), ix("k", 4)}, Out: 2,
			Body: ir.Apply(ir.OpMul, ir.ReadOf(tensor.F32, 0, ir.Loop(0), ir.Loop(2)), ir.ReadOf(tensor.F32, 1, ir.Loop(2), ir.Loop(1))),
		}, p[0], p[1])
		return b.Apply(ir.OpTanh, b.Apply(ir.OpAdd, z, p[2]))
	}},
	"conv_same": {[]ir.Type{f32(2, 5, 4, 2), f32(3, 3, 2, 3)}, func(b *ir.Builder, p []*ir.Value) *ir.Value {
		return b.Nest(&ir.Nest{
			Combine: ir.Sum, Out: 4,
			Index: []ir.Index{ix("b", 2), ix("i", 5), ix("j", 4), ix("o", 3), ix("di", 3), ix("dj", 3), ix("c", 2)},
			Body: ir.Apply(ir.OpMul,
				ir.ReadElse(tensor.F32, 0, 0, ir.Loop(0), ir.Loop(1).Add(ir.Loop(4)).AddConst(-1), ir.Loop(2).Add(ir.Loop(5)).AddConst(-1), ir.Loop(6)),
				ir.ReadOf(tensor.F32, 1, ir.Loop(4), ir.Loop(5), ir.Loop(6), ir.Loop(3))),
		}, p...)
	}},
	"conv_stride2": {[]ir.Type{f32(2, 7, 2), f32(3, 2, 3)}, func(b *ir.Builder, p []*ir.Value) *ir.Value {
		return b.Nest(&ir.Nest{
			Combine: ir.Sum, Out: 3,
			Index: []ir.Index{ix("b", 2), ix("i", 3), ix("o", 3), ix("di", 3), ix("c", 2)},
			Body: ir.Apply(ir.OpMul,
				ir.ReadOf(tensor.F32, 0, ir.Loop(0), ir.Loop(1).Scale(2).Add(ir.Loop(3)), ir.Loop(4)),
				ir.ReadOf(tensor.F32, 1, ir.Loop(3), ir.Loop(4), ir.Loop(2))),
		}, p...)
	}},
	"conv_dilated": {[]ir.Type{f32(9), f32(3)}, func(b *ir.Builder, p []*ir.Value) *ir.Value {
		return b.Nest(&ir.Nest{
			Combine: ir.Sum, Out: 1, Index: []ir.Index{ix("i", 3), ix("d", 3)},
			Body: ir.Apply(ir.OpMul,
				ir.ReadOf(tensor.F32, 0, ir.Loop(0).Scale(2).Add(ir.Loop(1).Scale(2))), ir.ReadOf(tensor.F32, 1, ir.Loop(1))),
		}, p...)
	}},
	"max_pool": {[]ir.Type{f32(2, 5, 4, 2)}, func(b *ir.Builder, p []*ir.Value) *ir.Value {
		return b.Nest(&ir.Nest{
			Combine: ir.Max, Out: 4,
			Index: []ir.Index{ix("b", 2), ix("i", 2), ix("j", 2), ix("c", 2), ix("di", 2), ix("dj", 2)},
			Body:  ir.ReadOf(tensor.F32, 0, ir.Loop(0), ir.Loop(1).Scale(2).Add(ir.Loop(4)), ir.Loop(2).Scale(2).Add(ir.Loop(5)), ir.Loop(3)),
		}, p...)
	}},
	"prod": {[]ir.Type{f32(3, 2, 2)}, func(b *ir.Builder, p []*ir.Value) *ir.Value {
		return b.Nest(&ir.Nest{
			Combine: ir.Prod, Out: 1, Index: []ir.Index{ix("i", 3), ix("j", 2), ix("k", 2)},
			Guards: []ir.Guard{{E: ir.Loop(1).Add(ir.Loop(2)), Limit: ir.Int(2)}},
			Body:   ir.ReadOf(tensor.F32, 0, ir.Loops(0, 3)...),
		}, p...)
	}},
	"upsample_reverse": {[]ir.Type{f32(3), f32(7)}, func(b *ir.Builder, p []*ir.Value) *ir.Value {
		return b.Nest(&ir.Nest{
			Combine: ir.Map, Out: 1, Index: []ir.Index{ix("i", 7)},
			Body: ir.Apply(ir.OpMul, ir.ReadOf(tensor.F32, 0, ir.Loop(0).Div(3)), ir.ReadOf(tensor.F32, 1, ir.Loop(0).Scale(-1).AddConst(6))),
		}, p...)
	}},
	"diagonal": {[]ir.Type{f32(4, 4)}, func(b *ir.Builder, p []*ir.Value) *ir.Value {
		return b.Nest(&ir.Nest{
			Combine: ir.Map, Out: 1, Index: []ir.Index{ix("i", 4)}, Body: ir.ReadOf(tensor.F32, 0, ir.Loop(0), ir.Loop(0)),
		}, p...)
	}},
	"space_to_depth": {[]ir.Type{f32(6)}, func(b *ir.Builder, p []*ir.Value) *ir.Value {
		v := b.Nest(&ir.Nest{
			Combine: ir.Map, Out: 1, Index: []ir.Index{ix("i", 6)},
			Body: ir.ReadOf(tensor.F32, 0, ir.Loop(0).Div(2), ir.Loop(0).Mod(2)),
		}, b.Reshape(p[0], ir.Int(3), ir.Int(2)))
		return b.Apply(ir.OpMul, v, v)
	}},
	"else_and_branch": {[]ir.Type{f32(4), f32(4)}, func(b *ir.Builder, p []*ir.Value) *ir.Value {
		body := ir.Apply(ir.OpSelect, ir.Apply(ir.OpLess, ir.ReadOf(tensor.F32, 1, ir.Loop(0)), ir.F32(0)),
			ir.Apply(ir.OpDiv, ir.ReadElse(tensor.F32, 0, 1.5, ir.Loop(0).AddConst(1)), ir.Apply(ir.OpAdd, ir.F32(2), ir.Apply(ir.OpExp, ir.ReadOf(tensor.F32, 0, ir.Loop(0))))),
			ir.Apply(ir.OpSigmoid, ir.Apply(ir.OpMul, ir.ReadElse(tensor.F32, 0, -0.5, ir.Loop(0).AddConst(-2)), ir.ReadOf(tensor.F32, 1, ir.Loop(0)))))
		return b.Nest(&ir.Nest{Combine: ir.Map, Out: 1, Index: []ir.Index{ix("i", 4)}, Body: body}, p...)
	}},
	"scatter": {[]ir.Type{f32(5, 2)}, func(b *ir.Builder, p []*ir.Value) *ir.Value {
		return b.Nest(&ir.Nest{
			Combine: ir.Sum, Index: []ir.Index{ix("i", 5), ix("j", 2)},
			Write: []ir.Affine{ir.Loop(0).Scale(2).Add(ir.Loop(1).Scale(3))}, Shape: []ir.Affine{ir.Int(12)},
			Body: ir.Apply(ir.OpSin, ir.ReadOf(tensor.F32, 0, ir.Loop(0), ir.Loop(1))),
		}, p...)
	}},
	"embedding": {[]ir.Type{f32(4, 3)}, func(b *ir.Builder, p []*ir.Value) *ir.Value {
		tokens := b.Const(tensor.FromI32([]int32{2, 0, 2, 3, 1, 2}, 6))
		return b.Nest(&ir.Nest{
			Combine: ir.Map, Out: 2, Index: []ir.Index{ix("t", 6), ix("c", 3)},
			Body: ir.ReadOf(tensor.F32, 0, ir.LoadIndex(&ir.Read{Operand: 1, Index: []ir.Affine{ir.Loop(0)}}), ir.Loop(1)),
		}, p[0], tokens)
	}},
}

// gradients builds f(params) → loss, and the same with its gradients by the passes named.
func gradients(params []ir.Type, build func(*ir.Builder, []*ir.Value) *ir.Value, order int) (forward, backward *ir.Func) {
	make := func(name string, order int) *ir.Func {
		b := ir.NewFunc(name)
		var p []*ir.Value
		for i, t := range params {
			p = append(p, b.Param(fmt.Sprintf("x%d", i), t))
		}
		y := total3(b, build(b, p))
		for range order {
			g := b.Grad(y, p...)
			for _, v := range g {
				v := total3(b, v)
				y = b.Apply(ir.OpAdd, y, v)
			}
		}
		b.Return("loss", y)
		return b.Func
	}
	forward = make("forward", order)
	b := &ir.Builder{Func: make("backward", order)}
	for i, g := range b.Grad(b.Func.Results[0], b.Func.Params...) {
		b.Return(fmt.Sprintf("d%d", i), g)
	}
	return forward, b.Func
}

func TestGradientsOfLayers(t *testing.T) {
	for name, l := range layers {
		for order := range 2 {
			for _, passes := range [][]string{{"grad"}, {"grad", "gather"}, {"simplify", "cse", "grad", "gather", "simplify", "cse", "dce"}} {
				t.Run(fmt.Sprintf("%s/%d/%v", name, order, passes), func(t *testing.T) {
					forward, backward := gradients(l.params, l.build, order)
					checkGradients(t, forward, backward, passes)
				})
			}
		}
	}
}

// checkGradients compares the results of backward after passes with central differences of forward.
func checkGradients(t failer, forward, backward *ir.Func, passes []string) {
	t.Helper()
	m := ir.NewModule()
	m.AddFunc(forward)
	m.AddFunc(backward)
	if err := Run(m, Options{Only: passes, VerifyEach: true}); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	machine := &machine{}
	args := make([]*array, len(forward.Params))
	for i, p := range forward.Params {
		args[i] = newArray(machine.dims(p.Type.Shape)...)
		for k := range args[i].data {
			args[i].data[k] = random.Float64()*2 - 1
		}
	}
	checkDifferences(t, forward, args, machine.run(backward, args...)[1:])
}

// checkDifferences compares gradients of the first result of forward at args, with others after them, with central differences.
func checkDifferences(t failer, forward *ir.Func, args, gradients []*array, others ...*array) {
	t.Helper()
	all := slices.Concat(args, others)
	for i, x := range args {
		for k, v := range x.data {
			difference := func(step float64) float64 {
				x.data[k] = v + step
				above := (&machine{symbols: map[string]int{"B": examples}}).run(forward, all...)[0].data[0]
				x.data[k] = v - step
				below := (&machine{symbols: map[string]int{"B": examples}}).run(forward, all...)[0].data[0]
				x.data[k] = v
				return (above - below) / (2 * step)
			}
			const step = 1e-5
			coarse, fine, finest := difference(2*step), difference(step), difference(step/8)
			want, got := fine, gradients[i].data[k]
			if math.Abs(finest-fine) > 0.01*(1+math.Abs(fine)) {
				continue // so steep, or in so narrow waves, that differences do not tell
			}
			// The error of a central difference is about a third of what half the step changes, plus rounding over the step.
			if !(math.Abs(got-want) <= 1e-6*(1+math.Abs(want))+2*math.Abs(coarse-fine)) {
				t.Fatalf("d/dx%d[%d] = %v, differences say %v", i, k, got, want)
			}
		}
	}
}

// failer is what tests of the standard library and of rapid have in common.
type failer interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}
