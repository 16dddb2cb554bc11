package exec

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/nnc-lang/nnc/runtime/code"
)

// meeting is a chunk for each thread of a team; the helpers' take longest.
type meeting struct {
	team *team
	here atomic.Int64
}

func (m *meeting) chunks(w *worker, _, _ int) {
	for m.here.Add(1); int(m.here.Load()) <= len(m.team.workers); {
		time.Sleep(time.Millisecond)
	}
	if w != m.team.caller {
		time.Sleep(5 * time.Millisecond)
	}
}

// Threads that have no work fall asleep, also after they had some, and wake for more.
func TestIdleThreadsSleep(t *testing.T) {
	if err := code.Callable(); err != nil {
		t.Skip(err)
	}
	team, err := teamOf(2)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		team.do(2, 1, false, &meeting{team: team})
		deadline := time.Now().Add(time.Minute)
		for rested := 0; rested < 20; time.Sleep(time.Millisecond) {
			rested++
			for _, w := range team.workers {
				if !w.asleep.Load() {
					rested = 0
				}
			}
			if time.Now().After(deadline) {
				t.Fatal("threads wait actively")
			}
		}
	}
}

// counting counts how often each chunk is computed.
type counting []atomic.Int32

func (c counting) chunks(_ *worker, first, n int) {
	for k := range n {
		c[first+k].Add(1)
	}
}

// Every chunk is computed once, however many a thread takes together.
func TestChunksAreComputedOnce(t *testing.T) {
	if err := code.Callable(); err != nil {
		t.Skip(err)
	}
	for threads := range 4 {
		team, err := teamOf(1 + threads)
		if err != nil {
			t.Fatal(err)
		}
		for _, chunks := range []int{1, 2, 3, 8, 40, 101} {
			for _, most := range []int{1, 3, 1000} {
				for _, backwards := range []bool{false, true} {
					c := make(counting, chunks)
					team.do(chunks, most, backwards, c)
					for k := range c {
						if n := c[k].Load(); n != 1 {
							t.Errorf("of %d chunks on %d threads, %d together, number %d is computed %d times", chunks, 1+threads, most, k, n)
						}
					}
				}
			}
		}
	}
}
