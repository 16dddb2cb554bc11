package interp

import (
	"fmt"
	"math"
	"sync"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// jobPoints is how many points one job of a nest has, more or less.
const jobPoints = 1 << 15

// nest is a loop nest ready to run for one binding of the symbols.
type nest[F float] struct {
	name    string // for errors
	loc     ir.Loc
	combine ir.Combine
	scatter bool
	space   space
	body    body[F]
	length  int     // elements of the result
	outs    index   // number of a point's element, linear in the loops
	number  index   // number of a point among those reduced, linear
	write   *access // scatter form
	dtype   tensor.DType

	across     bool // the innermost loop is an output index, not a reduced one
	outer      int  // flattened number of outer points
	reduced    int  // flattened number of points of the reduced loops before the innermost
	inner      int  // extent of the innermost loop
	parts      []part
	rounds     int // number of parts that fall on the same elements, next to each other in parts
	partials   []accumulator[F]
	inplace    []bool // operands whose memory the result may take over: each element is read only where it is written
	gemm       *contraction
	failure    failure
	accesses   []*access
	expression *ir.Nest
}

// part is a job: ranges of the flattened outer loops, the reduced ones and the innermost.
type part struct{ p0, p1, r0, r1, v0, v1 int }

// failure keeps the data index error of the earliest job.
type failure struct {
	sync.Mutex
	job int
	err *rangeError
}

func (f *failure) note(job int, err *rangeError) {
	f.Lock()
	defer f.Unlock()
	if f.err == nil || job < f.job {
		f.job, f.err = job, err
	}
}

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

// split divides the nest into jobs, by its shape alone.
func (t *nest[F]) split() {
	innermost := t.space.innermost()
	t.rounds = 1
	if t.scatter {
		t.splitScatter(innermost)
		return
	}
	if t.outer*t.reduced*t.inner == 0 {
		t.parts = []part{{0, t.outer, 0, t.reduced, 0, t.inner}} // empty, but its elements get the combiner's identity
		return
	}
	tile := t.inner
	if t.across {
		tile = max(1024, min(8192, jobPoints/t.reduced))
		if t.combine == ir.Map {
			tile = jobPoints / 2
		}
	}
	var outs []part
	if t.across && t.inner > tile {
		for p := range t.outer {
			for v := 0; v < t.inner; v += tile {
				outs = append(outs, part{p, p + 1, 0, t.reduced, v, min(t.inner, v+tile)})
			}
		}
	} else {
		n := max(1, jobPoints/(t.reduced*t.inner))
		for p := 0; p < t.outer; p += n {
			outs = append(outs, part{p, min(t.outer, p+n), 0, t.reduced, 0, t.inner})
		}
	}
	points := t.outer * t.reduced * t.inner
	if rounds := min(64, points/jobPoints) / len(outs); t.combine != ir.Map && rounds > 1 {
		t.divide(outs, rounds)
		return
	}
	t.parts = outs
}

// divide splits each part over reduced points into the given number of rounds, or somewhat fewer.
func (t *nest[F]) divide(outs []part, rounds int) {
	over := t.reduced
	inner := !t.across && t.reduced < rounds
	if inner {
		over = t.inner
	}
	step := (over + rounds - 1) / rounds
	t.rounds = (over + step - 1) / step
	for _, o := range outs {
		for k := 0; k < over; k += step {
			q := o
			if inner {
				q.v0, q.v1 = k, min(over, k+step)
			} else {
				q.r0, q.r1 = k, min(over, k+step)
			}
			t.parts = append(t.parts, q)
		}
	}
	t.partials = make([]accumulator[F], len(t.parts))
}

// region returns the elements [base, base+n) of the result on which a part falls.
func (t *nest[F]) region(q part) (base, n int) {
	if !t.across {
		return q.p0, q.p1 - q.p0
	}
	if q.p1-q.p0 == 1 {
		return q.p0*t.inner + q.v0, q.v1 - q.v0
	}
	return q.p0 * t.inner, (q.p1 - q.p0) * t.inner
}

// run computes the nest into out.
func (t *nest[F]) run(team *team[F], args []*buffer[F], out *buffer[F]) error {
	if t.gemm != nil {
		runContraction(t.gemm, team, args, out)
		return nil
	}
	points := t.outer * t.reduced * t.inner
	if t.length == 0 {
		return nil
	}
	t.failure.err = nil
	switch {
	case t.scatter:
		t.runScatter(team, args, out)
	default:
		team.run(len(t.parts), points*max(1, len(t.body.nodes)), func(w *worker[F], job int) {
			q := t.parts[job]
			t.begin(w, args, q)
			switch {
			case t.combine == ir.Map:
				t.runMap(w, q, out)
			case t.rounds > 1:
				t.reduce(w, q, &t.partials[job])
			default:
				t.reduce(w, q, &w.acc)
				base, _ := t.region(q)
				w.acc.store(out, base)
			}
			t.end(w, job)
		})
		if t.rounds > 1 {
			team.run(len(t.parts)/t.rounds, points/t.rounds, func(w *worker[F], k int) {
				first := &t.partials[k*t.rounds]
				for r := 1; r < t.rounds; r++ {
					first.merge(&t.partials[k*t.rounds+r])
				}
				base, _ := t.region(t.parts[k*t.rounds])
				first.store(out, base)
			})
		}
	}
	if t.failure.err != nil {
		return fmt.Errorf("%s%s: %w", position(t.loc), t.name, t.failure.err)
	}
	return nil
}

// position formats where an instruction comes from as the start of a message.
func position(l ir.Loc) string {
	s := ""
	if l.File != "" {
		s = fmt.Sprintf("%s:%d:%d: ", l.File, l.Line, l.Col)
	}
	if l.Scope != "" {
		s += "in " + l.Scope + ": "
	}
	return s
}

func (t *nest[F]) begin(w *worker[F], args []*buffer[F], q part) {
	w.args, w.bad = args, nil
	if n := (q.p1 - q.p0) * (q.r1 - q.r0) * (q.v1 - q.v0); n > 0 {
		t.body.prepare(w, n)
	}
	w.cursor.start(&t.space, q.p0, q.p1, q.r0, q.r1, q.v0, q.v1)
}

func (t *nest[F]) end(w *worker[F], job int) {
	if w.bad != nil {
		t.failure.note(job, w.bad)
	}
	w.args = nil
}

// runMap computes the elements of a part.
func (t *nest[F]) runMap(w *worker[F], q part, out *buffer[F]) {
	base, n := t.region(q)
	switch t.dtype {
	case tensor.F32:
		mapStrips(t, w, out.f[base:base+n], base, w.f, w.fown)
	case tensor.I32:
		mapStrips(t, w, out.i[base:base+n], base, w.i, w.iown)
	default:
		mapStrips(t, w, out.b[base:base+n], base, w.b, w.bown)
	}
}

// mapStrips computes the elements out, of which the first has number base. Without guards the root's register is the result itself.
func mapStrips[T any, F float](t *nest[F], w *worker[F], out []T, base int, regs, own [][]T) {
	root := t.body.root
	if len(t.space.guards) > 0 {
		clear(out)
		for w.cursor.next(&w.strip, w) {
			t.body.run(w)
			for _, s := range w.strip.segs {
				at := t.outs.at(w.strip.loops[s.row:], nil) - base
				copy(out[at:at+s.n], regs[root][s.pos:])
			}
		}
		return
	}
	kept := own[root]
	nd := &t.body.nodes[root]
	for w.cursor.next(&w.strip, w) {
		n := w.strip.n
		if !nd.uniform {
			regs[root], own[root] = out[:n], out[:n]
		}
		t.body.run(w)
		if z := regs[root][:n]; &z[0] != &out[0] {
			copy(out, z)
		}
		out = out[n:]
	}
	own[root] = kept
}

// reduce combines the points of a part in acc.
func (t *nest[F]) reduce(w *worker[F], q part, acc *accumulator[F]) {
	base, n := t.region(q)
	acc.reset(t.combine, t.dtype, n)
	root := t.body.root
	numberStep := t.number.coef(t.space.innermost())
	step := 0
	if t.across {
		step = 1
	}
	for w.cursor.next(&w.strip, w) {
		t.body.run(w)
		for _, s := range w.strip.segs {
			loops := w.strip.loops[s.row:]
			at := t.outs.at(loops, nil) - base
			number := 0
			if acc.at != nil {
				number = t.number.at(loops, nil)
			}
			switch {
			case t.dtype == tensor.F32 && t.across:
				acc.row(at, w.f[root][s.pos:s.pos+s.n], number, numberStep)
			case t.dtype == tensor.F32:
				acc.all(at, w.f[root][s.pos:s.pos+s.n], number, numberStep)
			case t.dtype == tensor.I32:
				acc.rowI32(at, w.i[root][s.pos:s.pos+s.n], step, number, numberStep)
			default:
				for k, v := range w.b[root][s.pos : s.pos+s.n] {
					x := [1]int32{}
					if v {
						x[0] = 1
					}
					acc.rowI32(at+k*step, x[:], 0, 0, 0)
				}
			}
		}
	}
}
