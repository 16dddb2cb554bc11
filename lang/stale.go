package lang

import (
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// Note [Stale values]
//
// `let s = D(G(z))`, then D is updated, then -s is minimised over G: the gradient would pass through the old D, whose values an update in
// place has overwritten. Such a loss is an error. What counts is a parameter that has been updated since it was read and that meets, on
// its way to the loss, something that depends on the parameters being trained. A scan is looked at from outside only, and is let through.

// history is where the instructions of a function stand, and where it last wrote each parameter. It grows with the function.
type history struct {
	place   map[*ir.Instr]int
	updated map[*ir.Cell]int
}

// record returns the function's history so far.
func (f *function) record() *history {
	if f.history == nil {
		f.history = &history{place: map[*ir.Instr]int{}, updated: map[*ir.Cell]int{}}
	}
	h := f.history
	for i := len(h.place); i < len(f.b.Func.Body); i++ {
		in := f.b.Func.Body[i]
		h.place[in] = i
		if in.Op == ir.OpWrite && in.Cell.Kind == ir.Param {
			h.updated[in.Cell] = i
		}
	}
	return h
}

// stale returns a parameter that a loss reads in an old version on the way from the trained parameters to the loss, and the place of its
// update.
func (f *frame) stale(loss *ir.Value, trained []*ir.Cell) (*ir.Cell, bool) {
	past := f.record()
	if len(past.updated) == 0 {
		return nil, false
	}
	train := map[*ir.Cell]bool{}
	for _, c := range trained {
		train[c] = true
	}
	reads := func(in *ir.Instr) []*ir.Cell {
		switch in.Op {
		case ir.OpRead:
			return []*ir.Cell{in.Cell}
		case ir.OpCall:
			var cells []*ir.Cell
			for _, g := range in.Call.Body {
				if g.Op == ir.OpRead {
					cells = append(cells, g.Cell)
				}
			}
			return cells
		}
		return nil
	}
	old := func(in *ir.Instr) *ir.Cell {
		for _, c := range reads(in) {
			if at, ok := past.updated[c]; ok && at > past.place[in] {
				return c
			}
		}
		return nil
	}
	// depends: on the trained parameters, by a way that gradients take.
	depends := map[*ir.Instr]bool{}
	known := map[*ir.Instr]bool{}
	var find func(v *ir.Value) bool
	find = func(v *ir.Value) bool {
		in := v.Def
		if in == nil || known[in] {
			return in != nil && depends[in]
		}
		if stops(in) {
			return false
		}
		known[in] = true
		for _, c := range reads(in) {
			depends[in] = depends[in] || train[c]
		}
		for _, a := range in.Args {
			if find(a) {
				depends[in] = true
			}
		}
		return depends[in]
	}
	find(loss)
	for in := range known {
		if !depends[in] || in.Op == ir.OpScan {
			continue
		}
		if c := old(in); c != nil && in.Op == ir.OpCall {
			return c, true
		}
		for _, a := range in.Args {
			if a.Def == nil || a.Def.Op != ir.OpRead {
				continue
			}
			if c := old(a.Def); c != nil {
				return c, true
			}
		}
	}
	return nil, false
}

// stops reports whether an instruction is a stop_gradient.
func stops(in *ir.Instr) bool { return in.Op == ir.OpNest && in.Nest.Body.Op == ir.OpStop }

// refuseStale reports a loss that depends on a stale value.
func (f *frame) refuseStale(m *syntax.Minimize, loss *ir.Value, trained []*ir.Cell) bool {
	c, found := f.stale(loss, trained)
	if !found {
		return false
	}
	d := f.errorf(m.Loss.Span(), diag.StaleValue, "this loss uses a value that was computed before %s was updated", c.Name)
	d.Label = "it goes through the old " + c.Name
	d.Fix = "compute it again here, as in writing the call of the model instead of the name that `let` gave it"
	return true
}
