package native

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// Note [Slices]
//
// A part of a value, such as attention's queries among a product's columns, is a nest that copies it. Nests that compute with it can as well read the value itself, with
// other indices: its rows are only farther apart. What is copied for a contraction in any case, in another order, is copied from there. Then nothing reads the part.

// slice is what a value consists of: elements of another one.
type slice struct {
	from  *ir.Value
	index []ir.Affine // there, in loops over the slice's own shape
}

// note remembers what in defines if that is a slice, or one in another shape.
func (a *arranger) note(in *ir.Instr) {
	if !a.does(doSlices) {
		return
	}
	switch {
	case in.Op == ir.OpReshape:
		of := a.slices[in.Args[0]]
		if of == nil {
			return
		}
		if index := seenAs(in.Result().Type.Shape, in.Args[0].Type.Shape); index != nil {
			a.slices[in.Result()] = &slice{of.from, within(of.index, index)}
		}
	case isSlice(in):
		read := in.Nest.Body.Read
		s := &slice{in.Args[read.Operand], read.Index}
		if of := a.slices[s.from]; of != nil {
			s = &slice{of.from, within(of.index, s.index)}
		}
		a.slices[in.Result()] = s
	}
}

// isSlice reports whether a nest copies a part of a value, in its order.
func isSlice(in *ir.Instr) bool {
	n := in.Nest
	if in.Op != ir.OpNest || n.Combine != ir.Map || n.Write != nil || len(n.Guards) > 0 || n.Body.Leaf != ir.LeafRead || n.Body.Read.Guarded || len(n.Body.Read.Index) != n.Out {
		return false
	}
	t := in.Args[n.Body.Read.Operand].Type
	for k, ix := range n.Body.Read.Index {
		if start, ok := ix.Sub(ir.Loop(k)).IsConst(); !ok || start < 0 || !ir.Inside(ix, t.Shape[k], n.Extent) {
			return false
		}
	}
	return true
}

// within returns index with other indices in the place of the loops.
func within(index, loops []ir.Affine) []ir.Affine {
	z := make([]ir.Affine, len(index))
	for k, ix := range index {
		z[k] = ix.Rewrite(func(a ir.Atom) (ir.Affine, bool) {
			if a.Kind != ir.AtomIndex {
				return ir.Affine{}, false
			}
			return loops[a.Index], true
		})
	}
	return z
}

// through returns a nest and its operands with slices read where they come from, as far as the nest reads them with indices that are known to be inside.
func (a *arranger) through(n *ir.Nest, args []*ir.Value) (*ir.Nest, []*ir.Value) {
	ok := make([]bool, len(args))
	some := false
	for k, v := range args {
		ok[k] = a.slices[v] != nil
		some = some || ok[k]
	}
	if !some {
		return n, args
	}
	n.Reads(func(r *ir.Read) {
		v := args[r.Operand]
		if r.Guarded {
			ok[r.Operand] = false
		}
		for k, ix := range r.Index {
			if !ir.Inside(ix, v.Type.Shape[k], n.Extent) {
				ok[r.Operand] = false
			}
			ix.Loads(func(*ir.Read) { ok[r.Operand] = false })
		}
	})
	args = slices.Clone(args)
	n = n.RewriteReads(func(r *ir.Read) *ir.Read {
		if !ok[r.Operand] {
			return r
		}
		clone := *r
		clone.Index = within(a.slices[args[r.Operand]].index, r.Index)
		return &clone
	})
	for k, v := range args {
		if ok[k] {
			args[k] = a.slices[v].from
		}
	}
	return n, args
}

// withoutSlices returns the body without slices that nothing reads any more.
func (a *arranger) withoutSlices(results []*ir.Value, unpooled map[*ir.Value]*unpooled) []*ir.Instr {
	if len(a.slices) == 0 {
		return a.body
	}
	used := map[*ir.Value]bool{}
	for _, v := range results {
		used[v] = true
	}
	dead := map[*ir.Instr]bool{}
	for _, in := range slices.Backward(a.body) {
		if len(in.Results) == 1 && a.slices[in.Result()] != nil && !used[in.Result()] {
			dead[in] = true
			continue
		}
		for _, v := range reads(in, unpooled) {
			used[v] = true
		}
	}
	return slices.DeleteFunc(a.body, func(in *ir.Instr) bool { return dead[in] })
}
