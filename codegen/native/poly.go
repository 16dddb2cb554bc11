package native

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
)

// poly is a polynomial over the sizes that are known when a program runs: Σ coefficient · product of sizes. Strides and extents are of this
// form, since a stride is a product of dimensions. The key of a monomial is its sizes' names in order, joined by "·"; "" is 1.
type poly map[string]int

func whole(n int) poly {
	if n == 0 {
		return poly{}
	}
	return poly{"": n}
}

// isConst reports whether p is a number, and which.
func (p poly) isConst() (int, bool) {
	switch len(p) {
	case 0:
		return 0, true
	case 1:
		n, ok := p[""]
		return n, ok
	}
	return 0, false
}

func (p poly) is(n int) bool {
	c, ok := p.isConst()
	return ok && c == n
}

func (p poly) add(q poly) poly {
	sum := poly{}
	for k, c := range p {
		sum[k] = c
	}
	for k, c := range q {
		if sum[k] += c; sum[k] == 0 {
			delete(sum, k)
		}
	}
	return sum
}

func (p poly) scale(n int) poly { return p.mul(whole(n)) }

func (p poly) mul(q poly) poly {
	product := poly{}
	for a, x := range p {
		for b, y := range q {
			k := monomial(a, b)
			if product[k] += x * y; product[k] == 0 {
				delete(product, k)
			}
		}
	}
	return product
}

func (p poly) equal(q poly) bool {
	if len(p) != len(q) {
		return false
	}
	for k, c := range p {
		if q[k] != c {
			return false
		}
	}
	return true
}

const timesSign = "·"

func monomial(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	f := append(strings.Split(a, timesSign), strings.Split(b, timesSign)...)
	slices.Sort(f)
	return strings.Join(f, timesSign)
}

// String formats p with its monomials in order.
func (p poly) String() string {
	if len(p) == 0 {
		return "0"
	}
	var terms []string
	for _, k := range p.monomials() {
		terms = append(terms, fmt.Sprintf("%d%s%s", p[k], timesSign, k))
	}
	return strings.Join(terms, "+")
}

func (p poly) monomials() []string {
	keys := make([]string, 0, len(p))
	for k := range p {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// sizes is the list of the sizes that a kernel is told when it runs: symbols, quotients of symbols, and numbers of tiles.
type sizes struct {
	names []string
	defs  map[string]sizeDef
}

// sizeDef says what a size is: an atom of the IR, or the number of tiles of some extent.
type sizeDef struct {
	atom ir.Atom
	of   poly // tiles: ⌈of / tile⌉
	tile int
	rows bool // tiles that are single rows if there are fewer rows than a tile has
	less bool // 1 if of is less than tile, and else 0
}

func newSizes() *sizes { return &sizes{defs: map[string]sizeDef{}} }

func (s *sizes) define(name string, d sizeDef) poly {
	if _, ok := s.defs[name]; !ok {
		s.names = append(s.names, name)
		s.defs[name] = d
	}
	return poly{name: 1}
}

// dim returns a dimension as a polynomial.
func (s *sizes) dim(a ir.Affine) poly {
	p := whole(a.Const)
	for _, t := range a.Terms {
		p = p.add(s.atom(t.Atom).scale(t.Coef))
	}
	return p
}

func (s *sizes) atom(a ir.Atom) poly {
	if a.Kind != ir.AtomSymbol && a.Kind != ir.AtomQuotient {
		panic("BUG: native: a dimension depends on an index")
	}
	name := ir.Affine{Terms: []ir.Term{{Coef: 1, Atom: a}}}.String()
	return s.define(name, sizeDef{atom: a})
}

// tiles returns ⌈p / n⌉.
func (s *sizes) tiles(p poly, n int) poly {
	if c, ok := p.isConst(); ok {
		return whole((c + n - 1) / n)
	}
	name := fmt.Sprintf("tiles(%s,%d)", strings.ReplaceAll(p.String(), timesSign, "*"), n)
	return s.define(name, sizeDef{of: p, tile: n})
}

// rowTiles returns the number of tiles of n rows that cover p rows, the last of which overlap; if there are fewer than n rows, each is a tile.
func (s *sizes) rowTiles(p poly, n int) poly {
	if c, ok := p.isConst(); ok {
		return whole((c + n - 1) / n)
	}
	name := fmt.Sprintf("rows(%s,%d)", strings.ReplaceAll(p.String(), timesSign, "*"), n)
	return s.define(name, sizeDef{of: p, tile: n, rows: true})
}

// less returns 1 if p is less than n, and else 0.
func (s *sizes) less(p poly, n int) poly {
	if c, ok := p.isConst(); ok {
		if c < n {
			return whole(1)
		}
		return whole(0)
	}
	name := fmt.Sprintf("less(%s,%d)", strings.ReplaceAll(p.String(), timesSign, "*"), n)
	return s.define(name, sizeDef{of: p, tile: n, less: true})
}

// number returns the number of a size.
func (s *sizes) number(name string) int {
	k := slices.Index(s.names, name)
	if k < 0 {
		panic("BUG: native: size " + name + " is not defined")
	}
	return k
}
