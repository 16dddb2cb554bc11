package weights

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
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
	Layers []Layer
	// InputShape is that of one example, without the batch.
	InputShape []int
	// Sequential says that each layer's input is the output of the one before.
	Sequential bool
	// TrainingConfig is what Keras compiles the model with (loss, metrics, optimizer_config); nil if that is unknown.
	TrainingConfig map[string]any
}

// WriteKeras writes a model in the .h5 format of Keras 3, so that both keras.models.load_model and the load_weights of an
// equal model read it. The file appears whole or not at all.
//
// A model that is not sequential, or has a layer without a class, has no counterpart in Keras: then only its weights are
// written, and note says why. It is empty if the file holds the whole model.
//
// Errors: two layers with one name, or what happened while writing.
func WriteKeras(path string, m Model) (note string, err error) {
	err = atomicfile.Write(path, 0o644, func(w io.Writer) error {
		note, err = EncodeKeras(w, m)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", path, err)
	}
	return note, nil
}

// EncodeKeras is WriteKeras to a stream.
func EncodeKeras(w io.Writer, m Model) (note string, err error) {
	root := hdf5.NewGroup()
	group := root
	if note = m.weightsOnly(); note == "" {
		if group, err = root.Group("model_weights"); err != nil {
			return "", err
		}
		config, err := m.config()
		if err != nil {
			return "", err
		}
		root.SetAttr("model_config", string(config))
		if m.TrainingConfig != nil {
			training, err := json.Marshal(m.TrainingConfig)
			if err != nil {
				return "", fmt.Errorf("training configuration: %w", err)
			}
			root.SetAttr("training_config", string(training))
		}
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

// weightsOnly says why Keras cannot have the whole model, or nothing.
func (m Model) weightsOnly() string {
	if !m.Sequential {
		return "the file holds the weights only: the model is not a chain of layers, and only those are written as Keras models"
	}
	for _, l := range m.Layers {
		if l.Class == "" {
			return fmt.Sprintf("the file holds the weights only: layer %q has no counterpart in Keras", l.Name)
		}
	}
	return ""
}

// kerasName is a name in a Keras file, which allows no slash in it.
func kerasName(name string) string { return strings.ReplaceAll(name, "/", "_") }

// kerasObject is how Keras's JSON writes a layer or a model.
type kerasObject struct {
	ClassName string         `json:"class_name"`
	Config    map[string]any `json:"config"`
}

// config returns the model_config.
func (m Model) config() ([]byte, error) {
	batch := []any{nil} // of any size
	for _, d := range m.InputShape {
		batch = append(batch, d)
	}
	input := "input_layer"
	for slices.ContainsFunc(m.Layers, func(l Layer) bool { return kerasName(l.Name) == input }) {
		input += "_"
	}
	layers := []kerasObject{{"InputLayer", map[string]any{
		"batch_shape": batch, "dtype": "float32", "sparse": false, "ragged": false, "name": input,
	}}}
	for _, l := range m.Layers {
		config := map[string]any{"trainable": true, "dtype": "float32"}
		maps.Copy(config, l.Config)
		config["name"] = kerasName(l.Name)
		layers = append(layers, kerasObject{l.Class, config})
	}
	text, err := json.Marshal(kerasObject{"Sequential", map[string]any{
		"name": kerasName(m.Name), "trainable": true, "dtype": "float32", "layers": layers, "build_input_shape": batch,
	}})
	if err != nil {
		return nil, fmt.Errorf("configuration of the model: %w", err)
	}
	return text, nil
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
