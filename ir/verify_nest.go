package ir

import (
	"fmt"
	"math"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// nestVerifier checks one nest. Messages name loop indices as the printer does.
type nestVerifier struct {
	*verifier
	*Nest
	args []*Value
	text *nestPrinter
}

func (v *verifier) nest(in *Instr) error {
	if in.Nest == nil || in.Nest.Body == nil {
		return v.errorf("the nest is missing")
	}
	n := &nestVerifier{v, in.Nest, in.Args, &nestPrinter{
		printer: &printer{names: v.names}, args: in.Args, index: indexNames(in.Nest),
	}}
	if err := n.form(in.Results[0].Type); err != nil {
		return v.errorf("%v", err)
	}
	return nil
}

// form checks the parts of the nest and that its result is t.
func (n *nestVerifier) form(t Type) error {
	for _, ix := range n.Index {
		if err := n.dim(ix.Extent); err != nil {
			return err
		}
	}
	switch {
	case n.Combine > ArgMin:
		return fmt.Errorf("there is no combiner %d", n.Combine)
	case n.Nest.Write != nil && (n.Combine != Sum || n.Out != 0):
		return fmt.Errorf("a scatter is a sum without indices of its result")
	case n.Nest.Write != nil && len(n.Nest.Write) != len(n.Shape):
		return fmt.Errorf("the write map has %d indices for %d dimensions", len(n.Nest.Write), len(n.Shape))
	case n.Out < 0 || n.Out > len(n.Index):
		return fmt.Errorf("%d of %d indices are the result's", n.Out, len(n.Index))
	case n.Combine == Map && n.Out != len(n.Index):
		return fmt.Errorf("a map has no reduced indices")
	}
	for _, d := range n.Shape {
		if err := n.dim(d); err != nil {
			return err
		}
	}
	for _, g := range n.Guards {
		for _, a := range []Affine{g.E, g.Limit} {
			if err := n.indexExpr(a); err != nil {
				return err
			}
		}
	}
	if err := n.expr(n.Body); err != nil {
		return err
	}
	if n.Combine != Map && n.Body.DType == tensor.Bool {
		return fmt.Errorf("%v combines numbers, not bool", n.Combine)
	}
	for k, w := range n.Nest.Write {
		if err := n.indexExpr(w); err != nil {
			return err
		}
		if !w.hasLoad() && !n.inside(w, n.Shape[k]) {
			return fmt.Errorf("write index %s may be outside dimension %d, which is %v", n.text.affine(w), k+1, n.Shape[k])
		}
	}
	if want := (Type{n.ResultDType(), n.ResultShape()}); !t.Equal(want) {
		return fmt.Errorf("the nest is %s, not %s", want, t)
	}
	return nil
}

func (n *nestVerifier) expr(e *Expr) error {
	if e.Leaf != NotLeaf && len(e.Args) > 0 {
		return fmt.Errorf("a leaf has operands")
	}
	switch e.Leaf {
	case LeafConst:
		return literalError(e.DType, e.Value)
	case LeafRead:
		return n.read(e.Read, e.DType)
	case LeafIndex:
		if e.DType != tensor.I32 {
			return fmt.Errorf("an index value is i32, not %v", e.DType)
		}
		return n.indexExpr(*e.Affine)
	case NotLeaf:
	default:
		return fmt.Errorf("there is no leaf %d", e.Leaf)
	}
	types := make([]tensor.DType, len(e.Args))
	for i, a := range e.Args {
		if err := n.expr(a); err != nil {
			return err
		}
		types[i] = a.DType
	}
	d, err := e.Op.ResultDType(types)
	if err != nil {
		return err
	}
	if d != e.DType {
		return fmt.Errorf("%s is %v here, not %v", e.Op, d, e.DType)
	}
	return nil
}

// literalError says why v is no value of type d.
func literalError(d tensor.DType, v float64) error {
	ok := false
	switch d {
	case tensor.F32:
		ok = true
	case tensor.I32:
		ok = v == math.Trunc(v) && v >= math.MinInt32 && v <= math.MaxInt32
	case tensor.Bool:
		ok = v == 0 || v == 1
	}
	if !ok {
		return fmt.Errorf("%v is no literal of type %v", v, d)
	}
	return nil
}

// indexExpr checks an index expression, with the reads in it.
func (n *nestVerifier) indexExpr(a Affine) error {
	return a.check(func(t Atom) error {
		switch t.Kind {
		case AtomIndex:
			if t.Index < 0 || t.Index >= len(n.Index) {
				return fmt.Errorf("there is no loop index %d", t.Index)
			}
		case AtomSymbol:
			return n.symbol(t.Symbol)
		case AtomLoad:
			return n.read(t.Load, tensor.I32)
		}
		return nil
	})
}

// read checks a read of an element of type d.
func (n *nestVerifier) read(r *Read, d tensor.DType) error {
	if r.Operand < 0 || r.Operand >= len(n.args) {
		return fmt.Errorf("there is no operand %d", r.Operand)
	}
	x := n.args[r.Operand]
	if x.Type.DType != d {
		return fmt.Errorf("%s is %s, but read as %v", n.value(x), x.Type, d)
	}
	if len(r.Index) != len(x.Type.Shape) {
		return fmt.Errorf("%d indices for %s, which is %s", len(r.Index), n.value(x), x.Type)
	}
	if r.Guarded {
		if err := literalError(d, r.Else); err != nil {
			return err
		}
	}
	for k, ix := range r.Index {
		if err := n.indexExpr(ix); err != nil {
			return err
		}
		if !r.Guarded && !ix.hasLoad() && !n.inside(ix, x.Type.Shape[k]) {
			return fmt.Errorf("index %s may be outside dimension %d of %s, which is %v", n.text.affine(ix), k+1, n.value(x), x.Type.Shape[k])
		}
	}
	return nil
}

// hasLoad reports whether a depends on data.
func (a Affine) hasLoad() bool {
	found := false
	a.walk(func(t Atom) { found = found || t.Kind == AtomLoad })
	return found
}

// inside reports whether 0 ≤ a < limit is certain at every point of the nest that its guards let through.
func (n *Nest) inside(a, limit Affine) bool {
	for _, g := range n.Guards {
		if n.below(g.E, Affine{}) || n.below(g.Limit.AddConst(-1), g.E) { // it lets no point through
			return true
		}
	}
	prove := func(a Affine) bool {
		steps := maxProof
		return n.nonNegative(a, n.Guards, maxGuards, &steps)
	}
	return prove(a) && prove(limit.Sub(a).AddConst(-1))
}

// below reports whether a < b is certain, by the loops alone.
func (n *Nest) below(a, b Affine) bool {
	bounds, ok := BoundsOf(b.Sub(a).AddConst(-1), n.Extent)
	return ok && NonNegative(bounds.Lo)
}

// maxGuards bounds how many guards one proof combines.
const maxGuards = 3

// nonNegative reports whether a ≥ 0 is certain. A guard may bound its own expression better than the loops do, so multiples of at most
// rounds of the guards' expressions are exchanged for their bounds.
func (n *Nest) nonNegative(a Affine, guards []Guard, rounds int, steps *int) bool {
	if *steps--; *steps < 0 {
		return false
	}
	if b, ok := BoundsOf(a, n.Extent); ok && NonNegative(b.Lo) {
		return true
	}
	if rounds == 0 {
		return false
	}
	for i, g := range guards {
		for _, t := range g.E.Terms {
			k := ratio(a, t)
			if k == 0 {
				continue
			}
			rest := a.Sub(g.E.Scale(k)) // a = rest + k·E, and 0 ≤ E ≤ Limit − 1
			if k < 0 {
				rest = rest.Add(g.Limit.AddConst(-1).Scale(k))
			}
			if n.nonNegative(rest, guards[i+1:], rounds-1, steps) {
				return true
			}
		}
	}
	return false
}

// ratio returns the coefficient of t's atom in a divided by t's own, or 0 if that is no whole number.
func ratio(a Affine, t Term) int {
	for _, u := range a.Terms {
		if compareAtoms(u.Atom, t.Atom) == 0 && u.Coef%t.Coef == 0 {
			return u.Coef / t.Coef
		}
	}
	return 0
}
