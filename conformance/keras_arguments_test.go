package conformance

import (
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/runtime/train"
)

// kerasArguments has what testdata/arguments.py printed with Keras 3.15.1.
const kerasArguments = `
model A(x: f32) -> f32[3] {
    param w: f32[3] = [1, -2, 3]
    w + 0 * x
}
model B(x: f32) -> f32[3] {
    param w: f32[3] = [1, -2, 3]
    w + 0 * x
}
train a { steps: 5, epochs: 1
    minimize sum(A(1.0) * [1, -1, 2]) * (3 - 0.7 * step) over A using adamw(0.1, decay: 0.02, amsgrad: true)
}
train b { steps: 5, epochs: 1
    minimize sum(B(1.0) * [1, -1, 2]) * (3 - 0.7 * step) over B using ftrl(0.1, decay: 0.05)
}
test "a rate that rises again" {
    let rate = [i < 6] => polynomial_decay([0.0, 1, 4, 5, 8, 11][i], 0.1, 4, 0.01, 2, cycle: true)
    expect rate == [0.1, 0.060625, 0.01, 0.02265625, 0.01, 0.010625] within 1e-7
}
test "focal crossentropy" {
    let p: f32[4] = [0.9, 0.2, 0.4, 0.7]
    let t: f32[4] = [1, 0, 1, 0]
    expect binary_focal_crossentropy(p, t) == 0.23244765 within 1e-6
    expect binary_focal_crossentropy(p, t, 1.5, 0.4, true) == 0.1516805 within 1e-6
    expect binary_focal_crossentropy(p * 4 - 2, t, from_logits: true) == 0.2260163 within 1e-6
    expect binary_focal_crossentropy(p, t, label_smoothing: 0.2) == 0.2042828 within 1e-6
}
`

func TestKerasArguments(t *testing.T) {
	for _, b := range backends {
		c := compile(t, diag.NewFile("arguments.nn", kerasArguments), lang.Options{}, setting{backend: b})
		c.runTests(t, b.Name())
		c.init(t, 0)
		for _, tr := range c.plan.Trains {
			if _, err := train.Run(t.Context(), c.Program, c.plan, tr, train.Options{NoCheckpoint: true}); err != nil {
				t.Fatal(err)
			}
		}
		tol := tolerance{1e-6, 1e-6}
		compare(t, "adamw", c.cell(t, "A.w"), tensor.FromF64([]float64{0.5327848792076111, -1.5228248834609985, 2.512864828109741}, 3), tol)
		compare(t, "ftrl", c.cell(t, "B.w"), tensor.FromF64([]float64{0.6644755005836487, -1.5538018941879272, 2.597961902618408}, 3), tol)
	}
}
