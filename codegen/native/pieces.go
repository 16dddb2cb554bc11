package native

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Note [Pieces of one value]
//
// The gradient of parts of a value, such as a recurrent cell's gates or attention's queries, keys and values, is put together from the gradients of the parts: a sum of
// reads that are 0 outside of theirs. Where the parts are made by nests and nothing else reads them, these write their elements where they belong, and nothing is copied.

// piece is where a nest writes a result that is a part of a larger value.
type piece struct {
	shape []ir.Affine // of the whole
	index []ir.Affine // of an element there, in the nest's loops
}

// key returns a text that is equal for equal pieces.
func (p *piece) key() string {
	if p == nil {
		return " -"
	}
	var b strings.Builder
	fmt.Fprintf(&b, " in %v", p.shape)
	for _, ix := range p.index {
		writeAffine(&b, ix)
	}
	return b.String()
}

// assembly is how a value is put together.
type assembly struct {
	whole  *ir.Value
	parts  []*ir.Value // what its instruction reads
	dim    int
	starts []int // of the parts in that dimension
}

// assemble returns a body, which returns results, without the instructions that put values together of parts that their nests can write in place. What keep says stays
// as it is.
func (l *lowering) assemble(body []*ir.Instr, results []*ir.Value, unpooled map[*ir.Value]*unpooled, keep func(*ir.Instr) bool) []*ir.Instr {
	if !l.does(doPieces) {
		return body
	}
	users, makers := map[*ir.Value]int{}, map[*ir.Value]int{}
	for k, in := range body {
		for _, v := range reads(in, unpooled) {
			users[v]++
		}
		for _, v := range in.Results {
			makers[v] = k
		}
	}
	for _, v := range results {
		users[v]++
	}
	body = slices.Clone(body)
	dead := map[*ir.Instr]bool{}
	for _, in := range body {
		if keep(in) || l.bodies[in] != nil {
			continue
		}
		a := assemblyOf(in)
		if a == nil {
			continue
		}
		// The nests that make the parts, and which of their results, seen in how many dimensions, the parts are.
		type made struct {
			maker, result int
			place         *piece
		}
		var all []made
		var views []*ir.Instr
		for k, v := range a.parts {
			at, known := makers[v]
			if !known || users[v] != 1 {
				break
			}
			shape := v.Type.Shape
			if view := body[at]; view.Op == ir.OpReshape {
				views = append(views, view)
				v = view.Args[0]
				if at, known = makers[v]; !known || users[v] != 1 {
					break
				}
			}
			p := l.pieceOf(body[at], shape, a, k)
			if p == nil || keep(body[at]) {
				break
			}
			all = append(all, made{at, slices.Index(body[at].Results, v), p})
		}
		if len(all) < len(a.parts) {
			continue
		}
		for _, m := range all {
			old := body[m.maker]
			clone := *old
			clone.Results = slices.Clone(old.Results)
			clone.Results[m.result] = a.whole
			places := make([]*piece, len(clone.Results))
			copy(places, l.pieces[old])
			places[m.result] = m.place
			l.pieces[&clone] = places
			if b := l.bodies[old]; b != nil {
				l.bodies[&clone] = b
			}
			body[m.maker] = &clone
		}
		dead[in] = true
		for _, v := range views {
			dead[v] = true
		}
	}
	return slices.DeleteFunc(body, func(in *ir.Instr) bool { return dead[in] })
}

// assemblyOf returns how an instruction puts a value together of parts, nil if it does not.
func assemblyOf(in *ir.Instr) *assembly {
	if in.Op != ir.OpNest || in.Nest.Combine != ir.Map || in.Nest.Write != nil || len(in.Nest.Guards) > 0 || in.Nest.Body.DType != tensor.F32 || len(in.Args) < 2 {
		return nil
	}
	n := in.Nest
	a := &assembly{whole: in.Result(), dim: -1}
	var add func(e *ir.Expr) bool
	add = func(e *ir.Expr) bool {
		if e.Leaf == ir.NotLeaf {
			return e.Op == ir.OpAdd && add(e.Args[0]) && add(e.Args[1])
		}
		if e.Leaf != ir.LeafRead || e.Read.Guarded && e.Read.Else != 0 {
			return false
		}
		v := in.Args[e.Read.Operand]
		if slices.Contains(a.parts, v) || len(v.Type.Shape) != n.Out {
			return false
		}
		start := 0
		for k, ix := range e.Read.Index {
			loop := ir.Loop(k)
			if v.Type.Shape[k].Equal(n.Index[k].Extent) {
				if !ix.Equal(loop) {
					return false
				}
				continue
			}
			before, ok := loop.Sub(ix).IsConst()
			if !ok || a.dim >= 0 && a.dim != k || !e.Read.Guarded {
				return false
			}
			a.dim, start = k, before
		}
		a.parts, a.starts = append(a.parts, v), append(a.starts, start)
		return true
	}
	if !add(n.Body) || a.dim < 0 || len(a.parts) != len(in.Args) {
		return nil
	}
	// The parts must cover the whole, each element once.
	order := make([]int, len(a.parts))
	for k := range order {
		order[k] = k
	}
	slices.SortFunc(order, func(x, y int) int { return a.starts[x] - a.starts[y] })
	end := 0
	for _, k := range order {
		size, ok := a.parts[k].Type.Shape[a.dim].IsConst()
		if !ok || a.starts[k] != end {
			return nil
		}
		end += size
	}
	if size, ok := n.Index[a.dim].Extent.IsConst(); !ok || size != end {
		return nil
	}
	return a
}

// pieceOf returns where a nest writes a result that, seen in this shape, is part k of a; nil if it cannot.
func (l *lowering) pieceOf(in *ir.Instr, shape []ir.Affine, a *assembly, k int) *piece {
	n := in.Nest
	if in.Op != ir.OpNest || n.Write != nil || n.ResultDType() != tensor.F32 || n.Combine != ir.Map && n.Combine != ir.Sum || l.byWinograd(in) != nil {
		return nil
	}
	for _, ix := range n.Index[n.Out:] { // a sum of no terms would be written as a whole result
		terms, known := ix.Extent.IsConst()
		if _, symbol := ix.Extent.IsSymbol(); known && terms < 1 || !known && !symbol {
			return nil
		}
	}
	index := seenAs(n.ResultShape(), shape)
	if index == nil {
		return nil
	}
	index[a.dim] = index[a.dim].AddConst(a.starts[k])
	p := &piece{a.whole.Type.Shape, index}
	if !p.neighbours(n) {
		return nil
	}
	return p
}

// neighbours reports whether the elements of the last of the nest's loops that is not single, which become vectors, are neighbours in the whole. Parts of one element are not.
func (p *piece) neighbours(n *ir.Nest) bool {
	one := ir.Int(1)
	last := n.Out - 1
	for last >= 0 && n.Index[last].Extent.Equal(one) {
		last--
	}
	if last < 0 {
		return true
	}
	for k := len(p.index) - 1; k >= 0; k-- {
		if p.index[k].Uses(last) {
			return slices.ContainsFunc(p.index[k].Terms, func(t ir.Term) bool {
				return t.Coef == 1 && t.Atom.Kind == ir.AtomIndex && t.Atom.Index == last
			})
		}
		if !p.shape[k].Equal(one) {
			return false
		}
	}
	return false
}

// seenAs returns the index in a tensor of shape to of the element that lies at the loops' indices in one of shape from; nil where that is no sum of these.
func seenAs(from, to []ir.Affine) []ir.Affine {
	var index []ir.Affine
	for len(from) > 0 && len(to) > 0 && from[0].Equal(to[0]) {
		index = append(index, ir.Loop(len(index)))
		from, to = from[1:], to[1:]
	}
	switch {
	case len(from) == 0 && len(to) == 0:
		return index
	case len(to) != 1:
		return nil
	}
	sum, stride := ir.Int(0), 1
	for k := len(from) - 1; k >= 0; k-- {
		size, ok := from[k].IsConst()
		if !ok {
			return nil
		}
		sum = sum.Add(ir.Loop(len(index) + k).Scale(stride))
		stride *= size
	}
	if !to[0].Equal(ir.Int(stride)) {
		return nil
	}
	return append(index, sum)
}
