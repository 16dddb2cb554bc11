package interp

import (
	"sync"
	"sync/atomic"
)

// smallWork is the number of elementary operations below which starting goroutines costs more than it saves.
const smallWork = 20_000

// team runs the jobs of one nest on a bounded number of goroutines. What the jobs are depends on the nest's shape only, never on the
// number of threads, and no two jobs write the same element, so the bits of a result do not depend on it either.
type team[F float] struct {
	workers  []*worker[F]
	packed   []F // scratch: a packed matrix
	partials []F // scratch: partial products
}

// grow returns n elements of scratch memory.
func (t *team[F]) grow(scratch *[]F, n int) []F {
	if cap(*scratch) < n {
		*scratch = make([]F, n)
	}
	return (*scratch)[:n]
}

func newTeam[F float](threads int) *team[F] {
	t := &team[F]{}
	for range threads {
		t.workers = append(t.workers, &worker[F]{})
	}
	return t
}

// run calls f once for each job in [0, jobs); work is the total number of elementary operations. A panic in a job reaches the
// caller.
func (t *team[F]) run(jobs, work int, f func(w *worker[F], job int)) {
	n := min(len(t.workers), jobs)
	if n <= 1 || work < smallWork {
		for job := range jobs {
			f(t.workers[0], job)
		}
		return
	}
	var (
		next   atomic.Int64
		wg     sync.WaitGroup
		failed atomic.Pointer[any]
	)
	body := func(w *worker[F]) {
		defer func() {
			if p := recover(); p != nil {
				failed.CompareAndSwap(nil, &p)
			}
		}()
		for {
			job := int(next.Add(1)) - 1
			if job >= jobs || failed.Load() != nil {
				return
			}
			f(w, job)
		}
	}
	wg.Add(n - 1)
	for k := 1; k < n; k++ {
		go func() {
			defer wg.Done()
			body(t.workers[k])
		}()
	}
	body(t.workers[0])
	wg.Wait()
	if p := failed.Load(); p != nil {
		panic(*p)
	}
}
