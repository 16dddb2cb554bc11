package native

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"sync"
	"time"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/image"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// program is a compiled module with the memory of its cells.
type program struct {
	sync.Mutex
	*compiled
	team    *team
	cells   []cell
	bounds  map[string]*bound
	arena   []byte
	consts  []byte
	nowhere []byte           // stands for tensors without elements
	maps    map[*byte][]byte // all mapped memory by its first byte

	observe func(r *run, what string, elapsed time.Duration) // if not nil, is told of every launch

	oracle runtime.Program // the interpreter, made when a value that is not finite is to be explained
}

// cell is the memory of a cell: its value, and room for the next one, so that a call that fails changes nothing.
type cell struct {
	shape  []int
	now    []byte
	shadow []byte
}

// maxBounds bounds how many bindings of symbols are kept.
const maxBounds = 64

func newProgram(c *compiled, threads int) (*program, error) {
	t, err := teamOf(threads)
	if err != nil {
		return nil, err
	}
	p := &program{compiled: c, team: t, bounds: map[string]*bound{}, cells: make([]cell, len(c.low.module.Cells)), maps: map[*byte][]byte{}}
	if p.nowhere, err = p.alloc(64); err != nil {
		return nil, err
	}
	if p.consts, err = p.alloc(len(c.low.consts)); err != nil {
		return nil, err
	}
	copy(p.consts, c.low.consts)
	for k, cl := range c.low.module.Cells {
		if shape, err := evalShape(cl.Type.Shape, nil); err == nil {
			if err := p.reshapeCell(k, shape); err != nil {
				return nil, err
			}
		}
	}
	goruntime.AddCleanup(p, func(maps map[*byte][]byte) {
		for _, m := range maps {
			image.UnmapMemory(m)
		}
		for _, code := range c.code {
			_ = code.Close()
		}
	}, p.maps)
	return p, nil
}

// alloc maps zeroed memory that the program owns.
func (p *program) alloc(n int) ([]byte, error) {
	m, err := image.MapMemory(n)
	if err != nil {
		return nil, err
	}
	p.maps[&m[0]] = m
	return m, nil
}

func (p *program) free(m []byte) {
	if m != nil {
		delete(p.maps, &m[0])
		image.UnmapMemory(m)
	}
}

// reshapeCell gives cell k zeroed memory for a shape.
func (p *program) reshapeCell(k int, shape []int) error {
	c := &p.cells[k]
	n := product(shape) * elemSize(p.low.module.Cells[k].Type.DType)
	now, err := p.alloc(n)
	if err != nil {
		return err
	}
	p.free(c.now)
	p.free(c.shadow)
	*c = cell{shape: shape, now: now}
	return nil
}

// Module returns the module that the program was compiled from.
func (p *program) Module() *ir.Module { return p.low.module }

// Cell returns a copy of a cell's value.
func (p *program) Cell(name string) (*tensor.Tensor, error) {
	p.Lock()
	defer p.Unlock()
	return p.cell(name)
}

func (p *program) cell(name string) (*tensor.Tensor, error) {
	c := p.low.module.Cell(name)
	if c == nil {
		return nil, fmt.Errorf("there is no cell %s", name)
	}
	k := p.low.cells[c]
	if p.cells[k].now == nil {
		return nil, fmt.Errorf("cell %s, which is %v, has no value yet", name, c.Type)
	}
	return p.tensorAt(c.Type.DType, p.cells[k].shape, p.cells[k].now)
}

// tensorAt returns a new tensor with the elements at from.
func (p *program) tensorAt(d tensor.DType, shape []int, from []byte) (*tensor.Tensor, error) {
	t := tensor.New(d, shape...)
	b, err := bytesOf(t)
	if err != nil {
		return nil, err
	}
	copy(b, from)
	return t, nil
}

// SetCell gives a cell a value.
func (p *program) SetCell(name string, t *tensor.Tensor) error {
	p.Lock()
	defer p.Unlock()
	c := p.low.module.Cell(name)
	if c == nil {
		return fmt.Errorf("there is no cell %s", name)
	}
	if err := match(c.Type, t, map[string]int{}); err != nil {
		return fmt.Errorf("cell %s is %v: %w", name, c.Type, err)
	}
	k := p.low.cells[c]
	if !slices.Equal(p.cells[k].shape, t.Shape) || p.cells[k].now == nil {
		if err := p.reshapeCell(k, slices.Clone(t.Shape)); err != nil {
			return err
		}
	}
	b, err := bytesOf(t.To(p.low.working(t.DType)))
	if err != nil {
		return err
	}
	copy(p.cells[k].now, b)
	return nil
}

// match checks that t has type typ, where f64 passes for f32, and binds the symbols that stand alone in typ.
func match(typ ir.Type, t *tensor.Tensor, bind map[string]int) error {
	if t == nil {
		return errors.New("the argument is missing")
	}
	d := t.DType
	if d == tensor.F64 {
		d = tensor.F32
	}
	if d != typ.DType || len(t.Shape) != len(typ.Shape) {
		return fmt.Errorf("it was given %v", t)
	}
	if n := len(t.F32) + len(t.F64) + len(t.I32) + len(t.Bool); t.Len() != n {
		return fmt.Errorf("it was given %v with %d elements", t, n)
	}
	for i, dim := range typ.Shape {
		if s, ok := symbol(dim); ok {
			if old, bound := bind[s]; bound && old != t.Shape[i] {
				return fmt.Errorf("it was given %v, but %s is %d", t, s, old)
			}
			if t.Shape[i] < 1 {
				return fmt.Errorf("it was given %v, but %s must be at least 1", t, s)
			}
			bind[s] = t.Shape[i]
		}
	}
	for i, dim := range typ.Shape {
		known := true
		n := dim.EvalDim(func(s string) int {
			v, ok := bind[s]
			known = known && ok
			return v
		})
		if known && n != t.Shape[i] {
			return fmt.Errorf("it was given %v", t)
		}
	}
	return nil
}

func symbol(dim ir.Affine) (string, bool) {
	if dim.Const == 0 && len(dim.Terms) == 1 && dim.Terms[0].Coef == 1 && dim.Terms[0].Atom.Kind == ir.AtomSymbol {
		return dim.Terms[0].Atom.Symbol, true
	}
	return "", false
}

// Call runs the function fn.
func (p *program) Call(fn string, args ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	p.Lock()
	defer p.Unlock()
	proc := p.procs[fn]
	if proc == nil {
		return nil, fmt.Errorf("there is no function %s", fn)
	}
	results, err := p.call(proc, args)
	if bad := (*notFinite)(nil); errors.As(err, &bad) {
		return nil, p.explain(fn, args, bad.what)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fn, err)
	}
	return results, nil
}

// notFinite says that a value that must be finite is not.
type notFinite struct{ what string }

func (e *notFinite) Error() string { return e.what + " is not finite" }

func (p *program) call(proc *procedure, args []*tensor.Tensor) ([]*tensor.Tensor, error) {
	b, err := p.boundFor(proc, args)
	if err != nil {
		return nil, err
	}
	if err := p.prepare(b); err != nil {
		return nil, err
	}
	f := &frame{program: p, bound: b, base: make([]uintptr, len(proc.slots)), bytes: make([][]byte, len(proc.slots))}
	in := make([]*tensor.Tensor, len(args))
	for k, a := range args {
		in[k] = a.To(p.low.working(a.DType))
	}
	for s := range proc.slots {
		if f.bytes[s], err = f.memory(s, in); err != nil {
			return nil, err
		}
		f.base[s] = address(f.bytes[s])
	}
	p.team.Lock()
	err = f.runAll(0, len(b.runs))
	p.team.Unlock()
	goruntime.KeepAlive(in)
	if err != nil {
		return nil, err
	}
	results := make([]*tensor.Tensor, len(proc.results))
	for k, r := range proc.results {
		if results[k], err = p.tensorAt(proc.slots[r].typ.DType, b.shapes[r], f.bytes[r]); err != nil {
			return nil, err
		}
	}
	for _, c := range proc.checks {
		if f.bytes[c.slot][0] == 0 {
			return nil, &notFinite{c.what}
		}
	}
	for _, c := range proc.commits {
		if c.copy {
			copy(p.cells[c.cell].shadow, f.bytes[c.slot])
		}
	}
	for _, c := range proc.commits {
		cl := &p.cells[c.cell]
		cl.now, cl.shadow = cl.shadow, cl.now
	}
	return results, nil
}

// boundFor checks the arguments and returns the launch table for their sizes.
func (p *program) boundFor(proc *procedure, args []*tensor.Tensor) (*bound, error) {
	f := proc.fn
	if len(args) != len(f.Params) {
		return nil, fmt.Errorf("it takes %d arguments, not %d", len(f.Params), len(args))
	}
	bind := map[string]int{}
	for range 2 { // a dimension may need symbols that later parameters bind
		for i, v := range f.Params {
			if err := match(v.Type, args[i], bind); err != nil {
				return nil, fmt.Errorf("parameter %s is %v: %w", paramName(f, i), v.Type, err)
			}
		}
	}
	for k, c := range p.low.module.Cells { // symbols that no parameter binds have the sizes that cells have
		if p.cells[k].now == nil {
			continue
		}
		for i, dim := range c.Type.Shape {
			if s, ok := symbol(dim); ok {
				if _, bound := bind[s]; !bound {
					bind[s] = p.cells[k].shape[i]
				}
			}
		}
	}
	key := bindKey(f.Name, bind)
	if b := p.bounds[key]; b != nil {
		return b, nil
	}
	b, err := p.bindProcedure(proc, bind)
	if err != nil {
		return nil, err
	}
	if len(p.bounds) >= maxBounds {
		clear(p.bounds)
	}
	p.bounds[key] = b
	return b, nil
}

func paramName(f *ir.Func, i int) string {
	if n := f.Params[i].Name; n != "" {
		return n
	}
	return fmt.Sprint(i + 1)
}

// prepare makes sure that there is room for what a call writes.
func (p *program) prepare(b *bound) error {
	if len(p.arena) < b.arena {
		p.free(p.arena)
		var err error
		if p.arena, err = p.alloc(b.arena); err != nil {
			p.arena = nil
			return err
		}
	}
	for s := range b.proc.slots {
		sl := &b.proc.slots[s]
		if sl.place != inCell {
			continue
		}
		c := &p.cells[sl.index]
		if c.now == nil {
			if err := p.reshapeCell(sl.index, slices.Clone(b.shapes[s])); err != nil {
				return err
			}
		}
		if !slices.Equal(c.shape, b.shapes[s]) {
			return fmt.Errorf("cell %s holds %v, where the call needs %v", p.low.module.Cells[sl.index].Name, c.shape, b.shapes[s])
		}
	}
	for _, cm := range b.proc.commits {
		c := &p.cells[cm.cell]
		if c.now == nil || !slices.Equal(c.shape, b.shapes[cm.slot]) {
			if err := p.reshapeCell(cm.cell, slices.Clone(b.shapes[cm.slot])); err != nil {
				return err
			}
		}
		if c.shadow == nil {
			var err error
			if c.shadow, err = p.alloc(len(c.now)); err != nil {
				return err
			}
		}
	}
	return nil
}

// frame is a call in progress.
type frame struct {
	*program
	*bound
	base  []uintptr
	bytes [][]byte // of the slots
}

// memory returns where slot s lies.
func (f *frame) memory(s int, args []*tensor.Tensor) ([]byte, error) {
	root := f.proc.root(s)
	sl := &f.proc.slots[root]
	n := product(f.shapes[root]) * elemSize(sl.typ.DType)
	if n == 0 {
		return f.nowhere[:0], nil
	}
	switch sl.place {
	case inArena:
		return f.program.arena[f.offset[root]:][:n], nil
	case inParam:
		return bytesOf(args[sl.index])
	case inConst:
		return f.consts[sl.index:][:n], nil
	case inCell:
		return f.cells[sl.index].now[:n], nil
	default:
		return f.cells[sl.index].shadow[:n], nil
	}
}

// runAll runs the steps from one number up to another.
func (f *frame) runAll(from, to int) error {
	for k := from; k < to; k++ {
		r := &f.runs[k]
		switch {
		case r.step.move != nil:
			copy(f.bytes[r.step.move.to], f.bytes[r.step.move.from])
			continue
		case r.step.scan != nil:
			if err := f.scan(r, k+1); err != nil {
				return err
			}
			k = r.end - 1
			continue
		}
		start := time.Time{}
		if f.observe != nil {
			start = time.Now()
		}
		if err := f.run(r); err != nil {
			return err
		}
		if f.observe != nil {
			f.observe(r, r.step.launch.kernel.key, time.Since(start))
		}
	}
	return nil
}

// run runs one launch.
func (f *frame) run(r *run) error {
	if r.fill != nil {
		out := f.bytes[r.result]
		for k := 0; k < len(out); k += len(r.fill) {
			copy(out[k:], r.fill)
		}
		return nil
	}
	if r.zero {
		clear(f.bytes[r.result])
	}
	switch {
	case r.result < 0:
		r.words[wordResult] = uint64(address(f.program.arena)) + uint64(r.partial)
	default:
		r.words[wordResult] = uint64(f.base[r.result])
	}
	if r.merge {
		r.words[wordOperands] = uint64(address(f.program.arena)) + uint64(r.partial)
	}
	for k, a := range r.args {
		r.words[wordOperands+k] = uint64(f.base[a])
	}
	var bad badIndex
	do := func(w *worker, chunk int) {
		w.words = append(w.words[:0], r.words...)
		round := chunk / (r.chunks / r.rounds)
		first := chunk % (r.chunks / r.rounds) * r.perChunk
		w.words[wordP0], w.words[wordP1] = uint64(first), uint64(min(r.points, first+r.perChunk))
		w.words[wordR0], w.words[wordR1] = uint64(round*r.perRound), uint64(min(r.splits, (round+1)*r.perRound))
		w.words[wordResult] += uint64(round * r.stride)
		w.words[wordFault] = uint64(w.faultAddress())
		w.fault[0] = 0
		w.enter(r.fn, r.long)
		if w.fault[0] != 0 {
			bad.note(chunk, w.fault[1], w.fault[2])
		}
	}
	if r.alone {
		for k := range r.chunks {
			do(f.team.caller, k)
		}
	} else {
		f.team.do(r.chunks, do)
	}
	if bad.found {
		l := r.step.launch
		return fmt.Errorf("%s%s: index %d is outside [0, %d)", position(l.loc), l.what, bad.index, bad.limit)
	}
	return nil
}

// badIndex keeps the data index outside its tensor that the earliest chunk found.
type badIndex struct {
	sync.Mutex
	found        bool
	chunk        int
	index, limit int64
}

func (b *badIndex) note(chunk int, index, limit int64) {
	b.Lock()
	defer b.Unlock()
	if !b.found || chunk < b.chunk {
		b.found, b.chunk, b.index, b.limit = true, chunk, index, limit
	}
}

// explain runs a call that gave a value that is not finite in the interpreter, which finds the operation to blame.
func (p *program) explain(fn string, args []*tensor.Tensor, what string) error {
	unknown := &runtime.NonFiniteError{What: what, Op: "unknown"}
	if p.oracle == nil {
		o, err := interp.Backend{}.Compile(p.low.module, codegen.Options{})
		if err != nil {
			return unknown
		}
		p.oracle = o
	}
	for _, c := range p.low.module.Cells {
		if t, err := p.cell(c.Name); err == nil {
			if err := p.oracle.SetCell(c.Name, t); err != nil {
				return unknown
			}
		}
	}
	if _, err := p.oracle.Call(fn, args...); errors.As(err, new(*runtime.NonFiniteError)) {
		return err
	}
	return unknown
}
