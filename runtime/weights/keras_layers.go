package weights

import (
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/plan"
)

// kerasActivations are the activations that Keras knows by name and that have no arguments in the program.
var kerasActivations = []string{
	"celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid",
	"log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh",
}

// activated are the layers that have an activation.
var activated = []string{
	"Dense", "Conv1D", "Conv2D", "Conv3D", "DepthwiseConv2D", "SeparableConv2D", "Conv1DTranspose", "Conv2DTranspose",
	"LSTM", "GRU", "SimpleRNN",
}

func isRecurrent(kind string) bool { return kind == "LSTM" || kind == "GRU" || kind == "SimpleRNN" }

// kerasDirection is Keras's name of one of the two layers of a Bidirectional.
func kerasDirection(direction, kind string) string {
	return direction + "_" + map[string]string{"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "simple_rnn"}[kind]
}

// layerAt is the layer of a model at a path, or nil.
func layerAt(m *plan.Model, path string) *plan.Layer {
	for _, l := range m.Layers {
		if l.Path == path {
			return l
		}
	}
	return nil
}

// layerIn is the first layer within a layer, or nil.
func layerIn(m *plan.Model, outer *plan.Layer) *plan.Layer {
	for _, l := range m.Layers {
		if strings.HasPrefix(l.Path, outer.Path+".") {
			return l
		}
	}
	return nil
}

// layerConfig is what a program says of a layer.
type layerConfig map[string]any

// whole is a whole number.
func (c layerConfig) whole(name string) int {
	v, _ := c[name].(float64)
	return int(v)
}

// wholes are several whole numbers, in Keras's order.
func (c layerConfig) wholes(names ...string) []int {
	list := make([]int, len(names))
	for i, name := range names {
		list[i] = c.whole(name)
	}
	return list
}

// kerasActivation is an activation in the configuration of a layer: its name, or a layer of Keras; nil where Keras has none.
func kerasActivation(v any) any {
	switch v := v.(type) {
	case plan.Ref:
		if slices.Contains(kerasActivations, string(v)) {
			return string(v)
		}
	case plan.Configured:
		class, config := activationLayer(v.Fn, v.Config)
		switch {
		case class == "Activation":
			return config["activation"]
		case class != "":
			return kerasObject{Module: kerasModule, Class: class, Config: config}
		}
	}
	return nil
}

// activationLayer is an activation as a layer of Keras, given the arguments of the library's fn; "" where Keras has none.
func activationLayer(fn string, args map[string]any) (class string, config map[string]any) {
	usual := func(name string, value any) bool { v, has := args[name]; return !has || v == value }
	switch {
	case fn == "leaky_relu" && !usual("negative_slope", 0.2):
		return "LeakyReLU", map[string]any{"negative_slope": args["negative_slope"]}
	case fn == "elu" && !usual("alpha", 1.0):
		return "ELU", map[string]any{"alpha": args["alpha"]}
	case !usual("alpha", 1.0), !usual("beta", 1.0), !usual("approximate", false):
		return "", nil
	case fn == "exp":
		fn = "exponential"
	}
	if !slices.Contains(kerasActivations, fn) {
		return "", nil
	}
	return "Activation", map[string]any{"activation": fn}
}

// kerasLayer returns the Keras class and arguments of a layer of the standard library; "" where Keras has none, or none with these
// arguments.
func kerasLayer(m *plan.Model, l *plan.Layer) (class string, config map[string]any) {
	c := layerConfig(l.Config)
	config = map[string]any{}
	copied := func(names ...string) {
		for _, name := range names {
			config[name] = c[name]
		}
	}
	wholes := func(names ...string) {
		for _, name := range names {
			config[name] = c.whole(name)
		}
	}
	window := func(dims ...string) { // a convolution over these dimensions
		wholes("filters")
		copied("padding", "use_bias")
		config["kernel_size"] = c.wholes(dims...)
	}
	if a, has := c["activation"]; has || slices.Contains(activated, l.Kind) {
		if config["activation"] = kerasActivation(a); config["activation"] == nil {
			return "", nil
		}
	}
	switch l.Kind {
	case "LSTM", "GRU", "SimpleRNN":
		if l.Kind != "SimpleRNN" {
			if config["recurrent_activation"] = kerasActivation(c["recurrent_activation"]); config["recurrent_activation"] == nil {
				return "", nil
			}
		}
		wholes("units")
		copied("use_bias", "return_sequences", "return_state", "go_backwards")
		if l.Kind == "GRU" {
			copied("reset_after")
		}
		return l.Kind, config
	case "Bidirectional":
		inner := layerAt(m, l.Path+".forward")
		if inner == nil || !inner.Std {
			return "", nil
		}
		class, of := kerasLayer(m, inner)
		if class == "" || !isRecurrent(inner.Kind) || inner.Config["go_backwards"] == true || inner.Config["return_state"] == true {
			return "", nil
		}
		copied("merge_mode")
		of["name"] = kerasDirection("forward", inner.Kind)
		config["layer"] = kerasObject{Module: kerasModule, Class: class, Config: of}
		return "Bidirectional", config
	case "TimeDistributed":
		inner := layerIn(m, l)
		if inner == nil || !inner.Std {
			return "", nil
		}
		class, of := kerasLayer(m, inner)
		if class == "" || len(inner.Input) != 1 {
			return "", nil
		}
		of["name"] = weightName(inner.Path)
		config["layer"] = kerasObject{Module: kerasModule, Class: class, Config: of}
		return "TimeDistributed", config
	case "MultiHeadAttention":
		if c["rotary"] == true {
			return "", nil
		}
		wholes("num_heads", "key_dim", "value_dim")
		copied("use_bias", "dropout")
		return "MultiHeadAttention", config
	case "GroupQueryAttention":
		wholes("head_dim", "num_query_heads", "num_key_value_heads")
		copied("use_bias")
		return "GroupQueryAttention", config
	case "Attention":
		if c["scale"] != 1.0 {
			return "", nil
		}
		return "Attention", config
	case "Dense":
		wholes("units")
		copied("use_bias")
		return "Dense", config
	case "Conv1D":
		window("size")
		config["strides"], config["dilation_rate"] = c.wholes("strides"), c.wholes("dilation")
		wholes("groups")
		return "Conv1D", config
	case "Conv2D":
		window("height", "width")
		config["strides"], config["dilation_rate"] = c.wholes("stride_height", "stride_width"), c.wholes("dilation", "dilation")
		wholes("groups")
		return "Conv2D", config
	case "Conv3D":
		window("size", "size", "size")
		config["strides"] = c.wholes("stride_depth", "stride_height", "stride_width")
		return "Conv3D", config
	case "DepthwiseConv2D":
		window("height", "width")
		delete(config, "filters")
		config["strides"], config["dilation_rate"] = c.wholes("strides", "strides"), c.wholes("dilation", "dilation")
		wholes("depth_multiplier")
		return "DepthwiseConv2D", config
	case "SeparableConv2D":
		window("height", "width")
		config["strides"], config["dilation_rate"] = c.wholes("strides", "strides"), c.wholes("dilation", "dilation")
		wholes("depth_multiplier")
		return "SeparableConv2D", config
	case "Conv1DTranspose":
		window("size")
		config["strides"] = c.wholes("strides")
		return "Conv1DTranspose", config
	case "Conv2DTranspose":
		if c.whole("groups") != 1 {
			return "", nil
		}
		window("height", "width")
		config["strides"] = c.wholes("strides", "strides")
		return "Conv2DTranspose", config
	case "MaxPool1D", "AvgPool1D":
		copied("padding")
		config["pool_size"], config["strides"] = c.wholes("size"), c.wholes("strides")
	case "MaxPool2D", "AvgPool2D":
		copied("padding")
		config["pool_size"], config["strides"] = c.wholes("height", "width"), c.wholes("stride_height", "stride_width")
	case "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalMaxPool1D", "GlobalMaxPool2D":
		copied("keepdims")
	case "UpSampling1D":
		wholes("size")
	case "UpSampling2D":
		if c["align_corners"] == true {
			return "", nil
		}
		copied("interpolation")
		config["size"] = c.wholes("height", "width")
	case "ZeroPadding1D":
		config["padding"] = c.wholes("before", "after")
	case "ZeroPadding2D":
		config["padding"] = [][]int{c.wholes("top", "bottom"), c.wholes("left", "right")}
	case "Cropping1D":
		config["cropping"] = c.wholes("before", "after")
	case "Cropping2D":
		config["cropping"] = [][]int{c.wholes("top", "bottom"), c.wholes("left", "right")}
	case "Reshape":
		if len(l.Output) != 1 {
			return "", nil
		}
		config["target_shape"] = []int(l.Output[0])
	case "RepeatVector":
		wholes("n")
	case "Embedding":
		if c.whole("padding_index") >= 0 {
			return "", nil
		}
		wholes("input_dim", "output_dim")
	case "Dropout":
		copied("rate")
	case "BatchNorm":
		if c["unbiased"] == true {
			return "", nil
		}
		copied("momentum", "center", "scale")
		config["epsilon"] = c["eps"]
	case "LayerNorm":
		if c["whole"] == true {
			return "", nil
		}
		copied("center", "scale")
		config["epsilon"] = c["eps"]
	case "GroupNorm":
		wholes("groups")
		copied("center", "scale")
		config["epsilon"] = c["eps"]
	case "RMSNorm":
		config["epsilon"] = c["eps"]
	case "Flatten", "PReLU", "UnitNorm":
	default:
		return "", nil
	}
	return kerasClasses[l.Kind], config
}

// kerasClasses are Keras's names of the layers without a kernel.
var kerasClasses = map[string]string{
	"MaxPool1D": "MaxPooling1D", "MaxPool2D": "MaxPooling2D", "AvgPool1D": "AveragePooling1D", "AvgPool2D": "AveragePooling2D",
	"GlobalAvgPool1D": "GlobalAveragePooling1D", "GlobalAvgPool2D": "GlobalAveragePooling2D",
	"GlobalMaxPool1D": "GlobalMaxPooling1D", "GlobalMaxPool2D": "GlobalMaxPooling2D",
	"UpSampling1D": "UpSampling1D", "UpSampling2D": "UpSampling2D", "ZeroPadding1D": "ZeroPadding1D", "ZeroPadding2D": "ZeroPadding2D",
	"Cropping1D": "Cropping1D", "Cropping2D": "Cropping2D", "Reshape": "Reshape", "RepeatVector": "RepeatVector", "Embedding": "Embedding",
	"Dropout": "Dropout", "BatchNorm": "BatchNormalization", "LayerNorm": "LayerNormalization", "GroupNorm": "GroupNormalization",
	"RMSNorm": "RMSNormalization", "Flatten": "Flatten", "PReLU": "PReLU", "UnitNorm": "UnitNormalization",
}
