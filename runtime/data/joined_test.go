package data

import (
	"fmt"
	"slices"
	"testing"

	"github.com/nnc-lang/nnc/ir/tensor"
	"pgregory.net/rapid"
)

func joinedCounting(t rapid.TB, a, b int) Source {
	t.Helper()
	s, err := Join(Part{"A", counting(a)}, Part{"B", counting(b)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The first part is visited as it would be alone; the second goes on and on, each of its passes having every example once, also where a
// batch begins in one pass and ends in another. From any cursor on the batches are the same.
func TestJoined(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.IntRange(1, 12).Draw(t, "a"), rapid.IntRange(1, 12).Draw(t, "b")
		opt := Options{
			Batch: rapid.IntRange(1, 14).Draw(t, "batch"), Shuffle: rapid.Bool().Draw(t, "shuffle"), Repeat: true,
			ShuffleJoined: []bool{rapid.Bool().Draw(t, "shuffleB")}, Seed: rapid.Uint64().Draw(t, "seed"), Workers: 2,
		}
		src := joinedCounting(t, a, b)
		l, err := NewLoader(t.Context(), src, opt)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		alone, err := NewLoader(t.Context(), counting(a), opt)
		if err != nil {
			t.Fatal(err)
		}
		defer alone.Close()
		n := 3*batches(a, opt.Batch) + 2*b/opt.Batch + 2
		back := rapid.IntRange(0, n-1).Draw(t, "back")
		var second []float32 // all examples of B so far
		var from Cursor
		var after [][]float32
		for k := range n {
			if k == back {
				from = l.Cursor()
			}
			one, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			other, err := alone.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(one.Tensors[0].F32, other.Tensors[0].F32) || !slices.Equal(one.Examples, other.Examples) {
				t.Fatalf("batch %d of the first part is %v, alone it is %v", k, one.Examples, other.Examples)
			}
			for row := range one.Examples {
				second = append(second, one.Tensors[2].F32[2*row])
			}
			if k >= back {
				after = append(after, slices.Concat(one.Tensors[0].F32, one.Tensors[2].F32))
			}
			one.Release()
			other.Release()
		}
		for lo := 0; lo+b <= len(second); lo += b {
			pass := slices.Clone(second[lo : lo+b])
			inOrder := slices.IsSorted(pass)
			slices.Sort(pass)
			for i, x := range pass {
				if x != float32(i) {
					t.Fatalf("pass %d of the second part has the examples %v", lo/b, pass)
				}
			}
			if !opt.ShuffleJoined[0] && !inOrder {
				t.Fatalf("pass %d of the second part is not in its order", lo/b)
			}
		}
		opt.Start = from
		again, err := NewLoader(t.Context(), src, opt)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		for k, want := range after {
			one, err := again.Next()
			if err != nil {
				t.Fatal(err)
			}
			if got := slices.Concat(one.Tensors[0].F32, one.Tensors[2].F32); !slices.Equal(got, want) {
				t.Fatalf("batch %d from cursor %+v: %v, was %v", k, from, got, want)
			}
			one.Release()
		}
	})
}

// Parts of one size are shuffled differently, and each pass of either anew.
func TestJoinedShufflesEachPart(t *testing.T) {
	l := load(t, joinedCounting(t, 50, 50), Options{Batch: 50, Shuffle: true, Repeat: true, Seed: 7})
	var seen [][]float32
	for range 2 {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, slices.Clone(b.Tensors[0].F32), slices.Clone(b.Tensors[2].F32))
		b.Release()
	}
	for i := range seen {
		for j := range i {
			if slices.Equal(seen[i], seen[j]) {
				t.Errorf("orders %d and %d are the same", i, j)
			}
		}
	}
}

// brokenAt is a source that puts example 0 in the place of one that is broken.
type brokenAt struct {
	Source
	broken int
}

func (s brokenAt) At(i int, dst []*tensor.Tensor, row int) error {
	if i == s.broken {
		i = 0
	}
	return s.Source.At(i, dst, row)
}

func (s brokenAt) AtOnly(i int, dst []*tensor.Tensor, row int) error {
	if i == s.broken {
		return fmt.Errorf("%w: %d", ErrBroken, i)
	}
	return s.At(i, dst, row)
}

// What measures leaves out an example of which any part is broken.
func TestJoinedLeavesOutBroken(t *testing.T) {
	src, err := Join(Part{"A", brokenAt{counting(6), 4}}, Part{"B", brokenAt{counting(4), 1}})
	if err != nil {
		t.Fatal(err)
	}
	l := load(t, src, Options{Batch: 6, OnlyGood: true})
	b, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	if want := []int32{0, 2, 3}; !slices.Equal(b.Examples, want) { // 1 and 5 meet the second part's 1
		t.Errorf("left are %v, want %v", b.Examples, want)
	}
	if got, want := b.Tensors[2].F32, []float32{0, 0, 2, -2, 3, -3}; !slices.Equal(got, want) {
		t.Errorf("of the second part %v, want %v", got, want)
	}
}

// Each part's texts are padded to the longest of its own in the batch.
func TestJoinedLengths(t *testing.T) {
	table := func(lengths ...int) Source { return &textsOf{lengths} }
	src, err := Join(Part{"A", table(1, 2, 3)}, Part{"B", table(5, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l := load(t, src, Options{Batch: 2, Repeat: true})
	for k, want := range [][2][]int{{{2, 2}, {2, 5}}, {{1, 3}, {1, 5}}, {{2, 2}, {2, 5}}} {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(b.Tensors[0].Shape, want[0]) || !slices.Equal(b.Tensors[2].Shape, want[1]) {
			t.Errorf("batch %d: %v and %v, want %v", k, b.Tensors[0].Shape, b.Tensors[2].Shape, want)
		}
		b.Release()
	}
	if got := src.(Ragged).LengthOf(2, 2); got != 5 {
		t.Errorf("example 2 of the second part is %d long", got)
	}
}

// textsOf is a source of texts of ones with these lengths.
type textsOf struct{ lengths []int }

func (s *textsOf) Len() int { return len(s.lengths) }
func (s *textsOf) Fields() []Field {
	return []Field{{Name: "text", DType: tensor.I32, Shape: []int{-1}}, {Name: LengthField("text"), DType: tensor.I32}}
}
func (s *textsOf) Name(i int) string         { return fmt.Sprint(i) }
func (s *textsOf) LengthOf(i, field int) int { return s.lengths[i] }
func (s *textsOf) At(i int, dst []*tensor.Tensor, row int) error {
	for k := range s.lengths[i] {
		dst[0].I32[row*dst[0].Shape[1]+k] = 1
	}
	dst[1].I32[row] = int32(s.lengths[i])
	return nil
}

func TestJoinedRefuses(t *testing.T) {
	for _, c := range []struct {
		want  string
		parts []Part
	}{
		{"B has no examples", []Part{{"A", counting(2)}, {"B", counting(0)}}},
		{"B is in the order of streams, which only the first of several data can be", []Part{{"A", counting(2)}, {"B", Streams(counting(3))}}},
	} {
		if _, err := Join(c.parts...); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	if _, err := Join(Part{"A", Streams(counting(2))}, Part{"B", counting(3)}); err != nil {
		t.Error(err)
	}
	l := load(t, joinedCounting(t, 4, 3), Options{Batch: 2})
	at := l.Cursor()
	if _, err := NewLoader(t.Context(), joinedCounting(t, 4, 5), Options{Batch: 2, Start: at}); err == nil ||
		err.Error() != `the position was saved with "B with 3 examples" beside the first data, not "B with 5 examples": restore the data or start anew` {
		t.Error(err)
	}
}
