package native

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// loopNest is a nest with its loops merged, classed and ordered.
//
// The outer loops are the result's, in its order; with one more for tiles of the vector loop they are flattened to the points p, which
// chunks are ranges of. Then come the reduced loops. The vector loop v lies innermost where it is reduced, and around the reduced loops
// where it is the result's ("across"): then each lane holds an element of the result.
type loopNest struct {
	ir      *ir.Nest
	combine ir.Combine
	scatter bool
	dtype   tensor.DType // of the body
	result  tensor.DType

	extents []poly
	class   []loopClass
	outer   []int
	reduced []int // without v
	v       int   // −1: there is none, all is scalar
	across  bool
	tile    int       // of v across the result; 0: v is not tiled
	lanes   int       // of a vector
	unroll  int       // vectors in a round of the vector loop
	rows    []rowLoop // the loops of the result of which several rows are computed together, at most two: see tiling
	stream  *stream   // nil: the nest is no streamed product
	square  bool      // the rows are those of a square, see Note [Copies across]
	split   []int     // the loops, flattened, that partial results may be split over: the first reduced ones, or v

	guards []guard
	roots  []*node   // one for each result; several are of a map only, and of one element type
	post   []*node   // what is stored in the place of a sum, from it: see Note [Updates from sums]
	after  bool      // it changes nothing that it reads: see Note [What follows a product]
	cost   int       // of the bodies at a point, see cost
	outs   *access   // where a point's element lies; scatter: where it is added
	places []*access // the same of each result, where these are pieces of larger values; nil: outs
	number *form     // of a point among those reduced, for ArgMax and ArgMin
	sizes  *sizes
	types  []tensor.DType // of the operands
	fast   bool           // functions may be less exact where that is lost in what follows
	leftOut
}

type guard struct{ e, limit *form }

type loopClass uint8

const (
	outputLoop loopClass = iota
	reducedLoop
)

// node is a scalar op, read, index or literal of a body. Equal ones are one node.
type node struct {
	op     ir.Op
	leaf   ir.Leaf
	dtype  tensor.DType
	args   []*node
	access *access
	form   *form
	value  float64
	id     int

	plusOne bool // 1 + op(args), computed together
	sum     bool // in post: the sum
}

// nestCompiler turns an IR nest into a loopNest.
type nestCompiler struct {
	*loopNest
	low   *forms
	known map[string]*node
	memo  map[*ir.Expr]*node
	first int                  // the least node's id
	read  func(*ir.Read) *node // what a read is, where it is not an access of the nest's loops
}

// analyse prepares the loops of n with these bodies over operands of these types. If there are pieces, they tell where results are written.
func (l *lowering) analyse(n *ir.Nest, bodies []*ir.Expr, operands []ir.Type, pieces ...*piece) (*loopNest, error) {
	if n.Body.DType == tensor.Bool && n.Combine != ir.Map && n.Combine != ir.Max && n.Combine != ir.Min {
		return nil, fmt.Errorf("%s of bool is not defined", n.Combine)
	}
	t := &loopNest{
		ir: n, combine: n.Combine, scatter: n.Write != nil, dtype: n.Body.DType, result: n.ResultDType(),
		v: -1, lanes: l.level.Lanes, sizes: newSizes(), fast: l.math == codegen.Fast, leftOut: l.leftOut,
	}
	c := &nestCompiler{loopNest: t, known: map[string]*node{}, memo: map[*ir.Expr]*node{}}
	c.low = &forms{nest: n, sizes: t.sizes}
	for _, o := range operands {
		c.low.shapes = append(c.low.shapes, o.Shape)
		t.types = append(t.types, o.DType)
	}
	for i, ix := range n.Index {
		e := t.sizes.dim(ix.Extent)
		if e.is(1) {
			c.low.loops = append(c.low.loops, -1)
			continue
		}
		c.low.loops = append(c.low.loops, len(t.extents))
		t.extents = append(t.extents, e)
		if i < n.Out || t.scatter {
			t.class = append(t.class, outputLoop)
		} else {
			t.class = append(t.class, reducedLoop)
		}
	}
	for _, b := range bodies {
		t.roots = append(t.roots, c.expr(b))
	}
	t.cost = c.costs()
	for _, g := range n.Guards {
		t.guards = append(t.guards, guard{c.low.form(g.E), c.low.form(g.Limit)})
	}
	t.outs = &access{}
	if t.scatter {
		c.low.fill(t.outs, n.Write, n.Shape, false)
		c.guardsOfWrite()
	} else {
		shape := n.ResultShape()
		c.low.fill(t.outs, ir.Loops(0, n.Out), shape, false)
	}
	for _, p := range pieces {
		a := t.outs
		if p != nil {
			a = &access{}
			c.low.fill(a, p.index, p.shape, false)
		}
		t.places = append(t.places, a)
	}
	if len(pieces) == 1 {
		t.outs, t.places = t.places[0], nil
	}
	t.number = &form{c: poly{}}
	stride := whole(1)
	for i := len(n.Index) - 1; i >= n.Out; i-- {
		c.low.rowMajor(t.number, i, stride)
		stride = stride.mul(t.sizes.dim(n.Index[i].Extent))
	}
	c.merge()
	p := c.streamOf(l.level)
	c.order(p)
	c.tiling(l.level)
	if p != nil {
		c.streams(p, l.level)
	}
	c.transposes()
	return t, nil
}

// guardsOfWrite drops the guards of a scatter that say no more than that its points write inside the result: points that do not are left out.
// Without guards, neighbouring points are added together.
func (c *nestCompiler) guardsOfWrite() {
	n := c.ir
	for _, nd := range c.known {
		if nd.access != nil && nd.access.fails() {
			return // the guards tell where that is an error
		}
	}
	var left []guard
	for i, g := range n.Guards {
		d := slices.IndexFunc(n.Write, func(w ir.Affine) bool { return w.Equal(g.E) })
		if d < 0 || !g.Limit.Equal(n.Shape[d]) {
			left = append(left, c.guards[i])
			continue
		}
		c.outs.check[d], c.outs.flat = otherwise, false
	}
	c.guards = left
}

func (l *forms) rowMajor(f *form, index int, stride poly) {
	if k := l.loops[index]; k >= 0 {
		f.add(&form{c: poly{}, lin: []linear{{k, whole(1)}}}, stride)
	}
}

// expr returns the node of e, with composite ops expanded.
func (c *nestCompiler) expr(e *ir.Expr) *node {
	if nd := c.memo[e]; nd != nil {
		return nd
	}
	nd := &node{op: e.Op, leaf: e.Leaf, dtype: e.DType}
	var key string
	switch e.Leaf {
	case ir.LeafConst:
		nd.value = e.Value
		key = fmt.Sprintf("const %v %x", e.DType, math.Float64bits(e.Value))
	case ir.LeafIndex:
		nd.form = c.low.form(*e.Affine)
		key = nd.form.String()
	case ir.LeafRead:
		if c.read != nil {
			nd = c.read(e.Read)
			nd.dtype = e.DType
			key = fmt.Sprintf("operand %d", e.Read.Operand)
			break
		}
		nd.access = c.low.access(e.Read)
		key = nd.access.String()
	default:
		if x := e.Op.Expand(e.Args); x != nil && !(c.fast && e.Op == ir.OpSigmoid) {
			nd = c.expr(x)
			c.memo[e] = nd
			return nd
		}
		var b strings.Builder
		args := e.Args
		if x := c.onePlusErf(e); x != nil {
			nd.op, nd.plusOne, args = ir.OpErf, true, []*ir.Expr{x}
		}
		fmt.Fprintf(&b, "%d %v", nd.op, nd.plusOne)
		for _, a := range args {
			arg := c.expr(a)
			nd.args = append(nd.args, arg)
			fmt.Fprintf(&b, " #%d", arg.id)
		}
		key = b.String()
	}
	if old := c.known[key]; old != nil {
		nd = old
	} else {
		nd.id = c.first + len(c.known)
		c.known[key] = nd
	}
	c.memo[e] = nd
	return nd
}

// onePlusErf returns x if e is 1 + erf(x), which is computed as one function where it may be: added to 1, the last places of erf are lost.
func (c *nestCompiler) onePlusErf(e *ir.Expr) *ir.Expr {
	if !c.fast || e.Op != ir.OpAdd {
		return nil
	}
	for k, a := range e.Args {
		if one, ok := e.Args[1-k].IsConst(); ok && one == 1 && a.Leaf == ir.NotLeaf && a.Op == ir.OpErf {
			return a.Args[0]
		}
	}
	return nil
}

// costs returns what the bodies cost at a point: one for each op that is one instruction for a whole vector, as many multiplications and additions for others as take that
// long. Products of two reads cost one; what reading costs is seen where sizes are known.
func (c *nestCompiler) costs() int {
	cost := 0
	for _, nd := range c.known {
		if nd.leaf != ir.NotLeaf {
			continue
		}
		switch nd.op {
		case ir.OpErf:
			cost += 100
			if nd.plusOne {
				cost -= 70
			}
		case ir.OpTanh, ir.OpExpm1, ir.OpLog, ir.OpLog1p, ir.OpSin, ir.OpCos, ir.OpPow, ir.OpMod, ir.OpUniform:
			cost += 60
		case ir.OpExp:
			cost += 20
		case ir.OpSigmoid:
			cost += 35
		case ir.OpDiv, ir.OpSqrt:
			cost += 15
		default:
			cost++
		}
	}
	return max(1, cost)
}

// visit calls f for every index expression that the loops' numbering concerns; an access is visited whole.
func (c *nestCompiler) visit(onForm func(*form), onAccess func(*access)) {
	for _, nd := range c.known {
		if nd.form != nil {
			onForm(nd.form)
		}
		if nd.access != nil {
			onAccess(nd.access)
		}
	}
	for _, g := range c.guards {
		onForm(g.e)
		onForm(g.limit)
	}
	onAccess(c.outs)
	for _, a := range c.places {
		if a != c.outs {
			onAccess(a)
		}
	}
	onForm(c.number)
}

// merge joins neighbouring loops of one class that every index expression treats as one loop.
func (c *nestCompiler) merge() {
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
		c.extents[a+1] = c.extents[a+1].mul(c.extents[a])
		c.extents = append(c.extents[:a], c.extents[a+1:]...)
		c.class = append(c.class[:a], c.class[a+1:]...)
		c.renumber(to)
	}
}

func (c *nestCompiler) mergeable(a int) bool {
	ok := true
	test := func(f *form) {
		ok = ok && f.coef(a).equal(f.coef(a+1).mul(c.extents[a+1])) && !f.hides(a) && !f.hides(a+1)
	}
	c.visit(test, func(x *access) {
		if x.flat {
			test(x.off)
			return
		}
		for _, d := range x.dims {
			test(d)
		}
	})
	return ok
}

// renumber renames the loops in all expressions.
func (c *nestCompiler) renumber(to []int) {
	c.visit(func(f *form) { f.renumber(to) }, func(x *access) { x.renumber(to) })
}

// order chooses the vector loop; p is the streamed product that the nest is, or nil.
func (c *nestCompiler) order(p *stream) {
	last := -1 // the last loop of the result
	for k, cl := range c.class {
		if cl == outputLoop {
			last = k
		}
	}
	v := last
	if c.combine != ir.Map && !c.scatter && p == nil {
		best := math.MinInt
		if last >= 0 {
			best = c.score(last)
		}
		for k, cl := range c.class {
			if s := c.score(k); cl == reducedLoop && s > best {
				v, best = k, s
			}
		}
	}
	if c.scatter && !c.scattersRows(v) {
		v = -1
	}
	c.v = v
	c.across = v >= 0 && c.class[v] == outputLoop
	for k, cl := range c.class {
		switch {
		case k == v:
		case cl == outputLoop:
			c.outer = append(c.outer, k)
		default:
			c.reduced = append(c.reduced, k)
		}
	}
	if c.across && !c.scatter {
		c.tile = 512
		if c.combine != ir.Map {
			c.tile = 1024
		}
		if n, ok := c.extents[v].isConst(); ok && n <= c.tile {
			c.tile = 0
		}
	}
	arg := c.combine == ir.ArgMax || c.combine == ir.ArgMin
	switch {
	case c.combine == ir.Map || c.combine == ir.Prod || c.scatter || arg:
	case len(c.reduced) > 1 && c.across:
		c.split = c.reduced[:len(c.reduced)-1]
	case len(c.reduced) > 0:
		c.split = c.reduced
	case v >= 0 && !c.across:
		c.split = []int{v}
	}
}

// scattersRows reports whether the points of a scatter that differ in loop v only are added to neighbouring elements.
func (c *nestCompiler) scattersRows(v int) bool {
	if v < 0 || !c.outs.off.coef(v).is(1) || c.outs.hides(v) || c.outs.fails() && len(c.guards) > 0 {
		return false
	}
	for k, d := range c.outs.dims {
		if c.outs.check[k] != unchecked && d.uses(v) {
			return false
		}
	}
	return true
}

// score rates a loop as the vector loop: reads of neighbouring elements are best, repeated ones good.
func (c *nestCompiler) score(loop int) int {
	s := 0
	if n, ok := c.extents[loop].isConst(); ok && n < 8 {
		s -= 3
	}
	c.visit(func(*form) {}, func(a *access) {
		if a == c.outs {
			return
		}
		switch stride := a.off.coef(loop); {
		case a.hides(loop):
			s -= 2
		case stride.is(1):
			s += 2
		case stride == nil:
			s++
		default: // elements far from each other
			s--
		}
	})
	return s
}
