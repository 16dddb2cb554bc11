package conformance

import (
	"math"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
)

// A whole model with large weights stored as bf16 predicts what it predicts with rounded weights, on both backends; and that is near to what it predicts
// with the weights themselves: each is off by 2⁻⁹ of it at most, and so is each sum, in proportion to its terms' magnitudes.
func TestHalfWeights(t *testing.T) {
	options := lang.Options{Schema: fields(plan.Field{Name: "image", DType: tensor.F32, Shape: []int{32, 32, 3}}, plan.Field{Name: "label", DType: tensor.I32, Labels: labels(2)})}
	file := source(t, "../examples/catdog/catdog.nn")
	exact := compile(t, file, options, setting{backend: interp.Backend{}, precision: tensor.F32})
	args := map[string]*tensor.Tensor{"image": tensor.New(tensor.F32, 5, 32, 32, 3)}
	for k := range args["image"].F32 {
		args["image"].F32[k] = float32(128 + 127*math.Sin(float64(k*k%1009)))
	}
	predict := exact.plan.Models[0].Predict
	want := exact.call(t, predict, args)[0]

	rounded := compile(t, file, options, setting{backend: interp.Backend{}, precision: tensor.F32})
	var large []string
	for _, b := range backends {
		p, list := lang.Compile(file, options)
		if list.HasErrors() {
			t.Fatal(rendered(t, list))
		}
		if err := passes.Run(p.Module, passes.Options{VerifyEach: true}); err != nil {
			t.Fatal(err)
		}
		if n := passes.HalfWeights(p.Module); n != 1 {
			t.Fatalf("%d weights are stored as bf16, not the large Dense's alone", n)
		}
		prog, err := b.Compile(p.Module, codegen.Options{Math: codegen.Strict})
		if err != nil {
			t.Fatal(err)
		}
		c := &compiled{p, prog}
		c.init(t, 0)
		for _, cell := range p.Module.Cells {
			if cell.Half && len(large) == 0 {
				large = append(large, cell.Name)
				rounded.setCell(t, cell.Name, c.cell(t, cell.Name))
			}
		}
		got := c.call(t, predict, args)[0]
		compare(t, b.Name()+": the prediction with rounded weights", got, rounded.call(t, predict, args)[0], tolerance{2e-6, 0})
		compare(t, b.Name()+": the prediction with exact weights", got, want, tolerance{2e-3, 0})
		if got.At(0) == want.At(0) && got.At(1) == want.At(1) && got.At(2) == want.At(2) {
			t.Errorf("%s: nothing is rounded", b.Name())
		}
	}
	most := 0.0
	was, is := exact.cell(t, large[0]), rounded.cell(t, large[0])
	for k := range was.Len() {
		if w := was.At(k); w != 0 {
			most = max(most, math.Abs(is.At(k)-w)/math.Abs(w))
		}
	}
	if most > 0x1p-8 || most < 0x1p-10 {
		t.Errorf("weights are rounded by %.3g of them", most)
	}
}
