package interp

import (
	"fmt"
	"math"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// loopClass tells what a loop of a nest is for.
type loopClass uint8

const (
	outputLoop loopClass = iota
	reducedLoop
)

// compiler turns one IR nest, whose symbols have been replaced, into a nest.
type compiler[F float] struct {
	nest    *nest[F]
	low     *lowering
	types   []tensor.DType
	seen    []*ir.Expr // for each node, the expression that it computes
	extents []int
	class   []loopClass
	forms   []*index // all index expressions
}

// compileNest prepares n, whose symbols have been replaced, over operands of these types and shapes.
func compileNest[F float](n *ir.Nest, loc ir.Loc, types []tensor.DType, shapes [][]int) (*nest[F], error) {
	extents := make([]int, len(n.Index))
	for i, ix := range n.Index {
		extents[i] = ix.Extent.MustConst()
	}
	c := &compiler[F]{
		nest:  &nest[F]{name: "nest", loc: loc, combine: n.Combine, scatter: n.Write != nil, dtype: n.Body.DType, expression: n},
		low:   newLowering(extents, shapes),
		types: types,
	}
	if n.Combine != ir.Map {
		c.nest.name = n.Combine.String()
	} else if n.Body.Leaf == ir.NotLeaf {
		c.nest.name = n.Body.Op.String()
	} else if n.Body.Leaf == ir.LeafRead {
		c.nest.name = "read"
	}
	if n.Body.DType == tensor.Bool && n.Combine != ir.Map && n.Combine != ir.Max && n.Combine != ir.Min {
		return nil, fmt.Errorf("%s of bool is not defined", n.Combine)
	}
	for i, e := range extents {
		if e == 1 {
			continue
		}
		c.extents = append(c.extents, e)
		if i < n.Out || c.nest.scatter {
			c.class = append(c.class, outputLoop)
		} else {
			c.class = append(c.class, reducedLoop)
		}
	}
	if err := c.lower(n, extents); err != nil {
		return nil, err
	}
	if !c.nest.scatter && c.nest.combine == ir.Sum && len(n.Guards) == 0 {
		c.nest.gemm = c.contraction(n, extents)
	}
	if c.nest.gemm == nil {
		c.merge()
		c.order()
		c.nest.split()
		c.findInplace(len(types))
	}
	return c.nest, nil
}

// lower translates all expressions of n, with loops in n's order.
func (c *compiler[F]) lower(n *ir.Nest, extents []int) error {
	t := c.nest
	root, err := c.expr(n.Body)
	if err != nil {
		return err
	}
	t.body.root, t.body.dtype = root, n.Body.DType
	for k := range t.body.nodes {
		nd := &t.body.nodes[k]
		if nd.access != nil {
			t.accesses = append(t.accesses, nd.access)
			c.addForms(nd.access)
		}
		if nd.index != nil {
			c.forms = append(c.forms, nd.index)
		}
	}
	for _, g := range n.Guards {
		t.space.guards = append(t.space.guards, guard{e: c.low.index(g.E), limit: c.low.index(g.Limit)})
	}
	for k := range t.space.guards {
		c.forms = append(c.forms, &t.space.guards[k].e, &t.space.guards[k].limit)
	}
	if t.scatter {
		shape := make([]int, len(n.Shape))
		a := &access{flat: true}
		for i, d := range n.Shape {
			shape[i] = d.MustConst()
		}
		a.sizes, a.strides = shape, stridesOf(shape)
		for i, w := range n.Write {
			x := c.low.index(w)
			a.dims = append(a.dims, x)
			inside := ir.Inside(w, ir.Int(shape[i]), c.low.limits)
			a.check = append(a.check, !inside)
			a.flat = a.flat && x.isLinear() && inside
		}
		if a.flat {
			for i := range a.dims {
				a.off.add(&a.dims[i], a.strides[i])
			}
		}
		t.write, t.length = a, product(shape)
		c.addForms(a)
		return nil
	}
	t.length = product(extents[:n.Out])
	t.outs = c.rowMajor(extents, 0, n.Out)
	t.number = c.rowMajor(extents, n.Out, len(extents))
	c.forms = append(c.forms, &t.outs, &t.number)
	return nil
}

// rowMajor returns the number of a point among the loops [from, to).
func (c *compiler[F]) rowMajor(extents []int, from, to int) index {
	var x index
	n := 1
	for i := to - 1; i >= from; i-- {
		if k := c.low.loops[i]; k >= 0 {
			x.lin = append(x.lin, linear{k, n})
		}
		n *= extents[i]
	}
	return x
}

func (c *compiler[F]) addForms(a *access) {
	if a.flat {
		c.forms = append(c.forms, &a.off)
		return
	}
	for i := range a.dims {
		c.forms = append(c.forms, &a.dims[i])
	}
}

// expr appends the nodes of e and returns the number of its root. Equal expressions get one node.
func (c *compiler[F]) expr(e *ir.Expr) (int, error) {
	for k, s := range c.seen {
		if s == e || s.Equal(e) {
			return k, nil
		}
	}
	if !computable[F](e) {
		if def := e.Op.Expand(e.Args); def != nil {
			return c.expr(def)
		}
	}
	nd := node[F]{leaf: e.Leaf, op: e.Op, dtype: e.DType}
	switch e.Leaf {
	case ir.LeafConst:
		nd.value, nd.uniform = e.Value, true
	case ir.LeafIndex:
		x := c.low.index(*e.Affine)
		nd.index = &x
		nd.uniform = x.isLinear() && len(x.lin) == 0
	case ir.LeafRead:
		nd.access = c.low.access(e.Read)
		nd.uniform = !nd.access.loads()
		for l := range c.extents {
			nd.uniform = nd.uniform && !nd.access.uses(l)
		}
	default:
		nd.uniform = true
		for _, a := range e.Args {
			k, err := c.expr(a)
			if err != nil {
				return 0, err
			}
			nd.args = append(nd.args, k)
			nd.uniform = nd.uniform && c.nest.body.nodes[k].uniform
		}
	}
	z := len(c.nest.body.nodes)
	run, err := compileNode(&nd, c.nest.body.nodes, z)
	if err != nil {
		return 0, err
	}
	nd.run = run
	c.nest.body.nodes = append(c.nest.body.nodes, nd)
	c.seen = append(c.seen, e)
	return z, nil
}

// computable reports whether e is a leaf or has a kernel.
func computable[F float](e *ir.Expr) bool {
	if e.Leaf != ir.NotLeaf {
		return true
	}
	types := make([]tensor.DType, len(e.Args))
	for i, a := range e.Args {
		types[i] = a.DType
	}
	_, err := kernel[F](e.Op, types, make([]int, len(e.Args)), 0, e.DType)
	return err == nil
}

// compileNode returns the code of a node whose register is z.
func compileNode[F float](nd *node[F], nodes []node[F], z int) (func(w *worker[F], n int), error) {
	switch nd.leaf {
	case ir.LeafConst:
		v := nd.value
		switch nd.dtype {
		case tensor.F32:
			return func(w *worker[F], n int) { spread(w.f[z], F(v), n) }, nil
		case tensor.I32:
			return func(w *worker[F], n int) { spread(w.i[z], int32(v), n) }, nil
		}
		return func(w *worker[F], n int) { spread(w.b[z], v != 0, n) }, nil
	case ir.LeafIndex:
		return indexRows[F](nd.index, z), nil
	case ir.LeafRead:
		a := nd.access
		switch nd.dtype {
		case tensor.F32:
			return func(w *worker[F], n int) { w.f[z] = fetch(w, a, w.args[a.operand].f, F(a.other), w.fown[z]) }, nil
		case tensor.I32:
			return func(w *worker[F], n int) { w.i[z] = fetch(w, a, w.args[a.operand].i, int32(a.other), w.iown[z]) }, nil
		}
		return func(w *worker[F], n int) { w.b[z] = fetch(w, a, w.args[a.operand].b, a.other != 0, w.bown[z]) }, nil
	}
	types := make([]tensor.DType, len(nd.args))
	for i, a := range nd.args {
		types[i] = nodes[a].dtype
	}
	return kernel[F](nd.op, types, nd.args, z, nd.dtype)
}

// indexRows computes an index as a number at each point.
func indexRows[F float](x *index, z int) func(w *worker[F], n int) {
	return func(w *worker[F], n int) {
		st, d := &w.strip, w.i[z]
		width := len(st.loops) / max(1, len(st.segs))
		inner := width - 1
		hidden := x.hides(inner)
		step := int32(x.coef(inner))
		for _, s := range st.segs {
			row := st.loops[s.row : s.row+width]
			if !hidden {
				v := int32(x.at(row, w))
				for k := range s.n {
					d[s.pos+k] = v
					v += step
				}
				continue
			}
			w.point = append(w.point[:0], row...)
			for k := range s.n {
				w.point[inner] = row[inner] + k
				d[s.pos+k] = int32(x.at(w.point, w))
			}
		}
	}
}

// merge joins neighbouring loops of one class that every index expression treats as one loop.
func (c *compiler[F]) merge() {
	for a := 0; a+1 < len(c.extents); {
		if c.class[a] != c.class[a+1] || !c.mergeable(a) {
			a++
			continue
		}
		to := make([]int, len(c.extents))
		for k := range to {
			switch {
			case k < a:
				to[k] = k
			case k == a:
				to[k] = -1
			default:
				to[k] = k - 1
			}
		}
		c.extents[a+1] *= c.extents[a]
		c.extents = append(c.extents[:a], c.extents[a+1:]...)
		c.class = append(c.class[:a], c.class[a+1:]...)
		c.renumber(to)
	}
}

func (c *compiler[F]) mergeable(a int) bool {
	for _, x := range c.forms {
		if x.coef(a) != x.coef(a+1)*c.extents[a+1] || x.hides(a) || x.hides(a+1) {
			return false
		}
	}
	return true
}

func (c *compiler[F]) renumber(to []int) {
	for _, x := range c.forms {
		x.renumber(to)
	}
}

// order chooses the innermost loop and the order of the others: outer loops are the result's in its order, then the reduced ones.
func (c *compiler[F]) order() {
	t := c.nest
	if len(c.extents) == 0 {
		c.extents, c.class = []int{1}, []loopClass{outputLoop}
	}
	last := -1 // the last output loop
	for k, cl := range c.class {
		if cl == outputLoop {
			last = k
		}
	}
	inner := len(c.extents) - 1
	if t.combine != ir.Map && !t.scatter {
		inner = last
		best := math.MinInt
		if last >= 0 {
			best = c.score(last)
		}
		for k, cl := range c.class {
			if s := c.score(k); cl == reducedLoop && s > best {
				inner, best = k, s
			}
		}
	}
	t.across = c.class[inner] == outputLoop
	to := make([]int, len(c.extents))
	var extents []int
	for _, class := range []loopClass{outputLoop, reducedLoop} {
		for k, cl := range c.class {
			if cl == class && k != inner {
				to[k] = len(extents)
				extents = append(extents, c.extents[k])
			}
		}
		if class == outputLoop {
			t.space.outer = len(extents)
		}
	}
	to[inner] = len(extents)
	t.space.extents = append(extents, c.extents[inner])
	c.renumber(to)
	innermost := t.space.innermost()
	for _, a := range t.accesses {
		a.finish(innermost)
	}
	if t.write != nil {
		t.write.finish(innermost)
	}
	for k := range t.space.guards {
		g := &t.space.guards[k]
		g.inner = g.e.coef(innermost)
		g.irregular = g.e.hides(innermost) || g.limit.uses(innermost)
	}
	t.outer = product(t.space.extents[:t.space.outer])
	t.reduced = product(t.space.extents[t.space.outer:innermost])
	t.inner = t.space.extents[innermost]
}

// findInplace finds the operands that an elementwise nest may overwrite.
func (c *compiler[F]) findInplace(operands int) {
	t := c.nest
	t.inplace = make([]bool, operands)
	if t.combine != ir.Map || len(t.space.guards) > 0 {
		return
	}
	for k := range t.inplace {
		t.inplace[k] = c.types[k] == t.dtype
	}
	t.expression.Reads(func(r *ir.Read) {
		if len(r.Index) != t.expression.Out {
			t.inplace[r.Operand] = false
			return
		}
		for i, ix := range r.Index {
			if l, ok := ix.IsLoop(); !ok || l != i {
				t.inplace[r.Operand] = false
			}
		}
	})
}

// score rates a loop as the innermost one: reads of neighbouring elements are best, repeated ones good.
func (c *compiler[F]) score(loop int) int {
	s := 0
	if c.extents[loop] < 8 {
		s -= 3
	}
	for _, a := range c.nest.accesses {
		stride, irregular := a.off.coef(loop), false
		if !a.flat {
			stride = 0
			for i := range a.dims {
				stride += a.dims[i].coef(loop) * a.strides[i]
				irregular = irregular || a.dims[i].hides(loop)
			}
		}
		switch {
		case irregular:
			s -= 2
		case stride == 1:
			s += 2
		case stride == 0:
			s++
		}
	}
	return s
}
