package hdf5

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Array is the data of a dataset or of an attribute; they are read when asked for.
type Array struct {
	Type  Type
	Shape []int // empty for a scalar

	f    *File
	n    int
	name string
	most []uint64 // what the dimensions may grow to; undefined: without limit
	// size returns how many bytes the storage really has, so that nothing is allocated for what is only claimed.
	size func() (uint64, error)
	// read calls sink with pieces of the data: whole elements, the first of which has number at in row-major order. What it
	// leaves out is zero.
	read func(sink func(at int, raw []byte) error) error
}

// Len returns the number of elements.
func (a *Array) Len() int { return a.n }

// Float32s reads integers or floating-point numbers, rounded to float32.
func (a *Array) Float32s() ([]float32, error) {
	return numbers(a, func(dst []float32, raw []byte) error {
		t := a.Type
		if t.IsFloat() && t.float == single {
			for i := range dst {
				dst[i] = math.Float32frombits(uint32(t.bits(raw[4*i:])))
			}
			return nil
		}
		return each(t, dst, raw, func(v float64) float32 { return float32(v) })
	})
}

// Float64s reads integers or floating-point numbers; integers beyond 2⁵³ are rounded.
func (a *Array) Float64s() ([]float64, error) {
	return numbers(a, func(dst []float64, raw []byte) error {
		return each(a.Type, dst, raw, func(v float64) float64 { return v })
	})
}

// Int64s reads integers.
//
// Errors: elements that are not integers, or do not fit.
func (a *Array) Int64s() ([]int64, error) {
	return numbers(a, func(dst []int64, raw []byte) error {
		t := a.Type
		if !t.IsInteger() {
			return fmt.Errorf("elements are %s, not integers", t)
		}
		for i := range dst {
			v, ok := t.integer(t.bits(raw[uint64(i)*t.size:]))
			if !ok {
				return fmt.Errorf("%d does not fit int64", uint64(v))
			}
			dst[i] = v
		}
		return nil
	})
}

// each converts the elements of raw by way of float64.
func each[T float32 | float64](t Type, dst []T, raw []byte, convert func(float64) T) error {
	for i := range dst {
		bits := t.bits(raw[uint64(i)*t.size:])
		if t.IsFloat() {
			dst[i] = convert(t.float.value(bits))
		} else if v, ok := t.integer(bits); ok {
			dst[i] = T(v)
		} else {
			dst[i] = T(bits)
		}
	}
	return nil
}

// numbers reads all elements, each piece by decode.
func numbers[T any](a *Array, decode func(dst []T, raw []byte) error) ([]T, error) {
	if !a.Type.IsInteger() && !a.Type.IsFloat() {
		return nil, fmt.Errorf("%s: elements are %s, not numbers", a.name, a.Type)
	}
	if err := a.bound(); err != nil {
		return nil, err
	}
	all := make([]T, a.n)
	err := a.read(func(at int, raw []byte) error {
		count := len(raw) / int(a.Type.size)
		return decode(all[at:at+count], raw)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.name, err)
	}
	return all, nil
}

// bound fails if the array claims more data than its storage has.
func (a *Array) bound() error {
	have, err := a.size()
	if err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	// a.n is at most MaxInt/8, and a type's size at most 2³²: compare without their product.
	if uint64(a.n) > have/a.Type.size {
		return fmt.Errorf("%s: shape %v takes more than the %d bytes that the file has for it", a.name, a.Shape, have)
	}
	return nil
}

// Strings reads strings of fixed or variable length.
func (a *Array) Strings() ([]string, error) {
	if !a.Type.IsString() {
		return nil, fmt.Errorf("%s: elements are %s, not strings", a.name, a.Type)
	}
	if err := a.bound(); err != nil {
		return nil, err
	}
	all := make([]string, a.n)
	err := a.read(func(at int, raw []byte) error {
		for ; len(raw) > 0; at, raw = at+1, raw[a.Type.size:] {
			s, err := a.string(raw[:a.Type.size])
			if err != nil {
				return err
			}
			all[at] = s
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.name, err)
	}
	return all, nil
}

// string converts one element.
func (a *Array) string(raw []byte) (string, error) {
	if a.Type.class == classVariableString {
		return a.f.variableString(raw)
	}
	switch a.Type.pad {
	case 0: // ends at a zero
		raw, _, _ = bytes.Cut(raw, []byte{0})
		return string(raw), nil
	case 1:
		return strings.TrimRight(string(raw), "\x00"), nil
	default:
		return strings.TrimRight(string(raw), " "), nil
	}
}

// String reads the one element of a scalar string, or of an array that has only one.
func (a *Array) String() (string, error) {
	all, err := a.Strings()
	if err != nil {
		return "", err
	}
	if len(all) != 1 {
		return "", fmt.Errorf("%s: has %d strings where one is expected", a.name, len(all))
	}
	return all[0], nil
}

// variableString follows a reference: length, collection, index (section IV.B).
func (f *File) variableString(raw []byte) (string, error) {
	c := &cursor{b: raw}
	n, addr, index := uint64(c.u32()), f.address(c), c.u32()
	if c.short {
		return "", errors.New("broken variable-length string")
	}
	if n == 0 || addr == 0 || addr == undefined {
		return "", nil
	}
	heap, err := f.globalHeap(addr)
	if err != nil {
		return "", err
	}
	s, ok := heap[uint16(index)]
	if !ok || index > math.MaxUint16 || n > uint64(len(s)) {
		return "", errors.New("global heap: a string is not in it")
	}
	// Many references to one string share its memory; some writers count a final zero.
	return strings.TrimSuffix(s[:n], "\x00"), nil
}

// globalHeap returns the objects of a collection (section III.E) and remembers them.
func (f *File) globalHeap(addr uint64) (map[uint16]string, error) {
	if heap, ok := f.heaps[addr]; ok {
		return heap, nil
	}
	lead := uint64(8 + f.lengthWidth)
	head, err := f.metadata(addr, lead, "global heap")
	if err != nil {
		return nil, err
	}
	c := &cursor{b: head}
	if !c.signature("GCOL") {
		return nil, errors.New("global heap: lacks its signature")
	}
	c.skip(4)
	size := f.length(c)
	if size < lead {
		return nil, errors.New("global heap: broken")
	}
	body, err := f.metadata(addr+lead, size-lead, "global heap")
	if err != nil {
		return nil, err
	}
	heap := map[uint16]string{}
	c = &cursor{b: body}
	for c.left() >= int(lead) {
		index := c.u16()
		c.skip(6) // references, reserved
		n := f.length(c)
		if index == 0 { // what is left is free
			break
		}
		heap[index] = string(c.bytes(n))
		if c.short {
			return nil, errors.New("global heap: an object is longer than its collection")
		}
		c.skip(min(-n&7, uint64(c.left())))
	}
	f.heaps[addr] = heap
	return heap, nil
}
