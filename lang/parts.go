package lang

import (
	"fmt"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
)

// Note [Batches in parts]
//
// The pass split computes a batch in parts and refuses what cannot be. What a program can do about it is found here already, where places in its
// text are known: an example that depends on what is reduced over the batch, as behind BatchNorm; examples that are numbered over the
// batch; a loss that is no sum over examples. Reductions of what no parameter takes part in are free, and so are values that go through a cell,
// such as updated parameters.

// outlook is what a value depends on.
type outlook struct {
	trained bool      // on parameters
	sum     *ir.Instr // on the reduction over the batch of something that does; nil if on none
}

// partsCheck looks through a function whose batch is to be computed in parts.
type partsCheck struct {
	*elaborator
	parts int
	at    diag.Span // where the program says so
	found bool
}

// refuseWhole reports what in f needs the whole batch; it returns false if it finds any.
func (t *trainer) refuseWhole(f *ir.Func) bool {
	if f.Parts == 0 {
		return true
	}
	c := &partsCheck{elaborator: t.elaborator, parts: t.parts, at: t.headSpan()}
	if g := t.set.given["micro_batch"]; g != nil {
		c.at = g.name.Span()
	}
	c.function(f, make([]outlook, len(f.Params)))
	return !c.found
}

// function returns what the results of f depend on, given its parameters.
func (c *partsCheck) function(f *ir.Func, params []outlook) []outlook {
	known := map[*ir.Value]outlook{}
	for i, p := range f.Params {
		known[p] = params[i]
	}
	written := map[*ir.Value]bool{}
	for _, in := range f.Body {
		if in.Op == ir.OpWrite {
			written[in.Args[0]] = true
		}
	}
	for _, in := range f.Body {
		if c.found {
			break
		}
		all := outlook{trained: in.Op == ir.OpRead && in.Cell.Kind == ir.Param}
		args := make([]outlook, len(in.Args))
		for i, a := range in.Args {
			if args[i] = known[a]; written[a] {
				args[i].sum = nil
			}
			all.trained = all.trained || args[i].trained
			if all.sum == nil {
				all.sum = args[i].sum
			}
		}
		switch in.Op {
		case ir.OpCall:
			for i, o := range c.function(in.Call, args) {
				known[in.Results[i]] = o
			}
			continue
		case ir.OpNest:
			all = c.nest(in, all)
		case ir.OpScan:
			all = c.scan(in, all)
		case ir.OpGrad:
			if all.sum != nil && !c.linear(in.Args[0], known) {
				c.refuse(in, "this loss is no mean or sum over the examples, so its gradient is not that of its parts").Fix = "minimise a value of one example, whose mean is taken, or compute the batch as a whole"
			}
			all.sum = in
		}
		for _, r := range in.Results {
			known[r] = all
			if overBatch(r.Type.Shape...) {
				known[r] = outlook{trained: all.trained}
			}
		}
	}
	out := make([]outlook, len(f.Results))
	for i, r := range f.Results {
		out[i] = known[r]
	}
	return out
}

// overBatch reports whether one of these is the batch.
func overBatch(dims ...ir.Affine) bool {
	for _, d := range dims {
		if s, ok := d.IsSymbol(); ok && s == ir.Batch {
			return true
		}
	}
	return false
}

func (c *partsCheck) nest(in *ir.Instr, all outlook) outlook {
	loops := 0
	for _, ix := range in.Nest.Index {
		if overBatch(ix.Extent) {
			loops++
		}
	}
	if loops == 0 {
		return all
	}
	c.fromSum(in, all)
	if overBatch(in.Nest.ResultShape()...) {
		return all
	}
	if in.Nest.Combine == ir.ArgMax || in.Nest.Combine == ir.ArgMin {
		c.refuse(in, "which example of the batch is the greatest cannot be told from parts of it").Fix = "take the greatest value, max[batch], or compute the batch as a whole"
	}
	if all.trained {
		all.sum = in
	}
	return all
}

func (c *partsCheck) scan(in *ir.Instr, all outlook) outlook {
	for _, b := range in.Scan.Body.Body {
		if b.Op == ir.OpNest && in.Scan.Body != nil && !overBatch(b.Result().Type.Shape...) {
			for _, ix := range b.Nest.Index {
				if overBatch(ix.Extent) && !c.found {
					c.refuse(b, "each round of a scan reduces over the batch").Fix = "reduce over the batch after the scan, or compute the batch as a whole"
				}
			}
		}
	}
	for _, r := range in.Results {
		if overBatch(r.Type.Shape...) {
			c.fromSum(in, all)
			break
		}
	}
	return all
}

// fromSum refuses an instruction on examples that depends on a reduction over the batch.
func (c *partsCheck) fromSum(in *ir.Instr, all outlook) {
	if all.sum == nil || c.found {
		return
	}
	d := c.refuse(in, "%s needs the whole batch: an example depends on what is reduced over all of them", c.subject(in))
	c.relate(d, c.spanOf(all.sum.Loc), "it is reduced over the batch here")
	d.Fix = "use what looks at one example only, such as LayerNorm or GroupNorm in place of BatchNorm, or compute the batch as a whole"
}

// subject is what a message calls the place of an instruction.
func (c *partsCheck) subject(in *ir.Instr) string {
	if i := c.layerAt(in.Loc.Scope); i != "" {
		return i
	}
	return "this"
}

// layerAt describes the layer of that path; "" outside layers.
func (c *partsCheck) layerAt(path string) string {
	for _, i := range c.instances {
		if i.path == path && i.role == predicts && i.model == nil && i.recipe != nil {
			return i.recipe.layer.decl.Name.Name + ", the layer " + path + ","
		}
	}
	return ""
}

// linear reports whether v is a sum of reductions over the batch, each times what no parameter takes part in, and of others.
func (c *partsCheck) linear(v *ir.Value, known map[*ir.Value]outlook) bool {
	in := v.Def
	if in == nil || known[v].sum == nil || known[v].sum == in {
		return true
	}
	if in.Op == ir.OpNest && (in.Nest.Combine != ir.Map && in.Nest.Combine != ir.Sum || degree(in.Nest.Body, func(k int) bool { return known[in.Args[k]].sum != nil }) > 1) {
		return false
	}
	for _, a := range in.Args {
		if !c.linear(a, known) {
			return false
		}
	}
	return true
}

// degree is that of e as a polynomial in the operands that of chooses; 2 stands for all that is not linear.
func degree(e *ir.Expr, of func(operand int) bool) int {
	if e.Leaf != ir.NotLeaf {
		if e.Leaf == ir.LeafRead && of(e.Read.Operand) {
			return 1
		}
		return 0
	}
	sum, most := 0, 0
	for _, a := range e.Args {
		n := degree(a, of)
		sum, most = sum+n, max(most, n)
	}
	switch e.Op {
	case ir.OpAdd, ir.OpSub, ir.OpNeg:
		return most
	case ir.OpMul:
		return min(sum, 2)
	case ir.OpDiv:
		if degree(e.Args[1], of) == 0 {
			return most
		}
	case ir.OpSelect:
		if degree(e.Args[0], of) == 0 {
			return most
		}
	}
	if most > 0 {
		return 2
	}
	return 0
}

// refuse reports that an instruction needs the whole batch.
func (c *partsCheck) refuse(in *ir.Instr, format string, args ...any) *diag.Diagnostic {
	c.found = true
	d := c.report(c.spanOf(in.Loc), diag.Span{}, diag.NeedsWholeBatch, fmt.Sprintf(format, args...))
	c.relate(d, c.at, "batches are computed in parts of %d here", c.parts)
	return d
}

// spanOf is the place of instructions in the text.
func (e *elaborator) spanOf(l ir.Loc) diag.Span {
	return e.spans[place{l.File, l.Line, l.Col}]
}

// place is a position in a file.
type place struct {
	file      string
	line, col int
}

// note remembers the text that instructions at a place come from: the shortest, which is the name of a layer and not all that it is applied to.
func (e *elaborator) note(l ir.Loc, at diag.Span) {
	k := place{l.File, l.Line, l.Col}
	if old, known := e.spans[k]; !known || at.End-at.Start < old.End-old.Start {
		e.spans[k] = at
	}
}
