package passes

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// grad replaces every grad instruction by reverse-mode differentiation of the straight line before it. Only values on a way
// from the xs to y take part. Walking backwards, each instruction adds to its operands' cotangents:
//
//   - A nest adds, for each read of an f32 operand in its body, a scatter over the same points: the derivative of the body by
//     that read times the result's cotangent, added at the index that was read. Its guards and data indices are kept, so the gradient
//     of a gather by data, such as an embedding, is a scatter by data. A guarded read gets guards: outside the operand nothing
//     flows. The body's derivative comes from the op table, applied from the root of the expression down, with operands read again.
//   - max and min send the cotangent to the first point that attains them, which an argmax or argmin nest finds. Keras's max
//     pooling does the same on ties.
//   - prod multiplies the other factors, so that zeros among them are no trouble.
//   - reshape reshapes back; constants, cells and everything that is not f32 get nothing. Reads of a cell between which it is not
//     written are one value.
//   - A scan becomes a scan through the same rounds in the other order, see grad_scan.go.
//
// Several cotangents of one value are added; an x that y does not depend on has a gradient of zeros. Grads are replaced in order,
// so a later one may differentiate what an earlier one became. New instructions keep the place of the one they differentiate.
//
// Source: Griewank and Walther, Evaluating Derivatives, 2nd ed. 2008, section 3.2; scatters as transposed reads follow
// Bernstein et al., "Differentiating a Tensor Language", 2020.
func grad(m *ir.Module) error {
	return eachFunc(m, func(f *ir.Func) error {
		if !slices.ContainsFunc(f.Body, func(in *ir.Instr) bool { return in.Op == ir.OpGrad }) {
			return nil
		}
		b := &before{place: map[*ir.Instr]int{}, equalReads: newEqualReads()}
		values := substitution{} // what grads became
		for _, in := range f.Body {
			values.args(in)
			if in.Op != ir.OpGrad {
				b.add(in)
				continue
			}
			instrs, gradients, err := differentiate(b, in)
			if err != nil {
				return fmt.Errorf("in function %s: %w", f.Name, err)
			}
			for i, r := range in.Results {
				values[r] = gradients[i]
			}
			for _, in := range instrs {
				b.add(in)
			}
		}
		values.results(f)
		f.Body = b.body
		return nil
	})
}

// before is what stands before an instruction. It grows, so that a function of many grads is not gone through as a whole for each.
type before struct {
	body  []*ir.Instr
	place map[*ir.Instr]int // in body
	equalReads
}

func (b *before) add(in *ir.Instr) {
	b.place[in] = len(b.body)
	b.body = append(b.body, in)
	b.equalReads.add(in)
}

// between returns the instructions that may lie on a way from the xs to y.
func (b *before) between(xs []*ir.Value, y *ir.Value) []*ir.Instr {
	from, to := len(b.body), 0
	for _, x := range xs {
		at, ok := b.place[b.same.of(x).Def]
		if !ok { // a parameter
			at = 0
		}
		from = min(from, at)
	}
	if at, ok := b.place[y.Def]; ok {
		to = at + 1
	}
	return b.body[min(from, to):to]
}

// reverse is the state of one reverse sweep.
type reverse struct {
	*ir.Builder              // of the gradient's instructions
	same        substitution // reads of a cell in the same state
	active      map[*ir.Value]bool
	cotangent   map[*ir.Value]*ir.Value
	chosen      map[*ir.Value]bool // cotangents among which there are zeros of sides not chosen
	loop        *loop              // the scan whose body this sweep is in, or nil
}

// differentiate returns instructions that compute what the grad instruction g stands for, after the instructions before it.
func differentiate(b *before, g *ir.Instr) ([]*ir.Instr, []*ir.Value, error) {
	r := &reverse{Builder: ir.NewFunc(""), same: b.same, cotangent: map[*ir.Value]*ir.Value{}, chosen: map[*ir.Value]bool{}}
	y, xs := r.same.of(g.Args[0]), g.Args[1:]
	body := b.between(xs, y)
	r.findActive(body, []*ir.Value{y}, xs)
	r.Loc = g.Loc
	if r.active[y] {
		r.cotangent[y] = r.fill(y.Type, 1)
	}
	if err := r.sweep(body); err != nil {
		return nil, nil, err
	}
	r.Loc = g.Loc
	gradients := make([]*ir.Value, len(xs))
	for i, x := range xs {
		if gradients[i] = r.cotangent[r.same.of(x)]; gradients[i] == nil {
			gradients[i] = r.fill(x.Type, 0)
		}
	}
	return r.Func.Body, gradients, nil
}

// sweep walks backwards through body, whose results' cotangents are known.
func (r *reverse) sweep(body []*ir.Instr) error {
	for _, in := range slices.Backward(body) {
		if !slices.ContainsFunc(in.Results, func(v *ir.Value) bool { return r.cotangent[v] != nil }) {
			continue
		}
		r.Loc = in.Loc
		switch in.Op {
		case ir.OpNest:
			r.nest(in)
		case ir.OpReshape:
			x := r.same.of(in.Args[0])
			r.add(x, r.Reshape(r.cotangent[in.Result()], x.Type.Shape...))
			r.chosen[x] = r.chosen[x] || r.chosen[in.Result()]
		case ir.OpConst, ir.OpRead:
		case ir.OpScan:
			if err := r.scan(in); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s: no gradient through %s", place(in.Loc), in.Op)
		}
	}
	return nil
}

// equalReads maps each read of a cell to the first one with no write of the cell between.
type equalReads struct {
	same    substitution
	current map[*ir.Cell]*ir.Instr
}

func newEqualReads() equalReads { return equalReads{substitution{}, map[*ir.Cell]*ir.Instr{}} }

func (e *equalReads) add(in *ir.Instr) {
	switch in.Op {
	case ir.OpRead:
		if first := e.current[in.Cell]; first != nil {
			e.same.merge(in, first)
		} else {
			e.current[in.Cell] = in
		}
	case ir.OpWrite, ir.OpCall, ir.OpScan:
		for c := range effectsOf(in).writes {
			delete(e.current, c)
		}
	}
}

// findActive marks the values of body that depend on one of xs and that one of ys depends on.
func (r *reverse) findActive(body []*ir.Instr, ys, xs []*ir.Value) {
	depends, reached := map[*ir.Value]bool{}, map[*ir.Value]bool{}
	for _, y := range ys {
		reached[y] = true
	}
	for _, x := range xs {
		depends[r.same.of(x)] = true
	}
	r.spread(body, depends)
	r.trace(body, reached)
	r.active = map[*ir.Value]bool{}
	for v := range depends {
		r.active[v] = depends[v] && reached[v] && v.Type.DType == tensor.F32
	}
}

// spread adds the f32 values of body that depend on one of depends.
func (r *reverse) spread(body []*ir.Instr, depends map[*ir.Value]bool) {
	for _, in := range body {
		if slices.ContainsFunc(in.Args, func(v *ir.Value) bool { return depends[r.same.of(v)] }) {
			for _, v := range in.Results {
				depends[v] = depends[v] || v.Type.DType == tensor.F32
			}
		}
	}
}

// trace adds the values of body that one of reached depends on.
func (r *reverse) trace(body []*ir.Instr, reached map[*ir.Value]bool) {
	for _, in := range slices.Backward(body) {
		if slices.ContainsFunc(in.Results, func(v *ir.Value) bool { return reached[v] }) {
			for _, a := range in.Args {
				reached[r.same.of(a)] = true
			}
		}
	}
}

// fill is a tensor of one number.
func (r *reverse) fill(t ir.Type, v float64) *ir.Value {
	return r.Nest(&ir.Nest{Combine: ir.Map, Index: ir.Indices(t.Shape), Out: len(t.Shape), Body: ir.F32(v)})
}

// add adds d to v's cotangent.
func (r *reverse) add(v, d *ir.Value) {
	v = r.same.of(v)
	switch sum := r.cotangent[v]; {
	case !r.active[v]:
	case r.loop != nil && r.loop.unchanged[v]:
		at := ir.Loops(0, len(v.Type.Shape))
		copied := &ir.Nest{Combine: ir.Map, Index: ir.Indices(v.Type.Shape), Out: len(at), Body: ir.ReadOf(tensor.F32, 0, at...)}
		r.flow(flow{x: v, nest: copied, args: []*ir.Value{d}, at: at, shape: v.Type.Shape})
	case sum == nil:
		r.cotangent[v] = d
	default:
		r.cotangent[v] = r.Apply(ir.OpAdd, sum, d)
	}
}

// flow is a nest over args whose result is a part of x's cotangent: that which comes from the elements at of a tensor of this shape.
type flow struct {
	x         *ir.Value
	nest      *ir.Nest
	args      []*ir.Value
	at, shape []ir.Affine
}

// flow adds what f computes to a cotangent. Inside a loop, what belongs to an unchanged operand of the loop is left to be
// computed outside, for all rounds at once.
func (r *reverse) flow(f flow) {
	if r.loop != nil && r.loop.unchanged[f.x] {
		r.loop.left = append(r.loop.left, f)
		return
	}
	n, args := compact(f.nest, f.args)
	r.add(f.x, r.Nest(n, args...))
}

// part is the cotangent that flows into one element of an operand at each point of a nest.
type part struct {
	read   *ir.Read
	body   *ir.Expr
	chosen bool // see Note [Sides not chosen]
}

// nest adds to the cotangents of a nest's operands.
func (r *reverse) nest(in *ir.Instr) {
	n := in.Nest
	args := slices.Clone(in.Args)
	operand := func(v *ir.Value) int {
		args = append(args, v)
		return len(args) - 1
	}

	at := n.Write // the element that a point falls on
	if at == nil {
		at = ir.Loops(0, n.Out)
	}
	dz := ir.ReadOf(tensor.F32, operand(r.cotangent[in.Result()]), at...)
	if shape := n.ResultShape(); !inside(dz.Read, shape, n.Extent) && !slices.ContainsFunc(at, usesData) {
		dz.Read.Guarded = true // the nest's guards hold it inside, which readers of this nest need not find out
	}
	z := n.Body
	switch n.Combine {
	case ir.Map:
		if z.Leaf == ir.NotLeaf {
			z = ir.ReadOf(tensor.F32, operand(in.Result()), at...)
		}
	case ir.Max, ir.Min:
		dz = ir.Apply(ir.OpSelect, ir.Apply(ir.OpEqual, ir.ReadOf(tensor.I32, operand(r.attained(in)), at...), rowMajor(n)), dz, ir.F32(0))
	case ir.Prod:
		others := r.others(in)
		dz = ir.Apply(ir.OpMul, dz, ir.ReadOf(tensor.F32, operand(others), ir.Loops(0, len(n.Index))...))
	case ir.ArgMax, ir.ArgMin:
		return
	}

	var parts []part
	b := backward{reverse: r, args: in.Args, single: singlePoints(n), parts: &parts}
	b.expr(n.Body, z, dz, r.chosen[in.Result()], false)
	for _, p := range parts {
		x := r.same.of(in.Args[p.read.Operand])
		r.chosen[x] = r.chosen[x] || p.chosen
		d := &ir.Nest{
			Combine: ir.Sum, Index: n.Index, Write: p.read.Index, Shape: x.Type.Shape,
			Guards: slices.Clone(n.Guards), Body: fold(p.body),
		}
		if p.read.Guarded {
			for k, ix := range p.read.Index {
				if !ir.Inside(ix, d.Shape[k], n.Extent) {
					d.Guards = append(d.Guards, ir.Guard{E: ix, Limit: d.Shape[k]})
				}
			}
		}
		if len(d.Write) == 0 {
			d.Write, d.Shape = nil, nil // a sum over all points is the gather form of a scatter into a scalar
			if len(d.Index) == 0 {
				d.Combine = ir.Map
			}
		}
		r.flow(flow{x, d, args, at, in.Result().Type.Shape})
	}
}

// backward carries cotangents through the body of a nest.
//
// # Note [Sides not chosen]
//
// The side of a select that is not chosen gets no gradient, also where it is not finite: of where(x > 0, sqrt(x), 0) the gradient at 0
// is 0. Its cotangent is a zero, which times the infinite derivative of sqrt would be no number. So below a select a cotangent of zero
// stays one: select(equal(dz, 0), 0, dz · derivative), within the body that chooses and from nest to nest, up to the next sum of products. There
// it ends, as the factors of such sums are finite in all programs that make sense, and as a select between them would take away what makes
// products fast.
type backward struct {
	*reverse
	args   []*ir.Value
	single bool // no sum: each element has one point
	parts  *[]part
}

// expr carries the cotangent dz of expression e, whose value is z, to the reads in e; chosen says that it may be a zero of a side not chosen,
// here that it was chosen in this body.
func (b *backward) expr(e, z, dz *ir.Expr, chosen, here bool) {
	switch {
	case e.Leaf == ir.LeafRead:
		if !b.active[b.same.of(b.args[e.Read.Operand])] {
			return
		}
		for i, p := range *b.parts {
			if equalReadOf(p.read, e.Read, e.DType) {
				(*b.parts)[i].body = ir.Apply(ir.OpAdd, p.body, dz)
				(*b.parts)[i].chosen = p.chosen || chosen
				return
			}
		}
		*b.parts = append(*b.parts, part{e.Read, dz, chosen})
	case e.Leaf == ir.NotLeaf:
		for i, a := range e.Args {
			if a.DType != tensor.F32 || !b.readsActive(a, b.args) {
				continue
			}
			da := e.Op.GradOf(i, e.Args, z, dz)
			if da == nil || isZero(da) {
				continue
			}
			still, here := chosen || e.Op == ir.OpSelect, here || e.Op == ir.OpSelect
			if still && scales(da, dz) {
				if still = b.single || here; still {
					da = ir.Apply(ir.OpSelect, ir.Apply(ir.OpEqual, dz, ir.F32(0)), ir.F32(0), da)
				}
			}
			b.expr(a, a, da, still, here)
		}
	}
}

// singlePoints reports whether each element of a nest's result comes from one of its points.
func singlePoints(n *ir.Nest) bool {
	if n.Write == nil {
		return n.Out == len(n.Index)
	}
	found := map[int]bool{}
	for _, at := range n.Write {
		if i, ok := at.IsLoop(); ok {
			found[i] = true
		}
	}
	return len(found) == len(n.Index)
}

// scales reports whether da, which is made of dz, is more than dz, its negative, or one of these where a condition holds.
func scales(da, dz *ir.Expr) bool {
	switch {
	case da == dz || isZero(da):
		return false
	case da.Leaf == ir.NotLeaf && da.Op == ir.OpNeg:
		return scales(da.Args[0], dz)
	case da.Leaf == ir.NotLeaf && da.Op == ir.OpSelect:
		return scales(da.Args[1], dz) || scales(da.Args[2], dz)
	}
	return true
}

func equalReadOf(a, b *ir.Read, d tensor.DType) bool {
	return (&ir.Expr{Leaf: ir.LeafRead, DType: d, Read: a}).Equal(&ir.Expr{Leaf: ir.LeafRead, DType: d, Read: b})
}

func isZero(e *ir.Expr) bool {
	v, ok := e.IsConst()
	return ok && v == 0
}

func (r *reverse) readsActive(e *ir.Expr, args []*ir.Value) bool {
	found := false
	e.Reads(func(read *ir.Read) { found = found || r.active[r.same.of(args[read.Operand])] })
	return found
}

// attained is the nest of the points at which the max or min nest in has its value.
func (r *reverse) attained(in *ir.Instr) *ir.Value {
	n := *in.Nest
	n.Combine = map[ir.Combine]ir.Combine{ir.Max: ir.ArgMax, ir.Min: ir.ArgMin}[n.Combine]
	return r.Nest(&n, in.Args...)
}

// rowMajor is a point's number in the row-major order of n's reduced indices.
func rowMajor(n *ir.Nest) *ir.Expr {
	number := ir.Int(0)
	for i := n.Out; i < len(n.Index); i++ {
		next, ok := number.Mul(n.Index[i].Extent)
		if !ok {
			return rowMajorProduct(n)
		}
		number = next.Add(ir.Loop(i))
	}
	return ir.IndexValue(number)
}

// rowMajorProduct is rowMajor for extents whose products are not affine.
func rowMajorProduct(n *ir.Nest) *ir.Expr {
	number := ir.IndexValue(ir.Loop(n.Out))
	for i := n.Out + 1; i < len(n.Index); i++ {
		number = ir.Apply(ir.OpAdd, ir.Apply(ir.OpMul, number, ir.IndexValue(n.Index[i].Extent)), ir.IndexValue(ir.Loop(i)))
	}
	return number
}

// others is, for each point of the prod nest in, the product of the other points on its element.
func (r *reverse) others(in *ir.Instr) *ir.Value {
	n := in.Nest
	points := len(n.Index)
	shift := func(a ir.Atom) (ir.Affine, bool) { // the reduced indices once more, behind the points
		if a.Kind == ir.AtomIndex && a.Index >= n.Out {
			return ir.Loop(a.Index - n.Out + points), true
		}
		return ir.Affine{}, false
	}
	product := n.Rewrite(shift)
	product.Index = slices.Concat(n.Index, n.Index[n.Out:])
	for i := range product.Index[points:] {
		product.Index[points+i].Name += "_other"
	}
	product.Out = points
	var self *ir.Expr
	for i := n.Out; i < points; i++ {
		equal := ir.Apply(ir.OpEqual, ir.IndexValue(ir.Loop(i)), ir.IndexValue(ir.Loop(i-n.Out+points)))
		if self == nil {
			self = equal
		} else {
			self = ir.Apply(ir.OpAnd, self, equal)
		}
	}
	if self == nil {
		return r.fill(in.Result().Type, 1)
	}
	product.Body = ir.Apply(ir.OpSelect, self, ir.F32(1), product.Body)
	v, used := compact(product, in.Args)
	return r.Nest(v, used...)
}
