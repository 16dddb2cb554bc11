package keras

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// activations are those that the library has by Keras's names.
var activations = []string{
	"celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid",
	"log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh",
}

// arguments gathers the arguments of a layer that a program writes. Those that are the library's defaults are left out.
type arguments struct {
	c    config
	list []string
	err  error
}

func (a *arguments) fail(format string, args ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, args...)
	}
}

// text writes the layer.
func (a *arguments) text(kind string) (string, error) {
	return kind + "(" + strings.Join(a.list, ", ") + ")", a.err
}

// named adds an argument by name unless it is the default.
func (a *arguments) named(name string, value, fallback any) {
	if value = written(value); value != written(fallback) {
		a.list = append(a.list, name+": "+value.(string))
	}
}

// written is how a program writes a number, a truth value or a text.
func written(v any) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return strconv.Quote(v)
	}
	return fmt.Sprint(v)
}

// whole returns a whole number that must be there.
func (a *arguments) whole(name string) int {
	v, ok := a.c[name].(float64)
	if !ok || v != math.Trunc(v) || math.Abs(v) > 1<<31 {
		a.fail("%s is %v", name, a.c[name])
	}
	return int(v)
}

func (a *arguments) number(name string, fallback float64) float64 {
	if v, ok := a.c[name].(float64); ok {
		return v
	}
	return fallback
}

func (a *arguments) boolean(name string, fallback bool) bool {
	if v, ok := a.c[name].(bool); ok {
		return v
	}
	return fallback
}

// wholes returns n whole numbers; one number, or a list that is too short by nothing, stands for all.
func (a *arguments) wholes(name string, n int, fallback ...int) []int {
	switch v := a.c[name].(type) {
	case nil:
		if len(fallback) == n {
			return fallback
		}
	case float64:
		return slices.Repeat([]int{int(v)}, n)
	case []any:
		var list []int
		for _, one := range v {
			if f, ok := one.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1<<31 {
				list = append(list, int(f))
			}
		}
		if len(list) == n && len(v) == n {
			return list
		}
	}
	a.fail("%s is %v", name, a.c[name])
	return make([]int, n)
}

// pairs returns the numbers before and after each of n dimensions: ((1, 2), (3, 4)), (1, 3) or 1.
func (a *arguments) pairs(name string, n int) [][2]int {
	out := make([][2]int, n)
	if list, ok := a.c[name].([]any); ok && len(list) == n {
		for i, one := range list {
			part := arguments{c: config{name: one}}
			p := part.wholes(name, 2)
			out[i] = [2]int{p[0], p[1]}
			if part.err != nil {
				a.err = part.err
			}
		}
		return out
	}
	for i, v := range a.wholes(name, n) {
		out[i] = [2]int{v, v}
	}
	return out
}

// demand refuses an argument that the library has no counterpart for.
func (a *arguments) demand(name string, allowed ...any) {
	v, has := a.c[name]
	if !has {
		return
	}
	for _, ok := range allowed {
		if fmt.Sprint(v) == fmt.Sprint(ok) {
			return
		}
	}
	a.fail("%s is %v, which the library does not have", name, v)
}

// activation returns the name of an activation.
func (a *arguments) activation(name, fallback string) string {
	v, ok := a.c[name]
	if !ok {
		return fallback
	}
	text, isText := v.(string)
	if o, ok := v.(map[string]any); ok {
		if text, isText = o["config"].(string); !isText { // a layer such as ReLU in an activation's place
			class, _ := o["class_name"].(string)
			inner, _ := o["config"].(map[string]any)
			fn, _, err := activationLayer(class, inner)
			if err == nil && fn == "clamp" {
				err = errors.New("max_value is not 6")
			}
			if err != nil {
				a.fail("%s: %w", name, err)
			}
			return fn
		}
	}
	if v == nil {
		return "linear"
	}
	if !isText || !slices.Contains(activations, text) {
		a.fail("%s is %v, which the library does not have", name, v)
	}
	return text
}

// positional adds the activation behind the sizes.
func (a *arguments) positional() {
	if fn := a.activation("activation", "linear"); fn != "linear" {
		a.list = append(a.list, fn)
	}
}

// each adds a size in several dimensions: one number where they are equal, else by the dimensions' names.
func (a *arguments) each(values []int, names []string, positional bool, name string, fallback int) {
	if slices.Max(values) == slices.Min(values) {
		if positional {
			a.list = append(a.list, strconv.Itoa(values[0]))
		} else {
			a.named(name, values[0], fallback)
		}
		return
	}
	if positional { // the common number is needed, and means nothing
		a.list = append(a.list, strconv.Itoa(values[0]))
		fallback = values[0]
	}
	for i, v := range values {
		a.named(names[i], v, fallback)
	}
}

// convolution adds what all convolutions have behind their filters.
func (a *arguments) convolution(rank int, strideNames []string) {
	names := []string{"height", "width"}
	a.demand("data_format", "channels_last")
	size := a.wholes("kernel_size", rank)
	equal := slices.Max(size) == slices.Min(size)
	if !equal && rank != 2 {
		a.fail("kernel_size is %v, and the library wants equal sides", size)
	}
	a.list = append(a.list, strconv.Itoa(size[0]))
	a.positional()
	if !equal {
		a.named(names[1], size[1], size[0])
	}
	strides := a.wholes("strides", rank, slices.Repeat([]int{1}, rank)...)
	if slices.Max(strides) != slices.Min(strides) && strideNames == nil {
		a.fail("strides are %v, and the library wants equal ones", strides)
	}
	a.each(strides, strideNames, false, "strides", 1)
	a.named("padding", a.c["padding"], "valid")
}

func (a *arguments) dilation(rank int) {
	d := a.wholes("dilation_rate", rank, slices.Repeat([]int{1}, rank)...)
	if slices.Max(d) != slices.Min(d) {
		a.fail("dilation_rate is %v, and the library wants equal ones", d)
	}
	a.named("dilation", d[0], 1)
}

// layerText writes a layer as the library has it.
func (w *writer) layerText(class string, c config) (string, error) {
	a := &arguments{c: c}
	bias := func() { a.named("use_bias", a.boolean("use_bias", true), true) }
	switch class {
	case "Dense":
		a.list = append(a.list, strconv.Itoa(a.whole("units")))
		a.positional()
		bias()
		return a.text("Dense")
	case "Conv1D", "Conv2D", "Conv3D":
		rank := int(class[4] - '0')
		a.list = append(a.list, strconv.Itoa(a.whole("filters")))
		a.convolution(rank, [][]string{nil, {"stride_height", "stride_width"}, {"stride_depth", "stride_height", "stride_width"}}[rank-1])
		if rank == 3 {
			a.demand("dilation_rate", []any{1.0, 1.0, 1.0})
			a.demand("groups", 1.0)
		} else {
			a.dilation(rank)
			a.named("groups", a.number("groups", 1), 1)
		}
		bias()
		return a.text(class)
	case "DepthwiseConv2D", "SeparableConv2D":
		if class == "SeparableConv2D" {
			a.list = append(a.list, strconv.Itoa(a.whole("filters")))
		}
		a.convolution(2, nil)
		a.named("depth_multiplier", a.number("depth_multiplier", 1), 1)
		a.dilation(2)
		bias()
		return a.text(class)
	case "Conv1DTranspose", "Conv2DTranspose":
		rank := int(class[4] - '0')
		a.list = append(a.list, strconv.Itoa(a.whole("filters")))
		a.convolution(rank, nil)
		a.demand("output_padding", nil)
		a.demand("dilation_rate", 1.0, []any{1.0}, []any{1.0, 1.0})
		bias()
		return a.text(class)
	case "MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D":
		rank := int(class[len(class)-2] - '0')
		a.demand("data_format", "channels_last")
		size := a.wholes("pool_size", rank)
		a.each(size, []string{"height", "width"}, true, "", 0)
		strides := a.wholes("strides", rank, size...)
		if !slices.Equal(strides, size) {
			a.each(strides, []string{"stride_height", "stride_width"}, false, "strides", size[0])
		}
		a.named("padding", a.c["padding"], "valid")
		return a.text(strings.NewReplacer("MaxPooling", "MaxPool", "AveragePooling", "AvgPool").Replace(class))
	case "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D":
		a.demand("data_format", "channels_last")
		a.named("keepdims", a.boolean("keepdims", false), false)
		return a.text(strings.NewReplacer("MaxPooling", "MaxPool", "AveragePooling", "AvgPool").Replace(class))
	case "UpSampling1D":
		a.list = append(a.list, strconv.Itoa(a.wholes("size", 1)[0]))
		return a.text(class)
	case "UpSampling2D":
		a.demand("data_format", "channels_last")
		a.demand("interpolation", "nearest", "bilinear")
		size := a.wholes("size", 2)
		a.list = append(a.list, strconv.Itoa(size[0]))
		a.named("interpolation", a.c["interpolation"], "nearest")
		a.named("width", size[1], size[0])
		return a.text(class)
	case "ZeroPadding1D", "Cropping1D":
		name := map[bool]string{true: "padding", false: "cropping"}[class == "ZeroPadding1D"]
		both := a.wholes(name, 2)
		a.list = append(a.list, strconv.Itoa(both[0]))
		a.named("after", both[1], both[0])
		return a.text(class)
	case "ZeroPadding2D", "Cropping2D":
		a.demand("data_format", "channels_last")
		name := map[bool]string{true: "padding", false: "cropping"}[class == "ZeroPadding2D"]
		p := a.pairs(name, 2)
		a.list = append(a.list, strconv.Itoa(p[0][0]))
		a.named("bottom", p[0][1], p[0][0])
		a.named("left", p[1][0], p[0][0])
		a.named("right", p[1][1], p[0][0])
		return a.text(class)
	case "Reshape":
		var dims []string
		list, _ := c["target_shape"].([]any)
		for _, d := range list {
			if f, ok := d.(float64); ok && f > 0 {
				dims = append(dims, written(f))
			} else {
				a.fail("target_shape is %v: write each dimension as a number", c["target_shape"])
			}
		}
		a.list = append(a.list, "["+strings.Join(dims, ", ")+"]")
		return a.text(class)
	case "RepeatVector":
		a.list = append(a.list, strconv.Itoa(a.whole("n")))
		return a.text(class)
	case "Flatten":
		return a.text(class)
	case "GaussianNoise", "GaussianDropout", "AlphaDropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "ActivityRegularization":
		w.note("%s, which acts in training only, is left out", class)
		return "linear", nil
	case "LayerScale":
		w.declare(class, `// A factor for each channel. Source: keras/src/applications/convnext.py.
layer LayerScale(initial: f32)(x: f32[...s, c]) -> f32[...s, c] {
    param gamma: f32[c] = constant(initial)
    x * gamma
}
`)
		a.list = append(a.list, written(a.number("init_values", 1)))
		return a.text(class)
	case "Dropout":
		if list, ok := c["noise_shape"].([]any); ok && len(list) > 1 && !slices.ContainsFunc(list[1:], func(d any) bool { return d != 1.0 }) {
			w.declare("DropPath", `// In training, whole examples become 0 at random, and the others grow to make up for it.
layer DropPath(rate: f32)(x: f32[...s]) -> f32[...s] {
    if training {
        let chance = uniform[]
        where(chance < rate, 0, x / (1 - rate))
    } else {
        x
    }
}
`)
			a.list = append(a.list, written(a.number("rate", 0)))
			return a.text("DropPath")
		}
		a.demand("noise_shape", nil)
		a.list = append(a.list, written(a.number("rate", 0)))
		return a.text(class)
	case "Embedding":
		if a.boolean("mask_zero", false) {
			a.fail("mask_zero hides the steps of id 0 from the layers behind it; here an example's own length does that")
		}
		a.list = append(a.list, strconv.Itoa(a.whole("input_dim")), strconv.Itoa(a.whole("output_dim")))
		return a.text(class)
	case "BatchNormalization":
		a.named("momentum", a.number("momentum", 0.99), 0.99)
		a.named("eps", a.number("epsilon", 1e-3), 1e-3)
		a.named("center", a.boolean("center", true), true)
		a.named("scale", a.boolean("scale", true), true)
		return a.text("BatchNorm")
	case "LayerNormalization":
		a.demand("rms_scaling", false)
		if list, ok := c["axis"].([]any); ok && len(list) != 1 {
			a.fail("axis is %v, and the library normalises the last dimension", c["axis"])
		}
		a.named("eps", a.number("epsilon", 1e-3), 1e-3)
		a.named("center", a.boolean("center", true), true)
		a.named("scale", a.boolean("scale", true), true)
		return a.text("LayerNorm")
	case "GroupNormalization":
		a.demand("axis", -1.0)
		a.list = append(a.list, strconv.Itoa(a.whole("groups")))
		a.named("eps", a.number("epsilon", 1e-3), 1e-3)
		a.named("center", a.boolean("center", true), true)
		a.named("scale", a.boolean("scale", true), true)
		return a.text("GroupNorm")
	case "RMSNormalization":
		a.demand("axis", -1.0)
		a.named("eps", a.number("epsilon", 1e-6), 1e-6)
		return a.text("RMSNorm")
	case "UnitNormalization":
		a.demand("axis", -1.0, []any{-1.0})
		return a.text("UnitNorm")
	case "PReLU":
		a.demand("shared_axes", nil, []any{})
		return a.text("PReLU")
	case "LSTM", "GRU", "SimpleRNN":
		return w.recurrent(a, class)
	case "Bidirectional":
		inner, _ := c["layer"].(map[string]any)
		kind, _ := inner["class_name"].(string)
		innerConfig, _ := inner["config"].(map[string]any)
		if b, ok := c["backward_layer"].(map[string]any); ok && fmt.Sprint(withoutNames(b)) != fmt.Sprint(withoutNames(inner)) {
			if bc, _ := b["config"].(map[string]any); fmt.Sprint(bc["units"], bc["activation"]) != fmt.Sprint(innerConfig["units"], innerConfig["activation"]) {
				a.fail("its backward_layer is of another kind than the layer")
			}
		}
		text, err := w.layerText(kind, innerConfig)
		if err != nil {
			return "", err
		}
		a.list = append(a.list, text)
		a.demand("merge_mode", "concat", "sum", "mul", "ave")
		a.named("merge_mode", c["merge_mode"], "concat")
		return a.text(class)
	case "TimeDistributed":
		inner, _ := c["layer"].(map[string]any)
		kind, _ := inner["class_name"].(string)
		innerConfig, _ := inner["config"].(map[string]any)
		text, err := w.layerText(kind, innerConfig)
		if err != nil || kind == "Dense" { // which leaves leading dimensions alone
			return text, err
		}
		return "TimeDistributed(" + text + ")", nil
	case "MultiHeadAttention":
		a.list = append(a.list, strconv.Itoa(a.whole("num_heads")), strconv.Itoa(a.whole("key_dim")))
		a.named("value_dim", a.number("value_dim", a.number("key_dim", 0)), a.number("key_dim", 0))
		a.demand("output_shape", nil)
		a.demand("use_gate", false)
		a.demand("sliding_window", nil)
		bias()
		a.named("dropout", a.number("dropout", 0), 0.0)
		return a.text(class)
	case "GroupQueryAttention", "GroupedQueryAttention":
		a.list = append(a.list, strconv.Itoa(a.whole("head_dim")), strconv.Itoa(a.whole("num_query_heads")), strconv.Itoa(a.whole("num_key_value_heads")))
		a.demand("dropout", 0.0)
		a.demand("use_gate", false)
		a.demand("sliding_window", nil)
		bias()
		return a.text("GroupQueryAttention")
	case "Attention":
		a.demand("use_scale", false)
		a.demand("score_mode", "dot")
		a.demand("dropout", 0.0)
		return a.text(class)
	case "RNN":
		return w.cells(a)
	case "Normalization":
		return w.normalised(a)
	case "Rescaling":
		scale, ok1 := c["scale"].(float64)
		offset, ok2 := c["offset"].(float64)
		if !ok1 || !ok2 {
			return "", fmt.Errorf("scale and offset are lists, and only numbers are written")
		}
		w.helpers["rescaled"] = "fn rescaled(scale: f32, offset: f32)(x: f32[...s]) -> f32[...s] = x * scale + offset"
		return "rescaled(" + written(scale) + ", " + written(offset) + ")", nil
	case "Permute":
		return w.permuted(a)
	}
	if fn, ok, err := activationLayer(class, c); ok || err != nil {
		if fn == "clamp" {
			w.helpers["relu_to"] = "// x between 0 and most.\nfn relu_to(most: f32)(x: f32[...s]) -> f32[...s] = min(relu(x), most)"
			fn = "relu_to(" + written(c["max_value"]) + ")"
		}
		return fn, err
	}
	return "", fmt.Errorf("there is no counterpart for the class %s", class)
}

// withoutNames leaves out what differs between two layers that compute alike.
func withoutNames(o map[string]any) map[string]any {
	inner, _ := o["config"].(map[string]any)
	out := map[string]any{}
	for name, v := range inner {
		if name != "name" && name != "go_backwards" {
			out[name] = v
		}
	}
	return out
}

func (w *writer) recurrent(a *arguments, class string) (string, error) {
	a.demand("stateful", false)
	a.list = append(a.list, strconv.Itoa(a.whole("units")))
	if fn := a.activation("activation", "tanh"); fn != "tanh" {
		a.list = append(a.list, fn)
	}
	if class != "SimpleRNN" {
		if fn := a.activation("recurrent_activation", "sigmoid"); fn != "sigmoid" {
			a.list = append(a.list, "recurrent_activation: "+fn)
		}
	}
	a.named("use_bias", a.boolean("use_bias", true), true)
	if class == "GRU" {
		a.named("reset_after", a.boolean("reset_after", false), true)
	}
	a.named("return_sequences", a.boolean("return_sequences", false), false)
	a.named("return_state", a.boolean("return_state", false), false)
	a.named("go_backwards", a.boolean("go_backwards", false), false)
	if a.number("dropout", 0) != 0 || a.number("recurrent_dropout", 0) != 0 {
		w.note("the dropout within %s layers, which acts in training only, is left out", class)
	}
	return a.text(class)
}

// cells writes an RNN of a cell as the layer that has it.
func (w *writer) cells(a *arguments) (string, error) {
	cell, _ := a.c["cell"].(map[string]any)
	kind, _ := cell["class_name"].(string)
	inner, _ := cell["config"].(map[string]any)
	class, ok := strings.CutSuffix(kind, "Cell")
	if kind == "StackedRNNCells" {
		return w.stacked(a, inner)
	}
	if !ok || !isRecurrent(class) {
		return "", fmt.Errorf("there is no counterpart for its cell, %s: write one layer after the other", kind)
	}
	c := config{}
	for _, from := range []map[string]any{a.c, inner} {
		for name, v := range from {
			if name != "name" && name != "cell" {
				c[name] = v
			}
		}
	}
	return w.recurrent(&arguments{c: c}, class)
}

// stacked writes an RNN of several cells as a layer of several layers.
func (w *writer) stacked(a *arguments, stack map[string]any) (string, error) {
	a.demand("return_state", false)
	a.demand("go_backwards", false)
	cells, _ := stack["cells"].([]any)
	text := "x"
	for i, cell := range cells {
		c := config{}
		for name, v := range a.c {
			c[name] = v
		}
		c["cell"] = cell
		c["return_sequences"] = i < len(cells)-1 || a.boolean("return_sequences", false)
		one, err := w.cells(&arguments{c: c})
		if err != nil {
			return "", err
		}
		text += " |> " + one
	}
	name := "RNN"
	for n := 2; w.layers[name] != ""; n++ {
		name = fmt.Sprint("RNN", n)
	}
	w.declare(name, fmt.Sprintf("layer %s()(x: f32[t, n]) { %s }\n", name, text))
	return name + "()", a.err
}

// normalised writes a Normalization: by numbers, or by states that the file has.
func (w *writer) normalised(a *arguments) (string, error) {
	a.demand("invert", false)
	if list, ok := a.c["axis"].([]any); ok && len(list) > 1 {
		a.fail("axis is %v, and the library normalises the last dimension", a.c["axis"])
	}
	mean, ok1 := a.c["mean"].(float64)
	variance, ok2 := a.c["variance"].(float64)
	if ok1 && ok2 {
		w.helpers["normalised"] = "// x less a mean, by a deviation.\nfn normalised(average: f32, variance: f32)(x: f32[...s]) -> f32[...s] = (x - average) / max(sqrt(variance), 1e-7)"
		a.list = append(a.list, written(mean), written(variance))
		return a.text("normalised")
	}
	if a.c["mean"] != nil || a.c["variance"] != nil {
		means, variances := numbers(a.c["mean"]), numbers(a.c["variance"])
		if len(means) == 0 || len(means) != len(variances) {
			a.fail("mean and variance are %v and %v", a.c["mean"], a.c["variance"])
		}
		var average, deviation []string
		for i := range variances {
			average, deviation = append(average, written(means[i])), append(deviation, written(max(math.Sqrt(variances[i]), 1e-7)))
		}
		name := "normalised"
		for n := 2; w.helpers[name] != ""; n++ {
			name = fmt.Sprint("normalised_", n)
		}
		w.helpers[name] = fmt.Sprintf("fn %s(x: f32[...s, %d]) -> f32[...s, %d] {\n    let average: f32[%d] = [%s]\n    let deviation: f32[%d] = [%s]\n    (x - average) / deviation\n}",
			name, len(means), len(means), len(means), strings.Join(average, ", "), len(means), strings.Join(deviation, ", "))
		return name, a.err
	}
	w.declare("Normalization", `// By the mean and variance of data, which are told and not learned. Source: Keras, Normalization.
layer Normalization()(x: f32[...s, c]) -> f32[...s, c] {
    state data_mean:     f32[c] = zeros
    state data_variance: f32[c] = ones
    state data_count:    i32    = 0
    (x - data_mean) / max(sqrt(data_variance), 1e-7)
}
`)
	return a.text("Normalization")
}

// numbers lists the numbers in lists.
func numbers(v any) (all []float64) {
	switch v := v.(type) {
	case float64:
		return []float64{v}
	case []any:
		for _, one := range v {
			all = append(all, numbers(one)...)
		}
	}
	return all
}

// declare adds a layer to the program.
func (w *writer) declare(name, text string) {
	if w.layers[name] == "" {
		w.order = append(w.order, name)
	}
	w.layers[name] = text
}

// permuted writes an exchange of dimensions as a fn.
func (w *writer) permuted(a *arguments) (string, error) {
	list, _ := a.c["dims"].([]any)
	sizes, from, to := make([]string, len(list)), make([]string, len(list)), make([]string, len(list))
	name := "permuted"
	for k := range list {
		d, ok := list[k].(float64)
		if !ok || d < 1 || int(d) > len(list) || len(list) > 8 {
			return "", fmt.Errorf("dims are %v", a.c["dims"])
		}
		name += "_" + written(d)
		index := string(rune('i' + k))
		from[int(d)-1] = index
		to[k] = index
		sizes[k] = string(rune('a' + int(d) - 1))
	}
	var in []string
	for k := range list {
		in = append(in, string(rune('a'+k)))
	}
	w.helpers[name] = fmt.Sprintf("fn %s(x: f32[%s]) -> f32[%s] = [%s] => x[%s]", name, strings.Join(in, ", "), strings.Join(sizes, ", "), strings.Join(to, ", "), strings.Join(from, ", "))
	return name, nil
}

// activationLayer writes a layer that is an activation.
func activationLayer(class string, c config) (fn string, ok bool, err error) {
	a := &arguments{c: c}
	with := func(name string, v, fallback float64) string {
		if v == fallback {
			return name
		}
		return name + "(" + written(v) + ")"
	}
	switch class {
	case "Activation":
		fn = a.activation("activation", "linear")
	case "ReLU":
		slope := a.number("negative_slope", 0)
		a.demand("threshold", 0.0, nil)
		switch most := c["max_value"]; {
		case most == nil && slope == 0:
			fn = "relu"
		case most == nil:
			fn = with("leaky_relu", slope, 0.2)
		case most == 6.0 && slope == 0:
			fn = "relu6"
		case slope == 0:
			fn = "clamp" // see writer.layerText
		default:
			a.fail("max_value is %v", most)
		}
	case "LeakyReLU":
		fn = with("leaky_relu", a.number("negative_slope", a.number("alpha", 0.3)), 0.2)
	case "ELU":
		fn = with("elu", a.number("alpha", 1), 1)
	case "Softmax":
		a.demand("axis", -1.0)
		fn = "softmax"
	default:
		return "", false, nil
	}
	return fn, true, a.err
}

// parametric are the classes that have parameters.
var parametric = []string{
	"Dense", "Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D", "SeparableConv2D", "Conv1DTranspose", "Conv2DTranspose", "Embedding",
	"BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "PReLU", "LSTM", "GRU", "SimpleRNN",
	"Bidirectional", "TimeDistributed", "MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "RNN", "Normalization", "LayerScale",
}
