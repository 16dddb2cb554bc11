// Package keras turns the configurations of Keras's models, as .h5 and .keras files carry them, into programs.
//
// Sequential and functional models, models in models, layers that are used several times, several inputs and outputs are written as a
// person would write them: layers in pipes, with names where the model gives them and where parameters need them.
//
// Source: keras/src/models/functional.py and sequential.py of Keras 3.15, functional.py of tf_keras 2.21.
package keras

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// model is a configuration of a model: its layers, and how they are connected.
type model struct {
	name    string
	layers  []*layer
	inputs  []ref
	outputs []ref
	shapes  map[ref]*tensorShape // of the tensors of which it is known
}

// tensorShape is the type of a tensor of one example.
type tensorShape struct {
	dims  []any
	float bool
}

// layer is a layer of a model and the calls of it. An input has none.
type layer struct {
	name, class string
	config      config
	calls       []call
	inner       *model // of a model in a model
}

// call is one application of a layer.
type call struct {
	args   []any // ref, float64, or a list of them
	kwargs map[string]any
}

// ref is what a call gives: the output of that number.
type ref struct {
	layer        string
	node, output int
}

// config are the arguments of a layer.
type config map[string]any

// Program writes a model's configuration as a program. from says in its first line where the model comes from. notes are what the program
// leaves out and what matters only when it is trained further.
//
// Errors: what is wrong with the configuration, or all that has no counterpart.
func Program(configuration, from string) (text string, notes []string, err error) {
	var top object
	if err := json.Unmarshal([]byte(configuration), &top); err != nil {
		return "", nil, fmt.Errorf("the configuration is no JSON: %w", err)
	}
	m, err := parse(top, 0)
	if err != nil {
		return "", nil, err
	}
	w := &writer{helpers: map[string]string{}, layers: map[string]string{}}
	text = w.program(m, from)
	if len(w.problems) > 0 {
		return "", nil, errors.New("the model cannot be written as a program:\n  - " + strings.Join(w.problems, "\n  - "))
	}
	return text, w.notes, nil
}

// object is how Keras's JSON writes a layer or a model.
type object struct {
	Class   string `json:"class_name"`
	Config  json.RawMessage
	Name    string
	Inbound []json.RawMessage `json:"inbound_nodes"`
}

func isModel(class string) bool {
	return slices.Contains([]string{"Sequential", "Functional", "Model"}, class)
}

// parse reads a model.
func parse(o object, depth int) (*model, error) {
	const deepest = 20
	switch {
	case !isModel(o.Class):
		return nil, fmt.Errorf("the configuration is that of %q, a class of the program that made it: only Sequential and functional models say what they compute", o.Class)
	case depth > deepest:
		return nil, errors.New("models in models, too many of them")
	}
	var c struct {
		Name    string
		Layers  []object
		Inputs  json.RawMessage `json:"input_layers"`
		Outputs json.RawMessage `json:"output_layers"`
		Shape   []any           `json:"build_input_shape"`
	}
	if err := json.Unmarshal(o.Config, &c); err != nil {
		return nil, fmt.Errorf("the configuration of a model: %w", err)
	}
	m := &model{name: c.Name, shapes: map[ref]*tensorShape{}}
	for _, lo := range c.Layers {
		l := &layer{class: lo.Class, name: lo.Name, config: config{}}
		if err := json.Unmarshal(lo.Config, &l.config); err != nil {
			return nil, fmt.Errorf("the configuration of a layer: %w", err)
		}
		if name, ok := l.config["name"].(string); ok {
			l.name = name
		}
		if isModel(lo.Class) {
			inner, err := parse(lo, depth+1)
			if err != nil {
				return nil, err
			}
			l.inner = inner
		}
		if wrapped, _ := l.config["layer"].(map[string]any); lo.Class == "TimeDistributed" && isModel(fmt.Sprint(wrapped["class_name"])) {
			var o struct{ Layer object }
			if err := json.Unmarshal(lo.Config, &o); err != nil {
				return nil, fmt.Errorf("the configuration of a layer: %w", err)
			}
			inner, err := parse(o.Layer, depth+1)
			if err != nil {
				return nil, err
			}
			l.inner = inner
		}
		for _, node := range lo.Inbound {
			one, err := m.parseCall(node)
			if err != nil {
				return nil, fmt.Errorf("layer %q: %w", l.name, err)
			}
			l.calls = append(l.calls, one)
		}
		m.layers = append(m.layers, l)
	}
	if o.Class == "Sequential" {
		return m, m.chain(c.Shape)
	}
	m.inputs, m.outputs = refsIn(c.Inputs), refsIn(c.Outputs)
	m.renumber()
	if len(m.inputs) == 0 || len(m.outputs) == 0 {
		return nil, fmt.Errorf("the model %q has no inputs or no outputs", m.name)
	}
	return m, nil
}

// chain connects the layers of a sequential model.
func (m *model) chain(shape []any) error {
	if len(m.layers) == 0 {
		return fmt.Errorf("the model %q has no layers", m.name)
	}
	if first := m.layers[0]; first.class != "InputLayer" {
		if first.inner != nil && len(first.inner.inputs) == 1 {
			shape = first.inner.input(first.inner.inputs[0]).shape()
		} else if s := first.config.shape(); s != nil {
			shape = s
		}
		if shape == nil {
			return fmt.Errorf("the model %q does not know the shape of its input: build it, or give it keras.Input(…), before you save it", m.name)
		}
		in := &layer{name: "x", class: "InputLayer", config: config{"batch_shape": shape, "dtype": "float32"}}
		m.layers = append([]*layer{in}, m.layers...)
	}
	at := ref{layer: m.layers[0].name}
	m.inputs = []ref{at}
	if s := m.layers[0].config.shape(); len(s) > 0 {
		m.shapes[at] = &tensorShape{dims: s[1:], float: true}
	}
	for _, l := range m.layers[1:] {
		l.calls = []call{{args: []any{at}}}
		at = ref{layer: l.name}
	}
	m.outputs = []ref{at}
	return nil
}

// renumber lets the calls of every layer count from 0. In Keras 2, call 0 of a model is the one that made it, which no configuration has.
func (m *model) renumber() {
	least, most := map[string]int{}, map[string]int{}
	each := func(change func(r ref) ref) {
		for _, l := range m.layers {
			for i, c := range l.calls {
				l.calls[i].args, _ = eachRef(c.args, change).([]any)
				for name, v := range c.kwargs {
					c.kwargs[name] = eachRef(v, change)
				}
			}
		}
		for i, r := range m.outputs {
			m.outputs[i] = change(r)
		}
		shapes := map[ref]*tensorShape{}
		for r, s := range m.shapes {
			shapes[change(r)] = s
		}
		m.shapes = shapes
	}
	each(func(r ref) ref {
		if now, ok := least[r.layer]; !ok || r.node < now {
			least[r.layer] = r.node
		}
		most[r.layer] = max(most[r.layer], r.node)
		return r
	})
	each(func(r ref) ref {
		if l := m.find(r.layer); l != nil && least[r.layer] > 0 && most[r.layer] == len(l.calls) {
			r.node--
		}
		return r
	})
}

// eachRef changes the tensors in an argument.
func eachRef(v any, change func(ref) ref) any {
	switch v := v.(type) {
	case ref:
		return change(v)
	case []any:
		for i, one := range v {
			v[i] = eachRef(one, change)
		}
	}
	return v
}

func (m *model) find(name string) *layer {
	for _, l := range m.layers {
		if l.name == name {
			return l
		}
	}
	return nil
}

// input is the configuration of an input.
func (m *model) input(r ref) config {
	if l := m.find(r.layer); l != nil {
		return l.config
	}
	return nil
}

// shape is the shape of an input with its batch; nil if it is not said.
func (c config) shape() []any {
	for _, name := range []string{"batch_shape", "batch_input_shape"} {
		if s, ok := c[name].([]any); ok {
			return s
		}
	}
	return nil
}

// parseCall reads a node: of Keras 3, an object with args and kwargs; of Keras 2, a list of [layer, node, output, kwargs].
func (m *model) parseCall(raw json.RawMessage) (call, error) {
	var node struct {
		Args   []any
		Kwargs map[string]any
	}
	if json.Unmarshal(raw, &node) == nil {
		c := call{kwargs: map[string]any{}}
		for _, a := range node.Args {
			v, err := m.argument(a)
			if err != nil {
				return call{}, err
			}
			c.args = append(c.args, v)
		}
		for name, a := range node.Kwargs {
			v, err := m.argument(a)
			if err != nil {
				return call{}, err
			}
			c.kwargs[name] = v
		}
		return c, nil
	}
	var list []any
	if err := json.Unmarshal(raw, &list); err != nil {
		return call{}, fmt.Errorf("a node that cannot be read: %w", err)
	}
	if r, kwargs, ok := oldRef(list); ok { // the only argument, without a list around it
		return call{args: []any{r}, kwargs: kwargs}, nil
	}
	c := call{kwargs: map[string]any{}}
	var args []any
	for _, a := range list {
		parts, _ := a.([]any)
		r, kwargs, ok := oldRef(parts)
		if !ok {
			return call{}, errors.New("a node that cannot be read")
		}
		args = append(args, r)
		for name, v := range kwargs {
			c.kwargs[name] = oldTensors(v)
		}
	}
	if c.args = args; len(args) > 1 {
		c.args = []any{args}
	}
	return c, nil
}

// oldTensors puts tensors in the place of [layer, node, output] in an argument.
func oldTensors(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	if r, _, ok := oldRef(list); ok {
		return r
	}
	all := make([]any, len(list))
	for i, one := range list {
		all[i] = oldTensors(one)
	}
	return all
}

// oldRef reads [layer, node, output] with or without arguments behind it.
func oldRef(list []any) (r ref, kwargs map[string]any, ok bool) {
	if len(list) < 3 || len(list) > 4 {
		return ref{}, nil, false
	}
	name, ok1 := list[0].(string)
	node, ok2 := list[1].(float64)
	output, ok3 := list[2].(float64)
	if len(list) == 4 {
		kwargs, _ = list[3].(map[string]any)
	}
	return ref{name, int(node), int(output)}, kwargs, ok1 && ok2 && ok3
}

// argument reads an argument of a call: a tensor, a list, or what JSON has.
func (m *model) argument(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		var list []any
		for _, a := range v {
			one, err := m.argument(a)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		return list, nil
	case map[string]any:
		inner, _ := v["config"].(map[string]any)
		if v["class_name"] != "__keras_tensor__" {
			return v, nil
		}
		history, _ := inner["keras_history"].([]any)
		r, _, ok := oldRef(history)
		if !ok {
			return nil, errors.New("a tensor without a history")
		}
		if dims, ok := inner["shape"].([]any); ok && len(dims) > 0 {
			dtype, _ := inner["dtype"].(string)
			m.shapes[r] = &tensorShape{dims: dims[1:], float: strings.HasPrefix(dtype, "float")}
		}
		return r, nil
	}
	return v, nil
}

// refsIn lists the tensors of input_layers or output_layers: one, a list, or an object of them.
func refsIn(raw json.RawMessage) (refs []ref) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			if r, _, ok := oldRef(v); ok {
				refs = append(refs, r)
				return
			}
			for _, one := range v {
				walk(one)
			}
		case map[string]any:
			var names []string
			for name := range v {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				walk(v[name])
			}
		}
	}
	walk(v)
	return refs
}
