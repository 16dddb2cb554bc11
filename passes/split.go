package passes

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Note [Parts of a batch]
//
// A function that may compute its batch in parts, such as a training step, becomes stages that come to the same. Its values are of four kinds.
//
//   - Shared ones depend on no example: parameters, a learning rate. Every stage that needs one computes it.
//   - Those of examples have a dimension that is the batch, and an element depends on one example alone. A stage computes them for a part of the
//     batch at a time, so memory holds those of one part.
//   - Sums over the examples, also maxima, minima and products, are gradients, losses and counts. Those of the parts are added up in cells.
//     But where the rows of all examples that a sum is of take less memory than the sum, as with the gradient of the kernel of a large dense layer,
//     cells gather those, and the sum is of the last kind.
//   - All else depends on complete sums: updates, what clips them, means. The function itself computes it in the end, and alone writes its cells,
//     so that a call takes effect as a whole or not at all.
//
// An example may be computed from what depends on complete sums where that went through a cell: a loss after the update of another model, a
// metric after the update. Then there is one more round of parts for it, which computes again what it needs of the examples. So it is with sums
// that need no parameters, such as that of weights that the data gives, which are cheap to compute first. Otherwise, as with the batch
// statistics of a normalisation, there would be a round for each layer, which nobody wants; that is an error.
//
// Where a program asks for the number of an example, for its random values, or for the size of the batch, a part is told how many examples
// were before it and how many there are in all. Rows of streams are gathered in a cell of their own.
//
// Source: accumulation of gradients as is usual in training, done on the program instead of in its loop; splitting the values of a program by what
// they depend on is binding-time analysis, Jones, Gomard and Sestoft, Partial Evaluation and Automatic Program Generation, 1993, chapter 4.

// split turns functions that may compute their batch in parts into stages, see Note [Parts of a batch].
func split(m *ir.Module) error {
	cells := &partCells{module: m, free: map[string][]*ir.Cell{}}
	for _, f := range slices.Clone(m.Funcs) {
		if f.Parts == 0 {
			continue
		}
		s := &splitting{
			module: m, f: f, size: f.Parts, batch: f.Batch, gathered: map[*ir.Value]bool{}, kinds: map[*ir.Value]kind{}, levels: map[*ir.Value]int{}, written: map[*ir.Value]bool{},
			trained: map[*ir.Value]bool{}, deep: map[*ir.Value]bool{}, rows: map[*ir.Value]*rowsOf{}, cells: map[*ir.Value]*ir.Cell{}, pool: cells, taken: map[string]int{},
		}
		f.Parts, f.Batch = 0, 0
		s.forward()
		if err := s.classify(f); err != nil {
			return err
		}
		if err := s.check(); err != nil {
			return err
		}
		s.build()
	}
	return nil
}

// kind says what a value depends on.
type kind uint8

const (
	shared  kind = iota // no example
	example             // each element one example
	summed              // a sum over examples
	whole               // complete sums
)

// rowsOf describes the next value of a stream: the examples' rows of one value, and of another one, which is shared, the rows beyond.
type rowsOf struct{ source, old *ir.Value }

// splitting is the work on one function.
type splitting struct {
	module *ir.Module
	f      *ir.Func
	size   int
	batch  int // examples at most; 0: not known

	kinds    map[*ir.Value]kind
	levels   map[*ir.Value]int // how many rounds of parts must be over before it can be computed; of a sum, before the round that computes it
	written  map[*ir.Value]bool
	trained  map[*ir.Value]bool // it depends on parameters
	deep     map[*ir.Value]bool // it depends on complete sums that do
	gathered map[*ir.Value]bool // values of examples whose rows are gathered in a cell
	rows     map[*ir.Value]*rowsOf
	inside   int // the number of scans around

	cells map[*ir.Value]*ir.Cell // where sums, rows, and what later rounds need of the rest lie
	pool  *partCells
	taken map[string]int // of the pool, by type
}

// partCells are cells that the functions of a module share, since what is in them means nothing between calls.
type partCells struct {
	module *ir.Module
	free   map[string][]*ir.Cell // by type
	made   int
}

// cell returns the cell in which v lies between the stages.
func (s *splitting) cell(v *ir.Value) *ir.Cell {
	if c := s.cells[v]; c != nil {
		return c
	}
	typ := v.Type
	if s.gathered[v] {
		typ.Shape = slices.Clone(typ.Shape)
		typ.Shape[0] = ir.Int(s.batch)
	}
	t := typ.String()
	n := s.taken[t]
	s.taken[t]++
	if n == len(s.pool.free[t]) {
		s.pool.made++
		c := s.module.AddCell(&ir.Cell{Name: fmt.Sprintf("part.%d", s.pool.made), Type: typ, Kind: ir.Part})
		s.pool.free[t] = append(s.pool.free[t], c)
	}
	s.cells[v] = s.pool.free[t][n]
	return s.cells[v]
}

// forward lets what is read of a cell after it was written be what was written, and drops all writes of a cell but the last.
func (s *splitting) forward() {
	same := substitution{}
	now := map[*ir.Cell]*ir.Value{}
	last := map[*ir.Cell]*ir.Instr{}
	var body []*ir.Instr
	for _, in := range s.f.Body {
		same.args(in)
		switch in.Op {
		case ir.OpRead:
			if v := now[in.Cell]; v != nil {
				same[in.Result()] = v
				continue
			}
		case ir.OpWrite:
			now[in.Cell], last[in.Cell] = in.Args[0], in
			s.written[in.Args[0]] = true
		}
		body = append(body, in)
	}
	same.results(s.f)
	s.f.Body = slices.DeleteFunc(body, func(in *ir.Instr) bool { return in.Op == ir.OpWrite && last[in.Cell] != in })
}

// batchAxis returns the dimension of t that is the batch, −1 if there is none; ok is false if the batch occurs otherwise.
func batchAxis(t ir.Type) (axis int, ok bool) {
	axis = -1
	for k, d := range t.Shape {
		if isBatch(d) {
			if axis >= 0 {
				return 0, false
			}
			axis = k
		} else if usesBatch(d) {
			return 0, false
		}
	}
	return axis, true
}

func isBatch(d ir.Affine) bool {
	s, ok := d.IsSymbol()
	return ok && s == ir.Batch
}

func usesBatch(a ir.Affine) bool {
	found := false
	a.Rewrite(func(t ir.Atom) (ir.Affine, bool) {
		found = found || t.Kind == ir.AtomSymbol && t.Symbol == ir.Batch
		return ir.Affine{}, false
	})
	return found
}

// refuse says why a batch cannot be computed in parts.
func refuse(in *ir.Instr, format string, args ...any) error {
	return fmt.Errorf("%s: the batch cannot be computed in parts: %s", place(in.Loc), fmt.Sprintf(format, args...))
}

// classify finds the kinds and levels of the values of f, which may be the body of a scan whose parameters are known.
func (s *splitting) classify(f *ir.Func) error {
	for _, p := range f.Params {
		axis, ok := batchAxis(p.Type)
		if !ok {
			return fmt.Errorf("%s: the batch cannot be computed in parts: parameter %s is %s", f.Name, p.Name, p.Type)
		}
		if axis >= 0 {
			s.kinds[p] = example
		}
	}
	for _, in := range f.Body {
		level, trained, deep := 0, in.Op == ir.OpRead && in.Cell.Kind == ir.Param, false
		for _, a := range in.Args {
			n := s.levels[a]
			if s.kinds[a] == summed {
				n++
			}
			level, trained, deep = max(level, n), trained || s.trained[a], deep || s.deep[a]
		}
		k, err := shared, error(nil)
		switch in.Op {
		case ir.OpNest:
			k, err = s.nest(in)
		case ir.OpScan:
			err = s.scan(in)
		case ir.OpReshape:
			k, err = s.reshape(in)
		case ir.OpConst, ir.OpRead, ir.OpWrite:
		default:
			err = refuse(in, "%s cannot be", in.Op)
		}
		if err != nil {
			return err
		}
		for _, r := range in.Results {
			axis, ok := batchAxis(r.Type)
			switch {
			case !ok:
				return refuse(in, "a value is %s", r.Type)
			case in.Op == ir.OpScan && axis >= 0:
				s.kinds[r] = example
			case in.Op == ir.OpScan:
				s.kinds[r] = s.without(in)
			default:
				s.kinds[r] = k
			}
			s.levels[r], s.trained[r] = level, trained
			s.deep[r] = s.kinds[r] == summed && trained || s.kinds[r] == whole && deep
			if in.Op == ir.OpNest && k == whole && slices.ContainsFunc(in.Args, func(a *ir.Value) bool { return s.gathered[a] }) {
				s.levels[r], s.deep[r] = level+1, trained // a sum over the examples after all
			}
		}
	}
	return nil
}

// without is the kind of what a scan computes that is not the examples'.
func (s *splitting) without(in *ir.Instr) kind {
	for _, a := range in.Args {
		if s.kinds[a] >= summed {
			return whole
		}
	}
	return shared
}

// batchLoop returns the loop of a nest that goes over the examples, −1 for none.
func batchLoop(in *ir.Instr) (int, error) {
	loop := -1
	for k, ix := range in.Nest.Index {
		if !isBatch(ix.Extent) {
			if usesBatch(ix.Extent) {
				return 0, refuse(in, "a loop has %v rounds", ix.Extent)
			}
			continue
		}
		if loop >= 0 {
			return 0, refuse(in, "here every example meets every other one")
		}
		loop = k
	}
	return loop, nil
}

func (s *splitting) nest(in *ir.Instr) (kind, error) {
	n := in.Nest
	loop, err := batchLoop(in)
	if err != nil {
		return 0, err
	}
	axis, ok := batchAxis(in.Result().Type)
	if !ok {
		return 0, refuse(in, "a value is %s", in.Result().Type)
	}
	if loop < 0 {
		if axis >= 0 {
			return 0, refuse(in, "here the order of the examples matters")
		}
		if s.streamRows(in) {
			return example, nil
		}
	}
	if n.Write != nil && axis >= 0 && !n.Write[axis].Equal(ir.Loop(loop)) {
		return 0, refuse(in, "here examples change one another")
	}
	n.Reads(func(r *ir.Read) {
		v := in.Args[r.Operand]
		if s.kinds[v] != example || err != nil {
			return
		}
		at, _ := batchAxis(v.Type)
		if s.rows[v] != nil {
			at = 0
		}
		if loop < 0 || !r.Index[at].Equal(ir.Loop(loop)) {
			err = refuse(in, "here an example reads another one")
		}
	})
	if err != nil {
		return 0, err
	}
	if loop >= 0 {
		if err := s.fromSums(in); err != nil {
			return 0, err
		}
	}
	switch {
	case axis >= 0:
		return example, nil
	case loop >= 0:
		if n.Combine == ir.ArgMax || n.Combine == ir.ArgMin {
			return 0, refuse(in, "%v over the examples is no sum, maximum or product of what the parts give", n.Combine)
		}
		if s.inside > 0 {
			return 0, refuse(in, "a scan reduces over the examples in each round")
		}
		if s.gather(in) {
			return whole, nil
		}
		return summed, nil
	case slices.ContainsFunc(in.Args, func(a *ir.Value) bool { return s.kinds[a] >= summed }):
		return whole, nil
	}
	return shared, nil
}

// gather decides whether the sum that in computes is one of rows that are gathered.
func (s *splitting) gather(in *ir.Instr) bool {
	n := in.Nest
	if s.batch == 0 || n.Combine != ir.Sum || n.Write != nil {
		return false
	}
	size, ok := elements(in.Result().Type.Shape)
	var rows []*ir.Value
	for _, a := range in.Args {
		if s.kinds[a] != example || slices.Contains(rows, a) {
			continue
		}
		if axis, _ := batchAxis(a.Type); axis != 0 || s.rows[a] != nil {
			return false
		}
		each, known := elements(a.Type.Shape[1:])
		if !known || s.isParam(a) {
			ok = ok && s.isParam(a) // the caller has it
			continue
		}
		size -= each * s.batch
		rows = append(rows, a)
	}
	if !ok || size <= 0 {
		return false
	}
	for _, a := range rows {
		s.gathered[a] = true
	}
	return len(rows) > 0
}

func (s *splitting) isParam(v *ir.Value) bool { return slices.Contains(s.f.Params, v) }

// elements is the product of some dimensions, if they are constant.
func elements(shape []ir.Affine) (int, bool) {
	n := 1
	for _, d := range shape {
		k, ok := d.IsConst()
		if !ok {
			return 0, false
		}
		n *= k
	}
	return n, true
}

// fromSums refuses an instruction on examples that depends on complete sums of what was computed with parameters, otherwise than through a
// cell.
func (s *splitting) fromSums(in *ir.Instr) error {
	for _, a := range in.Args {
		if s.deep[a] && !s.written[a] {
			return refuse(in, "what is computed of an example here depends on all others, through what is reduced over the batch%s", s.reduction(a))
		}
	}
	return nil
}

// reduction says where the sum stands that v depends on.
func (s *splitting) reduction(v *ir.Value) string {
	for v.Def != nil && s.kinds[v] == whole {
		k := slices.IndexFunc(v.Def.Args, func(a *ir.Value) bool { return s.deep[a] })
		if k < 0 {
			return ""
		}
		v = v.Def.Args[k]
	}
	if v.Def == nil {
		return ""
	}
	return " at " + place(v.Def.Loc)
}

func (s *splitting) reshape(in *ir.Instr) (kind, error) {
	v, r := in.Args[0], in.Result()
	from, ok := batchAxis(v.Type)
	to, okTo := batchAxis(r.Type)
	switch {
	case !ok || !okTo || from != to || from > 0 && !samePrefix(v.Type.Shape, r.Type.Shape, from):
		return 0, refuse(in, "examples are joined where %s becomes %s", v.Type, r.Type)
	case s.rows[v] != nil:
		return 0, refuse(in, "a stream takes another shape")
	case s.kinds[v] == summed:
		return whole, nil
	}
	return s.kinds[v], nil
}

// streamRows reports whether in computes the next value of a stream, and notes what it is made of.
func (s *splitting) streamRows(in *ir.Instr) bool {
	n, b := in.Nest, in.Nest.Body
	if n.Combine != ir.Map || n.Out == 0 || len(n.Guards) > 0 || b.Op != ir.OpSelect || len(b.Args) != 3 {
		return false
	}
	atRow := func(e *ir.Expr) bool {
		if e.Leaf != ir.LeafRead || len(e.Read.Index) != n.Out {
			return false
		}
		for k, ix := range e.Read.Index {
			if !ix.Equal(ir.Loop(k)) {
				return false
			}
		}
		return true
	}
	row, count := ir.IndexValue(ir.Loop(0)), ir.IndexValue(ir.Symbol(ir.Batch))
	if !b.Args[0].Equal(ir.Apply(ir.OpLess, row, count)) || !atRow(b.Args[1]) || !atRow(b.Args[2]) {
		return false
	}
	source, old := in.Args[b.Args[1].Read.Operand], in.Args[b.Args[2].Read.Operand]
	if r := s.rows[old]; r != nil {
		old = r.old
	}
	if axis, ok := batchAxis(source.Type); !ok || axis != 0 || s.kinds[old] != shared {
		return false
	}
	s.rows[in.Result()] = &rowsOf{source, old}
	return true
}

// scan looks into a scan whose body computes examples.
func (s *splitting) scan(in *ir.Instr) error {
	body := in.Scan.Body
	if e := effectsOf(in); len(e.reads)+len(e.writes) > 0 {
		return refuse(in, "a scan changes memory in its rounds")
	}
	ofExamples := func(v *ir.Value) bool {
		axis, ok := batchAxis(v.Type)
		return axis >= 0 || !ok
	}
	if !slices.ContainsFunc(in.Args, ofExamples) && !slices.ContainsFunc(in.Results, ofExamples) && !bodyUsesBatch(body) {
		return nil
	}
	if err := s.fromSums(in); err != nil {
		return err
	}
	if usesBatch(in.Scan.Trip) {
		return refuse(in, "a scan goes through the examples")
	}
	for k, a := range in.Args {
		axis, _ := batchAxis(a.Type)
		switch {
		case s.rows[a] != nil:
			return refuse(in, "a scan goes through all rows of a stream")
		case k >= in.Scan.Carried && k < in.Scan.Carried+in.Scan.Slices && axis == in.Scan.Axis:
			return refuse(in, "a scan goes through the examples")
		case s.kinds[a] >= summed && slices.ContainsFunc(in.Results, func(v *ir.Value) bool { return !ofExamples(v) }):
			return refuse(in, "a scan carries values of examples beside those of the whole batch")
		}
	}
	s.inside++
	defer func() { s.inside-- }()
	return s.classify(body)
}

// bodyUsesBatch reports whether anything in f goes over the examples.
func bodyUsesBatch(f *ir.Func) bool {
	for _, in := range f.Body {
		if in.Scan != nil && (bodyUsesBatch(in.Scan.Body) || usesBatch(in.Scan.Trip)) {
			return true
		}
		if in.Nest != nil && slices.ContainsFunc(in.Nest.Index, func(ix ir.Index) bool { return usesBatch(ix.Extent) }) {
			return true
		}
	}
	return false
}

// check refuses a function that returns values of examples, or writes them to cells other than streams.
func (s *splitting) check() error {
	bad := func(v *ir.Value) bool { return s.kinds[v] == example && s.rows[v] == nil }
	if slices.ContainsFunc(s.f.Results, func(v *ir.Value) bool { return s.kinds[v] == example }) {
		return fmt.Errorf("%s: the batch cannot be computed in parts: a result has a row for each example", s.f.Name)
	}
	for _, in := range s.f.Body {
		if in.Op == ir.OpWrite && bad(in.Args[0]) {
			return refuse(in, "examples are kept in %s", in.Cell.Name)
		}
	}
	return nil
}

// build makes the stages, and the function what is left of it.
func (s *splitting) build() {
	f := s.f
	// What each round of parts adds up, and what rounds need of the rest, by the number of the round.
	sums, needs := map[int][]*ir.Value{}, map[int][]*ir.Value{}
	last := -1
	for _, in := range f.Body {
		for _, r := range in.Results {
			if s.kinds[r] == summed || s.gathered[r] || s.rows[r] != nil && s.written[r] {
				sums[s.levels[r]] = append(sums[s.levels[r]], r)
				last = max(last, s.levels[r])
			}
		}
		if !s.perPart(in) {
			continue
		}
		for _, a := range in.Args {
			if s.kinds[a] == whole && !slices.Contains(needs[s.levels[a]], a) {
				needs[s.levels[a]] = append(needs[s.levels[a]], a)
			}
		}
	}
	for k := 0; k <= last; k++ {
		if len(needs[k]) > 0 {
			s.module.AddStage(f, ir.Stage{Func: s.between(k, needs[k])})
		}
		if len(sums[k]) > 0 {
			st := ir.Stage{Func: s.part(k, sums[k]), Size: s.size}
			if len(s.gathered) > 0 {
				st.Most = s.batch
			}
			s.module.AddStage(f, st)
		}
	}
	if len(f.Stages) == 0 {
		return
	}
	c := s.copyTo(f.Name, "")
	c.values(slices.Clone(f.Results), true)
	f.Body = c.b.Func.Body
	for i, r := range f.Results {
		f.Results[i] = c.of(r)
	}
	copy(f.Params, c.b.Func.Params)
	dropDead(f)
}

// perPart reports whether in works on examples.
func (s *splitting) perPart(in *ir.Instr) bool {
	return slices.ContainsFunc(in.Results, func(v *ir.Value) bool { return s.kinds[v] == example || s.kinds[v] == summed })
}

// between makes the stage before round k, which computes what that needs of complete sums.
func (s *splitting) between(k int, needs []*ir.Value) *ir.Func {
	c := s.copyTo(s.f.Name, fmt.Sprintf("between%d", k))
	c.values(needs, false)
	for _, v := range needs {
		c.b.Loc = v.Def.Loc
		c.b.Write(s.cell(v), c.of(v))
	}
	dropDead(c.b.Func)
	return c.b.Func
}

// part makes the stage that computes round k of the parts.
func (s *splitting) part(k int, sums []*ir.Value) *ir.Func {
	c := s.copyTo(s.f.Name, fmt.Sprintf("part%d", k+1))
	c.first = c.b.Param("part.first", ir.Scalar(tensor.I32))
	c.batch = c.b.Param("part.batch", ir.Scalar(tensor.I32))
	c.sums = sums
	c.values(nil, false)
	dropDead(c.b.Func)
	return c.b.Func
}

// copying is the copy of some of a function's instructions to another one.
type copying struct {
	*splitting
	b            *ir.Builder
	now          map[*ir.Value]*ir.Value // copies
	first, batch *ir.Value               // of a part; nil if the copy is for the whole batch
	sums         []*ir.Value             // what a part adds to cells
}

func (s *splitting) copyTo(name, stage string) *copying {
	if stage != "" {
		name += "." + stage
	}
	c := &copying{splitting: s, b: ir.NewFunc(name), now: map[*ir.Value]*ir.Value{}}
	for _, p := range s.f.Params {
		c.now[p] = c.b.Param(p.Name, p.Type)
	}
	return c
}

func (c *copying) of(v *ir.Value) *ir.Value {
	w := c.now[v]
	if w == nil {
		panic(fmt.Sprintf("BUG: split: %s: a value of type %s has no copy", c.b.Func.Name, v.Type))
	}
	return w
}

// stored reports whether v is read from its cell instead of being computed.
func (c *copying) stored(v *ir.Value) bool {
	if slices.Contains(c.sums, v) {
		return false
	}
	return c.kinds[v] == summed || c.rows[v] != nil || c.first == nil && c.gathered[v] || c.first != nil && c.kinds[v] == whole
}

// source is the value of examples whose rows v, the next value of a stream, has; else v.
func (c *copying) source(v *ir.Value) *ir.Value {
	if r := c.rows[v]; r != nil && c.first != nil {
		return r.source
	}
	return v
}

// values copies all that some values need, what is added up, and the writes if there is to be any.
func (c *copying) values(want []*ir.Value, writes bool) {
	needed := map[*ir.Value]bool{}
	for _, v := range slices.Concat(want, c.sums) {
		needed[v] = true
	}
	for _, in := range slices.Backward(c.f.Body) {
		switch {
		case in.Op == ir.OpWrite && writes:
		case !slices.ContainsFunc(in.Results, func(v *ir.Value) bool { return needed[v] && !c.stored(v) }):
			continue
		}
		if r := c.rows[one(in.Results)]; r != nil {
			needed[r.source], needed[r.old] = true, true
			continue
		}
		for _, a := range in.Args {
			needed[c.source(a)] = true
		}
	}
	for _, in := range c.f.Body {
		c.b.Loc = in.Loc
		if in.Op == ir.OpWrite {
			if writes {
				c.b.Write(in.Cell, c.of(in.Args[0]))
			}
			continue
		}
		if !slices.ContainsFunc(in.Results, func(v *ir.Value) bool { return needed[v] }) {
			continue
		}
		if c.first == nil && !slices.ContainsFunc(in.Results, func(v *ir.Value) bool { return needed[v] && !c.gathered[v] }) {
			c.fromRows(in.Results, needed)
			continue
		}
		if v := one(in.Results); v != nil && c.stored(v) {
			if c.cells[v] == nil && c.rows[v] != nil {
				continue // only its source is needed
			}
			c.now[v] = c.b.Read(c.cell(v))
			continue
		}
		if v := one(in.Results); c.rows[v] != nil {
			c.addRows(v)
			continue
		}
		c.instruction(c.b, c.now, in, c.first, c.batch)
		for _, v := range in.Results {
			switch {
			case !slices.Contains(c.sums, v):
			case c.gathered[v]:
				c.gatherRows(v)
			default:
				c.add(in.Nest.Combine, v)
			}
		}
	}
}

// one is the only one of some values, or nil.
func one(vs []*ir.Value) *ir.Value {
	if len(vs) == 1 {
		return vs[0]
	}
	return nil
}

var combining = map[ir.Combine]ir.Op{ir.Sum: ir.OpAdd, ir.Prod: ir.OpMul, ir.Max: ir.OpMax, ir.Min: ir.OpMin}

// begins is the condition that a part is the first one.
func begins(first int) *ir.Expr {
	return ir.Apply(ir.OpEqual, ir.ReadOf(tensor.I32, first), ir.Const(tensor.I32, 0))
}

// add combines what v is for a part with what its cell has of the parts before.
func (c *copying) add(combine ir.Combine, v *ir.Value) {
	cell := c.cell(v)
	at := ir.Loops(0, len(v.Type.Shape))
	old, now := ir.ReadOf(v.Type.DType, 0, at...), ir.ReadOf(v.Type.DType, 1, at...)
	n := &ir.Nest{
		Combine: ir.Map, Index: ir.Indices(v.Type.Shape), Out: len(v.Type.Shape),
		Body: ir.Apply(ir.OpSelect, begins(2), now, ir.Apply(combining[combine], old, now)),
	}
	c.b.Write(cell, c.b.Nest(n, c.b.Read(cell), c.of(v), c.first))
}

// fromRows reads the values of all examples that were gathered.
func (c *copying) fromRows(vs []*ir.Value, needed map[*ir.Value]bool) {
	for _, v := range vs {
		if !needed[v] {
			continue
		}
		at := ir.Loops(0, len(v.Type.Shape))
		n := &ir.Nest{Combine: ir.Map, Index: ir.Indices(v.Type.Shape), Out: len(at), Body: ir.ReadElse(v.Type.DType, 0, 0, at...)}
		c.now[v] = c.b.Nest(n, c.b.Read(c.cell(v)))
	}
}

// gatherRows puts the rows of a part's examples among those that the cell of v has of the parts before.
func (c *copying) gatherRows(v *ir.Value) { c.putRows(v, v, nil) }

// addRows does so with v, the next value of a stream, where rows of no example stay as they were.
func (c *copying) addRows(v *ir.Value) { c.putRows(v, c.rows[v].source, c.rows[v].old) }

func (c *copying) putRows(v, source, old *ir.Value) {
	cell := c.cell(v)
	at := ir.Loops(0, len(cell.Type.Shape))
	first := ir.LoadIndex(&ir.Read{Operand: 2})
	row, d := at[0], v.Type.DType
	own := slices.Clone(at)
	own[0] = row.Sub(first)
	within := ir.Apply(ir.OpAnd,
		ir.Apply(ir.OpLessEqual, ir.IndexValue(first), ir.IndexValue(row)),
		ir.Apply(ir.OpLess, ir.IndexValue(row), ir.IndexValue(first.Add(ir.Symbol(ir.Batch)))))
	others := ir.ReadOf(d, 0, at...)
	args := []*ir.Value{c.b.Read(cell), c.of(source), c.first}
	if old != nil {
		others = ir.Apply(ir.OpSelect, begins(2), ir.ReadOf(d, 3, at...), others)
		args = append(args, c.of(old))
	}
	n := &ir.Nest{
		Combine: ir.Map, Index: ir.Indices(cell.Type.Shape), Out: len(at),
		Body: ir.Apply(ir.OpSelect, within, ir.ReadElse(d, 1, 0, own...), others),
	}
	c.b.Write(cell, c.b.Nest(n, args...))
}

// instruction copies one instruction to b, where values have the copies in now. In a part, first and batch are its numbers.
func (c *copying) instruction(b *ir.Builder, now map[*ir.Value]*ir.Value, in *ir.Instr, first, batch *ir.Value) {
	clone := *in
	clone.Results = nil
	args := slices.Clone(in.Args)
	if in.Op == ir.OpNest && first != nil {
		clone.Nest, args = c.partNest(in, args)
	}
	clone.Args = make([]*ir.Value, len(args))
	for i, a := range args {
		switch a {
		case firstOfPart:
			clone.Args[i] = first
		case wholeBatch:
			clone.Args[i] = batch
		default:
			if clone.Args[i] = now[a]; clone.Args[i] == nil {
				panic(fmt.Sprintf("BUG: split: %s: an operand of %s, %s, has no copy", c.b.Func.Name, in.Op, a.Type))
			}
		}
	}
	if in.Op == ir.OpScan {
		c.scanBody(&clone, first, batch)
	}
	for _, r := range in.Results {
		w := &ir.Value{Name: r.Name, Type: r.Type, Def: &clone}
		now[r] = w
		clone.Results = append(clone.Results, w)
	}
	b.Func.Body = append(b.Func.Body, &clone)
}

// They stand for the numbers that a part is told, among operands of the function that is split.
var firstOfPart, wholeBatch = &ir.Value{Type: ir.Scalar(tensor.I32)}, &ir.Value{Type: ir.Scalar(tensor.I32)}

// partNest is the nest of in for a part of the batch: examples keep their numbers in the batch, and the batch its size, wherever they are numbers.
func (c *copying) partNest(in *ir.Instr, args []*ir.Value) (*ir.Nest, []*ir.Value) {
	loop, err := batchLoop(in)
	if err != nil {
		panic("BUG: split: " + err.Error())
	}
	first, batch := ir.LoadIndex(&ir.Read{Operand: len(args)}), ir.LoadIndex(&ir.Read{Operand: len(args) + 1})
	n := in.Nest.Rewrite(func(a ir.Atom) (ir.Affine, bool) {
		switch {
		case a.Kind == ir.AtomIndex && a.Index == loop:
			return ir.Loop(loop).Add(first), true
		case a.Kind == ir.AtomSymbol && a.Symbol == ir.Batch:
			return batch, true
		}
		return ir.Affine{}, false
	})
	if axis, _ := batchAxis(in.Result().Type); n.Write != nil && axis >= 0 {
		n.Write[axis] = ir.Loop(loop)
	}
	args = append(args, firstOfPart, wholeBatch)
	for i, a := range args {
		args[i] = c.source(a)
	}
	n = n.RewriteReads(func(r *ir.Read) *ir.Read {
		if r.Operand >= len(in.Args) {
			return r
		}
		v := in.Args[r.Operand]
		if c.kinds[v] != example {
			return r
		}
		clone := *r
		clone.Index = slices.Clone(r.Index)
		axis := 0
		if c.rows[v] == nil {
			axis, _ = batchAxis(v.Type)
		} else {
			clone.Guarded, clone.Else = false, 0 // every example has its row
		}
		clone.Index[axis] = ir.Loop(loop)
		return &clone
	})
	return compact(n, args)
}

// scanBody gives a copy of a scan a body of its own, with the numbers of a part as further operands.
func (c *copying) scanBody(in *ir.Instr, first, batch *ir.Value) {
	s := *in.Scan
	old := s.Body
	b := ir.NewFunc(old.Name)
	now := map[*ir.Value]*ir.Value{}
	for _, p := range old.Params {
		now[p] = b.Param(p.Name, p.Type)
	}
	var inFirst, inBatch *ir.Value
	if first != nil {
		inFirst, inBatch = &ir.Value{Name: "first", Type: first.Type}, &ir.Value{Name: "batch", Type: batch.Type}
		end := len(in.Args) // of what the rounds use unchanged
		if s.Length {
			end--
		}
		b.Func.Params = slices.Insert(b.Func.Params, 1+end, inFirst, inBatch)
		in.Args = slices.Insert(in.Args, end, first, batch)
	}
	for _, i := range old.Body {
		c.instruction(b, now, i, inFirst, inBatch)
	}
	for i, r := range old.Results {
		b.Return(old.ResultNames[i], now[r])
	}
	s.Body = b.Func
	in.Scan = &s
}
