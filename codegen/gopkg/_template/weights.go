package model

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// entry is a tensor of a safetensors file.
type entry struct {
	DType   string    `json:"dtype"`
	Shape   []int     `json:"shape"`
	Offsets [2]uint64 `json:"data_offsets"`

	to cell
}

// cell is where a parameter of the model goes.
type cell struct {
	name  string
	shape []int
	f32   []float32
	i32   []int32
	bool  []bool
}

// maxHeader bounds the header of a file, in bytes.
const maxHeader = 16 << 20

// readSafetensors fills cells from a file; tensors that are none of them are passed over.
func readSafetensors(r io.Reader, cells []cell) error {
	in := bufio.NewReaderSize(r, 1<<16)
	var size uint64
	if err := binary.Read(in, binary.LittleEndian, &size); err != nil {
		return fmt.Errorf("the weights are no safetensors file: %w", truncated(err))
	}
	if size > maxHeader {
		return fmt.Errorf("the weights are no safetensors file: a header of %d bytes", size)
	}
	text, err := io.ReadAll(io.LimitReader(in, int64(size)))
	if err == nil && uint64(len(text)) < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("the header of the weights: %w", truncated(err))
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(text, &header); err != nil {
		return fmt.Errorf("the header of the weights: %w", err)
	}
	entries := make([]entry, 0, len(cells))
	for _, c := range cells {
		raw, ok := header[c.name]
		if !ok {
			return fmt.Errorf("the weights lack %s", c.name)
		}
		e := entry{to: c}
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("%s in the header of the weights: %w", c.name, err)
		}
		want, width := "F32", uint64(4)
		switch {
		case c.i32 != nil:
			want = "I32"
		case c.bool != nil:
			want, width = "BOOL", 1
		}
		n := uint64(len(c.f32) + len(c.i32) + len(c.bool))
		if e.DType != want || !slices.Equal(e.Shape, c.shape) {
			return fmt.Errorf("%s is %s%v in the weights, where the model has %s%v", c.name, e.DType, e.Shape, want, c.shape)
		}
		if e.Offsets[1]-e.Offsets[0] != n*width || e.Offsets[0] > math.MaxInt64-n*width {
			return fmt.Errorf("%s has wrong offsets in the weights", c.name)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int {
		switch {
		case a.Offsets[0] < b.Offsets[0]:
			return -1
		case a.Offsets[0] > b.Offsets[0]:
			return 1
		}
		return 0
	})
	at := uint64(0)
	for _, e := range entries {
		if e.Offsets[0] < at {
			return fmt.Errorf("%s overlaps another tensor in the weights", e.to.name)
		}
		if _, err := io.CopyN(io.Discard, in, int64(e.Offsets[0]-at)); err != nil {
			return fmt.Errorf("%s in the weights: %w", e.to.name, truncated(err))
		}
		for _, to := range []any{e.to.f32, e.to.i32, e.to.bool} {
			if err := binary.Read(in, binary.LittleEndian, to); err != nil {
				return fmt.Errorf("%s in the weights: %w", e.to.name, truncated(err))
			}
		}
		at = e.Offsets[1]
	}
	return nil
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file is truncated")
	}
	return err
}
