package weights

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Note [PyTorch's state dicts]
//
// PyTorch calls parameters otherwise, and lays them out otherwise, than Keras and nnc. fromTorch gives them the names here and takes apart
// what PyTorch keeps in one tensor; that needs no more than the names and shapes of a module:
//
//	weight of rank 2 and more    kernel, in PyTorch's layout (output first)
//	weight of rank 1, bias       gamma, beta of a normalisation
//	running_mean, running_var    moving_mean, moving_variance
//	weight_ih_l0, weight_hh_l0   kernel, recurrent_kernel; a GRU's gates change places
//	bias_ih_l0, bias_hh_l0       bias: their sum, or for a GRU one above the other
//	…_l0_reverse                 those of a layer backward beside a layer forward
//	in_proj_weight, in_proj_bias kernel and bias of the layers query, key and value
//
// Whether a kernel is that of a layer or the table of an embedding, and how it is to be transposed, is known only when the parameter that
// wants it is: Entry.as does that.

// fromTorch finds the layers of f that are PyTorch's, and gives them the names that they have here.
func fromTorch(f *File) {
	var layers []Layer
	for _, l := range f.Layers {
		layers = append(layers, torchLayer(l)...)
	}
	f.Layers = layers
}

// torchLayer is what a module of PyTorch becomes; the layer itself if it is none.
func torchLayer(l Layer) []Layer {
	get := func(name string) *tensor.Tensor {
		for _, w := range l.Weights {
			if w.Name == name {
				return w.Tensor
			}
		}
		return nil
	}
	out := Layer{Name: l.Name, group: l.group, torch: true}
	switch {
	case get("weight_ih_l0") != nil:
		return torchRecurrent(l, get)
	case get("in_proj_weight") != nil:
		return torchAttention(l, get)
	case path.Base(strings.ReplaceAll(l.Name, ".", "/")) == "out_proj" && get("weight") != nil:
		out.Name = strings.TrimSuffix(l.Name, "out_proj") + "attention_output"
	case get("weight") == nil:
		return []Layer{l}
	}
	vector := len(get("weight").Shape) == 1
	for _, w := range l.Weights {
		switch {
		case w.Name == "num_batches_tracked":
			continue
		case w.Name == "weight" && vector:
			w.Name = "gamma"
		case w.Name == "weight":
			w.Name = "kernel"
		case w.Name == "bias" && vector:
			w.Name = "beta"
		case w.Name == "running_mean":
			w.Name = "moving_mean"
		case w.Name == "running_var":
			w.Name = "moving_variance"
		}
		out.Weights = append(out.Weights, w)
	}
	return []Layer{out}
}

// torchRecurrent takes a recurrent module apart into its directions, and into l0, l1 and so on if it is a stack.
func torchRecurrent(l Layer, get func(string) *tensor.Tensor) []Layer {
	var layers []Layer
	stacked := get("weight_ih_l1") != nil
	for level := 0; ; level++ {
		number := "_l" + strconv.Itoa(level)
		if get("weight_ih"+number) == nil {
			return layers
		}
		both := get("weight_ih"+number+"_reverse") != nil
		for _, direction := range []string{"", "_reverse"} {
			w, u := get("weight_ih"+number+direction), get("weight_hh"+number+direction)
			if w == nil || u == nil || len(w.Shape) != 2 || len(u.Shape) != 2 || u.Shape[1] == 0 {
				continue
			}
			name := l.Name
			if stacked {
				name += "/" + number[1:]
			}
			if both && direction == "" {
				name += "/forward"
			} else if both {
				name += "/backward"
			}
			gates := u.Shape[0] / u.Shape[1]
			weights := []Weight{{"kernel", torchGates(w, gates)}, {"recurrent_kernel", torchGates(u, gates)}}
			if bi, bh := get("bias_ih"+number+direction), get("bias_hh"+number+direction); bi != nil && bh != nil && bi.Len() == bh.Len() {
				bias := tensor.New(bi.DType, bi.Len())
				bi, bh = torchGates(bi, gates), torchGates(bh, gates)
				if gates == 3 {
					bias = tensor.New(bi.DType, 2, bi.Len())
				}
				for i := range bi.Len() {
					if gates == 3 {
						bias.Set(i, bi.At(i))
						bias.Set(bi.Len()+i, bh.At(i))
					} else {
						bias.Set(i, bi.At(i)+bh.At(i))
					}
				}
				weights = append(weights, Weight{"bias", bias})
			}
			layers = append(layers, Layer{Name: name, group: l.group, torch: true, Weights: weights})
		}
	}
}

// torchGates exchanges the first two of a GRU's gates, which are rows: reset and update in PyTorch, update and reset here. An LSTM's stand in
// the same order.
func torchGates(t *tensor.Tensor, gates int) *tensor.Tensor {
	if gates != 3 || t.Shape[0]%3 != 0 {
		return t
	}
	out, third := tensor.New(t.DType, t.Shape...), t.Len()/3
	for i := range t.Len() {
		from := i
		switch i / max(third, 1) {
		case 0:
			from += third
		case 1:
			from -= third
		}
		out.Set(i, t.At(from))
	}
	return out
}

// torchAttention takes the one projection of an attention apart.
func torchAttention(l Layer, get func(string) *tensor.Tensor) []Layer {
	w, b := get("in_proj_weight"), get("in_proj_bias")
	var layers []Layer
	for i, name := range []string{"query", "key", "value"} {
		part := Layer{Name: l.Name + "/" + name, group: l.group + "/" + name, torch: true}
		if third, ok := rowsOfThird(w, i); ok {
			part.Weights = append(part.Weights, Weight{"kernel", third})
		}
		if third, ok := rowsOfThird(b, i); ok {
			part.Weights = append(part.Weights, Weight{"bias", third})
		}
		layers = append(layers, part)
	}
	return layers
}

// rowsOfThird returns the i-th third of the rows.
func rowsOfThird(t *tensor.Tensor, i int) (*tensor.Tensor, bool) {
	if t == nil || len(t.Shape) == 0 || t.Shape[0]%3 != 0 {
		return nil, false
	}
	shape := slices.Clone(t.Shape)
	shape[0] /= 3
	out := tensor.New(t.DType, shape...)
	for k := range out.Len() {
		out.Set(k, t.At(i*out.Len()+k))
	}
	return out, true
}

// torchNames are the names that fromTorch gives to what these parameters want.
var torchNames = map[string]string{"embeddings": "kernel", "alpha": "gamma", "scale": "gamma"}

// as returns the entry in the shape that the parameter `name` wants, with PyTorch's kernels transposed; nil if it does not fit.
func (e Entry) as(name string, shape []int) *tensor.Tensor {
	t := e.Tensor
	if e.torch && strings.HasSuffix(name, "kernel") {
		t = outputLast(t)
	}
	switch {
	case slices.Equal(t.Shape, shape):
		return t
	case e.torch && regrouped(t.Shape, shape):
		r := *t
		r.Shape = shape
		return &r
	}
	return nil
}

// outputLast turns PyTorch's output, input, height, width into height, width, input, output.
func outputLast(t *tensor.Tensor) *tensor.Tensor {
	rank := len(t.Shape)
	if rank < 2 {
		return t
	}
	order := make([]int, 0, rank) // dimension of the result → dimension of t
	for k := 2; k < rank; k++ {
		order = append(order, k)
	}
	order = append(order, 1, 0)
	stride := make([]int, rank)
	for k, n := rank-1, 1; k >= 0; k-- {
		stride[k] = n
		n *= t.Shape[k]
	}
	shape := make([]int, rank)
	for k, d := range order {
		shape[k] = t.Shape[d]
	}
	out := tensor.New(t.DType, shape...)
	for i := range out.Len() {
		rest, from := i, 0
		for k := rank - 1; k >= 0; k-- {
			from += rest % shape[k] * stride[order[k]]
			rest /= shape[k]
		}
		out.Set(i, t.At(from))
	}
	return out
}

// regrouped tells whether `to` is `from` with one dimension taken apart into two, such as heads and what each has, or with the two
// dimensions of channels of a depthwise kernel joined and taken apart otherwise.
func regrouped(from, to []int) bool {
	if len(from) == 4 && len(to) == 4 {
		return slices.Equal(from[:2], to[:2]) && from[2] == 1 && from[3] == to[2]*to[3]
	}
	if len(to) != len(from)+1 {
		return false
	}
	for k, d := range from {
		if slices.Equal(from[:k], to[:k]) && d == to[k]*to[k+1] && slices.Equal(from[k+1:], to[k+2:]) {
			return true
		}
	}
	return false
}
