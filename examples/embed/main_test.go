package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nnc-lang/nnc/examples/embed/catdog"
)

const photos = "../catdog/data/test"

func model(t testing.TB) *catdog.Model {
	t.Helper()
	m, err := catdog.New()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// files returns the contents of test photographs of a class.
func files(t testing.TB, class string, n int) [][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(photos, class, "*.jpg"))
	if err != nil || len(names) < n {
		t.Fatalf("%d photographs of %s: %v", len(names), class, err)
	}
	var all [][]byte
	for _, name := range names[:n] {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

func post(t testing.TB, url string, body []byte) (int, string) {
	t.Helper()
	r, err := http.Post(url+"/classify", "application/octet-stream", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// TestClassify sends photographs: most are told rightly, which a model with wrong weights or pixels would not do.
func TestClassify(t *testing.T) {
	s := httptest.NewServer(handler(model(t)))
	defer s.Close()
	right, all := 0, 0
	for _, class := range []string{"cats", "dogs"} {
		for _, photo := range files(t, class, 50) {
			status, text := post(t, s.URL, photo)
			var answer struct {
				Class       string
				Probability float64
			}
			if err := json.Unmarshal([]byte(text), &answer); status != http.StatusOK || err != nil {
				t.Fatalf("%d: %s", status, text)
			}
			if answer.Probability < 0.5 || answer.Probability > 1 {
				t.Errorf("probability %v", answer.Probability)
			}
			all++
			if answer.Class == class {
				right++
			}
		}
	}
	if right < all*6/10 {
		t.Errorf("%d of %d photographs are told rightly", right, all)
	}
}

func TestRefused(t *testing.T) {
	s := httptest.NewServer(handler(model(t)))
	defer s.Close()
	photo := files(t, "cats", 1)[0]
	for _, c := range []struct {
		name   string
		body   []byte
		status int
		text   string
	}{
		{"text", []byte("a cat"), http.StatusUnsupportedMediaType, "not a JPEG"},
		{"nothing", nil, http.StatusUnsupportedMediaType, "empty"},
		{"truncated", photo[:len(photo)/2], http.StatusUnsupportedMediaType, "truncated"},
		{"large", make([]byte, maxBody+1), http.StatusRequestEntityTooLarge, "more than"},
		{"gigapixels", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x0f\x00\x00\x00\x0f\x00\x00\x08\x02\x00\x00\x00\x44\xf1\x0f\x2c"), http.StatusUnsupportedMediaType, ""},
	} {
		if status, text := post(t, s.URL, c.body); status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s: %d %s", c.name, status, text)
		}
	}
}

// TestBatch compares one by one with all at once.
func TestBatch(t *testing.T) {
	m := model(t)
	in := make([][32 * 32 * 3]float32, 37)
	for k, photo := range append(files(t, "cats", 20), files(t, "dogs", 17)...) {
		if err := catdog.DecodeImage(bytes.NewReader(photo), &in[k]); err != nil {
			t.Fatal(err)
		}
	}
	out := make([]float32, len(in))
	if err := m.PredictBatch(in, out); err != nil {
		t.Fatal(err)
	}
	for k := range in {
		one, err := m.Predict(&in[k])
		if err != nil || max(one-out[k], out[k]-one) > 1e-5 {
			t.Errorf("photograph %d: %v alone, %v in the batch (%v)", k, one, out[k], err)
		}
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = m.Predict(&in[0]) }); n != 0 {
		t.Errorf("a prediction allocates %v times", n)
	}
}

// TestDrain stops the server while a request is in progress, which is answered all the same.
// FuzzLoadWeights gives the generated reader headers of all kinds before the weights, all of them or cut off: a model that refuses them predicts what it did before.
func FuzzLoadWeights(f *testing.F) {
	file, err := os.ReadFile("catdog/weights.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	size := binary.LittleEndian.Uint64(file)
	header, body := file[8:8+size], file[8+size:]
	f.Add(size, header, uint32(len(body)))
	f.Add(size, header, uint32(100))
	f.Add(size+1, header, uint32(len(body)))
	f.Add(uint64(1)<<60, header, uint32(0))
	f.Add(size, bytes.ReplaceAll(header, []byte("F32"), []byte("F16")), uint32(len(body)))
	f.Add(size, bytes.ReplaceAll(header, []byte("[0,"), []byte("[8,")), uint32(len(body)))
	m, err := catdog.New()
	if err != nil {
		f.Fatal(err)
	}
	var grey [32 * 32 * 3]float32
	want, err := m.Predict(&grey)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, size uint64, header []byte, left uint32) {
		m, err := catdog.New()
		if err != nil {
			t.Fatal(err)
		}
		given := append(binary.LittleEndian.AppendUint64(nil, size), header...)
		given = append(given, body[:min(len(body), int(left))]...)
		loaded := m.LoadWeights(bytes.NewReader(given))
		got, err := m.Predict(&grey)
		if err != nil {
			t.Fatal(err)
		}
		if loaded != nil && got != want {
			t.Errorf("the weights were refused (%v), and the model predicts %v, where it predicted %v", loaded, got, want)
		}
	})
}

func TestDrain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	stop, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	m := model(t)
	go func() { ended <- serve(stop, addr, m) }()
	for {
		if r, err := http.Get("http://" + addr + "/healthz"); err == nil {
			r.Body.Close()
			break
		}
	}
	body, send := io.Pipe()
	answered := make(chan int, 1)
	go func() {
		// The body is sent when the server asks for it, which it does when the request is in progress.
		client := http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Hour}}
		request, err := http.NewRequest(http.MethodPost, "http://"+addr+"/classify", body)
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("Expect", "100-continue")
		r, err := client.Do(request)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		r.Body.Close()
		answered <- r.StatusCode
	}()
	photo := files(t, "dogs", 1)[0]
	if _, err := send.Write(photo[:100]); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := send.Write(photo[100:]); err != nil {
		t.Fatal(err)
	}
	send.Close()
	if status := <-answered; status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

var soak = flag.Duration("soak", time.Second, "how long TestSoak runs")

// TestSoak predicts from 64 goroutines while garbage is collected all the time and a profile is taken; results must not change.
//
//	go test -run Soak -soak 10m -timeout 0
func TestSoak(t *testing.T) {
	m := model(t)
	in := make([][32 * 32 * 3]float32, 64)
	want := make([]float32, len(in))
	for k, photo := range append(files(t, "cats", 32), files(t, "dogs", 32)...) {
		if err := catdog.DecodeImage(bytes.NewReader(photo), &in[k]); err != nil {
			t.Fatal(err)
		}
		var err error
		if want[k], err = m.Predict(&in[k]); err != nil {
			t.Fatal(err)
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Fatal(err)
	}
	defer pprof.StopCPUProfile()
	end := time.Now().Add(*soak)
	var wg sync.WaitGroup
	var lock sync.Mutex
	calls := 0
	for k := range in {
		wg.Go(func() {
			n := 0
			for ; n == 0 || time.Now().Before(end); n++ {
				x := new([32 * 32 * 3]float32) // garbage
				*x = in[k]
				got, err := m.Predict(x)
				if err != nil || got != want[k] {
					t.Errorf("photograph %d: %v, not %v (%v)", k, got, want[k], err)
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
	t.Logf("%d predictions, %d collections", calls, collections())
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

func collections() uint32 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.NumGC
}

// BenchmarkServer sends photographs over loopback and reports the rate, the latencies that half, 99 % and 99.9 % of the requests keep, and the
// memory that the process has, clients included.
func BenchmarkServer(b *testing.B) {
	s := httptest.NewServer(handler(model(b)))
	defer s.Close()
	all := append(files(b, "cats", 50), files(b, "dogs", 50)...)
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 64
	var lock sync.Mutex
	var times []time.Duration
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		var own []time.Duration
		for k := 0; pb.Next(); k++ {
			start := time.Now()
			if status, text := post(b, s.URL, all[k%len(all)]); status != http.StatusOK {
				b.Error(text)
			}
			own = append(own, time.Since(start))
		}
		lock.Lock()
		times = append(times, own...)
		lock.Unlock()
	})
	slices.Sort(times)
	b.ReportMetric(float64(len(times))/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(float64(times[len(times)*50/100].Microseconds()), "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(times[len(times)*999/1000].Microseconds()), "p99.9-µs")
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	b.ReportMetric(float64(memory.Sys)/(1<<20), "MiB")
}

func BenchmarkPredict(b *testing.B) {
	m := model(b)
	var x [32 * 32 * 3]float32
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Predict(&x); err != nil {
			b.Fatal(err)
		}
	}
}
