package ir

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Const returns a literal of type d.
func Const(d tensor.DType, v float64) *Expr {
	return &Expr{Leaf: LeafConst, DType: d, Value: v}
}

// F32 returns an f32 literal.
func F32(v float64) *Expr { return Const(tensor.F32, v) }

// IndexValue returns an index expression as an i32 number; a constant becomes a literal, and data alone a read.
func IndexValue(a Affine) *Expr {
	if n, ok := a.IsConst(); ok {
		return Const(tensor.I32, float64(n))
	}
	if len(a.Terms) == 1 && a.Const == 0 && a.Terms[0].Coef == 1 && a.Terms[0].Atom.Kind == AtomLoad {
		return &Expr{Leaf: LeafRead, DType: tensor.I32, Read: a.Terms[0].Atom.Load}
	}
	return &Expr{Leaf: LeafIndex, DType: tensor.I32, Affine: &a}
}

// ReadOf returns a read of operand number k, of element type d.
func ReadOf(d tensor.DType, k int, index ...Affine) *Expr {
	return &Expr{Leaf: LeafRead, DType: d, Read: &Read{Operand: k, Index: index}}
}

// ReadElse returns a read that is otherwise outside the operand.
func ReadElse(d tensor.DType, k int, otherwise float64, index ...Affine) *Expr {
	return &Expr{Leaf: LeafRead, DType: d, Read: &Read{Operand: k, Index: index, Guarded: true, Else: otherwise}}
}

// Apply returns op applied to args. Its element type follows from the op's row; operands of other types than the row takes
// are a broken invariant.
func Apply(op Op, args ...*Expr) *Expr {
	types := make([]tensor.DType, len(args))
	for i, a := range args {
		types[i] = a.DType
	}
	d, err := op.ResultDType(types)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return &Expr{Op: op, DType: d, Args: args}
}

// IsConst reports whether e is a literal, and its value.
func (e *Expr) IsConst() (float64, bool) { return e.Value, e.Leaf == LeafConst }

// Equal reports whether e and f are the same expression.
func (e *Expr) Equal(f *Expr) bool { return CompareExprs(e, f) == 0 }

// Walk calls f for every node of e, outer ones first.
func (e *Expr) Walk(f func(*Expr)) {
	f(e)
	for _, a := range e.Args {
		a.Walk(f)
	}
}

// Rewrite rebuilds e bottom up, with each node replaced by what f returns for it. f must not change the node it is given,
// which it may return.
func (e *Expr) Rewrite(f func(*Expr) *Expr) *Expr {
	if len(e.Args) == 0 {
		return f(e)
	}
	args, changed := make([]*Expr, len(e.Args)), false
	for i, a := range e.Args {
		args[i] = a.Rewrite(f)
		changed = changed || args[i] != a
	}
	if changed {
		clone := *e
		clone.Args = args
		e = &clone
	}
	return f(e)
}

// RewriteAffine rebuilds e with f applied, as by Affine.Rewrite, to every index in its reads and index values.
func (e *Expr) RewriteAffine(f func(Atom) (Affine, bool)) *Expr {
	return e.Rewrite(func(e *Expr) *Expr {
		switch e.Leaf {
		case LeafRead:
			clone := *e
			clone.Read = e.Read.rewrite(f)
			return &clone
		case LeafIndex:
			return IndexValue(e.Affine.Rewrite(f))
		}
		return e
	})
}

// RewriteReads rebuilds e with f applied to every read, also to those that are data indices inside other reads, inner ones
// first. f must not change the read it is given, which it may return.
func (e *Expr) RewriteReads(f func(*Read) *Read) *Expr {
	inAffine := func(a Atom) (Affine, bool) {
		if a.Kind != AtomLoad {
			return Affine{}, false
		}
		return LoadIndex(f(a.Load)), true
	}
	return e.Rewrite(func(e *Expr) *Expr {
		switch e.Leaf {
		case LeafRead:
			clone := *e
			clone.Read = f(e.Read.rewrite(inAffine))
			return &clone
		case LeafIndex:
			return IndexValue(e.Affine.Rewrite(inAffine))
		}
		return e
	})
}

// Reads calls f for every read in e, also for those that are data indices.
func (e *Expr) Reads(f func(*Read)) {
	e.Walk(func(e *Expr) {
		switch e.Leaf {
		case LeafRead:
			e.Read.reads(f)
		case LeafIndex:
			e.Affine.Loads(f)
		}
	})
}

// Loads calls f for every read in a, which are its data indices and those within them.
func (a Affine) Loads(f func(*Read)) {
	a.walk(func(t Atom) {
		if t.Kind == AtomLoad {
			f(t.Load)
		}
	})
}

// Uses reports whether loop index i occurs in e.
func (e *Expr) Uses(i int) bool {
	found := false
	e.Walk(func(e *Expr) {
		switch e.Leaf {
		case LeafRead:
			for _, ix := range e.Read.Index {
				found = found || ix.Uses(i)
			}
		case LeafIndex:
			found = found || e.Affine.Uses(i)
		}
	})
	return found
}

// Reads calls f for every read in the nest: in its body, its guards and its write map.
func (n *Nest) Reads(f func(*Read)) {
	n.Body.Reads(f)
	for _, g := range n.Guards {
		g.E.Loads(f)
		g.Limit.Loads(f)
	}
	for _, w := range n.Write {
		w.Loads(f)
	}
}

// Rewrite returns a copy of the nest with f applied, as by Affine.Rewrite, to every index expression in it.
func (n *Nest) Rewrite(f func(Atom) (Affine, bool)) *Nest {
	clone := *n
	clone.Body = n.Body.RewriteAffine(f)
	clone.Guards = nil
	for _, g := range n.Guards {
		clone.Guards = append(clone.Guards, Guard{g.E.Rewrite(f), g.Limit.Rewrite(f)})
	}
	clone.Write = slices.Clone(n.Write[:0]) // nil only where n's is: an empty map writes a scalar
	for _, w := range n.Write {
		clone.Write = append(clone.Write, w.Rewrite(f))
	}
	return &clone
}

// RewriteReads returns a copy of the nest with f applied, as by Expr.RewriteReads, to every read in it.
func (n *Nest) RewriteReads(f func(*Read) *Read) *Nest {
	inAffine := func(a Atom) (Affine, bool) {
		if a.Kind != AtomLoad {
			return Affine{}, false
		}
		return LoadIndex(f(a.Load)), true
	}
	clone := *n
	clone.Body = n.Body.RewriteReads(f)
	clone.Guards = nil
	for _, g := range n.Guards {
		clone.Guards = append(clone.Guards, Guard{g.E.Rewrite(inAffine), g.Limit.Rewrite(inAffine)})
	}
	clone.Write = slices.Clone(n.Write[:0]) // nil only where n's is: an empty map writes a scalar
	for _, w := range n.Write {
		clone.Write = append(clone.Write, w.Rewrite(inAffine))
	}
	return &clone
}

func (r *Read) reads(f func(*Read)) {
	f(r)
	for _, ix := range r.Index {
		ix.Loads(f)
	}
}

func (r *Read) rewrite(f func(Atom) (Affine, bool)) *Read {
	clone := *r
	clone.Index = make([]Affine, len(r.Index))
	for i, ix := range r.Index {
		clone.Index[i] = ix.Rewrite(f)
	}
	return &clone
}

// CompareExprs orders expressions; 0 means equal.
func CompareExprs(a, b *Expr) int {
	if c := cmp.Or(
		cmp.Compare(a.Leaf, b.Leaf), cmp.Compare(a.Op, b.Op), cmp.Compare(a.DType, b.DType),
		compareNumbers(a.Value, b.Value), cmp.Compare(len(a.Args), len(b.Args)),
	); c != 0 {
		return c
	}
	switch a.Leaf {
	case LeafRead:
		return compareReads(a.Read, b.Read)
	case LeafIndex:
		return compareAffines(*a.Affine, *b.Affine)
	}
	for i := range a.Args {
		if c := CompareExprs(a.Args[i], b.Args[i]); c != 0 {
			return c
		}
	}
	return 0
}

// compareNumbers orders numbers, and −0 before 0: these are different literals.
func compareNumbers(a, b float64) int {
	sign := func(v float64) int { return int(math.Float64bits(v) >> 63) }
	if c := cmp.Compare(a, b); c != 0 || a != 0 {
		return c
	}
	return sign(b) - sign(a)
}

func compareReads(a, b *Read) int {
	guarded := func(r *Read) int {
		if r.Guarded {
			return 1
		}
		return 0
	}
	if c := cmp.Or(
		cmp.Compare(a.Operand, b.Operand), cmp.Compare(len(a.Index), len(b.Index)),
		cmp.Compare(guarded(a), guarded(b)), compareNumbers(a.Else, b.Else),
	); c != 0 {
		return c
	}
	for i := range a.Index {
		if c := compareAffines(a.Index[i], b.Index[i]); c != 0 {
			return c
		}
	}
	return 0
}

// String formats e for messages, with loop indices as $0 and operands as %0.
func (e *Expr) String() string {
	switch e.Leaf {
	case LeafConst:
		return fmt.Sprint(e.Value)
	case LeafRead:
		return fmt.Sprintf("%%%d%v", e.Read.Operand, e.Read.Index)
	case LeafIndex:
		return e.Affine.String()
	}
	s := e.Op.String() + "("
	for i, a := range e.Args {
		if i > 0 {
			s += ", "
		}
		s += a.String()
	}
	return s + ")"
}
