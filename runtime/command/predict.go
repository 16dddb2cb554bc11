package command

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/plan"
)

// Predict says what a trained program makes of pictures, recordings, rows of tables, texts, or examples written as JSON.
type Predict struct {
	Inputs []string `arg:"" help:"Pictures; recordings (.wav) for a model of sound; for other models rows of tables (.csv, .tsv), texts (.txt, or in quotes) or an example as JSON on each line (.json), as the model takes them. Folders of these, or patterns such as 'photos/*.jpg'. - is standard input." name:"input"`
	Weights
	Model string `help:"Which model, where the program has several." placeholder:"NAME"`
	JSON  bool   `name:"json" xor:"form" help:"Print a line of JSON for each example."`
	CSV   bool   `name:"csv" xor:"form" help:"Print a table of comma-separated values."`
	WAV   string `name:"wav" help:"Write the numbers of all examples into this file as sound, and print them only with --json or --csv." placeholder:"FILE"`
}

// Run carries out the command.
func (c *Predict) Run(std *Streams, p *Program) error {
	m, err := ChooseModel(p.Plan, c.Model)
	if err != nil {
		return err
	}
	if err := c.checkWAV(m); err != nil {
		return err
	}
	in, err := c.open(std, m)
	if err != nil {
		return err
	}
	prog, err := p.Trained(std, c.Weights)
	if err != nil {
		return err
	}
	if m.Data != nil && m.Labels == nil && len(p.Unopened) > 0 {
		fmt.Fprintf(std.Err, "note: the names of the classes are not known: %s\n", p.Unopened[0])
	}
	print := c.printer(std, m, in.width)
	heard := &sound{rate: rateOf(m)}
	failed := false
	for e, err := range in.examples {
		if err == nil {
			e.fields, err = e.load()
		}
		if note, ok := errors.AsType[warning](err); ok {
			fmt.Fprintf(std.Err, "note: %s\n", note)
			continue
		}
		if err != nil {
			fmt.Fprintf(std.Err, "error: %s\n", err)
			failed = true
			continue
		}
		out, err := prog.Call(m.Predict, e.fields...)
		if err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		if c.WAV != "" {
			heard.add(out[0], e.rate)
		}
		if err := print(e.name, verdictOf(m, out)); err != nil {
			return err
		}
	}
	if c.WAV != "" {
		if err := heard.write(std, c.WAV); err != nil {
			return err
		}
	}
	if failed {
		return ErrFailed
	}
	return nil
}

// ChooseModel finds the model of that name; "" is the only one.
func ChooseModel(p *plan.Program, name string) (*plan.Model, error) {
	var names []string
	for _, m := range p.Models {
		if m.Name == name || name == "" && len(p.Models) == 1 {
			return m, nil
		}
		names = append(names, m.Name)
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("%s declares no model", p.File)
	case name == "":
		return nil, Misuse("%s has several models: choose one with --model: %s", p.File, strings.Join(names, ", "))
	}
	return nil, Misuse("%s has no model %s; it has %s", p.File, name, strings.Join(names, ", "))
}

// printer returns what prints a verdict: a line of a table whose first column is that wide, of JSON or of comma-separated values.
func (c *Predict) printer(std *Streams, m *plan.Model, width int) func(name string, v verdict) error {
	switch {
	case c.JSON:
		return func(name string, v verdict) error { return WriteJSON(std.Out, v.json(name)) }
	case c.CSV:
		w := csv.NewWriter(std.Out)
		first := true
		return func(name string, v verdict) error {
			if first {
				first = false
				_ = w.Write(v.columns(m.Labels)) // Error tells
			}
			_ = w.Write(v.row(name))
			w.Flush()
			return w.Error()
		}
	case c.WAV != "":
		return func(string, verdict) error { return nil }
	}
	return func(name string, v verdict) error {
		if strings.ContainsFunc(name, unicode.IsControl) { // which would break the table, or do something to the terminal
			name = strconv.Quote(name)
		}
		fmt.Fprintf(std.Out, "%s%s  %s\n", name, strings.Repeat(" ", max(0, width-utf8.RuneCountInString(name))), v.text(m.Labels))
		return nil
	}
}

// columns names the values of row: file, class, probability, and one for each number of the output.
func (v verdict) columns(labels []string) []string {
	names := []string{"file", "class", "probability"}
	switch {
	case v.speaks:
		names = []string{"file", "text"}
	case v.parts != nil:
		names = names[:1]
		for _, p := range v.parts {
			names = append(names, p.name, p.name+"_probability")
		}
	}
	for i := range v.output {
		switch {
		case len(labels) == len(v.output):
			names = append(names, labels[i])
		case len(v.output) == 1:
			names = append(names, "output")
		default:
			names = append(names, "output_"+strconv.Itoa(i+1))
		}
	}
	return names
}

func (v verdict) row(name string) []string {
	row := []string{name}
	switch {
	case v.speaks:
		row = append(row, v.said)
	case v.parts != nil:
		for _, p := range v.parts {
			row = append(row, p.class, p.probability())
		}
	default:
		row = append(row, v.class, v.probability())
	}
	for _, x := range v.output {
		row = append(row, shortest(x))
	}
	return row
}

// probability is that of the class, or "".
func (v verdict) probability() string {
	if !v.likely {
		return ""
	}
	return shortest(v.score)
}

// shortest writes the digits of a single-precision number.
func shortest(x float64) string { return strings.ToLower(strconv.FormatFloat(x, 'g', -1, 32)) }
