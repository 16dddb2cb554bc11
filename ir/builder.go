package ir

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Builder appends instructions to a function. Each method computes its results' types, so that a wrong operand is found
// where it is used; operands that do not fit are broken invariants, since the front end has checked them.
type Builder struct {
	Func *Func
	Loc  Loc // given to every new instruction
}

// NewFunc returns an empty function and a builder for it.
func NewFunc(name string) *Builder { return &Builder{Func: &Func{Name: name}} }

// Param adds a parameter.
func (b *Builder) Param(name string, t Type) *Value {
	v := &Value{Name: name, Type: t}
	b.Func.Params = append(b.Func.Params, v)
	return v
}

// Return adds a result.
func (b *Builder) Return(name string, v *Value) {
	b.Func.Results = append(b.Func.Results, v)
	b.Func.ResultNames = append(b.Func.ResultNames, name)
}

// Append adds an instruction whose results have these types.
func (b *Builder) Append(in *Instr, types ...Type) *Instr {
	in.Loc = b.Loc
	for _, t := range types {
		in.Results = append(in.Results, &Value{Type: t, Def: in})
	}
	b.Func.Body = append(b.Func.Body, in)
	return in
}

// Nest adds a loop nest over args.
func (b *Builder) Nest(n *Nest, args ...*Value) *Value {
	return b.Append(&Instr{Op: OpNest, Nest: n, Args: args}, Type{n.ResultDType(), n.ResultShape()}).Result()
}

// Apply adds the elementwise application of a scalar op. Each operand's shape must be a suffix of the longest one.
func (b *Builder) Apply(op Op, args ...*Value) *Value {
	shape := args[0].Type.Shape
	for _, a := range args {
		if len(a.Type.Shape) > len(shape) {
			shape = a.Type.Shape
		}
	}
	n := &Nest{Combine: Map, Index: Indices(shape), Out: len(shape)}
	reads := make([]*Expr, len(args))
	for i, a := range args {
		lead := len(shape) - len(a.Type.Shape)
		ix := make([]Affine, len(a.Type.Shape))
		for k := range ix {
			if !a.Type.Shape[k].Equal(shape[lead+k]) {
				panic(fmt.Sprintf("BUG: %s of %v and %v", op, args[0].Type, a.Type))
			}
			ix[k] = Loop(lead + k)
		}
		reads[i] = ReadOf(a.Type.DType, i, ix...)
	}
	n.Body = Apply(op, reads...)
	return b.Nest(n, args...)
}

// Reshape adds a reshape; the number of elements must stay the same.
func (b *Builder) Reshape(v *Value, shape ...Affine) *Value {
	return b.Append(&Instr{Op: OpReshape, Args: []*Value{v}}, Type{v.Type.DType, slices.Clone(shape)}).Result()
}

// Const adds a constant tensor.
func (b *Builder) Const(t *tensor.Tensor) *Value {
	shape := make([]Affine, len(t.Shape))
	for i, d := range t.Shape {
		shape[i] = Int(d)
	}
	return b.Append(&Instr{Op: OpConst, Data: t}, Type{t.DType, shape}).Result()
}

// Read adds a read of a cell.
func (b *Builder) Read(c *Cell) *Value {
	return b.Append(&Instr{Op: OpRead, Cell: c}, c.Type).Result()
}

// Write adds a write of v to a cell.
func (b *Builder) Write(c *Cell, v *Value) {
	if !c.Type.Equal(v.Type) {
		panic(fmt.Sprintf("BUG: write of %v to %s, which is %v", v.Type, c.Name, c.Type))
	}
	b.Append(&Instr{Op: OpWrite, Cell: c, Args: []*Value{v}})
}

// Call adds a call of f. Symbols in f's types are bound by its arguments; subst gives the results' types in the caller.
func (b *Builder) Call(f *Func, args ...*Value) []*Value {
	bind := BindSymbols(f, args)
	types := make([]Type, len(f.Results))
	for i, r := range f.Results {
		types[i] = r.Type.Rewrite(bind)
	}
	return b.Append(&Instr{Op: OpCall, Call: f, Args: args}, types...).Results
}

// Grad adds the gradients of the scalar y with respect to each of xs.
func (b *Builder) Grad(y *Value, xs ...*Value) []*Value {
	types := make([]Type, len(xs))
	for i, x := range xs {
		types[i] = x.Type
	}
	return b.Append(&Instr{Op: OpGrad, Args: append([]*Value{y}, xs...)}, types...).Results
}

// Indices returns one loop index for each dimension of shape, named i0, i1, …
func Indices(shape []Affine) []Index {
	ix := make([]Index, len(shape))
	for i, d := range shape {
		ix[i] = Index{fmt.Sprintf("i%d", i), d}
	}
	return ix
}

// Loops returns the loop indices from, from+1, …, to−1 as index expressions.
func Loops(from, to int) []Affine {
	ix := make([]Affine, to-from)
	for i := range ix {
		ix[i] = Loop(from + i)
	}
	return ix
}

// BindSymbols matches f's parameter types with the arguments' and returns what each symbol that stands alone in a dimension is
// in the caller.
func BindSymbols(f *Func, args []*Value) map[string]Affine {
	bind := map[string]Affine{}
	for i, p := range f.Params {
		for k, d := range p.Type.Shape {
			if len(d.Terms) == 1 && d.Const == 0 && d.Terms[0].Coef == 1 && d.Terms[0].Atom.Kind == AtomSymbol {
				bind[d.Terms[0].Atom.Symbol] = args[i].Type.Shape[k]
			}
		}
	}
	return bind
}

// Rewrite returns t with the symbols in bind replaced.
func (t Type) Rewrite(bind map[string]Affine) Type {
	u := Type{DType: t.DType, Shape: make([]Affine, len(t.Shape))}
	for i, d := range t.Shape {
		u.Shape[i] = d.Rewrite(func(a Atom) (Affine, bool) {
			v, ok := bind[a.Symbol]
			return v, ok && a.Kind == AtomSymbol
		})
	}
	return u
}
