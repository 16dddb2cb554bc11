package exec

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Note [Proofs that values are finite]
//
// A call that demands finite values has to know that the cells' next values are finite before it writes the first one. To compute them for
// that alone takes about as long as the update itself. Mostly they can be proved finite from bounds: an interval that all elements of an
// operand lie in. The bounds of a cell are those of its last update; those of a gradient follow from the greatest magnitude among its
// elements, or among those of the factors that it is a sum of products of, which are fewer. Interval arithmetic gives the bounds of the next
// values, and of everything between, in some dozen operations for each parameter.
//
// Where nothing is known of a cell, since it was set from outside, its elements are looked at once. Bounds grow from update to update, more
// than the values do; when a proof fails, the cells' elements are looked at again. If it fails then, too, the values themselves are computed
// and checked, as if there were no proof: a proof saves time and decides nothing.

// Proof shows that the next values of some cells are finite, as facts of which each may use those before it.
type Proof struct {
	Facts []Fact
	Cells []Bounded
}

// Bounded is a cell and the number of the fact that bounds its next value.
type Bounded struct{ Cell, Fact int }

// Fact is bounds: which, its kind says.
type Fact struct {
	Kind  FactKind
	Value float64 // FactLiteral
	Slot  int     // FactScalar, FactMagnitude
	Cell  int     // FactCell
	Op    ir.Op   // FactOp
	Args  []int   // FactOp, FactProducts: facts

	Count []ir.Affine // FactProducts: the extents of the loops that are summed
}

// FactKind is a kind of Fact.
type FactKind uint8

// The kinds.
const (
	FactLiteral   FactKind = iota // Value
	FactScalar                    // the only element of Slot
	FactMagnitude                 // the greatest magnitude of some elements is the only element of Slot
	FactCell                      // the elements of Cell before the call
	FactOp                        // Op of operands with the bounds Args; of OpSelect, those of the two sides
	FactProducts                  // a sum of products of elements with the bounds Args
	factKinds
)

// interval is what numbers lie in. One that is not valid bounds nothing.
type interval struct{ lo, hi float64 }

// most is what bounds may be at most: the greatest f32, and room for rounding.
const most = math.MaxFloat32 / 2

// least is the least normal f32: what is nearer to 0 is rounded in steps that are not small in proportion to it, or taken for 0.
const least = 0x1p-126

// slack is how far a computed number may lie from the exact one, in proportion to it.
const slack = 0x1p-20

func (v interval) valid() bool { return v.lo <= v.hi && v.lo >= -most && v.hi <= most }

// nothing bounds nothing.
var nothing = interval{math.Inf(-1), math.Inf(1)}

// rounded returns what a computed number lies in if the exact one lies in v. Rounding takes no number past 0.
func (v interval) rounded(slack float64) interval {
	v.lo -= math.Abs(v.lo) * slack
	v.hi += math.Abs(v.hi) * slack
	switch {
	case v.lo > 0 && v.lo < least:
		v.lo = 0
	case v.lo < 0 && v.lo > -least:
		v.lo = -least
	}
	switch {
	case v.hi < 0 && v.hi > -least:
		v.hi = 0
	case v.hi > 0 && v.hi < least:
		v.hi = least
	}
	return v
}

// magnitude is the greatest magnitude in v.
func (v interval) magnitude() float64 { return max(-v.lo, v.hi) }

// apply returns the bounds of op's result.
func apply(op ir.Op, x []interval, same bool) interval {
	a := x[0]
	var b interval
	if len(x) > 1 {
		b = x[1]
	}
	switch op {
	case ir.OpAdd:
		return interval{a.lo + b.lo, a.hi + b.hi}.rounded(slack)
	case ir.OpSub:
		return interval{a.lo - b.hi, a.hi - b.lo}.rounded(slack)
	case ir.OpMul:
		if same {
			return square(a).rounded(slack)
		}
		return product4(a, b).rounded(slack)
	case ir.OpSquare:
		return square(a).rounded(slack)
	case ir.OpDiv:
		if b.lo <= 0 && b.hi >= 0 {
			return nothing
		}
		return product4(a, interval{1 / b.hi, 1 / b.lo}).rounded(slack)
	case ir.OpSqrt:
		if a.lo < 0 {
			return nothing
		}
		return interval{math.Sqrt(a.lo), math.Sqrt(a.hi)}.rounded(slack)
	case ir.OpNeg:
		return interval{-a.hi, -a.lo}
	case ir.OpAbs:
		if a.lo <= 0 && a.hi >= 0 {
			return interval{0, a.magnitude()}
		}
		return interval{min(math.Abs(a.lo), math.Abs(a.hi)), a.magnitude()}
	case ir.OpSign:
		return interval{-1, 1}
	case ir.OpStop:
		return a
	case ir.OpMin:
		return interval{min(a.lo, b.lo), min(a.hi, b.hi)}
	case ir.OpMax:
		return interval{max(a.lo, b.lo), max(a.hi, b.hi)}
	case ir.OpSelect:
		return interval{min(a.lo, b.lo), max(a.hi, b.hi)}
	}
	return nothing
}

// Bounds reports whether bounds of op's result follow from those of its operands.
func Bounds(op ir.Op) bool {
	switch op {
	case ir.OpAdd, ir.OpSub, ir.OpMul, ir.OpSquare, ir.OpDiv, ir.OpSqrt, ir.OpNeg, ir.OpAbs, ir.OpSign, ir.OpStop, ir.OpMin, ir.OpMax, ir.OpSelect:
		return true
	}
	return false
}

func square(a interval) interval {
	m := a.magnitude()
	if a.lo <= 0 && a.hi >= 0 {
		return interval{0, m * m}
	}
	n := min(math.Abs(a.lo), math.Abs(a.hi))
	return interval{n * n, m * m}
}

func product4(a, b interval) interval {
	p, q, r, s := a.lo*b.lo, a.lo*b.hi, a.hi*b.lo, a.hi*b.hi
	return interval{min(p, q, r, s), max(p, q, r, s)}
}

// operands returns how many operands op's facts have.
func operands(op ir.Op) int {
	if op == ir.OpSelect {
		return 2
	}
	return len(op.Row().Params)
}

// check reports what is wrong with p.
func (p *Proof) check(c *checker) error {
	for k, f := range p.Facts {
		ok := f.Kind < factKinds
		switch f.Kind {
		case FactScalar, FactMagnitude:
			ok = c.has(f.Slot) && c.f.Slots[f.Slot].Type.Equal(ir.Scalar(tensor.F32))
		case FactCell:
			ok = c.bounded(f.Cell)
		case FactOp:
			ok = Bounds(f.Op) && len(f.Args) == operands(f.Op)
		case FactProducts:
			ok = len(f.Args) == 2
		}
		for _, a := range f.Args {
			ok = ok && a >= 0 && a < k
		}
		if !ok {
			return fmt.Errorf("fact %d of its proof does not follow", k)
		}
	}
	for _, b := range p.Cells {
		if !c.bounded(b.Cell) || b.Fact < 0 || b.Fact >= len(p.Facts) {
			return fmt.Errorf("its proof is not of cell %d", b.Cell)
		}
	}
	return nil
}

// bounded reports whether facts may speak of a cell: of numbers that lie in memory as f32, which is how their extremes are found.
func (c *checker) bounded(cell int) bool {
	return cell >= 0 && cell < len(c.Module.Cells) && c.Module.Cells[cell].Type.DType == tensor.F32 && !c.Module.Cells[cell].Half
}

// counts returns how many products each fact sums.
func (p *Proof) counts(bind map[string]int) ([]float64, error) {
	counts := make([]float64, len(p.Facts))
	for k, f := range p.Facts {
		counts[k] = 1
		for _, d := range f.Count {
			n, err := evalDim(d, bind)
			if err != nil {
				return nil, err
			}
			counts[k] *= float64(n)
		}
	}
	return counts, nil
}

// patience is how many calls pass before a proof that failed is tried again.
type patience struct{ wait, next int }

const maxWait = 1024

// proves tries the proof of check number n. If it succeeds, the bounds of the cells' next values are noted.
func (f *frame) proves(n int) bool {
	p := f.fn.Checks[n].Proof
	if p == nil {
		return false
	}
	w := f.patience[p]
	if w != nil && w.wait > 0 {
		w.wait--
		return false
	}
	if f.follows(p, n) || f.lookAtCells(p) && f.follows(p, n) {
		delete(f.patience, p)
		return true
	}
	if w == nil {
		w = &patience{next: 1}
		f.patience[p] = w
	}
	w.wait = w.next
	w.next = min(2*w.next, maxWait)
	return false
}

// follows evaluates the facts of a proof.
func (f *frame) follows(p *Proof, n int) bool {
	f.facts = f.facts[:0]
	var x [2]interval
	for k := range p.Facts {
		t := &p.Facts[k]
		for i, a := range t.Args {
			x[i] = f.facts[a]
		}
		v := nothing
		switch t.Kind {
		case FactLiteral:
			v = interval{t.Value, t.Value}.rounded(slack)
		case FactScalar, FactMagnitude:
			e := float64(*(*float32)(unsafe.Pointer(unsafe.SliceData(f.bytes[t.Slot]))))
			v = interval{e, e}
			if t.Kind == FactMagnitude {
				v.lo = -e
			}
		case FactCell:
			if c := &f.cells[t.Cell]; c.bounded {
				v = c.bounds
			}
		case FactOp:
			v = apply(t.Op, x[:len(t.Args)], len(t.Args) == 2 && t.Args[0] == t.Args[1])
		case FactProducts:
			m := f.counts[n][k] * x[0].magnitude() * x[1].magnitude()
			v = interval{-m, m}.rounded(slack + f.counts[n][k]*0x1p-22)
		}
		if !v.valid() {
			return false
		}
		f.facts = append(f.facts, v)
	}
	for _, b := range p.Cells {
		f.next = append(f.next, nextBounds{b.Cell, f.facts[b.Fact]})
	}
	return true
}

// nextBounds is the bounds of a cell's next value.
type nextBounds struct {
	cell   int
	bounds interval
}

// lookAtCells finds the bounds of the cells that a proof speaks of; false if there are none.
func (f *frame) lookAtCells(p *Proof) bool {
	found := false
	for _, t := range p.Facts {
		if t.Kind == FactCell {
			c := &f.cells[t.Cell]
			c.bounds, c.bounded = f.extremes(c.now), true
			found = true
		}
	}
	return found
}

// extremes returns the bounds of the f32 elements in memory; what is not finite makes them invalid.
func (f *frame) extremes(memory []byte) interval {
	const piece = 1 << 16
	l := &looking{elems: over(tensor.F32, []int{len(memory) / 4}, memory).F32, piece: piece}
	l.found = make([]interval, (len(l.elems)+piece-1)/piece)
	f.team.do(len(l.found), 1, false, l)
	all := interval{}
	for _, v := range l.found {
		if !v.valid() {
			return nothing
		}
		all = interval{min(all.lo, v.lo), max(all.hi, v.hi)}
	}
	return all
}

// looking is the work of extremes, in chunks.
type looking struct {
	elems []float32
	piece int
	found []interval
}

func (l *looking) chunks(_ *worker, first, n int) {
	for k := range n {
		l.look(first + k)
	}
}

func (l *looking) look(k int) {
	part := l.elems[k*l.piece : min(len(l.elems), (k+1)*l.piece)]
	lo, hi, odd := part[0], part[0], false
	for _, x := range part {
		if x < lo {
			lo = x
		} else if x > hi {
			hi = x
		}
		odd = odd || x != x
	}
	l.found[k] = interval{float64(lo), float64(hi)}
	if odd {
		l.found[k] = nothing
	}
}

var _ chunked = (*looking)(nil)
