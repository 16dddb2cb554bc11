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

type (
	// fnValue is a declared fn, perhaps with its configuration and shape arguments given already.
	fnValue struct {
		decl   *syntax.Fn
		scope  *scope // of its file
		config *scope // configuration bound; nil: not yet
		dims   []ir.Affine
		shaped bool // dims were given
	}
	// overloads are fns of one name, told apart by their parameters' types.
	overloads struct{ fns []*fnValue }
	// builtin is a function that is written in Go.
	builtin struct {
		name string
		call func(*frame, *callSite) value
		dims func(*frame, *callSite, []ir.Affine) value // with shape brackets; nil if it takes none
	}
	// shaped is a builtin that draws or fills a shape, with its brackets.
	shaped struct {
		fn   *builtin
		dims []ir.Affine
	}
	// layerValue is a declared layer.
	layerValue struct {
		decl  *syntax.Layer
		scope *scope
	}
	// recipe is a layer with its configuration: each use of it makes an instance.
	recipe struct {
		layer  *layerValue
		config *scope
		args   map[string]value // the configuration as given, for summaries
	}
	// repeated is `repeat(n, f)`.
	repeated struct {
		times int
		body  value
	}
	// optimizerValue is a declared optimizer.
	optimizerValue struct {
		decl  *syntax.Optimizer
		scope *scope
	}
	// optimizerRecipe is an optimizer with its arguments, still to be evaluated where it is used.
	optimizerRecipe struct {
		optimizer *optimizerValue
		site      *callSite
	}
)

func (v *fnValue) describe() string         { return "the fn " + v.decl.Name.Name }
func (v *overloads) describe() string       { return "the fn " + v.fns[0].decl.Name.Name }
func (v *builtin) describe() string         { return "the fn " + v.name }
func (v *shaped) describe() string          { return "the fn " + v.fn.name + " with a shape" }
func (v *layerValue) describe() string      { return "the layer " + v.decl.Name.Name }
func (v *recipe) describe() string          { return "a recipe of the layer " + v.layer.decl.Name.Name }
func (v *repeated) describe() string        { return "a repeated layer" }
func (v *optimizerValue) describe() string  { return "the optimizer " + v.decl.Name.Name }
func (v *optimizerRecipe) describe() string { return "an optimizer" }

// callSite is one call with its evaluated arguments.
type callSite struct {
	node syntax.Node // the place: instances are made once for each
	at   diag.Span   // what messages point at
	fn   syntax.Expr
	args []*argument
}

// argument is one evaluated argument.
type argument struct {
	name  *syntax.Ident // nil: by position
	node  syntax.Node
	value value
	from  diag.Span // where it was given, see Note [Requirements]; zero for a default
}

func (f *frame) evalCall(n *syntax.Call) value {
	expected := f.expect
	f.expect = nil
	fn := f.eval(n.Fn)
	site := &callSite{node: n, at: n.Span(), fn: n.Fn}
	if o, ok := fn.(*optimizerValue); ok { // its arguments may use step, epoch and progress: see optimizerRecipe
		for _, a := range n.Args {
			site.args = append(site.args, &argument{name: a.Name, node: a.Value})
		}
		return &optimizerRecipe{o, site}
	}
	for _, a := range n.Args {
		v := f.eval(a.Value)
		if v == nil {
			f.errorf(a.Value.Span(), diag.NoValue, "this has no value")
			v = poison{}
		}
		site.args = append(site.args, &argument{name: a.Name, node: a.Value, value: v})
	}
	f.enter(n)
	if isPoison(fn) {
		return poison{}
	}
	f.expect = expected
	v := f.call(site, fn)
	f.expect = nil
	return v
}

// call calls any value.
func (f *frame) call(site *callSite, fn value) value {
	for _, a := range site.args {
		if isPoison(a.value) {
			return poison{}
		}
	}
	if f.elaborator.depth >= maxDepth {
		f.errorf(site.at, diag.Recursion, "calls are nested more than %d deep: is there a recursion?", maxDepth).Fix = "nothing can call itself; a scan repeats"
		return poison{}
	}
	f.elaborator.depth++
	defer func() { f.elaborator.depth-- }()
	switch fn := fn.(type) {
	case *fnValue:
		return f.callFn(site, fn)
	case *overloads:
		return f.callOverloads(site, fn)
	case *builtin:
		args := make([]value, len(site.args))
		for i, a := range site.args {
			args[i] = a.value
		}
		return f.noted(plan.CallFn, fn.name, args, fn.call(f, site))
	case *shaped:
		return fn.fn.dims(f, site, fn.dims)
	case *layerValue:
		return f.configure(site, fn)
	case *recipe:
		if f.inst == nil {
			d := f.errorf(site.at, diag.Misplaced, "a %s has parameters, which only a model, a layer or a test can hold", fn.layer.decl.Name.Name)
			d.Fix = "apply it in a model or layer, or pass it to this fn as an argument"
			return poison{}
		}
		return f.applyInstance(site, f.inst.place(f.elaborator, fn, site.node, f.round))
	case *repeated:
		return f.callRepeated(site, fn)
	case *instance:
		return f.applyInstance(site, fn)
	case *modelValue:
		return f.applyModel(site, fn)
	case *metricValue:
		return f.applyMetric(site, fn)
	}
	d := f.errorf(site.at, diag.NotCallable, "%s cannot be called", describe(fn))
	d.Fix = "only a fn, a layer or a model can stand before parentheses or after |>"
	if site.fn != nil {
		d.Span = site.fn.Span()
	}
	return poison{}
}

func (f *frame) callRepeated(site *callSite, r *repeated) value {
	x := site.args
	var v value
	if !f.countRounds(site.at, r.times) {
		return poison{}
	}
	for i := range r.times {
		if !f.countRound(site.at) {
			return poison{}
		}
		inner := *f
		inner.round = fmt.Sprintf("%s#%d", f.round, i)
		s := *site
		s.args = x
		v = inner.call(&s, r.body)
		if isPoison(v) {
			return poison{}
		}
		x = []*argument{{node: site.node, value: v}}
	}
	if r.times == 0 {
		return site.args[0].value
	}
	return v
}

// configure is Layer(config): a recipe.
func (f *frame) configure(site *callSite, l *layerValue) value {
	s := newScope(l.scope)
	if !f.bind(site, l.decl.Name.Name, l.decl.Config, s, true) || !f.configured(l.decl.Name.Name, l.decl.Body, s) {
		return poison{}
	}
	r := &recipe{layer: l, config: s, args: map[string]value{}}
	for _, p := range l.decl.Config {
		r.args[p.Name.Name] = s.names[p.Name.Name].value
	}
	return r
}

// callOverloads calls the one fn whose parameters fit.
func (f *frame) callOverloads(site *callSite, o *overloads) value {
	for i, a := range site.args {
		if shape, ok := a.value.(*shaped); ok { // ones[2] has a type, which tells the fns apart
			site.args[i].value = f.drawn(a.node, shape)
		}
	}
	var fits []*fnValue
	for _, fn := range o.fns {
		if fn.accepts(site) {
			fits = append(fits, fn)
		}
	}
	// A number in a parameter's shape is more than a name that takes any dimension: f32[1] goes before f32[n].
	best := -1
	for _, fn := range fits {
		best = max(best, fn.literals())
	}
	fits = slices.DeleteFunc(fits, func(fn *fnValue) bool { return fn.literals() < best })
	if len(fits) > 1 { // a number is an f32 where nothing says otherwise
		fits = slices.DeleteFunc(fits, func(fn *fnValue) bool { return !fn.floats(site) })
	}
	if len(fits) == 1 {
		return f.callFn(site, fits[0])
	}
	types := make([]string, len(site.args))
	for i, a := range site.args {
		types[i] = describe(a.value)
	}
	name := o.fns[0].decl.Name.Name
	d := f.errorf(site.at, diag.NoOverload, "no %s takes %s", name, strings.Join(types, " and "))
	if len(fits) > 1 {
		d.Message = fmt.Sprintf("more than one %s takes %s", name, strings.Join(types, " and "))
	}
	for i, a := range site.args {
		f.relate(d, a.node.Span(), "this is %s", types[i])
	}
	d.Fix = "it takes " + strings.Join(signatures(o), ", or ")
	if left := o.leftOver(site); left != nil {
		d.Fix = leftOverFix(left)
	}
	return poison{}
}

// leftOver returns the leading dimensions of an argument of which one of the fns takes only the last ones; nil if that is not what is wrong.
func (o *overloads) leftOver(site *callSite) []ir.Affine {
	for _, fn := range o.fns {
		for i, a := range site.args {
			x, ok := a.value.(*array)
			if !ok || a.name != nil || i >= len(fn.decl.Params) || fn.decl.Params[i].Type == nil {
				continue
			}
			dims := fn.decl.Params[i].Type.Dims
			extra := len(x.shape) - len(dims)
			if extra <= 0 || len(dims) == 0 {
				continue
			}
			less := *x
			less.shape = x.shape[extra:]
			other := *site
			other.args = slices.Clone(site.args)
			other.args[i] = &argument{node: a.node, value: &less}
			if fn.accepts(&other) {
				return x.shape[:extra]
			}
		}
	}
	return nil
}

// leftOverFix says what to do with leading dimensions that nothing has taken away.
func leftOverFix(dims []ir.Affine) string {
	names := make([]string, len(dims))
	for i, d := range dims {
		names[i] = dimString(d)
	}
	which := "dimension " + names[0] + " is left over"
	if len(names) > 1 {
		which = "dimensions " + strings.Join(names, ", ") + " are left over"
	}
	return "the leading " + which + ", for Dense and others act on the last one alone: put Flatten() or a pooling before them, or take the last step of a sequence, last(x)"
}

func signatures(o *overloads) []string {
	var out []string
	for _, fn := range o.fns {
		var ps []string
		for _, p := range fn.decl.Params {
			if p.Type != nil {
				ps = append(ps, p.Type.Span().Text())
			}
		}
		out = append(out, "("+strings.Join(ps, ", ")+")")
	}
	return out
}

// accepts reports whether the arguments' element types and ranks fit the parameters; shapes are checked when it is called.
func (fn *fnValue) accepts(site *callSite) bool {
	if len(site.args) > len(fn.decl.Params) {
		return false
	}
	for i, a := range site.args {
		p := fn.decl.Params[i]
		if a.name != nil {
			p = nil
			for _, q := range fn.decl.Params {
				if q.Name.Name == a.name.Name {
					p = q
				}
			}
			if p == nil {
				return false
			}
		}
		if !typeAccepts(p.Type, a.value) {
			return false
		}
	}
	for i, p := range fn.decl.Params {
		given := i < len(site.args)
		for _, a := range site.args {
			given = given || a.name != nil && a.name.Name == p.Name.Name
		}
		if !given && p.Default == nil {
			return false
		}
	}
	return true
}

// floats reports whether all numbers among the arguments by position are for parameters that are f32.
func (fn *fnValue) floats(site *callSite) bool {
	for i, a := range site.args {
		if _, ok := a.value.(number); !ok || a.name != nil {
			continue
		}
		if t := fn.decl.Params[i].Type; t != nil && t.Name != nil && t.Name.Name == "i32" {
			return false
		}
	}
	return true
}

// literals counts the dimensions that a fn's parameters fix as numbers.
func (fn *fnValue) literals() int {
	n := 0
	for _, p := range fn.decl.Params {
		if p.Type == nil {
			continue
		}
		for _, d := range p.Type.Dims {
			if _, ok := d.Size.(*syntax.Number); ok {
				n++
			}
		}
	}
	return n
}

// literalsFit reports whether dimensions that the type fixes as numbers are the array's.
func literalsFit(t *syntax.Type, a *array) bool {
	if len(t.Dims) != len(a.shape) {
		return true // a spread: compared when it is bound
	}
	for i, d := range t.Dims {
		lit, ok := d.Size.(*syntax.Number)
		if !ok {
			continue
		}
		n, whole := parseNumber(lit.Text).asInt()
		if !whole || !a.shape[i].Equal(ir.Int(n)) {
			return false
		}
	}
	return true
}

func typeAccepts(t *syntax.Type, v value) bool {
	if choices := choicesOf(t); choices != nil {
		given, ok := v.(text)
		return ok && slices.Contains(choices, string(given))
	}
	if t == nil || t.Name == nil {
		return true
	}
	rank, spread := 0, false
	for _, d := range t.Dims {
		if d.Spread {
			spread = true
			continue
		}
		rank++
	}
	d, tensorType := tensor.ParseDType(t.Name.Name)
	switch v := v.(type) {
	case *array:
		return tensorType && v.dtype == d && (len(v.shape) == rank || spread && len(v.shape) >= rank) && literalsFit(t, v)
	case *axis:
		return tensorType && d == tensor.I32 && rank == 0
	case *list:
		return tensorType && d != tensor.Bool && (rank == v.rank() || spread && v.rank() >= rank) && (spread || v.fits(t))
	case number, dimension, field:
		return (t.Name.Name == "int" || tensorType && d != tensor.Bool) && rank == 0
	case boolean:
		return t.Name.Name == "bool"
	case text:
		return t.Name.Name == "string"
	case *fnValue, *overloads, *builtin:
		return t.Name.Name == "fn"
	case *recipe, *instance, *layerValue, *repeated:
		return t.Name.Name == "layer" || t.Name.Name == "fn"
	}
	return false
}

// fits reports whether dimensions that the type fixes as numbers are the list's, as far as it is a list of lists.
func (l *list) fits(t *syntax.Type) bool {
	for _, d := range t.Dims {
		if lit, ok := d.Size.(*syntax.Number); ok {
			if n, whole := parseNumber(lit.Text).asInt(); whole && n != len(l.elems) {
				return false
			}
		}
		if len(l.elems) == 0 {
			return true
		}
		inner, ok := l.elems[0].(*list)
		if !ok {
			return true
		}
		l = inner
	}
	return true
}

// rank is how deep a list is nested.
func (l *list) rank() int {
	if len(l.elems) == 0 {
		return 1
	}
	switch e := l.elems[0].(type) {
	case *list:
		return 1 + e.rank()
	case *array:
		return 1 + len(e.shape)
	}
	return 1
}

// callFn calls a declared fn. A fn with two lists takes its configuration first; where a run-time call comes first, all its
// configuration has its defaults.
func (f *frame) callFn(site *callSite, fn *fnValue) value {
	name := fn.decl.Name.Name
	if fn.decl.TwoLists && fn.config == nil {
		if f.wantsConfig(site, fn) {
			s := newScope(fn.scope)
			if !f.bind(site, name, fn.decl.Config, s, true) {
				return poison{}
			}
			configured := *fn
			configured.config = s
			return &configured
		}
		s := newScope(fn.scope)
		if !f.bind(&callSite{node: site.node, at: site.at, fn: site.fn}, name, fn.decl.Config, s, true) {
			return poison{}
		}
		configured := *fn
		configured.config = s
		fn = &configured
	}
	outer := fn.scope
	if fn.config != nil {
		outer = fn.config
	}
	s := newScope(outer)
	if fn.decl.HasShape {
		dims := fn.dims
		if !fn.shaped {
			if f.expect == nil {
				d := f.errorf(site.at, diag.UnknownRange, "the shape of %s is not known here", name)
				d.Fix = "write it in brackets, as in " + name + "[10]"
				return poison{}
			}
			dims = f.expect.shape
		}
		if !f.matchDims(fn.decl.Shape, dims, s, site.at, name) {
			return poison{}
		}
	}
	if !f.bind(site, name, fn.decl.Params, s, false) {
		return poison{}
	}
	f.judge(fn, site, s)
	done := f.calledFn(fn, site, s)
	inner := f.with(s)
	inner.inst, inner.layer, inner.steady, inner.subject = nil, f.path(), steady{}, name
	if !inner.requirements(fn.decl.Body) {
		return poison{}
	}
	var want *expect
	if fn.decl.Result != nil {
		errors := len(f.diags.All)
		if want = inner.maybeType(fn.decl.Result); len(f.diags.All) > errors {
			return poison{}
		}
	}
	inner.expect = want
	v := inner.block(fn.decl.Body)
	if v == nil {
		f.errorf(fn.decl.Name.Span(), diag.NoValue, "the fn %s ends without a value", name).Fix = "write the value as the last line, without `let`"
		return poison{}
	}
	f.enter(site.node)
	if fn.decl.Result != nil {
		v = inner.checkResult(v, fn.decl.Result, fn.decl.Body, name)
	}
	return done(v)
}

// wantsConfig reports whether a call of a two-list fn gives its configuration: compile-time values, or names of it.
func (f *frame) wantsConfig(site *callSite, fn *fnValue) bool {
	if len(site.args) == 0 {
		return true
	}
	for _, a := range site.args {
		if _, ok := a.value.(*array); ok {
			return false
		}
		if _, ok := a.value.(*axis); ok {
			return false
		}
	}
	return true
}

// bind gives parameters their values in s: arguments by position, then by name, then defaults. Types may bind dimension names.
func (f *frame) bind(site *callSite, what string, params []*syntax.Param, s *scope, config bool) bool {
	given := make([]*argument, len(params))
	ok := true
	position := 0
	for _, a := range site.args {
		k := -1
		if a.name == nil {
			if position >= len(params) {
				d := f.errorf(a.node.Span(), diag.TooManyArguments, "%s takes %s, and this is one more", what, count(len(params), "argument"))
				f.relateParams(d, params)
				if config && len(params) == 0 {
					d.Fix = "brackets that describe it come first, even if they are empty: x |> " + what + "(), or " + what + "()(x)"
				}
				return false
			}
			k = position
			position++
		} else {
			for i, p := range params {
				if p.Name.Name == a.name.Name {
					k = i
				}
			}
			if k < 0 {
				names := make([]string, len(params))
				for i, p := range params {
					names[i] = p.Name.Name
				}
				d := f.errorf(a.name.Span(), diag.UnknownArgument, "%s has no argument `%s`", what, a.name.Name)
				if near := suggestion(a.name.Name, names); near != "" {
					d.Fix = "did you mean `" + near + "`?"
				} else if len(names) > 0 {
					d.Fix = "it has " + joinNames(names)
				}
				ok = false
				continue
			}
		}
		if given[k] != nil {
			d := f.errorf(a.node.Span(), diag.TooManyArguments, "%s gets the argument `%s` twice", what, params[k].Name.Name)
			f.relate(d, given[k].node.Span(), "it was given here")
			ok = false
			continue
		}
		given[k] = a
		a.from = f.origin(a.node)
	}
	if !ok {
		return false
	}
	inner := f.with(s)
	for i, p := range params {
		a := given[i]
		if a == nil {
			if p.Default == nil {
				d := f.errorf(site.at, diag.MissingArgument, "%s needs the argument `%s`", what, p.Name.Name)
				f.relateParams(d, params[i:i+1])
				ok = false
				continue
			}
			var want *expect
			if p.Type != nil {
				want = inner.maybeType(p.Type)
			}
			inner.expect = want
			a = &argument{node: p.Default, value: inner.eval(p.Default)}
			if name, ok := p.Default.(*syntax.Name); ok && inner.scope.names[name.Name] != nil { // as in height: int = size
				a.from = inner.scope.names[name.Name].from
			}
			inner.expect = nil
		}
		v, good := f.convert(a, p, inner, what)
		ok = ok && good
		s.set(p.Name.Name, v, p.Name.Span())
		s.names[p.Name.Name].from = a.from
	}
	return ok
}

// article goes before an element type.
func article(d tensor.DType) string {
	if d == tensor.Bool {
		return "a "
	}
	return "an "
}

func (f *frame) relateParams(d *diag.Diagnostic, params []*syntax.Param) {
	for _, p := range params {
		if p.Type != nil && d.Fix == "" {
			d.Fix = "it takes " + p.Span().Text()
		} else if p.Type != nil {
			d.Fix += ", " + p.Span().Text()
		}
	}
}

// convert gives an argument the type of its parameter.
func (f *frame) convert(a *argument, p *syntax.Param, inner *frame, what string) (value, bool) {
	v := a.value
	if isPoison(v) {
		return poison{}, false
	}
	if choices := choicesOf(p.Type); choices != nil {
		given, ok := v.(text)
		switch {
		case !ok:
			d := f.errorf(a.node.Span(), diag.TypeMismatch, "`%s` of %s must be a text in quotes, not %s", p.Name.Name, what, describe(v))
			d.Fix = "it can be " + orNames(choices)
			f.relate(d, p.Span(), "it is declared here")
		case !slices.Contains(choices, string(given)):
			f.relate(f.noChoice(a.node.Span(), "`"+p.Name.Name+"` of "+what, string(given), choices), p.Span(), "it is declared here")
		default:
			return v, true
		}
		return poison{}, false
	}
	if p.Type == nil || p.Type.Name == nil {
		return v, true
	}
	wrong := func(needs string) (value, bool) {
		d := f.errorf(a.node.Span(), diag.TypeMismatch, "`%s` of %s must be %s, not %s", p.Name.Name, what, needs, describe(v))
		f.relate(d, p.Span(), "it is declared here")
		switch v := v.(type) {
		case *array:
			f.explain(d, a.node, v)
			if v.dtype == tensor.I32 && p.Type.Name.Name == "f32" && d.Fix == "" {
				d.Fix = "write f32(…) around it"
			}
		case text:
			if p.Type.Name.Name == "fn" || p.Type.Name.Name == "layer" {
				d.Fix = "write a name without quotes: " + string(v)
			}
		}
		return poison{}, false
	}
	switch p.Type.Name.Name {
	case "int":
		if size, ok := dimensionOf(v); ok {
			return sizeValue(size), true
		}
		if fd, ok := v.(field); ok {
			f.noCount(a.node.Span(), fd, "classes")
			return poison{}, false
		}
		return wrong("a whole number that is known when the program is compiled")
	case "bool":
		if p.Type.HasShape {
			break
		}
		if _, ok := v.(boolean); ok {
			return v, true
		}
		if arr, ok := v.(*array); ok && arr.dtype == tensor.Bool && len(arr.shape) == 0 {
			return v, true
		}
		return wrong("true or false")
	case "string":
		if _, ok := v.(text); ok {
			return v, true
		}
		return wrong("a text in quotes")
	case "fn":
		switch v.(type) {
		case *fnValue, *overloads, *builtin, *recipe, *instance:
			return v, true
		}
		return wrong("a function")
	case "layer":
		switch v := v.(type) {
		case *recipe, *instance, *repeated:
			return v, true
		case *layerValue:
			f.errorf(a.node.Span(), diag.MissingConfiguration, "%s is a layer without its configuration", v.decl.Name.Name).Fix = "write " + v.decl.Name.Name + "(…)"
			return poison{}, false
		}
		return wrong("a layer")
	}
	d, ok := tensor.ParseDType(p.Type.Name.Name)
	if !ok {
		return v, true // a field type: the shape is checked by the model
	}
	// Numbers stay exact until they meet a run-time value. An i32 is one: its quotients are rounded down.
	if !p.Type.HasShape && d != tensor.I32 {
		if n, ok := v.(number); ok {
			if _, ok := constantArray(n, d); !ok {
				return wrong(article(d) + d.String())
			}
			return n, true
		}
	}
	arr, ok := f.asArray(a.node, v, d)
	if !ok {
		return poison{}, false
	}
	if arr.dtype != d {
		return wrong(article(d) + d.String())
	}
	if !inner.matchShape(p.Type, arr, a, what, p) {
		return poison{}, false
	}
	if arr.name == "" || a.name != nil {
		arr = arr.named(p.Name.Name, arr.decl)
	}
	return arr, true
}
