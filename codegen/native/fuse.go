package native

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// Note [Fusing elementwise nests]
//
// An elementwise nest costs a pass through memory, mostly, and its arithmetic next to nothing. So its body is put in the place of the reads of
// its result where the consumer computes no more points than it did, if that leaves its result unread:
//
//   - into its only consumer, always;
//   - into several consumers that read parts of it, together no more than it has, such as the gates of a recurrent cell;
//   - into several consumers, if its ops are cheap and only one of its operands is as large as its result, so that the consumers read no
//     more than before.
//
// Consumers are elementwise nests and reductions, such as pooling. Nothing is fused into contractions, which read an element many times.

// maxFused bounds the nodes of a body.
const maxFused = 40

// fuse is fuse where it is wanted.
func (l *lowering) fuse(f *ir.Func) *ir.Func {
	if !l.does(doFuse) {
		return f
	}
	return fuse(f)
}

// fuse returns f with elementwise nests fused into their consumers. The instructions are new, their results are f's own values.
func fuse(f *ir.Func) *ir.Func {
	g := *f
	g.Body = make([]*ir.Instr, len(f.Body))
	users := map[*ir.Value][]*ir.Instr{}
	pinned := map[*ir.Value]bool{} // read otherwise than by nests
	for i, in := range f.Body {
		clone := *in
		g.Body[i] = &clone
		for _, a := range in.Args {
			if in.Op != ir.OpNest {
				pinned[a] = true
			} else if u := users[a]; len(u) == 0 || u[len(u)-1] != &clone {
				users[a] = append(u, &clone)
			}
		}
	}
	for _, r := range f.Results {
		pinned[r] = true
	}
	dead := map[*ir.Instr]bool{}
	for _, in := range g.Body {
		if in.Op != ir.OpNest || in.Nest.Combine != ir.Map || len(in.Nest.Guards) > 0 || pinned[in.Result()] {
			continue
		}
		z := in.Result()
		consumers := users[z]
		if len(consumers) == 0 || len(consumers) > 1 && !repeatable(in) && !parted(in, consumers) {
			continue
		}
		if slices.ContainsFunc(consumers, func(c *ir.Instr) bool { return !fusable(in, c) }) {
			continue
		}
		for _, c := range consumers {
			substitute(in, c)
			for _, a := range in.Args {
				users[a] = slices.DeleteFunc(users[a], func(u *ir.Instr) bool { return u == in || u == c })
				users[a] = append(users[a], c)
			}
		}
		dead[in] = true
	}
	g.Body = slices.DeleteFunc(g.Body, func(in *ir.Instr) bool { return dead[in] })
	return &g
}

// repeatable reports whether several consumers may compute an elementwise nest again.
func repeatable(in *ir.Instr) bool {
	cheap := true
	in.Nest.Body.Walk(func(e *ir.Expr) {
		switch e.Op {
		case ir.OpExp, ir.OpExpm1, ir.OpLog, ir.OpLog1p, ir.OpSin, ir.OpCos, ir.OpTanh, ir.OpErf, ir.OpPow, ir.OpMod, ir.OpSigmoid, ir.OpSqrt,
			ir.OpDiv, ir.OpUniform, ir.OpNormal:
			cheap = e.Leaf != ir.NotLeaf
		}
		if e.Leaf == ir.LeafRead {
			for _, ix := range e.Read.Index {
				ix.Loads(func(*ir.Read) { cheap = false })
			}
		}
	})
	if !cheap {
		return false
	}
	large := 0
	for i, a := range in.Args {
		if slices.Contains(in.Args[:i], a) {
			continue
		}
		if weight(a.Type.Shape...) > weight(in.Result().Type.Shape...)/8 {
			large++
		}
	}
	return large <= 1
}

// parted reports whether consumers together read no more elements of in's result than it has.
func parted(in *ir.Instr, consumers []*ir.Instr) bool {
	read := 0.0
	for _, c := range consumers {
		points := 1.0
		for _, ix := range c.Nest.Index {
			points *= weight(ix.Extent)
		}
		c.Nest.Reads(func(r *ir.Read) {
			if c.Args[r.Operand] == in.Result() {
				read += points
			}
		})
	}
	return read <= weight(in.Result().Type.Shape...)
}

// fusable reports whether the body of in can take the place of c's reads of its result.
func fusable(in, c *ir.Instr) bool {
	n, p := c.Nest, in.Nest
	if n.Write != nil {
		return false
	}
	points := 1.0
	for _, ix := range n.Index {
		points *= weight(ix.Extent)
	}
	if points > weight(p.ResultShape()...) {
		return false
	}
	ours := func(r *ir.Read) bool { return c.Args[r.Operand] == in.Result() }
	ok := true
	inIndex := func(r *ir.Read) { ok = ok && !ours(r) }
	for _, g := range n.Guards {
		g.E.Loads(inIndex)
		g.Limit.Loads(inIndex)
	}
	reads := 0
	n.Body.Walk(func(e *ir.Expr) {
		switch e.Leaf {
		case ir.LeafIndex:
			e.Affine.Loads(inIndex)
		case ir.LeafRead:
			for _, ix := range e.Read.Index {
				ix.Loads(inIndex)
			}
			if !ours(e.Read) {
				return
			}
			reads++
			for k, ix := range e.Read.Index {
				ok = ok && ir.Inside(ix, p.Index[k].Extent, n.Extent)
			}
		}
	})
	return ok && size(n.Body)+reads*size(p.Body) <= maxFused
}

func size(e *ir.Expr) int {
	n := 0
	e.Walk(func(*ir.Expr) { n++ })
	return n
}

// substitute puts the body of in in the place of c's reads of its result.
func substitute(in, c *ir.Instr) {
	args := slices.Clone(c.Args)
	number := make([]int, len(in.Args)) // of in's operands among c's
	for i, a := range in.Args {
		number[i] = slices.Index(args, a)
		if number[i] < 0 {
			number[i] = len(args)
			args = append(args, a)
		}
	}
	body := in.Nest.Body.RewriteReads(func(r *ir.Read) *ir.Read {
		clone := *r
		clone.Operand = number[r.Operand]
		return &clone
	})
	z := in.Result()
	n := *c.Nest
	n.Body = n.Body.Rewrite(func(e *ir.Expr) *ir.Expr {
		if e.Leaf != ir.LeafRead || e.Read.Operand >= len(c.Args) || c.Args[e.Read.Operand] != z {
			return e
		}
		at := e.Read.Index
		return body.RewriteAffine(func(a ir.Atom) (ir.Affine, bool) {
			if a.Kind != ir.AtomIndex {
				return ir.Affine{}, false
			}
			return at[a.Index], true
		})
	})
	c.Nest, c.Args = withoutUnread(&n, args)
}

// withoutUnread returns n without the operands that it does not read, so that equal nests look alike.
func withoutUnread(n *ir.Nest, args []*ir.Value) (*ir.Nest, []*ir.Value) {
	used := make([]bool, len(args))
	n.Reads(func(r *ir.Read) { used[r.Operand] = true })
	to := make([]int, len(args))
	var kept []*ir.Value
	for i, a := range args {
		to[i] = len(kept)
		if used[i] {
			kept = append(kept, a)
		}
	}
	return n.RewriteReads(func(r *ir.Read) *ir.Read {
		clone := *r
		clone.Operand = to[r.Operand]
		return &clone
	}), kept
}
