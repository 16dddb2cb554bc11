package native

import (
	"fmt"
	"slices"

	"github.com/llir/llvm/ir/enum"
	"github.com/llir/llvm/ir/value"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// Note [Updates from sums]
//
// The gradient of a matrix of weights is a sum of products over the batch, and mostly only the update reads it. It is as large as the weights,
// while its factors are small. So the update is computed of each tile of the gradient while that is in registers: the gradient is in no memory.
//
// That the next values are finite follows from bounds of the factors; where it does not, a kernel that computes the sums, too, writes for each element
// whether its next values are.

// updatesFromSums finds the updates that can be computed from the sums that are their gradients.
func (l *lowering) updatesFromSums(f *ir.Func, all []*update) map[*ir.Instr]*update {
	if !l.does(doPost) {
		return nil
	}
	uses := map[*ir.Value]int{}
	for _, in := range f.Body {
		for _, a := range in.Args {
			uses[a]++
		}
	}
	for _, v := range f.Results {
		uses[v]++
	}
	for _, u := range all {
		for _, a := range u.args {
			uses[a]++
		}
	}
	fromSums := map[*ir.Instr]*update{}
	def := definitions(f)
	for _, u := range all {
		if !f.Finite || !u.elementwise() || slices.ContainsFunc(u.bodies, func(e *ir.Expr) bool { return !u.bounded(e) }) {
			continue
		}
		for _, a := range u.args {
			if in := def[a]; in != nil && uses[a] == 1 && isProduct(in) {
				fromSums[in] = u
				break
			}
		}
	}
	return fromSums
}

// leastFromSum is the least number of a gradient's elements for it not to be written. Smaller ones stay in a cache near by, where two passes take no longer.
const leastFromSum = 1 << 18

// isProduct reports whether in is a matrix product, in a wide sense, of a known size, and of factors with fewer elements.
func isProduct(in *ir.Instr) bool {
	a, b, ok := factors(in)
	if !ok || !fewer(in, a, b) {
		return false
	}
	elements := 1
	for _, d := range in.Result().Type.Shape {
		n, known := d.IsConst()
		if !known {
			return false
		}
		elements *= n
	}
	plain := len(in.Nest.Guards) == 0 && elements >= leastFromSum
	in.Nest.Reads(func(r *ir.Read) {
		for _, ix := range r.Index {
			_, single := ix.IsLoop()
			plain = plain && single
		}
	})
	return plain
}

// elementwise reports whether u reads its operands, other than single elements, at the element that it computes, and does not ask which one that is.
func (u *update) elementwise() bool {
	for _, b := range u.bodies {
		plain := true
		b.Walk(func(e *ir.Expr) { plain = plain && e.Leaf != ir.LeafIndex })
		if !plain {
			return false
		}
	}
	return flatten(u.nest, u.bodies, u.types()) != nil
}

func (u *update) types() []ir.Type {
	types := make([]ir.Type, len(u.args))
	for k, a := range u.args {
		types[k] = a.Type
	}
	return types
}

// canUpdate reports whether something can be computed of the sums of a prepared nest where they are.
func (l *lowering) canUpdate(in *ir.Instr) bool {
	t, err := l.analyse(in.Nest, []*ir.Expr{in.Nest.Body}, operandTypes(in))
	if err != nil || !t.across || len(t.rows) == 0 || t.outs.fails() || !t.outs.flat {
		return false
	}
	return !slices.ContainsFunc(t.rows, func(w rowLoop) bool {
		_, known := t.extents[w.loop].isConst()
		return !known
	})
}

// fromSum appends the launch that computes bodies, of u's operands, from the sums of u.product, which follow it (after) or update what they read.
func (b *bodyLowering) fromSum(u *update, bodies []*ir.Expr, results []int, what string, after bool) error {
	in := u.product
	types := operandTypes(in)
	sum := slices.Index(u.args, in.Result())
	var others []*ir.Value
	number := make([]int, len(u.args)) // of u's operands among the kernel's
	for k, v := range u.args {
		if k != sum {
			number[k] = len(types) + len(others)
			others = append(others, v)
		}
	}
	args := b.numbers(b.p.fn, slices.Concat(in.Args, others))
	flat := flatten(u.nest, bodies, u.types()).bodies
	all := slices.Clone(types)
	for _, v := range others {
		all = append(all, v.Type)
	}
	key := fmt.Sprintf("of sum %d after %v ", sum, after) + nestKey(in.Nest, append([]*ir.Expr{in.Nest.Body}, flat...), all)
	k := b.byKey[key]
	if k == nil {
		for _, e := range bodies {
			if err := computable(e); err != nil {
				return err
			}
		}
		t, err := b.analyse(in.Nest, []*ir.Expr{in.Nest.Body}, types)
		if err != nil {
			return err
		}
		t.storing(flat, sum, number, u.types(), after)
		k = b.addKernel(key, t.data(), func(m *module, name string) { writeKernel(m, name, t) })
	}
	b.p.launch(exec.Launch{Kernel: k.number, Args: args, Results: results, Loc: u.loc, What: what, Sized: -1})
	return nil
}

// storing makes bodies what is stored of t's sums. Operand sum of them is the sum, and the others are those with these numbers and types.
func (t *loopNest) storing(bodies []*ir.Expr, sum int, number []int, types []ir.Type, after bool) {
	t.types = append(t.types, make([]tensor.DType, len(types)-1)...)
	c := &nestCompiler{loopNest: t, known: map[string]*node{}, memo: map[*ir.Expr]*node{}, first: postIDs}
	c.read = func(r *ir.Read) *node {
		if r.Operand == sum {
			return &node{leaf: ir.LeafRead, sum: true}
		}
		a := &access{flat: true, off: &form{c: poly{}}}
		if len(r.Index) > 0 {
			*a = *t.outs
		}
		a.operand = number[r.Operand]
		t.types[a.operand] = types[r.Operand].DType
		return &node{leaf: ir.LeafRead, access: a}
	}
	for _, b := range bodies {
		t.post = append(t.post, c.expr(b))
	}
	t.result = bodies[0].DType
	t.split = nil
	t.after = after
	if after { // elements may be computed twice
		return
	}
	// Rows that two tiles compute must be updated by one: better there are none.
	w := &t.rows[0]
	if n, ok := t.extents[w.loop].isConst(); ok && len(t.rows) == 1 {
		for r := w.n; 3*r >= 2*w.n; r-- {
			if n%r == 0 {
				w.n = r
				break
			}
		}
	}
}

// postIDs is the least id of post's nodes, which are not among those of the nest.
const postIDs = 1 << 30

// results returns the number of t's results.
func (t *loopNest) results() int {
	if len(t.post) > 0 {
		return len(t.post)
	}
	return len(t.roots)
}

// storePost stores what is computed of a sum.
func (e *emitter) storePost(in *instance, sum value.Value) {
	e.sum = sum
	var z []value.Value // all are computed before one is stored, which may be where an operand lies
	for _, nd := range e.post {
		z = append(z, e.use(nd, in))
	}
	s := e.inner()
	mask := in.tail
	for k, w := range e.rows {
		if e.start[k] == nil || e.after {
			continue
		}
		fresh := s.splat(s.icmp(enum.IPredSGE, s.add(e.at[w.loop], int64Const(in.r[k])), e.start[k]), e.width())
		if mask != nil {
			fresh = s.and(fresh, mask)
		}
		mask = fresh
	}
	off := e.linear(e.outs.off, in)
	for k, x := range z {
		e.put(s, x, s.at(e.pointer(exec.WordResult+k, memType(e.result)), off), mask)
	}
}

// fetchOperands returns what asks, in each round of a tile's sums, for a line of each tensor that post reads, of the next tile: the first tile of the next rows after the last one of
// some. So many lines asked for at once would have to wait for each other.
func (e *emitter) fetchOperands(ins []*instance) func() {
	var known []*access
	var visit func(nd *node)
	visit = func(nd *node) {
		if nd.access != nil && len(nd.access.dims) > 0 && !slices.ContainsFunc(known, func(a *access) bool { return a.operand == nd.access.operand }) {
			known = append(known, nd.access)
		}
		for _, a := range nd.args {
			visit(a)
		}
	}
	for _, nd := range e.post {
		visit(nd)
	}
	s, w := e.inner(), e.rows[0]
	row, tile := e.size(e.outs.off.coef(w.loop)), e.unroll*e.lanes
	here := e.linear(e.outs.off, ins[0])
	end := s.icmp(enum.IPredSGE, s.add(e.at[e.v], int64Const(tile)), e.size(e.extents[e.v]))
	next := s.add(here, s.choose(end, s.sub(s.mul(row, int64Const(w.n)), e.at[e.v]), int64Const(tile)))
	perRow := max(1, tile/lineElements)
	return func() {
		s := e.inner()
		n := s.blk.NewURem(e.at[e.reduced[len(e.reduced)-1]], int64Const(perRow*w.n))
		line := s.add(s.mul(s.blk.NewUDiv(n, int64Const(perRow)), row), s.mul(s.blk.NewURem(n, int64Const(perRow)), int64Const(lineElements)))
		for _, a := range known {
			s.prefetch(s.at(e.pointer(e.wordOperand(a.operand), memType(e.types[a.operand])), s.add(next, line)), false)
		}
	}
}
