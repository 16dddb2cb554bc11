package interp

import (
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// stripLen is the number of points that a nest's body is computed for at once: long enough to hide the cost of going from one
// scalar op to the next, short enough that a body's registers stay in the first-level cache.
const stripLen = 512

// segment is a run of points of a strip along the innermost loop.
type segment struct {
	pos, n int // where in the strip, and how many points
	row    int // where in strip.loops the values of all loops at the first point lie
}

// strip is a sequence of points of a nest: rows, or parts of rows, of the innermost loop.
type strip struct {
	n     int
	segs  []segment
	loops []int
}

// space is the loops of a nest in the order of iteration: outer ones, reduced ones, the innermost.
type space struct {
	extents []int
	outer   int // number of outer loops
	guards  []guard
}

type guard struct {
	e, limit  index
	inner     int  // coefficient of the innermost loop in e
	irregular bool // the innermost loop occurs otherwise
}

// cursor walks over part of a space, strip by strip.
type cursor struct {
	*space
	p, p1     int // over the outer loops, flattened
	r, r0, r1 int // over the reduced loops, flattened
	v, v0, v1 int // over the innermost loop
	loops     []int
}

func (s *space) innermost() int { return len(s.extents) - 1 }

// start sets the cursor to the first point of a part.
func (c *cursor) start(s *space, p0, p1, r0, r1, v0, v1 int) {
	*c = cursor{space: s, p: p0, p1: p1, r: r0, r0: r0, r1: r1, v: v0, v0: v0, v1: v1, loops: append(c.loops[:0], s.extents...)}
	if p0 >= p1 || r0 >= r1 || v0 >= v1 {
		c.p = c.p1
		return
	}
	s.unflatten(c.loops, 0, s.outer, p0)
	s.unflatten(c.loops, s.outer, s.innermost(), r0)
}

// unflatten sets the loops [from, to) to the values that they have at their flattened point number n.
func (s *space) unflatten(loops []int, from, to, n int) {
	for k := to - 1; k >= from; k-- {
		loops[k] = n % s.extents[k]
		n /= s.extents[k]
	}
}

func (s *space) step(loops []int, from, to int) {
	for k := to - 1; k >= from; k-- {
		loops[k]++
		if loops[k] < s.extents[k] {
			return
		}
		loops[k] = 0
	}
}

// next fills the worker's strip with the following points at which no guard fails, and reports whether there are any.
func (c *cursor) next(st *strip, data loader) bool {
	st.n, st.segs, st.loops = 0, st.segs[:0], st.loops[:0]
	inner := c.innermost()
	for st.n < stripLen && c.p < c.p1 {
		n := min(stripLen-st.n, c.v1-c.v)
		c.loops[inner] = c.v
		if len(c.guards) == 0 {
			st.add(c.loops, n)
		} else {
			c.guarded(st, n, data)
		}
		if c.v += n; c.v < c.v1 {
			continue
		}
		c.v = c.v0
		if c.r++; c.r < c.r1 {
			c.step(c.loops, c.outer, inner)
			continue
		}
		c.r = c.r0
		c.unflatten(c.loops, c.outer, inner, c.r0)
		c.p++
		c.step(c.loops, 0, c.outer)
	}
	return st.n > 0
}

func (st *strip) add(loops []int, n int) {
	st.segs = append(st.segs, segment{st.n, n, len(st.loops)})
	st.loops = append(st.loops, loops...)
	st.n += n
}

// guarded adds those of the n points from loops on that pass all guards. A guard that depends on the innermost loop linearly, or not at
// all, costs a division a row, not a test a point.
func (c *cursor) guarded(st *strip, n int, data loader) {
	inner := c.innermost()
	v := c.loops[inner]
	lo, hi := 0, n
	for k := range c.guards {
		g := &c.guards[k]
		if g.irregular {
			for lo < hi { // runs of passing points
				for lo < hi && !c.pass(v+lo, data) {
					lo++
				}
				end := lo
				for end < hi && c.pass(v+end, data) {
					end++
				}
				if lo < end {
					c.loops[inner] = v + lo
					st.add(c.loops, end-lo)
				}
				lo = end
			}
			c.loops[inner] = v
			return
		}
		e := g.e.at(c.loops, data)
		from, to := within(e, g.inner, g.limit.at(c.loops, data), n)
		lo, hi = max(lo, from), min(hi, to)
		if lo >= hi {
			return
		}
	}
	c.loops[inner] = v + lo
	st.add(c.loops, hi-lo)
	c.loops[inner] = v
}

func (c *cursor) pass(v int, data loader) bool {
	c.loops[c.innermost()] = v
	for k := range c.guards {
		if e := c.guards[k].e.at(c.loops, data); e < 0 || e >= c.guards[k].limit.at(c.loops, data) {
			return false
		}
	}
	return true
}

// within returns the range of k in [0, n) for which 0 ≤ e + c·k < limit.
func within(e, c, limit, n int) (lo, hi int) {
	switch {
	case c == 0:
		if e < 0 || e >= limit {
			return 0, 0
		}
		return 0, n
	case c > 0:
		return max(0, -floorDiv(e, c)), min(n, floorDiv(limit-1-e, c)+1)
	default:
		return max(0, -floorDiv(limit-1-e, -c)), min(n, floorDiv(e, -c)+1)
	}
}

// worker is the memory of one goroutine while it computes a nest: registers, the strip, the first error.
type worker[F float] struct {
	args []*buffer[F]

	// Registers by number of node; a register may be a view of an operand or of the result.
	f [][]F
	i [][]int32
	b [][]bool

	// The registers' own memory.
	fown [][]F
	iown [][]int32
	bown [][]bool

	strip   strip
	cursor  cursor
	offsets []int
	point   []int
	acc     accumulator[F]
	pack    packing[F]
	bad     *runtime.RangeError
}

func (w *worker[F]) outside(index, limit int) {
	if w.bad == nil {
		w.bad = &runtime.RangeError{Index: index, Limit: limit}
	}
}

// loadIndex returns the i32 element that a reads.
func (w *worker[F]) loadIndex(a *access, loops []int) int {
	off, inside := w.offset(a, loops)
	if !inside {
		return int(a.other)
	}
	return int(w.args[a.operand].i[off])
}

// offset returns the offset of the element that a reads at one point. Where it is outside, inside is false for a guarded access, and for
// another one the error is noted and the first element stands in.
func (w *worker[F]) offset(a *access, loops []int) (off int, inside bool) {
	if a.flat {
		return a.off.at(loops, w), true
	}
	for d := range a.dims {
		x := a.dims[d].at(loops, w)
		if a.check[d] && (x < 0 || x >= a.sizes[d]) {
			if !a.guarded {
				w.outside(x, a.sizes[d])
			}
			return 0, !a.guarded
		}
		off += x * a.strides[d]
	}
	return off, true
}

// fetch returns the elements of src that a reads at the worker's strip: a view of src where they lie next to each other, else own,
// filled with them.
func fetch[T any, F float](w *worker[F], a *access, src []T, other T, own []T) []T {
	st := &w.strip
	switch {
	case a.irregular:
		own = own[:st.n]
		innermost := -1
		for _, s := range st.segs {
			row := st.loops[s.row:]
			width := len(st.loops) / len(st.segs)
			w.point = append(w.point[:0], row[:width]...)
			innermost = width - 1
			for k := range s.n {
				w.point[innermost] = row[innermost] + k
				if off, inside := w.offset(a, w.point); inside {
					own[s.pos+k] = src[off]
				} else {
					own[s.pos+k] = other
				}
			}
		}
		return own
	case !a.flat:
		own = own[:st.n]
		for _, s := range st.segs {
			fetchRow(w, a, src, other, own[s.pos:s.pos+s.n], st.loops[s.row:])
		}
		return own
	}
	w.offsets = w.offsets[:0]
	next, dense := -1, a.stride == 1
	for k, s := range st.segs {
		off := a.off.at(st.loops[s.row:], nil)
		w.offsets = append(w.offsets, off)
		dense = dense && (k == 0 || off == next)
		next = off + s.n
	}
	if dense && st.n > 0 {
		return src[w.offsets[0] : w.offsets[0]+st.n]
	}
	own = own[:st.n]
	for k, s := range st.segs {
		copyRow(own[s.pos:s.pos+s.n], src, w.offsets[k], a.stride)
	}
	return own
}

// copyRow fills dst from src at off, off+stride, …
func copyRow[T any](dst, src []T, off, stride int) {
	switch stride {
	case 0:
		x := src[off]
		for k := range dst {
			dst[k] = x
		}
	case 1:
		copy(dst, src[off:off+len(dst)])
	default:
		for k := range dst {
			dst[k] = src[off]
			off += stride
		}
	}
}

// fetchRow fills dst with a row of an access that is checked, or holds quotients or data that stay the same along the row.
func fetchRow[T any, F float](w *worker[F], a *access, src []T, other T, dst []T, loops []int) {
	off, lo, hi := 0, 0, len(dst)
	for d := range a.dims {
		x := a.dims[d].at(loops, w)
		if a.check[d] {
			from, to := within(x, a.inner[d], a.sizes[d], len(dst))
			if !a.guarded && (from > 0 || to < len(dst)) {
				if from == 0 && to > 0 {
					x += to * a.inner[d]
				}
				w.outside(x, a.sizes[d])
				var zero T
				for k := range dst {
					dst[k] = zero
				}
				return
			}
			lo, hi = max(lo, from), min(hi, to)
		}
		off += x * a.strides[d]
	}
	hi = max(hi, lo)
	lo = min(lo, len(dst))
	hi = min(hi, len(dst))
	for k := range dst[:lo] {
		dst[k] = other
	}
	if lo < hi {
		copyRow(dst[lo:hi], src, off+lo*a.stride, a.stride)
	}
	for k := hi; k < len(dst); k++ {
		dst[k] = other
	}
}

// body is the scalar expression of a nest as a program over strips: nodes in an order in which operands come first, each with a
// register of its own number.
type body[F float] struct {
	nodes []node[F]
	root  int
	dtype tensor.DType
}

// run computes the body for the worker's strip.
func (b *body[F]) run(w *worker[F]) {
	n := w.strip.n
	for k := range b.nodes {
		if nd := &b.nodes[k]; !nd.uniform {
			nd.run(w, n)
		}
	}
}

// prepare makes room for the registers and fills those that are the same at all points of the nest, of which it has at most n.
func (b *body[F]) prepare(w *worker[F], n int) {
	n = min(n, stripLen)
	for len(w.f) < len(b.nodes) {
		w.f, w.i, w.b = append(w.f, nil), append(w.i, nil), append(w.b, nil)
		w.fown, w.iown, w.bown = append(w.fown, nil), append(w.iown, nil), append(w.bown, nil)
	}
	for k := range b.nodes {
		nd := &b.nodes[k]
		switch nd.dtype {
		case tensor.F32:
			if w.fown[k] == nil {
				w.fown[k] = make([]F, stripLen)
			}
			w.f[k] = w.fown[k]
		case tensor.I32:
			if w.iown[k] == nil {
				w.iown[k] = make([]int32, stripLen)
			}
			w.i[k] = w.iown[k]
		default:
			if w.bown[k] == nil {
				w.bown[k] = make([]bool, stripLen)
			}
			w.b[k] = w.bown[k]
		}
	}
	w.strip = strip{n: 1, segs: append(w.strip.segs[:0], segment{0, 1, 0}), loops: append(w.strip.loops[:0], 0)}
	for k := range b.nodes {
		nd := &b.nodes[k]
		if !nd.uniform {
			continue
		}
		nd.run(w, 1)
		switch nd.dtype {
		case tensor.F32:
			w.f[k] = spread(w.fown[k], w.f[k][0], n)
		case tensor.I32:
			w.i[k] = spread(w.iown[k], w.i[k][0], n)
		default:
			w.b[k] = spread(w.bown[k], w.b[k][0], n)
		}
	}
}

func spread[T any](own []T, x T, n int) []T {
	for k := range n {
		own[k] = x
	}
	return own
}
