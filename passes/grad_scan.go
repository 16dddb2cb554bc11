package passes

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Note [Gradients of scans]
//
// The gradient of a scan is a scan through the same rounds in the other order: back-propagation through time.
//
//   - Its carried values are the cotangents of the carried values, as far as they are f32 and something flows through them.
//   - Its sequences are the scan's own, the cotangents of its yields, and values of each round that the scan now yields as well:
//     the carried values as the round found them, and what is dear to compute, sums over many points and functions such as tanh. The body computes the
//     rest of the round again.
//   - Its yields are the cotangents of the sequences.
//   - An operand that all rounds use unchanged, such as a kernel, is not given a carried sum. Each part of its cotangent is a nest over
//     values of the round (see flow); these are stacked, and outside the scan one nest with one more index, the round, computes the sum
//     over all rounds. For a kernel that is one large contraction over examples and rounds.
//   - Own lengths stay: in a round after its end, an example's cotangents pass through unchanged, and nothing flows from it.
//
// What the passes hoist and dce leave decides how lean the result is; it is right without the latter.
//
// Source: Werbos, "Backpropagation through time", 1990; keeping some values and computing others again is checkpointing,
// Griewank and Walther 2008, chapter 12; weight gradients outside the loop follow Appleyard et al., "Optimizing Performance of
// Recurrent Neural Networks on GPUs", 2016.

// loop is what the sweep through the body of a scan knows of the scan.
type loop struct {
	unchanged map[*ir.Value]bool // operands that all rounds share, as parameters of the backward body
	left      []flow             // what flows to them
}

// source tells where a value of the backward body is found outside: it is value, of which each round has its own slice if it is
// stacked, behind lead more dimensions of 1.
type source struct {
	value   *ir.Value
	stacked bool
	lead    int
}

// scanReverse is the reversal of one scan.
type scanReverse struct {
	*reverse                         // of the function around the scan
	inner    *reverse                // of the body
	in       *ir.Instr               // the scan
	args     []*ir.Value             // its operands without the lengths
	inside   map[*ir.Value]*ir.Value // values of its body in the backward body

	back     *ir.Scan    // the backward scan
	operands []*ir.Value // its operands
	sources  map[*ir.Value]source
	counter  *ir.Value               // a parameter of its body
	lengths  *ir.Value               // the operand, or nil
	ended    *ir.Value               // the lengths as a parameter of its body
	yields   map[*ir.Value]*ir.Value // what the scan yields now for the backward scan, by the values of its body
}

// scan adds to the cotangents of a scan's operands, see Note [Gradients of scans].
func (r *reverse) scan(in *ir.Instr) error {
	s, f := in.Scan, in.Scan.Body
	for _, c := range f.Body {
		if c.Scan != nil && len(effectsOf(c).writes) > 0 {
			return fmt.Errorf("%s: no gradient through a scan that changes state inside another one", place(c.Loc))
		}
	}
	b := &scanReverse{
		reverse: r, in: in, args: in.Args,
		inner: &reverse{
			Builder: ir.NewFunc(""), same: substitution{}, cotangent: map[*ir.Value]*ir.Value{}, chosen: map[*ir.Value]bool{},
			loop: &loop{unchanged: map[*ir.Value]bool{}},
		},
		inside: map[*ir.Value]*ir.Value{}, sources: map[*ir.Value]source{}, yields: map[*ir.Value]*ir.Value{},
		back: &ir.Scan{Trip: s.Trip, Axis: s.Axis, Reversed: !s.Reversed, Length: s.Length},
	}
	b.inner.Loc = in.Loc
	if s.Length {
		b.args, b.lengths = in.Args[:len(in.Args)-1], in.Args[len(in.Args)-1]
	}
	carries := b.carries()
	seeds := b.params(carries)
	body := b.again()

	var ys, xs []*ir.Value
	for i, seed := range seeds {
		if seed != nil {
			ys = append(ys, b.inside[f.Results[i]])
		}
	}
	for i, a := range b.args {
		if r.active[r.same.of(a)] || i < s.Carried && carries[i] {
			xs = append(xs, b.inside[f.Params[1+i]])
		}
	}
	b.inner.findActive(body, ys, xs)
	for i, seed := range seeds {
		if seed != nil {
			b.inner.add(b.inside[f.Results[i]], b.running(seed))
			b.inner.chosen[b.inside[f.Results[i]]] = r.chosen[in.Results[i]] || i < s.Carried && selects(f)
		}
	}
	if err := b.inner.sweep(body); err != nil {
		return err
	}
	b.results(carries)
	return nil
}

// carries tells for each carried value whether something flows through it from round to round.
func (b *scanReverse) carries() []bool {
	s, f := b.in.Scan, b.in.Scan.Body
	depends, reached, out := map[*ir.Value]bool{}, map[*ir.Value]bool{}, make([]bool, s.Carried)
	for i, a := range b.args {
		depends[f.Params[1+i]] = b.active[b.same.of(a)]
	}
	for i, r := range f.Results {
		if b.cotangent[b.in.Results[i]] != nil {
			reached[r] = true
		}
	}
	for again := true; again; {
		again = false
		b.inner.spread(f.Body, depends)
		b.inner.trace(f.Body, reached)
		for i, p := range f.Params[1 : 1+s.Carried] {
			if depends[f.Results[i]] && !depends[p] {
				depends[p], again = true, true
			}
			if reached[p] && !reached[f.Results[i]] {
				reached[f.Results[i]], again = true, true
			}
			out[i] = p.Type.DType == tensor.F32 && depends[p] && (reached[p] || b.cotangent[b.in.Results[i]] != nil)
		}
	}
	return out
}

// params adds the parameters of the backward body with their operands, and returns the cotangents of the body's results among
// them.
func (b *scanReverse) params(carries []bool) (seeds []*ir.Value) {
	s, f := b.in.Scan, b.in.Scan.Body
	seeds = make([]*ir.Value, len(f.Results))
	b.counter = b.inner.Param(f.Params[0].Name, f.Params[0].Type)
	b.inside[f.Params[0]] = b.counter
	for i, p := range f.Params[1 : 1+s.Carried] {
		if carries[i] {
			d := b.cotangent[b.in.Results[i]]
			if d == nil {
				d = b.fill(p.Type, 0)
			}
			seeds[i] = b.inner.Param("d"+p.Name, p.Type)
			b.operands = append(b.operands, d)
			b.back.Carried++
		}
	}
	slice := func(name string, t ir.Type, stacked *ir.Value, lead int) *ir.Value {
		b.back.Slices++
		b.operands = append(b.operands, stacked)
		p := b.inner.Param(name, ir.Type{DType: t.DType, Shape: behind(lead, t.Shape)})
		b.sources[p] = source{stacked, true, 0}
		return p
	}
	for i, p := range f.Params[1+s.Carried:][:s.Slices] {
		b.inside[p] = slice(p.Name, p.Type, b.in.Args[s.Carried+i], 0)
	}
	for i := s.Carried; i < len(f.Results); i++ {
		if d := b.cotangent[b.in.Results[i]]; d != nil {
			seeds[i] = slice("d"+f.Results[i].Name, f.Results[i].Type, d, 0)
		}
	}
	type shaped struct{ value, slice *ir.Value }
	var reshaped []shaped
	for _, v := range b.toSave() {
		lead := b.lead(v.Type)
		p := slice(v.Name, v.Type, b.yield(v, lead), lead)
		if b.inside[v] = p; lead > 0 {
			reshaped = append(reshaped, shaped{v, p})
		}
	}
	for i, a := range b.args[s.Carried+s.Slices:] {
		p := f.Params[1+s.Carried+s.Slices+i]
		u := b.inner.Param(p.Name, p.Type)
		b.inside[p], b.sources[u], b.inner.loop.unchanged[u] = u, source{value: a}, true
		b.operands = append(b.operands, a)
	}
	if b.lengths != nil {
		b.ended = b.inner.Param("lengths", b.lengths.Type)
		b.sources[b.ended] = source{value: b.lengths}
		b.operands = append(b.operands, b.lengths)
		if len(f.Params) == 1+len(b.in.Args) {
			b.inside[f.Params[len(f.Params)-1]] = b.ended
		}
	}
	for _, x := range reshaped {
		v := b.inner.Reshape(x.slice, x.value.Type.Shape...)
		b.inside[x.value], b.sources[v] = v, source{b.sources[x.slice].value, true, b.lead(x.value.Type)}
	}
	return seeds
}

// toSave lists the values of the body that the backward scan gets instead of computing them again: the carried values as the round
// found them, sums over many points, and cells that the body writes.
func (b *scanReverse) toSave() []*ir.Value {
	f := b.in.Scan.Body
	list := slices.Clone(f.Params[1 : 1+b.in.Scan.Carried])
	for _, c := range f.Body {
		if c.Op == ir.OpRead || c.Op == ir.OpNest && (c.Nest.Combine != ir.Map || isDear(c.Nest.Body)) {
			list = append(list, c.Result())
		}
	}
	return list
}

// isDear reports whether e has ops that cost more than to read a value.
func isDear(e *ir.Expr) bool {
	dear := false
	e.Walk(func(e *ir.Expr) {
		switch {
		case e.Leaf != ir.NotLeaf:
		case slices.Contains([]ir.Op{
			ir.OpExp, ir.OpExpm1, ir.OpLog, ir.OpLog1p, ir.OpSin, ir.OpCos, ir.OpTanh, ir.OpErf, ir.OpPow, ir.OpSigmoid,
		}, e.Op):
			dear = true
		}
	})
	return dear
}

// lead is the number of dimensions of 1 that a value needs in front to be stacked: without examples it has too few
// dimensions, or would be cut off where an example ends.
func (b *scanReverse) lead(t ir.Type) int {
	lead := max(0, b.back.Axis-len(t.Shape))
	if b.lengths != nil && !b.byExample(t.Shape) {
		lead = max(lead, 1)
	}
	return lead
}

func (b *scanReverse) byExample(shape []ir.Affine) bool {
	return b.lengths != nil && len(shape) > 0 && shape[0].Equal(b.lengths.Type.Shape[0])
}

func behind(lead int, shape []ir.Affine) []ir.Affine {
	return slices.Concat(slices.Repeat([]ir.Affine{ir.Int(1)}, lead), shape)
}

// yield returns the result of the scan that holds value v of its body stacked, which is a new one if need be. A new one belongs
// to the scan only once extend adds it.
func (b *scanReverse) yield(v *ir.Value, lead int) *ir.Value {
	s := b.in.Scan
	for i := s.Carried; i < len(s.Body.Results) && lead == 0; i++ {
		if s.Body.Results[i] == v {
			return b.in.Results[i]
		}
	}
	if b.yields[v] == nil {
		b.yields[v] = &ir.Value{Type: b.stacked(v.Type, lead), Def: b.in}
	}
	return b.yields[v]
}

// stacked is the type of a yield of type t.
func (b *scanReverse) stacked(t ir.Type, lead int) ir.Type {
	return ir.Type{DType: t.DType, Shape: slices.Insert(behind(lead, t.Shape), b.back.Axis, b.back.Trip)}
}

// again copies into the backward body what it computes again, and returns the instructions to sweep through: these, and those whose
// results are saved.
func (b *scanReverse) again() []*ir.Instr {
	var body []*ir.Instr
	for _, c := range b.in.Scan.Body.Body {
		if c.Op == ir.OpWrite {
			continue
		}
		var kept *ir.Value
		if len(c.Results) == 1 {
			kept = b.inside[c.Results[0]]
		}
		clone := copyInstr(c, b.inside, nil)
		if kept != nil {
			clone.Results, b.inside[c.Results[0]] = []*ir.Value{kept}, kept
		} else {
			b.inner.Func.Body = append(b.inner.Func.Body, clone)
		}
		body = append(body, clone)
	}
	return body
}

// running is v, a cotangent of one of the body's results, with zeros for the examples that have ended.
func (b *scanReverse) running(v *ir.Value) *ir.Value {
	if !b.byExample(v.Type.Shape) {
		return v
	}
	at := ir.Loops(0, len(v.Type.Shape))
	goesOn := ir.Apply(ir.OpLess, ir.ReadOf(tensor.I32, 1), ir.ReadOf(tensor.I32, 2, at[0]))
	return b.inner.Nest(&ir.Nest{
		Combine: ir.Map, Index: ir.Indices(v.Type.Shape), Out: len(at),
		Body: ir.Apply(ir.OpSelect, goesOn, ir.ReadOf(tensor.F32, 0, at...), ir.F32(0)),
	}, v, b.counter, b.ended)
}

// markChosen notes that the cotangent of an operand has zeros of sides not chosen if that of its parameter has, see Note [Sides not chosen].
func (b *scanReverse) markChosen(operand, p *ir.Value) {
	x := b.same.of(operand)
	b.chosen[x] = b.chosen[x] || b.inner.chosen[b.inside[p]]
}

// selects reports whether a nest of f chooses: then the cotangent of a carried value may have zeros of sides not chosen from later rounds.
func selects(f *ir.Func) bool {
	found := false
	for _, in := range f.Body {
		if in.Op == ir.OpNest {
			in.Nest.Body.Walk(func(e *ir.Expr) { found = found || e.Leaf == ir.NotLeaf && e.Op == ir.OpSelect })
		}
	}
	return found
}

// results adds the backward scan and what flows from it.
func (b *scanReverse) results(carries []bool) {
	s, f := b.in.Scan, b.in.Scan.Body
	type target struct{ operand, result *ir.Value }
	var targets []target
	for i, p := range f.Params[1 : 1+s.Carried] {
		if carries[i] {
			d := b.inner.cotangent[b.inside[p]]
			if d == nil {
				d = b.inner.fill(p.Type, 0)
			}
			b.inner.Return("", d)
			targets = append(targets, target{b.in.Args[i], &ir.Value{Type: p.Type}})
			b.markChosen(b.in.Args[i], p)
		}
	}
	for i, p := range f.Params[1+s.Carried:][:s.Slices] {
		if d := b.inner.cotangent[b.inside[p]]; d != nil {
			b.inner.Return("", d)
			targets = append(targets, target{b.in.Args[s.Carried+i], &ir.Value{Type: b.stacked(p.Type, 0)}})
			b.markChosen(b.in.Args[s.Carried+i], p)
		}
	}
	for i, a := range b.args[s.Carried+s.Slices:] {
		b.markChosen(a, f.Params[1+s.Carried+s.Slices+i])
	}
	back := &ir.Instr{Op: ir.OpScan, Loc: b.in.Loc, Scan: b.back, Args: b.operands}
	for _, t := range targets {
		back.Results = append(back.Results, t.result)
	}
	left := make([]flow, len(b.inner.loop.left))
	for i, l := range b.inner.loop.left {
		left[i] = b.allRounds(l, back)
	}
	b.back.Body = b.inner.Func
	used := map[*ir.Value]bool{}
	for _, v := range back.Results {
		v.Def, used[v] = back, true
	}
	dropFromScan(back, used)
	for _, a := range back.Args {
		used[a] = true
	}
	for _, l := range left {
		for _, a := range l.args {
			used[a] = true
		}
	}
	b.extend(used)
	if len(back.Results) > 0 {
		b.Func.Body = append(b.Func.Body, back)
	}
	for _, t := range targets {
		b.add(t.operand, b.padded(t.result, t.operand.Type.Shape))
	}
	for _, l := range left {
		b.flow(l)
	}
}

// extend lets the scan yield what is used of the values to save.
func (b *scanReverse) extend(used map[*ir.Value]bool) {
	s := *b.in.Scan
	f := ir.Builder{Func: &ir.Func{}, Loc: b.in.Loc}
	*f.Func = *s.Body
	f.Func.Body = slices.Clone(s.Body.Body)
	f.Func.Results, f.Func.ResultNames = slices.Clone(s.Body.Results), slices.Clone(s.Body.ResultNames)
	b.in.Results = slices.Clone(b.in.Results)
	for _, v := range b.toSave() {
		stacked := b.yields[v]
		if stacked == nil || !used[stacked] {
			continue
		}
		if lead := b.lead(v.Type); lead > 0 {
			v = f.Reshape(v, behind(lead, v.Type.Shape)...)
		}
		f.Return("", v)
		b.in.Results = append(b.in.Results, stacked)
	}
	s.Body = f.Func
	b.in.Scan = &s
}

// padded is v with zeros for the elements of a sequence behind the last round.
func (b *scanReverse) padded(v *ir.Value, shape []ir.Affine) *ir.Value {
	if v.Type.Equal(ir.Type{DType: v.Type.DType, Shape: shape}) {
		return v
	}
	at := ir.Loops(0, len(shape))
	return b.Nest(&ir.Nest{Combine: ir.Map, Index: ir.Indices(shape), Out: len(at), Body: ir.ReadElse(v.Type.DType, 0, 0, at...)}, v)
}

// allRounds turns what flows to an operand in one round into the sum over all rounds, outside the loop. Values of the backward
// body that it needs become results of back.
//
// A function of the elements of the result is computed inside, so that only its values are stacked and others may share them. A
// product of two values of the round is not: outside, it is a part of a contraction.
func (b *scanReverse) allRounds(l flow, back *ir.Instr) flow {
	if len(l.at) == len(l.nest.Index) && areLoops(l.at) && !isProduct(l.nest.Body) {
		inside, args := compact(&ir.Nest{
			Combine: ir.Map, Index: l.nest.Index, Out: len(l.at), Guards: l.nest.Guards, Body: l.nest.Body,
		}, l.args)
		l.args = append(slices.Clone(l.args), b.inner.Nest(inside, args...))
		sum := *l.nest
		sum.Body = ir.ReadOf(tensor.F32, len(l.args)-1, l.at...)
		l.nest = &sum
	}
	n := *l.nest
	round := ir.Loop(len(n.Index))
	n.Index = append(slices.Clone(n.Index), ir.Index{Name: "round", Extent: b.back.Trip})
	if n.Combine = ir.Sum; n.Write == nil && l.nest.Combine == ir.Map {
		n.Out = len(l.nest.Index)
	}
	args := make([]*ir.Value, len(l.args))
	froms := make([]source, len(l.args))
	for i, a := range l.args {
		if a != b.counter && reads(l.nest, i) {
			froms[i] = b.source(a, back)
			args[i] = froms[i].value
		}
	}
	isCounter := func(r *ir.Read) bool { return l.args[r.Operand] == b.counter }
	counted := n.Rewrite(func(a ir.Atom) (ir.Affine, bool) { return round, a.Kind == ir.AtomLoad && isCounter(a.Load) })
	counted.Body = counted.Body.Rewrite(func(e *ir.Expr) *ir.Expr {
		if e.Leaf == ir.LeafRead && isCounter(e.Read) {
			return ir.IndexValue(round)
		}
		return e
	})
	outside := counted.RewriteReads(func(r *ir.Read) *ir.Read {
		clone := *r
		if from := froms[r.Operand]; from.stacked {
			clone.Index = slices.Insert(slices.Concat(make([]ir.Affine, from.lead), r.Index), b.back.Axis, round)
		}
		return &clone
	})
	if b.byExample(l.shape) && !isProduct(n.Body) {
		if i, ok := l.at[0].IsLoop(); ok { // values of ended examples are zeros, by which the body may divide
			args = append(args, b.lengths)
			length := &ir.Read{Operand: len(args) - 1, Index: []ir.Affine{ir.Loop(i)}}
			outside.Guards = append(outside.Guards, ir.Guard{E: round, Limit: ir.LoadIndex(length)})
		}
	}
	outside, args = compact(outside, args)
	return flow{b.same.of(b.sources[l.x].value), outside, args, l.at, l.shape}
}

func reads(n *ir.Nest, operand int) bool {
	found := false
	n.Reads(func(r *ir.Read) { found = found || r.Operand == operand })
	return found
}

// areLoops reports whether at are the loop indices in order.
func areLoops(at []ir.Affine) bool {
	for k, ix := range at {
		if i, ok := ix.IsLoop(); !ok || i != k {
			return false
		}
	}
	return true
}

func isProduct(e *ir.Expr) bool {
	for _, x := range factors(e, nil) {
		if x.Leaf == ir.NotLeaf {
			return false
		}
	}
	return true
}

// source finds value v of the backward body outside, where back yields it if need be.
func (b *scanReverse) source(v *ir.Value, back *ir.Instr) source {
	if s, ok := b.sources[v]; ok {
		return s
	}
	lead := b.lead(v.Type)
	s := source{&ir.Value{Type: b.stacked(v.Type, lead), Def: back}, true, lead}
	y := v
	if lead > 0 {
		y = b.inner.Reshape(v, behind(lead, v.Type.Shape)...)
	}
	b.inner.Return("", y)
	back.Results = append(back.Results, s.value)
	b.sources[v] = s
	return s
}
