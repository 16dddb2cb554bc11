package lang

import (
	"fmt"
	"sort"
	"strings"
	"unicode"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// instance is a layer or model with parameters of its own. Applying a recipe makes one instance for each place in the
// elaborated program; applying the instance again uses the same parameters.
type instance struct {
	id     int
	path   string // of its cells: "conv2d_1", "block_2.dense"; "" for the only model of a file
	recipe *recipe
	model  *syntax.Model
	role   role
	parent *instance

	places  map[string]*instance // parts, by place
	parts   map[string]*instance // parts, by name
	order   []*instance
	counts  map[string]int
	cells   map[string]*ir.Cell
	cellAt  map[string]diag.Span // where a cell's type is declared
	ordered []*ir.Cell
}

// role tells instances of layers and models from others that hold cells.
type role uint8

const (
	predicts role = iota // a layer or a model
	measures             // a metric
	trains               // a train declaration
	checks               // a test
)

func (i *instance) describe() string {
	if i.model != nil {
		return "the model " + i.model.Name.Name
	}
	return "an instance of the layer " + i.recipe.layer.decl.Name.Name
}

func (e *elaborator) newInstance(path string, parent *instance) *instance {
	i := &instance{
		id: len(e.instances), path: path, parent: parent, places: map[string]*instance{}, parts: map[string]*instance{},
		counts: map[string]int{}, cells: map[string]*ir.Cell{}, cellAt: map[string]diag.Span{},
	}
	e.instances = append(e.instances, i)
	return i
}

// place returns the instance of a recipe at a place of i's body, which is made the first time.
func (i *instance) place(e *elaborator, r *recipe, at syntax.Node, round string) *instance {
	key := fmt.Sprintf("%p%s", at, round)
	if p := i.places[key]; p != nil {
		p.recipe = r
		return p
	}
	base := snake(r.layer.decl.Name.Name)
	name := base
	for i.parts[name] != nil || i.cells[name] != nil {
		i.counts[base]++
		name = fmt.Sprintf("%s_%d", base, i.counts[base])
	}
	p := i.add(e, r, name)
	i.places[key] = p
	return p
}

// part returns the instance that `let name = recipe` makes.
func (i *instance) part(e *elaborator, r *recipe, name string) *instance {
	key := "let " + name
	if p := i.places[key]; p != nil {
		p.recipe = r
		return p
	}
	p := i.add(e, r, name)
	i.places[key] = p
	return p
}

func (i *instance) add(e *elaborator, r *recipe, name string) *instance {
	p := e.newInstance(join(i.path, name), i)
	p.recipe = r
	i.parts[name] = p
	i.order = append(i.order, p)
	return p
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// snake turns a layer's name into an instance's as Keras does: Conv2D becomes conv2d, BatchNorm batch_norm.
func snake(name string) string {
	var b strings.Builder
	rs := []rune(name)
	for k, r := range rs {
		if unicode.IsUpper(r) && k > 0 {
			prev := rs[k-1]
			next := k+1 < len(rs) && unicode.IsLower(rs[k+1])
			if unicode.IsLower(prev) || next && !unicode.IsDigit(prev) {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// partNames lists what may stand after a dot.
func (i *instance) partNames() []string {
	var names []string
	for n := range i.parts {
		names = append(names, n)
	}
	for n := range i.cells {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// partOf finds a part or a parameter of an instance.
func (f *frame) partOf(i *instance, name string) value {
	if p := i.parts[name]; p != nil {
		return p
	}
	if c := i.cells[name]; c != nil && c.Kind != ir.Stream {
		return f.readCell(c).named(name, i.cellAt[name])
	}
	return nil
}

// allCells lists the cells of i and its parts.
func (i *instance) allCells() []*ir.Cell {
	cells := append([]*ir.Cell{}, i.ordered...)
	for _, p := range i.order {
		cells = append(cells, p.allCells()...)
	}
	return cells
}

// readCell is the current value of a cell.
func (f *frame) readCell(c *ir.Cell) *array {
	if f.scan != nil { // read once, outside the loop
		outer := *f
		outer.function = f.scan.outer
		return outer.readCell(c)
	}
	v := f.cells[c]
	if v == nil {
		v = f.b.Read(c)
		f.cells[c] = v
	}
	if f.spread != nil && !f.sharing && c.Kind == ir.Param {
		return f.spreadCell(c, v)
	}
	return f.arrayOf(v, nil)
}

// writeCell gives a cell a new value.
func (f *frame) writeCell(c *ir.Cell, v *ir.Value) {
	f.b.Write(c, v)
	f.cells[c] = v
	if c.Kind == ir.Param {
		delete(f.spread, c)
		delete(f.cells, c)           // gradients are taken of reads: all later uses, here and in models, are equal ones
		f.calls = map[string]value{} // results computed with the old value are not those of an equal call now
	}
}

// cell executes `param name: type = init` and `state …` in a layer or model.
func (f *frame) cell(s *syntax.Cell) {
	f.enter(s)
	if f.slot != nil && s.Kind == "state" {
		f.slot(f, s)
		return
	}
	if f.inst == nil {
		f.errorf(s.Span(), diag.Misplaced, "a %s belongs in a layer or a model", s.Kind)
		f.define(s.Name, poison{})
		return
	}
	if (f.inst.role == trains) && s.Kind != "stream" || f.inst.role == measures && s.Kind != "state" {
		f.errorf(s.Span(), diag.Misplaced, "a %s belongs in a layer or a model", s.Kind)
		f.define(s.Name, poison{})
		return
	}
	if s.Kind == "stream" {
		f.stream(s)
		return
	}
	if s.Type == nil && f.inst.role == measures && s.Init != nil {
		f.typelessState(s)
		return
	}
	if s.Type == nil {
		f.errorf(s.Span(), diag.MissingType, "the %s %s needs a type, as in %s %s: f32[10]", s.Kind, s.Name.Name, s.Kind, s.Name.Name)
		f.define(s.Name, poison{})
		return
	}
	f.typedCell(s, f.typeOf(s.Type))
}

// typelessState is `state total = 0.0` in a metric: one number.
func (f *frame) typelessState(s *syntax.Cell) {
	f.typedCell(s, &expect{dtype: tensor.F32})
}

// typedCell makes the cell, or finds it again, and binds its name.
func (f *frame) typedCell(s *syntax.Cell, t *expect) {
	if t == nil {
		f.define(s.Name, poison{})
		return
	}
	name := s.Name.Name
	declared := s.Name.Span()
	if s.Type != nil {
		declared = s.Type.Span()
	}
	c := f.inst.cells[name]
	switch {
	case c == nil:
		if name2 := f.inst.parts[name]; name2 != nil {
			f.errorf(s.Name.Span(), diag.DuplicateName, "`%s` is the name of a layer here already", name)
			f.define(s.Name, poison{})
			return
		}
		kind := ir.Param
		switch {
		case f.inst.role == measures:
			kind = ir.Metric
		case s.Kind == "state":
			kind = ir.State
		}
		for _, d := range t.shape {
			if _, ok := d.IsConst(); !ok {
				f.errorf(declared, diag.VaryingDimension, "the shape of %s holds %s, which differs from example to example", name, dimString(d))
				f.define(s.Name, poison{})
				return
			}
		}
		c = f.module.AddCell(&ir.Cell{Name: join(f.inst.path, name), Type: ir.Type{DType: t.dtype, Shape: t.shape}, Kind: kind})
		f.inst.cells[name] = c
		f.inst.cellAt[name] = declared
		f.inst.ordered = append(f.inst.ordered, c)
		f.initCell(c, s, t)
	case !c.Type.Equal(ir.Type{DType: t.dtype, Shape: t.shape}):
		d := f.errorf(declared, diag.ShapeMismatch, "%s is %s here, but was made as %s where this layer was used first", name,
			typeString(t.dtype, t.shape), typeString(c.Type.DType, c.Type.Shape))
		d.Fix = "a layer that is used twice needs inputs of one shape; use two layers for two shapes"
		f.define(s.Name, poison{})
		return
	}
	f.define(s.Name, f.readCell(c).named(name, declared))
}

// initCell adds the first value of a cell to the init function; that of a stream or a metric also to the reset function.
func (f *frame) initCell(c *ir.Cell, s *syntax.Cell, t *expect) {
	f.initIn(f.elaborator.init, c, s, t)
	if c.Kind == ir.Metric || c.Kind == ir.Stream {
		f.initIn(f.elaborator.resetFunction(), c, s, t)
	}
}

// resetFunction is the function that starts streams and metrics anew.
func (e *elaborator) resetFunction() *function {
	if e.reset == nil {
		e.reset = e.newFunction("reset")
		e.plan.Reset = "reset"
		(&frame{elaborator: e, function: e.reset, scope: e.globals}).scalarParam("seed")
	}
	return e.reset
}

func (f *frame) initIn(fn *function, c *ir.Cell, s *syntax.Cell, t *expect) {
	inner := *f
	inner.function = fn
	inner.indexing, inner.pending = false, false
	inner.enter(s)
	inner.b.Loc.Scope = c.Name
	inner.function.training = false
	inner.expect = t
	inner.function.draws = 0
	inner.function.place = c.Name
	var v value = number{float: 0}
	if s.Init != nil {
		v = inner.eval(s.Init)
	}
	v = inner.initial(v, t, s)
	if a, ok := v.(*array); ok {
		fn.b.Write(c, inner.shared(a))
	}
}

// initial makes a cell's first value of what its initialiser evaluates to: a value, or a fn of the shape.
func (f *frame) initial(v value, t *expect, s *syntax.Cell) value {
	n := syntax.Node(s)
	if s.Init != nil {
		n = s.Init
	}
	v = f.filled(v, t, n)
	if isPoison(v) {
		return poison{}
	}
	at := s.Type
	if at == nil {
		at = &syntax.Type{At: syntax.At{Pos: s.Name.Span()}}
	}
	return f.fit(v, t, n, at)
}

// filled is v, or what it makes of a declared type if it is a function that draws or fills a shape.
func (f *frame) filled(v value, t *expect, n syntax.Node) value {
	site := &callSite{node: n, at: n.Span()}
	f.expect = t
	defer func() { f.expect = nil }()
	switch fn := v.(type) {
	case *fnValue, *overloads:
		return f.call(site, fn)
	case *builtin:
		if fn.dims != nil {
			return fn.dims(f, site, t.shape)
		}
	}
	return v
}

// assign executes `target <- value`.
func (f *frame) assign(s *syntax.Assign) {
	f.enter(s)
	if _, ok := s.Target.(*syntax.Field); ok && f.inst != nil && f.inst.role == trains && f.scan == nil {
		f.assignPart(s)
		return
	}
	v := f.evalBeside(s.Value, f.peek(s.Target))
	f.enter(s)
	name, ok := s.Target.(*syntax.Name)
	if ok && f.scan != nil {
		if c := f.scan.carried[name.Name]; c != nil {
			f.assignCarried(s, name.Name, c, v)
			return
		}
		d := f.errorf(s.Target.Span(), diag.NotAssignable, "`%s` cannot be assigned to in this scan", name.Name)
		d.Fix = "name it after `with`: scan … with " + name.Name + " = …"
		return
	}
	if !ok || f.inst == nil || f.inst.cells[name.Name] == nil {
		if f.slots == nil || !ok || f.slots[name.Name] == nil {
			d := f.errorf(s.Target.Span(), diag.NotAssignable, "`%s` cannot be assigned to", snippet(s.Target, "this"))
			d.Fix = "`<-` changes a state; `let` gives a new name to a value"
			return
		}
	}
	if isPoison(v) {
		return
	}
	var c *ir.Cell
	if f.slots != nil && f.slots[name.Name] != nil {
		c = f.slots[name.Name]
	} else {
		c = f.inst.cells[name.Name]
	}
	t := &expect{c.Type.DType, c.Type.Shape}
	if c.Kind == ir.Stream {
		t.shape = t.shape[1:]
	}
	fitted := f.fit(v, t, s.Value, &syntax.Type{At: syntax.At{Pos: s.Target.Span()}})
	a, ok := fitted.(*array)
	if !ok {
		return
	}
	if c.Kind == ir.Stream {
		f.writeStream(c, a)
		f.scope.assign(name.Name, f.readStream(c, t).named(name.Name, s.Target.Span()))
		return
	}
	if f.usesBatch(a) {
		d := f.errorf(s.Value.Span(), diag.NotShared, "%s is shared by all examples, but this value differs from example to example", name.Name)
		d.Fix = "reduce over the examples, as in mean[batch] …"
		return
	}
	f.writeCell(c, f.shared(a))
	f.scope.assign(name.Name, f.readCell(c).named(name.Name, s.Target.Span()))
}

// assignPart executes `Net.centres <- value` in a train, which changes a parameter or a state without a loss. Evaluation changes nothing.
func (f *frame) assignPart(s *syntax.Assign) {
	shared := *f
	shared.sharing = true
	f = &shared
	target := f.eval(s.Target)
	if isPoison(target) {
		return
	}
	c := f.cellOf(target)
	if c == nil || c.Kind != ir.Param && c.Kind != ir.State {
		d := f.errorf(s.Target.Span(), diag.Misplaced, "`%s` cannot be assigned to", snippet(s.Target, "this"))
		d.Fix = "in a train, `<-` changes streams, and the parameters and states of models"
		return
	}
	v := f.evalBeside(s.Value, target)
	f.enter(s)
	if isPoison(v) {
		return
	}
	a, ok := f.fit(v, &expect{c.Type.DType, c.Type.Shape}, s.Value, &syntax.Type{At: syntax.At{Pos: s.Target.Span()}}).(*array)
	switch {
	case !ok:
	case f.usesBatch(a):
		d := f.errorf(s.Value.Span(), diag.NotShared, "%s is shared by all examples, but this value differs from example to example", snippet(s.Target, "this"))
		d.Fix = "reduce over the examples, as in mean[batch] …"
	case f.training:
		f.writeCell(c, f.shared(a))
	}
}

// applyInstance applies a layer's instance to run-time values. An equal call made before in this function, with no parameter
// updated since, is the same call.
func (f *frame) applyInstance(site *callSite, i *instance) value {
	if i.model != nil {
		return f.applyModel(site, &modelValue{inst: i})
	}
	decl := i.recipe.layer.decl
	if f.indexing {
		d := f.errorf(site.at, diag.NotSupported, "this version of nnc does not have layers inside index expressions")
		d.Fix = "apply " + decl.Name.Name + " to the whole tensor before the index expression"
		return poison{}
	}
	s := newScope(i.recipe.config)
	if !f.bind(site, decl.Name.Name, decl.Params, s, false) {
		return poison{}
	}
	key, keyed := f.callKey(i, decl.Params, s)
	done := f.calledLayer(i, site, s)
	if keyed {
		if v, ok := f.calls[key]; ok {
			return done(v)
		}
	}
	inner := f.with(s)
	inner.enterInstance(i)
	inner.round = ""
	inner.indexing = f.indexing
	inner.subject = decl.Name.Name
	if !inner.requirements(decl.Body) {
		return poison{}
	}
	var want *expect
	if decl.Result != nil {
		errors := len(f.diags.All)
		if want = inner.maybeType(decl.Result); len(f.diags.All) > errors {
			return poison{}
		}
	}
	inner.expect = want
	record := f.recordLayer(i, decl, s)
	v := inner.block(decl.Body)
	if v == nil {
		f.errorf(decl.Name.Span(), diag.NoValue, "the layer %s ends without a value", decl.Name.Name).Fix = "write the value as the last line, without `let`"
		return poison{}
	}
	f.enter(site.node)
	if decl.Result != nil {
		v = inner.checkResult(v, decl.Result, decl.Body, decl.Name.Name)
	}
	if a, ok := v.(*array); ok && !f.indexing {
		v = f.store(a)
	}
	record(v)
	v = done(v)
	if keyed {
		f.calls[key] = v
	}
	return v
}

// callKey identifies a call by instance, mode and arguments; it fails for arguments that are not stored.
func (f *frame) callKey(i *instance, params []*syntax.Param, s *scope) (string, bool) {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %v", i.id, f.inTraining())
	for _, p := range params {
		switch v := s.names[p.Name.Name].value.(type) {
		case *array:
			op, ok := v.stored()
			if !ok {
				if f.indexing {
					return "", false
				}
				v = f.store(v)
				op, _ = v.stored()
				s.names[p.Name.Name].value = v
			}
			lead := v.body.Read.Index[:len(v.body.Read.Index)-len(v.own)]
			fmt.Fprintf(&b, " %d%v", op, lead)
		default:
			fmt.Fprintf(&b, " %s", describe(v))
		}
	}
	return b.String(), true
}

// recordLayer notes an instance for summaries and weight files the first time it is applied inside a model.
func (f *frame) recordLayer(i *instance, decl *syntax.Layer, s *scope) func(value) {
	model := f.recording
	if model == nil || f.training || model.seen[i] {
		return func(value) {}
	}
	model.seen[i] = true
	l := &plan.Layer{
		Path: model.pathOf(i), Kind: decl.Name.Name,
		Std: f.isStd(decl.Span()), Config: map[string]any{}, Depth: f.layerDepth(i, model.inst),
	}
	for name, v := range i.recipe.args {
		if c := f.configValue(v); c != nil {
			l.Config[name] = c
		}
	}
	for _, p := range decl.Params {
		if a, ok := s.names[p.Name.Name].value.(*array); ok {
			l.Input = append(l.Input, planShape(a.shape))
		}
	}
	model.layers = append(model.layers, l)
	return func(v value) {
		for _, a := range arraysOf(v) {
			l.Output = append(l.Output, planShape(a.shape))
		}
		for _, c := range i.ordered {
			l.Params = append(l.Params, c.Name)
		}
	}
}

func (f *frame) layerDepth(i, root *instance) int {
	d := 0
	for p := i.parent; p != nil && p != root; p = p.parent {
		d++
	}
	return d
}

// configValue is a configuration argument as plain data; nil where it has no such form.
func (f *frame) configValue(v value) any {
	switch v := v.(type) {
	case number:
		return v.float
	case boolean:
		return bool(v)
	case text:
		return string(v)
	case *fnValue:
		if !f.isStd(v.decl.Span()) && f.std.lookup(v.decl.Name.Name) != nil {
			return nil // it has the name of a library's fn that it is not
		}
		if v.config != nil {
			return plan.Configured{Fn: v.decl.Name.Name, Config: f.configOf(v.decl.Config, v.config)}
		}
		return plan.Ref(v.decl.Name.Name)
	case *overloads:
		return plan.Ref(v.fns[0].decl.Name.Name)
	case *builtin:
		return plan.Ref(v.name)
	case *recipe:
		return plan.Ref(v.layer.decl.Name.Name)
	case *instance:
		return plan.Ref(v.path)
	}
	if size, ok := dimensionOf(v); ok {
		if n, ok := size.IsConst(); ok {
			return float64(n)
		}
	}
	return nil
}

// configOf is the configuration that is bound in s.
func (f *frame) configOf(params []*syntax.Param, s *scope) map[string]any {
	config := map[string]any{}
	for _, p := range params {
		if v := f.configValue(s.names[p.Name.Name].value); v != nil {
			config[p.Name.Name] = v
		}
	}
	return config
}

func planShape(dims []ir.Affine) plan.Shape {
	s := make(plan.Shape, len(dims))
	for i, d := range dims {
		n, ok := d.IsConst()
		if !ok {
			n = -1
		}
		s[i] = n
	}
	return s
}
