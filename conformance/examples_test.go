package conformance

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/train"
)

// wrongExamples are the examples that show what the compiler says of mistakes.
var wrongExamples = []string{"../examples/mlp321/article.nn"}

// thorough are the examples that run without each optional pass in turn. The others run with all of them and without any.
var thorough = []string{"catdog", "mlp321", "digits"}

// options make examples small, and pictures exact: turned ones are interpolated, which puts values that a maximum is taken of so close to
// each other that their rounding decides where its gradient goes. Augmentation has a test of its own.
var options = map[string]map[string]string{
	"charrnn":  {"units": "16"},
	"digits":   {"augmented": "false"},
	"gpt":      {"width": "16", "blocks": "2"},
	"transfer": {"augmented": "false", "size": "16"},
}

// Every example gives the same results on every backend, whichever optional pass is left out.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*/*.nn")
	if err != nil || len(files) < 4 {
		t.Fatalf("found %v, error %v", files, err)
	}
	for _, file := range files {
		if slices.Contains(wrongExamples, file) {
			continue
		}
		t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), func(t *testing.T) {
			for _, precision := range precisions {
				short := !slices.Contains(thorough, filepath.Base(filepath.Dir(file)))
				if short && precision != tensor.F32 {
					continue
				}
				tol := double
				if precision == tensor.F32 {
					// Sums in another order; Adam's first steps are as large whatever the size of the gradient, so where that is near zero
					// an error of rounding is a part of the step of 1e-3.
					tol = tolerance{2e-5, 1e-4}
				}
				want := exercise(t, file, setting{backend: backends[0], precision: precision})
				if len(want) == 0 {
					t.Fatal("there is nothing to compare")
				}
				for _, s := range settings(precision) {
					if short && len(s.disable) == 1 {
						continue
					}
					t.Run(s.String(), func(t *testing.T) {
						t.Parallel()
						got := exercise(t, file, s)
						if len(got) != len(want) {
							t.Fatalf("%d values, not %d", len(got), len(want))
						}
						for i, w := range want {
							if got[i].name != w.name {
								t.Fatalf("value %d is %s, not %s", i, got[i].name, w.name)
							}
							compare(t, w.name, got[i].value, w.value, tol)
						}
					})
				}
			}
		})
	}
}

// settings are all ways to compile a program: every backend with all passes, without each optional one, and without all of them.
func settings(precision tensor.DType) []setting {
	optional := optionalPasses()
	without := [][]string{nil, optional}
	for _, name := range optional {
		without = append(without, []string{name})
	}
	var out []setting
	for i, b := range backends {
		for k, disable := range without {
			if computes(b, precision) && (i > 0 || k > 0) { // the first is what the others are compared with
				out = append(out, setting{backend: b, precision: precision, disable: disable})
			}
		}
	}
	return out
}

// named is a value that a program computed.
type named struct {
	name  string
	value *tensor.Tensor
}

// openData makes a Schema that opens the data of the program in file, as `nnc run` does when it is allowed the folders beside the program's, and
// keeps it by name.
func openData(file string, open map[string]*data.Dataset) func(*plan.Data) error {
	return func(d *plan.Data) error {
		compiled := d.Fields
		d.Fields = nil // what the program cannot know is not compared
		ds, err := train.OpenData(&plan.Program{File: file, Allow: []string{filepath.Dir(filepath.Dir(file))}}, d)
		if err != nil {
			d.Fields = compiled
			return err
		}
		open[d.Name] = ds
		d.Fields = train.FieldsOf(ds)
		return nil
	}
}

// exercise runs all that a program holds on its own data: its tests, two steps of each train on a few examples and a measurement,
// and each model's prediction.
func exercise(t *testing.T, file string, s setting) []named {
	t.Helper()
	const examples = 4
	open := map[string]*data.Dataset{}
	c := compile(t, source(t, file), lang.Options{Schema: openData(file, open), Set: options[filepath.Base(filepath.Dir(file))]}, s)
	var out []named
	keep := func(what string, values []*tensor.Tensor) {
		for i, v := range values {
			out = append(out, named{fmt.Sprintf("%s, result %d", what, i+1), v})
		}
	}
	batch := func(d *plan.Data, first int) map[string]*tensor.Tensor {
		in := map[string]*tensor.Tensor{}
		if d == nil {
			return in
		}
		src := open[d.Name].Train
		chosen := make([]int, examples)
		for i := range chosen {
			chosen[i] = (first + i) * src.Len() / (3 * examples)
		}
		values := data.NewBatchOf(src, chosen...)
		for i, example := range chosen {
			if err := src.At(example, values, i); err != nil {
				t.Fatal(err)
			}
		}
		for i, f := range src.Fields() {
			in[f.Name] = values[i]
		}
		return in
	}
	for _, test := range c.plan.Tests {
		c.init(t, 0)
		keep("test "+test.Name, c.call(t, test.Func, nil))
	}
	c.init(t, 1)
	for _, tr := range c.plan.Trains {
		for step := range 2 {
			in := batch(tr.Data, step*examples)
			in[plan.ParamStep] = tensor.FromI32([]int32{int32(step)})
			keep(fmt.Sprintf("step %d", step+1), c.call(t, tr.Step, in))
		}
		if tr.Eval != "" {
			keep("measurement", c.call(t, tr.Eval, batch(tr.Data, 2*examples)))
		}
	}
	for _, m := range c.plan.Models {
		in := batch(m.Data, 0)
		missing := slices.ContainsFunc(m.Fields, func(f plan.Field) bool { return in[f.Name] == nil })
		for _, f := range m.Fields {
			if missing && !slices.Contains(f.Shape, -1) {
				in[f.Name] = ramp(f, examples)
			}
		}
		keep(m.Name, c.call(t, m.Predict, in))
	}
	for _, cell := range c.Module().Cells {
		if !strings.HasPrefix(cell.Name, "test.") {
			out = append(out, named{cell.Name, c.cell(t, cell.Name)})
		}
	}
	return out
}

// ramp makes an input of rising numbers for a model that is trained on no data.
func ramp(f plan.Field, n int) *tensor.Tensor {
	v := tensor.New(f.DType, append([]int{n}, f.Shape...)...)
	for i := range v.Len() {
		if f.DType == tensor.F32 {
			v.Set(i, float64(i)/float64(v.Len()))
		}
	}
	return v
}
