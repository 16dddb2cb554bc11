package model

import (
	"fmt"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime/code"
	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/term"
)

type infoCmd struct {
	JSON bool `name:"json" help:"Print a line of JSON."`
}

// info is what is in an executable.
type info struct {
	Program string      `json:"program"`
	Version string      `json:"version"`
	OS      string      `json:"os"`
	Arch    string      `json:"arch"`
	Code    []string    `json:"code"` // levels of processors
	Runs    string      `json:"runs"` // the level that is used here, or "interpreter"
	Weights int64       `json:"weight_bytes"`
	Models  []modelInfo `json:"models"`
}

type modelInfo struct {
	Name       string   `json:"name"`
	Takes      []string `json:"takes"`
	Gives      string   `json:"gives"`
	Labels     []string `json:"labels,omitempty"`
	Parameters int      `json:"parameters"`
}

// Run carries out the command.
func (c *infoCmd) Run(std *command.Streams, a *attached) error {
	m, err := a.file.Module()
	if err != nil {
		return err
	}
	p, err := a.file.Plan(m)
	if err != nil {
		return err
	}
	i := info{Program: a.about.File, Version: a.about.Version, OS: a.about.OS, Arch: a.about.Arch, Code: a.file.Levels(), Runs: "interpreter"}
	weights, err := a.file.Weights()
	if err != nil {
		return err
	}
	for _, w := range weights {
		i.Weights += int64(len(w.Data))
	}
	for _, level := range i.Code {
		if code.Check(level) == nil {
			i.Runs = level
			break
		}
	}
	for _, model := range p.Models {
		i.Models = append(i.Models, describe(p, model))
	}
	if c.JSON {
		return command.WriteJSON(std.Out, i)
	}
	fmt.Fprintf(std.Out, "%s, built by %s for %s/%s\n", i.Program, i.Version, i.OS, i.Arch)
	for _, m := range i.Models {
		fmt.Fprintf(std.Out, "model %s: %s -> %s, %s parameters", m.Name, strings.Join(m.Takes, ", "), m.Gives, term.Count(m.Parameters))
		if len(m.Labels) > 0 && len(m.Labels) <= 20 {
			fmt.Fprintf(std.Out, "; %s", strings.Join(m.Labels, ", "))
		}
		fmt.Fprintln(std.Out)
	}
	switch {
	case len(i.Code) == 0:
		fmt.Fprintln(std.Out, "code: none, the interpreter computes")
	default:
		fmt.Fprintf(std.Out, "code: %s; here %s computes\n", strings.Join(i.Code, ", "), i.Runs)
	}
	if weights == nil {
		fmt.Fprintln(std.Out, "weights: none within")
		return nil
	}
	fmt.Fprintf(std.Out, "weights: %s within\n", term.Bytes(i.Weights))
	return nil
}

func describe(p *plan.Program, m *plan.Model) modelInfo {
	d := modelInfo{Name: m.Name, Gives: fieldText(m.Output), Labels: m.Labels}
	for _, f := range m.Fields {
		d.Takes = append(d.Takes, f.Name+": "+fieldText(f))
	}
	seen := map[string]bool{}
	for _, l := range m.Layers {
		for _, name := range l.Params {
			c := p.Module.Cell(name)
			if seen[name] || c.Kind != ir.Param {
				continue
			}
			seen[name] = true
			n := 1
			for _, dim := range c.Type.Shape {
				k, _ := dim.IsConst()
				n *= k
			}
			d.Parameters += n
		}
	}
	return d
}

func fieldText(f plan.Field) string {
	sizes := make([]string, len(f.Shape))
	for i, n := range f.Shape {
		sizes[i] = fmt.Sprint(n)
		if n < 0 {
			sizes[i] = "…"
		}
	}
	return f.DType.String() + "[" + strings.Join(sizes, ", ") + "]"
}
