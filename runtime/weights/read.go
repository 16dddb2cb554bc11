package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Read reads a file of weights in any of the formats, which its first bytes tell: Keras's .h5, .weights.h5 and .keras, safetensors,
// and NumPy's .npz.
//
// Errors: what is wrong with the file, or what in it is not supported.
func Read(path string) (*File, error) {
	return decodeFile(path, Decode)
}

// decodeFile opens a file for decode, which gets its size.
func decodeFile[T any](path string, decode func(io.ReaderAt, int64) (T, error)) (T, error) {
	var none T
	f, err := os.Open(path)
	if err != nil {
		return none, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return none, err
	}
	w, err := decode(f, info.Size())
	if err != nil {
		return none, fmt.Errorf("reading %s: %w", path, err)
	}
	return w, nil
}

// Decode is Read for size bytes of r.
func Decode(r io.ReaderAt, size int64) (*File, error) {
	var start [9]byte
	n, err := r.ReadAt(start[:], 0)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case n == 0:
		return nil, errors.New("the file is empty")
	case bytes.HasPrefix(start[:n], []byte("PK\x03\x04")):
		return decodeArchive(r, size)
	case n == len(start) && start[8] == '{': // eight bytes of length, and a header in JSON
		tensors, err := DecodeSafetensors(r, size)
		if err != nil {
			return nil, err
		}
		return named(slices.SortedFunc(maps.Keys(tensors), compareNumbered), tensors), nil
	case string(start[:8]) == "\x80\x02\x8a\x0al\xfc\x9cF":
		return nil, errors.New("this is a pickle of PyTorch, which may run any program when it is read: save the state dict with safetensors.torch.save_file")
	}
	return DecodeKeras(r, size)
}

// named makes a file of tensors that have nothing but names. What stands before the last dot or slash is the layer.
func named(names []string, tensors map[string]*tensor.Tensor) *File {
	f := &File{unordered: true}
	for _, name := range names {
		layer := ""
		if i := strings.LastIndexAny(name, "./"); i >= 0 {
			layer = name[:i]
		}
		i := slices.IndexFunc(f.Layers, func(l Layer) bool { return l.Name == layer })
		if i < 0 {
			i = len(f.Layers)
			// Nothing tells the order of layers, except for those that are numbers in a list, as features.0 and features.3.
			group := layer
			if j := strings.LastIndexAny(layer, "./"); strings.Trim(layer[j+1:], "0123456789") == "" {
				group = layer[:j+1]
			}
			f.Layers = append(f.Layers, Layer{Name: layer, group: group})
		}
		f.Layers[i].Weights = append(f.Layers[i].Weights, Weight{strings.TrimLeft(name[len(layer):], "./"), tensors[name]})
	}
	fromTorch(f)
	return f
}
