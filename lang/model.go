package lang

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// modelValue is a declared model: one instance, and an IR function for each value of `training`.
type modelValue struct {
	decl  *syntax.Model
	scope *scope
	inst  *instance

	functions [2]*modelFunction // inference, training
	places    []*ir.Func        // in which its body stands instead of a call, see applyInPlace
	data      *dataset          // whose fields it is trained on
	layers    []*plan.Layer
	seen      map[*instance]bool

	// Of the inference function, see Note [Calls of a model].
	calls   []*plan.Call
	applied int           // how many of them are of layers and models
	outputs []plan.Origin // where its results come from
}

func (m *modelValue) describe() string { return "the model " + m.decl.Name.Name }

// modelFunction is a model as an IR function. Its parameters are the model's, then seed and step if it draws random numbers.
type modelFunction struct {
	f        *ir.Func
	cells    map[*ir.Cell]*ir.Value // that it reads
	inputs   []*expect
	lengths  map[string][2]int // parameters that are examples' own lengths: which input's dimension each belongs to
	output   value             // of the shape of what it returns: an array, or a tuple of arrays
	building bool
}

// elaborateModel builds a model's inference function, which makes its cells.
func (e *elaborator) elaborateModel(m *modelValue) { e.modelFunction(m, false) }

// modelFunction returns a model's function; nil after an error.
func (e *elaborator) modelFunction(m *modelValue, training bool) *modelFunction {
	k := 0
	name := "." + m.decl.Name.Name
	if training {
		k = 1
		name += ".training"
	}
	if mf := m.functions[k]; mf != nil {
		if mf.building {
			e.report(m.decl.Name.Span(), diag.Span{}, diag.Recursion, "the model "+m.decl.Name.Name+" uses itself")
			return nil
		}
		if mf.f == nil {
			return nil // an error was reported
		}
		return mf
	}
	mf := &modelFunction{building: true, lengths: map[string][2]int{}}
	m.functions[k] = mf
	defer func(frozen map[*instance]bool) { e.frozen = frozen }(e.frozen)
	e.frozen = nil // the function serves all trains
	fn := e.withBatch(e.newFunction(name), ir.Symbol("B"))
	fn.training = training
	if !training {
		fn.recording, m.seen = m, map[*instance]bool{}
	}
	f := &frame{elaborator: e, function: fn, scope: newScope(m.scope), inst: m.inst, subject: m.decl.Name.Name}
	errors := len(e.diags.All)
	if len(m.decl.Params) == 0 {
		d := f.errorf(m.decl.Name.Span(), diag.NoExamples, "the model %s takes no input, so there are no examples for it", m.decl.Name.Name)
		d.Fix = "give it an input, or make it a layer of a model that has one"
		return nil
	}
	for i, p := range m.decl.Params {
		f.ownDimensions(p, i, mf)
		t := f.inputType(p)
		mf.inputs = append(mf.inputs, t)
		if t == nil {
			f.define(p.Name, poison{})
			continue
		}
		v := fn.b.Param(p.Name.Name, ir.Type{DType: t.dtype, Shape: append([]ir.Affine{fn.batch.extent}, t.shape...)})
		a := f.arrayOf(v, []*axis{fn.batch}).named(p.Name.Name, p.Type.Span())
		a.origin = &plan.Origin{Call: plan.FromInput, Output: i}
		f.define(p.Name, a)
	}
	if m.decl.Result != nil {
		f.expect = f.maybeType(m.decl.Result)
	}
	v := f.block(m.decl.Body)
	f.enter(lastOf(m.decl.Body))
	if v == nil {
		f.errorf(m.decl.Name.Span(), diag.NoValue, "the model %s ends without a value", m.decl.Name.Name).Fix = "write the value as the last line, without `let`"
		v = poison{}
	}
	if m.decl.Result != nil {
		v = f.checkResult(v, m.decl.Result, m.decl.Body, m.decl.Name.Name)
	}
	mf.building = false
	if l, ok := v.(*list); ok {
		if a, ok := f.listArray(l, tensor.F32); ok {
			v = a
		}
	}
	if isPoison(v) || len(e.diags.All) > errors {
		return nil
	}
	if !training {
		m.outputs = originsOf(v)
	}
	mf.output = v
	if !f.returnValue("", v, lastOf(m.decl.Body)) {
		return nil
	}
	mf.f = e.module.AddFunc(fn.b.Func)
	mf.cells = fn.cells
	if other := m.functions[1-k]; other != nil && other.f != nil && !e.sameCells(m) {
		return nil
	}
	return mf
}

// sameCells reports parameters and states that a model has only while it trains, or only while it predicts: weights files would not fit.
func (e *elaborator) sameCells(m *modelValue) bool {
	same := true
	for k, when := range []string{"only while it does not train", "only while it trains"} {
		for _, i := range e.instances {
			for _, c := range i.ordered {
				_, has := m.functions[k].cells[c]
				if _, always := m.functions[1-k].cells[c]; !has || always {
					continue
				}
				same = false
				at := i.cellAt[lastPart(c.Name)]
				if e.isStd(at) {
					at = m.decl.Name.Span()
				}
				d := e.report(at, diag.Span{}, diag.Misplaced, fmt.Sprintf("the model %s has %s %s", m.decl.Name.Name, c.Name, when))
				d.Fix = "declare it before `if`, so that the model has the same parameters whether it trains or not"
			}
		}
	}
	return same
}

// lastPart is a cell's own name.
func lastPart(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// inputType is the type of a model's parameter.
func (f *frame) inputType(p *syntax.Param) *expect {
	if p.Type == nil {
		f.errorf(p.Span(), diag.MissingType, "the input %s needs a type, as in %s: f32[28, 28, 1]", p.Name.Name, p.Name.Name)
		return nil
	}
	return f.typeOf(p.Type)
}

// ownDimensions binds the dimensions that a model's input leaves as names: each example's own lengths. The function gets a parameter for
// each, the lengths of the batch's examples.
func (f *frame) ownDimensions(p *syntax.Param, input int, mf *modelFunction) {
	if p.Type == nil {
		return
	}
	for k, d := range p.Type.Dims {
		name, ok := d.Size.(*syntax.Name)
		if !ok || f.scope.lookup(name.Name) != nil {
			continue
		}
		f.ownLengthNamed(name.Name, name.Span())
		mf.lengths[lengthParam(name.Name)] = [2]int{input, k}
	}
}

// ownLengthNamed makes a dimension of that name that differs from example to example.
func (f *frame) ownLengthNamed(name string, at diag.Span) {
	symbol := ir.Symbol("L" + name)
	v := f.b.Param(lengthParam(name), ir.Type{DType: tensor.I32, Shape: []ir.Affine{f.batch.extent}})
	f.operand(v)
	f.lengths["L"+name] = v
	f.scope.set(name, dimension{symbol}, at)
}

// lengthParam is the name of the parameter that holds the lengths of a dimension.
func lengthParam(name string) string { return "length." + name }

// returnValue adds the IR values of a result, over the batch.
func (f *frame) returnValue(name string, v value, n syntax.Node) bool {
	switch v := v.(type) {
	case *tuple:
		for i, e := range v.elems {
			if !f.returnValue(v.names[i], e, n) {
				return false
			}
		}
		return true
	case *array:
		f.b.Return(name, f.examples(v))
		return true
	}
	a, ok := f.asArray(n, v, tensor.F32)
	if ok {
		f.b.Return(name, f.examples(a))
	}
	return ok
}

// resultOf wraps the IR results of a call in a value of the shape of the callee's output.
func (f *frame) resultOf(like value, results []*ir.Value) (value, []*ir.Value) {
	if t, ok := like.(*tuple); ok {
		out := &tuple{names: t.names}
		for _, e := range t.elems {
			var v value
			v, results = f.resultOf(e, results)
			out.elems = append(out.elems, v)
		}
		return out, results
	}
	return f.arrayOf(results[0], []*axis{f.batch}), results[1:]
}

// applyModel calls a model on the examples at hand.
func (f *frame) applyModel(site *callSite, m *modelValue) value {
	if m.decl == nil {
		for _, known := range f.models {
			if known.inst == m.inst {
				m = known
			}
		}
	}
	if f.batch != nil && !f.indexing && (f.spread != nil || f.mixes(m)) {
		return f.applyInPlace(site, m)
	}
	what := m.decl.Name.Name
	if f.batch == nil || f.indexing {
		f.errorf(site.at, diag.NoExamples, "the model %s is applied to examples, and there are none here", what).Fix = "call it in a train, a test or another model"
		return poison{}
	}
	mf := f.elaborator.modelFunction(m, !f.allFrozen(m))
	if mf == nil {
		return poison{}
	}
	s := newScope(m.scope)
	if !f.bind(site, what, m.decl.Params, s, false) {
		return poison{}
	}
	key, keyed := f.callKey(m.inst, m.decl.Params, s)
	done := f.calledModel(m, site, s)
	if keyed {
		if v, ok := f.calls[key]; ok {
			return done(v)
		}
	}
	f.enter(site.node)
	args := make([]*ir.Value, 0, len(mf.f.Params))
	for _, p := range mf.f.Params {
		if at, ok := mf.lengths[p.Name]; ok {
			in, ok := s.names[m.decl.Params[at[0]].Name.Name].value.(*array)
			if !ok {
				return poison{}
			}
			args = append(args, f.examples(scalarArray(ir.IndexValue(f.ownLength(in.shape[at[1]])))))
			continue
		}
		b := s.names[p.Name]
		if b == nil { // seed or step
			args = append(args, f.randomArgument(p.Name))
			continue
		}
		a, ok := f.asArray(site.node, b.value, p.Type.DType)
		if !ok || !f.checkInput(site.node, p.Name, p, a) {
			return poison{}
		}
		args = append(args, f.examples(a))
	}
	v, _ := f.resultOf(mf.output, f.b.Call(mf.f, args...))
	for c := range f.cells { // a state that the call has changed is read anew
		if c.Kind != ir.Param {
			delete(f.cells, c)
		}
	}
	if keyed {
		f.calls[key] = v
	}
	return done(v)
}

// randomArgument passes seed and step on to a model's function; each distinct call draws numbers of its own.
func (f *frame) randomArgument(name string) *ir.Value {
	e := f.scalarParam(name)
	if name == "seed" {
		f.function.draws++
		if f.draws > 1 {
			e = ir.Apply(ir.OpAdd, e, ir.Const(tensor.I32, float64(int32(f.draws*0x3C6EF35))))
		}
	}
	return f.shared(scalarArray(e))
}

// sameValue reports whether two arrays read the same IR value whole.
func sameValue(x, y value) bool {
	a, ok := x.(*array)
	if !ok {
		return false
	}
	b, ok := y.(*array)
	if !ok {
		return false
	}
	i, ok := a.stored()
	if !ok {
		return false
	}
	j, ok := b.stored()
	return ok && i == j
}

// predictor builds the function that maps raw fields to a model's output, and the model's plan.
func (e *elaborator) predictor(m *modelValue) {
	mf := m.functions[0]
	if mf == nil || mf.f == nil {
		return
	}
	p := &plan.Model{Name: m.decl.Name.Name, Layers: m.layers, Calls: m.calls, Outputs: m.outputs, Predict: m.decl.Name.Name + ".predict"}
	fn := e.withBatch(e.newFunction(p.Predict), ir.Symbol("B"))
	fn.fixedSeed = true // a prediction repeats
	f := &frame{elaborator: e, function: fn, scope: newScope(e.globals)}
	site := &callSite{node: m.decl, at: m.decl.Name.Span()}
	d := m.data
	for i, in := range m.decl.Params {
		t := mf.inputs[i]
		p.Inputs = append(p.Inputs, planField(in.Name.Name, t))
		if d == nil || !d.has(in.Name.Name) {
			d = nil
		}
	}
	if d != nil && (d.plan.Source.Synthetic != nil || !e.feeds(d, m)) { // data by formula has no examples to be given
		d = nil
	}
	if d != nil {
		p.Data = d.plan
		f.fields(d)
	}
	for i, in := range m.decl.Params {
		var v value
		if d != nil {
			v = f.resolve(f.scope.lookup(in.Name.Name), in.Span(), in.Name.Name)
		} else {
			for k, dim := range in.Type.Dims {
				if at, ok := dim.Size.(*syntax.Name); ok && mf.lengths[lengthParam(at.Name)] == [2]int{i, k} {
					if _, own := mf.lengths[lengthParam(at.Name)]; own {
						f.ownLengthNamed(at.Name, at.Span())
					}
				}
			}
			t := mf.inputs[i]
			v = f.arrayOf(fn.b.Param(in.Name.Name, ir.Type{DType: t.dtype, Shape: append([]ir.Affine{fn.batch.extent}, t.shape...)}), []*axis{fn.batch})
		}
		site.args = append(site.args, &argument{node: in, value: v})
	}
	for _, c := range writtenCells(mf.f) { // a prediction does not depend on the one before
		if start := e.streams[c]; start != nil {
			start(fn)
		}
	}
	out := f.applyModel(site, m)
	if isPoison(out) || !f.returnValue("", out, m.decl) {
		return
	}
	if d != nil {
		f.bindBatch([]*dataset{d})
	}
	for _, q := range fn.b.Func.Params {
		if d == nil {
			p.Fields = append(p.Fields, planField(q.Name, &expect{q.Type.DType, q.Type.Shape[1:]}))
			continue
		}
		p.Fields = append(p.Fields, d.raw(q.Name))
	}
	if a, ok := out.(*array); ok {
		p.Output = planField("", &expect{a.dtype, a.shape})
		p.Labels = e.labelsOf(m, p.Fields)
	}
	p.Results = m.results("", out, nil)
	e.module.AddFunc(fn.b.Func)
	e.plan.Models = append(e.plan.Models, p)
	m.plan(p, e)
}

// feeds reports whether the fields that are called as a model's inputs are of their types: a model that is applied to what another one makes may
// call its input as the data calls something else.
func (e *elaborator) feeds(d *dataset, m *modelValue) bool {
	f := &frame{elaborator: e, function: e.withBatch(e.newFunction("fields"), ir.Symbol("B")), scope: newScope(e.globals)} // of no use afterwards
	f.fields(d)
	for i, in := range m.decl.Params {
		a, ok := f.resolve(f.scope.lookup(in.Name.Name), in.Span(), in.Name.Name).(*array)
		if !ok {
			continue
		}
		t := m.functions[0].inputs[i]
		if a.dtype != t.dtype || len(a.shape) != len(t.shape) {
			return false
		}
		for k := range t.shape {
			have, known := a.shape[k].IsConst()
			if want, fixed := t.shape[k].IsConst(); known && fixed && have != want {
				return false
			}
		}
	}
	return true
}

// writtenCells lists the cells that a function writes.
func writtenCells(f *ir.Func) []*ir.Cell {
	var cells []*ir.Cell
	for _, in := range f.Body {
		switch in.Op {
		case ir.OpWrite:
			cells = append(cells, in.Cell)
		case ir.OpCall:
			cells = append(cells, writtenCells(in.Call)...)
		}
	}
	return cells
}

// plan tells the trains of a model its plan.
func (m *modelValue) plan(p *plan.Model, e *elaborator) {
	for _, t := range e.plan.Trains {
		for i := range t.Models {
			if t.Models[i].Name == p.Name {
				t.Models[i] = p
			}
		}
	}
}

// labelsOf finds the names of the classes that a model's output stands for: those of the only class field of its data, if the
// output is numbers and has one for each class, or one for two. A class that the model is given is none that it finds.
func (e *elaborator) labelsOf(m *modelValue, given []plan.Field) []string {
	if m.data == nil {
		return nil
	}
	out, ok := m.functions[0].output.(*array)
	if !ok || len(out.shape) > 1 || out.dtype != tensor.F32 {
		return nil
	}
	values := 1
	if len(out.shape) == 1 {
		values, _ = out.shape[0].IsConst()
	}
	var found []string
	for _, field := range m.data.plan.Fields {
		if slices.ContainsFunc(given, func(g plan.Field) bool { return g.Name == field.Name }) {
			continue
		}
		if n := len(field.Labels); n > 0 && len(field.Shape) == 0 && (n == values || n == 2 && values == 1) {
			if found != nil {
				return nil
			}
			found = field.Labels
		}
	}
	return found
}

// results appends what each tensor of a model's output stands for: the classes of the field that a tensor is called as, if it has a value for each, or words
// of the only text of the data that the model does not take, if it holds as many whole numbers as there is room for.
func (m *modelValue) results(name string, v value, list []plan.Result) []plan.Result {
	if t, ok := v.(*tuple); ok {
		for i, x := range t.elems {
			list = m.results(t.names[i], x, list)
		}
		return list
	}
	r := plan.Result{Name: name}
	a, ok := v.(*array)
	switch {
	case !ok || m.data == nil || len(a.shape) != 1:
	case a.dtype == tensor.I32:
		if c, labels := m.otherText(); c != nil {
			r.Labels, r.Unit, r.End = labels, c.Unit, c.End
		}
	default:
		labels := m.data.raw(name).Labels
		if n, known := a.shape[0].IsConst(); known && n == len(labels) {
			r.Labels = labels
		}
	}
	return append(list, r)
}

// otherText is the only column of words of the model's data, and its vocabulary, that is made of nothing that the model takes; nil if there is none, or several.
func (m *modelValue) otherText() (found *plan.Column, labels []string) {
	if m.data.plan.Source.CSV == nil {
		return nil, nil
	}
	columns := m.data.plan.Source.CSV.Columns
	from := func(c plan.Column) string {
		if len(c.From) == 0 {
			return c.Field
		}
		return c.From[0]
	}
	var taken []string // columns of the table
	for _, c := range columns {
		if slices.ContainsFunc(m.decl.Params, func(p *syntax.Param) bool { return p.Name.Name == c.Field }) {
			taken = append(taken, from(c))
		}
	}
	for i := range columns {
		c := &columns[i]
		if c.Kind != "words" || slices.Contains(taken, from(*c)) {
			continue
		}
		if found != nil || c.NGrams != nil {
			return nil, nil
		}
		found, labels = c, m.data.raw(c.Field).Labels
	}
	return found, labels
}

func planField(name string, t *expect) plan.Field {
	return plan.Field{Name: name, DType: t.dtype, Shape: planShape(t.shape)}
}
