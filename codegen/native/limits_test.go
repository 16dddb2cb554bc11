package native

import (
	"sync/atomic"
	"testing"
	"time"
)

// The time of a run is that of its slowest thread.
func TestOnThreads(t *testing.T) {
	var calls, slow atomic.Int64
	best, err := onThreads(3, 4, func() error {
		if calls.Add(1)%3 == 0 { // one of three
			slow.Add(1)
			time.Sleep(5 * time.Millisecond)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 12 || slow.Load() != 4 {
		t.Errorf("%d calls, %d slow ones", calls.Load(), slow.Load())
	}
	if best < 5*time.Millisecond {
		t.Errorf("%v, with a thread that takes 5 ms in each run", best)
	}
}
