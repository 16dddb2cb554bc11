package data

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir/tensor"
)

type memory struct {
	fields  []Field
	columns []*tensor.Tensor
	n       int
}

// Memory returns a source over tensors that hold all examples, one tensor per field.
//
// Shapes: column i is [examples, fields[i].Shape…].
// Errors: a column whose type or shape is not its field's, or columns of different lengths.
func Memory(fields []Field, columns ...*tensor.Tensor) (Source, error) {
	if len(fields) != len(columns) {
		return nil, fmt.Errorf("%s but %s", plural(len(fields), "field", "fields"), plural(len(columns), "column", "columns"))
	}
	if len(columns) == 0 {
		return nil, fmt.Errorf("a source needs at least one field")
	}
	n := -1
	for i, f := range fields {
		c := columns[i]
		if c.DType != f.DType || len(c.Shape) == 0 || !slices.Equal(c.Shape[1:], f.Shape) {
			return nil, fmt.Errorf("field %s is %s%v per example, but its column is %v", f.Name, f.DType, f.Shape, c)
		}
		if n >= 0 && c.Shape[0] != n {
			return nil, fmt.Errorf("field %s has %d examples, field %s has %d", fields[0].Name, n, f.Name, c.Shape[0])
		}
		n = c.Shape[0]
	}
	return &memory{fields, columns, n}, nil
}

func (m *memory) Len() int          { return m.n }
func (m *memory) Fields() []Field   { return m.fields }
func (m *memory) Name(i int) string { return fmt.Sprintf("row %d", i) }

func (m *memory) At(i int, dst []*tensor.Tensor, row int) error {
	for k, c := range m.columns {
		copyRow(dst[k], row, c, i)
	}
	return nil
}

// copyRow copies row i of src to row `row` of dst, which has the same type and the same shape but for the first dimension.
func copyRow(dst *tensor.Tensor, row int, src *tensor.Tensor, i int) {
	n := src.Len() / src.Shape[0]
	switch src.DType {
	case tensor.F32:
		copy(dst.F32[row*n:(row+1)*n], src.F32[i*n:])
	case tensor.F64:
		copy(dst.F64[row*n:(row+1)*n], src.F64[i*n:])
	case tensor.I32:
		copy(dst.I32[row*n:(row+1)*n], src.I32[i*n:])
	case tensor.Bool:
		copy(dst.Bool[row*n:(row+1)*n], src.Bool[i*n:])
	default:
		panic(fmt.Sprintf("BUG: source of %v", src))
	}
}

type subset struct {
	Source
	indices []int32
}

// Subset returns the examples of src that indices name, in that order.
func Subset(src Source, indices []int32) Source { return &subset{src, indices} }

func (s *subset) Len() int          { return len(s.indices) }
func (s *subset) Name(i int) string { return s.Source.Name(int(s.indices[i])) }

func (s *subset) At(i int, dst []*tensor.Tensor, row int) error {
	return s.Source.At(int(s.indices[i]), dst, row)
}

func (s *subset) AtOnly(i int, dst []*tensor.Tensor, row int) error {
	if r, ok := s.Source.(Replacer); ok {
		return r.AtOnly(int(s.indices[i]), dst, row)
	}
	return s.At(i, dst, row)
}

func (s *subset) LengthOf(i, field int) int {
	return s.Source.(Ragged).LengthOf(int(s.indices[i]), field)
}

func (s *subset) Skipped() []string {
	if r, ok := s.Source.(SkipReporter); ok {
		return r.Skipped()
	}
	return nil
}
