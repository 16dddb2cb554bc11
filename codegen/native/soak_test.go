package native

import (
	"flag"
	"io"
	goruntime "runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir/tensor"
)

var soak = flag.Duration("soak", time.Second, "how long TestSoak runs")

// TestSoak predicts from 64 goroutines, with batches of several sizes, while garbage is collected all the time and a profile is taken; no bit of
// the results may change.
//
//	go test ./codegen/native -run Soak -soak 10m -timeout 0 -v
func TestSoak(t *testing.T) {
	needLLVM(t)
	p, err := Backend{}.Compile(parse(t, "digits.ir"), codegen.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	mustCall(t, p, "init", tensor.FromI32([]int32{1}))
	in, want := make([]*tensor.Tensor, 64), make([]*tensor.Tensor, 64)
	for k := range in {
		in[k] = random(uint32(k), tensor.F32, 0, 256, []int{1, 2, 4, 7, 33}[k%5], 28, 28, 1)
		want[k] = mustCall(t, p, "Reader.predict", in[k])[0]
	}
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	if err := pprof.StartCPUProfile(io.Discard); err == nil { // unless the tests are profiled themselves
		defer pprof.StopCPUProfile()
	}
	end := time.Now().Add(*soak)
	var wg sync.WaitGroup
	var lock sync.Mutex
	calls := 0
	for k := range in {
		wg.Go(func() {
			n := 0
			for ; n == 0 || time.Now().Before(end); n++ {
				got, err := p.Call("Reader.predict", in[k].Clone())
				if err != nil {
					t.Error(err)
					return
				}
				if d := differ(got[0], want[k], 0); d != "" {
					t.Errorf("images %d: %s", k, d)
					return
				}
				if n%16 == 0 {
					grow(8)
				}
			}
			lock.Lock()
			calls += n
			lock.Unlock()
		})
	}
	wg.Wait()
	var s goruntime.MemStats
	goruntime.ReadMemStats(&s)
	t.Logf("%d calls, %d collections", calls, s.NumGC)
}

// grow makes the goroutine's stack grow, which moves it.
func grow(n int) int {
	var room [1024]int
	room[n] = n
	if n == 0 {
		return room[0]
	}
	return grow(n-1) + room[n]
}
