package conformance

import (
	"context"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime/train"
)

// smallJobs makes programs of testdata/programs small enough for a test, by values of their options.
var smallJobs = map[string]map[string]string{
	"cartpole.nn":  {"environments": "4"},
	"charrnn.nn":   {"units": "8"},
	"gan.nn":       {"batch_size": "4", "width": "2"},
	"gpt.nn":       {"block": "16", "width": "8", "spans": "2", "depth": "1"},
	"resnet.nn":    {"blocks": "1"},
	"translate.nn": {"units": "8"},
}

// houses are the fields of the one program, multitask.nn, whose data does not exist.
var houses = []plan.Field{
	{Name: "photo", DType: tensor.F32, Shape: []int{64, 64, 3}},
	{Name: "facts", DType: tensor.F32, Shape: []int{12}, Mean: make([]float64, 12), Deviation: make([]float64, 12)},
	{Name: "price", DType: tensor.F32},
	{Name: "kind", DType: tensor.I32, Labels: []string{"flat", "house", "barn"}},
}

// The fifteen whole jobs of testdata/programs compile, their tests hold, and those that have data train: the loss of each train is a number
// after some steps, and the parameters are others than before.
func TestJobs(t *testing.T) {
	files, err := filepath.Glob("testdata/programs/*.nn")
	if err != nil || len(files) != 15 {
		t.Fatalf("there are %d programs, not 15: %v", len(files), err)
	}
	for _, b := range backends {
		for _, file := range files {
			name := filepath.Base(file)
			t.Run(b.Name()+"/"+name, func(t *testing.T) {
				hasData := name != "multitask.nn"
				c := compileJob(t, file, hasData, b)
				c.runTests(t, name)
				if len(c.plan.Trains) == 0 {
					t.Error("it trains nothing")
				}
				if !hasData {
					return
				}
				c.init(t, 0)
				for _, tr := range c.plan.Trains {
					before := c.elementsOfParams(t)
					r, err := train.Run(context.Background(), c.Program, c.plan, tr, train.Options{Epochs: 1, Steps: 2, NoCheckpoint: true, NoSave: true})
					if err != nil {
						t.Fatal(err)
					}
					if loss := r.History[0]["loss"]; math.IsNaN(loss) || math.IsInf(loss, 0) {
						t.Errorf("the loss is %v", loss)
					}
					if slices.Equal(before, c.elementsOfParams(t)) {
						t.Error("no parameter has changed")
					}
				}
			})
		}
	}
}

// shared is the folder of the data that jobs share with the examples.
var shared = []string{"../examples"}

// compileJob compiles a program of testdata/programs with its own data.
func compileJob(t *testing.T, file string, hasData bool, b codegen.Backend) *compiled {
	t.Helper()
	options := lang.Options{
		Set: smallJobs[filepath.Base(file)],
		Read: func(path string) (*diag.File, error) {
			return source(t, path), nil
		},
		Schema: func(d *plan.Data) error {
			if !hasData {
				d.Fields = houses
				return nil
			}
			fields := d.Fields
			d.Fields = nil
			ds, err := train.OpenData(&plan.Program{File: file, Allow: shared}, d)
			d.Fields = fields
			if err == nil {
				d.Fields = train.FieldsOf(ds)
			}
			return err
		},
	}
	p, list := lang.Compile(source(t, file), options)
	if list.HasErrors() {
		t.Fatalf("it does not compile:\n%s", rendered(t, list))
	}
	p.Allow = shared
	if err := passes.Run(p.Module, passes.Options{VerifyEach: true}); err != nil {
		t.Fatal(err)
	}
	prog, err := b.Compile(p.Module, codegen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &compiled{p, prog}
	c.init(t, 0)
	return c
}

// elementsOfParams lists the elements of all parameters.
func (c *compiled) elementsOfParams(t *testing.T) []float64 {
	t.Helper()
	var all []float64
	for _, cell := range c.Module().Cells {
		if cell.Kind != ir.Param {
			continue
		}
		v := c.cell(t, cell.Name)
		for i := range v.Len() {
			all = append(all, v.At(i))
		}
	}
	return all
}
