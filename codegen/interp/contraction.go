package interp

import (
	"cmp"
	"math"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// contraction is a sum of products of two reads, computed as products of matrices C = A·B, one for each point of the batch loops.
//
// Every loop belongs to one of four groups: M occurs in A and the result, N in B and the result, K in A and B, and batch loops
// in all three. The matrices' rows and columns are the groups' points in row-major order.
type contraction struct {
	extents []int
	batch   []int // loops of each group
	m, n, k []int
	size    [4]int // points of batch, M, N, K
	a, b    *operand
	c       matrix // of the result
	cOff    index
	scale   float64
	divide  bool // by scale

	prepack bool // B is packed as a whole before the jobs
	outs    []block
	rounds  int // number of parts into which K is split
	kStep   int
}

// block is a part of the result: a batch point, rows and columns.
type block struct{ batch, m0, m1, n0, n1 int }

// matrix tells how a group of rows and one of columns lie in memory.
type matrix struct {
	rowPitch, colPitch int
	direct             bool // rowPitch and colPitch tell it all
}

// operand is one factor of a contraction, as a matrix of rows and columns.
type operand struct {
	number     int // among the nest's operands
	rows, cols []int
	rowOff     index // offset in the operand: rowOff of the row (and the batch) plus colOff of the column
	colOff     index
	checks     []dimCheck
	matrix
	trans    bool // stored, or packed, column by column
	rowTable *table
	colTable *table
}

// dimCheck is a dimension whose index can lie outside: the element is zero there.
type dimCheck struct {
	row, col index
	size     int
}

// table holds offsets and checked indices of consecutive points of a group.
type table struct {
	off []int
	chk [][]int
}

const (
	blockM = 64
	blockK = 128
	blockN = 128 // gonum starts goroutines of its own for four blocks of 64 by 64 and more
	// cachedTable is the size of a group up to which its table is made once.
	cachedTable = 1 << 16
)

// contraction recognises a sum of products of two reads that is worth packing into matrices. It returns nil for others.
func (c *compiler[F]) contraction(n *ir.Nest, extents []int) *contraction {
	e, scale, divide := n.Body, 1.0, false
	if e.Op == ir.OpMul && e.Leaf == ir.NotLeaf {
		for i := range 2 {
			if v, ok := e.Args[i].IsConst(); ok {
				e, scale = e.Args[1-i], v
				break
			}
		}
	} else if e.Op == ir.OpDiv && e.Leaf == ir.NotLeaf {
		if v, ok := e.Args[1].IsConst(); ok {
			e, scale, divide = e.Args[0], v, true
		}
	}
	if e.Leaf != ir.NotLeaf || e.Op != ir.OpMul || e.DType != tensor.F32 || scale == 0 || math.IsNaN(scale) || math.IsInf(scale, 0) {
		return nil
	}
	for _, a := range e.Args {
		if a.Leaf != ir.LeafRead || a.Read.Guarded && a.Read.Else != 0 {
			return nil
		}
	}
	x, y := c.low.access(e.Args[0].Read), c.low.access(e.Args[1].Read)
	if x.loads() || y.loads() {
		return nil
	}
	t := &contraction{extents: c.extents, scale: scale, divide: divide, cOff: c.nest.outs}
	for l, class := range c.class {
		inX, inY := x.uses(l), y.uses(l)
		switch {
		case class == outputLoop && inX && inY:
			t.batch = append(t.batch, l)
		case class == outputLoop && inY:
			t.n = append(t.n, l)
		case class == outputLoop:
			t.m = append(t.m, l)
		case inX && inY:
			t.k = append(t.k, l)
		default:
			return nil // summed over one factor only
		}
	}
	if last(t.m) > last(t.n) { // N holds the result's innermost loop
		t.m, t.n = t.n, t.m
		x, y = y, x
	}
	// The order of the reduced loops is free: the one in which the first factor's elements are neighbours packs fastest.
	slices.SortStableFunc(t.k, func(l, r int) int { return cmp.Compare(x.reach(r), x.reach(l)) })
	for i, group := range [][]int{t.batch, t.m, t.n, t.k} {
		t.size[i] = 1
		for _, l := range group {
			t.size[i] *= c.extents[l]
		}
	}
	if _, m, n, k := t.size[0], t.size[1], t.size[2], t.size[3]; n < 4 || k < 2 || m*n*k < 2048 {
		return nil
	}
	if t.a = t.operand(x, t.m, t.k); t.a == nil {
		return nil
	}
	if t.b = t.operand(y, t.k, t.n); t.b == nil {
		return nil
	}
	t.c = t.layout(&t.cOff, t.m, t.n)
	t.c.direct = t.c.direct && t.c.colPitch == 1 && t.c.rowPitch >= t.size[2]
	t.orient()
	t.split()
	return t
}

// reach returns how far apart the elements of neighbouring points of a loop are.
func (a *access) reach(loop int) int {
	n := 0
	for i := range a.dims {
		n += a.dims[i].coef(loop) * a.strides[i]
	}
	return max(n, -n)
}

func last(loops []int) int {
	if len(loops) == 0 {
		return -1
	}
	return loops[len(loops)-1]
}

// operand separates a's index expressions into a part of the rows and the batch and a part of the columns. It returns nil if a quotient
// mixes them.
func (t *contraction) operand(a *access, rows, cols []int) *operand {
	o := &operand{number: a.operand, rows: rows, cols: cols}
	for d := range a.dims {
		x := &a.dims[d]
		row, col := index{c: x.c}, index{}
		for _, l := range x.lin {
			if slices.Contains(cols, l.loop) {
				col.lin = append(col.lin, l)
			} else {
				row.lin = append(row.lin, l)
			}
		}
		for _, q := range x.quo {
			inCols, inRows := false, false
			for l := range t.extents {
				if q.num.uses(l) {
					if slices.Contains(cols, l) {
						inCols = true
					} else {
						inRows = true
					}
				}
			}
			switch {
			case inCols && inRows:
				return nil
			case inCols:
				col.quo = append(col.quo, q)
			default:
				row.quo = append(row.quo, q)
			}
		}
		o.rowOff.addScaled(&row, a.strides[d])
		o.colOff.addScaled(&col, a.strides[d])
		if a.check[d] {
			o.checks = append(o.checks, dimCheck{row, col, a.sizes[d]})
		}
	}
	if len(o.checks) == 0 {
		both := o.rowOff
		both.lin = append([]linear{}, both.lin...)
		both.quo = append([]quotient{}, both.quo...)
		both.addScaled(&o.colOff, 1)
		o.matrix = t.layout(&both, rows, cols)
	}
	if product(t.pick(rows)) <= cachedTable && len(t.batch) == 0 {
		o.rowTable = &table{}
		t.fill(o.rowTable, o, true, 0, product(t.pick(rows)), make([]int, len(t.extents)))
	}
	if product(t.pick(cols)) <= cachedTable {
		o.colTable = &table{}
		t.fill(o.colTable, o, false, 0, product(t.pick(cols)), make([]int, len(t.extents)))
	}
	return o
}

// addScaled adds k·y to x.
func (x *index) addScaled(y *index, k int) {
	x.add(&index{c: y.c, lin: y.lin}, k)
	for _, q := range y.quo {
		x.quo = append(x.quo, quotient{q.coef * k, q.den, q.num})
	}
}

func (t *contraction) pick(loops []int) []int {
	e := make([]int, len(loops))
	for i, l := range loops {
		e[i] = t.extents[l]
	}
	return e
}

// layout finds the distances between rows and between columns, where they are the same everywhere.
func (t *contraction) layout(off *index, rows, cols []int) matrix {
	var m matrix
	if !off.isLinear() {
		return m
	}
	var ok1, ok2 bool
	m.rowPitch, ok1 = t.pitch(off, rows)
	m.colPitch, ok2 = t.pitch(off, cols)
	nr, nc := product(t.pick(rows)), product(t.pick(cols))
	if nr == 1 {
		m.rowPitch = max(1, nc*m.colPitch)
	}
	if nc == 1 {
		m.colPitch = 1
		if m.rowPitch == 1 && nr > 1 {
			m.colPitch = nr
		}
	}
	m.direct = ok1 && ok2 && (m.colPitch == 1 && m.rowPitch >= nc || m.rowPitch == 1 && m.colPitch >= nr)
	return m
}

func (t *contraction) pitch(off *index, loops []int) (int, bool) {
	if len(loops) == 0 {
		return 0, true
	}
	p := off.coef(loops[len(loops)-1])
	step := p
	for i := len(loops) - 1; i >= 0; i-- {
		if off.coef(loops[i]) != step {
			return 0, false
		}
		step *= t.extents[loops[i]]
	}
	return p, p > 0
}

// orient decides which operands are used where they lie, and in which orientation the others are packed: along runs of
// neighbouring elements, but never both column by column, for which gonum has no fast loop.
func (t *contraction) orient() {
	b := t.b
	b.trans = b.direct && b.colPitch != 1
	a := t.a
	a.trans = a.direct && a.colPitch != 1
	if b.trans {
		if a.trans {
			a.direct, a.trans = false, false
		}
		return
	}
	if !a.direct && a.colOff.coef(last(a.cols)) != 1 {
		a.trans = a.rowOff.coef(last(a.rows)) == 1
	}
}

// split divides the product into jobs, by its shape alone.
func (t *contraction) split() {
	batch, m, n, k := t.size[0], t.size[1], t.size[2], t.size[3]
	rows, cols := m, n
	if batch*((m+blockM-1)/blockM) >= 16 {
		rows = blockM
		for rows < m && rows*n*k < 1<<18 && batch*m > 32*rows {
			rows *= 2
		}
	} else if batch*n >= 2048 && n > 2*blockN {
		cols = 2 * blockN
	}
	for b := range batch {
		for m0 := 0; m0 < m; m0 += rows {
			for n0 := 0; n0 < n; n0 += cols {
				t.outs = append(t.outs, block{b, m0, min(m, m0+rows), n0, min(n, n0+cols)})
			}
		}
	}
	t.rounds, t.kStep = 1, k
	if rounds := min(32/len(t.outs), k/256); rounds > 1 {
		t.kStep = (k + rounds - 1) / rounds
		t.rounds = (k + t.kStep - 1) / t.kStep
	}
	t.prepack = !t.b.direct && rows < m && batch*k*n <= 1<<24
}
