package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// maker writes a program, value by value.
type maker struct {
	*choices
	p      *program
	decls  strings.Builder // before the model
	body   strings.Builder // of the model
	inputs []string        // of the model, with their types
	values []val
	layers int // declared
}

// val is a value of the model: its name and its shape.
type val struct {
	name  string
	shape []int
}

func (v val) last() int { return v.shape[len(v.shape)-1] }

// own reports whether the value is a sequence of each example's own length.
func (v val) own() bool { return v.shape[0] == ownLength }

func (v val) size() int {
	n := 1
	for _, d := range v.shape {
		n *= d
	}
	return n
}

// most bounds an example of a value.
const most = 4096

// generate draws a program: a model of a few values, each computed from the one before and perhaps an earlier one, and its training.
func generate(c *choices) *program {
	m := &maker{choices: c, p: &program{}}
	for range 1 + m.draw(2) {
		m.p.batches = append(m.p.batches, pick(c, 1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31, 32, 33))
	}
	v := m.input()
	for range m.draw(3) {
		v = m.stage(v)
	}
	m.train(v)
	return m.p
}

// let adds a value.
func (m *maker) let(shape []int, format string, args ...any) val {
	v := val{fmt.Sprintf("v%d", len(m.values)), shape}
	m.values = append(m.values, v)
	fmt.Fprintf(&m.body, "    let %s = %s\n", v.name, fmt.Sprintf(format, args...))
	return v
}

// through applies a layer to v.
func (m *maker) through(v val, shape []int, format string, args ...any) val {
	return m.let(shape, "%s |> %s", v.name, fmt.Sprintf(format, args...))
}

// field adds a field to the data.
func (m *maker) field(name string, d tensor.DType, below int, shape ...int) val {
	m.p.fields = append(m.p.fields, field{name, d, shape, below})
	return val{name, shape}
}

func (m *maker) side() int { return pick(m.choices, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 17) }

func (m *maker) channels() int {
	return pick(m.choices, 1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 17, 19, 24, 31, 32, 33)
}

// divisor draws a number that divides n.
func (m *maker) divisor(n int) int {
	var all []int
	for d := 1; d <= n; d++ {
		if n%d == 0 {
			all = append(all, d)
		}
	}
	return pick(m.choices, all...)
}

// input draws what the model takes, and returns a tensor of numbers made of it.
func (m *maker) input() val {
	var v val
	switch m.draw(8) {
	case 0:
		v = m.field("x", tensor.F32, 0, pick(m.choices, 1, 2, 3, 5, 8, 16, 17, 31, 33, 64, 100))
	case 1, 2, 3:
		v = m.field("x", tensor.F32, 0, m.side(), m.side(), pick(m.choices, 1, 3, 2, 4, 5, 8, 13, 16))
	case 4:
		v = m.field("x", tensor.F32, 0, m.side(), m.channels())
	case 5:
		v = m.field("x", tensor.F32, 0, ownLength, m.channels())
	default:
		words, length := pick(m.choices, 2, 3, 7, 20), m.side()
		if m.chance(50) {
			length = ownLength
		}
		id := m.field("x", tensor.I32, words, length)
		units, padding := m.channels(), ""
		if m.chance(25) {
			padding = fmt.Sprintf(", padding_index: %d", m.draw(words))
		}
		v = m.through(id, []int{length, units}, "Embedding(%d, %d%s)", words, units, padding)
	}
	var dims []string
	f := m.p.fields[0]
	for _, n := range f.shape {
		if n == ownLength {
			dims = append(dims, "t")
		} else {
			dims = append(dims, fmt.Sprint(n))
		}
	}
	m.inputs = []string{fmt.Sprintf("x: %s[%s]", f.dtype, strings.Join(dims, ", "))}
	return v
}

// train ends the model and writes what is learned from it.
func (m *maker) train(v val) {
	v = m.flat(v)
	lead := slices.Clone(v.shape[:len(v.shape)-1])
	switch kind := m.draw(6); {
	case kind == 1 && len(lead) < 2: // one class of several, perhaps at each place
		n := 2 + m.draw(9)
		v = m.through(v, append(lead, n), "Dense(%d)", n)
		m.field("y", tensor.I32, n, lead...)
	case kind == 2 && len(lead) == 0: // one of two
		v = m.through(v, []int{1}, "Dense(1, sigmoid)")
		m.field("y", tensor.I32, 2)
	default:
		if kind > 2 || !m.trained() {
			n := 1 + m.draw(9)
			v = m.through(v, append(lead, n), "Dense(%d, %s)", n, m.activation())
		}
		m.field("y", tensor.F32, 0, v.shape...)
	}
	target := m.p.fields[1]
	var loss, metrics string
	switch {
	case target.below > 0 && v.last() > 1:
		loss, metrics = "crossentropy(p, y, from_logits: true)", "accuracy(p, y)"
		if m.chance(40) {
			loss = pick(m.choices, "crossentropy(softmax(p), y)", "crossentropy(p, y, from_logits: true, label_smoothing: 0.1)")
		}
	case target.below > 0:
		// Near 0 and 1 a logarithm would make a large error of one rounding.
		loss, metrics = "binary_crossentropy(0.05 + 0.9 * p, y)", "accuracy(p, y)"
	default:
		loss = pick(m.choices, "mse", "mae", "huber", "log_cosh", "squared_hinge") + "(p, y)"
		metrics = "{ e: mae(p, y), most: max(p) }"
		if len(v.shape) == 1 && v.last() > 1 && m.chance(30) {
			// The gradient of a direction along one axis is 0, made of roundings; 0.25 more is along none, mostly.
			loss = pick(m.choices, "cosine_similarity(0.25 + p, y)", "kl_divergence(softmax(p), softmax(y))", "categorical_crossentropy(p, softmax(y), from_logits: true)")
		}
	}
	if m.p.fields[0].dtype == tensor.F32 && m.chance(10) { // a gradient of a gradient
		loss += " + 0.01 * sum(grad(sum(p), x)^2)"
	}
	// A small eps would make a large step of the rounding error in a gradient that is 0.
	optimizer := pick(m.choices, "sgd(lr: 1)", "sgd(lr: 0.3)", "sgd(lr: 0.1, momentum: 0.9, nesterov: true)", "adam(lr: 0.01, eps: 0.001)",
		"adam(lr: 0.01, eps: 0.001, amsgrad: true, decay: 0.01)", "rmsprop(lr: 0.01, momentum: 0.5, centered: true, eps: 0.001)", "adagrad(lr: 0.1)",
		"adadelta(lr: 1, eps: 0.001)", "adamw(lr: 0.01, eps: 0.001)", "adamax(lr: 0.01, eps: 0.001)", "nadam(lr: 0.01, eps: 0.001)", "radam(lr: 0.01, eps: 0.001)", "ftrl(lr: 0.1)")
	fmt.Fprintf(&m.body, "    %s\n", v.name)
	clip := ""
	if m.chance(20) {
		clip = " clip " + pick(m.choices, "value(0.01)", "norm(0.1)", "global_norm(0.1)", "by_example(0.1)")
	}
	if strings.Contains(m.body.String(), "BatchNorm") && strings.Contains(clip, "by_example") {
		clip = "" // gradients of examples exist where layers look at no other example
	}
	if m.chance(50) {
		metrics = "    metrics: " + metrics + "\n"
	} else {
		metrics = ""
	}
	parts, batch := "", 4
	if m.chance(15) && !strings.Contains(m.body.String(), "BatchNorm") { // which needs the whole batch
		parts, batch = fmt.Sprintf("    micro_batch: %d\n", pick(m.choices, 8, 1, 2, 3, 4)), slices.Max(m.p.batches)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\ndata D {\n    source: csv(\"d.csv\", columns: { %s })\n    batch: %d\n}\n\nmodel M(%s) {\n%s}\n\n", m.decls.String(), m.columns(), batch, strings.Join(m.inputs, ", "), m.body.String())
	fmt.Fprintf(&b, "train on D {\n    let p = M(x)\n    minimize %s%s over M using %s\n", loss, clip, optimizer)
	b.WriteString(metrics + parts + "    epochs: 1\n}\n")
	m.p.text = strings.TrimLeft(b.String(), "\n")
}

// trained reports whether the model has parameters.
func (m *maker) trained() bool {
	for _, layer := range []string{"Dense", "Conv", "Embedding", "RNN", "LSTM", "GRU", "Transformer", "MultiHead"} {
		if strings.Contains(m.body.String(), layer) {
			return true
		}
	}
	return false
}

// columns declares the data's fields; what they are is said by the schema.
func (m *maker) columns() string {
	var all []string
	for _, f := range m.p.fields {
		kind := "f32"
		if f.dtype == tensor.I32 {
			kind = "i32"
		}
		if len(f.shape) > 0 && f.shape[0] == ownLength {
			kind = "words"
		}
		all = append(all, f.name+": "+kind)
	}
	return strings.Join(all, ", ")
}

// flat ends in a tensor of fixed size, most often a vector.
func (m *maker) flat(v val) val {
	switch {
	case len(v.shape) == 1:
		return v
	case v.own():
		switch m.draw(4) {
		case 0:
			return m.through(v, v.shape[1:], "GlobalAvgPool1D()")
		case 1:
			return m.through(v, v.shape[1:], "GlobalMaxPool1D()")
		case 2:
			return m.let(v.shape[1:], "last(%s)", v.name)
		}
		return m.let(v.shape[1:], "[k] => sum[i] %s[i, k] / 3", v.name)
	case m.chance(20) && v.size() <= 512:
		return v
	case m.chance(30):
		return m.through(v, v.shape[len(v.shape)-1:], "Global%sPool%dD()", m.pooling(v), len(v.shape)-1)
	}
	return m.through(v, []int{v.size()}, "Flatten()")
}

// pooling draws what is taken of all places. The mean of what was normalised over them is always the same, and its gradients are 0, made of roundings.
func (m *maker) pooling(v val) string {
	kind := pick(m.choices, "Avg", "Max")
	_, made, _ := strings.Cut(m.body.String(), "let "+v.name+" = ")
	made, _, _ = strings.Cut(made, "\n")
	for _, layer := range []string{"BatchNorm", "InstanceNorm", "GroupNorm", "whole: true"} {
		if strings.Contains(made, layer) {
			return "Max"
		}
	}
	return kind
}

// activation draws a function of one number.
func (m *maker) activation() string {
	return pick(m.choices, "linear", "relu", "tanh", "sigmoid", "gelu", "silu", "softplus", "softsign", "elu", "leaky_relu(0.1)", "relu6", "selu", "mish", "hard_tanh", "hard_sigmoid", "log_sigmoid")
}

// stage computes a value of v.
func (m *maker) stage(v val) val {
	if m.chance(25) {
		return m.elementwise(v)
	}
	switch len(v.shape) {
	case 1:
		return m.vector(v)
	case 2:
		return m.sequence(v)
	}
	return m.picture(v)
}

// elementwise draws what fits every shape and keeps it.
func (m *maker) elementwise(v val) val {
	switch m.draw(12) {
	case 0:
		return m.let(v.shape, "%s(%s)", pick(m.choices, "relu", "tanh", "sigmoid", "gelu", "abs", "sin"), v.name)
	case 1:
		return m.let(v.shape, "%s * 0.5 + 0.25", v.name)
	case 2:
		return m.let(v.shape, "where(%s > 0.1, %s, 0.5 - %s)", v.name, v.name, v.name)
	case 3:
		return m.let(v.shape, "%s / (1 + %s^2)", v.name, v.name)
	case 4:
		return m.through(v, v.shape, "LayerNorm()")
	case 5:
		return m.through(v, v.shape, "RMSNorm()")
	case 6:
		return m.let(v.shape, "softmax(%s)", v.name)
	case 7:
		return m.through(v, v.shape, "Dropout(0.%d)", 1+m.draw(8))
	case 8, 9: // with an earlier value
		var fit []val
		for _, w := range m.values {
			if slices.Equal(w.shape, v.shape) {
				fit = append(fit, w)
			}
		}
		if len(fit) > 0 {
			return m.let(v.shape, pick(m.choices, "%s + %s", "%s * %s", "max(%s, %s)", "%s - 0.5 * %s"), v.name, pick(m.choices, fit...).name)
		}
		return m.let(v.shape, "%s + %s", v.name, v.name)
	case 10:
		return m.through(v, v.shape, "Residual(Dense(%d, %s))", v.last(), m.activation())
	}
	return m.through(v, v.shape, "UnitNorm()")
}

// vector draws what a vector goes through.
func (m *maker) vector(v val) val {
	n := v.last()
	switch m.draw(9) {
	default:
		k := m.channels()
		bias := ""
		if m.chance(20) {
			bias = ", use_bias: false"
		}
		return m.through(v, []int{k}, "Dense(%d, %s%s)", k, m.activation(), bias)
	case 4:
		return m.through(v, v.shape, "BatchNorm(momentum: 0.9, eps: 0.01)")
	case 5:
		return m.gather(v)
	case 6:
		k := 1 + m.draw(7)
		return m.through(v, []int{k, n}, "RepeatVector(%d)", k)
	case 7:
		k := m.divisor(n)
		return m.through(v, []int{k, n / k}, "Reshape([%d, %d])", k, n/k)
	case 8:
		return m.let([]int{2 * n}, "concat(%s, tanh(%s))", v.name, v.name)
	}
}

// sequence draws what a sequence of vectors goes through.
func (m *maker) sequence(v val) val {
	n, c := v.shape[0], v.shape[1]
	switch m.draw(13) {
	case 1, 2:
		units := pick(m.choices, 1, 2, 3, 4, 5, 8, 16, 17)
		layer := fmt.Sprintf("%s(%d", pick(m.choices, "SimpleRNN", "LSTM", "GRU"), units)
		if m.chance(25) {
			layer += ", go_backwards: true"
		}
		shape := []int{units}
		if m.chance(60) {
			layer += ", return_sequences: true"
			shape = []int{n, units}
		}
		if layer += ")"; m.chance(25) {
			layer = "Bidirectional(" + layer + ")"
			shape[len(shape)-1] *= 2
		}
		return m.through(v, shape, "%s", layer)
	case 3:
		return m.loop(v)
	case 4:
		heads := m.divisor(c)
		if heads > 4 {
			heads = 1
		}
		if m.chance(40) {
			return m.through(v, v.shape, "TransformerBlock(%d, %d, causal: %v)", heads, m.channels(), m.chance(50))
		}
		return m.through(v, v.shape, "MultiHeadAttention(%d, %d, causal: %v)", heads, 2*(1+m.draw(4)), m.chance(50))
	case 5:
		return m.through(v, v.shape[1:], "Global%sPool1D()", m.pooling(v))
	case 6:
		return m.let(v.shape, "reverse(%s)", v.name)
	}
	if n != ownLength {
		switch m.draw(9) {
		case 0, 1:
			return m.convolution1(v)
		case 2:
			size, stride := pick(m.choices, 2, 3, 4), 1+m.draw(3)
			padding, k := m.padding(n, size, stride, 1)
			return m.through(v, []int{k, c}, "%sPool1D(%d, strides: %d, padding: %q)", pick(m.choices, "Max", "Avg"), size, stride, padding)
		case 3:
			return m.gather(v)
		case 4:
			if v.size() <= most {
				return m.through(v, []int{v.size()}, "Flatten()")
			}
		case 5:
			return m.through(v, v.shape, "BatchNorm(eps: 0.01)")
		case 6:
			before, after := m.draw(3), m.draw(3)
			return m.through(v, []int{n + before + after, c}, "ZeroPadding1D(before: %d, after: %d)", before, after)
		case 7:
			return m.mixing(v)
		}
	}
	k := m.channels()
	return m.through(v, []int{n, k}, "Dense(%d, %s)", k, m.activation())
}

// loop draws a scan over a sequence.
func (m *maker) loop(v val) val {
	reversed, end := "", ""
	if m.chance(30) {
		reversed = "reversed "
	}
	if m.chance(25) {
		end = " while s < 1.5"
	}
	return m.let(v.shape, "scan %srow in %s%s with s = 0.25 {\n        s <- %s\n        yield %s\n    }", reversed, v.name, end,
		pick(m.choices, "0.5 * s + sum(row)", "tanh(s + max(row))", "s * 0.9 + mean(row) * sin(s)"), pick(m.choices, "s + row", "s * tanh(row)", "row - s"))
}

// padding draws how a window lies on n places and returns it with the number of windows.
func (m *maker) padding(n, size, stride, dilation int) (string, int) {
	reach := dilation*(size-1) + 1
	if reach > n || m.chance(50) {
		return "same", (n + stride - 1) / stride
	}
	return "valid", (n-reach)/stride + 1
}

// filters draws a number of filters for results of so many places, a multiple of groups.
func (m *maker) filters(places, groups int) int {
	f := m.channels()
	for f > 1 && f*places > most {
		f = (f + 1) / 2
	}
	return max(1, f/groups) * groups
}

func (m *maker) convolution1(v val) val {
	n, c := v.shape[0], v.shape[1]
	size, stride, dilation, groups := pick(m.choices, 1, 2, 3, 5), 1+m.draw(3), 1, 1
	if m.chance(20) {
		units := m.channels()
		padding, k := "same", n*stride
		if m.chance(50) {
			padding, k = "valid", n*stride+max(size-stride, 0)
		}
		return m.through(v, []int{k, units}, "Conv1DTranspose(%d, %d, %s, strides: %d, padding: %q)", units, size, m.activation(), stride, padding)
	}
	if stride == 1 {
		dilation += m.draw(3)
	}
	if m.chance(20) {
		groups = m.divisor(c)
	}
	padding, k := m.padding(n, size, stride, dilation)
	if padding == "same" && m.chance(30) {
		padding = "causal"
	}
	f := m.filters(k, groups)
	return m.through(v, []int{k, f}, "Conv1D(%d, %d, %s, strides: %d, padding: %q, dilation: %d, groups: %d)", f, size, m.activation(), stride, padding, dilation, groups)
}

// picture draws what an image goes through.
func (m *maker) picture(v val) val {
	h, w, c := v.shape[0], v.shape[1], v.shape[2]
	switch m.draw(18) {
	default:
		return m.convolution2(v)
	case 7:
		size, stride, multiplier := pick(m.choices, 3, 1, 2, 5), 1+m.draw(2), 1+m.draw(2)
		padding, a := m.padding(h, size, stride, 1)
		b := (w + stride - 1) / stride
		if padding == "valid" {
			if w < size {
				padding, a = "same", (h+stride-1)/stride
			} else {
				b = (w-size)/stride + 1
			}
		}
		if m.chance(40) {
			f := m.filters(a*b, 1)
			return m.through(v, []int{a, b, f}, "SeparableConv2D(%d, %d, %s, strides: %d, padding: %q)", f, size, m.activation(), stride, padding)
		}
		return m.through(v, []int{a, b, c * multiplier}, "DepthwiseConv2D(%d, %s, strides: %d, padding: %q, depth_multiplier: %d)", size, m.activation(), stride, padding, multiplier)
	case 8:
		size, stride := pick(m.choices, 3, 1, 2, 4), 1+m.draw(3)
		padding, a, b := "same", h*stride, w*stride
		if m.chance(50) {
			padding, a, b = "valid", h*stride+max(size-stride, 0), w*stride+max(size-stride, 0)
		}
		f := m.filters(a*b, 1)
		return m.through(v, []int{a, b, f}, "Conv2DTranspose(%d, %d, %s, strides: %d, padding: %q)", f, size, m.activation(), stride, padding)
	case 9, 10:
		size, stride := pick(m.choices, 2, 3, 4), 1+m.draw(3)
		padding, a, b := "same", (h+stride-1)/stride, (w+stride-1)/stride
		if size <= min(h, w) && m.chance(60) {
			padding, a, b = "valid", (h-size)/stride+1, (w-size)/stride+1
		}
		return m.through(v, []int{a, b, c}, "%sPool2D(%d, strides: %d, padding: %q)", pick(m.choices, "Max", "Avg"), size, stride, padding)
	case 11:
		switch m.draw(4) {
		case 0:
			return m.through(v, v.shape, "BatchNorm(eps: 0.01)")
		case 1:
			return m.through(v, v.shape, "GroupNorm(%d)", m.divisor(c))
		case 2:
			return m.through(v, v.shape, "InstanceNorm(affine: true)")
		}
		return m.through(v, v.shape, "LayerNorm(whole: true)")
	case 12:
		if 4*v.size() <= most {
			return m.through(v, []int{2 * h, 2 * w, c}, "UpSampling2D(2%s)", pick(m.choices, "", `, interpolation: "bilinear"`))
		}
	case 13:
		return m.through(v, v.shape[2:], "Global%sPool2D()", m.pooling(v))
	case 14:
		return m.gather(v)
	case 15:
		return m.through(v, []int{h * w, c}, "Reshape([%d, %d])", h*w, c)
	case 16:
		top, left := m.draw(3), m.draw(3)
		return m.through(v, []int{h + top, w + left + 1, c}, "ZeroPadding2D(top: %d, bottom: 0, left: %d, right: 1)", top, left)
	case 17:
		return m.mixing(v)
	}
	return m.convolution2(v)
}

func (m *maker) convolution2(v val) val {
	h, w, c := v.shape[0], v.shape[1], v.shape[2]
	size := pick(m.choices, 3, 3, 3, 1, 2, 5, 4, 7)
	kh, kw, sh := size, size, pick(m.choices, 1, 1, 1, 2, 3)
	sw := sh
	more := ""
	if m.chance(15) {
		kh, kw = pick(m.choices, 1, 2, 3, 5), pick(m.choices, 1, 2, 3, 5)
		more += fmt.Sprintf(", height: %d, width: %d", kh, kw)
	}
	if m.chance(10) {
		sh, sw = 1+m.draw(3), 1+m.draw(3)
		more += fmt.Sprintf(", stride_height: %d, stride_width: %d", sh, sw)
	} else if sh > 1 {
		more += fmt.Sprintf(", strides: %d", sh)
	}
	dilation, groups := 1, 1
	if sh == 1 && sw == 1 && m.chance(15) {
		dilation = 2 + m.draw(2)
		more += fmt.Sprintf(", dilation: %d", dilation)
	}
	if m.chance(15) {
		groups = m.divisor(c)
		more += fmt.Sprintf(", groups: %d", groups)
	}
	if m.chance(20) {
		more += ", use_bias: false"
	}
	rh, rw := dilation*(kh-1)+1, dilation*(kw-1)+1
	a, b := (h+sh-1)/sh, (w+sw-1)/sw
	if rh <= h && rw <= w && m.chance(50) {
		a, b = (h-rh)/sh+1, (w-rw)/sw+1
	} else {
		more += `, padding: "same"`
	}
	f := m.filters(a*b, groups)
	return m.through(v, []int{a, b, f}, "Conv2D(%d, %d, %s%s)", f, size, m.activation(), more)
}

var loopNames = []string{"i", "j", "k"}

// place draws an index expression in a loop for a dimension of n elements: the expression, the loop's extent, and whether it may lie outside.
func (m *maker) place(loop string, n int) (string, int, bool) {
	switch m.draw(9) {
	case 1:
		return fmt.Sprintf("%d - %s", n-1, loop), n, false
	case 2:
		return "2 * " + loop, (n + 1) / 2, false
	case 3:
		return loop + " / 2", 2 * n, false
	case 4:
		return fmt.Sprintf("%s + %d", loop, 1+m.draw(2)), n, true
	case 5:
		return fmt.Sprintf("%s - %d", loop, 1+m.draw(2)), n + 1, true
	case 6:
		return fmt.Sprintf("(3 * %s + 1) %% %d", loop, n), n + m.draw(3), false
	case 7:
		return fmt.Sprintf("3 * %s - 1", loop), n/3 + 1, true
	}
	return loop, n, false
}

// gather draws an index expression that reads v anywhere, perhaps with its dimensions in another order or by data.
func (m *maker) gather(v val) val {
	rank := len(v.shape)
	order := make([]int, rank) // the dimension of v that each loop goes through
	for k := range order {
		order[k] = k
	}
	if rank > 1 && m.chance(40) {
		order[0], order[rank-1] = order[rank-1], order[0]
	}
	index, shape, loops := make([]string, rank), make([]int, rank), make([]string, rank)
	outside := false
	for k, d := range order {
		e, n, out := m.place(loopNames[k], v.shape[d])
		if k == 0 && m.chance(15) { // by data
			e, n, out = fmt.Sprintf("at[%s]", loopNames[k]), 1+m.draw(6), false
			fmt.Fprintf(&m.body, "    let at%d = [i < %d] => i32(%s(%s, 0)) * 0 + (5 * i + 2) %% %d\n", len(m.values), n, "max", "0.5", v.shape[d])
			e = strings.Replace(e, "at[", fmt.Sprintf("at%d[", len(m.values)), 1)
		}
		index[d], shape[k], loops[k] = e, n, fmt.Sprintf("%s < %d", loopNames[k], n)
		outside = outside || out
	}
	read := v.name + "[" + strings.Join(index, ", ") + "]"
	if outside {
		read = "(" + read + " else " + pick(m.choices, "0", "0.5", "-1") + ")"
	}
	if m.chance(30) {
		read = fmt.Sprintf("where(%s %% 3 == 1, tanh(%s), 0.5 * %s)", loopNames[rank-1], read, read)
	}
	out := m.let(shape, "[%s] => %s", strings.Join(loops, ", "), read)
	if out.size() > 4*most {
		return m.flat(out)
	}
	return out
}

// mixing draws a layer of one index expression: a reduction of v, perhaps with a parameter, which is mostly no layer of the library.
func (m *maker) mixing(v val) val {
	combine := pick(m.choices, "sum", "sum", "mean", "max", "min")
	m.layers++
	name := fmt.Sprintf("Mixing%d", m.layers)
	var index, loops, dims, reduced []string
	var shape, weights []int
	outside := false
	for d, n := range v.shape {
		dims = append(dims, fmt.Sprint(n))
		loop := loopNames[d]
		switch m.draw(4) {
		case 0: // kept
			e, k, out := m.place(loop, n)
			index, loops, shape = append(index, e), append(loops, fmt.Sprintf("%s < %d", loop, k)), append(shape, k)
			outside = outside || out
		case 1: // reduced
			index, reduced, weights = append(index, "r"+loop), append(reduced, fmt.Sprintf("r%s < %d", loop, n)), append(weights, n)
		default: // a window
			size, stride, dilation := 1+m.draw(3), 1+m.draw(2), 1+m.draw(2)
			k := (n + stride - 1) / stride
			index = append(index, fmt.Sprintf("%d * %s + %d * r%s - %d", stride, loop, dilation, loop, m.draw(2)))
			loops, shape = append(loops, fmt.Sprintf("%s < %d", loop, k)), append(shape, k)
			reduced, weights = append(reduced, fmt.Sprintf("r%s < %d", loop, size)), append(weights, size)
			outside = true
		}
	}
	if len(shape) == 0 || len(reduced) == 0 {
		return m.gather(v)
	}
	read := "x[" + strings.Join(index, ", ") + "]"
	if outside {
		read = "(" + read + " else " + pick(m.choices, "0", "0.25") + ")"
	}
	param := ""
	if m.chance(70) {
		var ws, wi []string
		for k, n := range weights {
			ws, wi = append(ws, fmt.Sprint(n)), append(wi, strings.Fields(reduced[k])[0])
		}
		if m.chance(50) { // one for each element along a kept dimension, too
			ws, wi = append(ws, fmt.Sprint(shape[len(shape)-1])), append(wi, strings.Fields(loops[len(loops)-1])[0])
		}
		param = fmt.Sprintf("    param w: f32[%s] = random_normal(0, 0.4)\n", strings.Join(ws, ", "))
		read += " * w[" + strings.Join(wi, ", ") + "]"
	}
	if m.chance(25) {
		read = "tanh(" + read + ")"
	}
	var out []string
	for _, n := range shape {
		out = append(out, fmt.Sprint(n))
	}
	fmt.Fprintf(&m.decls, "layer %s()(x: f32[%s]) -> f32[%s] {\n%s    [%s] => %s[%s] %s\n}\n", name, strings.Join(dims, ", "), strings.Join(out, ", "),
		param, strings.Join(loops, ", "), combine, strings.Join(reduced, ", "), read)
	return m.through(v, shape, "%s()", name)
}
