package weights

import (
	"maps"
	"slices"
	"strings"
)

// read reads weights in any of the formats: safetensors by the end of the file's name, else Keras's.
func read(path string) (*File, error) {
	if !strings.HasSuffix(path, ".safetensors") {
		return ReadKeras(path)
	}
	tensors, err := ReadSafetensors(path)
	if err != nil {
		return nil, err
	}
	f := &File{unordered: true}
	for _, name := range slices.SortedFunc(maps.Keys(tensors), compareNumbered) {
		layer := ""
		if i := strings.LastIndexAny(name, "./"); i >= 0 {
			layer = name[:i]
		}
		i := slices.IndexFunc(f.Layers, func(l Layer) bool { return l.Name == layer })
		if i < 0 {
			i = len(f.Layers)
			f.Layers = append(f.Layers, Layer{Name: layer, group: layer}) // no two are of one class, as nothing tells their order
		}
		f.Layers[i].Weights = append(f.Layers[i].Weights, Weight{strings.TrimLeft(name[len(layer):], "./"), tensors[name]})
	}
	return f, nil
}
