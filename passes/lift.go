package passes

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// lift moves products out of scans that need no carried value: a sum of products of an element of a sequence and a value that all rounds
// share, such as what a recurrent cell makes of its input. Outside, one nest with one more loop, the round, computes it for all rounds at once,
// a large product in the place of many small ones; the scan gets its result as a further sequence. What leads from the sequences to such a product is computed
// outside as well.
//
// It runs before grad, so that the gradients to the input and to the kernel are products over all rounds, too.
//
// Source: Appleyard et al., "Optimizing Performance of Recurrent Neural Networks on GPUs", 2016, section 3.1; loop fission.
func lift(m *ir.Module) error {
	return eachFunc(m, func(f *ir.Func) error {
		var body []*ir.Instr
		for _, in := range f.Body {
			if in.Op == ir.OpScan {
				body = append(body, liftFrom(in)...)
			}
			body = append(body, in)
		}
		f.Body = body
		return nil
	})
}

// lifting is what is known of one scan.
type lifting struct {
	scan    *ir.Scan
	outside map[*ir.Value]*ir.Value // of values of the body: what they are outside
	stacked map[*ir.Value]bool      // those that have an element for each round outside
	made    map[*ir.Value]*ir.Instr // what could be computed outside, by result
	moved   []*ir.Instr
}

// liftFrom takes products out of scan in and returns what computes them.
func liftFrom(in *ir.Instr) []*ir.Instr {
	s, f := *in.Scan, *in.Scan.Body
	l := &lifting{scan: &s, outside: map[*ir.Value]*ir.Value{}, stacked: map[*ir.Value]bool{}, made: map[*ir.Value]*ir.Instr{}}
	unchanged := s.Carried + s.Slices
	for i, p := range f.Params[1+s.Carried:] {
		l.outside[p], l.stacked[p] = in.Args[s.Carried+i], i < s.Slices
	}
	variables := variablesOf(&f)
	var sequences []*ir.Value // new ones
	var elements []*ir.Value  // of these in the body
	inside := substitution{}
	var kept []*ir.Instr
	for _, c := range f.Body {
		switch {
		case len(c.Results) != 1 || variables[c.Result()] || !l.liftable(c, in):
			kept = append(kept, c)
		case l.isProduct(c):
			v := c.Result()
			sequences = append(sequences, l.of(v, c))
			p := &ir.Value{Name: v.Name, Type: v.Type}
			elements, inside[v] = append(elements, p), p
		default:
			l.made[c.Result()] = c
			kept = append(kept, c)
		}
	}
	if len(sequences) == 0 {
		return nil
	}
	f.Params = slices.Insert(slices.Clone(f.Params), 1+unchanged, elements...)
	in.Args = slices.Insert(slices.Clone(in.Args), unchanged, sequences...)
	s.Slices += len(sequences)
	for _, c := range kept {
		inside.args(c)
	}
	f.Results = slices.Clone(f.Results)
	inside.results(&f)
	f.Body, s.Body = kept, &f
	in.Scan = &s
	return l.moved
}

// liftable reports whether c can be computed for all rounds outside scan in.
func (l *lifting) liftable(c, in *ir.Instr) bool {
	axis := l.scan.Axis
	shape := c.Result().Type.Shape
	batched := len(shape) >= axis && (!l.scan.Length || len(shape) > 0 && shape[0].Equal(in.Args[len(in.Args)-1].Type.Shape[0]))
	switch c.Op {
	case ir.OpConst:
		return true
	case ir.OpReshape:
		from := c.Args[0].Type.Shape
		batched = batched && len(from) >= axis && slices.EqualFunc(from[:axis], shape[:axis], ir.Affine.Equal)
	case ir.OpNest:
		if c.Nest.Write != nil {
			return false
		}
	default:
		return false
	}
	varies := false
	for _, a := range c.Args {
		made := l.made[a]
		if l.outside[a] == nil && made == nil {
			return false
		}
		varies = varies || l.stacked[a] || made != nil && l.stacked[made.Result()]
	}
	l.stacked[c.Result()] = varies
	return batched || !varies
}

// isProduct reports whether c, which is liftable, is a product of matrices, of which one is the same in all rounds.
func (l *lifting) isProduct(c *ir.Instr) bool {
	n := c.Nest
	if c.Op != ir.OpNest || !l.stacked[c.Result()] || n.Combine != ir.Sum || len(n.Guards) > 0 || n.Body.Op != ir.OpMul {
		return false
	}
	shared := 0
	for _, e := range n.Body.Args {
		if e.Leaf != ir.LeafRead || e.Read.Guarded {
			return false
		}
		for _, ix := range e.Read.Index {
			if _, loop := ix.IsLoop(); !loop {
				return false
			}
		}
		if !l.stacked[c.Args[e.Read.Operand]] {
			shared++
		}
	}
	return shared == 1
}

// of returns what v is outside, which c computes unless that is there already.
func (l *lifting) of(v *ir.Value, c *ir.Instr) *ir.Value {
	if z := l.outside[v]; z != nil {
		return z
	}
	args := make([]*ir.Value, len(c.Args))
	for i, a := range c.Args {
		args[i] = l.of(a, l.made[a])
	}
	clone := *c
	clone.Args = args
	t := v.Type
	if l.stacked[v] {
		t.Shape = slices.Insert(slices.Clone(t.Shape), l.scan.Axis, l.scan.Trip)
		if c.Op == ir.OpNest {
			clone.Nest = l.allRounds(c)
		}
	}
	z := &ir.Value{Name: v.Name, Type: t, Def: &clone}
	clone.Results = []*ir.Value{z}
	l.moved = append(l.moved, &clone)
	l.outside[v] = z
	return z
}

// allRounds is the nest of c with a loop over the rounds.
func (l *lifting) allRounds(c *ir.Instr) *ir.Nest {
	axis := l.scan.Axis
	n := c.Nest.Rewrite(func(a ir.Atom) (ir.Affine, bool) {
		if a.Kind != ir.AtomIndex || a.Index < axis {
			return ir.Affine{}, false
		}
		return ir.Loop(a.Index + 1), true
	})
	n = n.RewriteReads(func(r *ir.Read) *ir.Read {
		if !l.stacked[c.Args[r.Operand]] {
			return r
		}
		clone := *r
		clone.Index = slices.Insert(slices.Clone(r.Index), axis, ir.Loop(axis))
		return &clone
	})
	n.Index = slices.Insert(slices.Clone(n.Index), axis, ir.Index{Name: "round", Extent: l.scan.Trip})
	n.Out++
	return n
}
