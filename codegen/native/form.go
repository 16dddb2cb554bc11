package native

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
)

// form is an index expression over the loops of a nest: c + Σ coef·loop + Σ coef·⌊num/den⌋ + Σ coef·load.
type form struct {
	c   poly
	lin []linear // in order of the loops
	quo []quotient
	ld  []dataIndex
}

type linear struct {
	loop int
	coef poly
}

type quotient struct {
	coef, den int
	num       *form
	nonNeg    bool // the numerator is certain not to be negative
}

type dataIndex struct {
	coef int
	from *access
}

// access is an element of an operand, or of the result, at index expressions.
type access struct {
	operand int
	dims    []*form
	sizes   []poly
	strides []poly
	check   []checkKind
	other   float64 // the element outside

	flat bool  // nothing to check, no quotients and no data: the offset is the linear form off
	off  *form // the linear part of the offset
}

// checkKind says what is done where an index of one dimension may lie outside it.
type checkKind uint8

const (
	unchecked checkKind = iota // it is proved inside
	otherwise                  // the element is another value there
	fault                      // the call fails there
)

// coef returns the coefficient of a loop in f's linear part.
func (f *form) coef(loop int) poly {
	for _, t := range f.lin {
		if t.loop == loop {
			return t.coef
		}
	}
	return nil
}

// hides reports whether a loop occurs in f other than linearly.
func (f *form) hides(loop int) bool {
	for _, q := range f.quo {
		if q.num.uses(loop) {
			return true
		}
	}
	for _, l := range f.ld {
		if l.from.uses(loop) {
			return true
		}
	}
	return false
}

func (f *form) uses(loop int) bool { return f.coef(loop) != nil || f.hides(loop) }

func (f *form) isLinear() bool { return len(f.quo) == 0 && len(f.ld) == 0 }

func (f *form) loads() bool {
	if len(f.ld) > 0 {
		return true
	}
	for _, q := range f.quo {
		if q.num.loads() {
			return true
		}
	}
	return false
}

func (a *access) uses(loop int) bool {
	for _, d := range a.dims {
		if d.uses(loop) {
			return true
		}
	}
	return false
}

func (a *access) hides(loop int) bool {
	for _, d := range a.dims {
		if d.hides(loop) {
			return true
		}
	}
	return false
}

// fails reports whether an index of a, or an index within one, may be an error.
func (a *access) fails() bool {
	if slices.Contains(a.check, fault) {
		return true
	}
	for _, d := range a.dims {
		if d.fails() {
			return true
		}
	}
	return false
}

func (f *form) fails() bool {
	for _, q := range f.quo {
		if q.num.fails() {
			return true
		}
	}
	for _, l := range f.ld {
		if l.from.fails() {
			return true
		}
	}
	return false
}

// add adds k·g to a linear f.
func (f *form) add(g *form, k poly) {
	f.c = f.c.add(g.c.mul(k))
	for _, t := range g.lin {
		i, found := slices.BinarySearchFunc(f.lin, t.loop, func(x linear, l int) int { return cmp.Compare(x.loop, l) })
		if !found {
			f.lin = slices.Insert(f.lin, i, linear{t.loop, poly{}})
		}
		f.lin[i].coef = f.lin[i].coef.add(t.coef.mul(k))
		if len(f.lin[i].coef) == 0 {
			f.lin = slices.Delete(f.lin, i, i+1)
		}
	}
}

// renumber replaces loop k by to[k]; a loop whose to is −1 is left out.
func (f *form) renumber(to []int) {
	kept := f.lin[:0]
	for _, t := range f.lin {
		if to[t.loop] >= 0 {
			kept = append(kept, linear{to[t.loop], t.coef})
		}
	}
	slices.SortFunc(kept, func(a, b linear) int { return cmp.Compare(a.loop, b.loop) })
	f.lin = kept
	for _, q := range f.quo {
		q.num.renumber(to)
	}
	for _, l := range f.ld {
		l.from.renumber(to)
	}
}

func (a *access) renumber(to []int) {
	for _, d := range a.dims {
		d.renumber(to)
	}
	a.off.renumber(to)
}

// String is equal for equal forms.
func (f *form) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "(%v", f.c)
	for _, t := range f.lin {
		fmt.Fprintf(&b, "+%v*$%d", t.coef, t.loop)
	}
	for _, q := range f.quo {
		fmt.Fprintf(&b, "+%d*%v/%d", q.coef, q.num, q.den)
	}
	for _, l := range f.ld {
		fmt.Fprintf(&b, "+%d*%v", l.coef, l.from)
	}
	return b.String() + ")"
}

// String is equal for equal accesses of one nest.
func (a *access) String() string {
	return fmt.Sprintf("%%%d%v%v%v", a.operand, a.dims, a.check, a.other)
}

// forms lowers the index expressions of one nest. Loops of extent 1 vanish.
type forms struct {
	nest   *ir.Nest
	sizes  *sizes
	loops  []int // number of each loop here, −1 for those of extent 1
	shapes [][]ir.Affine
}

func (l *forms) form(a ir.Affine) *form {
	f := &form{c: whole(a.Const)}
	for _, t := range a.Terms {
		switch t.Atom.Kind {
		case ir.AtomIndex:
			if k := l.loops[t.Atom.Index]; k >= 0 {
				f.add(&form{c: poly{}, lin: []linear{{k, whole(1)}}}, whole(t.Coef))
			}
		case ir.AtomSymbol:
			f.c = f.c.add(l.sizes.atom(t.Atom).scale(t.Coef))
		case ir.AtomQuotient:
			num := l.form(*t.Atom.Num)
			if num.isLinear() && len(num.lin) == 0 {
				if n, ok := num.c.isConst(); ok {
					f.c = f.c.add(whole(t.Coef * floorDiv(n, t.Atom.Den)))
				} else if dimension(*t.Atom.Num) {
					f.c = f.c.add(l.sizes.atom(t.Atom).scale(t.Coef))
				} else {
					f.quo = append(f.quo, quotient{t.Coef, t.Atom.Den, num, false})
				}
				continue
			}
			b, ok := ir.BoundsOf(*t.Atom.Num, l.nest.Extent)
			f.quo = append(f.quo, quotient{t.Coef, t.Atom.Den, num, ok && ir.NonNegative(b.Lo)})
		case ir.AtomLoad:
			f.ld = append(f.ld, dataIndex{t.Coef, l.access(t.Atom.Load)})
		}
	}
	return f
}

// dimension reports whether a holds symbols only.
func dimension(a ir.Affine) bool {
	for _, t := range a.Terms {
		switch t.Atom.Kind {
		case ir.AtomSymbol:
		case ir.AtomQuotient:
			if !dimension(*t.Atom.Num) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func (l *forms) access(r *ir.Read) *access {
	a := &access{operand: r.Operand, other: r.Else}
	shape := l.shapes[r.Operand]
	if len(shape) != len(r.Index) {
		panic(fmt.Sprintf("BUG: native: %d indices for an operand of %d dimensions", len(r.Index), len(shape)))
	}
	l.fill(a, r.Index, shape, r.Guarded)
	return a
}

// fill sets a's indices into something of that shape.
func (l *forms) fill(a *access, index, shape []ir.Affine, guarded bool) {
	a.flat = true
	for i, ix := range index {
		f := l.form(ix)
		inside := ir.Inside(ix, shape[i], l.nest.Extent)
		check := unchecked
		switch {
		case inside:
		case guarded:
			check = otherwise
		case f.loads():
			check = fault
		case len(l.nest.Guards) > 0:
			check = otherwise // inside only where the guards pass: elsewhere any element will do
		}
		a.dims, a.check = append(a.dims, f), append(a.check, check)
		a.sizes = append(a.sizes, l.sizes.dim(shape[i]))
		a.flat = a.flat && f.isLinear() && check == unchecked
	}
	a.strides = make([]poly, len(shape))
	n := whole(1)
	for i := len(shape) - 1; i >= 0; i-- {
		a.strides[i] = n
		n = n.mul(a.sizes[i])
	}
	a.off = &form{c: poly{}}
	for i, d := range a.dims {
		a.off.add(d, a.strides[i])
	}
}

func floorDiv(a, n int) int {
	q := a / n
	if a%n < 0 {
		q--
	}
	return q
}
