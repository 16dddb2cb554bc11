package ir

import (
	"fmt"
	"slices"
	"strings"
)

// Affine is an integer expression Const + Σ Coef·Atom, kept in a canonical form so that equal expressions are equal by
// Equal and print alike. Dimensions of shapes, extents of loops and indices of reads are all Affines; a dimension holds
// only symbols and quotients of symbols, an index also holds loop indices and data.
//
// The zero Affine is 0. Affines are values: operations return new ones and never change their operands.
type Affine struct {
	Const int
	Terms []Term // sorted by atom, no zero coefficients, no atom twice
}

// Term is Coef·Atom.
type Term struct {
	Coef int
	Atom Atom
}

// AtomKind tells what an Atom is.
type AtomKind uint8

// The kinds of atoms.
const (
	AtomIndex    AtomKind = iota // a loop index of the nest that holds the expression
	AtomSymbol                   // a dimension that is known when the program runs: the batch B, a length T; at least 1
	AtomQuotient                 // ⌊Num / Den⌋ with a constant Den ≥ 2
	AtomLoad                     // an i32 element of an operand: an index that is data
)

// Atom is one indivisible part of an Affine.
type Atom struct {
	Kind   AtomKind
	Index  int     // AtomIndex: number of the loop index
	Symbol string  // AtomSymbol
	Num    *Affine // AtomQuotient
	Den    int     // AtomQuotient
	Load   *Read   // AtomLoad
}

// Int returns the constant n.
func Int(n int) Affine { return Affine{Const: n} }

// Symbol returns the dimension symbol of that name.
func Symbol(name string) Affine {
	return Affine{Terms: []Term{{1, Atom{Kind: AtomSymbol, Symbol: name}}}}
}

// Loop returns loop index number i of the enclosing nest.
func Loop(i int) Affine { return Affine{Terms: []Term{{1, Atom{Kind: AtomIndex, Index: i}}}} }

// LoadIndex returns the i32 element that r reads, as an index.
func LoadIndex(r *Read) Affine { return Affine{Terms: []Term{{1, Atom{Kind: AtomLoad, Load: r}}}} }

// IsConst reports whether a is a constant, and which.
func (a Affine) IsConst() (int, bool) { return a.Const, len(a.Terms) == 0 }

// MustConst returns the value of a constant a and panics otherwise.
func (a Affine) MustConst() int {
	if len(a.Terms) != 0 {
		panic(fmt.Sprintf("BUG: %v is not a constant", a))
	}
	return a.Const
}

// IsLoop reports whether a is exactly one loop index, and which.
func (a Affine) IsLoop() (int, bool) {
	if a.Const == 0 && len(a.Terms) == 1 && a.Terms[0].Coef == 1 && a.Terms[0].Atom.Kind == AtomIndex {
		return a.Terms[0].Atom.Index, true
	}
	return 0, false
}

// IsSymbol reports whether a is exactly one symbol, and which.
func (a Affine) IsSymbol() (string, bool) {
	if a.Const == 0 && len(a.Terms) == 1 && a.Terms[0].Coef == 1 && a.Terms[0].Atom.Kind == AtomSymbol {
		return a.Terms[0].Atom.Symbol, true
	}
	return "", false
}

// IsLoad returns the element that a is, and true if it is nothing else.
func (a Affine) IsLoad() (*Read, bool) {
	if a.Const == 0 && len(a.Terms) == 1 && a.Terms[0].Coef == 1 && a.Terms[0].Atom.Kind == AtomLoad {
		return a.Terms[0].Atom.Load, true
	}
	return nil, false
}

// Add returns a + b.
func (a Affine) Add(b Affine) Affine {
	sum := Affine{Const: a.Const + b.Const}
	if len(a.Terms) == 0 || len(b.Terms) == 0 {
		sum.Terms = slices.Concat(a.Terms, b.Terms)
		return sum
	}
	sum.Terms = make([]Term, 0, len(a.Terms)+len(b.Terms))
	for i, j := 0, 0; i < len(a.Terms) || j < len(b.Terms); {
		switch c := 0; {
		case j == len(b.Terms):
			sum.Terms = append(sum.Terms, a.Terms[i])
			i++
		case i == len(a.Terms):
			sum.Terms = append(sum.Terms, b.Terms[j])
			j++
		default:
			c = compareAtoms(a.Terms[i].Atom, b.Terms[j].Atom)
			switch {
			case c < 0:
				sum.Terms = append(sum.Terms, a.Terms[i])
				i++
			case c > 0:
				sum.Terms = append(sum.Terms, b.Terms[j])
				j++
			default:
				if coef := a.Terms[i].Coef + b.Terms[j].Coef; coef != 0 {
					sum.Terms = append(sum.Terms, Term{coef, a.Terms[i].Atom})
				}
				i++
				j++
			}
		}
	}
	if len(sum.Terms) == 0 {
		sum.Terms = nil
	}
	return sum
}

// AddConst returns a + n.
func (a Affine) AddConst(n int) Affine { return Affine{Const: a.Const + n, Terms: a.Terms} }

// Scale returns k·a.
func (a Affine) Scale(k int) Affine {
	if k == 0 {
		return Affine{}
	}
	if k == 1 {
		return a
	}
	s := Affine{Const: k * a.Const, Terms: make([]Term, len(a.Terms))}
	for i, t := range a.Terms {
		s.Terms[i] = Term{k * t.Coef, t.Atom}
	}
	if len(s.Terms) == 0 {
		s.Terms = nil
	}
	return s
}

// Sub returns a − b.
func (a Affine) Sub(b Affine) Affine { return a.Add(b.Scale(-1)) }

// Mul returns a·b, which is an Affine only if one of them is constant.
func (a Affine) Mul(b Affine) (Affine, bool) {
	if n, ok := b.IsConst(); ok {
		return a.Scale(n), true
	}
	if n, ok := a.IsConst(); ok {
		return b.Scale(n), true
	}
	return Affine{}, false
}

// Div returns ⌊a / n⌋ for n ≥ 1. What n divides leaves the quotient: of 7·i/3 there remains 2·i + ⌊i/3⌋.
func (a Affine) Div(n int) Affine {
	if n < 1 {
		panic("BUG: Affine.Div by a number below 1")
	}
	if n == 1 {
		return a
	}
	var whole, rest Affine
	common := n
	for _, t := range a.Terms {
		// The rest keeps the coefficient's sign: indices that run backwards keep narrow bounds.
		if q := t.Coef / n; q != 0 {
			whole.Terms = append(whole.Terms, Term{q, t.Atom})
		}
		if r := t.Coef % n; r != 0 {
			rest.Terms = append(rest.Terms, Term{r, t.Atom})
			common = gcd(common, r)
		}
	}
	whole.Const = floorDiv(a.Const, n)
	rest.Const = a.Const - n*whole.Const
	if len(rest.Terms) == 0 {
		return whole // 0 ≤ rest.Const < n
	}
	// ⌊(g·x + c)/(g·m)⌋ = ⌊(x + ⌊c/g⌋)/m⌋
	for i := range rest.Terms {
		rest.Terms[i].Coef /= common
	}
	rest.Const /= common
	n /= common
	// ⌊⌊x/m⌋/n⌋ = ⌊x/(m·n)⌋
	if t := rest.Terms[0]; len(rest.Terms) == 1 && t.Coef == 1 && t.Atom.Kind == AtomQuotient {
		num := t.Atom.Num.AddConst(rest.Const * t.Atom.Den)
		return whole.Add(num.Div(t.Atom.Den * n))
	}
	return whole.Add(Affine{Terms: []Term{{1, Atom{Kind: AtomQuotient, Num: &rest, Den: n}}}})
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, -a)
}

// Mod returns a − n·⌊a / n⌋, which lies in [0, n).
func (a Affine) Mod(n int) Affine { return a.Sub(a.Div(n).Scale(n)) }

// Equal reports whether a and b are the same expression.
func (a Affine) Equal(b Affine) bool { return compareAffines(a, b) == 0 }

// Uses reports whether loop index i occurs in a, also inside quotients and data indices.
func (a Affine) Uses(i int) bool {
	found := false
	a.walk(func(t Atom) { found = found || t.Kind == AtomIndex && t.Index == i })
	return found
}

// walk calls f for every atom of a, outer ones first.
func (a Affine) walk(f func(Atom)) {
	for _, t := range a.Terms {
		f(t.Atom)
		switch t.Atom.Kind {
		case AtomQuotient:
			t.Atom.Num.walk(f)
		case AtomLoad:
			for _, ix := range t.Atom.Load.Index {
				ix.walk(f)
			}
		}
	}
}

// Rewrite replaces every atom by what f returns for it, where f returns true, and rebuilds the canonical form. Atoms inside
// quotients and data indices are rewritten first.
func (a Affine) Rewrite(f func(Atom) (Affine, bool)) Affine {
	out := Int(a.Const)
	for _, t := range a.Terms {
		atom := t.Atom
		switch atom.Kind {
		case AtomQuotient:
			num := atom.Num.Rewrite(f)
			out = out.Add(num.Div(atom.Den).Scale(t.Coef))
			continue
		case AtomLoad:
			atom.Load = atom.Load.rewrite(f)
		}
		if b, ok := f(atom); ok {
			out = out.Add(b.Scale(t.Coef))
		} else {
			out = out.Add(Affine{Terms: []Term{{t.Coef, atom}}})
		}
	}
	return out
}

// Eval computes a for given values of loop indices, symbols and data.
func (a Affine) Eval(index func(int) int, symbol func(string) int, load func(*Read) int) int {
	n := a.Const
	for _, t := range a.Terms {
		v := 0
		switch t.Atom.Kind {
		case AtomIndex:
			v = index(t.Atom.Index)
		case AtomSymbol:
			v = symbol(t.Atom.Symbol)
		case AtomQuotient:
			v = floorDiv(t.Atom.Num.Eval(index, symbol, load), t.Atom.Den)
		case AtomLoad:
			v = load(t.Atom.Load)
		}
		n += t.Coef * v
	}
	return n
}

// EvalDim computes a dimension for given symbols.
func (a Affine) EvalDim(symbol func(string) int) int {
	return a.Eval(
		func(i int) int { panic("BUG: a dimension depends on a loop index") }, symbol,
		func(*Read) int { panic("BUG: a dimension depends on data") },
	)
}

// String formats a with loop indices as $0, $1, …
func (a Affine) String() string {
	return a.format(func(i int) string { return fmt.Sprintf("$%d", i) }, nil)
}

// format prints a with names for loop indices; load prints a data index.
func (a Affine) format(index func(int) string, load func(*Read) string) string {
	var b strings.Builder
	term := func(coef int, s string) {
		switch {
		case coef < 0:
			b.WriteString("-")
			coef = -coef
		case b.Len() > 0:
			b.WriteString("+")
		}
		if coef != 1 {
			fmt.Fprintf(&b, "%d*", coef)
		}
		b.WriteString(s)
	}
	for _, t := range a.Terms {
		switch t.Atom.Kind {
		case AtomIndex:
			term(t.Coef, index(t.Atom.Index))
		case AtomSymbol:
			term(t.Coef, t.Atom.Symbol)
		case AtomQuotient:
			num := t.Atom.Num.format(index, load)
			if len(t.Atom.Num.Terms) > 1 || t.Atom.Num.Const != 0 || t.Atom.Num.Terms[0].Coef != 1 {
				num = "(" + num + ")"
			}
			term(t.Coef, fmt.Sprintf("(%s/%d)", num, t.Atom.Den))
		case AtomLoad:
			if load == nil {
				term(t.Coef, "load")
			} else {
				term(t.Coef, load(t.Atom.Load))
			}
		}
	}
	switch {
	case b.Len() == 0:
		fmt.Fprintf(&b, "%d", a.Const)
	case a.Const > 0:
		fmt.Fprintf(&b, "+%d", a.Const)
	case a.Const < 0:
		fmt.Fprintf(&b, "%d", a.Const)
	}
	return b.String()
}

func floorDiv(a, n int) int {
	q := a / n
	if a%n < 0 {
		q--
	}
	return q
}

func compareAffines(a, b Affine) int {
	if c := len(a.Terms) - len(b.Terms); c != 0 {
		return c
	}
	for i := range a.Terms {
		if c := compareAtoms(a.Terms[i].Atom, b.Terms[i].Atom); c != 0 {
			return c
		}
		if c := a.Terms[i].Coef - b.Terms[i].Coef; c != 0 {
			return c
		}
	}
	return a.Const - b.Const
}

func compareAtoms(a, b Atom) int {
	if a.Kind != b.Kind {
		return int(a.Kind) - int(b.Kind)
	}
	switch a.Kind {
	case AtomIndex:
		return a.Index - b.Index
	case AtomSymbol:
		return strings.Compare(a.Symbol, b.Symbol)
	case AtomQuotient:
		if c := compareAffines(*a.Num, *b.Num); c != 0 {
			return c
		}
		return a.Den - b.Den
	default:
		return compareReads(a.Load, b.Load)
	}
}
