package weights

import (
	"cmp"
	"errors"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/nnc-lang/nnc/runtime/hdf5"
)

// variables reads a .weights.h5 of Keras 3. There each layer is a group with its weights, numbered, in a group vars; it may
// hold other layers. Groups are called after classes, as layers/conv2d_1, and vars has the layer's own name as an attribute.
func (k *kerasReader) variables() error {
	k.out.unordered = len(k.groups.order) == 0
	titles := map[string]string{} // a group's path → its layer's name
	maps.Copy(titles, k.groups.title)
	err := k.file.Walk(func(o *hdf5.Object) error {
		dir, base := path.Split(o.Path())
		dir = strings.TrimSuffix(dir, "/")
		if base != "vars" || !o.IsGroup() || dir == "optimizer" || strings.HasPrefix(dir, "optimizer/") {
			return nil
		}
		title, err := o.Attr("name")
		if err == nil {
			titles[dir], err = title.String()
		}
		if err != nil && !errors.Is(err, hdf5.ErrNotFound) {
			return err
		}
		if path.Base(dir) == "seed_generator" { // the state of a random generator
			return nil
		}
		weights, err := k.numbered(o)
		if err != nil {
			return err
		}
		if len(weights) > 0 {
			classes := classesOf(dir)
			name(classes[len(classes)-1], k.groups.lacks[dir], weights)
			k.out.Layers = append(k.out.Layers, Layer{Name: dir, Weights: weights, group: groupOf(classes)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(k.out.Layers, func(a, b Layer) int {
		return cmp.Or(cmp.Compare(k.groups.place(a.Name), k.groups.place(b.Name)), compareNumbered(applied.Replace(a.Name), applied.Replace(b.Name)))
	})
	for i := range k.out.Layers {
		k.out.Layers[i].Name = titledName(k.out.Layers[i].Name, titles)
	}
	return nil
}

// applied puts the parts of layers into the order of their use, which is not that of their names.
var applied = strings.NewReplacer(
	"/forward_layer", "/1", "/backward_layer", "/2", "/query_dense", "/1", "/key_dense", "/2", "/value_dense", "/3", "/output_dense", "/4",
	"/_query_dense", "/1", "/_key_dense", "/2", "/_value_dense", "/3", "/_output_dense", "/4",
)

// classesOf lists the classes in a group's path: layers/sequential_1/layers/conv2d is sequential, conv2d.
func classesOf(dir string) (classes []string) {
	for _, part := range strings.Split(dir, "/") {
		if class, _, number := cutNumber(part); number {
			part = class
		}
		if part != "layers" {
			classes = append(classes, part)
		}
	}
	return classes
}

// groupOf is what layers have in common whose numbers tell their order: those of one class, in models of one class, and the parts of one
// layer.
func groupOf(classes []string) string {
	classes = slices.DeleteFunc(slices.Clone(classes), func(c string) bool {
		return slices.Contains([]string{"cell", "forward_layer", "backward_layer", "query_dense", "key_dense", "value_dense", "output_dense"}, strings.TrimPrefix(c, "_"))
	})
	return strings.Join(classes, "/")
}

// place is the number of the innermost known group that dir lies in. Unknown ones come last.
func (g kerasGroups) place(dir string) int {
	for ; dir != "."; dir = path.Dir(dir) {
		if i := slices.Index(g.order, dir); i >= 0 {
			return i
		}
	}
	return len(g.order)
}

// numbered reads the datasets 0, 1 and so on of a group.
func (k *kerasReader) numbered(vars *hdf5.Object) ([]Weight, error) {
	names, err := vars.Names()
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(names, compareNumbered)
	var weights []Weight
	for _, name := range names {
		o, err := vars.Lookup(name)
		if err != nil {
			return nil, err
		}
		if !o.IsDataset() {
			continue
		}
		t, err := k.read(o)
		if err != nil {
			return nil, err
		}
		weights = append(weights, Weight{name, t})
	}
	return weights, nil
}

// titledName returns the name of the layer in the group dir: those of the layers around it and its own. A cell, which is
// what an LSTM keeps its weights in, counts as its layer.
func titledName(dir string, titles map[string]string) string {
	var parts []string
	for at := dir; at != "" && at != "."; at = path.Dir(at) {
		switch base := path.Base(at); {
		case base == "layers" || base == "cell" && at == dir:
		case titles[at] != "":
			parts = append(parts, titles[at])
		default:
			parts = append(parts, base)
		}
	}
	slices.Reverse(parts)
	return strings.Join(parts, "/")
}

// weightNames are the names, in order, of what classes keep in vars; a layer may lack the last ones.
var weightNames = map[string][]string{
	"cell":                {"kernel", "recurrent_kernel", "bias"},
	"conv1d":              {"kernel", "bias"},
	"conv1d_transpose":    {"kernel", "bias"},
	"conv2d":              {"kernel", "bias"},
	"conv2d_transpose":    {"kernel", "bias"},
	"conv3d":              {"kernel", "bias"},
	"conv3d_transpose":    {"kernel", "bias"},
	"dense":               {"kernel", "bias"},
	"depthwise_conv1d":    {"kernel", "bias"},
	"depthwise_conv2d":    {"kernel", "bias"},
	"einsum_dense":        {"kernel", "bias"},
	"query_dense":         {"kernel", "bias"},
	"key_dense":           {"kernel", "bias"},
	"value_dense":         {"kernel", "bias"},
	"output_dense":        {"kernel", "bias"},
	"prelu":               {"alpha"},
	"p_re_lu":             {"alpha"},
	"rms_normalization":   {"scale"},
	"embedding":           {"embeddings"},
	"separable_conv1d":    {"depthwise_kernel", "pointwise_kernel", "bias"},
	"separable_conv2d":    {"depthwise_kernel", "pointwise_kernel", "bias"},
	"batch_normalization": {"gamma", "beta", "moving_mean", "moving_variance"},
	"normalization":       {"mean", "variance", "count"},
	"layer_normalization": {"gamma", "beta"},
	"group_normalization": {"gamma", "beta"},
}

// name gives numbered weights the names that their class has for them, but for those that the layer lacks. Normalizations may lack the first
// ones where nothing says so, and there the number must be right.
func name(group string, lacks map[string]bool, weights []Weight) {
	names := slices.DeleteFunc(slices.Clone(weightNames[strings.TrimPrefix(group, "_")]), func(name string) bool { return lacks[name] })
	if len(weights) > len(names) || strings.HasSuffix(group, "normalization") && len(weights) != len(names) {
		return
	}
	for i := range weights {
		weights[i].Name = names[i]
	}
}

// compareNumbered compares paths part by part, and conv2d_2 before conv2d_10.
func compareNumbered(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "/"), strings.Split(b, "/"), func(a, b string) int {
		aName, aNumber, _ := cutNumber(a)
		bName, bNumber, _ := cutNumber(b)
		return cmp.Or(cmp.Compare(aName, bName), cmp.Compare(aNumber, bNumber), cmp.Compare(a, b))
	})
}

// cutNumber splits conv2d_10 into conv2d and 10. A plain number is all number; a name without one has -1.
func cutNumber(s string) (name string, number int, ok bool) {
	i := strings.LastIndexByte(s, '_')
	n, err := strconv.Atoi(s[i+1:])
	if err != nil || n < 0 {
		return s, -1, false
	}
	return s[:max(i, 0)], n, true
}
