package lang

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// scanBody is what a function under construction knows if it is the body of a scan.
type scanBody struct {
	outer    *function
	counter  *ir.Value
	carried  map[string]*carriedName
	captured map[*ir.Value]*ir.Value // values of outer functions, as parameters of this one
	captures []*ir.Value             // the same, as operands, in order
	yielded  value
	yieldAt  diag.Span
}

// carriedName is a name after `with`: its value is passed from round to round.
type carriedName struct {
	t  *expect
	at diag.Span
}

// scanExpr is a scan: a loop with carried values over the first dimension of sequences, or over a counter.
func (f *frame) scanExpr(n *syntax.Scan) value {
	f.enter(n)
	if f.indexing {
		return f.unsupported(n, "scan inside an index expression")
	}
	trip, sequences, ok := f.scanHead(n)
	if !ok {
		return poison{}
	}
	g := f.newFunction("")
	g.spread = f.spread
	g.batch, g.training, g.lengths, g.place, g.recording, g.fixedSeed = f.batch, f.training, f.lengths, f.place, f.recording, f.fixedSeed
	g.scan = &scanBody{outer: f.function, carried: map[string]*carriedName{}, captured: map[*ir.Value]*ir.Value{}}
	g.b.Loc = f.b.Loc
	body := *f
	body.function = g
	body.scope = newScope(f.scope)
	body.expect = nil

	g.scan.counter = g.b.Param("i", ir.Scalar(tensor.I32))
	body.operand(g.scan.counter)
	var lead []*axis
	if f.batch != nil {
		lead = []*axis{f.batch}
	}
	overBatch := func(t *expect) ir.Type {
		dims := t.shape
		if f.batch != nil {
			dims = append([]ir.Affine{f.batch.extent}, dims...)
		}
		return ir.Type{DType: t.dtype, Shape: dims}
	}
	var args []*ir.Value
	var names []*syntax.Ident
	for _, w := range n.With {
		init, ok := f.carriedInit(w)
		if !ok {
			return poison{}
		}
		t := &expect{init.dtype, init.shape}
		g.scan.carried[w.Names[0].Name] = &carriedName{t, w.Names[0].Span()}
		names = append(names, w.Names[0])
		args = append(args, f.examples(init))
		body.define(w.Names[0], body.arrayOf(g.b.Param(w.Names[0].Name, overBatch(t)), lead).named(w.Names[0].Name, diag.Span{}))
	}
	further := f.carriedOutside(n)
	for _, name := range further {
		now, ok := f.scope.lookup(name.Name).value.(*array)
		if !ok {
			return poison{}
		}
		t := &expect{now.dtype, now.shape}
		g.scan.carried[name.Name] = &carriedName{t, name.Span()}
		names = append(names, name)
		args = append(args, f.examples(now))
		body.define(name, body.arrayOf(g.b.Param(name.Name, overBatch(t)), lead).named(name.Name, diag.Span{}))
	}
	alive := n.While != nil
	var running *ir.Value
	if alive {
		yes := scalarArray(ir.Const(tensor.Bool, 1))
		args = append(args, f.examples(yes))
		running = g.b.Param("running", overBatch(&expect{tensor.Bool, nil}))
		body.operand(running)
	}
	for k, s := range sequences {
		args = append(args, f.examples(s))
		param := g.b.Param(n.Names[k].Name, overBatch(&expect{s.dtype, s.shape[1:]}))
		if n, ok := f.classesOf(s); ok {
			f.ids[param] = n
		}
		slice := body.arrayOf(param, lead)
		body.define(n.Names[k], slice.named(n.Names[k].Name, diag.Span{}))
	}
	if n.In == nil && len(n.Names) > 0 {
		body.define(n.Names[0], scalarArray(ir.ReadOf(tensor.I32, body.operand(g.scan.counter))))
	}
	var goesOn *array
	if alive {
		goesOn, ok = body.stillRunning(n, running, lead)
		if !ok {
			return poison{}
		}
	}
	before := make([]*array, len(names))
	for i, name := range names {
		before[i] = body.scope.lookup(name.Name).value.(*array)
	}
	body.scanStatements(n)
	f.enter(n)
	for i, name := range names {
		next, ok := body.scope.lookup(name.Name).value.(*array)
		if !ok {
			return poison{}
		}
		if alive {
			next = body.apply(ir.OpSelect, goesOn, next, before[i])
		}
		g.b.Return(name.Name, body.examples(next))
	}
	if alive {
		g.b.Return("running", body.examples(goesOn))
	}
	carriedCount := len(g.b.Func.Results)
	if !body.returnYield(goesOn) {
		return poison{}
	}
	return f.buildScan(n, g, trip, args, len(sequences), carriedCount, names, further)
}

// carriedOutside lists names that the body assigns and that are carried outside of the scan: streams, and what a scan around this one
// carries. The scan carries them on, and leaves its last values in them.
func (f *frame) carriedOutside(n *syntax.Scan) []*syntax.Ident {
	var names []*syntax.Ident
	syntax.Inspect(&syntax.BlockExpr{Body: n.Body}, func(node syntax.Node) bool {
		a, ok := node.(*syntax.Assign)
		if !ok {
			return true
		}
		name, ok := a.Target.(*syntax.Name)
		if !ok || slices.ContainsFunc(names, func(i *syntax.Ident) bool { return i.Name == name.Name }) ||
			slices.ContainsFunc(n.With, func(l *syntax.Let) bool { return l.Names[0].Name == name.Name }) {
			return true
		}
		stream := f.inst != nil && f.inst.cells[name.Name] != nil && f.inst.cells[name.Name].Kind == ir.Stream
		if f.scan != nil && f.scan.carried[name.Name] != nil || f.scan == nil && stream {
			names = append(names, &syntax.Ident{At: name.At, Name: name.Name})
		}
		return true
	})
	return names
}

// scanHead finds the number of rounds and the sequences.
func (f *frame) scanHead(n *syntax.Scan) (trip ir.Affine, sequences []*array, ok bool) {
	if n.In == nil {
		trip, ok = f.dim(n.Bound)
		return trip, nil, ok
	}
	v := f.eval(n.In)
	elems := []value{v}
	if t, isTuple := v.(*tuple); isTuple {
		elems = t.elems
	}
	if isPoison(elems...) {
		return trip, nil, false
	}
	if len(elems) != len(n.Names) {
		f.errorf(n.In.Span(), diag.ValueCount, "%s need as many sequences, and this is %s", count(len(n.Names), "name"), describe(v))
		return trip, nil, false
	}
	for i, e := range elems {
		a, good := f.asArray(n.In, e, tensor.F32)
		if !good {
			return trip, nil, false
		}
		if len(a.shape) == 0 {
			f.errorf(n.In.Span(), diag.ShapeMismatch, "scan goes through the first dimension of a tensor, and this is one %s", a.dtype)
			return trip, nil, false
		}
		if i == 0 {
			trip = a.shape[0]
		} else if !a.shape[0].Equal(trip) {
			f.errorf(n.In.Span(), diag.ShapeMismatch, "scan goes through these sequences side by side, and they have %s and %s steps", trip, a.shape[0])
			return trip, nil, false
		}
		sequences = append(sequences, f.store(a))
	}
	return trip, sequences, true
}

// carriedInit evaluates `name = value` after `with`.
func (f *frame) carriedInit(w *syntax.Let) (*array, bool) {
	inner := *f
	if w.Type != nil {
		inner.expect = f.typeOf(w.Type)
	}
	v := inner.eval(w.Value)
	a, ok := f.asArray(w.Value, v, tensor.F32)
	if !ok {
		return nil, false
	}
	return f.store(a), true
}

// stillRunning evaluates `while`: an example whose condition was false once has stopped.
func (f *frame) stillRunning(n *syntax.Scan, running *ir.Value, lead []*axis) (*array, bool) {
	c, ok := f.asArray(n.While, f.eval(n.While), tensor.Bool)
	if !ok {
		return nil, false
	}
	if c.dtype != tensor.Bool || len(c.shape) != 0 {
		f.errorf(n.While.Span(), diag.NotACondition, "`while` needs a condition, and this is %s", c.typ())
		return nil, false
	}
	return f.apply(ir.OpAnd, f.arrayOf(running, lead), c), true
}

// scanStatements executes the body; yield stands once, at its top.
func (f *frame) scanStatements(n *syntax.Scan) {
	for _, s := range n.Body.Stmts {
		y, ok := s.(*syntax.Yield)
		if !ok {
			f.statementOrValue(s)
			continue
		}
		if f.scan.yielded != nil {
			d := f.errorf(y.Span(), diag.Misplaced, "a scan yields once in its body")
			f.relate(d, f.scan.yieldAt, "it yields here already")
			continue
		}
		f.scan.yieldAt = y.Span()
		v := f.eval(y.Value)
		if v == nil {
			v = poison{}
		}
		f.scan.yielded = f.snapshot(y.Value, v)
	}
}

// statementOrValue executes a statement; the value of an expression is dropped.
func (f *frame) statementOrValue(s syntax.Stmt) {
	if x, ok := s.(*syntax.ExprStmt); ok {
		f.eval(x.X)
		return
	}
	f.statement(s)
}

// snapshot stores what is yielded as it is now.
func (f *frame) snapshot(n syntax.Node, v value) value {
	if t, ok := v.(*tuple); ok {
		out := &tuple{names: t.names}
		for _, e := range t.elems {
			out.elems = append(out.elems, f.snapshot(n, e))
		}
		return out
	}
	a, ok := f.asArray(n, v, tensor.F32)
	if !ok {
		return poison{}
	}
	return f.store(a)
}

// returnYield adds what is yielded to the body's results; of an example that has stopped it is zero.
func (f *frame) returnYield(goesOn *array) bool {
	var add func(v value) bool
	add = func(v value) bool {
		switch v := v.(type) {
		case nil:
			return true
		case *tuple:
			return !slices.ContainsFunc(v.elems, func(e value) bool { return !add(e) })
		case *array:
			if goesOn != nil {
				zero := &array{dtype: v.dtype, body: ir.Const(v.dtype, 0)}
				v = f.apply(ir.OpSelect, goesOn.spread(f, v), v, zero.spread(f, v))
			}
			f.b.Return("", f.examples(v))
			return true
		}
		return false
	}
	return add(f.scan.yielded)
}

// spread gives a scalar the shape of like.
func (a *array) spread(f *frame, like *array) *array {
	return &array{dtype: a.dtype, shape: like.shape, own: f.newAxes(like.shape), body: a.body}
}

// buildScan adds the instruction and wraps its results.
func (f *frame) buildScan(n *syntax.Scan, g *function, trip ir.Affine, args []*ir.Value, slices, carried int, names, further []*syntax.Ident) value {
	s := &ir.Scan{Body: g.b.Func, Trip: trip, Carried: carried, Slices: slices, Reversed: n.Reversed}
	var lead []*axis
	if f.batch != nil {
		s.Axis = 1
		lead = []*axis{f.batch}
	}
	args = append(args, g.scan.captures...)
	if own := f.ownLength(trip); !own.Equal(trip) {
		s.Length = true
		args = append(args, f.examples(scalarArray(ir.IndexValue(own))))
	}
	types := make([]ir.Type, len(g.b.Func.Results))
	for i, r := range g.b.Func.Results {
		types[i] = r.Type
		if i >= carried {
			f.fits(n.Span(), append([]ir.Affine{trip}, r.Type.Shape[s.Axis:]...))
			types[i].Shape = slicesInsert(r.Type.Shape, s.Axis, trip)
		}
	}
	results := f.b.Append(&ir.Instr{Op: ir.OpScan, Scan: s, Args: args}, types...).Results
	names = names[:len(names)-len(further)]
	for i, name := range further {
		last := f.arrayOf(results[len(names)+i], lead)
		if f.scan != nil {
			f.scope.assign(name.Name, last.named(name.Name, diag.Span{}))
			continue
		}
		c := f.inst.cells[name.Name]
		f.writeStream(c, last)
		f.scope.assign(name.Name, f.readStream(c, &expect{c.Type.DType, c.Type.Shape[1:]}).named(name.Name, diag.Span{}))
	}
	if g.scan.yielded != nil {
		var wrap func(like value) value
		rest := results[carried:]
		wrap = func(like value) value {
			if t, ok := like.(*tuple); ok {
				out := &tuple{names: t.names}
				for _, e := range t.elems {
					out.elems = append(out.elems, wrap(e))
				}
				return out
			}
			v := rest[0]
			rest = rest[1:]
			return f.arrayOf(v, lead)
		}
		return wrap(g.scan.yielded)
	}
	out := &tuple{}
	for i, name := range names {
		out.names = append(out.names, name.Name)
		out.elems = append(out.elems, f.arrayOf(results[i], lead))
	}
	if len(out.elems) == 1 {
		return out.elems[0]
	}
	return out
}

func slicesInsert(dims []ir.Affine, k int, d ir.Affine) []ir.Affine {
	return slices.Insert(slices.Clone(dims), k, d)
}

// assignCarried executes `h <- value` for a name after `with`.
func (f *frame) assignCarried(s *syntax.Assign, name string, c *carriedName, v value) {
	if isPoison(v) {
		f.scope.assign(name, poison{})
		return
	}
	a, ok := f.asArray(s.Value, v, c.t.dtype)
	if !ok {
		f.scope.assign(name, poison{})
		return
	}
	if a.dtype != c.t.dtype || !equalShapes(a.shape, c.t.shape) {
		d := f.errorf(s.Value.Span(), diag.ShapeMismatch, "%s is carried as %s, and this is %s", name, typeString(c.t.dtype, c.t.shape), a.typ())
		f.relate(d, c.at, "its first value is %s", typeString(c.t.dtype, c.t.shape))
		f.scope.assign(name, poison{})
		return
	}
	f.scope.assign(name, f.store(a).named(name, diag.Span{}))
}

// roundKey is the constant part of a random key; in a scan it differs from round to round.
func (f *frame) roundKey(place int32) *ir.Expr {
	key := ir.Const(tensor.I32, float64(place))
	for s := f.scan; s != nil; s = s.outer.scan {
		inner := *f
		if s != f.scan {
			inner.function = s.outer
		}
		round := ir.Apply(ir.OpMul, ir.ReadOf(tensor.I32, f.number[s.counter]), ir.Const(tensor.I32, -1640531535))
		key = ir.Apply(ir.OpAdd, key, round)
	}
	return key
}
