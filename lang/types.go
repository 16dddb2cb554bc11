package lang

import (
	"fmt"
	"math"
	"strconv"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// Note [Dimension variables]
//
// A name that stands alone in a parameter's shape and is not bound yet is bound to the argument's dimension. Everything else
// in a shape (h-kh+1, a bound name, a number) is computed and compared. `...` and `...s` take the dimensions that are left; one
// shape holds at most one of them.

// matchShape compares an argument with a parameter's type and binds dimension variables in f's scope.
func (f *frame) matchShape(t *syntax.Type, a *array, arg *argument, what string, p *syntax.Param) bool {
	mismatch := func(why string) bool {
		d := f.errorf(arg.node.Span(), diag.ShapeMismatch, "%s needs %s for `%s`, not %s%s", what, t.Span().Text(), p.Name.Name, a.typ(), why)
		f.explain(d, arg.node, a)
		f.relate(d, t.Span(), "the type it needs")
		return false
	}
	spreadAt, fixed := -1, 0
	for i, d := range t.Dims {
		if d.Spread {
			spreadAt = i
		} else {
			fixed++
		}
	}
	if len(a.shape) < fixed || spreadAt < 0 && len(a.shape) != fixed {
		if fixed == 0 && spreadAt < 0 {
			return mismatch(", which is more than one number")
		}
		return mismatch("")
	}
	dims := a.shape
	k := 0
	for i, d := range t.Dims {
		switch {
		case d.Spread:
			n := len(dims) - fixed
			part := dims[k : k+n]
			if b := f.scope.names[spreadName(d)]; b != nil {
				if !equalShapes(b.value.(shape).dims, part) {
					return mismatch(", whose `" + spreadName(d) + "` differs from the one before")
				}
			} else {
				f.scope.set(spreadName(d), shape{part}, d.Span())
				if d.Name != nil {
					f.scope.set(d.Name.Name, shape{part}, d.Span())
				}
			}
			k += n
			continue
		case d.Any:
		default:
			size := dims[k]
			if name, ok := d.Size.(*syntax.Name); ok && f.unbound(name.Name) {
				f.scope.set(name.Name, sizeValue(size), name.Span())
				f.scope.names[name.Name].from = arg.from
				break
			}
			want, ok := f.dim(d.Size)
			if !ok {
				return false
			}
			if !want.Equal(size) {
				text := d.Size.Span().Text()
				why := ": dimension " + integer(i+1).String() + " must be " + want.String()
				if text != want.String() {
					why += " (" + text + ")"
				}
				return mismatch(why)
			}
		}
		k++
	}
	return true
}

// unbound reports whether a name in a shape is a dimension variable without a value: it is bound neither in this scope nor
// around it, or only as something that is no number.
func (f *frame) unbound(name string) bool {
	b := f.scope.lookup(name)
	if b == nil {
		return true
	}
	switch b.value.(type) {
	case number, dimension, field, poison, *deferred:
		return false
	}
	return f.scope.names[name] == nil
}

func spreadName(d syntax.Dim) string {
	if d.Name != nil {
		return "..." + d.Name.Name
	}
	return "..."
}

// matchDims binds the shape parameters of a fn, `fn small[...s, n]`, to given dimensions.
func (f *frame) matchDims(list []syntax.Dim, dims []ir.Affine, s *scope, at diag.Span, what string) bool {
	spread, fixed := false, 0
	for _, d := range list {
		if d.Spread {
			spread = true
		} else {
			fixed++
		}
	}
	if len(dims) < fixed || !spread && len(dims) != fixed {
		d := f.errorf(at, diag.ShapeMismatch, "%s needs %s, not %s", what, count(fixed, "dimension"), count(len(dims), "dimension"))
		if spread {
			d.Message = what + " needs at least " + count(fixed, "dimension") + ", not " + integer(len(dims)).String()
		}
		return false
	}
	k := 0
	for _, d := range list {
		if d.Spread {
			n := len(dims) - fixed
			s.set(spreadName(d), shape{dims[k : k+n]}, d.Span())
			if d.Name != nil {
				s.set(d.Name.Name, shape{dims[k : k+n]}, d.Span())
			}
			k += n
			continue
		}
		if name, ok := d.Size.(*syntax.Name); ok {
			s.set(name.Name, sizeValue(dims[k]), name.Span())
		}
		k++
	}
	return true
}

// typeOf evaluates a tensor type; nil (after a message) where it is none.
func (f *frame) typeOf(t *syntax.Type) *expect {
	if t.Name == nil {
		f.errorf(t.Span(), diag.TypeMismatch, "a tensor type such as f32[10] is needed here")
		return nil
	}
	d, ok := tensor.ParseDType(t.Name.Name)
	if !ok || d == tensor.F64 {
		e := f.errorf(t.Span(), diag.UnknownType, "there is no type `%s`", t.Name.Name)
		switch t.Name.Name {
		case "f16", "bf16", "f64", "float", "double":
			e.Fix = "programs say f32, i32 or bool; precision is a switch of the compiler"
		default:
			if near := diag.DidYouMean(t.Name.Name, []string{"f32", "i32", "bool"}); near != "" {
				e.Fix = "did you mean `" + near + "`?"
			}
		}
		return nil
	}
	dims, ok := f.shapeOf(t)
	if !ok {
		return nil
	}
	return &expect{d, dims}
}

// shapeOf evaluates the dimensions of a type.
func (f *frame) shapeOf(t *syntax.Type) ([]ir.Affine, bool) {
	var dims []ir.Affine
	for _, d := range t.Dims {
		switch {
		case d.Spread:
			b := f.scope.lookup(spreadName(d))
			if b == nil {
				f.errorf(d.Span(), diag.UnknownDimensions, "`%s` stands for no dimensions here", spreadName(d))
				return nil, false
			}
			dims = append(dims, b.value.(shape).dims...)
		case d.Any:
			f.errorf(d.Span(), diag.UnknownRange, "`_` can stand only in the result of a layer or fn")
			return nil, false
		default:
			size, ok := f.dim(d.Size)
			if !ok {
				return nil, false
			}
			if n, constant := size.IsConst(); constant && n == 0 {
				f.emptyDimension(d.Size, 0)
				return nil, false
			}
			dims = append(dims, size)
		}
	}
	return dims, f.fits(t.Span(), dims)
}

// maxElements bounds a tensor, since the elements of one are counted in 32 bits.
const maxElements = math.MaxInt32

// fits reports whether a tensor of these dimensions can be computed with, as far as they are known, and reports the first of a program that
// cannot.
func (f *frame) fits(at diag.Span, dims []ir.Affine) bool {
	elements := 1
	for _, d := range dims {
		n, known := d.IsConst()
		if !known {
			continue
		}
		if elements > maxElements/max(n, 1) {
			f.tooLarge(at, fmt.Sprintf("a tensor may have %d elements at most, and this one is %s", maxElements, typeString(tensor.F32, dims)))
			return false
		}
		elements *= n
	}
	return true
}

func (f *frame) tooLarge(at diag.Span, message string) {
	if !f.elaborator.large { // what is computed from it is as large
		f.elaborator.large = true
		f.errorf(at, diag.TooLarge, "%s", message)
	}
}

// emptyDimension reports a dimension that came out as n, which is 0 or less. In the library it is mostly that of a result whose input is smaller
// than what is cut from it, and the input is what tells the reader why.
func (f *frame) emptyDimension(size syntax.Expr, n int) {
	message := "a dimension must be at least 1"
	if text := snippet(size, "this dimension"); text != strconv.Itoa(n) {
		message = fmt.Sprintf("%s is %d here, and a dimension must be at least 1", text, n)
	}
	if !f.isStd(size.Span()) {
		f.errorf(size.Span(), diag.InvalidDimension, "%s", message).Label = "nothing would be left"
		return
	}
	if b := f.scope.lookup("x"); b != nil {
		if x, ok := b.value.(*array); ok {
			message = "nothing is left of " + x.typ() + " here: a dimension of the result would be " + strconv.Itoa(n)
		}
	}
	f.errorf(size.Span(), diag.InvalidDimension, "%s", message).Fix = "begin with a larger input, or shrink it less before; `nnc summary` shows all shapes"
}

// maybeType is typeOf for a type that may leave dimensions open; nil without a message where it does, or is no tensor type.
func (f *frame) maybeType(t *syntax.Type) *expect {
	if t == nil || t.Name == nil || t.Field != nil {
		return nil
	}
	if d, ok := tensor.ParseDType(t.Name.Name); !ok || d == tensor.F64 {
		return nil
	}
	for _, d := range t.Dims {
		if d.Any {
			return nil
		}
		if d.Spread {
			if f.scope.lookup(spreadName(d)) == nil {
				return nil
			}
			continue
		}
		open := false
		syntax.Inspect(d.Size, func(n syntax.Node) bool {
			if name, ok := n.(*syntax.Name); ok && f.scope.lookup(name.Name) == nil {
				open = true
			}
			return true
		})
		if open {
			return nil
		}
	}
	return f.typeOf(t)
}

// fit makes a value an array of a declared type.
func (f *frame) fit(v value, want *expect, n syntax.Node, t *syntax.Type) value {
	if isPoison(v) {
		return poison{}
	}
	a, ok := f.asArray(n, v, want.dtype)
	if !ok {
		return poison{}
	}
	if a.dtype == want.dtype && len(a.shape) == 0 && len(want.shape) > 0 { // one number fills the shape
		a = &array{dtype: a.dtype, shape: want.shape, own: f.newAxes(want.shape), body: a.body}
		if f.eager(a.shape) {
			a = f.store(a)
		}
		return a
	}
	if a.dtype != want.dtype || !equalShapes(a.shape, want.shape) {
		d := f.errorf(n.Span(), diag.ShapeMismatch, "this is %s, but %s is declared", a.typ(), typeString(want.dtype, want.shape))
		f.relate(d, t.Span(), "declared here")
		return poison{}
	}
	return a
}

// checkResult compares a result with the declared type, whose dimension variables are bound in f's scope.
func (f *frame) checkResult(v value, t *syntax.Type, body *syntax.Block, what string) value {
	if isPoison(v) {
		return poison{}
	}
	if t.HasTuple {
		return f.checkTuple(v, t, body, what)
	}
	if t.Name == nil || t.Field != nil {
		return v
	}
	d, ok := tensor.ParseDType(t.Name.Name)
	if !ok {
		return v
	}
	if n, ok := v.(number); ok && !t.HasShape { // still exact
		if _, ok := constantArray(n, d); ok {
			return n
		}
	}
	last := lastOf(body)
	a, ok := f.asArray(last, v, d)
	if !ok {
		return poison{}
	}
	good := a.dtype == d
	open := false
	for _, dim := range t.Dims {
		open = open || dim.Any
	}
	var want []ir.Affine
	if !open {
		if want, ok = f.shapeOf(t); !ok {
			return poison{}
		}
		good = good && equalShapes(a.shape, want)
	} else {
		good = good && len(a.shape) == len(t.Dims)
		for i, dim := range t.Dims {
			if !good || dim.Any || dim.Spread {
				continue
			}
			size, ok := f.dim(dim.Size)
			good = ok && size.Equal(a.shape[i])
		}
	}
	if !good {
		needs := t.Span().Text()
		if !open && typeString(d, want) != needs {
			needs += ", which is " + typeString(d, want) + " here"
		}
		e := f.errorf(last.Span(), diag.ShapeMismatch, "%s gives %s, but its result is declared as %s", what, a.typ(), needs)
		e.Label = "this is " + a.typ()
		if extra := len(a.shape) - len(want); a.dtype == d && !open && len(want) > 0 && extra > 0 && equalShapes(a.shape[extra:], want) {
			e.Fix = leftOverFix(a.shape[:extra])
		}
		f.relate(e, t.Span(), "the declared result")
		return poison{}
	}
	return a
}

func (f *frame) checkTuple(v value, t *syntax.Type, body *syntax.Block, what string) value {
	tup, ok := v.(*tuple)
	if !ok || len(tup.elems) != len(t.Tuple) {
		e := f.errorf(lastOf(body).Span(), diag.ValueCount, "%s gives %s, but a tuple of %s is declared", what, describe(v), count(len(t.Tuple), "value"))
		f.relate(e, t.Span(), "the declared result")
		return poison{}
	}
	out := &tuple{}
	for i, want := range t.Tuple {
		name := tup.names[i]
		if want.Name != nil {
			name = want.Name.Name
		}
		out.names = append(out.names, name)
		out.elems = append(out.elems, f.checkResult(tup.elems[i], want.Type, body, what))
	}
	return out
}

// lastOf is the expression that gives a block its value, or the block.
func lastOf(b *syntax.Block) syntax.Node {
	if len(b.Stmts) > 0 {
		if x, ok := b.Stmts[len(b.Stmts)-1].(*syntax.ExprStmt); ok {
			return x.X
		}
	}
	return b
}
