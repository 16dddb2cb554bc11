package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
)

func TestEpochLine(t *testing.T) {
	values := map[string]float64{"loss": 0.56, "accuracy": 0.71, "val_loss": 0.58, "val_accuracy": 0.69}
	want := "Epoch 3/15 - 12s - accuracy: 0.7100 - loss: 0.5600 - val_accuracy: 0.6900 - val_loss: 0.5800"
	if got := epochLine(3, 15, 12300*time.Millisecond, values); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for v, want := range map[float64]string{
		0: "0.0000e+00", 1e-3: "1.0000e-03", 0.00101: "0.0010", 2.5e-7: "2.5000e-07", -3: "-3.0000", 12345.67891: "12345.6789",
		math.Inf(1): "inf", math.Inf(-1): "-inf",
	} {
		if got := valueText(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
	if got := valueText(math.NaN()); got != "nan" {
		t.Errorf("not a number: %s", got)
	}
}

// The steps' values are weighted by the examples of their batches, and validation sees each example once.
func TestRunPrints(t *testing.T) {
	r := newRun(t)
	var out bytes.Buffer
	var saved string
	r.opt.Out, r.opt.Save = &out, func(path string) error { saved = path; return nil }
	r.t.Save = "line.h5"
	result, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	epoch := regexp.MustCompile(`^Epoch (\d)/3 - 0s - count: (\d\.\d{4}) - loss: \S+ - mae: \S+ - val_count: 0.0000e\+00 - val_loss: \S+ - val_mae: \S+$`)
	if len(lines) != 5 || lines[0] != "data: 10 training, 5 validation" || lines[4] != "weights saved to "+saved {
		t.Fatalf("printed %q", lines)
	}
	for i, l := range lines[1:4] {
		m := epoch.FindStringSubmatch(l)
		// Batches of 4, 4, 2 whose counts are 1, 2, 3: 18/10. The metric's cell starts anew each epoch.
		if m == nil || m[1] != fmt.Sprint(i+1) || m[2] != "1.8000" {
			t.Errorf("epoch %d printed as %q", i+1, l)
		}
	}
	if want := filepath.Join(filepath.Dir(r.p.File), "line.h5"); saved != want || result.Weights != want {
		t.Errorf("saved to %s, result %s", saved, result.Weights)
	}
	if result.Steps != 9 || len(result.History) != 3 || r.prog.cells["Line.seen"].I32[0] != 30 {
		t.Errorf("%+v, %d examples seen", result, r.prog.cells["Line.seen"].I32[0])
	}
	values, n, err := Evaluate(t.Context(), r.prog, r.p, r.t, r.opt.Data.Validation, EvalOptions{})
	if err != nil || n != 5 || values["loss"] != result.History[2]["val_loss"] {
		t.Errorf("evaluation %v of %d examples, error %v; the last epoch had %v", values, n, err, result.History[2])
	}
	if exists(CheckpointPath(r.p)) {
		t.Error("the checkpoint of a finished run stays")
	}
}

// steps goes on over the ends of passes, whose last batch is smaller, also from one epoch to the next.
func TestStepsRepeat(t *testing.T) {
	r := newRun(t)
	r.t.Steps, r.t.Epochs, r.t.Validate = 4, 2, 3
	result, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err != nil {
		t.Fatal(err)
	}
	// 8 batches: 4 4 2 4 4 2 4 4.
	if seen := r.prog.cells["Line.seen"].I32[0]; seen != 28 || result.Steps != 8 {
		t.Errorf("%d examples in %d steps", seen, result.Steps)
	}
	// Epoch 2: batches 4 2 4 4 with counts 1…4.
	if got := result.History[1]["count"]; got != (4+2*2+4*3+4*4)/14.0 {
		t.Errorf("mean of the second epoch: %v", got)
	}
	_, n, err := Evaluate(t.Context(), r.prog, r.p, r.t, r.opt.Data.Validation, EvalOptions{Steps: 3, Batch: 3})
	if err != nil || n != 3+2+3 {
		t.Errorf("3 batches of 3 over 5 examples visited %d, error %v", n, err)
	}
}

// A metric with state gives its last value, and evaluating leaves its state and that of streams alone.
func TestRunningMetric(t *testing.T) {
	r := newRun(t)
	r.t.Running = []string{"count"}
	r.t.Epochs = 2
	result, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range result.History {
		if h["count"] != 3 { // batches of 4, 4, 2
			t.Errorf("count %v", h["count"])
		}
	}
	r.prog.cells["metric.count"].Set(0, 7)
	if _, _, err := Evaluate(t.Context(), r.prog, r.p, r.t, r.opt.Data.Validation, EvalOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := r.prog.cells["metric.count"].I32[0]; got != 7 {
		t.Errorf("evaluating left the metric at %d", got)
	}
}

func TestUntil(t *testing.T) {
	for _, c := range []struct {
		name, text string
		target     func(v float64) bool
		epochs     int
		want       string
	}{
		{"reached", "val_mae <= 100", func(v float64) bool { return v <= 100 }, 1, "target val_mae <= 100 reached after epoch 1\n"},
		{"missed", "val_mae <= 0", func(v float64) bool { return v <= 0 }, 3, "target val_mae <= 0 not reached in 3 epochs: best "},
		{"complex", "val_mae * 2.0 <= 0", func(v float64) bool { return v <= 0 }, 3, "target val_mae * 2.0 <= 0 not reached in 3 epochs: at the end val_mae "},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRun(t)
			var out bytes.Buffer
			r.opt.Out, r.t.Until, r.t.Target = &out, "until", c.text
			r.prog.target = func(values map[string]float64) bool { return c.target(values["val_mae"]) }
			result, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
			if err != nil {
				t.Fatal(err)
			}
			if len(result.History) != c.epochs || result.Reached != (c.name == "reached") || !strings.Contains(out.String(), c.want) {
				t.Errorf("%d epochs, reached %v:\n%s", len(result.History), result.Reached, out.String())
			}
		})
	}
}

func TestMissed(t *testing.T) {
	fn := &ir.Func{Params: []*ir.Value{{Name: "val_accuracy"}}}
	history := []map[string]float64{{"val_accuracy": 0.5}, {"val_accuracy": math.NaN()}, {"val_accuracy": 0.72}, {"val_accuracy": 0.61}}
	for text, want := range map[string]string{
		"val_accuracy >= 0.95": "best 0.72 at epoch 3",
		"0.95 <= val_accuracy": "best 0.72 at epoch 3",
		"val_accuracy<0.1":     "best 0.5 at epoch 1",
		"0.1 > val_accuracy":   "best 0.5 at epoch 1",
	} {
		g := &target{fn: fn, text: text}
		if got := g.missed(history); !strings.HasSuffix(got, "not reached in 4 epochs: "+want) {
			t.Errorf("%s: %s", text, got)
		}
	}
	g := &target{fn: fn, text: "val_accuracy > 1"}
	if got := g.missed(history[1:2]); got != "target val_accuracy > 1 not reached in 1 epoch: it never was a number" {
		t.Error(got)
	}
}

func TestUntilNeedsValidation(t *testing.T) {
	r := newRun(t)
	r.t.Until, r.t.Target = "until", "val_mae <= 1"
	r.opt.Data.Validation = nil
	_, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err == nil || !strings.Contains(err.Error(), "no validation split") || r.prog.steps != 0 {
		t.Errorf("error %v after %d steps", err, r.prog.steps)
	}
}

func TestNonFinite(t *testing.T) {
	r := newRun(t)
	r.opt.CheckpointSteps = 2
	r.prog.before = func(step int) error {
		if step == 4 {
			return &runtime.NonFiniteError{What: "loss", Op: "log", Note: "log of 0", Loc: ir.Loc{File: "line.nn", Line: 12, Col: 9, Scope: "Line.dense"}}
		}
		return nil
	}
	var saved bool
	r.t.Save, r.opt.Save = "line.h5", func(string) error { saved = true; return nil }
	_, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
	var step *StepError
	var bad *runtime.NonFiniteError
	if !errors.As(err, &step) || !errors.As(err, &bad) {
		t.Fatalf("error %v", err)
	}
	text := err.Error()
	for _, want := range []string{"step 5 (epoch 2/3, step 2/3)", "log of 0", "line.nn:12:9", "Line.dense", "learning rate", "line.ckpt has the state after step 3"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	if saved {
		t.Error("weights were saved")
	}
	ck, err := readCheckpoint(CheckpointPath(r.p))
	if err != nil || ck.Step != 3 {
		t.Fatalf("checkpoint %+v, error %v", ck, err)
	}
}

// A loss that a program lets pass is caught too, and an example that is not finite is named.
// The learning rate is no cause of a first loss that is not finite, but it may be one of a first update.
func TestHintOfTheFirstStep(t *testing.T) {
	for what, want := range map[string]bool{"loss": false, "Line.w": true} {
		text := hint(&runtime.NonFiniteError{What: what, Op: "mul"}, nil, nil, true)
		if got := strings.HasPrefix(text, "a learning rate that is too great is the usual cause"); got != want {
			t.Errorf("%s: %s", what, text)
		}
	}
}

// A label that is beyond the model's outputs stops the run with the step, the index and what to mend.
func TestHintOfAnIndexOutside(t *testing.T) {
	err := fmt.Errorf("m.nn:7:9: in train: read: %w", &runtime.RangeError{Index: 2, Limit: 2})
	if text := hint(err, nil, nil, true); !strings.Contains(text, "as many units as there are classes") {
		t.Errorf("hint %q", text)
	}
}

func TestNonFiniteExample(t *testing.T) {
	r := newRun(t)
	x, y := tensor.New(tensor.F32, 3, features), tensor.New(tensor.F32, 3)
	x.F32[4] = float32(math.NaN())
	src, err := data.Memory(r.opt.Data.Train.Fields(), x, y)
	if err != nil {
		t.Fatal(err)
	}
	r.opt.Data.Train = src
	_, err = Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err == nil || !strings.Contains(err.Error(), "field x of example") || !strings.Contains(err.Error(), src.Name(1)+" holds NaN") {
		t.Errorf("error %v", err)
	}
	if exists(CheckpointPath(r.p)) {
		t.Error("a damaged state was saved")
	}
}

// brokenSource fails at one example.
type brokenSource struct{ data.Source }

func (b brokenSource) At(i int, dst []*tensor.Tensor, row int) error {
	if i == 6 {
		return errors.New("six.jpg: gone")
	}
	return b.Source.At(i, dst, row)
}

func TestDataThatFailsOnTheWay(t *testing.T) {
	r := newRun(t)
	whole := r.opt.Data.Train
	r.opt.Data.Train = brokenSource{whole}
	r.t.Data.Shuffle = false
	_, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err == nil || !strings.Contains(err.Error(), "six.jpg: gone") || !strings.Contains(err.Error(), "the state after step 1 is in") {
		t.Fatalf("error %v", err)
	}
	r.opt.Data.Train = whole
	r.opt.Resume = true
	result, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err != nil || result.Steps != 9 || r.prog.steps != 9 {
		t.Errorf("%+v, %d steps, error %v", result, r.prog.steps, err)
	}
}

func TestWeightsCannotBeSaved(t *testing.T) {
	r := newRun(t)
	r.t.Save, r.t.SaveAt = "nowhere/line.h5", ir.Loc{File: "line.nn", Line: 9, Col: 3}
	r.opt.Save = func(string) error { return nil }
	_, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err == nil || !strings.HasPrefix(err.Error(), "line.nn:9:3: ") || !strings.Contains(err.Error(), "nowhere: no such file") || r.prog.steps != 0 {
		t.Errorf("error %v after %d steps", err, r.prog.steps)
	}
	r.t.Save, r.opt.Save = "line.h5", func(string) error { return errors.New("no space left on device") }
	_, err = Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err == nil || !strings.Contains(err.Error(), "nothing is lost") {
		t.Fatalf("error %v", err)
	}
	again := r.restarted(t)
	again.opt.Resume, again.opt.Save = true, func(string) error { return nil }
	var out bytes.Buffer
	again.opt.Out = &out
	result, err := Run(t.Context(), again.prog, again.p, again.t, again.opt)
	if err != nil || !result.Finished || again.prog.steps != 0 || result.Weights == "" || !strings.Contains(out.String(), "had finished") {
		t.Errorf("%+v, error %v, printed %s", result, err, out.String())
	}
	if diff := cmp.Diff(cellBits(r.prog), cellBits(again.prog)); diff != "" {
		t.Error(diff)
	}
}

// A checkpoint that cannot be written is told once and does not end the run.
func TestCheckpointsCannotBeWritten(t *testing.T) {
	r := newRun(t)
	var out bytes.Buffer
	r.opt.Out, r.opt.CheckpointSteps = &out, 1
	r.opt.Checkpoint = filepath.Join(t.TempDir(), "nowhere", "line.ckpt")
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "warning: cannot write the checkpoint"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, out.String())
	}
	if r.prog.steps != 9 {
		t.Errorf("%d steps", r.prog.steps)
	}
}

func TestForeignFileIsLeftAlone(t *testing.T) {
	r := newRun(t)
	if err := os.WriteFile(CheckpointPath(r.p), []byte("my notes"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, resume := range []bool{false, true} {
		r.opt.Resume = resume
		if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); !errors.Is(err, errNotCheckpoint) {
			t.Errorf("error %v", err)
		}
	}
	if text, _ := os.ReadFile(CheckpointPath(r.p)); string(text) != "my notes" {
		t.Errorf("the file holds %q now", text)
	}
}

// Without data an epoch is its steps.
func TestNoData(t *testing.T) {
	r := newRun(t)
	m := r.prog.module
	m.AddFunc(&ir.Func{Name: "play", Params: []*ir.Value{{Name: plan.ParamStep, Type: ir.Scalar(tensor.I32)}}})
	r.t.Data, r.t.Step, r.t.Metrics, r.t.Steps, r.t.Batch = nil, "play", nil, 5, 1
	player := &player{line: r.prog}
	result, err := Run(t.Context(), player, r.p, r.t, r.opt)
	if err != nil || result.Steps != 15 || result.History[2]["loss"] != 12 {
		t.Errorf("%+v, error %v", result, err)
	}
	r.t.Steps = 0
	if _, err := Run(t.Context(), player, r.p, r.t, r.opt); err == nil {
		t.Error("an epoch without steps passes")
	}
}

// player's loss is the number of the step.
type player struct{ *line }

func (p *player) Call(fn string, args ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	return scalars(float32(args[0].I32[0])), nil
}

// On a terminal the bar goes and the epoch lines stay.
func TestTerminal(t *testing.T) {
	r := newRun(t)
	var out bytes.Buffer
	r.opt.Out, r.opt.Terminal = &out, true
	if _, err := Run(context.Background(), r.prog, r.p, r.t, r.opt); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if n := strings.Count(text, "Epoch 3/3 - 0s - "); n != 1 || !strings.HasSuffix(text, "\n") {
		t.Errorf("%d lines for epoch 3 in %q", n, text)
	}
}
