package syntax

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/nnc-lang/nnc/ir/diag"
)

// parser is one parse under way. Building participle's tables takes milliseconds, so parsers are kept and used again.
type parser struct {
	rules
	src   *tokens
	list  *diag.List
	lexed int // how many diagnostics the lexer made
	depth int // of nested expressions and blocks
	// suspect is a `{` whose `}` is indented as if it closed an earlier one: probably the one whose own `}` is missing.
	suspect *lexer.Token
	within  string // the word of the declaration being parsed
}

var parsers = sync.Pool{New: func() any {
	p := &parser{}
	p.rules = newRules(p)
	return p
}}

// begin lexes src into a parser, which end gives back.
func begin(src *diag.File) (*parser, *lexer.PeekingLexer) {
	p := parsers.Get().(*parser)
	p.list, p.depth, p.within = &diag.List{}, 0, ""
	p.src = lex(src, p.list)
	p.lexed = len(p.list.All)
	lx, err := lexer.Upgrade(p.src.reader())
	if err != nil {
		panic("BUG: lexing a slice failed: " + err.Error())
	}
	return p, lx
}

func (p *parser) end() {
	p.src, p.list = nil, nil
	parsers.Put(p)
}

// Parse reads a whole file. It always returns a tree; where the text is wrong the tree lacks that part and the list, sorted, says why.
//
// Errors: the syntax codes of package diag.
func Parse(src *diag.File) (*File, *diag.List) {
	p, lx := begin(src)
	defer p.end()
	file := &File{Source: src}
	for {
		p.skipNewlines(lx)
		if lx.Peek().EOF() {
			break
		}
		file.Decls = append(file.Decls, p.nextDeclaration(lx)...)
	}
	p.list.Sort()
	return file, p.list
}

// ParseExpr reads one expression that is the whole of src. It returns nil if the text is not one.
//
// Errors: the syntax codes of package diag.
func ParseExpr(src *diag.File) (Expr, *diag.List) {
	p, lx := begin(src)
	defer p.end()
	p.skipNewlines(lx)
	x, err := p.exprHook(lx)
	switch {
	case errors.Is(err, participle.NextMatch):
		err = p.expected(lx, "an expression")
	case err == nil:
		p.skipNewlines(lx)
		if !lx.Peek().EOF() {
			err = p.trailing(lx, "the expression")
		}
	}
	if err != nil {
		p.report(err, 0)
	}
	p.list.Sort()
	if p.list.HasErrors() {
		return nil, p.list
	}
	return x, p.list
}

// nextDeclaration parses one declaration and, if that fails, skips to the next.
func (p *parser) nextDeclaration(lx *lexer.PeekingLexer) []Decl {
	first := int(lx.RawCursor())
	if !startsDeclaration(*lx.Peek()) {
		p.fail(p.notDeclaration(lx))
		return p.skipDeclaration(lx, first)
	}
	p.within, p.suspect = lx.Peek().Value, nil
	rule, err := p.rules.declaration.ParseFromLexer(lx, participle.AllowTrailing(true))
	if err == nil {
		if t := lx.Peek(); t.Type != tokenNewline && !t.EOF() {
			err = p.trailing(lx, "the declaration")
		}
	}
	if err != nil {
		p.report(err, first)
		return p.skipDeclaration(lx, first)
	}
	return p.convertDeclaration(rule)
}

func startsDeclaration(t lexer.Token) bool {
	return t.Type == tokenKeyword && slices.Contains(declarationWords, t.Value)
}

// declarationAt reports whether token i begins its line as a declaration would, and is not a clause such as `optimizer: …`.
func (p *parser) declarationAt(i int) bool {
	return startsDeclaration(p.src.list[i]) && p.firstOnLine(i) && p.src.list[i+1].Value != ":"
}

// blockEndsAt reports whether the block around token i must have ended: the file is over, or a declaration begins at column 1.
// `let` begins statements as well.
func (p *parser) blockEndsAt(i int) bool {
	t := p.src.list[i]
	return t.EOF() || t.Pos.Column == 1 && t.Value != "let" && p.declarationAt(i)
}

// skipDeclaration moves to the next declaration: a line that begins with its word, at column 1 or outside all braces.
func (p *parser) skipDeclaration(lx *lexer.PeekingLexer, first int) []Decl {
	depth := 0
	list := p.src.list
	for i := first; i < len(list)-1; i++ {
		t := list[i]
		if i > first && i >= int(lx.RawCursor()) && p.declarationAt(i) && (t.Pos.Column == 1 || depth <= 0) {
			p.moveTo(lx, i)
			return []Decl{&BadDecl{At{p.between(first, i)}}}
		}
		switch t.Value {
		case "{":
			depth++
		case "}":
			depth--
		}
	}
	p.moveTo(lx, len(list)-1)
	return []Decl{&BadDecl{At{p.between(first, len(list)-1)}}}
}

func (p *parser) moveTo(lx *lexer.PeekingLexer, index int) {
	for int(lx.RawCursor()) < index && !lx.Peek().EOF() {
		lx.Next()
	}
}

// firstOnLine reports whether token i begins its line.
func (p *parser) firstOnLine(i int) bool {
	return i == 0 || p.src.list[i-1].Pos.Line < p.src.list[i].Pos.Line || p.src.list[i-1].Type == tokenNewline
}

func (p *parser) skipNewlines(lx *lexer.PeekingLexer) {
	for lx.Peek().Type == tokenNewline {
		lx.Next()
	}
}

// tokenSpan is the place of one token.
func (p *parser) tokenSpan(t lexer.Token) diag.Span {
	size := len(p.src.file.Text)
	if t.EOF() { // shown after the last token, not on the empty line behind it
		end := len(strings.TrimRight(p.src.file.Text, " \t\r\n"))
		if n := len(p.src.list); n > 1 {
			end = p.tokenSpan(p.src.list[n-2]).End
		}
		return diag.Span{File: p.src.file, Start: end, End: end}
	}
	return diag.Span{File: p.src.file, Start: t.Pos.Offset, End: min(t.Pos.Offset+len(t.Value), size)}
}

// between covers the tokens from index first up to, not including, last, without line ends.
func (p *parser) between(first, last int) diag.Span {
	for last > first+1 && p.src.list[last-1].Type == tokenNewline {
		last--
	}
	span := p.tokenSpan(p.src.list[first])
	if last > first {
		span = span.Join(p.tokenSpan(p.src.list[last-1]))
	}
	return span
}

// from covers what was consumed since the token at index first.
func (p *parser) from(first int, lx *lexer.PeekingLexer) At {
	return At{p.between(first, int(lx.RawCursor()))}
}

// of is the place of a production.
func (p *parser) of(e extent) At {
	if len(e.Tokens) == 0 {
		return At{}
	}
	return At{p.tokenSpan(e.Tokens[0]).Join(p.tokenSpan(e.Tokens[len(e.Tokens)-1]))}
}
