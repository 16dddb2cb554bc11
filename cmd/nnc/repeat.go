package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime/command"
)

// repeatCmd trains a program once for each choice of seeds and options.
type repeatCmd struct {
	source
	engine
	Over   []string      `help:"An option of the program and its values, NAME=1..5 or NAME=0.1,0.01; with several options each value of one meets each of the other." placeholder:"NAME=VALUES" sep:"none"`
	Seeds  string        `default:"1" help:"The seeds, 1..3 or 1,5,9." placeholder:"SEEDS"`
	Epochs command.Count `help:"Train this many epochs at most, instead of the program's number." placeholder:"N"`
	NoSave bool          `help:"Do not save the weights, which are those of the last run in the end."`
	JSON   bool          `name:"json" help:"Print a line of JSON for each run, and one for what they come to."`
}

// Help shows how the command is used.
func (repeatCmd) Help() string {
	return `Trains the program once for each seed and each value of the options that are named, measures it on its test data, and prints the mean of each value, its standard deviation over the runs, and the interval that holds the mean of all such runs with a probability of 95 % (Student's t).

    nnc repeat digits.nn --seeds 1..3
    nnc repeat diagnosis.nn --over fold=1..5          cross-validation
    nnc repeat flowers.nn --over rate=0.1,0.01 --seeds 1..5 --json

The interval takes runs for independent. Folds share most of their training examples, so that theirs is somewhat too narrow.`
}

// mostRuns bounds how often a program is trained.
const mostRuns = 10000

// trial is one run: its seed, and what its options are.
type trial struct {
	seed int32
	set  map[string]string
}

// Run carries out the command.
func (c *repeatCmd) Run(std *command.Streams) error {
	trials, err := c.trials()
	if err != nil {
		return err
	}
	var all totals
	for _, t := range trials {
		values, err := c.try(std, t)
		if err != nil {
			return err
		}
		all.add(values)
		if c.JSON {
			err = command.WriteJSON(std.Out, struct {
				Seed   int32              `json:"seed"`
				Set    map[string]string  `json:"set,omitempty"`
				Values map[string]float64 `json:"values"`
			}{t.seed, t.set, finiteOf(values)})
		} else {
			_, err = fmt.Fprintf(std.Out, "%s: %s\n", c.name(t), sentence(values))
		}
		if err != nil {
			return err
		}
	}
	if c.JSON {
		return command.WriteJSON(std.Out, all.json(len(trials)))
	}
	return all.print(std.Out)
}

// trials lists the runs, the last option changing fastest, and the seed before all options.
func (c *repeatCmd) trials() ([]trial, error) {
	seeds, err := valuesOf("--seeds", c.Seeds)
	if err != nil {
		return nil, err
	}
	var list []trial
	for _, s := range seeds {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return nil, command.Misuse("--seeds: %q is no seed, which is a whole number of 32 bits", s)
		}
		list = append(list, trial{seed: int32(n)})
	}
	given := map[string]bool{}
	for _, o := range c.Over {
		name, text, ok := strings.Cut(o, "=")
		switch {
		case !ok || name == "":
			return nil, command.Misuse("--over %s: write an option and its values, such as fold=1..5", o)
		case given[name]:
			return nil, command.Misuse("--over has the option %s twice", name)
		case c.Set[name] != "":
			return nil, command.Misuse("the option %s has one value by --set and others by --over", name)
		}
		given[name] = true
		values, err := valuesOf("--over "+name, text)
		if err != nil {
			return nil, err
		}
		var next []trial
		for _, t := range list {
			for _, v := range values {
				set := map[string]string{name: v}
				maps.Copy(set, t.set)
				next = append(next, trial{t.seed, set})
			}
			if len(next) > mostRuns {
				return nil, command.Misuse("these are more than %d runs", mostRuns)
			}
		}
		list = next
	}
	return list, nil
}

// valuesOf reads 1..5 or a list of texts.
func valuesOf(what, text string) ([]string, error) {
	if first, last, ok := strings.Cut(text, ".."); ok {
		a, err := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		switch {
		case err != nil || err2 != nil || b < a:
			return nil, command.Misuse("%s: %q is no range, which goes from one whole number to a greater one, such as 1..5", what, text)
		case b-a >= mostRuns:
			return nil, command.Misuse("%s: %s is more than %d runs", what, text, mostRuns)
		}
		var list []string
		for n := a; n <= b; n++ {
			list = append(list, strconv.Itoa(n))
		}
		return list, nil
	}
	list := strings.Split(text, ",")
	for i, v := range list {
		if v == "" {
			return nil, command.Misuse("%s: a value is missing in %q", what, text)
		}
		if slices.Contains(list[:i], v) {
			return nil, command.Misuse("%s has %s twice", what, v)
		}
	}
	return list, nil
}

// try carries out one run and returns what it came to.
func (c *repeatCmd) try(std *command.Streams, t trial) ([]command.Named, error) {
	src := c.source
	src.Set = maps.Clone(c.Set)
	if src.Set == nil {
		src.Set = map[string]string{}
	}
	maps.Copy(src.Set, t.set)
	l, err := src.load(std, needsData)
	if err != nil {
		return nil, err
	}
	var values []command.Named
	run := command.Train{
		Seed: t.seed, Epochs: c.Epochs, NoSave: c.NoSave,
		Measured: func(_ *plan.Train, more []command.Named) { values = append(values, more...) },
	}
	quiet := command.Streams{In: std.In, Out: io.Discard, Err: std.Err}
	if err := run.Run(&quiet, l.program(c.engine, weightsType{})); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name(t), err)
	}
	return values, nil
}

// name tells a run from the others: fold=2, or seed 3.
func (c *repeatCmd) name(t trial) string {
	var words []string
	for _, o := range c.Over {
		name, _, _ := strings.Cut(o, "=")
		words = append(words, name+"="+t.set[name])
	}
	if len(words) == 0 || strings.ContainsAny(c.Seeds, ".,") {
		words = append(words, fmt.Sprintf("seed %d", t.seed))
	}
	return strings.Join(words, ", ")
}

func sentence(values []command.Named) string {
	var words []string
	for _, v := range values {
		words = append(words, fmt.Sprintf("%s %.4f", v.Name, v.Value))
	}
	return strings.Join(words, ", ")
}

// finiteOf are the values by name, but those that JSON has no number for.
func finiteOf(values []command.Named) map[string]float64 {
	all := map[string]float64{}
	for _, v := range values {
		if !math.IsNaN(v.Value) && !math.IsInf(v.Value, 0) {
			all[v.Name] = v.Value
		}
	}
	return all
}

// totals gathers the values of all runs by name.
type totals struct {
	names  []string
	values map[string][]float64
}

func (a *totals) add(values []command.Named) {
	if a.values == nil {
		a.values = map[string][]float64{}
	}
	for _, v := range values {
		if a.values[v.Name] == nil {
			a.names = append(a.names, v.Name)
		}
		a.values[v.Name] = append(a.values[v.Name], v.Value)
	}
}

// summary is what several values come to. Deviation is that of a sample, with n-1; Low and High bound the mean of all such runs, by Student's t.
type summary struct {
	Runs      int     `json:"runs"`
	Mean      float64 `json:"mean"`
	Deviation float64 `json:"deviation"`
	Low       float64 `json:"low"`
	High      float64 `json:"high"`
}

// summarise returns what values come to; with one alone, deviation and bounds are no numbers.
func summarise(values []float64) summary {
	n := float64(len(values))
	mean, deviation := stat.MeanStdDev(values, nil)
	s := summary{len(values), mean, deviation, math.NaN(), math.NaN()}
	if len(values) > 1 {
		half := distuv.StudentsT{Sigma: 1, Nu: n - 1}.Quantile(0.975) * deviation / math.Sqrt(n)
		s.Low, s.High = mean-half, mean+half
	}
	return s
}

func (a *totals) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nvalue\truns\tmean\tdeviation\t95 % interval of the mean")
	for _, name := range a.names {
		s := summarise(a.values[name])
		if s.Runs == 1 {
			fmt.Fprintf(w, "%s\t%d\t%.4f\t\t\n", name, s.Runs, s.Mean)
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%.4f\t%.4f\t%.4f to %.4f\n", name, s.Runs, s.Mean, s.Deviation, s.Low, s.High)
	}
	return w.Flush()
}

// json is the summary of each value, but those that JSON has no numbers for.
func (a *totals) json(runs int) any {
	all := map[string]summary{}
	for _, name := range a.names {
		if s := summarise(a.values[name]); !math.IsNaN(s.High) && !math.IsInf(s.High, 0) {
			all[name] = s
		}
	}
	return struct {
		Runs    int                `json:"runs"`
		Summary map[string]summary `json:"summary"`
	}{runs, all}
}
