package conformance

import (
	"bytes"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nnc-lang/nnc/runtime/weights"
)

// A line is learned from two data of different sizes, one of which has texts of their own lengths.
const severalProgram = `option epochs = 12
data Near {
    source:  csv(train: "near.csv", validation: "near.csv", test: "near.csv", columns: { x: f32, y: f32 })
    batch:   2
}
data Far {
    source:  csv(train: "far.csv", validation: "far.csv", test: "far.csv", columns: { text: words(), y: f32 })
    batch:   5
}
model Line(x: f32) -> f32 {
    param slope:  f32 = 0
    param offset: f32 = 0
    slope * x + offset
}
train on Near, Far {
    let length = sum[i] f32(where(Far.text[i] >= 0, 1, 0))
    minimize mse(Line(Near.x), Near.y) + mse(Line(length), Far.y) over Line using sgd(0.02)
    metrics: { near: Near.x, far: length }
    epochs:  epochs
    save:    "line.h5"
}
`

func severalFolder(t *testing.T) string {
	t.Helper()
	folder := smallFolder(t, severalProgram)
	for name, text := range map[string]string{
		"near.csv": "x,y\n0,1\n1,3\n0.5,2\n-1,-1\n-0.5,0\n0.2,1.4\n1,3\n",
		"far.csv":  "text,y\none,3\none two,5\none two one two,9\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// An epoch is one of the first data; the second goes on where the last epoch left it, and begins anew in each measurement.
func TestSeveralData(t *testing.T) {
	for _, b := range backends {
		t.Run(b.Name(), func(t *testing.T) {
			folder := severalFolder(t)
			o := run(t, folder, "run", "small.nn", "--backend", b.Name(), "--set", "epochs=60", "--history", "history.csv")
			if !strings.Contains(o.out, "data: Near: ") || !strings.Contains(o.out, "data: Far: ") {
				t.Errorf("printed %s", o.out)
			}
			rows, err := csv.NewReader(bytes.NewReader(read(t, folder, "history.csv"))).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			column := map[string]int{}
			for k, name := range rows[0] {
				column[name] = k
			}
			value := func(epoch int, name string) float64 {
				v, err := strconv.ParseFloat(rows[epoch][column[name]], 64)
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			const near = (0 + 1 + 0.5 - 1 - 0.5 + 0.2 + 1) / 7.
			for epoch, far := range []float64{(1 + 2 + 4 + 1 + 2 + 4 + 1) / 7., (2 + 4 + 1 + 2 + 4 + 1 + 2) / 7., (4 + 1 + 2 + 4 + 1 + 2 + 4) / 7.} {
				for name, want := range map[string]float64{"near": near, "far": far, "val_near": near, "val_far": 15 / 7.} {
					if got := value(epoch+1, name); math.Abs(got-want) > 1e-5 {
						t.Errorf("epoch %d: %s is %v, not %v", epoch+1, name, got, want)
					}
				}
			}
			f, err := weights.Read(filepath.Join(folder, "line.h5"))
			if err != nil {
				t.Fatal(err)
			}
			learned := map[string]float64{}
			for _, l := range f.Layers {
				for _, w := range l.Weights {
					learned[w.Name[strings.LastIndex(w.Name, "/")+1:]] = w.Tensor.At(0)
				}
			}
			if math.Abs(learned["slope"]-2) > 0.02 || math.Abs(learned["offset"]-1) > 0.02 {
				t.Errorf("learned %v", learned)
			}
		})
	}
}

// A run on several data that is interrupted goes on as if it had not been, in the middle of a pass over either.
func TestSeveralDataInterrupted(t *testing.T) {
	whole := severalFolder(t)
	run(t, whole, "run", "small.nn", "--set", "epochs=2000")
	folder := severalFolder(t)
	o := stopAfter(t, command(t, folder, "run", "small.nn", "--set", "epochs=2000"), 3, time.Millisecond, os.Interrupt)
	if o.code != 1 {
		t.Fatalf("exit code %d: %s", o.code, o.err)
	}
	if o := run(t, folder, "run", "small.nn", "--set", "epochs=2000", "--resume"); !strings.Contains(o.out, "resuming after step") {
		t.Errorf("printed %s", o.out)
	}
	if !bytes.Equal(read(t, folder, "line.h5"), read(t, whole, "line.h5")) {
		t.Error("the weights differ")
	}
}
