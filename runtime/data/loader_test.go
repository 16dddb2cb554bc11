package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nnc-lang/nnc/ir/tensor"
	"pgregory.net/rapid"
)

// counting returns a source whose example i is the vector (i, -i) and the label i mod 3.
func counting(n int) Source {
	x, y := tensor.New(tensor.F32, n, 2), tensor.New(tensor.I32, n)
	for i := range n {
		x.F32[2*i], x.F32[2*i+1], y.I32[i] = float32(i), -float32(i), int32(i%3)
	}
	s, err := Memory([]Field{{Name: "x", DType: tensor.F32, Shape: []int{2}}, {Name: "y", DType: tensor.I32}}, x, y)
	if err != nil {
		panic(err)
	}
	return s
}

// step is a copy of a batch.
type step struct {
	Pass, Index uint64
	Examples    []int32
	X           []float32
	Y           []int32
	Shape       []int
}

func take(t rapid.TB, l *Loader, n int) []step {
	t.Helper()
	var steps []step
	for range n {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step{
			b.Pass, b.Index, slices.Clone(b.Examples), slices.Clone(b.Tensors[0].F32), slices.Clone(b.Tensors[1].I32), b.Tensors[0].Shape,
		})
		b.Release()
	}
	return steps
}

func load(t interface {
	rapid.TB
	Cleanup(func())
}, s Source, opt Options,
) *Loader {
	t.Helper()
	l, err := NewLoader(context.Background(), s, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func TestLoaderYieldsOnePass(t *testing.T) {
	l := load(t, counting(5), Options{Batch: 2})
	if l.Steps() != 3 {
		t.Errorf("%d steps", l.Steps())
	}
	want := []step{
		{0, 0, []int32{0, 1}, []float32{0, 0, 1, -1}, []int32{0, 1}, []int{2, 2}},
		{0, 1, []int32{2, 3}, []float32{2, -2, 3, -3}, []int32{2, 0}, []int{2, 2}},
		{0, 2, []int32{4}, []float32{4, -4}, []int32{1}, []int{1, 2}},
	}
	// Go writes -0 for the first element, which equals 0.
	if diff := cmp.Diff(want, take(t, l, 9)); diff != "" {
		t.Error(diff)
	}
	if _, err := l.Next(); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
	if got, want := l.Cursor(), (Cursor{Pass: 1, Examples: 5, BatchSize: 2}); got != want {
		t.Errorf("position %+v, want %+v", got, want)
	}
}

// drawOptions returns a length and options that vary in all but Start.
func drawOptions(t *rapid.T) (int, Options) {
	return rapid.IntRange(1, 40).Draw(t, "examples"), Options{
		Batch: rapid.IntRange(1, 12).Draw(t, "batch"), Shuffle: rapid.Bool().Draw(t, "shuffle"),
		Seed: rapid.Uint64().Draw(t, "seed"), Repeat: true,
		Prefetch: rapid.IntRange(1, 4).Draw(t, "prefetch"), Workers: rapid.IntRange(1, 8).Draw(t, "workers"),
	}
}

func TestEveryPassVisitsEveryExampleOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, opt := drawOptions(t)
		l := load(t, counting(n), opt)
		for pass := range uint64(3) {
			var seen []int32
			for i, s := range take(t, l, l.Steps()) {
				if s.Pass != pass || s.Index != uint64(i) {
					t.Fatalf("batch %d of pass %d calls itself %d of %d", i, pass, s.Index, s.Pass)
				}
				for row, e := range s.Examples {
					if s.X[2*row] != float32(e) || s.Y[row] != e%3 {
						t.Fatalf("row %d holds %v, %d, not example %d", row, s.X[2*row], s.Y[row], e)
					}
				}
				seen = append(seen, s.Examples...)
			}
			slices.Sort(seen)
			for i, e := range seen {
				if int(e) != i {
					t.Fatalf("pass %d visits %v", pass, seen)
				}
			}
			if len(seen) != n {
				t.Fatalf("pass %d visits %d of %d examples", pass, len(seen), n)
			}
		}
	})
}

func TestCursorGoesOnBitForBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, opt := drawOptions(t)
		l := load(t, counting(n), opt)
		take(t, l, rapid.IntRange(0, 30).Draw(t, "steps before"))
		opt.Start = l.Cursor()
		opt.Workers = rapid.IntRange(1, 8).Draw(t, "other workers")
		opt.Prefetch = rapid.IntRange(1, 4).Draw(t, "other prefetch")
		resumed := load(t, counting(n), opt)
		if resumed.Cursor() != l.Cursor() {
			t.Fatalf("resumed at %+v, not %+v", resumed.Cursor(), l.Cursor())
		}
		if diff := cmp.Diff(take(t, l, 20), take(t, resumed, 20)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestWorkersDoNotChangeBatches(t *testing.T) {
	opt := Options{Batch: 7, Shuffle: true, Seed: 3, Repeat: true}
	var want []step
	for workers := 1; workers <= 8; workers++ {
		opt.Workers, opt.Prefetch = workers, 1+workers%3
		got := take(t, load(t, uneven{counting(40)}, opt), 25)
		if want == nil {
			want = got
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d workers: %s", workers, diff)
		}
	}
}

// uneven is a source some of whose examples take longer.
type uneven struct{ Source }

func (u uneven) At(i int, dst []*tensor.Tensor, row int) error {
	if i%5 == 0 {
		time.Sleep(100 * time.Microsecond)
	}
	return u.Source.At(i, dst, row)
}

func TestShuffledPassesDiffer(t *testing.T) {
	orders := map[string]string{}
	for seed := range uint64(3) {
		l := load(t, counting(20), Options{Batch: 20, Shuffle: true, Seed: seed, Repeat: true})
		for _, s := range take(t, l, 3) {
			where := fmt.Sprintf("pass %d of seed %d", s.Pass, seed)
			order := fmt.Sprint(s.Examples)
			if other, ok := orders[order]; ok {
				t.Errorf("%s has the order of %s", where, other)
			}
			orders[order] = where
		}
	}
}

func TestPermutationStaysTheSame(t *testing.T) {
	// Checkpoints continue with this order: it must not change between releases.
	if diff := cmp.Diff([]int32{5, 9, 2, 7, 1, 11, 3, 10, 4, 8, 6, 0}, Permutation(1, 2, 12)); diff != "" {
		t.Error(diff)
	}
}

func TestPermutationIsEven(t *testing.T) {
	const n, draws = 6, 6000
	var counts [n][n]int
	for s := range uint64(draws) {
		for at, v := range Permutation(s, 0, n) {
			counts[at][v]++
		}
	}
	// 1,000 each, with a standard deviation of 29.
	for at, row := range counts {
		for v, c := range row {
			if c < 850 || c > 1150 {
				t.Errorf("%d stands at place %d %d times of %d", v, at, c, draws)
			}
		}
	}
}

func TestTensorsAreUsedAgain(t *testing.T) {
	l := load(t, counting(64), Options{Batch: 4, Repeat: true, Prefetch: 2, Workers: 1})
	buffers := map[*float32]bool{}
	for range 100 {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		buffers[&b.Tensors[0].F32[0]] = true
		b.Release()
	}
	// Two are read ahead, one is here.
	if len(buffers) > 2+1 {
		t.Errorf("%d buffers for a prefetch of 2", len(buffers))
	}
}

// Loaders one after the other, and one beside another that waits, use the memory of the first.
func TestSharedBuffers(t *testing.T) {
	shared := &Buffers{}
	addresses := map[*float32]bool{}
	visit := func(l *Loader, n int) {
		t.Helper()
		for range n {
			b, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			addresses[&b.Tensors[0].F32[0]] = true
			b.Release()
		}
	}
	first := load(t, counting(64), Options{Batch: 4, Repeat: true, Prefetch: 1, Buffers: shared})
	for range 10 {
		visit(first, 3)
		second := load(t, counting(7), Options{Batch: 4, Repeat: true, Prefetch: 1, Buffers: shared})
		visit(second, 5)
		second.Close()
	}
	// Of the first loader one is read ahead meanwhile.
	if len(addresses) > 1+2 {
		t.Errorf("%d buffers for two loaders", len(addresses))
	}
}

func TestBuffersOfOtherFields(t *testing.T) {
	shared := &Buffers{}
	for _, f := range []Field{{Name: "a", DType: tensor.F32, Shape: []int{2}}, {Name: "a", DType: tensor.F32, Shape: []int{3}}, {Name: "a", DType: tensor.I32, Shape: []int{3}}} {
		src, err := Memory([]Field{f}, tensor.New(f.DType, append([]int{9}, f.Shape...)...))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{3, 2, 5} {
			l := load(t, src, Options{Batch: n, Buffers: shared})
			b, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			if got := b.Tensors[0]; got.DType != f.DType || !slices.Equal(got.Shape, append([]int{n}, f.Shape...)) {
				t.Errorf("a batch of %d of %v: %v", n, f, got)
			}
			b.Release()
			l.Close()
		}
	}
}

// Large batches are not read further ahead than is needed.
func TestLoaderBytes(t *testing.T) {
	for _, c := range []struct{ side, batch, prefetch, want int }{
		{10, 5, 0, 3 * 5 * (400 + 4)},
		{10, 5, 3, 4 * 5 * (400 + 4)},
		{10, 50, 0, 3 * 20 * (400 + 4)}, // of 20 examples
		{300, 16, 0, 2 * 16 * (360_000 + 4)},
	} {
		fields := []Field{{Name: "image", DType: tensor.F32, Shape: []int{c.side, c.side}}, {Name: "label", DType: tensor.I32}}
		src, err := Memory(fields, tensor.New(tensor.F32, 20, c.side, c.side), tensor.New(tensor.I32, 20))
		if err != nil {
			t.Fatal(err)
		}
		opt := Options{Batch: c.batch, Prefetch: c.prefetch, Repeat: true}
		if got := LoaderBytes(src, opt); got != c.want {
			t.Errorf("%+v: %d bytes", c, got)
		}
		l := load(t, src, opt)
		seen := map[*float32]bool{}
		for range 20 {
			b, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			seen[&b.Tensors[0].F32[0]] = true
			b.Release()
		}
		if most := c.want / (min(c.batch, 20) * 4 * (c.side*c.side + 1)); len(seen) > most {
			t.Errorf("%+v: %d buffers, said to be %d", c, len(seen), most)
		}
	}
}

func TestBatchesNotReleasedStayWhole(t *testing.T) {
	l := load(t, counting(10), Options{Batch: 3, Repeat: true})
	var kept []*Batch
	for range 12 {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, b)
	}
	for _, b := range kept {
		for row, e := range b.Examples {
			if b.Tensors[0].F32[2*row] != float32(e) {
				t.Fatalf("batch %d of pass %d was overwritten", b.Index, b.Pass)
			}
		}
	}
}

// failing is a source two of whose examples cannot be read.
type failing struct{ Source }

func (f failing) At(i int, dst []*tensor.Tensor, row int) error {
	if i == 7 || i == 8 {
		return fmt.Errorf("%s is torn: %w", f.Name(i), errTorn)
	}
	return f.Source.At(i, dst, row)
}

var errTorn = errors.New("no paper")

func TestErrorsComeAtTheirStep(t *testing.T) {
	for workers := 1; workers <= 8; workers++ {
		l := load(t, failing{counting(20)}, Options{Batch: 3, Workers: workers, Repeat: true, Prefetch: 4})
		if got := take(t, l, 2); len(got) != 2 {
			t.Fatalf("%d good batches before the error", len(got))
		}
		for range 2 {
			_, err := l.Next()
			if want := "batch 3 of pass 1: row 7 is torn: no paper"; err == nil || err.Error() != want || !errors.Is(err, errTorn) {
				t.Errorf("%v\nwant %s", err, want)
			}
		}
		if l.Cursor().Batch != 2 {
			t.Errorf("the position is %+v", l.Cursor())
		}
	}
}

func TestLoaderEndsItsGoroutines(t *testing.T) {
	for name, use := range map[string]func(*testing.T, *Loader, context.CancelFunc){
		"closed at once":          func(t *testing.T, l *Loader, _ context.CancelFunc) { l.Close() },
		"closed in the middle":    func(t *testing.T, l *Loader, _ context.CancelFunc) { take(t, l, 5); l.Close() },
		"closed twice":            func(t *testing.T, l *Loader, _ context.CancelFunc) { l.Close(); l.Close() },
		"cancelled":               func(t *testing.T, l *Loader, cancel context.CancelFunc) { take(t, l, 1); cancel() },
		"cancelled when all wait": func(t *testing.T, l *Loader, cancel context.CancelFunc) { synctest.Wait(); cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			// The bubble fails if a goroutine is left in it, also where nobody calls Close.
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				l, err := NewLoader(ctx, uneven{counting(50)}, Options{Batch: 4, Repeat: true, Workers: 3})
				if err != nil {
					t.Fatal(err)
				}
				use(t, l, cancel)
				if _, err := l.Next(); !errors.Is(err, context.Canceled) {
					t.Errorf("after the end: %v", err)
				}
				time.Sleep(time.Second) // of the bubble's own time: who reads an example finishes it
			})
		})
	}
}

func TestLoaderOfOnePassEndsItsGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := NewLoader(t.Context(), counting(10), Options{Batch: 4})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(take(t, l, 9)); n != 3 {
			t.Errorf("%d batches", n)
		}
		synctest.Wait()
	})
}

func TestLoaderReadsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var read atomic.Int64
		l, err := NewLoader(t.Context(), counted{counting(100), &read}, Options{Batch: 4, Repeat: true, Prefetch: 3, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		synctest.Wait()
		// Three wait in the queue; the one behind them waits for a place there.
		if got := read.Load(); got != 3*4 {
			t.Errorf("%d examples read ahead, want 12", got)
		}
	})
}

type counted struct {
	Source
	read *atomic.Int64
}

func (c counted) At(i int, dst []*tensor.Tensor, row int) error {
	c.read.Add(1)
	return c.Source.At(i, dst, row)
}

func TestReleaseTwiceIsABug(t *testing.T) {
	l := load(t, counting(4), Options{Batch: 2})
	b, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
	defer func() {
		if r := recover(); r != "BUG: batch released twice" {
			t.Errorf("panic: %v", r)
		}
	}()
	b.Release()
}

func TestLoaderRefuses(t *testing.T) {
	at := Cursor{Pass: 1, Batch: 1, Examples: 10, BatchSize: 4, Seed: 5, Shuffle: true}
	for _, c := range []struct {
		name, want string
		n          int
		opt        Options
	}{
		{"no examples", "the data source has no examples", 0, Options{Batch: 1}},
		{"no batch", "a batch of 0 examples: it must have at least 1", 1, Options{}},
		{"workers", "prefetch 0, workers -1: neither can be negative", 1, Options{Batch: 1, Workers: -1}},
		{"other data", "the position was saved when the data had 10 examples; now it has 11: restore the data or start anew", 11, Options{Batch: 4, Seed: 5, Shuffle: true, Start: at}},
		{"other batch", "the position was saved with batches of 4, not 5: set the batch back or start anew", 10, Options{Batch: 5, Seed: 5, Shuffle: true, Start: at}},
		{"other order", `the position was saved with order "streams", not "": set it back or start anew`, 10, Options{Batch: 4, Seed: 5, Shuffle: true, Start: Cursor{Examples: 10, BatchSize: 4, Seed: 5, Shuffle: true, Order: "streams"}}},
		{"other seed", "the position was saved with seed 5, not 6: set the seed back or start anew", 10, Options{Batch: 4, Seed: 6, Shuffle: true, Start: at}},
		{"not shuffled", "the position was saved with shuffle true, not false: set it back or start anew", 10, Options{Batch: 4, Seed: 5, Start: at}},
		{"beyond", "position at batch 4 of a pass that has only 3", 10, Options{Batch: 4, Start: Cursor{Batch: 3}}},
	} {
		l, err := NewLoader(t.Context(), counting(c.n), c.opt)
		if err == nil {
			l.Close()
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}

func TestMemoryRefuses(t *testing.T) {
	x := Field{Name: "x", DType: tensor.F32, Shape: []int{2}}
	y := Field{Name: "y", DType: tensor.I32}
	for _, c := range []struct {
		want    string
		fields  []Field
		columns []*tensor.Tensor
	}{
		{"2 fields but 1 column", []Field{x, y}, []*tensor.Tensor{tensor.New(tensor.F32, 3, 2)}},
		{"a source needs at least one field", nil, nil},
		{"field x is f32[2] per example, but its column is f32[3, 3]", []Field{x}, []*tensor.Tensor{tensor.New(tensor.F32, 3, 3)}},
		{"field y is i32[] per example, but its column is f32[3]", []Field{y}, []*tensor.Tensor{tensor.New(tensor.F32, 3)}},
		{"field x has 3 examples, field y has 4", []Field{x, y}, []*tensor.Tensor{tensor.New(tensor.F32, 3, 2), tensor.New(tensor.I32, 4)}},
	} {
		if _, err := Memory(c.fields, c.columns...); err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
}

func TestSkippedFilesReachTheLoader(t *testing.T) {
	ds := open(t, ImageFolderConfig{ImageSpec: tiny, Train: brokenFolder(t)})
	var want []step
	for workers := 1; workers <= 4; workers++ {
		l := load(t, ds.Train, Options{Batch: 4, Shuffle: true, Seed: 9, Repeat: true, Workers: workers})
		got := take(t, l, 6)
		if want == nil {
			want = got
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d workers: %s", workers, diff)
		}
		if len(l.Skipped()) != 3 {
			t.Errorf("skipped: %q", l.Skipped())
		}
	}
}
