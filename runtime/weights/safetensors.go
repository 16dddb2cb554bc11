package weights

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/atomicfile"
)

// maxSafetensorsHeader is the longest header that the format allows, in bytes.
const maxSafetensorsHeader = 100_000_000

// safetensorsEntry is one tensor of the header.
type safetensorsEntry struct {
	DType   string    `json:"dtype"`
	Shape   []int     `json:"shape"`
	Offsets [2]uint64 `json:"data_offsets"` // begin and end, counted from the end of the header

	name string
}

// safetensorsType says how a type of the format becomes elements of a tensor.
type safetensorsType struct {
	size  int // bytes per element in the file
	dtype tensor.DType
	// decode stores the elements of raw into t from element i on. It fails only for a value that t's type cannot hold.
	decode func(t *tensor.Tensor, i int, raw []byte) error
}

var safetensorsTypes = map[string]safetensorsType{
	"F64": {8, tensor.F64, func(t *tensor.Tensor, i int, raw []byte) error {
		for ; len(raw) > 0; i, raw = i+1, raw[8:] {
			t.F64[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw))
		}
		return nil
	}},
	"F32": {4, tensor.F32, func(t *tensor.Tensor, i int, raw []byte) error {
		for ; len(raw) > 0; i, raw = i+1, raw[4:] {
			t.F32[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw))
		}
		return nil
	}},
	"F16": {2, tensor.F32, func(t *tensor.Tensor, i int, raw []byte) error {
		for ; len(raw) > 0; i, raw = i+1, raw[2:] {
			t.F32[i] = fromHalf(binary.LittleEndian.Uint16(raw))
		}
		return nil
	}},
	"BF16": {2, tensor.F32, func(t *tensor.Tensor, i int, raw []byte) error {
		for ; len(raw) > 0; i, raw = i+1, raw[2:] {
			t.F32[i] = tensor.FromBF16(binary.LittleEndian.Uint16(raw))
		}
		return nil
	}},
	"I64": {8, tensor.I32, func(t *tensor.Tensor, i int, raw []byte) error {
		for ; len(raw) > 0; i, raw = i+1, raw[8:] {
			v := int64(binary.LittleEndian.Uint64(raw))
			if v != int64(int32(v)) {
				return fmt.Errorf("element %d is %d, which does not fit 32 bits", i, v)
			}
			t.I32[i] = int32(v)
		}
		return nil
	}},
	"I32": {4, tensor.I32, func(t *tensor.Tensor, i int, raw []byte) error {
		for ; len(raw) > 0; i, raw = i+1, raw[4:] {
			t.I32[i] = int32(binary.LittleEndian.Uint32(raw))
		}
		return nil
	}},
	"U8": {1, tensor.I32, func(t *tensor.Tensor, i int, raw []byte) error {
		for k, b := range raw {
			t.I32[i+k] = int32(b)
		}
		return nil
	}},
	"BOOL": {1, tensor.Bool, func(t *tensor.Tensor, i int, raw []byte) error {
		for k, b := range raw {
			t.Bool[i+k] = b != 0
		}
		return nil
	}},
}

// ReadSafetensors reads all tensors of a safetensors file, by name.
//
// F16 and BF16 become f32; I64 and U8 become i32, and an I64 value outside of 32 bits is an error.
//
// Source: https://github.com/huggingface/safetensors, "Format".
func ReadSafetensors(path string) (map[string]*tensor.Tensor, error) {
	return decodeFile(path, DecodeSafetensors)
}

// DecodeSafetensors is ReadSafetensors for size bytes of r.
func DecodeSafetensors(r io.ReaderAt, size int64) (map[string]*tensor.Tensor, error) {
	entries, dataStart, err := safetensorsHeader(r, size)
	if err != nil {
		return nil, err
	}
	tensors := make(map[string]*tensor.Tensor, len(entries))
	buf := make([]byte, 64<<10)
	for _, e := range entries {
		kind := safetensorsTypes[e.DType]
		t := tensor.New(kind.dtype, e.Shape...)
		data := io.NewSectionReader(r, dataStart+int64(e.Offsets[0]), int64(e.Offsets[1]-e.Offsets[0]))
		for i := 0; i < t.Len(); {
			part := buf[:min(len(buf), (t.Len()-i)*kind.size)]
			if _, err := io.ReadFull(data, part); err != nil {
				return nil, fmt.Errorf("tensor %q: %w", e.name, err)
			}
			if err := kind.decode(t, i, part); err != nil {
				return nil, fmt.Errorf("tensor %q: %w", e.name, err)
			}
			i += len(part) / kind.size
		}
		tensors[e.name] = t
	}
	return tensors, nil
}

// safetensorsHeader reads and checks the header. The entries that it returns are in the order of their data, which they
// share without overlap: so all tensors together are bounded by the file's size.
func safetensorsHeader(r io.ReaderAt, size int64) (entries []safetensorsEntry, dataStart int64, err error) {
	var lead [8]byte
	if size < int64(len(lead)) {
		return nil, 0, errors.New("not a safetensors file: shorter than 8 bytes")
	}
	if _, err := r.ReadAt(lead[:], 0); err != nil {
		return nil, 0, err
	}
	length := binary.LittleEndian.Uint64(lead[:])
	if length > maxSafetensorsHeader || length > uint64(size-8) {
		return nil, 0, fmt.Errorf("not a safetensors file, or cut short: it claims a header of %d bytes, and has %d in all", length, size)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(io.NewSectionReader(r, 8, int64(length)), text); err != nil {
		return nil, 0, err
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(text, &header); err != nil {
		return nil, 0, fmt.Errorf("not a safetensors file: its header: %w", err)
	}
	delete(header, "__metadata__")
	dataStart = 8 + int64(length)
	dataSize := uint64(size - dataStart)
	for name, raw := range header {
		e := safetensorsEntry{name: name}
		if err := json.Unmarshal(raw, &e); err != nil {
			return nil, 0, fmt.Errorf("tensor %q: %w", name, err)
		}
		if err := e.check(dataSize); err != nil {
			return nil, 0, fmt.Errorf("tensor %q: %w", name, err)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b safetensorsEntry) int {
		return cmp.Or(cmp.Compare(a.Offsets[0], b.Offsets[0]), cmp.Compare(a.Offsets[1], b.Offsets[1]), cmp.Compare(a.name, b.name))
	})
	end := uint64(0)
	for _, e := range entries {
		if e.Offsets[0] < end {
			return nil, 0, fmt.Errorf("tensor %q: its data overlap another tensor's", e.name)
		}
		end = e.Offsets[1]
	}
	return entries, dataStart, nil
}

// check tells whether the entry's type is known and its shape has as many bytes as its offsets span.
func (e safetensorsEntry) check(dataSize uint64) error {
	kind, ok := safetensorsTypes[e.DType]
	if !ok {
		return fmt.Errorf("elements of type %q cannot be read; known are %v", e.DType, slices.Sorted(maps.Keys(safetensorsTypes)))
	}
	begin, end := e.Offsets[0], e.Offsets[1]
	if begin > end || end > dataSize {
		return fmt.Errorf("its data lie in bytes %d to %d, and the file has %d: was it cut short?", begin, end, dataSize)
	}
	n, empty := kind.size, false
	for _, d := range e.Shape {
		switch {
		case d < 0:
			return fmt.Errorf("shape %v has a negative dimension", e.Shape)
		case d == 0:
			empty = true
		case n > math.MaxInt/d:
			return fmt.Errorf("shape %v is too large", e.Shape)
		default:
			n *= d
		}
	}
	if empty {
		n = 0
	}
	if uint64(n) != end-begin {
		return fmt.Errorf("shape %v of %s takes %d bytes, but the file gives it %d", e.Shape, e.DType, n, end-begin)
	}
	return nil
}

// WriteSafetensors writes the tensors sorted by name. The file appears whole or not at all.
func WriteSafetensors(path string, tensors map[string]*tensor.Tensor) error {
	if err := atomicfile.Write(path, 0o644, func(w io.Writer) error { return EncodeSafetensors(w, tensors) }); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// EncodeSafetensors is WriteSafetensors to a stream.
func EncodeSafetensors(w io.Writer, tensors map[string]*tensor.Tensor) error {
	names := slices.Sorted(maps.Keys(tensors))
	header := make(map[string]safetensorsEntry, len(names))
	offset := uint64(0)
	for _, name := range names {
		if name == "__metadata__" {
			return errors.New(`a tensor cannot be named "__metadata__", which the format reserves`)
		}
		t := tensors[name]
		e := safetensorsEntry{DType: safetensorsNames[t.DType], Shape: t.Shape}
		if e.Shape == nil {
			e.Shape = []int{} // a scalar is [], not null
		}
		size := uint64(t.Len() * safetensorsTypes[e.DType].size)
		e.Offsets = [2]uint64{offset, offset + size}
		offset += size
		header[name] = e
	}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	// The data start at a multiple of eight bytes, so that a reader may map the file.
	text = append(text, bytes.Repeat([]byte{' '}, -len(text)&7)...)
	out := bufio.NewWriterSize(w, 64<<10)
	if err := binary.Write(out, binary.LittleEndian, uint64(len(text))); err != nil {
		return err
	}
	if _, err := out.Write(text); err != nil {
		return err
	}
	for _, name := range names {
		if err := tensors[name].WriteElements(out); err != nil {
			return err
		}
	}
	return out.Flush()
}

var safetensorsNames = map[tensor.DType]string{tensor.F32: "F32", tensor.F64: "F64", tensor.I32: "I32", tensor.Bool: "BOOL"}
