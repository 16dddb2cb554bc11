// Package train trains compiled programs: the loop over epochs and steps, what it prints, when it stops, and the checkpoints from
// which a run that was cut off goes on, bit for bit.
package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/access"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/term"
)

// Options say how a train declaration is carried out.
type Options struct {
	Seed   int32
	Epochs int // instead of the declaration's, if not 0
	Steps  int // of an epoch, instead of the declaration's, if not 0

	// Data is what Examples returned; if it is nil, Run opens the declaration's data.
	Data *data.Dataset
	// Buffers is the memory of batches of training and validation, where it is shared with others; nil: the run's own.
	Buffers *data.Buffers

	// Resume goes on from the checkpoint. Without it a run starts anew; the checkpoint of an earlier one that did not end is
	// mentioned and renamed to end in ".old" before the new run's first checkpoint takes its place.
	Resume bool
	// Checkpoint is the file of the checkpoint; CheckpointPath of the program if it is "".
	Checkpoint   string
	NoCheckpoint bool
	// CheckpointEvery is the time between checkpoints within an epoch, 30 seconds if it is 0; CheckpointSteps, if not 0, is a
	// number of steps instead. There is one at the end of each epoch as well, unless the last one is less than a second old, or than
	// twenty times as long as the run stood still for it.
	CheckpointEvery time.Duration
	CheckpointSteps int
	// KeepCheckpoint leaves the last checkpoint in its place: another train of the program follows.
	KeepCheckpoint bool

	// Save writes the weights to a file; nil saves none, as NoSave does.
	Save   func(path string) error
	NoSave bool
	// Load carries out the declaration's load clause before the first step and says what is to be told about it; nil leaves the clause out.
	Load func(*plan.Load) (note string, err error)
	// Weights is the file that Save gets, instead of the declaration's, if not "".
	Weights string

	// Command is what the user types to resume, for messages; "nnc run FILE --resume" if it is "".
	Command string

	// Epoch is told the values of all epochs so far at the end of each, after the checkpoint, where there is one; it may be nil.
	Epoch func(history []map[string]float64)

	Out      io.Writer // nil prints nothing
	Terminal bool      // Out is a terminal: draw a progress bar
}

// Result is what a run that was not cut off came to.
type Result struct {
	// History has the values of each epoch by name: "loss", "accuracy", "val_loss", "val_accuracy".
	History []map[string]float64
	Steps   int    // in all
	Reached bool   // the target
	Kept    int    // the epoch whose parameters and states were put back at the end; 0 if those of the last one stay
	Weights string // the file they were saved to, or ""
	// Earlier is true if the checkpoint belongs to a train further down the file: this one was over, and nothing was done.
	Earlier bool
	// Finished is true if the checkpoint was that of a finished run: no step was done.
	Finished bool
}

// ErrNoCheckpoint says that there is nothing to resume.
var ErrNoCheckpoint = errors.New("there is no checkpoint to resume from: no run was begun, or the last one ended and removed its own; start anew without --resume")

// CheckpointPath returns where a program's checkpoint is: beside it, "catdog.ckpt" for catdog.nn.
func CheckpointPath(p *plan.Program) string {
	return strings.TrimSuffix(p.File, filepath.Ext(p.File)) + ".ckpt"
}

// Run carries out t. The cells of prog have been given their first values, by Init, by weights that were loaded, or by the trains
// before t. A target that is missed is no error. When ctx is cancelled Run finishes the step, saves the state and returns.
//
// Errors: *InterruptedError; *StepError, which holds a *runtime.NonFiniteError where one arose; ErrNoCheckpoint; a checkpoint of
// another program or seed, or a damaged one; what the data says; weights that cannot be saved.
func Run(ctx context.Context, prog runtime.Program, p *plan.Program, t *plan.Train, opt Options) (*Result, error) {
	r, err := prepare(prog, p, t, opt)
	if err != nil {
		return nil, err
	}
	defer r.saver.wait()
	over, err := r.start()
	if err != nil || over {
		return &Result{Earlier: true}, err
	}
	if err := r.load(); err != nil {
		return nil, err
	}
	finished, err := r.over()
	if err != nil {
		return nil, err
	}
	if finished {
		r.printf("%s holds a run that had finished: %s\n", r.saver.path, r.done.describe())
	} else if err := r.train(ctx); err != nil {
		return nil, err
	}
	if text := r.saver.pausesText(); text != "" {
		r.printf("checkpoints: %s\n", text)
	}
	result, err := r.finish()
	if result != nil {
		result.Finished = finished
	}
	return result, err
}

// run is a train being carried out.
type run struct {
	prog  runtime.Program
	p     *plan.Program
	t     *plan.Train
	opt   Options
	index int // of t in p

	ds      *data.Dataset         // nil for a train without data
	steps   map[string]*batchFunc // by name: see plan.Train.StepFunc
	target  *target
	sampler *batchFunc // nil if no pictures are drawn
	watch   *watch     // nil if there is nothing to watch
	saver   *saver

	done     progress
	kept     kept
	resumed  bool
	plateaus int             // before the epoch
	sums     *means          // of the epoch
	bar      *term.Bar       // that is on the terminal; nil if there is none
	told     map[string]bool // broken examples that were mentioned
}

// prepare checks all that can be checked before the first step, so that nothing fails after hours.
func prepare(prog runtime.Program, p *plan.Program, t *plan.Train, opt Options) (*run, error) {
	r := &run{prog: prog, p: p, t: t, opt: opt, index: slices.Index(p.Trains, t), target: newTarget(prog, t), told: map[string]bool{}}
	if r.opt.Out == nil {
		r.opt.Out = io.Discard
	}
	if opt.Buffers == nil {
		r.opt.Buffers = &data.Buffers{}
	}
	if opt.Command == "" {
		r.opt.Command = fmt.Sprintf("nnc run %s --resume", p.File)
	}
	r.done.Epochs, r.done.Steps = t.Epochs, t.Steps
	if opt.Epochs > 0 {
		r.done.Epochs = opt.Epochs
	}
	if opt.Steps > 0 {
		r.done.Steps = opt.Steps
	}
	if err := trainable(prog, t); err != nil {
		return nil, err
	}
	if err := r.openData(); err != nil {
		return nil, err
	}
	var err error
	r.steps = map[string]*batchFunc{}
	for due := range 1 << len(t.Every) {
		name := t.StepVariant(due)
		if r.steps[name], err = bind(prog, t, name, r.trainSplit()); err != nil {
			return nil, err
		}
		if t.Data == nil || !t.Data.Chance {
			continue
		}
		if r.steps[name+plan.EmptySuffix], err = bind(prog, t, name+plan.EmptySuffix, r.trainSplit()); err != nil {
			return nil, err
		}
	}
	if err := r.prepareSamples(); err != nil {
		return nil, err
	}
	r.sums = newMeans(r.t, stepNames(r.t))
	switch {
	case r.done.Epochs == 0 && r.target == nil:
		return nil, errors.New("a train needs epochs: or until:, or it would never end")
	case r.done.Steps == 0:
		return nil, errors.New("a train without data needs steps:, the steps of an epoch")
	}
	if err := r.target.check(r.valueNames(), r.validation() != nil); err != nil {
		return nil, err
	}
	if r.watch, err = newWatch(t, r.valueNames(), r.validation() != nil); err != nil {
		return nil, err
	}
	if err := r.checkWeights(); err != nil {
		return nil, err
	}
	return r, r.prepareCheckpoints()
}

func (r *run) openData() error {
	if r.t.Data == nil {
		return nil
	}
	r.ds = r.opt.Data
	if r.ds == nil {
		ds, err := Examples(r.t, func(d *plan.Data) (*data.Dataset, error) { return OpenData(r.p, d) })
		if err != nil {
			return err
		}
		r.ds = ds
	}
	if r.ds.Train == nil {
		return fmt.Errorf("data %s has no training split", r.t.Data.Name)
	}
	if r.t.FullBatch() < 1 {
		return fmt.Errorf("data %s: a batch must have at least 1 example, not %d", r.t.Data.Name, r.t.FullBatch())
	}
	for _, src := range []data.Source{r.ds.Train, r.ds.Validation} {
		if src != nil && src.Len() == 0 {
			return fmt.Errorf("data %s: a split has no examples", r.t.Data.Name)
		}
	}
	if r.done.Steps == 0 {
		r.done.Steps = (r.ds.Train.Len()-1)/r.t.FullBatch() + 1
	}
	return nil
}

func (r *run) trainSplit() data.Source {
	if r.ds == nil {
		return nil
	}
	return r.ds.Train
}

func (r *run) validation() data.Source {
	if r.ds == nil || r.t.Eval == "" {
		return nil
	}
	return r.ds.Validation
}

// valueNames returns the names of an epoch's values.
func (r *run) valueNames() []string {
	names := stepNames(r.t)
	if r.validation() != nil {
		for _, name := range evalNames(r.t) {
			names = append(names, "val_"+name)
		}
	}
	return names
}

// weightsPath returns where the weights go, or "".
func (r *run) weightsPath() string {
	path := r.opt.Weights
	if path == "" && r.t.Save != "" {
		path = fromFolder(r.p, r.t.Save)
	}
	if r.opt.Save == nil || r.opt.NoSave {
		return ""
	}
	return path
}

// checkWeights finds out whether there can be a file where the weights go.
func (r *run) checkWeights() error {
	path := r.weightsPath()
	if path == "" {
		return nil
	}
	if r.opt.Weights == "" {
		if err := access.Check(r.p, r.t.Save); err != nil {
			return r.saveError(path, err)
		}
	}
	weights := func(c *ir.Cell) bool { return c.Kind == ir.Param || c.Kind == ir.State }
	if err := checkPlace(path, bytesOf(r.prog, weights)); err != nil {
		return r.saveError(path, err)
	}
	return nil
}

// mostProbed bounds how much is written to find out whether there is room: it is gone before it comes to the disk.
const mostProbed = 64 << 20

// checkPlace finds out whether a file of so many bytes can be written there, as far as that can be known before.
func checkPlace(path string, size int) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return errors.New("it is a folder")
	}
	probe, err := os.CreateTemp(filepath.Dir(path), ".nnc-*")
	if err != nil {
		return fmt.Errorf("folder %s: %w", filepath.Dir(path), withoutPath(err))
	}
	err = fill(probe, min(size, mostProbed))
	probe.Close()
	if removed := os.Remove(probe.Name()); err == nil {
		return removed
	}
	return fmt.Errorf("folder %s: %w, and they need %s", filepath.Dir(path), withoutPath(err), term.Bytes(int64(size)))
}

// fill writes so many bytes, which no file system packs.
func fill(w io.Writer, size int) error {
	block := make([]byte, min(size, 1<<20))
	for i := range block {
		block[i] = byte(i * i >> 3)
	}
	for size > 0 {
		n, err := w.Write(block[:min(size, len(block))])
		if err != nil {
			return err
		}
		size -= n
	}
	return nil
}

func (r *run) saveError(path string, err error) error {
	err = fmt.Errorf("the weights cannot be saved to %s: %w", path, err)
	if at := r.t.SaveAt; at.File != "" && r.opt.Weights == "" {
		err = fmt.Errorf("%s:%d:%d: %w", at.File, at.Line, at.Col, err)
	}
	return err
}

func (r *run) prepareCheckpoints() error {
	r.saver = &saver{
		path: r.opt.Checkpoint, every: r.opt.CheckpointEvery, steps: r.opt.CheckpointSteps, began: time.Now(),
		warn: func(text string) { r.printf("warning: %s\n", text) },
	}
	if r.saver.path == "" {
		r.saver.path = CheckpointPath(r.p)
	}
	if r.saver.every == 0 {
		r.saver.every = 30 * time.Second
	}
	if r.opt.NoCheckpoint {
		r.saver.path = ""
		if r.opt.Resume {
			return errors.New("a run without checkpoints cannot be resumed")
		}
	}
	r.saver.removeLeftovers()
	return nil
}

// start sets the run on its place: the beginning, or where the checkpoint left off. It reports whether there is nothing to do
// since the checkpoint is that of a later train.
func (r *run) start() (over bool, err error) {
	if r.ds != nil {
		for _, note := range r.ds.Notes {
			r.printf("data: %s\n", note)
		}
		r.tellSkipped()
	}
	if r.saver.path == "" {
		return false, nil
	}
	ck, err := readCheckpoint(r.saver.path)
	switch {
	case errors.Is(err, errNotCheckpoint):
		return false, fmt.Errorf("%w, and would be replaced: move it out of the way, or name another file for the checkpoint", err)
	case !r.opt.Resume:
		r.mention(ck, err)
		return false, nil
	case errors.Is(err, os.ErrNotExist):
		return false, fmt.Errorf("%s: %w", r.saver.path, ErrNoCheckpoint)
	case err != nil:
		return false, err
	}
	if err := r.compatible(ck); err != nil {
		return false, fmt.Errorf("cannot resume from %s: %w", r.saver.path, err)
	}
	if ck.Train != r.index {
		r.saver.own = ck.Train < r.index
		return ck.Train > r.index, nil
	}
	if err := ck.restore(r.prog, r.p); err != nil {
		return false, fmt.Errorf("cannot resume from %s: %w", r.saver.path, err)
	}
	if err := r.resumeKept(ck); err != nil {
		return false, fmt.Errorf("cannot resume from %s: %w", r.saver.path, err)
	}
	r.resumed = true
	epochs := r.done.Epochs
	r.done = ck.progress
	r.done.Epochs = epochs
	r.sums.examples = ck.Examples
	for i, sum := range ck.Sums {
		r.sums.sums[i] = float64(sum)
	}
	r.saver.good, r.saver.goodStep, r.saver.lastStep = true, ck.Step, ck.Step
	if r.done.Step > 0 {
		r.printf("resuming after step %d (%s)\n", r.done.Step, r.done.describe())
	}
	return false, nil
}

// load gives cells the values that the program loads. A run that goes on has them already.
func (r *run) load() error {
	if r.t.Load == nil || r.opt.Load == nil || r.resumed {
		return nil
	}
	note, err := r.opt.Load(r.t.Load)
	if err != nil {
		if at := r.t.Load.At; at.File != "" {
			err = fmt.Errorf("%s:%d:%d: %w", at.File, at.Line, at.Col, err)
		}
		return err
	}
	text := "weights loaded from " + r.t.Load.File
	if r.t.Load.Into != "" {
		text += " into " + r.t.Load.Into
	}
	if note != "" {
		text += "; " + note
	}
	r.printf("%s\n", text)
	return nil
}

// mention tells of a checkpoint that a run from the beginning is going to replace.
func (r *run) mention(ck *checkpoint, err error) {
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		r.printf("note: %v; this run will replace it\n", err)
	case ck.Train < r.index: // the train before this one left it
		r.saver.own = true
	default:
		r.saver.old = r.saver.path + ".old"
		r.printf("note: %s holds an unfinished run (%s), which --resume would go on with; this run starts anew and keeps the other as %s\n",
			r.saver.path, ck.describe(), r.saver.old)
	}
}

// compatible compares a checkpoint with the run that is to go on from it.
func (r *run) compatible(ck *checkpoint) error {
	if err := sameCells(r.prog.Module().Cells, r.p, ck.Cells); err != nil {
		return err
	}
	if ck.Train < 0 || ck.Train >= len(r.p.Trains) || ck.Label != r.p.Trains[ck.Train].Label {
		return fmt.Errorf("the program has changed: the checkpoint is that of train %q, number %d in the file", ck.Label, ck.Train+1)
	}
	if ck.Seed != r.opt.Seed {
		return fmt.Errorf("it was begun with seed %d, not %d", ck.Seed, r.opt.Seed)
	}
	if ck.Train != r.index {
		return nil
	}
	if ck.Steps != r.done.Steps {
		return fmt.Errorf("it was begun with %d steps an epoch, not %d", ck.Steps, r.done.Steps)
	}
	if len(ck.Names) > 0 && !slices.Equal(ck.Names, stepNames(r.t)) {
		return fmt.Errorf("the program has changed: its values are %s now and %s in the checkpoint",
			strings.Join(stepNames(r.t), ", "), strings.Join(ck.Names, ", "))
	}
	return nil
}

// finish saves the weights and says how the run ended.
func (r *run) finish() (*Result, error) {
	result := &Result{History: r.history(), Steps: r.done.Step}
	reached, err := r.target.reached(r.lastValues())
	if err != nil {
		return nil, err
	}
	result.Reached = reached
	switch {
	case r.target == nil:
	case reached:
		r.printf("target %s reached after epoch %d\n", r.target.text, r.done.Epoch)
	default:
		r.printf("%s\n", r.target.missed(result.History))
	}
	if r.watch.exhausted(r.done.History) && (r.done.Epochs == 0 || r.done.Epoch < r.done.Epochs) {
		r.printf("stopped after epoch %d: %s has not improved for %s\n", r.done.Epoch, r.watch.name, epochsText(r.watch.idle(r.done.History)))
	}
	if r.opt.KeepCheckpoint { // before the best weights are put back: with more epochs, a run goes on from the last ones
		if err := r.capturedInto(r.saver.write); err != nil {
			return nil, err
		}
	}
	last, err := r.restoreBest()
	if err != nil {
		return nil, err
	}
	result.Kept = r.kept.epoch
	if err := r.redraw(); err != nil {
		return nil, err
	}
	if path := r.weightsPath(); path != "" {
		if err := r.opt.Save(path); err != nil {
			return nil, r.keepUnsaved(path, last, err)
		}
		result.Weights = path
		r.printf("weights saved to %s\n", path)
	}
	if r.opt.KeepCheckpoint {
		return result, nil
	}
	if err := r.saver.discard(); err != nil {
		r.printf("warning: %v\n", err)
	}
	return result, nil
}

// keepUnsaved keeps the outcome of a run whose weights cannot be saved: its last weights, from which more epochs can go on, and beside
// them the best ones.
func (r *run) keepUnsaved(path string, last kept, err error) error {
	err = r.saveError(path, err)
	if err := last.restore(r.prog); err != nil {
		return err
	}
	switch {
	case r.saver.path != "" && r.save() == nil:
	case r.saver.goodStep > 0:
		return fmt.Errorf("%w; the state after step %d is in %s: `%s` goes on from there and tries again", err, r.saver.goodStep, r.saver.path, r.opt.Command)
	case r.saver.path == "":
		return fmt.Errorf("%w; checkpoints are off, so the run's weights are lost", err)
	default:
		return fmt.Errorf("%w; the run's weights are lost, since no checkpoint could be written either", err)
	}
	return fmt.Errorf("%w; nothing is lost: the state is in %s, and `%s` tries again", err, r.saver.path, r.opt.Command)
}

// tellSkipped names broken examples, a few of many, that were not named yet.
func (r *run) tellSkipped() {
	const most = 5
	var lines []string
	for _, src := range []data.Source{r.ds.Train, r.ds.Validation} {
		s, ok := src.(data.SkipReporter)
		if !ok {
			continue
		}
		for _, line := range s.Skipped() {
			if !r.told[line] {
				r.told[line] = true
				lines = append(lines, line)
			}
		}
	}
	for _, line := range lines[:min(most, len(lines))] {
		r.printf("data: skipped %s\n", line)
	}
	if n := len(lines) - most; n > 0 {
		r.printf("data: skipped %d more\n", n)
	}
}

// printf prints above the progress bar, if there is one.
func (r *run) printf(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !r.bar.Print(text) {
		io.WriteString(r.opt.Out, text)
	}
}
