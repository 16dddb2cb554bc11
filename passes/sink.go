package passes

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// sink computes only what is read of a value: where all its readers take the same row of a dimension, the value loses that dimension, and
// its nest computes the row alone. Its operands may then be read in one row only too, so slices sink from their readers towards the
// parameters, through everything that works row by row. The prediction of a language model, which asks for what follows the last
// unit, computes the last layer's products for one unit instead of all.
//
// Source: slices moved through elementwise operations and products, as in XLA's algebraic simplifier; demand analysis in one backward sweep
// over straight-line code.
func sink(m *ir.Module) error {
	return eachFunc(m, func(f *ir.Func) error {
		s := &sinking{f: f, uses: map[*ir.Value][]*ir.Instr{}}
		var body []*ir.Instr // in reverse
		for _, in := range slices.Backward(f.Body) {
			slice := s.instr(in)
			body = append(body, in)
			s.use(in)
			if slice != nil {
				body = append(body, slice)
				s.use(slice)
			}
		}
		slices.Reverse(body)
		f.Body = body
		return nil
	})
}

// sinking is the sweep over one function.
type sinking struct {
	f    *ir.Func
	uses map[*ir.Value][]*ir.Instr // of the values, by the instructions that were visited
}

func (s *sinking) use(in *ir.Instr) {
	for i, a := range in.Args {
		if !slices.Contains(in.Args[:i], a) {
			s.uses[a] = append(s.uses[a], in)
		}
	}
}

// instr takes dimensions from the result of in of which one row is read. Where in is a reshape, it returns the instruction that slices its
// operand, if there is one.
func (s *sinking) instr(in *ir.Instr) (slice *ir.Instr) {
	if in.Op != ir.OpNest && in.Op != ir.OpReshape || in.Op == ir.OpNest && in.Nest.Write != nil {
		return nil
	}
	v := in.Result()
	for k := len(v.Type.Shape) - 1; k >= 0; k-- {
		row, one := s.row(v, k)
		switch {
		case !one:
		case in.Op == ir.OpNest && !guardsUse(in.Nest, k):
			in.Nest = withoutLoop(in.Nest, k, row)
			s.drop(v, k)
		case in.Op == ir.OpReshape && slice == nil && samePrefix(in.Args[0].Type.Shape, v.Type.Shape, k):
			slice = sliceOf(in.Args[0], k, row, in.Loc)
			in.Args = []*ir.Value{slice.Result()}
			s.drop(v, k)
		}
	}
	return slice
}

// row returns the one row of dimension k that all readers of v take; ok is false where there is none, or nothing to gain.
func (s *sinking) row(v *ir.Value, k int) (row ir.Affine, ok bool) {
	if n, known := v.Type.Shape[k].IsConst(); known && n == 1 || slices.Contains(s.f.Results, v) {
		return row, false
	}
	for _, u := range s.uses[v] {
		if u.Op != ir.OpNest {
			return row, false
		}
		one := true
		u.Nest.Reads(func(r *ir.Read) {
			if u.Args[r.Operand] != v {
				return
			}
			one = one && overSymbols(r.Index[k]) && !r.Guarded && (!ok || row.Equal(r.Index[k]))
			row, ok = r.Index[k], true
		})
		if !one {
			return row, false
		}
	}
	return row, ok
}

// overSymbols reports whether an index is a number once the sizes of the call are known.
func overSymbols(a ir.Affine) bool {
	only := true
	a.Rewrite(func(x ir.Atom) (ir.Affine, bool) {
		only = only && (x.Kind == ir.AtomSymbol || x.Kind == ir.AtomQuotient)
		return ir.Affine{}, false
	})
	return only
}

// drop takes dimension k from v and from all that read it.
func (s *sinking) drop(v *ir.Value, k int) {
	v.Type.Shape = slices.Delete(slices.Clone(v.Type.Shape), k, k+1)
	for _, u := range s.uses[v] {
		args := u.Args
		u.Nest = u.Nest.RewriteReads(func(r *ir.Read) *ir.Read {
			if args[r.Operand] != v {
				return r
			}
			clone := *r
			clone.Index = slices.Delete(slices.Clone(r.Index), k, k+1)
			return &clone
		})
	}
}

// guardsUse reports whether a guard of n depends on loop k.
func guardsUse(n *ir.Nest, k int) bool {
	return slices.ContainsFunc(n.Guards, func(g ir.Guard) bool { return g.E.Uses(k) || g.Limit.Uses(k) })
}

// withoutLoop is n with one row in place of loop k.
func withoutLoop(n *ir.Nest, k int, row ir.Affine) *ir.Nest {
	clone := rewriteNest(n, func(a ir.Atom) (ir.Affine, bool) {
		switch {
		case a.Kind != ir.AtomIndex || a.Index < k:
			return ir.Affine{}, false
		case a.Index == k:
			return row, true
		}
		return ir.Loop(a.Index - 1), true
	})
	clone.Index = slices.Delete(clone.Index, k, k+1)
	clone.Out--
	return clone
}

// samePrefix reports whether a reshape keeps dimension k and all before it.
func samePrefix(from, to []ir.Affine, k int) bool {
	return k < len(from) && slices.EqualFunc(from[:k+1], to[:k+1], ir.Affine.Equal)
}

// sliceOf makes the instruction that takes a row of dimension k.
func sliceOf(v *ir.Value, k int, row ir.Affine, loc ir.Loc) *ir.Instr {
	shape := slices.Delete(slices.Clone(v.Type.Shape), k, k+1)
	at := ir.Loops(0, len(shape))
	n := &ir.Nest{
		Combine: ir.Map, Index: ir.Indices(shape), Out: len(shape),
		Body: ir.ReadOf(v.Type.DType, 0, slices.Insert(at, k, row)...),
	}
	in := &ir.Instr{Op: ir.OpNest, Nest: n, Args: []*ir.Value{v}, Loc: loc}
	in.Results = []*ir.Value{{Name: v.Name, Type: ir.Type{DType: v.Type.DType, Shape: shape}, Def: in}}
	return in
}
