package weights

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// decodeArchive reads the formats that are zip archives: Keras's .keras and NumPy's .npz. Nothing is unpacked to the disk, so the names in
// an archive lead nowhere.
func decodeArchive(r io.ReaderAt, size int64) (*File, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("a broken zip archive: %w", err)
	}
	a := &archive{r: r, members: z.File, room: 16*size + 1<<20}
	switch {
	case a.find(kerasWeights) != nil:
		return a.keras()
	case len(z.File) > 0 && path.Ext(z.File[0].Name) == ".npy":
		return a.npz()
	case len(z.File) > 0 && path.Base(z.File[0].Name) == "data.pkl":
		return nil, errors.New("this is a pickle of PyTorch, which may run any program when it is read: save the state dict with safetensors.torch.save_file")
	}
	return nil, errors.New("this zip archive is neither a .keras model nor an .npz: it has neither " + kerasWeights + " nor .npy files")
}

// The members of a .keras archive.
const (
	kerasWeights = "model.weights.h5"
	kerasConfig  = "config.json"
)

// archive is an open zip archive.
type archive struct {
	r       io.ReaderAt
	members []*zip.File
	// room is how many more bytes may be unpacked. Weights hardly shrink when they are compressed; what claims to have shrunk much is an
	// attack on the memory.
	room int64
}

func (a *archive) find(name string) *zip.File {
	for _, m := range a.members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// unpack returns the contents of a member.
func (a *archive) unpack(m *zip.File) ([]byte, error) {
	if a.room -= int64(min(m.UncompressedSize64, 1<<62)); a.room < 0 {
		return nil, fmt.Errorf("%s claims to be %d bytes, far more than the archive has room for", m.Name, m.UncompressedSize64)
	}
	f, err := m.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(m.UncompressedSize64)+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	return b, nil
}

// keras reads a .keras archive: weights in HDF5, and the configuration, which tells the layers' order and names.
//
// Source: keras/src/saving/saving_lib.py, Keras 3.15.
func (a *archive) keras() (*File, error) {
	config := ""
	if m := a.find(kerasConfig); m != nil {
		b, err := a.unpack(m)
		if err != nil {
			return nil, err
		}
		config = string(b)
	}
	m := a.find(kerasWeights)
	var r io.ReaderAt
	size := int64(m.UncompressedSize64)
	if m.Method == zip.Store && m.CompressedSize64 == m.UncompressedSize64 { // as Keras writes it
		at, err := m.DataOffset()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		r = io.NewSectionReader(a.r, at, size)
	} else {
		b, err := a.unpack(m)
		if err != nil {
			return nil, err
		}
		r, size = bytes.NewReader(b), int64(len(b))
	}
	f, err := decodeHDF5(r, size, groupsOf(config))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	f.ModelConfig = config
	return f, nil
}

// kerasGroups are the groups of a .weights.h5 in the order of the model's layers, and the layers' names.
type kerasGroups struct {
	order []string
	title map[string]string
	lacks map[string]map[string]bool // weights that a normalization of that group is without
}

// groupsOf tells which groups the layers of a configuration have; none where it cannot be read. Groups are called after classes, numbered in
// the model's order; a model in a model has groups in its own.
func groupsOf(config string) kerasGroups {
	g := kerasGroups{title: map[string]string{}, lacks: map[string]map[string]bool{}}
	var model struct{ Config json.RawMessage }
	if json.Unmarshal([]byte(config), &model) == nil {
		g.add("layers", model.Config, 0)
	}
	return g
}

func (g *kerasGroups) add(base string, config json.RawMessage, depth int) {
	var list struct {
		Layers []struct {
			Class  string `json:"class_name"`
			Config json.RawMessage
		}
	}
	const deepest = 100
	if json.Unmarshal(config, &list) != nil || depth > deepest {
		return
	}
	used := map[string]int{}
	for _, l := range list.Layers {
		name := groupName(l.Class)
		if n := used[name]; n > 0 {
			used[name]++
			name = fmt.Sprint(name, "_", n)
		} else {
			used[name] = 1
		}
		group := base + "/" + name
		g.order = append(g.order, group)
		var c struct {
			Name          string
			Scale, Center *bool
		}
		if json.Unmarshal(l.Config, &c) == nil {
			g.title[group] = c.Name
			g.lacks[group] = map[string]bool{"gamma": c.Scale != nil && !*c.Scale, "beta": c.Center != nil && !*c.Center}
		}
		g.add(group+"/layers", l.Config, depth+1)
	}
}

var (
	wordStart = regexp.MustCompile(`(.)([A-Z][a-z]+)`)
	wordEnd   = regexp.MustCompile(`([a-z])([A-Z])`)
)

// groupName is what the groups of a class of layers are called, after its name in Python.
func groupName(class string) string {
	if class == "GroupQueryAttention" {
		class = "GroupedQueryAttention"
	}
	return snakeCase(class)
}

// snakeCase is Keras's to_snake_case.
func snakeCase(class string) string {
	return strings.ToLower(wordEnd.ReplaceAllString(wordStart.ReplaceAllString(class, "${1}_$2"), "${1}_$2"))
}

// npz reads an .npz archive. Its arrays keep their order.
func (a *archive) npz() (*File, error) {
	var names []string
	tensors := map[string]*tensor.Tensor{}
	plain := true // np.savez(file, *arrays) calls them arr_0, arr_1 and so on
	for _, m := range a.members {
		name, ok := strings.CutSuffix(m.Name, ".npy")
		if !ok {
			return nil, fmt.Errorf("%s is no .npy file", m.Name)
		}
		if tensors[name] != nil {
			return nil, fmt.Errorf("two arrays are called %q", name)
		}
		b, err := a.unpack(m)
		if err != nil {
			return nil, err
		}
		t, err := decodeNPY(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		plain = plain && name == fmt.Sprint("arr_", len(names))
		names = append(names, name)
		tensors[name] = t
	}
	f := named(names, tensors)
	f.list = plain
	return f, nil
}
