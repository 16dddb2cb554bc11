package syntax

import (
	"errors"
	"regexp"
	"strings"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/nnc-lang/nnc/ir/diag"
)

// fail adds a diagnostic unless the lexer already found fault with the same line, which then is the cause.
func (p *parser) fail(d *diag.Diagnostic) {
	line := func(d *diag.Diagnostic) int { return p.src.file.Position(d.Span.Start).Line }
	for _, earlier := range p.list.All[:p.lexed] {
		if earlier.Code == diag.NestingTooDeep || line(earlier) == line(d) {
			return
		}
	}
	p.list.Add(d)
}

// report adds the diagnostic of an error that the grammar or a hook returned; first is the token where the production began.
func (p *parser) report(err error, lx *lexer.PeekingLexer, first int) {
	var d *diag.Diagnostic
	var unexpected *participle.UnexpectedTokenError
	switch {
	case errors.As(err, &d):
	case errors.As(err, &unexpected):
		d = p.translate(unexpected, first)
	default:
		panic("BUG: participle returned " + err.Error())
	}
	p.fail(d)
}

// expectation finds what participle wanted first in its message `unexpected token "x" (expected A B C)`.
var expectation = regexp.MustCompile(`\(expected (?:\(\?[!=][^)]*\) ?)?\(*("[^"]+"|<\w+>|\w+)`)

// productions are how the grammar's parts are called in messages.
var productions = map[string]string{
	"<name>": "a name", "<string>": "a string between `\"` and `\"`", "Expr": "an expression", "Body": "`{`", "NameRule": "a name",
	"NamesRule": "a name", "BindingRule": "a name", "CellItemRule": "a name", "TypeRule": "a type", "ParameterRule": "a parameter",
	"ParameterList": "`(` and the parameters", "WordRule": "a name", "DimRule": "a dimension", "TupleTypeRule": "a type", "GroupRule": "`over`",
}

// translate turns participle's error into a diagnostic in the words of the language.
func (p *parser) translate(e *participle.UnexpectedTokenError, first int) *diag.Diagnostic {
	want := ""
	if m := expectation.FindStringSubmatch(e.Message()); m != nil {
		want = m[1]
	}
	found := e.Unexpected
	switch {
	case strings.HasPrefix(want, `"`):
		want = "`" + strings.Trim(want, `"`) + "`"
	case productions[want] != "":
		want = productions[want]
	default:
		want = "something else"
	}
	return p.mismatch(found, want, first)
}

// expected is the diagnostic of a hook that found the next token wrong.
func (p *parser) expected(lx *lexer.PeekingLexer, want string) *diag.Diagnostic {
	return p.mismatch(*lx.Peek(), want, -1)
}

func (p *parser) mismatch(found lexer.Token, want string, first int) *diag.Diagnostic {
	return &diag.Diagnostic{Span: p.tokenSpan(found), Code: diag.UnexpectedToken, Message: "expected " + want + ", found " + describe(found)}
}

// trailing is the diagnostic of a token after the end of something.
func (p *parser) trailing(lx *lexer.PeekingLexer, what string) *diag.Diagnostic {
	return &diag.Diagnostic{Span: p.tokenSpan(*lx.Peek()), Code: diag.UnexpectedToken, Message: "unexpected " + describe(*lx.Peek()) + " after " + what}
}

func (p *parser) unclosedBracket(lx *lexer.PeekingLexer, open lexer.Token, what string) *diag.Diagnostic {
	return p.expected(lx, "`,` or a closing bracket")
}

func (p *parser) chained(left *Binary, op lexer.Token) *diag.Diagnostic {
	return &diag.Diagnostic{Span: p.tokenSpan(op), Code: diag.ChainedComparison, Message: "comparisons cannot be chained", Fix: "write `a < b and b < c`"}
}

func (p *parser) notDeclaration(lx *lexer.PeekingLexer) *diag.Diagnostic {
	return &diag.Diagnostic{Span: p.tokenSpan(*lx.Peek()), Code: diag.UnknownDeclaration, Message: describe(*lx.Peek()) + " does not begin a declaration"}
}
