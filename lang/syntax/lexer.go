package syntax

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/nnc-lang/nnc/ir/diag"
)

// The kinds of token. A token's Value is its exact source text, so its end is its offset plus the length of that.
const (
	tokenName lexer.TokenType = iota + 1
	tokenKeyword
	tokenNumber
	tokenString
	tokenPunct
	tokenNewline
)

// maxNesting is how deep brackets, and expressions within expressions, may go.
const maxNesting = 200

// Comment is a `//` comment with its place; its text has no trailing blanks.
type Comment struct{ Span diag.Span }

// tokens is one lexed file.
type tokens struct {
	file     *diag.File
	list     []lexer.Token // ends with EOF
	match    []int         // for a bracket, the index of its partner, else -1
	comments []Comment
}

// symbols implements lexer.Definition for participle.
type symbols struct{}

// Symbols names the kinds of token for the grammar's tags.
func (symbols) Symbols() map[string]lexer.TokenType {
	return map[string]lexer.TokenType{
		"EOF": lexer.EOF, "Name": tokenName, "Keyword": tokenKeyword, "Number": tokenNumber,
		"String": tokenString, "Punct": tokenPunct, "Newline": tokenNewline,
	}
}

// Lex reads everything and lexes it; diagnostics are dropped, as participle has no place for them.
func (symbols) Lex(name string, r io.Reader) (lexer.Lexer, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return lex(diag.NewFile(name, string(text)), &diag.List{}).reader(), nil
}

// reader serves the tokens to participle.
func (t *tokens) reader() lexer.Lexer { return &reader{list: t.list} }

type reader struct {
	list []lexer.Token
	next int
}

func (r *reader) Next() (lexer.Token, error) {
	t := r.list[min(r.next, len(r.list)-1)]
	r.next++
	return t, nil
}

// bracket is one that is open while lexing.
type bracket struct {
	char  string
	index int // of its token
}

type scanner struct {
	out       tokens
	text      string
	at        int
	list      *diag.List
	open      []bracket
	broken    bool           // a line break was passed since the last token
	line      int            // number of the current line, from 1
	lineStart int            // its offset
	end       lexer.Position // of the last token
	dead      bool           // nesting too deep: the rest is not read
}

// lex splits a file into tokens. Newline tokens are left only where they end a statement, see Note [Layout].
func lex(file *diag.File, list *diag.List) *tokens {
	s := &scanner{out: tokens{file: file}, text: file.Text, list: list, line: 1}
	s.at = len(s.text) - len(strings.TrimPrefix(s.text, "\uFEFF"))
	for s.at < len(s.text) && !s.dead {
		s.step()
	}
	s.out.list = append(s.out.list, lexer.EOFToken(s.position(len(s.text))))
	s.out.match = append(s.out.match, -1)
	s.markRepeats()
	return &s.out
}

// puncts are the operators and brackets, longest first.
var puncts = []string{
	"...", "|>", "<-", "=>", "->", "==", "!=", "<=", ">=",
	"(", ")", "[", "]", "{", "}", ",", ":", ".", "=", "<", ">", "+", "-", "*", "/", "%", "@", "^", "|",
}

func (s *scanner) step() {
	rest := s.text[s.at:]
	switch c := rest[0]; {
	case c == '\n':
		s.broken = true
		s.at++
		s.line++
		s.lineStart = s.at
		return
	case c == ' ' || c == '\t' || c == '\r':
		s.at++
		return
	case strings.HasPrefix(rest, "//"):
		s.comment()
		return
	case c == '"':
		s.string()
		return
	case isDigit(c) || c == '.' && len(rest) > 1 && isDigit(rest[1]) && !s.afterOperand():
		s.number()
		return
	}
	if n := nameLength(rest); n > 0 {
		kind := tokenName
		if keywords[rest[:n]] {
			kind = tokenKeyword
		}
		s.emit(kind, n)
		return
	}
	if s.foreign(rest) {
		return
	}
	for _, p := range puncts {
		if strings.HasPrefix(rest, p) {
			s.emit(tokenPunct, len(p))
			return
		}
	}
	r, n := utf8.DecodeRuneInString(rest)
	message := fmt.Sprintf("the character `%c` has no meaning here", r)
	if r == utf8.RuneError || unicode.IsControl(r) {
		message = fmt.Sprintf("invalid byte 0x%02x; source files are UTF-8 text", rest[0])
	}
	s.report(diag.InvalidCharacter, n, message, "")
	s.at += n
}

// foreign handles what people bring from other languages: it says what to write here and goes on as if it were written.
func (s *scanner) foreign(rest string) bool {
	switch {
	case strings.HasPrefix(rest, "/*"):
		n := len(rest)
		if i := strings.Index(rest, "*/"); i >= 0 {
			n = i + 2
		}
		s.report(diag.ForeignComment, 2, "comments begin with `//` and end with the line", "begin each line of the comment with `//`")
		for range strings.Count(rest[:n], "\n") {
			s.line++
			s.broken = true
		}
		if i := strings.LastIndexByte(rest[:n], '\n'); i >= 0 {
			s.lineStart = s.at + i + 1
		}
		s.at += n
		return true
	case rest[0] == '#':
		n := len(rest)
		if i := strings.IndexByte(rest, '\n'); i >= 0 {
			n = i
		}
		s.report(diag.ForeignComment, 1, "comments begin with `//`", "write `//` in place of `#`")
		s.at += n
		return true
	case rest[0] == ';':
		s.broken = true
		s.report(diag.InvalidCharacter, 1, "a statement ends with its line; there is no `;`", "remove it, or begin a new line")
		s.at++
		return true
	case strings.HasPrefix(rest, "**"):
		s.report(diag.ForeignOperator, 2, "power is written `^`", "write `x^2`")
		s.emitAs(tokenPunct, 2, "^")
		return true
	case len(rest) > 1 && rest[1] == '=' && strings.IndexByte("+-*/", rest[0]) >= 0:
		s.broken = true
		op := rest[:2]
		s.report(diag.ForeignOperator, 2, "there is no `"+op+"`", "write `x <- x "+op[:1]+" …` for a param, a state or a carried value; what `let` names does not change")
		s.emitAs(tokenPunct, 2, op[:1])
		return true
	case strings.HasPrefix(rest, "&&"):
		s.report(diag.ForeignOperator, 2, "`&&` is written `and`", "write `and`")
		s.emitAs(tokenKeyword, 2, "and")
		return true
	case strings.HasPrefix(rest, "||"):
		s.report(diag.ForeignOperator, 2, "`||` is written `or`", "write `or`")
		s.emitAs(tokenKeyword, 2, "or")
		return true
	case rest[0] == '!' && !strings.HasPrefix(rest, "!="):
		s.report(diag.ForeignOperator, 1, "`!` is written `not`", "write `not`")
		s.emitAs(tokenKeyword, 1, "not")
		return true
	case rest[0] == '\'' || strings.HasPrefix(rest, "“") || strings.HasPrefix(rest, "‘"):
		quote, _ := utf8.DecodeRuneInString(rest)
		end := map[rune]string{'\'': "'", '“': "”", '‘': "’"}[quote]
		line, _, _ := strings.Cut(rest, "\n")
		width := utf8.RuneLen(quote)
		if i := strings.Index(line[width:], end); i >= 0 {
			n := width + i + len(end)
			s.report(diag.WrongQuotes, n, "strings are written between `\"` and `\"`", "write \""+line[width:width+i]+"\"")
			s.emitAs(tokenString, n, "\"\"")
			return true
		}
		s.report(diag.WrongQuotes, width, "strings are written between `\"` and `\"`", "")
		s.at += width
		return true
	}
	return false
}

func (s *scanner) comment() {
	line, _, _ := strings.Cut(s.text[s.at:], "\n")
	line = strings.TrimRight(line, " \t\r")
	s.out.comments = append(s.out.comments, Comment{s.span(len(line))})
	s.at += max(len(line), 2)
}

func (s *scanner) string() {
	rest := s.text[s.at:]
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			s.emit(tokenString, i+1)
			return
		case '\\':
			if i+1 >= len(rest) || rest[i+1] == '\n' {
				continue
			}
			if !strings.ContainsRune(escapes, rune(rest[i+1])) {
				r, n := utf8.DecodeRuneInString(rest[i+1:])
				s.list.Add(&diag.Diagnostic{
					Span: diag.Span{File: s.out.file, Start: s.at + i, End: s.at + i + 1 + n}, Code: diag.InvalidEscape,
					Message: fmt.Sprintf("`\\%c` is not an escape in a string", r),
					Fix:     "the escapes are \\n, \\t, \\r, \\\" and \\\\; a backslash itself is \\\\",
				})
			}
			i++
		case '\n':
			s.unterminated(i)
			return
		}
	}
	s.unterminated(len(rest))
}

// escapes are the characters that may follow a backslash.
const escapes = `ntr"\`

func (s *scanner) unterminated(n int) {
	n = len(strings.TrimRight(s.text[s.at:s.at+n], " \t\r"))
	s.report(diag.UnterminatedString, n, "this string has no closing `\"`", "end it with `\"` on the same line")
	s.emit(tokenString, n)
}

// unquote resolves the escapes of a string token.
func unquote(raw string) string {
	raw = strings.TrimPrefix(raw, `"`)
	if !strings.HasSuffix(raw, `\"`) || strings.HasSuffix(raw, `\\"`) {
		raw = strings.TrimSuffix(raw, `"`)
	}
	if !strings.Contains(raw, `\`) {
		return raw
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 == len(raw) {
			b.WriteByte(raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		default:
			b.WriteByte(raw[i])
		}
	}
	return b.String()
}

func (s *scanner) number() {
	rest := s.text[s.at:]
	digits := func(i int) int {
		for i < len(rest) && isDigit(rest[i]) {
			i++
		}
		return i
	}
	i := digits(0)
	var message, fix string
	if i < len(rest) && rest[i] == '.' && !strings.HasPrefix(rest[i:], "...") && nameLength(rest[i+1:]) == 0 {
		end := digits(i + 1)
		switch {
		case i == 0:
			message, fix = "a number needs a digit before its point", "write 0"+rest[:end]
		case end == i+1:
			message, fix = "a number needs a digit after its point", "write "+rest[:i]+" or "+rest[:i]+".0"
		}
		i = end
	}
	if i < len(rest) && (rest[i] == 'e' || rest[i] == 'E') {
		j := i + 1
		if j < len(rest) && (rest[j] == '+' || rest[j] == '-') {
			j++
		}
		end := digits(j)
		if end > j {
			i = end
		} else if j > i+1 {
			i = j
			message, fix = "this number's exponent has no digits", "write it as in 1e-3"
		}
	}
	if n := nameLength(rest[i:]); n > 0 {
		if message == "" {
			message, fix = fmt.Sprintf("`%s` is neither a number nor a name", rest[:i+n]), fmt.Sprintf("a product is written %s * %s; names begin with a letter", rest[:i], rest[i:i+n])
			if rest[i] == '_' || strings.HasPrefix(rest, "0x") || strings.HasPrefix(rest, "0b") {
				fix = "numbers are written as in 42, 0.5 and 1e-3"
			}
		}
		i += n
	}
	if message != "" {
		s.report(diag.InvalidNumber, i, message, fix)
		s.emitAs(tokenNumber, i, s.text[s.at:s.at+i])
		return
	}
	s.emit(tokenNumber, i)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// nameLength is the number of bytes of the name that text begins with, or 0.
func nameLength(text string) int {
	for i, r := range text {
		if r == '_' || unicode.IsLetter(r) && r != utf8.RuneError || i > 0 && (unicode.IsDigit(r) || unicode.IsMark(r)) {
			continue
		}
		return i
	}
	return len(text)
}

// afterOperand reports whether the last token, on the same line, ends an operand.
func (s *scanner) afterOperand() bool {
	if len(s.out.list) == 0 || s.broken {
		return false
	}
	return endsOperand(s.out.list[len(s.out.list)-1])
}

func endsOperand(t lexer.Token) bool {
	switch t.Type {
	case tokenName, tokenNumber, tokenString:
		return true
	case tokenPunct:
		return t.Value == ")" || t.Value == "]" || t.Value == "}"
	}
	return t.Value == "true" || t.Value == "false"
}

func (s *scanner) span(n int) diag.Span {
	return diag.Span{File: s.out.file, Start: s.at, End: s.at + n}
}

func (s *scanner) report(code diag.Code, n int, message, fix string) {
	s.list.Add(&diag.Diagnostic{Span: s.span(n), Code: code, Message: message, Fix: fix})
}

func (s *scanner) position(offset int) lexer.Position {
	return lexer.Position{Offset: offset, Line: s.line, Column: offset - s.lineStart + 1}
}

func (s *scanner) emit(kind lexer.TokenType, n int) {
	s.emitAs(kind, n, s.text[s.at:s.at+n])
}

// emitAs appends a token of n bytes that stands for value. Where value differs in length, an error was reported and spans no longer matter.
func (s *scanner) emitAs(kind lexer.TokenType, n int, value string) {
	t := lexer.Token{Type: kind, Value: value, Pos: s.position(s.at)}
	if s.broken {
		s.layout(t)
		s.broken = false
	}
	s.push(t)
	if kind == tokenPunct {
		s.nest(value, len(s.out.list)-1)
	}
	s.at += n
	s.end = s.position(s.at)
}

func (s *scanner) push(t lexer.Token) {
	s.out.list = append(s.out.list, t)
	s.out.match = append(s.out.match, -1)
}

// Note [Layout]: a line break ends a statement, except inside ( ) and [ ], after a line that cannot end (operator, comma, `=`, `=>`, `:`),
// and before a line that cannot begin (`|>`, over, using, clip, else, within, and, or, a closing bracket, an operator other than `-`).
// Braces switch line breaks on again. Two exceptions: `clip: 1` is a clause, so a word before a colon does not continue; and a
// statement's or declaration's first word ends brackets left open by mistake, so one missing `)` does not swallow the file.
func (s *scanner) layout(t lexer.Token) {
	if n := len(s.open); n > 0 && s.open[n-1].char != "{" && s.abandons(t) {
		for len(s.open) > 0 && s.open[len(s.open)-1].char != "{" {
			s.open = s.open[:len(s.open)-1]
		}
	}
	if n := len(s.open); n > 0 && s.open[n-1].char != "{" || len(s.out.list) == 0 {
		return
	}
	if continuesAfter(s.out.list[len(s.out.list)-1]) || s.continuesBefore(t) {
		return
	}
	s.push(lexer.Token{Type: tokenNewline, Value: "\n", Pos: s.end})
}

// abandons reports whether t, first on its line, shows that the open bracket was forgotten.
func (s *scanner) abandons(t lexer.Token) bool {
	if t.Type != tokenKeyword || s.beforeColon(t) {
		return false
	}
	return slices.Contains(statementWords, t.Value) || t.Pos.Column == 1 && slices.Contains(declarationWords, t.Value)
}

// beforeColon reports whether a colon follows t.
func (s *scanner) beforeColon(t lexer.Token) bool {
	return strings.HasPrefix(strings.TrimLeft(s.text[min(t.Pos.Offset+len(t.Value), len(s.text)):], " \t"), ":")
}

func continuesAfter(last lexer.Token) bool {
	switch last.Type {
	case tokenPunct:
		return !slices.Contains([]string{"(", ")", "[", "]", "{", "}", ".", "..."}, last.Value)
	case tokenKeyword:
		return last.Value == "and" || last.Value == "or" || last.Value == "not"
	}
	return false
}

func (s *scanner) continuesBefore(t lexer.Token) bool {
	switch t.Type {
	case tokenPunct:
		return !slices.Contains([]string{"(", "[", "{", "-", "...", ".", ",", ":", "=", "=>", "->", "<-"}, t.Value)
	case tokenKeyword:
		return slices.Contains(continuingWords, t.Value) && !s.beforeColon(t)
	}
	return false
}

// nest keeps the stack of open brackets and pairs them.
func (s *scanner) nest(char string, index int) {
	switch char {
	case "(", "[", "{":
		s.open = append(s.open, bracket{char, index})
		if len(s.open) > maxNesting {
			s.list.Add(tooDeep(s.span(1)))
			s.dead = true
		}
		return
	case ")", "]", "}":
	default:
		return
	}
	opener := map[string]string{")": "(", "]": "[", "}": "{"}[char]
	for i := len(s.open) - 1; i >= 0; i-- {
		if s.open[i].char == opener {
			s.out.match[s.open[i].index], s.out.match[index] = index, s.open[i].index
			s.open = s.open[:i]
			return
		}
		if s.open[i].char == "{" {
			return // a stray ) or ] does not close a block
		}
	}
}

// markRepeats turns `repeat` into a keyword where it begins the statement `repeat n { … }`; elsewhere it is a library name.
func (s *scanner) markRepeats() {
	list := s.out.list
	for i, t := range list {
		if t.Value != "repeat" || t.Type != tokenName || i == 0 || i+1 >= len(list) {
			continue
		}
		if before := list[i-1]; before.Type != tokenNewline && before.Value != "{" {
			continue
		}
		next := list[i+1]
		negative := next.Value == "-" && i+3 < len(list) && list[i+2].Type == tokenNumber && list[i+3].Value == "{"
		if next.Type == tokenPunct && next.Value != "(" && !negative {
			continue
		}
		if next.Value == "(" {
			end := s.out.match[i+1]
			if end < 0 || end+1 >= len(list) || list[end+1].Value != "{" {
				continue
			}
		}
		list[i].Type = tokenKeyword
	}
}

func tooDeep(span diag.Span) *diag.Diagnostic {
	return &diag.Diagnostic{
		Span: span, Code: diag.NestingTooDeep,
		Message: fmt.Sprintf("this is nested too deeply; brackets may go %d levels deep", maxNesting), Fix: "name parts of it with `let`",
	}
}
