// Package tensor holds concrete arrays: what goes into and comes out of a compiled program.
package tensor

import (
	"fmt"
	"slices"
)

// DType is the type of a tensor's elements.
type DType uint8

// The element types. F64 exists only at run time, under `--precision f64`; programs say f32, i32, bool. BF16 is how weights may lie in memory, see
// ir.Cell, and U8 is how numbers of type i32 may that are known to be small; no tensor has either.
const (
	Invalid DType = iota
	F32
	F64
	I32
	Bool
	BF16
	U8
)

var dtypeNames = [...]string{Invalid: "invalid", F32: "f32", F64: "f64", I32: "i32", Bool: "bool", BF16: "bf16", U8: "u8"}

// String returns the type's name in the language.
func (d DType) String() string { return dtypeNames[d] }

// ParseDType is the inverse of String, for the types that tensors have.
func ParseDType(s string) (DType, bool) {
	i := slices.Index(dtypeNames[:BF16], s)
	return DType(max(i, 0)), i > 0
}

// MarshalText writes the type's name.
func (d DType) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (d *DType) UnmarshalText(text []byte) error {
	t, ok := ParseDType(string(text))
	if !ok && string(text) != Invalid.String() {
		return fmt.Errorf("there is no element type %q", text)
	}
	*d = t
	return nil
}

// Tensor is a dense row-major array. Exactly the slice that DType names is used, and its length is the product of Shape.
type Tensor struct {
	DType DType
	Shape []int
	F32   []float32
	F64   []float64
	I32   []int32
	Bool  []bool
}

// New returns a zeroed tensor.
func New(d DType, shape ...int) *Tensor {
	t := &Tensor{DType: d, Shape: slices.Clone(shape)}
	n := t.Len()
	switch d {
	case F32:
		t.F32 = make([]float32, n)
	case F64:
		t.F64 = make([]float64, n)
	case I32:
		t.I32 = make([]int32, n)
	case Bool:
		t.Bool = make([]bool, n)
	default:
		panic(fmt.Sprintf("BUG: tensor.New of %v", d))
	}
	return t
}

// FromF32 wraps data, which must hold the product of shape elements.
func FromF32(data []float32, shape ...int) *Tensor {
	return checked(&Tensor{DType: F32, Shape: slices.Clone(shape), F32: data}, len(data))
}

// FromF64 wraps data, which must hold the product of shape elements.
func FromF64(data []float64, shape ...int) *Tensor {
	return checked(&Tensor{DType: F64, Shape: slices.Clone(shape), F64: data}, len(data))
}

// FromI32 wraps data, which must hold the product of shape elements.
func FromI32(data []int32, shape ...int) *Tensor {
	return checked(&Tensor{DType: I32, Shape: slices.Clone(shape), I32: data}, len(data))
}

func checked(t *Tensor, n int) *Tensor {
	if t.Len() != n {
		panic(fmt.Sprintf("BUG: %d elements for shape %v", n, t.Shape))
	}
	return t
}

// Len returns the number of elements.
func (t *Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// At returns element i, in row-major order, as a float64; a bool is 0 or 1.
func (t *Tensor) At(i int) float64 {
	switch t.DType {
	case F32:
		return float64(t.F32[i])
	case F64:
		return t.F64[i]
	case I32:
		return float64(t.I32[i])
	case Bool:
		if t.Bool[i] {
			return 1
		}
		return 0
	}
	panic("BUG: At of an invalid tensor")
}

// Set stores v as element i, converted to the tensor's type.
func (t *Tensor) Set(i int, v float64) {
	switch t.DType {
	case F32:
		t.F32[i] = float32(v)
	case F64:
		t.F64[i] = v
	case I32:
		t.I32[i] = int32(v)
	case Bool:
		t.Bool[i] = v != 0
	default:
		panic("BUG: Set of an invalid tensor")
	}
}

// Clone returns a deep copy.
func (t *Tensor) Clone() *Tensor {
	return &Tensor{
		DType: t.DType, Shape: slices.Clone(t.Shape),
		F32: slices.Clone(t.F32), F64: slices.Clone(t.F64), I32: slices.Clone(t.I32), Bool: slices.Clone(t.Bool),
	}
}

// Rows returns the rows from one number up to another, of the first dimension. They share t's elements.
func (t *Tensor) Rows(from, to int) *Tensor {
	size := 1
	for _, n := range t.Shape[1:] {
		size *= n
	}
	u := &Tensor{DType: t.DType, Shape: slices.Clone(t.Shape)}
	u.Shape[0] = to - from
	from, to = from*size, to*size
	switch t.DType {
	case F32:
		u.F32 = t.F32[from:to:to]
	case F64:
		u.F64 = t.F64[from:to:to]
	case I32:
		u.I32 = t.I32[from:to:to]
	case Bool:
		u.Bool = t.Bool[from:to:to]
	}
	return u
}

// To returns t with elements of type d: t itself if it has that type already.
func (t *Tensor) To(d DType) *Tensor {
	if t.DType == d {
		return t
	}
	u := New(d, t.Shape...)
	for i := range t.Len() {
		u.Set(i, t.At(i))
	}
	return u
}

// String formats the type, as f32[2, 3].
func (t *Tensor) String() string {
	s := t.DType.String()
	if len(t.Shape) == 0 {
		return s
	}
	s += "["
	for i, d := range t.Shape {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprint(d)
	}
	return s + "]"
}
