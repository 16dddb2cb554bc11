package passes

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// logs takes logarithms apart, so that they are exact where what they are taken of is too small or too large for a number:
//
//   - log(exp(u)) is u, and log(a / b) with a = exp(u) is u − log(b): the logarithm of a softmax is as that of log_softmax;
//   - log(sigmoid(u)) is min(u, 0) − log1p(exp(−|u|)).
//
// What the logarithm is taken of may be computed in an instruction before, a map without guards. Whoever else uses it still does.
//
// Source: the identities are those of the logarithm; that a framework should apply them, Theano, "local_log_softmax" and "log1msigm_to_softplus".
func logs(m *ir.Module) error {
	return eachFunc(m, func(f *ir.Func) error {
		variables := variablesOf(f)
		for _, in := range f.Body {
			if in.Op != ir.OpNest {
				continue
			}
			s := &unfolding{args: slices.Clone(in.Args), variables: variables}
			changed := false
			body := in.Nest.Body.Rewrite(func(e *ir.Expr) *ir.Expr {
				if e.Leaf != ir.NotLeaf || e.Op != ir.OpLog {
					return e
				}
				if l := s.log(e.Args[0]); l != nil {
					changed = true
					return l
				}
				return e
			})
			if changed {
				n := *in.Nest
				n.Body = body
				in.Nest, in.Args = compact(&n, s.args)
			}
		}
		return nil
	})
}

// unfolding looks from the body of a nest into the nests whose results it reads.
type unfolding struct {
	args      []*ir.Value // of the nest; what is unfolded adds its own
	variables map[*ir.Value]bool
}

// log is the logarithm of e taken apart, or nil if it is none of those that can be.
func (s *unfolding) log(e *ir.Expr) *ir.Expr {
	e = s.unfold(e)
	if e.Leaf != ir.NotLeaf {
		return nil
	}
	switch e.Op {
	case ir.OpExp:
		return e.Args[0]
	case ir.OpDiv:
		if over := s.unfold(e.Args[0]); over.Leaf == ir.NotLeaf && over.Op == ir.OpExp {
			return ir.Apply(ir.OpSub, over.Args[0], ir.Apply(ir.OpLog, e.Args[1]))
		}
	case ir.OpSigmoid:
		u := e.Args[0]
		return ir.Apply(ir.OpSub, ir.Apply(ir.OpMin, u, ir.F32(0)), ir.Apply(ir.OpLog1p, ir.Apply(ir.OpExp, ir.Apply(ir.OpNeg, ir.Apply(ir.OpAbs, u)))))
	}
	return nil
}

// unfold is the expression that computes what e reads, if a map without guards does, else e.
func (s *unfolding) unfold(e *ir.Expr) *ir.Expr {
	for e.Leaf == ir.LeafRead && !e.Read.Guarded && e.DType == tensor.F32 {
		v := s.args[e.Read.Operand]
		in := v.Def
		if in == nil || in.Op != ir.OpNest || s.variables[v] || in.Nest.Combine != ir.Map || in.Nest.Write != nil || len(in.Nest.Guards) > 0 {
			break
		}
		at, first := e.Read.Index, len(s.args)
		s.args = append(s.args, in.Args...)
		body := in.Nest.Body.RewriteReads(func(r *ir.Read) *ir.Read {
			moved := *r
			moved.Operand += first
			return &moved
		})
		e = body.RewriteAffine(func(a ir.Atom) (ir.Affine, bool) {
			if a.Kind == ir.AtomIndex {
				return at[a.Index], true
			}
			return ir.Affine{}, false
		})
	}
	return e
}
