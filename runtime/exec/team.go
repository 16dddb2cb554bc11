package exec

import (
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/nnc-lang/nnc/runtime/code"
)

// team is the threads that compute together. Each has a part of the chunks of a launch, in their order, so that it works on what it has in its cache from
// the launch before; when it has done them, it takes those that others have not begun, so that the caller never waits for a thread that has not
// started. What the chunks are does not depend on how many threads there are. Threads wait actively for some time after they last had work,
// and then sleep.
//
// Instances of one number of threads share a team; a call has it to itself.
type team struct {
	sync.Mutex
	caller  *worker
	workers []*worker
	job     atomic.Pointer[job] // the one in progress, or nil
	alone   bool                // one of the teams in loners
}

// job is one launch that is being computed.
type job struct {
	run       chunked
	chunks    int64
	most      int64  // chunks that a thread takes together
	backwards bool   // each part is gone through from its last chunk to its first
	parts     []part // one for each thread, the caller's first
	done      atomic.Int64
}

// part is the chunks that one thread takes first.
type part struct {
	taken       atomic.Int64
	first, size int64
	_           [40]byte // the rest of a cache line
}

// take takes some of the chunks that nobody has begun: half of them, at most so many, so that few calls compute most of a part, and threads still end at about
// the same time.
func (p *part) take(most int64) (first, n int64) {
	for {
		taken := p.taken.Load()
		left := p.size - taken
		if left <= 0 {
			return 0, 0
		}
		if n := min((left+1)/2, most); p.taken.CompareAndSwap(taken, taken+n) {
			return taken, n
		}
	}
}

// chunked is work in chunks.
type chunked interface {
	chunks(w *worker, first, n int)
}

// worker is a thread's memory.
type worker struct {
	number  int // in the team
	stack   *code.Stack
	words   []uint64
	fault   [3]int64
	scratch []byte
	asleep  atomic.Bool
	wake    chan struct{}
}

// spin is how long a thread waits actively.
const spin = 50 * time.Microsecond

var (
	teamsLock sync.Mutex
	teams     = map[int]*team{}
	loners    []*team // of one thread, that nobody uses
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
	for k := range threads - 1 {
		w, err := newWorker()
		if err != nil {
			return nil, err
		}
		w.number = 1 + k
		t.workers = append(t.workers, w)
	}
	for _, w := range t.workers {
		go t.work(w)
	}
	teams[threads] = t
	return t, nil
}

// enter returns a team that the caller has to itself until it leaves it: t, for which it waits if it wants to, or one of a single thread.
func (t *team) enter(wait bool) (*team, error) {
	if wait {
		t.Lock()
		return t, nil
	}
	if t.TryLock() {
		return t, nil
	}
	teamsLock.Lock()
	defer teamsLock.Unlock()
	if last := len(loners) - 1; last >= 0 {
		l := loners[last]
		loners = loners[:last]
		return l, nil
	}
	w, err := newWorker()
	if err != nil {
		return nil, err
	}
	return &team{caller: w, alone: true}, nil
}

// leave ends what enter began.
func (t *team) leave() {
	if !t.alone {
		t.Unlock()
		return
	}
	teamsLock.Lock()
	defer teamsLock.Unlock()
	loners = append(loners, t)
}

// reserve gives every thread scratch memory of at least n bytes.
func (t *team) reserve(n int) error {
	for _, w := range append([]*worker{t.caller}, t.workers...) {
		if len(w.scratch) >= n {
			continue
		}
		if w.scratch != nil {
			code.UnmapMemory(w.scratch)
			w.scratch = nil
		}
		var err error
		if w.scratch, err = code.MapMemory(n); err != nil {
			return err
		}
	}
	return nil
}

func newWorker() (*worker, error) {
	s, err := code.NewStack()
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
			code.Pause()
			if n%64 == 63 && time.Since(idle) > spin {
				break
			}
		}
		w.asleep.Store(true)
		if j := t.job.Load(); j != last && j != nil { // published in the meantime
			w.asleep.Store(false)
			continue
		}
		<-w.wake
		w.asleep.Store(false)
	}
}

// help computes chunks until none are left: w's own, and then those of the threads after it.
func (j *job) help(w *worker) {
	done := int64(0)
	for k := range j.parts {
		p := &j.parts[(w.number+k)%len(j.parts)]
		for c, n := p.take(j.most); n > 0; c, n = p.take(j.most) {
			if j.backwards {
				c = p.size - c - n
			}
			j.run.chunks(w, int(p.first+c), int(n))
			done += n
		}
	}
	j.done.Add(done)
}

// do computes all chunks of f, of which a thread should take so many together at most, in the order of their numbers or backwards as far as threads leave that to
// choose; the caller takes part.
func (t *team) do(chunks, most int, backwards bool, f chunked) {
	if len(t.workers) == 0 || chunks == 1 {
		f.chunks(t.caller, 0, chunks)
		return
	}
	j := &job{run: f, chunks: int64(chunks), most: int64(most), backwards: backwards, parts: make([]part, 1+len(t.workers))}
	for k := range j.parts {
		p := &j.parts[k]
		p.first = int64(chunks * k / len(j.parts))
		p.size = int64(chunks*(k+1)/len(j.parts)) - p.first
	}
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
		code.Pause()
		if n%1024 == 1023 {
			goruntime.Gosched() // a helper may need this thread to go on
		}
	}
	t.job.Store(nil)
}

// enter calls f with the worker's words.
func (w *worker) enter(f code.Func, long bool) {
	if long {
		code.CallLong(f, unsafe.Pointer(unsafe.SliceData(w.words)), w.stack)
		return
	}
	code.Call(f, unsafe.Pointer(unsafe.SliceData(w.words)), w.stack)
}

// faultAddress returns where a kernel notes an index outside its tensor.
func (w *worker) faultAddress() uintptr { return uintptr(unsafe.Pointer(&w.fault)) }
