package ir

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// ParseScalar parses a scalar expression as rows of the op table hold them: names of params, literals, and ops by name applied
// to operands in brackets. A literal has the type that the op around it needs, and is f32 where that leaves a choice.
//
// Errors: what does not parse, names that are not in params, and operands that do not fit their op.
func ParseScalar(text string, params map[string]*Expr) (*Expr, error) {
	p := &scalarParser{lex: lexer{text: text}, params: params}
	if err := p.advance(); err != nil {
		return nil, err
	}
	e, err := p.expr(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokEnd {
		return nil, fmt.Errorf("unexpected %q after the expression", p.tok.text)
	}
	return typedLiteral(e, tensor.F32), nil
}

// maxDepth bounds how deep expressions nest, so that no text can exhaust the stack.
const maxDepth = 1000

type scalarParser struct {
	lex    lexer
	tok    token
	params map[string]*Expr
}

func (p *scalarParser) advance() (err error) {
	p.tok, err = p.lex.next()
	return err
}

// expr parses one expression. A literal without a point is returned with an invalid type, for the caller to choose.
func (p *scalarParser) expr(depth int) (*Expr, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the expression is nested too deeply")
	}
	sign := 1.0
	if p.tok.kind == tokPunct && p.tok.text == "-" {
		sign = -1
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	tok := p.tok
	if err := p.advance(); err != nil {
		return nil, err
	}
	switch {
	case tok.kind == tokInt || tok.kind == tokFloat:
		v, err := strconv.ParseFloat(tok.text, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is too large", tok.text)
		}
		d := tensor.F32
		if tok.kind == tokInt {
			d = tensor.Invalid
		}
		return Const(d, sign*v), nil
	case tok.kind != tokName || sign < 0:
		return nil, fmt.Errorf("expected an expression, found %q", tok.text)
	case p.tok.kind != tokPunct || p.tok.text != "(":
		if e := p.params[tok.text]; e != nil {
			return e, nil
		}
		return nil, fmt.Errorf("%s is not defined", tok.text)
	}
	op, ok := OpNamed(tok.text)
	if !ok || op.Row().Class != ClassScalar {
		return nil, fmt.Errorf("there is no scalar op %s", tok.text)
	}
	var args []*Expr
	for {
		if err := p.advance(); err != nil { // over ( or ,
			return nil, err
		}
		a, err := p.expr(depth + 1)
		if err != nil {
			return nil, err
		}
		args = append(args, a)
		if p.tok.kind != tokPunct || p.tok.text != "," {
			break
		}
	}
	if p.tok.kind != tokPunct || p.tok.text != ")" {
		return nil, fmt.Errorf("expected ) after the operands of %s", op)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	return applyLiterals(op, args)
}

// applyLiterals applies op to args after giving literals without a type the one that op's signature asks for.
func applyLiterals(op Op, args []*Expr) (*Expr, error) {
	want, _ := op.Row().signature()
	common := tensor.F32
	for i, a := range args {
		if i < len(want) && (want[i] == "T" || want[i] == "A") && a.DType != tensor.Invalid {
			common = a.DType
			break
		}
	}
	types := make([]tensor.DType, len(args))
	for i, a := range args {
		d := common
		if i < len(want) {
			if fixed, ok := tensor.ParseDType(want[i]); ok {
				d = fixed
			}
		}
		args[i] = typedLiteral(a, d)
		types[i] = args[i].DType
	}
	d, err := op.ResultDType(types)
	if err != nil {
		return nil, err
	}
	return &Expr{Op: op, DType: d, Args: args}, nil
}

// typedLiteral returns e with type d if it is a literal without one.
func typedLiteral(e *Expr, d tensor.DType) *Expr {
	if e.Leaf == LeafConst && e.DType == tensor.Invalid {
		return Const(d, e.Value)
	}
	return e
}

// signature splits a scalar row's Sig into the words for its operands and its result.
func (r *Row) signature() (operands []string, result string) {
	in, out, _ := strings.Cut(strings.TrimPrefix(r.Sig, "("), ") -> ")
	return strings.Split(in, ", "), out
}

// template is a row's texts, parsed once. Operand k of the op is a read of operand k there; z and dz follow.
type template struct {
	once  sync.Once
	expr  *Expr
	grads []*Expr
}

var templates [opCount]template

// template returns op's parsed texts. Texts that do not parse are a broken invariant: a test covers all rows.
func (o Op) template() *template {
	t := &templates[o]
	t.once.Do(func() {
		expr, grads, err := o.parseRow()
		if err != nil {
			panic(fmt.Sprintf("BUG: row %s: %v", o, err))
		}
		t.expr, t.grads = expr, grads
	})
	return t
}

// parseRow parses the texts of a scalar row. Operands of type T and A are f32 in them, since gradients are.
func (o Op) parseRow() (expr *Expr, grads []*Expr, err error) {
	row := o.Row()
	want, _ := row.signature()
	if len(want) != len(row.Params) {
		return nil, nil, fmt.Errorf("%d names for %d operands", len(row.Params), len(want))
	}
	params := map[string]*Expr{}
	types := make([]tensor.DType, len(want))
	for k, w := range want {
		types[k] = tensor.F32
		if d, ok := tensor.ParseDType(w); ok {
			types[k] = d
		}
		params[row.Params[k]] = ReadOf(types[k], k)
	}
	result, err := o.ResultDType(types)
	if err != nil {
		return nil, nil, err
	}
	if row.Expr != "" {
		if expr, err = ParseScalar(row.Expr, params); err != nil {
			return nil, nil, fmt.Errorf("definition: %w", err)
		}
		if expr.DType != result {
			return nil, nil, fmt.Errorf("definition: is %v, not %v", expr.DType, result)
		}
	}
	params["z"] = ReadOf(result, len(want))
	params["dz"] = ReadOf(result, len(want)+1)
	for k, text := range row.Grad {
		var g *Expr
		if text != "0" {
			if g, err = ParseScalar(text, params); err != nil {
				return nil, nil, fmt.Errorf("gradient of %s: %w", row.Params[k], err)
			}
			if g.DType != types[k] {
				return nil, nil, fmt.Errorf("gradient of %s: is %v, not %v", row.Params[k], g.DType, types[k])
			}
		}
		grads = append(grads, g)
	}
	return expr, grads, nil
}

// substitute replaces the operands of a template.
func substitute(t *Expr, operands []*Expr) *Expr {
	return t.Rewrite(func(e *Expr) *Expr {
		if e.Leaf == LeafRead {
			return operands[e.Read.Operand]
		}
		return e
	})
}

// Expand returns the definition of a composite op with args in place of its operands, and nil for a primitive op.
func (o Op) Expand(args []*Expr) *Expr {
	t := o.template()
	if t.expr == nil {
		return nil
	}
	return substitute(t.expr, args)
}

// GradOf returns the cotangent that operand i of op receives when op is applied to args, its result is z and the result's
// cotangent is dz. It is nil where nothing flows back: where the row says so, and where operand or result are not f32.
func (o Op) GradOf(i int, args []*Expr, z, dz *Expr) *Expr {
	t := o.template()
	if t.grads[i] == nil || args[i].DType != tensor.F32 || dz.DType != tensor.F32 {
		return nil
	}
	operands := make([]*Expr, 0, len(args)+2)
	operands = append(append(operands, args...), z, dz)
	return substitute(t.grads[i], operands)
}
