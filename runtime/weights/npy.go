package weights

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// npyHeader is the Python dictionary at the beginning of an array, as NumPy writes it.
var npyHeader = regexp.MustCompile(`^\{'descr': '([<>|=])([a-z])(\d+)', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\), *\} *\n?$`)

// decodeNPY reads an array of NumPy: floating-point numbers as f32, but those of 64 bits as f64, integers as i32, booleans.
//
// Errors: another type; an integer that does not fit 32 bits; a shape that does not fit the bytes.
//
// Source: numpy/lib/format.py, versions 1.0 to 3.0.
func decodeNPY(b []byte) (*tensor.Tensor, error) {
	const magic = "\x93NUMPY"
	if len(b) < 12 || string(b[:6]) != magic {
		return nil, errors.New("not an array of NumPy")
	}
	length, start := uint64(binary.LittleEndian.Uint16(b[8:])), uint64(10)
	if b[6] >= 2 {
		length, start = uint64(binary.LittleEndian.Uint32(b[8:])), 12
	}
	if b[6] < 1 || b[6] > 3 || length > uint64(len(b))-start {
		return nil, errors.New("a broken header of an array")
	}
	parts := npyHeader.FindStringSubmatch(string(b[start : start+length]))
	if parts == nil {
		return nil, fmt.Errorf("the header %.80q is not that of an array of numbers", b[start:start+length])
	}
	shape := []int{}
	for _, text := range strings.Split(parts[5], ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		d, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("a dimension of %s", text)
		}
		shape = append(shape, int(d))
	}
	data := b[start+length:]
	width, _ := strconv.Atoi(parts[3])
	decode := npyElement(parts[2], width, parts[1] == ">")
	if decode == nil {
		return nil, fmt.Errorf("elements of type %s%d cannot be read", parts[2], width)
	}
	n := width
	for _, d := range shape {
		if d > 0 && n > math.MaxInt/d {
			return nil, fmt.Errorf("shape %v is too large", shape)
		}
		n *= d
	}
	if n != len(data) {
		return nil, fmt.Errorf("shape %v takes %d bytes, but there are %d", shape, n, len(data))
	}
	t := tensor.New(npyType(parts[2], width), shape...)
	for i := range t.Len() {
		at := i
		if parts[4] == "True" {
			at = columnMajor(i, shape)
		}
		if err := decode(t, i, data[at*width:][:width]); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return t, nil
}

// columnMajor is where element i of a tensor in row-major order stands in column-major order.
func columnMajor(i int, shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	at := 0
	for k := len(shape) - 1; k >= 0; k-- {
		n /= shape[k]
		at += i % shape[k] * n
		i /= shape[k]
	}
	return at
}

func npyType(kind string, width int) tensor.DType {
	switch {
	case kind == "f" && width == 8:
		return tensor.F64
	case kind == "f":
		return tensor.F32
	case kind == "b":
		return tensor.Bool
	}
	return tensor.I32
}

// npyElement returns what stores an element; nil for a type that cannot be read.
func npyElement(kind string, width int, big bool) func(t *tensor.Tensor, i int, raw []byte) error {
	bits := func(raw []byte) (v uint64) {
		for k := range raw {
			at := len(raw) - 1 - k
			if big {
				at = k
			}
			v = v<<8 | uint64(raw[at])
		}
		return v
	}
	switch {
	case kind == "f" && width == 2:
		return func(t *tensor.Tensor, i int, raw []byte) error {
			t.F32[i] = fromHalf(uint16(bits(raw)))
			return nil
		}
	case kind == "f" && width == 4:
		return func(t *tensor.Tensor, i int, raw []byte) error {
			t.F32[i] = math.Float32frombits(uint32(bits(raw)))
			return nil
		}
	case kind == "f" && width == 8:
		return func(t *tensor.Tensor, i int, raw []byte) error {
			t.F64[i] = math.Float64frombits(bits(raw))
			return nil
		}
	case kind == "b" && width == 1:
		return func(t *tensor.Tensor, i int, raw []byte) error {
			t.Bool[i] = raw[0] != 0
			return nil
		}
	case (kind == "i" || kind == "u") && (width == 1 || width == 2 || width == 4 || width == 8):
		return func(t *tensor.Tensor, i int, raw []byte) error {
			v := bits(raw)
			if kind == "i" { // the sign
				v = uint64(int64(v<<(64-8*width)) >> (64 - 8*width))
			}
			t.I32[i] = int32(v)
			if int64(v) != int64(t.I32[i]) {
				return errors.New("it does not fit 32 bits")
			}
			return nil
		}
	}
	return nil
}

// EncodeNPZ writes the tensors sorted by name as NumPy's savez does.
func EncodeNPZ(w io.Writer, tensors map[string]*tensor.Tensor) error {
	z := zip.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(tensors)) {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store})
		if err != nil {
			return err
		}
		t := tensors[name]
		shape := ""
		for _, d := range t.Shape {
			shape += strconv.Itoa(d) + ", " // a comma behind the last one as well: (3, )
		}
		header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", npyNames[t.DType], shape)
		header += strings.Repeat(" ", -(len(header)+11)&63) + "\n" // the data begin at a multiple of 64
		head := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(header)))
		if _, err := f.Write(append(head, header...)); err != nil {
			return err
		}
		if err := t.WriteElements(f); err != nil {
			return err
		}
	}
	return z.Close()
}

var npyNames = map[tensor.DType]string{tensor.F32: "<f4", tensor.F64: "<f8", tensor.I32: "<i4", tensor.Bool: "|b1"}
