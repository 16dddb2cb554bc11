package interp

import (
	"github.com/nnc-lang/nnc/ir/tensor"
)

// float is the working precision: the type that stands for f32 in a program.
type float interface{ float32 | float64 }

// buffer is the memory of one value: exactly the slice that its element type names is used.
//
// Buffers are counted, since a cell, a reshape and a result may share one. Only a buffer with one holder that the machine
// itself allocated may be overwritten or recycled; memory of the caller's tensors and of constants is foreign.
type buffer[F float] struct {
	f       []F
	i       []int32
	b       []bool
	refs    int
	foreign bool
}

func (b *buffer[F]) len() int { return len(b.f) + len(b.i) + len(b.b) }

// memory hands out buffers and keeps those that are free by element type and exact length: calls of the same shapes ask for the same
// lengths again.
type memory[F float] struct {
	f      map[int][][]F
	i      map[int][][]int32
	b      map[int][][]bool
	poison bool // tests: freed memory is overwritten, so that reading it after its end is seen
}

func newMemory[F float]() *memory[F] {
	m := &memory[F]{}
	m.drop()
	return m
}

// drop forgets all free memory.
func (m *memory[F]) drop() {
	m.f, m.i, m.b = map[int][][]F{}, map[int][][]int32{}, map[int][][]bool{}
}

// free returns the number of elements that lie free.
func (m *memory[F]) free() int {
	return freeIn(m.f) + freeIn(m.i) + freeIn(m.b)
}

func freeIn[T any](free map[int][][]T) int {
	total := 0
	for n, list := range free {
		total += n * len(list)
	}
	return total
}

// alloc returns a buffer with one holder and arbitrary content.
func (m *memory[F]) alloc(d tensor.DType, n int) *buffer[F] {
	b := &buffer[F]{refs: 1}
	switch d {
	case tensor.F32:
		b.f = take(m.f, n)
	case tensor.I32:
		b.i = take(m.i, n)
	default:
		b.b = take(m.b, n)
	}
	return b
}

// release gives up one hold on b.
func (m *memory[F]) release(b *buffer[F]) {
	b.refs--
	if b.refs > 0 || b.foreign {
		return
	}
	if b.refs < 0 {
		panic("BUG: interp: a buffer was released twice")
	}
	if m.poison {
		var zero F
		for k := range b.f {
			b.f[k] = zero / zero
		}
		for k := range b.i {
			b.i[k] = -1 << 30
		}
		for k := range b.b {
			b.b[k] = !b.b[k]
		}
	}
	switch {
	case b.f != nil:
		m.f[len(b.f)] = append(m.f[len(b.f)], b.f)
	case b.i != nil:
		m.i[len(b.i)] = append(m.i[len(b.i)], b.i)
	case b.b != nil:
		m.b[len(b.b)] = append(m.b[len(b.b)], b.b)
	}
	b.f, b.i, b.b = nil, nil, nil
}

func take[T any](free map[int][][]T, n int) []T {
	list := free[n]
	if len(list) == 0 {
		return make([]T, n)
	}
	s := list[len(list)-1]
	free[n] = list[:len(list)-1]
	return s
}

// wrap returns a buffer over t's elements, converted to the working precision. It shares t's memory where it can.
func wrap[F float](t *tensor.Tensor) *buffer[F] {
	b := &buffer[F]{refs: 1, foreign: true}
	var zero F
	switch t.DType {
	case tensor.I32:
		b.i = t.I32
	case tensor.Bool:
		b.b = t.Bool
	default:
		if _, single := any(zero).(float32); single {
			b.f = any(t.To(tensor.F32).F32).([]F)
		} else {
			b.f = any(t.To(tensor.F64).F64).([]F)
		}
	}
	return b
}

// unwrap returns a tensor over b's memory.
func unwrap[F float](b *buffer[F], shape []int) *tensor.Tensor {
	t := &tensor.Tensor{Shape: append([]int{}, shape...)}
	switch {
	case b.i != nil:
		t.DType, t.I32 = tensor.I32, b.i
	case b.b != nil:
		t.DType, t.Bool = tensor.Bool, b.b
	default:
		switch f := any(b.f).(type) {
		case []float32:
			t.DType, t.F32 = tensor.F32, f
		case []float64:
			t.DType, t.F64 = tensor.F64, f
		}
	}
	return t
}

// clone returns a copy that the machine owns.
func (m *memory[F]) clone(b *buffer[F]) *buffer[F] {
	c := &buffer[F]{refs: 1}
	switch {
	case b.i != nil:
		c.i = take(m.i, len(b.i))
	case b.b != nil:
		c.b = take(m.b, len(b.b))
	default:
		c.f = take(m.f, len(b.f))
	}
	copy(c.f, b.f)
	copy(c.i, b.i)
	copy(c.b, b.b)
	return c
}

// zero clears b.
func (b *buffer[F]) zero() {
	clear(b.f)
	clear(b.i)
	clear(b.b)
}
