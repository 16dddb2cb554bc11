package native

import (
	"math"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// Note [Updates in place]
//
// A call takes effect as a whole or not at all, so its last steps are those that write cells, behind a gate: when they begin, nothing can
// fail any more. What they write they write in place, so that a cell needs memory for one value only.
//
// An update is a nest that computes a cell's next value, element by element from the old one. Updates that read the same gradient, or one
// the other's result, are computed together: Adam's m, v and w of a parameter are one pass over memory. The values must be finite, which has
// to be known before the gate. Mostly a proof shows it, from bounds (see Note [Proofs that values are finite] in package exec; proof.go). Else
// a check computes them without keeping them, which reads the operands twice and is still less than keeping two values of each cell and
// exchanging them.
//
// A cell's next value that is no such nest is computed in the arena and copied to the cell behind the gate.

// update is cells whose next values are computed together.
type update struct {
	cells  []*ir.Cell
	nest   *ir.Nest // the first one's
	bodies []*ir.Expr
	args   []*ir.Value
	loc    ir.Loc

	product *ir.Instr // one of args, which is computed with the update; nil: there is none
}

// updates is updates where they are wanted.
func (l *lowering) updates(f *ir.Func) []*update {
	if !l.does(doUpdates) {
		return nil
	}
	return updates(f)
}

// updates finds the updates of f and takes them out of its body.
func updates(f *ir.Func) []*update {
	p := &updatePlan{
		fn: f, def: map[*ir.Value]*ir.Instr{}, uses: map[*ir.Value][]*ir.Instr{}, writes: map[*ir.Instr][]*ir.Instr{},
		group: map[*ir.Instr]int{},
	}
	p.candidates()
	for p.dropUnsafe() { // what is dropped may use what is left
	}
	p.join()
	for p.dropHazards() {
	}
	p.absorb()
	p.dropHuge()
	all := p.build()
	taken := map[*ir.Instr]bool{}
	for in := range p.group {
		taken[in] = true
		for _, w := range p.writes[in] {
			taken[w] = true
		}
	}
	f.Body = slices.DeleteFunc(f.Body, func(in *ir.Instr) bool { return taken[in] })
	p.delay()
	return all
}

// updatePlan is the search for updates in a function.
type updatePlan struct {
	fn     *ir.Func
	def    map[*ir.Value]*ir.Instr
	uses   map[*ir.Value][]*ir.Instr
	writes map[*ir.Instr][]*ir.Instr // of a candidate: what writes its result
	group  map[*ir.Instr]int         // candidates, and what is absorbed; equal numbers are computed together
	writer map[*ir.Cell]int          // the group that writes a cell
}

// candidates finds the nests whose results become cells' values and nothing else.
func (p *updatePlan) candidates() {
	writes := map[*ir.Cell]int{}
	last := map[*ir.Cell]int{}
	for k, in := range p.fn.Body {
		for _, r := range in.Results {
			p.def[r] = in
		}
		for _, a := range in.Args {
			if u := p.uses[a]; len(u) == 0 || u[len(u)-1] != in {
				p.uses[a] = append(u, in)
			}
		}
		switch in.Op {
		case ir.OpWrite:
			writes[in.Cell]++
			last[in.Cell] = k
		case ir.OpRead:
			if _, after := last[in.Cell]; after {
				writes[in.Cell] = 2 // a value of its own, not only the cell's next
			}
		case ir.OpScan:
			eachCell(in.Scan.Body, func(c *ir.Cell, write bool) {
				if _, after := last[c]; write || after {
					writes[c] = 2
				}
			})
		}
	}
	for k, in := range p.fn.Body {
		if in.Op != ir.OpWrite || writes[in.Cell] != 1 || in.Cell.Half {
			continue
		}
		of := p.def[in.Args[0]]
		if of != nil && of.Op == ir.OpNest && p.updates(of, in.Cell) {
			p.writes[of] = append(p.writes[of], in)
			p.group[of] = k
		}
	}
}

// eachCell calls do for every read and write of a cell in a body.
func eachCell(f *ir.Func, do func(c *ir.Cell, write bool)) {
	for _, in := range f.Body {
		switch in.Op {
		case ir.OpRead, ir.OpWrite:
			do(in.Cell, in.Op == ir.OpWrite)
		case ir.OpScan:
			eachCell(in.Scan.Body, do)
		}
	}
}

// updates reports whether in may write cell c: it cannot fail, and is elementwise where its values must be checked or its operands may be cells.
func (p *updatePlan) updates(in *ir.Instr, c *ir.Cell) bool {
	n := in.Nest
	if n.Write != nil || len(n.Guards) > 0 || !in.Result().Type.Equal(c.Type) || hasLoads(n) {
		return false
	}
	for _, d := range c.Type.Shape {
		if _, known := d.IsConst(); !known {
			return false
		}
	}
	return n.Combine == ir.Map || !p.fn.Finite && !slices.ContainsFunc(in.Args, func(a *ir.Value) bool { return p.cellOf(a) != nil })
}

// hasLoads reports whether an index of n is data.
func hasLoads(n *ir.Nest) bool {
	found := false
	n.Reads(func(r *ir.Read) {
		for _, ix := range r.Index {
			ix.Loads(func(*ir.Read) { found = true })
		}
	})
	n.Body.Walk(func(e *ir.Expr) {
		if e.Leaf == ir.LeafIndex {
			e.Affine.Loads(func(*ir.Read) { found = true })
		}
	})
	return found
}

// cellOf returns the cell whose memory v lies in, or nil.
func (p *updatePlan) cellOf(v *ir.Value) *ir.Cell {
	for {
		switch in := p.def[v]; {
		case in == nil:
			return nil
		case in.Op == ir.OpReshape:
			v = in.Args[0]
		case in.Op == ir.OpRead:
			return in.Cell
		default:
			return nil
		}
	}
}

// inStep reports whether n reads v only at the element that it computes.
func inStep(in *ir.Instr, v *ir.Value) bool {
	n := in.Nest
	if n.Combine != ir.Map || len(v.Type.Shape) != n.Out || !v.Type.Equal(ir.Type{DType: v.Type.DType, Shape: n.ResultShape()}) {
		return false
	}
	ok := true
	n.Reads(func(r *ir.Read) {
		if in.Args[r.Operand] != v {
			return
		}
		for k, ix := range r.Index {
			l, single := ix.IsLoop()
			ok = ok && single && l == k
		}
	})
	return ok
}

// dropUnsafe drops a candidate whose result is used otherwise than by its write and, element by element, by other candidates of its element
// type: what is computed together has one.
func (p *updatePlan) dropUnsafe() bool {
	dropped := false
	for _, in := range p.members() {
		z := in.Result()
		ok := !slices.Contains(p.fn.Results, z)
		for _, u := range p.uses[z] {
			_, candidate := p.group[u]
			ok = ok && (slices.Contains(p.writes[in], u) || candidate && inStep(u, z) && alike(u, in))
		}
		if !ok {
			delete(p.group, in)
			dropped = true
		}
	}
	return dropped
}

// alike reports whether two nests have results of one element type.
func alike(a, b *ir.Instr) bool { return a.Result().Type.DType == b.Result().Type.DType }

// members returns the candidates in the order of the program.
func (p *updatePlan) members() []*ir.Instr {
	return slices.DeleteFunc(slices.Clone(p.fn.Body), func(in *ir.Instr) bool {
		_, is := p.group[in]
		return !is
	})
}

// join makes groups of the candidates that read one another's results, or the same values, element by element.
func (p *updatePlan) join() {
	parent := map[int]int{}
	root := func(g int) int {
		for up, ok := parent[g]; ok; up, ok = parent[g] {
			g = up
		}
		return g
	}
	merge := func(a, b *ir.Instr) {
		if x, y := root(p.group[a]), root(p.group[b]); x != y {
			parent[max(x, y)] = min(x, y)
		}
	}
	byOperand := map[*ir.Value]*ir.Instr{}
	for _, in := range p.members() {
		for _, a := range in.Args {
			if d := p.def[a]; p.has(d) {
				merge(d, in)
			}
			if len(a.Type.Shape) == 0 || !inStep(in, a) {
				continue
			}
			if other := byOperand[a]; other != nil && alike(other, in) {
				merge(other, in)
			}
			byOperand[a] = in
		}
	}
	for in, g := range p.group {
		p.group[in] = root(g)
	}
}

func (p *updatePlan) has(in *ir.Instr) bool {
	_, is := p.group[in]
	return is
}

// dropHazards drops the groups that write a cell that another update reads, or that is not read element by element.
func (p *updatePlan) dropHazards() bool {
	p.writers()
	wrong := map[int]bool{}
	for _, in := range p.members() {
		if wrong[p.group[in]] {
			continue // it computes before cells change
		}
		for _, a := range in.Args {
			c := p.cellOf(a)
			if g, written := p.writer[c]; written && (g != p.group[in] || p.def[a].Op != ir.OpRead || !inStep(in, a)) {
				wrong[g] = true
			}
		}
	}
	p.dropGroups(wrong)
	return len(wrong) > 0
}

// writers finds the groups that write cells.
func (p *updatePlan) writers() {
	p.writer = map[*ir.Cell]int{}
	for in, g := range p.group {
		for _, w := range p.writes[in] {
			p.writer[w.Cell] = g
		}
	}
}

// dropGroups drops all of some groups: their members may use one another's results.
func (p *updatePlan) dropGroups(wrong map[int]bool) {
	for in, g := range p.group {
		if wrong[g] {
			delete(p.group, in)
		}
	}
}

// absorb takes elementwise nests that only the members of one group use into it.
func (p *updatePlan) absorb() {
	for k := len(p.fn.Body) - 1; k >= 0; k-- {
		in := p.fn.Body[k]
		if p.has(in) || in.Op != ir.OpNest || in.Nest.Combine != ir.Map || len(in.Nest.Guards) > 0 || hasLoads(in.Nest) || in.Nest.Out == 0 {
			continue
		}
		z := in.Result()
		ok, g := len(p.uses[z]) > 0 && !slices.Contains(p.fn.Results, z), -1
		for _, u := range p.uses[z] {
			of, member := p.group[u]
			ok = ok && member && inStep(u, z) && (g < 0 || of == g)
			g = of
		}
		for _, a := range in.Args { // as for the members themselves
			if of, written := p.writer[p.cellOf(a)]; written && (of != g || p.def[a].Op != ir.OpRead || !inStep(in, a)) {
				ok = false
			}
		}
		if ok {
			p.group[in] = g
		}
	}
}

// maxUpdate bounds the nodes of an update's bodies, of which each holds those that it reads.
const maxUpdate = 2000

// dropHuge drops the groups whose bodies would be too large.
func (p *updatePlan) dropHuge() {
	nodes := map[*ir.Instr]int{}
	wrong := map[int]bool{}
	for _, in := range p.members() {
		in.Nest.Body.Walk(func(e *ir.Expr) {
			nodes[in]++
			if e.Leaf == ir.LeafRead {
				nodes[in] += nodes[p.def[in.Args[e.Read.Operand]]]
			}
		})
		if nodes[in] > maxUpdate {
			wrong[p.group[in]] = true
			nodes[in] = 0
		}
	}
	p.dropGroups(wrong)
}

// build returns the groups as updates.
func (p *updatePlan) build() []*update {
	byGroup := map[int]*update{}
	bodies := map[*ir.Instr]*ir.Expr{}
	var all []*update
	for _, in := range p.members() {
		u := byGroup[p.group[in]]
		if u == nil {
			u = &update{nest: in.Nest, loc: in.Loc}
			byGroup[p.group[in]] = u
			all = append(all, u)
		}
		bodies[in] = in.Nest.Body.Rewrite(func(e *ir.Expr) *ir.Expr {
			if e.Leaf != ir.LeafRead {
				return e
			}
			a := in.Args[e.Read.Operand]
			if d := p.def[a]; bodies[d] != nil {
				return bodies[d]
			}
			number := slices.Index(u.args, a)
			if number < 0 {
				number = len(u.args)
				u.args = append(u.args, a)
			}
			r := *e.Read
			r.Operand = number
			clone := *e
			clone.Read = &r
			return &clone
		})
		for _, w := range p.writes[in] {
			u.cells, u.bodies = append(u.cells, w.Cell), append(u.bodies, bodies[in])
		}
	}
	return all
}

// largeBatch is what a symbol is taken to be where a gradient is compared with what it is computed from: the more examples, the more there is to keep.
const largeBatch = 256

// delay moves nests whose results only updates use, and that are larger than what they are computed from, to the end: memory is needed
// later for them, when that of the activations is free again.
func (p *updatePlan) delay() {
	var late []*ir.Instr
	p.fn.Body = slices.DeleteFunc(p.fn.Body, func(in *ir.Instr) bool {
		if in.Op != ir.OpNest || slices.Contains(p.fn.Results, in.Result()) {
			return false
		}
		for _, u := range p.uses[in.Result()] {
			if !p.has(u) {
				return false
			}
		}
		operands := 0.0
		for _, a := range in.Args {
			operands += sizeOf(largeBatch, a.Type.Shape...)
		}
		if operands > sizeOf(largeBatch, in.Result().Type.Shape...) {
			return false
		}
		late = append(late, in)
		return true
	})
	p.fn.Body = append(p.fn.Body, late...)
}

// check returns a nest that tells whether all values of an update are finite; nil if it has none that could be otherwise.
func (u *update) check() *ir.Nest {
	var all *ir.Expr
	for _, b := range u.bodies {
		if b.DType != tensor.F32 {
			continue
		}
		finite := isFinite(b)
		if all != nil {
			finite = ir.Apply(ir.OpAnd, all, finite)
		}
		all = finite
	}
	if all == nil {
		return nil
	}
	n := &ir.Nest{Combine: ir.Min, Index: u.nest.Index, Body: all}
	if len(n.Index) == 0 {
		n.Combine = ir.Map
	}
	return n
}

func isFinite(e *ir.Expr) *ir.Expr {
	return ir.Apply(ir.OpLessEqual, ir.Apply(ir.OpAbs, e), ir.F32(math.MaxFloat32))
}

// update appends the launch that computes an update.
func (b *bodyLowering) update(u *update) error {
	results := make([]int, len(u.cells))
	for k, c := range u.cells {
		results[k] = b.p.slot(exec.Slot{Type: c.Type, Place: exec.Cell, Index: b.cells[c]})
	}
	what := "update"
	if u.product != nil {
		return b.fromSum(u, u.bodies, results, what, false)
	}
	args := b.numbers(b.p.fn, u.args)
	if len(u.bodies) == 1 {
		what = nestName(u.nest)
	}
	return b.single(b.p, u.nest, u.bodies, nil, args, results, what, u.loc)
}

// checkUpdate appends the launch that finds whether an update is finite, if there is no proof.
func (b *bodyLowering) checkUpdate(u *update, proof *exec.Proof) error {
	n := u.check()
	if n == nil {
		return nil
	}
	z := b.p.slot(exec.Slot{Type: ir.Scalar(tensor.Bool), Place: exec.Arena})
	first := len(b.p.Steps)
	var args []int
	if u.product != nil {
		each := b.p.slot(exec.Slot{Type: ir.Type{DType: tensor.Bool, Shape: u.nest.ResultShape()}, Place: exec.Arena})
		if err := b.fromSum(u, []*ir.Expr{n.Body}, []int{each}, "next values", false); err != nil {
			return err
		}
		read := ir.ReadOf(tensor.Bool, 0, ir.Loops(0, len(n.Index))...)
		args, n = []int{each}, &ir.Nest{Combine: ir.Min, Index: n.Index, Body: read}
	} else {
		args = b.numbers(b.p.fn, u.args)
	}
	if err := b.single(b.p, n, []*ir.Expr{n.Body}, nil, args, []int{z}, "check", u.loc); err != nil {
		return err
	}
	b.p.Checks = append(b.p.Checks, exec.Check{Slot: z, What: u.cells[0].Name, Proof: proof, First: first, End: len(b.p.Steps)})
	return nil
}
