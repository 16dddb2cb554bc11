package exec

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/code"
)

// memory is what an instance has mapped.
type memory struct {
	sync.Mutex
	maps map[*byte][]byte // by their first bytes
	code *code.Code       // nil: it is not the instance's
}

// alloc maps zeroed memory.
func (m *memory) alloc(n int) ([]byte, error) {
	if err := runtime.CheckMemory(n); err != nil {
		return nil, err
	}
	b, err := code.MapMemory(n)
	if err != nil {
		return nil, err
	}
	m.Lock()
	defer m.Unlock()
	m.maps[&b[0]] = b
	return b, nil
}

// together maps zeroed memory of several sizes as one, so that it lies on few pages. It stays until close.
func (m *memory) together(sizes []int) ([][]byte, error) {
	at := arenaAlign // none begins where the mapping does, which free would take for it
	offsets := make([]int, len(sizes))
	for k, n := range sizes {
		offsets[k] = at
		at += (n + arenaAlign - 1) / arenaAlign * arenaAlign
	}
	b, err := m.alloc(at)
	if err != nil {
		return nil, err
	}
	all := make([][]byte, len(sizes))
	for k, n := range sizes {
		all[k] = b[offsets[k]:][:n:n]
	}
	return all, nil
}

// free unmaps memory if it is the instance's and was mapped alone.
func (m *memory) free(b []byte) {
	if len(b) == 0 {
		return
	}
	m.Lock()
	defer m.Unlock()
	if mapped, ok := m.maps[&b[0]]; ok {
		delete(m.maps, &b[0])
		code.UnmapMemory(mapped)
	}
}

// close unmaps all of it.
func (m *memory) close() {
	m.Lock()
	defer m.Unlock()
	for _, b := range m.maps {
		code.UnmapMemory(b)
	}
	clear(m.maps)
	if m.code != nil {
		_ = m.code.Close()
	}
}

// Working returns the element type that values of a type have in memory.
func Working(d tensor.DType) tensor.DType {
	if d == tensor.F64 {
		return tensor.F32
	}
	return d
}

// BytesOf returns the memory of a tensor's elements.
func BytesOf(t *tensor.Tensor) ([]byte, error) {
	switch t.DType {
	case tensor.F32:
		return viewBytes(t.F32, 4), nil
	case tensor.I32:
		return viewBytes(t.I32, 4), nil
	case tensor.Bool:
		return viewBytes(t.Bool, 1), nil
	}
	return nil, fmt.Errorf("native code does not compute with %v", t.DType)
}

// over returns a tensor whose elements lie in b.
func over(d tensor.DType, shape []int, b []byte) *tensor.Tensor {
	t := &tensor.Tensor{DType: d, Shape: slices.Clone(shape)}
	n, p := product(shape), unsafe.Pointer(unsafe.SliceData(b))
	switch d {
	case tensor.F32:
		t.F32 = unsafe.Slice((*float32)(p), n)
	case tensor.I32:
		t.I32 = unsafe.Slice((*int32)(p), n)
	case tensor.Bool:
		t.Bool = unsafe.Slice((*bool)(p), n)
	}
	return t
}

// Widened returns a tensor of the bf16 numbers in b.
func Widened(shape []int, b []byte) *tensor.Tensor {
	t := tensor.New(tensor.F32, shape...)
	for k, h := range unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(b))), t.Len()) {
		t.F32[k] = tensor.FromBF16(h)
	}
	return t
}

// narrow rounds the f32 numbers in from to bf16.
func narrow(to, from []byte) {
	n := len(from) / 4
	out := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(to))), n)
	for k, f := range unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(from))), n) {
		out[k] = tensor.ToBF16(f)
	}
}

// Narrow returns a tensor's numbers rounded to bf16, as a cell that is stored so has them.
func Narrow(t *tensor.Tensor) []byte {
	b := make([]byte, 2*t.Len())
	narrow(b, viewBytes(t.F32, 4))
	return b
}

func viewBytes[T any](s []T, size int) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*size)
}

// address returns where b lies. Memory of Go's heap must be kept alive while the number is used; Go does not move it.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// live is a value to be placed: it needs bytes from step first to step last.
type live struct {
	id          int
	bytes       int
	first, last int
	offset      int
}

// arenaAlign keeps values apart by a cache line.
const arenaAlign = 64

// placeLive gives every value an offset so that no two that live at the same time overlap, large ones first, each into the smallest gap that it
// fits. It returns the bytes needed.
func placeLive(values []*live) int {
	order := slices.Clone(values)
	slices.SortStableFunc(order, func(a, b *live) int { return cmp.Compare(b.bytes, a.bytes) })
	var placed []*live // by offset
	size := 0
	for _, v := range order {
		need := (v.bytes + arenaAlign - 1) / arenaAlign * arenaAlign
		best, bestGap := -1, 0
		at := 0
		for _, p := range placed {
			if p.last < v.first || p.first > v.last {
				continue
			}
			if gap := p.offset - at; gap >= need && (best < 0 || gap < bestGap) {
				best, bestGap = at, gap
			}
			at = max(at, p.offset+(p.bytes+arenaAlign-1)/arenaAlign*arenaAlign)
		}
		if best < 0 {
			best = at
		}
		v.offset = best
		size = max(size, best+need)
		i, _ := slices.BinarySearchFunc(placed, v, func(a, b *live) int { return cmp.Compare(a.offset, b.offset) })
		placed = slices.Insert(placed, i, v)
	}
	return size
}
