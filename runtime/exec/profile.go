package exec

import (
	"sync"
	"time"

	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

var _ runtime.Profiler = (*Instance)(nil)

// observer is told of every launch how long it took.
type observer func(*bound, *run, time.Duration)

// Profile makes a call and takes the time of every launch. Calls that other goroutines make meanwhile count as well.
func (i *Instance) Profile(fn string, args ...*tensor.Tensor) ([]runtime.Part, error) {
	var one sync.Mutex
	var parts []runtime.Part
	i.setObserver(func(b *bound, r *run, elapsed time.Duration) {
		one.Lock()
		defer one.Unlock()
		parts = append(parts, i.program.part(b, r, elapsed))
	})
	defer i.setObserver(nil)
	if _, err := i.Call(fn, args...); err != nil {
		return nil, err
	}
	return parts, nil
}

func (i *Instance) setObserver(f observer) {
	i.cache.Lock()
	defer i.cache.Unlock()
	i.observe = f
}

// part describes a launch.
func (p *Program) part(b *bound, r *run, elapsed time.Duration) runtime.Part {
	l, k := r.step.Launch, &p.Kernels[r.kernel]
	part := runtime.Part{What: l.What, Loc: l.Loc, Elapsed: elapsed}
	bytes := func(slot int) { part.Bytes += float64(product(b.shapes[slot]) * ElemSize(b.fn.Slots[slot].Type.DType)) }
	for _, z := range distinct(l.Results) {
		bytes(z)
	}
	if r.merge {
		part.What = "merge"
		part.Bytes *= float64(1 + r.rounds)
		return part
	}
	for _, a := range l.Args {
		bytes(a)
	}
	if n, err := k.Work.eval(r.sizes); err == nil {
		part.Products = float64(k.Products) * float64(n)
	}
	return part
}
