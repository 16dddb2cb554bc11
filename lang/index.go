package lang

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// Note [Ranges of indices]
//
// An index of an index expression or reduction runs over [0, n). What n is, is found in this order: its bound, if one is
// written; else the dimension of a tensor that it indexes alone, `x[i]`, in a read without `else`, and all such dimensions must
// agree; else, for the indices of an index expression, the shape that the context requires. Every other read is only checked, by
// interval arithmetic, and needs `else` where it may leave the tensor.
//
// The search for `x[i]` runs over the syntax before the body is evaluated, since a reduction inside the body is built at once and
// needs the extents of the indices around it.

// lambda is `[i, j] => body`: a tensor whose element at i, j is body.
func (f *frame) lambda(n *syntax.Lambda) value {
	expected := f.expect
	inner := f.nested()
	inner.indexed()
	axes, ok := inner.binders(n.Binders, n.Body, expected)
	if !ok {
		return poison{}
	}
	body := inner.eval(n.Body)
	f.enter(n)
	if isPoison(body) {
		return poison{}
	}
	elem, ok := inner.asArray(n.Body, body, tensor.F32)
	if !ok {
		return poison{}
	}
	out := &array{dtype: elem.dtype, body: elem.body}
	for _, a := range axes {
		out.own = append(out.own, a.id)
		out.shape = append(out.shape, a.extent)
	}
	out.own = append(out.own, elem.own...)
	out.shape = append(out.shape, elem.shape...)
	f.whole(out)
	if f.eager(out.shape) {
		return f.store(out)
	}
	return out
}

// evalBeside evaluates an operand; where it is an index expression it may have to know its shape, which is that of the other operand.
func (f *frame) evalBeside(n syntax.Expr, other value) value {
	if a, ok := other.(*array); ok && asksForShape(n) {
		inner := *f
		inner.expect = &expect{a.dtype, a.shape}
		return inner.eval(n)
	}
	return f.eval(n)
}

// asksForShape reports whether an expression is an index expression, perhaps with a reduction over the batch before it.
func asksForShape(n syntax.Expr) bool {
	switch n := n.(type) {
	case *syntax.Paren:
		return asksForShape(n.X)
	case *syntax.Lambda:
		return true
	case *syntax.Reduce:
		return len(n.Binders) == 1 && n.Binders[0].Name != nil && n.Binders[0].Name.Name == "batch" && asksForShape(n.Body)
	}
	return false
}

// binders makes the axes of an index list and binds their names in f's scope. `...` stands for the leading dimensions that
// `...` has in the signature around it, `...s` for those of the spread s.
func (f *frame) binders(list []*syntax.Binder, body syntax.Expr, expected *expect) ([]*axis, bool) {
	var axes []*axis
	unknown := map[string]*axis{}
	ok := true
	for _, b := range list {
		if b.Spread {
			name := "..."
			if b.Name != nil {
				name = "..." + b.Name.Name
			}
			bound := f.scope.lookup(name)
			if bound == nil {
				f.errorf(b.Span(), diag.UnknownDimensions, "`%s` stands for no dimensions here", name).Fix = "name it in a parameter's type, as in x: f32[" + name + ", n]"
				return nil, false
			}
			var lead []*axis
			for _, d := range bound.value.(shape).dims {
				lead = append(lead, f.newAxis("", d, b.Span()))
			}
			axes = append(axes, lead...)
			f.scope.set("axes "+name, &spreadAxes{lead}, b.Span())
			continue
		}
		if b.Name.Name == "batch" {
			f.errorf(b.Span(), diag.MisplacedBatch, "`batch` can be reduced over, as in mean[batch], and is no index otherwise")
			return nil, false
		}
		a := f.newAxis(b.Name.Name, ir.Affine{}, b.Span())
		a.known = false
		if b.Bound != nil {
			size, good := f.dim(b.Bound)
			ok = ok && good
			a.extent, a.known, a.from = size, good, b.Bound.Span()
		} else {
			unknown[b.Name.Name] = a
		}
		axes = append(axes, a)
		f.scope.set(b.Name.Name, a, b.Name.Span())
	}
	if !ok {
		return nil, false
	}
	if len(unknown) > 0 {
		ok = f.findRanges(body, unknown)
	}
	if expected != nil && len(axes) <= len(expected.shape) { // the shape that is asked for decides where no read does
		for i, a := range axes {
			if !a.known {
				a.extent, a.known = expected.shape[i], true
			}
		}
	}
	for _, b := range list {
		if b.Name != nil && unknown[b.Name.Name] != nil && !unknown[b.Name.Name].known {
			d := f.errorf(b.Span(), diag.UnknownRange, "how far the index `%s` runs is not known", b.Name.Name)
			d.Fix = "write a bound, as in [" + b.Name.Name + " < 10], or use it alone in a tensor's brackets"
			ok = false
		}
	}
	return axes, ok
}

// spreadAxes are the axes that `...` stands for inside an index expression that binds it.
type spreadAxes struct{ axes []*axis }

func (*spreadAxes) describe() string { return "indices" }

// findRanges looks for reads x[i] in which an index of unknown range stands alone. See Note [Ranges of indices].
func (f *frame) findRanges(body syntax.Expr, unknown map[string]*axis) (agree bool) {
	agree = true
	syntax.Inspect(body, func(n syntax.Node) bool {
		ix, ok := n.(*syntax.Index)
		if !ok || ix.Else != nil || len(ix.Indices) == 0 || !plain(ix.X) && !f.isSteady(ix.X) {
			return true
		}
		uses := slices.ContainsFunc(ix.Indices, func(e syntax.Expr) bool {
			name, ok := e.(*syntax.Name)
			return ok && unknown[name.Name] != nil
		})
		if !uses {
			return true
		}
		v := f.peek(ix.X)
		if !plain(ix.X) {
			v = f.indexBase(ix.X)
		}
		a, ok := v.(*array)
		if !ok {
			return true
		}
		lead := 0 // dimensions that `...` stands for
		for k, e := range ix.Indices {
			if el, ok := e.(*syntax.Ellipsis); ok {
				if b := f.scope.lookup(axesName(el)); b != nil {
					lead = len(b.value.(*spreadAxes).axes) - 1
				}
				continue
			}
			name, ok := e.(*syntax.Name)
			if !ok || k+lead < 0 || k+lead >= len(a.shape) {
				continue
			}
			x := unknown[name.Name]
			if x == nil {
				continue
			}
			size := a.shape[k+lead]
			switch {
			case !x.known:
				x.extent, x.known, x.from = size, true, ix.Span()
			case !x.extent.Equal(size):
				d := f.errorf(name.Span(), diag.ShapeMismatch, "the index `%s` runs over %s here, but over %s elsewhere", name.Name, size, x.extent)
				d.Label = snippet(ix, "this") + " has " + size.String()
				f.relate(d, x.from, "%s has %s", x.from.Text(), x.extent)
				agree = false
			}
		}
		return true
	})
	return agree
}

// steady holds the values of calls inside an index expression that do not depend on its indices, by the call and the round of repeats.
type steady map[steadyCall]value

type steadyCall struct {
	call  syntax.Expr
	round string
}

// indexed marks f as inside an index expression.
func (f *frame) indexed() {
	if !f.indexing {
		f.steady = steady{}
	}
	f.indexing = true
}

// isSteady reports whether e is a call in which no index of the index expressions around it occurs. It is made once, outside of them.
func (f *frame) isSteady(e syntax.Expr) bool {
	if p, ok := e.(*syntax.Paren); ok {
		return f.isSteady(p.X)
	}
	switch e.(type) {
	case *syntax.Call, *syntax.Pipe:
	default:
		return false
	}
	is := true
	syntax.Inspect(e, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Ellipsis:
			is = false
		case *syntax.Name:
			if b := f.scope.lookup(n.Name); b != nil {
				is = is && !f.varies(b.value)
			}
		}
		return is
	})
	return is
}

// varies reports whether a value depends on the index of an index expression around.
func (f *frame) varies(v value) bool {
	switch v := v.(type) {
	case *axis:
		return true
	case *array:
		for _, a := range f.outer(v.body, v.own) {
			if a != f.batch {
				return true
			}
		}
	case *tuple:
		return slices.ContainsFunc(v.elems, f.varies)
	case *list:
		return slices.ContainsFunc(v.elems, f.varies)
	}
	return false
}

// indexBase evaluates what is indexed.
func (f *frame) indexBase(e syntax.Expr) value {
	if !f.indexing || !f.isSteady(e) {
		return f.eval(e)
	}
	key := steadyCall{e, f.round}
	if v, ok := f.steady[key]; ok {
		return v
	}
	once := *f
	once.indexing = false
	v := once.eval(e)
	if a, ok := v.(*array); ok {
		v = once.store(a)
	}
	f.steady[key] = v
	return v
}

// axesName is the name under which the axes of `...` or `...s` are bound.
func axesName(e *syntax.Ellipsis) string {
	if e.Name != nil {
		return "axes ..." + e.Name.Name
	}
	return "axes ..."
}

// peek finds the value of a plain expression, which builds nothing that its use does not build; nil if that cannot be done.
func (f *frame) peek(e syntax.Expr) value {
	switch e := e.(type) {
	case *syntax.Paren:
		return f.peek(e.X)
	case *syntax.Name:
		b := f.scope.lookup(e.Name)
		if b == nil {
			return nil
		}
		return f.resolve(b, e.Span(), e.Name)
	case *syntax.Field:
		switch x := f.peek(e.X).(type) {
		case *instance:
			return f.partOf(x, e.Name.Name)
		case *tuple:
			for i, s := range x.names {
				if s == e.Name.Name {
					return x.elems[i]
				}
			}
		case *examples:
			if b := x.scope.names[e.Name.Name]; b != nil {
				return f.resolve(b, e.Name.Span(), e.Name.Name)
			}
		}
	}
	return nil
}

// plain reports whether evaluating e builds nothing: it is a name or a part of one.
func plain(e syntax.Expr) bool {
	switch e := e.(type) {
	case *syntax.Name:
		return true
	case *syntax.Field:
		return plain(e.X)
	case *syntax.Paren:
		return plain(e.X)
	}
	return false
}

// reduceOps maps the reducing words to combiners; mean is a sum that is divided.
var reduceOps = map[string]ir.Combine{
	"sum": ir.Sum, "mean": ir.Sum, "max": ir.Max, "min": ir.Min, "prod": ir.Prod, "argmax": ir.ArgMax, "any": ir.Max, "all": ir.Min,
}

// reduction is `sum[i, j] body`. Indices named batch reduce over the examples.
func (f *frame) reduction(n *syntax.Reduce) value {
	expected := f.expect
	f.expect = nil
	inner := f.nested()
	inner.indexed()
	var binders []*syntax.Binder
	overBatch := false
	for _, b := range n.Binders {
		if b.Name != nil && !b.Spread && b.Name.Name == "batch" {
			overBatch = true
			if f.batch == nil {
				f.errorf(b.Span(), diag.MisplacedBatch, "there is no batch here: all values are shared")
				return poison{}
			}
			if f.inst != nil && f.inst.role == predicts && f.spread != nil {
				return f.refuseNeighbours(b.Span())
			}
			if f.inst != nil && f.inst.role == predicts && !f.inTraining() {
				d := f.errorf(b.Span(), diag.MisplacedBatch, "a prediction must not depend on its neighbours: `batch` may be reduced only while training")
				d.Fix = "write if training { … } else { … } around it"
				return poison{}
			}
			continue
		}
		binders = append(binders, b)
	}
	axes, ok := inner.binders(binders, n.Body, nil)
	if !ok {
		return poison{}
	}
	if asksForShape(n) {
		inner.expect = expected
	}
	body := inner.eval(n.Body)
	f.enter(n)
	if isPoison(body) {
		return poison{}
	}
	elem, ok := inner.asArray(n.Body, body, tensor.F32)
	if !ok {
		return poison{}
	}
	elem, axes = inner.withoutSpreads(binders, elem, axes)
	if overBatch {
		axes = append([]*axis{f.batch}, axes...)
	}
	return f.reduceChecked(n, n.Op.Name, elem, elem.own, elem.shape, axes)
}

// withoutSpreads makes `mean[...s] x` a reduction over the leading dimensions of x: those of the spread, where nothing in the body is
// indexed with it.
func (f *frame) withoutSpreads(binders []*syntax.Binder, elem *array, axes []*axis) (*array, []*axis) {
	used := axesOf(elem.body)
	for _, b := range binders {
		if !b.Spread {
			continue
		}
		name := "..."
		if b.Name != nil {
			name += b.Name.Name
		}
		lead := f.scope.lookup("axes " + name).value.(*spreadAxes).axes
		n := len(lead)
		if n == 0 || n > len(elem.shape) || slices.ContainsFunc(lead, func(a *axis) bool { return used[a.id] }) ||
			!slices.EqualFunc(lead, elem.shape[:n], func(a *axis, d ir.Affine) bool { return a.extent.Equal(d) }) {
			continue
		}
		clone := *elem
		clone.own, clone.shape = elem.own[n:], elem.shape[n:]
		axes = slices.DeleteFunc(slices.Clone(axes), func(a *axis) bool { return slices.Contains(lead, a) })
		for _, id := range elem.own[:n] {
			axes = append(axes, f.axes[id])
		}
		elem = &clone
	}
	return elem, axes
}

// reduceChecked combines elem over axes; own are the dimensions that stay, of the given sizes.
func (f *frame) reduceChecked(n syntax.Node, op string, elem *array, own []int, dims []ir.Affine, axes []*axis) value {
	logical := op == "any" || op == "all"
	switch {
	case logical != (elem.dtype == tensor.Bool):
		d := f.errorf(n.Span(), diag.TypeMismatch, "`%s` takes numbers, not truth values", op)
		d.Fix = "write where(condition, 1.0, 0.0) to count"
		if logical {
			d.Message = fmt.Sprintf("`%s` takes truth values, not %s", op, elem.dtype)
			d.Fix = "compare, as in " + op + "(x > 0)"
		}
		return poison{}
	case op == "mean" && elem.dtype != tensor.F32:
		f.errorf(n.Span(), diag.TypeMismatch, "`mean` takes f32, not %s", elem.dtype).Fix = "write f32(…) around what is averaged"
		return poison{}
	}
	ids := make([]int, len(axes))
	points := ir.Const(tensor.F32, 1)
	for i, a := range axes {
		ids[i] = a.id
		points = product(points, f.ownLength(a.extent))
	}
	if logical { // the greatest, or the least, of 1 for true and 0 for false
		number := ir.Apply(ir.OpSelect, elem.body, ir.Const(tensor.I32, 1), ir.Const(tensor.I32, 0))
		found := f.reduce(reduceOps[op], number, own, ids)
		return f.apply(ir.OpLess, scalarArray(ir.Const(tensor.I32, 0)), found)
	}
	if f.empty && f.batch != nil && slices.Contains(ids, f.batch.id) && (op == "sum" || op == "mean") {
		return f.store(&array{dtype: elem.dtype, shape: dims, own: own, body: ir.Const(elem.dtype, 0)})
	}
	out := f.reduce(reduceOps[op], elem.body, own, ids)
	if op == "mean" {
		mean := &array{dtype: tensor.F32, shape: out.shape, own: out.own, body: ir.Apply(ir.OpDiv, out.body, points)}
		if f.eager(mean.shape) {
			return f.store(mean)
		}
		return mean
	}
	return out
}

// product multiplies an f32 expression by a size.
func product(e *ir.Expr, size ir.Affine) *ir.Expr {
	n := ir.Apply(ir.OpToF32, ir.IndexValue(size))
	if c, ok := size.IsConst(); ok {
		n = ir.F32(float64(c))
	}
	v, ok := e.IsConst()
	w, both := n.IsConst()
	switch {
	case ok && both:
		return ir.F32(v * w)
	case ok && v == 1:
		return n
	}
	return ir.Apply(ir.OpMul, e, n)
}

// index is `x[i, j] else v`, or the shape brackets after a name such as uniform.
func (f *frame) index(n *syntax.Index) value {
	x := f.indexBase(n.X)
	f.enter(n)
	switch x := x.(type) {
	case poison:
		return x
	case *shaped, *overloads, *fnValue, *builtin:
		return f.shapedCall(n, x)
	case *list:
		if a, ok := f.listArray(x, tensor.F32); ok {
			return f.read(n, a)
		}
		return poison{}
	case *tuple:
		if i, ok := f.constIntQuiet(n.Indices); ok && i >= 0 && i < len(x.elems) {
			return x.elems[i]
		}
	case shape:
		if i, ok := f.constIntQuiet(n.Indices); ok && i >= 0 && i < len(x.dims) {
			return sizeValue(x.dims[i])
		}
	case *array:
		return f.read(n, x)
	}
	f.errorf(n.Span(), diag.TypeMismatch, "%s cannot be indexed", describe(x))
	return poison{}
}

func (f *frame) constIntQuiet(list []syntax.Expr) (int, bool) {
	if len(list) != 1 {
		return 0, false
	}
	n, ok := f.eval(list[0]).(number)
	if !ok {
		return 0, false
	}
	return n.asInt()
}

// read is x[i, j, …]: fewer indices than dimensions leave the last ones.
func (f *frame) read(n *syntax.Index, x *array) value {
	var indices []ir.Affine
	var spans []diag.Span
	ellipsis := false
	for _, e := range n.Indices {
		el, ok := e.(*syntax.Ellipsis)
		if !ok {
			ix, good := f.indexExpr(e)
			if !good {
				return poison{}
			}
			indices = append(indices, ix)
			spans = append(spans, e.Span())
			continue
		}
		if ellipsis {
			f.errorf(e.Span(), diag.IndexCount, "`...` may stand once among the indices")
			return poison{}
		}
		ellipsis = true
		b := f.scope.lookup(axesName(el))
		if b == nil {
			d := f.errorf(e.Span(), diag.UnknownDimensions, "`...` stands for no indices here")
			d.Fix = "bind it in the index list, as in [..., k] => x[..., k]"
			return poison{}
		}
		for _, a := range b.value.(*spreadAxes).axes {
			indices = append(indices, ir.Loop(a.id))
			spans = append(spans, e.Span())
		}
	}
	if len(indices) > len(x.shape) {
		d := f.errorf(n.Span(), diag.IndexCount, "%s has %s, but %s stand here", nameOr(x, n.X), count(len(x.shape), "dimension"), count(len(indices), "index"))
		f.explain(d, n.X, x)
		return poison{}
	}
	if _, ok := x.stored(); !ok {
		x = f.store(x) // an element that is read many times is computed once
	}
	guarded := false
	for k, ix := range indices {
		if ir.Inside(ix, x.shape[k], f.extentOf) {
			continue
		}
		if n.Else != nil {
			guarded = true
			continue
		}
		b, known := ir.BoundsOf(ix, f.extentOf)
		if !known { // data: checked when the program runs, unless how many ids there are is known
			if !f.checkIds(ix, x.shape[k], spans[k], nameOr(x, n.X)) {
				return poison{}
			}
			continue
		}
		last := b.Hi
		d := f.errorf(spans[k], diag.IndexRange, "%s may leave %s: dimension %d has %s, and the index runs from %s to %s",
			snippet(n, "this read"), nameOr(x, n.X), k+1, elementCount(x.shape[k]), b.Lo, last)
		d.Label = "runs from " + b.Lo.String() + " to " + last.String()
		if b.Lo.Equal(last) {
			d.Message = fmt.Sprintf("%s lies outside %s: dimension %d has %s, counted from 0", snippet(n, "this read"), nameOr(x, n.X), k+1, elementCount(x.shape[k]))
			d.Label = ""
		}
		d.Fix = "bound the indices, or write `else 0` after the read for what lies outside"
		f.explain(d, n.X, x)
		return poison{}
	}
	for k := range indices { // a length in an index is the example's own
		indices[k] = f.ownLength(indices[k])
	}
	rest := len(x.shape) - len(indices)
	own := f.newAxes(x.shape[len(indices):])
	full := slices.Clone(indices)
	for _, id := range own {
		full = append(full, ir.Loop(id))
	}
	out := &array{dtype: x.dtype, shape: x.shape[len(x.shape)-rest:], own: own, body: x.at(full)}
	if guarded && !f.guardRead(n, out, x, indices) {
		return poison{}
	}
	if f.eager(out.shape) {
		return f.store(out)
	}
	return out
}

// guardRead gives a read the value of its else clause where it lies outside.
func (f *frame) guardRead(n *syntax.Index, out, x *array, indices []ir.Affine) bool {
	other, ok := f.asArray(n.Else, f.eval(n.Else), x.dtype)
	if !ok {
		return false
	}
	if other.dtype != x.dtype || len(other.shape) != 0 {
		f.errorf(n.Else.Span(), diag.TypeMismatch, "`else` must give one %s, not %s", x.dtype, other.typ())
		return false
	}
	body := *out.body
	r := *body.Read
	r.Guarded = true
	body.Read = &r
	v, constant := other.body.IsConst()
	if constant {
		r.Else = v
		out.body = &body
		return true
	}
	inside := ir.Const(tensor.Bool, 1)
	for k, ix := range indices {
		if ir.Inside(ix, x.shape[k], f.extentOf) {
			continue
		}
		inside = ir.Apply(ir.OpAnd, inside, ir.Apply(ir.OpAnd,
			ir.Apply(ir.OpLessEqual, ir.Const(tensor.I32, 0), ir.IndexValue(ix)),
			ir.Apply(ir.OpLess, ir.IndexValue(ix), ir.IndexValue(x.shape[k]))))
	}
	out.body = ir.Apply(ir.OpSelect, inside, &body, other.body)
	return true
}

func nameOr(x *array, n syntax.Node) string {
	if x.name != "" {
		return x.name
	}
	return snippet(n, "the tensor")
}

func elementCount(size ir.Affine) string {
	if n, ok := size.IsConst(); ok {
		return count(n, "element")
	}
	return size.String() + " elements"
}

// extentOf gives axes' extents in the form that ir.BoundsOf takes.
func (f *frame) extentOf(id int) ir.Affine { return f.axes[id].extent }

// indexExpr evaluates an expression as an index: division rounds down, and run-time whole numbers are data.
func (f *frame) indexExpr(n syntax.Expr) (ir.Affine, bool) {
	switch n := n.(type) {
	case *syntax.Paren:
		return f.indexExpr(n.X)
	case *syntax.Unary:
		if n.Op == "-" {
			x, ok := f.indexExpr(n.X)
			return x.Scale(-1), ok
		}
	case *syntax.Binary:
		switch n.Op {
		case "+", "-", "*", "/", "%":
			return f.indexBinary(n)
		}
	}
	v := f.eval(n)
	if size, ok := dimensionOf(v); ok {
		return size, true
	}
	switch v := v.(type) {
	case *axis:
		return ir.Loop(v.id), true
	case *array:
		if v.dtype == tensor.I32 && len(v.shape) == 0 {
			if v.body.Leaf == ir.LeafIndex {
				return *v.body.Affine, true
			}
			if v.body.Leaf != ir.LeafRead {
				v = f.store(v)
			}
			return ir.LoadIndex(v.body.Read), true
		}
		d := f.errorf(n.Span(), diag.TypeMismatch, "an index must be one whole number, not %s", v.typ())
		if v.dtype == tensor.F32 && len(v.shape) == 0 {
			d.Fix = "write i32(…) around it, which rounds towards zero"
		}
		return ir.Affine{}, false
	case poison:
	case field:
		f.noCount(n.Span(), v, "ids")
	case number:
		if v.exact != nil && v.exact.IsInt() {
			f.errorf(n.Span(), diag.TooLarge, "%s is more than a dimension or an index can be", v)
			break
		}
		f.errorf(n.Span(), diag.TypeMismatch, "an index must be a whole number, not %s", describe(v))
	default:
		f.errorf(n.Span(), diag.TypeMismatch, "an index must be a whole number, not %s", describe(v))
	}
	return ir.Affine{}, false
}

func (f *frame) indexBinary(n *syntax.Binary) (ir.Affine, bool) {
	x, ok := f.indexExpr(n.X)
	if !ok {
		return x, false
	}
	y, ok := f.indexExpr(n.Y)
	if !ok {
		return y, false
	}
	switch n.Op {
	case "+":
		return x.Add(y), true
	case "-":
		return x.Sub(y), true
	case "*":
		if p, ok := x.Mul(y); ok {
			return p, true
		}
		f.errorf(n.Span(), diag.NotSupported, "an index may be multiplied only by a number that is known when the program is compiled")
		return x, false
	}
	d, ok := y.IsConst()
	if !ok || d < 1 {
		f.errorf(n.Y.Span(), diag.NotSupported, "an index may be divided only by a whole number above 0 that is known when the program is compiled")
		return x, false
	}
	if n.Op == "%" {
		return x.Mod(d), true
	}
	return x.Div(d), true
}

// dim evaluates an expression as a dimension: a whole number or a combination of dimensions, division rounding down.
func (f *frame) dim(n syntax.Expr) (ir.Affine, bool) {
	size, ok := f.indexExpr(n)
	if !ok {
		return size, false
	}
	pure := true
	size.Rewrite(func(t ir.Atom) (ir.Affine, bool) {
		if t.Kind == ir.AtomIndex || t.Kind == ir.AtomLoad {
			pure = false
		}
		return ir.Affine{}, false
	})
	if !pure {
		f.errorf(n.Span(), diag.NotConstant, "a dimension must be known when the program is compiled")
		return size, false
	}
	if c, ok := size.IsConst(); ok && c < 0 {
		f.emptyDimension(n, c)
		return size, false
	}
	return size, true
}
