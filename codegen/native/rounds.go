package native

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// Note [Rounds first]
//
// A scan steps through its sequences along a dimension behind the examples', so that the element of a round lies scattered through memory: it would have to be
// copied together, and what the round yields apart. So sequences get the rounds as their first dimension, before all else is done: the nests
// that make them write them in that order, and those that read them follow. What is neither, such as a parameter or a result of the function, is copied once.
// An element then is a piece of memory, which a round uses where it lies (see Note [Elements of sequences] in package exec).

// roundsFirst returns f with the sequences of its scans, and what these stack, in the order of rounds. The instructions are new; the function's results and what it
// writes to cells keep their values.
func (l *lowering) roundsFirst(f *ir.Func) *ir.Func {
	if !l.does(doRounds) {
		g := *f
		g.Body = make([]*ir.Instr, len(f.Body))
		for k, in := range f.Body {
			clone := *in
			g.Body[k] = &clone
		}
		return &g
	}
	first := map[*ir.Value]int{} // the dimension that goes to the front
	want := func(v *ir.Value, axis int) {
		if _, known := first[v]; !known {
			first[v] = axis
		}
	}
	for _, in := range f.Body {
		if in.Op != ir.OpScan || in.Scan.Axis == 0 {
			continue
		}
		for _, r := range in.Results[in.Scan.Carried:] {
			want(r, in.Scan.Axis)
		}
		for _, a := range in.Args[in.Scan.Carried:][:in.Scan.Slices] {
			if a.Def != nil && a.Def.Op == ir.OpNest && a.Def.Nest.Write == nil && l.byWinograd(a.Def) == nil {
				want(a, in.Scan.Axis)
			}
		}
	}
	r := &rounds{lowering: l, first: first, moved: map[*ir.Value]*ir.Value{}, made: map[*ir.Value]bool{}, copies: map[*ir.Value]map[int]*ir.Value{}}
	for _, in := range f.Body {
		clone := *in
		switch {
		case in.Op == ir.OpNest:
			r.nest(&clone)
		case in.Op == ir.OpScan:
			r.scan(&clone)
		default:
			clone.Args = r.plain(in.Args)
			r.body = append(r.body, &clone)
		}
	}
	r.plain(f.Results)
	g := *f
	g.Body = r.body
	return &g
}

type rounds struct {
	*lowering
	first  map[*ir.Value]int
	moved  map[*ir.Value]*ir.Value         // what was made with that dimension in front
	made   map[*ir.Value]bool              // those that exist in their own order again
	copies map[*ir.Value]map[int]*ir.Value // of others, by the dimension in front
	body   []*ir.Instr
}

// toFront is x with element axis in front.
func toFront[T any](x []T, axis int) []T {
	return slices.Insert(slices.Delete(slices.Clone(x), axis, axis+1), 0, x[axis])
}

// copy appends a nest that reads from in another order, and writes to.
func (r *rounds) copy(to, from *ir.Value, index []ir.Affine, loc ir.Loc) {
	r.body = append(r.body, &ir.Instr{
		Op: ir.OpNest, Args: []*ir.Value{from}, Results: []*ir.Value{to}, Loc: loc,
		Nest: &ir.Nest{Combine: ir.Map, Index: ir.Indices(to.Type.Shape), Out: len(index), Body: ir.ReadOf(to.Type.DType, 0, index...)},
	})
}

// plain returns values, and makes sure that they exist in their own order.
func (r *rounds) plain(values []*ir.Value) []*ir.Value {
	for _, v := range values {
		if z := r.moved[v]; z != nil && !r.made[v] {
			r.made[v] = true
			r.copy(v, z, toFront(ir.Loops(0, len(v.Type.Shape)), r.first[v]), z.Def.Loc)
		}
	}
	return values
}

// inFront returns v with dimension axis in front.
func (r *rounds) inFront(v *ir.Value, axis int, loc ir.Loc) *ir.Value {
	if z := r.moved[v]; z != nil && r.first[v] == axis {
		return z
	}
	if z := r.copies[v][axis]; z != nil {
		return z
	}
	r.plain([]*ir.Value{v})
	z := &ir.Value{Name: v.Name, Type: ir.Type{DType: v.Type.DType, Shape: toFront(v.Type.Shape, axis)}}
	n := len(v.Type.Shape)
	index := append(ir.Loops(1, axis+1), ir.Loop(0)) // the loops, back in the order of v
	r.copy(z, v, append(index, ir.Loops(axis+1, n)...), loc)
	if r.copies[v] == nil {
		r.copies[v] = map[int]*ir.Value{}
	}
	r.copies[v][axis] = z
	return z
}

// move returns the value that stands for v, which in makes, with its dimension in front.
func (r *rounds) move(v *ir.Value, in *ir.Instr) *ir.Value {
	z := &ir.Value{Name: v.Name, Type: ir.Type{DType: v.Type.DType, Shape: toFront(v.Type.Shape, r.first[v])}, Def: in}
	r.moved[v] = z
	return z
}

// nest appends a nest, which reads what was moved where it is now.
func (r *rounds) nest(in *ir.Instr) {
	args, n := in.Args, in.Nest
	in.Args = slices.Clone(args)
	moved := false
	for k, a := range args {
		if z := r.moved[a]; z != nil {
			in.Args[k], moved = z, true
		}
	}
	if moved {
		n = n.RewriteReads(func(read *ir.Read) *ir.Read {
			a := args[read.Operand]
			if r.moved[a] == nil {
				return read
			}
			clone := *read
			clone.Index = toFront(read.Index, r.first[a])
			return &clone
		})
	}
	if axis, ok := r.first[in.Result()]; ok {
		n = n.Rewrite(func(a ir.Atom) (ir.Affine, bool) {
			switch {
			case a.Kind != ir.AtomIndex || a.Index > axis:
				return ir.Affine{}, false
			case a.Index == axis:
				return ir.Loop(0), true
			}
			return ir.Loop(a.Index + 1), true
		})
		n.Index = toFront(n.Index, axis)
		in.Results = []*ir.Value{r.move(in.Result(), in)}
	}
	in.Nest = n
	r.body = append(r.body, in)
}

// scan appends a scan through what is moved.
func (r *rounds) scan(in *ir.Instr) {
	s := *in.Scan
	s.Body = r.roundsFirst(s.Body)
	in.Scan = &s
	if s.Axis == 0 {
		in.Args = r.plain(in.Args)
		r.body = append(r.body, in)
		return
	}
	args := slices.Clone(in.Args)
	for k, a := range in.Args {
		if s.Carried <= k && k < s.Carried+s.Slices {
			args[k] = r.inFront(a, s.Axis, in.Loc)
		} else {
			r.plain([]*ir.Value{a})
		}
	}
	in.Args = args
	in.Results = slices.Clone(in.Results)
	for k := s.Carried; k < len(in.Results); k++ {
		in.Results[k] = r.move(in.Results[k], in)
	}
	s.Axis = 0
	r.body = append(r.body, in)
}
