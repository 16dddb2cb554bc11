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

func (m *meeting) chunk(w *worker, _ int) {
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
		team.do(2, false, &meeting{team: team})
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
