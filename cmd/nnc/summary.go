package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/cost"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/term"
	"github.com/nnc-lang/nnc/runtime/train"
)

// summaryCmd shows what a program's models are made of.
type summaryCmd struct {
	source
	JSON bool `name:"json" help:"Print a line of JSON for each model."`
}

// Help shows how the command is used.
func (summaryCmd) Help() string {
	return `Lists the layers as Keras's summary does, those within others indented, with what each computes and keeps for one example.

FLOPs are scalar operations of a forward pass: a sum, a product and an exponential count as one each, a product of matrices as 2·M·N·K. Activations are the bytes of a layer's output. A length that is known only when the program runs counts as 1.

    nnc summary catdog.nn
    nnc summary catdog.nn --set image_size=150`
}

// Run carries out the command.
func (c *summaryCmd) Run(std *command.Streams) error {
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
			if err := command.WriteJSON(std.Out, s); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(std.Out)
		}
		s.print(std.Out)
	}
	if !c.JSON {
		return l.printMemory(std.Out)
	}
	return nil
}

// printMemory writes what training uses in native code, to the byte, where the sizes are known before data is read.
func (l *loaded) printMemory(w io.Writer) error {
	p := l.plan
	if len(p.Trains) == 0 {
		return nil
	}
	if err := l.optimize(); err != nil {
		return err
	}
	for _, t := range p.Trains {
		sizes := map[string]int{}
		sizes[ir.Batch] = t.FullBatch()
		step := p.Module.Func(t.StepFunc(0))
		m, err := native.Memory(p.Module, step.Name, sizes)
		if err != nil {
			continue // examples have lengths of their own, or the interpreter has to compute it
		}
		fmt.Fprintf(w, "A training step")
		if len(p.Trains) > 1 {
			fmt.Fprintf(w, " of %s", t.Label)
		}
		if t.Data != nil {
			fmt.Fprintf(w, " with batches of %d", t.FullBatch())
		}
		if k := slices.IndexFunc(step.Stages, func(s ir.Stage) bool { return s.Size > 0 }); k >= 0 {
			fmt.Fprintf(w, " in parts of %d", step.Stages[k].Size)
		}
		fmt.Fprintf(w, " needs %s in native code: %s of parameters and state, %s of values on the way\n",
			term.Bytes(int64(m.Total())), term.Bytes(int64(m.Cells)), term.Bytes(int64(m.Arena+m.Consts)))
		l.printBuffers(w, t)
	}
	return nil
}

// printBuffers writes what a train's data uses, if it can be read.
func (l *loaded) printBuffers(w io.Writer, t *plan.Train) {
	if t.Data == nil || slices.ContainsFunc(t.AllData(), func(d *plan.Data) bool { return l.data[d] == nil }) {
		return
	}
	ds, err := train.Examples(t, func(d *plan.Data) (*data.Dataset, error) { return l.data[d], nil })
	if err != nil || ds.Train == nil || ds.Train.Len() == 0 {
		return
	}
	fmt.Fprintf(w, "Its data needs %s for batches", term.Bytes(int64(train.Buffers(t, ds))))
	if ds.Kept > 0 {
		fmt.Fprintf(w, " and keeps up to %s of decoded examples", term.Bytes(ds.Kept))
	}
	fmt.Fprintln(w)
}

// modelSummary is what a model is made of.
type modelSummary struct {
	Model     string         `json:"model"`
	Layers    []layerSummary `json:"layers"`
	Trainable int            `json:"trainable_params"`
	Fixed     int            `json:"non_trainable_params"`
	Flops     int            `json:"flops"`                 // for one example, forward
	Bytes     int            `json:"param_bytes"`           // of all parameters
	Kept      int            `json:"activation_bytes"`      // of inputs and outputs that no layer within makes, for one example
	Slots     int            `json:"optimizer_bytes"`       // of the optimisers' states for these parameters
	Lengths   bool           `json:"own_lengths,omitempty"` // counts are for a length of 1
}

// layerSummary is a layer, an input of the model, or a parameter that the model holds itself.
type layerSummary struct {
	Name   string   `json:"name"`
	Kind   string   `json:"type"`
	Output []string `json:"output"` // shapes
	Params int      `json:"params"`
	Flops  int      `json:"flops"`
	Kept   int      `json:"activation_bytes"`
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
		s.Layers = append(s.Layers, layerSummary{Name: in.Name, Kind: "input", Output: []string{shapeText(in.Shape)}, Kept: s.bytesOf(in.Shape)})
	}
	flops := cost.Flops(forward(p, m))
	for i, l := range m.Layers {
		row := layerSummary{Name: l.Path, Kind: l.Kind, Params: count(l.Params), depth: l.Depth}
		for _, out := range l.Output {
			row.Output = append(row.Output, shapeText(out))
			row.Kept += s.bytesOf(out)
		}
		for _, scope := range []string{m.Name + "." + l.Path, l.Path} {
			row.Flops += flops[scope]
			delete(flops, scope)
		}
		s.Flops += row.Flops
		if i+1 == len(m.Layers) || m.Layers[i+1].Depth <= l.Depth {
			s.Kept += row.Kept
		}
		s.Layers = append(s.Layers, row)
	}
	between := 0
	for _, n := range flops {
		between += n
	}
	if s.Flops += between; between > 0 {
		s.Layers = append(s.Layers, layerSummary{Name: "between layers", Kind: "operations", Flops: between})
	}
	for _, c := range p.Module.Cells {
		inModel := len(p.Models) == 1 || strings.HasPrefix(c.Name, m.Name+".")
		if (c.Kind == ir.Param || c.Kind == ir.State) && inModel && !counted[c.Name] {
			s.Layers = append(s.Layers, layerSummary{
				Name: c.Name, Kind: string(c.Kind), Output: []string{sizesText(dimsOf(c))}, Params: count([]string{c.Name}),
			})
		}
	}
	for _, in := range m.Inputs {
		s.Kept += s.bytesOf(in.Shape)
	}
	s.Bytes = elementBytes * (s.Trainable + s.Fixed)
	for _, c := range p.Module.Cells {
		if c.Kind == ir.Slot && ofSome(c.Name, counted) {
			s.Slots += elementBytes * elementsOf(c)
		}
	}
	return s
}

// elementBytes is the size of a number.
const elementBytes = 4

// bytesOf is the size of one example's tensor.
func (s *modelSummary) bytesOf(dims []int) int {
	n := elementBytes
	for _, d := range dims {
		if d < 0 {
			s.Lengths = true
			continue
		}
		n *= d
	}
	return n
}

// ofSome reports whether a slot's name, such as adam.dense.kernel.m, is that of the memory for one of these cells.
func ofSome(slot string, cells map[string]bool) bool {
	_, of, _ := strings.Cut(slot, ".")
	if end := strings.LastIndexByte(of, '.'); end >= 0 {
		return cells[of[:end]]
	}
	return false
}

// forward is the function that computes a model from its inputs.
func forward(p *plan.Program, m *plan.Model) *ir.Func {
	f := p.Module.Func(m.Predict)
	for _, i := range f.Body {
		if i.Op == ir.OpCall && len(f.Results) > 0 && slices.Contains(i.Results, f.Results[0]) {
			return i.Call
		}
	}
	return f
}

// print writes the table.
func (s *modelSummary) print(w io.Writer) {
	rows := [][5]string{{"Layer (type)", "Output Shape", "Param #", "FLOPs", "Activations"}}
	for _, l := range s.Layers {
		rows = append(rows, [5]string{
			strings.Repeat("  ", l.depth) + l.Name + " (" + l.Kind + ")", strings.Join(l.Output, ", "), term.Count(l.Params),
			term.Count(l.Flops), term.Bytes(int64(l.Kept)),
		})
	}
	var width [5]int
	for _, r := range rows {
		for k, cell := range r {
			width[k] = max(width[k], utf8.RuneCountInString(cell))
		}
	}
	line := strings.Repeat("─", width[0]+width[1]+width[2]+width[3]+width[4]+8)
	rule := func() { fmt.Fprintln(w, line) }
	fmt.Fprintf(w, "Model: %s\n", s.Model)
	rule()
	for i, r := range rows {
		fmt.Fprintf(w, "%-*s  %-*s  %*s  %*s  %*s\n", width[0], r[0], width[1], r[1], width[2], r[2], width[3], r[3], width[4], r[4])
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
	if s.Slots > 0 {
		fmt.Fprintf(w, "Optimizer's memory: %s\n", term.Bytes(int64(s.Slots)))
	}
	of := "one example"
	if s.Lengths {
		of += " of length 1"
	}
	fmt.Fprintf(w, "For %s: %s FLOPs forward, %s of activations\n", of, term.Count(s.Flops), term.Bytes(int64(s.Kept)))
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
