package native

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// Note [Epilogues]
//
// What follows a convolution, a bias, an activation, often a max-pooling of 2×2, is computed of each tile of its result while that is in
// registers: the result itself, four times as large as what is left after pooling, never lies in memory. In training the place of each
// maximum is computed beside it, for the gradient. This needs that nothing else reads the convolution's result; so the gradients of
// activations are expressed in their results, and see maxima.

// epilogue is what is computed of a convolution's result in its place.
type epilogue struct {
	in          *ir.Instr // the convolution
	convolution *convolution

	body   *ir.Expr     // of the convolution's result, operand number acc, at a point, and of others at the point's channel
	acc    int          // number of the operand that is the convolution's result
	types  []ir.Type    // of all operands
	args   []*ir.Value  // all operands
	pooled bool         // the maximum of body over 2×2 points
	out    [2]ir.Affine // height and width of the results
	parts  []*ir.Instr  // the nests that it stands for: the maximum, or the elementwise one, and the place of the maximum
	place  bool         // there is the place of the maximum
	bytes  bool         // it lies in memory as a byte: see narrow
	done   bool         // the launches are made
}

// epilogues finds what can be computed together with the convolutions of f, whose results are not among those kept: of each by the convolution, and by
// the nests that it stands for.
func (l *lowering) epilogues(f *ir.Func, kept []*ir.Value) map[*ir.Instr]*epilogue {
	all := map[*ir.Instr]*epilogue{}
	if l.math != codegen.Fast || !l.does(doEpilogues) {
		return all
	}
	users := map[*ir.Value][]*ir.Instr{}
	for _, in := range f.Body {
		for _, a := range in.Args {
			if u := users[a]; len(u) == 0 || u[len(u)-1] != in {
				users[a] = append(u, in)
			}
		}
	}
	for _, in := range f.Body {
		if in.Op != ir.OpNest || slices.Contains(kept, in.Result()) {
			continue
		}
		c := l.byWinograd(in)
		if c == nil || c.gradient {
			continue
		}
		if e := epilogueOf(in.Result(), users[in.Result()]); e != nil {
			e.in, e.convolution = in, c
			all[in] = e
			for _, part := range e.parts {
				all[part] = e
			}
		}
	}
	return all
}

// byWinograd returns the convolution that a nest is, if Winograd's algorithm computes it.
func (l *lowering) byWinograd(in *ir.Instr) *convolution {
	if l.math != codegen.Fast || !l.does(doWinograd) || in.Op != ir.OpNest {
		return nil
	}
	if c := asConvolution(in.Nest, operandTypes(in)); c != nil && c.pays() {
		return c
	}
	return nil
}

// epilogue appends the launches of a convolution and of what follows it where the first of the nests is that it stands for.
func (b *bodyLowering) epilogue(f *ir.Func, e *epilogue, in *ir.Instr) error {
	if in == e.in || e.done {
		return nil
	}
	e.done = true
	var results []int
	for k, d := range e.dtypes() {
		v := e.parts[k].Result()
		b.number[v] = b.p.slot(exec.Slot{Type: ir.Type{DType: d, Shape: v.Type.Shape}, Place: exec.Arena})
		results = append(results, b.number[v])
	}
	return b.convolution(f, e.in, e.convolution, e, results)
}

func operandTypes(in *ir.Instr) []ir.Type {
	types := make([]ir.Type, len(in.Args))
	for k, a := range in.Args {
		types[k] = a.Type
	}
	return types
}

// epilogueOf returns the epilogue that computes all users of z, if there is one.
func epilogueOf(z *ir.Value, users []*ir.Instr) *epilogue {
	if len(users) == 0 || len(users) > 2 {
		return nil
	}
	first := users[0]
	if first.Op != ir.OpNest || len(users) == 2 && users[1].Op != ir.OpNest {
		return nil
	}
	if len(users) == 2 && first.Nest.Combine == ir.ArgMax {
		users = []*ir.Instr{users[1], first}
		first = users[0]
	}
	n := first.Nest
	rank := len(z.Type.Shape)
	e := &epilogue{body: n.Body, acc: slices.Index(first.Args, z), types: operandTypes(first), args: first.Args, parts: users}
	if n.Write != nil || len(n.Guards) > 0 || n.Out != rank || n.Body.DType != tensor.F32 || computable(n.Body) != nil {
		return nil
	}
	at := ir.Loops(0, rank)
	switch {
	case n.Combine == ir.Map && len(users) == 1:
	case n.Combine == ir.Max && len(n.Index) == rank+2:
		e.pooled = true
		for k := range 2 {
			if !n.Index[rank+k].Extent.Equal(ir.Int(2)) {
				return nil
			}
			at[rank-3+k] = ir.Loop(rank - 3 + k).Scale(2).Add(ir.Loop(rank + k))
		}
	default:
		return nil
	}
	if len(users) == 2 {
		m := users[1].Nest
		if m.Combine != ir.ArgMax || !e.pooled || !sameOver(n, m) || !slices.Equal(first.Args, users[1].Args) {
			return nil
		}
		e.place = true
	}
	for k := range 2 {
		e.out[k] = n.Index[rank-3+k].Extent
	}
	ok := true
	n.Body.Walk(func(x *ir.Expr) {
		switch x.Leaf {
		case ir.LeafIndex:
			ok = false
		case ir.LeafRead:
			r := x.Read
			switch {
			case r.Operand == e.acc:
				ok = ok && slices.EqualFunc(r.Index, at, ir.Affine.Equal) && insideAll(n, r, e.types)
			case len(r.Index) == 0:
			default:
				l, single := r.Index[0].IsLoop()
				ok = ok && len(r.Index) == 1 && single && l == rank-1 && e.types[r.Operand].DType == tensor.F32
			}
		}
	})
	for k := range rank {
		if k < rank-3 || k == rank-1 || !e.pooled {
			ok = ok && n.Index[k].Extent.Equal(z.Type.Shape[k])
		}
	}
	if !ok {
		return nil
	}
	return e
}

// rising reports whether what follows the convolution never falls where its result rises: then the maximum of what follows is what follows of the maximum.
func (e *epilogue) rising() bool { return e.rises(e.body) }

func (e *epilogue) rises(x *ir.Expr) bool {
	uses := func(x *ir.Expr) bool {
		found := false
		x.Walk(func(x *ir.Expr) { found = found || x.Leaf == ir.LeafRead && x.Read.Operand == e.acc })
		return found
	}
	if x.Leaf == ir.LeafRead {
		return x.Read.Operand == e.acc
	}
	if x.Leaf != ir.NotLeaf {
		return false
	}
	switch x.Op {
	case ir.OpRelu:
		return e.rises(x.Args[0])
	case ir.OpAdd, ir.OpMax, ir.OpMin:
		a, b := x.Args[0], x.Args[1]
		return e.rises(a) && !uses(b) || e.rises(b) && !uses(a)
	}
	return false
}

// sameOver reports whether two nests differ in nothing but how they combine.
func sameOver(n, m *ir.Nest) bool {
	return n.Write == nil && m.Write == nil && n.Out == m.Out && len(n.Guards) == 0 && len(m.Guards) == 0 && n.Body.Equal(m.Body) &&
		slices.EqualFunc(n.Index, m.Index, func(a, b ir.Index) bool { return a.Extent.Equal(b.Extent) })
}

// dtypes returns the element types of the kernel's results.
func (e *epilogue) dtypes() []tensor.DType {
	switch {
	case e != nil && e.bytes:
		return []tensor.DType{tensor.F32, tensor.U8}
	case e != nil && e.place:
		return []tensor.DType{tensor.F32, tensor.I32}
	}
	return []tensor.DType{tensor.F32}
}

// key returns a text that is equal for equal epilogues.
func (e *epilogue) key() string {
	if e == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, " then pooled %v, place %v %v of %d of %v to %v:", e.pooled, e.place, e.bytes, e.acc, e.types, e.out)
	writeExpr(&b, e.body)
	return b.String()
}

// others returns the operands beside the convolution's result.
func (e *epilogue) others() []*ir.Value {
	if e == nil {
		return nil
	}
	return slices.Delete(slices.Clone(e.args), e.acc, e.acc+1)
}

// maxima returns f with the elements at which a maximum is attained read from the maximum where only they matter. In
//
//	select(c(x[p]), select(equal(argmax[q], place of p), dz[q], 0), 0)
//
// which is the gradient of an activation before a max-pooling, x[p] is max[q] wherever the result is not 0 anyway; so x need not be kept.
func maxima(f *ir.Func) *ir.Func {
	g := *f
	g.Body = slices.Clone(f.Body)
	def := map[*ir.Value]*ir.Instr{}
	for _, in := range f.Body {
		if in.Op == ir.OpNest {
			def[in.Result()] = in
		}
	}
	for i, in := range g.Body {
		if in.Op != ir.OpNest || in.Nest.Combine != ir.Map || in.Nest.Body.Op != ir.OpSelect || in.Nest.Body.Leaf != ir.NotLeaf {
			continue
		}
		cond, inner, zero := in.Nest.Body.Args[0], in.Nest.Body.Args[1], in.Nest.Body.Args[2]
		if v, ok := zero.IsConst(); !ok || v != 0 || inner.Leaf != ir.LeafRead || !isPoint(inner.Read, in.Nest) {
			continue
		}
		s := def[in.Args[inner.Read.Operand]]
		if s == nil {
			continue
		}
		arg, q := attainedAt(s, def)
		if arg == nil {
			continue
		}
		x := arg.Args[arg.Nest.Body.Read.Operand]
		var most *ir.Value
		for _, m := range f.Body[:i] {
			if m.Op == ir.OpNest && m.Nest.Combine == ir.Max && slices.Equal(m.Args, arg.Args) && sameOver(m.Nest, arg.Nest) {
				most = m.Result()
			}
		}
		if most == nil {
			continue
		}
		found := false
		args := append(slices.Clone(in.Args), most)
		to := ir.ReadOf(tensor.F32, len(in.Args), q.Index...)
		if q.Guarded {
			to = ir.ReadElse(tensor.F32, len(in.Args), 0, q.Index...)
		}
		cond = cond.Rewrite(func(e *ir.Expr) *ir.Expr {
			if e.Leaf == ir.LeafRead && in.Args[e.Read.Operand] == x && isPoint(e.Read, in.Nest) {
				found = true
				return to
			}
			return e
		})
		if !found {
			continue
		}
		clone, n, body := *in, *in.Nest, *in.Nest.Body
		body.Args = []*ir.Expr{cond, inner, zero}
		n.Body = &body
		clone.Nest, clone.Args = &n, args
		g.Body[i] = &clone
	}
	return &g
}

// isPoint reports whether r reads at the point that n computes.
func isPoint(r *ir.Read, n *ir.Nest) bool {
	return !r.Guarded && slices.EqualFunc(r.Index, ir.Loops(0, n.Out), ir.Affine.Equal)
}

// attainedAt returns the argmax nest, and the read of it, if s is a nest that is zero except where the place of a maximum is the point itself.
func attainedAt(s *ir.Instr, def map[*ir.Value]*ir.Instr) (*ir.Instr, *ir.Read) {
	b := s.Nest.Body
	if s.Nest.Combine != ir.Map || b.Leaf != ir.NotLeaf || b.Op != ir.OpSelect || b.Args[0].Leaf != ir.NotLeaf || b.Args[0].Op != ir.OpEqual {
		return nil, nil
	}
	read, place := b.Args[0].Args[0], b.Args[0].Args[1]
	if v, ok := b.Args[2].IsConst(); !ok || v != 0 || read.Leaf != ir.LeafRead || place.Leaf != ir.LeafIndex {
		return nil, nil
	}
	arg := def[s.Args[read.Read.Operand]]
	if arg == nil || arg.Nest.Combine != ir.ArgMax || len(arg.Nest.Guards) > 0 || arg.Nest.Body.Leaf != ir.LeafRead || arg.Nest.Body.Read.Guarded {
		return nil, nil
	}
	// The window that p lies in is p/size, and its place there p mod size, in each dimension.
	n := arg.Nest
	within := map[int]ir.Affine{}
	if len(n.Body.Read.Index) != n.Out || len(read.Read.Index) != n.Out || s.Nest.Out != n.Out {
		return nil, nil
	}
	for k, ix := range n.Body.Read.Index {
		q := ir.Loop(k)
		if !ix.Equal(q) {
			found := false
			for r := n.Out; r < len(n.Index); r++ {
				size, known := n.Index[r].Extent.IsConst()
				if known && ix.Equal(ir.Loop(k).Scale(size).Add(ir.Loop(r))) {
					q, found = ir.Loop(k).Div(size), true
					within[r] = ir.Loop(k).Mod(size)
				}
			}
			if !found {
				return nil, nil
			}
		}
		if !read.Read.Index[k].Equal(q) {
			return nil, nil
		}
	}
	number := ir.Int(0)
	for r := n.Out; r < len(n.Index); r++ {
		at, ok := within[r]
		if !ok {
			return nil, nil
		}
		number = number.Scale(n.Index[r].Extent.MustConst()).Add(at)
	}
	if !place.Affine.Equal(number) {
		return nil, nil
	}
	return arg, read.Read
}
