package lang

import (
	"fmt"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// metricValue is a declared metric: state that is updated with each batch, and a value computed from it.
type metricValue struct {
	decl  *syntax.Metric
	scope *scope
}

func (m *metricValue) describe() string { return "the metric " + m.decl.Name.Name }

// applyMetric updates a metric's state with the batch at hand and gives its value. Each call in the program has a state of its own,
// which training and evaluation share: it starts anew before each of them.
func (f *frame) applyMetric(site *callSite, m *metricValue) value {
	name := m.decl.Name.Name
	if f.batch == nil || f.indexing {
		f.errorf(site.at, diag.NoExamples, "the metric %s is measured over batches, which there are none of here", name)
		return poison{}
	}
	inst := f.metricAt[site.node]
	if inst == nil {
		inst = f.newInstance(f.metricPath(name), nil)
		inst.role = measures
		inst.recipe = &recipe{layer: &layerValue{decl: &syntax.Layer{Name: m.decl.Name}}}
		f.metricAt[site.node] = inst
	}
	s := newScope(m.scope)
	if !f.bind(site, name, m.decl.Params, s, false) {
		return poison{}
	}
	inner := f.with(s)
	inner.inst, inner.subject = inst, name
	var result value
	for _, st := range m.decl.Body.Stmts {
		c, ok := st.(*syntax.Clause)
		if !ok {
			inner.statement(st)
			continue
		}
		if c.Name.Name == requireWord {
			if !inner.require(c) {
				return poison{}
			}
			continue
		}
		if c.Name.Name != "value" {
			f.errorf(c.Name.Span(), diag.UnknownSetting, "a metric has no setting `%s`", c.Name.Name).Fix = "it has `value`"
			return poison{}
		}
		result = inner.eval(c.Value)
	}
	if result == nil {
		f.errorf(m.decl.Name.Span(), diag.MissingSetting, "the metric %s has no value", name).Fix = "add value: …, an expression of its state"
		return poison{}
	}
	a, ok := inner.asArray(m.decl.Name, result, tensor.F32)
	if !ok {
		return poison{}
	}
	if f.usesBatch(a) {
		f.errorf(m.decl.Name.Span(), diag.NotShared, "the value of the metric %s is one for all examples, and this differs from example to example", name).Fix = "compute it from the metric's state"
		return poison{}
	}
	a = f.store(a)
	f.calls[runningKey(a)] = a
	return a
}

// metricPath names the state of one more call of a metric. What a report measures is counted apart, so that the others have the same names with and
// without reports.
func (f *frame) metricPath(name string) string {
	root := "metric."
	if f.judged != nil {
		root = "report."
	}
	number := 0
	for _, inst := range f.metricAt {
		if strings.HasPrefix(inst.path, root) {
			number++
		}
	}
	return fmt.Sprintf("%s%s_%d", root, name, number)
}

// runningKey marks the value of a metric with state among the calls of a function.
func runningKey(a *array) string {
	op, _ := a.stored()
	return fmt.Sprintf("metric %d", op)
}

// stream declares `stream h: f32[units] = zeros`: memory of each row of the batch, kept from one batch to the next.
func (f *frame) stream(s *syntax.Cell) {
	name := s.Name.Name
	if f.batch == nil || f.rows == 0 && f.inst.role != checks {
		f.errorf(s.Span(), diag.NoExamples, "a stream belongs to the rows of a batch, and there are none here")
		f.define(s.Name, poison{})
		return
	}
	t := f.typeOf(s.Type)
	if s.Type == nil || t == nil {
		if s.Type == nil {
			f.errorf(s.Span(), diag.MissingType, "the stream %s needs a type, as in stream %s: f32[10] = zeros", name, name)
		}
		f.define(s.Name, poison{})
		return
	}
	c := f.inst.cells[name]
	if c == nil {
		rows := max(f.rows, 1)
		full := &expect{t.dtype, append([]ir.Affine{ir.Int(rows)}, t.shape...)}
		c = f.module.AddCell(&ir.Cell{Name: join(f.inst.path, name), Type: ir.Type{DType: full.dtype, Shape: full.shape}, Kind: ir.Stream})
		f.inst.cells[name] = c
		f.inst.cellAt[name] = s.Type.Span()
		f.inst.ordered = append(f.inst.ordered, c)
		f.initStream(c, s, t, rows)
	}
	f.define(s.Name, f.readStream(c, t).named(name, s.Type.Span()))
}

// initStream gives each row of a stream its first value, in init and in reset. Random first values differ from row to row.
func (f *frame) initStream(c *ir.Cell, s *syntax.Cell, t *expect, rows int) {
	start := func(fn *function) {
		inner := *f
		inner.function = fn
		batch, place, draws := fn.batch, fn.place, fn.draws
		fn.batch = f.newAxis("b", ir.Int(rows), diag.Span{})
		inner.indexing, inner.pending = false, false
		inner.enter(s)
		inner.b.Loc.Scope = c.Name
		fn.place, fn.draws = c.Name, 0
		inner.expect = t
		var v value = number{float: 0}
		if s.Init != nil {
			v = inner.eval(s.Init)
		}
		v = inner.initial(v, t, s)
		if a, ok := v.(*array); ok {
			fn.b.Write(c, inner.examples(a))
		}
		fn.batch, fn.place, fn.draws = batch, place, draws
	}
	f.elaborator.streams[c] = start
	start(f.elaborator.init)
	start(f.elaborator.resetFunction())
}

// readStream is the stream's rows for the examples at hand. The last batch of a pass may have fewer examples than the stream has rows.
func (f *frame) readStream(c *ir.Cell, t *expect) *array {
	all := f.readCell(c)
	a := &array{dtype: t.dtype, shape: t.shape, own: f.newAxes(t.shape)}
	ix := []ir.Affine{ir.Loop(f.batch.id)}
	for _, id := range a.own {
		ix = append(ix, ir.Loop(id))
	}
	a.body = guarded(all.at(ix))
	return f.store(a)
}

// writeStream gives the rows at hand new values; further rows keep theirs.
func (f *frame) writeStream(c *ir.Cell, a *array) {
	old := f.readCell(c)
	now := f.examples(a)
	row := f.newAxis("row", c.Type.Shape[0], diag.Span{})
	own := f.newAxes(a.shape)
	ix := []ir.Affine{ir.Loop(row.id)}
	for _, id := range own {
		ix = append(ix, ir.Loop(id))
	}
	body := ir.Apply(ir.OpSelect,
		ir.Apply(ir.OpLess, ir.IndexValue(ir.Loop(row.id)), ir.IndexValue(f.batch.extent)),
		guarded(ir.ReadOf(a.dtype, f.operand(now), ix...)), old.at(ix))
	f.writeCell(c, f.nest(ir.Map, nil, append([]int{row.id}, own...), nil, body))
}
