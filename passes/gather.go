package passes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// gather rewrites a scatter into the gather form if its write map inverts, so that every element of the result is computed by
// one sum. For each dimension d the equation write_d(indices) = p_d is solved for the indices:
//
//   - an index with coefficient ±1 is what the rest of the equation leaves for it;
//   - of s·i + d with 0 ≤ d < K, i is ⌊p/s⌋ and d is p mod s, if K ≤ s; otherwise i is ⌊p/s⌋ − t and d is p mod s + s·t for a
//     new reduced index t < ⌈K/s⌉;
//   - ⌊c/n⌋ = p becomes c = n·p + r for a new reduced index r < n;
//   - a common divisor of all coefficients leaves the equation, and must divide what is known;
//   - what remains without an index to solve for becomes a guard that demands equality.
//
// A solution must lie in the range of its index, which becomes a guard where the extents do not prove it. Of all ways to
// solve, the one with the fewest points is taken: the data gradient of a convolution solves for the place and keeps the
// kernel's indices, the gradient of a max pool with windows side by side solves to quotients.
//
// A guard turns into guarded reads where these make the body zero, since a sum of products of guarded reads is a
// contraction, which backends run as a matrix product. A write at a data index does not invert and stays a scatter.
//
// Source: the inverse of an affine access map as in polyhedral compilers, Feautrier, "Dataflow analysis of array and scalar
// references", 1991; the case of convolutions is Dumoulin and Visin, "A guide to convolution arithmetic", 2016, section 4.
func gather(m *ir.Module) error {
	return eachFunc(m, func(f *ir.Func) error {
		for _, in := range f.Body {
			if in.Op != ir.OpNest || in.Nest.Write == nil {
				continue
			}
			if n := invert(in.Nest, in.Args); n != nil {
				in.Nest, in.Args = compact(n, in.Args)
			}
		}
		return nil
	})
}

// The search for the best way to solve a write map ends at these; the best that it found until then counts.
const (
	maxSteps = 2000
	maxDepth = 32
)

// assumed stands for a symbol when numbers of points are compared.
const assumed = 64

// system is a set of equations being solved. Indices are numbered: first the nest's own, then one for each dimension of the
// result, then new ones.
type system struct {
	nest   *ir.Nest
	extent []ir.Affine
	names  []string
	rounds map[int]bool      // new indices that count the rounds of a division; these stay
	solved map[int]ir.Affine // in terms of the indices that are not solved
	todo   []ir.Affine       // each must become 0
	guards []ir.Guard
}

// clone copies s so that it can be solved in another way.
func (s *system) clone() *system {
	c := *s
	c.extent, c.names = slices.Clone(s.extent), slices.Clone(s.names)
	c.todo, c.guards = slices.Clone(s.todo), slices.Clone(s.guards)
	c.solved, c.rounds = maps.Clone(s.solved), maps.Clone(s.rounds)
	return &c
}

func (s *system) extentOf(i int) ir.Affine { return s.extent[i] }

// isOutput reports whether index i is a dimension of the result.
func (s *system) isOutput(i int) bool {
	return i >= len(s.nest.Index) && i < len(s.nest.Index)+len(s.nest.Shape)
}

// unknown reports whether a depends on an index to solve for.
func (s *system) unknown(a ir.Affine) bool {
	for i := range s.extent {
		if !s.isOutput(i) && !s.rounds[i] && a.Uses(i) {
			return true
		}
	}
	return false
}

// split returns the part of a that depends on indices to solve for, and the rest.
func (s *system) split(a ir.Affine) (unknown, known ir.Affine) {
	known.Const = a.Const
	for _, t := range a.Terms {
		if term := (ir.Affine{Terms: []ir.Term{t}}); s.unknown(term) {
			unknown = unknown.Add(term)
		} else {
			known = known.Add(term)
		}
	}
	return unknown, known
}

// fresh adds an index.
func (s *system) fresh(name string, extent ir.Affine) ir.Affine {
	s.extent, s.names = append(s.extent, extent), append(s.names, name)
	return ir.Loop(len(s.extent) - 1)
}

// solve substitutes value for index i and keeps its range as a guard.
func (s *system) solve(i int, value ir.Affine) {
	s.substitute(i, value)
	s.guards = append(s.guards, ir.Guard{E: value, Limit: s.extent[i]})
}

func (s *system) substitute(i int, value ir.Affine) {
	f := func(a ir.Atom) (ir.Affine, bool) { return value, a.Kind == ir.AtomIndex && a.Index == i }
	rewrite := func(a ir.Affine) ir.Affine { return tidy(a.Rewrite(f), s.extentOf) }
	for k, a := range s.solved {
		s.solved[k] = rewrite(a)
	}
	s.solved[i] = value
	for k, a := range s.todo {
		s.todo[k] = rewrite(a)
	}
	for k, g := range s.guards {
		s.guards[k] = ir.Guard{E: rewrite(g.E), Limit: rewrite(g.Limit)}
	}
}

// invert returns the gather form of the scatter n over operands args, or nil if its write map does not invert.
func invert(n *ir.Nest, args []*ir.Value) *ir.Nest {
	if slices.ContainsFunc(n.Write, usesData) {
		return nil
	}
	s := &system{nest: n, solved: map[int]ir.Affine{}, rounds: map[int]bool{}}
	for _, x := range n.Index {
		s.fresh(x.Name, x.Extent)
	}
	for d, extent := range n.Shape {
		name := fmt.Sprintf("p%d", d)
		if i, ok := n.Write[d].IsLoop(); ok {
			name = n.Index[i].Name
		}
		s.todo = append(s.todo, n.Write[d].Sub(s.fresh(name, extent)))
	}
	var best *system
	steps := 0
	search(s, 0, &steps, func(s *system) {
		if best == nil || s.compare(best) < 0 {
			best = s
		}
	})
	if best == nil {
		return nil
	}
	return best.build(args)
}

// search calls found for every way of solving s.
func search(s *system, depth int, steps *int, found func(*system)) {
	for {
		if len(s.todo) == 0 {
			found(s)
			return
		}
		equation := s.todo[0]
		s.todo = s.todo[1:]
		unknown, known := s.split(equation)
		if len(unknown.Terms) == 0 {
			if n, ok := known.IsConst(); !ok || n != 0 {
				s.guards = append(s.guards, ir.Guard{E: known, Limit: ir.Int(1)})
			}
			continue
		}
		if d := divisor(unknown); d > 1 {
			for i := range unknown.Terms {
				unknown.Terms[i].Coef /= d
			}
			q := known.Scale(-1)
			s.guards = append(s.guards, ir.Guard{E: q.Mod(d), Limit: ir.Int(1)})
			equation = unknown.Sub(q.Div(d))
		}
		s.branch(equation, unknown, depth, steps, found)
		return
	}
}

// divisor returns the greatest common divisor of a's coefficients.
func divisor(a ir.Affine) int {
	d := 0
	for _, t := range a.Terms {
		for x := max(t.Coef, -t.Coef); x != 0; {
			d, x = x, d%x
		}
	}
	return d
}

// branch solves equation = 0 for each of its unknowns in turn and goes on from there.
func (s *system) branch(equation, unknown ir.Affine, depth int, steps *int, found func(*system)) {
	for _, t := range unknown.Terms {
		if *steps++; depth > maxDepth || *steps > maxSteps {
			return
		}
		rest := equation.Sub(ir.Affine{Terms: []ir.Term{t}}) // t.Coef·atom + rest = 0
		unit := t.Coef == 1 || t.Coef == -1
		switch {
		case t.Atom.Kind == ir.AtomIndex && rest.Uses(t.Atom.Index):
		case t.Atom.Kind == ir.AtomIndex && unit:
			c := s.clone()
			c.solve(t.Atom.Index, rest.Scale(-t.Coef))
			search(c, depth+1, steps, found)
		case t.Atom.Kind == ir.AtomIndex:
			if c := s.divide(t, rest); c != nil {
				search(c, depth+1, steps, found)
			}
		case t.Atom.Kind == ir.AtomQuotient && unit:
			// ⌊num/den⌋ = q, so num = den·q + r
			c := s.clone()
			r := c.fresh("r", ir.Int(t.Atom.Den))
			num := rest.Scale(-t.Coef * t.Atom.Den).Add(r)
			c.todo = append([]ir.Affine{tidy(t.Atom.Num.Sub(num), c.extentOf)}, c.todo...)
			search(c, depth+1, steps, found)
		}
	}
}

// divide solves coef·i + rest = 0 for i by division, with the remainder left as an equation; nil if the rest of the unsolved
// indices has no constant bounds.
func (s *system) divide(t ir.Term, rest ir.Affine) *system {
	if t.Coef < 0 {
		t.Coef, rest = -t.Coef, rest.Scale(-1)
	}
	// coef·i + others = q, where q holds what is known and others the indices still to be solved for.
	others, known := s.split(rest)
	q := known.Scale(-1)
	b, ok := ir.BoundsOf(others, s.extentOf)
	if !ok {
		return nil
	}
	lo, ok := b.Lo.IsConst()
	if !ok {
		return nil
	}
	width, ok := b.Hi.Sub(b.Lo).AddConst(1).IsConst()
	if !ok {
		return nil
	}
	q, others = q.AddConst(-lo), others.AddConst(-lo) // now 0 ≤ others < width
	c := s.clone()
	i, remainder := q.Div(t.Coef), q.Mod(t.Coef)
	if rounds := (width + t.Coef - 1) / t.Coef; rounds > 1 {
		step := c.fresh("t", ir.Int(rounds))
		c.rounds[len(c.extent)-1] = true
		i, remainder = i.Sub(step), remainder.Add(step.Scale(t.Coef))
	}
	c.todo = append([]ir.Affine{others.Sub(remainder)}, c.todo...)
	c.solve(t.Atom.Index, i)
	return c
}

// compare orders solutions: fewer points for each element first, then fewer guards.
func (s *system) compare(other *system) int {
	return cmp.Or(cmp.Compare(s.points(), other.points()), cmp.Compare(len(s.open()), len(other.open())))
}

// points is the number of points that are summed for each element, with symbols taken as assumed.
func (s *system) points() float64 {
	n := 1.0
	for _, i := range s.reduced() {
		n *= float64(s.extent[i].EvalDim(func(string) int { return assumed }))
	}
	return n
}

// open returns the guards that the extents do not prove.
func (s *system) open() []ir.Guard {
	var open []ir.Guard
	for _, g := range s.guards {
		g = ir.Guard{E: tidy(g.E, s.extentOf), Limit: g.Limit}
		if !ir.Inside(g.E, g.Limit, s.extentOf) {
			open = append(open, g)
		}
	}
	return open
}

// reduced returns the indices that are neither solved nor dimensions of the result.
func (s *system) reduced() []int {
	var list []int
	for i := range s.extent {
		if _, solved := s.solved[i]; !solved && !s.isOutput(i) {
			list = append(list, i)
		}
	}
	return list
}

// build makes the nest of a solved system.
func (s *system) build(args []*ir.Value) *ir.Nest {
	n := &ir.Nest{Combine: ir.Sum, Out: len(s.nest.Shape)}
	number := make([]int, len(s.extent))
	add := func(i int) {
		number[i] = len(n.Index)
		n.Index = append(n.Index, ir.Index{Name: unique(s.names[i], n.Index), Extent: s.extent[i]})
	}
	for d := range s.nest.Shape {
		add(len(s.nest.Index) + d)
	}
	for _, i := range s.reduced() {
		add(i)
	}
	if len(n.Index) == n.Out {
		n.Combine = ir.Map
	}
	renumber := func(a ir.Atom) (ir.Affine, bool) {
		return ir.Loop(number[a.Index]), a.Kind == ir.AtomIndex
	}
	final := func(a ir.Atom) (ir.Affine, bool) {
		if a.Kind != ir.AtomIndex {
			return ir.Affine{}, false
		}
		if v, ok := s.solved[a.Index]; ok {
			return v.Rewrite(renumber), true
		}
		return ir.Loop(number[a.Index]), true
	}
	n.Body = s.nest.Body.RewriteAffine(final)
	for _, g := range s.guards {
		n.Guards = append(n.Guards, ir.Guard{E: g.E.Rewrite(renumber), Limit: g.Limit.Rewrite(renumber)})
	}
	for _, g := range s.nest.Guards {
		n.Guards = append(n.Guards, ir.Guard{E: g.E.Rewrite(final), Limit: g.Limit.Rewrite(final)})
	}
	n = tidyNest(n)
	n.Guards = openGuards(n)
	n = guardReads(n, args)
	if total(n.Body) {
		n.Guards = slices.DeleteFunc(n.Guards, func(g ir.Guard) bool { return vanishes(n.Body, g, args) })
	}
	return n
}

// unique returns name, or name with a number if an index has it already; the printer names what has no name.
func unique(name string, taken []ir.Index) string {
	if name == "" {
		return ""
	}
	for candidate, k := name, 1; ; k++ {
		if !slices.ContainsFunc(taken, func(x ir.Index) bool { return x.Name == candidate }) {
			return candidate
		}
		candidate = fmt.Sprintf("%s_%d", name, k)
	}
}

// openGuards returns the guards of n that its extents do not prove, each once.
func openGuards(n *ir.Nest) []ir.Guard {
	var open []ir.Guard
	for _, g := range n.Guards {
		if !usesData(g.Limit) && ir.Inside(g.E, g.Limit, n.Extent) {
			continue
		}
		if !slices.ContainsFunc(open, func(h ir.Guard) bool { return h.E.Equal(g.E) && h.Limit.Equal(g.Limit) }) {
			open = append(open, g)
		}
	}
	return open
}

// guardReads returns n with those reads guarded that only the range of a solved index kept inside. Where they are outside the
// point does not count, so what they are there does not matter.
func guardReads(n *ir.Nest, args []*ir.Value) *ir.Nest {
	return n.RewriteReads(func(r *ir.Read) *ir.Read {
		if r.Guarded || slices.ContainsFunc(r.Index, usesData) || inside(r, args[r.Operand].Type.Shape, n.Extent) {
			return r
		}
		guarded := *r
		guarded.Guarded = true
		return &guarded
	})
}

// vanishes reports whether e is zero wherever g fails, because a guarded read is outside its operand there.
func vanishes(e *ir.Expr, g ir.Guard, args []*ir.Value) bool {
	arg := func(i int) bool { return vanishes(e.Args[i], g, args) }
	switch {
	case e.Leaf == ir.LeafConst:
		return e.Value == 0
	case e.Leaf == ir.LeafRead:
		shape := args[e.Read.Operand].Type.Shape
		for k, ix := range e.Read.Index {
			if e.Read.Guarded && e.Read.Else == 0 && ix.Equal(g.E) && shape[k].Equal(g.Limit) {
				return true
			}
		}
		return false
	case e.Leaf != ir.NotLeaf:
		return false
	}
	switch e.Op {
	case ir.OpMul:
		return arg(0) || arg(1)
	case ir.OpAdd, ir.OpSub:
		return arg(0) && arg(1)
	case ir.OpNeg:
		return arg(0)
	case ir.OpSelect:
		return arg(1) && arg(2)
	}
	return false
}

// total reports whether e is finite for all finite operands of ordinary size, so that zero times it is zero.
func total(e *ir.Expr) bool {
	ok := true
	e.Walk(func(e *ir.Expr) {
		if e.Leaf != ir.NotLeaf {
			return
		}
		switch e.Op {
		case ir.OpAdd, ir.OpSub, ir.OpMul, ir.OpMin, ir.OpMax, ir.OpNeg, ir.OpAbs, ir.OpSign, ir.OpFloor, ir.OpSin, ir.OpCos,
			ir.OpTanh, ir.OpErf, ir.OpSigmoid, ir.OpRelu, ir.OpLess, ir.OpLessEqual, ir.OpEqual, ir.OpNotEqual, ir.OpAnd,
			ir.OpOr, ir.OpNot, ir.OpSelect, ir.OpToF32, ir.OpToI32, ir.OpStop:
		default:
			ok = false
		}
	})
	return ok
}
