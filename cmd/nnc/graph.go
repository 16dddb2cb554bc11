package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/nnc-lang/nnc/ir/graph"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/lang/syntax"
	"github.com/nnc-lang/nnc/runtime/command"
)

// graphCmd draws a program.
type graphCmd struct {
	source
	Of     string `enum:"model,step,pipeline" default:"model" help:"What to draw: the layers of the models (model), a training step (step), or the way from data to weights (pipeline)."`
	Format string `enum:"mermaid,dot,svg,auto" default:"auto" help:"Language of the drawing: mermaid, dot (Graphviz) or svg; by default what --out ends in, else mermaid."`
	Depth  int    `default:"0" help:"Draw layers within layers down to this depth." placeholder:"N"`
	Model  string `help:"Draw only this model." placeholder:"NAME"`
	Out    string `short:"o" help:"Write to this file instead of standard output." placeholder:"FILE"`
}

// Help shows how the command is used.
func (graphCmd) Help() string {
	return `Draws the layers of a model with their shapes, what a training step does, or how data becomes weights.

    nnc graph catdog.nn                              Mermaid text, which many editors and web pages show
    nnc graph catdog.nn -o catdog.svg
    nnc graph catdog.nn --of step -o step.svg
    nnc graph catdog.nn --of pipeline --format dot | dot -Tpdf -o pipeline.pdf`
}

// drawing is a graph being made of a program.
type drawing struct {
	*graph.Graph
	plan  *plan.Program
	data  *loaded
	tree  *syntax.File
	depth int
	whole bool // layers are called by the model's name and their own
}

// Run carries out the command.
func (c *graphCmd) Run(std *command.Streams) error {
	src, err := readSource(std, c.File)
	if err != nil {
		return err
	}
	again := *std
	again.In = strings.NewReader(src.Text)
	l, err := c.load(&again, wantsData)
	if err != nil {
		return err
	}
	l.noteMissing(std, c.File)
	tree, _ := syntax.Parse(src) // without errors, or it would not have compiled
	var graphs []*graph.Graph
	draw := func(title string, make func(*drawing)) {
		d := &drawing{Graph: &graph.Graph{Title: title}, plan: l.plan, data: l, tree: tree, depth: c.Depth}
		make(d)
		graphs = append(graphs, d.Graph)
	}
	switch c.Of {
	case "model":
		for _, m := range l.plan.Models {
			if c.Model == "" || c.Model == m.Name {
				draw(m.Name, func(d *drawing) { d.model(m) })
			}
		}
		if len(graphs) == 0 {
			return c.noModel(l.plan)
		}
	default:
		for i, t := range l.plan.Trains {
			title := "Training"
			if t.Label != "" {
				title += " " + t.Label
			}
			decl := trainDecl(tree, i)
			if c.Of == "step" {
				draw(title+": a step", func(d *drawing) { d.step(t, decl) })
			} else {
				draw(title+": from data to weights", func(d *drawing) { d.pipeline(t, decl) })
			}
		}
		if len(graphs) == 0 {
			return fmt.Errorf("%s declares no training: `nnc graph %s` draws its models", c.File, c.File)
		}
	}
	return c.write(std, graphs)
}

func (c *graphCmd) noModel(p *plan.Program) error {
	if c.Model == "" {
		return fmt.Errorf("%s declares no model", c.File)
	}
	var names []string
	for _, m := range p.Models {
		names = append(names, m.Name)
	}
	return command.Misuse("there is no model %s; there are %s", c.Model, strings.Join(names, ", "))
}

// write prints the graphs, or writes them to a file.
func (c *graphCmd) write(std *command.Streams, graphs []*graph.Graph) error {
	format := c.Format
	if format == "auto" {
		switch format = strings.TrimPrefix(filepath.Ext(c.Out), "."); format {
		case "svg", "dot":
		case "gv":
			format = "dot"
		case "", "mmd", "mermaid", "md":
			format = "mermaid"
		default:
			return command.Misuse("a drawing cannot be written as %s; name a file that ends in .svg, .dot or .mmd", c.Out)
		}
	}
	if len(graphs) > 1 && format == "svg" {
		return command.Misuse("%s has %d graphs to draw, and an SVG file holds one: choose one with --model, or draw with --format dot or mermaid", c.File, len(graphs))
	}
	var text strings.Builder
	for _, g := range graphs {
		switch format {
		case "svg":
			text.WriteString(g.SVG())
		case "dot":
			text.WriteString(g.DOT())
		case "mermaid":
			text.WriteString(g.Mermaid())
		}
	}
	if c.Out == "" {
		_, err := std.Out.Write([]byte(text.String()))
		return err
	}
	return writeWhole(c.Out, text.String())
}

// trainDecl is the i-th train of a file.
func trainDecl(tree *syntax.File, i int) *syntax.Train {
	for _, d := range tree.Decls {
		if t, ok := d.(*syntax.Train); ok {
			if i == 0 {
				return t
			}
			i--
		}
	}
	return nil
}

// dataDecl is the data block of that name in the program's own file, or nil.
func dataDecl(tree *syntax.File, name string) *syntax.Data {
	for _, d := range tree.Decls {
		if d, ok := d.(*syntax.Data); ok && d.Name.Name == name {
			return d
		}
	}
	return nil
}

// clause is the value of a block's setting, or nil.
func clause(b *syntax.Block, name string) syntax.Expr {
	if b == nil {
		return nil
	}
	for _, s := range b.Stmts {
		if c, ok := s.(*syntax.Clause); ok && c.Name.Name == name {
			return c.Value
		}
	}
	return nil
}

// codeText is an expression as written, in one line that is not too long.
func codeText(n syntax.Node) string {
	if n == nil {
		return ""
	}
	text := strings.Join(strings.Fields(n.Span().Text()), " ")
	if call, ok := n.(*syntax.Call); ok && len([]rune(text)) > maxLabel {
		return shortened(codeText(call.Fn) + "(…)")
	}
	return shortened(text)
}

// maxLabel is how many characters a line in a drawing may have.
const maxLabel = 44

func shortened(s string) string {
	if r := []rune(s); len(r) > maxLabel {
		return string(r[:maxLabel-1]) + "…"
	}
	return s
}

// dimsText is a shape as people say it: "30 × 30 × 32", and "number" for that of a number.
func dimsText(dims []int) string {
	if len(dims) == 0 {
		return "one number"
	}
	parts := make([]string, len(dims))
	for i, d := range dims {
		parts[i] = fmt.Sprint(d)
		if d < 0 {
			parts[i] = "length"
		}
	}
	return strings.Join(parts, " × ")
}
