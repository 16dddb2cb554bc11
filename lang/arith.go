package lang

import (
	"math"
	"math/big"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// binaryOps maps operators on run-time values to ops; swap exchanges the operands.
var binaryOps = map[string]struct {
	op   ir.Op
	swap bool
}{
	"+": {ir.OpAdd, false}, "-": {ir.OpSub, false}, "*": {ir.OpMul, false}, "/": {ir.OpDiv, false}, "%": {ir.OpMod, false},
	"<": {ir.OpLess, false}, "<=": {ir.OpLessEqual, false}, ">": {ir.OpLess, true}, ">=": {ir.OpLessEqual, true},
	"==": {ir.OpEqual, false}, "!=": {ir.OpNotEqual, false}, "and": {ir.OpAnd, false}, "or": {ir.OpOr, false},
}

func (f *frame) binary(n *syntax.Binary) value {
	f.enter(n)
	x := f.evalBeside(n.X, f.peek(n.Y))
	y := f.evalBeside(n.Y, x)
	f.enter(n)
	if isPoison(x, y) {
		return poison{}
	}
	if n.Op == "@" {
		return f.noted(plan.CallOperator, n.Op, []value{x, y}, f.matmul(n, x, y))
	}
	return f.noted(plan.CallOperator, n.Op, []value{x, y}, f.operate(n.Op, n, n.X, n.Y, x, y))
}

// operate applies an operator to two values.
func (f *frame) operate(op string, n, nx, ny syntax.Node, x, y value) value {
	if v, ok := f.foldBinary(op, n.Span(), x, y); ok {
		return v
	}
	if op == "^" {
		return f.power(n, nx, ny, x, y)
	}
	args, ok := f.unify(n, op, []syntax.Node{nx, ny}, []value{x, y})
	if !ok {
		return poison{}
	}
	row := binaryOps[op]
	if row.swap {
		args[0], args[1] = args[1], args[0]
	}
	return f.applyChecked(row.op, "`"+op+"`", n.Span(), args)
}

// applyChecked applies op if its row takes these element types, and reports an error otherwise.
func (f *frame) applyChecked(op ir.Op, what string, at diag.Span, args []*array) value {
	types := make([]tensor.DType, len(args))
	for i, a := range args {
		types[i] = a.dtype
	}
	if _, err := op.ResultDType(types); err != nil {
		d := f.errorf(at, diag.TypeMismatch, "%s does not work on %s", what, joinTypes(types))
		if types[0] == tensor.I32 {
			d.Fix = "write f32(…) around an i32 to compute with fractions"
		}
		return poison{}
	}
	return f.apply(op, args...)
}

func joinTypes(types []tensor.DType) string {
	s := ""
	for i, t := range types {
		if i > 0 {
			s += " and "
		}
		s += t.String()
	}
	return s
}

// foldBinary computes with compile-time values; ok is false if one of them is a run-time value.
func (f *frame) foldBinary(op string, at diag.Span, x, y value) (value, bool) {
	switch a := x.(type) {
	case boolean:
		b, ok := y.(boolean)
		if !ok {
			return nil, false
		}
		switch op {
		case "and":
			return a && b, true
		case "or":
			return a || b, true
		case "==":
			return boolean(a == b), true
		case "!=":
			return boolean(a != b), true
		}
		f.errorf(at, diag.TypeMismatch, "%s does not work on truth values", op)
		return poison{}, true
	case text:
		if b, ok := y.(text); ok && (op == "==" || op == "!=") {
			return boolean((a == b) == (op == "==")), true
		}
	case number:
		if b, ok := y.(number); ok {
			return f.foldNumbers(op, at, a, b), true
		}
	}
	if a, ok := dimensionOf(x); ok {
		if b, ok := dimensionOf(y); ok {
			if v, ok := foldDimensions(op, a, b); ok {
				return v, true
			}
			f.errorf(at, diag.NotSupported, "%s of dimensions that are known only when the program runs", op)
			return poison{}, true
		}
	}
	return nil, false
}

// dimensionOf returns x as a size if it is a whole number or a dimension.
func dimensionOf(x value) (ir.Affine, bool) {
	switch x := x.(type) {
	case number:
		n, ok := x.asInt()
		return ir.Int(n), ok
	case dimension:
		return x.size, true
	case field:
		n, ok := x.data.count(x.name)
		return ir.Int(n), ok
	}
	return ir.Affine{}, false
}

// noCount reports a field in the place of a number which it has not.
func (f *frame) noCount(at diag.Span, v field, what string) {
	data := v.data.decl.Name.Name
	if v.data.raw(v.name).DType != tensor.F32 && !v.data.maps(v.name) {
		f.errorf(at, diag.DataError, "how many %s %s.%s has is not known, since the data could not be read", what, data, v.name).Fix = "see to the data, or write the number"
		return
	}
	d := f.errorf(at, diag.NotAValue, "%s.%s stands for the number of its %s, and it has none; only a train on %s sees its values", data, v.name, what, data)
	d.Fix = "to see several data write them all, as in `train on A, B`"
}

func sizeValue(a ir.Affine) value {
	if n, ok := a.IsConst(); ok {
		return integer(n)
	}
	return dimension{a}
}

func foldDimensions(op string, a, b ir.Affine) (value, bool) {
	switch op {
	case "+":
		return sizeValue(a.Add(b)), true
	case "-":
		return sizeValue(a.Sub(b)), true
	case "*":
		p, ok := a.Mul(b)
		return sizeValue(p), ok
	case "/", "%":
		n, ok := b.IsConst()
		if !ok || n < 1 {
			return nil, false
		}
		if op == "%" {
			return sizeValue(a.Mod(n)), true
		}
		return sizeValue(a.Div(n)), true
	case "==":
		return boolean(a.Equal(b)), true
	case "!=":
		return boolean(!a.Equal(b)), true
	}
	return nil, false
}

func (f *frame) foldNumbers(op string, at diag.Span, a, b number) value {
	compare := func(holds bool) value { return boolean(holds) }
	order := func() int {
		if a.exact != nil && b.exact != nil {
			return a.exact.Cmp(b.exact)
		}
		switch {
		case a.float < b.float:
			return -1
		case a.float > b.float:
			return 1
		}
		return 0
	}
	switch op {
	case "==":
		return compare(order() == 0)
	case "!=":
		return compare(order() != 0)
	case "<":
		return compare(order() < 0)
	case "<=":
		return compare(order() <= 0)
	case ">":
		return compare(order() > 0)
	case ">=":
		return compare(order() >= 0)
	case "and", "or":
		f.errorf(at, diag.TypeMismatch, "`%s` joins truth values, not numbers", op)
		return poison{}
	case "^":
		return foldPower(a, b)
	}
	if (op == "/" || op == "%") && b.float == 0 {
		f.errorf(at, diag.DivisionByZero, "division by zero")
		return poison{}
	}
	if a.exact != nil && b.exact != nil {
		r := new(big.Rat)
		switch op {
		case "+":
			r.Add(a.exact, b.exact)
		case "-":
			r.Sub(a.exact, b.exact)
		case "*":
			r.Mul(a.exact, b.exact)
		case "/":
			r.Quo(a.exact, b.exact)
		case "%":
			q := new(big.Rat).Quo(a.exact, b.exact)
			whole := new(big.Int).Div(q.Num(), q.Denom()) // Euclidean: rounds down, the denominator being positive
			r.Sub(a.exact, new(big.Rat).Mul(b.exact, new(big.Rat).SetInt(whole)))
		}
		if r.Num().BitLen() < 4096 && r.Denom().BitLen() < 4096 {
			return rational(r)
		}
	}
	switch op {
	case "+":
		return inexact(a.float + b.float)
	case "-":
		return inexact(a.float - b.float)
	case "*":
		return inexact(a.float * b.float)
	case "/":
		return inexact(a.float / b.float)
	}
	return inexact(a.float - b.float*math.Floor(a.float/b.float))
}

func foldPower(a, b number) value {
	if n, ok := b.asInt(); ok && a.exact != nil && n >= -64 && n <= 64 && a.exact.Num().BitLen() < 64 && (n >= 0 || a.exact.Sign() != 0) {
		base := a.exact
		if n < 0 {
			base = new(big.Rat).Inv(base)
			n = -n
		}
		r := big.NewRat(1, 1)
		for range n {
			r.Mul(r, base)
		}
		return rational(r)
	}
	return inexact(math.Pow(a.float, b.float))
}

// power is x ^ y for run-time x or y. Small whole exponents are products.
func (f *frame) power(n, nx, ny syntax.Node, x, y value) value {
	if e, ok := y.(number); ok {
		if base, ok := f.asArray(nx, x, tensor.F32); ok && base.dtype != tensor.Bool {
			switch k, whole := e.asInt(); {
			case whole && k == 1:
				return base
			case whole && k == 2 && base.dtype == tensor.F32:
				return f.apply(ir.OpSquare, base)
			case whole && k >= 2 && k <= 4:
				product := base
				for range k - 1 {
					product = f.apply(ir.OpMul, product, base)
				}
				return product
			case e.float == 0.5 && base.dtype == tensor.F32:
				return f.apply(ir.OpSqrt, base)
			}
		}
	}
	args, ok := f.unify(n, "^", []syntax.Node{nx, ny}, []value{x, y})
	if !ok {
		return poison{}
	}
	return f.applyChecked(ir.OpPow, "`^`", n.Span(), args)
}

// asArray returns a value as a run-time array; numbers take type d.
func (f *frame) asArray(n syntax.Node, v value, d tensor.DType) (*array, bool) {
	switch v := v.(type) {
	case *array:
		return v, true
	case *axis:
		return scalarArray(ir.IndexValue(ir.Loop(v.id))), true
	case boolean:
		x := 0.0
		if v {
			x = 1
		}
		return scalarArray(ir.Const(tensor.Bool, x)), true
	case number:
		if d == tensor.Bool || d == tensor.Invalid {
			d = tensor.F32
		}
		a, ok := constantArray(v, d)
		if !ok {
			f.errorf(n.Span(), diag.MixedTypes, "%s is not an %s", v, d).Fix = "write f32(…) around the other side to compute with fractions"
		}
		return a, ok
	case dimension:
		return f.dimensionArray(v, d), true
	case field:
		if size, ok := dimensionOf(v); ok {
			return f.asArray(n, sizeValue(size), d)
		}
		f.noCount(n.Span(), v, "ids")
	case *list:
		return f.listArray(v, d)
	case *shaped:
		return f.asArray(n, v.fn.dims(f, &callSite{node: n, at: n.Span()}, v.dims), d)
	case *fnValue:
		if v.shaped {
			return f.asArray(n, f.callFn(&callSite{node: n, at: n.Span()}, v), d)
		}
		f.errorf(n.Span(), diag.NotAValue, "%s is a function, not a value", v.decl.Name.Name).Fix = "call it with its arguments in parentheses"
	case *builtin:
		e := f.errorf(n.Span(), diag.NotAValue, "%s is a function, not a value", v.name)
		e.Fix = "call it with its arguments in parentheses"
		if v.dims != nil {
			e.Fix = "give it a shape, as in " + v.name + "[10]"
		}
	case poison:
	default:
		f.errorf(n.Span(), diag.NotAValue, "%s is not a tensor", describe(v)).Label = "a number or a tensor is needed here"
	}
	return nil, false
}

func describe(v value) string {
	if v == nil {
		return "nothing"
	}
	return v.describe()
}

// dimensionArray is a dimension that is known at run time, as a number.
func (f *frame) dimensionArray(d dimension, t tensor.DType) *array {
	e := ir.IndexValue(f.ownLength(d.size))
	if t == tensor.F32 {
		e = ir.Apply(ir.OpToF32, e)
	}
	return scalarArray(e)
}

// listArray makes a constant of nested lists of numbers, or stacks run-time values.
func (f *frame) listArray(l *list, d tensor.DType) (*array, bool) {
	if d == tensor.Invalid {
		d = tensor.F32
	}
	var data []float64
	var dims []int
	constant := true
	var collect func(l *list, depth int) bool
	collect = func(l *list, depth int) bool {
		if len(dims) == depth {
			dims = append(dims, len(l.elems))
		}
		if dims[depth] != len(l.elems) {
			f.errorf(l.span, diag.RaggedList, "this row has %s, the first one has %d", count(len(l.elems), "element"), dims[depth])
			return false
		}
		for _, v := range l.elems {
			switch v := v.(type) {
			case number:
				if depth+1 != len(dims) {
					f.errorf(l.span, diag.RaggedList, "a number stands where the first row has a list")
					return false
				}
				if _, ok := constantArray(v, d); !ok {
					f.errorf(l.span, diag.MixedTypes, "%s is not an %s", v, d)
					return false
				}
				data = append(data, v.float)
			case *list:
				if depth+1 == len(dims) && len(data) > 0 {
					f.errorf(v.span, diag.RaggedList, "a list stands where the first row has a number")
					return false
				}
				if !collect(v, depth+1) {
					return false
				}
			case poison:
				return false
			default:
				constant = false
				return true
			}
		}
		return true
	}
	if len(l.elems) == 0 {
		f.errorf(l.span, diag.ShapeMismatch, "an empty list has no type")
		return nil, false
	}
	if !collect(l, 0) {
		return nil, false
	}
	if !constant {
		return f.stack(l, d)
	}
	t := tensor.New(d, dims...)
	if t.Len() != len(data) {
		f.errorf(l.span, diag.RaggedList, "the rows of this list differ in length")
		return nil, false
	}
	for i, x := range data {
		t.Set(i, x)
	}
	return f.arrayOf(f.b.Const(t), nil), true
}

// stack puts run-time values of equal types side by side along a new first dimension.
func (f *frame) stack(l *list, d tensor.DType) (*array, bool) {
	elems := make([]*array, len(l.elems))
	for i, v := range l.elems {
		a, ok := f.asArray(at(l.span), v, d)
		if !ok {
			return nil, false
		}
		elems[i] = a
		if a.dtype != elems[0].dtype || !equalShapes(a.shape, elems[0].shape) {
			f.errorf(l.span, diag.MixedTypes, "the elements of a list must have one type: %s and %s", elems[0].typ(), a.typ())
			return nil, false
		}
	}
	out := &array{dtype: elems[0].dtype, shape: append([]ir.Affine{ir.Int(len(elems))}, elems[0].shape...)}
	out.own = f.newAxes(out.shape)
	inner := make([]ir.Affine, len(out.own)-1)
	for i := range inner {
		inner[i] = ir.Loop(out.own[i+1])
	}
	out.body = elems[len(elems)-1].at(inner)
	for i := len(elems) - 2; i >= 0; i-- {
		here := ir.Apply(ir.OpEqual, ir.IndexValue(ir.Loop(out.own[0])), ir.Const(tensor.I32, float64(i)))
		out.body = ir.Apply(ir.OpSelect, here, elems[i].at(inner), out.body)
	}
	if f.eager(out.shape) {
		return f.store(out), true
	}
	return out, true
}

// at makes a node of a place, for reports.
func at(s diag.Span) syntax.Node { return &syntax.Paren{At: syntax.At{Pos: s}} }

func equalShapes(a, b []ir.Affine) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

// unify makes the operands of an elementwise operation arrays of one element type whose shapes fit together. Truth values and
// conditions keep their type.
func (f *frame) unify(n syntax.Node, what string, nodes []syntax.Node, vs []value) ([]*array, bool) {
	d := tensor.Invalid
	for _, v := range vs {
		switch v := v.(type) {
		case *array:
			if d == tensor.Invalid {
				d = v.dtype
			}
		case *axis:
			if d == tensor.Invalid {
				d = tensor.I32
			}
		case poison:
			return nil, false
		}
	}
	args := make([]*array, len(vs))
	for i, v := range vs {
		a, ok := f.asArray(nodes[i], v, d)
		if !ok {
			return nil, false
		}
		args[i] = a
	}
	for i, a := range args[1:] {
		if a.dtype != args[0].dtype {
			d := f.errorf(n.Span(), diag.MixedTypes, "`%s` needs two values of one type, not %s and %s", what, args[0].dtype, a.dtype)
			if args[0].dtype != tensor.Bool && a.dtype != tensor.Bool {
				d.Fix = "convert one side: f32(x) or i32(x)"
			}
			f.relate(d, nodes[0].Span(), "this is %s", args[0].typ())
			f.relate(d, nodes[i+1].Span(), "this is %s", a.typ())
			return nil, false
		}
	}
	return args, f.suffixes(n, what, nodes, args)
}

// suffixes checks that every shape is a suffix of the longest one.
func (f *frame) suffixes(n syntax.Node, what string, nodes []syntax.Node, args []*array) bool {
	longest := 0
	for i, a := range args {
		if len(a.shape) > len(args[longest].shape) {
			longest = i
		}
	}
	big := args[longest]
	for i, a := range args {
		lead := len(big.shape) - len(a.shape)
		if equalShapes(a.shape, big.shape[lead:]) {
			continue
		}
		d := f.errorf(n.Span(), diag.ShapeMismatch, "%s: the shapes %s and %s do not fit", snippet(n, what), big.typ(), a.typ())
		d.Label = "shapes must be equal, or one the end of the other"
		f.explain(d, nodes[longest], big)
		f.explain(d, nodes[i], a)
		return false
	}
	return true
}

// explain adds the places where an operand stands and where its type comes from.
func (f *frame) explain(d *diag.Diagnostic, n syntax.Node, a *array) {
	if !a.decl.IsZero() && a.name != "" {
		f.relate(d, a.decl, "%s is %s", a.name, a.typ())
		return
	}
	f.relate(d, n.Span(), "this is %s", a.typ())
}

// snippet returns a short piece of source, or fallback if it is long.
func snippet(n syntax.Node, fallback string) string {
	s := n.Span().Text()
	if s == "" || len(s) > 60 {
		return fallback
	}
	for _, r := range s {
		if r == '\n' {
			return fallback
		}
	}
	return s
}

func (f *frame) unary(n *syntax.Unary) value {
	f.enter(n)
	x := f.eval(n.X)
	f.enter(n)
	switch v := x.(type) {
	case poison:
		return v
	case number:
		if n.Op == "-" {
			if v.exact != nil && v.exact.Sign() != 0 {
				return rational(new(big.Rat).Neg(v.exact))
			}
			return inexact(-v.float)
		}
	case boolean:
		if n.Op == "not" {
			return !v
		}
	case dimension:
		if n.Op == "-" {
			return dimension{v.size.Scale(-1)}
		}
	}
	a, ok := f.asArray(n.X, x, tensor.F32)
	if !ok {
		return poison{}
	}
	if n.Op == "not" {
		if a.dtype != tensor.Bool {
			f.errorf(n.Span(), diag.NotACondition, "`not` needs a truth value, not %s", a.typ())
			return poison{}
		}
		return f.apply(ir.OpNot, a)
	}
	return f.noted(plan.CallOperator, "-", []value{a}, f.applyChecked(ir.OpNeg, "`-`", n.Span(), []*array{a}))
}

// matmul is x @ y: the last dimension of x against the first of y, which is a vector or a matrix.
func (f *frame) matmul(n *syntax.Binary, x, y value) value {
	a, ok := f.asArray(n.X, x, tensor.F32)
	if !ok {
		return poison{}
	}
	b, ok := f.asArray(n.Y, y, tensor.F32)
	if !ok {
		return poison{}
	}
	if a.dtype != b.dtype || a.dtype == tensor.Bool {
		f.errorf(n.Span(), diag.TypeMismatch, "`@` multiplies f32 tensors, not %s and %s", a.typ(), b.typ())
		return poison{}
	}
	if len(a.shape) == 0 || len(b.shape) == 0 {
		d := f.errorf(n.Span(), diag.ShapeMismatch, "%s: `@` needs a vector or matrix on both sides, not %s and %s", snippet(n, "@"), a.typ(), b.typ())
		d.Fix = "use * to multiply by a single number"
		return poison{}
	}
	if len(b.shape) > 2 {
		d := f.errorf(n.Span(), diag.ShapeMismatch, "%s: the right side of `@` must be a vector or a matrix, not %s", snippet(n, "@"), b.typ())
		d.Fix = "write an index expression, such as [i, j] => sum[k] a[i, k] * b[k, j]"
		return poison{}
	}
	inner := a.shape[len(a.shape)-1]
	if !inner.Equal(b.shape[0]) {
		f.matmulMismatch(n, a, b)
		return f.standIn(a.dtype, append(slices.Clone(a.shape[:len(a.shape)-1]), b.shape[1:]...))
	}
	a, b = f.store(a), f.store(b) // their elements are read many times
	k := f.newAxis("k", inner, n.Span())
	rows := f.newAxes(a.shape[:len(a.shape)-1])
	cols := f.newAxes(b.shape[1:])
	ix, iy := make([]ir.Affine, 0, 4), []ir.Affine{ir.Loop(k.id)}
	for _, id := range rows {
		ix = append(ix, ir.Loop(id))
	}
	ix = append(ix, ir.Loop(k.id))
	for _, id := range cols {
		iy = append(iy, ir.Loop(id))
	}
	body := ir.Apply(ir.OpMul, a.at(ix), b.at(iy))
	return f.reduce(ir.Sum, body, append(rows, cols...), []int{k.id})
}

// standIn is a value of the type that a wrong expression would have had, so that independent mistakes further on are found in the same
// run.
func (f *frame) standIn(d tensor.DType, dims []ir.Affine) *array {
	return f.store(&array{dtype: d, shape: dims, own: f.newAxes(dims), body: ir.Const(d, 0)})
}

// matmulMismatch explains a product whose inner dimensions differ.
func (f *frame) matmulMismatch(n *syntax.Binary, a, b *array) {
	name := func(a *array, n syntax.Node, fallback string) string {
		if a.name != "" {
			return a.name
		}
		return snippet(n, fallback)
	}
	an, bn := name(a, n.X, "the left side"), name(b, n.Y, "the right side")
	inner := a.shape[len(a.shape)-1]
	what := "rows"
	if len(b.shape) == 1 {
		what = "elements"
	}
	d := f.errorf(n.Span(), diag.ShapeMismatch, "%s: %s is %s, so %s needs %s %s, but it has %s",
		snippet(n, "@"), an, a.typ(), bn, dimString(inner), what, dimString(b.shape[0]))
	d.Label = bn + " is " + b.typ()
	if !a.decl.IsZero() {
		kind := "columns"
		if len(a.shape) == 1 {
			kind = "elements"
		}
		f.relate(d, a.decl, "%s has %s %s", an, dimString(inner), kind)
		fixed := append(append([]ir.Affine{}, a.shape[:len(a.shape)-1]...), b.shape[0])
		d.Fix = "declare " + an + " as " + typeString(a.dtype, fixed)
	}
	if !b.decl.IsZero() && b.decl != a.decl {
		f.relate(d, b.decl, "%s is %s", bn, b.typ())
	}
}
