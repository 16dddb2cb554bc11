package lang

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// update adds the gradients of a loss, given also as each example's own, and the optimiser's updates of the parameters that it reaches.
func (t *trainer) update(f *frame, m *syntax.Minimize, own, loss *array) {
	reached := reachedParams(t.module, f.shared(loss), false)
	if len(reached) == 0 {
		f.errorf(m.Loss.Span(), diag.NotTrained, "this loss depends on no parameter, so there is nothing to train")
		return
	}
	if len(reachedParams(t.module, f.shared(loss), true)) == 0 {
		d := f.errorf(m.Loss.Span(), diag.NotTrained, "no gradient flows from this loss to a parameter, so there is nothing to train")
		d.Fix = "comparisons, argmax, categorical, i32 and stop_gradient have a gradient of zero; minimise something smooth, such as a crossentropy in the place of an accuracy"
		return
	}
	type update struct {
		cell  *ir.Cell
		using *optimizerRecipe
		slot  string
	}
	var updates []update
	taken := map[*ir.Cell]bool{}
	for _, g := range m.Groups {
		cells, ok := t.groupCells(f, g, reached, taken)
		if !ok {
			return
		}
		v := f.eval(g.Using)
		o, ok := v.(*optimizerRecipe)
		if !ok {
			if !isPoison(v) {
				d := f.errorf(g.Using.Span(), diag.TypeMismatch, "an optimizer such as adam() is needed here, not %s", describe(v))
				if name, ok := v.(text); ok {
					d.Fix = "write it without quotes, and with its arguments: " + string(name) + "()"
				}
			}
			return
		}
		slot := t.slotName(g.Using, o.optimizer.decl.Name.Name)
		for _, c := range cells {
			taken[c] = true
			updates = append(updates, update{c, o, slot})
		}
	}
	trained := make([]*ir.Cell, len(updates))
	for i, u := range updates {
		trained[i] = u.cell
	}
	if f.refuseStale(m, f.shared(loss), trained) {
		return
	}
	f.enter(m)
	shared := *f
	shared.sharing = true
	weights := make([]*ir.Value, len(updates))
	for i, u := range updates {
		weights[i] = f.local(f.mustStored(shared.readCell(u.cell)))
		t.updated[u.cell] = true
	}
	var grads []*ir.Value
	if f.empty {
		grads = f.zeros(weights)
	} else if call, ok := clipsExamples(m); ok {
		limit, ok := t.clipLimit(f, call)
		if !ok {
			return
		}
		grads = t.clipExamples(f, limit, own, trained)
	} else {
		grads = slices.Clone(f.b.Grad(f.shared(loss), weights...))
	}
	f = &shared
	if _, clipped := clipsExamples(m); m.Clip != nil && !clipped {
		var ok bool
		if grads, ok = t.clip(f, m.Clip, grads); !ok {
			return
		}
	}
	counters := map[string]*array{}
	for i, u := range updates {
		if counters[u.slot] == nil {
			counters[u.slot] = t.count(f, u.slot)
		}
		t.apply(f, u.using, u.cell, weights[i], grads[i], u.slot, counters[u.slot])
	}
}

// slotName names the memory of one `using`: the same for each function of the train.
func (t *trainer) slotName(using syntax.Expr, optimizer string) string {
	if name, ok := t.slots[using]; ok {
		return name
	}
	base := join(t.label, optimizer)
	name := base
	for i := 2; slices.Contains(slices.Collect(maps.Values(t.slots)), name) || t.label == "" && t.module.Cell(name+".updates") != nil; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	t.slots[using] = name
	return name
}

// groupCells returns the parameters of one `over … using`, without those that an earlier group has taken.
func (t *trainer) groupCells(f *frame, g *syntax.Group, reached []*ir.Cell, taken map[*ir.Cell]bool) ([]*ir.Cell, bool) {
	var want []*ir.Cell
	if len(g.Targets) == 0 {
		want = reached
	}
	for _, target := range g.Targets {
		if name, ok := target.(*syntax.Name); ok && name.Name == "rest" {
			want = reached
			continue
		}
		v := f.eval(target)
		switch v := v.(type) {
		case poison:
			return nil, false
		case *modelValue:
			want = append(want, v.inst.allCells()...)
			want = append(want, t.readCells(v)...)
		case *instance:
			want = append(want, v.allCells()...)
		default:
			c := f.cellOf(v)
			if c == nil {
				f.errorf(target.Span(), diag.TypeMismatch, "`over` takes models, layers and parameters, not %s", describe(v))
				return nil, false
			}
			want = append(want, c)
		}
	}
	var cells []*ir.Cell
	for _, c := range want {
		if c.Kind != ir.Param || taken[c] || !slices.Contains(reached, c) || slices.Contains(cells, c) {
			continue
		}
		fits, ok := f.groupWhere(g.Where, c)
		if !ok {
			return nil, false
		}
		if fits {
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		f.errorf(g.Span(), diag.NotTrained, "no parameter that the loss depends on is left for this")
		return nil, false
	}
	return cells, true
}

// cellOf is the parameter or state that a value is as a whole, such as Net.dense.kernel; nil if it is none.
func (f *frame) cellOf(v value) *ir.Cell {
	a, ok := v.(*array)
	if !ok {
		return nil
	}
	op, ok := a.stored()
	if !ok || f.values[op].Def == nil {
		return nil
	}
	for c, copies := range f.spread {
		if copies == f.values[op] {
			return c
		}
	}
	if f.values[op].Def.Op != ir.OpRead {
		return nil
	}
	return f.values[op].Def.Cell
}

// readCells lists what a model reads: its own parameters, and those of instances that it shares with others.
func (e *elaborator) readCells(m *modelValue) []*ir.Cell {
	e.elaborateModel(m)
	read := map[*ir.Cell]bool{}
	if mf := m.functions[0]; mf != nil && mf.f != nil {
		readBy(mf.f, read)
	}
	var cells []*ir.Cell
	for _, c := range e.module.Cells {
		if read[c] {
			cells = append(cells, c)
		}
	}
	return cells
}

// groupWhere evaluates the condition of a group for one parameter: rank, name and layer are in scope.
func (f *frame) groupWhere(cond syntax.Expr, c *ir.Cell) (fits, ok bool) {
	if cond == nil {
		return true, true
	}
	inner := f.nested()
	layer := ""
	if i := strings.LastIndexByte(c.Name, '.'); i >= 0 {
		layer = c.Name[:i]
	}
	inner.scope.set("rank", integer(len(c.Type.Shape)), diag.Span{})
	inner.scope.set("name", text(c.Name[strings.LastIndexByte(c.Name, '.')+1:]), diag.Span{})
	inner.scope.set("layer", text(layer), diag.Span{})
	v := inner.eval(cond)
	b, ok := v.(boolean)
	if !ok && !isPoison(v) {
		f.errorf(cond.Span(), diag.NotConstant, "`where` chooses parameters by rank, name and layer when the program is compiled, and this is %s", describe(v))
	}
	return bool(b), ok
}

// clip limits gradients, all groups' together: value(v) each element, norm(v) each parameter's norm, global_norm(v) the norm of all.
// A second number is added to a norm before it is compared. Source: Keras, clipvalue, clipnorm, global_clipnorm; PyTorch, clip_grad_norm_,
// which adds 1e-6.
func (t *trainer) clip(f *frame, n syntax.Expr, grads []*ir.Value) ([]*ir.Value, bool) {
	call, ok := n.(*syntax.Call)
	var kind *syntax.Name
	if ok {
		kind, ok = call.Fn.(*syntax.Name)
	}
	kinds := clipKinds
	if !ok || kind.Name == "by_example" || !slices.Contains(kinds, kind.Name) || len(call.Args) != 1 && (len(call.Args) != 2 || kind.Name == "value") {
		d := f.errorf(n.Span(), diag.InvalidValue, "`clip` takes value(v), norm(v), global_norm(v) or by_example(v)")
		if ok {
			if near := diag.DidYouMean(kind.Name, kinds); near != "" && near != kind.Name {
				d.Fix = "did you mean `" + near + "`?"
			}
		}
		return nil, false
	}
	limit, ok := t.clipLimit(f, call)
	if !ok {
		return nil, false
	}
	var added value = integer(0)
	if len(call.Args) == 2 {
		added = f.eval(call.Args[1].Value)
		if _, ok := added.(number); !ok {
			if !isPoison(added) {
				f.errorf(call.Args[1].Value.Span(), diag.NotConstant, "what is added to the norm is a number known when the program is compiled")
			}
			return nil, false
		}
	}
	f.enter(n)
	arrays := make([]*array, len(grads))
	for i, g := range grads {
		arrays[i] = f.arrayOf(g, nil)
	}
	squares := func(a *array) *array {
		sq := ir.Apply(ir.OpSquare, a.body)
		return f.reduce(ir.Sum, sq, nil, a.own)
	}
	shrink := func(a, norm *array) *array {
		if x := added.(number); x.float != 0 {
			norm = f.apply(ir.OpAdd, norm, scalarArray(ir.F32(x.float)))
		}
		return f.apply(ir.OpMul, a, f.apply(ir.OpDiv, limit, f.apply(ir.OpMax, norm, limit)))
	}
	var global *array
	if kind.Name == "global_norm" {
		for _, a := range arrays {
			if s := squares(a); global == nil {
				global = s
			} else {
				global = f.apply(ir.OpAdd, global, s)
			}
		}
		global = f.apply(ir.OpSqrt, global)
	}
	for i, a := range arrays {
		switch kind.Name {
		case "value":
			a = f.apply(ir.OpMin, f.apply(ir.OpMax, a, f.apply(ir.OpNeg, limit)), limit)
		case "norm":
			a = shrink(a, f.apply(ir.OpSqrt, squares(a)))
		default:
			a = shrink(a, global)
		}
		grads[i] = f.shared(a)
	}
	return grads, true
}

// clipLimit is the number that a clip begins with.
func (t *trainer) clipLimit(f *frame, call *syntax.Call) (*array, bool) {
	n := call.Args[0].Value
	limit, ok := f.asArray(n, f.eval(n), tensor.F32)
	if !ok {
		return nil, false
	}
	if limit.dtype != tensor.F32 || len(limit.shape) != 0 || f.usesBatch(limit) {
		f.errorf(n.Span(), diag.NotShared, "the limit of `clip` is one number for all examples")
		return nil, false
	}
	if v, ok := limit.body.IsConst(); ok && v <= 0 {
		f.errorf(n.Span(), diag.InvalidValue, "the limit of `clip` must be more than 0, and this is %v", v).Fix = "gradients are cut down to it, as in clip global_norm(1)"
		return nil, false
	}
	return limit, true
}

// count adds one to the number of updates that a group has had and returns it.
func (t *trainer) count(f *frame, slot string) *array {
	name := slot + ".updates"
	c := t.module.Cell(name)
	if c == nil {
		c = t.module.AddCell(&ir.Cell{Name: name, Type: ir.Scalar(tensor.I32), Kind: ir.Slot})
		zero := (&frame{elaborator: t.elaborator, function: t.init, scope: t.globals}).shared(scalarArray(ir.Const(tensor.I32, 0)))
		t.init.b.Write(c, zero)
	}
	next := f.apply(ir.OpAdd, f.readCell(c), scalarArray(ir.Const(tensor.I32, 1)))
	f.writeCell(c, f.shared(next))
	return f.apply(ir.OpToF32, f.readCell(c))
}

// apply runs an optimiser's body for one parameter. In its arguments step, epoch, progress and plateaus are in scope; in its body
// updates, the weight and its gradient, and examples, those of a full batch.
func (t *trainer) apply(f *frame, o *optimizerRecipe, weight *ir.Cell, w, g *ir.Value, slot string, updates *array) {
	decl := o.optimizer.decl
	site := *o.site
	site.args = nil
	args := f.with(newScope(f.scope))
	args.inst = nil
	f.runValues(args.scope)
	for _, a := range o.site.args {
		v := args.eval(a.node.(syntax.Expr))
		if isPoison(v) {
			return
		}
		if arr, ok := v.(*array); ok && f.usesBatch(arr) {
			args.errorf(a.node.Span(), diag.NotShared, "an optimizer's argument is shared by all examples, but this differs from example to example")
			return
		}
		site.args = append(site.args, &argument{name: a.name, node: a.node, value: v})
	}
	s := newScope(o.optimizer.scope)
	if !f.bind(&site, decl.Name.Name, decl.Config, s, true) {
		return
	}
	s.set("updates", updates, diag.Span{})
	s.set("examples", integer(t.batch), diag.Span{})
	// The body sees the weight's own shape as the dimensions of `...s` in the types of its parameters.
	fn := *f.function
	fn.batch, fn.spread = nil, nil // everything is shared
	fn.slots = map[string]*ir.Cell{decl.Weight.Name.Name: weight}
	body := &frame{elaborator: t.elaborator, function: &fn, scope: s, pending: true, user: f.user, subject: decl.Name.Name}
	if !body.requirements(decl.Body) {
		return
	}
	weightArray, gradArray := body.arrayOf(w, nil).named(decl.Weight.Name.Name, diag.Span{}), body.arrayOf(g, nil).named(decl.Grad.Name.Name, diag.Span{})
	for _, p := range []*syntax.Param{decl.Weight, decl.Grad} {
		if p.Type != nil && !body.matchShape(p.Type, weightArray, &argument{node: p}, decl.Name.Name, p) {
			return
		}
	}
	body.define(decl.Weight.Name, weightArray)
	body.define(decl.Grad.Name, gradArray)
	fn.slot = func(f *frame, s *syntax.Cell) { t.slotCell(f, s, weight, slot) }
	body.block(decl.Body)
	f.function.draws, f.function.calls = fn.draws, fn.calls
	delete(f.spread, weight)
}

// runValues binds the numbers that tell where the run stands: parameters of the function, made when they are first used.
func (f *frame) runValues(s *scope) {
	for _, name := range []string{plan.ParamStep, plan.ParamEpoch, plan.ParamPlateaus} {
		s.set(name, &deferred{find: func() value { return f.apply(ir.OpToF32, scalarArray(f.scalarParam(name))) }}, diag.Span{})
	}
	s.set(plan.ParamProgress, &deferred{find: func() value {
		for _, p := range f.b.Func.Params {
			if p.Name == plan.ParamProgress {
				return f.arrayOf(p, nil)
			}
		}
		return f.arrayOf(f.b.Param(plan.ParamProgress, ir.Scalar(tensor.F32)), nil)
	}}, diag.Span{})
}

// slotCell executes `state m = zeros` in an optimiser: memory for one weight, of its shape unless a type is given.
func (t *trainer) slotCell(f *frame, s *syntax.Cell, weight *ir.Cell, slot string) {
	f.enter(s)
	typ := &expect{weight.Type.DType, weight.Type.Shape}
	if s.Type != nil {
		if typ = f.typeOf(s.Type); typ == nil {
			return
		}
	}
	name := slot + "." + weight.Name + "." + s.Name.Name
	c := t.module.Cell(name)
	if c == nil {
		c = t.module.AddCell(&ir.Cell{Name: name, Type: ir.Type{DType: typ.dtype, Shape: typ.shape}, Kind: ir.Slot})
		f.initCell(c, s, typ)
	}
	f.slots[s.Name.Name] = c
	f.define(s.Name, f.readCell(c).named(s.Name.Name, diag.Span{}))
}

// reachedParams lists the parameters that v depends on, in the order of the module's cells; if flows, only those that a gradient
// may flow to.
func reachedParams(m *ir.Module, v *ir.Value, flows bool) []*ir.Cell {
	reached := map[*ir.Cell]bool{}
	seen := map[*ir.Instr]bool{}
	var visit func(v *ir.Value)
	visit = func(v *ir.Value) {
		in := v.Def
		if in == nil || seen[in] {
			return
		}
		seen[in] = true
		if in.Op == ir.OpRead {
			reached[in.Cell] = true
		}
		var inside []*ir.Value
		switch in.Op {
		case ir.OpCall:
			inside = in.Call.Results
		case ir.OpScan:
			inside = in.Scan.Body.Results
		case ir.OpNest:
			if flows {
				for _, i := range flowsTo(in.Nest) {
					visit(in.Args[i])
				}
				return
			}
		}
		for _, r := range inside {
			visit(r)
		}
		for _, a := range in.Args {
			visit(a)
		}
	}
	visit(v)
	var cells []*ir.Cell
	for _, c := range m.Cells {
		if reached[c] && c.Kind == ir.Param {
			cells = append(cells, c)
		}
	}
	return cells
}

// flowsTo lists the operands of a nest to which something of its result's cotangent may flow.
func flowsTo(n *ir.Nest) []int {
	if n.Combine == ir.ArgMax || n.Combine == ir.ArgMin {
		return nil
	}
	var operands []int
	var walk func(e *ir.Expr)
	walk = func(e *ir.Expr) {
		switch {
		case e.DType != tensor.F32:
		case e.Leaf == ir.LeafRead:
			operands = append(operands, e.Read.Operand)
		case e.Leaf == ir.NotLeaf:
			for i, a := range e.Args {
				if e.Op.Row().Grad[i] != "0" {
					walk(a)
				}
			}
		}
	}
	walk(n.Body)
	return operands
}
