package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/graph"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/lang/syntax"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/term"
)

// pipeline draws the way from data to weights.
func (d *drawing) pipeline(t *plan.Train, decl *syntax.Train) {
	last := d.dataNodes(t)
	loss := d.lossNode(decl)
	for _, m := range t.Models {
		s := summarize(d.plan, m)
		lines := []string{m.Name}
		lines = append(lines, counted(len(m.Layers), "layer")+", "+term.Count(s.Trainable)+" parameters")
		model := d.Add(graph.Layer, 0, m.Name, lines...)
		if last != nil {
			edge := d.Connect(last, model)
			if len(t.Models) == 1 {
				edge.Label = inputsText(t, decl, m)
			}
		}
		d.Connect(model, loss).Label = "output " + dimsText(m.Output.Shape)
	}
	if other := otherFields(t); last != nil && other != "" && len(t.Models) == 1 {
		d.Connect(last, loss).Label = other
	}
	optimizer := d.Add(graph.Update, 0, "optimizer", append([]string{"optimizer"}, optimizerTexts(decl)...)...)
	d.Connect(loss, optimizer).Label = "gradients"
	for _, n := range d.Nodes {
		for _, m := range t.Models {
			if n.Kind == graph.Layer && n.Lines[0] == m.Name {
				back := d.Connect(optimizer, n)
				back.Label, back.Dashed, back.Upward = "new parameters", true, true
			}
		}
	}
	stop := d.Add(graph.Op, 0, "stop", append([]string{"until"}, stopTexts(t)...)...)
	d.Connect(optimizer, stop)
	if t.Save != "" {
		d.Connect(stop, d.Add(graph.Data, 0, "weights", t.Save, "trained weights"))
	}
}

// dataNodes draws the source and the map of each data, and the batches; nil where a train has no data.
func (d *drawing) dataNodes(t *plan.Train) *graph.Node {
	if t.Data == nil {
		return nil
	}
	how := "in order"
	switch {
	case t.Data.Chance:
		how = "each example by chance"
	case t.Data.Shuffle:
		how = "shuffled anew each epoch"
	}
	lines := []string{fmt.Sprintf("batches of %d", t.Batch), how}
	if len(t.Others) > 0 {
		lines = append(lines, "epochs are those of "+t.Data.Name)
	}
	type end struct {
		node   *graph.Node
		fields string
	}
	var ends []end
	for _, one := range t.AllData() {
		node, fields := d.sourceNodes(t, one)
		ends = append(ends, end{node, fields})
	}
	batches := d.Add(graph.Op, 0, "batches", lines...)
	for _, e := range ends {
		d.Connect(e.node, batches).Label = e.fields
	}
	return batches
}

// sourceNodes draws a source and its map. It returns the last node and what its examples have, if that is not on the way to it.
func (d *drawing) sourceNodes(t *plan.Train, from *plan.Data) (*graph.Node, string) {
	decl := dataDecl(d.tree, from.Name)
	lines := []string{from.Name}
	var mapped syntax.Expr
	if decl != nil {
		lines = append(lines, callName(clause(decl.Body, "source")))
		mapped = clause(decl.Body, "map")
	}
	if ds := d.data.data[from]; ds != nil {
		for i, src := range []data.Source{ds.Train, ds.Validation, ds.Test} {
			if src != nil {
				lines = append(lines, fmt.Sprintf("%s %s", term.Count(src.Len()), [...]string{"for training", "for validation", "for testing"}[i]))
			}
		}
	}
	last := d.Add(graph.Data, 0, from.Name, lines...)
	fields := fieldsText(from.Fields)
	if fields == "" && len(t.Others) == 0 {
		fields = fieldsText(t.Fields)
	}
	if mapped != nil {
		node := d.Add(graph.Op, 0, "map", append([]string{"map"}, recordTexts(mapped)...)...)
		d.Connect(last, node).Label = fields
		last, fields = node, ""
	}
	return last, fields
}

// lossNode draws the loss and the metrics as they are written.
func (d *drawing) lossNode(decl *syntax.Train) *graph.Node {
	lines := []string{"loss"}
	for _, l := range lossesOf(decl) {
		lines = append(lines, codeText(l))
	}
	if metrics := metricsOf(decl); len(metrics) > 0 {
		for i, m := range metrics {
			text := "       " + codeText(m)
			if i == 0 {
				text = "metrics " + codeText(m)
			}
			lines = append(lines, strings.TrimSpace(text))
		}
	}
	return d.Add(graph.Loss, 0, "loss", lines...)
}

// lossesOf lists what a train minimises.
func lossesOf(decl *syntax.Train) []syntax.Expr {
	var losses []syntax.Expr
	if decl == nil {
		return nil
	}
	if l := clause(decl.Body, "loss"); l != nil {
		losses = append(losses, l)
	}
	for _, s := range decl.Body.Stmts {
		if m, ok := s.(*syntax.Minimize); ok {
			losses = append(losses, m.Loss)
		}
	}
	return losses
}

// metricsOf lists what a train measures beside the loss.
func metricsOf(decl *syntax.Train) []syntax.Expr {
	if decl == nil {
		return nil
	}
	switch v := clause(decl.Body, "metrics").(type) {
	case nil:
		return nil
	case *syntax.Tuple:
		return argValues(v.Elems)
	case *syntax.Record:
		return argValues(v.Fields)
	default:
		return []syntax.Expr{v}
	}
}

func argValues(args []*syntax.Arg) []syntax.Expr {
	var out []syntax.Expr
	for _, a := range args {
		out = append(out, a.Value)
	}
	return out
}

// optimizerTexts lists the optimisers of a train as they are written, with what they update where that is said.
func optimizerTexts(decl *syntax.Train) []string {
	if decl == nil {
		return nil
	}
	var out []string
	if o := clause(decl.Body, "optimizer"); o != nil {
		out = append(out, codeText(o))
	}
	if c := clause(decl.Body, "clip"); c != nil {
		out = append(out, "clip "+codeText(c))
	}
	for _, s := range decl.Body.Stmts {
		m, ok := s.(*syntax.Minimize)
		if !ok {
			continue
		}
		if m.Clip != nil {
			out = append(out, "clip "+codeText(m.Clip))
		}
		for _, g := range m.Groups {
			text := codeText(g.Using)
			var over []string
			for _, target := range g.Targets {
				over = append(over, codeText(target))
			}
			if len(over) > 0 {
				text = strings.Join(over, ", ") + ": " + text
			}
			out = append(out, shortened(text))
		}
	}
	return out
}

// stopTexts says when a train ends.
func stopTexts(t *plan.Train) []string {
	var out []string
	if t.Target != "" {
		out = append(out, shortened(t.Target))
	}
	if t.Epochs > 0 {
		text := counted(t.Epochs, "epoch")
		if t.Steps > 0 {
			text += fmt.Sprintf(" of %d steps", t.Steps)
		}
		if t.Target != "" {
			text = "at most " + text
		}
		out = append(out, text)
	}
	return out
}

// counted writes a number with the word for what is counted.
func counted(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// recordTexts lists the entries of a record as they are written.
func recordTexts(e syntax.Expr) []string {
	r, ok := e.(*syntax.Record)
	if !ok {
		return []string{codeText(e)}
	}
	var out []string
	for _, a := range r.Fields {
		out = append(out, codeText(a))
	}
	return out
}

// callName is the name of the function that an expression calls.
func callName(e syntax.Expr) string {
	if c, ok := e.(*syntax.Call); ok {
		return codeText(c.Fn)
	}
	return codeText(e)
}

// fieldsText lists fields with their shapes.
func fieldsText(fields []plan.Field) string {
	var parts []string
	for _, f := range fields {
		text := f.Name
		if len(f.Shape) > 0 {
			text += " " + dimsText(f.Shape)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// inputsText lists what a model takes; where a train is on several data, by the names of the data and their fields that it is given.
func inputsText(t *plan.Train, decl *syntax.Train, m *plan.Model) string {
	if len(t.Others) == 0 {
		return fieldsText(m.Inputs)
	}
	var given []string
	note := func(n syntax.Node) bool {
		call, ok := n.(*syntax.Call)
		if !ok {
			return true
		}
		if name, ok := call.Fn.(*syntax.Name); !ok || name.Name != m.Name {
			return true
		}
		for _, a := range call.Args {
			if text := codeText(a.Value); !slices.Contains(given, text) {
				given = append(given, text)
			}
		}
		return true
	}
	for _, s := range decl.Body.Stmts {
		syntax.Inspect(s, note)
	}
	return shortened(strings.Join(given, ", "))
}

// otherFields lists the fields that a step takes beside the inputs of the models.
func otherFields(t *plan.Train) string {
	var other []plan.Field
	for _, f := range t.Fields {
		input := false
		for _, m := range t.Models {
			for _, in := range m.Fields {
				input = input || in.Name == f.Name
			}
		}
		if !input {
			other = append(other, f)
		}
	}
	return fieldsText(other)
}
