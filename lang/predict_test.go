package lang

import (
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// A model that draws random numbers predicts from its inputs alone: predictions repeat.
func TestRandomModelPredicts(t *testing.T) {
	const program = `model Noisy(x: f32[4]) -> f32[4] { x |> Dense(4) |> Sampled() }
layer Sampled()(x: f32[n]) -> f32[n] = x + normal[n]`
	p, list := Compile(diag.NewFile("noisy.nn", program), Options{})
	if p == nil {
		t.Fatal(list.Error())
	}
	if m := p.Models[0]; len(m.Fields) != 1 || m.Fields[0].Name != "x" || len(p.Module.Func(m.Predict).Params) != 1 {
		t.Errorf("predict takes %v", m.Fields)
	}
}

// A model whose body stands in the train, since gradients of examples are asked for, still predicts from the data's fields, through its map.
func TestClippedModelPredictsFromTheData(t *testing.T) {
	const program = `data D { source: csv("d.csv", columns: { x: f32, y: f32 }), map: { x: x / 2 }, batch: 4 }
model Line(x: f32) -> f32 {
    param w: f32 = 1
    w * x
}
train on D {
    minimize (Line(x) - y)^2 clip by_example(0.1) over Line using sgd(lr: 0.1)
    epochs: 1
}`
	schema := func(d *plan.Data) error {
		d.Fields = []plan.Field{{Name: "x", DType: tensor.F32}, {Name: "y", DType: tensor.F32}}
		return nil
	}
	p, list := Compile(diag.NewFile("line.nn", program), Options{Schema: schema})
	if p == nil {
		t.Fatal(list.Error())
	}
	if m := p.Models[0]; m.Data == nil || m.Data.Name != "D" {
		t.Errorf("the model has no data: predictions leave the map out")
	}
	if used := p.Trains[0].Models; len(used) != 1 || used[0].Name != "Line" {
		t.Errorf("the train has the models %v", used)
	}
}
