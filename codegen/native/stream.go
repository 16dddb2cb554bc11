package native

import (
	"github.com/llir/llvm/ir/enum"
	"github.com/llir/llvm/ir/value"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// Note [Streamed matrices]
//
// A product of some rows with a matrix that no cache holds,
//
//	z[r, c] = Σ x[r, k] · w[k, c]   over k   (or w[c, k])
//
// should take as long as the larger of its arithmetic and the matrix's way from memory. But a tile of columns reads short pieces that lie a whole
// row of the matrix apart: processors do not foresee them, and they fall into few sets of a cache. So a block of the matrix, of a tile's columns
// and streamRows of k, is first copied to a thread's scratch memory, line after line, transposed if k runs along the rows. Then all rows of x are
// multiplied with it, and while that goes on the lines of the next block are asked for. Sums are kept in the result between blocks.
//
// Fewer rows than a tile has are multiplied with the matrix as it lies, where that is possible: each element is needed but once or twice.

const (
	// leastStreamed is the number of a matrix's elements from which on it is taken to lie in no cache.
	leastStreamed = 1 << 20
	// streamRows is the number of k in a block, a power of 2. A block fits into the nearest cache.
	streamRows = 64
	// streamTile is the number of rows of x that are computed together: batches are often multiples of it.
	streamTile = 4
	// lineBytes is the size of a line of a cache.
	lineBytes = 64
)

// stream is a product of rows with a matrix that is streamed.
type stream struct {
	x, w           *access
	dtype          tensor.DType // of w in memory
	row, col, down int          // loops
	across         bool         // w's rows are along down
	step           int          // elements from one row of w to the next
}

// streamOf returns the streamed product that the nest is, or nil.
func (c *nestCompiler) streamOf(level Level) *stream {
	if !c.does(doStreams) || c.combine != ir.Sum || c.scatter || len(c.guards) > 0 || len(c.roots) != 1 || len(c.extents) != 3 || c.class[1] != outputLoop || c.class[2] != reducedLoop {
		return nil
	}
	root := c.roots[0]
	if root.leaf != ir.NotLeaf || root.op != ir.OpMul || root.dtype != tensor.F32 || root.args[0] == root.args[1] {
		return nil
	}
	p := &stream{row: 0, col: 1, down: 2}
	for _, a := range root.args {
		switch {
		case a.leaf != ir.LeafRead || !a.access.flat:
			return nil
		case a.access.uses(p.row):
			p.x = a.access
		default:
			p.w, p.dtype = a.access, tensor.F32
		}
	}
	if p.x == nil || p.w == nil || p.x.uses(p.col) || !p.x.off.coef(p.down).is(1) || !c.outs.flat || !c.outs.off.coef(p.col).is(1) {
		return nil
	}
	if c.types[p.x.operand] == tensor.BF16 {
		return nil
	}
	if c.types[p.w.operand] == tensor.BF16 {
		p.dtype = tensor.BF16
	}
	columns, known := c.extents[p.col].isConst()
	length, known2 := c.extents[p.down].isConst()
	tile := mostVectors(level) * level.Lanes
	if !known || !known2 || columns%tile != 0 || columns == tile || length%level.Lanes != 0 || columns*length < leastStreamed {
		return nil
	}
	if n, known := c.extents[p.row].isConst(); known && n < streamTile {
		return nil
	}
	col, down := p.w.off.coef(p.col), p.w.off.coef(p.down)
	other := down
	if p.across = down.is(1); p.across {
		other = col
	} else if !col.is(1) {
		return nil
	}
	p.step, known = other.isConst()
	if !known {
		return nil
	}
	return p
}

// streams makes the nest the streamed product p.
func (c *nestCompiler) streams(p *stream, level Level) {
	c.stream = p
	c.rows, c.outer = []rowLoop{{p.row, streamTile}}, nil
	c.unroll = mostVectors(level)
	c.tile = c.unroll * c.lanes
	if p.across { // a block is transposed whole
		c.split = nil
	}
}

// scratchBytes returns the size of a block of w.
func (t *loopNest) scratchBytes() int { return 4 * streamRows * t.tile }

// streamed writes what is done for a tile of columns and all rows.
func (e *emitter) streamed(s *scope, tile value.Value) {
	p := e.stream
	col := s.mul(tile, int64Const(e.tile))
	first, end := value.Value(int64Const(0)), e.size(e.extents[p.down])
	if len(e.split) > 0 {
		first, end = e.word(exec.WordR0), e.word(exec.WordR1)
	}
	x := s.at(e.pointer(e.wordOperand(p.x.operand), f32), e.size(p.x.off.c))
	w := s.at(e.pointer(e.wordOperand(p.w.operand), memType(p.dtype)), e.size(p.w.off.c))
	z := s.at(e.pointer(exec.WordResult, f32), s.add(e.size(e.outs.off.c), col))
	rowX, rowZ := e.size(p.x.off.coef(p.row)), e.size(e.outs.off.coef(p.row))
	rows := e.size(e.extents[p.row])
	block := e.pointer(exec.WordScratch, f32)

	whole := func(s *scope, body func(s *scope, r value.Value)) {
		s.loop(int64Const(0), rows, 1, true, nil, func(s *scope, r value.Value, _ []value.Value) []value.Value {
			body(s, r)
			return nil
		})
	}
	whole(s, func(s *scope, r value.Value) {
		for u := range e.unroll {
			s.store(num(vector(e.lanes, f32), 0), s.at(z, s.add(s.mul(r, rowZ), int64Const(u*e.lanes))), nil)
		}
	})
	// at is where the block of columns from col on begins whose first row is k.
	at := func(s *scope, col, k value.Value) value.Value {
		if p.across {
			return s.at(w, s.add(s.mul(col, int64Const(p.step)), k))
		}
		return s.at(w, s.add(s.mul(k, int64Const(p.step)), col))
	}
	s.loop(first, end, streamRows, true, nil, func(s *scope, k value.Value, _ []value.Value) []value.Value {
		left := s.sub(end, k)
		count := s.choose(s.icmp(enum.IPredSLT, left, int64Const(streamRows)), left, int64Const(streamRows))
		e.copyBlock(s, at(s, col, k), block, count)
		// The next block: of the same columns, of the next ones, or the first of the next round.
		last, beyond := s.icmp(enum.IPredSLE, left, int64Const(streamRows)), s.add(col, int64Const(e.tile))
		round := s.icmp(enum.IPredSGE, beyond, e.size(e.extents[p.col]))
		nextCol := s.choose(last, s.choose(round, int64Const(0), beyond), col)
		nextRow := s.choose(last, s.choose(round, end, first), s.add(k, int64Const(streamRows)))
		next := at(s, nextCol, nextRow)

		tiles := s.blk.NewUDiv(rows, int64Const(streamTile))
		s.loop(int64Const(0), tiles, 1, false, nil, func(s *scope, t value.Value, _ []value.Value) []value.Value {
			r := s.mul(t, int64Const(streamTile))
			e.blockRows(s, streamTile, s.at(x, s.add(s.mul(r, rowX), k)), rowX, block, s.at(z, s.mul(r, rowZ)), rowZ, count, func(s *scope, k value.Value) {
				e.fetchLine(s, next, s.add(s.mul(t, int64Const(streamRows)), k))
			})
			return nil
		})
		s.loop(s.mul(tiles, int64Const(streamTile)), rows, 1, false, nil, func(s *scope, r value.Value, _ []value.Value) []value.Value {
			e.blockRows(s, 1, s.at(x, s.add(s.mul(r, rowX), k)), rowX, block, s.at(z, s.mul(r, rowZ)), rowZ, count, nil)
			return nil
		})
		return nil
	})
}

// copyBlock copies a block of w, of a tile's columns and count of k, to memory: the columns of each k together.
func (e *emitter) copyBlock(s *scope, from, to, count value.Value) {
	p := e.stream
	load := func(s *scope, p value.Value) value.Value {
		return register(s, e.stream.dtype, s.load(p, e.lanes, nil, nil))
	}
	if !p.across {
		s.loop(int64Const(0), count, 1, true, nil, func(s *scope, k value.Value, _ []value.Value) []value.Value {
			row, out := s.at(from, s.mul(k, int64Const(p.step))), s.at(to, s.mul(k, int64Const(e.tile)))
			for u := range e.unroll {
				s.store(load(s, s.at(row, int64Const(u*e.lanes))), s.at(out, int64Const(u*e.lanes)), nil)
			}
			return nil
		})
		return
	}
	s.loop(int64Const(0), int64Const(e.tile), e.lanes, true, nil, func(s *scope, c value.Value, _ []value.Value) []value.Value {
		rows, out := s.at(from, s.mul(c, int64Const(p.step))), s.at(to, c)
		s.loop(int64Const(0), count, e.lanes, true, nil, func(s *scope, k value.Value, _ []value.Value) []value.Value {
			square := make([]value.Value, e.lanes)
			for l := range square {
				square[l] = load(s, s.at(rows, s.add(k, int64Const(l*p.step))))
			}
			for l, v := range s.transpose(square) {
				s.store(v, s.at(out, s.mul(s.add(k, int64Const(l)), int64Const(e.tile))), nil)
			}
			return nil
		})
		return nil
	})
}

// blockRows adds the products of n rows of x with a block to n rows of z; each does something more in each round.
func (e *emitter) blockRows(s *scope, n int, x, rowX, block, z, rowZ, count value.Value, each func(s *scope, k value.Value)) {
	xs, zs := make([]value.Value, n), make([]value.Value, n)
	var sums []value.Value
	for r := range n {
		xs[r], zs[r] = s.at(x, s.mul(rowX, int64Const(r))), s.at(z, s.mul(rowZ, int64Const(r)))
		for u := range e.unroll {
			sums = append(sums, s.load(s.at(zs[r], int64Const(u*e.lanes)), e.lanes, nil, nil))
		}
	}
	sums = s.loop(int64Const(0), count, 1, true, sums, func(s *scope, k value.Value, sums []value.Value) []value.Value {
		if each != nil {
			each(s, k)
		}
		line := s.at(block, s.mul(k, int64Const(e.tile)))
		columns := make([]value.Value, e.unroll)
		for u := range columns {
			columns[u] = s.load(s.at(line, int64Const(u*e.lanes)), e.lanes, nil, nil)
		}
		next := make([]value.Value, len(sums))
		for r := range n {
			a := s.splat(s.load(s.at(xs[r], k), 1, nil, nil), e.lanes)
			for u, b := range columns {
				next[r*e.unroll+u] = s.fma(a, b, sums[r*e.unroll+u])
			}
		}
		return next
	})
	for k, v := range sums {
		s.store(v, s.at(zs[k/e.unroll], int64Const(k%e.unroll*e.lanes)), nil)
	}
}

// fetchLine asks for line number n, modulo their number, of the block of w that begins at p.
func (e *emitter) fetchLine(s *scope, p, n value.Value) {
	line := lineBytes / exec.ElemSize(e.stream.dtype)
	perRow, rows := e.tile/line, streamRows
	if e.stream.across {
		perRow, rows = streamRows/line, e.tile
	}
	n = s.and(n, int64Const(perRow*rows-1))
	row := s.blk.NewUDiv(n, int64Const(perRow))
	s.prefetch(s.at(p, s.add(s.mul(row, int64Const(e.stream.step)), s.mul(s.and(n, int64Const(perRow-1)), int64Const(line)))), false)
}

// rowsOfStream writes what is done for the tile of rows of this number: the first one stands for all.
func (e *emitter) rowsOfStream(s *scope, number, tile value.Value) {
	all := func(s *scope) {
		s.when(s.icmp(enum.IPredEQ, number, int64Const(0)), func(s *scope) { e.streamed(s, tile) })
	}
	if n, known := e.extents[e.stream.row].isConst(); e.stream.across || known && n >= streamTile {
		all(s)
		return
	}
	s.either(s.icmp(enum.IPredSGE, e.size(e.extents[e.stream.row]), int64Const(streamTile)), all, func(in *scope) {
		e.at[e.stream.row], e.now[0], e.single = number, 1, true
		e.scopes[1] = in
		e.point(tile)
		e.single = false
	})
}
