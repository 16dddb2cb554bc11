package passes

import (
	"fmt"
	"math"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// StepSuffix is what Step adds to a function's name.
const StepSuffix = ".step"

// Step derives, from a function of a whole text, the function of one more unit of it: what f computes in row p, given unit p and what is
// remembered of the units before. It is no pass of the pipeline, since only `nnc generate` needs it; it runs on what the pipeline leaves.
//
// The function takes the text, i32[1, t], and its length, i32[1], and returns rows, [1, t, …]. Its step takes the unit, i32[1], and its
// place p, i32[], and returns row p. Places go up from 0, where everything begins anew; they stay below capacity.
//
// The rule: a loop over the text that is a dimension of the result is the row, and becomes p. Then
//
//   - a read in the same row is a read of what the step computes;
//   - a read in another loop over the text, or in a row before, is a read of a cache, a cell in which the step stores its row: keys and
//     values of attention;
//   - a scan through the text is one round of its body, its carried values being cells;
//   - what does not depend on the text stays as it is.
//
// A row may not depend on later units, since these are not known when it is computed and stored. That is proved where a loop runs over all
// units: beyond the row its points must be the combiner's identity, as behind a causal mask, where −∞ leads to weights of 0. (0·x is taken
// to be 0, since parameters and activations are finite.) So it does not matter that a cache holds zeros there, or rows of an earlier text.
//
// A cache has the text's dimension where its value has it. Where the first to read it computes something for each unit, such as the scores of
// attention, that dimension is the last one instead, so that neighbouring units lie in neighbouring elements.
//
// Several units that a text begins with need not be given one by one: the function that Step returns second takes them as a whole, with the parameters
// of f and a t up to capacity, leaves in the cells what the step would have left (see prefill), and returns the last row, [1, …].
//
// Source: finite differencing of a loop, Paige and Koenig, TOPLAS 1982; for attention the cache of keys and values, Shazeer 2019.
//
// Errors: what in f cannot be computed from the past alone.
func Step(m *ir.Module, name string, capacity int) (step, prefill *ir.Func, err error) {
	f := m.Func(name)
	s := &stepper{
		m: m, f: f, capacity: capacity, b: ir.NewFunc(name + StepSuffix), text: f.Params[0], length: f.Params[1],
		row: map[*ir.Value]*ir.Value{}, caches: map[*ir.Value]*cache{}, beyond: map[*ir.Value]float64{}, whole: map[*ir.Value]bool{},
	}
	s.time = s.text.Type.Shape[1]
	s.row[s.text] = s.b.Param("unit", ir.Type{DType: tensor.I32, Shape: []ir.Affine{ir.Int(1)}})
	s.place = s.b.Param("place", ir.Scalar(tensor.I32))
	for _, in := range f.Body {
		if err := s.instr(in); err != nil {
			if in.Loc.File != "" {
				err = fmt.Errorf("%s:%d:%d: %w", in.Loc.File, in.Loc.Line, in.Loc.Col, err)
			}
			return nil, nil, err
		}
	}
	for i, r := range f.Results {
		if s.whole[r] || len(s.times(r)) != 1 || !r.Type.Shape[1].Equal(s.time) {
			return nil, nil, fmt.Errorf("result %d is no row for each unit of the text", i+1)
		}
		s.b.Return(f.ResultNames[i], s.row[r])
	}
	for _, k := range s.kept {
		m.AddCell(k.cell)
	}
	if prefill, err = s.prefill(); err != nil {
		return nil, nil, err
	}
	return m.AddFunc(s.b.Func), m.AddFunc(prefill), nil
}

// stepper derives a step.
type stepper struct {
	m        *ir.Module
	f        *ir.Func
	b        *ir.Builder
	capacity int

	text, length *ir.Value // of f
	time         ir.Affine // the dimension that is the text's
	place        *ir.Value // of the step

	row    map[*ir.Value]*ir.Value // by value of f: the step's row of it, or the same where it does not depend on the text
	caches map[*ir.Value]*cache    // the rows so far, including this one
	beyond map[*ir.Value]float64   // what a value of two dimensions over the text is where the second is greater than the first
	whole  map[*ir.Value]bool      // values that no row has: they depend on all units
	kept   []remembered
}

// cache is the rows of a value, along dimension axis.
type cache struct {
	rows *ir.Value
	axis int
}

// remembered is a cell, and what it has after a text: the rows of a value of f, along dimension axis, or what a scan of f carried last.
type remembered struct {
	cell *ir.Cell
	of   *ir.Value
	axis int
}

// times lists the dimensions of v that run over the text.
func (s *stepper) times(v *ir.Value) []int {
	var at []int
	for k, d := range v.Type.Shape {
		if d.Equal(s.time) {
			at = append(at, k)
		}
	}
	return at
}

// dependsOnTime reports whether a dimension has to do with the text's length without being it.
func (s *stepper) dependsOnTime(d ir.Affine) bool {
	found := false
	d.Rewrite(func(a ir.Atom) (ir.Affine, bool) {
		found = found || a.Kind == ir.AtomSymbol && a.Symbol == s.time.Terms[0].Atom.Symbol
		return ir.Affine{}, false
	})
	return found && !d.Equal(s.time)
}

func (s *stepper) instr(in *ir.Instr) error {
	for _, r := range in.Results {
		for _, d := range r.Type.Shape {
			if s.dependsOnTime(d) {
				return fmt.Errorf("a dimension is %s, which is not the text's length", d)
			}
		}
		if len(s.times(r)) > 2 {
			return fmt.Errorf("a value has %d dimensions over the text", len(s.times(r)))
		}
	}
	timed := slices.ContainsFunc(in.Results, func(v *ir.Value) bool { return len(s.times(v)) > 0 })
	for _, a := range in.Args {
		if s.whole[a] {
			return fmt.Errorf("this depends on all of the text")
		}
		timed = timed || len(s.times(a)) > 0
	}
	s.b.Loc = in.Loc
	switch {
	case in.Op == ir.OpNest && (timed || slices.ContainsFunc(in.Nest.Index, func(x ir.Index) bool { return x.Extent.Equal(s.time) })):
		return s.nest(in)
	case in.Op == ir.OpScan && in.Scan.Trip.Equal(s.time):
		return s.scan(in)
	case in.Op == ir.OpReshape && timed:
		return s.reshape(in)
	case timed || in.Op == ir.OpWrite || in.Op == ir.OpCall || in.Op == ir.OpGrad || in.Op == ir.OpScan && len(effectsOf(in).writes) > 0:
		return fmt.Errorf("%s cannot be computed unit by unit", in.Op)
	}
	for _, a := range in.Args {
		if a == s.length {
			return fmt.Errorf("this depends on the text's length")
		}
	}
	s.b.Func.Body = append(s.b.Func.Body, copyInstr(in, s.row, nil))
	return nil
}

// nest derives the row of a nest.
func (s *stepper) nest(in *ir.Instr) error {
	n := in.Nest
	if n.Write != nil {
		return fmt.Errorf("a scatter cannot be computed unit by unit")
	}
	row := -1
	var past []int
	for k, x := range n.Index {
		switch {
		case s.dependsOnTime(x.Extent):
			return fmt.Errorf("a loop runs to %s, which is not the text's length", x.Extent)
		case !x.Extent.Equal(s.time):
		case row < 0 && k < n.Out:
			row = k
		default:
			past = append(past, k)
		}
	}
	if row < 0 {
		for _, r := range in.Results {
			s.whole[r] = true
		}
		return nil
	}
	if err := s.checkCausal(in, row, past); err != nil {
		return err
	}
	rewritten := *n
	rewritten.Guards = slices.DeleteFunc(slices.Clone(n.Guards), func(g ir.Guard) bool {
		// The row is one of the text's, and what lies beyond it makes no difference.
		k, ok := g.E.IsLoop()
		return ok && (k == row || slices.Contains(past, k)) && s.isLength(g.Limit, in.Args)
	})
	for _, g := range rewritten.Guards {
		if s.readsLength(g.E, in.Args) || s.readsLength(g.Limit, in.Args) {
			return fmt.Errorf("this depends on the text's length")
		}
	}
	limits := rewritten.Guards
	rewritten.Guards = nil
	var args []*ir.Value
	operand := func(v *ir.Value) int {
		k := slices.Index(args, v)
		if k < 0 {
			k, args = len(args), append(args, v)
		}
		return k
	}
	var failed error
	read := func(r *ir.Read) *ir.Read {
		v, index, err := s.read(in.Args[r.Operand], r.Index, row, n.Out, past)
		if err != nil {
			failed = err
			return r
		}
		clone := *r
		clone.Operand, clone.Index = operand(v), index
		return &clone
	}
	next := rewritten.RewriteReads(func(r *ir.Read) *ir.Read {
		if in.Args[r.Operand] == s.length {
			failed = fmt.Errorf("this depends on the text's length")
			return r
		}
		return read(r)
	})
	guarded := (&ir.Nest{Body: ir.F32(0), Guards: limits}).RewriteReads(read)
	if failed != nil {
		return failed
	}
	next.Guards = guarded.Guards
	place := ir.LoadIndex(&ir.Read{Operand: operand(s.place)})
	next = next.Rewrite(func(a ir.Atom) (ir.Affine, bool) {
		switch {
		case a.Kind != ir.AtomIndex || a.Index < row:
			return ir.Affine{}, false
		case a.Index == row:
			return place, true
		}
		return ir.Loop(a.Index - 1), true
	})
	next.Index, next.Out = nil, n.Out-1
	for k, x := range n.Index {
		if slices.Contains(past, k) {
			x.Extent = ir.Int(s.capacity)
		}
		if k != row {
			next.Index = append(next.Index, x)
		}
	}
	compacted, args := compact(next, args)
	s.row[in.Result()] = s.b.Nest(compacted, args...)
	return nil
}

// isLength reports whether an index is the length of the text.
func (s *stepper) isLength(a ir.Affine, args []*ir.Value) bool {
	return a.Const == 0 && len(a.Terms) == 1 && a.Terms[0].Coef == 1 && a.Terms[0].Atom.Kind == ir.AtomLoad && args[a.Terms[0].Atom.Load.Operand] == s.length
}

func (s *stepper) readsLength(a ir.Affine, args []*ir.Value) bool {
	found := false
	a.Loads(func(r *ir.Read) { found = found || args[r.Operand] == s.length })
	return found
}

// read finds what the step reads instead of v at index, in the loops of f's nest, the first `out` of which are the result's.
func (s *stepper) read(v *ir.Value, index []ir.Affine, row, out int, past []int) (*ir.Value, []ir.Affine, error) {
	times := s.times(v)
	if len(times) == 0 {
		return s.row[v], index, nil
	}
	at := times[0]
	if k, ok := index[at].IsLoop(); ok && k == row {
		if len(times) == 2 {
			if k, ok := index[times[1]].IsLoop(); !ok || !slices.Contains(past, k) {
				return nil, nil, fmt.Errorf("this reads single places of a table over pairs of units")
			}
		}
		return s.row[v], slices.Delete(slices.Clone(index), at, at+1), nil
	}
	if len(times) == 2 {
		return nil, nil, fmt.Errorf("this reads other rows of a table over pairs of units")
	}
	if k, ok := index[at].IsLoop(); ok && slices.Contains(past, k) {
		return s.cached(v, index, k < out)
	}
	if back, ok := index[at].Sub(ir.Loop(row)).IsConst(); ok && back < 0 {
		return s.cached(v, index, false)
	}
	return nil, nil, fmt.Errorf("this reads units of the text that may come later")
}

// cached finds what the step reads instead of v at index, where that is a row so far. If one is computed for each row, apart tells so.
func (s *stepper) cached(v *ir.Value, index []ir.Affine, apart bool) (*ir.Value, []ir.Affine, error) {
	c := s.caches[v]
	if c == nil {
		c = s.cache(v, apart)
		s.caches[v] = c
	}
	at := s.times(v)[0]
	unit := index[at]
	return c.rows, slices.Insert(slices.Delete(slices.Clone(index), at, at+1), c.axis, unit), nil
}

// cache makes a cell of the rows of v, which is kept from step to step.
func (s *stepper) cache(v *ir.Value, last bool) *cache {
	row := s.row[v]
	axis := s.times(v)[0]
	if last {
		axis = len(row.Type.Shape)
	}
	t := ir.Type{DType: v.Type.DType, Shape: slices.Insert(slices.Clone(row.Type.Shape), axis, ir.Int(s.capacity))}
	cell := s.cell("cache", t, v, axis)
	index := ir.Loops(0, len(t.Shape))
	rows := s.b.Nest(&ir.Nest{
		Index: ir.Indices(t.Shape), Out: len(t.Shape),
		Body: ir.Apply(ir.OpSelect,
			ir.Apply(ir.OpEqual, ir.IndexValue(ir.Loop(axis)), ir.ReadOf(tensor.I32, 0)),
			ir.ReadOf(t.DType, 1, slices.Delete(slices.Clone(index), axis, axis+1)...),
			ir.ReadOf(t.DType, 2, index...)),
	}, s.place, row, s.b.Read(cell))
	s.b.Write(cell, rows)
	return &cache{rows, axis}
}

// cell makes a cell for what the step remembers of a value of f.
func (s *stepper) cell(what string, t ir.Type, of *ir.Value, axis int) *ir.Cell {
	c := &ir.Cell{Name: fmt.Sprintf("%s.%s_%d", s.b.Func.Name, what, len(s.kept)), Type: t, Kind: ir.Stream}
	s.kept = append(s.kept, remembered{c, of, axis})
	return c
}

// scan derives one round of a scan through the text.
func (s *stepper) scan(in *ir.Instr) error {
	sc := in.Scan
	if sc.Reversed {
		return fmt.Errorf("this goes through the text backwards")
	}
	if len(effectsOf(in).writes) > 0 {
		return fmt.Errorf("a scan that changes states cannot be computed unit by unit")
	}
	args := []*ir.Value{s.place}
	var carried []*ir.Cell
	for i, a := range in.Args[:len(sc.Body.Params)-1] {
		times := s.times(a)
		switch {
		case i >= sc.Carried && i < sc.Carried+sc.Slices:
			if len(times) != 1 || times[0] != sc.Axis {
				return fmt.Errorf("a scan goes through a table over pairs of units")
			}
			args = append(args, s.row[a])
			continue
		case len(times) > 0 || a == s.length:
			return fmt.Errorf("each round of a scan looks at all of the text")
		case i >= sc.Carried:
			args = append(args, s.row[a])
			continue
		}
		cell := s.cell("carried", a.Type, in.Results[i], 0)
		carried = append(carried, cell)
		index := make([]ir.Affine, len(a.Type.Shape))
		for k := range index {
			index[k] = ir.Loop(k)
		}
		args = append(args, s.b.Nest(&ir.Nest{
			Index: ir.Indices(a.Type.Shape), Out: len(index),
			Body: ir.Apply(ir.OpSelect,
				ir.Apply(ir.OpEqual, ir.ReadOf(tensor.I32, 0), ir.Const(tensor.I32, 0)),
				ir.ReadOf(a.Type.DType, 1, index...), ir.ReadOf(a.Type.DType, 2, index...)),
		}, s.place, s.row[a], s.b.Read(cell)))
	}
	body, results := copyBody(sc.Body, args, nil)
	s.b.Func.Body = append(s.b.Func.Body, body...)
	for i, r := range in.Results {
		if i < sc.Carried {
			s.whole[r] = true
			s.b.Write(carried[i], results[i])
			continue
		}
		s.row[r] = results[i]
	}
	return nil
}

// reshape derives the row of a reshape that leaves the dimension over the text alone.
func (s *stepper) reshape(in *ir.Instr) error {
	from, to := in.Args[0], in.Result()
	x, y := s.times(from), s.times(to)
	if len(x) != 1 || len(y) != 1 || !sameProduct(from.Type.Shape[:x[0]], to.Type.Shape[:y[0]]) {
		return fmt.Errorf("a reshape mixes units of the text")
	}
	s.row[to] = s.b.Reshape(s.row[from], slices.Delete(slices.Clone(to.Type.Shape), y[0], y[0]+1)...)
	return nil
}

// sameProduct reports whether constant dimensions have the same product.
func sameProduct(a, b []ir.Affine) bool {
	product := func(dims []ir.Affine) (int, bool) {
		p := 1
		for _, d := range dims {
			n, ok := d.IsConst()
			if !ok {
				return 0, false
			}
			p *= n
		}
		return p, true
	}
	m, known := product(a)
	n, alsoKnown := product(b)
	return known && alsoKnown && m == n
}

// checkCausal proves that row `row` of a nest does not depend on points of its other loops over the text that lie beyond the row.
func (s *stepper) checkCausal(in *ir.Instr, row int, past []int) error {
	for _, j := range past {
		v, known := s.valueBeyond(in.Nest.Body, in.Args, row, j)
		if j < in.Nest.Out {
			if known {
				s.beyond[in.Result()] = v
			}
			continue
		}
		if identity, ok := identities[in.Nest.Combine]; !known || !ok || v != identity {
			return fmt.Errorf("this looks at units that come later; put a causal mask over it")
		}
	}
	return nil
}

// identities are the values that change nothing when they are combined.
var identities = map[ir.Combine]float64{ir.Sum: 0, ir.Prod: 1, ir.Max: math.Inf(-1), ir.Min: math.Inf(1)}

// valueBeyond returns the value that e has wherever loop j is beyond loop i, if that is the same everywhere.
func (s *stepper) valueBeyond(e *ir.Expr, args []*ir.Value, i, j int) (float64, bool) {
	switch e.Leaf {
	case ir.LeafConst:
		return e.Value, true
	case ir.LeafIndex:
		return 0, false
	case ir.LeafRead:
		v := args[e.Read.Operand]
		if c, ok := s.beyond[v]; ok {
			times := s.times(v)
			a, isLoop := e.Read.Index[times[0]].IsLoop()
			b, alsoLoop := e.Read.Index[times[1]].IsLoop()
			return c, isLoop && alsoLoop && a == i && b == j
		}
		return 0, false
	}
	if v, ok := comparedBeyond(e, i, j); ok {
		return v, true
	}
	values, known := make([]float64, len(e.Args)), make([]bool, len(e.Args))
	all := true
	for k, a := range e.Args {
		values[k], known[k] = s.valueBeyond(a, args, i, j)
		all = all && known[k]
	}
	is := func(k int, v float64) bool { return known[k] && values[k] == v }
	infinite := func(k int) bool { return known[k] && math.IsInf(values[k], 0) }
	switch {
	case e.Op == ir.OpSelect && known[0]:
		if values[0] != 0 {
			return values[1], known[1]
		}
		return values[2], known[2]
	case all && e.Op.Row().Eval != nil:
		v := e.Op.Row().Eval(values)
		return v, !math.IsNaN(v)
	case all && e.Op == ir.OpStop:
		return values[0], true
	}
	switch e.Op { // what one operand decides
	case ir.OpMul:
		return 0, is(0, 0) || is(1, 0)
	case ir.OpDiv:
		return 0, is(0, 0)
	case ir.OpAdd, ir.OpSub:
		if infinite(0) && !known[1] {
			return values[0], true
		}
		if infinite(1) && !known[0] {
			if e.Op == ir.OpSub {
				return -values[1], true
			}
			return values[1], true
		}
	case ir.OpAnd:
		return 0, is(0, 0) || is(1, 0)
	case ir.OpOr:
		return 1, is(0, 1) || is(1, 1)
	}
	return 0, false
}

// comparedBeyond decides a comparison of loop j with loop i, where j is greater.
func comparedBeyond(e *ir.Expr, i, j int) (float64, bool) {
	if e.Op != ir.OpLess && e.Op != ir.OpLessEqual || len(e.Args) != 2 || e.Args[0].Leaf != ir.LeafIndex || e.Args[1].Leaf != ir.LeafIndex {
		return 0, false
	}
	d := e.Args[0].Affine.Sub(*e.Args[1].Affine)
	if c, ok := d.Sub(ir.Loop(j)).Add(ir.Loop(i)).IsConst(); ok { // a − b = j − i + c ≥ 1 + c
		return 0, c >= 0
	}
	if c, ok := d.Sub(ir.Loop(i)).Add(ir.Loop(j)).IsConst(); ok { // a − b = i − j + c ≤ c − 1
		return 1, c <= 0
	}
	return 0, false
}
