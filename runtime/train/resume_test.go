package train

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// settings are runs whose epochs end with passes, and ones whose epochs do not.
var settings = map[string]func(*plan.Train){
	"passes":     func(*plan.Train) {},
	"steps":      func(t *plan.Train) { t.Steps, t.Validate = 4, 2 },
	"unshuffled": func(t *plan.Train) { t.Data.Shuffle = false },
	"keep first": func(t *plan.Train) { t.Keep, t.Watch, t.Greater = true, "val_loss", true },
	"keep best":  func(t *plan.Train) { t.Keep, t.Watch = true, "mae" },
	"patience": func(t *plan.Train) {
		t.Epochs, t.Keep, t.Patience, t.Plateau, t.Watch, t.Greater = 9, true, 3, 1, "val_loss", true
	},
}

// A run that is interrupted after any step ends as one that was not.
func TestResumeAfterInterruption(t *testing.T) {
	for name, set := range settings {
		t.Run(name, func(t *testing.T) {
			whole := newRun(t)
			set(whole.t)
			want, err := Run(t.Context(), whole.prog, whole.p, whole.t, whole.opt)
			if err != nil {
				t.Fatal(err)
			}
			for stop := range want.Steps + 1 {
				r := newRun(t)
				set(r.t)
				ctx, cancel := context.WithCancel(t.Context())
				r.prog.before = func(step int) error {
					if step+1 == stop {
						cancel() // in the middle of the step, which is finished
					}
					return nil
				}
				if stop == 0 {
					cancel()
				}
				_, err := Run(ctx, r.prog, r.p, r.t, r.opt)
				cancel()
				var cut *InterruptedError
				if !errors.As(err, &cut) || cut.Step != stop || r.prog.steps != stop || !strings.Contains(err.Error(), "line.nn --resume") {
					t.Fatalf("stopped after %d of %d steps: error %v", r.prog.steps, stop, err)
				}
				r = r.restarted(t)
				r.opt.Resume = true
				checkSame(t, stop, r, whole, want)
			}
		})
	}
}

// A run whose process dies in any step ends as one that did not, from its last checkpoint.
func TestResumeAfterKill(t *testing.T) {
	for name, set := range settings {
		t.Run(name, func(t *testing.T) {
			whole := newRun(t)
			set(whole.t)
			want, err := Run(t.Context(), whole.prog, whole.p, whole.t, whole.opt)
			if err != nil {
				t.Fatal(err)
			}
			for _, every := range []int{1, 2, 5} {
				for stop := every; stop < want.Steps; stop++ {
					r := newRun(t)
					set(r.t)
					r.opt.CheckpointSteps = every
					r.prog.before = func(step int) error {
						if step == stop {
							return errPulled
						}
						return nil
					}
					if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); !errors.Is(err, errPulled) {
						t.Fatal(err)
					}
					r = r.restarted(t)
					r.opt.Resume = true
					checkSame(t, stop, r, whole, want)
				}
			}
		})
	}
}

// Checkpoints in the background hold the state of one step, whatever training does meanwhile.
func TestResumeFromBackground(t *testing.T) {
	whole := newRun(t)
	whole.t.Epochs = 20
	want, err := Run(t.Context(), whole.prog, whole.p, whole.t, whole.opt)
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(t)
	r.t.Epochs, r.opt.CheckpointEvery = 20, time.Nanosecond
	r.prog.before = func(step int) error {
		if step == 50 {
			return errPulled
		}
		return nil
	}
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); !errors.Is(err, errPulled) {
		t.Fatal(err)
	}
	r = r.restarted(t)
	r.opt.Resume = true
	checkSame(t, 50, r, whole, want)
}

// checkSame runs r to its end and compares it with a run that was never cut off.
func checkSame(t *testing.T, stop int, r, whole *lineRun, want *Result) {
	t.Helper()
	got, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err != nil {
		t.Fatalf("resumed after %d: %v", stop, err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Result{}, "Finished")); diff != "" {
		t.Errorf("resumed after %d: %s", stop, diff)
	}
	if diff := cmp.Diff(cellBits(whole.prog), cellBits(r.prog)); diff != "" {
		t.Errorf("resumed after %d: %s", stop, diff)
	}
}

func TestResumeRefuses(t *testing.T) {
	r := newRun(t)
	ctx, cancel := context.WithCancel(t.Context())
	r.prog.before = func(step int) error {
		if step == 3 {
			cancel()
		}
		return nil
	}
	_, err := Run(ctx, r.prog, r.p, r.t, r.opt)
	var cut *InterruptedError
	if !errors.As(err, &cut) {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*lineRun)
		want   string
	}{
		{"seed", func(r *lineRun) { r.opt.Seed = 8 }, "seed 7, not 8"},
		{"type", func(r *lineRun) {
			r.prog.module.Cells[0].Type = ir.Scalar(tensor.F32)
		}, "param Line.w is f32[] now and f32[3] in the checkpoint"},
		{"new cell", func(r *lineRun) {
			r.prog.module.AddCell(&ir.Cell{Name: "Line.extra", Kind: ir.Param})
			r.prog.cells["Line.extra"] = tensor.New(tensor.F32)
		}, "its param Line.extra is not in the checkpoint"},
		{"old cell", func(r *lineRun) { r.prog.module.Cells = r.prog.module.Cells[1:] }, "no longer has the param Line.w"},
		{"kind", func(r *lineRun) { r.prog.module.Cells[1].Kind = ir.State }, "Line.b is a state now and a param"},
		{"precision", func(r *lineRun) { r.prog.cells["Line.b"] = tensor.New(tensor.F64) }, "saved as f32, but the program computes in f64"},
		{"steps", func(r *lineRun) { r.opt.Steps = 5 }, "3 steps an epoch, not 5"},
		{"label", func(r *lineRun) { r.t.Label = "Other" }, "the program has changed"},
		{"metrics", func(r *lineRun) { r.t.Metrics = []string{"mae"} }, "its values are loss, mae now and loss, mae, count in the checkpoint"},
		{"data", func(r *lineRun) { r.opt.Data = lineData(t, 11); r.opt.Steps = 3 }, "10 examples; now it has 11"},
		{"batch", func(r *lineRun) { r.t.Batch = 5; r.opt.Steps = 3 }, "batches of 4, not 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			again := r.restarted(t)
			tr := *r.t
			again.t, again.p = &tr, &plan.Program{File: r.p.File, Init: "init", Reset: "reset", Trains: []*plan.Train{&tr}}
			again.opt.Resume = true
			c.change(again)
			_, err := Run(t.Context(), again.prog, again.p, again.t, again.opt)
			if err == nil || !strings.Contains(err.Error(), c.want) || again.prog.steps != 0 {
				t.Errorf("after %d steps: %v", again.prog.steps, err)
			}
		})
	}
}

func TestNothingToResume(t *testing.T) {
	r := newRun(t)
	r.opt.Resume = true
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("error %v", err)
	}
}

// A run from the beginning keeps the state of the one before it.
func TestStartAnewKeepsTheOther(t *testing.T) {
	r := newRun(t)
	r.opt.CheckpointSteps = 1
	r.prog.before = func(step int) error {
		if step == 5 {
			return errPulled
		}
		return nil
	}
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); !errors.Is(err, errPulled) {
		t.Fatal(err)
	}
	path := CheckpointPath(r.p)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r = r.restarted(t)
	var out bytes.Buffer
	r.opt.Out = &out
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "holds an unfinished run (epoch 2/3, step 2/3)") {
		t.Errorf("printed %s", out.String())
	}
	kept, err := os.ReadFile(path + ".old")
	if err != nil || !bytes.Equal(kept, before) {
		t.Errorf("the other run's state is gone: %v", err)
	}
}

// Where another run's state cannot be put aside, it stays, and the new run has none.
func TestTheOthersStateStays(t *testing.T) {
	r := newRun(t)
	r.opt.CheckpointSteps = 1
	r.prog.before = func(step int) error {
		if step == 5 {
			return errPulled
		}
		return nil
	}
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); !errors.Is(err, errPulled) {
		t.Fatal(err)
	}
	path := CheckpointPath(r.p)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path+".old", "in the way"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, steps := range []int{1, 0} { // with checkpoints on the way, and at ends of epochs
		again := r.restarted(t)
		again.opt.CheckpointSteps = steps
		var out bytes.Buffer
		again.opt.Out = &out
		if _, err := Run(t.Context(), again.prog, again.p, again.t, again.opt); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "warning: "); n != 1 || !strings.Contains(out.String(), "that of an earlier run cannot be renamed to "+path+".old") {
			t.Errorf("%d warnings: %s", n, out.String())
		}
		if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, before) {
			t.Errorf("the other run's state is gone: %v", err)
		}
	}
}

// Of several trains, the ones before the checkpoint's are passed over and the ones behind it begin.
func TestSeveralTrains(t *testing.T) {
	setUp := func(t *testing.T) *lineRun {
		r := newRun(t)
		second := *r.t
		second.Label, second.Epochs = "Second", 2
		r.p.Trains = append(r.p.Trains, &second)
		r.opt.CheckpointSteps = 1
		return r
	}
	all := func(r *lineRun) error {
		for i, tr := range r.p.Trains {
			opt := r.opt
			opt.KeepCheckpoint = i < len(r.p.Trains)-1
			if _, err := Run(t.Context(), r.prog, r.p, tr, opt); err != nil {
				return err
			}
		}
		return nil
	}
	whole := setUp(t)
	if err := all(whole); err != nil {
		t.Fatal(err)
	}
	for stop := 1; stop < 15; stop++ {
		r := setUp(t)
		r.prog.before = func(int) error {
			if r.prog.steps == stop {
				return errPulled
			}
			return nil
		}
		if err := all(r); !errors.Is(err, errPulled) {
			t.Fatal(err)
		}
		r = r.restarted(t)
		r.opt.Resume = true
		var out bytes.Buffer
		r.opt.Out = &out
		if err := all(r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(cellBits(whole.prog), cellBits(r.prog)); diff != "" {
			t.Errorf("resumed after %d: %s\n%s", stop, diff, out.String())
		}
	}
}
