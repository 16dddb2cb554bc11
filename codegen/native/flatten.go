package native

import (
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// flatten returns an elementwise nest, which may have several bodies, as one loop over a number of elements that the kernel is told when it
// runs, so that nests of different shapes share a kernel: an optimiser's updates of all parameters, for example. It fails (false) unless
// every operand is a single element or read at the element that is written.
func flatten(n *ir.Nest, bodies []*ir.Expr, types []ir.Type) (*ir.Nest, []*ir.Expr, []ir.Type, bool) {
	if n.Combine != ir.Map || n.Write != nil || len(n.Guards) > 0 || n.Out == 0 {
		return nil, nil, nil, false
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
			return nil, nil, nil, false
		}
	}
	ok := true
	known := map[*ir.Expr]*ir.Expr{} // bodies share parts
	var rewrite func(e *ir.Expr) *ir.Expr
	rewrite = func(e *ir.Expr) *ir.Expr {
		if x := known[e]; x != nil {
			return x
		}
		x := e
		switch {
		case e.Leaf == ir.LeafIndex:
			ok = false
		case e.Leaf == ir.LeafRead && len(e.Read.Index) > 0:
			for k, ix := range e.Read.Index {
				l, single := ix.IsLoop()
				ok = ok && single && l == k
			}
			x = ir.ReadOf(e.DType, e.Read.Operand, ir.Loop(0))
		case e.Leaf == ir.NotLeaf:
			clone := *e
			clone.Args = make([]*ir.Expr, len(e.Args))
			for k, a := range e.Args {
				clone.Args[k] = rewrite(a)
			}
			x = &clone
		}
		known[e] = x
		return x
	}
	all := make([]*ir.Expr, len(bodies))
	for k, b := range bodies {
		all[k] = rewrite(b)
	}
	if !ok {
		return nil, nil, nil, false
	}
	one := &ir.Nest{Combine: ir.Map, Out: 1, Index: []ir.Index{{Name: "n", Extent: ir.Symbol(exec.Count)}}, Body: all[0]}
	return one, all, flat, true
}
