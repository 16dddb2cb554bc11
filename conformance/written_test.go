package conformance

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// written has programs whose files Keras has read.
var written = filepath.Join(interchange, "written")

// waves is a tensor of numbers that differ, between low and high.
func waves(phase, low, high float64, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.F32, shape...)
	for i := range t.F32 {
		t.F32[i] = float32(low + (high-low)*(0.5+0.5*math.Sin(phase+1.7*float64(i)+0.3*float64(i%7))))
	}
	return t
}

// exampleInputs makes four examples for a model. Where a length is left open, they have 5 steps.
func exampleInputs(m *plan.Model) map[string]*tensor.Tensor {
	inputs := map[string]*tensor.Tensor{}
	for k, in := range m.Inputs {
		shape := []int{4}
		for _, n := range in.Shape {
			if n < 0 {
				n = 5
			}
			shape = append(shape, n)
		}
		x := waves(float64(k), -1, 1.2, shape...)
		if in.DType == tensor.I32 {
			x = waves(float64(k), 0, 6.99, shape...).To(tensor.I32)
		}
		inputs[fmt.Sprint("in.", k)] = x
	}
	return inputs
}

// predicted is what a program's last model makes of inputs, called in.0 and so on.
func predicted(t *testing.T, c *compiled, inputs map[string]*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	m := c.plan.Models[len(c.plan.Models)-1]
	f := c.Module().Func(m.Predict)
	var args []*tensor.Tensor
	for _, p := range f.Params {
		k := slices.IndexFunc(m.Inputs, func(in plan.Field) bool { return in.Name == p.Name })
		switch {
		case k >= 0:
			args = append(args, inputs[fmt.Sprint("in.", k)])
		case strings.HasPrefix(p.Name, "length."):
			args = append(args, &tensor.Tensor{DType: tensor.I32, Shape: []int{4}, I32: []int32{5, 5, 5, 5}})
		default:
			args = append(args, tensor.New(tensor.I32))
		}
	}
	got, err := c.Call(f.Name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// fill gives all parameters and states values that differ, so that none hides another.
func fill(t *testing.T, c *compiled) {
	t.Helper()
	for k, cell := range c.plan.Module.Cells {
		if cell.Kind != ir.Param && cell.Kind != ir.State {
			continue
		}
		var shape []int
		for _, d := range cell.Type.Shape {
			shape = append(shape, d.MustConst())
		}
		size := 1.0 // so that values stay of one size from layer to layer
		if n := len(shape); n > 1 {
			size = 2 / math.Sqrt(float64(tensor.New(tensor.F32, shape[:n-1]...).Len()))
		}
		low, high := -0.6*size, 0.7*size
		if strings.HasSuffix(cell.Name, "variance") || strings.HasSuffix(cell.Name, "gamma") {
			low, high = 0.5, 1.5
		}
		if err := c.SetCell(cell.Name, waves(float64(k), low, high, shape...)); err != nil {
			t.Fatal(err)
		}
	}
}

// What nnc writes of a program is what Keras has read and predicted the same with. With NNC_WRITE=DIR the files are written there, for
// conformance/peers/keras_exchange.py, which keeps Keras's predictions here.
func TestWritten(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(written, "*.nn"))
	if err != nil || len(files) < 12 {
		t.Fatal(err, len(files))
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".nn")
		t.Run(name, func(t *testing.T) {
			text := string(read(t, path))
			c := compile(t, diag.NewFile(path, text), lang.Options{}, setting{backend: backends[0], precision: tensor.F32})
			fill(t, c)
			inputs := exampleInputs(c.plan.Models[len(c.plan.Models)-1])
			ours := predicted(t, c, inputs)
			dir := os.Getenv("NNC_WRITE")
			keep := dir != ""
			if !keep {
				dir = t.TempDir()
			}
			var configs []string
			for _, ext := range []string{".h5", ".keras", ".weights.h5"} {
				file := filepath.Join(dir, name+ext)
				if note, err := weights.SaveProgram(file, c.Program, c.plan); err != nil || note != "" {
					t.Fatal(ext, note, err)
				}
				f, err := weights.Read(file)
				if err != nil {
					t.Fatal(err)
				}
				configs = append(configs, f.ModelConfig)
			}
			if configs[0] != configs[1] {
				t.Error("the configurations of .h5 and .keras differ")
			}
			if keep {
				all := maps.Clone(inputs)
				for i, y := range ours {
					all[fmt.Sprint("nnc.", i)] = y
				}
				if err := weights.WriteSafetensors(filepath.Join(dir, name+".safetensors"), all); err != nil {
					t.Fatal(err)
				}
				return
			}
			if kept := string(unzip(t, filepath.Join(written, name+".json.gz"))); configs[0] != kept {
				t.Errorf("Keras has read the configuration\n%s\nand now it would be\n%s", kept, configs[0])
			}
			_, theirs := readCase(t, filepath.Join("written", name))
			same := func(what string, got []*tensor.Tensor) {
				t.Helper()
				if len(got) != len(theirs) {
					t.Fatalf("%s: %d outputs, Keras has %d", what, len(got), len(theirs))
				}
				for i, want := range theirs {
					compare(t, fmt.Sprint(what, ", output ", i), got[i], want, tolerance{1e-5, 1e-5})
				}
			}
			same("nnc", ours)
			for _, ext := range []string{".h5", ".keras"} {
				blank := compile(t, diag.NewFile(path, text), lang.Options{}, setting{backend: backends[0], precision: tensor.F32})
				if err := weights.LoadProgram(filepath.Join(dir, name+ext), blank.Program, blank.plan); err != nil {
					t.Fatal(ext, err)
				}
				same(ext, predicted(t, blank, inputs))
				c, _ := imported(t, filepath.Join(dir, name+ext))
				same("import of "+ext, predicted(t, c, inputs))
			}
		})
	}
}

// Files that have weights by name are read again as they were written, by programs with parameters of layers and of their own.
func TestWrittenByName(t *testing.T) {
	text := `model Net(x: f32[4, 4, 3]) -> f32[2] {
    param shift: f32[3] = zeros
    x + shift |> Conv2D(3, 3, padding: "same") |> BatchNorm() |> Flatten() |> Dense(2)
}`
	s := setting{backend: backends[0], precision: tensor.F32}
	c := compile(t, diag.NewFile("net.nn", text), lang.Options{}, s)
	fill(t, c)
	inputs := exampleInputs(c.plan.Models[0])
	want := predicted(t, c, inputs)
	for _, ext := range []string{".safetensors", ".npz"} {
		file := filepath.Join(t.TempDir(), "net"+ext)
		if note, err := weights.SaveProgram(file, c.Program, c.plan); err != nil || note != "" {
			t.Fatal(ext, note, err)
		}
		blank := compile(t, diag.NewFile("net.nn", text), lang.Options{}, s)
		if err := weights.LoadProgram(file, blank.Program, blank.plan); err != nil {
			t.Fatal(ext, err)
		}
		compare(t, ext, predicted(t, blank, inputs)[0], want[0], tolerance{})
	}
	torch := compile(t, diag.NewFile("own.nn", `model Own(x: f32[2]) -> f32[2] {
    param weight: f32[2, 2] = zeros
    weight @ x
}`), lang.Options{}, s)
	if err := weights.CheckSave("own.npz", torch.plan); err == nil || !strings.Contains(err.Error(), "PyTorch") {
		t.Error("a parameter of the name weight:", err)
	}
}
