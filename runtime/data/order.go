package data

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Visit is one pass of a Loader over a source.
type Visit struct {
	Seed, Pass uint64
	Batch      int // examples
	Shuffle    bool
}

// Orderer is a Source whose examples are visited in an order that it chooses.
type Orderer interface {
	// OrderName tells the order from others; positions saved under one mean nothing under another.
	OrderName() string
	// Order returns the example at each place of a pass; every example has one place.
	Order(v Visit) func(place int) int32
}

func orderOf(src Source) string {
	if o, ok := src.(Orderer); ok {
		return o.OrderName()
	}
	return ""
}

// forwarded passes on what a source can do beside Source.
type forwarded struct{ Source }

func (f forwarded) AtOnly(i int, dst []*tensor.Tensor, row int) error {
	if r, ok := f.Source.(Replacer); ok {
		return r.AtOnly(i, dst, row)
	}
	return f.At(i, dst, row)
}

func (f forwarded) LengthOf(i, field int) int { return f.Source.(Ragged).LengthOf(i, field) }

func (f forwarded) Skipped() []string {
	if r, ok := f.Source.(SkipReporter); ok {
		return r.Skipped()
	}
	return nil
}

type streams struct{ forwarded }

// Streams returns src in the order of streams: row i of a batch is the example that follows the one in row i of the batch before.
// The source is cut into as many runs as a batch has rows; runs differ by at most one example, so that the last batch of a pass may
// have the first rows only.
func Streams(src Source) Source { return streams{forwarded{src}} }

func (s streams) OrderName() string { return "streams" }

func (s streams) Order(v Visit) func(place int) int32 {
	rows := min(v.Batch, s.Len())
	short, more := s.Len()/rows, s.Len()%rows
	return func(place int) int32 {
		row := place % rows
		return int32(row*short + min(row, more) + place/rows)
	}
}

type byLength struct {
	forwarded
	field int
}

// ByLength returns src in an order that brings examples of like length together, which leaves little padding: runs of 64 batches are
// sorted by the length of the first field that has one, and the batches are shuffled.
//
// Errors: a source without such a field.
func ByLength(src Source) (Source, error) {
	field := slices.IndexFunc(src.Fields(), Field.ragged)
	if field < 0 {
		return nil, fmt.Errorf("no field has a length that differs from example to example, so there is no order by length")
	}
	return byLength{forwarded{src}, field}, nil
}

func (s byLength) OrderName() string { return "lengths" }

func (s byLength) Order(v Visit) func(place int) int32 {
	n := s.Len()
	order := make([]int32, n)
	run := n
	if v.Shuffle {
		at := shuffled(v.Seed, v.Pass, n)
		for i := range order {
			order[i] = at(i)
		}
		run = 64 * v.Batch
	} else {
		for i := range order {
			order[i] = int32(i)
		}
	}
	for lo := 0; lo < n; lo += run {
		slices.SortStableFunc(order[lo:min(lo+run, n)], func(a, b int32) int {
			return cmp.Compare(s.LengthOf(int(a), s.field), s.LengthOf(int(b), s.field))
		})
	}
	if !v.Shuffle {
		return func(place int) int32 { return order[place] }
	}
	full := n / v.Batch // the smaller batch, if there is one, stays the last
	batches := Permutation(^v.Seed, v.Pass, full)
	return func(place int) int32 {
		if b := place / v.Batch; b < full {
			place = int(batches[b])*v.Batch + place%v.Batch
		}
		return order[place]
	}
}
