package lang

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// operatorOps are scalar ops that programs write as operators or reach through a builtin of another name.
var operatorOps = map[ir.Op]bool{
	ir.OpAdd: true, ir.OpSub: true, ir.OpMul: true, ir.OpDiv: true, ir.OpMod: true, ir.OpNeg: true, ir.OpPow: true,
	ir.OpMin: true, ir.OpMax: true, ir.OpLess: true, ir.OpLessEqual: true, ir.OpEqual: true, ir.OpNotEqual: true,
	ir.OpAnd: true, ir.OpOr: true, ir.OpNot: true, ir.OpSelect: true, ir.OpToF32: true, ir.OpToI32: true, ir.OpStop: true,
	ir.OpUniform: true, ir.OpNormal: true,
}

// newUniverse holds the functions that are written in Go: one for each scalar op, and those that no .nn text can express.
func newUniverse() *scope {
	s := newScope(nil)
	add := func(b *builtin) { s.set(b.name, b, diag.Span{}) }
	ir.Ops(func(op ir.Op) {
		if op.Row().Class == ir.ClassScalar && !operatorOps[op] {
			add(&builtin{name: op.String(), call: elementwise(op)})
		}
	})
	for word := range reduceOps {
		add(&builtin{name: word, call: reduceAll(word)})
	}
	add(&builtin{name: "where", call: where})
	add(&builtin{name: "f32", call: convertTo(tensor.F32, ir.OpToF32)})
	add(&builtin{name: "i32", call: convertTo(tensor.I32, ir.OpToI32)})
	add(&builtin{name: "stop_gradient", call: elementwise(ir.OpStop)})
	add(&builtin{name: "reshape", call: reshape})
	add(&builtin{name: "elements", call: elements})
	add(&builtin{name: "shape", call: shapeOfValue})
	add(&builtin{name: classesWord, call: classes})
	add(&builtin{name: "transpose", call: transpose})
	add(&builtin{name: "concat", call: concat})
	add(&builtin{name: "split", call: split})
	add(&builtin{name: "randint", call: needsShape, dims: drawInteger})
	add(&builtin{name: "grad", call: gradient})
	add(&builtin{name: "standardise", call: standardiseElsewhere})
	add(&builtin{name: "repeat", call: repeat})
	add(&builtin{name: "zeros", call: needsShape, dims: fill(0)})
	add(&builtin{name: "ones", call: needsShape, dims: fill(1)})
	add(&builtin{name: "uniform", call: needsShape, dims: drawUniform})
	add(&builtin{name: "normal", call: needsShape, dims: drawNormal})
	return s
}

// take returns the values of exactly n arguments by position.
func (f *frame) take(site *callSite, name string, n int) ([]value, bool) {
	for _, a := range site.args {
		if a.name != nil {
			f.errorf(a.name.Span(), diag.UnknownArgument, "%s takes its arguments by position", name)
			return nil, false
		}
	}
	if len(site.args) != n {
		code := diag.TooManyArguments
		if len(site.args) < n {
			code = diag.MissingArgument
		}
		f.errorf(site.at, code, "%s takes %s, not %d", name, count(n, "argument"), len(site.args))
		return nil, false
	}
	vs := make([]value, n)
	for i, a := range site.args {
		vs[i] = a.value
	}
	return vs, true
}

func (s *callSite) nodes() []syntax.Node {
	ns := make([]syntax.Node, len(s.args))
	for i, a := range s.args {
		ns[i] = a.node
	}
	return ns
}

// elementwise is a scalar op as a function; on numbers it is computed at once.
func elementwise(op ir.Op) func(*frame, *callSite) value {
	return func(f *frame, site *callSite) value {
		row := op.Row()
		vs, ok := f.take(site, op.String(), len(row.Params))
		if !ok {
			return poison{}
		}
		numbers := make([]float64, 0, len(vs))
		for _, v := range vs {
			if n, ok := v.(number); ok {
				numbers = append(numbers, n.float)
			}
		}
		if len(numbers) == len(vs) && row.Eval != nil {
			x := row.Eval(numbers)
			if math.IsNaN(x) {
				f.errorf(site.at, diag.InvalidValue, "%s of %v is not a number", op, numbers[0])
				return poison{}
			}
			return inexact(x)
		}
		args, ok := f.unify(site.node, op.String(), site.nodes(), vs)
		if !ok {
			return poison{}
		}
		return f.applyChecked(op, snippet(site.fn, op.String()), site.at, args)
	}
}

// reduceAll is sum(x), mean(x), …: over everything. max and min of two values compare them.
func reduceAll(word string) func(*frame, *callSite) value {
	return func(f *frame, site *callSite) value {
		if (word == "max" || word == "min") && len(site.args) == 2 {
			return f.extreme(site, word)
		}
		vs, ok := f.take(site, word, 1)
		if !ok {
			return poison{}
		}
		a, ok := f.asArray(site.args[0].node, vs[0], tensor.F32)
		if !ok {
			return poison{}
		}
		axes := make([]*axis, len(a.own))
		for i, id := range a.own {
			axes[i] = f.axes[id]
		}
		return f.reduceChecked(site.node, word, a, nil, nil, axes)
	}
}

func (f *frame) extreme(site *callSite, word string) value {
	vs, ok := f.take(site, word, 2)
	if !ok {
		return poison{}
	}
	op := ir.OpMax
	if word == "min" {
		op = ir.OpMin
	}
	x, xok := vs[0].(number)
	y, yok := vs[1].(number)
	if xok && yok {
		if (x.float >= y.float) == (word == "max") {
			return x
		}
		return y
	}
	args, ok := f.unify(site.node, word, site.nodes(), vs)
	if !ok {
		return poison{}
	}
	return f.applyChecked(op, word, site.at, args)
}

// where is where(condition, a, b).
func where(f *frame, site *callSite) value {
	vs, ok := f.take(site, "where", 3)
	if !ok {
		return poison{}
	}
	c, ok := f.asArray(site.args[0].node, vs[0], tensor.Bool)
	if !ok {
		return poison{}
	}
	if c.dtype != tensor.Bool {
		f.errorf(site.args[0].node.Span(), diag.NotACondition, "the condition of where must be a truth value, not %s", c.typ())
		return poison{}
	}
	nodes := site.nodes()
	args, ok := f.unify(site.node, "where", nodes[1:], vs[1:])
	if !ok {
		return poison{}
	}
	all := []*array{c, args[0], args[1]}
	if !f.suffixes(site.node, "where", nodes, all) {
		return poison{}
	}
	return f.apply(ir.OpSelect, all...)
}

// convertTo is f32(x) or i32(x).
func convertTo(d tensor.DType, op ir.Op) func(*frame, *callSite) value {
	return func(f *frame, site *callSite) value {
		vs, ok := f.take(site, d.String(), 1)
		if !ok {
			return poison{}
		}
		switch v := vs[0].(type) {
		case number:
			if d == tensor.I32 {
				return integer(int(math.Trunc(v.float)))
			}
			return v
		case dimension:
			return f.dimensionArray(v, d)
		}
		a, ok := f.asArray(site.args[0].node, vs[0], d)
		if !ok {
			return poison{}
		}
		if a.dtype == d {
			return a
		}
		return f.apply(op, a)
	}
}

// reshape is reshape(x, [dims]).
func reshape(f *frame, site *callSite) value {
	vs, ok := f.take(site, "reshape", 2)
	if !ok {
		return poison{}
	}
	a, ok := f.asArray(site.args[0].node, vs[0], tensor.F32)
	if !ok {
		return poison{}
	}
	dims, ok := f.dimList(site.args[1].node, vs[1])
	if !ok {
		return poison{}
	}
	have, want := ir.Int(1), ir.Int(1)
	for _, d := range a.shape {
		have, ok = multiply(have, d, ok)
	}
	for _, d := range dims {
		want, ok = multiply(want, d, ok)
	}
	if !ok || !have.Equal(want) {
		d := f.errorf(site.at, diag.ShapeMismatch, "%s has %s elements, and %s has %s", a.typ(), have, typeString(a.dtype, dims), want)
		f.explain(d, site.args[0].node, a)
		return poison{}
	}
	lead := f.outer(a.body, a.own)
	v := f.value(a, lead...)
	full := make([]ir.Affine, 0, len(lead)+len(dims))
	for _, x := range lead {
		full = append(full, x.extent)
	}
	return f.arrayOf(f.b.Reshape(v, append(full, dims...)...), lead)
}

func multiply(a, b ir.Affine, ok bool) (ir.Affine, bool) {
	p, good := a.Mul(b)
	return p, ok && good
}

// dimList reads a list of dimensions.
func (f *frame) dimList(n syntax.Node, v value) ([]ir.Affine, bool) {
	var elems []value
	switch v := v.(type) {
	case *list:
		elems = v.elems
	case shape:
		return v.dims, true
	default:
		elems = []value{v}
	}
	dims := make([]ir.Affine, len(elems))
	for i, e := range elems {
		size, ok := dimensionOf(e)
		if !ok {
			if !isPoison(e) {
				f.errorf(n.Span(), diag.NotConstant, "a list of dimensions is needed here, such as [28, 28, 1], not %s", describe(e))
			}
			return nil, false
		}
		dims[i] = size
	}
	return dims, true
}

// elements is the number of elements of a shape or a tensor.
func elements(f *frame, site *callSite) value {
	vs, ok := f.take(site, "elements", 1)
	if !ok {
		return poison{}
	}
	var dims []ir.Affine
	switch v := vs[0].(type) {
	case shape:
		dims = v.dims
	case *array:
		dims = v.shape
	default:
		f.errorf(site.at, diag.TypeMismatch, "elements needs a tensor or a shape, not %s", describe(v))
		return poison{}
	}
	n := ir.Int(1)
	for _, d := range dims {
		if n, ok = multiply(n, d, true); !ok {
			return f.unsupported(site.node, "products of lengths")
		}
	}
	return sizeValue(n)
}

// shapeOfValue is the list of a tensor's dimensions.
func shapeOfValue(f *frame, site *callSite) value {
	vs, ok := f.take(site, "shape", 1)
	if !ok {
		return poison{}
	}
	a, ok := f.asArray(site.args[0].node, vs[0], tensor.F32)
	if !ok {
		return poison{}
	}
	l := &list{span: site.at}
	for _, d := range a.shape {
		l.elems = append(l.elems, sizeValue(d))
	}
	return l
}

// transpose exchanges the two dimensions of a matrix.
func transpose(f *frame, site *callSite) value {
	vs, ok := f.take(site, "transpose", 1)
	if !ok {
		return poison{}
	}
	a, ok := f.asArray(site.args[0].node, vs[0], tensor.F32)
	if !ok {
		return poison{}
	}
	if len(a.shape) != 2 {
		f.errorf(site.at, diag.ShapeMismatch, "transpose needs a matrix, not %s", a.typ()).Fix = "for other shapes write an index expression, such as [j, i, k] => x[i, j, k]"
		return poison{}
	}
	out := &array{dtype: a.dtype, shape: []ir.Affine{a.shape[1], a.shape[0]}}
	out.own = f.newAxes(out.shape)
	out.body = a.at([]ir.Affine{ir.Loop(out.own[1]), ir.Loop(out.own[0])})
	if f.eager(out.shape) {
		return f.store(out)
	}
	return out
}

// concat joins tensors along their last dimension.
func concat(f *frame, site *callSite) value {
	var parts []*array
	for _, a := range site.args {
		x, ok := f.asArray(a.node, a.value, tensor.F32)
		if !ok {
			return poison{}
		}
		if len(x.shape) == 0 {
			f.errorf(a.node.Span(), diag.ShapeMismatch, "concat joins vectors and larger tensors, and this is one %s", x.dtype).Fix = "write [x] to make a vector of one element"
			return poison{}
		}
		if len(parts) > 0 {
			first := parts[0]
			last := len(first.shape) - 1
			if x.dtype != first.dtype || len(x.shape) != len(first.shape) || !equalShapes(x.shape[:last], first.shape[:last]) {
				d := f.errorf(site.at, diag.ShapeMismatch, "concat joins tensors that differ only in their last dimension, not %s and %s", first.typ(), x.typ())
				f.explain(d, site.args[0].node, first)
				f.explain(d, a.node, x)
				return poison{}
			}
		}
		parts = append(parts, f.store(x))
	}
	if len(parts) == 0 {
		f.errorf(site.at, diag.MissingArgument, "concat needs the tensors that it joins")
		return poison{}
	}
	last := len(parts[0].shape) - 1
	total := ir.Int(0)
	for _, p := range parts {
		total = total.Add(p.shape[last])
	}
	out := &array{dtype: parts[0].dtype, shape: append(slices.Clone(parts[0].shape[:last]), total)}
	out.own = f.newAxes(out.shape)
	ix := make([]ir.Affine, len(out.own))
	for i, id := range out.own {
		ix[i] = ir.Loop(id)
	}
	at := ix[last]
	end := total
	for i := len(parts) - 1; i >= 0; i-- {
		end = end.Sub(parts[i].shape[last])
		ix[last] = at.Sub(end)
		piece := guarded(parts[i].at(ix))
		if out.body == nil {
			out.body = piece
			continue
		}
		here := ir.Apply(ir.OpLess, ir.IndexValue(at), ir.IndexValue(end.Add(parts[i].shape[last])))
		out.body = ir.Apply(ir.OpSelect, here, piece, out.body)
	}
	if f.eager(out.shape) {
		return f.store(out)
	}
	return out
}

// guarded makes a read give 0 where it lies outside its tensor.
func guarded(e *ir.Expr) *ir.Expr {
	clone := *e
	r := *e.Read
	r.Guarded, r.Else = true, 0
	clone.Read = &r
	return &clone
}

// split cuts the last dimension into equal parts.
func split(f *frame, site *callSite) value {
	vs, ok := f.take(site, "split", 2)
	if !ok {
		return poison{}
	}
	a, ok := f.asArray(site.args[0].node, vs[0], tensor.F32)
	if !ok {
		return poison{}
	}
	size, ok := dimensionOf(vs[1])
	n, constant := size.IsConst()
	if !ok || !constant || n < 1 {
		f.errorf(site.args[1].node.Span(), diag.NotConstant, "the number of parts must be a whole number known when the program is compiled, not %s", describe(vs[1]))
		return poison{}
	}
	last := len(a.shape) - 1
	if last < 0 || !a.shape[last].Mod(n).Equal(ir.Int(0)) {
		d := f.errorf(site.at, diag.ShapeMismatch, "the last dimension of %s cannot be split into %d equal parts", a.typ(), n)
		f.explain(d, site.args[0].node, a)
		return poison{}
	}
	a = f.store(a)
	part := a.shape[last].Div(n)
	out := &tuple{names: make([]string, n)}
	for k := range n {
		p := &array{dtype: a.dtype, shape: append(slices.Clone(a.shape[:last]), part)}
		p.own = f.newAxes(p.shape)
		ix := make([]ir.Affine, len(p.own))
		for i, id := range p.own {
			ix[i] = ir.Loop(id)
		}
		ix[last] = ix[last].Add(part.Scale(k))
		p.body = a.at(ix)
		f.whole(p)
		if f.eager(p.shape) {
			p = f.store(p)
		}
		out.elems = append(out.elems, p)
	}
	return out
}

// gradient is grad(e, x): of the scalar e, with respect to the value x.
func gradient(f *frame, site *callSite) value {
	vs, ok := f.take(site, "grad", 2)
	if !ok {
		return poison{}
	}
	e, ok := f.asArray(site.args[0].node, vs[0], tensor.F32)
	if !ok {
		return poison{}
	}
	x, isArray := vs[1].(*array)
	var operand int
	if isArray {
		operand, isArray = x.stored()
	}
	switch {
	case len(e.shape) != 0:
		d := f.errorf(site.args[0].node.Span(), diag.NotScalar, "a gradient is of one number, not of %s", e.typ())
		d.Fix = "reduce it first, as in sum(…) or mean(…)"
		return poison{}
	case !isArray || x.dtype != tensor.F32:
		f.errorf(site.args[1].node.Span(), diag.TypeMismatch, "a gradient is with respect to a named value or a parameter, not %s", describe(vs[1]))
		return poison{}
	}
	v := f.local(operand)
	lead := f.leadOf(x)
	loss := f.total(e)
	if f.usesBatch(e) && len(lead) == 0 && !f.oneExample() {
		if copies := f.spreadOf(v); copies != nil {
			v, lead = copies, []*axis{f.batch}
			return f.arrayOf(f.b.Grad(loss, v)[0], lead).named("", diag.Span{})
		}
		if f.inst != nil && f.inst.role == trains && f.spread == nil {
			f.elaborator.wantsSpread = true
			return poison{}
		}
		d := f.errorf(site.at, diag.NotSupported, "the gradient of each example's value with respect to a parameter can be taken in a train, not here")
		d.Fix = "take the gradient of its mean, as in grad(mean[batch] …, w), or move it into the train"
		return poison{}
	}
	return f.arrayOf(f.b.Grad(loss, v)[0], lead).named("", diag.Span{})
}

func (f *frame) oneExample() bool {
	n, ok := f.batch.extent.IsConst()
	return ok && n == 1
}

// leadOf returns the axes of a stored array's leading dimensions.
func (f *frame) leadOf(a *array) []*axis {
	ix := a.body.Read.Index
	lead := make([]*axis, len(ix)-len(a.own))
	for i := range lead {
		id, _ := ix[i].IsLoop()
		lead[i] = f.axes[id]
	}
	return lead
}

// total is the sum of a scalar over the examples, as an IR value; examples do not influence each other, so its gradient with
// respect to something of each example is each example's own.
func (f *frame) total(e *array) *ir.Value {
	if !f.usesBatch(e) {
		return f.shared(e)
	}
	return f.local(f.mustStored(f.reduce(ir.Sum, e.body, nil, []int{f.batch.id})))
}

func (f *frame) mustStored(a *array) int {
	op, ok := a.stored()
	if !ok {
		panic("BUG: a reduction is not stored")
	}
	return op
}

// repeat is repeat(n, layer): the layer n times in a row, each time with parameters of its own if it is a recipe.
func repeat(f *frame, site *callSite) value {
	vs, ok := f.take(site, "repeat", 2)
	if !ok {
		return poison{}
	}
	size, ok := dimensionOf(vs[0])
	n, constant := size.IsConst()
	if !ok || !constant || n < 0 {
		f.errorf(site.args[0].node.Span(), diag.NotConstant, "how often to repeat must be a whole number known when the program is compiled")
		return poison{}
	}
	return &repeated{n, vs[1]}
}

func needsShape(f *frame, site *callSite) value {
	name := snippet(site.fn, "this")
	if f.expect != nil {
		if b, ok := f.scope.lookup(name).value.(*builtin); ok && b.dims != nil {
			return b.dims(f, site, f.expect.shape)
		}
	}
	d := f.errorf(site.at, diag.UnknownRange, "the shape of %s is not known here", name)
	d.Fix = "write it in brackets before the arguments, as in " + name + "[10](…), or " + name + "[](…) for one number"
	return poison{}
}

// shapedCall is the brackets of `uniform[64]` or of a fn with shape parameters.
func (f *frame) shapedCall(n *syntax.Index, fn value) value {
	var dims []ir.Affine
	for _, e := range n.Indices {
		if el, ok := e.(*syntax.Ellipsis); ok {
			name := "..."
			if el.Name != nil {
				name += el.Name.Name
			}
			b := f.scope.lookup(name)
			if b == nil {
				f.errorf(e.Span(), diag.UnknownDimensions, "`%s` stands for no dimensions here", name)
				return poison{}
			}
			dims = append(dims, b.value.(shape).dims...)
			continue
		}
		size, ok := f.dim(e)
		if !ok {
			return poison{}
		}
		dims = append(dims, size)
	}
	switch fn := fn.(type) {
	case *fnValue:
		if fn.decl.HasShape {
			clone := *fn
			clone.dims, clone.shaped = dims, true
			return &clone
		}
	case *builtin:
		if fn.dims != nil {
			return &shaped{fn, dims}
		}
	}
	f.errorf(n.Span(), diag.TypeMismatch, "%s takes no shape in brackets", describe(fn))
	return poison{}
}

// fill makes zeros or ones.
func fill(x float64) func(*frame, *callSite, []ir.Affine) value {
	return func(f *frame, site *callSite, dims []ir.Affine) value {
		d := tensor.F32
		if f.expect != nil {
			d = f.expect.dtype
		}
		a := &array{dtype: d, shape: dims, own: f.newAxes(dims), body: ir.Const(d, x)}
		if f.eager(dims) {
			return f.store(a)
		}
		return a
	}
}

// drawUniform is uniform[dims](low, high), by default from 0 to 1.
func drawUniform(f *frame, site *callSite, dims []ir.Affine) value {
	bounds := []value{integer(0), integer(1)}
	if len(site.args) != 0 {
		vs, ok := f.take(site, "uniform", 2)
		if !ok {
			return poison{}
		}
		bounds = vs
	}
	return f.scaled(site, f.draw(site, ir.OpUniform, dims), bounds[0], func() value {
		return f.operate("-", site.node, site.node, site.node, bounds[1], bounds[0])
	})
}

// drawNormal is normal[dims](mean, deviation), by default 0 and 1.
func drawNormal(f *frame, site *callSite, dims []ir.Affine) value {
	moments := []value{integer(0), integer(1)}
	if len(site.args) != 0 {
		vs, ok := f.take(site, "normal", 2)
		if !ok {
			return poison{}
		}
		moments = vs
	}
	return f.scaled(site, f.draw(site, ir.OpNormal, dims), moments[0], func() value { return moments[1] })
}

// drawInteger is randint[dims](n): whole numbers from 0 to n−1.
func drawInteger(f *frame, site *callSite, dims []ir.Affine) value {
	vs, ok := f.take(site, "randint", 1)
	if !ok {
		return poison{}
	}
	n, ok := f.asArray(site.args[0].node, vs[0], tensor.I32)
	if !ok {
		return poison{}
	}
	if n.dtype != tensor.I32 || len(n.shape) != 0 {
		f.errorf(site.args[0].node.Span(), diag.TypeMismatch, "randint needs one whole number, not %s", n.typ())
		return poison{}
	}
	x := f.apply(ir.OpMul, f.draw(site, ir.OpUniform, dims), f.apply(ir.OpToF32, n))
	return f.apply(ir.OpToI32, x)
}

// scaled is low + scale · x.
func (f *frame) scaled(site *callSite, x *array, low value, scale func() value) value {
	v := f.operate("*", site.node, site.node, site.node, scale(), x)
	if isPoison(v) {
		return v
	}
	if n, ok := low.(number); ok && n.float == 0 {
		return v
	}
	return f.operate("+", site.node, site.node, site.node, low, v)
}

// draw makes random numbers, keyed by seed, step, place and example. The place is the cell or layer and the number of the draw in its
// function, not the line of the text: moving code about changes no result.
func (f *frame) draw(site *callSite, op ir.Op, dims []ir.Affine) *array {
	out := &array{dtype: tensor.F32, shape: dims, own: f.newAxes(dims)}
	if f.formula != nil {
		return f.drawExample(op, out)
	}
	place := f.place
	if f.inst != nil {
		place += " " + f.inst.path
	}
	hash := fnv.New32a()
	fmt.Fprintf(hash, "%s %d %s", place, f.draws, f.round)
	f.function.draws++
	// The counter is the row-major number of the element in the batch.
	counter := ir.Int(0)
	ids := out.own
	if f.batch != nil {
		ids = append([]int{f.batch.id}, ids...)
	}
	for i, id := range ids {
		if i > 0 {
			c, ok := counter.Mul(f.axes[id].extent)
			if !ok {
				c = counter.Scale(1 << 16) // a length: rows of at most 65,536 elements stay apart
			}
			counter = c
		}
		counter = counter.Add(ir.Loop(id))
	}
	step := ir.Const(tensor.I32, 0)
	if f.batch != nil && f.function != f.elaborator.init && f.function != f.reset {
		step = f.scalarParam("step")
	}
	out.body = ir.Apply(op, f.scalarParam("seed"), f.roundKey(int32(hash.Sum32())), step, ir.IndexValue(counter))
	return f.store(out)
}

// scalarParam is the function's i32 parameter of that name, which is added when it is first used.
func (f *frame) scalarParam(name string) *ir.Expr {
	if f.fixedSeed {
		return ir.Const(tensor.I32, 0)
	}
	if f.scan != nil {
		outer := *f
		outer.function = f.scan.outer
		return outer.scalarParam(name)
	}
	for _, p := range f.b.Func.Params {
		if p.Name == name {
			return ir.ReadOf(tensor.I32, f.operand(p))
		}
	}
	return ir.ReadOf(tensor.I32, f.operand(f.b.Param(name, ir.Scalar(tensor.I32))))
}
