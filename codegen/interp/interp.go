// Package interp is the backend that defines the meaning of the IR: it runs modules before fusion, in plain Go.
//
// The body of a nest becomes a small program over strips of points (strip.go, kernels.go), iterated in an order chosen for the
// reads (nest.go) and split into jobs by shape (parallel.go). Products of matrices and convolutions of every kind are packed into
// matrices and multiplied by gonum (gemm.go). Sums of floats that are not such products are accumulated in double precision;
// contractions are summed in the working precision, in blocks. Bits do not depend on the number of threads.
package interp

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// Backend is the interpreter.
type Backend struct{}

var _ codegen.Backend = Backend{}

// Name returns "interp".
func (Backend) Name() string { return "interp" }

// Compile makes a program of m. The program may be used by several goroutines; its calls run one after the other.
func (Backend) Compile(m *ir.Module, opts codegen.Options) (runtime.Program, error) {
	threads := opts.Threads
	if threads <= 0 {
		threads = goruntime.GOMAXPROCS(0)
	}
	switch opts.Precision {
	case tensor.Invalid, tensor.F32:
		return compile[float32](m, threads)
	case tensor.F64:
		return compile[float64](m, threads)
	}
	return nil, fmt.Errorf("the precision can be f32 or f64, not %v", opts.Precision)
}

// machine is a program: a module, its cells, and the plans made so far.
type machine[F float] struct {
	sync.Mutex
	module *ir.Module
	cells  map[*ir.Cell]*value[F]
	staged map[*ir.Cell]*value[F] // written by the call in progress
	plans  map[string]*plan[F]
	last   string // key of the last call's plan
	team   *team[F]
	mem    *memory[F]
	trace  *tracer
}

// value is a buffer with its shape.
type value[F float] struct {
	*buffer[F]
	shape []int
}

// maxFree bounds the number of elements that lie free when a call has other sizes than the last.
const maxFree = 1 << 28

// maxPlans bounds how many bindings of symbols are kept compiled.
const maxPlans = 64

func compile[F float](m *ir.Module, threads int) (*machine[F], error) {
	p := &machine[F]{
		module: m, cells: map[*ir.Cell]*value[F]{}, staged: map[*ir.Cell]*value[F]{}, plans: map[string]*plan[F]{},
		team: newTeam[F](threads), mem: newMemory[F](),
	}
	for _, f := range m.Funcs {
		if err := supported[F](f); err != nil {
			return nil, err
		}
	}
	for _, c := range m.Cells {
		shape, err := evalShape[F](c.Type.Shape, nil)
		switch {
		case err == nil:
			p.cells[c] = p.zeros(c.Type.DType, shape)
		case !errors.As(err, new(unknownSize)): // of others, the first value tells the size
			return nil, fmt.Errorf("%s, %v: %w", c.Name, c.Type, err)
		}
	}
	return p, nil
}

func (m *machine[F]) zeros(d tensor.DType, shape []int) *value[F] {
	b := m.mem.alloc(d, product(shape))
	b.zero()
	return &value[F]{b, shape}
}

// supported reports what in f the interpreter cannot run.
func supported[F float](f *ir.Func) error {
	for _, in := range f.Body {
		switch in.Op {
		case ir.OpNest:
			var err error
			in.Nest.Body.Walk(func(e *ir.Expr) {
				if !computable[F](e) && e.Op.Expand(e.Args) == nil {
					err = fmt.Errorf("%sthe interpreter cannot compute %s", in.Loc.Prefix(), e.Op)
				}
			})
			if err != nil {
				return err
			}
		case ir.OpScan:
			if err := supported[F](in.Scan.Body); err != nil {
				return err
			}
		case ir.OpReshape, ir.OpConst, ir.OpRead, ir.OpWrite, ir.OpCall:
		default:
			return fmt.Errorf("%s%s in %s must be gone before code is made", in.Loc.Prefix(), in.Op, f.Name)
		}
	}
	return nil
}

// unknownSize is a symbol whose size is not known.
type unknownSize string

func (s unknownSize) Error() string { return "the size of " + string(s) + " is not known" }

// evalShape returns the dimensions for given symbols.
//
// Errors: an unknownSize, and a tensor that is too large.
func evalShape[F float](shape []ir.Affine, bind map[string]int) ([]int, error) {
	dims := make([]int, len(shape))
	var err error
	for i, d := range shape {
		dims[i] = d.EvalDim(func(s string) int {
			n, ok := bind[s]
			if !ok && err == nil {
				err = unknownSize(s)
			}
			return n
		})
	}
	if err != nil {
		return nil, err
	}
	elements := 1
	for _, n := range dims {
		if n > 0 && elements > runtime.MaxElements/n {
			return nil, runtime.ErrTooLarge
		}
		elements *= n
	}
	var zero F
	return dims, runtime.CheckMemory(elements * int(unsafe.Sizeof(zero)))
}

// Module returns the module that the program was compiled from.
func (m *machine[F]) Module() *ir.Module { return m.module }

// Cell returns a copy of a cell's value.
func (m *machine[F]) Cell(name string) (*tensor.Tensor, error) {
	m.Lock()
	defer m.Unlock()
	c := m.module.Cell(name)
	if c == nil {
		return nil, fmt.Errorf("there is no cell %s", name)
	}
	v := m.cells[c]
	if v == nil {
		return nil, fmt.Errorf("cell %s, which is %v, has no value yet", name, c.Type)
	}
	return unwrap(v.buffer, v.shape).Clone(), nil
}

// SetCell gives a cell a value.
func (m *machine[F]) SetCell(name string, t *tensor.Tensor) error {
	m.Lock()
	defer m.Unlock()
	c := m.module.Cell(name)
	if c == nil {
		return fmt.Errorf("there is no cell %s", name)
	}
	if err := c.Type.Bind(t, map[string]int{}); err != nil {
		return fmt.Errorf("cell %s is %v: %w", name, c.Type, err)
	}
	b := m.mem.clone(wrap[F](t))
	if c.Half {
		roundHalf(b)
	}
	if old := m.cells[c]; old != nil {
		m.mem.release(old.buffer)
	}
	m.cells[c] = &value[F]{b, slices.Clone(t.Shape)}
	return nil
}

// Call runs the function fn.
func (m *machine[F]) Call(fn string, args ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	m.Lock()
	defer m.Unlock()
	f := m.module.Func(fn)
	if f == nil {
		return nil, fmt.Errorf("there is no function %s", fn)
	}
	p, err := m.planFor(f, args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fn, err)
	}
	results, err := m.call(p, args)
	var bad *nonFinite
	if errors.As(err, &bad) {
		return nil, m.explain(p, args, bad.what)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fn, err)
	}
	return results, nil
}

// call runs a plan after the stages of its function.
func (m *machine[F]) call(p *plan[F], args []*tensor.Tensor) ([]*tensor.Tensor, error) {
	err := runtime.Stages(p.fn, args, func(stage *ir.Func, args []*tensor.Tensor) error {
		q, err := m.planFor(stage, args)
		if err != nil {
			return err
		}
		_, err = m.attempt(q, args)
		m.discard()
		return err
	})
	if err != nil {
		return nil, err
	}
	defer m.discard()
	return m.attempt(p, args)
}

// planFor checks the arguments and returns the plan for their sizes.
func (m *machine[F]) planFor(f *ir.Func, args []*tensor.Tensor) (*plan[F], error) {
	if len(args) != len(f.Params) {
		return nil, fmt.Errorf("it takes %d arguments, not %d", len(f.Params), len(args))
	}
	bind := map[string]int{}
	for range 2 { // a dimension may need symbols that later parameters bind
		for i, p := range f.Params {
			if err := p.Type.Bind(args[i], bind); err != nil {
				return nil, fmt.Errorf("parameter %s is %v: %w", paramName(f, i), p.Type, err)
			}
		}
	}
	for _, c := range m.module.Cells { // symbols that no parameter binds have the sizes that cells have
		if v := m.cells[c]; v != nil {
			for i, dim := range c.Type.Shape {
				if s, ok := dim.IsSymbol(); ok {
					if _, bound := bind[s]; !bound {
						bind[s] = v.shape[i]
					}
				}
			}
		}
	}
	var names []string
	for s, n := range bind {
		names = append(names, fmt.Sprintf(" %s=%d", s, n))
	}
	slices.Sort(names)
	key := f.Name + strings.Join(names, "")
	if key != m.last {
		m.last = key
		if m.plans[key] == nil || m.mem.free() > maxFree {
			m.mem.drop() // other sizes
		}
	}
	if p := m.plans[key]; p != nil {
		return p, nil
	}
	p, err := compilePlan[F](f, bind)
	if err != nil {
		return nil, err
	}
	if len(m.plans) >= maxPlans {
		clear(m.plans)
	}
	m.plans[key] = p
	return p, nil
}

func paramName(f *ir.Func, i int) string {
	if n := f.Params[i].Name; n != "" {
		return n
	}
	return fmt.Sprint(i + 1)
}

// nonFinite says that a value that must be finite is not.
type nonFinite struct{ what string }

func (e *nonFinite) Error() string { return e.what + " is not finite" }

// attempt runs a plan and, if all goes well, lets its writes take effect.
func (m *machine[F]) attempt(p *plan[F], args []*tensor.Tensor) ([]*tensor.Tensor, error) {
	in := make([]*buffer[F], len(args))
	for i, a := range args {
		in[i] = wrap[F](a)
	}
	out, err := m.run(p, in)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, b := range out {
			if b != nil {
				m.mem.release(b)
			}
		}
	}()
	if p.fn.Finite {
		if err := m.checkFinite(p, out); err != nil {
			return nil, err
		}
	}
	for c, v := range m.staged {
		if c.Half {
			v = m.rounded(v)
		}
		if old := m.cells[c]; old != nil {
			m.mem.release(old.buffer)
		}
		m.cells[c] = v
	}
	clear(m.staged)
	results := make([]*tensor.Tensor, len(out))
	for i, b := range out {
		if b.foreign || b.refs > 1 {
			results[i] = unwrap(b, p.types[p.results[i]].shape).Clone()
			m.mem.release(b)
		} else {
			results[i] = unwrap(b, p.types[p.results[i]].shape)
		}
		out[i] = nil
	}
	return results, nil
}

// rounded returns v with its elements rounded to bf16.
func (m *machine[F]) rounded(v *value[F]) *value[F] {
	if v.foreign || v.refs > 1 {
		b := m.mem.clone(v.buffer)
		m.mem.release(v.buffer)
		v = &value[F]{b, v.shape}
	}
	roundHalf(v.buffer)
	return v
}

func roundHalf[F float](b *buffer[F]) {
	for i, x := range b.f {
		b.f[i] = F(tensor.RoundBF16(float32(x)))
	}
}

// discard forgets the writes of a call that failed.
func (m *machine[F]) discard() {
	for _, v := range m.staged {
		m.mem.release(v.buffer)
	}
	clear(m.staged)
}

// checkFinite checks the result "loss" and all written cells.
func (m *machine[F]) checkFinite(p *plan[F], out []*buffer[F]) error {
	for i, name := range p.fn.ResultNames {
		if name == "loss" && !m.finite(out[i]) {
			return &nonFinite{name}
		}
	}
	for _, c := range m.module.Cells { // in the module's order, so that the message is always the same
		if v := m.staged[c]; v != nil && !m.finite(v.buffer) {
			return &nonFinite{c.Name}
		}
	}
	return nil
}

// finite reports whether b holds finite numbers only.
func (m *machine[F]) finite(b *buffer[F]) bool {
	const block = 1 << 16
	jobs := (len(b.f) + block - 1) / block
	bad := make([]bool, jobs)
	m.team.run(jobs, len(b.f), func(_ *worker[F], k int) {
		bad[k] = !allFinite(b.f[k*block : min(len(b.f), (k+1)*block)])
	})
	return !slices.Contains(bad, true)
}

// allFinite reports whether x holds finite numbers only: a finite x times 0 is 0, anything else is not a number.
func allFinite[F float](x []F) bool {
	var s0, s1 F
	for len(x) >= 2 {
		s0 += x[0] * 0
		s1 += x[1] * 0
		x = x[2:]
	}
	for _, v := range x {
		s0 += v * 0
	}
	return s0+s1 == 0
}
