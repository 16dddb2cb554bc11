package conformance

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/train"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// kerasNames are what the goldens call the layers with parameters, by the names in the program.
var kerasNames = map[string]string{
	"conv2d": "conv32", "conv2d_1": "conv64", "conv2d_2": "conv128", "dense": "dense_hidden", "dense_1": "dense_out",
}

// goldenName is what the goldens call a parameter, such as conv32/kernel for conv2d.kernel.
func goldenName(param string) string {
	layer, name, _ := strings.Cut(param, ".")
	return kerasNames[layer] + "/" + name
}

// Keras's bounds on what 20 steps of Adam may differ by.
const (
	lossBound       = 2e-6
	predictionBound = 4e-6
	weightBound     = 1e-5
)

// keptWeights is the folder of Keras's files that the tests of package weights use as well.
var keptWeights = filepath.Join("..", "runtime", "weights", "testdata")

// reducedCatDog compiles the example at the size of the goldens: 40×40 pixels, 32 hidden units.
func reducedCatDog(t *testing.T, s setting) *compiled {
	t.Helper()
	c := catDog(t, s, 40, 32)
	if n := c.countParams(); n != 130177 {
		t.Fatalf("%d parameters", n)
	}
	return c
}

func catDog(t *testing.T, s setting, side, hidden int) *compiled {
	t.Helper()
	file := source(t, filepath.Join("..", "examples", "catdog", "catdog.nn"))
	if s.precision == tensor.F64 {
		// 20 steps multiply the difference between 0.999 and its nearest float32 until it is seen in the second digit of a weight.
		adam := source(t, filepath.Join("testdata", "keras_adam.nn"))
		file = diag.NewFile(file.Name, strings.Replace(file.Text, "adam(", "keras_adam(", 1)+adam.Text)
	}
	return compile(t, file, lang.Options{
		Set: map[string]string{"image_size": fmt.Sprint(side), "hidden": fmt.Sprint(hidden)},
		Schema: fields(
			plan.Field{Name: "image", DType: tensor.F32, Shape: []int{side, side, 3}},
			plan.Field{Name: "label", DType: tensor.I32, Labels: []string{"cats", "dogs"}},
		),
	}, s)
}

// params lists the names of the parameters.
func (c *compiled) params() []string {
	var names []string
	for _, l := range c.plan.Models[0].Layers {
		names = append(names, l.Params...)
	}
	return names
}

func (c *compiled) countParams() int {
	n := 0
	for _, name := range c.params() {
		size := 1
		for _, d := range c.Module().Cell(name).Type.Shape {
			size *= d.MustConst()
		}
		n += size
	}
	return n
}

func (c *compiled) load(t *testing.T, file string) {
	t.Helper()
	if err := weights.LoadProgram(file, c, c.plan); err != nil {
		t.Fatal(err)
	}
}

func (c *compiled) predict(t *testing.T, image *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	return c.call(t, c.plan.Models[0].Predict, map[string]*tensor.Tensor{"image": image})[0]
}

// photographs are the goldens' pictures in the setting's precision, values 0…255, and their labels.
func photographs(t *testing.T, s setting, split string) (image, label *tensor.Tensor) {
	t.Helper()
	all := readTensors(t, "reduced_images")
	label = all[split+".y"].To(tensor.I32)
	label.Shape = label.Shape[:1] // Keras's labels are rows of one
	return pixels(s, all[split+".x_u8"]), label
}

// pixels makes the program's input of bytes. The goldens in double precision were computed from pixels divided in single
// precision, so there the input is what the program's division by 255 makes those of.
func pixels(s setting, bytes *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(s.precision, bytes.Shape...)
	for i := range out.Len() {
		v := bytes.At(i)
		if s.precision == tensor.F64 {
			v = float64(float32(v)/255) * 255
		}
		out.Set(i, v)
	}
	return out
}

// Twenty steps of Adam from Keras's first weights give Keras's losses, predictions, gradients and weights.
func TestCatDogSteps(t *testing.T) {
	g := goldens{readTensors(t, "reduced_steps"), "reduced_20_adam_steps/"}
	onEach(t, func(t *testing.T, s setting) {
		const steps, batch = 20, 8
		c := reducedCatDog(t, s)
		c.load(t, unzipped(t, filepath.Join(keptWeights, "initial.weights.h5.gz")))
		image, label := photographs(t, s, "train")
		losses, predictions := tensor.New(s.precision, steps), tensor.New(s.precision, steps, batch)
		for step := range steps {
			in := map[string]*tensor.Tensor{"image": rowsFrom(image, batch*step, batch), "label": rowsFrom(label, batch*step, batch)}
			p := c.predict(t, in["image"])
			for i := range batch {
				predictions.Set(batch*step+i, p.At(i))
			}
			in[plan.ParamStep] = tensor.FromI32([]int32{int32(step)})
			losses.Set(step, c.call(t, c.plan.Trains[0].Step, in)[0].At(0))
			if step == 0 {
				for _, name := range c.params() {
					g.check(t, s, "grad.step0."+goldenName(name), c.firstGradient(t, name), 0)
				}
			}
		}
		g.check(t, s, "traj.loss", losses, lossBound)
		g.check(t, s, "traj.prediction", predictions, predictionBound)
		for _, name := range c.params() {
			g.check(t, s, "after.step20."+goldenName(name), c.cell(t, name), weightBound)
		}
		test, _ := photographs(t, s, "test")
		g.check(t, s, "after.test_prediction", c.predict(t, test), predictionBound)
	})
}

// TestCatDogStepsInFastMath takes the same steps with convolutions by Winograd's algorithm. Adam divides gradients by their size, so that
// weights of next to no gradient may differ more; losses must not.
func TestCatDogStepsInFastMath(t *testing.T) {
	g := goldens{readTensors(t, "reduced_steps"), "reduced_20_adam_steps/"}
	for _, b := range backends {
		s := setting{backend: b, precision: tensor.F32, fast: true}
		const steps, batch = 20, 8
		c := reducedCatDog(t, s)
		c.load(t, unzipped(t, filepath.Join(keptWeights, "initial.weights.h5.gz")))
		image, label := photographs(t, s, "train")
		losses := tensor.New(s.precision, steps)
		for step := range steps {
			in := map[string]*tensor.Tensor{"image": rowsFrom(image, batch*step, batch), "label": rowsFrom(label, batch*step, batch)}
			in[plan.ParamStep] = tensor.FromI32([]int32{int32(step)})
			losses.Set(step, c.call(t, c.plan.Trains[0].Step, in)[0].At(0))
		}
		g.check(t, s, "traj.loss", losses, 5e-5) // 1e-4 of losses near 0.6
	}
}

// firstGradient is the gradient of the first step of Adam, whose memory m is a tenth of it then.
func (c *compiled) firstGradient(t *testing.T, param string) *tensor.Tensor {
	t.Helper()
	var m *tensor.Tensor
	for _, cell := range c.Module().Cells {
		if strings.HasSuffix(cell.Name, "adam."+param+".m") {
			m = c.cell(t, cell.Name)
		}
	}
	for i := range m.Len() {
		m.Set(i, m.At(i)*10)
	}
	return m
}

// stage is one layer of the example's chain and the shape of what it gives.
type stage struct {
	name, text string
	shape      []int
}

// stages is the example's chain of layers.
func stages(side, hidden int) []stage {
	var out []stage
	for _, filters := range []int{32, 64, 128} {
		side -= 2
		out = append(out, stage{fmt.Sprintf("conv%d", filters), fmt.Sprintf("Conv2D(%d, 3, relu)", filters), []int{side, side, filters}})
		side /= 2
		out = append(out, stage{fmt.Sprintf("pool%d", filters), "MaxPool2D(2)", []int{side, side, filters}})
	}
	return append(out,
		stage{"flatten", "Flatten()", []int{side * side * 128}},
		stage{"dense_hidden", fmt.Sprintf("Dense(%d, relu)", hidden), []int{hidden}},
		stage{"dense_out", "Dense(1, sigmoid)", []int{1}},
	)
}

// activation computes what the chain gives up to a stage, with parameters of another program.
func activation(t *testing.T, s setting, from *compiled, chain []stage, image *tensor.Tensor) *tensor.Tensor {
	t.Helper()
	last := chain[len(chain)-1]
	text := fmt.Sprintf("model Prefix(image: f32[%d, %d, 3]) -> f32[%s] {\n    image / 255\n", image.Shape[1], image.Shape[2],
		strings.Trim(strings.ReplaceAll(fmt.Sprint(last.shape), " ", ", "), "[]"))
	for _, st := range chain {
		text += "    |> " + st.text + "\n"
	}
	c := compile(t, diag.NewFile("prefix.nn", text+"}\n"), lang.Options{}, s)
	for _, name := range c.params() {
		c.setCell(t, name, from.cell(t, name))
	}
	return c.predict(t, image)
}

// Each layer's output on the first pictures is Keras's.
func TestCatDogActivations(t *testing.T) {
	g := goldens{readTensors(t, "reduced_steps"), "reduced_20_adam_steps/"}
	onEach(t, func(t *testing.T, s setting) {
		c := reducedCatDog(t, s)
		c.load(t, unzipped(t, filepath.Join(keptWeights, "initial.weights.h5.gz")))
		image, _ := photographs(t, s, "train")
		chain := stages(40, 32)
		for i, st := range chain {
			g.check(t, s, "out.step0."+st.name, activation(t, s, c, chain[:i+1], rows(image, 2)), 0)
		}
	})
}

// The training loop logs what Keras's fit and evaluate log for the same pictures in the same order.
func TestCatDogFit(t *testing.T) {
	for _, b := range backends {
		t.Run(b.Name(), func(t *testing.T) {
			s := setting{backend: b, precision: tensor.F32}
			c := reducedCatDog(t, s)
			c.load(t, unzipped(t, filepath.Join(keptWeights, "initial.weights.h5.gz")))
			var ds data.Dataset
			for _, split := range []struct {
				name string
				into *data.Source
			}{{"train", &ds.Train}, {"test", &ds.Validation}} {
				image, label := photographs(t, s, split.name)
				src, err := data.Memory([]data.Field{
					{Name: "image", DType: tensor.F32, Shape: []int{40, 40, 3}}, {Name: "label", DType: tensor.I32, Labels: []string{"cats", "dogs"}},
				}, image, label)
				if err != nil {
					t.Fatal(err)
				}
				*split.into = src
			}
			tr := c.plan.Trains[0]
			tr.Data.Shuffle, tr.Data.Batch, tr.Batch = false, 8, 8
			result, err := train.Run(t.Context(), c, c.plan, tr, train.Options{Epochs: 1, Steps: 20, Data: &ds, NoCheckpoint: true, NoSave: true})
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]float64{
				"loss": 0.700912594795227, "accuracy": 0.5375, "val_loss": 0.6961565017700195, "val_accuracy": 0.45,
			} {
				compare(t, name, tensor.FromF64([]float64{result.History[0][name]}, 1), tensor.FromF64([]float64{want}, 1), tolerance{lossBound, 0})
			}
		})
	}
}

// The classes of the example's photographs are numbered in the order of their folders' names, as Keras's generators do: a cat is 0.
func TestCatDogLabels(t *testing.T) {
	file := filepath.Join("..", "examples", "catdog", "catdog.nn")
	open := map[string]*data.Dataset{}
	compile(t, source(t, file), lang.Options{Schema: openData(file, open)}, setting{backend: interp.Backend{}, precision: tensor.F32})
	for _, src := range []data.Source{open["Photos"].Train, open["Photos"].Validation, open["Photos"].Test} {
		batch := data.NewBatch(src.Fields(), 1)
		for i := range src.Len() {
			if err := src.At(i, batch, 0); err != nil {
				t.Fatal(err)
			}
			want := map[string]int32{"cats": 0, "dogs": 1}[filepath.Base(filepath.Dir(src.Name(i)))]
			if got := batch[1].I32[0]; got != want {
				t.Fatalf("%s has the label %d", src.Name(i), got)
			}
		}
	}
}

// Both directions of Keras's files: what Keras wrote predicts as it did in Keras, and what is written here is read again.
func TestKerasFiles(t *testing.T) {
	want := readTensors(t, "trained")
	s := setting{backend: interp.Backend{}, precision: tensor.F32}
	c := reducedCatDog(t, s)
	image, _ := photographs(t, s, "test")
	for _, f := range []struct{ path, golden string }{
		{filepath.Join(keptWeights, "model.h5.gz"), "keras3"},
		{filepath.Join("testdata", "model.weights.h5.gz"), "keras3"},
		{filepath.Join("testdata", "keras2_model.h5.gz"), "keras2"},
		{filepath.Join(keptWeights, "keras2_weights.h5.gz"), "keras2"},
	} {
		t.Run(filepath.Base(f.path), func(t *testing.T) {
			c.init(t, 0)
			c.load(t, unzipped(t, f.path))
			compare(t, "predictions", c.predict(t, image), want[f.golden], tolerances()["reduced_20_adam_steps/after.test_prediction"])

			kept := filepath.Join(t.TempDir(), "kept.h5")
			if note, err := weights.SaveProgram(kept, c, c.plan); err != nil || note != "" {
				t.Fatalf("note %q, error %v", note, err)
			}
			values := map[string]*tensor.Tensor{}
			for _, name := range c.params() {
				values[name] = c.cell(t, name)
			}
			c.init(t, 0)
			c.load(t, kept)
			for name, v := range values {
				compare(t, name, c.cell(t, name), v, tolerance{})
			}
		})
	}
}
