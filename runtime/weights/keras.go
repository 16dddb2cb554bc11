package weights

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/hdf5"
)

// File is what a file holds of a model's weights. The state of an optimizer is not among it.
type File struct {
	// Layers are those of the file, with and without weights. They are in the model's order, except for safetensors and for a .weights.h5 of
	// Keras 3, which do not record it: there they are sorted by name.
	Layers []Layer
	// ModelConfig is the JSON text that describes the model's layers, or empty.
	ModelConfig string

	unordered bool // Layers are not in the model's order
	list      bool // the weights have no names, and their order is that of the model
}

// Layer is a layer and its weights.
type Layer struct {
	Name    string
	Weights []Weight

	// Class is the Keras class, such as Conv2D; a File leaves it empty. A Model may leave it empty if there is none.
	Class string
	// Config are the arguments of the class in a Model: what JSON can hold.
	Config map[string]any

	group string // layers of one group are numbered in the model's order: conv2d in a .weights.h5
	torch bool   // see Note [PyTorch's state dicts]
}

// Weight is a named tensor of a layer.
type Weight struct {
	Name   string // such as kernel
	Tensor *tensor.Tensor
}

// Entry is a weight with its whole name.
type Entry struct {
	Path   string // layer and weight, such as conv2d/kernel
	Tensor *tensor.Tensor

	torch bool
}

// Entries returns all weights, layer after layer.
func (f *File) Entries() []Entry {
	var all []Entry
	for _, l := range f.Layers {
		for _, w := range l.Weights {
			all = append(all, Entry{path.Join(l.Name, w.Name), w.Tensor, l.torch})
		}
	}
	return all
}

// ReadKeras reads the weights of a Keras file: a whole model (.h5) or weights only (.h5), each of Keras 2 or 3, or a
// .weights.h5 of Keras 3.
//
// Errors: what is wrong with the file, or what in it is not supported.
//
// Source: keras/src/legacy/saving/legacy_h5_format.py and keras/src/saving/saving_lib.py, Keras 3.15.
func ReadKeras(path string) (*File, error) {
	return decodeFile(path, DecodeKeras)
}

// DecodeKeras is ReadKeras for size bytes of r.
func DecodeKeras(r io.ReaderAt, size int64) (*File, error) { return decodeHDF5(r, size, kerasGroups{}) }

// decodeHDF5 is DecodeKeras where the groups of a .weights.h5 are known.
func decodeHDF5(r io.ReaderAt, size int64, groups kerasGroups) (*File, error) {
	file, err := hdf5.Open(r, size)
	if err != nil {
		return nil, err
	}
	k := &kerasReader{file: file, groups: groups, elements: 16*size + 1<<16}
	root := file.Root()
	switch {
	case has(root, "model_weights"):
		group, err := root.Lookup("model_weights")
		if err != nil {
			return nil, err
		}
		if err := k.legacy(group); err != nil {
			return nil, err
		}
	case hasNames(root, "layer_names"):
		err = k.legacy(root)
	case has(root, "layers") || has(root, "vars"):
		err = k.variables()
	default:
		return nil, errors.New("this HDF5 file is not from Keras: it has neither model_weights nor layer_names nor layers")
	}
	if err != nil {
		return nil, err
	}
	config, err := root.Attr("model_config")
	if errors.Is(err, hdf5.ErrNotFound) {
		return &k.out, nil
	}
	if err == nil {
		k.out.ModelConfig, err = config.String()
	}
	return &k.out, err
}

// kerasReader gathers the weights of a file.
type kerasReader struct {
	file   *hdf5.File
	groups kerasGroups
	out    File
	// elements is how many more elements may come, where a tensor counts as 64 and its elements. Weights hardly shrink when they are compressed; what claims to have
	// shrunk much, or lists the same data many times, is an attack on the memory.
	elements int64
}

// has tells whether a group has a member.
func has(group *hdf5.Object, name string) bool {
	_, err := group.Lookup(name)
	return err == nil
}

// read reads a dataset: floating-point numbers as f32, but those of 64 bits as f64, and integers as i32.
func (k *kerasReader) read(o *hdf5.Object) (*tensor.Tensor, error) {
	a, err := o.Dataset()
	if err != nil {
		return nil, err
	}
	if k.elements -= int64(a.Len()) + 64; k.elements < 0 {
		return nil, errors.New("the file claims far more weights than it has room for")
	}
	t := &tensor.Tensor{Shape: a.Shape}
	switch {
	case a.Type.IsInteger():
		all, err := a.Int64s()
		if err != nil {
			return nil, err
		}
		t.DType, t.I32 = tensor.I32, make([]int32, len(all))
		for i, v := range all {
			if t.I32[i] = int32(v); int64(t.I32[i]) != v {
				return nil, fmt.Errorf("/%s: %d does not fit 32 bits", o.Path(), v)
			}
		}
		return t, nil
	case a.Type.String() == "float64":
		t.DType = tensor.F64
		t.F64, err = a.Float64s()
	default:
		t.DType = tensor.F32
		t.F32, err = a.Float32s()
	}
	return t, err
}

// hasNames tells whether a group has a list of names.
func hasNames(group *hdf5.Object, name string) bool {
	_, whole := group.Attr(name)
	_, first := group.Attr(name + "0")
	return whole == nil || first == nil
}

// names reads a list of names. One that is too long for an attribute is spread over name0, name1 and so on.
func names(group *hdf5.Object, name string) ([]string, error) {
	list, err := attrStrings(group, name)
	if !errors.Is(err, hdf5.ErrNotFound) {
		return list, err
	}
	for i := 0; ; i++ {
		part, err := attrStrings(group, fmt.Sprint(name, i))
		if errors.Is(err, hdf5.ErrNotFound) && i > 0 {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, part...)
	}
}

func attrStrings(o *hdf5.Object, name string) ([]string, error) {
	a, err := o.Attr(name)
	if err != nil {
		return nil, err
	}
	if a.Len() == 0 { // Keras writes an empty list as one of numbers
		return nil, nil
	}
	return a.Strings()
}

// legacy reads the groups of a .h5 file, one for each layer, with a list of weights in each.
func (k *kerasReader) legacy(group *hdf5.Object) error {
	layers, err := names(group, "layer_names")
	if err != nil {
		return err
	}
	// Weights that belong to the model and to no layer come last.
	if has(group, "top_level_model_weights") {
		layers = append(layers, "top_level_model_weights")
	}
	for _, name := range layers {
		g, err := group.Lookup(name)
		if err != nil {
			return err
		}
		weights, err := names(g, "weight_names")
		if err != nil {
			return err
		}
		list := make([]Weight, len(weights))
		for i, w := range weights {
			o, err := g.Lookup(w)
			if err != nil {
				return err
			}
			if list[i].Tensor, err = k.read(o); err != nil {
				return err
			}
			list[i].Name = within(name, w)
		}
		if name == "top_level_model_weights" && len(list) == 0 {
			continue
		}
		k.out.Layers = append(k.out.Layers, split(name, list)...)
	}
	return nil
}

// within returns the part of a weight's name that tells it apart in its layer: Keras 3 writes catdog/conv32/kernel in
// layer conv32, Keras 2 conv32/kernel:0; both are kernel.
func within(layer, weight string) string {
	if i := strings.LastIndexByte(weight, ':'); i >= 0 {
		weight = weight[:i]
	}
	if rest, ok := strings.CutPrefix(weight, layer+"/"); ok {
		return rest
	}
	if _, rest, ok := strings.Cut(weight, "/"+layer+"/"); ok {
		return rest
	}
	return weight
}

// split makes layers of the weights of one, which are several where it is made of others, as a model in a model or Bidirectional. A cell,
// which is what an LSTM keeps its weights in, counts as its layer.
func split(name string, weights []Weight) []Layer {
	layers := []Layer{{Name: name}}
	for _, w := range weights {
		dir := path.Dir(w.Name)
		if stack, _, _ := cutNumber(path.Base(path.Dir(dir))); isCell(path.Base(dir)) && stack != "stacked_rnn_cells" {
			dir = path.Dir(dir)
		}
		layer := path.Join(name, dir)
		if last := &layers[len(layers)-1]; last.Name != layer && len(last.Weights) == 0 {
			last.Name = layer
		} else if last.Name != layer {
			layers = append(layers, Layer{Name: layer})
		}
		last := &layers[len(layers)-1]
		last.Weights = append(last.Weights, Weight{path.Base(w.Name), w.Tensor})
	}
	return layers
}

// isCell tells whether a name is that of the cell in a recurrent layer.
func isCell(name string) bool {
	class, _, _ := cutNumber(name)
	return class == "lstm_cell" || class == "gru_cell" || class == "simple_rnn_cell"
}
