package train

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// watch follows the value of an epoch that a train's keep, patience and plateau go by. All that it knows follows from the values of the
// epochs so far, so a run that is resumed knows it too.
type watch struct {
	name             string
	greater          bool // is better
	patience, length int  // of the train, and of a plateau; 0 for none
}

// newWatch returns nil where the train has neither of the three.
//
// Errors: a value that the epochs will not have.
func newWatch(t *plan.Train, known []string, validation bool) (*watch, error) {
	if !t.Keep && t.Patience == 0 && t.Plateau == 0 {
		return nil, nil
	}
	w := &watch{t.Watch, t.Greater, t.Patience, t.Plateau}
	if w.name == "" {
		w.name = plan.ResultLoss
		if validation {
			w.name = "val_" + w.name
		}
	}
	switch {
	case slices.Contains(known, w.name):
		return w, nil
	case strings.HasPrefix(w.name, "val_") && !validation:
		return nil, fmt.Errorf("keep: best %s: the data has no validation split: give it one, or go by a value of the training split", w.name)
	}
	return nil, fmt.Errorf("keep: best %s: an epoch has %s", w.name, strings.Join(known, ", "))
}

// better reports whether v is better than the best so far. Not-a-number is never better, and everything else is better than it.
func (w *watch) better(v, best float64) bool {
	switch {
	case math.IsNaN(v):
		return false
	case math.IsNaN(best):
		return true
	case w.greater:
		return v > best
	}
	return v < best
}

// best returns the number of the best epoch, the first if several are, and its value; 0 if no value is a number.
func (w *watch) best(history []map[string]exact) (epoch int, value float64) {
	value = math.NaN()
	for i, values := range history {
		if v := float64(values[w.name]); w.better(v, value) {
			epoch, value = i+1, v
		}
	}
	return epoch, value
}

// idle is how many epochs ago the best one was.
func (w *watch) idle(history []map[string]exact) int {
	epoch, _ := w.best(history)
	return len(history) - epoch
}

// exhausted reports whether the patience is.
func (w *watch) exhausted(history []map[string]exact) bool {
	return w != nil && w.patience > 0 && w.idle(history) >= w.patience
}

// plateaus counts the plateaus so far: after one, the next begins.
//
// Source: Keras, ReduceLROnPlateau with min_delta=0.
func (w *watch) plateaus(history []map[string]exact) int {
	if w == nil || w.length == 0 {
		return 0
	}
	n, idle, best := 0, 0, math.NaN()
	for _, values := range history {
		if v := float64(values[w.name]); w.better(v, best) {
			best, idle = v, 0
			continue
		}
		if idle++; idle == w.length {
			n, idle = n+1, 0
		}
	}
	return n
}

// kept are the parameters and states after the best epoch so far.
type kept struct {
	epoch  int // 0 if there is none
	cells  []cellInfo
	values []*tensor.Tensor
}

// keepCells copies the cells that weights consist of.
func keepCells(prog runtime.Program, epoch int) (kept, error) {
	k := kept{epoch: epoch}
	var err error
	k.cells, k.values, err = takeCells(prog, prog.Cell, weightCell)
	return k, err
}

func weightCell(c *ir.Cell) bool { return c.Kind == ir.Param || c.Kind == ir.State }

// restore gives the cells their values of the best epoch.
func (k *kept) restore(prog runtime.Program) error {
	for i, c := range k.cells {
		if err := prog.SetCell(c.Name, k.values[i]); err != nil {
			return fmt.Errorf("cell %s: %w", c.Name, err)
		}
	}
	return nil
}

// keepBest copies the weights of the epoch that was closed, if it is the best one.
func (r *run) keepBest() error {
	if !r.t.Keep {
		return nil
	}
	best, _ := r.watch.best(r.done.History)
	if best < r.done.Epoch || best == 0 {
		return nil
	}
	return r.withAverages(func() (err error) {
		r.kept, err = keepCells(r.prog, best)
		return err
	})
}

// resumeKept takes the weights of the best epoch from a checkpoint.
func (r *run) resumeKept(ck *checkpoint) error {
	if !r.t.Keep {
		return nil
	}
	if best, _ := r.watch.best(ck.History); best != ck.KeptEpoch {
		return fmt.Errorf("the program has changed: by %s the best epoch is %d, whose weights are not in the checkpoint", r.watch.name, best)
	}
	r.kept = kept{ck.KeptEpoch, ck.Kept, ck.kept}
	return nil
}

// restoreBest puts the weights of the best epoch back, where they are to be kept, or else averages in the weights' places, if there are any. It
// returns the last weights.
func (r *run) restoreBest() (last kept, err error) {
	if !r.t.Keep || r.kept.epoch == 0 {
		if r.t.Keep {
			r.printf("%s never was a number, so the last weights are kept\n", r.watch.name)
		}
		if len(r.t.Averages) == 0 {
			return kept{}, nil
		}
		if last, err = keepCells(r.prog, r.done.Epoch); err != nil {
			return kept{}, err
		}
		return last, r.putAverages()
	}
	if last, err = keepCells(r.prog, r.done.Epoch); err != nil {
		return kept{}, err
	}
	if err := r.kept.restore(r.prog); err != nil {
		return kept{}, err
	}
	_, value := r.watch.best(r.done.History)
	r.printf("kept the weights of epoch %d, whose %s was the best: %s\n", r.kept.epoch, r.watch.name, shortValue(value))
	return last, nil
}
