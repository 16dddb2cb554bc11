package weights

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/atomicfile"
)

// SaveProgram writes a program's parameters and states in the format that the end of the path names: .safetensors and .npz have them by their names in
// the program, in its layout; other files are Keras's, .h5 and .keras. If the layers of one of its models have counterparts in Keras, and
// that model has all of them, the file is a whole Keras model; otherwise an .h5 holds the weights only, and note says why.
//
// Errors: a .keras of a program that has no counterpart in Keras; what happened while writing.
func SaveProgram(path string, prog runtime.Program, p *plan.Program) (note string, err error) {
	err = runtime.View(prog, func(cell func(string) (*tensor.Tensor, error)) error {
		if encode := encoderOf(path); encode != nil {
			return saveNamed(path, p, cell, encode)
		}
		m, err := modelOf(p, cell)
		if err == nil {
			note, err = WriteKeras(path, m)
		}
		return err
	})
	return note, err
}

// CheckSave says before a program is trained whether SaveProgram can write a file of that name.
//
// Errors: a .keras or a .weights.h5 of a program that has no counterpart in Keras; a .safetensors or .npz with names that are PyTorch's.
func CheckSave(path string, p *plan.Program) error {
	if encoderOf(path) != nil {
		return checkNames(p)
	}
	if m := describe(p); m.graph == nil && !holdsWeights(path) {
		return m.noCounterpart()
	}
	return nil
}

// encoderOf is how tensors are written to a file of that name that has them by name; nil for files of Keras.
func encoderOf(path string) func(io.Writer, map[string]*tensor.Tensor) error {
	switch filepath.Ext(path) {
	case ".safetensors":
		return EncodeSafetensors
	case ".npz":
		return EncodeNPZ
	}
	return nil
}

// checkNames refuses parameters by which fromTorch would take a layer for one of PyTorch, and read its weights as laid out as there.
func checkNames(p *plan.Program) error {
	for name := range parameters(p) {
		if own := weightName(name); own == "weight" || own == "weight_ih_l0" || own == "in_proj_weight" {
			return fmt.Errorf("%s has a name of PyTorch, by which it would be read in PyTorch's layout: give the parameter another name, such as kernel, or save an .h5", name)
		}
	}
	return nil
}

// saveNamed writes each parameter and state by its name.
func saveNamed(
	path string, p *plan.Program, cell func(string) (*tensor.Tensor, error), encode func(io.Writer, map[string]*tensor.Tensor) error,
) error {
	if err := checkNames(p); err != nil {
		return err
	}
	tensors := map[string]*tensor.Tensor{}
	for name := range parameters(p) {
		t, err := cell(name)
		if err != nil {
			return err
		}
		tensors[ownerOf(name, p)+"."+weightName(name)] = t
	}
	return atomicfile.Write(path, 0o644, func(w io.Writer) error { return encode(w, tensors) })
}

// parameters are the cells of a program that files of weights hold.
func parameters(p *plan.Program) map[string]bool {
	all := map[string]bool{}
	for _, c := range p.Module.Cells {
		if c.Kind == ir.Param || c.Kind == ir.State {
			all[c.Name] = true
		}
	}
	return all
}

// describe is a program as a model of Keras, without weights.
func describe(p *plan.Program) Model {
	m := Model{Name: "model", why: "the program has no model"}
	if len(p.Models) == 1 {
		m.Name = strings.ToLower(p.Models[0].Name)
	}
	all := parameters(p)
	for i := len(p.Models) - 1; i >= 0; i-- { // one that uses others comes behind them
		g, err := graphOf(p, p.Models[i])
		if err != nil {
			m.why = err.Error()
			continue
		}
		if missing := g.lacks(all); missing != "" {
			m.why = fmt.Sprintf("%s is not used to compute what the model %s gives", missing, p.Models[i].Name)
			continue
		}
		return Model{Name: strings.ToLower(p.Models[i].Name), graph: g}
	}
	return m
}

// modelOf is what WriteKeras writes of a program.
func modelOf(p *plan.Program, cell func(string) (*tensor.Tensor, error)) (Model, error) {
	m := describe(p)
	if m.graph != nil {
		for _, n := range m.graph.layers {
			if n.module != kerasModule {
				continue
			}
			layer := Layer{Name: n.name}
			for _, name := range n.cells() {
				w, err := weightOf(n.model, n.path, name, cell)
				if err != nil {
					return m, err
				}
				layer.Weights = append(layer.Weights, w)
			}
			m.Layers = append(m.Layers, layer)
		}
		return m, nil
	}
	all, holders := parameters(p), holdersOf(p)
	for _, c := range p.Module.Cells {
		if !all[c.Name] {
			continue
		}
		owner, w := ownerOf(c.Name, p), Weight{Name: weightName(c.Name)}
		var err error
		if h := holders[c.Name]; h.layer != nil {
			owner = layerName(h.model, h.layer)
			w, err = weightOf(h.model, h.layer.Path, c.Name, cell)
		} else {
			w.Tensor, err = cell(c.Name)
		}
		if err != nil {
			return m, err
		}
		i := slices.IndexFunc(m.Layers, func(l Layer) bool { return l.Name == owner })
		if i < 0 {
			i = len(m.Layers)
			m.Layers = append(m.Layers, Layer{Name: owner})
		}
		m.Layers[i].Weights = append(m.Layers[i].Weights, w)
	}
	return m, nil
}

// cells lists the parameters and states of a layer and of those within it, in Keras's order.
func (n *node) cells() (names []string) {
	if n.path == "" {
		return nil
	}
	var layers []*plan.Layer
	for _, l := range n.model.Layers {
		if l.Path == n.path || strings.HasPrefix(l.Path, n.path+".") {
			layers = append(layers, l)
		}
	}
	attention := []string{"query", "key", "value", "attention_output"}
	slices.SortStableFunc(layers, func(a, b *plan.Layer) int {
		return slices.Index(attention, strings.TrimPrefix(a.Path, n.path+".")) - slices.Index(attention, strings.TrimPrefix(b.Path, n.path+"."))
	})
	for _, l := range layers {
		names = append(names, l.Params...)
	}
	return names
}

// lacks names one of the cells that no layer of the graph holds; "" if all are there.
func (g *graph) lacks(cells map[string]bool) string {
	held := map[string]bool{}
	for _, n := range g.layers {
		for _, name := range n.cells() {
			held[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cells)) {
		if !held[name] {
			return name
		}
	}
	return ""
}

// holder is a layer of Keras that holds the weights of those within it.
type holder struct {
	model *plan.Model
	layer *plan.Layer
}

// holdersOf finds them for the cells of a program that becomes no model of Keras.
func holdersOf(p *plan.Program) map[string]holder {
	holders := map[string]holder{}
	for _, m := range p.Models {
		for _, l := range m.Layers {
			if !l.Std {
				continue
			}
			if class, _ := kerasLayer(m, l); class == "" {
				continue
			}
			n := node{path: l.Path, model: m}
			for _, name := range n.cells() {
				if holders[name].layer == nil {
					holders[name] = holder{m, l}
				}
			}
		}
	}
	return holders
}

// kerasNames are weights that Keras calls otherwise: a PositionEmbedding is an Embedding of places there; mean is a word of the language.
var kerasNames = map[string]string{
	"position_embeddings": "embeddings", "data_mean": "mean", "data_variance": "variance", "data_count": "count",
}

// weightOf is a cell as a weight of the layer of Keras at a path.
func weightOf(m *plan.Model, at, name string, cell func(string) (*tensor.Tensor, error)) (Weight, error) {
	t, err := cell(name)
	if err != nil {
		return Weight{}, err
	}
	own, ok := strings.CutPrefix(name, at+".")
	if !ok {
		own = strings.TrimPrefix(name, m.Name+"."+at+".")
	}
	parts := strings.Split(own, ".")
	if outer := layerAt(m, at); outer != nil && outer.Kind == "Bidirectional" {
		if l := layerAt(m, at+"."+parts[0]); l != nil {
			parts[0] = kerasDirection(parts[0], l.Kind)
		}
	}
	own = strings.Join(parts, "/")
	if theirs := kerasNames[own]; theirs != "" && len(parts) == 1 {
		own = theirs
	}
	return Weight{own, t}, nil
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
