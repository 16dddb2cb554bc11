package native

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// Note [Tiles of rows]
//
// A reduction that computes one vector of the result at a time loads as much as it computes. Where an operand does not depend on one of the
// result's loops, the row loop, several rows are computed together, so that what is loaded of that operand serves all of them. For a
// matrix product, and in the same way for a convolution, this is the register-tiled kernel: rows × vectors of sums in registers, one
// element of the first operand for each row, one vector of the second for each vector.
//
// Where the vector loop is reduced, all operands are loaded as vectors, and tiles of two row loops make their loads serve: a product with a
// transposed matrix is of this kind.
//
// The rows of the last tile overlap those before it, and compute the same elements again, so that there is one piece of code. If there
// are fewer rows than a tile has, which can be known only when the program runs, rows are computed one by one, and more vectors together.

// rowLoop is a loop of the result of which n rows are computed together.
type rowLoop struct{ loop, n int }

// tiling chooses the row loops and the sizes of their tiles.
func (c *nestCompiler) tiling(level Level) {
	c.unroll = 1
	if c.combine == ir.Map || c.scatter || c.combine == ir.ArgMax || c.combine == ir.ArgMin {
		return
	}
	switch nodes := len(c.known); {
	case nodes <= 3:
		c.unroll = 8
	case nodes <= 6:
		c.unroll = 4
	case nodes <= 12:
		c.unroll = 2
	}
	if !c.does(doTiles) || c.v < 0 || len(c.known) > 8 || len(c.guards) > 0 || c.outs.fails() {
		return
	}
	row := c.bestRow(c.outer)
	if row < 0 {
		return
	}
	vectors := mostVectors(level)
	if n, ok := c.extents[c.v].isConst(); ok {
		for vectors > 1 && n < vectors*c.lanes && n <= vectors/2*c.lanes {
			vectors /= 2
		}
	}
	most := map[int]int{4: 6, 2: 12, 1: 14} // that leave registers for the operands
	if level.Regs < 32 {
		most = map[int]int{2: 5, 1: 8}
	}
	if !c.across {
		vectors = 1
		most = map[int]int{1: 8}
		if level.Regs < 32 {
			most[1] = 6
		}
	}
	second := -1
	if !c.across && c.roots[0].op == ir.OpMul {
		second = c.bestRow(without(c.outer, row))
	}
	if second >= 0 {
		most[1] = 4
		if level.Regs < 32 {
			most[1] = 3
		}
		// The tiles of the second loop are the outer ones: what does not depend on the first is loaded once for all of its tiles.
		c.addRow(second, most[1])
	}
	c.addRow(row, most[vectors])
	if len(c.rows) == 0 {
		return
	}
	c.unroll = vectors
	if c.across {
		c.tile = vectors * c.lanes
		if n, ok := c.extents[c.v].isConst(); ok && n <= c.tile {
			c.tile = 0
		}
	}
}

// mostVectors returns how many vectors of the result's columns are computed together.
func mostVectors(level Level) int {
	if level.Regs < 32 {
		return 2
	}
	return 4
}

// addRow makes an outer loop a row loop with tiles of at most that many rows.
func (c *nestCompiler) addRow(loop, most int) {
	n := min(most, 8) // batches are often multiples of it
	if most == 6 {
		n = 5 // of 32, 50, 64 or 128 rows less is left over than with 6
	}
	if extent, ok := c.extents[loop].isConst(); ok {
		n = evenTile(extent, most)
	}
	if n < 2 {
		return
	}
	c.rows = append(c.rows, rowLoop{loop, n})
	c.outer = without(c.outer, loop)
}

func without(loops []int, loop int) []int {
	return slices.DeleteFunc(slices.Clone(loops), func(l int) bool { return l == loop })
}

// bestRow returns the best row loop among some, −1 if none can be one.
func (c *nestCompiler) bestRow(loops []int) int {
	row, best := -1, 0
	for _, u := range loops {
		if s := c.reuse(u); s > 0 && s >= best {
			row, best = u, s
		}
	}
	return row
}

// evenTile returns the tile of at most that many rows that wastes least of n rows.
func evenTile(n, most int) int {
	best, cost := 1, 0
	for r := 1; r <= min(n, most); r++ {
		// A quarter of a row is the price of what all rows of a tile share.
		if k := (n + r - 1) / r * (4*r + 1); r == 1 || k <= cost {
			best, cost = r, k
		}
	}
	return best
}

// reuse rates an outer loop as the row loop; 0: it cannot be one.
func (c *nestCompiler) reuse(u int) int {
	s, ok := 0, true
	c.visit(func(*form) {}, func(a *access) {
		switch {
		case a.hides(u) || a.fails():
			ok = false
		case a == c.outs:
		case a.uses(u):
		case c.v >= 0 && a.uses(c.v):
			s += 6 // vectors are loaded once for all rows
		default:
			s += 4
		}
		if coef := a.off.coef(u); coef != nil {
			if _, known := coef.isConst(); !known {
				ok = false
			}
		}
	})
	for _, nd := range c.known {
		if nd.form != nil && nd.form.uses(u) {
			ok = false
		}
	}
	if !ok || s == 0 {
		return 0
	}
	if n, known := c.extents[u].isConst(); !known {
		s++
	} else if n < 4 {
		s -= 3
	}
	return s
}
