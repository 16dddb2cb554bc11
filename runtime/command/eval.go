package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/term"
	"github.com/nnc-lang/nnc/runtime/train"
)

// Eval measures a trained program on its test data.
type Eval struct {
	Weights
	Steps Count `help:"Measure this many batches in a random order, going over the data again where they need more, as Keras does. Without it each example is visited once." placeholder:"N"`
	Seed  int32 `default:"1" help:"What the order of the examples follows from, with --steps."`
	JSON  bool  `name:"json" help:"Print a line of JSON for each train block."`
}

// Run carries out the command.
func (c *Eval) Run(std *Streams, p *Program) error {
	if len(p.Plan.Trains) == 0 {
		return fmt.Errorf("%s declares no training, so there is nothing to measure; `%s` runs its tests", p.Plan.File, p.call(VerbTest))
	}
	prog, err := p.Trained(std, c.Weights)
	if err != nil {
		return err
	}
	for _, t := range p.Plan.Trains {
		m, err := p.measure(context.Background(), std, prog, t, train.EvalOptions{Steps: int(c.Steps), Seed: c.Seed})
		if err != nil {
			return err
		}
		if c.JSON {
			if err := m.printJSON(std.Out); err != nil {
				return err
			}
			continue
		}
		m.print(std.Out, std.Err)
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

// measure measures one train's models on the test split. A progress bar is drawn if standard error is a terminal.
func (p *Program) measure(ctx context.Context, std *Streams, prog runtime.Program, t *plan.Train, opt train.EvalOptions) (*measured, error) {
	ds, err := p.examples(t)
	if err != nil {
		return nil, err
	}
	if ds == nil || ds.Test == nil {
		return nil, fmt.Errorf("%s has no test data: give its data a test folder, or a third share in split", p.Plan.File)
	}
	var bar *term.Bar
	if term.IsTerminal(std.Err) {
		opt.Progress = func(done, total, examples int) {
			if bar == nil {
				bar = term.NewBar(std.Err, "Test", "examples", total, 0)
			}
			bar.Step(examples)
		}
	}
	values, n, err := train.Evaluate(ctx, prog, p.Plan, t, ds.Test, opt)
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
	return WriteJSON(out, struct {
		Train    string              `json:"train,omitempty"`
		Values   map[string]*float64 `json:"values"`
		Examples int                 `json:"examples"`
		Broken   []string            `json:"broken,omitempty"`
	}{m.label, values, m.examples, m.broken})
}
