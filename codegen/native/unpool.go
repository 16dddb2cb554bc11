package native

import (
	"slices"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
)

// Note [Gradients before pooling]
//
// The gradient of a max-pooling of 2×2 is zero but at the places of the maxima: three quarters of it are known. It is as large as the
// convolution's result, which is never written either (Note [Epilogues]). So it is kept as it was pooled, beside the places, and Winograd's kernels,
// which read 4×4 or 6×6 elements that begin in an even row and column, make them of 2×2 or 3×3 as they load. The sum of the gradient, a
// bias's gradient, is that of the pooled one.

// unpooled is a value that kernels compute as they read it.
type unpooled struct {
	masked *ir.Value // what the element at the place of each maximum is
	place  *ir.Value // the number of that place in its window of 2×2
	bytes  bool      // which lies in memory as a byte
}

// narrow has the places of maxima lie in memory as bytes that only kernels of Winograd's algorithm make and read, in f, whose values kept are needed as they are.
func narrow(f *ir.Func, all map[*ir.Value]*unpooled, epilogues map[*ir.Instr]*epilogue, kept []*ir.Value) {
	makes := map[*ir.Value]*epilogue{}
	for _, e := range epilogues {
		if e.place {
			makes[e.parts[1].Result()] = e
		}
	}
	for _, in := range f.Body {
		for _, a := range reads(in, nil) {
			delete(makes, a)
		}
	}
	for _, v := range kept {
		delete(makes, v)
	}
	for _, u := range all {
		if e := makes[u.place]; e != nil {
			e.bytes, u.bytes = true, true
		}
	}
}

// pooled returns the height and width of the pooled values.
func (u *unpooled) pooled() [2]ir.Affine {
	s := u.place.Type.Shape
	return [2]ir.Affine{s[len(s)-3], s[len(s)-2]}
}

// unpool returns f without the gradients before pooling that only such kernels, and sums, read; and what those are. What kept says is needed.
func (l *lowering) unpool(f *ir.Func, kept []*ir.Value) (*ir.Func, map[*ir.Value]*unpooled) {
	if l.math != codegen.Fast || !l.does(doUnpool) {
		return f, nil
	}
	def := map[*ir.Value]*ir.Instr{}
	users := map[*ir.Value][]*ir.Instr{}
	for _, in := range f.Body {
		for _, r := range in.Results {
			def[r] = in
		}
		for _, a := range in.Args {
			if u := users[a]; len(u) == 0 || u[len(u)-1] != in {
				users[a] = append(u, in)
			}
		}
	}
	all := map[*ir.Value]*unpooled{}
	sums := map[*ir.Instr]*ir.Instr{} // by those that they replace
	g := *f
	g.Body = nil
	for _, in := range f.Body {
		if s := sums[in]; s != nil {
			in = s
		}
		masked, place := unpooling(in, def)
		if masked == nil || slices.Contains(kept, in.Result()) {
			g.Body = append(g.Body, in)
			continue
		}
		z := in.Result()
		u := &unpooled{masked: masked.Result(), place: place}
		ok := true
		of := map[*ir.Instr]*ir.Instr{}
		for _, user := range users[z] {
			if s := u.sum(user, z); s != nil {
				of[user] = s
			} else if !l.unpools(user, z) {
				ok = false
			}
		}
		if !ok {
			g.Body = append(g.Body, in)
			continue
		}
		for user, s := range of {
			sums[user] = s
		}
		all[z] = u
		g.Body = append(g.Body, masked)
	}
	return &g, all
}

// unpools reports whether in is a convolution, or the gradient of one, whose kernel can read z, a gradient before pooling, as it was pooled.
func (l *lowering) unpools(in *ir.Instr, z *ir.Value) bool {
	if in.Op != ir.OpNest {
		return false
	}
	c := l.byWinograd(in)
	if c == nil {
		return false
	}
	if c.gradient {
		return in.Args[c.y] == z && in.Args[c.x] != z
	}
	return in.Args[c.x] == z && in.Args[c.y] != z && c.offset[0]%2 == 0 && c.offset[1]%2 == 0
}

// unpooling returns the instruction that computes the pooled form of in, and the places; nil if in is no gradient before pooling. It is one if it is
//
//	select(equal(place[…, i/2, j/2, c], 2*(i mod 2) + j mod 2), x, 0)
//
// or that where a condition holds and else 0, and all else reads at […, i/2, j/2, c], too.
func unpooling(in *ir.Instr, def map[*ir.Value]*ir.Instr) (masked *ir.Instr, place *ir.Value) {
	if in.Op != ir.OpNest {
		return nil, nil
	}
	n := in.Nest
	rank := n.Out
	if n.Combine != ir.Map || n.Write != nil || len(n.Guards) > 0 || rank < 3 {
		return nil, nil
	}
	at := n.Body
	zeroElse := func(e *ir.Expr) bool {
		if e.Leaf != ir.NotLeaf || e.Op != ir.OpSelect {
			return false
		}
		v, ok := e.Args[2].IsConst()
		return ok && v == 0
	}
	isPlace := func(e *ir.Expr) bool {
		return e.Leaf == ir.NotLeaf && e.Op == ir.OpEqual && e.Args[0].Leaf == ir.LeafRead && e.Args[1].Leaf == ir.LeafIndex
	}
	for zeroElse(at) && !isPlace(at.Args[0]) {
		at = at.Args[1]
	}
	if !zeroElse(at) {
		return nil, nil
	}
	i, j := ir.Loop(rank-3), ir.Loop(rank-2)
	read := at.Args[0].Args[0].Read
	place = in.Args[read.Operand]
	if !at.Args[0].Args[1].Affine.Equal(i.Mod(2).Scale(2).Add(j.Mod(2))) || !ofWindows(def[place], n.ResultShape()) {
		return nil, nil
	}
	body := n.Body.Rewrite(func(e *ir.Expr) *ir.Expr {
		if e == at {
			return e.Args[1]
		}
		return e
	})
	value := at.Args[1]
	if read.Guarded && !(value.Leaf == ir.LeafRead && value.Read.Guarded && value.Read.Else == 0) {
		return nil, nil
	}
	ok := len(read.Index) == rank
	pooledIndex := func(index []ir.Affine) []ir.Affine {
		out := slices.Clone(index)
		for k, ix := range index {
			switch {
			case ix.Equal(i.Div(2)):
				out[k] = i
			case ix.Equal(j.Div(2)):
				out[k] = j
			case ix.Uses(rank-3) || ix.Uses(rank-2):
				ok = false
			}
		}
		return out
	}
	if at := pooledIndex(read.Index); !slices.EqualFunc(at, ir.Loops(0, rank), ir.Affine.Equal) {
		return nil, nil
	}
	body = body.Rewrite(func(e *ir.Expr) *ir.Expr {
		switch e.Leaf {
		case ir.LeafIndex:
			ok = false
		case ir.LeafRead:
			ix := pooledIndex(e.Read.Index)
			if e.Read.Guarded {
				return ir.ReadElse(e.DType, e.Read.Operand, e.Read.Else, ix...)
			}
			return ir.ReadOf(e.DType, e.Read.Operand, ix...)
		}
		return e
	})
	if !ok {
		return nil, nil
	}
	shape := place.Type.Shape
	nest, args := withoutUnread(&ir.Nest{Combine: ir.Map, Out: rank, Index: ir.Indices(shape), Body: body}, in.Args)
	masked = &ir.Instr{Op: ir.OpNest, Args: args, Loc: in.Loc, Nest: nest}
	masked.Results = []*ir.Value{{Type: ir.Type{DType: n.ResultDType(), Shape: shape}, Def: masked}}
	return masked, place
}

// ofWindows reports whether in finds the places of maxima in windows of 2×2 that lie in something of that shape.
func ofWindows(in *ir.Instr, shape []ir.Affine) bool {
	if in == nil || in.Op != ir.OpNest || in.Nest.Combine != ir.ArgMax || len(in.Nest.Guards) > 0 {
		return false
	}
	n, rank := in.Nest, len(shape)
	if n.Out != rank || len(n.Index) != rank+2 || !n.Index[rank].Extent.Equal(ir.Int(2)) || !n.Index[rank+1].Extent.Equal(ir.Int(2)) {
		return false
	}
	for k, d := range shape {
		p := n.Index[k].Extent
		if k != rank-3 && k != rank-2 {
			if !p.Equal(d) {
				return false
			}
			continue
		}
		whole, a := d.IsConst()
		windows, b := p.IsConst()
		if !a || !b || 2*windows > whole || whole > 2*windows+1 {
			return false
		}
	}
	return true
}

// sum returns the sum of the pooled values that is in, the sum of z; nil if it is another one.
func (u *unpooled) sum(in *ir.Instr, z *ir.Value) *ir.Instr {
	if in.Op != ir.OpNest {
		return nil
	}
	n, rank := in.Nest, len(z.Type.Shape)
	if n.Combine != ir.Sum || n.Write != nil || len(n.Guards) > 0 || n.Body.Leaf != ir.LeafRead || n.Body.Read.Guarded || len(n.Index) != rank ||
		len(in.Args) != 1 {
		return nil
	}
	nest := *n
	nest.Index = slices.Clone(n.Index)
	seen := make([]bool, rank)
	for k, ix := range n.Body.Read.Index {
		l, whole := wholeLoop(n, ix, z.Type.Shape[k])
		if !whole || seen[l] {
			return nil
		}
		seen[l] = true
		if k == rank-3 || k == rank-2 {
			if l < n.Out {
				return nil
			}
			nest.Index[l].Extent = u.place.Type.Shape[k]
		}
	}
	clone := *in
	clone.Nest, clone.Args = &nest, []*ir.Value{u.masked}
	return &clone
}
