package weights

import (
	"fmt"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// SaveProgram writes a program's parameters and states to an .h5 file. If the program has one model, a chain of layers that Keras
// has too, the file is a whole Keras model; otherwise it holds the weights only, and note says why.
func SaveProgram(path string, prog runtime.Program, p *plan.Program) (note string, err error) {
	err = runtime.View(prog, func(cell func(string) (*tensor.Tensor, error)) error {
		note, err = saveCells(path, cell, p)
		return err
	})
	return note, err
}

func saveCells(path string, cell func(string) (*tensor.Tensor, error), p *plan.Program) (note string, err error) {
	m := Model{Name: "model"}
	described := map[string]bool{} // cells that belong to layers
	if len(p.Models) == 1 {
		model := p.Models[0]
		m.Name = strings.ToLower(model.Name)
		m.Sequential = model.Chain && len(model.Inputs) == 1
		if m.Sequential {
			m.InputShape = model.Inputs[0].Shape
		}
		find := func(path string) *plan.Layer {
			for _, l := range model.Layers {
				if l.Path == path {
					return l
				}
			}
			return nil
		}
		var outer *plan.Layer // a layer of Keras that holds the weights of those within it
		for _, l := range model.Layers {
			within := outer != nil && strings.HasPrefix(l.Path, outer.Path+".")
			if l.Depth > 0 && len(l.Params) == 0 {
				continue
			}
			layer := Layer{Name: l.Path}
			if l.Depth == 0 && l.Std {
				if layer.Class, layer.Config = kerasLayer(l, find); layer.Class == "Bidirectional" || isRecurrent(layer.Class) {
					outer = l
				}
			}
			dir := ""
			if within {
				dir = kerasDir(outer, l.Path, find)
			}
			for _, name := range l.Params {
				described[name] = true
				t, err := cell(name)
				if err != nil {
					return "", err
				}
				layer.Weights = append(layer.Weights, Weight{dir + weightName(name), t})
			}
			if within {
				last := &m.Layers[len(m.Layers)-1]
				last.Weights = append(last.Weights, layer.Weights...)
				continue
			}
			m.Layers = append(m.Layers, layer)
		}
	}
	for _, c := range p.Module.Cells {
		if c.Kind != ir.Param && c.Kind != ir.State || described[c.Name] {
			continue
		}
		m.Sequential = false
		t, err := cell(c.Name)
		if err != nil {
			return "", err
		}
		owner := ownerOf(c.Name, p)
		if n := len(m.Layers); n == 0 || m.Layers[n-1].Name != owner {
			m.Layers = append(m.Layers, Layer{Name: owner})
		}
		last := &m.Layers[len(m.Layers)-1]
		last.Weights = append(last.Weights, Weight{weightName(c.Name), t})
	}
	return WriteKeras(path, m)
}

// kerasDir is where Keras keeps the weights of a layer within a recurrent one or a Bidirectional.
func kerasDir(outer *plan.Layer, path string, find func(string) *plan.Layer) string {
	parts := strings.Split(strings.TrimPrefix(path, outer.Path+"."), ".")
	if outer.Kind == "Bidirectional" {
		if l := find(outer.Path + "." + parts[0]); l != nil {
			parts[0] = kerasDirection(parts[0], l.Kind)
		}
	}
	return strings.Join(parts, "/") + "/"
}

// LoadProgram gives all of a program's parameters and states the values in a file of weights.
//
// Errors: what is wrong with the file, or how it does not fit the program.
func LoadProgram(path string, prog runtime.Program, p *plan.Program) error {
	_, err := Selection{}.LoadProgram(path, prog, p)
	return err
}

// LoadProgram gives a program's parameters and states the values that the selection takes from a file of weights. The report of a partial one
// says which have got values; it is "" otherwise.
//
// Errors: what is wrong with the file, or how it does not fit the program.
func (s Selection) LoadProgram(path string, prog runtime.Program, p *plan.Program) (report string, err error) {
	var want []Want
	cells := map[string]*ir.Cell{}
	for _, c := range p.Module.Cells {
		if c.Kind != ir.Param && c.Kind != ir.State {
			continue
		}
		w := Want{Path: ownerOf(c.Name, p) + "/" + weightName(c.Name)}
		for _, d := range c.Type.Shape {
			w.Shape = append(w.Shape, d.MustConst())
		}
		cells[w.Path] = c
		want = append(want, w)
	}
	file, err := Read(path)
	if err != nil {
		return "", err
	}
	found, report, err := file.selected(want, s)
	if err != nil {
		return "", fmt.Errorf("%s does not fit the program %s: %w", path, p.File, err)
	}
	for _, w := range want {
		if found[w.Path] == nil { // a partial selection leaves it
			continue
		}
		if err := prog.SetCell(cells[w.Path].Name, found[w.Path]); err != nil {
			return "", err
		}
	}
	return report, nil
}

// ownerOf is the path of the layer that holds a cell; the model's name where the model holds it itself.
func ownerOf(cell string, p *plan.Program) string {
	if i := strings.LastIndexByte(cell, '.'); i >= 0 {
		return cell[:i]
	}
	if len(p.Models) == 1 {
		return strings.ToLower(p.Models[0].Name)
	}
	return "model"
}

func weightName(cell string) string { return cell[strings.LastIndexByte(cell, '.')+1:] }
