package native

import (
	"fmt"
	"slices"

	"github.com/llir/llvm/ir/constant"
	"github.com/llir/llvm/ir/enum"
	"github.com/llir/llvm/ir/value"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// wordOperand returns the number of the word with an operand's address; see Note [Arguments of a kernel] in package exec.
func (t *loopNest) wordOperand(k int) int { return exec.WordResult + t.results() + k }

// emitter writes the kernel of a loopNest.
//
// scopes[0] is the function's entry, scopes[1] the loop over points p, and then one for each of the loops of the nest that is open. A value is
// computed in the outermost scope that knows all it depends on.
type emitter struct {
	*loopNest
	words
	fn     *function
	scopes []*scope
	level  []int         // of each loop: the number of its scope
	at     []value.Value // of each loop: its index; of the vector loop, that of lane 0 of instance 0
	levels map[*node]int // memo of levelOf

	now    [2]int // rows of the tile that is being written
	single bool   // the rows are too few for a tile

	inGuard bool // a guard is being written: what it reads is not guarded

	start [2]value.Value // of the tile's row loops: the first row that no tile before this one has; nil: all are new
	sum   value.Value    // what post is computed of
}

// instance is one vector of points among those that one round of the vector loop computes.
type instance struct {
	u    int         // its number: it starts u vectors after the round's first point
	r    [2]int      // its rows of the tile
	tail value.Value // lanes that are points; nil: all are
}

// writeKernel writes t as a function of that name.
func writeKernel(m *module, name string, t *loopNest) {
	fn, entry, args := m.newFunction(name)
	e := &emitter{
		loopNest: t, words: words{entry, args, t.results() + len(t.types), t.sizes}, fn: fn, scopes: []*scope{entry},
		level: make([]int, len(t.extents)), at: make([]value.Value, len(t.extents)), levels: map[*node]int{},
	}
	e.assignLevels()
	e.points()
	e.scopes[0].blk.NewRet(nil)
}

// assignLevels gives every loop the number of its scope.
func (e *emitter) assignLevels() {
	for _, l := range e.outer {
		e.level[l] = 1
	}
	for _, w := range e.rows {
		e.level[w.loop] = 1
	}
	next := 2
	if e.across {
		e.level[e.v] = next
		next++
	}
	for _, l := range e.reduced {
		e.level[l] = next
		next++
	}
	if e.v >= 0 && !e.across {
		e.level[e.v] = next
	}
}

func (e *emitter) entry() *scope { return e.scopes[0] }

func (e *emitter) inner() *scope { return e.scopes[len(e.scopes)-1] }

// digit is one of the indices that a point's number consists of: of an outer loop, of the tiles of a row loop, or else of those of the vector loop.
type digit struct {
	extent    value.Value
	loop, row int  // −1: it is not of this kind
	blocks    bool // of the tiles of both loops, see Note [Blocks of rows]
}

// Note [Blocks of rows]
//
// The tiles of a matrix product are gone through in blocks of some rows: in a block one tile of the vector loop after the other, and in that the
// tiles of rows. So what a tile of the vector loop reads is used by all rows of the block while it is in the first-level cache, and what the rows read
// comes from memory once; and neighbouring chunks are neighbouring rows, which a thread has in its cache from the launch before. The last block may be
// smaller.

// blockTiles is how many tiles of rows a block has at most, about.
const blockTiles = 7

// blocks tells whether the tiles are gone through in blocks of rows.
func (t *loopNest) blocks() bool {
	return t.does(doBlocks) && t.across && (t.tile > 0 || t.panels() >= 0) && len(t.rows) == 1 && (len(t.post) == 0 || t.after) && t.stream == nil
}

// panels returns the loop that stands for tiles of the vector loop where that is not tiled: the last outer one, if what the rows read does not depend on it; −1:
// there is none.
func (t *loopNest) panels() int {
	if t.tile > 0 || len(t.outer) == 0 || len(t.rows) != 1 {
		return -1
	}
	last, row := t.outer[len(t.outer)-1], t.rows[0].loop
	var visit func(nd *node) bool
	visit = func(nd *node) bool {
		if a := nd.access; a != nil && a.uses(row) && a.uses(last) {
			return false
		}
		return !slices.ContainsFunc(nd.args, func(a *node) bool { return !visit(a) })
	}
	if !visit(t.roots[0]) {
		return -1
	}
	return last
}

// acrossBlock returns the number of tiles of the vector loop, or of what stands for them.
func (e *emitter) acrossBlock() poly {
	if p := e.panels(); p >= 0 {
		return e.extents[p]
	}
	return e.columnTiles()
}

// inBlocks returns the numbers of the tiles of the vector loop and of the row loop that a number of both stands for.
func (e *emitter) inBlocks(in *scope, number value.Value) (tile, row value.Value) {
	w := e.rows[0]
	tiles, rows := e.size(e.acrossBlock()), e.sizes.rowTiles(e.extents[w.loop], w.n)
	s := e.entry()
	up := func(a, b value.Value) value.Value { // ⌈a / b⌉
		return s.blk.NewUDiv(s.add(a, s.sub(b, int64Const(1))), b)
	}
	size := s.memo("rows of a block", func() value.Value {
		if n, ok := rows.isConst(); ok {
			count := (n + blockTiles - 1) / blockTiles
			return int64Const((n + count - 1) / count)
		}
		return up(e.size(rows), up(e.size(rows), int64Const(blockTiles)))
	})
	whole := s.memo("tiles of a block", func() value.Value { return s.mul(tiles, size) })
	block := in.blk.NewUDiv(number, whole)
	first := in.mul(block, size)
	rest := in.sub(number, in.mul(block, whole))
	left := in.sub(e.size(rows), first)
	left = in.choose(in.icmp(enum.IPredSLT, left, size), left, size)
	tile = in.blk.NewUDiv(rest, left)
	return tile, in.add(first, in.sub(rest, in.mul(tile, left)))
}

// points writes the loop over the points p: the outer loops and the tiles of the vector loop, flattened. Their indices are carried from point to
// point like the digits of a number.
func (e *emitter) points() {
	s := e.entry()
	var order []digit
	for _, l := range e.outer {
		if !e.blocks() || l != e.panels() {
			order = append(order, digit{extent: e.size(e.extents[l]), loop: l, row: -1})
		}
	}
	if e.blocks() {
		w := e.rows[0]
		both := e.acrossBlock().mul(e.sizes.rowTiles(e.extents[w.loop], w.n))
		order = append(order, digit{extent: e.size(both), loop: -1, row: -1, blocks: true})
	} else {
		if e.tile > 0 {
			order = append(order, digit{extent: e.size(e.columnTiles()), loop: -1, row: -1})
		}
		for k, w := range e.rows {
			d := digit{extent: e.size(e.sizes.rowTiles(e.extents[w.loop], w.n)), loop: -1, row: k}
			if len(e.post) > 0 && !e.after { // what is updated is gone through as it lies
				order = slices.Insert(order, k, d)
			} else {
				order = append(order, d)
			}
		}
	}
	digits, extents := make([]value.Value, len(order)), make([]value.Value, len(order))
	rest := e.word(exec.WordP0)
	for k := len(order) - 1; k >= 0; k-- {
		extents[k] = order[k].extent
		if k == 0 {
			digits[k] = rest
			break
		}
		digits[k] = s.blk.NewURem(rest, extents[k])
		rest = s.blk.NewUDiv(rest, extents[k])
	}
	s.loop(e.word(exec.WordP0), e.word(exec.WordP1), 1, true, digits, func(in *scope, p value.Value, digits []value.Value) []value.Value {
		e.scopes = append(e.scopes, in)
		more := make([]value.Value, len(e.rows))
		var tile value.Value
		for k, d := range order {
			switch {
			case d.loop >= 0:
				e.at[d.loop] = digits[k]
			case d.row >= 0:
				more[d.row] = digits[k]
			case d.blocks:
				tile, more[0] = e.inBlocks(in, digits[k])
				if p := e.panels(); p >= 0 {
					e.at[p], tile = tile, nil
				}
			default:
				tile = digits[k]
			}
		}
		e.now = [2]int{1, 1}
		if e.stream != nil {
			e.rowsOfStream(in, more[0], tile)
		} else {
			e.rowTiles(in, 0, more, func() { e.point(tile) })
		}
		e.scopes = e.scopes[:1]
		next := make([]value.Value, len(digits))
		var carry value.Value = int64Const(1)
		for k := len(digits) - 1; k >= 0; k-- {
			up := in.add(digits[k], carry)
			if k == 0 {
				next[k] = up
				break
			}
			full := in.icmp(enum.IPredEQ, up, extents[k])
			next[k] = in.choose(full, int64Const(0), up)
			carry = in.blk.NewZExt(full, i64)
		}
		return next
	})
}

// rowTiles writes body for the rows of the tiles with these numbers, of the row loops from number k on.
func (e *emitter) rowTiles(s *scope, k int, tiles []value.Value, body func()) {
	if k == len(e.rows) {
		e.scopes[1] = s
		body()
		return
	}
	w := e.rows[k]
	first := s.mul(tiles[k], int64Const(w.n))
	if n, ok := e.extents[w.loop].isConst(); ok {
		e.start[k] = nil
		if n%w.n != 0 {
			last := int64Const(n - w.n)
			e.start[k] = first
			first = s.choose(s.icmp(enum.IPredSLT, first, last), first, last)
		}
		e.at[w.loop], e.now[k] = first, w.n
		e.rowTiles(s, k+1, tiles, body)
		return
	}
	n := e.size(e.extents[w.loop])
	s.either(s.icmp(enum.IPredSGE, n, int64Const(w.n)), func(in *scope) {
		last := in.sub(n, int64Const(w.n))
		e.at[w.loop], e.now[k] = in.choose(in.icmp(enum.IPredSLT, first, last), first, last), w.n
		e.rowTiles(in, k+1, tiles, body)
	}, func(in *scope) {
		e.at[w.loop], e.now[k], e.single = tiles[k], 1, true
		e.rowTiles(in, k+1, tiles, body)
		e.single = false
	})
}

// point writes what is done at one point p.
func (e *emitter) point(tile value.Value) {
	if e.v < 0 {
		e.reduceOrMap(func(f func([]*instance)) { f(e.instances(1, nil)) })
		return
	}
	if e.across {
		lo, hi, count := value.Value(int64Const(0)), e.size(e.extents[e.v]), e.extents[e.v]
		if e.tile > 0 && e.single {
			e.tileOfSingle(tile, hi)
			return
		}
		if e.tile > 0 {
			s := e.inner()
			lo = s.mul(tile, int64Const(e.tile))
			end := s.add(lo, int64Const(e.tile))
			hi = s.choose(s.icmp(enum.IPredSLT, end, hi), end, hi)
			count = nil
		}
		e.vectors(lo, hi, count, e.unroll, func(ins []*instance) {
			e.reduceOrMap(func(f func([]*instance)) { f(ins) })
		})
		return
	}
	e.reduceLanes()
}

// singleVectors returns how many vectors of a single row are computed together: so many sums that each multiplication and addition need not wait
// for the last one, from memory that lies together, on few pages. Of a matrix that no cache near by holds they are whole rows if registers suffice, since memory is read fastest
// in order.
func (t *loopNest) singleVectors() int {
	most, usual := 8, 8
	if t.lanes >= 16 { // where there are 32 registers
		most, usual = 32, 16
	}
	if n, known := t.extents[t.v].isConst(); known && t.distant() != nil && n%t.tile == 0 && n <= most*t.lanes {
		return n / t.lanes
	}
	return max(usual, t.unroll)
}

// columnTiles returns the number of tiles of the vector loop; those of single rows, see Note [Tiles of rows], are wider.
func (t *loopNest) columnTiles() poly {
	columns := t.extents[t.v]
	n := t.sizes.tiles(columns, t.tile)
	if len(t.rows) != 1 || t.stream != nil && t.stream.across {
		return n
	}
	w := t.rows[0]
	if _, known := t.extents[w.loop].isConst(); known {
		return n
	}
	wide := t.sizes.tiles(columns, t.singleVectors()*t.lanes)
	return n.add(t.sizes.less(t.extents[w.loop], w.n).mul(wide.add(n.scale(-1))))
}

// tileOfSingle writes a single row's tile.
func (e *emitter) tileOfSingle(tile, limit value.Value) {
	s := e.inner()
	wide := int64Const(e.singleVectors() * e.lanes)
	lo := s.mul(tile, wide)
	end := s.add(lo, wide)
	hi := s.choose(s.icmp(enum.IPredSLT, end, limit), end, limit)
	e.vectors(lo, hi, nil, e.singleVectors(), func(ins []*instance) {
		e.reduceOrMap(func(f func([]*instance)) { f(ins) })
	})
}

// vectors writes the vector loop over [lo, hi): rounds of n vectors, rounds of one, and the lanes that are left. count is hi−lo where that is known
// when the code is made.
func (e *emitter) vectors(lo, hi value.Value, count poly, n int, body func([]*instance)) {
	s := e.inner()
	total, known := -1, false
	if count != nil {
		total, known = count.isConst()
	}
	section := func(from, to value.Value, step int, some bool, n int) {
		s.loop(from, to, step, some, nil, func(in *scope, iv value.Value, _ []value.Value) []value.Value {
			e.scopes = append(e.scopes, in)
			e.at[e.v] = iv
			body(e.instances(n, nil))
			e.scopes = e.scopes[:len(e.scopes)-1]
			return nil
		})
	}
	end := func(step int) value.Value { // of the rounds of so many points
		if known {
			return s.add(lo, int64Const(total/step*step))
		}
		n := s.sub(hi, lo)
		return s.add(lo, s.sub(n, s.and(n, int64Const(step-1))))
	}
	from := lo
	if n > 1 {
		step := n * e.lanes
		to := end(step)
		if !known || total >= step {
			section(from, to, step, known, n)
		}
		from = to
	}
	to := end(e.lanes)
	if !known || e.leftAfter(total, n) >= e.lanes {
		section(from, to, e.lanes, known, 1)
	}
	if known && total%e.lanes == 0 {
		return
	}
	one := func(in *scope) {
		e.scopes = append(e.scopes, in)
		e.at[e.v] = to
		body(e.instances(1, e.tailMask(in, to, hi)))
		e.scopes = e.scopes[:len(e.scopes)-1]
	}
	if known {
		in := &scope{fn: s.fn, blk: s.blk, cache: map[string]value.Value{}}
		// The body's values are not to be seen by what follows: they are of this round.
		e.inline(s, in, one)
		return
	}
	s.when(s.icmp(enum.IPredSLT, to, hi), one)
}

// instances returns n vectors of each row of the tile, row by row.
func (e *emitter) instances(n int, tail value.Value) []*instance {
	var ins []*instance
	for _, r := range e.tileRows() {
		for u := range n {
			ins = append(ins, &instance{u: u, r: r, tail: tail})
		}
	}
	return ins
}

// tileRows returns the rows of the tile that is being written.
func (e *emitter) tileRows() [][2]int {
	var rows [][2]int
	for a := range e.now[0] {
		for b := range e.now[1] {
			rows = append(rows, [2]int{a, b})
		}
	}
	return rows
}

// leftAfter returns how many of so many points are left after the rounds of n vectors, if n is not 1.
func (e *emitter) leftAfter(total, n int) int {
	if n == 1 {
		return total
	}
	return total % (n * e.lanes)
}

// inline writes body in a scope of its own that shares the outer one's blocks.
func (e *emitter) inline(s, in *scope, body func(*scope)) {
	next := s.fn.block()
	in.blk = next
	body(in)
	exit := s.fn.block()
	in.blk.NewBr(exit)
	s.blk.NewBr(next)
	s.blk = exit
}

// tailMask returns which lanes from index on are below hi.
func (e *emitter) tailMask(s *scope, from, hi value.Value) value.Value {
	left := s.splat(s.blk.NewTrunc(s.blk.NewSub(hi, from), i32), e.lanes)
	return s.icmp(enum.IPredULT, lanesTimes(e.lanes, 1), left)
}

// reduceOrMap writes the reduced loops around what each writes for some instances, and stores their results.
func (e *emitter) reduceOrMap(each func(func([]*instance))) {
	each(func(ins []*instance) {
		if e.scatter {
			for _, in := range ins {
				e.addAt(in)
			}
			return
		}
		if e.square && len(ins) == e.lanes && ins[0].tail == nil {
			e.transposed(ins)
			return
		}
		if e.combine == ir.Map {
			for _, in := range ins {
				var z []value.Value // all are computed before one is stored, which may be where an operand lies
				for _, root := range e.roots {
					x := e.use(root, in)
					if mask := e.guard(in); mask != nil {
						x = e.inner().choose(mask, x, num(x.Type(), 0))
					}
					z = append(z, x)
				}
				for k, x := range z {
					e.storeResult(in, k, x)
				}
			}
			return
		}
		fetch := func() {}
		if len(e.post) > 0 && len(e.reduced) > 0 && !e.after {
			fetch = e.fetchOperands(ins)
		}
		var states []value.Value
		width := 1
		for range ins {
			st := e.identity(e.width())
			width = len(st)
			states = append(states, st...)
		}
		states = e.reducedLoops(0, states, func(states []value.Value) []value.Value {
			e.fetchColumns(ins[0])
			e.fetchRows(ins)
			fetch()
			out := make([]value.Value, 0, len(states))
			for k, in := range ins {
				out = append(out, e.accumulate(in, states[k*width:(k+1)*width])...)
			}
			return out
		})
		for k, in := range ins {
			z := e.finish(states[k*width : (k+1)*width])
			if len(e.post) > 0 {
				e.storePost(in, z)
				continue
			}
			e.storeResult(in, 0, z)
		}
	})
}

// fetchColumns asks for what later tiles of rows read, where rows are neighbours in memory and the terms of a sum are far apart: the processor does not foresee that.
func (e *emitter) fetchColumns(in *instance) {
	if !e.across || len(e.rows) != 1 || e.single || len(e.reduced) == 0 || e.combine != ir.Sum {
		return
	}
	row, term := e.rows[0].loop, e.reduced[len(e.reduced)-1]
	for _, nd := range e.roots[0].args {
		a := nd.access
		if a == nil || !a.off.coef(row).is(1) || a.off.coef(term) == nil || a.fails() || !a.flat {
			continue
		}
		if n, known := a.off.coef(term).isConst(); known && n >= lineElements {
			p := e.inner().at(e.pointer(e.wordOperand(a.operand), memType(e.types[a.operand])), e.linear(a.off, in))
			e.inner().prefetch(e.inner().at(p, int64Const(lineElements)), false)
		}
	}
}

// leastDistant is the number of a matrix's elements from which on it is taken to lie in no cache near by.
const leastDistant = 1 << 18

// rowsAhead is how many rows of a matrix are asked for ahead of time.
const rowsAhead = 16

// fetchRows asks for later rows of a matrix that no cache holds, where a single row of the result reads only a part of each: these parts lie so far apart that the processor
// does not foresee them.
func (e *emitter) fetchRows(ins []*instance) {
	if !e.across || len(e.rows) > 0 && !e.single {
		return
	}
	a := e.distant()
	if a == nil {
		return
	}
	row, _ := a.off.coef(e.reduced[len(e.reduced)-1]).isConst()
	if row <= len(ins)*e.lanes {
		return
	}
	s := e.inner()
	for _, in := range ins {
		p := s.at(e.pointer(e.wordOperand(a.operand), memType(e.types[a.operand])), e.linear(a.off, in))
		s.prefetch(s.at(p, int64Const(rowsAhead*row)), false)
	}
}

// distant returns the matrix that a sum of products reads along its rows and that no cache near by holds; nil: there is none.
func (t *loopNest) distant() *access {
	if t.combine != ir.Sum || len(t.reduced) == 0 {
		return nil
	}
	term := t.reduced[len(t.reduced)-1]
	length, known := t.extents[term].isConst()
	if !known {
		return nil
	}
	for _, nd := range t.roots[0].args {
		a := nd.access
		if a == nil || a.fails() || !a.flat || a.off.coef(t.v) == nil || !a.off.coef(t.v).is(1) || a.off.coef(term) == nil {
			continue
		}
		if row, known := a.off.coef(term).isConst(); known && row >= lineElements && row*length >= leastDistant {
			return a
		}
	}
	return nil
}

// lineElements is the f32 elements of a cache line.
const lineElements = 16

// width returns the number of lanes of a value at a point.
func (e *emitter) width() int {
	if e.v < 0 {
		return 1
	}
	return e.lanes
}

// reducedLoops writes the reduced loops from number k on around body, carrying states.
func (e *emitter) reducedLoops(k int, states []value.Value, body func([]value.Value) []value.Value) []value.Value {
	if k == len(e.reduced) {
		return body(states)
	}
	if k == 0 && len(e.split) > 1 {
		return e.splitLoops(states, body)
	}
	l := e.reduced[k]
	lo, hi := e.loopRange(l)
	n, known := e.extents[l].isConst()
	write := func(states []value.Value) []value.Value {
		return e.inBlocksOfTerms(lo, hi, 1, true, known && n <= blockTerms, states, func(in *scope, iv value.Value, states []value.Value) []value.Value {
			e.scopes = append(e.scopes, in)
			e.at[l] = iv
			out := e.reducedLoops(k+1, states, body)
			e.scopes = e.scopes[:len(e.scopes)-1]
			return out
		})
	}
	if k > 0 && (!known || n >= leastBlock) && e.sumsBlocks() {
		return e.addBlock(e.inner(), states, write)
	}
	return write(states)
}

// Note [Blocks of terms]
//
// One number after the other added to a sum in single precision makes an error that grows with their count: of thousands of equal ones, as a bias's gradient
// behind an average over places consists of, the last are rounded all in the same direction. So a sum of many terms is one of sums of blockTerms, but for products in
// tiles of rows, whose sums have no registers for that.

const (
	// blockTerms is how many terms are added one after the other at most.
	blockTerms = 128
	// leastBlock is how many rounds an inner loop has at least for its terms to be a block.
	leastBlock = 16
)

// sumsBlocks reports whether sums are in blocks.
func (e *emitter) sumsBlocks() bool {
	return e.combine == ir.Sum && e.dtype == tensor.F32 && len(e.rows) == 0
}

// addBlock adds to states what block makes of zeros.
func (e *emitter) addBlock(s *scope, states []value.Value, block func([]value.Value) []value.Value) []value.Value {
	zeros := make([]value.Value, len(states))
	for k := range zeros {
		zeros[k] = num(states[k].Type(), 0)
	}
	sums := block(zeros)
	for k := range sums {
		sums[k] = s.fadd(states[k], sums[k])
	}
	return sums
}

// inBlocksOfTerms is scope.loop for the terms of a reduction; few: there are no more rounds than a block has.
func (e *emitter) inBlocksOfTerms(lo, hi value.Value, step int, some, few bool, states []value.Value, body func(*scope, value.Value, []value.Value) []value.Value) []value.Value {
	s := e.inner()
	if few || !e.sumsBlocks() {
		return s.loop(lo, hi, step, some, states, body)
	}
	return s.loop(lo, hi, step*blockTerms, some, states, func(in *scope, first value.Value, states []value.Value) []value.Value {
		end := in.add(first, int64Const(step*blockTerms))
		end = in.choose(in.icmp(enum.IPredSLT, end, hi), end, hi)
		return e.addBlock(in, states, func(zeros []value.Value) []value.Value { return in.loop(first, end, step, true, zeros, body) })
	})
}

// splitLoops writes the loops that partial results are split over as one, flattened.
func (e *emitter) splitLoops(states []value.Value, body func([]value.Value) []value.Value) []value.Value {
	outer := len(e.scopes)
	return e.inBlocksOfTerms(e.word(exec.WordR0), e.word(exec.WordR1), 1, true, false, states, func(in *scope, iv value.Value, states []value.Value) []value.Value {
		for range e.split { // the levels of all of them are one
			e.scopes = append(e.scopes, in)
		}
		rest := iv
		for k := len(e.split) - 1; k > 0; k-- {
			n := e.size(e.extents[e.split[k]])
			e.at[e.split[k]] = in.blk.NewURem(rest, n)
			rest = in.blk.NewUDiv(rest, n)
		}
		e.at[e.split[0]] = rest
		out := e.reducedLoops(len(e.split), states, body)
		e.scopes = e.scopes[:outer]
		return out
	})
}

// loopRange returns the range of a reduced loop.
func (e *emitter) loopRange(l int) (lo, hi value.Value) {
	if len(e.split) == 1 && l == e.split[0] {
		return e.word(exec.WordR0), e.word(exec.WordR1)
	}
	return int64Const(0), e.size(e.extents[l])
}

// reduceLanes writes a reduction whose vector loop is reduced: the lanes of one vector, or of some, are partial results.
func (e *emitter) reduceLanes() {
	n := e.unroll
	width := len(e.identity(e.lanes))
	var states []value.Value
	for range len(e.tileRows()) * n {
		states = append(states, e.identity(e.lanes)...)
	}
	states = e.reducedLoops(0, states, func(states []value.Value) []value.Value {
		lo, hi := e.loopRange(e.v)
		count := e.extents[e.v]
		if len(e.split) == 1 && e.v == e.split[0] {
			count = nil
		}
		if total, known := e.extents[e.v].isConst(); len(e.reduced) > 0 && e.sumsBlocks() && (!known || total >= leastBlock*n*e.lanes) {
			return e.addBlock(e.inner(), states, func(zeros []value.Value) []value.Value { return e.reduceVectors(lo, hi, count, n, width, zeros) })
		}
		return e.reduceVectors(lo, hi, count, n, width, states)
	})
	for r, row := range e.tileRows() {
		e.storeResult(&instance{r: row}, 0, e.finish(e.combineLanes(states[r*n*width:(r+1)*n*width], n, width)))
	}
}

// combineLanes combines the states of n vectors in order, and then the halves of one until one lane is left.
func (e *emitter) combineLanes(states []value.Value, n, width int) []value.Value {
	total := states[:width]
	s := e.inner()
	for u := 1; u < n; u++ {
		total = e.combineStates(s, total, states[u*width:(u+1)*width])
	}
	for half := e.lanes / 2; half >= 1; half /= 2 {
		low, high := make([]int, half), make([]int, half)
		for k := range half {
			low[k], high[k] = k, k+half
		}
		a, b := make([]value.Value, width), make([]value.Value, width)
		for k := range total {
			a[k], b[k] = s.shuffle(total[k], low...), s.shuffle(total[k], high...)
		}
		total = e.combineStates(s, a, b)
	}
	for k := range total {
		total[k] = s.blk.NewExtractElement(total[k], constant.NewInt(i32, 0))
	}
	return total
}

// reduceVectors is vectors with carried states, n·width for each row: rounds of n vectors, of one and the rest.
func (e *emitter) reduceVectors(lo, hi value.Value, count poly, n, width int, states []value.Value) []value.Value {
	s := e.inner()
	total, known := -1, false
	if count != nil {
		total, known = count.isConst()
	}
	// A section carries only the states of the vectors that it computes.
	section := func(from, to value.Value, vectors int, some, tail bool, states []value.Value) []value.Value {
		var carry []value.Value
		for r := range e.tileRows() {
			carry = append(carry, states[r*n*width:][:vectors*width]...)
		}
		step := vectors * e.lanes
		few := tail || vectors < n || known && total <= step*blockTerms
		carry = e.inBlocksOfTerms(from, to, step, some, few, carry, func(in *scope, iv value.Value, carry []value.Value) []value.Value {
			e.scopes = append(e.scopes, in)
			e.at[e.v] = iv
			var mask value.Value
			if tail {
				mask = e.tailMask(in, iv, hi)
			}
			out := make([]value.Value, 0, len(carry))
			for k, x := range e.instances(vectors, mask) {
				out = append(out, e.accumulate(x, carry[k*width:(k+1)*width])...)
			}
			e.scopes = e.scopes[:len(e.scopes)-1]
			return out
		})
		next := append([]value.Value{}, states...)
		for r := range e.tileRows() {
			copy(next[r*n*width:], carry[r*vectors*width:][:vectors*width])
		}
		return next
	}
	end := func(step int) value.Value {
		if known {
			return int64Const(total / step * step)
		}
		n := s.sub(hi, lo)
		return s.add(lo, s.sub(n, s.and(n, int64Const(step-1))))
	}
	from := lo
	if n > 1 {
		step := n * e.lanes
		to := end(step)
		if !known || total >= step {
			states = section(from, to, n, known, false, states)
		}
		from = to
	}
	to := end(e.lanes)
	if !known || e.leftAfter(total, n) >= e.lanes {
		states = section(from, to, 1, known, false, states)
	}
	if !known || total%e.lanes > 0 {
		// A loop of at most one round carries the states past the case that no lanes are left.
		states = section(to, hi, 1, known, true, states)
	}
	return states
}

// storeResult writes an element of result number k or a vector of them.
func (e *emitter) storeResult(in *instance, k int, z value.Value) {
	outs := e.outs
	if e.places != nil {
		outs = e.places[k]
	}
	off := e.linear(outs.off, in)
	s := e.inner()
	p := s.at(e.pointer(exec.WordResult+k, memType(e.result)), off)
	e.put(s, z, p, in.tail)
}

// put stores z, a register's value, in memory.
func (e *emitter) put(s *scope, z, p, mask value.Value) {
	if e.result == tensor.Bool {
		z = s.blk.NewZExt(z, vector(lanesOf(z), i8))
	}
	s.store(z, p, mask)
}

// addAt adds the body to the result where the nest writes.
func (e *emitter) addAt(in *instance) {
	z := e.use(e.roots[0], in)
	mask := e.mask(in)
	off, inside := e.scalarOffset(e.outs, in)
	s := e.inner()
	if inside != nil {
		inside = e.scopeFor(e.levelOfAccess(e.outs)).splat(inside, e.width())
		if mask == nil {
			mask = inside
		} else {
			mask = s.and(mask, inside)
		}
	}
	add := func(old value.Value) value.Value {
		if e.dtype == tensor.F32 {
			return s.fadd(old, z)
		}
		return s.add(old, z)
	}
	base := e.pointer(exec.WordResult, memType(e.result))
	if e.v >= 0 { // the lanes write neighbouring elements
		p := s.at(base, off)
		s.store(add(s.load(p, e.lanes, mask, nil)), p, mask)
		return
	}
	if mask == nil {
		p := s.at(base, off)
		s.store(add(s.load(p, 1, nil, nil)), p, nil)
		return
	}
	p := s.at(base, s.choose(mask, off, int64Const(0)))
	old := s.load(p, 1, nil, nil)
	s.store(s.choose(mask, add(old), old), p, nil)
}

// index returns the offset of lane 0 of a regular access that needs no checks.
func (e *emitter) index(a *access, in *instance) value.Value {
	off := e.linear(a.off, in)
	for d, dim := range a.dims {
		if x := e.nonlinear(dim, in); x != nil {
			s := e.scopeFor(e.levelOfAccess(a))
			off = s.add(off, s.mul(x, e.size(a.strides[d])))
		}
	}
	return off
}

// mask returns which lanes are points that the guards let pass; nil: all.
func (e *emitter) mask(in *instance) value.Value {
	g := e.guard(in)
	switch {
	case g == nil && in == nil:
		return nil
	case g == nil:
		return in.tail
	case in == nil || in.tail == nil:
		return g
	}
	return e.inner().and(g, in.tail)
}

// guard returns which lanes the guards let pass; nil: all.
func (e *emitter) guard(in *instance) value.Value {
	if len(e.guards) == 0 || e.inGuard {
		return nil
	}
	e.inGuard = true
	defer func() { e.inGuard = false }()
	s := e.inner()
	return s.memo(fmt.Sprintf("guards %d %v", in.u, in.r), func() value.Value {
		var all value.Value
		for _, g := range e.guards {
			x, limit := e.number32(g.e, in), e.number32(g.limit, in)
			s := e.inner()
			x, limit = s.splat(x, e.width()), s.splat(limit, e.width())
			ok := s.and(s.icmp(enum.IPredSGE, x, num(x.Type(), 0)), s.icmp(enum.IPredSLT, x, limit))
			if all != nil {
				ok = s.and(all, ok)
			}
			all = ok
		}
		return all
	})
}

// scopeFor returns the scope of a level, or the innermost one if that is not open.
func (e *emitter) scopeFor(level int) *scope { return e.scopes[min(level, len(e.scopes)-1)] }
