package exec

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/code"
)

// Options are what an instance is told beside the program.
type Options struct {
	// Threads is the most threads that compute at the same time; 0 stands for one on each processor.
	Threads int

	// Code is the program's Code where that is mapped executable already; nil: it is mapped.
	Code *code.Code

	// Explain finds the operation to blame for a value that is not finite: what says which was found when the function fn was called
	// with args while the cells had the values that cell returns. Without it the operation is unknown.
	Explain func(fn string, args []*tensor.Tensor, what string, cell func(name string) (*tensor.Tensor, error)) error
}

// Instance is a program with the memory of its cells. Goroutines may use it at the same time: calls that change no cell run side by side,
// others one after the other.
type Instance struct {
	program *Program
	explain func(string, []*tensor.Tensor, string, func(string) (*tensor.Tensor, error)) error
	funcs   map[string]int
	cellAt  map[string]int
	code    *code.Code
	team    *team
	calls   chan struct{} // a place for each call that may be in progress
	consts  []byte
	nowhere []byte // stands for tensors without elements
	memory  *memory

	lock     sync.RWMutex // of the cells' values; write-locked while a call may change them
	cells    []cell
	patience map[*Proof]*patience // of proofs that failed
	changes  atomic.Int64         // a number that is another whenever cells may have other values

	cache    sync.Mutex // of what follows
	bounds   map[string]*bound
	recent   []atomic.Pointer[recent] // of the functions
	reshapes atomic.Int64             // a number that changes with the shapes of cells
	arenas   [][]byte                 // that no call uses
	observe  observer
}

var _ runtime.Program = (*Instance)(nil)

// cell is the memory of a cell.
type cell struct {
	shape   []int
	now     []byte
	bounds  interval // of its elements
	bounded bool     // bounds are known
}

// maxBounds bounds how many bindings of symbols are kept.
const maxBounds = 64

// New makes an instance of a program, whose cells are zero. It does not change the program, and does not need Code and Consts after
// it returned unless Options.Code is set.
//
// Errors: a processor without what the code needs, a system that code cannot be loaded on.
func New(p *Program, o Options) (*Instance, error) {
	threads := o.Threads
	if threads <= 0 {
		threads = goruntime.GOMAXPROCS(0)
	}
	if err := code.Check(p.Level); err != nil {
		return nil, err
	}
	t, err := teamOf(threads)
	if err != nil {
		return nil, err
	}
	i := &Instance{
		program: p, explain: o.Explain, funcs: map[string]int{}, cellAt: map[string]int{}, code: o.Code, team: t,
		calls: make(chan struct{}, goruntime.GOMAXPROCS(0)), memory: &memory{maps: map[*byte][]byte{}},
		cells: make([]cell, len(p.Module.Cells)), patience: map[*Proof]*patience{}, bounds: map[string]*bound{}, recent: make([]atomic.Pointer[recent], len(p.Module.Funcs)),
	}
	goruntime.AddCleanup(i, (*memory).close, i.memory)
	if i.code == nil && len(p.Kernels) > 0 {
		if i.code, err = code.Load(p.Code); err != nil {
			return nil, err
		}
		i.memory.code = i.code
	}
	if i.nowhere, err = i.memory.alloc(64); err != nil {
		return nil, err
	}
	if i.consts, err = i.memory.alloc(len(p.Consts)); err != nil {
		return nil, err
	}
	copy(i.consts, p.Consts)
	for k, f := range p.Module.Funcs {
		i.funcs[f.Name] = k
	}
	if err := i.firstCells(); err != nil {
		return nil, err
	}
	return i, nil
}

// largeCell is the bytes of a cell that has memory of its own from the start. Smaller ones share theirs.
const largeCell = 4 << 20

// firstCells gives the cells whose shapes have no symbols zeroed memory.
func (i *Instance) firstCells() error {
	var small, sizes []int
	var shapes [][]int
	for k, c := range i.program.Module.Cells {
		i.cellAt[c.Name] = k
		shape, err := evalShape(c.Type.Shape, nil)
		if err != nil {
			continue // it gets memory when a call tells the symbols
		}
		n := product(shape) * ElemSize(Stored(c))
		if n >= largeCell {
			if err := i.reshapeCell(k, shape); err != nil {
				return err
			}
			continue
		}
		small, sizes, shapes = append(small, k), append(sizes, n), append(shapes, shape)
	}
	memory, err := i.memory.together(sizes)
	if err != nil {
		return err
	}
	for k, c := range small {
		i.cells[c] = cell{shape: shapes[k], now: memory[k]}
	}
	return nil
}

// Program returns the program that i runs.
func (i *Instance) Program() *Program { return i.program }

// Module returns the module that the program was compiled from.
func (i *Instance) Module() *ir.Module { return i.program.Module }

// reshapeCell gives cell k zeroed memory for a shape.
func (i *Instance) reshapeCell(k int, shape []int) error {
	c := &i.cells[k]
	now, err := i.memory.alloc(product(shape) * ElemSize(Stored(i.program.Module.Cells[k])))
	if err != nil {
		return err
	}
	i.memory.free(c.now)
	*c = cell{shape: shape, now: now}
	i.reshapes.Add(1)
	i.changes.Add(1)
	return nil
}

// Cell returns a copy of a cell's value.
func (i *Instance) Cell(name string) (*tensor.Tensor, error) {
	i.lock.RLock()
	defer i.lock.RUnlock()
	return i.cell(name)
}

// View shows the cells' memory; see runtime.Viewer.
func (i *Instance) View(f func(cell func(name string) (*tensor.Tensor, error)) error) error {
	i.lock.RLock()
	defer i.lock.RUnlock()
	defer goruntime.KeepAlive(i)
	return f(i.view)
}

func (i *Instance) cell(name string) (*tensor.Tensor, error) {
	t, err := i.view(name)
	if err != nil {
		return nil, err
	}
	if i.program.Module.Cells[i.cellAt[name]].Half {
		return t, nil // a copy already
	}
	return t.Clone(), nil
}

// view returns a tensor that lies in the cell's memory, if it has the tensor's type.
func (i *Instance) view(name string) (*tensor.Tensor, error) {
	k, ok := i.cellAt[name]
	if !ok {
		return nil, fmt.Errorf("there is no cell %s", name)
	}
	typ := i.program.Module.Cells[k].Type
	c := &i.cells[k]
	if c.now == nil {
		return nil, fmt.Errorf("cell %s, which is %v, has no value yet", name, typ)
	}
	if i.program.Module.Cells[k].Half {
		return Widened(c.shape, c.now), nil
	}
	return over(typ.DType, c.shape, c.now), nil
}

// tensorAt returns a new tensor with the elements at from.
func tensorAt(d tensor.DType, shape []int, from []byte) (*tensor.Tensor, error) {
	t := tensor.New(d, shape...)
	b, err := BytesOf(t)
	if err != nil {
		return nil, err
	}
	copy(b, from)
	return t, nil
}

// SetCell gives a cell a value.
func (i *Instance) SetCell(name string, t *tensor.Tensor) error {
	i.lock.Lock()
	defer i.lock.Unlock()
	k, ok := i.cellAt[name]
	if !ok {
		return fmt.Errorf("there is no cell %s", name)
	}
	typ := i.program.Module.Cells[k].Type
	if err := typ.Bind(t, map[string]int{}); err != nil {
		return fmt.Errorf("cell %s is %v: %w", name, typ, err)
	}
	if !slices.Equal(i.cells[k].shape, t.Shape) || i.cells[k].now == nil {
		if err := i.reshapeCell(k, slices.Clone(t.Shape)); err != nil {
			return err
		}
	}
	b, err := BytesOf(t.To(Working(t.DType)))
	if err != nil {
		return err
	}
	i.store(k, i.cells[k].now, b)
	i.cells[k].bounded = false
	i.changes.Add(1)
	return nil
}

// store writes elements, which lie in b as in a tensor of its type, into memory of cell k.
func (i *Instance) store(k int, memory, b []byte) {
	if i.program.Module.Cells[k].Half {
		narrow(memory, b)
		return
	}
	copy(memory, b)
}

// MapCell makes memory, in which the elements lie as Stored says, that of a cell whose shape has no symbols. The memory
// must stay mapped, be aligned to 64 bytes, and be writable if a function that is called writes the cell.
//
// Errors: a cell that does not exist or whose size is another.
func (i *Instance) MapCell(name string, memory []byte) error {
	i.lock.Lock()
	defer i.lock.Unlock()
	k, ok := i.cellAt[name]
	if !ok {
		return fmt.Errorf("there is no cell %s", name)
	}
	typ := i.program.Module.Cells[k].Type
	shape, err := evalShape(typ.Shape, nil)
	if err != nil {
		return fmt.Errorf("cell %s: %w", name, err)
	}
	if n := product(shape) * ElemSize(Stored(i.program.Module.Cells[k])); len(memory) != n || address(memory)%64 != 0 {
		return fmt.Errorf("cell %s, which is %v, needs %d bytes that are aligned to 64; it was given %d", name, typ, n, len(memory))
	}
	i.memory.free(i.cells[k].now)
	i.cells[k] = cell{shape: shape, now: memory}
	i.reshapes.Add(1)
	i.changes.Add(1)
	return nil
}

// notFinite says that a value that must be finite is not.
type notFinite struct{ what string }

func (e *notFinite) Error() string { return e.what + " is not finite" }

// errExclusive says that a call must have the cells to itself.
var errExclusive = errors.New("the call changes cells")

// Call runs the function fn.
func (i *Instance) Call(fn string, args ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	k, ok := i.funcs[fn]
	if !ok {
		return nil, fmt.Errorf("there is no function %s", fn)
	}
	i.calls <- struct{}{}
	defer func() { <-i.calls }()
	err := errExclusive
	var results []*tensor.Tensor
	stages := i.program.Module.Funcs[k].Stages
	if f := &i.program.Funcs[k]; len(stages) == 0 && !f.changes() {
		i.lock.RLock()
		results, err = i.call(k, args, false)
		i.lock.RUnlock()
	}
	if errors.Is(err, errExclusive) {
		i.lock.Lock()
		results, err = i.staged(k, args)
		i.changes.Add(1)
		i.lock.Unlock()
	}
	if err != nil {
		return nil, err
	}
	return results, nil
}

// staged runs function k after its stages. The cells are locked for writing.
func (i *Instance) staged(k int, args []*tensor.Tensor) ([]*tensor.Tensor, error) {
	f := i.program.Module.Funcs[k]
	if len(f.Stages) > 0 {
		if _, err := i.boundFor(k, args); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	err := runtime.Stages(f, args, func(stage *ir.Func, args []*tensor.Tensor) error {
		_, err := i.attempt(i.funcs[stage.Name], args, true)
		i.changes.Add(1)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	return i.call(k, args, true)
}

// call runs function k. The cells are locked; for writing too if exclusive is set.
func (i *Instance) call(k int, args []*tensor.Tensor, exclusive bool) ([]*tensor.Tensor, error) {
	fn := i.program.Module.Funcs[k]
	results, err := i.attempt(k, args, exclusive)
	var bad *notFinite
	switch {
	case errors.As(err, &bad):
		if i.explain == nil {
			return nil, &runtime.NonFiniteError{What: bad.what, Op: "unknown"}
		}
		return nil, i.explain(fn.Name, args, bad.what, i.cell)
	case err != nil && !errors.Is(err, errExclusive):
		return nil, fmt.Errorf("%s: %w", fn.Name, err)
	}
	return results, err
}

func (i *Instance) attempt(k int, args []*tensor.Tensor, exclusive bool) (results []*tensor.Tensor, err error) {
	b, err := i.boundFor(k, args)
	if err != nil {
		return nil, err
	}
	if err := i.prepare(b, exclusive); err != nil {
		return nil, err
	}
	if err := b.reserve(i.memory); err != nil {
		return nil, err
	}
	f, err := i.takeFrame(b)
	if err != nil {
		return nil, err
	}
	defer i.giveArena(f.arena)
	in := make([]*tensor.Tensor, len(args))
	for n, a := range args {
		in[n] = a.To(Working(a.DType))
	}
	if err := f.lay(in); err != nil {
		return nil, err
	}
	if f.team, err = i.team.enter(exclusive); err != nil {
		return nil, err
	}
	defer f.team.leave()
	defer goruntime.KeepAlive(in)
	defer goruntime.KeepAlive(i)
	defer goruntime.KeepAlive(b)
	defer func() {
		if err != nil {
			f.putBack()
		}
	}()
	if err := f.renew(); err != nil {
		return nil, err
	}
	if err := f.runAll(0, b.doubt); err != nil {
		return nil, err
	}
	for n := range b.fn.Checks {
		if err := f.check(n); err != nil {
			return nil, err
		}
	}
	results = make([]*tensor.Tensor, len(b.fn.Results))
	for n, r := range b.fn.Results {
		if results[n], err = tensorAt(b.fn.Slots[r].Type.DType, b.shapes[r], f.bytes[r]); err != nil {
			return nil, err
		}
	}
	next, err := i.reshaped(b)
	if err != nil {
		return nil, err
	}
	if err := f.runAll(b.gate, len(b.runs)); err != nil {
		panic("BUG: exec: behind the gate: " + err.Error())
	}
	if len(next) > 0 {
		i.reshapes.Add(1)
	}
	for n, c := range next {
		f.stale = true
		i.memory.free(i.cells[n].now)
		i.cells[n] = c
	}
	for _, c := range b.fn.Commits {
		i.store(c.Cell, i.cells[c.Cell].now, f.bytes[c.Slot])
	}
	for _, c := range b.writes {
		i.cells[c].bounded = false
	}
	for _, n := range f.next {
		i.cells[n.cell].bounds, i.cells[n.cell].bounded = n.bounds, true
	}
	i.giveFrame(f)
	return results, nil
}

// check makes sure that what check number n is of is finite.
func (f *frame) check(n int) error {
	if f.proves(n) {
		return nil
	}
	c := &f.fn.Checks[n]
	if err := f.runAll(f.runOf[c.First], f.runOf[c.End]); err != nil {
		return err
	}
	if f.bytes[c.Slot][0] == 0 {
		return &notFinite{c.What}
	}
	return nil
}

// boundFor checks the arguments and returns the launch table for their sizes.
func (i *Instance) boundFor(k int, args []*tensor.Tensor) (*bound, error) {
	fn := i.program.Module.Funcs[k]
	if len(args) != len(fn.Params) {
		return nil, fmt.Errorf("it takes %d arguments, not %d", len(fn.Params), len(args))
	}
	if r := i.recent[k].Load(); r != nil && r.fits(i, args) {
		return r.bound, nil
	}
	shapes := i.reshapes.Load()
	bind := map[string]int{}
	for range 2 { // a dimension may need symbols that later parameters bind
		for n, v := range fn.Params {
			if err := v.Type.Bind(args[n], bind); err != nil {
				return nil, fmt.Errorf("parameter %s is %v: %w", paramName(fn, n), v.Type, err)
			}
		}
	}
	for n, c := range i.program.Module.Cells { // symbols that no parameter binds have the sizes that cells have
		if i.cells[n].now == nil {
			continue
		}
		for d, dim := range c.Type.Shape {
			if s, ok := dim.IsSymbol(); ok {
				if _, bound := bind[s]; !bound {
					bind[s] = i.cells[n].shape[d]
				}
			}
		}
	}
	b, err := i.boundTo(k, bind)
	if err == nil {
		i.recent[k].Store(recentOf(b, args, shapes))
	}
	return b, err
}

// boundTo returns the launch table of function k for sizes of symbols.
func (i *Instance) boundTo(k int, bind map[string]int) (*bound, error) {
	i.cache.Lock()
	defer i.cache.Unlock()
	key := bindKey(i.program.Module.Funcs[k].Name, bind)
	if b := i.bounds[key]; b != nil {
		return b, nil
	}
	b, err := i.program.bind(&i.program.Funcs[k], bind, true)
	if err != nil {
		return nil, err
	}
	for n := range b.runs {
		if r := &b.runs[n]; r.step.Launch != nil {
			r.entry = i.code.Func(i.program.Kernels[r.kernel].Entry)
		}
	}
	if len(i.bounds) >= maxBounds {
		clear(i.bounds)
	}
	i.bounds[key] = b
	return b, nil
}

// recent is the launch table that a function used last, and for what.
type recent struct {
	bound  *bound
	args   []tensor.Tensor // types and shapes only
	shapes int64           // of the cells, by number
}

func recentOf(b *bound, args []*tensor.Tensor, shapes int64) *recent {
	r := &recent{bound: b, shapes: shapes}
	for _, a := range args {
		r.args = append(r.args, tensor.Tensor{DType: a.DType, Shape: slices.Clone(a.Shape)})
	}
	return r
}

// fits reports whether args, which may be wrong, are of those types and shapes, and the cells too.
func (r *recent) fits(i *Instance, args []*tensor.Tensor) bool {
	if len(args) != len(r.args) || i.reshapes.Load() != r.shapes {
		return false
	}
	for n, a := range args {
		if a == nil || a.DType != r.args[n].DType || !slices.Equal(a.Shape, r.args[n].Shape) || a.Len() != len(a.F32)+len(a.F64)+len(a.I32)+len(a.Bool) {
			return false
		}
	}
	return true
}

func paramName(f *ir.Func, i int) string {
	if n := f.Params[i].Name; n != "" {
		return n
	}
	return fmt.Sprint(i + 1)
}

// prepare makes sure that the cells that a call reads, or writes in place, have the shapes that it needs.
func (i *Instance) prepare(b *bound, exclusive bool) error {
	if b.prepared.Load() == 1+i.reshapes.Load() {
		return nil
	}
	for s := range b.fn.Slots {
		sl := &b.fn.Slots[s]
		if sl.Place != Cell {
			continue
		}
		c := &i.cells[sl.Index]
		if c.now == nil {
			if !exclusive {
				return errExclusive
			}
			if err := i.reshapeCell(sl.Index, slices.Clone(b.shapes[s])); err != nil {
				return err
			}
		}
		if !slices.Equal(c.shape, b.shapes[s]) {
			return fmt.Errorf("cell %s holds %v, where the call needs %v", i.program.Module.Cells[sl.Index].Name, c.shape, b.shapes[s])
		}
	}
	b.prepared.Store(1 + i.reshapes.Load())
	return nil
}

// reshaped returns memory for the cells that get values of another shape.
func (i *Instance) reshaped(b *bound) (map[int]cell, error) {
	next := map[int]cell{}
	for _, m := range b.fn.Commits {
		shape := b.shapes[m.Slot]
		if c := &i.cells[m.Cell]; c.now != nil && slices.Equal(c.shape, shape) {
			continue
		}
		now, err := i.memory.alloc(product(shape) * ElemSize(Stored(i.program.Module.Cells[m.Cell])))
		if err != nil {
			return nil, err
		}
		next[m.Cell] = cell{shape: slices.Clone(shape), now: now}
	}
	return next, nil
}

// takeFrame returns a frame with an arena that the call has to itself. It may be that of an earlier call, with slots laid out already.
func (i *Instance) takeFrame(b *bound) (*frame, error) {
	i.cache.Lock()
	defer i.cache.Unlock()
	arena, err := i.takeArena(b.arena)
	if err != nil {
		return nil, err
	}
	f := &frame{Instance: i, bound: b, base: make([]uintptr, len(b.fn.Slots)), bytes: make([][]byte, len(b.fn.Slots)), stale: true}
	if last := len(b.frames) - 1; last >= 0 {
		f = b.frames[last]
		b.frames = b.frames[:last]
	}
	f.stale = f.stale || address(f.arena) != address(arena) || f.shapesOf != i.reshapes.Load()
	f.arena, f.observe, f.shapesOf = arena, i.observe, i.reshapes.Load()
	f.backwards = !b.writing && b.calls%2 == 1
	b.calls++
	return f, nil
}

// giveFrame keeps the frame of a call that went well for the next one.
func (i *Instance) giveFrame(f *frame) {
	for _, s := range f.params {
		f.bytes[s] = nil
	}
	i.cache.Lock()
	defer i.cache.Unlock()
	f.frames = append(f.frames, f)
}

// takeArena returns memory of at least n bytes that the call has to itself. The cache is locked.
func (i *Instance) takeArena(n int) ([]byte, error) {
	if last := len(i.arenas) - 1; last >= 0 {
		a := i.arenas[last]
		i.arenas = i.arenas[:last]
		if len(a) >= n {
			return a, nil
		}
		i.memory.free(a)
	}
	return i.memory.alloc(n)
}

func (i *Instance) giveArena(a []byte) {
	i.cache.Lock()
	defer i.cache.Unlock()
	i.arenas = append(i.arenas, a)
}

// Note [There and back]
//
// A prediction reads the same weights as the one before. If they are somewhat more than a cache holds, what it reads next is always what the cache has just
// lost. So every other call goes through the chunks of its launches backwards, and begins with what the last one ended with. What a chunk computes
// does not depend on that.

// frame is a call in progress.
type frame struct {
	*Instance
	*bound
	team  *team
	arena []byte
	base  []uintptr
	bytes [][]byte // of the slots
	words []uint64 // of the launch in progress
	now   *run     // that launch
	bad   badIndex // that it found

	backwards bool // the chunks of each launch are gone through from the last to the first, see Note [There and back]

	stale    bool  // the slots have to be laid out
	shapesOf int64 // Instance.reshapes when they were
	observe  observer
	facts    []interval   // of the proof in progress
	next     []nextBounds // of what was proved
	stored   []stored     // by stores so far
	before   []byte       // the elements that lay there
}

// stored is a part of the memory of a cell, and how many bytes of before lie in front of its own.
type stored struct {
	memory []byte
	before int
}

// lay finds where the slots lie; of a frame that was used before, only what the caller gave is new.
func (f *frame) lay(args []*tensor.Tensor) error {
	set := func(s int) (err error) {
		f.bytes[s], err = f.memory(s, args)
		f.base[s] = address(f.bytes[s])
		return err
	}
	f.bad.found, f.next, f.stored, f.before = false, f.next[:0], f.stored[:0], f.before[:0]
	if !f.stale {
		for _, s := range f.params {
			if err := set(s); err != nil {
				return err
			}
		}
		return nil
	}
	for s := range f.fn.Slots {
		if err := set(s); err != nil {
			return err
		}
	}
	f.stale = false
	return nil
}

// memory returns where slot s lies.
func (f *frame) memory(s int, args []*tensor.Tensor) ([]byte, error) {
	root := f.fn.Root(s)
	sl := &f.fn.Slots[root]
	n := product(f.shapes[root]) * ElemSize(sl.Type.DType)
	if n == 0 {
		return f.nowhere[:0], nil
	}
	switch sl.Place {
	case Arena:
		if f.kept.has(root) {
			return f.kept.memory[f.offset[root]:][:n], nil
		}
		return f.arena[f.offset[root]:][:n], nil
	case Param:
		return BytesOf(args[sl.Index])
	case Const:
		return f.consts[sl.Index:][:n], nil
	case Cell:
		return f.cells[sl.Index].now[:n], nil
	}
	panic("BUG: exec: a value without a place")
}

// runAll runs the steps from one number up to another.
func (f *frame) runAll(from, to int) error {
	for k := from; k < to; k++ {
		r := &f.runs[k]
		switch {
		case r.step.Move != nil:
			copy(f.bytes[r.step.Move.To], f.bytes[r.step.Move.From])
			continue
		case r.step.Store != nil:
			f.store(r.step.Store)
			continue
		case r.step.Scan != nil:
			if err := f.scan(r, k+1); err != nil {
				return err
			}
			k = r.end - 1
			continue
		case r.kept:
			continue
		}
		if err := f.observed(r); err != nil {
			return err
		}
	}
	return nil
}

// store carries out a store.
func (f *frame) store(s *Store) {
	shape := f.shapes[s.To]
	at := int(over(tensor.I32, nil, f.bytes[s.At]).I32[0])
	if at < 0 || at >= shape[s.Axis] {
		return
	}
	cell, row := f.bytes[s.To], f.bytes[s.From]
	n := product(shape[s.Axis+1:]) * ElemSize(f.fn.Slots[s.To].Type.DType) // bytes that lie together
	for k := 0; k*n < len(row); k++ {
		part := cell[(k*shape[s.Axis]+at)*n:][:n]
		f.stored = append(f.stored, stored{part, len(f.before)})
		f.before = append(f.before, part...)
		copy(part, row[k*n:])
	}
}

// putBack undoes the stores of a call, the last one first.
func (f *frame) putBack() {
	for _, s := range slices.Backward(f.stored) {
		copy(s.memory, f.before[s.before:])
	}
}

// observed runs one launch, and tells the call's observer of it.
func (f *frame) observed(r *run) error {
	if f.observe == nil {
		return f.run(r)
	}
	start := time.Now()
	if err := f.run(r); err != nil {
		return err
	}
	f.observe(f.bound, r, time.Since(start))
	return nil
}

// run runs one launch.
func (f *frame) run(r *run) error {
	k, l := &f.program.Kernels[r.kernel], r.step.Launch
	if r.fill {
		for _, z := range l.Results {
			out := f.bytes[z]
			for n := 0; n < len(out); n += len(k.Identity) {
				copy(out[n:], k.Identity)
			}
		}
		return nil
	}
	if k.Clear {
		for _, z := range l.Results {
			clear(f.bytes[z])
		}
	}
	if r.scratch > 0 {
		if err := f.team.reserve(r.scratch); err != nil {
			return err
		}
	}
	f.words = append(f.words[:0], noWords[:]...)
	partial := uint64(address(f.arena)) + uint64(r.partial)
	if r.rounds > 1 {
		f.words = append(f.words, partial)
	} else {
		for _, z := range l.Results {
			f.words = append(f.words, uint64(f.base[z]))
		}
	}
	if r.merge {
		f.words = append(f.words, partial)
	} else {
		for _, a := range l.Args {
			f.words = append(f.words, uint64(f.base[a]))
		}
	}
	for _, n := range r.sizes {
		f.words = append(f.words, uint64(n))
	}
	f.now = r
	if r.alone || len(f.team.workers) == 0 {
		f.byCaller(r)
	} else {
		f.team.do(r.chunks, r.together, f.backwards, f)
	}
	if f.bad.found {
		return fmt.Errorf("%s%s: %w", l.Loc.Prefix(), l.What, &runtime.RangeError{Index: int(f.bad.index), Limit: int(f.bad.limit)})
	}
	return nil
}

// backwardsPieces is the most pieces that a round of one thread's launch is in when it is gone through backwards.
const backwardsPieces = 4

// byCaller runs the launch in progress on the caller's thread. Neighbouring chunks are one, or several where they are gone through backwards.
func (f *frame) byCaller(r *run) {
	step := r.points
	if f.backwards && !r.alone {
		chunks := r.chunks / r.rounds
		step = (chunks + backwardsPieces - 1) / backwardsPieces * r.perChunk
	}
	pieces := (r.points + step - 1) / step
	for k := range r.rounds * pieces {
		if f.backwards {
			k = r.rounds*pieces - 1 - k
		}
		first := k % pieces * step
		f.part(f.team.caller, k/pieces, first, min(r.points, first+step), r.longRound)
	}
}

// noWords stand for those that differ from chunk to chunk.
var noWords [WordResult]uint64

// chunks runs some chunks of the launch in progress, those of a round together.
func (f *frame) chunks(w *worker, first, n int) {
	r := f.now
	perRound := r.chunks / r.rounds
	for n > 0 {
		round, at := first/perRound, first%perRound
		k := min(n, perRound-at)
		f.part(w, round, at*r.perChunk, min(r.points, (at+k)*r.perChunk), r.long)
		first, n = first+k, n-k
	}
}

// part runs a range of points of one round of the launch in progress.
func (f *frame) part(w *worker, round, first, end int, long bool) {
	r := f.now
	w.words = append(w.words[:0], f.words...)
	w.words[WordP0], w.words[WordP1] = uint64(first), uint64(end)
	w.words[WordR0], w.words[WordR1] = uint64(round*r.perRound), uint64(min(r.splits, (round+1)*r.perRound))
	w.words[WordResult] += uint64(round * r.stride)
	w.words[WordFault] = uint64(w.faultAddress())
	w.words[WordScratch] = uint64(address(w.scratch))
	w.fault[0] = 0
	w.enter(r.entry, long)
	if w.fault[0] != 0 {
		f.bad.note(round*r.points+first, w.fault[1], w.fault[2])
	}
}

// badIndex keeps the data index outside its tensor that the earliest part found.
type badIndex struct {
	sync.Mutex
	found        bool
	at           int // the first point of the part
	index, limit int64
}

func (b *badIndex) note(at int, index, limit int64) {
	b.Lock()
	defer b.Unlock()
	if !b.found || at < b.at {
		b.found, b.at, b.index, b.limit = true, at, index, limit
	}
}
