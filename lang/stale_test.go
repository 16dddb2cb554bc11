package lang

import (
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
)

// What is computed again after an update may be minimised, and so may a value that met the updated parameters only on a way that gradients
// do not take.
func TestFreshValues(t *testing.T) {
	const program = `
model Maker(z: f32[2]) -> f32[3] { z |> Dense(3) }
model Critic(x: f32[3]) -> f32 { (x |> Dense(1))[0] }
train {
    batch:  8
    steps:  2
    epochs: 1
    let fake = Maker(uniform[2](-1, 1))
    let before = stop_gradient(Critic(fake))
    minimize Critic(stop_gradient(fake))^2 over Critic using sgd(0.1)
    minimize (Critic(fake) - before)^2 over Maker using sgd(0.1)
}`
	if p, list := Compile(diag.NewFile("gan.nn", program), Options{}); p == nil {
		t.Error(list.Error())
	}
}
