package syntax

import (
	"errors"
	"regexp"
	"slices"
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
func (p *parser) report(err error, first int) {
	var d *diag.Diagnostic
	var unexpected *participle.UnexpectedTokenError
	var other participle.Error
	switch {
	case errors.As(err, &d):
	case errors.As(err, &unexpected):
		d = p.translate(unexpected, first)
	case errors.As(err, &other):
		at := p.tokenSpan(lexer.Token{Value: " ", Pos: other.Position()})
		d = &diag.Diagnostic{Span: at, Code: diag.UnexpectedToken, Message: other.Message()}
	default:
		panic("BUG: the grammar returned " + err.Error())
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
	"ChoiceRule": "a string between `\"` and `\"`",
}

// translate turns participle's error into a diagnostic in the words of the language.
func (p *parser) translate(e *participle.UnexpectedTokenError, first int) *diag.Diagnostic {
	want := ""
	if m := expectation.FindStringSubmatch(e.Message()); m != nil {
		want = m[1]
	}
	switch {
	case strings.HasPrefix(want, `"`):
		want = strings.Trim(want, `"`)
		if open, ok := p.opener(e.Unexpected, first); ok && (want == ")" || want == "]") {
			if before := p.src.list[p.index(e.Unexpected)-1].Value; e.Unexpected.Type == tokenKeyword && (before == open.Value || before == ",") {
				return p.mismatch(e.Unexpected, "a name")
			}
			return p.unclosedBracket(e.Unexpected, open, brackets[open.Value])
		}
		want = "`" + want + "`"
	case productions[want] != "":
		want = productions[want]
	default:
		return &diag.Diagnostic{Span: p.tokenSpan(e.Unexpected), Code: diag.UnexpectedToken, Message: "unexpected " + describe(e.Unexpected)}
	}
	return p.mismatch(e.Unexpected, want)
}

// brackets are what the grammar's own brackets hold.
var brackets = map[string]string{"(": "list", "[": "shape"}

// opener finds the innermost bracket that is open between the token at index first and found.
func (p *parser) opener(found lexer.Token, first int) (lexer.Token, bool) {
	var open []lexer.Token
	for _, t := range p.src.list[first:] {
		if t.EOF() || t.Pos.Offset >= found.Pos.Offset {
			break
		}
		if t.Type != tokenPunct {
			continue
		}
		switch t.Value {
		case "(", "[", "{":
			open = append(open, t)
		case ")", "]", "}":
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) == 0 || open[len(open)-1].Value == "{" {
		return lexer.Token{}, false
	}
	return open[len(open)-1], true
}

// expected is the error of a hook that found the next token wrong.
func (p *parser) expected(lx *lexer.PeekingLexer, want string) *diag.Diagnostic {
	return p.mismatch(*lx.Peek(), want)
}

// index is the place of t in the token list.
func (p *parser) index(t lexer.Token) int {
	i, _ := slices.BinarySearchFunc(p.src.list, t.Pos.Offset, func(t lexer.Token, offset int) int { return t.Pos.Offset - offset })
	return i
}

// argumentList is how messages call the arguments of a call.
const argumentList = "argument list"

// unnamable are the reserved words that people try as names; others, such as `else`, are misplaced rather than misused.
var unnamable = append(slices.Concat(declarationWords[1:], []string{"param", "state", "stream"}), "in")

func (p *parser) mismatch(found lexer.Token, want string) *diag.Diagnostic {
	d := &diag.Diagnostic{Span: p.tokenSpan(found), Code: diag.UnexpectedToken, Message: "expected " + want + ", found " + describe(found)}
	name := strings.HasPrefix(want, "a name") || strings.HasPrefix(want, "an index name") || want == "a parameter"
	value := strings.HasPrefix(want, "an expression") || want == "a type" || want == "a dimension"
	i := p.index(found)
	begins := (found.Type == tokenKeyword || found.Value == "}" && found.Type == tokenPunct) && p.firstOnLine(i)
	if begins && i > 0 && p.src.list[i-1].Type != tokenNewline {
		d.Message += " on the next line"
	}
	switch {
	case found.Type == tokenKeyword && !begins && (name || value && slices.Contains(unnamable, found.Value)):
		d := keywordAsName(p.tokenSpan(found), found.Value)
		if list := p.src.list[i:]; value && len(list) > 2 && list[1].Value == "." && IsFileSuffix(list[2].Value) {
			d.Fix = "the name of a file stands in quotes: \"" + found.Value + "." + list[2].Value + "\""
		}
		return d
	case want == "a type" && found.Type == tokenNumber:
		d.Fix = "a value is written after `=`"
	case want == "a type" && found.Value == "=" && p.src.list[i-1].Value == "->":
		d.Fix = "write the type of the result, or leave out `->`"
	case want == "a type" && found.Value == "=":
		d.Fix = "write the type between `:` and `=`, or `=` alone"
	case want == "`=`" && found.Value == "<-":
		d.Fix = "`let` names a new value with `=`; `<-` updates a param, a state or a carried value and stands without `let`"
		d.Code = diag.WrongAssignment
	case want == "`=`" && found.Value == ":":
		d.Fix = "a type is written before `=`, as in `let x: f32[3] = …`"
	case want == "`using`":
		d.Fix = "an optimizer belongs to each `over`: `over Net using adam()`"
	case want == "`{`" && found.Value == "=":
		d.Fix = "write the body between `{` and `}`"
	}
	return d
}

func keywordAsName(span diag.Span, word string) *diag.Diagnostic {
	return &diag.Diagnostic{
		Span: span, Code: diag.KeywordAsName, Message: "`" + word + "` is a word of the language, so it cannot be a name",
		Fix: "choose another name, such as `" + word + "_1`",
	}
}

// declared checks a name where it is declared; the words of reductions are names only to the lexer.
func (p *parser) declared(id *Ident) *Ident {
	if IsReduction(id.Name) {
		p.fail(keywordAsName(id.Pos, id.Name))
	}
	return id
}

// unclosedBracket is the error of a list in brackets that does not go on.
func (p *parser) unclosedBracket(found, open lexer.Token, what string) *diag.Diagnostic {
	closing := map[string]string{"(": ")", "[": "]"}[open.Value]
	d := &diag.Diagnostic{
		Span: p.tokenSpan(found), Code: diag.UnexpectedToken,
		Message: "expected `" + closing + "` to close the " + what + ", found " + describe(found),
		Related: []diag.Related{{Span: p.tokenSpan(open), Message: "the " + what + " begins here"}},
	}
	switch {
	case found.Value == "=" && found.Type == tokenPunct && what == argumentList:
		d.Code, d.Fix = diag.WrongAssignment, "a name in an argument list is followed by `:`; a comparison is written `==`"
	case found.Type == tokenName || found.Type == tokenNumber || found.Type == tokenString:
		d.Message = "expected `,` or `" + closing + "` in the " + what + ", found " + describe(found)
	}
	return d
}

// instead is what to write for words of other languages.
var instead = map[string]string{
	"return": "a block's value is its last expression; remove `return`",
	"var":    "write `let`", "const": "write `let`", "def": "write `fn`", "func": "write `fn`", "function": "write `fn`",
	"class": "write `layer` or `model`", "network": "write `model`", "from": "write `import \"file.nn\"`", "dataset": "write `data`",
	"for": "a loop over time is a `scan`; a loop over elements is an index expression, `[i] => …`",
}

// afterStatement is the error of a token after the end of a statement on the same line.
func (p *parser) afterStatement(lx *lexer.PeekingLexer, s *statement) *diag.Diagnostic {
	t := *lx.Peek()
	d := p.trailing(lx, "the statement")
	if s.Simple == nil {
		if s.Cell != nil && t.Type == tokenName {
			d.Fix = "a type is written after `:`, as in `" + s.Cell.Kind + " " + s.Cell.Cells[len(s.Cell.Cells)-1].Name.Token.Value + ": " + t.Value + "`"
		}
		return d
	}
	name, isName := s.Simple.X.(*Name)
	switch {
	case t.Value == "=" && t.Type == tokenPunct && s.Simple.Value == nil:
		d.Code = diag.WrongAssignment
		target := "x"
		if isName {
			target = name.Name
		}
		switch p.within {
		case "data", "generate":
			d.Message, d.Fix = "a clause is written with `:`, not `=`", "write `"+target+": …`"
		case "train":
			d.Message, d.Fix = "`=` stands only after `let`", "write `"+target+": …` for a clause, `let "+target+" = …` to name a value, `"+target+" <- …` to update one"
		default:
			d.Message, d.Fix = "`=` stands only after `let`", "write `let "+target+" = …` to name a value, `"+target+" <- …` to update one"
		}
	case isName && (t.Type == tokenName || t.Type == tokenKeyword || t.Type == tokenNumber || t.Type == tokenString):
		if fix := instead[name.Name]; fix != "" {
			d.Span, d.Message, d.Fix = name.Pos, "there is no `"+name.Name+"` in the language", fix
		} else if word := diag.DidYouMean(name.Name, slices.Concat(statementWords, []string{"scan", "if", "repeat"})); word != "" {
			d.Span, d.Message, d.Fix = name.Pos, "`"+name.Name+"` does not begin a statement", "did you mean `"+word+"`?"
		}
	}
	return d
}

// trailing is the error of a token after the end of something.
func (p *parser) trailing(lx *lexer.PeekingLexer, what string) *diag.Diagnostic {
	t := *lx.Peek()
	d := &diag.Diagnostic{Span: p.tokenSpan(t), Code: diag.UnexpectedToken, Message: "unexpected " + describe(t) + " after the end of " + what}
	switch {
	case t.Type == tokenPunct && (t.Value == ")" || t.Value == "]" || t.Value == "}"):
		d.Code, d.Message = diag.UnmatchedBracket, "this `"+t.Value+"` closes nothing"
		d.Fix = "remove it, or add the bracket that it should close"
	case t.Type == tokenName || t.Type == tokenNumber || t.Type == tokenString:
		d.Fix = "add the operator or comma that is missing, or begin a new line"
	}
	return d
}

func (p *parser) chained(left *Binary, op lexer.Token) *diag.Diagnostic {
	middle := left.Y.Span().Text()
	return &diag.Diagnostic{
		Span: p.tokenSpan(op), Code: diag.ChainedComparison, Message: "comparisons cannot be chained",
		Related: []diag.Related{{Span: left.OpPos, Message: "the first comparison"}},
		Fix:     "write `" + left.Span().Text() + " and " + middle + " " + op.Value + " …`",
	}
}

// notDeclaration is the error of text at the top level that begins no declaration.
func (p *parser) notDeclaration(lx *lexer.PeekingLexer) *diag.Diagnostic {
	t := *lx.Peek()
	d := &diag.Diagnostic{
		Span: p.tokenSpan(t), Code: diag.UnknownDeclaration, Message: describe(t) + " does not begin a declaration",
		Fix: "a file holds " + strings.Join(declarationWords[:len(declarationWords)-1], ", ") + " and let",
	}
	switch {
	case t.Value == "}" && t.Type == tokenPunct:
		d.Code, d.Message, d.Fix = diag.UnmatchedBracket, "this `}` closes nothing", "remove it, or add the `{` that it should close"
	case t.Type == tokenName && instead[t.Value] != "":
		d.Fix = instead[t.Value]
	case t.Type == tokenName:
		if word := diag.DidYouMean(t.Value, declarationWords); word != "" {
			d.Fix = "did you mean `" + word + "`?"
		}
	case t.Type == tokenKeyword:
		d.Message = "`" + t.Value + "` cannot stand at the top level of a file"
		d.Fix = "move it into a declaration, such as a layer or a model"
	}
	return d
}

// describe is how a message calls a token.
func describe(t lexer.Token) string {
	switch {
	case t.EOF():
		return "the end of the file"
	case t.Type == tokenNewline:
		return "the end of the line"
	}
	return "`" + t.Value + "`"
}
