package keras

import (
	"strings"
	"testing"
)

// dense is a sequential model of one layer, with a part of its configuration replaced.
func dense(layer string) string {
	return `{"class_name": "Sequential", "config": {"name": "m", "layers": [
		{"class_name": "InputLayer", "config": {"batch_shape": [null, 4, 4, 3], "dtype": "float32", "name": "input_layer"}}, ` + layer + `]}}`
}

// What has no counterpart is refused with the layer's name, and not written as something else.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ layer, want string }{
		{`{"class_name": "Lambda", "config": {"name": "twice"}}`, `layer "twice": there is no counterpart for the class Lambda`},
		{`{"class_name": "Conv2D", "config": {"name": "c", "filters": 2, "kernel_size": [3, 3], "data_format": "channels_first"}}`, `layer "c": data_format is channels_first`},
		{`{"class_name": "Dense", "config": {"name": "d", "units": 2.5}}`, `layer "d": units is 2.5`},
		{`{"class_name": "Dense", "config": {"name": "d", "units": 2, "activation": "glu"}}`, `layer "d": activation is glu`},
		{`{"class_name": "Embedding", "config": {"name": "e", "input_dim": 2, "output_dim": 2, "mask_zero": true}}`, `mask_zero hides the steps`},
		{`{"class_name": "LSTM", "config": {"name": "l", "units": 2, "stateful": true}}`, `stateful is true`},
		{`{"class_name": "MaxPooling2D", "config": {"name": "p", "pool_size": "two"}}`, `pool_size is two`},
	} {
		_, _, err := Program(dense(c.layer), "From a test.")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v does not contain %q", err, c.want)
		}
	}
	if _, _, err := Program(`{"class_name": "MyModel", "config": {}}`, ""); err == nil || !strings.Contains(err.Error(), `"MyModel", a class of the program that made it`) {
		t.Errorf("a class of its own: %v", err)
	}
}

// What matters only for further training is told.
func TestNotes(t *testing.T) {
	text, notes, err := Program(dense(`{"class_name": "Flatten", "config": {"name": "f"}},
		{"class_name": "Dense", "config": {"name": "sum", "units": 2, "activation": "relu", "kernel_regularizer": {"class_name": "L2"}, "trainable": false}},
		{"class_name": "Permute", "config": {"name": "p", "dims": [1]}}, {"class_name": "Rescaling", "config": {"name": "r", "scale": 0.5, "offset": -1}}`), "From a test.")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(notes, "\n"); !strings.Contains(got, "kernel_regularizer of layer sum") || !strings.Contains(got, "layer sum was frozen") {
		t.Errorf("notes: %s", got)
	}
	for _, want := range []string{"let sum_ = Dense(2, relu)", "|> rescaled(0.5, -1)", "fn rescaled(scale: f32, offset: f32)", "fn permuted_1(x: f32[a]) -> f32[a] = [i] => x[i]", "model M(x: f32[4, 4, 3]) {"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}

// FuzzProgram demands that no configuration panics or takes long.
func FuzzProgram(f *testing.F) {
	f.Add(dense(`{"class_name": "Dense", "config": {"name": "d", "units": 2}}`))
	f.Add(dense(`{"class_name": "Bidirectional", "config": {"name": "b", "layer": {"class_name": "LSTM", "config": {"units": 2}}}}`))
	f.Add(`{"class_name": "Functional", "config": {"name": "f", "layers": [
		{"class_name": "InputLayer", "config": {"batch_input_shape": [null, 4], "name": "a"}, "inbound_nodes": []},
		{"class_name": "Dense", "config": {"name": "d", "units": 2}, "inbound_nodes": [[["a", 0, 0, {}]], {"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": ["a", 0, 0]}}], "kwargs": {}}]},
		{"class_name": "Add", "config": {"name": "s"}, "inbound_nodes": [[["d", 0, 0, {}], ["d", 1, 0, {}]]]}],
		"input_layers": [["a", 0, 0]], "output_layers": [["s", 0, 0]]}}`)
	f.Fuzz(func(t *testing.T, configuration string) {
		text, _, err := Program(configuration, "From a test.")
		if err == nil && len(text) > 200*len(configuration)+1000 {
			t.Errorf("%d bytes out of %d", len(text), len(configuration))
		}
	})
}
