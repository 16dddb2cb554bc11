package syntax

import (
	"errors"
	"fmt"
	"slices"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/nnc-lang/nnc/ir/diag"
)

// The strengths of operators, loosest first (rule 6 of the language).
const (
	strengthPipe = iota + 1
	strengthOr
	strengthAnd
	strengthNot
	strengthCompare
	strengthSum
	strengthProduct // also how far a reduction reaches
	strengthMinus
	strengthPower
)

var binaryStrength = map[string]int{
	"|>": strengthPipe, "or": strengthOr, "and": strengthAnd,
	"==": strengthCompare, "!=": strengthCompare, "<": strengthCompare, "<=": strengthCompare, ">": strengthCompare, ">=": strengthCompare,
	"+": strengthSum, "-": strengthSum,
	"*": strengthProduct, "/": strengthProduct, "%": strengthProduct, "@": strengthProduct,
	"^": strengthPower,
}

// maxDepth is how deep expressions may go in all: brackets, which the lexer limits, and prefix operators between them.
const maxDepth = 4 * maxNesting

// maxChain is how many operators or calls may follow one another; trees of them are as deep as they are long.
const maxChain = 10_000

// exprHook parses an expression for the grammar.
func (p *parser) exprHook(lx *lexer.PeekingLexer) (Expr, error) {
	if !startsExpression(lx) {
		return nil, participle.NextMatch
	}
	return p.expression(lx)
}

// startsExpression reports whether the next token can begin an expression.
func startsExpression(lx *lexer.PeekingLexer) bool {
	t := lx.Peek()
	switch t.Type {
	case tokenName, tokenNumber, tokenString:
		return true
	case tokenKeyword:
		return slices.Contains([]string{"if", "scan", "not", "true", "false", "layer"}, t.Value)
	case tokenPunct:
		return slices.Contains([]string{"(", "[", "{", "-"}, t.Value)
	}
	return false
}

// at reports whether the next token is the operator or keyword text.
func at(lx *lexer.PeekingLexer, text string) bool {
	t := lx.Peek()
	return t.Value == text && (t.Type == tokenPunct || t.Type == tokenKeyword)
}

// atWord reports whether the next token is the name text, which is a word of the language only in this place.
func atWord(lx *lexer.PeekingLexer, text string) bool {
	t := lx.Peek()
	return t.Type == tokenName && t.Value == text
}

func (p *parser) enter(lx *lexer.PeekingLexer) error {
	p.depth++
	if p.depth > maxDepth {
		p.depth--
		return tooDeep(p.tokenSpan(*lx.Peek()))
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// expression parses anything that may stand after `=`, in brackets or as a statement: an index expression, a record, a block, or operators.
func (p *parser) expression(lx *lexer.PeekingLexer) (Expr, error) {
	if err := p.enter(lx); err != nil {
		return nil, err
	}
	defer p.leave()
	switch {
	case at(lx, "{"):
		return p.braced(lx)
	case p.atLambda(lx):
		return p.lambda(lx)
	}
	return p.operators(lx, strengthPipe)
}

// operators parses operands joined by operators of at least the given strength.
func (p *parser) operators(lx *lexer.PeekingLexer, least int) (Expr, error) {
	first := int(lx.RawCursor())
	x, err := p.operand(lx)
	if err != nil {
		return nil, err
	}
	for range maxChain {
		t := *lx.Peek()
		strength := binaryStrength[t.Value]
		if strength < least || t.Type != tokenPunct && t.Type != tokenKeyword {
			return x, nil
		}
		lx.Next()
		next := strength + 1
		switch strength {
		case strengthPower: // to the right: x^y^z is x^(y^z), and x^-y is allowed
			next = strengthMinus
		case strengthCompare:
			if b, ok := x.(*Binary); ok && binaryStrength[b.Op] == strengthCompare {
				return nil, p.chained(b, t)
			}
		}
		if strength == strengthPower {
			if err := p.enter(lx); err != nil {
				return nil, err
			}
		}
		y, err := p.right(lx, next, "`"+t.Value+"`")
		if strength == strengthPower {
			p.leave()
		}
		if err != nil {
			return nil, err
		}
		if t.Value == "|>" {
			x = &Pipe{p.from(first, lx), x, y}
		} else {
			x = &Binary{p.from(first, lx), t.Value, p.tokenSpan(t), x, y}
		}
	}
	return nil, p.tooLong(first, lx)
}

func (p *parser) tooLong(first int, lx *lexer.PeekingLexer) error {
	return &diag.Diagnostic{
		Span: p.tokenSpan(*lx.Peek()), Code: diag.NestingTooDeep,
		Message: fmt.Sprintf("more than %d operators follow one another", maxChain), Fix: "name parts of the expression with `let`",
		Related: []diag.Related{{Span: p.tokenSpan(p.src.list[first]), Message: "the expression begins here"}},
	}
}

// right parses what stands after an operator or a word, which is named in the message if nothing does.
func (p *parser) right(lx *lexer.PeekingLexer, least int, after string) (Expr, error) {
	if !startsExpression(lx) || at(lx, "{") {
		return nil, p.expected(lx, "an expression after "+after)
	}
	return p.operators(lx, least)
}

// deeper is right for what may nest without brackets; it counts the depth.
func (p *parser) deeper(lx *lexer.PeekingLexer, least int, after string) (Expr, error) {
	if err := p.enter(lx); err != nil {
		return nil, err
	}
	defer p.leave()
	return p.right(lx, least, after)
}

// operand parses a prefix operator with what it reaches, or a primary with its calls, indices and fields.
// A prefix operator or a reduction may stand where an operand of a tighter operator is due, and reaches as far there.
func (p *parser) operand(lx *lexer.PeekingLexer) (Expr, error) {
	first := int(lx.RawCursor())
	t := *lx.Peek()
	switch {
	case at(lx, "-"):
		lx.Next()
		x, err := p.deeper(lx, strengthMinus, "`-`")
		if err != nil {
			return nil, err
		}
		return &Unary{p.from(first, lx), "-", x}, nil
	case at(lx, "not"):
		lx.Next()
		x, err := p.deeper(lx, strengthNot, "`not`")
		if err != nil {
			return nil, err
		}
		return &Unary{p.from(first, lx), "not", x}, nil
	case t.Type == tokenName && IsReduction(t.Value) && p.src.list[first+1].Value == "[" && p.src.list[first+1].Type == tokenPunct:
		return p.reduce(lx)
	}
	x, err := p.primary(lx)
	if err != nil {
		return nil, err
	}
	return p.postfix(lx, first, x)
}

func (p *parser) reduce(lx *lexer.PeekingLexer) (Expr, error) {
	first := int(lx.RawCursor())
	t := *lx.Next()
	op := p.ident(t)
	binders, err := p.binders(lx)
	if err != nil {
		return nil, err
	}
	x, err := p.deeper(lx, strengthProduct, "`"+t.Value+"[…]`")
	if err != nil {
		return nil, err
	}
	return &Reduce{p.from(first, lx), op, binders, x}, nil
}

// postfix parses calls, indices and fields after x.
func (p *parser) postfix(lx *lexer.PeekingLexer, first int, x Expr) (Expr, error) {
	switch x.(type) {
	case *If, *Scan:
		return x, nil
	}
	for range maxChain {
		switch {
		case at(lx, "("):
			args, err := p.arguments(lx, argumentList)
			if err != nil {
				return nil, err
			}
			x = &Call{p.from(first, lx), x, args}
		case at(lx, "["):
			indices, err := p.indices(lx)
			if err != nil {
				return nil, err
			}
			index := &Index{At: p.from(first, lx), X: x, Indices: indices}
			if at(lx, "else") {
				lx.Next()
				if index.Else, err = p.deeper(lx, strengthMinus, "`else`"); err != nil {
					return nil, err
				}
				index.At = p.from(first, lx)
			}
			x = index
		case at(lx, "."):
			lx.Next()
			if t := lx.Peek(); t.Type != tokenName && t.Type != tokenKeyword {
				return nil, p.expected(lx, "a name after `.`")
			}
			name := p.ident(*lx.Next())
			x = &Field{p.from(first, lx), x, name}
		default:
			return x, nil
		}
	}
	return nil, p.tooLong(first, lx)
}

func (p *parser) ident(t lexer.Token) *Ident { return &Ident{At{p.tokenSpan(t)}, t.Value} }

func (p *parser) primary(lx *lexer.PeekingLexer) (Expr, error) {
	first := int(lx.RawCursor())
	t := *lx.Peek()
	switch t.Type {
	case tokenNumber:
		lx.Next()
		return &Number{p.from(first, lx), t.Value}, nil
	case tokenString:
		lx.Next()
		return p.string(t), nil
	case tokenName:
		lx.Next()
		return &Name{p.from(first, lx), t.Value}, nil
	case tokenKeyword:
		switch t.Value {
		case "true", "false":
			lx.Next()
			return &Bool{p.from(first, lx), t.Value == "true"}, nil
		case "layer": // `where layer == "dense"`
			lx.Next()
			return &Name{p.from(first, lx), t.Value}, nil
		case "if":
			return p.ifElse(lx)
		case "scan":
			return p.scan(lx)
		}
	case tokenPunct:
		switch t.Value {
		case "(":
			return p.parens(lx)
		case "[":
			if p.atLambda(lx) {
				return nil, &diag.Diagnostic{
					Span: p.tokenSpan(t), Code: diag.UnexpectedToken,
					Message: "an index expression cannot stand after an operator without parentheses", Fix: "write `([i] => …)`",
				}
			}
			elems, err := bracketed(p, lx, "list", p.element)
			if err != nil {
				return nil, err
			}
			return &List{p.from(first, lx), elems}, nil
		}
	}
	return nil, p.expected(lx, "an expression")
}

func (p *parser) string(t lexer.Token) *String { return &String{At{p.tokenSpan(t)}, unquote(t.Value)} }

// element parses one expression in brackets.
func (p *parser) element(lx *lexer.PeekingLexer) (Expr, error) {
	if !startsExpression(lx) {
		return nil, p.expected(lx, "an expression")
	}
	return p.expression(lx)
}

// bracketed parses items between the bracket that is next and its partner, separated by commas; the last one may be followed by a comma.
func bracketed[T any](p *parser, lx *lexer.PeekingLexer, what string, item func(*lexer.PeekingLexer) (T, error)) ([]T, error) {
	open := *lx.Next()
	closing := map[string]string{"(": ")", "[": "]"}[open.Value]
	var items []T
	for !at(lx, closing) {
		if lx.Peek().EOF() {
			return nil, p.unclosedBracket(*lx.Peek(), open, what)
		}
		x, err := item(lx)
		if err != nil {
			return nil, err
		}
		items = append(items, x)
		if at(lx, ",") {
			lx.Next()
		} else if !at(lx, closing) {
			return nil, p.unclosedBracket(*lx.Peek(), open, what)
		}
	}
	lx.Next()
	return items, nil
}

func (p *parser) arguments(lx *lexer.PeekingLexer, what string) ([]*Arg, error) {
	return bracketed(p, lx, what, p.argument)
}

// argument parses `value` or `name: value`.
func (p *parser) argument(lx *lexer.PeekingLexer) (*Arg, error) {
	first := int(lx.RawCursor())
	arg := &Arg{}
	if p.atLabel(lx) {
		arg.Name = p.ident(*lx.Next())
		lx.Next()
	} else if t := *lx.Peek(); t.Type == tokenName && p.src.list[first+1].Value == "=" && p.src.list[first+1].Type == tokenPunct {
		return nil, &diag.Diagnostic{
			Span: p.tokenSpan(p.src.list[first+1]), Code: diag.WrongAssignment,
			Message: "an argument's name is followed by `:`, not `=`", Fix: "write `" + t.Value + ": …`",
		}
	}
	var err error
	arg.Value, err = p.element(lx)
	arg.At = p.from(first, lx)
	return arg, err
}

// atLabel reports whether a word and a colon are next.
func (p *parser) atLabel(lx *lexer.PeekingLexer) bool {
	t := lx.Peek()
	if t.Type != tokenName && t.Type != tokenKeyword {
		return false
	}
	next := p.src.list[int(lx.RawCursor())+1]
	return next.Type == tokenPunct && next.Value == ":"
}

// parens parses `(x)`, `(a, b)` or `(name: a, …)`.
func (p *parser) parens(lx *lexer.PeekingLexer) (Expr, error) {
	first := int(lx.RawCursor())
	elems, err := p.arguments(lx, "parenthesis")
	if err != nil {
		return nil, err
	}
	comma := p.src.list[int(lx.RawCursor())-2].Value == ","
	if len(elems) == 1 && elems[0].Name == nil && !comma {
		return &Paren{p.from(first, lx), elems[0].Value}, nil
	}
	return &Tuple{p.from(first, lx), elems}, nil
}

// indices parses `[i, j, ...]` after a tensor; empty brackets are the shape of a scalar.
func (p *parser) indices(lx *lexer.PeekingLexer) ([]Expr, error) {
	return bracketed(p, lx, "index list", func(lx *lexer.PeekingLexer) (Expr, error) {
		if !at(lx, "...") {
			return p.element(lx)
		}
		first := int(lx.RawCursor())
		name := p.spread(lx)
		return &Ellipsis{p.from(first, lx), name}, nil
	})
}

// spread parses `...` or `...s`.
func (p *parser) spread(lx *lexer.PeekingLexer) *Ident {
	lx.Next()
	if lx.Peek().Type != tokenName {
		return nil
	}
	return p.ident(*lx.Next())
}

// atLambda reports whether `[…] =>` is next.
func (p *parser) atLambda(lx *lexer.PeekingLexer) bool {
	if !at(lx, "[") {
		return false
	}
	end := p.src.match[int(lx.RawCursor())]
	return end >= 0 && p.src.list[end+1].Value == "=>"
}

func (p *parser) lambda(lx *lexer.PeekingLexer) (Expr, error) {
	first := int(lx.RawCursor())
	binders, err := p.binders(lx)
	if err != nil {
		return nil, err
	}
	lx.Next()
	if !startsExpression(lx) {
		return nil, p.expected(lx, "an expression after `=>`")
	}
	x, err := p.expression(lx)
	if err != nil {
		return nil, err
	}
	return &Lambda{p.from(first, lx), binders, x}, nil
}

// binders parses `[i, j < n, batch, ...s]`.
func (p *parser) binders(lx *lexer.PeekingLexer) ([]*Binder, error) {
	return bracketed(p, lx, "index list", func(lx *lexer.PeekingLexer) (*Binder, error) {
		first := int(lx.RawCursor())
		b := &Binder{}
		if at(lx, "...") {
			b.Spread = true
			b.Name = p.spread(lx)
			b.At = p.from(first, lx)
			return b, nil
		}
		var err error
		if b.Name, err = p.name(lx, "an index name"); err != nil {
			return nil, err
		}
		if at(lx, "<") {
			lx.Next()
			if b.Bound, err = p.deeper(lx, strengthSum, "`<`"); err != nil {
				return nil, err
			}
		}
		b.At = p.from(first, lx)
		return b, nil
	})
}

// name parses a name that is declared here.
func (p *parser) name(lx *lexer.PeekingLexer, what string) (*Ident, error) {
	if lx.Peek().Type != tokenName {
		return nil, p.expected(lx, what)
	}
	return p.declared(p.ident(*lx.Next())), nil
}

// ifElse parses `if c { … } else { … }`.
func (p *parser) ifElse(lx *lexer.PeekingLexer) (Expr, error) {
	if err := p.enter(lx); err != nil {
		return nil, err
	}
	defer p.leave()
	first := int(lx.RawCursor())
	lx.Next()
	x := &If{}
	var err error
	if x.Cond, err = p.deeper(lx, strengthOr, "`if`"); err != nil {
		return nil, err
	}
	if x.Then, err = p.blockAfter(lx, "the condition"); err != nil {
		return nil, err
	}
	if at(lx, "else") {
		lx.Next()
		if !at(lx, "if") {
			x.Else, err = p.blockAfter(lx, "`else`")
		} else {
			var chained Expr
			if chained, err = p.ifElse(lx); err == nil {
				place := At{chained.Span()}
				x.Else = &Block{At: place, Stmts: []Stmt{&ExprStmt{place, chained}}}
			}
		}
		if err != nil {
			return nil, err
		}
	}
	x.At = p.from(first, lx)
	return x, nil
}

func (p *parser) blockAfter(lx *lexer.PeekingLexer, after string) (*Block, error) {
	if !at(lx, "{") {
		return nil, p.expected(lx, "`{` after "+after)
	}
	return p.block(lx)
}

// scan parses `scan [reversed] head [while c] [with h = e, …] { … }`.
func (p *parser) scan(lx *lexer.PeekingLexer) (Expr, error) {
	first := int(lx.RawCursor())
	lx.Next()
	x := &Scan{}
	if atWord(lx, "reversed") && p.src.list[int(lx.RawCursor())+1].Value != "in" && p.src.list[int(lx.RawCursor())+1].Value != "<" {
		lx.Next()
		x.Reversed = true
	}
	err := p.scanHead(lx, x)
	if err != nil {
		return nil, err
	}
	if at(lx, "while") {
		lx.Next()
		if x.While, err = p.deeper(lx, strengthOr, "`while`"); err != nil {
			return nil, err
		}
	}
	if at(lx, "with") {
		lx.Next()
		if x.With, err = p.carried(lx); err != nil {
			return nil, err
		}
	}
	if x.Body, err = p.blockAfter(lx, "the head of the scan"); err != nil {
		return nil, err
	}
	x.At = p.from(first, lx)
	return x, nil
}

// scanHead parses `x in xs`, `(a, b) in (xs, ys)` or `i < n`.
func (p *parser) scanHead(lx *lexer.PeekingLexer, x *Scan) error {
	var err error
	if at(lx, "(") {
		x.Names, err = bracketed(p, lx, "names", func(lx *lexer.PeekingLexer) (*Ident, error) { return p.name(lx, "a name") })
	} else {
		var name *Ident
		name, err = p.name(lx, "a name after `scan`")
		x.Names = []*Ident{name}
	}
	switch {
	case err != nil:
		return err
	case at(lx, "in"):
		lx.Next()
		x.In, err = p.deeper(lx, strengthPipe, "`in`")
	case at(lx, "<") && len(x.Names) == 1:
		lx.Next()
		x.Bound, err = p.deeper(lx, strengthSum, "`<`")
	default:
		return p.expected(lx, "`in` and what to scan, as in `scan x in xs`, or a bound, as in `scan i < n`")
	}
	return err
}

// carried parses the `h = e, c = e` after `with`.
func (p *parser) carried(lx *lexer.PeekingLexer) ([]*Let, error) {
	var lets []*Let
	for {
		first := int(lx.RawCursor())
		name, err := p.name(lx, "the name of a carried value")
		if err != nil {
			return nil, err
		}
		if !at(lx, "=") {
			return nil, p.expected(lx, "`=` and the first value of `"+name.Name+"`")
		}
		lx.Next()
		if !startsExpression(lx) || at(lx, "{") {
			return nil, p.expected(lx, "an expression after `=`")
		}
		value, err := p.expression(lx)
		if err != nil {
			return nil, err
		}
		lets = append(lets, &Let{At: p.from(first, lx), Names: []*Ident{name}, Value: value})
		if !at(lx, ",") {
			return lets, nil
		}
		lx.Next()
	}
}

// braced parses `{ key: value, … }` as a record, anything else in braces as a block.
func (p *parser) braced(lx *lexer.PeekingLexer) (Expr, error) {
	i := int(lx.RawCursor()) + 1
	for p.src.list[i].Type == tokenNewline {
		i++
	}
	empty := p.src.list[i].Value == "}"
	label := !p.src.list[i].EOF() && p.src.list[i+1].Value == ":" && p.src.list[i+1].Type == tokenPunct
	if empty || label {
		return p.record(lx)
	}
	b, err := p.block(lx)
	if err != nil {
		return nil, err
	}
	return &BlockExpr{At{b.Pos}, b}, nil
}

// record parses `{ key: value, … }`; line ends separate as commas do. A wrong entry is reported and skipped.
func (p *parser) record(lx *lexer.PeekingLexer) (Expr, error) {
	first := int(lx.RawCursor())
	open := *lx.Next()
	r := &Record{}
	for {
		p.skipNewlines(lx)
		if at(lx, "}") {
			lx.Next()
			r.At = p.from(first, lx)
			return r, nil
		}
		if p.blockEndsAt(int(lx.RawCursor())) {
			return nil, p.unclosed(open, *lx.Peek())
		}
		entry := int(lx.RawCursor())
		field, err := p.field(lx)
		var fatal *unclosedBlock
		if errors.As(err, &fatal) {
			return nil, err
		}
		if err != nil {
			p.report(err, entry)
			p.skipStatement(lx, entry)
			continue
		}
		r.Fields = append(r.Fields, field)
	}
}

// field parses one entry of a record and its separator.
func (p *parser) field(lx *lexer.PeekingLexer) (*Arg, error) {
	if !p.atLabel(lx) {
		return nil, p.expected(lx, "`name: value`")
	}
	arg, err := p.argument(lx)
	if err != nil {
		return nil, err
	}
	switch {
	case at(lx, ","):
		lx.Next()
	case lx.Peek().Type != tokenNewline && !at(lx, "}"):
		return nil, p.expected(lx, "`,` or a new line")
	}
	return arg, nil
}
