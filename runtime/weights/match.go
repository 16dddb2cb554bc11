package weights

import (
	"fmt"
	"maps"
	"path"
	"regexp"
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
	found, _, err := f.selected(want, Selection{})
	return found, err
}

// Selection says which of a file's weights go where.
type Selection struct {
	// Map has the file's name for the program's name of a layer or parameter, where they differ: conv2d → features.0.
	Map map[string]string
	// Partial takes the weights that fit by name, and leaves all other parameters as they are.
	Partial bool
}

// selected finds values for the wanted parameters. With s.Partial, report says for which, and what is left.
func (f *File) selected(want []Want, s Selection) (found map[string]*tensor.Tensor, report string, err error) {
	x := f.index()
	if err := s.check(want, x); err != nil {
		return nil, "", err
	}
	byName, problems := x.names(want, s.Map)
	if s.Partial {
		if len(byName) == 0 {
			return nil, "", fmt.Errorf("nothing in the file fits.\nBy name:\n%s", bullets(problems))
		}
		return byName, partly(want, byName, problems), nil
	}
	if len(problems) == 0 {
		return byName, "", nil
	}
	why := "names that are mapped decide"
	if len(s.Map) == 0 {
		if found, why = f.matchOrder(want); why == "" {
			return found, "", nil
		}
	}
	return nil, "", fmt.Errorf("the weights do not fit this model.\nBy name:\n%sIn order:\n  - %s", bullets(problems), why)
}

// check refuses a map that names nothing.
func (s Selection) check(want []Want, x *index) error {
	for _, ours := range slices.Sorted(maps.Keys(s.Map)) {
		theirs := s.Map[ours]
		if !slices.ContainsFunc(want, func(w Want) bool { return begins(w.Path, ours) }) {
			return fmt.Errorf("the map's %q is no layer or parameter of the program; it has %s", ours, several(layersOf(want)))
		}
		if !slices.ContainsFunc(x.entries, func(e Entry) bool { return begins(e.Path, theirs) }) {
			var names []string
			for _, l := range x.file.Layers {
				if len(l.Weights) > 0 {
					names = append(names, l.Name)
				}
			}
			return fmt.Errorf("the map's %q, for %q, is not in the file; it has %s", theirs, ours, several(names))
		}
	}
	return nil
}

// layersOf lists the layers of wanted parameters.
func layersOf(want []Want) (names []string) {
	for _, w := range want {
		if name := path.Dir(w.Path); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// slashes writes a path with one kind of separator: nnc and PyTorch have dots between layers.
func slashes(path string) string { return strings.ReplaceAll(path, ".", "/") }

// begins tells whether a path is name or lies in it.
func begins(path, name string) bool { return inside(slashes(path), slashes(name)) != "" }

// inside returns what a path is in a folder, "." for the folder itself, or "" if it lies elsewhere.
func inside(path, folder string) string {
	if path == folder {
		return "."
	}
	rest, ok := strings.CutPrefix(path, folder+"/")
	if !ok {
		return ""
	}
	return rest
}

// mapped is a wanted path as the file calls it.
func mapped(want string, names map[string]string) string {
	want = slashes(want)
	longest, to := "", want
	for ours, theirs := range names {
		ours = slashes(ours)
		if rest := inside(want, ours); rest != "" && len(ours) > len(longest) {
			longest, to = ours, path.Join(slashes(theirs), rest)
		}
	}
	return to
}

// partly reports what was found and what was not.
func partly(want []Want, found map[string]*tensor.Tensor, problems []string) string {
	var names []string
	for _, w := range want {
		if found[w.Path] != nil {
			names = append(names, w.Path)
		}
	}
	text := fmt.Sprintf("%d of %d parameters have values from the file: %s", len(names), len(want), strings.Join(names, ", "))
	if len(problems) == 0 {
		return text
	}
	return text + "\nThe others stay as they are:\n" + strings.TrimSuffix(bullets(problems), "\n")
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

// key makes names comparable. Keras allows no slash in the name of a layer, so writing puts _ there; nnc and PyTorch write dots between
// layers; and what only one of them names does not count: the cell in a recurrent layer, the class of a layer in Bidirectional.
func key(name string) string {
	var parts []string
	for _, part := range strings.Split(slashes(name), "/") {
		if direction := directed.FindStringSubmatch(part); direction != nil {
			part = direction[1]
		}
		if !isCell(part) {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "_")
}

var directed = regexp.MustCompile(`^(forward|backward)_(?:lstm|gru|simple_rnn|layer)(?:_\d+)?$`)

// index finds entries by their paths.
type index struct {
	file    *File
	entries []Entry
	at      map[string]int // key of a path → entry
	used    []bool
}

func (f *File) index() *index {
	x := &index{file: f, entries: f.Entries(), at: map[string]int{}}
	for i, e := range x.entries {
		x.at[key(e.Path)] = i
	}
	x.used = make([]bool, len(x.entries))
	return x
}

// find returns the number of the entry that a parameter's path names, or -1.
func (x *index) find(name string) int {
	if i, ok := x.at[key(name)]; ok {
		return i
	}
	if theirs := kerasNames[path.Base(name)]; theirs != "" {
		if i, ok := x.at[key(path.Join(path.Dir(name), theirs))]; ok {
			return i
		}
	}
	if theirs := torchNames[path.Base(name)]; theirs != "" {
		if i, ok := x.at[key(path.Join(path.Dir(name), theirs))]; ok && x.entries[i].torch {
			return i
		}
	}
	return -1
}

// names finds values by path.
func (x *index) names(want []Want, names map[string]string) (found map[string]*tensor.Tensor, problems []string) {
	found = make(map[string]*tensor.Tensor, len(want))
	for _, w := range want {
		name := mapped(w.Path, names)
		i := x.find(name)
		if i < 0 {
			problems = append(problems, fmt.Sprintf("the file has no %q, which the model wants with shape %v", name, w.Shape))
			continue
		}
		x.used[i] = true
		if t := x.entries[i].as(path.Base(w.Path), w.Shape); t != nil {
			found[w.Path] = t
		} else {
			problems = append(problems, fmt.Sprintf("%q has shape %v in the file, but the model wants %v", x.entries[i].Path, x.entries[i].Tensor.Shape, w.Shape))
		}
	}
	for i, e := range x.entries {
		if !x.used[i] {
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
	if f.list {
		return f.matchList(want)
	}
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
		maps.Copy(found, pairs)
		layers = slices.Delete(layers, at, at+1)
	}
	return found, ""
}

// matchList pairs weights that have no names.
func (f *File) matchList(want []Want) (found map[string]*tensor.Tensor, why string) {
	entries := f.Entries()
	if len(want) != len(entries) {
		return nil, fmt.Sprintf("the model has %d parameters, the file %d", len(want), len(entries))
	}
	found = make(map[string]*tensor.Tensor, len(want))
	for i, w := range want {
		if found[w.Path] = entries[i].as(path.Base(w.Path), w.Shape); found[w.Path] == nil {
			return nil, fmt.Sprintf("parameter %d of the model, %q, wants shape %v, but %q of the file has %v", i+1, w.Path, w.Shape, entries[i].Path, entries[i].Tensor.Shape)
		}
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
			return 0, fmt.Sprintf("%q could be the file's %q or %q, and the file does not tell the order of its layers: say which with a map, "+
				"give the model's layers the names of the file, or, if Keras wrote it, save the model as .h5 or .keras", w.name, layers[at].Name, l.Name)
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
	entry := func(i int) Entry { return Entry{"", l.Weights[i].Tensor, l.torch} }
	named := func(want Want) int {
		name := path.Base(want.Path)
		return slices.IndexFunc(l.Weights, func(have Weight) bool { return have.Name == name || l.torch && have.Name == torchNames[name] })
	}
	byName := !slices.ContainsFunc(w.weights, func(want Want) bool { return named(want) < 0 })
	used := make([]bool, len(l.Weights))
	pairs := make(map[string]*tensor.Tensor, len(w.weights))
	for _, want := range w.weights {
		at := -1
		if byName {
			at = named(want)
		} else {
			for i := range l.Weights {
				if !used[i] && entry(i).as(path.Base(want.Path), want.Shape) != nil {
					at = i
					break
				}
			}
		}
		if at < 0 || used[at] {
			return nil
		}
		used[at] = true
		if pairs[want.Path] = entry(at).as(path.Base(want.Path), want.Shape); pairs[want.Path] == nil {
			return nil
		}
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
