package native

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Note [Joining elementwise nests]
//
// Elementwise nests over the same loops that read the same large operand, or one the other's result at the same point, are one kernel with several results:
// what they share is read and computed once, and what only they read of each other is never stored. The gates of a recurrent cell and their gradients
// are such nests. A joined nest takes the place of its last part; it is complete as soon as something else needs one of its results.

// The most nodes of the bodies of a joined nest, written out as trees, and the most results.
const (
	maxJoined        = 400
	maxJoinedResults = 12
)

// joined is a nest of several parts.
type joined struct {
	parts  []*ir.Instr
	bodies []*ir.Expr // of the parts, over args
	args   []*ir.Value
	nodes  int
}

// joiner goes through the instructions of a body.
type joiner struct {
	*lowering
	users   map[*ir.Value][]*ir.Instr
	results []*ir.Value
	open    map[string]*joined // by loops
	order   []string           // of these
	owner   map[*ir.Value]string
	body    []*ir.Instr
}

// reads lists the values that an instruction needs, also those that the body of a scan takes from around it, and those of which others are made as they
// are read.
func reads(in *ir.Instr, unpooled map[*ir.Value]*unpooled) []*ir.Value {
	var all []*ir.Value
	for _, a := range in.Args {
		if u := unpooled[a]; u != nil {
			all = append(all, u.masked, u.place)
		}
		all = append(all, a)
	}
	if in.Op == ir.OpScan {
		for _, c := range in.Scan.Body.Body {
			all = append(all, reads(c, unpooled)...)
		}
		all = append(all, in.Scan.Body.Results...)
	}
	return all
}

// join returns a body, which returns results, with elementwise nests joined. What keep says stays as it is.
func (l *lowering) join(body []*ir.Instr, results []*ir.Value, unpooled map[*ir.Value]*unpooled, keep func(*ir.Instr) bool) []*ir.Instr {
	if !l.does(doJoin) {
		return body
	}
	j := &joiner{lowering: l, users: map[*ir.Value][]*ir.Instr{}, results: results, open: map[string]*joined{}, owner: map[*ir.Value]string{}}
	uses := func(in *ir.Instr) []*ir.Value { return reads(in, unpooled) }
	for _, in := range body {
		for _, a := range uses(in) {
			j.users[a] = append(j.users[a], in)
		}
	}
	for _, in := range body {
		key := ""
		if !keep(in) {
			key = loopsOf(in)
		}
		for _, a := range uses(in) {
			if k := j.owner[a]; k != "" && k != key {
				j.complete(k)
			}
		}
		switch g := j.open[key]; {
		case key == "":
			j.body = append(j.body, in)
			continue
		case g != nil && j.add(g, in):
		default:
			j.complete(key)
			g = &joined{}
			j.open[key] = g
			j.order = append(j.order, key)
			j.add(g, in)
		}
		j.owner[in.Result()] = key
	}
	for len(j.order) > 0 {
		j.complete(j.order[0])
	}
	return j.body
}

// loopsOf returns a text that is equal for nests that may be joined; "" for none.
func loopsOf(in *ir.Instr) string {
	if in.Op != ir.OpNest || in.Nest.Combine != ir.Map || in.Nest.Write != nil || len(in.Nest.Guards) > 0 || in.Nest.Body.DType != tensor.F32 {
		return ""
	}
	var b strings.Builder
	for _, ix := range in.Nest.Index {
		fmt.Fprintf(&b, "%v;", ix.Extent)
	}
	return "[" + b.String()
}

// add makes in a part of g, unless it does not belong there.
func (j *joiner) add(g *joined, in *ir.Instr) bool {
	related := len(g.parts) == 0
	large := weight(in.Result().Type.Shape...)
	for _, a := range in.Args {
		related = related || slices.Contains(g.args, a) && weight(a.Type.Shape...) >= large/8 || g.part(a) >= 0
	}
	if !related || len(g.parts) == maxJoinedResults {
		return false
	}
	ok := true
	in.Nest.Reads(func(r *ir.Read) {
		if g.part(in.Args[r.Operand]) >= 0 {
			ok = ok && !r.Guarded && areLoops(r.Index)
		}
	})
	if !ok {
		return false
	}
	args := slices.Clone(g.args)
	number := make([]int, len(in.Args))
	for i, a := range in.Args {
		if g.part(a) >= 0 {
			continue
		}
		if number[i] = slices.Index(args, a); number[i] < 0 {
			number[i] = len(args)
			args = append(args, a)
		}
	}
	var body func(e *ir.Expr) *ir.Expr
	body = func(e *ir.Expr) *ir.Expr {
		if e.Leaf == ir.LeafRead {
			if k := g.part(in.Args[e.Read.Operand]); k >= 0 {
				return g.bodies[k]
			}
		}
		if e.Leaf != ir.NotLeaf {
			return e.RewriteReads(func(r *ir.Read) *ir.Read {
				if g.part(in.Args[r.Operand]) >= 0 {
					ok = false // an index that is computed here
					return r
				}
				clone := *r
				clone.Operand = number[r.Operand]
				return &clone
			})
		}
		clone := *e
		clone.Args = make([]*ir.Expr, len(e.Args))
		for k, a := range e.Args {
			clone.Args[k] = body(a)
		}
		return &clone
	}
	z := body(in.Nest.Body)
	nodes := size(z)
	if !ok || len(g.parts) > 0 && g.nodes+nodes > maxJoined {
		return false
	}
	g.parts, g.bodies, g.args, g.nodes = append(g.parts, in), append(g.bodies, z), args, g.nodes+nodes
	return true
}

// part returns the number of the part whose result v is, or −1.
func (g *joined) part(v *ir.Value) int {
	return slices.IndexFunc(g.parts, func(in *ir.Instr) bool { return in.Result() == v })
}

func areLoops(index []ir.Affine) bool {
	for k, ix := range index {
		if l, ok := ix.IsLoop(); !ok || l != k {
			return false
		}
	}
	return true
}

// complete appends the nest of these loops that is open.
func (j *joiner) complete(key string) {
	g := j.open[key]
	if g == nil {
		return
	}
	delete(j.open, key)
	j.order = slices.DeleteFunc(j.order, func(k string) bool { return k == key })
	for _, in := range g.parts {
		delete(j.owner, in.Result())
	}
	if len(g.parts) == 1 {
		j.body = append(j.body, g.parts[0])
		return
	}
	in := *g.parts[0]
	in.Results = nil
	var bodies []*ir.Expr
	for k, part := range g.parts {
		v := part.Result()
		outside := func(u *ir.Instr) bool { return !slices.Contains(g.parts, u) }
		if slices.Contains(j.results, v) || slices.ContainsFunc(j.users[v], outside) {
			in.Results, bodies = append(in.Results, v), append(bodies, g.bodies[k])
		}
	}
	if len(bodies) == 0 {
		return
	}
	// Operands that are read no more are dropped, so that equal nests look alike.
	to := make([]int, len(g.args))
	var args []*ir.Value
	for _, b := range bodies {
		b.Reads(func(r *ir.Read) {
			if to[r.Operand] == 0 {
				args = append(args, g.args[r.Operand])
				to[r.Operand] = len(args)
			}
		})
	}
	known := map[*ir.Expr]*ir.Expr{} // bodies share parts
	var renumber func(e *ir.Expr) *ir.Expr
	renumber = func(e *ir.Expr) *ir.Expr {
		if x := known[e]; x != nil {
			return x
		}
		x := e
		if e.Leaf != ir.NotLeaf {
			x = e.RewriteReads(func(r *ir.Read) *ir.Read {
				clone := *r
				clone.Operand = to[r.Operand] - 1
				return &clone
			})
		} else {
			clone := *e
			clone.Args = make([]*ir.Expr, len(e.Args))
			for k, a := range e.Args {
				clone.Args[k] = renumber(a)
			}
			x = &clone
		}
		known[e] = x
		return x
	}
	for k, b := range bodies {
		bodies[k] = renumber(b)
	}
	n := *in.Nest
	n.Body, in.Nest, in.Args = bodies[0], &n, args
	if len(bodies) > 1 {
		j.bodies[&in] = bodies
	}
	j.body = append(j.body, &in)
}
