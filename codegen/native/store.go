package native

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// Note [Stores of rows]
//
// The step of a generator adds a row to the keys that attention has seen so far, and then reads all of them:
//
//	%keys: f32[1024, 128] = map [i<1024, k<128] select(equal(i, %place[]), %key[k], %old[i, k])
//	write @cache, %keys
//
// To compute that would go through the whole cell for one row. Nobody reads the old value any more, so the row is stored into the cell at that
// point of the function, and what reads %keys reads the cell. A call that fails later puts the old row back.

// rowStores returns f with such nests and writes as one write that has a result: its operands are the row and the place, and the map has the dimension
// that the place counts. Where values must be finite nothing is stored before that is known.
func rowStores(f *ir.Func) (*ir.Func, map[*ir.Value]int) {
	stores := map[*ir.Value]int{}
	if f.Finite {
		return f, stores
	}
	reads, uses := map[*ir.Cell]int{}, map[*ir.Value]int{}
	writes := map[*ir.Value][]*ir.Instr{}
	touched := map[*ir.Cell]int{} // how often they are written, or used in a scan
	for _, in := range f.Body {
		for _, a := range in.Args {
			uses[a]++
		}
		switch in.Op {
		case ir.OpRead:
			reads[in.Cell]++
		case ir.OpWrite:
			touched[in.Cell]++
			writes[in.Args[0]] = append(writes[in.Args[0]], in)
		case ir.OpScan:
			eachCell(in.Scan.Body, func(c *ir.Cell, _ bool) { touched[c] += 2 })
		}
	}
	for _, r := range f.Results {
		uses[r]++
	}
	g := *f
	g.Body = nil
	def, gone := definitions(f), map[*ir.Instr]bool{}
	for _, in := range f.Body {
		if gone[in] {
			continue
		}
		if in.Op == ir.OpNest && len(writes[in.Result()]) == 1 {
			w := writes[in.Result()][0]
			row, place, old, axis, ok := rowOf(in)
			if ok && def[old] != nil && def[old].Op == ir.OpRead && def[old].Cell == w.Cell && !w.Cell.Half &&
				uses[old] == 1 && reads[w.Cell] == 1 && touched[w.Cell] == 1 {
				stores[in.Result()] = axis
				gone[w] = true
				g.Body = append(g.Body, &ir.Instr{Op: ir.OpWrite, Cell: w.Cell, Args: []*ir.Value{row, place}, Results: in.Results, Loc: in.Loc})
				continue
			}
		}
		g.Body = append(g.Body, in)
	}
	return &g, stores
}

// rowOf takes a nest apart that is old with a row in one place of dimension axis.
func rowOf(in *ir.Instr) (row, place, old *ir.Value, axis int, ok bool) {
	n := in.Nest
	b := n.Body
	if n.Combine != ir.Map || n.Write != nil || len(n.Guards) > 0 || b.Op != ir.OpSelect || b.Args[0].Op != ir.OpEqual {
		return nil, nil, nil, 0, false
	}
	at, where := b.Args[0].Args[0], b.Args[0].Args[1]
	if at.Leaf != ir.LeafIndex || where.Leaf != ir.LeafRead || b.Args[1].Leaf != ir.LeafRead || b.Args[2].Leaf != ir.LeafRead {
		return nil, nil, nil, 0, false
	}
	axis, ok = at.Affine.IsLoop()
	row, place, old = in.Args[b.Args[1].Read.Operand], in.Args[where.Read.Operand], in.Args[b.Args[2].Read.Operand]
	loops := ir.Loops(0, n.Out)
	same := func(r *ir.Read, v *ir.Value, shape, index []ir.Affine) bool {
		return !r.Guarded && slices.EqualFunc(v.Type.Shape, shape, ir.Affine.Equal) && slices.EqualFunc(r.Index, index, ir.Affine.Equal)
	}
	shape := n.ResultShape()
	ok = ok && len(place.Type.Shape) == 0 && same(b.Args[2].Read, old, shape, loops) &&
		same(b.Args[1].Read, row, slices.Delete(slices.Clone(shape), axis, axis+1), slices.Delete(slices.Clone(loops), axis, axis+1))
	return row, place, old, axis, ok
}
