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
// is first copied to memory in the form that is wanted: with what is read outside of it (padding) around it, with its dimensions in
// another order, or in panels: the elements that a tile of the result needs, one after the other, so that they lie close together, on few
// pages, and are fetched in order. All are nests themselves.

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

// shortSum is the number of terms below which lanes that are partial sums are mostly idle.
const shortSum = 16

// prepare is prepare where it is wanted; where not, n is the only step.
func (a *arranger) prepare(n *ir.Nest, types []ir.Type, repeats []int) []*prepared {
	if !a.does(doPrepare) {
		args := make([]int, len(types))
		for k := range args {
			args[k] = k
		}
		return []*prepared{{nest: n, args: args}}
	}
	return prepare(n, types, repeats, a.level, a.least, a.leftOut)
}

// prepare returns the steps that compute n.
//
// least is the size that symbols have at least: panels that pay only for larger ones are not made. repeats tells of each operand how often the
// nest is computed while that operand stays the same; keptRepeats of one that stays the same from call to call.
func prepare(n *ir.Nest, types []ir.Type, repeats []int, level Level, least int, off leftOut) []*prepared {
	args := make([]int, len(types))
	for i := range args {
		args[i] = i
	}
	c := &contraction{nest: n, args: args, types: slices.Clone(types), repeats: slices.Clone(repeats), least: least}
	if c.applies() {
		c.order()
		for i := range 2 {
			c.pad(i)
		}
		for i := range 2 {
			if !off.does(doPanels) || !c.panels(i, level) {
				c.permute(i)
			}
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

	repeats []int // of the operands
	least   int   // of symbols
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
func weight(shape ...ir.Affine) float64 { return sizeOf(assumed, shape...) }

// sizeOf returns the number of elements if symbols have that size.
func sizeOf(symbols int, shape ...ir.Affine) float64 {
	w := 1.0
	for _, d := range shape {
		w *= float64(max(1, d.EvalDim(func(string) int { return symbols })))
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

// terms returns how many products are summed for an element of the result.
func (c *contraction) terms() float64 {
	w := 1.0
	for _, ix := range c.nest.Index[c.nest.Out:] {
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
	c.repeats = append(c.repeats, c.repeats[old])
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

// keptRepeats stands for as many times as one likes: copies of what stays the same from call to call are kept between them.
const keptRepeats = 1 << 20

// worthKeeping is how often each element must be read in a call for a copy to be kept beside the operand: what is read less often takes as long
// as its bytes, in whatever order.
const worthKeeping = 16

// repeated returns how often the nest is computed while the operand of read number i stays the same, as far as a copy of it may make use of that.
func (c *contraction) repeated(i int) float64 {
	repeats := c.repeats[c.args[c.read(i).Operand]]
	if repeats >= keptRepeats && c.leastPoints() < worthKeeping*sizeOf(c.least, c.operand(i).Shape...) {
		return 1
	}
	return float64(repeats)
}

// leastPoints returns how many products are summed if symbols have the least size.
func (c *contraction) leastPoints() float64 {
	points := 1.0
	for _, ix := range c.nest.Index {
		points *= sizeOf(c.least, ix.Extent)
	}
	return points
}

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
	worth := float64(worthCopying)
	if c.least >= assumed && c.terms() < shortSum {
		worth /= 8
	}
	if c.points()*c.repeated(i) < worth*weight(t.Shape...) {
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

// The least numbers of times that an element must be read, and of products in a sum, for panels to pay.
const (
	worthPanels  = 256
	panelLengths = 16
)

// panels copies an operand that is read along the vector loop into panels, and splits that loop into one over panels and one within them. It
// fails (false) where that does not pay or the loop is not of whole panels.
func (c *contraction) panels(i int, level Level) bool {
	v := c.vectorLoop()
	r := c.read(i)
	if v < 0 || r.Guarded || c.uses(1-i, v) {
		return false
	}
	width := mostVectors(level) * level.Lanes
	n, known := c.nest.Index[v].Extent.IsConst()
	if !known || n%width != 0 || n == width {
		return false
	}
	at := -1
	for k, ix := range r.Index {
		if !ix.Uses(v) {
			continue
		}
		if l, ok := ix.IsLoop(); !ok || l != v || at >= 0 {
			return false
		}
		at = k
	}
	t := c.operand(i)
	if d, ok := t.Shape[at].IsConst(); !ok || d != n {
		return false
	}
	elements := sizeOf(c.least, t.Shape...)
	if c.leastPoints()*c.repeated(i) < worthPanels*elements || elements < panelLengths*float64(n) {
		return false
	}
	// The copy's dimensions: panels, the others in their order, and the elements within a panel.
	rest := slices.Delete(slices.Clone(t.Shape), at, at+1)
	shape := slices.Concat([]ir.Affine{ir.Int(n / width)}, rest, []ir.Affine{ir.Int(width)})
	last := len(shape) - 1
	from := ir.Loops(1, last)
	from = slices.Insert(from, at, ir.Loop(0).Scale(width).Add(ir.Loop(last)))
	to := func(a ir.Atom) (ir.Affine, bool) {
		switch {
		case a.Kind != ir.AtomIndex || a.Index < v:
			return ir.Affine{}, false
		case a.Index == v:
			return ir.Loop(v).Scale(width).Add(ir.Loop(v + 1)), true
		}
		return ir.Loop(a.Index + 1), true
	}
	split := c.nest.Rewrite(to)
	split.Index = slices.Insert(slices.Clone(c.nest.Index), v+1, ir.Index{Name: c.nest.Index[v].Name + "'", Extent: ir.Int(width)})
	split.Index[v].Extent = ir.Int(n / width)
	split.Out++
	c.nest = split
	index := slices.Clone(c.read(i).Index)
	index = slices.Concat([]ir.Affine{ir.Loop(v)}, slices.Delete(index, at, at+1), []ir.Affine{ir.Loop(v + 1)})
	c.replace(i, &ir.Nest{
		Combine: ir.Map, Out: len(shape), Index: ir.Indices(shape), Body: ir.ReadOf(tensor.F32, 0, from...),
	}, index)
	return true
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
