package lang

import (
	"encoding/json"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/lang/syntax"
)

// kerasArgument is an argument of Keras; Default is as Python writes it, nil if the argument must be given.
type kerasArgument struct {
	Name    string
	Default *string
}

// kerasModules are the parts of Keras that have what a file of the library has.
var kerasModules = map[string]string{
	"activations": "activations", "attention": "layers", "augment": "layers", "convolution": "layers",
	"initialisers": "initializers", "layers": "layers",
	"losses": "losses", "metrics": "metrics", "normalisation": "layers", "optimisers": "optimizers", "recurrent": "layers", "schedules": "schedules",
}

// kerasParts take from Keras how something is computed; they are not called as Keras's are.
var kerasParts = []string{"ema", "ChannelPReLU", "flip", "rotate", "zoom", "shift", "brightness", "ToHeads", "FromHeads", "unit_forget_bias", "area", "harmonic", "area_under_pr", "weighted_mean"}

// kerasNames are arguments that the library calls otherwise than Keras, everywhere or in one declaration.
var kerasNames = map[string]string{
	"lr": "learning_rate", "eps": "epsilon", "beta1": "beta_1", "beta2": "beta_2", "decay": "weight_decay", "dilation": "dilation_rate", "size": "kernel_size",
	"MaxPool2D.size": "pool_size", "AvgPool2D.size": "pool_size", "MaxPool1D.size": "pool_size", "AvgPool1D.size": "pool_size",
	"UpSampling2D.size": "size", "UpSampling1D.size": "size",
	"random_uniform.low": "minval", "random_uniform.high": "maxval", "random_normal.average": "mean", "random_normal.deviation": "stddev",
	"precision.threshold": "thresholds", "recall.threshold": "thresholds",
	"truncated_normal.average": "mean", "truncated_normal.deviation": "stddev", "constant.x": "value",
	"Bidirectional.f": "layer", "TimeDistributed.f": "layer",
	"adagrad.initial_accumulator": "initial_accumulator_value", "ftrl.initial_accumulator": "initial_accumulator_value", "ftrl.lr_power": "learning_rate_power",
	"ftrl.l1": "l1_regularization_strength", "ftrl.l2": "l2_regularization_strength", "ftrl.l2_shrinkage": "l2_shrinkage_regularization_strength",
}

// kerasNone says what Keras takes for None, as the library's default.
var kerasNone = map[string]string{
	"top_k": "0", "class_id": "-1", "average": "none",
	"activation": "linear", "weight_decay": "0", "value_dim": "key_dim", "strides": "size", "thresholds": "0.5",
}

// kerasAlone are arguments that Keras does not have, and why the library has them.
var kerasAlone = map[string]string{
	"Attention.scale":                     "Keras learns a factor with use_scale; here it is given",
	"BatchNorm.unbiased":                  "what PyTorch has or does otherwise",
	"Conv2DTranspose.groups":              "what PyTorch has or does otherwise",
	"Embedding.padding_index":             "what PyTorch has or does otherwise",
	"LayerNorm.whole":                     "what PyTorch has or does otherwise",
	"UpSampling2D.align_corners":          "what PyTorch has or does otherwise",
	"adagrad.lr_decay":                    "what PyTorch has or does otherwise",
	"after":                               "one number, or a tuple, in Keras: here the sides have arguments of their own",
	"before":                              "one number, or a tuple, in Keras: here the sides have arguments of their own",
	"binary_crossentropy.positive_weight": "what PyTorch has or does otherwise",
	"bottom":                              "one number, or a tuple, in Keras: here the sides have arguments of their own",
	"causal":                              "Keras takes use_causal_mask when the layer is called",
	"crossentropy.label_smoothing":        "what PyTorch has or does otherwise",
	"dampening":                           "what PyTorch has or does otherwise",
	"epsilon_corrected":                   "what PyTorch has or does otherwise",
	"epsilon_inside":                      "what PyTorch has or does otherwise",
	"epsilon_outside":                     "what PyTorch has or does otherwise",
	"height":                              "one number, or a tuple, in Keras: here the sides have arguments of their own",
	"l2":                                  "what PyTorch has or does otherwise",
	"left":                                "one number, or a tuple, in Keras: here the sides have arguments of their own",
	"momentum_decay":                      "what PyTorch has or does otherwise",
	"precision.average":                   "scikit-learn's; Keras takes all classes together",
	"recall.average":                      "scikit-learn's; Keras takes all classes together",
	"right":                               "one number, or a tuple, in Keras: here the sides have arguments of their own",
	"rotary":                              "Su et al. 2021, which Keras has elsewhere",
	"softplus.beta":                       "what PyTorch has or does otherwise",
	"stride_depth":                        "one number, or a tuple, in Keras: here the sides have arguments of their own",
	"stride_height":                       "one number, or a tuple, in Keras: here the sides have arguments of their own",
	"stride_width":                        "one number, or a tuple, in Keras: here the sides have arguments of their own",
	"top":                                 "one number, or a tuple, in Keras: here the sides have arguments of their own",
	"width":                               "one number, or a tuple, in Keras: here the sides have arguments of their own",
}

// kerasOnly are arguments that the library does not have, and why.
var kerasOnly = map[string]string{
	"alpha_initializer":             "a layer of one's own names its initialiser",
	"alpha_regularizer":             "a penalty is written in the loss",
	"alpha_constraint":              "no layer has one; an optimizer of one's own can keep weights in bounds",
	"shared_axes":                   "ChannelPReLU shares all axes but the last",
	"backward_layer":                "not there yet",
	"Attention.dropout":             "not there yet",
	"Conv1DTranspose.dilation_rate": "not there yet",
	"Conv2DTranspose.dilation_rate": "not there yet",
	"Conv3D.dilation_rate":          "not there yet",
	"Conv3D.groups":                 "not there yet",
	"weights":                       "weights are read from a file",
	"GRU.dropout":                   "not there yet",
	"GRUCell.dropout":               "not there yet",
	"GroupQueryAttention.dropout":   "not there yet",
	"LSTM.dropout":                  "not there yet",
	"LSTMCell.dropout":              "not there yet",
	"SimpleRNN.dropout":             "not there yet",
	"SimpleRNNCell.dropout":         "not there yet",
	"accuracy.threshold":            "binary_accuracy has it",
	"activity_regularizer":          "a penalty is written in the loss",
	"attention_axes":                "not there yet",
	"auc.thresholds":                "not there yet",
	"axis":                          "the last dimension, or the channels",
	"beta_constraint":               "no layer has one; an optimizer of one's own can keep weights in bounds",
	"beta_initializer":              "a layer of one's own names its initialiser",
	"beta_regularizer":              "a penalty is written in the loss",
	"bias_constraint":               "no layer has one; an optimizer of one's own can keep weights in bounds",
	"bias_initializer":              "a layer of one's own names its initialiser",
	"bias_regularizer":              "a penalty is written in the loss",
	"clipnorm":                      "`clip` of a minimize",
	"clipvalue":                     "`clip` of a minimize",
	"data_format":                   "channels come last",
	"depthwise_constraint":          "no layer has one; an optimizer of one's own can keep weights in bounds",
	"depthwise_initializer":         "a layer of one's own names its initialiser",
	"depthwise_regularizer":         "a penalty is written in the loss",
	"dtype":                         "--precision is of the whole program",
	"ema_momentum":                  "`average: ema(0.99)` of a train",
	"ema_overwrite_frequency":       "`average: ema(0.99)` of a train",
	"embeddings_constraint":         "no layer has one; an optimizer of one's own can keep weights in bounds",
	"embeddings_initializer":        "a layer of one's own names its initialiser",
	"embeddings_regularizer":        "a penalty is written in the loss",
	"flash_attention":               "how something is computed is not the program's business",
	"from_sorted_ids":               "all probabilities are given",
	"gamma_constraint":              "no layer has one; an optimizer of one's own can keep weights in bounds",
	"gamma_initializer":             "a layer of one's own names its initialiser",
	"gamma_regularizer":             "a penalty is written in the loss",
	"global_clipnorm":               "`clip` of a minimize",
	"gradient_accumulation_steps":   "not there yet",
	"ignore_class":                  "not there yet",
	"input_axes":                    "the last two dimensions of a kernel are those of input and output, those before them are its field",
	"kernel_constraint":             "no layer has one; an optimizer of one's own can keep weights in bounds",
	"kernel_initializer":            "a layer of one's own names its initialiser",
	"kernel_regularizer":            "a penalty is written in the loss",
	"label_weights":                 "not there yet",
	"lora_alpha":                    "not there yet",
	"lora_rank":                     "not there yet",
	"loss_scale_factor":             "there are no half-precision gradients",
	"mask_zero":                     "words of an example have their own length",
	"moving_mean_initializer":       "a layer of one's own names its initialiser",
	"moving_variance_initializer":   "a layer of one's own names its initialiser",
	"name":                          "a `let` names a layer, a metric or a rate",
	"noise_shape":                   "not there yet",
	"num_labels":                    "not there yet",
	"num_regressors":                "not there yet",
	"output_axes":                   "the last two dimensions of a kernel are those of input and output, those before them are its field",
	"output_padding":                "not there yet",
	"output_shape":                  "not there yet",
	"pointwise_constraint":          "no layer has one; an optimizer of one's own can keep weights in bounds",
	"pointwise_initializer":         "a layer of one's own names its initialiser",
	"pointwise_regularizer":         "a penalty is written in the loss",
	"quantization_config":           "not there yet",
	"r2.class_aggregation":          "not there yet",
	"recurrent_constraint":          "no layer has one; an optimizer of one's own can keep weights in bounds",
	"recurrent_dropout":             "not there yet",
	"recurrent_initializer":         "a layer of one's own names its initialiser",
	"recurrent_regularizer":         "a penalty is written in the loss",
	"renorm":                        "not there yet",
	"renorm_clipping":               "not there yet",
	"renorm_momentum":               "not there yet",
	"score_mode":                    "not there yet",
	"seed":                          "--seed is of the whole program",
	"sliding_window":                "not there yet",
	"stateful":                      "`stream` in a model",
	"synchronized":                  "how something is computed is not the program's business",
	"unit_forget_bias":              "see bias_initializer",
	"unroll":                        "how something is computed is not the program's business",
	"use_cudnn":                     "how something is computed is not the program's business",
	"use_ema":                       "`average: ema(0.99)` of a train",
	"use_gate":                      "not there yet",
	"use_scale":                     "see scale",
}

// kerasDifferent are defaults that differ, and why.
var kerasDifferent = map[string]string{
	"AvgPool1D.size":             "as for MaxPool1D",
	"AvgPool2D.size":             "as for MaxPool2D",
	"LSTM.bias_initializer":      "Keras's unit_forget_bias=True makes this out of zeros",
	"LSTMCell.bias_initializer":  "Keras's unit_forget_bias=True makes this out of zeros",
	"cosine_decay.warmup_target": "it counts only with warmup_steps, whose default is 0",
	"f1.threshold":               "a negative number stands for None",
}

var kerasSource = regexp.MustCompile(`Source:.*Keras, (?:the loss )?([A-Za-z0-9_]+)`)

// Names and defaults of what the library takes from Keras are Keras's; all differences are listed, each with its reason.
func TestKerasSignatures(t *testing.T) {
	text, err := os.ReadFile("testdata/keras/signatures.json")
	if err != nil {
		t.Fatal(err)
	}
	var keras struct{ Signatures map[string][]kerasArgument }
	if err := json.Unmarshal(text, &keras); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	excused := func(table map[string]string, owner, argument string) bool {
		for _, key := range []string{owner + "." + argument, argument} {
			if table[key] != "" {
				used[key] = true
				return true
			}
		}
		return false
	}
	compared := 0
	for _, file := range StdFiles() {
		for _, d := range file.Decls {
			module := kerasModules[strings.TrimSuffix(path.Base(file.Source.Name), ".nn")]
			name, params := kerasParams(d)
			line := file.Source.Position(d.Span().Start).Line
			comment := ""
			for ; line > 1 && strings.HasPrefix(file.Source.Line(line-1), "//"); line-- {
				comment = strings.TrimPrefix(file.Source.Line(line-1), "//") + comment
			}
			m := kerasSource.FindStringSubmatch(comment)
			if m == nil || slices.Contains(kerasParts, name) {
				continue
			}
			if isLayer(d) {
				module = "layers"
			}
			theirs, ok := keras.Signatures[module+"."+m[1]]
			if !ok {
				t.Errorf("%s: Keras has no %s.%s", name, module, m[1])
				continue
			}
			compared++
			known := map[string]bool{}
			for _, p := range params {
				argument := p.Name.Name
				for _, key := range []string{argument, name + "." + argument} {
					if kerasNames[key] != "" {
						used[key] = true
						argument = kerasNames[key]
					}
				}
				i := slices.IndexFunc(theirs, func(a kerasArgument) bool { return a.Name == argument })
				switch {
				case i < 0 && p.Default == nil && !isLayer(d): // what is computed from
				case i < 0:
					if !excused(kerasAlone, name, p.Name.Name) {
						t.Errorf("%s: Keras's %s has no %s", name, m[1], argument)
					}
				default:
					known[argument] = true
					ours, other := "", "must be given"
					if p.Default != nil {
						ours = p.Default.Span().Text()
					}
					if theirs[i].Default != nil {
						other = *theirs[i].Default
					}
					if !sameDefault(p.Default, argument, theirs[i].Default) && !excused(kerasDifferent, name, p.Name.Name) {
						t.Errorf("%s: the default of %s is %q, and Keras's %s", name, p.Name.Name, ours, other)
					}
				}
			}
			for _, a := range theirs {
				if !known[a.Name] && (module != "losses" && module != "metrics" && module != "activations" || a.Default != nil) && !excused(kerasOnly, name, a.Name) {
					t.Errorf("%s has no %s, which Keras's %s has", name, a.Name, m[1])
				}
			}
		}
	}
	if compared < 90 {
		t.Errorf("compared %d declarations only", compared)
	}
	for _, table := range []map[string]string{kerasNames, kerasAlone, kerasOnly, kerasDifferent} {
		for key := range table {
			if !used[key] {
				t.Errorf("%s is listed in vain", key)
			}
		}
	}
}

func isLayer(d syntax.Decl) bool {
	_, ok := d.(*syntax.Layer)
	return ok
}

// kerasParams are the name of a declaration and the arguments that it is used with.
func kerasParams(d syntax.Decl) (string, []*syntax.Param) {
	switch d := d.(type) {
	case *syntax.Fn:
		return d.Name.Name, slices.Concat(d.Config, d.Params)
	case *syntax.Layer:
		return d.Name.Name, d.Config
	case *syntax.Optimizer:
		return d.Name.Name, d.Config
	case *syntax.Metric:
		return d.Name.Name, slices.Concat(d.Config, d.Params)
	}
	return "", nil
}

// sameDefault compares a default of the library with one of Keras.
func sameDefault(ours syntax.Expr, argument string, theirs *string) bool {
	if ours == nil || theirs == nil {
		return ours == nil && theirs == nil
	}
	a, b := strings.Trim(ours.Span().Text(), `"`), strings.Trim(*theirs, "'")
	if sides := strings.FieldsFunc(b, func(r rune) bool { return strings.ContainsRune("(), ", r) }); strings.HasPrefix(b, "(") && len(slices.Compact(sides)) == 1 {
		b = sides[0]
	}
	if b == "None" {
		b = kerasNone[argument]
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return a == strings.ReplaceAll(strings.ReplaceAll(b, "True", "true"), "False", "false") || errX == nil && errY == nil && x == y
}
