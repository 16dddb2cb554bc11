package passes

import "github.com/nnc-lang/nnc/ir"

// tidy returns a with the quotients replaced whose value the extents of the loops decide, such as ⌊r/2⌋ = 0 where r < 2.
func tidy(a ir.Affine, extent func(int) ir.Affine) ir.Affine {
	out := ir.Int(a.Const)
	for _, t := range a.Terms {
		switch t.Atom.Kind {
		case ir.AtomQuotient:
			q := tidy(*t.Atom.Num, extent).Div(t.Atom.Den)
			out = out.Add(decide(q, extent).Scale(t.Coef))
		case ir.AtomLoad:
			out = out.Add(ir.LoadIndex(tidyRead(t.Atom.Load, extent)).Scale(t.Coef))
		default:
			out = out.Add(ir.Affine{Terms: []ir.Term{t}})
		}
	}
	return out
}

func decide(q ir.Affine, extent func(int) ir.Affine) ir.Affine {
	out := ir.Int(q.Const)
	for _, t := range q.Terms {
		term := ir.Affine{Terms: []ir.Term{t}}
		if t.Atom.Kind == ir.AtomQuotient {
			if b, ok := ir.BoundsOf(*t.Atom.Num, extent); ok {
				lo, hi := b.Lo.Div(t.Atom.Den), b.Hi.Div(t.Atom.Den)
				switch {
				case lo.Equal(hi):
					term = lo.Scale(t.Coef)
				case ir.NonNegative(b.Lo) && ir.NonNegative(b.Hi.Scale(-1).AddConst(t.Atom.Den-1)):
					continue
				}
			}
		}
		out = out.Add(term)
	}
	return out
}

func tidyRead(r *ir.Read, extent func(int) ir.Affine) *ir.Read {
	clone := *r
	clone.Index = make([]ir.Affine, len(r.Index))
	for i, ix := range r.Index {
		clone.Index[i] = tidy(ix, extent)
	}
	return &clone
}

// tidyNest applies tidy to every index in n.
func tidyNest(n *ir.Nest) *ir.Nest {
	clone := *n
	clone.Body = n.Body.Rewrite(func(e *ir.Expr) *ir.Expr {
		switch e.Leaf {
		case ir.LeafRead:
			leaf := *e
			leaf.Read = tidyRead(e.Read, n.Extent)
			return &leaf
		case ir.LeafIndex:
			return ir.IndexValue(tidy(*e.Affine, n.Extent))
		}
		return e
	})
	clone.Guards = nil
	for _, g := range n.Guards {
		clone.Guards = append(clone.Guards, ir.Guard{E: tidy(g.E, n.Extent), Limit: tidy(g.Limit, n.Extent)})
	}
	clone.Write = nil
	for _, w := range n.Write {
		clone.Write = append(clone.Write, tidy(w, n.Extent))
	}
	return &clone
}
