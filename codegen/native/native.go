// Package native is the backend that compiles modules to machine code: IR through LLVM's code generator to an object file, to an image that is
// mapped and called, all without cgo.
//
// What it makes is a program as data, which package runtime/exec runs: kernels, which equal nests share, and launches of them.
//
//	transform.go what follows by name, so that it can be left out
//	rounds.go    sequences of scans in the order of rounds
//	fuse.go      elementwise nests into their consumers
//	update.go    what writes cells in place, at the end of a call (proof.go: that their next values are finite)
//	lower.go     functions → launches over numbered slots (scan.go: scans); equal nests → one kernel (kernel.go)
//	flatten.go   elementwise nests of all shapes as one
//	arrange.go   the copies that contractions want, once each and out of scans
//	slices.go    parts of values, read where they lie in these
//	prepare.go   sums of products: operands padded, permuted or in panels, to be read without tests and in single steps
//	nest.go      a nest with its loops merged, classed and ordered (form.go, poly.go: its index expressions and sizes)
//	post.go      updates of weights from the sums that are their gradients, which are not written
//	winograd.go  convolutions of 3×3 by Winograd's algorithm (winograd_emit.go, winograd_transform.go), unless the math is strict
//	direct.go    those of few channels by direct sums (pooled.go: gradients of their weights before max-pooling)
//	epilogue.go  what follows such a convolution, computed with it
//	after.go     what follows products, from their sums
//	pieces.go    results that are parts of a value, written where they belong in it
//	unpool.go    gradients before max-pooling, read by such convolutions as they were pooled
//	tiling.go    how many rows and vectors of the result are computed together
//	stream.go    products with matrices that no cache holds
//	emit.go      a nest → LLVM IR: points, vectors, reductions, guards (index.go: reads; body.go, scalar.go, poly_math.go: scalar ops)
//	scope.go     LLVM IR with everything placed in the outermost loop that knows it, since no optimiser runs
//	toolchain.go, cache.go, level.go   LLVM IR → object file, for a level of processors
//
// Kernels are chosen by what nests read, never by the layer that they come from: a matrix product, a convolution or the gradient of one is a
// nest whose reads let rows and vectors be computed together, and so is a user's own layer.
//
// Not done yet: what costs more than a few operations and follows a reduction that is no 3×3 convolution is a launch of its own; slices of a scan's sequences that are views.
package native

import (
	"errors"
	"fmt"
	"hash/fnv"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/image"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// Backend compiles to native code for this machine.
type Backend struct{}

var _ codegen.Backend = Backend{}

// Name returns "native".
func (Backend) Name() string { return "native" }

// ErrPrecision says that native code computes in single precision only.
var ErrPrecision = errors.New("native code computes in f32; for f64 use the interpreter")

// Compile makes a program of m. The program may be used by several goroutines; its calls run one after the other.
//
// Errors: ErrNoLLVM, ErrPrecision, a processor without what the code needs, an instruction that cannot be compiled.
func (Backend) Compile(m *ir.Module, opts codegen.Options) (runtime.Program, error) {
	if opts.Precision != tensor.Invalid && opts.Precision != tensor.F32 {
		return nil, ErrPrecision
	}
	level, err := DetectLevel()
	if err != nil {
		return nil, err
	}
	tools, err := FindToolchain()
	if err != nil {
		return nil, err
	}
	p, err := compileModule(m, level, opts.Math, tools, openCache(), opts.Disable...)
	if err != nil {
		return nil, err
	}
	return exec.New(p, exec.Options{
		Threads: opts.Threads,
		Explain: func(fn string, args []*tensor.Tensor, what string, cell func(string) (*tensor.Tensor, error)) error {
			return interp.Blame(m, fn, args, what, cell)
		},
	})
}

// Memory returns what calls of the function fn use if symbols have these sizes; no code is made for that.
//
// Errors: what Compile says of instructions; a symbol whose size is missing.
func Memory(m *ir.Module, fn string, sizes map[string]int) (exec.Memory, error) {
	level, err := DetectLevel()
	if err != nil {
		level = levels[len(levels)-1] // of which the kernels' sizes hardly depend
	}
	f := m.Func(fn)
	if f == nil {
		return exec.Memory{}, fmt.Errorf("there is no function %s", fn)
	}
	alone := ir.NewModule()
	alone.Cells = m.Cells
	for _, s := range f.Stages {
		alone.AddFunc(s.Func)
	}
	alone.AddFunc(f)
	p, low, err := lower(alone, level, codegen.Fast)
	if err != nil {
		return exec.Memory{}, err
	}
	for _, k := range low.kernels {
		p.Kernels = append(p.Kernels, k.Kernel)
	}
	return p.Memory(fn, sizes)
}

// SelfTest compiles a small kernel anew, past the cache, runs it and looks at what it computes.
func SelfTest() error {
	level, err := DetectLevel()
	if err != nil {
		return err
	}
	tools, err := FindToolchain()
	if err != nil {
		return err
	}
	f := ir.NewFunc("double")
	x := f.Param("x", ir.Type{DType: tensor.F32, Shape: []ir.Affine{ir.Symbol("N")}})
	f.Return("", f.Apply(ir.OpAdd, x, x))
	m := ir.NewModule()
	m.AddFunc(f.Func)
	p, err := compileModule(m, level, codegen.Strict, tools, cache{})
	if err != nil {
		return err
	}
	i, err := exec.New(p, exec.Options{Threads: 1})
	if err != nil {
		return err
	}
	in := tensor.New(tensor.F32, 1000)
	for k := range in.F32 {
		in.F32[k] = float32(k)
	}
	out, err := i.Call("double", in)
	if err != nil {
		return err
	}
	for k, v := range out[0].F32 {
		if v != float32(2*k) {
			return fmt.Errorf("twice %d gives %v", k, v)
		}
	}
	return nil
}

// Program compiles m for a level of processors, by LLVM's name, without the transformations of these names.
//
// Errors: ErrNoLLVM, a level or a transformation that is not known, an instruction that cannot be compiled.
func Program(m *ir.Module, cpu string, math codegen.Math, disable ...string) (*exec.Program, error) {
	for _, level := range levels {
		if level.CPU == cpu {
			tools, err := FindToolchain()
			if err != nil {
				return nil, err
			}
			return compileModule(m, level, math, tools, openCache(), disable...)
		}
	}
	return nil, fmt.Errorf("there is no level %q of processors", cpu)
}

// kernelsPerObject is how many kernels share a run of the code generator at most, on average: its start costs as much as one kernel.
const kernelsPerObject = 24

// sharedObjects is how many runs share few kernels, so that processors share the work. It is the same on all machines, which make the same
// bytes of the same program.
const sharedObjects = 4

// compileModule lowers and compiles all functions of m.
func compileModule(m *ir.Module, level Level, math codegen.Math, tools *Toolchain, cached cache, disable ...string) (*exec.Program, error) {
	p, low, err := lower(m, level, math, disable...)
	if err != nil {
		return nil, err
	}
	if !low.does(doOptimize) {
		tools = tools.quick()
	}
	if err := low.link(p, tools, cached); err != nil {
		return nil, fmt.Errorf("native code: %w", err)
	}
	if err := p.Check(); err != nil {
		panic("BUG: native: " + err.Error())
	}
	return p, nil
}

// lower turns all functions of m into launches.
func lower(m *ir.Module, level Level, math codegen.Math, disable ...string) (*exec.Program, *lowering, error) {
	low := newLowering(m, level, math)
	if err := low.leaveOut(disable); err != nil {
		return nil, nil, err
	}
	p := &exec.Program{Module: m, Level: level.CPU}
	for _, f := range m.Funcs {
		f, err := low.procedure(f)
		if err != nil {
			return nil, nil, err
		}
		p.Funcs = append(p.Funcs, f.Func)
	}
	p.Consts = low.consts
	return p, low, nil
}

// mostObjects is how many runs share many kernels at most: of thousands, nobody changes a few.
const mostObjects = 32

// batches divides kernels among runs of the code generator: by what they are, so that a change of some leaves the others in object files that the
// cache has.
func batches(kernels []*kernel) [][]*kernel {
	n := 1
	for n < min(sharedObjects, (len(kernels)+3)/4) || n < mostObjects && n*kernelsPerObject < len(kernels) {
		n *= 2
	}
	all := make([][]*kernel, n)
	for _, k := range kernels {
		h := fnv.New32a()
		_, _ = h.Write([]byte(k.key))
		b := h.Sum32() % uint32(n)
		all[b] = append(all[b], k)
	}
	all = slices.DeleteFunc(all, func(b []*kernel) bool { return len(b) == 0 })
	for _, b := range all {
		slices.SortFunc(b, func(x, y *kernel) int { return strings.Compare(x.key, y.key) })
	}
	return all
}

// link compiles the kernels and joins their code to one block.
func (l *lowering) link(p *exec.Program, tools *Toolchain, cached cache) error {
	all := batches(l.kernels)
	images := make([]*image.Image, len(all))
	errs := make([]error, len(all))
	slots := make(chan struct{}, goruntime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for k, batch := range all {
		wg.Add(1)
		go func() {
			defer wg.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			object, err := tools.kernels(cached, l.level, l.math, l.leftOut, batch)
			if err == nil {
				images[k], err = image.Build(object)
			}
			errs[k] = err
		}()
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	p.Kernels = make([]exec.Kernel, len(l.kernels))
	for i, img := range images {
		base := (len(p.Code) + image.Align - 1) / image.Align * image.Align
		p.Code = append(append(p.Code, make([]byte, base-len(p.Code))...), img.Bytes...)
		for j, k := range all[i] {
			offset, ok := img.Symbols[symbol(j)]
			if !ok {
				panic("BUG: native: kernel " + k.Name + " is not in its object file")
			}
			p.Kernels[k.number] = k.Kernel
			p.Kernels[k.number].Entry = base + offset
		}
	}
	return nil
}

// symbol is the name of kernel number j of an object file.
func symbol(j int) string { return fmt.Sprintf("k%d", j) }
