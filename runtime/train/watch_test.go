package train

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/plan"
)

func epochs(values ...float64) []map[string]exact {
	var h []map[string]exact
	for _, v := range values {
		h = append(h, map[string]exact{"fit": exact(v)})
	}
	return h
}

func TestWatch(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name       string
		greater    bool
		values     []float64
		best, idle int
		plateaus   int  // of 2 epochs
		exhausted  bool // a patience of 3
	}{
		{name: "nothing yet"},
		{name: "falling", values: []float64{3, 2, 1}, best: 3},
		{name: "equal is not better", values: []float64{1, 1, 1, 1}, best: 1, idle: 3, plateaus: 1, exhausted: true},
		{name: "rising", values: []float64{1, 2, 3, 4, 5}, best: 1, idle: 4, plateaus: 2, exhausted: true},
		{name: "equal is not better, the greater being better", greater: true, values: []float64{1, 1, 1, 1}, best: 1, idle: 3, plateaus: 1, exhausted: true},
		{name: "rising is better", greater: true, values: []float64{1, 2, 3, 4, 5}, best: 5},
		{name: "better than a plateau", values: []float64{5, 6, 6, 4, 6}, best: 4, idle: 1, plateaus: 1},
		{name: "not a number", values: []float64{nan, 5, nan, nan}, best: 2, idle: 2, plateaus: 1},
		{name: "never a number", values: []float64{nan, nan, nan}, best: 0, idle: 3, plateaus: 1, exhausted: true},
		{name: "infinite", greater: true, values: []float64{math.Inf(-1), 1, math.Inf(1), 2}, best: 3, idle: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &watch{name: "fit", greater: c.greater, patience: 3, length: 2}
			h := epochs(c.values...)
			best, value := w.best(h)
			if best != c.best || best > 0 && value != c.values[best-1] {
				t.Errorf("best epoch %d with %v, not %d", best, value, c.best)
			}
			if got := w.idle(h); got != c.idle {
				t.Errorf("idle for %d epochs, not %d", got, c.idle)
			}
			if got := w.plateaus(h); got != c.plateaus {
				t.Errorf("%d plateaus, not %d", got, c.plateaus)
			}
			if got := w.exhausted(h); got != c.exhausted {
				t.Errorf("exhausted: %v", got)
			}
		})
	}
	var none *watch
	if none.exhausted(epochs(1, 2, 3)) || none.plateaus(epochs(1, 2, 3)) != 0 {
		t.Error("a train that watches nothing stops")
	}
}

// The cells after the best epoch come back, before the weights are saved; what is no weight stays.
func TestKeep(t *testing.T) {
	r := newRun(t)
	r.t.Epochs, r.t.Keep, r.t.Watch, r.t.Greater = 4, true, "val_loss", true // the first epoch is the worst
	whole := newRun(t)
	whole.t.Epochs = 4
	if _, err := Run(t.Context(), whole.prog, whole.p, whole.t, whole.opt); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	saved := map[string]string{}
	r.opt.Out, r.opt.Save, r.t.Save = &out, func(string) error { saved = cellBits(r.prog); return nil }, "x.h5"
	got, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err != nil {
		t.Fatal(err)
	}
	if got.Kept != 1 || len(got.History) != 4 {
		t.Errorf("kept epoch %d of %d\n%s", got.Kept, len(got.History), out.String())
	}
	if !strings.Contains(out.String(), "kept the weights of epoch 1, whose val_loss was the best: ") {
		t.Errorf("printed %s", out.String())
	}
	last := cellBits(whole.prog)
	for name, bits := range saved {
		changed := bits != last[name]
		if weight := strings.HasPrefix(name, "Line."); changed != weight {
			t.Errorf("cell %s: put back: %v", name, changed)
		}
	}
	if seen := r.prog.cells["Line.seen"].I32[0]; seen != 10 {
		t.Errorf("the state after epoch 1 saw %d examples, not 10", seen)
	}
	if diff := cmp.Diff(saved, cellBits(r.prog)); diff != "" {
		t.Error("the program ends with other weights than were saved:", diff)
	}
}

func TestPatience(t *testing.T) {
	r := newRun(t)
	r.t.Epochs, r.t.Patience, r.t.Watch, r.t.Greater = 9, 2, "val_loss", true
	var out bytes.Buffer
	r.opt.Out = &out
	got, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.History) != 3 || got.Kept != 0 || !strings.Contains(out.String(), "stopped after epoch 3: val_loss has not improved for 2 epochs\n") {
		t.Errorf("%d epochs, kept %d\n%s", len(got.History), got.Kept, out.String())
	}
}

// Without a value of its own a train watches val_loss, or the loss.
func TestWatchedByDefault(t *testing.T) {
	for _, c := range []struct {
		watch, want, err string
		validation       bool
	}{
		{validation: true, want: "val_loss"},
		{want: "loss"},
		{watch: "mae", want: "mae"},
		{watch: "val_mae", err: "keep: best val_mae: the data has no validation split"},
		{watch: "other", err: "keep: best other: an epoch has loss, mae"},
	} {
		known := []string{"loss", "mae"}
		if c.validation {
			known = append(known, "val_loss", "val_mae")
		}
		w, err := newWatch(&plan.Train{Keep: true, Watch: c.watch}, known, c.validation)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v", c.watch, err)
			}
			continue
		}
		if err != nil || w.name != c.want {
			t.Errorf("%q: watches %v, %v", c.watch, w, err)
		}
	}
}

// The program has the same number of plateaus in each step of an epoch, and in a run that was resumed in the middle.
func TestPlateausReachTheProgram(t *testing.T) {
	r := newRun(t)
	r.t.Plateau, r.t.Watch, r.t.Greater = 1, "val_loss", true
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0, 0, 0, 0, 0, 0, 1, 1, 1}, r.prog.plateaus); diff != "" {
		t.Error(diff)
	}
}

// Weights that cannot be saved leave a checkpoint of the last epoch with the best one beside it.
func TestKeepUnsaved(t *testing.T) {
	r := newRun(t)
	r.t.Keep, r.t.Watch, r.t.Greater, r.t.Save = true, "val_loss", true, "x.h5"
	r.opt.Save = func(string) error { return errPulled }
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); !errors.Is(err, errPulled) {
		t.Fatal(err)
	}
	ck, err := readCheckpoint(CheckpointPath(r.p))
	if err != nil {
		t.Fatal(err)
	}
	if ck.KeptEpoch != 1 || ck.kept[2].I32[0] != 10 || ck.values[2].I32[0] == ck.kept[2].I32[0] {
		t.Errorf("kept epoch %d, %v; last %v", ck.KeptEpoch, ck.kept, ck.values)
	}
	r = r.restarted(t)
	r.opt.Resume, r.opt.Save = true, func(string) error { return nil }
	got, err := Run(t.Context(), r.prog, r.p, r.t, r.opt)
	if err != nil || got.Kept != 1 || !got.Finished || r.prog.steps != 0 || r.prog.cells["Line.seen"].I32[0] != ck.kept[2].I32[0] {
		t.Errorf("%+v, %v, after %d steps", got, err, r.prog.steps)
	}
}

// A checkpoint without the weights of the epoch that is the best by another value is no good.
func TestKeepByAnotherValue(t *testing.T) {
	r := newRun(t)
	r.t.Keep, r.t.Watch = true, "val_loss"
	r.opt.CheckpointSteps = 1
	r.prog.before = func(step int) error {
		if step == 7 {
			return errPulled
		}
		return nil
	}
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); !errors.Is(err, errPulled) {
		t.Fatal(err)
	}
	r = r.restarted(t)
	r.opt.Resume, r.t.Greater = true, true
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); err == nil || !strings.Contains(err.Error(), "by val_loss the best epoch is 1, whose weights are not in the checkpoint") {
		t.Errorf("error %v", err)
	}
}

// What a program loads is loaded once: not again where a run goes on.
func TestLoadOnce(t *testing.T) {
	r := newRun(t)
	r.t.Load = &plan.Load{File: "w.h5", Into: "Line"}
	loads := 0
	r.opt.Load = func(l *plan.Load) (string, error) {
		loads++
		r.prog.cells["Line.w"].F32[0] = 0.5
		return "a note", nil
	}
	r.opt.CheckpointSteps = 1
	var out bytes.Buffer
	r.opt.Out = &out
	r.prog.before = func(step int) error {
		if step == 2 {
			return errPulled
		}
		return nil
	}
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); !errors.Is(err, errPulled) {
		t.Fatal(err)
	}
	if loads != 1 || !strings.Contains(out.String(), "weights loaded from w.h5 into Line; a note\n") {
		t.Errorf("%d loads\n%s", loads, out.String())
	}
	r = r.restarted(t)
	r.opt.Resume = true
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); err != nil || loads != 1 {
		t.Errorf("%d loads, %v", loads, err)
	}
	r = newRun(t)
	r.t.Load = &plan.Load{File: "w.h5"}
	r.opt.Load = func(*plan.Load) (string, error) { return "", os.ErrNotExist }
	if _, err := Run(t.Context(), r.prog, r.p, r.t, r.opt); !errors.Is(err, os.ErrNotExist) || r.prog.steps > 0 || exists(filepath.Join(filepath.Dir(r.p.File), "line.ckpt")) {
		t.Errorf("%d steps, %v", r.prog.steps, err)
	}
}
