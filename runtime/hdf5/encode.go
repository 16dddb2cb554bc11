package hdf5

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// encodedAttribute is an attribute message of version 1.
func encodedAttribute(a attrValue) []byte {
	var typ, space, data []byte
	switch v := a.value.(type) {
	case string:
		typ, space, data = variableStringType, encodedSpace(nil), appendReferences(nil, a.refs)
	case []string:
		typ, space, data = variableStringType, encodedSpace([]int{len(v)}), appendReferences(nil, a.refs)
	case int64:
		typ, space, data = encodedType([]int64{}), encodedSpace(nil), encode([]int64{v})
	case []int64:
		typ, space, data = encodedType(v), encodedSpace([]int{len(v)}), encode(v)
	case float64:
		typ, space, data = encodedType([]float64{}), encodedSpace(nil), encode([]float64{v})
	case []float64:
		typ, space, data = encodedType(v), encodedSpace([]int{len(v)}), encode(v)
	}
	name := append([]byte(a.name), 0)
	b := []byte{1, 0}
	for _, part := range [][]byte{name, typ, space} {
		b = le.AppendUint16(b, uint16(len(part)))
	}
	for _, part := range [][]byte{name, typ, space} {
		b = pad8(append(b, part...))
	}
	return append(b, data...)
}

// encode returns the bytes of an attribute's numbers.
func encode(data any) []byte {
	var b bytes.Buffer
	out := bufio.NewWriter(&b)
	if err := errors.Join(writeData(out, data), out.Flush()); err != nil {
		panic(fmt.Sprintf("BUG: hdf5: writing to memory: %v", err))
	}
	return b.Bytes()
}

// encodedSpace is a dataspace message of version 1.
func encodedSpace(shape []int) []byte {
	b := []byte{1, byte(len(shape)), 0, 0, 0, 0, 0, 0}
	for _, d := range shape {
		b = le.AppendUint64(b, uint64(d))
	}
	return b
}

// variableStringType is the datatype message of a UTF-8 string of variable length: a reference of 16 bytes to bytes.
var variableStringType = []byte{
	0x19, 1, 1, 0, 16, 0, 0, 0,
	0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0,
}

// encodedType is the datatype message for the elements of data, little-endian.
func encodedType(data any) []byte {
	switch data.(type) {
	case []float32:
		return []byte{0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0}
	case []float64:
		return []byte{0x11, 0x20, 63, 0, 8, 0, 0, 0, 0, 0, 64, 0, 52, 11, 0, 52, 0xff, 3, 0, 0}
	case []int32:
		return []byte{0x10, 8, 0, 0, 4, 0, 0, 0, 0, 0, 32, 0}
	case []int64:
		return []byte{0x10, 8, 0, 0, 8, 0, 0, 0, 0, 0, 64, 0}
	}
	panic(fmt.Sprintf("BUG: hdf5: data of type %T", data))
}

func dataLen(data any) int {
	switch d := data.(type) {
	case []float32:
		return len(d)
	case []float64:
		return len(d)
	case []int32:
		return len(d)
	case []int64:
		return len(d)
	}
	panic(fmt.Sprintf("BUG: hdf5: data of type %T", data))
}

// writeData writes the elements of data, little-endian, in pieces.
func writeData(w *bufio.Writer, data any) error {
	switch d := data.(type) {
	case []float32:
		return writeElements(w, d)
	case []float64:
		return writeElements(w, d)
	case []int32:
		return writeElements(w, d)
	case []int64:
		return writeElements(w, d)
	}
	panic(fmt.Sprintf("BUG: hdf5: data of type %T", data))
}

func writeElements[T float32 | float64 | int32 | int64](w *bufio.Writer, data []T) error {
	var b []byte
	for part := range slices.Chunk(data, 4096) {
		var err error
		if b, err = binary.Append(b[:0], le, part); err != nil {
			panic("BUG: hdf5: " + err.Error())
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}
