package conformance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/convert/keras"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// interchange is where the files of Keras and PyTorch are; see README.md there.
var interchange = filepath.Join("testdata", "interchange")

// readCase reads inputs and outputs of a case.
func readCase(t *testing.T, name string) (inputs, outputs []*tensor.Tensor) {
	t.Helper()
	return examplesOf(t, name, unzip(t, filepath.Join(interchange, name+".safetensors.gz")))
}

func examplesOf(t *testing.T, name string, b []byte) (inputs, outputs []*tensor.Tensor) {
	t.Helper()
	tensors, err := weights.DecodeSafetensors(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; tensors[fmt.Sprint("in.", i)] != nil; i++ {
		inputs = append(inputs, tensors[fmt.Sprint("in.", i)])
	}
	for i := 0; tensors[fmt.Sprint("out.", i)] != nil; i++ {
		outputs = append(outputs, tensors[fmt.Sprint("out.", i)])
	}
	if len(outputs) == 0 {
		t.Fatalf("%s has nothing to compare", name)
	}
	return inputs, outputs
}

// predicts compares what a program's only model makes of the inputs with the outputs.
func predicts(t *testing.T, c *compiled, inputs, outputs []*tensor.Tensor) {
	t.Helper()
	f := c.Module().Func(c.plan.Models[0].Predict)
	args := slices.Clone(inputs)
	for i, p := range f.Params[:min(len(args), len(f.Params))] {
		if p.Type.DType != args[i].DType { // Keras takes ids as numbers
			args[i] = args[i].To(p.Type.DType)
		}
	}
	for range len(f.Params) - len(args) {
		args = append(args, tensor.New(tensor.I32))
	}
	got, err := c.Call(f.Name, args...)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(outputs) {
		t.Fatalf("%d outputs, want %d", len(got), len(outputs))
	}
	for i := range outputs {
		compare(t, fmt.Sprint("output ", i), got[i], outputs[i], tolerance{1e-5, 1e-5})
	}
}

// imported makes a program of a file of Keras and gives it the file's weights.
func imported(t *testing.T, file string) (c *compiled, text string) {
	t.Helper()
	return extended(t, file, "", lang.Options{}, setting{backend: backends[0], precision: tensor.F32})
}

// extended is imported with more text behind the program.
func extended(t *testing.T, file, more string, options lang.Options, s setting) (c *compiled, text string) {
	t.Helper()
	f, err := weights.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	text, _, err = keras.Program(f.ModelConfig, "From Keras.")
	if err != nil {
		t.Fatal(err)
	}
	text += more
	c = compile(t, diag.NewFile("imported.nn", text), options, s)
	if err := weights.LoadProgram(file, c.Program, c.plan); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c, text
}

// The models of Keras become programs that predict the same with the same file's weights. With NNC_IMPORT=DIR, models there are tried as well,
// as keras_models.py writes them.
func TestImport(t *testing.T) {
	if dir := os.Getenv("NNC_IMPORT"); dir != "" {
		files, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			for _, ext := range []string{".keras", ".h5"} {
				file := strings.TrimSuffix(path, ".safetensors") + ext
				if _, err := os.Stat(file); err != nil {
					continue
				}
				t.Run(filepath.Base(file), func(t *testing.T) {
					in, out := examplesOf(t, path, read(t, path))
					c, _ := imported(t, file)
					predicts(t, c, in, out)
				})
			}
		}
		return
	}
	files, err := filepath.Glob(filepath.Join(interchange, "*.gz"))
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".gz")
		if ext := filepath.Ext(name); ext != ".keras" && ext != ".h5" {
			continue
		}
		checked++
		t.Run(name, func(t *testing.T) {
			in, out := readCase(t, strings.TrimSuffix(strings.TrimSuffix(name, ".h5"), ".keras"))
			c, text := imported(t, unzipped(t, path))
			predicts(t, c, in, out)
			if golden := filepath.Join(interchange, name+".nn"); os.Getenv("NNC_UPDATE") != "" {
				if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if want := string(read(t, golden)); text != want {
				t.Errorf("%s became\n%s\nwant\n%s", name, text, want)
			}
		})
	}
	if checked < 34 {
		t.Errorf("only %d files", checked)
	}
}

// trainings are the jobs of keras_training.py: what the model's output is compared with the target by, and the optimizer.
var trainings = map[string]struct{ loss, optimizer string }{
	"conv":      {"categorical_crossentropy", "sgd(0.02, momentum: 0.9)"},
	"residual":  {"mse", "adam(0.01)"},
	"recurrent": {"binary_crossentropy", "sgd(1, momentum: 0.9)"},
}

// Imported models learn as in Keras: the loss of each step, and the predictions after the last one.
func TestImportTrains(t *testing.T) {
	onEach(t, func(t *testing.T, s setting) {
		for name, job := range trainings {
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(interchange, "training", name)
				tensors := readTensors(t, filepath.Join("interchange", "training", name))
				inputs, outputs := readCase(t, filepath.Join("training", name))
				file := unzipped(t, path+".keras.gz")
				bare, _ := imported(t, file)
				model := bare.plan.Models[0]
				params := bare.Module().Func(model.Predict).Params
				target := tensors["target"]
				batch := map[string]*tensor.Tensor{"target": target}
				given := []plan.Field{{Name: "target", DType: target.DType, Shape: target.Shape[1:]}}
				var names []string
				for i, x := range inputs {
					p := params[i]
					names = append(names, p.Name)
					batch[p.Name] = x.To(p.Type.DType)
					given = append(given, plan.Field{Name: p.Name, DType: p.Type.DType, Shape: x.Shape[1:]})
				}
				more := fmt.Sprintf(`
data Examples { source: csv("none.csv", columns: { target: rest, %s: f32 }), batch: %d, shuffle: false }

train on Examples {
    loss:      %s(%s(%s), target)
    optimizer: %s
    epochs:    1
}
`, strings.Join(names, ": f32, "), target.Shape[0], job.loss, model.Name, strings.Join(names, ", "), job.optimizer)
				c, _ := extended(t, file, more, lang.Options{Schema: fields(given...)}, s)
				step := c.plan.Trains[0].Step
				at := slices.Index(c.Module().Func(step).ResultNames, "loss")
				for k := range tensors["losses"].Len() {
					batch["step"] = tensor.FromI32([]int32{int32(k)})
					loss := c.call(t, step, batch)[at]
					compare(t, fmt.Sprint("loss of step ", k), loss, rowsFrom(tensors["losses"], k, 1), tolerance{0, 1e-5})
				}
				got := c.call(t, model.Predict, batch)
				compare(t, "predictions", got[0], outputs[0], tolerance{1e-5, 0})
			})
		}
	})
}

// torchPrograms are the modules of torch_models.py, and how their names belong to the program's.
var torchPrograms = map[string]struct {
	text string
	maps map[string]string
}{
	"pictures": {`model Pictures(x: f32[9, 8, 3]) {
    x |> Conv2D(4, 3, relu) |> BatchNorm(eps: 1e-5) |> Conv2D(8, 2, relu, width: 3, groups: 4) |> Conv2DTranspose(5, 2, strides: 2)
        |> GlobalAvgPool2D() |> Dense(3)
}`, map[string]string{
		"conv2d": "features.0", "batch_norm": "features.2", "conv2d_1": "features.3", "conv2d_transpose": "features.5", "dense": "classifier",
	}},
	"words": {`model Words(x: i32[6]) {
    let norm = LayerNorm(1e-5)
    let out = Dense(3)
    let both = x |> Embedding(11, 5) |> Bidirectional(LSTM(4, return_sequences: true))
    both |> GRU(3) |> norm |> out
}`, map[string]string{"bidirectional": "lstm"}},
	"tokens": {`model Tokens(x: f32[5, 8]) {
    let attention = MultiHeadAttention(2, 4)
    let norm = LayerNorm(1e-5)
    norm(x + attention(x))
}`, nil},
}

// State dicts of PyTorch, whose layouts differ, give equal predictions.
func TestTorch(t *testing.T) {
	for name, p := range torchPrograms {
		t.Run(name, func(t *testing.T) {
			c := compile(t, diag.NewFile(name+".nn", p.text), lang.Options{}, setting{backend: backends[0], precision: tensor.F32})
			file := unzipped(t, filepath.Join(interchange, "torch_"+name+".state.safetensors.gz"))
			if _, err := (weights.Selection{Map: p.maps}).LoadProgram(file, c.Program, c.plan); err != nil {
				t.Fatal(err)
			}
			in, out := readCase(t, "torch_"+name)
			predicts(t, c, in, out)
		})
	}
}
