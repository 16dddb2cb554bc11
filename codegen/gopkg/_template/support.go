package model

import (
	"fmt"
	"math"
	"math/bits"
)

// scratch is memory for the values of one computation, kept for the next one.
type scratch struct {
	f32  free[float32]
	i32  free[int32]
	bool free[bool]
}

// free is slices that are not in use.
type free[T any] struct{ slices [][]T }

// get returns a slice of n elements with any contents.
func (f *free[T]) get(n int) []T {
	best := -1
	for k, s := range f.slices {
		if cap(s) >= n && (best < 0 || cap(s) < cap(f.slices[best])) {
			best = k
		}
	}
	if best < 0 {
		return make([]T, n)
	}
	s := f.slices[best][:n]
	last := len(f.slices) - 1
	f.slices[best] = f.slices[last]
	f.slices = f.slices[:last]
	return s
}

// put takes a slice back.
func (f *free[T]) put(s []T) { f.slices = append(f.slices, s) }

// takeSlice copies element t along the middle one of three dimensions, of which the first has outer elements and the second n.
func takeSlice[T any](slice, whole []T, outer, n, t int) {
	inner := len(slice) / max(outer, 1)
	for o := range outer {
		copy(slice[o*inner:][:inner], whole[(o*n+t)*inner:])
	}
}

// storeSlice is the reverse of takeSlice.
func storeSlice[T any](whole, slice []T, outer, n, t int) {
	inner := len(slice) / max(outer, 1)
	for o := range outer {
		copy(whole[(o*n+t)*inner:][:inner], slice[o*inner:])
	}
}

// storeRows is storeSlice where each example has a length of its own: after its end it has zeros.
func storeRows[T any](whole, slice []T, outer, n, t int, lengths []int32) {
	storeSlice(whole, slice, outer, n, t)
	inner := len(slice) / max(outer, 1)
	for b, length := range lengths {
		if t < int(length) {
			continue
		}
		if outer == 1 { // the examples' dimension is within the slices
			row := inner / len(lengths)
			clear(whole[t*inner+b*row:][:row])
			continue
		}
		rows := outer / len(lengths)
		for o := b * rows; o < (b+1)*rows; o++ {
			clear(whole[(o*n+t)*inner:][:inner])
		}
	}
}

// keepRows copies the rows of the examples that have not ended before step t.
func keepRows[T any](to, next []T, t int, lengths []int32) {
	row := len(next) / max(len(lengths), 1)
	for b, length := range lengths {
		if t < int(length) {
			copy(to[b*row:][:row], next[b*row:])
		}
	}
}

// outside says that data was used as an index outside of what it indexes.
func outside(index, limit int, where string) error {
	if where != "" {
		where += ": "
	}
	return fmt.Errorf("%sindex %d is outside [0, %d)", where, index, limit)
}

// quotient is ⌊a / n⌋ for n ≥ 1.
func quotient(a, n int) int {
	q := a / n
	if a%n < 0 {
		q--
	}
	return q
}

// quotient32 is ⌊a / b⌋, and 0 where b is 0.
func quotient32(a, b int32) int32 {
	if b == 0 {
		return 0
	}
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// remainder32 is a − b·⌊a/b⌋, and 0 where b is 0.
func remainder32(a, b int32) int32 {
	if b == 0 {
		return 0
	}
	return a - b*quotient32(a, b)
}

func remainder(a, b float32) float32 {
	return float32(float64(a) - float64(b)*math.Floor(float64(a)/float64(b)))
}

func power(a, b float32) float32 { return float32(math.Pow(float64(a), float64(b))) }

func sign(a float32) float32 {
	switch {
	case a > 0:
		return 1
	case a < 0:
		return -1
	case a == 0:
		return 0
	}
	return a // not a number
}

func sign32(a int32) int32 {
	switch {
	case a > 0:
		return 1
	case a < 0:
		return -1
	}
	return 0
}

func truth(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

// whole is a as a whole number, towards zero, limited to 32 bits; 0 where a is not a number.
func whole(a float32) int32 {
	switch x := float64(a); {
	case x != x:
		return 0
	case x >= math.MaxInt32:
		return math.MaxInt32
	case x <= math.MinInt32:
		return math.MinInt32
	}
	return int32(a)
}

// uniform returns a number in [0, 1) that depends on nothing but its key and counter.
//
// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
func uniform(k0, k1, c0, c1 int32) float32 {
	a, b, x, y := uint32(k0), uint32(k1), uint32(c0), uint32(c1)
	var z, w uint32
	for round := range 10 {
		if round > 0 {
			a += 0x9E3779B9
			b += 0xBB67AE85
		}
		hi0, lo0 := bits.Mul32(0xD2511F53, x)
		hi1, lo1 := bits.Mul32(0xCD9E8D57, z)
		x, y, z, w = hi1^y^a, lo1, hi0^w^b, lo0
	}
	return float32(x>>8) * (1.0 / (1 << 24))
}
