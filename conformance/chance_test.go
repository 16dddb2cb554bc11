package conformance

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/train"
)

// byChance takes two of twelve examples in the mean, and so none in one of nine steps. Each train's parameter shows what its steps did.
const byChance = `option epochs = 5
data Points { source: synthetic(train: 12, validation: 3), map: { x: uniform[](1, 1) }, batch: 2, sampling: "poisson" }
optimizer counting(lr: f32 = 1)(w, g) {
    w <- w - lr * g + 1000
}
model Plain(x: f32) -> f32 {
    param w: f32 = 0
    w * x
}
model Clipped(x: f32) -> f32 {
    param w: f32 = 0
    w * x
}
model Counted(x: f32) -> f32 {
    param w: f32 = 0
    param hands: f32 = 0
    state moving: f32 = 0
    if training { moving <- moving + mean[batch] x }
    w * x + 0 * hands
}
train plain on Points {
    minimize -Plain(x) over Plain using sgd(1.0)
    metrics: { x: x }
    epochs:  epochs
}
train clipped on Points {
    minimize -5 * Clipped(x) clip by_example(0.5) over Clipped using sgd(1.0)
    epochs: epochs
}
train counted on Points {
    minimize -Counted(x) over Counted.w using counting()
    Counted.hands <- Counted.hands + sum[batch] x + 100 * mean[batch] x
    epochs:  epochs
}
`

// A batch that was taken by chance counts by its examples: the gradients' sum is divided by the size that a batch has in the mean. A step
// without examples is an update with gradient 0, adds nothing to sums over the batch, and leaves states alone.
func TestByChance(t *testing.T) {
	for _, b := range backends {
		t.Run(b.Name(), func(t *testing.T) {
			c := compile(t, diag.NewFile("chance.nn", byChance), lang.Options{}, setting{backend: b})
			src, err := data.Memory([]data.Field{{Name: "x", DType: tensor.F32}}, tensor.New(tensor.F32, 12))
			if err != nil {
				t.Fatal(err)
			}
			l, err := data.NewLoader(t.Context(), src, data.Options{Batch: 2, Seed: 1, Repeat: true, Poisson: true})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			const steps = 5 * 6
			total, full := 0, 0
			for range steps {
				batch, err := l.Next()
				if err != nil {
					t.Fatal(err)
				}
				total += batch.Len()
				if batch.Len() > 0 {
					full++
				}
				batch.Release()
			}
			if full == steps {
				t.Fatal("no batch is empty: the test shows nothing")
			}
			for _, tr := range c.plan.Trains {
				r, err := train.Run(context.Background(), c.Program, c.plan, tr, train.Options{Seed: 1, NoCheckpoint: true})
				if err != nil {
					t.Fatal(err)
				}
				if v, ok := r.History[4]["x"]; ok && v != 1 {
					t.Errorf("the mean of a metric is %v, not that over the examples there are", v)
				}
			}
			for name, want := range map[string]float64{
				"Plain.w": float64(total) / 2, "Clipped.w": float64(total) / 2 * 0.5,
				"Counted.w": float64(total)/2 + 1000*steps, "Counted.hands": float64(total + 100*full), "Counted.moving": float64(full),
			} {
				if got := c.cell(t, name).At(0); math.Abs(got-want) > 1e-6*want {
					t.Errorf("%s is %v, not %v: %d steps, %d of them with examples, %d examples in all", name, got, want, steps, full, total)
				}
			}
		})
	}
}

// A run by chance that was interrupted goes on as if it had not been.
func TestByChanceInterrupted(t *testing.T) {
	program := fmt.Sprintf("%s\n%s", byChance, "train last on Points {\n    minimize (Plain(x) - 1)^2 over Plain using adam(0.01)\n    epochs: 1\n    save: \"small.h5\"\n}\n")
	whole := smallFolder(t, program)
	run(t, whole, "run", "small.nn", "--set", "epochs=400")
	folder := smallFolder(t, program)
	if o := stopAfter(t, command(t, folder, "run", "small.nn", "--set", "epochs=400"), 3, time.Millisecond, os.Interrupt); o.code != 1 {
		t.Fatalf("exit code %d: %s", o.code, o.err)
	}
	run(t, folder, "run", "small.nn", "--set", "epochs=400", "--resume")
	if !bytes.Equal(read(t, folder, "small.h5"), read(t, whole, "small.h5")) {
		t.Error("the weights differ")
	}
}

// What augment says holds for training steps, after the map, and for nothing else.
func TestAugmentClause(t *testing.T) {
	for _, b := range backends {
		c := compile(t, diag.NewFile("augment.nn", `
data Points {
    source:  synthetic(train: 4, validation: 4)
    map:     { x: uniform[](1, 1), y: uniform[](2, 2) }
    augment: { x: 10 * x + y + uniform[](0, 0.5) }
    batch:   4
}
model Line(x: f32) -> f32 {
    param w: f32 = 0
    w * x
}
train on Points {
    minimize Line(x)^2 over Line using sgd(0.1)
    metrics: { x: x, y: y, spread: (mean[batch] x^2) - (mean[batch] x)^2 }
    epochs:  2
}
`), lang.Options{}, setting{backend: b})
		r, err := train.Run(context.Background(), c.Program, c.plan, c.plan.Trains[0], train.Options{Seed: 1, NoCheckpoint: true})
		if err != nil {
			t.Fatal(err)
		}
		first, second := r.History[0], r.History[1]
		if x := first["x"]; x <= 12 || x >= 12.5 || first["x"] == second["x"] || first["spread"] < 1e-4 {
			t.Errorf("%s: training sees x as %v, then %v, with spread %v", b.Name(), first["x"], second["x"], first["spread"])
		}
		if first["val_x"] != 1 || first["val_y"] != 2 || first["y"] != 2 {
			t.Errorf("%s: what is not augmented is %v", b.Name(), first)
		}
	}
}
