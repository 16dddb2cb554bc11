// Package native is the backend that compiles modules to machine code: IR through LLVM's code generator to an object file, to an image that is
// mapped and called, all without cgo.
//
// A compiled program is kernels, which equal nests share, and for each function and binding of its symbols a table of launches: a kernel,
// where its operands lie, and how its points are divided into chunks.
//
//	fuse.go      elementwise nests into their consumers
//	lower.go     functions → launches over numbered slots; equal nests → one kernel (scan.go: scans)
//	flatten.go   elementwise nests of all shapes as one
//	prepare.go   sums of products: operands padded, or permuted, to be read without tests and in single steps
//	nest.go      a nest with its loops merged, classed and ordered (form.go, poly.go: its index expressions and sizes)
//	tiling.go    how many rows and vectors of the result are computed together
//	emit.go      a nest → LLVM IR: points, vectors, reductions, guards (index.go: reads; body.go, scalar.go, poly_math.go: scalar ops)
//	scope.go     LLVM IR with everything placed in the outermost loop that knows it, since no optimiser runs
//	toolchain.go, cache.go, level.go   LLVM IR → object file, for a level of processors
//	bind.go      launches for given sizes: chunks, rounds, and where in the arena values live (memory.go)
//	run.go       calls; team.go: threads
//
// There are no special kernels: a matrix product, a convolution or the gradient of one is a nest whose reads let rows and vectors be computed
// together, and so is a user's own layer.
//
// Cells have two places each: a call makes their next values in the one and then exchanges them, so that one that fails changes nothing.
//
// Not done yet: what follows a reduction is a launch of its own (bias and activation of a convolution are computed by what reads them, such
// as pooling); an optimiser's updates of one parameter are three; Winograd's algorithm; cells that are updated in place; slices of a
// scan's sequences that are views; writes in scans; code for arm64.
//
// Chunks and the order in which partial results are combined depend on shapes alone, so that the bits of a result do not depend on the
// number of threads.
package native

import (
	"errors"
	"fmt"
	goruntime "runtime"
	"sync"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/image"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
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
	threads := opts.Threads
	if threads <= 0 {
		threads = goruntime.GOMAXPROCS(0)
	}
	level, err := DetectLevel()
	if err != nil {
		return nil, err
	}
	tools, err := FindToolchain()
	if err != nil {
		return nil, err
	}
	c, err := compileModule(m, level, tools)
	if err != nil {
		return nil, err
	}
	return newProgram(c, threads)
}

// compiled is a module's code.
type compiled struct {
	low   *lowering
	procs map[string]*procedure
	funcs map[*kernel]image.Func
	code  []*image.Code
}

// kernelsPerObject is how many kernels share a run of the code generator: its start costs as much as one kernel.
const kernelsPerObject = 24

// compileModule lowers and compiles all functions of m.
func compileModule(m *ir.Module, level Level, tools *Toolchain) (*compiled, error) {
	low := newLowering(m, level)
	c := &compiled{low: low, procs: map[string]*procedure{}, funcs: map[*kernel]image.Func{}}
	for _, f := range m.Funcs {
		p, err := low.procedure(f)
		if err != nil {
			return nil, err
		}
		c.procs[f.Name] = p
	}
	if len(low.kernels) == 0 {
		return c, nil
	}
	workers := goruntime.GOMAXPROCS(0)
	objects := max((len(low.kernels)+kernelsPerObject-1)/kernelsPerObject, min(workers, (len(low.kernels)+3)/4))
	images := make([]*image.Image, objects)
	errs := make([]error, objects)
	slots := make(chan struct{}, workers)
	var wg sync.WaitGroup
	cached := openCache()
	for k := range objects {
		wg.Add(1)
		go func() {
			defer wg.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			mod := newModule()
			for i := k; i < len(low.kernels); i += objects {
				writeKernel(mod, low.kernels[i].name, low.kernels[i].nest)
			}
			object, err := tools.object(cached, []byte(mod.m.String()), level.CPU)
			if err == nil {
				images[k], err = image.Build(object)
			}
			errs[k] = err
		}()
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("native code: %w", err)
	}
	for k, img := range images {
		code, err := image.Load(img)
		if err != nil {
			return nil, err
		}
		c.code = append(c.code, code)
		for i := k; i < len(low.kernels); i += objects {
			fn, ok := code.Func(low.kernels[i].name)
			if !ok {
				panic("BUG: native: kernel " + low.kernels[i].name + " is not in its object file")
			}
			c.funcs[low.kernels[i]] = fn
		}
	}
	return c, nil
}
