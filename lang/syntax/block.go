package syntax

import (
	"errors"
	"slices"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/nnc-lang/nnc/ir/diag"
)

// bodyHook parses a braced block for the grammar.
func (p *parser) bodyHook(lx *lexer.PeekingLexer) (body, error) {
	if !at(lx, "{") {
		return nil, participle.NextMatch
	}
	b, err := p.block(lx)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// block parses `{ statements }`. A wrong statement is reported and skipped.
func (p *parser) block(lx *lexer.PeekingLexer) (*Block, error) {
	first := int(lx.RawCursor())
	if err := p.enter(lx); err != nil {
		return nil, err
	}
	defer p.leave()
	open := *lx.Next()
	b := &Block{Braced: true}
	for {
		p.skipNewlines(lx)
		t := *lx.Peek()
		if at(lx, "}") {
			if i := int(lx.RawCursor()); p.suspect == nil && p.firstOnLine(i) && t.Pos.Column < p.indent(first) {
				p.suspect = &open
			}
			lx.Next()
			b.At = p.from(first, lx)
			return b, nil
		}
		if p.blockEndsAt(int(lx.RawCursor())) {
			return nil, p.unclosed(open, t)
		}
		stmts, err := p.nextStatement(lx)
		if err != nil {
			return nil, err
		}
		b.Stmts = append(b.Stmts, stmts...)
	}
}

// indent is the column where the line of token i begins.
func (p *parser) indent(i int) int {
	for !p.firstOnLine(i) {
		i--
	}
	return p.src.list[i].Pos.Column
}

// nextStatement parses one statement and its end. It returns an error only if the block cannot go on.
func (p *parser) nextStatement(lx *lexer.PeekingLexer) ([]Stmt, error) {
	first := int(lx.RawCursor())
	rule, err := p.rules.statement.ParseFromLexer(lx, participle.AllowTrailing(true))
	if err == nil {
		switch t := lx.Peek(); {
		case t.Type == tokenNewline || at(lx, "}") || t.EOF():
		case at(lx, ",") && rule.Clause != nil:
			lx.Next()
		default:
			err = p.afterStatement(lx, rule)
		}
	}
	if err == nil {
		return p.convertStatement(rule), nil
	}
	var fatal *unclosedBlock
	if errors.As(err, &fatal) {
		return nil, err
	}
	p.report(err, first)
	p.skipStatement(lx, first)
	return nil, nil
}

// skipStatement moves to the end of the statement that began at token first: the next line end or closing brace outside its own braces.
func (p *parser) skipStatement(lx *lexer.PeekingLexer, first int) {
	depth := 0
	for i := first; i < len(p.src.list); i++ {
		t := p.src.list[i]
		past := i >= int(lx.RawCursor())
		switch {
		case t.EOF(), past && i > first && p.blockEndsAt(i),
			past && depth <= 0 && (t.Type == tokenNewline || t.Value == "}" && t.Type == tokenPunct),
			past && i > first && depth <= 0 && p.firstOnLine(i) && t.Type == tokenKeyword && slices.Contains(statementWords, t.Value):
			p.moveTo(lx, i)
			return
		}
		if t.Type == tokenPunct && t.Value == "{" {
			depth++
		} else if t.Type == tokenPunct && t.Value == "}" {
			depth--
		}
	}
}

// unclosedBlock is the error of a block without its `}`; nothing inside it can recover.
type unclosedBlock struct{ *diag.Diagnostic }

// Unwrap gives the diagnostic, so that it is reported like any other.
func (u *unclosedBlock) Unwrap() error { return u.Diagnostic }

func (p *parser) unclosed(open, found lexer.Token) error {
	if p.suspect != nil && p.suspect.Pos.Offset > open.Pos.Offset {
		open = *p.suspect
	}
	d := &diag.Diagnostic{
		Span: p.tokenSpan(open), Code: diag.UnterminatedBlock,
		Message: "this `{` has no closing `}`", Label: "the block begins here", Fix: "add `}` after the last statement of the block",
	}
	if !found.EOF() {
		d.Related = []diag.Related{{Span: p.tokenSpan(found), Message: "a declaration begins here, at the start of a line"}}
	}
	return &unclosedBlock{d}
}
