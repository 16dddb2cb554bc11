package native

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Note [Preparing contractions]
//
// A sum of products runs best if one operand is read along the vector loop in neighbouring elements, if nothing is tested inside its loops, and
// if the innermost reduced loop goes through the other operand in small steps. Where an operand is read often enough for that to pay, it
// is first copied to memory in the form that is wanted: with what is read outside of it (padding) around it, or with its dimensions in
// another order. Both are nests themselves.

// prepared is a nest to compute: its args are numbers of operands, of which every temporary before it adds one.
type prepared struct {
	nest      *ir.Nest
	args      []int
	temporary bool
}

// assumed is the size that a symbol is taken to have where sizes are weighed against each other.
const assumed = 32

// worthCopying is how often each element of an operand must be read for a copy to pay.
const worthCopying = 64

// prepare returns the steps that compute n.
func prepare(n *ir.Nest, types []ir.Type) []*prepared {
	args := make([]int, len(types))
	for i := range args {
		args[i] = i
	}
	c := &contraction{nest: n, args: args, types: slices.Clone(types)}
	if c.applies() {
		c.order()
		for i := range 2 {
			c.pad(i)
		}
		for i := range 2 {
			c.permute(i)
		}
	}
	return append(c.steps, &prepared{nest: c.nest, args: c.args})
}

// contraction is a sum of products of two reads while it is prepared.
type contraction struct {
	nest  *ir.Nest
	args  []int
	types []ir.Type
	steps []*prepared
}

// applies reports whether the nest is a sum of products of reads with affine indices.
func (c *contraction) applies() bool {
	n := c.nest
	if n.Combine != ir.Sum || n.Write != nil || len(n.Guards) > 0 || n.Out == len(n.Index) || n.Body.Op != ir.OpMul || n.Body.DType != tensor.F32 {
		return false
	}
	for _, a := range n.Body.Args {
		if a.Leaf != ir.LeafRead {
			return false
		}
		for _, ix := range a.Read.Index {
			for _, t := range ix.Terms {
				if t.Atom.Kind == ir.AtomLoad || t.Atom.Kind == ir.AtomQuotient {
					return false
				}
			}
		}
	}
	return n.Body.Args[0].Read.Operand != n.Body.Args[1].Read.Operand
}

func (c *contraction) read(i int) *ir.Read { return c.nest.Body.Args[i].Read }

// weight returns a dimension's size, symbols as assumed.
func weight(shape ...ir.Affine) float64 {
	w := 1.0
	for _, d := range shape {
		w *= float64(max(1, d.EvalDim(func(string) int { return assumed })))
	}
	return w
}

func (c *contraction) points() float64 {
	w := 1.0
	for _, ix := range c.nest.Index {
		w *= weight(ix.Extent)
	}
	return w
}

// replace makes operand read number i a read of the result of a step.
func (c *contraction) replace(i int, copyNest *ir.Nest, index []ir.Affine) {
	old := c.args[c.read(i).Operand]
	c.steps = append(c.steps, &prepared{nest: copyNest, args: []int{old}, temporary: true})
	z := len(c.types)
	c.types = append(c.types, ir.Type{DType: tensor.F32, Shape: copyNest.ResultShape()})
	n := *c.nest
	body := *n.Body
	body.Args = slices.Clone(body.Args)
	body.Args[i] = ir.ReadOf(tensor.F32, c.read(i).Operand, index...)
	n.Body = &body
	c.args = slices.Clone(c.args)
	c.args[c.read(i).Operand] = z
	c.nest = &n
}

// operand returns the type of read number i's operand.
func (c *contraction) operand(i int) ir.Type { return c.types[c.args[c.read(i).Operand]] }

// pad copies the operand of a guarded read with what lies around it.
func (c *contraction) pad(i int) {
	r := c.read(i)
	if !r.Guarded {
		return
	}
	t := c.operand(i)
	shape := make([]ir.Affine, len(t.Shape))
	index := make([]ir.Affine, len(t.Shape)) // of the copy
	from := make([]ir.Affine, len(t.Shape))  // of the operand, in the copy's loops
	grown := false
	for k, d := range t.Shape {
		shape[k], index[k], from[k] = d, r.Index[k], ir.Loop(k)
		if ir.Inside(r.Index[k], d, c.nest.Extent) {
			continue
		}
		b, ok := ir.BoundsOf(r.Index[k], c.nest.Extent)
		lo, known := b.Lo.IsConst()
		if !ok || !known {
			return
		}
		shape[k], index[k], from[k] = b.Hi.AddConst(1-lo), r.Index[k].AddConst(-lo), ir.Loop(k).AddConst(lo)
		grown = true
	}
	if !grown {
		c.replaceRead(i, index)
		return
	}
	if w := weight(shape...); w > 4*weight(t.Shape...) || c.points() < worthCopying*w {
		return
	}
	c.replace(i, &ir.Nest{
		Combine: ir.Map, Out: len(shape), Index: ir.Indices(shape),
		Body: ir.ReadElse(tensor.F32, 0, r.Else, from...),
	}, index)
}

// replaceRead makes read number i an unguarded one.
func (c *contraction) replaceRead(i int, index []ir.Affine) {
	n := *c.nest
	body := *n.Body
	body.Args = slices.Clone(body.Args)
	body.Args[i] = ir.ReadOf(tensor.F32, c.read(i).Operand, index...)
	n.Body = &body
	c.nest = &n
}

// vectorLoop returns the last of the result's loops that is not single.
func (c *contraction) vectorLoop() int {
	for v := c.nest.Out - 1; v >= 0; v-- {
		if n, ok := c.nest.Index[v].Extent.IsConst(); !ok || n > 1 {
			return v
		}
	}
	return -1
}

// permute copies an operand that is read along the vector loop in large steps so that the steps are single ones.
func (c *contraction) permute(i int) {
	v := c.vectorLoop()
	r := c.read(i)
	if v < 0 || r.Guarded || c.uses(1-i, v) {
		return
	}
	last := len(r.Index) - 1
	at := -1
	for k, ix := range r.Index {
		if !ix.Uses(v) {
			continue
		}
		if l, ok := ix.IsLoop(); !ok || l != v || at >= 0 {
			return
		}
		at = k
	}
	if at < 0 || at == last {
		return
	}
	t := c.operand(i)
	if c.points() < worthCopying*weight(t.Shape...) {
		return
	}
	move := func(x []ir.Affine) []ir.Affine {
		y := slices.Delete(slices.Clone(x), at, at+1)
		return append(y, x[at])
	}
	shape := move(t.Shape)
	from := ir.Loops(0, last+1) // the copy's loops, back in the operand's order
	from = slices.Insert(from[:last:last], at, ir.Loop(last))
	c.replace(i, &ir.Nest{
		Combine: ir.Map, Out: len(shape), Index: ir.Indices(shape), Body: ir.ReadOf(tensor.F32, 0, from...),
	}, move(r.Index))
}

func (c *contraction) uses(i, loop int) bool {
	for _, ix := range c.read(i).Index {
		if ix.Uses(loop) {
			return true
		}
	}
	return false
}

// order sorts the reduced loops by the dimension in which they go through the operand that does not depend on the vector loop, so that the
// innermost takes the smallest steps.
func (c *contraction) order() {
	v := c.vectorLoop()
	if v < 0 {
		return
	}
	along := 0
	if c.uses(0, v) {
		along = 1
	}
	if c.uses(along, v) {
		return
	}
	position := func(loop int) int {
		p := -1
		for k, ix := range c.read(along).Index {
			if ix.Uses(loop) {
				p = k
			}
		}
		return p
	}
	order := make([]int, len(c.nest.Index)) // old numbers in the new order
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order[c.nest.Out:], func(a, b int) int { return position(a) - position(b) })
	if slices.IsSorted(order) {
		return
	}
	to := make([]int, len(order))
	index := make([]ir.Index, len(order))
	for k, o := range order {
		to[o] = k
		index[k] = c.nest.Index[o]
	}
	n := c.nest.Rewrite(func(a ir.Atom) (ir.Affine, bool) {
		if a.Kind != ir.AtomIndex {
			return ir.Affine{}, false
		}
		return ir.Loop(to[a.Index]), true
	})
	n.Index = index
	c.nest = n
}
