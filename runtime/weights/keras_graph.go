package weights

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// graph is a model as Keras has it: layers, and how they are applied to each other's outputs.
type graph struct {
	layers  []*node // in Keras's order, inputs among them
	inputs  []ref
	outputs []ref
}

// node is a layer or an operation, and its calls.
type node struct {
	name, class string
	module      string // kerasModule for a layer
	config      map[string]any
	calls       []application
	path        string // of the layer of the program; "" for what has none
	model       *plan.Model
}

// application is one call of a layer.
type application struct {
	args    []any // ref, a list of them, or what JSON has
	kwargs  map[string]any
	outputs []plan.Tensor
}

// ref is an output of a call of a layer.
type ref struct {
	node         *node
	call, output int
}

func (r ref) tensor() plan.Tensor { return r.node.calls[r.call].outputs[r.output] }

// tracer makes a graph of the calls that a program's models note.
type tracer struct {
	program *plan.Program
	nodes   []*node
	layers  map[*plan.Layer]*node
	taken   map[string]bool
	depth   int
}

// tracing is a model being traced: once for every call of it.
type tracing struct {
	model  *plan.Model
	inputs []ref
	done   map[int][]ref    // what calls have become
	inner  map[int]*tracing // calls of models
	open   map[plan.Origin]bool
}

// graphOf is a model as a graph of Keras's layers.
//
// Errors: what has no counterpart in Keras.
func graphOf(p *plan.Program, m *plan.Model) (*graph, error) {
	t := &tracer{program: p, layers: map[*plan.Layer]*node{}, taken: map[string]bool{}}
	for _, l := range m.Layers {
		t.taken[kerasName(layerName(m, l))] = true
	}
	g := &graph{}
	for i, in := range m.Inputs {
		dtype := in.DType
		if dtype != tensor.F32 && dtype != tensor.I32 {
			return nil, fmt.Errorf("the input %s is %s", in.Name, dtype)
		}
		name := in.Name
		if i == 0 && len(m.Inputs) == 1 {
			name = "input_layer"
		}
		of := plan.Tensor{DType: in.DType, Shape: in.Shape}
		n := t.add(&node{
			name: t.fresh(name), class: "InputLayer", module: kerasModule,
			config: map[string]any{"batch_shape": batchShape(of), "dtype": kerasType(dtype), "sparse": false, "ragged": false},
			calls:  []application{{outputs: []plan.Tensor{of}}},
		})
		g.inputs = append(g.inputs, ref{node: n})
	}
	s := newTracing(m, g.inputs)
	for i, o := range m.Outputs {
		r, err := t.origin(s, o)
		if errors.Is(err, errElsewhere) {
			err = fmt.Errorf("what the model gives as output %d is computed by an expression that is no layer of Keras", i+1)
		}
		if err != nil {
			return nil, err
		}
		g.outputs = append(g.outputs, r)
	}
	if len(g.outputs) == 0 {
		return nil, errors.New("the model has no outputs that are tensors")
	}
	g.layers = t.nodes
	g.sort()
	return g, nil
}

func newTracing(m *plan.Model, inputs []ref) *tracing {
	return &tracing{model: m, inputs: inputs, done: map[int][]ref{}, inner: map[int]*tracing{}, open: map[plan.Origin]bool{}}
}

func (t *tracer) add(n *node) *node {
	t.nodes = append(t.nodes, n)
	return n
}

// fresh makes a name that no layer has.
func (t *tracer) fresh(name string) string {
	base := name
	for n := 1; t.taken[name]; n++ {
		name = fmt.Sprint(base, "_", n)
	}
	t.taken[name] = true
	return name
}

// layerName is the name under which the parameters of a layer are loaded again.
func layerName(m *plan.Model, l *plan.Layer) string {
	for _, other := range m.Layers {
		if other != l && !strings.HasPrefix(other.Path, l.Path+".") {
			continue
		}
		for _, cell := range other.Params {
			if whole := m.Name + "." + l.Path; strings.HasPrefix(cell, whole+".") {
				return whole
			}
		}
	}
	return l.Path
}

// errElsewhere stands for a tensor that is not the output of a call.
var errElsewhere = errors.New("computed by an expression that is no layer")

// deepest is how deep calls may refer to each other; a program has as many as it has layers.
const deepest = 100_000

// origin finds what Keras has for a tensor.
func (t *tracer) origin(s *tracing, o plan.Origin) (ref, error) {
	switch {
	case o.Call == plan.FromInput && o.Output < len(s.inputs):
		return s.inputs[o.Output], nil
	case o.Call < 0:
		return ref{}, errElsewhere
	}
	if refs := s.done[o.Call]; refs != nil {
		return refs[o.Output], nil
	}
	if t.depth++; s.open[o] || t.depth > deepest {
		return ref{}, errors.New("calls that depend on themselves")
	}
	s.open[o] = true
	defer func() { s.open[o] = false; t.depth-- }()
	c := s.model.Calls[o.Call]
	if c.Kind == plan.CallModel {
		return t.throughModel(s, o)
	}
	refs, err := t.counterpart(s, o.Call)
	if err != nil {
		return ref{}, err
	}
	if refs != nil {
		s.done[o.Call] = refs
		return refs[o.Output], nil
	}
	if c.Results == nil {
		return ref{}, errors.New(title(s.model, c) + " has no counterpart in Keras")
	}
	r, err := t.origin(s, c.Results[o.Output])
	if errors.Is(err, errElsewhere) {
		return ref{}, errors.New(title(s.model, c) + " has no counterpart in Keras")
	}
	return r, err
}

// title names what is called.
func title(m *plan.Model, c *plan.Call) string {
	switch c.Kind {
	case plan.CallLayer:
		if l := layerAt(m, c.Name); l != nil {
			return fmt.Sprintf("layer %q, %s,", c.Name, l.Kind)
		}
		return fmt.Sprintf("layer %q", c.Name)
	case plan.CallOperator:
		return "`" + c.Name + "`"
	}
	return "the fn " + c.Name
}

// throughModel finds an output of a call of another model.
func (t *tracer) throughModel(s *tracing, o plan.Origin) (ref, error) {
	inner := s.inner[o.Call]
	if inner == nil {
		c := s.model.Calls[o.Call]
		i := slices.IndexFunc(t.program.Models, func(m *plan.Model) bool { return m.Name == c.Name })
		if i < 0 {
			return ref{}, fmt.Errorf("the model %s is not there", c.Name)
		}
		inputs, err := t.arguments(s, o.Call)
		if err != nil {
			return ref{}, err
		}
		if len(inputs) != len(t.program.Models[i].Inputs) {
			return ref{}, fmt.Errorf("the model %s takes something that is no tensor of an example", c.Name)
		}
		inner = newTracing(t.program.Models[i], inputs)
		s.inner[o.Call] = inner
	}
	if o.Output >= len(inner.model.Outputs) {
		return ref{}, errElsewhere
	}
	return t.origin(inner, inner.model.Outputs[o.Output])
}

// isTensor tells whether an argument is a tensor.
func isTensor(a plan.Arg) bool { return a.Call >= plan.FromElsewhere }

// arguments finds what Keras has for the tensors that a call takes, those that are given.
func (t *tracer) arguments(s *tracing, call int) ([]ref, error) {
	c := s.model.Calls[call]
	var refs []ref
	for _, a := range c.Args {
		if !isTensor(a) {
			continue
		}
		r, err := t.origin(s, a.Origin)
		if errors.Is(err, errElsewhere) {
			return nil, fmt.Errorf("what %s takes is computed by an expression that is no layer of Keras", strings.TrimSuffix(title(s.model, c), ","))
		}
		if err != nil {
			return nil, err
		}
		refs = append(refs, r)
	}
	return refs, nil
}

// counterpart makes a call of the layer or the operation that Keras has for one of the program; nil if it has none.
func (t *tracer) counterpart(s *tracing, call int) ([]ref, error) {
	c := s.model.Calls[call]
	if c.Kind != plan.CallLayer {
		if !c.Std {
			return nil, nil
		}
		return t.operation(s, call)
	}
	l := layerAt(s.model, c.Name)
	if l == nil || !l.Std {
		return nil, nil
	}
	if l.Kind == "PositionEmbedding" {
		return t.positions(s, call, l)
	}
	class, config := kerasLayer(s.model, l)
	if class == "" {
		return nil, nil
	}
	refs, err := t.arguments(s, call)
	if err != nil {
		return nil, err
	}
	a := application{outputs: c.Outputs, kwargs: map[string]any{}}
	for _, r := range refs {
		a.args = append(a.args, r)
	}
	switch {
	case class == "MultiHeadAttention" || class == "GroupQueryAttention":
		if len(refs) == 1 { // of a sequence to itself
			a.args = []any{refs[0], refs[0]}
		}
		if l.Config["causal"] == true {
			a.kwargs["use_causal_mask"] = true
		}
	case class == "Attention":
		a.args = []any{a.args}
		if l.Config["causal"] == true {
			a.kwargs["use_causal_mask"] = true
		}
	case isRecurrent(class) && len(refs) > 1:
		states := a.args[1:]
		if class == "LSTM" && len(states) != 2 {
			return nil, fmt.Errorf("layer %q begins with one of its two states", l.Path)
		}
		a.args, a.kwargs["initial_state"] = a.args[:1], states
	case len(refs) != 1:
		return nil, nil
	}
	return t.apply(t.layer(s.model, l, class, config), a), nil
}

// layer is the node of a layer of the program.
func (t *tracer) layer(m *plan.Model, l *plan.Layer, class string, config map[string]any) *node {
	n := t.layers[l]
	if n == nil {
		name := kerasName(layerName(m, l))
		if slices.ContainsFunc(t.nodes, func(n *node) bool { return n.name == name }) { // of another model
			name = t.fresh(name)
		}
		t.taken[name] = true
		n = t.add(&node{name: name, class: class, module: kerasModule, config: config, path: l.Path, model: m})
		t.layers[l] = n
	}
	return n
}

// apply adds a call and returns its outputs.
func (t *tracer) apply(n *node, a application) []ref {
	n.calls = append(n.calls, a)
	refs := make([]ref, len(a.outputs))
	for i := range refs {
		refs[i] = ref{n, len(n.calls) - 1, i}
	}
	return refs
}

// once makes a layer or an operation that is called once.
func (t *tracer) once(module, class string, config map[string]any, outputs []plan.Tensor, args ...any) []ref {
	n := t.add(&node{name: t.fresh(snakeCase(class)), class: class, module: module, config: config})
	return t.apply(n, application{args: args, outputs: outputs})
}

// batchShape is the shape of a batch of tensors; what is known only when the program runs is nil.
func batchShape(t plan.Tensor) []any {
	dims := []any{nil}
	for _, d := range t.Shape {
		if d < 0 {
			dims = append(dims, nil)
		} else {
			dims = append(dims, d)
		}
	}
	return dims
}

func kerasType(d tensor.DType) string {
	return map[tensor.DType]string{tensor.F32: "float32", tensor.I32: "int32", tensor.Bool: "bool"}[d]
}

// refs lists the tensors that a call takes, in Keras's order.
func (a application) refs() (refs []ref) {
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
	walk(a.args)
	walk(a.kwargs["initial_state"])
	return refs
}

// chain tells whether a graph is what Keras calls sequential: layers that are called once, each with the output of the one before.
func (g *graph) chain() bool {
	if len(g.inputs) != 1 || len(g.outputs) != 1 {
		return false
	}
	before := g.inputs[0]
	for i, n := range g.layers {
		if i == 0 {
			continue
		}
		if n.module != kerasModule || len(n.calls) != 1 || len(n.calls[0].kwargs) > 0 || len(n.calls[0].args) != 1 || n.calls[0].args[0] != any(before) || len(n.calls[0].outputs) != 1 {
			return false
		}
		before = ref{node: n}
	}
	return before == g.outputs[0] && len(g.layers) > 1
}

// sort puts the layers into the order in which Keras has them when it has read the graph, which is that of weights in files: by the greatest number of
// layers between a layer and the outputs, and those of one number as a walk back from the outputs meets them.
//
// Source: keras/src/ops/function.py, map_graph.
func (g *graph) sort() {
	type call struct {
		node *node
		call int
	}
	var order []call // from the inputs to the outputs
	finished := map[call]bool{}
	met := map[*node]int{}
	var walk func(r ref)
	walk = func(r ref) {
		at := call{r.node, r.call}
		if finished[at] {
			return
		}
		if _, ok := met[r.node]; !ok {
			met[r.node] = len(met)
		}
		for _, in := range r.node.calls[r.call].refs() {
			walk(in)
		}
		finished[at] = true
		order = append(order, at)
	}
	for _, o := range g.outputs {
		walk(o)
	}
	depths, layerDepths := map[call]int{}, map[*node]int{}
	for _, at := range slices.Backward(order) {
		depth := max(depths[at], layerDepths[at.node])
		depths[at], layerDepths[at.node] = depth, depth
		for _, in := range at.node.calls[at.call].refs() {
			before := call{in.node, in.call}
			depths[before] = max(depths[before], depth+1)
		}
	}
	for _, in := range g.inputs { // that no output depends on
		if _, ok := layerDepths[in.node]; !ok {
			layerDepths[in.node], met[in.node] = 0, -1
		}
	}
	g.layers = slices.DeleteFunc(g.layers, func(n *node) bool { _, ok := layerDepths[n]; return !ok })
	slices.SortStableFunc(g.layers, func(a, b *node) int {
		if d := layerDepths[b] - layerDepths[a]; d != 0 {
			return d
		}
		return met[a] - met[b]
	})
}
