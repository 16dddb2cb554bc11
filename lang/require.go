package lang

import (
	"fmt"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// Note [Requirements]
//
// `require: rate >= 0 and rate < 1, "a share of the elements, such as 0.5"` in a body says what its author takes for granted. What the
// condition says of arguments and dimensions is checked when they are known, before anything is computed from them: requirements that a body
// begins with come before its result's shape. One that depends on a value which is known only when the program runs, such as a learning
// rate from a schedule, is passed over. The message names the values, and its place is the argument that one of them was given by.

// requireWord is the setting that states a requirement.
const requireWord = "require"

// requirements checks the requirements that a body begins with: those that can be decided with what is in reach.
func (f *frame) requirements(b *syntax.Block) bool {
	met := true
	for _, s := range b.Stmts {
		c, ok := s.(*syntax.Clause)
		if !ok || c.Name.Name != requireWord {
			break
		}
		met = f.require(c) && met
	}
	return met
}

// configured checks what a body requires of its configuration alone, which is bound in s.
func (f *frame) configured(subject string, b *syntax.Block, s *scope) bool {
	inner := f.with(s)
	inner.subject, inner.config = subject, s
	return inner.requirements(b)
}

// require checks one requirement. It is false after a message, or where one was given before about the same argument.
func (f *frame) require(c *syntax.Clause) bool {
	cond, why := c.Value, ""
	if t, ok := c.Value.(*syntax.Tuple); ok && len(t.Elems) == 2 {
		s, text := t.Elems[1].Value.(*syntax.String)
		if !text {
			f.errorf(t.Elems[1].Span(), diag.TypeMismatch, "what a requirement means is said by a text in quotes")
			return false
		}
		cond, why = t.Elems[0].Value, s.Value
	} else if ok {
		f.errorf(c.Span(), diag.InvalidValue, "`require` takes a condition and a text that says what it means").Fix = "as in require: units > 0, \"how many outputs there are\""
		return false
	}
	met := true
	for _, part := range conjuncts(cond) {
		met = f.requirePart(c, part, why) && met
	}
	return met
}

// conjuncts are the conditions that `and` joins.
func conjuncts(cond syntax.Expr) []syntax.Expr {
	if b, ok := cond.(*syntax.Binary); ok && b.Op == "and" {
		return append(conjuncts(b.X), conjuncts(b.Y)...)
	}
	return []syntax.Expr{cond}
}

// requirePart checks one condition of a requirement.
func (f *frame) requirePart(c *syntax.Clause, cond syntax.Expr, why string) bool {
	names := &requirement{frame: f}
	if !names.known(cond) {
		return true
	}
	v := f.eval(cond)
	holds, ok := v.(boolean)
	switch {
	case isPoison(v):
		return false
	case !ok:
		f.errorf(cond.Span(), diag.NotACondition, "a requirement is a condition on arguments and dimensions, not %s", describe(v))
		return false
	case bool(holds):
		return true
	}
	at := f.user
	if len(names.from) > 0 {
		at = names.from[0].at
	}
	key := fmt.Sprintf("%p %v", c, at)
	if f.unmet[key] {
		return false
	}
	f.unmet[key] = true
	message := f.subject + " requires " + cond.Span().Text()
	if n := len(names.values); n > 1 {
		message += ", and " + strings.Join(names.values[:n-1], ", ") + " and " + names.values[n-1]
	} else if n == 1 {
		message += ", and " + names.values[0]
	}
	d := f.errorf(at, diag.UnmetRequirement, "%s", message)
	d.Fix = why
	if d.Span == at && len(names.from) > 0 && !strings.HasSuffix(names.from[0].what, " is "+at.Text()) {
		d.Label = names.from[0].what
	}
	for _, from := range names.from {
		f.relate(d, from.at, "%s", from.what)
	}
	f.relate(d, c.Span(), "it is required here")
	return false
}

// requirement collects what a condition depends on.
type requirement struct {
	*frame
	values []string // "rate is 50"
	from   []origin
	seen   map[string]bool
}

// origin is the place of an argument, and what it says of a value.
type origin struct {
	at   diag.Span
	what string
}

// known reports whether a condition can be decided when the program is compiled.
func (r *requirement) known(cond syntax.Expr) bool {
	known := true
	r.seen = map[string]bool{}
	only := r.config
	syntax.Inspect(cond, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Call:
			name, ok := n.Fn.(*syntax.Name)
			if only != nil || !ok || len(n.Args) != 1 {
				known = known && only == nil
				return known
			}
			var size int
			switch name.Name {
			case classesWord:
				a, _ := r.eval(n.Args[0].Value).(*array)
				size, ok = r.classesOf(a)
			case "elements":
				var v number
				if v, ok = r.eval(n).(number); ok {
					size, ok = v.asInt()
				}
			default:
				return true
			}
			known = known && ok
			r.note(n.Span().Text(), fmt.Sprint(size), n.Args[0].Value)
			return false
		case *syntax.Name:
			b := r.scope.lookup(n.Name)
			if b == nil || only != nil && only.names[n.Name] == nil {
				known = known && only == nil
				return known
			}
			switch v := r.resolve(b, n.Span(), n.Name).(type) {
			case number, boolean:
				r.note(n.Name, strings.TrimPrefix(describe(v), "the number "), n)
			case text:
				r.note(n.Name, fmt.Sprintf("%q", string(v)), n)
			case *fnValue, *overloads, *builtin:
			default:
				known = false
			}
		}
		return known
	})
	return known
}

// note records a value of the condition, and the argument that it comes from.
func (r *requirement) note(what, value string, n syntax.Expr) {
	if r.seen[what] {
		return
	}
	r.seen[what] = true
	r.values = append(r.values, what+" is "+value)
	if name, ok := n.(*syntax.Name); ok {
		if b := r.scope.lookup(name.Name); b != nil && !b.from.IsZero() && !r.isStd(b.from) {
			r.from = append(r.from, origin{b.from, what + " is " + value})
		}
	}
}

// origin is the place that an argument was given at: that of the expression, or inside the library that of the argument which is passed on.
func (f *frame) origin(n syntax.Node) diag.Span {
	base := n
	for {
		ix, ok := base.(*syntax.Index) // an element of an argument
		if !ok {
			break
		}
		base = ix.X
	}
	if name, ok := base.(*syntax.Name); ok && f.isStd(name.Span()) {
		if b := f.scope.lookup(name.Name); b != nil && !b.from.IsZero() {
			return b.from
		}
	}
	return n.Span()
}

// Note [Ids]
//
// A field of classes, words or other ids has a known number of them. The IR values that hold such ids are remembered with it, so that a table
// or an output with too few places for them is found before a step is made. Models are elaborated before it is known what they are applied to: for
// an input that indexes a dimension the smallest such dimension is remembered, and compared where the model is called.

// classesWord is the function that gives the number of ids.
const classesWord = "classes"

// bound is the smallest dimension that a model's input indexes.
type bound struct {
	size int
	at   diag.Span
	of   string // what has the dimension
}

// idsOf returns the IR value that an array holds elements of.
func (f *frame) idsOf(a *array) *ir.Value {
	if a == nil || a.body == nil || a.body.Leaf != ir.LeafRead || a.body.Read.Guarded {
		return nil
	}
	return f.values[a.body.Read.Operand]
}

// classesOf is the number of ids that an array's elements are drawn from.
func (f *frame) classesOf(a *array) (int, bool) {
	n, ok := f.ids[f.idsOf(a)]
	return n, ok
}

// classes is classes(x): how many classes, words or other ids there are, of which x is one or holds some.
func classes(f *frame, site *callSite) value {
	vs, ok := f.take(site, classesWord, 1)
	if !ok {
		return poison{}
	}
	a, _ := vs[0].(*array)
	n, ok := f.classesOf(a)
	if !ok {
		d := f.errorf(site.args[0].node.Span(), diag.NotConstant, "how many ids there are is known of fields of data only, and this is %s", describe(vs[0]))
		d.Fix = "write the number, or give it as an argument"
		return poison{}
	}
	return integer(n)
}

// checkIds compares an index that is data with the dimension that it indexes. It is false after a message.
func (f *frame) checkIds(ix ir.Affine, size ir.Affine, at diag.Span, of string) bool {
	read, ok := ix.IsLoad()
	have, constant := size.IsConst()
	if !ok || !constant {
		return true
	}
	v := f.values[read.Operand]
	if n, known := f.ids[v]; known {
		if n <= have {
			return true
		}
		d := f.errorf(at, diag.IndexRange, "%s has %s, but `%s` is one of %d ids", of, elementCount(size), at.Text(), n)
		d.Fix = "make it as large as there are ids: a field of data, such as D.label, stands for their number"
		return false
	}
	if old, ok := f.bounds[v]; !ok || have < old.size {
		if f.isStd(at) {
			at = f.user
		}
		f.bounds[v] = bound{have, at, of}
	}
	return true
}

// checkInput compares what a model is applied to with what its input indexes.
func (f *frame) checkInput(n syntax.Node, name string, input *ir.Value, a *array) bool {
	b, ok := f.bounds[input]
	if !ok {
		return true
	}
	v := f.idsOf(a)
	ids, known := f.ids[v]
	switch {
	case !known && v != nil:
		if old, ok := f.bounds[v]; !ok || b.size < old.size {
			f.bounds[v] = b
		}
	case known && ids > b.size && !f.unmet[fmt.Sprint(b)]:
		f.unmet[fmt.Sprint(b)] = true
		d := f.errorf(b.at, diag.IndexRange, "%s has %s, but `%s` is one of %d ids", b.of, count(b.size, "element"), name, ids)
		d.Fix = "make it as large as there are ids: a field of data, such as D.label, stands for their number"
		f.relate(d, n.Span(), "the ids come from here")
		return false
	}
	return true
}
