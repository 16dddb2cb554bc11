package native

import (
	"slices"

	"github.com/llir/llvm/ir/value"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Note [Copies across]
//
// A copy whose result's last dimension lies far apart in its operand would gather each vector, element by element. Where another loop goes through
// the operand in single steps, a square of as many rows as a vector has lanes is loaded along that loop, transposed in registers, and stored along the result.

// transposes finds whether the nest is such a copy, and makes that other loop its row loop.
func (c *nestCompiler) transposes() {
	root := c.roots[0]
	if !c.does(doSquares) || c.combine != ir.Map || c.v < 0 || len(c.roots) != 1 || len(c.guards) > 0 || root.leaf != ir.LeafRead || root.dtype == tensor.Bool || !root.access.flat || c.tile > 0 {
		return
	}
	off := root.access.off
	if n, known := c.extents[c.v].isConst(); !known || n%c.lanes != 0 || off.coef(c.v) == nil || off.coef(c.v).is(1) || !c.outs.off.coef(c.v).is(1) {
		return
	}
	for _, u := range c.outer {
		if n, known := c.extents[u].isConst(); !known || n < c.lanes || !off.coef(u).is(1) {
			continue
		}
		if _, known := c.outs.off.coef(u).isConst(); !known {
			continue
		}
		c.rows = []rowLoop{{u, c.lanes}}
		c.outer = without(c.outer, u)
		c.square = true
		return
	}
}

// transposed writes the copy of a square: ins are its rows of the result.
func (e *emitter) transposed(ins []*instance) {
	a := e.roots[0].access
	s := e.inner()
	d := e.roots[0].dtype
	base := s.at(e.operand(a, d), e.index(a, ins[0]))
	step := e.size(a.off.coef(e.v))
	rows := make([]value.Value, e.lanes)
	for l := range rows { // row l holds what lane l of the result's rows is
		p := base
		if l > 0 {
			p = s.at(base, s.mul(step, int64Const(l)))
		}
		rows[l] = s.load(p, e.lanes, nil, nil)
		s.prefetch(s.at(p, int64Const(e.lanes)), false) // of the next square: the processor does not foresee that many rows
	}
	rows = s.transpose(rows)
	for k, in := range ins {
		e.storeResult(in, 0, rows[k])
	}
}

// transpose returns the columns of a square, which is given by its rows; their number is a power of 2.
func (s *scope) transpose(rows []value.Value) []value.Value {
	lanes := len(rows)
	for half := lanes / 2; half >= 1; half /= 2 {
		low, high := make([]int, lanes), make([]int, lanes)
		for k := range lanes {
			if k&half == 0 {
				low[k], high[k] = k, k+half
			} else {
				low[k], high[k] = lanes+k-half, lanes+k
			}
		}
		next := slices.Clone(rows)
		for k := range rows {
			if k&half == 0 {
				next[k], next[k+half] = s.shuffleBoth(rows[k], rows[k+half], low), s.shuffleBoth(rows[k], rows[k+half], high)
			}
		}
		rows = next
	}
	return rows
}

// shuffleBoth returns the lanes of x, and behind them those of y, with these numbers.
func (s *scope) shuffleBoth(x, y value.Value, index []int) value.Value {
	return s.blk.NewShuffleVector(x, y, lanes(i32, len(index), func(l int) int { return index[l] }))
}
