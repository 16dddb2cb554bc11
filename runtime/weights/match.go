package weights

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Want is a parameter of a program that is to get its value from a file.
type Want struct {
	Path  string // layer and parameter, such as conv2d/kernel
	Shape []int
}

// Match finds a value for every wanted parameter, by its path.
//
// If all paths are in the file, and with equal shapes, they decide. Else layers are paired in order, which helps where the
// file calls its layers otherwise: all their shapes must agree, and there must be as many layers with weights. In a layer,
// parameters are paired by name, or if the names differ by shape and order. A .weights.h5 has no order of layers; there only
// layers of one class, as conv2d and conv2d_1, can be paired in order.
//
// Errors: one that lists what the file lacks, what has another shape and what is left over.
func (f *File) Match(want []Want) (map[string]*tensor.Tensor, error) {
	byName, problems := f.matchNames(want)
	if len(problems) == 0 {
		return byName, nil
	}
	byOrder, why := f.matchOrder(want)
	if why == "" {
		return byOrder, nil
	}
	return nil, fmt.Errorf("the weights do not fit this model.\nBy name:\n%sIn order:\n  - %s", bullets(problems), why)
}

// maxListed is how many problems an error lists; more do not help.
const maxListed = 20

func bullets(lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		if i == maxListed {
			fmt.Fprintf(&b, "  - and %d more\n", len(lines)-i)
			break
		}
		fmt.Fprintf(&b, "  - %s\n", line)
	}
	return b.String()
}

// key makes names comparable: Keras allows no slash in the name of a layer, so writing puts _ there.
func key(name string) string { return strings.ReplaceAll(name, "/", "_") }

func (f *File) matchNames(want []Want) (found map[string]*tensor.Tensor, problems []string) {
	entries := f.Entries()
	have := make(map[string]int, len(entries))
	for i, e := range entries {
		have[key(e.Path)] = i
	}
	found = make(map[string]*tensor.Tensor, len(want))
	used := make([]bool, len(entries))
	for _, w := range want {
		i, ok := have[key(w.Path)]
		if !ok {
			problems = append(problems, fmt.Sprintf("the file has no %q, which the model wants with shape %v", w.Path, w.Shape))
			continue
		}
		used[i] = true
		if t := entries[i].Tensor; slices.Equal(t.Shape, w.Shape) {
			found[w.Path] = t
		} else {
			problems = append(problems, fmt.Sprintf("%q has shape %v in the file, but the model wants %v", w.Path, t.Shape, w.Shape))
		}
	}
	for i, e := range entries {
		if !used[i] {
			problems = append(problems, fmt.Sprintf("the model has no %q, which the file has with shape %v", e.Path, e.Tensor.Shape))
		}
	}
	return found, problems
}

// wantLayer are wanted parameters of one layer.
type wantLayer struct {
	name    string
	weights []Want
}

// matchOrder pairs layers in order, or says why not.
func (f *File) matchOrder(want []Want) (found map[string]*tensor.Tensor, why string) {
	var wanted []wantLayer
	for _, w := range want {
		name := path.Dir(w.Path)
		i := slices.IndexFunc(wanted, func(l wantLayer) bool { return l.name == name })
		if i < 0 {
			i = len(wanted)
			wanted = append(wanted, wantLayer{name: name})
		}
		wanted[i].weights = append(wanted[i].weights, w)
	}
	layers := slices.DeleteFunc(slices.Clone(f.Layers), func(l Layer) bool { return len(l.Weights) == 0 })
	if len(wanted) != len(layers) {
		return nil, fmt.Sprintf("the model has %d layers with weights, the file %d", len(wanted), len(layers))
	}
	found = make(map[string]*tensor.Tensor, len(want))
	for i, w := range wanted {
		at := 0 // in layers, which lose those that are paired
		if f.unordered {
			if at, why = choose(w, layers); why != "" {
				return nil, why
			}
		}
		pairs := pair(w, layers[at])
		if pairs == nil {
			return nil, fmt.Sprintf("layer %d of the model, %q, wants %s, but layer %d of the file, %q, has %s",
				i+1, w.name, w, i+1, layers[at].Name, layers[at])
		}
		for path, t := range pairs {
			found[path] = t
		}
		layers = slices.Delete(layers, at, at+1)
	}
	return found, ""
}

// choose finds the first layer that fits where the file has no order: all that fit must be of one class, whose layers Keras
// numbers in the model's order.
func choose(w wantLayer, layers []Layer) (at int, why string) {
	at = -1
	for i, l := range layers {
		switch {
		case pair(w, l) == nil:
		case at < 0:
			at = i
		case layers[at].group != l.group:
			return 0, fmt.Sprintf("%q could be the file's %q or %q, and a .weights.h5 file does not tell the order of layers: "+
				"give the model's layers the names of the file, or save it as .h5", w.name, layers[at].Name, l.Name)
		}
	}
	if at < 0 {
		return 0, fmt.Sprintf("layer %q of the model wants %s, and no layer left in the file has that", w.name, w)
	}
	return at, ""
}

// pair finds a weight of the layer for each wanted one, or returns nil.
func pair(w wantLayer, l Layer) map[string]*tensor.Tensor {
	if len(w.weights) != len(l.Weights) {
		return nil
	}
	named := func(want Want) int {
		return slices.IndexFunc(l.Weights, func(have Weight) bool { return have.Name == path.Base(want.Path) })
	}
	byName := !slices.ContainsFunc(w.weights, func(want Want) bool { return named(want) < 0 })
	used := make([]bool, len(l.Weights))
	pairs := make(map[string]*tensor.Tensor, len(w.weights))
	for _, want := range w.weights {
		at := -1
		if byName {
			at = named(want)
		} else {
			for i, have := range l.Weights {
				if !used[i] && slices.Equal(have.Tensor.Shape, want.Shape) {
					at = i
					break
				}
			}
		}
		if at < 0 || used[at] || !slices.Equal(l.Weights[at].Tensor.Shape, want.Shape) {
			return nil
		}
		used[at] = true
		pairs[want.Path] = l.Weights[at].Tensor
	}
	return pairs
}

// String lists names and shapes, as kernel [3 3 3 32], bias [32].
func (w wantLayer) String() string {
	parts := make([]string, len(w.weights))
	for i, x := range w.weights {
		parts[i] = fmt.Sprint(path.Base(x.Path), " ", x.Shape)
	}
	return strings.Join(parts, ", ")
}

// String lists names and shapes, as kernel [3 3 3 32], bias [32].
func (l Layer) String() string {
	parts := make([]string, len(l.Weights))
	for i, x := range l.Weights {
		parts[i] = fmt.Sprint(x.Name, " ", x.Tensor.Shape)
	}
	return strings.Join(parts, ", ")
}
