package lang

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
)

// Note [Averages of weights]
//
// `average: ema(0.999)` keeps, beside each parameter that the train changes, a cell with the average of its values after the updates. How it
// is computed is an optimiser's body: what that calls its weight is the average, and what it calls the gradient is the parameter. Steps go on
// from the parameters; what is measured, kept and saved is the averages (see plan.Train.Averages).

// averages updates the averages of all parameters that a step changes.
func (t *trainer) averages(f *frame, p *plan.Train) {
	g := t.set.given["average"]
	if g == nil {
		return
	}
	written := map[*ir.Cell]bool{}
	for _, in := range f.b.Func.Body {
		if in.Op == ir.OpWrite && in.Cell.Kind == ir.Param {
			written[in.Cell] = true
		}
	}
	f.enter(g.node)
	v := f.eval(g.node)
	o, ok := v.(*optimizerRecipe)
	if !ok {
		if !isPoison(v) {
			f.errorf(g.node.Span(), diag.TypeMismatch, "`average` says how weights are averaged, and this is %s", describe(v)).Fix = "write average: ema(0.999), or average: swa()"
		}
		return
	}
	shared := *f
	shared.sharing = true
	for _, c := range slices.Clone(t.module.Cells) {
		if !written[c] {
			continue
		}
		slot := join(t.label, "average") + "." + c.Name
		average := t.module.Cell(slot)
		if average == nil {
			average = t.module.AddCell(&ir.Cell{Name: slot, Type: c.Type, Kind: ir.Slot})
			init := &frame{elaborator: t.elaborator, function: t.init, scope: t.globals}
			zeros := &array{dtype: c.Type.DType, shape: c.Type.Shape, own: init.newAxes(c.Type.Shape), body: ir.F32(0)}
			t.init.b.Write(average, init.shared(zeros))
		}
		if a := (plan.Average{Param: c.Name, Cell: slot}); !slices.Contains(p.Averages, a) {
			p.Averages = append(p.Averages, a)
		}
		old, now := f.local(f.mustStored(shared.readCell(average))), f.local(f.mustStored(shared.readCell(c)))
		t.apply(&shared, o, average, old, now, slot, t.count(&shared, slot))
	}
}
