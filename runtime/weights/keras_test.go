package weights

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/hdf5"
)

// The first 16 digits of the SHA-256 of the little-endian float32 numbers of each weight.
var (
	trainedDigests = map[string]string{
		"conv128/bias":        "389f0888f5767c22",
		"conv128/kernel":      "9bd1d7a67eb6236d",
		"conv32/bias":         "6c01b24990c8f55c",
		"conv32/kernel":       "50d3ee8dcd0b2673",
		"conv64/bias":         "054f35337e300e27",
		"conv64/kernel":       "867c011e04081027",
		"dense_hidden/bias":   "efa856553e3fda33",
		"dense_hidden/kernel": "badef2f4e2b3bdc7",
		"dense_out/bias":      "f1edcf25549842af",
		"dense_out/kernel":    "5de23bb6a84488d0",
	}
	initialDigests = map[string]string{
		"conv128/bias":        "076a27c79e5ace2a",
		"conv128/kernel":      "8adb12bc56725b86",
		"conv32/bias":         "38723a2e5e8a17aa",
		"conv32/kernel":       "f1d341ecfa72a954",
		"conv64/bias":         "5341e6b2646979a7",
		"conv64/kernel":       "fcbbc5ff42d9d2fd",
		"dense_hidden/bias":   "38723a2e5e8a17aa",
		"dense_hidden/kernel": "ccfdcd76a699398c",
		"dense_out/bias":      "df3f619804a92fdb",
		"dense_out/kernel":    "7563e9fa5c1089d1",
	}
	keras2Digests = map[string]string{
		"conv128/bias":        "b922fd5985d80ae8",
		"conv128/kernel":      "3304d6cd90d99bfe",
		"conv32/bias":         "bd994fa00545a45b",
		"conv32/kernel":       "43526b16221e353a",
		"conv64/bias":         "9985c68032d1a30c",
		"conv64/kernel":       "351a791dbeef09e8",
		"dense_hidden/bias":   "3ab941fca0764814",
		"dense_hidden/kernel": "a11e83bba3b4f49d",
		"dense_out/bias":      "58e2c11c8fb4f1fd",
		"dense_out/kernel":    "56b119a37cc61592",
	}
)

// catdog are the parameters of the CNN in testdata, in the model's order.
var catdog = []Want{
	{"conv32/kernel", []int{3, 3, 3, 32}},
	{"conv32/bias", []int{32}},
	{"conv64/kernel", []int{3, 3, 32, 64}},
	{"conv64/bias", []int{64}},
	{"conv128/kernel", []int{3, 3, 64, 128}},
	{"conv128/bias", []int{128}},
	{"dense_hidden/kernel", []int{1152, 32}},
	{"dense_hidden/bias", []int{32}},
	{"dense_out/kernel", []int{32, 1}},
	{"dense_out/bias", []int{1}},
}

// readTestdata reads a Keras file of testdata, which may be gzipped.
func readTestdata(t *testing.T, name string) *File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if data, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	f, err := DecodeKeras(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func digest(x *tensor.Tensor) string {
	h := sha256.New()
	if err := binary.Write(h, binary.LittleEndian, x.F32); err != nil {
		return err.Error()
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func TestGoldenFiles(t *testing.T) {
	tests := []struct {
		file    string
		layers  []string // those of the file, by its own names
		digests map[string]string
		config  bool
	}{
		{
			"model.h5.gz",
			[]string{"conv32", "pool32", "conv64", "pool64", "conv128", "pool128", "flatten", "dense_hidden", "dense_out"},
			trainedDigests, true,
		},
		{"initial.weights.h5.gz", []string{"conv32", "conv64", "conv128", "dense_hidden", "dense_out"}, initialDigests, false},
		{
			"keras2_weights.h5.gz",
			[]string{"conv2d", "max_pooling2d", "conv2d_1", "max_pooling2d_1", "conv2d_2", "max_pooling2d_2", "flatten", "dense", "dense_1"},
			keras2Digests, false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			f := readTestdata(t, tt.file)
			var layers []string
			for _, l := range f.Layers {
				layers = append(layers, l.Name)
			}
			if diff := cmp.Diff(tt.layers, layers); diff != "" {
				t.Errorf("layers: %s", diff)
			}
			if got := strings.HasPrefix(f.ModelConfig, `{"class_name": "Sequential"`); got != tt.config {
				t.Errorf("configuration %.40q", f.ModelConfig)
			}
			// The Keras 2 file calls its layers otherwise, so there the order decides.
			found, err := f.Match(catdog)
			if err != nil {
				t.Fatal(err)
			}
			digests := map[string]string{}
			for path, x := range found {
				digests[path] = digest(x)
			}
			if diff := cmp.Diff(tt.digests, digests); diff != "" {
				t.Errorf("numbers: %s", diff)
			}
		})
	}
}

// mixed are the weights of make.py's model in the order of the numbers in them, by the names that both files give them.
func mixed() []string {
	paths := []string{
		"emb/embeddings",
		"bi/forward_lstm/kernel", "bi/forward_lstm/recurrent_kernel", "bi/forward_lstm/bias",
		"bi/backward_lstm/kernel", "bi/backward_lstm/recurrent_kernel", "bi/backward_lstm/bias",
		"rec/kernel", "rec/recurrent_kernel", "rec/bias",
		"bn/gamma", "bn/beta", "bn/moving_mean", "bn/moving_variance",
		"inner/dense/kernel", "inner/dense/bias", "inner/dense_1/kernel", "inner/dense_1/bias",
		"gru/kernel", "gru/recurrent_kernel", "gru/bias",
		"ln/gamma", "ln/beta",
	}
	for i := range 12 {
		paths = append(paths, fmt.Sprintf("d%d/kernel", i), fmt.Sprintf("d%d/bias", i))
	}
	return paths
}

func TestMixedNames(t *testing.T) {
	want := map[string]float32{}
	for i, path := range mixed() {
		want[path] = float32(i) + 0.5
	}
	for _, file := range []string{"mixed.h5", "mixed.weights.h5"} {
		got := map[string]float32{}
		for _, e := range readTestdata(t, file).Entries() {
			got[e.Path] = e.Tensor.F32[0]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

// dense is a chain of three layers.
func dense() (m Model) {
	series := func(shape ...int) *tensor.Tensor {
		t := tensor.New(tensor.F32, shape...)
		for i := range t.F32 {
			t.F32[i] = float32(math.Sin(float64(3*i + 1)))
		}
		return t
	}
	k1, b1, k2, b2 := series(4, 3), series(3), series(3, 2), series(2)
	input := &node{name: "input_layer", class: "InputLayer", module: kerasModule, calls: []application{{outputs: []plan.Tensor{{DType: tensor.F32, Shape: plan.Shape{4}}}}}}
	input.config = map[string]any{"batch_shape": []any{nil, 4}}
	g := &graph{layers: []*node{input}, inputs: []ref{{node: input}}}
	m = Model{Name: "two", Layers: []Layer{{Name: "input_layer"}}, graph: g}
	g.outputs = g.inputs
	for _, l := range []struct {
		name, class string
		config      map[string]any
		shape       plan.Shape
		weights     []Weight
	}{
		{"block/hidden", "Dense", map[string]any{"units": 3, "activation": "relu"}, plan.Shape{3}, []Weight{{"kernel", k1}, {"bias", b1}}},
		{"drop", "Dropout", map[string]any{"rate": 0.5}, plan.Shape{3}, nil},
		{"out", "Dense", map[string]any{"units": 2}, plan.Shape{2}, []Weight{{"kernel", k2}, {"bias", b2}}},
	} {
		n := &node{name: kerasName(l.name), class: l.class, module: kerasModule, config: l.config}
		n.calls = []application{{args: []any{g.outputs[0]}, outputs: []plan.Tensor{{DType: tensor.F32, Shape: l.shape}}}}
		g.layers, g.outputs = append(g.layers, n), []ref{{node: n}}
		m.Layers = append(m.Layers, Layer{Name: l.name, Weights: l.weights})
	}
	return m
}

func TestWriteKeras(t *testing.T) {
	m := dense()
	path := filepath.Join(t.TempDir(), "model.h5")
	for _, tt := range []struct {
		name, note string
		change     func(*Model)
	}{
		{"whole", "", func(*Model) {}},
		{"no counterpart", "the file holds the weights only: it has none", func(m *Model) { m.graph, m.why = nil, "it has none" }},
		{"the model's own weights", "the file holds the weights only", func(m *Model) {
			m.graph = nil
			m.Layers = append(slices.Clone(m.Layers), Layer{Name: m.Name, Weights: []Weight{{"offset", m.Layers[1].Weights[1].Tensor}}})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := m
			tt.change(&m)
			note, err := WriteKeras(path, m)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(note, tt.note) || (note == "") != (tt.note == "") {
				t.Errorf("note %q", note)
			}
			f, err := ReadKeras(path)
			if err != nil {
				t.Fatal(err)
			}
			if (f.ModelConfig != "") != (tt.note == "") {
				t.Errorf("configuration %q", f.ModelConfig)
			}
			// The slash of block/hidden is not in the file, and yet the names must match.
			want := map[string]*tensor.Tensor{}
			var wants []Want
			for _, e := range (&File{Layers: m.Layers}).Entries() {
				want[e.Path] = e.Tensor
				wants = append(wants, Want{e.Path, e.Tensor.Shape})
			}
			slices.Reverse(wants) // so that order does not help
			got, err := f.Match(wants)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWriteKerasErrors(t *testing.T) {
	m := dense()
	m.Layers[3].Name = "drop"
	path := filepath.Join(t.TempDir(), "model.h5")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteKeras(path, m); err == nil || !strings.Contains(err.Error(), `two layers are called "drop"`) {
		t.Errorf("error: %v", err)
	}
	if now, _ := os.ReadFile(path); string(now) != "before" {
		t.Error("a failed write changed the file")
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere", "m.h5")
	if _, err := WriteKeras(nowhere, dense()); err == nil || strings.Contains(err.Error(), "m.h5") { // the path is the caller's to name
		t.Errorf("error %v", err)
	}
}

// A list of names that no single attribute can hold.
func TestManyLayers(t *testing.T) {
	m := Model{Name: "m"}
	for i := range 9000 {
		m.Layers = append(m.Layers, Layer{Name: fmt.Sprint("layer", i)})
	}
	var b bytes.Buffer
	if _, err := EncodeKeras(&b, m); err != nil {
		t.Fatal(err)
	}
	f, err := DecodeKeras(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Layers) != 9000 || f.Layers[8999].Name != "layer8999" {
		t.Errorf("%d layers", len(f.Layers))
	}
}

func TestNotKeras(t *testing.T) {
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"archive": {[]byte("PK\x03\x04 and so on"), "a broken zip archive"},
		"pickle":  {[]byte("\x80\x02\x8a\nl\xfc\x9cFp\x9bY"), "safetensors"},
		"text":    {[]byte("hello, world"), "not an HDF5 file"},
		"other":   {otherHDF5(t), "not from Keras"},
	} {
		_, err := Decode(bytes.NewReader(tt.data), int64(len(tt.data)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v does not contain %q", name, err, tt.want)
		}
	}
}

// layers returns a file with layers of the given weights: name → names and shapes.
func layers(unordered bool, list ...Layer) *File { return &File{Layers: list, unordered: unordered} }

func layer(name, group string, weights ...Weight) Layer {
	return Layer{Name: name, group: group, Weights: weights}
}

func weight(name string, shape ...int) Weight { return Weight{name, tensor.New(tensor.F32, shape...)} }

func TestMatch(t *testing.T) {
	a, b := layer("a", "dense", weight("kernel", 2, 2), weight("bias", 2)), layer("b", "dense", weight("kernel", 2, 2), weight("bias", 2))
	other := layer("c", "bilinear", weight("kernel", 2, 2), weight("bias", 2))
	none := layer("flatten", "flatten")
	want := []Want{{"x/bias", []int{2}}, {"x/kernel", []int{2, 2}}, {"y/kernel", []int{2, 2}}, {"y/bias", []int{2}}}
	tests := []struct {
		name string
		file *File
		want []Want
		got  map[string]Weight // by layer.Weights of the file
		err  []string
	}{
		{name: "by order, kernel and bias by name", file: layers(false, a, none, b), want: want, got: map[string]Weight{
			"x/bias": a.Weights[1], "x/kernel": a.Weights[0], "y/kernel": b.Weights[0], "y/bias": b.Weights[1],
		}},
		{
			name: "by order, other names by shape", file: layers(false, a),
			want: []Want{{"x/b", []int{2}}, {"x/w", []int{2, 2}}},
			got:  map[string]Weight{"x/b": a.Weights[1], "x/w": a.Weights[0]},
		},
		{
			name: "names decide against order", file: layers(false, a, b),
			want: []Want{{"b/bias", []int{2}}, {"b/kernel", []int{2, 2}}, {"a/kernel", []int{2, 2}}, {"a/bias", []int{2}}},
			got:  map[string]Weight{"b/bias": b.Weights[1], "b/kernel": b.Weights[0], "a/kernel": a.Weights[0], "a/bias": a.Weights[1]},
		},
		{name: "one class without order", file: layers(true, a, b), want: want, got: map[string]Weight{
			"x/bias": a.Weights[1], "x/kernel": a.Weights[0], "y/kernel": b.Weights[0], "y/bias": b.Weights[1],
		}},
		{name: "two classes without order", file: layers(true, a, other), want: want, err: []string{`"x" could be the file's "a" or "c"`}},
		{
			name: "missing, wrong and left over", file: layers(false, a),
			want: []Want{{"a/kernel", []int{2, 3}}, {"z/kernel", []int{1}}},
			err: []string{
				`"a/kernel" has shape [2 2] in the file, but the model wants [2 3]`,
				`the file has no "z/kernel", which the model wants with shape [1]`,
				`the model has no "a/bias", which the file has with shape [2]`,
				"the model has 2 layers with weights, the file 1",
			},
		},
		{
			name: "an order that does not fit", file: layers(false, a, b), want: append(slices.Clone(want[:2]), Want{"y/kernel", []int{3}}),
			err: []string{`layer 2 of the model, "y", wants kernel [3], but layer 2 of the file, "b", has kernel [2 2], bias [2]`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.file.Match(tt.want)
			if tt.err != nil {
				for _, part := range tt.err {
					if err == nil || !strings.Contains(err.Error(), part) {
						t.Errorf("error does not contain %q:\n%v", part, err)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(tt.got)), slices.Sorted(maps.Keys(got))); diff != "" {
				t.Fatal(diff)
			}
			for path, w := range tt.got {
				if got[path] != w.Tensor {
					t.Errorf("%s got another tensor", path)
				}
			}
		})
	}
}

func FuzzDecodeKeras(f *testing.F) {
	for _, name := range []string{"mixed.h5", "mixed.weights.h5"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := DecodeKeras(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		n := 0
		for _, e := range file.Entries() {
			n += e.Tensor.Len()
		}
		if n > 16*len(data)+1<<16 {
			t.Errorf("%d elements out of %d bytes", n, len(data))
		}
	})
}

// otherHDF5 is an HDF5 file without anything of Keras.
func otherHDF5(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := hdf5.Write(&b, hdf5.NewGroup()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
