package plan

import (
	"errors"
	"fmt"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Call is an application of a layer, a fn, an operator or another model in the body of a model, when it does not train. Those of a model say how
// its outputs come from its inputs, as far as that can be said in these terms. A call comes before those that its own body makes.
type Call struct {
	Kind    CallKind
	Name    string         // path of the Layer; name of the fn or the model; the operator, such as "+"
	Std     bool           `json:",omitempty"` // a fn of the library
	Config  map[string]any `json:",omitempty"` // of a fn: its configuration, as that of a Layer
	Args    []Arg          // in the order of its parameters
	Outputs []Tensor
	// Results are what the outputs are in terms of the calls that its body makes. It is nil where these are not noted: of fns and layers of the
	// library that use no other layer.
	Results []Origin `json:",omitempty"`
}

// CallKind is what is called.
type CallKind string

// What may be called.
const (
	CallLayer    CallKind = "layer"
	CallFn       CallKind = "fn"
	CallOperator CallKind = "operator"
	CallModel    CallKind = "model"
)

// Tensor is the type of one example's tensor.
type Tensor struct {
	DType tensor.DType
	Shape Shape
}

// Origin is where a tensor comes from: the output of a call, both by number.
type Origin struct{ Call, Output int }

// Numbers that are no calls.
const (
	FromInput     = -1 // Output is the number of one of the model's inputs
	FromElsewhere = -2 // an expression that is no call
	FromDefault   = -3 // of an argument: it is not given
	FromNumber    = -4 // of an argument: it is a number
	FromOther     = -5 // of an argument: it is neither a tensor nor a number, such as a list of dimensions
)

// Arg is an argument of a call.
type Arg struct {
	Origin
	Number float64 `json:",omitempty"`
}

// checkCalls makes sure that calls only take what is there.
func (m *Model) checkCalls() error {
	check := func(o Origin, before int, least int) error {
		switch {
		case o.Call < least, o.Call >= before, o.Output < 0:
		case o.Call == FromInput && o.Output >= len(m.Inputs), o.Call >= 0 && o.Output >= len(m.Calls[o.Call].Outputs):
		default:
			return nil
		}
		return fmt.Errorf("there is no output %d of call %d", o.Output, o.Call)
	}
	for i, c := range m.Calls {
		if c == nil {
			return errors.New("a call is missing")
		}
		for _, a := range c.Args {
			if err := check(a.Origin, i, FromOther); err != nil {
				return err
			}
		}
		if len(c.Results) != 0 && len(c.Results) != len(c.Outputs) {
			return fmt.Errorf("call %d has %d results and %d outputs", i, len(c.Results), len(c.Outputs))
		}
		for _, r := range c.Results {
			if err := check(r, len(m.Calls), FromElsewhere); err != nil || r.Call == i {
				return errors.Join(err, fmt.Errorf("call %d has wrong results", i))
			}
		}
	}
	for _, o := range m.Outputs {
		if err := check(o, len(m.Calls), FromElsewhere); err != nil {
			return err
		}
	}
	return nil
}
