package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/train"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// Train trains as the program declares, saves the weights and measures them.
type Train struct {
	Seed   int32 `default:"1" help:"What all random numbers follow from."`
	Epochs Count `help:"Train this many epochs at most, instead of the program's number." placeholder:"N"`
	Resume bool  `help:"Go on where an interrupted run stopped."`
	Weights
	NoSave  bool   `help:"Do not save the weights."`
	History string `help:"Write the values of all epochs to this file, anew after each (CSV)." placeholder:"FILE"`

	Records []Record `kong:"-"` // that are written beside the history

	// Measured, if not nil, is told what each train came to, instead of the user: on its test data, which the names of the values say, or in its last epoch,
	// where it has none. There are no checkpoints then.
	Measured func(t *plan.Train, values []Named) `kong:"-"`
}

// Check finds out what is wrong with the call before the program is compiled.
func (c *Train) Check() error {
	for _, r := range c.records() {
		if err := r.check(); err != nil {
			return err
		}
	}
	if c.Weights.Weights == "" {
		return nil
	}
	return CheckFile(c.Weights.Weights)
}

// Run carries out the command.
func (c *Train) Run(std *Streams, p *Program) error {
	if err := c.Check(); err != nil {
		return err
	}
	if len(p.Plan.Trains) == 0 {
		return fmt.Errorf("%s declares no training: add a train block; `%s` runs its tests", p.Plan.File, p.call(VerbTest))
	}
	for _, t := range p.Plan.Trains {
		if c.NoSave || t.Save == "" {
			continue
		}
		if err := weights.CheckSave(t.Save, p.Plan); err != nil {
			return fmt.Errorf("%s%s cannot be saved: %w", t.SaveAt.Prefix(), t.Save, err)
		}
	}
	prog, err := p.Fresh(c.Seed)
	if err != nil {
		return err
	}
	if c.Weights.Weights != "" {
		if err := c.Weights.load(std, c.Weights.Weights, prog, p); err != nil {
			return err
		}
	}
	// The compiler's memory goes back to the system. What is allocated from here on are batches and pixels, in which nothing is to be searched:
	// collecting often costs little, and twice the memory would cost much.
	debug.FreeOSMemory()
	debug.SetGCPercent(10)
	ctx, stop := UntilInterrupted()
	defer stop()
	var buffers data.Buffers // of all that is read from here on
	for i, t := range p.Plan.Trains {
		ds, err := p.examples(t)
		if err != nil {
			return err
		}
		record := recorder(c.records(), p.Plan, i, std.Err)
		result, err := train.Run(ctx, prog, p.Plan, t, train.Options{
			Seed: c.Seed, Epochs: int(c.Epochs), Resume: c.Resume, Data: ds, Buffers: &buffers, KeepCheckpoint: i < len(p.Plan.Trains)-1,
			NoSave: c.NoSave, Save: saver(std.Out, prog, p.Plan), Load: c.loader(prog, p.Plan, i),
			Out: std.Out, Terminal: std.OnTerminal(), Command: c.resumeCommand(p),
			Epoch: record, NoCheckpoint: c.Measured != nil,
		})
		if err != nil {
			return err
		}
		if result.Finished {
			record(result.History)
		}
		if result.Earlier {
			continue
		}
		if ds == nil || ds.Test == nil {
			if n := len(result.History); c.Measured != nil && n > 0 {
				c.Measured(t, numbers(t, "", result.History[n-1]))
			}
			continue
		}
		measured, err := p.measure(ctx, std, prog, t, train.EvalOptions{Buffers: &buffers})
		if errors.Is(err, context.Canceled) {
			fmt.Fprintf(std.Err, "interrupted while the test data was measured; `%s` does it again\n", p.call(VerbEval))
			return ErrFailed
		}
		if err != nil {
			return err
		}
		if c.Measured != nil {
			c.Measured(t, numbers(t, "test ", measured.values))
			continue
		}
		measured.print(std.Out, std.Out)
	}
	return nil
}

// Named is a value and what it is called: "test accuracy", or "pets: test accuracy" of a train that has a label.
type Named struct {
	Name  string
	Value float64
}

// numbers lists the values of a train that are single numbers, the loss first, then metrics in their order, and what was validated behind what was
// trained.
func numbers(t *plan.Train, what string, values map[string]float64) (list []Named) {
	if t.Label != "" {
		what = t.Label + ": " + what
	}
	for _, split := range []string{"", "val_"} {
		for _, name := range append([]string{plan.ResultLoss}, t.Metrics...) {
			if v, ok := values[split+name]; ok && t.Tensors[name] == nil {
				list = append(list, Named{what + strings.ReplaceAll(split+name, "_", " "), v})
			}
		}
	}
	return list
}

func (c *Train) records() []Record {
	return append([]Record{{Flag: "--history", Path: c.History, Make: func(history []map[string]float64, _ string) ([]byte, error) { return historyCSV(history), nil }}}, c.Records...)
}

// saver writes the weights and says on out what the file cannot hold.
func saver(out io.Writer, prog runtime.Program, p *plan.Program) func(path string) error {
	return func(path string) error {
		note, err := weights.SaveProgram(path, prog, p)
		if err == nil && note != "" {
			fmt.Fprintln(out, note)
		}
		return err
	}
}

// loader loads what the program says, except where the command line gives the weights that the first train starts from.
func (c *Train) loader(prog runtime.Program, p *plan.Program, train int) func(*plan.Load) (string, error) {
	if c.Weights.Weights != "" && train == 0 {
		return nil
	}
	return func(load *plan.Load) (string, error) { return weights.Load(prog, p, load) }
}

// UntilInterrupted returns a context that ends with the first Ctrl-C, so that the state can be saved. The second one kills as usual.
func UntilInterrupted() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// resumeCommand is the command line that goes on with this run: the one that began it, with --resume.
func (c *Train) resumeCommand(p *Program) string {
	words := append([]string{}, p.Settings...)
	if c.Seed != 1 {
		words = append(words, "--seed", fmt.Sprint(c.Seed))
	}
	if c.Epochs != 0 {
		words = append(words, "--epochs", fmt.Sprint(int(c.Epochs)))
	}
	if c.NoSave {
		words = append(words, "--no-save")
	}
	for _, r := range c.records() {
		if r.Path != "" {
			words = append(words, r.Flag, r.Path)
		}
	}
	return p.call(VerbTrain, append(words, "--resume")...)
}
