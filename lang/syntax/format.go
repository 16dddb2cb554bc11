package syntax

import (
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/nnc-lang/nnc/ir/diag"
)

// Format writes src in the one style: four blanks for each level of brackets and for continued lines, one blank around operators (or none
// around arithmetic where the author wrote none: `4*units`), what follows `name:`, `=` of a param, `<-`, `over` and `using` in lines of the
// same kind one below the other, and trailing comments of consecutive lines too. Comments and the author's line breaks stay; of several
// blank lines one stays.
//
// Errors: those of Parse; the text is then returned as it is.
func Format(src *diag.File) (string, *diag.List) {
	if _, list := Parse(src); list.HasErrors() {
		return src.Text, list
	}
	list := &diag.List{}
	f := &formatter{src: lex(src, list)}
	f.split()
	f.indent()
	for i := range f.lines {
		f.cells(&f.lines[i])
	}
	f.align()
	return f.print(), list
}

// formatIndent is one level of indentation.
const formatIndent = 4

// formatter lays out a file line by line.
type formatter struct {
	src   *tokens
	lines []line
}

// line is one line of output.
type line struct {
	tokens    []int // indices into src.list; none for a line that holds only a comment
	comment   string
	gap       int // blanks before a trailing comment, as written
	number    int // in the source, from 1
	blank     bool
	indent    int
	continues bool     // part of the statement above
	inside    string   // the innermost bracket open at its start
	cells     []string // the text, split where lines of one kind are aligned
	kind      string   // which cells it has; lines of different kinds are not aligned
}

// split gathers the tokens and comments of each source line.
func (f *formatter) split() {
	file := f.src.file
	comments := f.src.comments
	last := 0
	begin := func(number int) *line {
		f.lines = append(f.lines, line{number: number, blank: last > 0 && number > last+1})
		last = number
		return &f.lines[len(f.lines)-1]
	}
	takeComments := func(before int) {
		for len(comments) > 0 && comments[0].Span.Start < before {
			span := comments[0].Span
			comments = comments[1:]
			number := file.Position(span.Start).Line
			var l *line
			if number == last && len(f.lines) > 0 {
				l = &f.lines[len(f.lines)-1]
				end := f.end(l.tokens[len(l.tokens)-1])
				l.gap = len([]rune(file.Text[end:span.Start]))
			} else {
				l = begin(number)
			}
			l.comment = span.Text()
		}
	}
	for i, t := range f.src.list {
		takeComments(t.Pos.Offset)
		if t.Type == tokenNewline || t.EOF() {
			continue
		}
		if t.Pos.Line != last || len(f.lines) == 0 {
			l := begin(t.Pos.Line)
			l.continues = i > 0 && f.src.list[i-1].Type != tokenNewline
		}
		l := &f.lines[len(f.lines)-1]
		l.tokens = append(l.tokens, i)
	}
	takeComments(len(file.Text) + 1)
}

// end is the offset behind token i.
func (f *formatter) end(i int) int { return f.src.list[i].Pos.Offset + len(f.src.list[i].Value) }

// is reports whether token i is the operator or bracket text.
func (f *formatter) is(i int, texts ...string) bool {
	return i >= 0 && i < len(f.src.list) && f.src.list[i].Type == tokenPunct && slices.Contains(texts, f.src.list[i].Value)
}

// indent finds each line's indentation: that of the line of the innermost open bracket and one level more, two for a continued statement.
func (f *formatter) indent() {
	type open struct {
		char   string
		indent int // of the line that it is on
		first  int // the first token of the statement being laid out inside it
	}
	stack := []open{{"{", -formatIndent, 0}}
	for n := range f.lines {
		l := &f.lines[n]
		top := &stack[len(stack)-1]
		l.inside = top.char
		l.indent = top.indent + formatIndent
		if len(l.tokens) == 0 {
			continue
		}
		first := l.tokens[0]
		switch {
		case f.is(first, ")", "]", "}"):
			closed := 1
			for closed < len(l.tokens) && f.is(l.tokens[closed], ")", "]", "}") {
				closed++
			}
			l.indent = stack[max(len(stack)-closed, 1)].indent
		case top.char != "{":
		case !l.continues || f.is(first-1, "{"):
			top.first = first
		case f.is(first-1, ",") && f.startsItem(first):
			top.first = first
		case !(f.is(first, "|>") && f.isValue(top.first)):
			l.indent += formatIndent
		}
		for _, i := range l.tokens {
			switch {
			case f.is(i, "(", "[", "{"):
				stack = append(stack, open{f.src.list[i].Value, l.indent, i + 1})
			case f.is(i, ")", "]", "}") && len(stack) > 1:
				stack = stack[:len(stack)-1]
			}
		}
	}
	for n := len(f.lines) - 2; n >= 0; n-- { // a comment stands where the code below it does, but inside a bracket that closes there
		next := f.lines[n+1]
		if l := &f.lines[n]; len(l.tokens) == 0 && (len(next.tokens) == 0 || !f.is(next.tokens[0], ")", "]", "}")) {
			l.indent = next.indent
		}
	}
}

// startsItem reports whether token i begins `name: …`, an entry of its own after a comma.
func (f *formatter) startsItem(i int) bool {
	t := f.src.list[i].Type
	return (t == tokenName || t == tokenKeyword) && f.is(i+1, ":")
}

// isValue reports whether the statement that begins at token i is an expression, whose `|>` lines stand below it and not to the right.
func (f *formatter) isValue(i int) bool {
	return f.src.list[i].Type != tokenKeyword && !f.startsItem(i)
}

// cells writes a line's tokens, beginning a new cell where columns may be aligned.
func (f *formatter) cells(l *line) {
	var b strings.Builder
	var kinds []string
	cut := func(kind string) {
		l.cells = append(l.cells, b.String())
		b.Reset()
		kinds = append(kinds, kind)
	}
	depth := 0
	tight := false // the operator just written takes no blank after it
	for n, i := range l.tokens {
		if n > 0 {
			before := l.tokens[n-1]
			kind := ""
			if depth == 0 {
				kind = f.cut(l, n)
			}
			switch {
			case kind != "":
				cut(kind)
			case tight:
			case f.space(before, i):
				b.WriteByte(' ')
			}
		}
		tight = f.tight(i)
		b.WriteString(f.src.list[i].Value)
		switch {
		case f.is(i, "(", "[", "{"):
			depth++
		case f.is(i, ")", "]", "}"):
			depth--
		}
	}
	l.cells = append(l.cells, b.String())
	if len(l.tokens) > 0 && !f.startsItem(l.tokens[0]) {
		switch first := f.src.list[l.tokens[0]]; first.Value {
		case "param", "state", "stream", "option", "over", "minimize":
			kinds = append([]string{first.Value}, kinds...)
		}
	}
	l.kind = strings.Join(kinds, " ")
}

// cut names the kind of column that begins at the n-th token of a line, "" for none.
func (f *formatter) cut(l *line, n int) string {
	i := l.tokens[n]
	first := f.src.list[l.tokens[0]]
	switch {
	case l.inside != "{":
		return ""
	case n == 2 && f.startsItem(l.tokens[0]):
		return ":"
	case first.Type == tokenKeyword && slices.Contains([]string{"param", "state", "stream", "option"}, first.Value) && n == 3 && f.is(i-1, ":"):
		return ":"
	case first.Type == tokenKeyword && slices.Contains([]string{"param", "state", "stream", "option"}, first.Value) && f.is(i, "="):
		return "="
	case f.is(i, "<-"):
		return "<-"
	case f.src.list[i].Type == tokenKeyword && (f.src.list[i].Value == "over" || f.src.list[i].Value == "using"):
		return f.src.list[i].Value
	}
	return ""
}

// unary reports whether token i is a minus sign and not a subtraction.
func (f *formatter) unary(i int) bool {
	return f.is(i, "-") && (i == 0 || !endsOperand(f.src.list[i-1]))
}

// arithmetic are the operators around which the author may leave out the blanks.
var arithmetic = []string{"+", "-", "*", "/", "%", "@", "^"}

// tight reports whether no blank follows token i.
func (f *formatter) tight(i int) bool {
	switch {
	case f.is(i, "(", "[", ".", "..."), f.unary(i):
		return true
	case f.is(i, arithmetic...):
		return f.joined(i)
	}
	return false
}

// joined reports whether the operator at token i is written without blanks on both sides; `^` always is.
func (f *formatter) joined(i int) bool {
	if f.is(i, "^") {
		return true
	}
	return i > 0 && i+1 < len(f.src.list) && f.end(i-1) == f.src.list[i].Pos.Offset && f.end(i) == f.src.list[i+1].Pos.Offset
}

// space reports whether a blank stands between token a and the next one, b, where a does not forbid it.
func (f *formatter) space(a, b int) bool {
	switch {
	case f.is(b, ")", "]", ",", ":", "."):
		return false
	case f.is(a, "{") && f.is(b, "}"):
		return false
	case f.unary(b):
		return true
	case f.is(b, arithmetic...):
		return !f.joined(b)
	case f.is(b, "...") && f.is(a, ","):
		return true
	case f.is(b, "(", "["):
		return !f.applies(a)
	}
	return true
}

// applies reports whether a bracket after token a belongs to it, as in a call or an index.
func (f *formatter) applies(a int) bool {
	t := f.src.list[a]
	switch {
	case t.Type == tokenKeyword:
		return t.Value == "layer" && a > 0 && !endsOperand(f.src.list[a-1]) && !f.startsLine(a)
	case f.is(a, "]"):
		return !f.closesReduction(a)
	case f.is(a, ")"):
		return true
	case t.Type != tokenName:
		return false
	case a == 0 || f.is(a-1, "."):
		return true
	}
	before := f.src.list[a-1]
	switch { // words that are of the language only where they stand: `reversed (a, b)`, `where (…)`, `into (…)`
	case before.Type == tokenKeyword && before.Value == "scan" && t.Value == "reversed":
		return false
	case t.Value == "where" && before.Type == tokenKeyword && before.Value == "over":
		return false
	}
	return !endsOperand(before) || f.closesReduction(a-1)
}

func (f *formatter) startsLine(i int) bool {
	return i == 0 || f.src.list[i-1].Type == tokenNewline
}

// closesReduction reports whether the `]` at token i ends the indices of a reduction, whose body follows.
func (f *formatter) closesReduction(i int) bool {
	open := f.src.match[i]
	return open > 1 && IsReduction(f.src.list[open-1].Value) && f.src.list[open-1].Type == tokenName && !f.is(open-2, ".")
}

// align pads the cells of consecutive lines of one kind, then the trailing comments of consecutive lines.
func (f *formatter) align() {
	runs(f.lines, func(a, b *line) bool {
		return a.kind != "" && a.kind == b.kind && a.indent == b.indent && b.number == a.number+1
	}, func(run []line) {
		for c := range len(run[0].cells) - 1 {
			widest := 0
			for i := range run {
				widest = max(widest, width(run[i].cells[c]))
			}
			for i := range run {
				run[i].cells[c] += strings.Repeat(" ", widest-width(run[i].cells[c]))
			}
		}
	})
	runs(f.lines, func(a, b *line) bool {
		return a.comment != "" && b.comment != "" && len(a.tokens) > 0 && len(b.tokens) > 0 && b.number == a.number+1
	}, func(run []line) {
		widest, gap := 0, 1
		for i := range run {
			if w := run[i].width(); w > widest {
				widest, gap = w, max(run[i].gap, 1) // the author's distance from the longest line
			}
		}
		for i := range run {
			run[i].gap = widest + gap - run[i].width()
		}
	})
}

// runs calls do for each longest stretch of lines in which each follows the one before.
func runs(lines []line, follows func(a, b *line) bool, do func([]line)) {
	start := 0
	for i := 1; i <= len(lines); i++ {
		if i == len(lines) || !follows(&lines[i-1], &lines[i]) {
			do(lines[start:i])
			start = i
		}
	}
}

// width is how many columns text takes on a terminal.
func width(text string) int { return (&runewidth.Condition{}).StringWidth(text) }

func (l *line) text() string { return strings.Repeat(" ", l.indent) + strings.Join(l.cells, " ") }

func (l *line) width() int { return width(l.text()) }

func (f *formatter) print() string {
	var b strings.Builder
	for i := range f.lines {
		l := &f.lines[i]
		if l.blank && i > 0 {
			b.WriteByte('\n')
		}
		switch {
		case len(l.tokens) == 0:
			b.WriteString(strings.Repeat(" ", l.indent) + l.comment)
		case l.comment == "":
			b.WriteString(l.text())
		default:
			b.WriteString(l.text() + strings.Repeat(" ", max(l.gap, 1)) + l.comment)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
