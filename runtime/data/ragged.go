package data

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Ragged is a Source with fields whose length differs from example to example: a -1 in the field's shape. Beside such a field f
// there is one called LengthField(f), i32, which holds the lengths. In a batch the field is as long as the longest of its
// examples, shorter ones being followed by zeros.
type Ragged interface {
	// LengthOf returns the length of example i in a field, by the field's number; it is at least 1.
	LengthOf(i, field int) int
}

// LengthField is the name of the field that holds the lengths of another.
func LengthField(name string) string { return "length." + name }

// ragged reports whether examples have lengths of their own in this field.
func (f Field) ragged() bool { return slices.Contains(f.Shape, -1) }

// longest is the greatest length of these examples in a field.
func longest(src Source, field int, examples []int32) int {
	r, ok := src.(Ragged)
	if !ok {
		panic(fmt.Sprintf("BUG: field %s has lengths of its own, and its source does not tell them", src.Fields()[field].Name))
	}
	n := 1
	for _, e := range examples {
		n = max(n, r.LengthOf(int(e), field))
	}
	return n
}

// padded returns a zeroed tensor for n examples of a field of that length, in the memory of old if there is enough.
//
// Shapes: [n, f.Shape…], -1 being length.
func padded(old *tensor.Tensor, f Field, n, length int) *tensor.Tensor {
	t := &tensor.Tensor{DType: f.DType, Shape: []int{n}}
	for _, d := range f.Shape {
		if d == -1 {
			d = length
		}
		t.Shape = append(t.Shape, d)
	}
	size := t.Len()
	if old == nil {
		old = &tensor.Tensor{}
	}
	switch f.DType {
	case tensor.F32:
		t.F32 = zeroed(old.F32, size)
	case tensor.I32:
		t.I32 = zeroed(old.I32, size)
	default:
		panic(fmt.Sprintf("BUG: field %s of %s with lengths of its own", f.Name, f.DType))
	}
	return t
}

func zeroed[T any](old []T, n int) []T {
	if cap(old) < n {
		return make([]T, n)
	}
	clear(old[:n])
	return old[:n]
}

// NewBatchOf returns zeroed tensors for these examples of src.
//
// Shapes: [len(examples), field.Shape…] each; where lengths differ, that of the longest.
func NewBatchOf(src Source, examples ...int) []*tensor.Tensor {
	list := make([]int32, len(examples))
	for k, e := range examples {
		list[k] = int32(e)
	}
	fields := src.Fields()
	batch := make([]*tensor.Tensor, len(fields))
	for i, f := range fields {
		if f.ragged() {
			batch[i] = padded(nil, f, len(list), longest(src, i, list))
		} else {
			batch[i] = NewBatch(fields[i:i+1], len(list))[0]
		}
	}
	return batch
}

// elementsOf returns how many elements one row of a batch's tensor has.
func elementsOf(t *tensor.Tensor) int {
	n := 1
	for _, d := range t.Shape[1:] {
		n *= d
	}
	return n
}
