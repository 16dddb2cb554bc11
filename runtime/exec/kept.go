package exec

import (
	goruntime "runtime"
	"slices"
	"sync"
)

// Note [What is kept]
//
// Much of what a prediction computes first depends on the weights alone: the weights of a convolution transformed for Winograd's algorithm,
// copies of matrices in another order. It is computed again only when a cell may have changed, and lies in memory of its own. A function that
// changes cells keeps nothing: it would have to compute all of it again.

// kept is what a launch table keeps between calls. A nil one keeps nothing.
type kept struct {
	slots []bool // that are kept, by number
	bytes int

	sync.Mutex
	memory  []byte
	of      int64 // Instance.changes when it was computed
	current bool  // it was computed
}

// has reports whether slot s is kept.
func (k *kept) has(s int) bool { return k != nil && k.slots[s] }

// keep finds the slots to keep, and places them. Only what launches outside of scans compute is kept.
func (b *bound) keep() *kept {
	f := b.fn
	if f.changes() {
		return nil
	}
	k := &kept{slots: make([]bool, len(f.Slots))}
	changes := func(s int) bool { // between calls, though no cell does
		root := f.Root(s)
		place := f.Slots[root].Place
		return place != Cell && place != Const && !k.slots[root]
	}
	makers := make([]int, len(f.Slots)) // launches that write a slot, or parts of it: all must make the same again for it to be kept
	for n := range f.Steps {
		if l := f.Steps[n].Launch; l != nil {
			for _, z := range l.Results {
				makers[z]++
			}
		}
	}
	end := 0 // of the scans so far
	for n := range f.Steps {
		st := &f.Steps[n]
		if st.Scan != nil {
			end = max(end, st.Scan.End)
		}
		if st.Launch == nil || n < end || len(st.Launch.Args) == 0 || slices.ContainsFunc(st.Launch.Args, changes) {
			continue
		}
		for _, z := range st.Launch.Results {
			if makers[z]--; f.Slots[z].Place != Arena || makers[z] > 0 {
				continue
			}
			k.slots[z] = true
			b.offset[z] = k.bytes
			k.bytes += (product(b.shapes[z])*ElemSize(f.Slots[z].Type.DType) + arenaAlign - 1) / arenaAlign * arenaAlign
		}
	}
	if k.bytes == 0 {
		return nil
	}
	return k
}

// reserve makes sure that there is memory for what is kept, of the instance that m is of.
func (b *bound) reserve(m *memory) error {
	k := b.kept
	if k == nil {
		return nil
	}
	k.Lock()
	defer k.Unlock()
	if k.memory != nil {
		return nil
	}
	var err error
	if k.memory, err = m.alloc(k.bytes); err == nil {
		goruntime.AddCleanup(b, m.free, k.memory)
	}
	return err
}

// renew computes what is kept if a cell may have changed since. The cells are locked.
func (f *frame) renew() error {
	k := f.kept
	if k == nil {
		return nil
	}
	k.Lock()
	defer k.Unlock()
	now := f.changes.Load()
	if k.current && k.of == now {
		return nil
	}
	k.current = false
	for n := range f.runs {
		if r := &f.runs[n]; r.kept {
			if err := f.observed(r); err != nil {
				return err
			}
		}
	}
	k.of, k.current = now, true
	return nil
}
