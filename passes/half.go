package passes

import (
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// halfElements is how many elements a parameter must have to be stored as bf16: a smaller one stays in a cache, where its size costs nothing.
const halfElements = 1 << 17

// HalfWeights has the large parameters of m stored as bf16, in half of their memory and to be read in half of the time. It is no pass of the
// pipeline, since it changes results: each of these weights by 2⁻⁸ of it at most. It returns how many parameters it changed.
func HalfWeights(m *ir.Module) int {
	n := 0
	for _, c := range m.Cells {
		if c.Kind == ir.Param && c.Type.DType == tensor.F32 && large(c.Type) {
			c.Half = true
			n++
		}
	}
	return n
}

// large reports whether t is a tensor of at least two dimensions of so many elements.
func large(t ir.Type) bool {
	n := 1
	for _, d := range t.Shape {
		size, ok := d.IsConst()
		if !ok || size == 0 {
			return false
		}
		if n *= size; n > halfElements {
			n = halfElements
		}
	}
	return len(t.Shape) >= 2 && n >= halfElements
}
