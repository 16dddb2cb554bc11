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

// The lanes of a step.
const (
	laneForward = iota
	laneBackward
	laneUpdate
)

// stepDrawing is the drawing of a training step.
type stepDrawing struct {
	*drawing
	train   *plan.Train
	regions []*region
	body    []*ir.Instr                 // of the step, without what influences nothing
	value   map[*ir.Value]*graph.Node   // that made a value
	kept    map[*ir.Cell]*graph.Node    // streams
	applied map[*ir.Instr][]*graph.Node // the boxes of a model, by its call
	cells   map[*graph.Node][]string    // that a node of the forward pass reads
	trained map[*ir.Value]bool          // gradients and what follows from them
	grads   []*ir.Instr
	written map[string]bool // parameters that get a new value
}

// region is a part of the program whose arithmetic is one box.
type region struct {
	node  syntax.Node
	kind  graph.Kind
	lines []string
	box   *graph.Node // nil until something of it was computed
}

// step draws what a training step does: a box for each layer on the way to the loss, one beside it for its gradients, and one for the new
// values of its parameters.
func (d *drawing) step(t *plan.Train, decl *syntax.Train) {
	s := &stepDrawing{
		drawing: d, train: t, value: map[*ir.Value]*graph.Node{}, kept: map[*ir.Cell]*graph.Node{}, applied: map[*ir.Instr][]*graph.Node{}, cells: map[*graph.Node][]string{},
		trained: map[*ir.Value]bool{}, written: map[string]bool{},
	}
	d.Lanes = []string{"Forward", "Backward", "Update: " + strings.Join(optimizerTexts(decl), "; ")}
	d.whole = len(t.Models) > 1
	s.findRegions(decl)
	f := d.plan.Module.Func(t.StepVariant(1<<len(t.Every) - 1))
	for _, p := range f.Params {
		if i := slices.IndexFunc(t.Fields, func(f plan.Field) bool { return f.Name == p.Name }); i >= 0 {
			lines := []string{p.Name, fmt.Sprintf("%d examples", t.Batch)}
			if len(t.Fields[i].Shape) > 0 {
				lines[1] += " of " + dimsText(t.Fields[i].Shape)
			}
			s.value[p] = d.Add(graph.Data, laneForward, p.Name, lines...)
		}
	}
	needed := cost.Needed(f)
	for _, i := range f.Body {
		if needed[i] {
			s.body = append(s.body, i)
			s.forward(i)
		}
	}
	for _, g := range s.grads {
		s.backward(g)
	}
}

// findRegions lists the map of the data, the losses, the metrics and the other statements.
func (s *stepDrawing) findRegions(decl *syntax.Train) {
	add := func(n syntax.Node, kind graph.Kind, lines ...string) {
		s.regions = append(s.regions, &region{node: n, kind: kind, lines: lines})
	}
	for _, d := range s.train.AllData() {
		if data := dataDecl(s.tree, d.Name); data != nil {
			if m := clause(data.Body, "map"); m != nil {
				add(m, graph.Op, append([]string{"map"}, recordTexts(m)...)...)
			}
		}
	}
	if decl == nil {
		return
	}
	for _, l := range lossesOf(decl) {
		add(l, graph.Loss, "loss", codeText(l))
	}
	for _, m := range metricsOf(decl) {
		add(m, graph.Loss, "metric", codeText(m))
	}
	for _, stmt := range decl.Body.Stmts {
		if let, ok := stmt.(*syntax.Let); ok {
			add(let, graph.Op, codeText(let))
		}
	}
}

// regionOf is the region around an instruction, or nil.
func (s *stepDrawing) regionOf(i *ir.Instr) *region {
	for _, r := range s.regions {
		span := r.node.Span()
		if span.File == nil || span.File.Name != i.Loc.File {
			continue
		}
		from, to := span.File.Position(span.Start), span.File.Position(span.End)
		after := i.Loc.Line > from.Line || i.Loc.Line == from.Line && i.Loc.Col >= from.Col
		before := i.Loc.Line < to.Line || i.Loc.Line == to.Line && i.Loc.Col < to.Col
		if after && before {
			return r
		}
	}
	return nil
}

// forward draws an instruction of the step itself, up to the gradients.
func (s *stepDrawing) forward(i *ir.Instr) {
	for _, a := range i.Args {
		if s.trained[a] {
			for _, r := range i.Results {
				s.trained[r] = true
			}
			if i.Op == ir.OpWrite && i.Cell.Kind == ir.Param {
				s.written[i.Cell.Name] = true
			}
			return
		}
	}
	switch i.Op {
	case ir.OpRead:
		s.stream(i)
		return
	case ir.OpConst, ir.OpWrite:
		return
	case ir.OpGrad:
		s.grads = append(s.grads, i)
		for _, r := range i.Results {
			s.trained[r] = true
		}
		return
	case ir.OpCall:
		if m := s.modelOf(i.Call); m != nil {
			s.call(i, m)
			return
		}
	}
	drawn := s.operands(i)
	if len(drawn) == 0 && i.Op != ir.OpCall && i.Op != ir.OpScan {
		return
	}
	box := s.boxOf(i, drawn)
	for _, from := range drawn {
		if from != box {
			s.Connect(from, box)
		}
	}
	s.cells[box] = append(s.cells[box], cellsRead(i)...)
	for _, r := range i.Results {
		s.value[r] = box
	}
}

// stream draws what a step finds as the step before left it.
func (s *stepDrawing) stream(i *ir.Instr) {
	if i.Cell.Kind != ir.Stream {
		return
	}
	if s.kept[i.Cell] == nil {
		name := i.Cell.Name[strings.LastIndexByte(i.Cell.Name, '.')+1:]
		s.kept[i.Cell] = s.Add(graph.Data, laneForward, name, name, "kept from step to step")
	}
	s.value[i.Result()] = s.kept[i.Cell]
}

// cellsRead lists the cells whose values an instruction takes, also those that functions within it read.
func cellsRead(i *ir.Instr) []string {
	var out []string
	for _, a := range i.Args {
		if a.Def != nil && a.Def.Op == ir.OpRead {
			out = append(out, a.Def.Cell.Name)
		}
	}
	within := i.Call
	if i.Scan != nil {
		within = i.Scan.Body
	}
	if within != nil {
		for _, inner := range within.Body {
			out = append(out, cellsRead(inner)...)
		}
	}
	return out
}

// operands lists the boxes that an instruction's operands come from.
func (s *stepDrawing) operands(i *ir.Instr) []*graph.Node {
	var drawn []*graph.Node
	for _, a := range i.Args {
		if n := s.value[a]; n != nil && !slices.Contains(drawn, n) {
			drawn = append(drawn, n)
		}
	}
	return drawn
}

// boxOf is the box that an instruction belongs to.
func (s *stepDrawing) boxOf(i *ir.Instr, operands []*graph.Node) *graph.Node {
	scalar := len(i.Results) == 1 && len(i.Results[0].Type.Shape) == 0
	if scalar && len(operands) == 1 && operands[0].Kind == graph.Loss { // the mean over the batch
		return operands[0]
	}
	losses := !slices.ContainsFunc(operands, func(n *graph.Node) bool { return n.Kind != graph.Loss })
	r := s.regionOf(i)
	if r == nil && i.Op == ir.OpNest && i.Nest.Combine == ir.Map && i.Nest.Body.Leaf == ir.LeafRead && len(operands) == 1 { // a copy
		return operands[0]
	}
	if r == nil && scalar && losses {
		return s.Add(graph.Loss, laneForward, "op", "sum of the losses")
	}
	if r == nil {
		return s.Add(graph.Op, laneForward, "op", s.expressionAt(i))
	}
	if r.box == nil {
		r.box = s.Add(r.kind, laneForward, r.lines[0], r.lines...)
	}
	return r.box
}

// modelOf is the model that a function computes, or nil.
func (s *stepDrawing) modelOf(f *ir.Func) *plan.Model {
	name := strings.TrimSuffix(strings.TrimPrefix(f.Name, "."), ".training")
	for _, m := range s.plan.Models {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// call draws a model where it is applied.
func (s *stepDrawing) call(i *ir.Instr, m *plan.Model) {
	var inputs []*graph.Node
	for _, a := range i.Args {
		in := s.value[a]
		if in == nil { // noise, or a constant
			text := "constant"
			switch {
			case random(a):
				text = "random numbers"
			case a.Def != nil:
				text = s.expressionAt(a.Def)
			}
			in = s.Add(graph.Op, laneForward, "op", text, dimsText(exampleShape(a.Type)))
			s.value[a] = in
		}
		for _, r := range s.regions { // arithmetic on the way to the model is no part of the loss
			if r.box == in && r.kind == graph.Loss && a.Def != nil {
				in.Kind, in.Lines, r.box = graph.Op, []string{s.expressionAt(a.Def)}, nil
			}
		}
		inputs = append(inputs, in)
	}
	made := s.layers(m, i.Call, laneForward, inputs)
	s.applied[i] = made.order
	for n, cells := range made.cells {
		s.cells[n] = append(s.cells[n], cells...)
	}
	for k, r := range i.Results {
		s.value[r] = made.of(i.Call.Results[k])
	}
}

// random reports whether a value is drawn at random.
func random(v *ir.Value) bool {
	if v.Def == nil {
		return false
	}
	if v.Def.Op == ir.OpNest && draws(v.Def.Nest.Body) {
		return true
	}
	return slices.ContainsFunc(v.Def.Args, random)
}

func draws(e *ir.Expr) bool {
	return e.Leaf == ir.NotLeaf && (e.Op == ir.OpUniform || e.Op == ir.OpNormal) || slices.ContainsFunc(e.Args, draws)
}

// backward draws the gradients of one loss and what is made of them.
func (s *stepDrawing) backward(g *ir.Instr) {
	loss := s.value[g.Args[0]]
	if loss == nil {
		return
	}
	wanted := map[string]bool{}
	for _, a := range g.Args[1:] {
		if a.Def != nil && a.Def.Op == ir.OpRead {
			wanted[a.Def.Cell.Name] = true
		}
	}
	edges := s.gradientEdges(wanted)
	boxes := reached(loss, edges)
	boxes = slices.DeleteFunc(boxes, func(n *graph.Node) bool {
		return !slices.ContainsFunc(reached(n, edges), func(m *graph.Node) bool {
			return slices.ContainsFunc(s.cells[m], func(c string) bool { return wanted[c] })
		})
	})
	back := map[*graph.Node]*graph.Node{loss: loss}
	for _, n := range boxes {
		if n != loss {
			back[n] = s.gradientBox(n, boxes, edges, wanted)
		}
	}
	for _, e := range edges {
		from, to := back[e.From], back[e.To]
		if from == nil || to == nil || e.From == loss {
			continue
		}
		edge := s.Connect(to, from)
		edge.Upward = to != loss
	}
	for _, n := range boxes {
		if n != loss {
			s.updateBox(n, back[n], wanted)
		}
	}
}

// gradientBox stands beside a box and says which gradients are computed there.
func (s *stepDrawing) gradientBox(n *graph.Node, boxes []*graph.Node, edges []*graph.Edge, wanted map[string]bool) *graph.Node {
	var of []string
	for _, c := range s.cells[n] {
		if name := "∂" + c[strings.LastIndexByte(c, '.')+1:]; wanted[c] && !slices.Contains(of, name) {
			of = append(of, name)
		}
	}
	for _, e := range edges {
		if e.To == n && slices.Contains(boxes, e.From) {
			of = append(of, "∂input")
			break
		}
	}
	title := n.Lines[0]
	if len(n.Lines) > 1 && (n.Kind == graph.Layer || n.Kind == graph.Plain) {
		title = n.Lines[1]
	}
	box := s.Add(graph.Back, laneBackward, "back_"+n.ID, title, shortened(strings.Join(of, ", ")))
	box.Beside = n
	return box
}

// updateBox names the parameters of a box that get new values.
func (s *stepDrawing) updateBox(n, back *graph.Node, wanted map[string]bool) {
	const most = 4
	var lines []string
	numbers := 0
	for _, c := range s.cells[n] {
		if wanted[c] && s.written[c] && !slices.Contains(lines, c) {
			lines = append(lines, c)
			numbers += elementsOf(s.plan.Module.Cell(c))
		}
	}
	if len(lines) == 0 {
		return
	}
	if len(lines) > most {
		lines = append(lines[:most-1], fmt.Sprintf("and %d more", len(lines)-most+1))
	}
	box := s.Add(graph.Update, laneUpdate, "update_"+n.ID, append(lines, term.Count(numbers)+" numbers")...)
	box.Beside = n
	s.Connect(back, box)
}
