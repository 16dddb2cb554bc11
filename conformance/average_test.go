package conformance

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nnc-lang/nnc/runtime/weights"
)

// A weight that grows by 1 in each of three steps an epoch.
const growing = `option epochs = 2
data Ones {
    source: synthetic(train: 3, validation: 2, test: 2)
    map:    { x: uniform[](1, 1) }
    batch:  1
}
model Line(x: f32) -> f32 {
    param w: f32 = 0
    w * x
}
train on Ones {
    minimize -Line(x) over Line using sgd(1.0)
    epochs:  epochs
    %s
    save:    "line.h5"
}
`

// What is measured, kept and saved is the average of the weights; training goes on from the weights themselves. By hand: with ema(0.5) the
// averages are 1, 1.5, 2.25, 3.125, 4.0625, 5.03125; with swa(2), from the third update on, 1, 2, 3, 3.5, 4, 4.5.
func TestAverages(t *testing.T) {
	for _, c := range []struct {
		name, settings string
		measured       []float64 // after each epoch
		saved          float64
	}{
		{"none", "", []float64{3, 6}, 6},
		{"ema", "average: ema(0.5)", []float64{2.25, 5.03125}, 5.03125},
		{"swa", "average: swa(2)", []float64{3, 4.5}, 4.5},
		{"kept", "average: ema(0.5)\n    keep: highest val_loss", []float64{2.25, 5.03125}, 2.25},
	} {
		for _, b := range backends {
			t.Run(c.name+"/"+b.Name(), func(t *testing.T) {
				folder := smallFolder(t, fmt.Sprintf(growing, c.settings))
				o := run(t, folder, "run", "small.nn", "--backend", b.Name(), "--history", "history.csv")
				rows, err := csv.NewReader(bytes.NewReader(read(t, folder, "history.csv"))).ReadAll()
				if err != nil {
					t.Fatal(err)
				}
				for epoch, want := range c.measured {
					for k, name := range rows[0] {
						if v, err := strconv.ParseFloat(rows[epoch+1][k], 64); name == "val_loss" && (err != nil || math.Abs(v+want) > 1e-6) {
							t.Errorf("epoch %d: val_loss is %s, not %v", epoch+1, rows[epoch+1][k], -want)
						}
					}
				}
				f, err := weights.Read(filepath.Join(folder, "line.h5"))
				if err != nil {
					t.Fatal(err)
				}
				found := false
				for _, l := range f.Layers {
					for _, w := range l.Weights {
						found = true
						if got := w.Tensor.At(0); math.Abs(got-c.saved) > 1e-6 {
							t.Errorf("saved %v, not %v", got, c.saved)
						}
					}
				}
				if !found {
					t.Error("nothing was saved")
				}
				if want := fmt.Sprintf("Test loss: %.4f", -c.saved); !strings.Contains(o.out, want) {
					t.Errorf("there is no %q in %s", want, o.out)
				}
			})
		}
	}
}

// A run that keeps averages and is interrupted goes on as if it had not been.
func TestAveragesInterrupted(t *testing.T) {
	program := fmt.Sprintf(growing, "average: ema(0.9)\n    keep: highest val_loss")
	whole := smallFolder(t, program)
	run(t, whole, "run", "small.nn", "--set", "epochs=3000")
	folder := smallFolder(t, program)
	if o := stopAfter(t, command(t, folder, "run", "small.nn", "--set", "epochs=3000"), 3, time.Millisecond, os.Interrupt); o.code != 1 {
		t.Fatalf("exit code %d: %s", o.code, o.err)
	}
	run(t, folder, "run", "small.nn", "--set", "epochs=3000", "--resume")
	if !bytes.Equal(read(t, folder, "line.h5"), read(t, whole, "line.h5")) {
		t.Error("the weights differ")
	}
}
