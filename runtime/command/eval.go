package command

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

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

	// Draw is given the metrics that are tensors, if it is not nil.
	Draw func([]Tensor) error `kong:"-"`
}

// Tensor is the value of a metric that is no single number.
type Tensor struct {
	Train   string // its label; "" if it has none
	Metric  string
	Shape   []int
	Values  []float64 // in row-major order
	Classes []string  // of the data; nil if it has none
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
	var tensors []Tensor
	var without []string
	for _, t := range p.Plan.Trains {
		ds, err := p.examples(t)
		if err != nil {
			return err
		}
		if ds == nil || ds.Test == nil {
			without = append(without, noTest(t))
			continue
		}
		m, err := p.measure(context.Background(), std, prog, t.Reported(), train.EvalOptions{Steps: int(c.Steps), Seed: c.Seed})
		if err != nil {
			return err
		}
		m.added = added(t)
		tensors = append(tensors, m.tensors()...)
		if c.JSON {
			if err := m.printJSON(std.Out); err != nil {
				return err
			}
			continue
		}
		m.print(std.Out, std.Err)
	}
	if len(without) == len(p.Plan.Trains) {
		return fmt.Errorf("there is nothing to measure on: %s", strings.Join(without, "; "))
	}
	for _, why := range without {
		fmt.Fprintf(std.Err, "note: %s\n", why)
	}
	if c.Draw == nil {
		return nil
	}
	return c.Draw(tensors)
}

// added are the metrics that the train does not list.
func added(t *plan.Train) []string {
	if t.Report == nil {
		return nil
	}
	return t.Report.Added
}

// noTest says that a train has no test data, and what gives it some.
func noTest(t *plan.Train) string {
	of := "this train"
	if t.Label != "" {
		of = "train " + t.Label
	}
	if t.Data == nil {
		return of + " is on no data: its metrics are those that are printed while it trains"
	}
	var names []string
	for _, d := range t.AllData() {
		names = append(names, d.Name)
	}
	give := "give it files for test:, or a third share in split"
	switch s := t.Data.Source; {
	case len(names) > 1:
		give = "each of them needs a test split"
	case s.ImageFolder != nil || s.WAV != nil:
		give = "give it a folder for test:, or a third share in split"
	case s.IDX != nil:
		give = "give it test_images: and test_labels:"
	case s.Synthetic != nil:
		give = "add test: 1000 to its source"
	}
	return fmt.Sprintf("%s is on %s, which has no test split: %s", of, strings.Join(names, ", "), give)
}

// tensors returns the metrics that are no single numbers.
func (m *measured) tensors() []Tensor {
	var all []Tensor
	for _, name := range m.train.Metrics {
		shape := m.train.Tensors[name]
		if shape == nil {
			continue
		}
		t := Tensor{Train: m.train.Label, Metric: name, Shape: shape, Classes: m.classes}
		for _, value := range m.train.Names(name) {
			t.Values = append(t.Values, m.values[value])
		}
		all = append(all, t)
	}
	return all
}

// measured is what a train's models came to on the test split.
type measured struct {
	train    *plan.Train
	values   map[string]float64
	classes  []string // of the data; nil if it has none
	examples int      // visited, each as often as it was
	broken   []string // examples that were left out
	added    []string // metrics that the train does not list
}

// measure measures one train's models on the test split. A progress bar is drawn if standard error is a terminal.
func (p *Program) measure(ctx context.Context, std *Streams, prog runtime.Program, t *plan.Train, opt train.EvalOptions) (*measured, error) {
	ds, err := p.examples(t)
	if err != nil {
		return nil, err
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
	m := &measured{train: t, values: values, examples: n, classes: ds.Labels}
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
	if m.train.Label != "" {
		of = m.train.Label + ": test"
	}
	for _, name := range append([]string{plan.ResultLoss}, m.train.Metrics...) {
		words := strings.ReplaceAll(name, "_", " ")
		if shape := m.train.Tensors[name]; shape != nil {
			if len(m.train.Names(name)) > mostPrinted && slices.Contains(m.added, name) {
				continue
			}
			if len(m.train.Names(name)) > mostPrinted {
				fmt.Fprintf(out, "%s %s: %d numbers, which --json and --plot of eval show\n", of, words, len(m.train.Names(name)))
				continue
			}
			fmt.Fprintf(out, "%s %s:\n", of, words)
			m.printTensor(out, name, shape)
			continue
		}
		fmt.Fprintf(out, "%s %s: %.4f\n", of, words, m.values[name])
	}
}

// mostPrinted is how many elements of a tensor are printed at most: a matrix of 16 classes.
const mostPrinted = 256

// printTensor writes a matrix as a table, a vector as one row of it, and of more dimensions the matrices after each other. Rows and columns that
// are as many as the classes of the data have their names.
func (m *measured) printTensor(out io.Writer, name string, shape plan.Shape) {
	columns := shape[len(shape)-1]
	rows := 1
	if len(shape) > 1 {
		rows = shape[len(shape)-2]
	}
	heads := func(n int) []string {
		if n == len(m.classes) {
			return m.classes
		}
		return nil
	}
	values := m.train.Names(name)
	format := "%.0f\t" // counts
	if slices.ContainsFunc(values, func(v string) bool { return m.values[v] != math.Trunc(m.values[v]) }) {
		format = "%.4f\t"
	}
	for len(values) > 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		top, left := heads(columns), []string(nil)
		if len(shape) > 1 {
			left = heads(rows)
		}
		if top != nil {
			if left != nil {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprintln(w, strings.Join(top, "\t")+"\t")
		}
		for i := range rows {
			if left != nil {
				fmt.Fprint(w, left[i]+"\t")
			}
			for _, value := range values[:columns] {
				fmt.Fprintf(w, format, m.values[value])
			}
			fmt.Fprintln(w)
			values = values[columns:]
		}
		_ = w.Flush() // as Fprintf above
		if len(values) > 0 {
			fmt.Fprintln(out)
		}
	}
}

func (m *measured) printJSON(out io.Writer) error {
	values := map[string]any{}
	for _, name := range append([]string{plan.ResultLoss}, m.train.Metrics...) {
		var level []any
		for _, value := range m.train.Names(name) {
			level = append(level, finite(m.values[value]))
		}
		shape := m.train.Tensors[name]
		for k := len(shape) - 1; k >= 0; k-- { // the last dimension's elements become lists, and so on
			var lists []any
			for list := range slices.Chunk(level, shape[k]) {
				lists = append(lists, list)
			}
			level = lists
		}
		values[name] = level[0]
	}
	classes := m.classes
	if len(m.train.Tensors) == 0 {
		classes = nil
	}
	return WriteJSON(out, struct {
		Train    string         `json:"train,omitempty"`
		Values   map[string]any `json:"values"`
		Classes  []string       `json:"classes,omitempty"` // the order of what a tensor among the values has
		Examples int            `json:"examples"`
		Broken   []string       `json:"broken,omitempty"`
	}{m.train.Label, values, classes, m.examples, m.broken})
}
