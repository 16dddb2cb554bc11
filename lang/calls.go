package lang

import (
	"strings"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// Note [Calls of a model]
//
// While a model's inference function is elaborated, the calls of layers, fns, operators and other models in its body are noted, nested as they
// are made, for what is written from a program: Keras's configuration in files of weights. An array carries the output of a call that it is, and
// what is computed of it does not, so that a call's arguments say where they come from; what is computed in no such way comes from elsewhere.
// What the library's own fns and layers do inside is not kept, unless they apply layers themselves.

// called begins a call that is noted. args are the values of the parameters, nil for one that is not given. The function that it returns is
// given the call's value, and returns it as the output of this call.
func (f *frame) called(c *plan.Call, args []value) (done func(value) value) {
	m := f.recording
	if m == nil || f.training || f.indexing {
		return func(v value) value { return v }
	}
	for _, v := range args {
		c.Args = append(c.Args, argOf(v))
	}
	k := len(m.calls)
	m.calls = append(m.calls, c)
	if c.Kind == plan.CallLayer || c.Kind == plan.CallModel {
		m.applied++
	}
	applied := m.applied
	return func(v value) value {
		outs := arraysOf(v)
		if outs == nil { // a configured fn, a number, or what follows an error
			if len(m.calls) == k+1 {
				m.calls = m.calls[:k]
			}
			return v
		}
		for _, a := range outs {
			c.Outputs = append(c.Outputs, plan.Tensor{DType: a.dtype, Shape: planShape(a.shape)})
		}
		switch {
		case c.Kind == plan.CallModel: // its own calls are those of its model
		case c.Std && m.applied == applied:
			m.calls = m.calls[:k+1]
		default:
			for _, a := range outs {
				c.Results = append(c.Results, originOf(a))
			}
		}
		return withOrigin(v, k)
	}
}

// noted is called for a call that makes no calls itself.
func (f *frame) noted(kind plan.CallKind, name string, args []value, v value) value {
	return f.called(&plan.Call{Kind: kind, Name: name, Std: true}, args)(v)
}

// calledFn is called for a fn, whose parameters are bound in s.
func (f *frame) calledFn(fn *fnValue, site *callSite, s *scope) (done func(value) value) {
	c := &plan.Call{Kind: plan.CallFn, Name: fn.decl.Name.Name, Std: f.isStd(fn.decl.Span())}
	if fn.config != nil {
		c.Config = f.configOf(fn.decl.Config, fn.config)
	}
	return f.called(c, givenArguments(site, fn.decl.Params, s))
}

// calledLayer is called for an instance of a layer, whose parameters are bound in s.
func (f *frame) calledLayer(i *instance, site *callSite, s *scope) (done func(value) value) {
	if f.recording == nil {
		return func(v value) value { return v }
	}
	decl := i.recipe.layer.decl
	c := &plan.Call{Kind: plan.CallLayer, Name: f.recording.pathOf(i), Std: f.isStd(decl.Span())}
	return f.called(c, givenArguments(site, decl.Params, s))
}

// calledModel is called for another model, whose parameters are bound in s.
func (f *frame) calledModel(m *modelValue, site *callSite, s *scope) (done func(value) value) {
	return f.called(&plan.Call{Kind: plan.CallModel, Name: m.decl.Name.Name}, givenArguments(site, m.decl.Params, s))
}

// pathOf is the path of a layer's instance in a model.
func (m *modelValue) pathOf(i *instance) string {
	return strings.TrimPrefix(strings.TrimPrefix(i.path, m.inst.path), ".")
}

// givenArguments lists the values of parameters, nil for those that have their defaults.
func givenArguments(site *callSite, params []*syntax.Param, s *scope) []value {
	given := map[string]bool{}
	position := 0
	for _, a := range site.args {
		if a.name != nil {
			given[a.name.Name] = true
			continue
		}
		given[params[position].Name.Name] = true
		position++
	}
	args := make([]value, len(params))
	for i, p := range params {
		if given[p.Name.Name] {
			args[i] = s.names[p.Name.Name].value
		}
	}
	return args
}

// argOf is an argument as a plan has it.
func argOf(v value) plan.Arg {
	switch v := v.(type) {
	case *array:
		return plan.Arg{Origin: originOf(v)}
	case nil:
		return plan.Arg{Origin: plan.Origin{Call: plan.FromDefault}}
	case number:
		return plan.Arg{Origin: plan.Origin{Call: plan.FromNumber}, Number: v.float}
	}
	if size, ok := dimensionOf(v); ok {
		if n, ok := size.IsConst(); ok {
			return plan.Arg{Origin: plan.Origin{Call: plan.FromNumber}, Number: float64(n)}
		}
	}
	return plan.Arg{Origin: plan.Origin{Call: plan.FromOther}}
}

func originOf(a *array) plan.Origin {
	if a.origin == nil {
		return plan.Origin{Call: plan.FromElsewhere}
	}
	return *a.origin
}

// originsOf lists where the tensors of a value come from.
func originsOf(v value) (list []plan.Origin) {
	for _, a := range arraysOf(v) {
		list = append(list, originOf(a))
	}
	return list
}

// arraysOf lists the tensors of a value; nil if it has other parts.
func arraysOf(v value) []*array {
	switch v := v.(type) {
	case *array:
		return []*array{v}
	case *tuple:
		var list []*array
		for _, e := range v.elems {
			part := arraysOf(e)
			if part == nil {
				return nil
			}
			list = append(list, part...)
		}
		return list
	}
	return nil
}

// withOrigin is a value of tensors as the outputs of a call.
func withOrigin(v value, call int) value {
	output := 0
	var mark func(v value) value
	mark = func(v value) value {
		switch v := v.(type) {
		case *array:
			clone := *v
			clone.origin = &plan.Origin{Call: call, Output: output}
			output++
			return &clone
		case *tuple:
			clone := &tuple{names: v.names}
			for _, e := range v.elems {
				clone.elems = append(clone.elems, mark(e))
			}
			return clone
		}
		return v
	}
	return mark(v)
}
