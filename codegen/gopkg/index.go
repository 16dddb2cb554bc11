package gopkg

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
)

// affine returns the Go expression of a, an int. What a needs that is data is read before, see load.
func (w *nestWriter) affine(a ir.Affine) string {
	var terms []string
	for _, t := range a.Terms {
		terms = append(terms, scaled(t.Coef, w.atom(t.Atom)))
	}
	return sum(a.Const, terms)
}

func (w *nestWriter) atom(a ir.Atom) string {
	switch a.Kind {
	case ir.AtomIndex:
		return loopName(a.Index)
	case ir.AtomSymbol:
		return symbolName(a.Symbol)
	case ir.AtomQuotient:
		return fmt.Sprintf("quotient(%s, %d)", w.affine(*a.Num), a.Den)
	default:
		return fmt.Sprintf("int(%s)", w.read(a.Load))
	}
}

// dimension returns the Go expression of a dimension.
func dimension(a ir.Affine) string { return (&nestWriter{}).affine(a) }

// count returns the Go expression of the number of elements of a shape.
func count(shape []ir.Affine) string {
	n, rest := 1, []string{}
	for _, d := range shape {
		if c, ok := d.IsConst(); ok {
			n *= c
		} else {
			rest = append(rest, "("+dimension(d)+")")
		}
	}
	if n != 1 || len(rest) == 0 {
		rest = append([]string{fmt.Sprint(n)}, rest...)
	}
	return strings.Join(rest, "*")
}

func loopName(i int) string { return fmt.Sprintf("i%d", i) }

// symbolName is the Go variable that holds a symbol. Symbols hold characters that names of Go lack, such as the point of text.t.
func symbolName(s string) string {
	return "dim" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, s)
}

func scaled(k int, s string) string {
	switch k {
	case 1:
		return s
	case -1:
		return "-" + s
	}
	return fmt.Sprintf("%d*%s", k, s)
}

func sum(n int, terms []string) string {
	if n != 0 || len(terms) == 0 {
		terms = append(terms, fmt.Sprint(n))
	}
	return strings.ReplaceAll(strings.Join(terms, "+"), "+-", "-")
}

// flat returns the place of an element in row-major order as one index expression, where the strides are constants.
func flat(shape, index []ir.Affine) (ir.Affine, bool) {
	var at ir.Affine
	for i, ix := range index {
		if i > 0 {
			n, ok := shape[i].IsConst()
			if !ok {
				return at, false
			}
			at = at.Scale(n)
		}
		at = at.Add(ix)
	}
	return at, true
}

// linear reports whether a is a sum of loop indices, symbols and constants.
func linear(a ir.Affine) bool {
	return !slices.ContainsFunc(a.Terms, func(t ir.Term) bool { return t.Atom.Kind != ir.AtomIndex && t.Atom.Kind != ir.AtomSymbol })
}

// place returns the Go expression of an element's place in row-major order; ix are the Go expressions of its indices.
func place(shape []ir.Affine, ix []string) string {
	at := "0"
	for i, x := range ix {
		if i == 0 {
			at = x
			continue
		}
		at = fmt.Sprintf("(%s)*(%s)+%s", at, dimension(shape[i]), x)
	}
	return at
}
