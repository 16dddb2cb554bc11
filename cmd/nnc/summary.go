package main

import (
	"fmt"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime/term"
)

// summaryCmd shows what a program's models are made of.
type summaryCmd struct {
	source
}

// Run carries out the command.
func (c *summaryCmd) Run(std *streams) error {
	l, err := c.load(std, true)
	if err != nil {
		return err
	}
	if len(l.plan.Models) == 0 {
		return fmt.Errorf("%s declares no model", c.File)
	}
	for i, m := range l.plan.Models {
		if i > 0 {
			fmt.Fprintln(std.out)
		}
		summarize(std, l.plan, m)
	}
	return nil
}

// summarize prints a model as Keras's summary does: a line for each layer with its output and its parameters.
func summarize(std *streams, p *plan.Program, m *plan.Model) {
	rows := [][3]string{{"Layer (type)", "Output Shape", "Param #"}}
	counted := map[string]bool{}
	total, fixed := 0, 0
	count := func(names []string) int {
		n := 0
		for _, name := range names {
			c := p.Module.Cell(name)
			size := elementsOf(c)
			n += size
			if counted[name] {
				continue
			}
			counted[name] = true
			if c.Kind == ir.State {
				fixed += size
			} else {
				total += size
			}
		}
		return n
	}
	for _, in := range m.Inputs {
		rows = append(rows, [3]string{in.Name + " (input)", shapeText(in.Shape), "0"})
	}
	for _, l := range m.Layers {
		outs := make([]string, len(l.Output))
		for i, s := range l.Output {
			outs[i] = shapeText(s)
		}
		rows = append(rows, [3]string{
			strings.Repeat("  ", l.Depth) + l.Path + " (" + l.Kind + ")", strings.Join(outs, ", "), term.Count(count(l.Params)),
		})
	}
	var own []string
	for _, c := range p.Module.Cells {
		inModel := len(p.Models) == 1 || strings.HasPrefix(c.Name, m.Name+".")
		if (c.Kind == ir.Param || c.Kind == ir.State) && inModel && !counted[c.Name] {
			own = append(own, c.Name)
			rows = append(rows, [3]string{c.Name + " (" + string(c.Kind) + ")", shapeText(dimsOf(c)), term.Count(elementsOf(c))})
		}
	}
	count(own)
	width := [3]int{}
	for _, r := range rows {
		for k, s := range r {
			width[k] = max(width[k], len([]rune(s)))
		}
	}
	fmt.Fprintf(std.out, "Model: %s\n", m.Name)
	line := strings.Repeat("─", width[0]+width[1]+width[2]+4)
	fmt.Fprintln(std.out, line)
	for i, r := range rows {
		fmt.Fprintf(std.out, "%-*s  %-*s  %*s\n", width[0], r[0], width[1], r[1], width[2], r[2])
		if i == 0 {
			fmt.Fprintln(std.out, line)
		}
	}
	fmt.Fprintln(std.out, line)
	fmt.Fprintf(std.out, "Total params: %s (%s)\n", term.Count(total+fixed), term.Bytes(4*int64(total+fixed)))
	fmt.Fprintf(std.out, "Trainable params: %s (%s)\n", term.Count(total), term.Bytes(4*int64(total)))
	fmt.Fprintf(std.out, "Non-trainable params: %s (%s)\n", term.Count(fixed), term.Bytes(4*int64(fixed)))
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

// shapeText prints the shape of one example with the batch in front, as Keras does.
func shapeText(dims []int) string {
	s := make([]string, len(dims)+1)
	s[0] = "batch"
	for i, d := range dims {
		s[i+1] = fmt.Sprint(d)
		if d < 0 {
			s[i+1] = "length"
		}
	}
	return "(" + strings.Join(s, ", ") + ")"
}
