package weights

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/atomicfile"
	"github.com/nnc-lang/nnc/runtime/hdf5"
)

// kerasVersion is the version whose files are imitated.
const kerasVersion = "3.15.1"

// Model is what WriteKeras needs to know of a model.
type Model struct {
	Name   string
	Layers []Layer // in the order in which Keras has them

	graph *graph // nil where Keras has no such model
	why   string // why that is
}

// WriteKeras writes a model in a format of Keras 3, by the end of the path: .keras; .weights.h5, for the load_weights of an equal model; or .h5,
// which both load_model and load_weights read. The file appears whole or not at all.
//
// Of a model that has no counterpart in Keras an .h5 holds only the weights, and note says why; it is empty if the file holds the whole model.
//
// Errors: two layers with one name; a model without a counterpart for a file other than .h5; what happened while writing. They do not name the file.
func WriteKeras(path string, m Model) (note string, err error) {
	encode := EncodeKeras
	switch {
	case filepath.Ext(path) == kerasExt:
		encode = encodeArchive
	case strings.HasSuffix(path, numberedExt):
		encode = encodeNumbered
	}
	err = atomicfile.Write(path, 0o644, func(w io.Writer) error {
		note, err = encode(w, m)
		return err
	})
	if err != nil {
		return "", err
	}
	return note, nil
}

// EncodeKeras writes an .h5 to a stream, see WriteKeras.
func EncodeKeras(w io.Writer, m Model) (note string, err error) {
	root := hdf5.NewGroup()
	group := root
	if m.graph == nil {
		note = "the file holds the weights only: " + m.why
	} else {
		if group, err = root.Group("model_weights"); err != nil {
			return "", err
		}
		config, err := m.config()
		if err != nil {
			return "", err
		}
		root.SetAttr("model_config", string(config))
		setKerasVersion(root)
	}
	setKerasVersion(group)
	if err := m.weights(group); err != nil {
		return "", err
	}
	return note, hdf5.Write(w, root)
}

func setKerasVersion(g *hdf5.Node) {
	g.SetAttr("backend", "tensorflow")
	g.SetAttr("keras_version", kerasVersion)
}

// kerasName is a name in a Keras file, which allows no slash in it.
func kerasName(name string) string { return strings.ReplaceAll(name, "/", "_") }

// kerasObject is how Keras's JSON writes a layer or a model.
type kerasObject struct {
	Module     string         `json:"module"`
	Class      string         `json:"class_name"`
	Config     map[string]any `json:"config"`
	Registered *string        `json:"registered_name"`
}

// kerasLayerObject is a layer of a model; the calls of one that is not sequential stand with it.
type kerasLayerObject struct {
	kerasObject
	Name  string         `json:"name,omitempty"`
	Calls []kerasInbound `json:"inbound_nodes"`
}

// kerasInbound is a call.
type kerasInbound struct {
	Args   []any          `json:"args"`
	Kwargs map[string]any `json:"kwargs"`
}

// config returns the configuration of the model.
func (m Model) config() ([]byte, error) {
	config := map[string]any{"name": kerasName(m.Name), "trainable": true}
	module, class := "keras.src.models.functional", "Functional"
	if m.graph.chain() {
		module, class = "keras", "Sequential"
		config["build_input_shape"] = batchShape(m.graph.inputs[0].tensor())
	} else {
		config["input_layers"], config["output_layers"] = histories(m.graph.inputs), histories(m.graph.outputs)
	}
	var layers []any
	for _, n := range m.graph.layers {
		of := map[string]any{"name": n.name, "dtype": "float32"}
		o := kerasObject{Module: n.module, Class: n.class, Config: of}
		switch {
		case n.class == "InputLayer":
		case n.module == kerasModule:
			of["trainable"] = true
		default: // an operation, which its module tells
			o.Registered = &n.class
			delete(of, "dtype")
		}
		maps.Copy(of, n.config)
		if class == "Sequential" {
			layers = append(layers, o)
			continue
		}
		l := kerasLayerObject{kerasObject: o, Name: n.name, Calls: []kerasInbound{}}
		for _, a := range n.calls {
			if len(a.args) == 0 { // an input
				continue
			}
			in := kerasInbound{Args: kerasTensors(a.args).([]any), Kwargs: map[string]any{}}
			for name, v := range a.kwargs {
				in.Kwargs[name] = kerasTensors(v)
			}
			l.Calls = append(l.Calls, in)
		}
		layers = append(layers, l)
	}
	config["layers"] = layers
	var registered *string
	if class == "Functional" {
		registered = &class
	}
	text, err := json.Marshal(kerasObject{Module: module, Class: class, Config: config, Registered: registered})
	if err != nil {
		return nil, fmt.Errorf("configuration of the model: %w", err)
	}
	return text, nil
}

// history is how Keras names an output of a call.
func (r ref) history() []any { return []any{r.node.name, r.call, r.output} }

func histories(refs []ref) []any {
	list := make([]any, len(refs))
	for i, r := range refs {
		list[i] = r.history()
	}
	return list
}

// kerasTensors puts Keras's form of tensors into an argument.
func kerasTensors(v any) any {
	switch v := v.(type) {
	case ref:
		t := v.tensor()
		return map[string]any{"class_name": "__keras_tensor__", "config": map[string]any{
			"shape": batchShape(t), "dtype": kerasType(t.DType), "keras_history": v.history(),
		}}
	case []any:
		all := make([]any, len(v))
		for i, one := range v {
			all[i] = kerasTensors(one)
		}
		return all
	}
	return v
}

// weights writes a group for each layer.
func (m Model) weights(group *hdf5.Node) error {
	var names []string
	for _, l := range m.Layers {
		name := kerasName(l.Name)
		if slices.Contains(names, name) {
			return fmt.Errorf("two layers are called %q", name)
		}
		names = append(names, name)
		dir := path.Join(kerasName(m.Name), name)
		if kerasName(m.Name) == name { // of the model's own weights, which twice the name would put into a layer within the layer
			dir = name
		}
		if err := addLayer(group, name, dir, l.Weights); err != nil {
			return fmt.Errorf("layer %q: %w", l.Name, err)
		}
	}
	setNames(group, "layer_names", names)
	return addLayer(group, "top_level_model_weights", "", nil)
}

// addLayer writes weights at dir in the group of a layer.
func addLayer(group *hdf5.Node, name, dir string, weights []Weight) error {
	g, err := group.Group(name)
	if err != nil {
		return err
	}
	list := make([]string, len(weights))
	for i, w := range weights {
		list[i] = path.Join(dir, w.Name)
		if _, err := g.Dataset(list[i], w.Tensor.Shape, elements(w.Tensor)); err != nil {
			return err
		}
	}
	setNames(g, "weight_names", list)
	return nil
}

// maxNames is how many strings fit an attribute.
const maxNames = 4000

// setNames sets a list of names, spread over several attributes if it is too long for one.
func setNames(g *hdf5.Node, name string, list []string) {
	if len(list) <= maxNames {
		g.SetAttr(name, list)
		return
	}
	i := 0
	for part := range slices.Chunk(list, maxNames) {
		g.SetAttr(fmt.Sprint(name, i), part)
		i++
	}
}

// elements returns the slice that holds t's elements; booleans become integers.
func elements(t *tensor.Tensor) any {
	switch t.DType {
	case tensor.F32:
		return t.F32
	case tensor.F64:
		return t.F64
	case tensor.I32:
		return t.I32
	}
	return t.To(tensor.I32).I32
}

// The ends of the names of Keras's archives, and of its files of numbered weights.
const (
	kerasExt    = ".keras"
	numberedExt = ".weights.h5"
)

// holdsWeights tells whether a file of that name can hold weights whose layers have no counterpart in Keras.
func holdsWeights(path string) bool {
	return filepath.Ext(path) != kerasExt && !strings.HasSuffix(path, numberedExt)
}

// noCounterpart says why a file other than .h5 cannot be written.
func (m Model) noCounterpart() error {
	return fmt.Errorf("only models of Keras go into .keras and .weights.h5 files, and %s. Save the weights alone with another name that ends in .h5", m.why)
}

// encodeNumbered writes a .weights.h5.
func encodeNumbered(w io.Writer, m Model) (note string, err error) {
	if m.graph == nil {
		return "", m.noCounterpart()
	}
	root := hdf5.NewGroup()
	if err := m.variables(root); err != nil {
		return "", err
	}
	return "", hdf5.Write(w, root)
}

// encodeArchive writes a .keras: an archive of a configuration and a .weights.h5.
//
// Source: keras/src/saving/saving_lib.py, Keras 3.15.
func encodeArchive(w io.Writer, m Model) (note string, err error) {
	var weights bytes.Buffer
	if _, err := encodeNumbered(&weights, m); err != nil {
		return "", err
	}
	config, err := m.config()
	if err != nil {
		return "", err
	}
	z := zip.NewWriter(w)
	for _, member := range []struct {
		name     string
		contents []byte
	}{
		{"metadata.json", []byte(`{"keras_version": "` + kerasVersion + `", "date_saved": "1980-01-01@00:00:00"}`)}, // equal models make equal files
		{kerasConfig, config},
		{kerasWeights, weights.Bytes()},
	} {
		f, err := z.CreateHeader(&zip.FileHeader{Name: member.name, Method: zip.Store})
		if err != nil {
			return "", err
		}
		if _, err := f.Write(member.contents); err != nil {
			return "", err
		}
	}
	return "", z.Close()
}

// variables writes the weights as a .weights.h5 has them: numbered, in groups called after the layers' classes.
func (m Model) variables(root *hdf5.Node) error {
	if err := variables(root, "vars", kerasName(m.Name)); err != nil {
		return err
	}
	used := map[string]int{}
	for _, n := range m.graph.layers {
		if n.module != kerasModule { // Keras keeps nothing of operations
			continue
		}
		dir := groupName(n.class)
		if k := used[dir]; k > 0 {
			dir = fmt.Sprint(dir, "_", k)
		}
		used[groupName(n.class)]++
		dir = "layers/" + dir
		if err := variables(root, dir+"/vars", n.name); err != nil {
			return err
		}
		i := slices.IndexFunc(m.Layers, func(l Layer) bool { return l.Name == n.name })
		if i < 0 {
			continue
		}
		counts := map[string]int{}
		for _, w := range m.Layers[i].Weights {
			part, title := partOf(n.class, path.Dir(w.Name))
			vars := path.Join(dir, part, "vars")
			if counts[vars] == 0 && part != "" {
				if err := variables(root, vars, title); err != nil {
					return err
				}
			}
			if _, err := root.Dataset(fmt.Sprint(vars, "/", counts[vars]), w.Tensor.Shape, elements(w.Tensor)); err != nil {
				return err
			}
			counts[vars]++
		}
	}
	return nil
}

// variables makes a group of a layer's weights.
func variables(root *hdf5.Node, at, title string) error {
	g, err := root.Group(at)
	if err != nil {
		return err
	}
	g.SetAttr("name", title)
	return nil
}

// partOf is the group in that of a layer where a .weights.h5 has what an .h5 has in dir: forward_lstm/lstm_cell is forward_layer/cell. title
// is the part's own name.
func partOf(class, dir string) (group, title string) {
	if dir == "." {
		return "", ""
	}
	parts := strings.Split(dir, "/")
	title = parts[len(parts)-1]
	for i, part := range parts {
		switch {
		case isCell(part):
			parts[i] = "cell"
		case i > 0:
		case class == "TimeDistributed":
			parts[i] = "layer"
		case class == "Bidirectional":
			direction, _, _ := strings.Cut(part, "_")
			parts[i] = direction + "_layer"
		case class == "MultiHeadAttention" || class == "GroupQueryAttention":
			parts[i] = strings.TrimPrefix(part, "attention_") + "_dense"
			if class == "GroupQueryAttention" {
				parts[i] = "_" + parts[i]
			}
		}
	}
	return strings.Join(parts, "/"), title
}
