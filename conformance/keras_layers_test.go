package conformance

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// Chains of the library's layers are saved as whole Keras models, with their classes and arguments; what Keras cannot name is saved as
// weights.
func TestKerasLayers(t *testing.T) {
	for _, tt := range []struct {
		name, input, body string
		want              []string // parts of the model's configuration; none if it must be weights only
	}{
		{
			"pictures", "f32[12, 11, 4]", `x |> Conv2D(6, 3, width: 5, padding: "same", groups: 2, activation: selu) |> BatchNorm()
        |> MaxPool2D(3, strides: 2, padding: "same") |> DepthwiseConv2D(3, silu, depth_multiplier: 2) |> GroupNorm(3)
        |> SeparableConv2D(4, 3, gelu, padding: "same") |> UpSampling2D(2, "bilinear", width: 3) |> ZeroPadding2D(1, left: 2)
        |> Cropping2D(1, top: 0) |> Conv2DTranspose(3, 4, mish, strides: 2, padding: "same") |> AvgPool2D(2, padding: "same")
        |> LayerNorm(1e-5, center: false) |> GlobalAvgPool2D() |> Dense(5, hard_sigmoid) |> UnitNorm()`,
			[]string{
				`"kernel_size":[3,5]`, `"groups":2`, `"activation":"selu"`, `"epsilon":0.001,"momentum":0.99`, `"pool_size":[3,3]`,
				`"depth_multiplier":2`, `"interpolation":"bilinear"`, `"size":[2,3]`, `"padding":[[1,1],[2,1]]`, `"cropping":[[0,1],[1,1]]`,
				`"center":false`, `"class_name":"UnitNormalization"`,
			},
		},
		{
			"sequences", "f32[20, 3]", `x |> Conv1D(4, 3, leaky_relu, padding: "causal", dilation: 2) |> RMSNorm() |> MaxPool1D(3, strides: 2)
        |> AvgPool1D(2, padding: "same") |> UpSampling1D(3) |> Conv1DTranspose(3, 3, strides: 2) |> ZeroPadding1D(2)
        |> Cropping1D(1, after: 3) |> PReLU() |> Dropout(0.3) |> GlobalMaxPool1D() |> RepeatVector(4) |> Reshape([2, 6]) |> Flatten()`,
			[]string{`"padding":"causal"`, `"dilation_rate":[2]`, `"rate":0.3`, `"n":4`, `"target_shape":[2,6]`, `"cropping":[1,3]`},
		},
		{"ids", "i32[6]", "x |> Embedding(11, 4) |> GlobalAvgPool1D() |> Dense(2, relu6)", []string{`"input_dim":11`, `"output_dim":4`}},
		{
			"recurrent", "i32[6]", `x |> Embedding(11, 5) |> Bidirectional(LSTM(4, return_sequences: true)) |> GRU(4, return_sequences: true)
        |> SimpleRNN(3, relu, return_sequences: true) |> Bidirectional(GRU(3), "sum") |> RepeatVector(4) |> LSTM(3, go_backwards: true) |> Dense(2)`,
			[]string{
				`"class_name":"Bidirectional"`, `"merge_mode":"sum"`, `"name":"forward_lstm"`, `"recurrent_activation":"sigmoid"`, `"reset_after":true`,
				`"go_backwards":true`, `"return_sequences":true`,
			},
		},
		{"a state beside the output", "f32[6, 2]", "let (y, _) = x |> GRU(3, return_state: true)\n    y", []string{`"return_state":true`, `"output_layers":[["gru",0,0]]`}},
		{"volumes", "f32[4, 4, 4, 2]", `x |> Conv3D(3, 2, tanh, stride_depth: 2) |> Flatten()`, []string{`"strides":[2,1,1]`}},
		{"an activation with an argument", "f32[5]", "x |> Dense(4, elu(0.5))", []string{`"activation":{"module":"keras.layers","class_name":"ELU","config":{"alpha":0.5}`}},
		{"an activation without a counterpart", "f32[5]", "x |> Dense(4, celu(0.5))", nil},
		{"an activation of the program", "f32[5]", "x |> Dense(4, relu6)\n}\nfn relu6(x: f32[...s]) -> f32[...s] {\n    2 * x", nil},
		{"PyTorch's running variance", "f32[5]", "x |> BatchNorm(unbiased: true)", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "model Net(x: " + tt.input + ") {\n    " + tt.body + "\n}\n"
			c := compile(t, diag.NewFile("net.nn", text), lang.Options{}, setting{backend: backends[0], precision: tensor.F32})
			path := filepath.Join(t.TempDir(), "model.h5")
			note, err := weights.SaveProgram(path, c.Program, c.plan)
			if err != nil {
				t.Fatal(err)
			}
			if (note == "") != (tt.want != nil) {
				t.Fatalf("note %q", note)
			}
			f, err := weights.ReadKeras(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := weights.LoadProgram(path, c.Program, c.plan); err != nil {
				t.Error(err)
			}
			for _, part := range tt.want {
				if !strings.Contains(f.ModelConfig, part) {
					t.Errorf("there is no %s in %s", part, f.ModelConfig)
				}
			}
		})
	}
}
