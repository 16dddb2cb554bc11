package conformance

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
)

// Augmentation: what each function does, and that a training step alone does it, to each example differently and in each step anew. The same
// program weighs its classes by arithmetic in the loss.
func TestAugment(t *testing.T) {
	image := plan.Field{Name: "image", DType: tensor.F32, Shape: []int{28, 28, 1}}
	label := plan.Field{Name: "label", DType: tensor.I32, Labels: []string{"a", "b"}}
	pictures := tensor.New(tensor.F32, 4, 28, 28, 1)
	for i := range pictures.F32 {
		pictures.F32[i] = 255 * float32(i%784) / 784 // four times the same
	}
	onEach(t, func(t *testing.T, s setting) {
		c := compile(t, source(t, "testdata/augment.nn"), lang.Options{Schema: fields(image, label)}, s)
		for _, test := range c.plan.Tests {
			results := c.call(t, test.Func, nil)
			for _, x := range test.Expects {
				switch {
				case x.Op == "":
					if results[x.Left].At(0) == 0 {
						t.Errorf("%s: %s is false", test.Name, x.Text)
					}
				case x.Op == "==":
					compare(t, x.Text, results[x.Left], results[x.Right], tolerance{math.Max(x.Within, 1e-6), 0})
				default:
					if !ordered(x.Op, results[x.Left].At(0), results[x.Right].At(0)) {
						t.Errorf("%s: %s: %v and %v", test.Name, x.Text, results[x.Left], results[x.Right])
					}
				}
			}
		}
		tr := c.plan.Trains[0]
		measure := func(fn string, step int32) map[string]float64 {
			results := c.call(t, fn, map[string]*tensor.Tensor{
				"image": pictures, "label": tensor.FromI32([]int32{0, 1, 1, 1}, 4), plan.ParamStep: tensor.FromI32([]int32{step}),
			})
			values := map[string]float64{}
			for i, name := range append([]string{"loss"}, tr.Metrics...) {
				values[name] = results[i].At(0)
			}
			return values
		}
		first, again, second := measure(tr.Step, 0), measure(tr.Step, 0), measure(tr.Step, 1)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Error("the same step twice differs:", diff)
		}
		if first["changed"] < 0.01 || first["spread"] < 1e-3 {
			t.Errorf("a step changes pictures by %v, and differently by %v", first["changed"], first["spread"])
		}
		if first["changed"] == second["changed"] {
			t.Error("two steps change pictures alike")
		}
		measured := measure(tr.Eval, 0)
		if measured["changed"] != 0 || measured["spread"] > 1e-12 {
			t.Errorf("an evaluation changes pictures by %v", measured["changed"])
		}
		// The four pictures are equal, so their losses are those of the two labels; the mean goes over examples, as Keras's does.
		if w := (1 + 3*1.7) / 4; math.Abs(measured["weight"]-w) > 1e-6 {
			t.Errorf("the mean weight is %v, not %v", measured["weight"], w)
		}
		p := c.call(t, c.plan.Models[0].Predict, map[string]*tensor.Tensor{"image": pictures})[0]
		for i := range 3 {
			if p.At(i) != p.At(3) {
				t.Errorf("predictions of equal pictures differ: %v", p)
			}
		}
		q := p.At(0)
		if want := (-math.Log(1-q) - 3*1.7*math.Log(q)) / 4; math.Abs(measured["loss"]-want) > 1e-5 {
			t.Errorf("the weighted loss is %v, not %v", measured["loss"], want)
		}
		if draws := func(fn string) bool { return strings.Contains(c.Module().Func(fn).String(), "uniform") }; !draws(tr.Step) || draws(tr.Eval) || draws(c.plan.Models[0].Predict) {
			t.Error("random numbers are not drawn by the step alone")
		}
	})
}

// ordered reports whether a op b.
func ordered(op string, a, b float64) bool {
	switch op {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	case ">=":
		return a >= b
	}
	return false
}
