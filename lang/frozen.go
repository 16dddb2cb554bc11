package lang

import (
	"github.com/nnc-lang/nnc/ir"
)

// Note [Frozen instances]
//
// An instance none of whose parameters a train updates runs with `training` false in it: the running averages of a frozen BatchNorm stay,
// and are used. An instance without parameters, such as Dropout, follows the one around it. Which parameters are updated is known when
// the train's step has been elaborated; if that leaves instances frozen, the step is elaborated again, models that hold some of
// them in place.

// findFrozen lists the instances that steps read and do not update.
func (t *trainer) findFrozen(steps []*ir.Func) map[*instance]bool {
	read := map[*ir.Cell]bool{}
	for _, step := range steps {
		readBy(step, read)
	}
	frozen := map[*instance]bool{}
	for _, i := range t.instances {
		if i.role != predicts {
			continue
		}
		params, used, updated := 0, false, false
		for _, c := range i.allCells() {
			if c.Kind == ir.Param {
				params++
				used = used || read[c]
				updated = updated || t.updated[c]
			}
		}
		if params > 0 && used && !updated {
			frozen[i] = true
		}
	}
	return frozen
}

// readBy notes the cells that a function reads, also by calls.
func readBy(f *ir.Func, read map[*ir.Cell]bool) {
	for _, in := range f.Body {
		switch in.Op {
		case ir.OpRead:
			read[in.Cell] = true
		case ir.OpCall:
			readBy(in.Call, read)
		case ir.OpScan:
			readBy(in.Scan.Body, read)
		}
	}
}

// enterInstance sets whether the body of an instance is frozen.
func (f *frame) enterInstance(i *instance) {
	f.inst = i
	for _, c := range i.allCells() {
		if c.Kind == ir.Param {
			f.frozen = f.empty || f.elaborator.frozen[i]
			return
		}
	}
}

// inTraining is the value of `training`.
func (f *frame) inTraining() bool { return f.training && !f.frozen }

// mixes reports whether a call of a model reads parameters of frozen instances as well as of others, so that neither its training nor its
// inference function will do.
func (f *frame) mixes(m *modelValue) bool {
	if !f.training || len(f.elaborator.frozen) == 0 {
		return false
	}
	read := map[*ir.Cell]bool{}
	for _, c := range f.readCells(m) {
		read[c] = true
	}
	held := map[*ir.Cell]bool{}
	for i := range f.elaborator.frozen {
		for _, c := range i.allCells() {
			held[c] = true
		}
	}
	frozen, others := f.frozen, false
	for c := range read {
		if c.Kind == ir.Param {
			frozen = frozen || held[c]
			others = others || f.elaborator.updated[c]
		}
	}
	return frozen && others
}

// allFrozen reports whether a model that does not mix runs with `training` false where it is called.
func (f *frame) allFrozen(m *modelValue) bool {
	if len(f.elaborator.frozen) == 0 || !f.inTraining() {
		return !f.inTraining()
	}
	params := 0
	for _, c := range f.readCells(m) {
		if c.Kind == ir.Param {
			params++
			if f.elaborator.updated[c] {
				return false
			}
		}
	}
	return params > 0
}
