package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/train"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// runCmd trains as the program declares.
type runCmd struct {
	source
	engine
	records
	Seed    int32  `default:"1" help:"What all random numbers follow from."`
	Epochs  count  `help:"Train this many epochs at most, instead of the program's number." placeholder:"N"`
	Resume  bool   `help:"Go on where an interrupted run stopped."`
	Weights string `help:"Start from the weights in this file." placeholder:"FILE"`
	NoSave  bool   `help:"Do not save the weights."`
}

// Help shows how the command is used.
func (runCmd) Help() string {
	return `Trains until the epochs are over or the target of until: is reached, saves the weights to the file of save:, and measures the program on its test data.

    nnc run catdog.nn
    nnc run catdog.nn --set image_size=64 --epochs 3
    nnc run catdog.nn --history h.csv --plot h.png
    nnc run catdog.nn --resume           after Ctrl-C, a crash or a power cut

The same seed gives the same weights, bit for bit. While it trains, the state is kept in a file beside the program (catdog.ckpt), from which --resume goes on.`
}

// Run carries out the command.
func (c *runCmd) Run(std *streams) error {
	if err := c.records.check(); err != nil {
		return err
	}
	if c.Weights != "" {
		if err := checkExists(c.Weights); err != nil {
			return err
		}
	}
	l, err := c.load(std, needsData)
	if err != nil {
		return err
	}
	if len(l.plan.Trains) == 0 {
		return fmt.Errorf("%s declares no training: add a train block; `nnc test %s` runs its tests", c.File, c.File)
	}
	prog, err := l.build(c.Seed, c.engine)
	if err != nil {
		return err
	}
	if c.Weights != "" {
		if err := weights.LoadProgram(c.Weights, prog, l.plan); err != nil {
			return err
		}
	}
	ctx, stop := untilInterrupted()
	defer stop()
	for i, t := range l.plan.Trains {
		record := c.records.writer(l.plan, i, std.err)
		result, err := train.Run(ctx, prog, l.plan, t, train.Options{
			Seed: c.Seed, Epochs: int(c.Epochs), Resume: c.Resume, Data: l.data[t.Data], KeepCheckpoint: i < len(l.plan.Trains)-1,
			NoSave: c.NoSave, Save: c.saver(std.out, prog, l), Load: c.loader(prog, l, i),
			Out: std.out, Terminal: std.onTerminal(), Command: c.resumeCommand(),
			Epoch: record,
		})
		if err != nil {
			return err
		}
		if result.Finished {
			record(result.History)
		}
		if ds := l.data[t.Data]; result.Earlier || ds == nil || ds.Test == nil {
			continue
		}
		measured, err := evaluate(ctx, std, prog, l, t, train.EvalOptions{})
		if errors.Is(err, context.Canceled) {
			fmt.Fprintf(std.err, "interrupted while the test data was measured; `nnc eval %s` does it again\n", c.File)
			return errFailed
		}
		if err != nil {
			return err
		}
		measured.print(std.out, std.out)
	}
	return nil
}

// saver writes the weights and says on out what the file cannot hold.
func (c *runCmd) saver(out io.Writer, prog runtime.Program, l *loaded) func(path string) error {
	return func(path string) error {
		note, err := weights.SaveProgram(path, prog, l.plan)
		if err == nil && note != "" {
			fmt.Fprintln(out, note)
		}
		return err
	}
}

// loader loads what the program says, except where the command line gives the weights that the first train starts from.
func (c *runCmd) loader(prog runtime.Program, l *loaded, train int) func(*plan.Load) (string, error) {
	if c.Weights != "" && train == 0 {
		return nil
	}
	return func(load *plan.Load) (string, error) { return weights.Load(prog, l.plan, load) }
}

// untilInterrupted returns a context that ends with the first Ctrl-C, so that the state can be saved. The second one kills as usual.
func untilInterrupted() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
