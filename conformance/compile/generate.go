package main

import (
	"fmt"
	"strings"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// manyShapes is how many shapes of layers of each kind a generated network takes turns with, if it is to have many: more than 50 in all.
const manyShapes = 30

// side is that of a generated network's pictures.
const side = 8

// generated returns a network of n layers, the first half convolutions and the rest dense, each of so many shapes, if n is large enough.
func generated(n, shapes int) workload {
	var b strings.Builder
	fmt.Fprintf(&b, "data D {\n    source: csv(\"d.csv\", columns: { x: f32, y: f32 })\n    batch:  4\n}\n\nmodel M(x: f32[%d, %d, 3]) -> f32[1] {\n    x\n", side, side)
	convolutions := n / 2
	for k := range convolutions {
		fmt.Fprintf(&b, "    |> Conv2D(%d, 3, %s, padding: \"same\")\n", 3+k%shapes, activations[k%len(activations)])
	}
	b.WriteString("    |> GlobalAvgPool2D()\n")
	for k := range n - convolutions - 1 {
		fmt.Fprintf(&b, "    |> Dense(%d, %s)\n", 8+2*(k%shapes), activations[k%len(activations)])
	}
	b.WriteString("    |> Dense(1)\n}\n\ntrain on D {\n    epochs:    1\n    loss:      mse(M(x), y)\n    optimizer: adam(lr: 0.001)\n}\n")
	return workload{
		name: fmt.Sprintf("layers%d", n), text: b.String(), batch: 4,
		fields: []plan.Field{{Name: "x", DType: tensor.F32, Shape: []int{side, side, 3}}, {Name: "y", DType: tensor.F32, Shape: []int{1}}},
	}
}

var activations = []string{"relu", "tanh", "sigmoid"}

// repeated returns a network of two layers that is updated n times in each step.
func repeated(n int) workload {
	return workload{
		name: fmt.Sprintf("rounds%d", n), batch: 4,
		text: fmt.Sprintf(`data D {
    source: csv("d.csv", columns: { x: f32, y: f32 })
    batch:  4
}

model M(x: f32[8]) -> f32[1] { x |> Dense(16, tanh) |> Dense(1) }

train on D {
    epochs: 1
    repeat %d { minimize mse(M(x), y) using adam(lr: 0.001) }
}
`, n),
		fields: []plan.Field{{Name: "x", DType: tensor.F32, Shape: []int{8}}, {Name: "y", DType: tensor.F32, Shape: []int{1}}},
	}
}
