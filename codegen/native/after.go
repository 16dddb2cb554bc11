package native

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Note [What follows a product]
//
// An elementwise nest of few operations that reads a product at the element that it computes, such as a sum with what a block began with, is computed of each tile of the
// product while that is in registers. The product is written, too, only if something else reads it. Costlier nests, such as gelu, take as long as their arithmetic in either place, and
// longer where they share registers with sums.

// Products with longer sums are computed in rounds, and those with fewer elements perhaps, so that threads share their sums: what follows them is a launch of its own.
const (
	longestFollowed  = 512
	smallestFollowed = 1 << 13
	maxFollowing     = 12 // nodes
)

// follow returns a body, which returns results, with nests computed of the sums of the products that they read. What keep says stays as it is.
func (l *lowering) follow(body []*ir.Instr, least int, results []*ir.Value, unpooled map[*ir.Value]*unpooled, keep func(*ir.Instr) bool) []*ir.Instr {
	if !l.does(doAfter) {
		return body
	}
	users, maker := map[*ir.Value][]int{}, map[*ir.Value]int{}
	for k, in := range body {
		for _, v := range reads(in, unpooled) {
			users[v] = append(users[v], k)
		}
		for _, v := range in.Results {
			maker[v] = k
		}
	}
	body = slices.Clone(body)
	dead := map[*ir.Instr]bool{}
	for k, in := range body {
		if in.Op != ir.OpNest || keep(in) || l.pieces[in] != nil || !l.follows(in) {
			continue
		}
		for _, v := range in.Args {
			at, made := maker[v]
			if !made || dead[body[at]] || !l.followed(body[at], least) || keep(body[at]) || slices.ContainsFunc(users[v], func(u int) bool { return u < k }) {
				continue
			}
			u := &update{nest: in.Nest, args: in.Args, bodies: l.bodiesOf(in), product: body[at], loc: in.Loc}
			clone := *in
			if slices.Contains(results, v) || slices.ContainsFunc(users[v], func(u int) bool { return u != k }) {
				u.bodies = append(slices.Clone(u.bodies), ir.ReadOf(tensor.F32, slices.Index(in.Args, v), ir.Loops(0, in.Nest.Out)...))
				clone.Results = append(slices.Clone(in.Results), v)
			}
			clone.Args = slices.Concat(body[at].Args, in.Args) // all that is read
			clone.Args = slices.DeleteFunc(clone.Args, func(a *ir.Value) bool { return a == v })
			l.after[&clone] = u
			dead[body[at]] = true
			body[k] = &clone
			break
		}
	}
	return slices.DeleteFunc(body, func(in *ir.Instr) bool { return dead[in] })
}

// bodiesOf returns the bodies of a nest, one for each result.
func (l *lowering) bodiesOf(in *ir.Instr) []*ir.Expr {
	if b := l.bodies[in]; b != nil {
		return b
	}
	return []*ir.Expr{in.Nest.Body}
}

// follows reports whether a nest may be computed of the sums of a product that it reads.
func (l *lowering) follows(in *ir.Instr) bool {
	u := &update{nest: in.Nest, args: in.Args, bodies: l.bodiesOf(in)}
	nodes, ok := 0, in.Nest.Combine == ir.Map && in.Nest.Write == nil
	for _, b := range u.bodies {
		ok = ok && b.DType == tensor.F32
		b.Walk(func(e *ir.Expr) {
			nodes++
			if e.Leaf == ir.NotLeaf {
				switch e.Op {
				case ir.OpAdd, ir.OpSub, ir.OpMul, ir.OpNeg, ir.OpMin, ir.OpMax, ir.OpRelu, ir.OpSelect, ir.OpLess, ir.OpLessEqual, ir.OpEqual, ir.OpNotEqual:
				default:
					ok = false
				}
			}
		})
	}
	return ok && nodes <= maxFollowing && !slices.ContainsFunc(in.Args, isHalf) && u.elementwise()
}

// followed reports whether what follows a nest can be computed of its sums where they are.
func (l *lowering) followed(in *ir.Instr, least int) bool {
	if in.Op != ir.OpNest || l.bodies[in] != nil || l.pieces[in] != nil || l.after[in] != nil || l.byWinograd(in) != nil || slices.ContainsFunc(in.Args, isHalf) {
		return false
	}
	if _, _, ok := factors(in); !ok || len(in.Nest.Guards) > 0 || sizeOf(least, in.Result().Type.Shape...) < smallestFollowed {
		return false
	}
	terms := 1
	for _, ix := range in.Nest.Index[in.Nest.Out:] {
		n, known := ix.Extent.IsConst()
		if !known {
			return false
		}
		terms *= n
	}
	t, err := l.analyse(in.Nest, []*ir.Expr{in.Nest.Body}, operandTypes(in))
	return err == nil && terms > 0 && terms <= longestFollowed && t.across && len(t.rows) > 0 && !t.outs.fails() && t.outs.flat && t.stream == nil
}

// isHalf reports whether a value is that of a cell that is stored as bf16.
func isHalf(v *ir.Value) bool { return v.Def != nil && v.Def.Op == ir.OpRead && v.Def.Cell.Half }
