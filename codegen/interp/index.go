package interp

import (
	"fmt"

	"github.com/nnc-lang/nnc/ir"
)

// index is a quasi-affine index expression whose symbols have been replaced by numbers:
// c + Σ coef·loop + Σ coef·⌊num/den⌋ + Σ coef·load.
type index struct {
	c    int
	lin  []linear
	quo  []quotient
	load []load
}

type linear struct{ loop, coef int }

type quotient struct {
	coef, den int
	num       index
}

type load struct {
	coef int
	from *access
}

// access is a read of an operand at index expressions.
type access struct {
	operand int
	dims    []index
	sizes   []int
	strides []int
	check   []bool // dimensions whose index may lie outside
	guarded bool   // outside, the element is otherwise; else it is an error
	other   float64

	// flat accesses neither check nor hold quotients or data: their offset is the linear expression off.
	flat bool
	off  index

	// Behaviour along the innermost loop, see finish.
	inner     []int // coefficient of the innermost loop in each dimension
	stride    int   // Σ inner·strides
	irregular bool  // the innermost loop occurs in quotients or data indices
}

// loader resolves data indices; a worker is one.
type loader interface {
	loadIndex(a *access, at []int) int
}

// at evaluates x for the given values of the loops.
func (x *index) at(loops []int, data loader) int {
	n := x.c
	for _, t := range x.lin {
		n += t.coef * loops[t.loop]
	}
	for i := range x.quo {
		q := &x.quo[i]
		n += q.coef * floorDiv(q.num.at(loops, data), q.den)
	}
	for _, l := range x.load {
		n += l.coef * data.loadIndex(l.from, loops)
	}
	return n
}

// coef returns the coefficient of a loop in x's linear part.
func (x *index) coef(loop int) int {
	for _, t := range x.lin {
		if t.loop == loop {
			return t.coef
		}
	}
	return 0
}

// hides reports whether a loop occurs in x other than linearly.
func (x *index) hides(loop int) bool {
	for i := range x.quo {
		if x.quo[i].num.uses(loop) {
			return true
		}
	}
	for _, l := range x.load {
		if l.from.uses(loop) {
			return true
		}
	}
	return false
}

func (x *index) uses(loop int) bool { return x.coef(loop) != 0 || x.hides(loop) }

func (x *index) isLinear() bool { return len(x.quo) == 0 && len(x.load) == 0 }

func (a *access) uses(loop int) bool {
	for i := range a.dims {
		if a.dims[i].uses(loop) {
			return true
		}
	}
	return false
}

// loads reports whether data indices occur in a.
func (a *access) loads() bool {
	for i := range a.dims {
		if a.dims[i].loads() {
			return true
		}
	}
	return false
}

func (x *index) loads() bool {
	if len(x.load) > 0 {
		return true
	}
	for i := range x.quo {
		if x.quo[i].num.loads() {
			return true
		}
	}
	return false
}

// renumber replaces loop k by to[k], scaled; a loop whose to is −1 is left out.
func (x *index) renumber(to []int) {
	lin := x.lin[:0:0]
	for _, t := range x.lin {
		if to[t.loop] >= 0 {
			lin = append(lin, linear{to[t.loop], t.coef})
		}
	}
	x.lin = lin
	for i := range x.quo {
		x.quo[i].num.renumber(to)
	}
	for _, l := range x.load {
		l.from.renumber(to)
	}
}

func (a *access) renumber(to []int) {
	for i := range a.dims {
		a.dims[i].renumber(to)
	}
	a.off.renumber(to)
}

// finish computes what depends on which loop is the innermost.
func (a *access) finish(innermost int) {
	a.inner, a.stride, a.irregular = make([]int, len(a.dims)), 0, false
	if a.flat {
		a.stride = a.off.coef(innermost)
		return
	}
	for i := range a.dims {
		a.inner[i] = a.dims[i].coef(innermost)
		a.stride += a.inner[i] * a.strides[i]
		a.irregular = a.irregular || a.dims[i].hides(innermost)
	}
}

// lowering turns the index expressions of one nest into the form above. Loops of extent 1 vanish.
type lowering struct {
	extents []int   // of all loops of the IR nest
	loops   []int   // number of each loop here, −1 for those of extent 1
	shapes  [][]int // of the operands
	limits  func(int) ir.Affine
}

func newLowering(extents []int, shapes [][]int) *lowering {
	l := &lowering{extents: extents, shapes: shapes, loops: make([]int, len(extents))}
	n := 0
	for i, e := range extents {
		if e == 1 {
			l.loops[i] = -1
			continue
		}
		l.loops[i] = n
		n++
	}
	l.limits = func(i int) ir.Affine { return ir.Int(extents[i]) }
	return l
}

func (l *lowering) index(a ir.Affine) index {
	x := index{c: a.Const}
	for _, t := range a.Terms {
		switch t.Atom.Kind {
		case ir.AtomIndex:
			if k := l.loops[t.Atom.Index]; k >= 0 {
				x.lin = append(x.lin, linear{k, t.Coef})
			}
		case ir.AtomQuotient:
			num := l.index(*t.Atom.Num)
			if num.isLinear() && len(num.lin) == 0 {
				x.c += t.Coef * floorDiv(num.c, t.Atom.Den)
				continue
			}
			x.quo = append(x.quo, quotient{t.Coef, t.Atom.Den, num})
		case ir.AtomLoad:
			x.load = append(x.load, load{t.Coef, l.access(t.Atom.Load)})
		default:
			panic(fmt.Sprintf("BUG: interp: symbol %s is not bound", t.Atom.Symbol))
		}
	}
	return x
}

func (l *lowering) access(r *ir.Read) *access {
	shape := l.shapes[r.Operand]
	if len(shape) != len(r.Index) {
		panic(fmt.Sprintf("BUG: interp: %d indices for an operand of %d dimensions", len(r.Index), len(shape)))
	}
	a := &access{operand: r.Operand, sizes: shape, strides: stridesOf(shape), guarded: r.Guarded, other: r.Else, check: make([]bool, len(shape))}
	a.flat = true
	for i, ix := range r.Index {
		x := l.index(ix)
		a.dims = append(a.dims, x)
		a.check[i] = (r.Guarded || x.loads()) && !ir.Inside(ix, ir.Int(shape[i]), l.limits)
		a.flat = a.flat && x.isLinear() && !a.check[i]
	}
	if a.flat {
		for i := range a.dims {
			a.off.add(&a.dims[i], a.strides[i])
		}
	}
	return a
}

// add adds k·y to a linear x.
func (x *index) add(y *index, k int) {
	x.c += k * y.c
	for _, t := range y.lin {
		found := false
		for i := range x.lin {
			if x.lin[i].loop == t.loop {
				x.lin[i].coef += k * t.coef
				found = true
			}
		}
		if !found {
			x.lin = append(x.lin, linear{t.loop, k * t.coef})
		}
	}
	kept := x.lin[:0]
	for _, t := range x.lin {
		if t.coef != 0 {
			kept = append(kept, t)
		}
	}
	x.lin = kept
}

func stridesOf(shape []int) []int {
	s, n := make([]int, len(shape)), 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func floorDiv(a, n int) int {
	q := a / n
	if a%n < 0 {
		q--
	}
	return q
}
