package lang

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// elaborator turns declarations into the IR by evaluating them: compile-time values at once, run-time values by building
// instructions. Checking types and shapes is part of evaluating, so every instance of a layer is checked with its own shapes.
type elaborator struct {
	options Options
	diags   *diag.List
	plan    *plan.Program
	module  *ir.Module

	universe *scope // built-in functions
	std      *scope // the standard library
	globals  *scope // the program's file

	namespaces map[string]*namespace // imported files, by path
	imported   map[*scope]string     // the names of their scopes
	importing  []string              // files whose imports are being read, outer ones first

	axes   []*axis     // by number
	values []*ir.Value // by operand number, see operand
	number map[*ir.Value]int
	owner  map[*ir.Value]*ir.Builder // of the function that a value belongs to

	init     *function // gives cells their first values
	reset    *function // starts streams and metrics anew; nil if there are none
	metricAt map[syntax.Node]*instance

	frozen      map[*instance]bool           // instances that the train at hand leaves as they are, see Note [Frozen instances]
	updated     map[*ir.Cell]bool            // parameters that it updates, where there are frozen instances
	wantsSpread bool                         // a train asks for gradients of examples with respect to parameters
	rows        int                          // of a stream: the largest planned batch of the program's trains
	streams     map[*ir.Cell]func(*function) // give a stream its first values in a function
	unmet       map[string]bool              // requirements that were reported, by condition and place
	ids         map[*ir.Value]int            // how many ids there are of those that a value holds, see Note [Ids]
	spans       map[place]diag.Span          // the text that instructions come from, see Note [Batches in parts]
	bounds      map[*ir.Value]bound          // the smallest dimension that a model's input indexes
	instances   []*instance
	models      []*modelValue
	datasets    []*dataset
	depth       int  // of nested calls
	rounds      int  // of all repeats so far
	large       bool // something too large has been reported
}

// function is an IR function under construction.
type function struct {
	b        *ir.Builder
	batch    *axis // nil where all values are shared
	training bool
	cells    map[*ir.Cell]*ir.Value // current values of cells
	calls    map[string]value       // results of calls made so far, see applyInstance
	lengths  map[string]*ir.Value   // i32 over the batch: each example's own length, by its symbol

	place  string                     // what random numbers are keyed by, beside their place in the source
	draws  int                        // random draws so far
	spread map[*ir.Cell]*ir.Value     // parameters as values of each example, see Note [Gradients of examples]; nil where they are shared
	slots  map[string]*ir.Cell        // the body of an optimiser: its state and the weight, by name
	slot   func(*frame, *syntax.Cell) // declares a state there

	history   *history     // of updates, see Note [Stale values]
	judged    *[]judgement // where calls of losses of classes are noted; nil where they are not
	empty     bool         // a training step without examples, see Note [Empty batches]
	fixedSeed bool         // a test: seed, step and epoch are 0

	recording *modelValue // the model whose layers are noted, if any
	scan      *scanBody   // set in the body of a scan
}

// frame is where an expression is evaluated.
type frame struct {
	*elaborator
	*function
	scope *scope
	inst  *instance // whose parameters and parts are in reach; nil in a fn
	layer string    // in a fn: path of the layer that called it, to which its instructions belong

	indexing bool    // inside an index expression: scalars stay pending
	steady   steady  // inside an index expression: what calls that do not depend on its indices gave
	pending  bool    // arrays stay pending until they are bound: the body of an optimiser
	round    string  // rounds of enclosing repeats, part of the place of an instance
	expect   *expect // the type that the context gives an expression, if any

	minimize func(*frame, *syntax.Minimize) // the body of a train or a test: executes the statement

	frozen  bool // in a layer that is not trained, see Note [Frozen instances]
	sharing bool // parameters are shared, whatever the function says

	formula *formula // the entry of data by formula that is being computed; nil elsewhere

	config  *scope    // only what a configuration requires is checked: its names
	subject string    // the fn, layer, model, optimizer or metric whose body is being evaluated
	user    diag.Span // the innermost place in the user's own file
}

// expect is the type that the place of an expression asks for.
type expect struct {
	dtype tensor.DType
	shape []ir.Affine
}

// maxDepth bounds calls within calls, so that recursion ends in a message.
const maxDepth = 200

// maxRounds bounds the rounds of all repeats of a program together: each is program text that has to be compiled.
const maxRounds = 50_000

// countRounds reports a repeat of more rounds than are left, before any is made.
func (f *frame) countRounds(at diag.Span, times int) bool {
	if times <= maxRounds-f.elaborator.rounds {
		return true
	}
	f.elaborator.rounds = max(f.elaborator.rounds, maxRounds)
	return f.countRound(at)
}

// countRound counts one round of the repeat at a place.
func (f *frame) countRound(at diag.Span) bool {
	if f.elaborator.rounds++; f.elaborator.rounds <= maxRounds {
		return true
	}
	if f.elaborator.rounds == maxRounds+1 {
		f.errorf(at, diag.TooLarge, "the program's repeats have more than %d rounds, and each is compiled by itself", maxRounds).Fix = "a `scan` repeats while the program runs"
	}
	return false
}

// newFunction starts an IR function.
func (e *elaborator) newFunction(name string) *function {
	return &function{
		b: ir.NewFunc(name), cells: map[*ir.Cell]*ir.Value{}, calls: map[string]value{}, lengths: map[string]*ir.Value{},
	}
}

// withBatch gives a function the batch axis; its extent is the symbol B, or one example.
func (e *elaborator) withBatch(f *function, extent ir.Affine) *function {
	f.batch = e.newAxis("b", extent, diag.Span{})
	return f
}

// newAxis makes an axis of known extent.
func (e *elaborator) newAxis(name string, extent ir.Affine, at diag.Span) *axis {
	a := &axis{id: len(e.axes), name: name, extent: extent, known: true, span: at}
	e.axes = append(e.axes, a)
	return a
}

func (e *elaborator) newAxes(dims []ir.Affine) []int {
	ids := make([]int, len(dims))
	for i, d := range dims {
		ids[i] = e.newAxis("", d, diag.Span{}).id
	}
	return ids
}

// operand returns the number by which pending bodies refer to v.
func (f *frame) operand(v *ir.Value) int {
	if n, ok := f.number[v]; ok {
		return n
	}
	n := len(f.values)
	f.elaborator.values = append(f.values, v)
	f.number[v] = n
	f.owner[v] = f.b
	return n
}

// local returns the value with that operand number inside the function being built. The body of a scan takes values of the function
// around it as parameters.
func (f *frame) local(operand int) *ir.Value {
	v := f.values[operand]
	if f.owner[v] == f.b {
		return v
	}
	if f.scan == nil {
		d := f.errorf(f.user, diag.NotConstant, "this depends on values that are known only later, when examples are at hand")
		d.Fix = "use numbers, options and initialisers here"
		return f.b.Param("", v.Type) // never run
	}
	if p := f.scan.captured[v]; p != nil {
		return p
	}
	outer := *f
	outer.function = f.scan.outer
	f.scan.captures = append(f.scan.captures, outer.local(operand))
	p := f.b.Param(v.Name, v.Type)
	f.scan.captured[v] = p
	if n, ok := f.ids[v]; ok {
		f.ids[p] = n
	}
	f.operand(p)
	return p
}

// with returns a copy of f for a nested scope.
func (f *frame) with(s *scope) *frame {
	clone := *f
	clone.scope = s
	clone.expect = nil
	return &clone
}

// nested returns a copy of f with a new inner scope.
func (f *frame) nested() *frame { return f.with(newScope(f.scope)) }

// eager reports whether results of this shape are stored at once, so that each operation is an instruction of its own.
func (f *frame) eager(dims []ir.Affine) bool {
	if f.indexing {
		return false
	}
	return !f.pending || len(dims) == 0
}

// ---- arrays and instructions ----

// arrayOf makes the array that reads v, whose leading dimensions belong to these axes.
func (f *frame) arrayOf(v *ir.Value, lead []*axis) *array {
	a := &array{dtype: v.Type.DType, shape: v.Type.Shape[len(lead):]}
	a.own = f.newAxes(a.shape)
	ix := make([]ir.Affine, 0, len(v.Type.Shape))
	for _, x := range lead {
		ix = append(ix, ir.Loop(x.id))
	}
	for _, id := range a.own {
		ix = append(ix, ir.Loop(id))
	}
	a.body = ir.ReadOf(a.dtype, f.operand(v), ix...)
	return a
}

// constantArray makes a scalar array of a number; ok is false if d cannot hold it.
func constantArray(n number, d tensor.DType) (*array, bool) {
	if d == tensor.I32 {
		i, ok := n.asInt()
		if !ok || int(int32(i)) != i {
			return nil, false
		}
	}
	return &array{dtype: d, body: ir.Const(d, n.float)}, true
}

// scalarArray wraps an expression over axes of the context as a scalar.
func scalarArray(e *ir.Expr) *array { return &array{dtype: e.DType, body: e} }

// usesBatch reports whether a is per example.
func (f *frame) usesBatch(a *array) bool {
	if f.batch == nil {
		return false
	}
	return axesOf(a.body)[f.batch.id]
}

// outer returns the axes that a pending body uses beside its own, oldest first: the batch leads. A loop over an example's own
// length depends on the example.
func (f *frame) outer(body *ir.Expr, own ...[]int) []*axis {
	used := axesOf(body)
	if f.batch != nil && len(f.lengths) > 0 {
		for id := range used {
			if f.ownLimit(f.axes[id]) {
				used[f.batch.id] = true
			}
		}
		for _, id := range slices.Concat(own...) {
			if f.ownLimit(f.axes[id]) {
				used[f.batch.id] = true
			}
		}
	}
	for _, ids := range own {
		for _, id := range ids {
			delete(used, id)
		}
	}
	ids := make([]int, 0, len(used))
	for id := range used {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	out := make([]*axis, len(ids))
	for i, id := range ids {
		out[i] = f.axes[id]
	}
	return out
}

// store makes a an element-by-element read of an IR value. lead is what the value's leading dimensions belong to.
func (f *frame) store(a *array) *array {
	if _, ok := a.stored(); ok {
		return a
	}
	lead := f.outer(a.body, a.own)
	v := f.nest(ir.Map, lead, a.own, nil, a.body)
	stored := f.arrayOf(v, lead).named(a.name, a.decl)
	stored.origin = a.origin
	return stored
}

// whole notes whether a reads all of the value that it reads.
func (f *frame) whole(a *array) {
	if op, ok := a.stored(); ok {
		dims := f.values[op].Type.Shape
		a.part = !equalShapes(a.shape, dims[len(dims)-len(a.shape):])
	}
}

// value returns the IR value of an array that lies over exactly these leading axes, storing or spreading it if it is needed.
func (f *frame) value(a *array, lead ...*axis) *ir.Value {
	if op, ok := a.stored(); ok {
		ix := a.body.Read.Index
		same := len(ix)-len(a.own) == len(lead)
		for k := range lead {
			if same {
				i, _ := ix[k].IsLoop()
				same = i == lead[k].id
			}
		}
		if same {
			return f.local(op)
		}
	}
	return f.nest(ir.Map, lead, a.own, nil, a.body)
}

// examples returns the IR value of an array with the batch in front, if the function has one.
func (f *frame) examples(a *array) *ir.Value {
	if f.batch == nil {
		return f.value(a)
	}
	return f.value(a, f.batch)
}

// shared returns the IR value of an array that does not depend on the example.
func (f *frame) shared(a *array) *ir.Value { return f.value(a) }

// Note [Own lengths]
//
// A dimension that is an example's own length is a symbol, the longest length of the batch; lengths maps the symbol to the
// examples' lengths. Every loop over such a dimension is guarded by its example's length, so that padding takes no part in
// anything: a reduction passes over it, and an element there is 0.

// ownLimit reports whether an axis runs over an example's own length.
func (f *frame) ownLimit(a *axis) bool { return !f.ownLength(a.extent).Equal(a.extent) }

// nest builds the nest over the outer axes, the own ones and the reduced ones.
func (f *frame) nest(c ir.Combine, outer []*axis, own, reduced []int, body *ir.Expr) *ir.Value {
	n := &ir.Nest{Combine: c, Out: len(outer) + len(own)}
	place := map[int]int{}
	add := func(a *axis) {
		if !a.known {
			panic(fmt.Sprintf("BUG: the extent of index %q is not known", a.name))
		}
		place[a.id] = len(n.Index)
		n.Index = append(n.Index, ir.Index{Name: a.name, Extent: a.extent})
	}
	for _, a := range outer {
		add(a)
	}
	for _, id := range own {
		add(f.axes[id])
	}
	for _, id := range reduced {
		add(f.axes[id])
	}
	var args []*ir.Value
	operands := map[int]int{}
	renumber := func(t ir.Atom) (ir.Affine, bool) {
		if t.Kind != ir.AtomIndex {
			return ir.Affine{}, false
		}
		p, ok := place[t.Index]
		if !ok {
			panic(fmt.Sprintf("BUG: index %q is used outside its expression", f.axes[t.Index].name))
		}
		return ir.Loop(p), true
	}
	use := func(operand int) int {
		k, ok := operands[operand]
		if !ok {
			k = len(args)
			operands[operand] = k
			args = append(args, f.local(operand))
		}
		return k
	}
	n.Body = body.RewriteAffine(renumber).RewriteReads(func(r *ir.Read) *ir.Read {
		clone := *r
		clone.Operand = use(r.Operand)
		return &clone
	})
	for k, ix := range n.Index { // see Note [Own lengths]
		if limit := f.ownLength(ix.Extent); !limit.Equal(ix.Extent) {
			limit = limit.Rewrite(renumber)
			limit.Loads(func(r *ir.Read) { r.Operand = use(r.Operand) })
			n.Guards = append(n.Guards, ir.Guard{E: ir.Loop(k), Limit: limit})
		}
	}
	var dims []ir.Affine
	for _, ix := range n.Index[:n.Out] {
		if f.batch == nil || !ix.Extent.Equal(f.batch.extent) {
			dims = append(dims, ix.Extent)
		}
	}
	f.fits(f.user, dims)
	return f.b.Nest(n, args...)
}

// apply is a scalar op on arrays whose shapes are equal, scalar or suffixes of the longest; the caller has checked that.
func (f *frame) apply(op ir.Op, args ...*array) *array {
	longest := args[0]
	for _, a := range args {
		if len(a.shape) > len(longest.shape) {
			longest = a
		}
	}
	out := &array{shape: longest.shape, own: f.newAxes(longest.shape)}
	bodies := make([]*ir.Expr, len(args))
	for i, a := range args {
		ix := make([]ir.Affine, len(a.own))
		for k := range ix {
			ix[k] = ir.Loop(out.own[len(out.own)-len(ix)+k])
		}
		bodies[i] = a.at(ix)
	}
	out.body = ir.Apply(op, bodies...)
	out.dtype = out.body.DType
	if f.eager(out.shape) {
		return f.store(out)
	}
	return out
}

// reduce combines a over its own axes that are in reduced, and over further axes of the context.
func (f *frame) reduce(c ir.Combine, body *ir.Expr, own, reduced []int) *array {
	lead := f.outer(body, own, reduced)
	v := f.nest(c, lead, own, reduced, body)
	out := f.arrayOf(v, lead)
	return out
}

// ---- diagnostics ----

// errorf reports an error at a place. Places inside the standard library are shown at the user's line that led there.
func (f *frame) errorf(at diag.Span, code diag.Code, format string, args ...any) *diag.Diagnostic {
	return f.report(at, f.user, code, fmt.Sprintf(format, args...))
}

func (e *elaborator) report(at, user diag.Span, code diag.Code, message string) *diag.Diagnostic {
	d := &diag.Diagnostic{Span: at, Code: code, Message: message}
	if e.isStd(at) && !user.IsZero() {
		d.Span = user
		d.Related = append(d.Related, diag.Related{Span: at, Message: "in the standard library"})
	}
	e.diags.Add(d)
	return d
}

func (e *elaborator) isStd(at diag.Span) bool { return at.File != nil && stdFiles[at.File] }

// relate adds a second place, unless it is nowhere or inside the standard library.
func (e *elaborator) relate(d *diag.Diagnostic, at diag.Span, format string, args ...any) *diag.Diagnostic {
	if !at.IsZero() && !e.isStd(at) && at != d.Span {
		d.Related = append(d.Related, diag.Related{Span: at, Message: fmt.Sprintf(format, args...)})
	}
	return d
}

// enter marks the node being evaluated: instructions built now come from there.
func (f *frame) enter(n syntax.Node) {
	at := n.Span()
	if at.IsZero() || f.isStd(at) {
		at = f.user
	} else {
		f.user = at
	}
	f.b.Loc = f.locate(at)
	f.note(f.b.Loc, at)
}

// path is that of the layer whose code, or whose fns' code, is being evaluated.
func (f *frame) path() string {
	if f.inst != nil {
		return f.inst.path
	}
	return f.layer
}

func (f *frame) locate(at diag.Span) ir.Loc {
	loc := ir.Loc{}
	if at.File != nil {
		p := at.File.Position(at.Start)
		loc.File, loc.Line, loc.Col = at.File.Name, p.Line, p.Col
	}
	loc.Scope = f.path()
	return loc
}
