package data

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// numbered is a source of n examples, each its own number.
func numbered(t *testing.T, n int) Source {
	t.Helper()
	x := tensor.New(tensor.I32, n)
	for i := range x.I32 {
		x.I32[i] = int32(i)
	}
	src, err := Memory([]Field{{Name: "x", DType: tensor.I32}}, x)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// drawn reads batches taken by chance.
func drawn(t *testing.T, src Source, opt Options, batches int) (examples [][]int32, at []Cursor) {
	t.Helper()
	opt.Poisson, opt.Repeat = true, true
	l, err := NewLoader(t.Context(), src, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range batches {
		at = append(at, l.Cursor())
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(b.Tensors[0].I32, b.Examples) || b.Tensors[0].Shape[0] != b.Len() {
			t.Fatalf("the batch of %v has %v", b.Examples, b.Tensors[0])
		}
		examples = append(examples, slices.Clone(b.Examples))
		b.Release()
	}
	return examples, at
}

// Each example is in each batch with the same chance, whoever else is.
func TestPoisson(t *testing.T) {
	const n, size, batches = 50, 5, 20000
	src := numbered(t, n)
	all, at := drawn(t, src, Options{Batch: size, Seed: 7}, batches)
	count := make([]float64, n)
	var together, lengths, squares float64
	empty := 0
	for _, b := range all {
		for _, e := range b {
			count[e]++
		}
		if slices.Contains(b, 3) && slices.Contains(b, 4) {
			together++
		}
		if len(b) == 0 {
			empty++
		}
		lengths += float64(len(b))
		squares += float64(len(b) * len(b))
	}
	// Bounds are five standard deviations of a binomial number.
	within := func(what string, got, p float64) {
		if d := math.Abs(got - p*batches); d > 5*math.Sqrt(p*(1-p)*batches) {
			t.Errorf("%s: %v of %d, where %v were to be expected", what, got, batches, p*batches)
		}
	}
	for e, c := range count {
		within(string(rune('0'+e)), c, 0.1)
	}
	within("examples 3 and 4 together", together, 0.01)
	within("empty batches", float64(empty), math.Pow(0.9, n))
	mean := lengths / batches
	if v := squares/batches - mean*mean; math.Abs(v-n*0.1*0.9) > 0.3 {
		t.Errorf("the variance of a batch's size is %v, not %v", v, n*0.1*0.9)
	}
	if last := at[10]; last.Pass != 1 || last.Batch != 0 || last.Order != "poisson" {
		t.Errorf("after 10 batches, those of a pass, the position is %+v", last)
	}

	for _, workers := range []int{1, 3} {
		again, _ := drawn(t, src, Options{Batch: size, Seed: 7, Workers: workers, Start: at[17]}, 100)
		if !slices.EqualFunc(again, all[17:117], slices.Equal) {
			t.Errorf("with %d workers, going on from batch 17 gives other batches", workers)
		}
	}
	other, _ := drawn(t, src, Options{Batch: size, Seed: 8}, 100)
	if slices.EqualFunc(other, all[:100], slices.Equal) {
		t.Error("another seed gives the same batches")
	}
	whole, _ := drawn(t, src, Options{Batch: 80}, 3)
	for _, b := range whole {
		if len(b) != n {
			t.Errorf("a batch that is larger than the data has %d of its examples", len(b))
		}
	}
	_, err := NewLoader(t.Context(), src, Options{Batch: size, Seed: 7, Repeat: true, Start: at[17]})
	if err == nil || errors.Is(err, t.Context().Err()) {
		t.Error("a position among batches by chance was taken for one in order")
	}
}
