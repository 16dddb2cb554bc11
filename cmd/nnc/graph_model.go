package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/cost"
	"github.com/nnc-lang/nnc/ir/graph"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/lang/syntax"
	"github.com/nnc-lang/nnc/runtime/term"
)

// model draws a model from its inputs to its output.
func (d *drawing) model(m *plan.Model) {
	var inputs []*graph.Node
	for _, in := range m.Inputs {
		inputs = append(inputs, d.Add(graph.Data, 0, in.Name, in.Name, dimsText(in.Shape)))
	}
	f := forward(d.plan, m)
	made := d.layers(m, f, 0, inputs)
	lines := []string{"output", dimsText(m.Output.Shape)}
	if len(m.Labels) > 0 {
		lines = append(lines, shortened(strings.Join(m.Labels, ", ")))
	}
	out := d.Add(graph.Data, 0, "output", lines...)
	for _, r := range f.Results {
		if from := made.of(r); from != nil {
			d.Connect(from, out)
		}
	}
}

// layerNodes are the nodes of a model that was drawn.
type layerNodes struct {
	value map[*ir.Value]*graph.Node // that made a value; nil for what comes from cells alone
	cells map[*graph.Node][]string  // read by a layer
	order []*graph.Node
}

func (n *layerNodes) of(v *ir.Value) *graph.Node { return n.value[v] }

// layers draws the function of a model: a node for each application of a layer, and one for each expression outside layers.
func (d *drawing) layers(m *plan.Model, f *ir.Func, lane int, inputs []*graph.Node) *layerNodes {
	made := &layerNodes{value: map[*ir.Value]*graph.Node{}, cells: map[*graph.Node][]string{}}
	for i, p := range f.Params {
		if i < len(inputs) {
			made.value[p] = inputs[i]
		}
	}
	needed := cost.Needed(f)
	key := ""
	var node *graph.Node
	for _, i := range f.Body {
		if !needed[i] || i.Op == ir.OpRead || i.Op == ir.OpConst || i.Op == ir.OpWrite {
			continue
		}
		if onlyCells(i, made) { // a constant, or arithmetic on parameters alone, belongs to what uses it
			continue
		}
		layer := d.layerOf(m, i.Loc.Scope)
		now := fmt.Sprintf("at %d:%d", i.Loc.Line, i.Loc.Col)
		if layer != nil {
			now = layer.Path
		}
		if node == nil || now != key {
			key = now
			if layer != nil {
				node = d.layerNode(m, layer, lane)
			} else {
				node = d.Add(graph.Op, lane, "op", d.expressionAt(i), "")
			}
			made.order = append(made.order, node)
		}
		for _, a := range i.Args {
			if from := made.value[a]; from != nil && from != node {
				d.Connect(from, node)
			}
			if a.Def != nil && a.Def.Op == ir.OpRead && !slices.Contains(made.cells[node], a.Def.Cell.Name) {
				made.cells[node] = append(made.cells[node], a.Def.Cell.Name)
			}
		}
		for _, r := range i.Results {
			made.value[r] = node
		}
		if layer == nil && len(i.Results) > 0 {
			node.Lines[1] = dimsText(exampleShape(i.Results[0].Type))
		}
	}
	return made
}

// onlyCells reports whether an instruction depends on no drawn value.
func onlyCells(i *ir.Instr, made *layerNodes) bool {
	if i.Op == ir.OpCall {
		return false
	}
	for _, a := range i.Args {
		if made.value[a] != nil {
			return false
		}
	}
	return true
}

// layerOf is the layer that is drawn for a scope: the innermost one around it that is not too deep.
func (d *drawing) layerOf(m *plan.Model, scope string) *plan.Layer {
	var best *plan.Layer
	for _, s := range []string{scope, strings.TrimPrefix(scope, m.Name+".")} {
		for _, l := range m.Layers {
			within := s == l.Path || strings.HasPrefix(s, l.Path+".")
			if within && l.Depth <= d.depth && (best == nil || len(l.Path) > len(best.Path)) {
				best = l
			}
		}
	}
	return best
}

// layerNode is a box with the layer's name, its kind and what it is configured with, the shape of its output and its parameters.
func (d *drawing) layerNode(m *plan.Model, l *plan.Layer, lane int) *graph.Node {
	name := l.Path
	if d.whole {
		name = m.Name + "." + name
	}
	lines := []string{l.Kind, name}
	if activation, ok := l.Config["activation"].(plan.Ref); ok && activation != "" && activation != "linear" {
		lines[0] += ", " + string(activation)
	}
	for _, out := range l.Output {
		lines = append(lines, dimsText(out))
	}
	kind := graph.Plain
	if n := d.elementsWithin(l); n > 0 {
		kind = graph.Layer
		lines = append(lines, term.Count(n)+" parameters")
	}
	return d.Add(kind, lane, name, lines...)
}

// elementsWithin counts the numbers in the cells of a layer and of those within it that are not drawn themselves.
func (d *drawing) elementsWithin(l *plan.Layer) int {
	seen := map[string]bool{}
	n := 0
	for _, m := range d.plan.Models {
		if !slices.Contains(m.Layers, l) {
			continue
		}
		for _, in := range m.Layers {
			if in != l && (!strings.HasPrefix(in.Path, l.Path+".") || in.Depth <= d.depth) {
				continue
			}
			for _, name := range in.Params {
				if !seen[name] {
					seen[name] = true
					n += elementsOf(d.plan.Module.Cell(name))
				}
			}
		}
	}
	return n
}

// exampleShape is a type's shape without the batch.
func exampleShape(t ir.Type) []int {
	var dims []int
	for i, dim := range t.Shape {
		n, known := dim.IsConst()
		switch {
		case known:
			dims = append(dims, n)
		case i > 0 || dim.String() != "B":
			dims = append(dims, -1)
		}
	}
	return dims
}

// expressionAt is the text of the expression that an instruction comes from: the shortest call or operation that begins there.
func (d *drawing) expressionAt(i *ir.Instr) string {
	var best syntax.Node
	if i.Loc.File == d.tree.Source.Name {
		for _, stmt := range statements(d.tree) {
			syntax.Inspect(stmt, func(n syntax.Node) bool {
				switch n.(type) {
				case *syntax.Call, *syntax.Binary, *syntax.Unary, *syntax.Lambda, *syntax.Reduce, *syntax.Index, *syntax.Scan, *syntax.If, *syntax.Paren:
					at := n.Span().File.Position(n.Span().Start)
					if at.Line == i.Loc.Line && at.Col == i.Loc.Col && (best == nil || len(n.Span().Text()) < len(best.Span().Text())) {
						best = n
					}
				}
				return true
			})
		}
	}
	if best != nil {
		return codeText(best)
	}
	if i.Op == ir.OpNest {
		if i.Nest.Combine != ir.Map {
			return i.Nest.Combine.String()
		}
		if i.Nest.Body.Leaf != ir.NotLeaf {
			return "copy"
		}
		return i.Nest.Body.Op.String()
	}
	return i.Op.String()
}

// statements lists those of all declarations.
func statements(tree *syntax.File) []syntax.Node {
	var out []syntax.Node
	for _, decl := range tree.Decls {
		body := bodyOf(decl)
		if t, ok := decl.(*syntax.Train); ok {
			body = t.Body
		}
		if body == nil {
			continue
		}
		for _, s := range body.Stmts {
			out = append(out, s)
		}
	}
	return out
}
