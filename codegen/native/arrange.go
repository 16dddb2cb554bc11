package native

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// arrange returns f, whose nests are fused, with its contractions prepared and the nests in its scans fused. The copies that contractions want are instructions of their own: equal
// ones are made once, and those of what a scan does not change are made before it, so that a body may use values of the function around it.
//
// least is the size that symbols have at least; kept is what is read later. Convolutions that Winograd's algorithm computes stay as they are, with their epilogues.
// The sums that updates are computed from are taken out of the body.
func (l *lowering) arrange(
	f *ir.Func, least int, epilogues map[*ir.Instr]*epilogue, unpooled map[*ir.Value]*unpooled, kept []*ir.Value, fromSums map[*ir.Instr]*update,
) *ir.Func {
	a := &arranger{lowering: l, least: least, epilogues: epilogues, fromSums: fromSums, made: map[string]*ir.Value{}, fixed: fixedValues(f), slices: map[*ir.Value]*slice{}}
	g := *f
	a.instrs(g.Body)
	keep := func(in *ir.Instr) bool { return epilogues[in] != nil }
	kept = slices.Concat(kept, a.later)
	g.Body = l.assemble(l.join(a.withoutSlices(kept, unpooled), kept, unpooled, keep), kept, unpooled, keep)
	g.Body = l.follow(g.Body, least, kept, unpooled, keep)
	return &g
}

// leastSymbols returns the size that the symbols of f are taken to have at least. Predictions are often of one example, but what changes cells
// trains on batches.
func leastSymbols(f *ir.Func) int {
	if slices.ContainsFunc(f.Body, func(in *ir.Instr) bool { return in.Op == ir.OpWrite }) {
		return assumed
	}
	return 1
}

type arranger struct {
	*lowering
	least     int
	epilogues map[*ir.Instr]*epilogue
	fromSums  map[*ir.Instr]*update // the updates that are computed from a nest's sums: it is no instruction of its own then
	later     []*ir.Value           // what updates read
	body      []*ir.Instr
	made      map[string]*ir.Value // copies, by what they are and of what
	fixed     map[*ir.Value]bool   // what stays the same between calls
	slices    map[*ir.Value]*slice

	around *arranger               // of the function that holds the scan whose body this is
	rounds int                     // of the scan
	same   map[*ir.Value]*ir.Value // what is the same in every round of the scan: what it is around it
}

func (a *arranger) instrs(body []*ir.Instr) {
	for _, in := range body {
		switch {
		case in.Op == ir.OpNest && a.epilogues[in] == nil && a.byWinograd(in) == nil:
			a.nest(in)
		case in.Op == ir.OpScan:
			a.scan(in)
		default:
			a.body = append(a.body, in)
		}
		a.note(in)
	}
}

// nest appends the instructions that compute a nest.
func (a *arranger) nest(in *ir.Instr) {
	types := make([]ir.Type, len(in.Args))
	for k, v := range in.Args {
		types[k] = v.Type
	}
	values := slices.Clone(in.Args)
	repeats := make([]int, len(in.Args))
	for k, v := range in.Args {
		repeats[k] = a.repeats(v)
	}
	for _, part := range a.prepare(in.Nest, types, repeats) {
		args := make([]*ir.Value, len(part.args))
		for k, n := range part.args {
			args[k] = values[n]
		}
		n, args := a.through(part.nest, args)
		if part.temporary {
			values = append(values, a.copy(n, args, in.Loc))
			continue
		}
		last := *in
		last.Nest, last.Args = n, args
		if u := a.fromSums[in]; u != nil && a.canUpdate(&last) {
			u.product = &last
			a.later = append(append(a.later, args...), in.Args...) // proofs ask for the largest of these
			continue
		}
		a.body = append(a.body, &last)
	}
}

// repeats returns how often what reads v is computed while v stays the same.
func (a *arranger) repeats(v *ir.Value) int {
	switch outside := a.same[v]; {
	case a.fixed[v]:
		return keptRepeats
	case outside != nil:
		return min(keptRepeats, a.rounds*a.around.repeats(outside))
	}
	return 1
}

// fixedValues returns the values of cells in a function that changes none: they, and what is computed of them alone, stay the same between
// calls. A cell of bf16 is read as it is.
func fixedValues(f *ir.Func) map[*ir.Value]bool {
	fixed, changes := map[*ir.Value]bool{}, false
	eachCell(f, func(_ *ir.Cell, write bool) { changes = changes || write })
	for _, in := range f.Body {
		if in.Op == ir.OpRead && !in.Cell.Half && !changes {
			fixed[in.Result()] = true
		}
	}
	return fixed
}

// copy returns the value of a nest, which is made unless there is an equal one.
func (a *arranger) copy(n *ir.Nest, args []*ir.Value, loc ir.Loc) *ir.Value {
	if a.around != nil {
		outside := make([]*ir.Value, len(args))
		for k, v := range args {
			outside[k] = a.same[v]
		}
		if !slices.Contains(outside, nil) {
			z := a.around.copy(n, outside, loc)
			a.same[z] = z
			return z
		}
	}
	types := make([]ir.Type, len(args))
	key := ""
	for k, v := range args {
		types[k] = v.Type
		key += fmt.Sprintf("%p ", v)
	}
	key += nestKey(n, []*ir.Expr{n.Body}, types)
	if v := a.made[key]; v != nil {
		return v
	}
	in := &ir.Instr{Op: ir.OpNest, Nest: n, Args: args, Loc: loc}
	z := &ir.Value{Type: ir.Type{DType: n.ResultDType(), Shape: n.ResultShape()}, Def: in}
	in.Results = []*ir.Value{z}
	a.body = append(a.body, in)
	a.made[key] = z
	a.fixed[z] = !slices.ContainsFunc(args, func(v *ir.Value) bool { return !a.fixed[v] })
	return z
}

// scan appends a scan with its body arranged.
func (a *arranger) scan(in *ir.Instr) {
	sc := *in.Scan
	body := a.fuse(sc.Body)
	inner := &arranger{lowering: a.lowering, least: a.least, made: map[string]*ir.Value{}, fixed: map[*ir.Value]bool{}, slices: map[*ir.Value]*slice{}, around: a, same: map[*ir.Value]*ir.Value{}}
	inner.rounds = int(weight(sc.Trip))
	for k, v := range body.Params {
		if k > sc.Carried+sc.Slices {
			inner.same[v] = in.Args[k-1]
		}
	}
	inner.instrs(body.Body)
	keep := func(*ir.Instr) bool { return false }
	assembled := a.assemble(a.join(inner.withoutSlices(body.Results, nil), body.Results, nil, keep), body.Results, nil, keep)
	body.Body = a.follow(assembled, a.least, body.Results, nil, keep)
	sc.Body = body
	last := *in
	last.Scan = &sc
	a.body = append(a.body, &last)
}
