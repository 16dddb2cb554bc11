package tensor

import (
	"encoding/binary"
	"fmt"
	"io"
)

// elementsBlock is how many elements are turned into bytes, or back, at once: they stay in a cache.
const elementsBlock = 16 << 10

// WriteElements writes the elements, row-major and little-endian; a bool is one byte, 0 or 1.
func (t *Tensor) WriteElements(w io.Writer) error {
	var raw []byte
	for lo := 0; lo < t.Len(); lo += elementsBlock {
		var err error
		if raw, err = binary.Append(raw[:0], binary.LittleEndian, t.elements(lo)); err != nil {
			panic("BUG: tensor: " + err.Error())
		}
		if _, err := w.Write(raw); err != nil {
			return err
		}
	}
	return nil
}

// ReadElements reads what WriteElements wrote.
//
// Errors: the reader's; a bool that is neither 0 nor 1.
func (t *Tensor) ReadElements(r io.Reader) error {
	var raw []byte
	for lo := 0; lo < t.Len(); lo += elementsBlock {
		block := t.elements(lo)
		if raw == nil {
			raw = make([]byte, binary.Size(block))
		}
		raw = raw[:binary.Size(block)]
		if _, err := io.ReadFull(r, raw); err != nil {
			return err
		}
		if t.DType == Bool {
			for i, v := range raw {
				if v > 1 {
					return fmt.Errorf("bool %d has the value %d", lo+i, v)
				}
			}
		}
		if _, err := binary.Decode(raw, binary.LittleEndian, block); err != nil {
			panic("BUG: tensor: " + err.Error())
		}
	}
	return nil
}

// elements returns a block of elements, from one on.
func (t *Tensor) elements(lo int) any {
	hi := min(t.Len(), lo+elementsBlock)
	switch t.DType {
	case F32:
		return t.F32[lo:hi]
	case F64:
		return t.F64[lo:hi]
	case I32:
		return t.I32[lo:hi]
	case Bool:
		return t.Bool[lo:hi]
	}
	panic(fmt.Sprintf("BUG: tensor: elements of %v", t))
}
