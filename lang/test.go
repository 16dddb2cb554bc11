package lang

import (
	"fmt"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// comparisons are the operators that an expectation shows both sides of.
var comparisons = map[string]bool{"==": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true}

// test elaborates a test: one example, parameters as initialised, inference. What its minimize statements leave alone is frozen, see
// Note [Frozen instances].
func (e *elaborator) test(decl *syntax.Test, number int) {
	name := fmt.Sprintf("test.%d", number)
	t := &trainer{elaborator: e, slots: map[syntax.Expr]string{}, label: name, batch: 1, updated: map[*ir.Cell]bool{}}
	t.inst = e.newInstance(name, nil) // holds layers that the test makes itself
	t.inst.role = checks
	t.inst.recipe = &recipe{layer: &layerValue{decl: &syntax.Layer{Name: &syntax.Ident{Name: "test"}}}}
	fn, p := t.testFunction(decl, name)
	if fn == nil {
		return
	}
	if len(t.updated) > 0 {
		if frozen := t.findFrozen([]*ir.Func{fn}); len(frozen) > 0 {
			e.frozen, e.updated = frozen, t.updated
			fn, p = t.testFunction(decl, name)
			e.frozen, e.updated = nil, nil
			if fn == nil {
				return
			}
		}
	}
	e.module.AddFunc(fn)
	e.plan.Tests = append(e.plan.Tests, p)
}

// testFunction elaborates the statements of a test; nil after an error.
func (t *trainer) testFunction(decl *syntax.Test, name string) (*ir.Func, *plan.Test) {
	fn := t.withBatch(t.newFunction(name), ir.Int(1))
	fn.fixedSeed = true
	f := &frame{elaborator: t.elaborator, function: fn, scope: newScope(t.globals), inst: t.inst}
	p := &plan.Test{Name: decl.Name.Value, Func: name, Loc: f.locate(decl.Span())}
	f.minimize = func(f *frame, s *syntax.Minimize) {
		fn.training = true
		t.minimizeStep(f, s, nil)
		fn.training = false
	}
	errors := len(t.diags.All)
	expects := false
	for _, s := range decl.Body.Stmts {
		switch s := s.(type) {
		case *syntax.Expect:
			expects = true
			f.expectation(s, p)
		default:
			f.statement(s)
		}
	}
	if !expects {
		f.errorf(decl.Name.Span(), diag.MissingSetting, "this test expects nothing").Fix = "add a line such as expect y == [15]"
	}
	if len(t.diags.All) > errors || len(p.Expects) < 1 {
		return nil, nil
	}
	return fn.b.Func, p
}

// expectation adds the two sides of a comparison, or a truth value, to the test's results.
func (f *frame) expectation(s *syntax.Expect, p *plan.Test) {
	f.enter(s)
	x := plan.Expect{Text: s.Cond.Span().Text(), Loc: f.locate(s.Span()), Within: -1}
	if s.Within != nil {
		v := f.eval(s.Within)
		n, ok := v.(number)
		if !ok || n.float < 0 {
			if !isPoison(v) {
				f.errorf(s.Within.Span(), diag.InvalidValue, "`within` is followed by the greatest difference that passes, such as 1e-5")
			}
			return
		}
		x.Within = n.float
		x.Text += " within " + s.Within.Span().Text()
	}
	b, ok := s.Cond.(*syntax.Binary)
	if !ok || !comparisons[b.Op] {
		a, ok := f.asArray(s.Cond, f.eval(s.Cond), tensor.Bool)
		if !ok {
			return
		}
		if a.dtype != tensor.Bool {
			f.errorf(s.Cond.Span(), diag.NotACondition, "`expect` needs a condition, and this is %s", a.typ()).Fix = "compare it, as in expect y == [15]"
			return
		}
		x.Left = len(f.b.Func.Results)
		f.b.Return("", f.examples(a))
		p.Expects = append(p.Expects, x)
		return
	}
	if s.Within != nil && b.Op != "==" {
		f.errorf(s.Within.Span(), diag.Misplaced, "`within` belongs to ==")
		return
	}
	left, right := f.eval(b.X), f.eval(b.Y)
	f.enter(s)
	if isPoison(left, right) {
		return
	}
	args, ok := f.unify(b, b.Op, []syntax.Node{b.X, b.Y}, []value{left, right})
	if !ok {
		return
	}
	if !equalShapes(args[0].shape, args[1].shape) {
		d := f.errorf(b.Span(), diag.ShapeMismatch, "`%s` compares values of one shape, not %s and %s", b.Op, args[0].typ(), args[1].typ())
		f.explain(d, b.X, args[0])
		f.explain(d, b.Y, args[1])
		return
	}
	x.Op = b.Op
	x.Left = len(f.b.Func.Results)
	f.b.Return("", f.examples(args[0]))
	x.Right = len(f.b.Func.Results)
	f.b.Return("", f.examples(args[1]))
	p.Expects = append(p.Expects, x)
}
