package train

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/term"
)

// over reports whether no epoch is left to do: the limit or the target is reached, or nothing gets better.
func (r *run) over() (bool, error) {
	if r.done.EpochStep > 0 {
		return false, nil
	}
	if r.done.Epochs > 0 && r.done.Epoch >= r.done.Epochs {
		return true, nil
	}
	if r.watch.exhausted(r.done.History) {
		return true, nil
	}
	return r.target.reached(r.lastValues())
}

// train does epochs until the run is over.
func (r *run) train(ctx context.Context) error {
	var loader *data.Loader
	if r.ds != nil {
		var err error
		loader, err = data.NewLoader(ctx, r.ds.Train, data.Options{
			Batch: r.t.FullBatch(), Repeat: true, Shuffle: r.t.Data.Shuffle, ShuffleJoined: shuffleOthers(r.t), Poisson: r.t.Data.Chance,
			Seed: uint64(r.opt.Seed), Start: r.done.Cursor, Buffers: r.opt.Buffers,
		})
		if err != nil {
			return fmt.Errorf("data %s: %w", r.t.Data.Name, err)
		}
		defer loader.Close()
	}
	for {
		if over, err := r.over(); err != nil || over {
			return err
		}
		if err := r.epoch(ctx, loader); err != nil {
			return err
		}
	}
}

// shuffleOthers tells which data after the first is shuffled.
func shuffleOthers(t *plan.Train) []bool {
	var list []bool
	for _, d := range t.Others {
		list = append(list, d.Shuffle)
	}
	return list
}

// epoch does what is left of an epoch.
func (r *run) epoch(ctx context.Context, loader *data.Loader) error {
	began := time.Now().Add(-time.Duration(r.done.Seconds * float64(time.Second)))
	if r.done.EpochStep == 0 {
		if err := r.renew(); err != nil {
			return err
		}
	}
	r.plateaus = r.watch.plateaus(r.done.History)
	r.showBar()
	defer r.clearBar()
	for r.done.EpochStep < r.done.Steps {
		if ctx.Err() != nil {
			return r.interrupted()
		}
		examples, err := r.oneStep(ctx, loader)
		if err != nil {
			if ctx.Err() != nil {
				return r.interrupted()
			}
			return err
		}
		r.done.Seconds = time.Since(began).Seconds()
		r.advanceBar(examples)
		if r.saver.due(r.done.Step) && r.done.EpochStep < r.done.Steps {
			if err := r.saveOnTheWay(); err != nil {
				return err
			}
		}
	}
	values := map[string]float64{}
	r.sums.into(values, "")
	if err := r.validate(ctx, values); err != nil {
		if ctx.Err() != nil {
			return r.interrupted()
		}
		return err
	}
	if err := r.draw(ctx); err != nil {
		if ctx.Err() != nil {
			return r.interrupted()
		}
		return err
	}
	r.clearBar()
	if err := r.endEpoch(values); err != nil {
		return err
	}
	if r.saver.dueAtEpoch() {
		// The file is there before the line is: who reads the line may stop the program.
		if err := r.capturedInto(r.saver.write); err != nil {
			return err
		}
	}
	r.tellEpoch(time.Since(began), values)
	if r.opt.Epoch != nil {
		r.opt.Epoch(r.history())
	}
	return nil
}

// showBar draws a progress bar of the epoch on a terminal.
func (r *run) showBar() {
	if !r.opt.Terminal {
		return
	}
	unit := "examples"
	if r.ds == nil && r.t.FullBatch() <= 1 {
		unit = "steps"
	}
	r.bar = term.NewBar(r.opt.Out, epochName(r.done.Epoch+1, r.done.Epochs), unit, r.done.Steps, r.done.EpochStep)
}

// advanceBar shows one step more.
func (r *run) advanceBar(examples int) {
	if r.bar == nil {
		return
	}
	values := map[string]float64{}
	r.sums.into(values, "")
	r.bar.Status(statusText(values))
	r.bar.Step(examples)
}

func (r *run) clearBar() {
	r.bar.Clear()
	r.bar = nil
}

// oneStep reads a batch and trains on it; it returns how many examples the batch has. After an error the state is that before.
func (r *run) oneStep(ctx context.Context, loader *data.Loader) (examples int, err error) {
	var batch *data.Batch
	var tensors []*tensor.Tensor
	examples = max(1, r.t.FullBatch())
	if loader != nil {
		if batch, err = loader.Next(); err != nil {
			if ctx.Err() != nil {
				return 0, err
			}
			return 0, r.dataError(err)
		}
		defer batch.Release()
		tensors, examples = batch.Tensors, batch.Len()
	}
	name := r.t.StepFunc(r.done.Step)
	step := r.steps[name]
	var results []float64
	if examples > 0 {
		results, err = step.call(tensors, r.place())
	} else {
		err = r.steps[name+plan.EmptySuffix].callWithout(r.place())
	}
	if err == nil && examples > 0 {
		err = checkFinite(step.names, results)
	}
	if err != nil {
		return 0, r.stepError(err, batch)
	}
	if examples > 0 {
		r.sums.add(results, examples)
	}
	r.done.Step++
	r.done.EpochStep++
	if loader != nil {
		r.done.Cursor = loader.Cursor()
	}
	return examples, nil
}

// place is where the run stands, for the program.
func (r *run) place() place {
	at := place{seed: r.opt.Seed, step: r.done.Step, epoch: r.done.Epoch, plateaus: r.plateaus}
	if r.done.Epochs > 0 {
		at.progress = float64(r.done.Step) / (float64(r.done.Epochs) * float64(r.done.Steps))
	}
	return at
}

// stepError describes the failure of the step that comes next.
func (r *run) stepError(err error, batch *data.Batch) error {
	at := r.done
	at.EpochStep++
	e := &StepError{Step: r.done.Step + 1, Where: at.describe(), Err: err, Hint: hint(err, batch, r.trainSplit(), r.done.Step == 0)}
	r.saver.wait()
	if r.saver.good {
		e.Kept = fmt.Sprintf("%s has the state after step %d, and nothing was saved since", r.saver.path, r.saver.goodStep)
	}
	return e
}

// dataError describes a batch that cannot be read. The state is as good as ever, so it is saved.
func (r *run) dataError(err error) error {
	at := r.done
	at.EpochStep++
	e := &StepError{Step: r.done.Step + 1, Where: at.describe(), Err: err}
	if r.saver.path != "" && r.save() == nil {
		e.Kept = fmt.Sprintf("the state after step %d is in %s; when the data is mended, `%s` goes on from there", r.done.Step, r.saver.path, r.opt.Command)
	}
	return e
}

// renew begins an epoch's averages, metrics and streams.
func (r *run) renew() error {
	r.sums = newMeans(r.t, stepNames(r.t))
	r.done.Seconds = 0
	return renew(r.prog, r.p, r.opt.Seed)
}

// validate measures the validation split, if there is one, into values.
func (r *run) validate(ctx context.Context, values map[string]float64) error {
	split := r.validation()
	if split == nil {
		return nil
	}
	status := statusText(values)
	var measured map[string]float64
	err := r.withAverages(func() (err error) {
		measured, _, err = Evaluate(ctx, r.prog, r.p, r.t, split, EvalOptions{
			Steps: r.t.Validate, Seed: r.opt.Seed, at: r.place(), Buffers: r.opt.Buffers,
			Progress: func(done, total, _ int) { r.bar.Status(fmt.Sprintf("validation %d/%d  %s", done, total, status)) },
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("validation after epoch %d: %w", r.done.Epoch+1, err)
	}
	for name, v := range measured {
		values["val_"+name] = v
	}
	return nil
}

// endEpoch closes the epoch.
func (r *run) endEpoch(values map[string]float64) error {
	saved := map[string]exact{}
	for name, v := range values {
		saved[name] = exact(v)
	}
	r.done.History = append(r.done.History, saved)
	r.done.Epoch++
	r.done.EpochStep = 0
	r.done.Seconds = 0
	r.sums = newMeans(r.t, stepNames(r.t))
	return r.keepBest()
}

// tellEpoch prints the line of the epoch that was closed.
func (r *run) tellEpoch(elapsed time.Duration, values map[string]float64) {
	r.printf("%s\n", epochLine(r.done.Epoch, r.done.Epochs, elapsed, values))
	if r.ds != nil {
		r.tellSkipped()
	}
}

// interrupted saves the state and says how to go on.
func (r *run) interrupted() error {
	r.clearBar()
	e := &InterruptedError{Command: r.opt.Command, Checkpoint: r.saver.path, Where: r.done.describe(), Step: r.done.Step}
	e.Err, e.Kept = r.save(), r.saver.goodStep
	return e
}

// saveOnTheWay writes a checkpoint while training goes on, or waits for it where checkpoints are counted in steps.
func (r *run) saveOnTheWay() error {
	if r.saver.steps > 0 || bytesOf(r.prog, nil) > maxCopied {
		return r.capturedInto(r.saver.write)
	}
	began := time.Now()
	ck, err := r.capture(r.prog.Cell)
	if err != nil {
		return err
	}
	r.saver.background(ck)
	r.saver.pause(time.Since(began))
	return nil
}

// maxCopied bounds the bytes of a state that is copied, to be written while training goes on. A larger one is written from where it is, which
// takes a second where a copy would double the memory that is needed.
const maxCopied = 64 << 20

// bytesOf returns the bytes of some of prog's cells, or of all, whose sizes are known.
func bytesOf(prog runtime.Program, some func(*ir.Cell) bool) int {
	total := 0
	for _, c := range prog.Module().Cells {
		if some != nil && !some(c) {
			continue
		}
		n := 4
		for _, d := range c.Type.Shape {
			size, known := d.IsConst()
			if !known {
				size = 0
			}
			n *= size
		}
		total += n
	}
	return total
}

// capturedInto hands the state to write. That it cannot be written was told and ends nothing.
func (r *run) capturedInto(write func(*checkpoint) error) error {
	return r.viewed(func(ck *checkpoint) error {
		_ = write(ck)
		return nil
	})
}

// viewed calls f with the state, which holds until f returns.
func (r *run) viewed(f func(*checkpoint) error) error {
	return runtime.View(r.prog, func(cell func(string) (*tensor.Tensor, error)) error {
		ck, err := r.capture(cell)
		if err != nil {
			return err
		}
		return f(ck)
	})
}

// save writes the state, if there are checkpoints.
func (r *run) save() error {
	if r.saver.path == "" {
		return nil
	}
	return r.viewed(func(ck *checkpoint) error {
		r.saver.warn = func(string) {} // it is returned instead
		return r.saver.write(ck)
	})
}

// capture takes the state of the run, with the cells' values as cell gives them.
func (r *run) capture(cell cellFunc) (*checkpoint, error) {
	h := header{File: r.p.File, Train: r.index, Label: r.t.Label, Seed: r.opt.Seed, progress: r.done}
	h.Names, h.Examples = r.sums.names, r.sums.examples
	h.Sums = make([]exact, len(r.sums.sums))
	for i, sum := range r.sums.sums {
		h.Sums[i] = exact(sum)
	}
	h.Kept, h.KeptEpoch = r.kept.cells, r.kept.epoch
	ck, err := capture(r.prog, r.p, cell, h)
	if err != nil {
		return nil, err
	}
	ck.kept = r.kept.values // which nobody changes
	return ck, nil
}

// history returns the values of the epochs so far.
func (r *run) history() []map[string]float64 {
	history := make([]map[string]float64, len(r.done.History))
	for i, saved := range r.done.History {
		history[i] = plain(saved)
	}
	return history
}

// lastValues returns the values of the last epoch, nil before the first.
func (r *run) lastValues() map[string]float64 {
	if n := len(r.done.History); n > 0 {
		return plain(r.done.History[n-1])
	}
	return nil
}

func plain(saved map[string]exact) map[string]float64 {
	values := map[string]float64{}
	for name, v := range saved {
		values[name] = float64(v)
	}
	return values
}

// statusText is valuesText for a progress bar: "accuracy 0.7100 loss 0.5600".
func statusText(values map[string]float64) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if isElement(name) {
			continue
		}
		words = append(words, name, valueText(values[name]))
	}
	return strings.Join(words, " ")
}
