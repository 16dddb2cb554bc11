package keras

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/nnc-lang/nnc/lang/syntax"
)

// writer writes a program.
type writer struct {
	helpers  map[string]string // fns that the program declares, by name
	layers   map[string]string // layers that it declares, by name
	order    []string          // of layers
	notes    []string
	problems []string
}

func (w *writer) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(w.notes, text) {
		w.notes = append(w.notes, text)
	}
}

func (w *writer) problem(l *layer, err error) {
	w.problems = append(w.problems, fmt.Sprintf("layer %q: %v", l.name, err))
}

// program writes a whole file.
func (w *writer) program(m *model, from string) string {
	name := camel(m.name)
	head, body := w.body(m)
	var b strings.Builder
	fmt.Fprintf(&b, "// %s\n", from)
	for _, name := range slices.Sorted(maps.Keys(w.helpers)) {
		fmt.Fprintf(&b, "\n%s\n", w.helpers[name])
	}
	for _, name := range w.order {
		fmt.Fprintf(&b, "\n%s", w.layers[name])
	}
	fmt.Fprintf(&b, "\nmodel %s(%s) {\n%s}\n", name, head, body)
	return b.String()
}

// graph is a model being written.
type graph struct {
	*writer
	m *model
	// identifiers of layers and of values, and what a name must not be
	taken  map[string]bool
	named  map[string]string // layers that a let names
	uses   map[ref]int
	value  map[ref]string // a name, or an expression that is used once
	simple map[ref]bool   // value is a name
	lines  []string
}

// body writes the parameters and the statements of a model.
func (w *writer) body(m *model) (head, body string) {
	g := &graph{writer: w, m: m, taken: fnNames(), named: map[string]string{}, uses: map[ref]int{}, value: map[ref]string{}, simple: map[ref]bool{}}
	for _, l := range m.layers {
		for _, c := range l.calls {
			for _, r := range refsOf(c) {
				g.uses[r]++
			}
		}
	}
	for _, r := range m.outputs {
		g.uses[r]++
	}
	var params []string
	for i, r := range m.inputs {
		name := g.fresh(inputName(r.layer, i, len(m.inputs)))
		g.value[r], g.simple[r] = name, true
		params = append(params, name+": "+g.inputType(r))
	}
	g.nameLayers()
	for done := map[ref]bool{}; ; {
		progress := false
		for _, l := range m.layers {
			for node, c := range l.calls {
				r := ref{layer: l.name, node: node}
				if done[r] || !g.ready(c) {
					continue
				}
				done[r], progress = true, true
				g.apply(l, c, r)
			}
		}
		if !progress {
			break
		}
	}
	var outputs []string
	for _, r := range m.outputs {
		if g.value[r] == "" {
			w.problems = append(w.problems, fmt.Sprintf("the output %q of the model %q depends on what is not there", r.layer, m.name))
			return "", ""
		}
		outputs = append(outputs, g.value[r])
	}
	last := strings.Join(outputs, ", ")
	if len(outputs) > 1 {
		last = "(" + last + ")"
	}
	g.lines = append(g.lines, last)
	var b strings.Builder
	for _, line := range g.lines {
		b.WriteString(indented(line))
	}
	return strings.Join(params, ", "), b.String()
}

// fnNames are fns that a program may use, after which no value is called.
func fnNames() map[string]bool {
	names := map[string]bool{}
	for _, all := range []map[string]string{elementwise, reductions} {
		for _, fn := range all {
			names[fn] = true
		}
	}
	for _, fn := range slices.Concat(activations, strings.Fields("append clamp concat cumsum dot f32 i32 last normalised ones_like relu_to rescaled reverse split")) {
		names[fn] = true
	}
	return names
}

// longest is how long a line gets before a pipe is broken, in bytes.
const longest = 110

// indented writes a statement, on several lines if it is a long pipe.
func indented(line string) string {
	if len(line) <= longest {
		return "    " + line + "\n"
	}
	return "    " + strings.ReplaceAll(line, " |> ", "\n        |> ") + "\n"
}

// refsOf lists the tensors that a call takes.
func refsOf(c call) (refs []ref) {
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case ref:
			refs = append(refs, v)
		case []any:
			for _, one := range v {
				walk(one)
			}
		}
	}
	walk(c.args)
	for _, name := range slices.Sorted(maps.Keys(c.kwargs)) {
		walk(c.kwargs[name])
	}
	return refs
}

func (g *graph) ready(c call) bool {
	return !slices.ContainsFunc(refsOf(c), func(r ref) bool { return g.value[r] == "" })
}

// inputName is what a model's input is called: x where Keras made its name up.
func inputName(name string, i, n int) string {
	if madeUp.MatchString(name) {
		if n == 1 {
			return "x"
		}
		return fmt.Sprint("x", i+1)
	}
	return name
}

var madeUp = regexp.MustCompile(`^(input|input_layer|keras_tensor|input_.*)(_\d+)?$`)

// inputType is the type of a model's input. Ids are whole numbers, whatever Keras says of them.
func (g *graph) inputType(r ref) string {
	c := g.m.input(r)
	shape := c.shape()
	kind := "f32"
	if dtype, _ := c["dtype"].(string); strings.HasPrefix(dtype, "int") || g.m.feedsEmbedding(r) {
		kind = "i32"
	}
	if len(shape) == 0 {
		g.problems = append(g.problems, fmt.Sprintf("the input %q of the model %q has no shape", r.layer, g.m.name))
		return kind
	}
	var dims []string
	for i, d := range shape[1:] {
		n, ok := d.(float64)
		switch {
		case ok:
			dims = append(dims, written(n))
		case i == 0:
			dims = append(dims, "t") // each example's own length
		default:
			g.problems = append(g.problems, fmt.Sprintf("the input %q of the model %q has the shape %v: only its first dimension may be unknown", r.layer, g.m.name, shape[1:]))
		}
	}
	if len(dims) == 0 {
		return kind
	}
	return kind + "[" + strings.Join(dims, ", ") + "]"
}

// feedsEmbedding tells whether an input goes into an embedding.
func (m *model) feedsEmbedding(r ref) bool {
	for _, l := range m.layers {
		for _, c := range l.calls {
			if !slices.Contains(refsOf(c), r) {
				continue
			}
			if l.class == "Embedding" || l.inner != nil && len(l.inner.inputs) == 1 && l.inner.feedsEmbedding(l.inner.inputs[0]) {
				return true
			}
		}
	}
	return false
}

// fresh makes a name that is not taken.
func (g *graph) fresh(name string) string {
	name = identifier(name)
	base := name
	for n := 2; g.taken[name]; n++ {
		name = fmt.Sprint(base, "_", n)
	}
	g.taken[name] = true
	return name
}

// numbered splits the number off a name that Keras made up.
var numbered = regexp.MustCompile(`^(.*?)(_\d+)?$`)

// nameLayers decides which layers a let names: those that are used more than once, and those whose parameters would not get the name that
// they have in Keras otherwise. In a chain, names that Keras made up need not be kept, since its parameters' order says as much.
func (g *graph) nameLayers() {
	chain := true
	for _, l := range g.m.layers {
		chain = chain && len(l.calls) <= 1 && (len(l.calls) == 0 || len(refsOf(l.calls[0])) == 1)
	}
	auto, alike := map[string]int{}, map[string]int{}
	for _, l := range g.m.layers {
		if l.inner != nil || slices.Contains(parametric, l.class) {
			alike[snake(libraryClass(l))]++
		}
	}
	for _, l := range g.m.layers {
		if l.inner == nil && !slices.Contains(parametric, l.class) || len(l.calls) == 0 {
			continue
		}
		text := snake(libraryClass(l))
		want := numbered.FindStringSubmatch(l.name)[1]
		given := text
		if n := auto[text]; n > 0 {
			given = fmt.Sprint(text, "_", n)
		}
		usual := want == snake(l.class) || want == text // a name that Keras made up
		if len(l.calls) == 1 && (given == l.name && (chain || alike[text] == 1) || chain && usual && l.inner == nil) {
			auto[text]++
			continue
		}
		g.named[l.name] = g.fresh(l.name)
	}
	// A let must not take a name that is made up for another layer.
	for _, l := range g.m.layers {
		if text := snake(libraryClass(l)); g.named[l.name] == "" && g.taken[text] && !chain {
			for _, name := range g.named {
				if numbered.FindStringSubmatch(name)[1] == text && slices.Contains(parametric, l.class) {
					g.named[l.name] = g.fresh(l.name)
					break
				}
			}
		}
	}
	for _, l := range g.m.layers {
		if name := g.named[l.name]; name != "" {
			g.lines = append(g.lines, "let "+name+" = "+g.recipe(l))
		}
	}
}

// libraryClass is the library's name of a layer's class.
func libraryClass(l *layer) string {
	switch l.class {
	case "GroupedQueryAttention":
		return "GroupQueryAttention"
	case "BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization":
		return strings.TrimSuffix(l.class, "alization")
	case "TimeDistributed":
		if inner, _ := l.config["layer"].(map[string]any); inner["class_name"] == "Dense" {
			return "Dense"
		}
	}
	return l.class
}

// recipe writes a layer without what it is applied to.
func (g *graph) recipe(l *layer) string {
	if l.inner != nil && l.class == "TimeDistributed" {
		return "TimeDistributed(" + g.declared(l) + "())"
	}
	if l.inner != nil {
		return g.declared(l) + "()"
	}
	text, err := g.layerText(l.class, l.config)
	if err != nil {
		g.problem(l, err)
	}
	if causal := func(c call) bool { return c.kwargs["use_causal_mask"] == true }; slices.ContainsFunc(l.calls, causal) {
		if slices.ContainsFunc(l.calls, func(c call) bool { return !causal(c) }) {
			g.problem(l, errors.New("it is called with use_causal_mask and without"))
		}
		text = strings.Replace(strings.TrimSuffix(text, ")")+", causal: true)", "(, ", "(", 1)
	}
	for _, name := range []string{"kernel_regularizer", "bias_regularizer", "activity_regularizer", "embeddings_regularizer", "kernel_constraint"} {
		if l.config[name] != nil {
			g.note("the %s of layer %s is not part of the model: add it to the loss", name, l.name)
		}
	}
	if l.config["trainable"] == false {
		g.note("layer %s was frozen: leave it out of `over` to keep it so", l.name)
	}
	return text
}

// declared writes a model in a model as a layer and returns its name.
func (g *graph) declared(l *layer) string {
	name := camel(l.inner.name)
	for n := 2; g.layers[name] != "" || slices.Contains(parametric, name); n++ {
		name = camel(l.inner.name) + strconv.Itoa(n)
	}
	g.layers[name] = "\n" // taken
	head, body := g.body(l.inner)
	g.layers[name] = fmt.Sprintf("layer %s()(%s) {\n%s}\n", name, head, body)
	g.order = append(g.order, name)
	return name
}

// outputsOf counts what a layer gives.
func outputsOf(l *layer) int {
	switch {
	case l.inner != nil && l.class != "TimeDistributed":
		return len(l.inner.outputs)
	case l.config["return_state"] == true && l.class == "LSTM":
		return 3
	case l.config["return_state"] == true && (l.class == "GRU" || l.class == "SimpleRNN"):
		return 2
	case l.class == "Split":
		n, _ := l.config["indices_or_sections"].(float64)
		return int(min(max(n, 1), 1000))
	}
	return 1
}

// apply writes a call of a layer.
func (g *graph) apply(l *layer, c call, r ref) {
	text, pipe := g.applied(l, c)
	if n := outputsOf(l); n > 1 {
		var names []string
		for i := range n {
			r.output = i
			name := g.fresh(fmt.Sprint(l.name, "_", i+1))
			names = append(names, name)
			g.value[r], g.simple[r] = name, true
		}
		g.lines = append(g.lines, "let ("+strings.Join(names, ", ")+") = "+text)
		return
	}
	only := len(g.m.outputs) == 1 && g.m.outputs[0] == r
	if g.uses[r] == 1 && (pipe || only) && !g.ofSeveral(r) {
		g.value[r] = text
		return
	}
	base := l.name
	if g.named[l.name] != "" {
		base += "_out"
	}
	name := g.fresh(base)
	g.value[r], g.simple[r] = name, true
	g.lines = append(g.lines, "let "+name+" = "+text)
}

// ofSeveral tells whether a value is one of several arguments or outputs, where a name reads better.
func (g *graph) ofSeveral(r ref) bool {
	if len(g.m.outputs) > 1 && slices.Contains(g.m.outputs, r) {
		return true
	}
	for _, l := range g.m.layers {
		for _, c := range l.calls {
			if refs := refsOf(c); len(refs) > 1 && slices.Contains(refs, r) {
				return true
			}
		}
	}
	return false
}

// applied writes a call, and tells whether it may stand in a pipe.
func (g *graph) applied(l *layer, c call) (text string, pipe bool) {
	var values []string
	var add func(v any)
	add = func(v any) {
		switch v := v.(type) {
		case ref:
			values = append(values, g.value[v])
		case float64:
			values = append(values, written(v))
		case []any:
			for _, one := range v {
				add(one)
			}
		case nil:
		default:
			g.problem(l, fmt.Errorf("the argument %v", v))
		}
	}
	if text, pipe, ok, err := g.operation(l, c); ok {
		if err != nil {
			g.problem(l, err)
		}
		return text, pipe
	}
	for _, a := range c.args {
		add(a)
	}
	for _, name := range slices.Sorted(maps.Keys(c.kwargs)) {
		v := c.kwargs[name]
		refs := refsOf(call{kwargs: map[string]any{name: v}})
		switch {
		case name == "initial_state" && isRecurrent(l.class): // behind the sequence, one after the other
			add(v)
		case len(refs) == 0:
		case strings.HasSuffix(name, "mask") || name == "initial_state":
			g.problem(l, fmt.Errorf("it is called with %s, which the library does not have", name))
		default: // in the order in which Keras takes them
			add(v)
		}
	}
	if v, ok := c.kwargs["key"].(ref); ok { // values come before keys
		values = values[:len(values)-len(refsOf(call{kwargs: c.kwargs}))]
		if q, ok := c.kwargs["query"].(ref); ok {
			add(q)
		}
		add(c.kwargs["value"])
		add(v)
	}
	if len(values) == 0 {
		g.problem(l, fmt.Errorf("it is called without a tensor"))
		return "", false
	}
	if l.class == "Reshape" {
		g.completed(l, c)
	}
	f := g.named[l.name]
	if f == "" {
		f = g.recipe(l)
	}
	if l.class == "Embedding" {
		if s := g.m.shapes[refsOf(c)[0]]; s != nil && s.float && g.madeHere(refsOf(c)[0]) {
			values[0] = "i32(" + values[0] + ")"
		}
	}
	attends := slices.Contains(attention, l.class)
	switch {
	case len(values) == 1 && f == "linear":
		return values[0], true
	case len(values) == 1, attends && l.class != "Attention" && len(values) == 2 && values[0] == values[1]:
		return values[0] + " |> " + f, true
	case l.inner == nil && !attends && !isRecurrent(l.class):
		g.problem(l, fmt.Errorf("it is called with %d tensors", len(values)))
	}
	return f + "(" + strings.Join(values, ", ") + ")", false
}

// completed puts the number in the place of a dimension of −1.
func (g *graph) completed(l *layer, c call) {
	target, _ := l.config["target_shape"].([]any)
	shape := g.m.shapes[refsOf(c)[0]]
	open := slices.Index(target, any(-1.0))
	if open < 0 || shape == nil {
		return
	}
	n := 1.0
	for _, d := range shape.dims {
		size, ok := d.(float64)
		if !ok {
			return
		}
		n *= size
	}
	for i, d := range target {
		if size, ok := d.(float64); ok && i != open && size > 0 {
			n /= size
		}
	}
	l.config["target_shape"] = slices.Concat(target[:open], []any{n}, target[open+1:])
}

// attention are the layers that take several sequences.
var attention = []string{"MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "Attention"}

func isRecurrent(class string) bool { return class == "LSTM" || class == "GRU" || class == "SimpleRNN" }

// madeHere tells whether a tensor is no input, whose type is chosen here.
func (g *graph) madeHere(r ref) bool { return !slices.Contains(g.m.inputs, r) }

// lastAxis tells whether an axis that counts from the front, with the batch, is the last one.
func (g *graph) lastAxis(l *layer, axis float64) bool {
	build, _ := l.config["build_config"].(map[string]any)
	shapes, _ := build["input_shape"].([]any)
	if len(shapes) > 0 {
		if first, ok := shapes[0].([]any); ok {
			return int(axis) == len(first)-1
		}
	}
	return false
}

// identifier makes a name that a program may use.
func identifier(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case r < unicode.MaxASCII && (unicode.IsLetter(r) || r == '_' || unicode.IsDigit(r) && i > 0):
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	if s := b.String(); s != "" && !syntax.IsKeyword(s) {
		return s
	}
	return b.String() + "_"
}

// camel turns cat_dog into CatDog.
func camel(name string) string {
	var b strings.Builder
	up := true
	for _, r := range identifier(name) {
		switch {
		case r == '_':
			up = true
		case up:
			b.WriteRune(unicode.ToUpper(r))
			up = false
		default:
			b.WriteRune(r)
		}
	}
	if s := b.String(); s != "" && !unicode.IsDigit(rune(s[0])) {
		return s
	}
	return "Model" + b.String()
}

var (
	wordStart = regexp.MustCompile(`(.)([A-Z][a-z]+)`)
	wordEnd   = regexp.MustCompile(`([a-z])([A-Z])`)
)

// snake turns Conv2D into conv2d, and BatchNorm into batch_norm, as Keras and nnc name instances.
func snake(class string) string {
	return strings.ToLower(wordEnd.ReplaceAllString(wordStart.ReplaceAllString(class, "${1}_$2"), "${1}_$2"))
}
