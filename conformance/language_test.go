package conformance

import (
	"math"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang"
)

// A tensor that is the beginning of another one is not taken for the whole of it.
func TestBeginnings(t *testing.T) {
	const program = `
test "beginnings" {
    let x = [1, 2, 3, 4]
    let a = [k < 2] => x[k]
    expect sum(a) == 3
    expect reshape(a, [1, 2]) == [[1, 2]]
    let (p, q) = split(x, 2)
    expect sum(p) == 3
    expect p == [1, 2]
    expect q == [3, 4]
}
`
	onEach(t, func(t *testing.T, s setting) {
		c := compile(t, diag.NewFile("beginnings.nn", program), lang.Options{}, s)
		test := c.plan.Tests[0]
		results := c.call(t, test.Func, nil)
		for _, x := range test.Expects {
			compare(t, x.Text, results[x.Left], results[x.Right], double)
		}
	})
}

// Shapes that the other operand or a spread tells, and calls inside index expressions that do not depend on the index.
func TestShapesFromContext(t *testing.T) {
	const program = `
fn lead(x: f32[...s, c]) -> f32[c] = mean[...s] x
fn size(x: f32[...s, c]) -> f32 = sum[...s] 1.0
fn doubled(x: f32[n]) -> f32[n] = 2 * x

model Taste(user: i32) -> f32 {
    let u = Embedding(3, 4)
    sum[k] u(user)[k] * u(user)[k] - sum(u(user)^2)
}

test "context" {
    let h: f32[2, 3] = [[1, 2, 3], [4, 5, 6]]
    expect lead(h) == [2.5, 3.5, 4.5]
    expect size(h) == 2
    expect h + ([i, j] => 1.0 * f32(i)) == [[1, 2, 3], [5, 6, 7]]
    expect ([i, j] => 1.0 * f32(j)) - h == [[-1, -1, -1], [-4, -4, -4]]
    expect sum[k] doubled([1, 2])[k] == 6
    expect Taste(1) == 0 within 1e-6
    expect ([1, 2] |> one_hot(3)) == [[0, 1, 0], [0, 0, 1]]
    expect length(h) == 2
    expect mix([0, 10], [4, 20], 0.25) == [1, 12.5]
    expect dp_epsilon(1.1, 0.2, 5.0) == 4.601799863682556 within 1e-4
}
`
	onEach(t, func(t *testing.T, s setting) {
		compile(t, diag.NewFile("context.nn", program), lang.Options{}, s).runTests(t, "context")
	})
}

// Gradients of examples with respect to parameters are those that a formula gives, through a model, and limited ones are too; a metric
// that is called val_ is measured in validation only. The figures of BLEU are those of an implementation in another language.
func TestGradientsOfExamples(t *testing.T) {
	s := openProgram(t, `data D {
    source: synthetic(train: 6, validation: 4)
    let a = normal[3]
    map: { x: a, y: sum(a) }
    batch: 3
}
model A(x: f32[3]) -> f32 {
    param w: f32[3] = ones
    sum(w * x^2)
}
model B(x: f32[3]) -> f32 {
    param v: f32[3] = zeros
    sum(v * x)
}
train on D {
    let error = (A(x) - y)^2 + 0.1 * sum(A.w^2)
    let g = grad(error, A.w)
    let formula = 2 * (A(x) - y) * x^2 + 0.2 * A.w
    let once = 2 * (B(x) - y) * x
    let limited = mean[batch] once * (0.5 / max(norm(once), 0.5))
    let due = B.v - 0.1 * limited
    A.w <- A.w - 0.01 * mean[batch] g
    minimize (B(x) - y)^2 clip by_example(0.5) over B using sgd(0.1)
    metrics: {
        gap: max(abs(g - formula)), moved: max(abs(B.v - due)), error: error, val_only: 2.0,
        bleu: bleu([1, 2, 3, 4, 5, 1, 2, 0, 0], [1, 2, 3, 4, 5, 9])
    }
    epochs: 3
}
`, nil)
	h := s.train(t)
	for _, epoch := range h {
		if epoch["gap"] > 1e-5 || epoch["moved"] > 1e-6 {
			t.Errorf("the gradients are off by %v, the update by %v", epoch["gap"], epoch["moved"])
		}
		if _, measured := epoch["only"]; measured || epoch["val_only"] != 2 {
			t.Errorf("a metric of validation is %v in training and %v in validation", epoch["only"], epoch["val_only"])
		}
		if math.Abs(epoch["bleu"]-0.6147881529512643) > 1e-5 {
			t.Errorf("bleu is %v", epoch["bleu"])
		}
	}
	if !(h[2]["error"] < h[0]["error"]) {
		t.Errorf("the error went from %v to %v", h[0]["error"], h[2]["error"])
	}
}
