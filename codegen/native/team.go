package native

import (
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/nnc-lang/nnc/codegen/image"
)

// team is the threads that compute together. Work is handed out in chunks by a counter, so that the caller never waits for a thread that has not
// started; what the chunks are does not depend on how many threads there are. Threads wait actively for some time after they last had work,
// and then sleep.
//
// Programs of one number of threads share a team; a call has it to itself.
type team struct {
	sync.Mutex
	caller  *worker
	workers []*worker
	job     atomic.Pointer[job] // the one in progress, or nil
}

// job is one launch that is being computed.
type job struct {
	run    func(w *worker, chunk int)
	chunks int64
	next   atomic.Int64
	done   atomic.Int64
}

// worker is a thread's memory.
type worker struct {
	stack  *image.Stack
	words  []uint64
	fault  [3]int64
	asleep atomic.Bool
	wake   chan struct{}
}

// spin is how long a thread waits actively.
const spin = 50 * time.Microsecond

var (
	teamsLock sync.Mutex
	teams     = map[int]*team{}
)

// teamOf returns the team of so many threads.
func teamOf(threads int) (*team, error) {
	teamsLock.Lock()
	defer teamsLock.Unlock()
	if t := teams[threads]; t != nil {
		return t, nil
	}
	t := &team{}
	var err error
	if t.caller, err = newWorker(); err != nil {
		return nil, err
	}
	for range threads - 1 {
		w, err := newWorker()
		if err != nil {
			return nil, err
		}
		t.workers = append(t.workers, w)
	}
	for _, w := range t.workers {
		go t.work(w)
	}
	teams[threads] = t
	return t, nil
}

func newWorker() (*worker, error) {
	s, err := image.NewStack()
	if err != nil {
		return nil, err
	}
	return &worker{stack: s, wake: make(chan struct{}, 1)}, nil
}

// work is a thread's life.
func (t *team) work(w *worker) {
	goruntime.LockOSThread()
	var last *job
	for {
		idle := time.Now()
		for n := 0; ; n++ {
			if j := t.job.Load(); j != last && j != nil {
				last = j
				j.help(w)
				idle = time.Now()
				continue
			}
			image.Pause()
			if n%64 == 63 && time.Since(idle) > spin {
				break
			}
		}
		w.asleep.Store(true)
		if t.job.Load() != last { // published in the meantime
			w.asleep.Store(false)
			continue
		}
		<-w.wake
		w.asleep.Store(false)
	}
}

// help computes chunks until none are left.
func (j *job) help(w *worker) {
	for {
		k := j.next.Add(1) - 1
		if k >= j.chunks {
			return
		}
		j.run(w, int(k))
		j.done.Add(1)
	}
}

// do computes f for all chunks; the caller takes part.
func (t *team) do(chunks int, f func(w *worker, chunk int)) {
	if len(t.workers) == 0 || chunks == 1 {
		for k := range chunks {
			f(t.caller, k)
		}
		return
	}
	j := &job{run: f, chunks: int64(chunks)}
	t.job.Store(j)
	for _, w := range t.workers {
		if w.asleep.Load() {
			select {
			case w.wake <- struct{}{}:
			default:
			}
		}
	}
	j.help(t.caller)
	for n := 0; j.done.Load() < j.chunks; n++ {
		image.Pause()
		if n%1024 == 1023 {
			goruntime.Gosched() // a helper may need this thread to go on
		}
	}
	t.job.Store(nil)
}

// enter calls f with the worker's words.
func (w *worker) enter(f image.Func, long bool) {
	if long {
		image.CallLong(f, unsafe.Pointer(unsafe.SliceData(w.words)), w.stack)
		return
	}
	image.Call(f, unsafe.Pointer(unsafe.SliceData(w.words)), w.stack)
}

// faultAddress returns where a kernel notes an index outside its tensor.
func (w *worker) faultAddress() uintptr { return uintptr(unsafe.Pointer(&w.fault)) }
