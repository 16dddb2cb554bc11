package ir

import (
	"math"
	"strconv"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Limits of index expressions in text, so that no arithmetic on them overflows or runs away.
const (
	maxInt   = -math.MinInt32 // an i32 literal may be −2³¹
	maxTerms = 256
)

// nestScope holds the names of the nest being read. Operands are numbered in the order of their first reads.
type nestScope struct {
	index    map[string]int
	args     []*Value
	operands map[*Value]int
}

// nestInstr reads what follows a nest's word.
func (p *parser) nestInstr(in *Instr, combine Combine, scatter bool) {
	n := &Nest{Combine: combine}
	in.Nest = n
	scope := &nestScope{index: map[string]int{}, operands: map[*Value]int{}}
	p.expect("[")
	bar := false
	for p.err == nil && !p.at("]") {
		if !bar && !scatter && p.accept("|") {
			bar, n.Out = true, len(n.Index)
			continue
		}
		name := p.take(tokName, "a loop index")
		p.expect("<")
		if _, twice := scope.index[name.text]; p.err == nil && (twice || isSymbol(name.text) || reserved[name.text]) {
			p.fail(name, diag.DuplicateName, "%s cannot name a loop index: it names something else here", name.text)
		}
		scope.index[name.text] = len(n.Index)
		n.Index = append(n.Index, Index{name.text, p.affine()})
		if !p.accept(",") && !p.at("|") {
			break
		}
	}
	p.expect("]")
	if !bar && !scatter {
		n.Out = len(n.Index)
	}
	p.nest = scope
	defer func() { p.nest = nil }()
	if p.accept("where") {
		p.expect("(")
		p.list(")", func() {
			g := Guard{E: p.affine()}
			p.expect("<")
			g.Limit = p.affine()
			n.Guards = append(n.Guards, g)
		})
	}
	n.Body = p.expr()
	if scatter {
		n.Shape = in.Results[0].Type.Shape
		n.Write = []Affine{}
		p.expect("to")
		p.expect("[")
		p.list("]", func() { n.Write = append(n.Write, p.affine()) })
	}
	in.Args = scope.args
}

// expr reads the body of a nest: ops applied to operands, and leaves.
func (p *parser) expr() *Expr {
	defer p.leave()
	if !p.enter() {
		return F32(0)
	}
	if p.tok.kind == tokName && p.ahead.kind == tokPunct && p.ahead.text == "(" {
		return p.application()
	}
	switch {
	case p.tok.kind == tokFloat || p.at("inf") || p.at("nan"),
		p.at("-") && (p.ahead.kind == tokFloat || p.ahead.kind == tokName && (p.ahead.text == "inf" || p.ahead.text == "nan")):
		return F32(p.literal(tensor.F32))
	case p.at("true") || p.at("false"):
		return Const(tensor.Bool, p.literal(tensor.Bool))
	case p.tok.kind == tokValue:
		at := p.tok
		r, d := p.read()
		if r.Guarded || !p.atOperator() {
			return &Expr{Leaf: LeafRead, DType: d, Read: r}
		}
		return IndexValue(p.sum(p.product(p.load(at, r, d))))
	}
	at := p.tok
	a := p.affine()
	if n, ok := a.IsConst(); ok && (n < math.MinInt32 || n > math.MaxInt32) {
		p.fail(at, diag.InvalidNumber, "%d does not fit an i32", n)
	}
	return IndexValue(a)
}

func (p *parser) application() *Expr {
	name := p.tok
	op, ok := OpNamed(name.text)
	if !ok || op.Row().Class != ClassScalar {
		p.fail(name, diag.UnknownName, "there is no scalar op %s", name.text)
		return F32(0)
	}
	p.next()
	p.next()
	e := &Expr{Op: op}
	var types []tensor.DType
	p.list(")", func() {
		a := p.expr()
		e.Args, types = append(e.Args, a), append(types, a.DType)
	})
	if p.err != nil {
		return F32(0)
	}
	d, err := op.ResultDType(types)
	if err != nil {
		p.fail(name, diag.TypeMismatch, "%v", err)
	}
	e.DType = d
	return e
}

// read reads `%x[i, j]`, with `else 0.0` if it is guarded.
func (p *parser) read() (*Read, tensor.DType) {
	defer p.leave()
	at := p.tok
	v := p.value()
	if !p.enter() {
		return &Read{}, tensor.Invalid
	}
	if p.nest == nil {
		p.fail(at, diag.UnexpectedToken, "a dimension cannot depend on data")
		return &Read{}, tensor.Invalid
	}
	k, seen := p.nest.operands[v]
	if !seen {
		k = len(p.nest.args)
		p.nest.operands[v] = k
		p.nest.args = append(p.nest.args, v)
	}
	r := &Read{Operand: k}
	p.expect("[")
	p.list("]", func() { r.Index = append(r.Index, p.affine()) })
	if p.accept("else") {
		r.Guarded, r.Else = true, p.literal(v.Type.DType)
	}
	return r, v.Type.DType
}

// load returns data as an index.
func (p *parser) load(at token, r *Read, d tensor.DType) Affine {
	if p.err == nil && d != tensor.I32 {
		p.fail(at, diag.TypeMismatch, "an index must be i32, and %%%s is %v", at.text, d)
	}
	return LoadIndex(r)
}

// affine reads an index expression: sums of products with constants, and quotients by constants.
func (p *parser) affine() Affine {
	defer p.leave()
	if !p.enter() {
		return Affine{}
	}
	if p.accept("-") {
		return p.sum(p.product(p.factor()).Scale(-1))
	}
	return p.sum(p.product(p.factor()))
}

func (p *parser) atOperator() bool { return p.at("+") || p.at("-") || p.at("*") || p.at("/") }

// sum goes on after the first term.
func (p *parser) sum(a Affine) Affine {
	for {
		at := p.tok
		switch {
		case p.accept("+"):
			a = a.Add(p.product(p.factor()))
		case p.accept("-"):
			a = a.Sub(p.product(p.factor()))
		default:
			return a
		}
		a = p.bounded(at, a)
	}
}

// product goes on after the first factor.
func (p *parser) product(a Affine) Affine {
	for {
		at := p.tok
		switch {
		case p.accept("*"):
			product, ok := a.Mul(p.factor())
			if !ok {
				p.fail(at, diag.TypeMismatch, "one side of a product must be a constant")
			}
			a = product
		case p.accept("/"):
			n, ok := p.factor().IsConst()
			if p.err == nil && (!ok || n < 1) {
				p.fail(at, diag.TypeMismatch, "a quotient must be by a constant of at least 1")
			}
			if p.err == nil {
				a = a.Div(n)
			}
		default:
			return a
		}
		a = p.bounded(at, a)
	}
}

// factor reads a number, an index, a symbol, data, or an expression in brackets.
func (p *parser) factor() Affine {
	at := p.tok
	switch {
	case at.kind == tokInt:
		return Int(p.number("a number"))
	case at.kind == tokValue:
		r, d := p.read()
		return p.load(at, r, d)
	case p.accept("("):
		a := p.affine()
		p.expect(")")
		return a
	case at.kind != tokName || reserved[at.text]:
		p.expected("an index expression")
		return Affine{}
	}
	p.next()
	if p.nest != nil {
		if i, ok := p.nest.index[at.text]; ok {
			return Loop(i)
		}
	}
	if !isSymbol(at.text) {
		p.fail(at, diag.UnknownName, "%s is no loop index here, and symbols start with an upper-case letter", at.text)
	}
	return Symbol(at.text)
}

// bounded fails for expressions whose numbers or size go beyond what may come from text.
func (p *parser) bounded(at token, a Affine) Affine {
	if p.err != nil {
		return Affine{}
	}
	if what := a.excess(); what != "" {
		p.fail(at, diag.InvalidNumber, "the index expression has %s", what)
		return Affine{}
	}
	return a
}

// excess says which limit a breaks, or "".
func (a Affine) excess() string {
	large := func(n int) bool { return n < -maxInt || n > maxInt }
	if len(a.Terms) > maxTerms {
		return "more than " + strconv.Itoa(maxTerms) + " terms"
	}
	if large(a.Const) {
		return "a number that is too large"
	}
	for _, t := range a.Terms {
		if large(t.Coef) {
			return "a number that is too large"
		}
		if t.Atom.Kind == AtomQuotient {
			if large(t.Atom.Den) {
				return "a number that is too large"
			}
			if what := t.Atom.Num.excess(); what != "" {
				return what
			}
		}
	}
	return ""
}
