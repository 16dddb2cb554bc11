package passes

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// simplify rewrites each instruction into a simpler one with the same results:
//
//   - constants are folded, and reads of tensors that hold one number everywhere become that number;
//   - guards and guarded reads that the extents of the loops prove lose the guard, quotients that they decide their division;
//   - reduced indices of extent 1 vanish, and a sum over an index that nothing uses is a product with its extent;
//   - factors that do not depend on reduced indices leave a sum of products of two reads, so that it is a contraction;
//   - reshapes of reshapes are one, and reshapes and maps that copy their operand are the operand.
//
// A value that a gradient is taken by is none of these: it is a variable there, whatever it is made of.
//
// Source: the rules are those of common term rewriting; none is sensitive to the order of the others but through the order of
// instructions, which is followed.
func simplify(m *ir.Module) error {
	return eachFunc(m, func(f *ir.Func) error {
		values, variables := substitution{}, variablesOf(f)
		var body []*ir.Instr
		for _, in := range f.Body {
			values.args(in)
			body = append(body, in)
			switch in.Op {
			case ir.OpReshape:
				from := in.Args[0]
				if from.Def != nil && from.Def.Op == ir.OpReshape && !variables[from] {
					from = from.Def.Args[0]
					in.Args = []*ir.Value{from}
				}
				if from.Type.Equal(in.Result().Type) && !variables[in.Result()] {
					values[in.Result()] = from
				}
			case ir.OpNest:
				in.Nest = simplifyNest(in.Nest, in.Args, variables)
				in.Nest, in.Args = compact(in.Nest, in.Args)
				if isCopy(in) && !variables[in.Result()] {
					values[in.Result()] = in.Args[0]
					continue
				}
				if outer := splitFactors(in); outer != nil {
					body = append(body, outer)
				}
			}
		}
		values.results(f)
		f.Body = body
		return nil
	})
}

func simplifyNest(n *ir.Nest, args []*ir.Value, variables map[*ir.Value]bool) *ir.Nest {
	n = dropUnitLoops(tidyNest(n))
	n.Guards = openGuards(n) // n is a copy since tidyNest
	n.Body = fold(n.Body.Rewrite(func(e *ir.Expr) *ir.Expr {
		if e.Leaf != ir.LeafRead {
			return e
		}
		shape := args[e.Read.Operand].Type.Shape
		outside := e.Read.Guarded && !inside(e.Read, shape, n.Extent)
		if v, ok := uniform(args[e.Read.Operand], variables); ok && (!outside || e.Read.Else == v) {
			return ir.Const(e.DType, v)
		}
		if e.Read.Guarded && !outside {
			read := *e.Read
			read.Guarded, read.Else = false, 0
			leaf := *e
			leaf.Read = &read
			return &leaf
		}
		return e
	}))
	if n = multiplyUnused(n); len(n.Index) == n.Out && n.Combine == ir.Sum && n.Write == nil {
		n.Combine = ir.Map
	}
	return n
}

// multiplyUnused replaces the loops of a sum over indices that nothing uses by products with their extents.
func multiplyUnused(n *ir.Nest) *ir.Nest {
	if n.Combine != ir.Sum || n.Write != nil || n.Body.DType != tensor.F32 {
		return n
	}
	used := *n
	used.Index = slices.Clone(n.Index)
	points := 1
	for i := n.Out; i < len(n.Index); i++ {
		extent, ok := n.Index[i].Extent.IsConst()
		if !ok || n.Body.Uses(i) || slices.ContainsFunc(n.Guards, func(g ir.Guard) bool { return g.E.Uses(i) || g.Limit.Uses(i) }) {
			continue
		}
		points *= extent
		used.Index[i].Extent = ir.Int(1)
	}
	if points == 1 {
		return n
	}
	used.Body = fold(ir.Apply(ir.OpMul, n.Body, ir.F32(float64(points))))
	return dropUnitLoops(&used)
}

// variablesOf lists the values that f takes gradients by.
func variablesOf(f *ir.Func) map[*ir.Value]bool {
	variables := map[*ir.Value]bool{}
	for _, in := range f.Body {
		if in.Op == ir.OpGrad {
			for _, x := range in.Args[1:] {
				variables[x] = true
			}
		}
	}
	return variables
}

// uniform reports whether every element of v is the same number that is known now, and which.
func uniform(v *ir.Value, variables map[*ir.Value]bool) (float64, bool) {
	switch {
	case v.Def == nil, variables[v]:
		return 0, false
	case v.Def.Op == ir.OpNest:
		n := v.Def.Nest
		if n.Combine != ir.Map || n.Write != nil || len(n.Guards) > 0 {
			return 0, false
		}
		return n.Body.IsConst()
	case v.Def.Op == ir.OpReshape:
		return uniform(v.Def.Args[0], variables)
	case v.Def.Op == ir.OpConst:
		data := v.Def.Data
		if data.Len() == 0 || data.DType == tensor.F64 {
			return 0, false
		}
		first := data.At(0)
		for i := range data.Len() {
			if data.At(i) != first {
				return 0, false
			}
		}
		return first, true
	}
	return 0, false
}

// dropUnitLoops removes reduced indices of extent 1, or any of a scatter.
func dropUnitLoops(n *ir.Nest) *ir.Nest {
	at := make([]ir.Affine, len(n.Index))
	var kept []ir.Index
	for i, x := range n.Index {
		if e, ok := x.Extent.IsConst(); ok && e == 1 && i >= n.Out {
			continue // at[i] is 0
		}
		at[i] = ir.Loop(len(kept))
		kept = append(kept, x)
	}
	if len(kept) == len(n.Index) {
		return n
	}
	combine := n.Combine
	if n.Write == nil && len(kept) == n.Out {
		switch {
		case combine == ir.Sum, len(n.Guards) == 0 && (combine == ir.Prod || combine == ir.Max || combine == ir.Min):
			combine = ir.Map
		case combine != ir.Map:
			return n // a guarded point may leave nothing to combine, or the result is a point's number
		}
	}
	write := n.Write
	n = n.Rewrite(func(a ir.Atom) (ir.Affine, bool) {
		if a.Kind != ir.AtomIndex {
			return ir.Affine{}, false
		}
		return at[a.Index], true
	})
	if write != nil && n.Write == nil {
		n.Write = []ir.Affine{}
	}
	n.Index, n.Combine = kept, combine
	return n
}

// isCopy reports whether in is a map that yields its operand unchanged.
func isCopy(in *ir.Instr) bool {
	n := in.Nest
	if n.Combine != ir.Map || len(n.Guards) > 0 || n.Body.Leaf != ir.LeafRead || n.Body.Read.Guarded {
		return false
	}
	if !in.Args[n.Body.Read.Operand].Type.Equal(in.Result().Type) {
		return false
	}
	for k, ix := range n.Body.Read.Index {
		if i, ok := ix.IsLoop(); !ok || i != k {
			return false
		}
	}
	return true
}

// splitFactors moves the factors that do not depend on reduced indices out of in, a sum of products, if a product of two reads
// remains. It returns the instruction that multiplies by them afterwards, or nil.
func splitFactors(in *ir.Instr) *ir.Instr {
	n := in.Nest
	if n.Combine != ir.Sum || n.Write != nil {
		return nil
	}
	var within, without []*ir.Expr
	for _, e := range factors(n.Body, nil) {
		depends := false
		for i := n.Out; i < len(n.Index); i++ {
			depends = depends || e.Uses(i)
		}
		if depends {
			within = append(within, e)
		} else {
			without = append(without, e)
		}
	}
	if len(without) == 0 || len(within) != 2 || within[0].Leaf != ir.LeafRead || within[1].Leaf != ir.LeafRead {
		return nil
	}
	contraction := *n
	contraction.Body = ir.Apply(ir.OpMul, within...)
	product := in.Result()
	sum := &ir.Value{Type: product.Type, Def: in}

	body := ir.ReadOf(tensor.F32, len(in.Args), ir.Loops(0, n.Out)...)
	for _, e := range without {
		body = ir.Apply(ir.OpMul, body, e)
	}
	outer := &ir.Instr{Op: ir.OpNest, Loc: in.Loc, Results: []*ir.Value{product}}
	outer.Nest, outer.Args = compact(
		&ir.Nest{Combine: ir.Map, Index: n.Index[:n.Out:n.Out], Out: n.Out, Body: fold(body)},
		append(slices.Clone(in.Args), sum),
	)
	product.Def = outer
	in.Nest, in.Args = compact(&contraction, in.Args)
	in.Results = []*ir.Value{sum}
	return outer
}

// factors appends the factors of e to list: those of products, and −1 for a negation.
func factors(e *ir.Expr, list []*ir.Expr) []*ir.Expr {
	if e.Leaf == ir.NotLeaf && e.DType == tensor.F32 {
		switch e.Op {
		case ir.OpMul:
			return factors(e.Args[1], factors(e.Args[0], list))
		case ir.OpNeg:
			return factors(e.Args[0], append(list, ir.F32(-1)))
		}
	}
	return append(list, e)
}
