package weights

import (
	"bytes"
	"encoding/binary"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// safetensorsFile joins a header and data to a file.
func safetensorsFile(header string, data ...byte) []byte {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(file, header...), data...)
}

func TestSafetensorsRoundTrip(t *testing.T) {
	b := tensor.New(tensor.Bool, 3)
	b.Bool[1] = true
	want := map[string]*tensor.Tensor{
		"z/kernel": tensor.FromF32([]float32{1, -2.5, 3e-40, float32(math.Inf(1))}, 2, 2),
		"a":        tensor.FromF64([]float64{math.Pi}),
		"steps":    tensor.FromI32([]int32{-7, math.MaxInt32}, 2),
		"mask":     b,
		"empty":    tensor.FromF32([]float32{}, 0, 4),
	}
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := WriteSafetensors(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	want["a"].Shape = []int{} // a scalar's shape comes back as an empty list
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("written (-) and read back (+) differ:\n%s", diff)
	}
}

// A tensor longer than the buffer of the reader and not a multiple of it.
func TestSafetensorsLong(t *testing.T) {
	long := tensor.New(tensor.F32, 7, 5001)
	for i := range long.F32 {
		long.F32[i] = float32(i)
	}
	var file bytes.Buffer
	if err := EncodeSafetensors(&file, map[string]*tensor.Tensor{"long": long}); err != nil {
		t.Fatal(err)
	}
	got, err := DecodeSafetensors(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(long, got["long"]); diff != "" {
		t.Error(diff)
	}
}

func TestSafetensorsConversions(t *testing.T) {
	tests := []struct {
		name, header string
		data         []byte
		want         *tensor.Tensor
	}{
		{
			"half", `{"t":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}}`,
			[]byte{0, 0x3c, 1, 0, 0xff, 0xfb, 0, 0xfc},
			tensor.FromF32([]float32{1, 1.0 / (1 << 24), -65504, float32(math.Inf(-1))}, 4),
		},
		{
			"brain", `{"t":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}`,
			[]byte{0x80, 0x3f, 0x49, 0xc0},
			tensor.FromF32([]float32{1, -3.140625}, 2),
		},
		{"bytes", `{"t":{"dtype":"U8","shape":[1,2],"data_offsets":[0,2]}}`, []byte{255, 7}, tensor.FromI32([]int32{255, 7}, 1, 2)},
		{
			"long", `{"__metadata__":{"a":"b"},"t":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}`,
			[]byte{0xfe, 255, 255, 255, 255, 255, 255, 255},
			&tensor.Tensor{DType: tensor.I32, Shape: []int{}, I32: []int32{-2}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := safetensorsFile(tt.header, tt.data...)
			got, err := DecodeSafetensors(bytes.NewReader(file), int64(len(file)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got["t"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSafetensorsErrors(t *testing.T) {
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "shorter than 8 bytes"},
		{"huge header", []byte{255, 255, 255, 255, 255, 0, 0, 0, '{', '}'}, "claims a header"},
		{"not JSON", safetensorsFile("hello"), "header"},
		{"unknown type", safetensorsFile(`{"t":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}`, 1), `"F8_E4M3" cannot be read`},
		{"cut short", safetensorsFile(`{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 1, 2, 3, 4), "cut short"},
		{"backwards", safetensorsFile(`{"t":{"dtype":"U8","shape":[1],"data_offsets":[2,1]}}`, 1, 2, 3, 4), "bytes 2 to 1"},
		{"wrong size", safetensorsFile(`{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 1, 2, 3, 4), "takes 8 bytes"},
		{"negative", safetensorsFile(`{"t":{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}}`, 1), "negative"},
		{"overflow", safetensorsFile(`{"t":{"dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}`), "too large"},
		{"overlap", safetensorsFile(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 1, 2, 3), "overlap"},
		{"too long for i32", safetensorsFile(`{"t":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}`, 0, 0, 0, 0, 1, 0, 0, 0), "does not fit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeSafetensors(bytes.NewReader(tt.file), int64(len(tt.file)))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not contain %q", err, tt.want)
			}
		})
	}
}

func FuzzDecodeSafetensors(f *testing.F) {
	f.Add(safetensorsFile(`{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 1, 2, 3, 4))
	f.Add(safetensorsFile(`{"t":{"dtype":"U8","shape":[2,0],"data_offsets":[0,0]},"__metadata__":{}}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		tensors, err := DecodeSafetensors(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		n := 0
		for _, x := range tensors {
			n += x.Len()
		}
		if n > len(file) {
			t.Errorf("%d elements out of %d bytes", n, len(file))
		}
	})
}
