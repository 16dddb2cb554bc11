package lang

import (
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// Note [Gradients of examples]
//
// The gradient of an example's loss with respect to a parameter differs from example to example. In a train that needs such gradients
// (`clip by_example(c)`, or grad(L, w) where L is each example's) every example reads a copy of the parameters of its own: a value over
// the batch, all of whose rows are the parameter. The gradient with respect to that value has the examples' gradients as its rows, and
// summing them gives the gradient with respect to the parameter. Models are elaborated in place there, as layers are, since a model's
// function reads the parameters themselves. `<-` and optimisers see the shared parameters.

// spreadCell is a parameter, whose value v is, as a value of each example.
func (f *frame) spreadCell(c *ir.Cell, v *ir.Value) *array {
	lead := []*axis{f.batch}
	if f.spread[c] == nil {
		a := f.arrayOf(v, nil)
		f.spread[c] = f.nest(ir.Map, lead, a.own, nil, a.body)
	}
	return f.arrayOf(f.spread[c], lead)
}

// spreadOf returns the examples' copies of a parameter, given the value that reads it; nil if there are none.
func (f *frame) spreadOf(v *ir.Value) *ir.Value {
	if v.Def == nil || v.Def.Op != ir.OpRead || f.cells[v.Def.Cell] != v {
		return nil
	}
	return f.spread[v.Def.Cell]
}

// applyInPlace elaborates a model's body where it is called.
func (f *frame) applyInPlace(site *callSite, m *modelValue) value {
	name := m.decl.Name.Name
	s := newScope(m.scope)
	if f.elaborator.modelFunction(m, false) == nil || !f.bind(site, name, m.decl.Params, s, false) {
		return poison{}
	}
	key, keyed := f.callKey(m.inst, m.decl.Params, s)
	if keyed {
		if v, ok := f.calls[key]; ok {
			return v
		}
	}
	if f.inst == nil || f.inst.parent == nil && f.inst.model == nil { // in no other model
		m.places = append(m.places, f.b.Func)
	}
	inner := f.with(s)
	inner.enterInstance(m.inst)
	inner.round = ""
	if m.decl.Result != nil {
		inner.expect = inner.maybeType(m.decl.Result)
	}
	v := inner.block(m.decl.Body)
	f.enter(site.node)
	if m.decl.Result != nil {
		v = inner.checkResult(v, m.decl.Result, m.decl.Body, name)
	}
	if a, ok := v.(*array); ok {
		v = f.store(a)
	}
	if keyed {
		f.calls[key] = v
	}
	return v
}

// clipExamples limits the norm of each example's gradients, those of all parameters together, and returns their means.
// Source: Abadi et al. 2016.
func (t *trainer) clipExamples(f *frame, limit *array, loss *array, cells []*ir.Cell) []*ir.Value {
	lead := []*axis{f.batch}
	copies := make([]*ir.Value, len(cells))
	for i, c := range cells {
		copies[i] = f.local(f.mustStored(f.readCell(c)))
	}
	grads := make([]*array, len(cells))
	var norm *array
	for i, g := range f.b.Grad(f.total(loss), copies...) {
		grads[i] = f.arrayOf(g, lead)
		square := f.reduce(ir.Sum, ir.Apply(ir.OpSquare, grads[i].body), nil, grads[i].own)
		if norm == nil {
			norm = square
		} else {
			norm = f.apply(ir.OpAdd, norm, square)
		}
	}
	scale := f.apply(ir.OpDiv, limit, f.apply(ir.OpMax, f.apply(ir.OpSqrt, norm), limit))
	means := make([]*ir.Value, len(cells))
	for i, g := range grads {
		clipped := f.apply(ir.OpMul, g, scale)
		sum := f.reduce(ir.Sum, clipped.body, clipped.own, []int{f.batch.id})
		means[i] = f.shared(f.apply(ir.OpDiv, sum, t.exampleCount(f)))
	}
	return means
}

// clipsExamples reports whether a minimize limits each example's gradient.
func clipsExamples(m *syntax.Minimize) (*syntax.Call, bool) {
	call, ok := m.Clip.(*syntax.Call)
	if !ok {
		return nil, false
	}
	name, ok := call.Fn.(*syntax.Name)
	return call, ok && name.Name == "by_example" && len(call.Args) == 1
}

// refuseNeighbours reports a reduction over the batch in a model whose examples' gradients are asked for.
func (f *frame) refuseNeighbours(at diag.Span) value {
	d := f.errorf(at, diag.NotSupported, "gradients of single examples are asked for, but this value depends on the other examples of the batch")
	d.Fix = "use a layer that looks at one example only, such as LayerNorm in place of BatchNorm"
	return poison{}
}
