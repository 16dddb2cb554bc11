package lang

import (
	"fmt"
	"math"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// deferred is a top-level name whose value is found when it is first used.
type deferred struct {
	find  func() value
	state int // 0 untouched, 1 being found, 2 found
	found value
}

func (d *deferred) describe() string { return "a value" }

// eval evaluates an expression.
func (f *frame) eval(n syntax.Expr) value {
	expected := f.expect
	f.expect = nil // it holds for this expression only
	switch n := n.(type) {
	case *syntax.Number:
		return parseNumber(n.Text)
	case *syntax.String:
		return text(n.Value)
	case *syntax.Bool:
		return boolean(n.Value)
	case *syntax.Name:
		return f.name(n)
	case *syntax.Paren:
		f.expect = expected
		return f.eval(n.X)
	case *syntax.Unary:
		return f.unary(n)
	case *syntax.Binary:
		return f.binary(n)
	case *syntax.Pipe:
		return f.pipe(n)
	case *syntax.Call:
		f.expect = expected
		return f.evalCall(n)
	case *syntax.Index:
		return f.index(n)
	case *syntax.Field:
		return f.member(n)
	case *syntax.Lambda:
		f.expect = expected
		return f.lambda(n)
	case *syntax.Reduce:
		f.expect = expected
		return f.reduction(n)
	case *syntax.List:
		l := &list{span: n.Span()}
		for _, e := range n.Elems {
			l.elems = append(l.elems, f.eval(e))
		}
		return l
	case *syntax.Tuple:
		t := &tuple{}
		for _, a := range n.Elems {
			name := ""
			if a.Name != nil {
				name = a.Name.Name
			}
			t.names = append(t.names, name)
			t.elems = append(t.elems, f.eval(a.Value))
		}
		return t
	case *syntax.Record:
		return record{n}
	case *syntax.If:
		f.expect = expected
		return f.ifExpr(n)
	case *syntax.BlockExpr:
		f.expect = expected
		return f.block(n.Body)
	case *syntax.Scan:
		return f.scanExpr(n)
	case *syntax.Ellipsis:
		f.errorf(n.Span(), diag.Misplaced, "`...` stands for dimensions and can be used only inside index brackets")
		return poison{}
	case nil:
		return poison{} // a syntax error was reported
	}
	panic(fmt.Sprintf("BUG: no evaluation of %T", n))
}

func (f *frame) unsupported(n syntax.Node, what string) value {
	f.errorf(n.Span(), diag.NotSupported, "this version of nnc does not have %s yet", what)
	return poison{}
}

func (f *frame) name(n *syntax.Name) value {
	b := f.scope.lookup(n.Name)
	if b == nil {
		switch n.Name {
		case "inf":
			return inexact(math.Inf(1))
		case "training":
			return boolean(f.inTraining())
		}
		return f.unknownName(n.Span(), n.Name)
	}
	v := f.resolve(b, n.Span(), n.Name)
	if a, ok := v.(*array); ok && a.name == "" {
		return a.named(n.Name, diag.Span{})
	}
	return v
}

// resolve finds the value of a binding that is found when first used.
func (f *frame) resolve(b *binding, at diag.Span, name string) value {
	d, ok := b.value.(*deferred)
	if !ok {
		return b.value
	}
	switch d.state {
	case 0:
		d.state = 1
		d.found = d.find()
		d.state = 2
	case 1:
		e := f.errorf(at, diag.Recursion, "%s is defined by itself", name)
		f.relate(e, b.at, "it is defined here")
		return poison{}
	}
	return d.found
}

func (f *frame) unknownName(at diag.Span, name string) value {
	d := f.errorf(at, diag.UnknownName, "there is no `%s` here", name)
	if s := diag.DidYouMean(name, f.scope.visible()); s != "" {
		d.Fix = "did you mean `" + s + "`?"
	}
	return poison{}
}

// block evaluates statements; its value is that of the last expression.
func (f *frame) block(b *syntax.Block) value {
	expected := f.expect
	f.expect = nil
	var last value
	for i, s := range b.Stmts {
		if x, ok := s.(*syntax.ExprStmt); ok {
			if i == len(b.Stmts)-1 {
				f.expect = expected
			}
			last = f.eval(x.X)
			f.expect = nil
			continue
		}
		last = nil
		if c, ok := s.(*syntax.Clause); ok && c.Name.Name == requireWord {
			if !f.require(c) {
				return poison{}
			}
			continue
		}
		f.statement(s)
	}
	return last
}

// statement executes one statement that may stand in any body.
func (f *frame) statement(s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.Let:
		f.let(s)
	case *syntax.Cell:
		f.cell(s)
	case *syntax.Assign:
		f.assign(s)
	case *syntax.Clause:
		f.errorf(s.Span(), diag.Misplaced, "`%s:` is a setting, which this block does not have", s.Name.Name)
	case *syntax.Expect:
		f.errorf(s.Span(), diag.Misplaced, "`expect` belongs in a test")
	case *syntax.Minimize:
		if f.minimize != nil {
			f.minimize(f, s)
			return
		}
		f.errorf(s.Span(), diag.Misplaced, "`minimize` belongs in a train or a test")
	case *syntax.Yield:
		f.errorf(s.Span(), diag.Misplaced, "`yield` belongs in a scan")
	case *syntax.RepeatStmt:
		f.repeatStmt(s)
	default:
		panic(fmt.Sprintf("BUG: no execution of %T", s))
	}
}

func (f *frame) let(s *syntax.Let) {
	f.enter(s)
	var declared *expect
	if s.Type != nil {
		declared = f.typeOf(s.Type)
	}
	inner := *f
	inner.expect = declared
	// `let` gives an instance its name.
	v := inner.drawn(s.Value, inner.eval(s.Value))
	f.enter(s)
	if declared != nil {
		v = f.fit(inner.filled(v, declared, s.Value), declared, s.Value, s.Type)
	}
	if !s.Tuple {
		f.define(s.Names[0], f.keep(v, s.Names[0].Name, s.Type))
		return
	}
	t, ok := v.(*tuple)
	if !ok || len(t.elems) != len(s.Names) {
		if !isPoison(v) {
			f.errorf(s.Value.Span(), diag.ValueCount, "%s need a tuple of as many values, but this is %s", count(len(s.Names), "name"), describe(v))
		}
		for _, n := range s.Names {
			f.define(n, poison{})
		}
		return
	}
	for i, n := range s.Names {
		f.define(n, f.keep(t.elems[i], n.Name, nil))
	}
}

// drawn is v, or the value that a shape alone makes of it: a name after `let` means one draw of uniform[3], wherever it is used.
func (f *frame) drawn(n syntax.Node, v value) value {
	switch fn := v.(type) {
	case *shaped:
		return fn.fn.dims(f, &callSite{node: n, at: n.Span()}, fn.dims)
	case *fnValue:
		needed := func(p *syntax.Param) bool { return p.Default == nil }
		if fn.shaped && !slices.ContainsFunc(fn.decl.Config, needed) && !slices.ContainsFunc(fn.decl.Params, needed) {
			return f.callFn(&callSite{node: n, at: n.Span()}, fn)
		}
	}
	return v
}

// keep prepares a value for a name: run-time values are stored, so that using the name twice computes once, and a recipe
// becomes an instance.
func (f *frame) keep(v value, name string, declared *syntax.Type) value {
	switch v := v.(type) {
	case *array:
		a := v
		if !f.indexing || len(a.shape) > 0 {
			a = f.store(a)
		}
		var decl diag.Span
		if declared != nil {
			decl = declared.Span()
		}
		return a.named(name, decl)
	case *list:
		if a, ok := f.listArray(v, tensor.F32); ok {
			return a.named(name, diag.Span{})
		}
		return poison{}
	case *recipe:
		if f.inst != nil {
			return f.inst.part(f.elaborator, v, name)
		}
	case nil:
		return poison{}
	}
	return v
}

// define binds a name in the current scope.
func (f *frame) define(n *syntax.Ident, v value) { f.scope.set(n.Name, v, n.Span()) }

func (f *frame) repeatStmt(s *syntax.RepeatStmt) {
	times, ok := f.constInt(s.Count)
	if !ok || !f.countRounds(s.Count.Span(), times) {
		return
	}
	if times < 0 {
		f.errorf(s.Count.Span(), diag.InvalidValue, "`repeat` cannot have %d rounds", times)
	}
	for i := range times {
		if !f.countRound(s.Span()) {
			return
		}
		inner := f.nested()
		inner.round = fmt.Sprintf("%s#%d", f.round, i)
		inner.block(s.Body)
	}
}

func (f *frame) ifExpr(n *syntax.If) value {
	expected := f.expect
	f.expect = nil
	c := f.eval(n.Cond)
	holds, ok := c.(boolean)
	if !ok {
		if !isPoison(c) {
			what := describe(c)
			if _, runs := c.(*array); runs {
				what = "known only when it runs"
			}
			d := f.errorf(n.Cond.Span(), diag.NotConstant, "`if` chooses when the program is compiled, and this condition is %s", what)
			d.Fix = "to choose when the program runs, write where(condition, a, b)"
		}
		return poison{}
	}
	branch := n.Then
	if !holds {
		branch = n.Else
	}
	if branch == nil {
		return nil
	}
	inner := f.nested()
	inner.expect = expected
	return inner.block(branch)
}

// constInt evaluates a compile-time whole number.
func (f *frame) constInt(n syntax.Expr) (int, bool) {
	v := f.eval(n)
	if size, ok := dimensionOf(v); ok {
		if i, ok := size.IsConst(); ok {
			return i, true
		}
	}
	if !isPoison(v) {
		f.errorf(n.Span(), diag.NotConstant, "a whole number known when the program is compiled is needed here, not %s", describe(v))
	}
	return 0, false
}

// member is x.name.
func (f *frame) member(n *syntax.Field) value {
	f.enter(n)
	x := f.eval(n.X)
	name := n.Name.Name
	var known []string
	switch x := x.(type) {
	case poison:
		return x
	case *tuple:
		for i, s := range x.names {
			if s == name {
				return x.elems[i]
			}
		}
		known = x.names
	case *namespace:
		if b := x.scope.names[name]; b != nil {
			return f.resolve(b, n.Name.Span(), name)
		}
		known = (&scope{names: x.scope.names}).visible()
	case *examples:
		if b := x.scope.names[name]; b != nil {
			return f.resolve(b, n.Name.Span(), name)
		}
		known = x.data.fieldNames()
	case *dataset:
		if x.has(name) {
			return field{x, name}
		}
		known = x.fieldNames()
	case field:
		id, ok := x.data.mark(x.name, name)
		switch {
		case ok && id < 0:
			f.errorf(n.Span(), diag.DataError, "which number stands for the %s of %s.%s is not known, since the data could not be read", name, x.data.decl.Name.Name, x.name)
			return poison{}
		case ok:
			return scalarArray(ir.Const(tensor.I32, float64(id)))
		}
		known = x.data.marks(x.name)
	case *modelValue:
		f.elaborateModel(x)
		if v := f.partOf(x.inst, name); v != nil {
			return v
		}
		known = x.inst.partNames()
		if mf := x.functions[0]; mf == nil || mf.f == nil {
			return poison{} // the model has errors, so not all of its parts are known
		}
	case *instance:
		if v := f.partOf(x, name); v != nil {
			return v
		}
		known = x.partNames()
	default:
		f.errorf(n.Span(), diag.UnknownField, "%s has no parts, so there is no `.%s`", describe(x), name)
		return poison{}
	}
	d := f.errorf(n.Name.Span(), diag.UnknownField, "%s has no `%s`", snippet(n.X, describe(x)), name)
	if s := diag.DidYouMean(name, known); s != "" {
		d.Fix = "did you mean `" + s + "`?"
	} else if len(known) > 0 {
		d.Fix = "it has " + joinNames(known)
	}
	return poison{}
}

func joinNames(names []string) string {
	s := ""
	for i, n := range names {
		switch {
		case i > 0 && i == len(names)-1:
			s += " and "
		case i > 0:
			s += ", "
		}
		s += "`" + n + "`"
	}
	return s
}

func (f *frame) pipe(n *syntax.Pipe) value {
	x := f.eval(n.X)
	fn := f.eval(n.F)
	f.enter(n.F)
	if isPoison(x, fn) {
		return poison{}
	}
	if l, ok := fn.(*layerValue); ok { // its first list of arguments is missing, not that x fits into it
		brackets := "(…)"
		if len(l.decl.Config) == 0 {
			brackets = "()"
		}
		d := f.errorf(n.F.Span(), diag.MissingConfiguration, "%s is a layer without its configuration", l.decl.Name.Name)
		d.Fix = "brackets that describe it come first, even if they are empty: x |> " + l.decl.Name.Name + brackets
		return poison{}
	}
	return f.call(&callSite{node: n, at: n.F.Span(), fn: n.F, args: []*argument{{node: n.X, value: x}}}, fn)
}

func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case what == "index":
		return fmt.Sprintf("%d indices", n)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// ownLength replaces symbols that are each example's own length by the length of the example at hand.
func (f *frame) ownLength(a ir.Affine) ir.Affine {
	return a.Rewrite(func(t ir.Atom) (ir.Affine, bool) {
		if t.Kind != ir.AtomSymbol || f.batch == nil {
			return ir.Affine{}, false
		}
		v := f.lengths[t.Symbol]
		if v == nil {
			return ir.Affine{}, false
		}
		return ir.LoadIndex(&ir.Read{Operand: f.operand(v), Index: []ir.Affine{ir.Loop(f.batch.id)}}), true
	})
}
