package lang

import (
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
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
