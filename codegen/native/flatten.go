package native

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// flattened is a nest that goes through elements in the order in which they lie.
type flattened struct {
	nest   *ir.Nest
	bodies []*ir.Expr
	types  []ir.Type
	sized  int // the operand that has as many elements as the loop, or -1: the result has
}

// flatten returns an elementwise nest, which may have several bodies, or a minimum or maximum of all elements, as one loop over a number of elements that the
// kernel is told when it runs, so that nests of different shapes share a kernel: an optimiser's updates of all parameters, for example. It returns nil unless
// every operand is a single element or read at the element that is written. (A sum would be another one, to the last bit, if it were in other parts.)
func flatten(n *ir.Nest, bodies []*ir.Expr, types []ir.Type) *flattened {
	reduced := n.Out == 0 && len(n.Index) > 0 && (n.Combine == ir.Min || n.Combine == ir.Max)
	if n.Write != nil || len(n.Guards) > 0 || !reduced && (n.Combine != ir.Map || n.Out == 0) {
		return nil
	}
	z := &flattened{types: make([]ir.Type, len(types)), sized: -1}
	shape := make([]ir.Affine, len(n.Index))
	for k, ix := range n.Index {
		shape[k] = ix.Extent
	}
	for i, t := range types {
		switch {
		case len(t.Shape) == 0:
			z.types[i] = t
		case t.Equal(ir.Type{DType: t.DType, Shape: shape}):
			z.types[i] = ir.Type{DType: t.DType, Shape: []ir.Affine{ir.Symbol(exec.Count)}}
			if reduced {
				z.sized = i
			}
		default:
			return nil
		}
	}
	ok := !reduced || z.sized >= 0
	known := map[*ir.Expr]*ir.Expr{} // bodies share parts
	var rewrite func(e *ir.Expr) *ir.Expr
	rewrite = func(e *ir.Expr) *ir.Expr {
		if x := known[e]; x != nil {
			return x
		}
		x := e
		switch {
		case e.Leaf == ir.LeafIndex:
			ok = ok && isPlace(*e.Affine, shape)
			at := ir.Loop(0)
			clone := *e
			clone.Affine = &at
			x = &clone
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
	z.bodies = make([]*ir.Expr, len(bodies))
	for k, b := range bodies {
		z.bodies[k] = rewrite(b)
	}
	if !ok {
		return nil
	}
	z.nest = &ir.Nest{Combine: n.Combine, Out: 1, Index: []ir.Index{{Name: "n", Extent: ir.Symbol(exec.Count)}}, Body: z.bodies[0]}
	if reduced {
		z.nest.Out = 0
	}
	return z
}

// isPlace reports whether an index is the number of the loops' element, in the order in which a tensor of that shape lies.
func isPlace(a ir.Affine, shape []ir.Affine) bool {
	coefs := make([]int, len(shape))
	for _, t := range a.Terms {
		if t.Atom.Kind != ir.AtomIndex {
			return false
		}
		coefs[t.Atom.Index] = t.Coef
	}
	stride := 1
	for k := len(shape) - 1; k >= 0; k-- {
		n, known := shape[k].IsConst()
		if (!known || n != 1) && coefs[k] != stride {
			return false
		}
		if !known && k > 0 {
			return false
		}
		stride *= n
	}
	return a.Const == 0
}

// places makes operands of the constants that tell random numbers of different places apart, so that equal layers share kernels.
func (l *lowering) places(p *procedure, bodies []*ir.Expr, types []ir.Type, args []int) ([]*ir.Expr, []ir.Type, []int) {
	if !l.does(doPlaces) {
		return bodies, types, args
	}
	types, args = slices.Clone(types), slices.Clone(args)
	known := map[*ir.Expr]*ir.Expr{} // bodies share parts
	operand := map[float64]int{}
	var rewrite func(e *ir.Expr) *ir.Expr
	rewrite = func(e *ir.Expr) *ir.Expr {
		if e.Leaf != ir.NotLeaf {
			return e
		}
		if x := known[e]; x != nil {
			return x
		}
		clone := *e
		clone.Args = make([]*ir.Expr, len(e.Args))
		changed := false
		for k, a := range e.Args {
			x := rewrite(a)
			if k == 1 && a.Leaf == ir.LeafConst && (e.Op == ir.OpUniform || e.Op == ir.OpNormal) {
				number, have := operand[a.Value]
				if !have {
					number = len(args)
					operand[a.Value] = number
					args = append(args, l.place(p, int32(a.Value)))
					types = append(types, ir.Scalar(tensor.I32))
				}
				x = ir.ReadOf(tensor.I32, number)
			}
			clone.Args[k], changed = x, changed || x != a
		}
		x := e
		if changed {
			x = &clone
		}
		known[e] = x
		return x
	}
	all := make([]*ir.Expr, len(bodies))
	for k, b := range bodies {
		all[k] = rewrite(b)
	}
	return all, types, args
}

// place returns a slot of p with a number that is known when the code is made.
func (l *lowering) place(p *procedure, number int32) int {
	t := l.numbers32[number]
	if t == nil {
		t = &tensor.Tensor{DType: tensor.I32, I32: []int32{number}}
		l.numbers32[number] = t
	}
	at, err := l.constant(t)
	if err != nil {
		panic("BUG: native: " + err.Error())
	}
	return p.slot(exec.Slot{Type: ir.Scalar(tensor.I32), Place: exec.Const, Index: at})
}
