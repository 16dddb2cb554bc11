package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// NumPy's own file: types, both byte orders, rows or columns first, compressed.
func TestNPZ(t *testing.T) {
	f, err := Read(filepath.Join("testdata", "named.npz"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]*tensor.Tensor{}
	for _, e := range f.Entries() {
		got[e.Path] = e.Tensor
	}
	half, whole, cut := []float32{-2.5, -1.5, -0.5, 0.5, 1.5, 2.5}, []int32{-2, -1, 0, 1, 2, 3}, []int32{-2, -1, 0, 0, 1, 2}
	double := []float64{-2.5, -1.5, -0.5, 0.5, 1.5, 2.5}
	positive := tensor.New(tensor.Bool, 2, 3)
	positive.Bool[3], positive.Bool[4], positive.Bool[5] = true, true, true
	want := map[string]*tensor.Tensor{
		"float/f2": tensor.FromF32(half, 2, 3), "float/f4": tensor.FromF32(half, 2, 3), "float/f8": tensor.FromF64(double, 2, 3),
		"big/f2": tensor.FromF32(half, 2, 3), "big/f4": tensor.FromF32(half, 2, 3), "big/f8": tensor.FromF64(double, 2, 3), "big/i4": tensor.FromI32(cut, 2, 3),
		"int/i1": tensor.FromI32(whole, 2, 3), "int/i2": tensor.FromI32(whole, 2, 3), "int/i4": tensor.FromI32(whole, 2, 3), "int/i8": tensor.FromI32(whole, 2, 3),
		"columns/f4": tensor.FromF32(half, 2, 3), "bool/b1": positive, "scalar/f4": {DType: tensor.F32, Shape: []int{}, F32: []float32{1.5}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Arrays without names are paired in order.
func TestNPZList(t *testing.T) {
	f, err := Read(filepath.Join("testdata", "list.npz"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Want{{"dense/kernel", []int{3, 2}}, {"dense/bias", []int{2}}, {"dense_1/kernel", []int{2, 1}}, {"dense_1/bias", []int{1}}}
	found, err := f.Match(want)
	if err != nil {
		t.Fatal(err)
	}
	for i, first := range []float32{1, 0, 2, 3} {
		if got := found[want[i].Path].F32[0]; got != first {
			t.Errorf("%s begins with %v, want %v", want[i].Path, got, first)
		}
	}
	want[3].Shape = []int{2}
	if _, err := f.Match(want); err == nil || !strings.Contains(err.Error(), `parameter 4 of the model, "dense_1/bias", wants shape [2], but "arr_3" of the file has [1]`) {
		t.Errorf("error: %v", err)
	}
}

// npy is an array whose header is given.
func npy(header string, data ...byte) []byte {
	b := append([]byte("\x93NUMPY\x01\x00"), binary.LittleEndian.AppendUint16(nil, uint16(len(header)))...)
	return append(append(b, header...), data...)
}

func TestNPYErrors(t *testing.T) {
	header := func(kind, shape string) string {
		return fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n", kind, shape)
	}
	for _, c := range []struct {
		file []byte
		want string
	}{
		{[]byte("hello, world"), "not an array"},
		{append([]byte("\x93NUMPY\x01\x00\xff\xff"), 0, 0), "broken header"},
		{npy("{}"), "not that of an array of numbers"},
		{npy(header("|O", "1,"), 1), "not that of an array of numbers"},
		{npy(header("<c8", "1,"), 1), "elements of type c8"},
		{npy(header("<f4", "2,"), 1, 2, 3, 4), "takes 8 bytes, but there are 4"},
		{npy(header("<f4", "2147483647, 2147483647, 2147483647")), "too large"},
		{npy(header("<f4", "99999999999999999999,")), "a dimension of"},
		{npy(header("<i8", "1,"), 0, 0, 0, 0, 1, 0, 0, 0), "does not fit 32 bits"},
	} {
		if _, err := decodeNPY(c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v does not contain %q", err, c.want)
		}
	}
}

// zipped makes an archive of one member.
func zipped(t testing.TB, name string, contents []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write(contents)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// An archive that unpacks to far more than it is long is refused before it is unpacked; a name that leads out of the folder leads nowhere.
func TestHostileArchives(t *testing.T) {
	for _, c := range []struct {
		name     string
		contents []byte
		want     string
	}{
		{"a.npy", make([]byte, 64<<20), "far more than the archive has room for"},
		{kerasWeights, make([]byte, 64<<20), "far more than the archive has room for"},
		{"../../a.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", 0, 0, 0, 0), ""},
		{"data.pkl", []byte("pickle"), "safetensors.torch.save_file"},
		{"readme.txt", []byte("hello"), "neither a .keras model nor an .npz"},
	} {
		b := zipped(t, c.name, c.contents)
		_, err := Decode(bytes.NewReader(b), int64(len(b)))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// FuzzDecode demands of all formats that no bytes panic, and that no more comes out than there may be.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"named.npz", "list.npz", "mixed.weights.h5"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		if strings.HasSuffix(name, ".h5") {
			f.Add(zipped(f, kerasWeights, data))
		}
	}
	f.Add(safetensorsFile(`{"a.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}}`, 1, 2, 3, 4))
	f.Add(safetensorsFile(`{"r.weight_ih_l0":{"dtype":"U8","shape":[3,1],"data_offsets":[0,3]},"r.weight_hh_l0":{"dtype":"U8","shape":[3,1],"data_offsets":[3,6]}}`, 1, 2, 3, 4, 5, 6))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Decode(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		n := 0
		for _, e := range file.Entries() {
			n += e.Tensor.Len()
		}
		if n > 32*len(data)+2<<20 {
			t.Errorf("%d elements out of %d bytes", n, len(data))
		}
		_, _ = file.Match([]Want{{"a/kernel", []int{1, 1}}, {"r/lstm_cell/kernel", []int{1, 3}}})
	})
}

// Parts of a file load by a map of names, and what does not fit is told.
func TestSelection(t *testing.T) {
	f := layers(false, layer("one", "", weight("kernel", 2, 2), weight("bias", 2)), layer("two", "", weight("kernel", 3, 3)))
	want := []Want{{"trunk.dense/kernel", []int{2, 2}}, {"trunk.dense/bias", []int{2}}, {"head/kernel", []int{9, 9}}}
	found, report, err := f.selected(want, Selection{Map: map[string]string{"trunk.dense": "one"}, Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found["trunk.dense/kernel"] != f.Layers[0].Weights[0].Tensor || found["trunk.dense/bias"] != f.Layers[0].Weights[1].Tensor {
		t.Errorf("found %v", found)
	}
	for _, part := range []string{"2 of 3 parameters have values from the file: trunk.dense/kernel, trunk.dense/bias\n", `the file has no "head/kernel"`, `the model has no "two/kernel"`} {
		if !strings.Contains(report, part) {
			t.Errorf("the report lacks %q:\n%s", part, report)
		}
	}
	for _, c := range []struct {
		s    Selection
		want string
	}{
		{Selection{Map: map[string]string{"trunk": "one", "trunk.dense/kernel": "two/kernel"}}, `"two/kernel" has shape [3 3] in the file, but the model wants [2 2]`},
		{Selection{Map: map[string]string{"trnk": "one"}}, `the map's "trnk" is no layer or parameter of the program; it has trunk.dense, head`},
		{Selection{Map: map[string]string{"head": "three"}}, `the map's "three", for "head", is not in the file; it has one, two`},
		{Selection{Partial: true}, "nothing in the file fits"},
	} {
		if _, _, err := f.selected(want, c.s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v does not contain %q", err, c.want)
		}
	}
}
