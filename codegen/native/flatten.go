package native

import (
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// flatten returns an elementwise nest as one loop over a number of elements that the kernel is told when it runs, so that nests of different
// shapes share a kernel: an optimiser's updates of all parameters, for example. It fails (false) unless every operand is a single element or
// read at the element that is written.
func flatten(n *ir.Nest, types []ir.Type) (*ir.Nest, []ir.Type, bool) {
	if n.Combine != ir.Map || n.Write != nil || len(n.Guards) > 0 || n.Out == 0 {
		return nil, nil, false
	}
	shape := n.ResultShape()
	flat := make([]ir.Type, len(types))
	for i, t := range types {
		switch {
		case len(t.Shape) == 0:
			flat[i] = t
		case t.Equal(ir.Type{DType: t.DType, Shape: shape}):
			flat[i] = ir.Type{DType: t.DType, Shape: []ir.Affine{ir.Symbol(exec.Count)}}
		default:
			return nil, nil, false
		}
	}
	ok := true
	body := n.Body.Rewrite(func(e *ir.Expr) *ir.Expr {
		switch {
		case e.Leaf == ir.LeafIndex:
			ok = false
		case e.Leaf == ir.LeafRead && len(e.Read.Index) > 0:
			for k, ix := range e.Read.Index {
				l, single := ix.IsLoop()
				ok = ok && single && l == k
			}
			return ir.ReadOf(e.DType, e.Read.Operand, ir.Loop(0))
		}
		return e
	})
	if !ok {
		return nil, nil, false
	}
	return &ir.Nest{Combine: ir.Map, Out: 1, Index: []ir.Index{{Name: "n", Extent: ir.Symbol(exec.Count)}}, Body: body}, flat, true
}
