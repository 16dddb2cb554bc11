package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime/term"
)

// summaryCmd shows what a program's models are made of.
type summaryCmd struct {
	source
	JSON bool `name:"json" help:"Print a line of JSON for each model."`
}

// Help shows how the command is used.
func (summaryCmd) Help() string {
	return `Lists the layers as Keras's summary does, those within others indented.

    nnc summary catdog.nn
    nnc summary catdog.nn --set image_size=150`
}

// Run carries out the command.
func (c *summaryCmd) Run(std *streams) error {
	l, err := c.load(std, wantsData)
	if err != nil {
		return err
	}
	if len(l.plan.Models) == 0 {
		return fmt.Errorf("%s declares no model", c.File)
	}
	for i, m := range l.plan.Models {
		s := summarize(l.plan, m)
		if c.JSON {
			if err := writeJSON(std.out, s); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(std.out)
		}
		s.print(std.out)
	}
	return nil
}

// modelSummary is what a model is made of.
type modelSummary struct {
	Model     string         `json:"model"`
	Layers    []layerSummary `json:"layers"`
	Trainable int            `json:"trainable_params"`
	Fixed     int            `json:"non_trainable_params"`
}

// layerSummary is a layer, an input of the model, or a parameter that the model holds itself.
type layerSummary struct {
	Name   string   `json:"name"`
	Kind   string   `json:"type"`
	Output []string `json:"output"` // shapes
	Params int      `json:"params"`
	depth  int
}

// summarize counts each parameter once, though several layers may share it.
func summarize(p *plan.Program, m *plan.Model) *modelSummary {
	s := &modelSummary{Model: m.Name}
	counted := map[string]bool{}
	count := func(cells []string) int {
		n := 0
		for _, name := range cells {
			c := p.Module.Cell(name)
			n += elementsOf(c)
			switch {
			case counted[name]:
			case c.Kind == ir.State:
				s.Fixed += elementsOf(c)
			default:
				s.Trainable += elementsOf(c)
			}
			counted[name] = true
		}
		return n
	}
	for _, in := range m.Inputs {
		s.Layers = append(s.Layers, layerSummary{Name: in.Name, Kind: "input", Output: []string{shapeText(in.Shape)}})
	}
	for _, l := range m.Layers {
		row := layerSummary{Name: l.Path, Kind: l.Kind, Params: count(l.Params), depth: l.Depth}
		for _, out := range l.Output {
			row.Output = append(row.Output, shapeText(out))
		}
		s.Layers = append(s.Layers, row)
	}
	for _, c := range p.Module.Cells {
		inModel := len(p.Models) == 1 || strings.HasPrefix(c.Name, m.Name+".")
		if (c.Kind == ir.Param || c.Kind == ir.State) && inModel && !counted[c.Name] {
			s.Layers = append(s.Layers, layerSummary{
				Name: c.Name, Kind: string(c.Kind), Output: []string{sizesText(dimsOf(c))}, Params: count([]string{c.Name}),
			})
		}
	}
	return s
}

// print writes the table.
func (s *modelSummary) print(w io.Writer) {
	rows := [][3]string{{"Layer (type)", "Output Shape", "Param #"}}
	for _, l := range s.Layers {
		rows = append(rows, [3]string{
			strings.Repeat("  ", l.depth) + l.Name + " (" + l.Kind + ")", strings.Join(l.Output, ", "), term.Count(l.Params),
		})
	}
	var width [3]int
	for _, r := range rows {
		for k, cell := range r {
			width[k] = max(width[k], utf8.RuneCountInString(cell))
		}
	}
	line := strings.Repeat("─", width[0]+width[1]+width[2]+4)
	rule := func() { fmt.Fprintln(w, line) }
	fmt.Fprintf(w, "Model: %s\n", s.Model)
	rule()
	for i, r := range rows {
		fmt.Fprintf(w, "%-*s  %-*s  %*s\n", width[0], r[0], width[1], r[1], width[2], r[2])
		if i == 0 {
			rule()
		}
	}
	rule()
	total := func(name string, n int) {
		fmt.Fprintf(w, "%s params: %s (%s)\n", name, term.Count(n), term.Bytes(4*int64(n)))
	}
	total("Total", s.Trainable+s.Fixed)
	total("Trainable", s.Trainable)
	total("Non-trainable", s.Fixed)
}

func dimsOf(c *ir.Cell) []int {
	dims := make([]int, len(c.Type.Shape))
	for i, d := range c.Type.Shape {
		dims[i] = d.MustConst()
	}
	return dims
}

func elementsOf(c *ir.Cell) int {
	n := 1
	for _, d := range dimsOf(c) {
		n *= d
	}
	return n
}

// shapeText is the shape of one example with the batch in front, as Keras writes it.
func shapeText(dims []int) string { return sizesText(slices.Concat([]int{batchDim}, dims)) }

// batchDim stands for the batch in a shape; other negative sizes stand for an example's own length.
const batchDim = -2

func sizesText(dims []int) string {
	s := make([]string, len(dims))
	for i, d := range dims {
		switch {
		case d == batchDim:
			s[i] = "batch"
		case d < 0:
			s[i] = "length"
		default:
			s[i] = fmt.Sprint(d)
		}
	}
	return "(" + strings.Join(s, ", ") + ")"
}
