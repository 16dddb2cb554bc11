package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/train"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// evalCmd measures a trained program on its test data.
type evalCmd struct {
	source
	Weights string `help:"The trained weights; the file that the program saves, if it is left out." placeholder:"FILE"`
	Steps   int    `help:"Measure this many batches, going over the data again where they need more. Without it each example is visited once."`
	Seed    int32  `default:"1" help:"What the order of examples follows from, with --steps."`
}

// Run carries out the command.
func (c *evalCmd) Run(ctx context.Context, std *streams) error {
	l, err := c.load(std, false)
	if err != nil {
		return err
	}
	if len(l.plan.Trains) == 0 {
		return fmt.Errorf("%s declares no training, so there is nothing to measure", c.File)
	}
	prog, err := l.build(0)
	if err != nil {
		return err
	}
	if err := loadTrained(prog, l.plan, c.Weights); err != nil {
		return err
	}
	for _, t := range l.plan.Trains {
		if err := printTest(ctx, std, prog, l, t, *c); err != nil {
			return err
		}
	}
	return nil
}

// printTest measures one train's models on the test split and prints what came out: `Test accuracy: 0.8125`.
func printTest(ctx context.Context, std *streams, prog runtime.Program, l *loaded, t *plan.Train, c evalCmd) error {
	ds := l.data[t.Data]
	if ds == nil || ds.Test == nil {
		return errors.New("the data has no test split: give it a test folder, or a third share in split")
	}
	values, n, err := train.Evaluate(ctx, prog, l.plan, t, ds.Test, train.EvalOptions{Steps: c.Steps, Seed: c.Seed})
	if err != nil {
		return err
	}
	for _, name := range append([]string{plan.ResultLoss}, t.Metrics...) {
		fmt.Fprintf(std.out, "Test %s: %.4f\n", strings.ReplaceAll(name, "_", " "), values[name])
	}
	if broken := ds.Test; broken != nil {
		_ = n
	}
	return nil
}

// loadTrained loads the weights of a file, or of the one that the program saves.
func loadTrained(prog runtime.Program, p *plan.Program, file string) error {
	if file == "" {
		for _, t := range p.Trains {
			if t.Save != "" {
				file = beside(p.File, t.Save)
			}
		}
		if file == "" {
			return fmt.Errorf("the program saves no weights: give a file of trained weights with --weights FILE, or add save: \"model.h5\" to its train block and run `nnc run %s`", p.File)
		}
		if missing(file) {
			return fmt.Errorf("there are no trained weights yet: train them with `nnc run %s`, which writes %s, or give a file with --weights FILE", p.File, file)
		}
	}
	if missing(file) {
		return fmt.Errorf("there is no file %s", file)
	}
	return weights.LoadProgram(file, prog, p)
}
