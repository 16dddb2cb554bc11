package diag

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/fatih/color"
	"github.com/mattn/go-runewidth"
)

// Render sorts list and prints it for people: each message with the source lines it is about, the place itself underlined with ^^^ and
// related places with ---. At most MaxShown messages are printed; a last line says how many more there are.
//
// Errors: those of w.
func Render(w io.Writer, list *List, colored bool) error {
	list.Sort()
	r := &renderer{paint: newPainter(colored)}
	for i, d := range list.All[:min(len(list.All), MaxShown)] {
		if i > 0 {
			r.out.WriteByte('\n')
		}
		r.diagnostic(d)
	}
	if more := len(list.All) - MaxShown; more > 0 {
		r.line("", fmt.Sprintf("\n… and %d more", more))
	}
	_, err := io.WriteString(w, r.out.String())
	return err
}

// near is how many lines apart two places may be for the lines to follow one another without a line of dots.
const near = 6

// widest is how many columns of a source line are shown; of a longer line, what is around each place.
const widest = 160

// tabWidth is how many columns a tab is shown as.
const tabWidth = 4

type renderer struct {
	out   strings.Builder
	paint painter
}

// mark is one underlined place of a snippet.
type mark struct {
	span    Span
	label   string
	primary bool
}

func (r *renderer) diagnostic(d *Diagnostic) {
	head := r.paint.severity(d.Severity, fmt.Sprintf("%s[%s]", d.Severity, d.Code))
	r.line(head, r.paint.strong(": "+clean(d.Message)))
	marks := []mark{{d.Span, d.Label, true}}
	var elsewhere []Related
	for _, rel := range d.Related {
		if rel.Span.File == d.Span.File {
			marks = append(marks, mark{rel.Span, rel.Message, false})
		} else {
			elsewhere = append(elsewhere, rel)
		}
	}
	width := 1
	if d.Span.File != nil {
		width = r.snippet(d.Span, marks, d.Severity)
	}
	if d.Fix != "" {
		r.line(strings.Repeat(" ", width+2)+r.paint.gutter("="), " help: "+clean(d.Fix))
	}
	for _, rel := range elsewhere {
		r.line(r.paint.strong("note"), ": "+clean(rel.Message))
		if rel.Span.File != nil {
			r.snippet(rel.Span, []mark{{rel.Span, "", false}}, d.Severity)
		}
	}
}

func (r *renderer) line(parts ...string) {
	for _, p := range parts {
		r.out.WriteString(p)
	}
	r.out.WriteByte('\n')
}

// snippet prints the arrow line and the marked lines, and returns the width of the line numbers.
func (r *renderer) snippet(at Span, marks []mark, s Severity) int {
	file := at.File
	byLine := map[int][]mark{}
	for _, m := range marks {
		n := file.Position(m.span.Start).Line
		byLine[n] = append(byLine[n], m)
	}
	lines := make([]int, 0, len(byLine))
	for n := range byLine {
		lines = append(lines, n)
	}
	slices.Sort(lines)
	width := len(strconv.Itoa(lines[len(lines)-1]))
	blank := " " + strings.Repeat(" ", width) + " "
	r.line(blank[1:], r.paint.gutter("-->"), " "+at.String())
	r.line(blank, r.paint.gutter("|"))
	for i, n := range lines {
		if i > 0 && n-lines[i-1] > near {
			r.line(r.paint.gutter("..."))
		}
		text, columns := expand(file.Line(n))
		long := columns[len(columns)-1] > widest
		if !long {
			r.source(width, n, text)
		}
		onLine := byLine[n]
		slices.SortStableFunc(onLine, func(a, b mark) int { return b.span.Start - a.span.Start })
		for _, m := range onLine {
			start := min(file.Position(m.span.Start).Col-1, len(columns)-1)
			end := len(columns) - 1
			if stop := file.Position(max(m.span.Start, m.span.End)); stop.Line == n {
				end = min(stop.Col-1, end)
			}
			at, size := columns[start], max(columns[max(start, end)]-columns[start], 1)
			if long { // each place with what is around it
				from := max(0, at-widest/4)
				r.source(width, n, excerpt(text, from, from+widest))
				at -= from
				size = min(size, widest-at)
			}
			underline := r.paint.related(strings.Repeat("-", size))
			if m.primary {
				underline = r.paint.severity(s, strings.Repeat("^", size))
			}
			label := clean(m.label)
			if label != "" {
				label = " " + label
			}
			r.line(blank, r.paint.gutter("|"), " "+strings.Repeat(" ", at), underline, label)
		}
	}
	return width
}

// source prints a source line, or a part of it, with its number.
func (r *renderer) source(width, number int, text string) {
	r.line(" ", r.paint.gutter(fmt.Sprintf("%*d |", width, number)), strings.TrimRight(" "+text, " "))
}

// excerpt returns the columns [from, to) of a line, with dots in place of what is left out on either side.
func excerpt(text string, from, to int) string {
	var b strings.Builder
	col, more := 0, narrow.StringWidth(text) > to
	for _, c := range text {
		end := col + narrow.RuneWidth(c)
		switch {
		case from > 0 && col <= from && end > from:
			b.WriteString("…" + strings.Repeat(" ", end-from-1))
		case more && col < to && end >= to:
			b.WriteString("…")
		case col >= from && col < to:
			b.WriteRune(c)
		}
		col = end
	}
	return b.String()
}

// narrow measures characters as terminals outside East Asia do, whatever the environment says, so that output does not depend on it.
var narrow = &runewidth.Condition{}

// expand prepares a source line for a terminal: tabs become spaces and control characters a visible mark. columns holds, for each
// character and for the end, the column where it is shown.
func expand(line string) (text string, columns []int) {
	var b strings.Builder
	col := 0
	for _, c := range line {
		columns = append(columns, col)
		switch {
		case c == '\t':
			b.WriteString(strings.Repeat(" ", tabWidth))
			col += tabWidth
		case unicode.IsControl(c):
			b.WriteRune(unicode.ReplacementChar)
			col++
		default:
			b.WriteRune(c)
			col += narrow.RuneWidth(c)
		}
	}
	return b.String(), append(columns, col)
}

// clean keeps text from files out of the terminal's control sequences.
func clean(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return unicode.ReplacementChar
		}
		return c
	}, text)
}

// painter colours the parts of a report, or does not.
type painter struct{ on bool }

func newPainter(on bool) painter { return painter{on} }

func (p painter) with(text string, attributes ...color.Attribute) string {
	if !p.on {
		return text
	}
	c := color.New(attributes...)
	c.EnableColor() // the caller has decided, not the environment
	return c.Sprint(text)
}

func (p painter) severity(s Severity, text string) string {
	if s == Warning {
		return p.with(text, color.FgYellow, color.Bold)
	}
	return p.with(text, color.FgRed, color.Bold)
}

func (p painter) strong(text string) string  { return p.with(text, color.Bold) }
func (p painter) gutter(text string) string  { return p.with(text, color.FgBlue, color.Bold) }
func (p painter) related(text string) string { return p.with(text, color.FgBlue) }
