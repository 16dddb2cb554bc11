// Package diag holds what every front-end message is made of: source files, spans in them, and diagnostics that
// point at one place, name related places, and suggest a fix.
package diag

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// File is one source text with the offsets of its lines.
type File struct {
	Name  string
	Text  string
	lines []int // offset of each line's first byte
}

// NewFile indexes text, shown to people under name.
func NewFile(name, text string) *File {
	f := &File{Name: name, Text: text, lines: []int{0}}
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	return f
}

// Position is a place as people count it: lines and columns from 1, columns in characters.
type Position struct {
	Line, Col int
}

// Position converts a byte offset. Offsets outside the text are clamped to it.
func (f *File) Position(offset int) Position {
	offset = max(0, min(offset, len(f.Text)))
	line := sort.SearchInts(f.lines, offset+1) - 1
	return Position{Line: line + 1, Col: len([]rune(f.Text[f.lines[line]:offset])) + 1}
}

// Line returns the text of line n (from 1) without its newline.
func (f *File) Line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	text := f.Text[f.lines[n-1]:]
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	return strings.TrimSuffix(text, "\r")
}

// Span is a half-open range of bytes in a file. The zero Span is nowhere.
type Span struct {
	File       *File
	Start, End int
}

// IsZero reports whether s is nowhere.
func (s Span) IsZero() bool { return s.File == nil }

// Text returns the source text of s.
func (s Span) Text() string {
	if s.File == nil || s.Start < 0 || s.End > len(s.File.Text) || s.Start > s.End {
		return ""
	}
	return s.File.Text[s.Start:s.End]
}

// Join returns the smallest span that covers both s and t.
func (s Span) Join(t Span) Span {
	switch {
	case s.IsZero():
		return t
	case t.IsZero() || t.File != s.File:
		return s
	}
	return Span{File: s.File, Start: min(s.Start, t.Start), End: max(s.End, t.End)}
}

// String formats s as file:line:col of its start.
func (s Span) String() string {
	if s.File == nil {
		return "-"
	}
	p := s.File.Position(s.Start)
	return fmt.Sprintf("%s:%d:%d", s.File.Name, p.Line, p.Col)
}

// Severity says how bad a diagnostic is.
type Severity int

// The severities, worst first.
const (
	Error Severity = iota
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Related is a second place that explains a diagnostic.
type Related struct {
	Span    Span
	Message string
}

// Diagnostic is one message about a program.
type Diagnostic struct {
	Span     Span
	Severity Severity
	Code     Code   // permanent name, see codes.go
	Message  string // one line, no final full stop
	Label    string // short text beside the underlined place; may be empty
	Related  []Related
	Fix      string // what to do about it; may be empty
}

// Error makes a Diagnostic usable as an error value.
func (d *Diagnostic) Error() string {
	return fmt.Sprintf("%s: %s[%s]: %s", d.Span, d.Severity, d.Code, d.Message)
}

// List collects diagnostics. The zero List is empty and ready.
type List struct {
	All []*Diagnostic
}

// MaxShown is how many diagnostics a report prints.
const MaxShown = 20

// Add appends d.
func (l *List) Add(d *Diagnostic) { l.All = append(l.All, d) }

// HasErrors reports whether any diagnostic is an error.
func (l *List) HasErrors() bool {
	return slices.ContainsFunc(l.All, func(d *Diagnostic) bool { return d.Severity == Error })
}

// Sort orders the list by file and place and drops exact repeats.
func (l *List) Sort() {
	name := func(s Span) string {
		if s.File == nil {
			return ""
		}
		return s.File.Name
	}
	slices.SortStableFunc(l.All, func(a, b *Diagnostic) int {
		if c := strings.Compare(name(a.Span), name(b.Span)); c != 0 {
			return c
		}
		return a.Span.Start - b.Span.Start
	})
	// Repeats need not follow one another: a place that is elaborated twice gives all its messages, and then all again.
	type message struct {
		at   Span
		code Code
		text string
	}
	seen := map[message]bool{}
	l.All = slices.DeleteFunc(l.All, func(d *Diagnostic) bool {
		m := message{d.Span, d.Code, d.Message}
		repeat := seen[m]
		seen[m] = true
		return repeat
	})
}

// Error lists every message, one a line.
func (l *List) Error() string {
	lines := make([]string, len(l.All))
	for i, d := range l.All {
		lines[i] = d.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns l if it holds an error, else nil.
func (l *List) Err() error {
	if !l.HasErrors() {
		return nil
	}
	l.Sort()
	return l
}
