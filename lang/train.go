package lang

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// trainClauses are the settings of a train block.
var trainClauses = []string{
	"loss", "optimizer", "over", "clip", "metrics", "epochs", "steps", "validate", "until", "save", "batch",
	"load", "patience", "keep", "plateau", "average", "samples", "micro_batch",
}

// trainer elaborates one train declaration, once for a training step and once for evaluating.
type trainer struct {
	*elaborator
	decl  *syntax.Train
	data  []*dataset
	label string
	slots map[syntax.Expr]string // the name of the memory of each `using`
	every map[syntax.Expr]int    // the period of each `every`, as its number in the plan
	due   int                    // which of them the function being built has
	empty bool                   // it is a step without examples

	reporting bool // the function being built measures what Note [Reports] says

	updated map[*ir.Cell]bool // parameters
	batch   int               // examples of a full batch
	parts   int               // examples of a part of it; 0: it is computed as a whole
	spread  bool              // examples have copies of the parameters of their own
	set     *settings
	inst    *instance // holds the train's streams
}

// train elaborates a train declaration.
func (e *elaborator) train(decl *syntax.Train) {
	t := &trainer{elaborator: e, decl: decl, updated: map[*ir.Cell]bool{}, slots: map[syntax.Expr]string{}, every: map[syntax.Expr]int{}}
	name := "train"
	if decl.Label != nil {
		t.label = decl.Label.Name
		name = "train." + t.label
	}
	for i := 2; e.module.Func(name+".step") != nil; i++ {
		name = fmt.Sprintf("train%d", i)
	}
	p := &plan.Train{Label: t.label, Step: name + ".step", Eval: name + ".eval"}
	t.inst = e.newInstance(name, nil)
	t.inst.role = trains
	t.inst.recipe = &recipe{layer: &layerValue{decl: &syntax.Layer{Name: &syntax.Ident{Name: name}}}}
	f := &frame{elaborator: e, function: e.init, scope: newScope(e.globals)}
	if !t.findData(f, p) {
		return
	}
	t.set = f.readClauses(decl.Body, "train", trainClauses, func(syntax.Stmt) {})
	t.readPlan(f, p)
	t.findEvery(f, p)
	for _, m := range minimizes(decl.Body) {
		_, clips := clipsExamples(m)
		t.spread = t.spread || clips
	}
	if g := t.set.given["clip"]; g != nil {
		_, clips := clipsExamples(&syntax.Minimize{Clip: g.node})
		t.spread = t.spread || clips
	}
	functions, ok := t.steps(p)
	if !ok {
		return
	}
	if frozen := t.findFrozen(functions); len(frozen) > 0 {
		e.frozen, e.updated = frozen, t.updated
		functions, ok = t.steps(p)
		e.frozen, e.updated = nil, nil
		if !ok {
			return
		}
	}
	if len(t.data) > 0 && t.data[0].plan.Order != "streams" && t.keepsStreams(functions) {
		name := t.data[0].decl.Name.Name
		if t.byChance() {
			f.errorf(t.headSpan(), diag.ConflictingSettings, "a stream belongs to a row of the batch, and %s takes its examples by chance: a row is another one each time", name).Fix = `leave out the data's sampling, or give it order: "streams" instead`
		} else {
			f.errorf(t.headSpan(), diag.ConflictingSettings, "a stream belongs to a row of the batch, and the rows of %s do not go on from batch to batch", name).Fix = `add order: "streams" to ` + name
		}
		return
	}
	for _, step := range functions {
		if !t.refuseWhole(step) {
			return
		}
		step.Finite = true
		e.module.AddFunc(step)
	}
	eval, ok := t.function(p.Eval, false, p)
	if !ok || !t.refuseWhole(eval) {
		return
	}
	functions = append(functions, e.module.AddFunc(eval))
	for _, m := range e.models {
		if slices.ContainsFunc(functions, m.usedBy) {
			p.Models = append(p.Models, &plan.Model{Name: m.decl.Name.Name}) // completed by predictor
			if m.data == nil && len(t.data) > 0 {
				m.data = t.dataOf(m)
			}
		}
	}
	for k, d := range t.data {
		part := 0
		if len(t.data) > 1 {
			part = k + 1
		}
		for _, r := range d.plan.Fields {
			r.Name = d.fieldParam(r.Name, part)
			takes := func(fn *ir.Func) bool {
				return slices.ContainsFunc(fn.Params, func(q *ir.Value) bool { return q.Name == r.Name })
			}
			if slices.ContainsFunc(functions, takes) {
				p.Fields = append(p.Fields, r)
			}
		}
	}
	t.until(p, name+".until")
	t.watch(f, p)
	t.load(f, p)
	t.samples(p, name+".samples")
	t.report(p, name+".report")
	e.plan.Trains = append(e.plan.Trains, p)
}

// dataOf is the data whose map a prediction of a model runs: the first that has all that the model takes.
func (t *trainer) dataOf(m *modelValue) *dataset {
	for _, d := range t.data {
		if !slices.ContainsFunc(m.decl.Params, func(p *syntax.Param) bool { return !d.has(p.Name.Name) }) {
			return d
		}
	}
	return t.data[0]
}

// steps elaborates the functions for a step, one for each set of updates that are due.
func (t *trainer) steps(p *plan.Train) ([]*ir.Func, bool) {
	var steps []*ir.Func
	for due := range 1 << len(p.Every) {
		t.due = due
		step, ok := t.function(p.StepVariant(due), true, p)
		if !ok {
			return nil, false
		}
		steps = append(steps, step)
		if !t.byChance() {
			continue
		}
		t.empty = true
		step, ok = t.function(p.StepVariant(due)+plan.EmptySuffix, true, p)
		t.empty = false
		if !ok {
			return nil, false
		}
		steps = append(steps, step)
	}
	return steps, true
}

// usedBy reports whether a function calls a model, or has its body in place of a call.
func (m *modelValue) usedBy(f *ir.Func) bool {
	if slices.Contains(m.places, f) {
		return true
	}
	for _, in := range f.Body {
		if in.Op == ir.OpCall {
			for _, mf := range m.functions {
				if mf != nil && mf.f == in.Call {
					return true
				}
			}
		}
	}
	return false
}

func (t *trainer) findData(f *frame, p *plan.Train) bool {
	for _, on := range t.decl.On {
		b := t.globals.lookup(on.Name)
		if b == nil {
			d := f.errorf(on.Span(), diag.UnknownData, "there is no data `%s`", on.Name)
			var names []string
			for n, b := range t.globals.names {
				if df, ok := b.value.(*deferred); ok {
					if _, ok := df.found.(*dataset); ok {
						names = append(names, n)
					}
				}
			}
			slices.Sort(names)
			if near := diag.DidYouMean(on.Name, names); near != "" {
				d.Fix = "did you mean `" + near + "`?"
			} else if len(names) > 0 {
				d.Fix = "there is " + joinNames(names)
			}
			return false
		}
		v := f.resolve(b, on.Span(), on.Name)
		d, ok := v.(*dataset)
		if !ok {
			if !isPoison(v) {
				f.errorf(on.Span(), diag.TypeMismatch, "%s is %s, not data", on.Name, describe(v))
			}
			return false
		}
		t.data = append(t.data, d)
	}
	for k, d := range t.data {
		if d.plan.Chance && len(t.data) > 1 {
			f.errorf(t.decl.On[k].Span(), diag.ConflictingSettings, "%s takes its examples by chance, and a train on several data has an example of each in every example", d.decl.Name.Name).Fix = "train on it alone, or leave out its sampling"
			return false
		}
		switch first := slices.Index(t.data, d); {
		case first < k:
			e := f.errorf(t.decl.On[k].Span(), diag.DuplicateName, "this train is on %s twice", d.decl.Name.Name)
			e.Fix = "declare the data again under another name, and train on both"
			f.relate(e, t.decl.On[first].Span(), "it is named here")
			return false
		case k == 0:
			p.Data = d.plan
			continue
		case d.plan.Order == "streams":
			f.errorf(t.decl.On[k].Span(), diag.ConflictingSettings, "%s is in the order of streams, which only the first of several data can be", d.decl.Name.Name).Fix = "name it first: an epoch is a pass over the first data, and the others repeat"
			return false
		}
		p.Others = append(p.Others, d.plan)
	}
	return true
}

// minimizes lists the minimize statements of a body, also those that are repeated.
func minimizes(b *syntax.Block) []*syntax.Minimize {
	var list []*syntax.Minimize
	for _, s := range b.Stmts {
		switch s := s.(type) {
		case *syntax.Minimize:
			list = append(list, s)
		case *syntax.RepeatStmt:
			list = append(list, minimizes(s.Body)...)
		}
	}
	return list
}

// maxEvery bounds the different periods of one train, each of which doubles the number of step functions.
const maxEvery = 3

// findEvery collects the periods of `minimize … every n`.
func (t *trainer) findEvery(f *frame, p *plan.Train) {
	for _, m := range minimizes(t.decl.Body) {
		if m.Every == nil {
			continue
		}
		n, ok := f.constInt(m.Every)
		if ok && n < 1 {
			f.errorf(m.Every.Span(), diag.InvalidValue, "`every` is followed by a whole number from 1, and this is %d", n)
			ok = false
		}
		if !ok {
			continue
		}
		k := slices.Index(p.Every, n)
		if k < 0 {
			k = len(p.Every)
			p.Every = append(p.Every, n)
		}
		t.every[m.Every] = k
		if len(p.Every) > maxEvery {
			f.errorf(m.Every.Span(), diag.NotSupported, "a train may have %d different periods after `every`", maxEvery)
			p.Every = p.Every[:maxEvery]
			return
		}
	}
}

// readPlan reads the settings that are no arithmetic.
func (t *trainer) readPlan(f *frame, p *plan.Train) {
	if p.Data != nil {
		p.Batch = t.set.integer("batch", p.Data.Batch, 1)
	} else {
		p.Batch = t.set.integer("batch", 1, 1)
	}
	t.batch = p.Batch
	if t.parts = t.set.integer("micro_batch", 0, 1); t.options.MicroBatch > 0 {
		t.parts = t.options.MicroBatch
	}
	if t.parts >= t.batch {
		t.parts = 0
	}
	p.Epochs = t.set.integer("epochs", 0, 1)
	p.Steps = t.set.integer("steps", 0, 1)
	if p.Data == nil && t.set.given["steps"] == nil && !t.set.wrong {
		d := f.errorf(t.headSpan(), diag.MissingSetting, "this train has no data, so it must say how many steps an epoch has")
		d.Fix = "add steps: 100, or train on data"
	}
	p.Validate = t.set.integer("validate", 0, 1)
	p.Save = t.set.text("save", "")
	if g := t.set.given["save"]; g != nil {
		p.SaveAt = f.locate(g.node.Span())
		if p.Save != "" && !isWeights(p.Save) {
			f.errorf(g.node.Span(), diag.UnknownFormat, "weights are saved in files whose names end in .h5, .keras, .safetensors or .npz, not %q", p.Save).Fix = `write save: "` + strings.TrimSuffix(p.Save, path.Ext(p.Save)) + `.h5"`
		}
	}
	if t.set.given["epochs"] == nil && !t.set.wrong {
		d := f.errorf(t.decl.Span(), diag.MissingSetting, "this train does not say how long it lasts")
		d.Span = t.headSpan()
		d.Fix = "add epochs: 10"
		if t.set.given["until"] != nil {
			d.Fix = "add epochs: 10, which is the limit if the target is not reached"
		}
	}
}

// headSpan is the first line of the declaration.
func (t *trainer) headSpan() diag.Span {
	s := t.decl.Span()
	if text := s.Text(); text != "" {
		for i, r := range text {
			if r == '{' || r == '\n' {
				s.End = s.Start + i
				break
			}
		}
	}
	return s
}

// function elaborates the statements as one IR function: a step if training, else the measuring of a batch. See Note [Gradients of
// examples] for the case that the statements turn out to need them.
func (t *trainer) function(name string, training bool, p *plan.Train) (*ir.Func, bool) {
	errors := len(t.diags.All)
	fn, ok := t.functionOnce(name, training, p)
	if t.wantsSpread && !t.spread {
		t.diags.All = t.diags.All[:errors]
		t.spread = true
		fn, ok = t.functionOnce(name, training, p)
	}
	t.elaborator.wantsSpread = false
	return fn, ok
}

// begin makes a function of a batch, in whose scope are the fields of the data.
func (t *trainer) begin(name string, training bool, p *plan.Train) *frame {
	extent := ir.Symbol("B")
	switch {
	case p.Data == nil && t.parts == 0:
		extent = ir.Int(p.Batch)
	case t.empty:
		extent = ir.Int(1)
	}
	fn := t.withBatch(t.newFunction(name), extent)
	fn.training, fn.empty = training, t.empty
	if t.spread {
		fn.spread = map[*ir.Cell]*ir.Value{}
	}
	f := &frame{elaborator: t.elaborator, function: fn, scope: newScope(t.globals), frozen: t.empty}
	if len(t.data) > 1 {
		f.severalFields(t.data)
	} else if len(t.data) == 1 {
		f.fields(t.data[0])
	}
	f.runValues(f.scope)
	f.scope = newScope(f.scope)
	f.inst = t.inst
	return f
}

func (t *trainer) functionOnce(name string, training bool, p *plan.Train) (*ir.Func, bool) {
	errors := len(t.diags.All)
	f := t.begin(name, training, p)
	fn := f.function
	if t.reporting {
		fn.judged = &[]judgement{}
	}
	var losses []*array
	note := func(l *array) {
		if l != nil {
			losses = append(losses, l)
		}
	}
	var named []metric
	minimized := false
	f.minimize = func(inner *frame, s *syntax.Minimize) {
		minimized = true
		l := t.minimizeStep(inner, s, nil)
		note(l)
		if name, ok := s.Loss.(*syntax.Name); ok && l != nil && inner.round == "" { // reported under its name too
			named = append(named, metric{name: name.Name, value: l})
		}
	}
	for _, s := range t.decl.Body.Stmts {
		if _, setting := s.(*syntax.Clause); !setting {
			f.statement(s)
		}
	}
	var metrics []metric
	loss, optimizer := t.set.given["loss"], t.set.given["optimizer"]
	switch {
	case t.set.wrong && (loss == nil || optimizer == nil):
		minimized = true // an error was reported
	case loss != nil && optimizer != nil:
		minimized = true
		group := &syntax.Group{At: syntax.At{Pos: optimizer.node.Span()}, Using: optimizer.node}
		m := &syntax.Minimize{At: syntax.At{Pos: loss.node.Span()}, Loss: loss.node, Groups: []*syntax.Group{group}}
		if g := t.set.given["over"]; g != nil {
			group.Targets = listed(g.node)
		}
		if g := t.set.given["clip"]; g != nil {
			m.Clip = g.node
		}
		note(t.minimizeStep(f, m, func() { metrics = t.metrics(f) }))
	case loss != nil:
		f.errorf(loss.name.Span(), diag.MissingSetting, "there is a loss, but no optimizer").Fix = "add optimizer: adam()"
	case optimizer != nil:
		f.errorf(optimizer.name.Span(), diag.MissingSetting, "there is an optimizer, but no loss").Fix = "add loss: …"
	}
	if !minimized && len(t.diags.All) == errors && !t.wantsSpread {
		d := f.errorf(t.decl.Span(), diag.MissingSetting, "this train minimises nothing")
		d.Span = t.headSpan()
		d.Fix = "add loss: and optimizer:, or a minimize statement"
	}
	if metrics == nil {
		metrics = t.metrics(f)
	}
	if fn.judged != nil {
		metrics = t.judge(f, metrics)
	}
	if training {
		t.averages(f, p)
	}
	if len(t.diags.All) > errors || len(losses) == 0 || t.wantsSpread && !t.spread {
		return nil, false
	}
	f.bindBatch(t.data)
	if hasBatch := func(p *ir.Value) bool { return len(p.Type.Shape) > 0 }; len(t.data) == 0 && t.parts > 0 && !slices.ContainsFunc(f.b.Func.Params, hasBatch) {
		f.b.Param(plan.ParamExamples, ir.Type{DType: tensor.I32, Shape: []ir.Affine{f.batch.extent}})
	}
	for _, m := range named {
		if m.name != plan.ResultLoss && !slices.ContainsFunc(metrics, func(o metric) bool { return o.name == m.name }) {
			metrics = append(metrics, m)
		}
	}
	if t.empty {
		return fn.b.Func, true
	}
	total := losses[0]
	for _, l := range losses[1:] {
		total = f.apply(ir.OpAdd, total, l)
	}
	fn.b.Return(plan.ResultLoss, f.shared(total))
	p.Metrics, p.Running, p.OnlyEval, p.Tensors = nil, nil, nil, nil
	for _, m := range metrics {
		fn.b.Return(m.name, f.shared(m.value))
		p.Metrics = append(p.Metrics, m.name)
		if m.running {
			p.Running = append(p.Running, m.name)
		}
		if len(m.shape) > 0 {
			if p.Tensors == nil {
				p.Tensors = map[string]plan.Shape{}
			}
			p.Tensors[m.name] = m.shape
		}
		if m.only {
			p.OnlyEval = append(p.OnlyEval, m.name)
		}
	}
	if t.parts > 0 {
		if fn.b.Func.Parts = t.parts; !t.byChance() { // otherwise there may be more
			fn.b.Func.Batch = t.batch
		}
	}
	return fn.b.Func, true
}

// bindBatch gives a function that reads no field of its data one, which tells how many examples there are.
func (f *frame) bindBatch(list []*dataset) {
	if len(list) == 0 || slices.ContainsFunc(f.b.Func.Params, func(p *ir.Value) bool { return len(p.Type.Shape) > 0 }) {
		return
	}
	d, part := list[0], 0
	if len(list) > 1 {
		part = 1
	}
	(&mapping{dataset: d, base: *f, part: part, raw: map[string]*array{}}).param(d.plan.Fields[0].Name)
}

// minimizeStep elaborates one minimize: the loss, its gradients and the updates. before runs between the loss and the updates, so
// that metrics share the loss's calls. It returns the mean loss.
func (t *trainer) minimizeStep(f *frame, m *syntax.Minimize, before func()) *array {
	f.enter(m)
	if len(m.Groups) == 0 {
		f.errorf(m.Span(), diag.MissingSetting, "this `minimize` names no optimizer").Fix = "write `using adam()` after it"
		return nil
	}
	v := f.eval(m.Loss)
	f.enter(m)
	loss, ok := f.asArray(m.Loss, v, tensor.F32)
	if ok && (loss.dtype != tensor.F32 || len(loss.shape) != 0) {
		d := f.errorf(m.Loss.Span(), diag.NotScalar, "a loss is one number for each example, and this is %s", loss.typ())
		d.Fix = "write mean(…) or sum(…) around it"
		ok = false
	}
	if before != nil {
		before()
	}
	if !ok {
		return nil
	}
	mean := f.mean(loss)
	if !f.training {
		return mean
	}
	if m.Every != nil && t.due>>t.every[m.Every]&1 == 0 {
		return mean
	}
	t.update(f, m, loss, t.minimized(f, loss, mean))
	return mean
}

// listed returns the values of a clause: one, or several after commas.
func listed(n syntax.Expr) []syntax.Expr {
	t, ok := n.(*syntax.Tuple)
	if !ok {
		return []syntax.Expr{n}
	}
	var list []syntax.Expr
	for _, a := range t.Elems {
		list = append(list, a.Value)
	}
	return list
}

// mean is a scalar's mean over the examples of the batch; a shared one is itself.
func (f *frame) mean(a *array) *array {
	if !f.usesBatch(a) {
		return f.store(a)
	}
	sum := f.reduce(ir.Sum, a.body, nil, []int{f.batch.id})
	if n, ok := f.batch.extent.IsConst(); ok && n == 1 {
		return sum
	}
	return f.store(scalarArray(ir.Apply(ir.OpDiv, sum.body, product(ir.F32(1), f.batch.extent))))
}

// metric is one entry of `metrics:`.
type metric struct {
	name    string
	value   *array
	running bool // it is the value since the last reset, not a mean over the batch
	only    bool // an evaluation measures it, a step does not
	shape   plan.Shape
}

// metrics evaluates the metrics: a list whose entries are named by their callee, or records of names.
func (t *trainer) metrics(f *frame) []metric {
	out := []metric{}
	g := t.set.given["metrics"]
	if g == nil || t.empty {
		return out
	}
	add := func(name string, at diag.Span, n syntax.Expr) {
		if name == plan.ResultLoss || slices.ContainsFunc(out, func(m metric) bool { return m.name == strings.TrimPrefix(name, "val_") }) {
			f.errorf(at, diag.DuplicateName, "there are two metrics called %s", name).Fix = "give one a name of its own: metrics: { my_" + name + ": … }"
			return
		}
		measured, only := strings.CutPrefix(name, "val_")
		if only && f.training {
			return
		}
		if m, ok := t.measured(f, measured, n); ok {
			m.only = only
			out = append(out, m)
		}
	}
	var entry func(n syntax.Expr)
	entry = func(n syntax.Expr) {
		switch n := n.(type) {
		case *syntax.Record:
			for _, a := range n.Fields {
				add(a.Name.Name, a.Name.Span(), a.Value)
			}
		case *syntax.Tuple:
			for _, a := range n.Elems {
				if a.Name != nil {
					add(a.Name.Name, a.Name.Span(), a.Value)
				} else {
					entry(a.Value)
				}
			}
		case *syntax.Call:
			if name, ok := n.Fn.(*syntax.Name); ok {
				add(name.Name, n.Span(), n)
				return
			}
			f.errorf(n.Span(), diag.MissingSetting, "this metric has no name").Fix = "write metrics: { name: … }"
		default:
			f.errorf(n.Span(), diag.MissingSetting, "this metric has no name").Fix = "write metrics: { name: … }"
		}
	}
	entry(g.node)
	return out
}

// measured evaluates a metric.
func (t *trainer) measured(f *frame, name string, n syntax.Expr) (metric, bool) {
	v := f.eval(n)
	f.enter(n)
	a, ok := f.asArray(n, v, tensor.F32)
	if !ok {
		return metric{}, false
	}
	_, running := f.calls[runningKey(a)]
	var shape plan.Shape
	for _, d := range a.shape {
		if n, constant := d.IsConst(); constant && running {
			shape = append(shape, n)
		}
	}
	if a.dtype != tensor.F32 || len(shape) != len(a.shape) {
		f.errorf(n.Span(), diag.NotScalar, "a metric is one number for each example, and this is %s", a.typ()).Fix = "write mean(…) around it"
		return metric{}, false
	}
	if len(shape) == 0 {
		a = f.mean(a)
	}
	return metric{name, a, running, false, shape}, true
}

// unvalidated is data of the train that has no validation split, so that nothing is validated; nil if all have one.
func (t *trainer) unvalidated() *dataset {
	for _, d := range t.data {
		if !d.validates() {
			return d
		}
	}
	return nil
}

// until builds the function that decides after an epoch whether the target is reached.
func (t *trainer) until(p *plan.Train, name string) {
	g := t.set.given["until"]
	if g == nil {
		return
	}
	fn := t.newFunction(name)
	f := &frame{elaborator: t.elaborator, function: fn, scope: newScope(t.globals)}
	names := []string{plan.ResultLoss}
	names = append(names, p.Metrics...)
	for _, n := range names {
		for _, full := range []string{n, "val_" + n} {
			if p.Tensors[n] != nil {
				f.scope.set(full, &deferred{find: func() value {
					f.errorf(g.node.Span(), diag.NotScalar, "`until` compares numbers, and %s is a tensor", full).Fix = "choose another metric, or the loss"
					return poison{}
				}}, g.node.Span())
				continue
			}
			if full == n && slices.Contains(p.OnlyEval, n) {
				continue
			}
			f.scope.set(full, &deferred{find: func() value {
				return f.arrayOf(fn.b.Param(full, ir.Scalar(tensor.F32)), nil).named(full, diag.Span{})
			}}, g.node.Span())
		}
	}
	v := f.eval(g.node)
	f.enter(g.node)
	a, ok := f.asArray(g.node, v, tensor.Bool)
	if !ok {
		return
	}
	if d := t.unvalidated(); d != nil {
		for _, q := range fn.b.Func.Params {
			if strings.HasPrefix(q.Name, "val_") {
				f.errorf(g.node.Span(), diag.NoValidation, "`until` needs %s, but the data %s has no validation split", q.Name, d.decl.Name.Name).Fix =
					"give the data a validation part, or use " + strings.TrimPrefix(q.Name, "val_")
				return
			}
		}
	}
	if a.dtype != tensor.Bool || len(a.shape) != 0 {
		f.errorf(g.node.Span(), diag.NotACondition, "`until` is a condition such as val_accuracy >= 0.9, and this is %s", a.typ())
		return
	}
	fn.b.Return("", f.shared(a))
	t.module.AddFunc(fn.b.Func)
	p.Until, p.Target = name, g.node.Span().Text()
}
