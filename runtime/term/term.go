// Package term knows the terminal: whether there is one, how wide it is, whether it wants colours, and how numbers are written
// for people. It also draws the progress bar. Programs that are not on a terminal get none of it and print plain lines.
package term

import (
	"io"
	"os"

	"golang.org/x/term"
)

// IsTerminal reports whether w is a terminal that can redraw a line.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// Width returns how many columns w has; 80 if it is not a terminal or does not say.
func Width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// Colours reports whether text on w may be coloured: it is a terminal, and the user has not set NO_COLOR.
//
// Source: no-color.org.
func Colours(w io.Writer) bool { return os.Getenv("NO_COLOR") == "" && IsTerminal(w) }

// Style colours text, or leaves it alone if it is false.
type Style bool

// StyleOf returns the style for w.
func StyleOf(w io.Writer) Style { return Style(Colours(w)) }

// Bold returns text in bold.
func (s Style) Bold(text string) string { return s.sgr("1", text) }

// Dim returns text in a weaker colour.
func (s Style) Dim(text string) string { return s.sgr("2", text) }

// Red returns text in the colour of errors.
func (s Style) Red(text string) string { return s.sgr("31", text) }

// Green returns text in the colour of success.
func (s Style) Green(text string) string { return s.sgr("32", text) }

// Yellow returns text in the colour of warnings.
func (s Style) Yellow(text string) string { return s.sgr("33", text) }

func (s Style) sgr(code, text string) string {
	if !s || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
