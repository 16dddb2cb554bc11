package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/term"
	"github.com/nnc-lang/nnc/runtime/train"
)

// evalCmd measures a trained program on its test data.
type evalCmd struct {
	source
	engine
	Weights string `help:"The trained weights; the file that the program saves, if it is left out." placeholder:"FILE"`
	Steps   count  `help:"Measure this many batches in a random order, going over the data again where they need more, as Keras does. Without it each example is visited once." placeholder:"N"`
	Seed    int32  `default:"1" help:"What the order of the examples follows from, with --steps."`
	JSON    bool   `name:"json" help:"Print a line of JSON for each train block."`
}

// Help shows how the command is used.
func (evalCmd) Help() string {
	return `Prints the loss and the metrics of the train block, such as "Test accuracy: 0.8125". Broken test examples are named and left out.

    nnc eval catdog.nn
    nnc eval catdog.nn --weights model.h5 --steps 50`
}

// Run carries out the command.
func (c *evalCmd) Run(std *streams) error {
	l, err := c.load(std, needsData)
	if err != nil {
		return err
	}
	if len(l.plan.Trains) == 0 {
		return fmt.Errorf("%s declares no training, so there is nothing to measure; `nnc test %s` runs its tests", c.File, c.File)
	}
	prog, err := l.trained(c.Weights, c.engine)
	if err != nil {
		return err
	}
	for _, t := range l.plan.Trains {
		m, err := evaluate(context.Background(), std, prog, l, t, train.EvalOptions{Steps: int(c.Steps), Seed: c.Seed})
		if err != nil {
			return err
		}
		if c.JSON {
			if err := m.printJSON(std.out); err != nil {
				return err
			}
			continue
		}
		m.print(std.out, std.err)
	}
	return nil
}

// measured is what a train's models came to on the test split.
type measured struct {
	label    string
	names    []string // of values, the loss first
	values   map[string]float64
	examples int      // visited, each as often as it was
	broken   []string // examples that were left out
}

// evaluate measures one train's models on the test split. A progress bar is drawn if standard error is a terminal.
func evaluate(ctx context.Context, std *streams, prog runtime.Program, l *loaded, t *plan.Train, opt train.EvalOptions) (*measured, error) {
	ds := l.data[t.Data]
	if ds == nil || ds.Test == nil {
		return nil, fmt.Errorf("%s has no test data: give its data a test folder, or a third share in split", l.plan.File)
	}
	var bar *term.Bar
	if term.IsTerminal(std.err) {
		opt.Progress = func(done, total, examples int) {
			if bar == nil {
				bar = term.NewBar(std.err, "Test", "examples", total, 0)
			}
			bar.Step(examples)
		}
	}
	values, n, err := train.Evaluate(ctx, prog, l.plan, t, ds.Test, opt)
	bar.Clear()
	if err != nil {
		return nil, err
	}
	m := &measured{label: t.Label, names: append([]string{plan.ResultLoss}, t.Metrics...), values: values, examples: n}
	if s, ok := ds.Test.(data.SkipReporter); ok {
		m.broken = s.Skipped()
	}
	return m, nil
}

// print writes the values to out, as `Test accuracy: 0.8125`, and which examples are broken to notes.
func (m *measured) print(out, notes io.Writer) {
	const most = 5
	for _, line := range m.broken[:min(most, len(m.broken))] {
		fmt.Fprintf(notes, "data: skipped %s\n", line)
	}
	if n := len(m.broken); n > most {
		fmt.Fprintf(notes, "data: skipped %d more\n", n-most)
	}
	switch n := len(m.broken); {
	case n == 1:
		fmt.Fprintln(notes, "data: 1 broken test example does not count")
	case n > 1:
		fmt.Fprintf(notes, "data: %d broken test examples do not count\n", n)
	}
	of := "Test"
	if m.label != "" {
		of = m.label + ": test"
	}
	for _, name := range m.names {
		fmt.Fprintf(out, "%s %s: %.4f\n", of, strings.ReplaceAll(name, "_", " "), m.values[name])
	}
}

func (m *measured) printJSON(out io.Writer) error {
	values := map[string]*float64{}
	for name, v := range m.values {
		values[name] = finite(v)
	}
	return writeJSON(out, struct {
		Train    string              `json:"train,omitempty"`
		Values   map[string]*float64 `json:"values"`
		Examples int                 `json:"examples"`
		Broken   []string            `json:"broken,omitempty"`
	}{m.label, values, m.examples, m.broken})
}

// finite is nil, which JSON writes as null, for what JSON has no number for.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
