package native

import (
	"errors"
	"math"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/llir/llvm/ir/types"
	"github.com/llir/llvm/ir/value"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/image"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/code"
)

// Limits are what the processor can do with a number of threads, measured.
type Limits struct {
	Flops float64 // multiplications and additions in a second, in vectors of f32
	Read  float64 // bytes a second from memory
}

const (
	peakChains = 12        // vectors that are multiplied and added to at once, enough for two units of a latency of 4
	peakRounds = 2_000_000 // some milliseconds
	peakRuns   = 100       // the system may leave two threads on one processor for a while

	readBytes = 128 << 20 // more than any cache holds
	readRuns  = 5
)

// MeasureLimits takes the best of some runs of code that does nothing but multiply and add, and of code that only reads.
//
// Errors: as Backend.Compile's.
func MeasureLimits(threads int) (Limits, error) {
	flops, err := measurePeak(threads)
	if err != nil {
		return Limits{}, err
	}
	read, err := measureRead(threads)
	return Limits{flops, read}, err
}

// measurePeak runs chains of multiplications and additions on all threads.
func measurePeak(threads int) (float64, error) {
	level, err := DetectLevel()
	if err != nil {
		return 0, err
	}
	tools, err := FindToolchain()
	if err != nil {
		return 0, err
	}
	mod := newModule()
	writePeak(mod, level)
	object, err := tools.object(openCache(), mod.m.String(), level.CPU)
	if err != nil {
		return 0, err
	}
	img, err := image.Build(object)
	if err != nil {
		return 0, err
	}
	block, err := code.Load(img.Bytes)
	if err != nil {
		return 0, err
	}
	peak := block.Func(img.Symbols["peak"])
	best, err := onThreads(threads, peakRuns, func() error { return callPeak(peak) })
	if err != nil {
		return 0, err
	}
	ops := float64(threads) * peakRounds * peakChains * 2 * float64(level.Lanes)
	return ops / best.Seconds(), block.Close()
}

// callPeak calls the function that writePeak writes.
func callPeak(peak code.Func) error {
	stack, err := code.NewStack()
	if err != nil {
		return err
	}
	words := make([]uint64, 1+64/8)
	words[0] = peakRounds
	code.CallLong(peak, unsafe.Pointer(unsafe.SliceData(words)), stack)
	return stack.Close()
}

// onThreads runs f on so many threads at once, several times, and returns the shortest time from when all threads were there to when all were
// done. The threads stay: the system may take as long to start one, or to move it to a free processor, as f takes.
func onThreads(threads, runs int, f func() error) (time.Duration, error) {
	errs, ends := make([]error, threads), make([][]time.Time, threads)
	starts := make([]time.Time, runs)
	var there atomic.Int64
	var wg sync.WaitGroup
	for k := range threads {
		wg.Go(func() {
			goruntime.LockOSThread()
			defer goruntime.UnlockOSThread()
			for run := range runs {
				last := int64((run + 1) * threads)
				if there.Add(1) == last {
					starts[run] = time.Now()
				}
				for n := 0; there.Load() < last; n++ {
					code.Pause()
					if n%1024 == 1023 {
						goruntime.Gosched() // with fewer processors than threads, another waits for this one
					}
				}
				if err := f(); err != nil {
					errs[k] = err
				}
				ends[k] = append(ends[k], time.Now())
			}
		})
	}
	wg.Wait()
	best := time.Duration(math.MaxInt64)
	for run, start := range starts {
		var end time.Time
		for k := range ends {
			if ends[k][run].After(end) {
				end = ends[k][run]
			}
		}
		best = min(best, end.Sub(start))
	}
	return best, errors.Join(errs...)
}

// writePeak writes the function peak, whose arguments are a number of rounds and room for a vector.
func writePeak(mod *module, level Level) {
	_, s, args := mod.newFunction("peak")
	t := vector(level.Lanes, f32)
	chains := make([]value.Value, peakChains)
	for k := range chains {
		chains[k] = num(t, float64(k))
	}
	chains = s.loop(int64Const(0), s.load(args, 1, nil, nil), 1, true, chains, func(in *scope, _ value.Value, x []value.Value) []value.Value {
		next := make([]value.Value, len(x))
		for k := range x {
			next[k] = in.fma(x[k], num(t, 0.5), num(t, 1))
		}
		return next
	})
	sum := chains[0]
	for _, c := range chains[1:] {
		sum = s.fadd(sum, c)
	}
	s.store(sum, s.blk.NewBitCast(s.at(args, int64Const(1)), types.NewPointer(f32)), nil)
	s.blk.NewRet(nil)
}

// measureRead sums a large tensor, scaled by a parameter: a sum of cells alone would be kept.
func measureRead(threads int) (float64, error) {
	n := readBytes / 4
	m := ir.NewModule()
	b := ir.NewFunc("read")
	cell := m.AddCell(&ir.Cell{Name: "x", Type: ir.Type{DType: tensor.F32, Shape: []ir.Affine{ir.Int(n)}}, Kind: ir.State})
	x := b.Read(cell)
	scale := b.Param("scale", ir.Scalar(tensor.F32))
	body := ir.Apply(ir.OpMul, ir.ReadOf(tensor.F32, 0, ir.Loop(0)), ir.ReadOf(tensor.F32, 1))
	sum := b.Nest(&ir.Nest{Combine: ir.Sum, Index: ir.Indices([]ir.Affine{ir.Int(n)}), Body: body}, x, scale)
	b.Return("sum", sum)
	m.AddFunc(b.Func)
	p, err := Backend{}.Compile(m, codegen.Options{Threads: threads})
	if err != nil {
		return 0, err
	}
	if err := p.SetCell("x", tensor.New(tensor.F32, n)); err != nil {
		return 0, err
	}
	one := tensor.New(tensor.F32)
	one.Set(0, 1)
	best := time.Duration(0)
	for range readRuns {
		start := time.Now()
		if _, err := p.Call("read", one); err != nil {
			return 0, err
		}
		if d := time.Since(start); best == 0 || d < best {
			best = d
		}
	}
	return readBytes / best.Seconds(), nil
}
