package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/term"
	"github.com/nnc-lang/nnc/runtime/train"
)

// dataCmd looks through a program's data.
type dataCmd struct {
	source
	JSON bool          `name:"json" help:"Print a line of JSON for each data block."`
	Most command.Count `default:"10" help:"Name at most this many broken or repeated examples." placeholder:"N"`
}

// Help says what is looked for.
func (dataCmd) Help() string {
	return `Reads all examples and counts them by class and split, names broken files and examples that occur twice (the same numbers after resizing; above all in training and test, where they make results look better than they are), and finds values that are missing or always the same.

    nnc data catdog.nn
    nnc data catdog.nn --json`
}

// dataReport is what was found in a data block.
type dataReport struct {
	Data       string         `json:"data"`
	Classes    []string       `json:"classes,omitempty"`
	Splits     []*splitReport `json:"splits"`
	Duplicates []duplicate    `json:"duplicates"`
	Notes      []string       `json:"notes,omitempty"`
}

// duplicate is a set of examples with the same contents.
type duplicate struct {
	Examples    []exampleName `json:"examples"`
	Across      bool          `json:"across_splits"`
	Contradicts bool          `json:"different_classes"`
}

// exampleName says which example of which split.
type exampleName struct {
	Split string `json:"split"`
	Name  string `json:"name"`
}

// Run carries out the command.
func (c *dataCmd) Run(std *command.Streams) error {
	l, err := c.load(std, needsData)
	if err != nil {
		return err
	}
	if len(l.plan.Data) == 0 {
		return fmt.Errorf("%s declares no data", c.File)
	}
	ctx, stop := command.UntilInterrupted()
	defer stop()
	for i, d := range l.plan.Data {
		ds := l.data[d]
		if ds == nil {
			if ds, err = train.OpenData(l.plan, d); err != nil {
				return err
			}
		}
		report, err := lookThrough(ctx, d, ds)
		if err != nil {
			return err
		}
		if c.JSON {
			if err := command.WriteJSON(std.Out, report); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(std.Out)
		}
		report.print(std.Out, int(c.Most))
	}
	return nil
}

// lookThrough reads all splits.
func lookThrough(ctx context.Context, d *plan.Data, ds *data.Dataset) (*dataReport, error) {
	r := &dataReport{Data: d.Name, Classes: ds.Labels, Duplicates: []duplicate{}}
	if len(ds.Notes) > 1 {
		r.Notes = ds.Notes[1:] // the first one counts, as is done here
	}
	names := [...]string{"training", "validation", "test"}
	for i, src := range []data.Source{ds.Train, ds.Validation, ds.Test} {
		if src == nil {
			continue
		}
		s, err := inspect(ctx, names[i], src)
		if err != nil {
			return nil, err
		}
		r.Splits = append(r.Splits, s)
	}
	if len(r.Splits) == 0 {
		return nil, errors.New("data " + d.Name + " has no examples")
	}
	r.findDuplicates()
	return r, nil
}

// findDuplicates collects examples of one content; those across splits come first.
func (r *dataReport) findDuplicates() {
	type place struct{ split, example int }
	groups := map[digest][]place{}
	for k, s := range r.Splits {
		for i, d := range s.digests {
			if s.whole[i] {
				groups[d] = append(groups[d], place{k, i})
			}
		}
	}
	var repeated [][]place
	for _, g := range groups {
		if len(g) > 1 {
			repeated = append(repeated, g)
		}
	}
	across := func(g []place) bool { return g[0].split != g[len(g)-1].split }
	slices.SortFunc(repeated, func(a, b []place) int {
		if across(a) != across(b) {
			if across(a) {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a[0].split, b[0].split), cmp.Compare(a[0].example, b[0].example))
	})
	for _, g := range repeated {
		d := duplicate{Across: across(g)}
		for _, p := range g {
			s := r.Splits[p.split]
			d.Examples = append(d.Examples, exampleName{s.Name, s.source.Name(p.example)})
			d.Contradicts = d.Contradicts || s.labels[p.example] != r.Splits[g[0].split].labels[g[0].example]
		}
		r.Duplicates = append(r.Duplicates, d)
	}
}

// print writes the report for people.
func (r *dataReport) print(w io.Writer, most int) {
	fmt.Fprintf(w, "Data: %s\n\n", r.Data)
	r.printCounts(w)
	fmt.Fprintln(w)
	if text := r.balance(); text != "" {
		fmt.Fprintln(w, text)
	}
	var broken []string
	for _, s := range r.Splits {
		for _, b := range s.Broken {
			broken = append(broken, s.Name+": "+b)
		}
	}
	listed(w, "Broken", broken, most)
	var twice []string
	across := 0
	for _, d := range r.Duplicates {
		var names []string
		for _, e := range d.Examples {
			names = append(names, e.Split+" "+e.Name)
		}
		text := strings.Join(names[:min(len(names), 6)], " = ")
		if n := len(names) - 6; n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		if d.Contradicts {
			text += " (of different classes)"
		}
		if d.Across {
			across++
		}
		twice = append(twice, text)
	}
	listed(w, "The same contents", twice, most)
	if across > 0 {
		fmt.Fprintf(w, "  %d of them in more than one split: what is measured on such examples says little about new ones\n", across)
	}
	r.printFields(w)
	for _, n := range r.Notes {
		fmt.Fprintf(w, "Note: %s\n", n)
	}
}

// printCounts writes a table of classes and splits.
func (r *dataReport) printCounts(w io.Writer) {
	rows := [][]string{{""}}
	for _, s := range r.Splits {
		rows[0] = append(rows[0], s.Name)
	}
	row := func(name string, count func(*splitReport) int) {
		cells := []string{name}
		for _, s := range r.Splits {
			cells = append(cells, term.Count(count(s)))
		}
		rows = append(rows, cells)
	}
	const most = 40 // classes that are listed one by one
	if len(r.Classes) <= most {
		for _, class := range r.Classes {
			row(class, func(s *splitReport) int { return s.Classes[class] })
		}
	} else {
		row("classes", func(s *splitReport) int { return len(s.Classes) })
	}
	row("examples", func(s *splitReport) int { return s.Examples })
	width := make([]int, len(rows[0]))
	for _, cells := range rows {
		for k, c := range cells {
			width[k] = max(width[k], utf8.RuneCountInString(c))
		}
	}
	for _, cells := range rows {
		fmt.Fprintf(w, "%-*s", width[0], cells[0])
		for k, c := range cells[1:] {
			fmt.Fprintf(w, "  %*s", width[k+1], c)
		}
		fmt.Fprintln(w)
	}
}

// balance compares the frequencies of classes in the first split, which is trained on.
func (r *dataReport) balance() string {
	s := r.Splits[0]
	if len(r.Classes) < 2 || s.Examples == 0 {
		return ""
	}
	rare, frequent := r.Classes[0], r.Classes[0]
	for _, c := range r.Classes {
		if s.Classes[c] < s.Classes[rare] {
			rare = c
		}
		if s.Classes[c] > s.Classes[frequent] {
			frequent = c
		}
	}
	share := float64(s.Classes[frequent]) / float64(s.Examples)
	if s.Classes[rare] == s.Classes[frequent] {
		return fmt.Sprintf("Balance: all classes are equally frequent; always answering one is right in %.1f %%", 100*share)
	}
	return fmt.Sprintf("Balance: %s is the rarest class (%s), %s the most frequent (%s); always answering %s is right in %.1f %%",
		rare, term.Count(s.Classes[rare]), frequent, term.Count(s.Classes[frequent]), frequent, 100*share)
}

// printFields describes the numbers of the first split.
func (r *dataReport) printFields(w io.Writer) {
	for _, f := range r.Splits[0].Fields {
		if strings.HasPrefix(f.Name, "length.") {
			fmt.Fprintf(w, "%s: from %g to %g, mean %.4g\n", f.Name, f.Least, f.Greatest, f.Mean)
			continue
		}
		fmt.Fprintf(w, "%s (%s): from %g to %g, mean %.4g\n", f.Name, dimsText(f.Shape), f.Least, f.Greatest, f.Mean)
		for _, s := range r.Splits {
			for _, g := range s.Fields {
				if g.Name == f.Name && g.Missing > 0 {
					fmt.Fprintf(w, "  %s missing in %s\n", term.Count(g.Missing), s.Name)
				}
			}
		}
		if n := len(f.Constant); n > 0 {
			fmt.Fprintf(w, "  always the same: %s\n", f.constantText())
		}
	}
}

// constantText names the elements that do not change, or counts them where there are many.
func (f *fieldReport) constantText() string {
	n, all := len(f.Constant), max(1, len(f.low))
	if len(f.Shape) == 0 {
		return fmt.Sprintf("it is %g in every example", f.Least)
	}
	if len(f.Shape) == 1 && n <= 10 {
		var places []string
		for _, e := range f.Constant {
			place := fmt.Sprintf("%s[%d]", f.Name, e)
			if e < len(f.Columns) {
				place += fmt.Sprintf(" (column %q)", f.Columns[e])
			}
			places = append(places, place)
		}
		return strings.Join(places, ", ")
	}
	return fmt.Sprintf("%s of %s elements", term.Count(n), term.Count(all))
}

// listed writes a heading with what was found below it.
func listed(w io.Writer, heading string, lines []string, most int) {
	if len(lines) == 0 {
		fmt.Fprintf(w, "%s: none\n", heading)
		return
	}
	fmt.Fprintf(w, "%s: %s\n", heading, term.Count(len(lines)))
	for _, l := range lines[:min(most, len(lines))] {
		fmt.Fprintf(w, "  %s\n", l)
	}
	if n := len(lines) - most; n > 0 {
		fmt.Fprintf(w, "  and %s more\n", term.Count(n))
	}
}
