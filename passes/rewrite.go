package passes

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// Nests are shared between instructions and never changed in place: a pass that changes one makes a copy.

// eachFunc calls visit for every function of m and every body of a scan, bodies before the functions that hold them.
func eachFunc(m *ir.Module, visit func(*ir.Func) error) error {
	for _, f := range m.Funcs {
		if err := withBodies(f, visit); err != nil {
			return err
		}
	}
	return nil
}

func withBodies(f *ir.Func, visit func(*ir.Func) error) error {
	for _, in := range f.Body {
		if in.Scan != nil {
			if err := withBodies(in.Scan.Body, visit); err != nil {
				return err
			}
		}
	}
	return visit(f)
}

// substitution says which values stand for others.
type substitution map[*ir.Value]*ir.Value

// of returns what stands for v.
func (s substitution) of(v *ir.Value) *ir.Value {
	for {
		w, ok := s[v]
		if !ok {
			return v
		}
		v = w
	}
}

// args replaces the operands of in.
func (s substitution) args(in *ir.Instr) {
	if len(s) == 0 || !slices.ContainsFunc(in.Args, func(v *ir.Value) bool { return s[v] != nil }) {
		return
	}
	in.Args = slices.Clone(in.Args)
	for i, a := range in.Args {
		in.Args[i] = s.of(a)
	}
}

// results replaces the results of f.
func (s substitution) results(f *ir.Func) {
	for i, r := range f.Results {
		f.Results[i] = s.of(r)
	}
}

// merge lets kept's results stand for in's.
func (s substitution) merge(in, kept *ir.Instr) {
	for i, r := range in.Results {
		s[r] = kept.Results[i]
	}
}

// cellSet is a set of cells.
type cellSet map[*ir.Cell]bool

// effects are the cells that an instruction touches.
type effects struct{ reads, writes cellSet }

func effectsOf(in *ir.Instr) effects {
	e := effects{cellSet{}, cellSet{}}
	e.add(in)
	return e
}

func (e effects) add(in *ir.Instr) {
	switch in.Op {
	case ir.OpRead:
		e.reads[in.Cell] = true
	case ir.OpWrite:
		e.writes[in.Cell] = true
	case ir.OpCall:
		e.addBody(in.Call)
	case ir.OpScan:
		e.addBody(in.Scan.Body)
	}
}

func (e effects) addBody(f *ir.Func) {
	for _, in := range f.Body {
		e.add(in)
	}
}

// compact returns nest n over args without operands that n does not read, and with each operand once.
func compact(n *ir.Nest, args []*ir.Value) (*ir.Nest, []*ir.Value) {
	number := make([]int, len(args)) // new number plus 1, 0 if unused
	var kept []*ir.Value
	n.Reads(func(r *ir.Read) {
		if number[r.Operand] != 0 {
			return
		}
		k := slices.Index(kept, args[r.Operand])
		if k < 0 {
			k = len(kept)
			kept = append(kept, args[r.Operand])
		}
		number[r.Operand] = k + 1
	})
	same := len(kept) == len(args)
	for i, k := range number {
		same = same && k == i+1
	}
	if same {
		return n, args
	}
	return n.RewriteReads(func(r *ir.Read) *ir.Read {
		clone := *r
		clone.Operand = number[r.Operand] - 1
		return &clone
	}), kept
}

// rewriteNest is Nest.Rewrite applied to extents and dimensions as well.
func rewriteNest(n *ir.Nest, f func(ir.Atom) (ir.Affine, bool)) *ir.Nest {
	clone := n.Rewrite(f)
	clone.Index = make([]ir.Index, len(n.Index))
	for i, x := range n.Index {
		clone.Index[i] = ir.Index{Name: x.Name, Extent: x.Extent.Rewrite(f)}
	}
	clone.Shape = rewriteAll(n.Shape, f)
	return clone
}

func rewriteAll(list []ir.Affine, f func(ir.Atom) (ir.Affine, bool)) []ir.Affine {
	if list == nil {
		return nil
	}
	out := make([]ir.Affine, len(list))
	for i, a := range list {
		out[i] = a.Rewrite(f)
	}
	return out
}

// usesData reports whether a depends on data.
func usesData(a ir.Affine) bool {
	found := false
	a.Loads(func(*ir.Read) { found = true })
	return found
}

// inside reports whether read r of an operand of this shape is certain to lie inside it.
func inside(r *ir.Read, shape []ir.Affine, extent func(int) ir.Affine) bool {
	for k, ix := range r.Index {
		if !ir.Inside(ix, shape[k], extent) {
			return false
		}
	}
	return true
}
