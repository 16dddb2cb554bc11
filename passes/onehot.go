package passes

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// onehot turns products with one-hot vectors into reads of the row that the vector selects: a sum over k of x[…, k]·w[k, …], where x is
// 1 at k = e and 0 elsewhere, is w[e, …], and 0 if e is no row. Its gradient then is a scatter of rows instead of a product. As elsewhere, 0·x
// is taken to be 0.
//
// Source: strength reduction; sum over a Kronecker delta.
func onehot(m *ir.Module) error {
	return eachFunc(m, func(f *ir.Func) error {
		variables := variablesOf(f)
		for _, in := range f.Body {
			if in.Op != ir.OpNest || in.Nest.Combine != ir.Sum || in.Nest.Write != nil || in.Nest.Body.Op != ir.OpMul {
				continue
			}
			for i := range 2 {
				if n, args := selectRow(in, i, variables); n != nil {
					in.Nest, in.Args = compact(n, args)
					break
				}
			}
		}
		return nil
	})
}

// selectRow returns in, a sum of products, with the one-hot vectors that factor i reads put to use, and its operands; nil if they are none.
func selectRow(in *ir.Instr, i int, variables map[*ir.Value]bool) (*ir.Nest, []*ir.Value) {
	n := in.Nest
	hot, row := n.Body.Args[i], n.Body.Args[1-i]
	if hot.Leaf != ir.LeafRead || hot.Read.Guarded || row.Leaf != ir.LeafRead || row.Read.Guarded || row.DType != tensor.F32 {
		return nil, nil
	}
	v := in.Args[hot.Read.Operand]
	d, place := oneHot(v)
	if d < 0 || variables[v] || in.Args[row.Read.Operand] == v {
		return nil, nil
	}
	k, ok := hot.Read.Index[d].IsLoop()
	if !ok || k < n.Out || !n.Index[k].Extent.Equal(v.Type.Shape[d]) || slices.ContainsFunc(n.Guards, func(g ir.Guard) bool { return g.E.Uses(k) || g.Limit.Uses(k) }) {
		return nil, nil
	}
	for c, ix := range hot.Read.Index {
		if c != d && ix.Uses(k) {
			return nil, nil
		}
	}
	at := -1 // the dimension of the rows
	for c, ix := range row.Read.Index {
		if !ix.Uses(k) {
			continue
		}
		if l, ok := ix.IsLoop(); !ok || l != k || at >= 0 || !in.Args[row.Read.Operand].Type.Shape[c].Equal(n.Index[k].Extent) {
			return nil, nil
		}
		at = c
	}
	if at < 0 {
		return nil, nil
	}
	// The place of the 1, in the loops of n and its operands.
	args := slices.Concat(in.Args, v.Def.Args)
	of := *place
	of.Operand += len(in.Args)
	of.Index = rewriteAll(place.Index, func(a ir.Atom) (ir.Affine, bool) {
		if a.Kind != ir.AtomIndex {
			return ir.Affine{}, false
		}
		return hot.Read.Index[a.Index], true
	})
	read := *row.Read
	read.Index = slices.Clone(read.Index)
	read.Index[at] = ir.LoadIndex(&of)
	read.Guarded, read.Else = true, 0
	leaf := *row
	leaf.Read = &read
	clone := *n
	clone.Body = &leaf
	clone = *clone.Rewrite(func(a ir.Atom) (ir.Affine, bool) {
		if a.Kind != ir.AtomIndex || a.Index < k {
			return ir.Affine{}, false
		}
		return ir.Loop(a.Index - 1), true
	})
	clone.Index = slices.Delete(slices.Clone(n.Index), k, k+1)
	if len(clone.Index) == clone.Out {
		clone.Combine = ir.Map
	}
	return &clone, args
}

// oneHot returns the dimension along which v is a one-hot vector, and the read, in the loops of v's nest, of the place of the 1; −1 if it is none.
func oneHot(v *ir.Value) (int, *ir.Read) {
	if v.Def == nil || v.Def.Op != ir.OpNest {
		return -1, nil
	}
	n := v.Def.Nest
	if n.Combine != ir.Map || n.Write != nil || len(n.Guards) > 0 || n.Body.Op != ir.OpSelect || n.Body.DType != tensor.F32 {
		return -1, nil
	}
	test, one, zero := n.Body.Args[0], n.Body.Args[1], n.Body.Args[2]
	if x, ok := one.IsConst(); !ok || x != 1 || test.Op != ir.OpEqual {
		return -1, nil
	}
	if x, ok := zero.IsConst(); !ok || x != 0 {
		return -1, nil
	}
	for i := range 2 {
		at, place := test.Args[i], test.Args[1-i]
		if at.Leaf != ir.LeafIndex || place.Leaf != ir.LeafRead || place.DType != tensor.I32 || place.Read.Guarded {
			continue
		}
		if d, ok := at.Affine.IsLoop(); ok && !place.Uses(d) {
			return d, place.Read
		}
	}
	return -1, nil
}
