package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/nnc-lang/nnc/ir"
)

// Encode writes all of a program but its module and its tests, which is what a compiled program needs where its source is not.
//
// Errors: a number that is not finite where no program has a use for one.
func Encode(p *Program) ([]byte, error) {
	s := stored{File: p.File, Init: p.Init, Reset: p.Reset, Data: p.Data, Generates: p.Generates}
	for _, m := range p.Models {
		sm := storedModel{Model: m, Data: slices.Index(p.Data, m.Data)}
		for _, l := range m.Layers {
			sm.Layers = append(sm.Layers, storedLayer{Layer: l, Config: l.Config})
		}
		for _, c := range m.Calls {
			sm.Calls = append(sm.Calls, storedCall{Call: c, Config: c.Config})
		}
		s.Models = append(s.Models, sm)
	}
	for _, t := range p.Trains {
		st := storedTrain{Train: t, Data: slices.Index(p.Data, t.Data)}
		for _, d := range t.Others {
			st.Others = append(st.Others, slices.Index(p.Data, d))
		}
		for _, m := range t.Models {
			st.Models = append(st.Models, slices.Index(p.Models, m))
		}
		s.Trains = append(s.Trains, st)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("plan of %s: %w", p.File, err)
	}
	return text, nil
}

// Decode is the inverse of Encode, given the module that the program belongs to.
//
// Errors: a text that Encode did not write; names and numbers that do not fit together or the module.
func Decode(text []byte, m *ir.Module) (*Program, error) {
	var s stored
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	if d.More() {
		return nil, errors.New("plan: something follows its end")
	}
	p := &Program{File: s.File, Module: m, Init: s.Init, Reset: s.Reset, Data: s.Data, Generates: s.Generates}
	for _, sm := range s.Models {
		if sm.Model == nil {
			return nil, errors.New("plan: a model without a description")
		}
		var err error
		if sm.Model.Data, err = at(p.Data, sm.Data); err != nil {
			return nil, err
		}
		for _, sl := range sm.Layers {
			if sl.Layer == nil {
				return nil, errors.New("plan: a layer without a description")
			}
			sl.Layer.Config = sl.Config
			sm.Model.Layers = append(sm.Model.Layers, sl.Layer)
		}
		for _, sc := range sm.Calls {
			if sc.Call == nil {
				return nil, errors.New("plan: a call without a description")
			}
			sc.Call.Config = sc.Config
			sm.Model.Calls = append(sm.Model.Calls, sc.Call)
		}
		p.Models = append(p.Models, sm.Model)
	}
	for _, st := range s.Trains {
		if st.Train == nil {
			return nil, errors.New("plan: a train without a description")
		}
		var err error
		if st.Train.Data, err = at(p.Data, st.Data); err != nil {
			return nil, err
		}
		for _, k := range st.Others {
			other, err := at(p.Data, k)
			if err != nil {
				return nil, err
			}
			st.Train.Others = append(st.Train.Others, other)
		}
		for _, k := range st.Models {
			model, err := at(p.Models, k)
			if err != nil {
				return nil, err
			}
			st.Train.Models = append(st.Train.Models, model)
		}
		p.Trains = append(p.Trains, st.Train)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return p, nil
}

// at returns element k of a list; −1 stands for none.
func at[T any](list []*T, k int) (*T, error) {
	switch {
	case k == -1:
		return nil, nil
	case k < 0 || k >= len(list):
		return nil, fmt.Errorf("plan: there is no number %d among %d", k, len(list))
	}
	return list[k], nil
}

// stored is a Program as JSON. Its structures shadow what points to others by their numbers.
type stored struct {
	File, Init, Reset string
	Data              []*Data       `json:",omitempty"`
	Models            []storedModel `json:",omitempty"`
	Trains            []storedTrain `json:",omitempty"`
	Generates         []*Generate   `json:",omitempty"`
}

type storedModel struct {
	*Model
	Data   int
	Layers []storedLayer `json:",omitempty"`
	Calls  []storedCall  `json:",omitempty"`
}

type storedLayer struct {
	*Layer
	Config storedConfig `json:",omitempty"`
}

type storedCall struct {
	*Call
	Config storedConfig `json:",omitempty"`
}

type storedTrain struct {
	*Train
	Data   int
	Others []int `json:",omitempty"`
	Models []int `json:",omitempty"`
}

// storedConfig is a layer's configuration. What JSON cannot tell apart or write is an object: {"ref": "relu"}, {"number": "+Inf"},
// {"fn": "elu", "config": {"alpha": 0.5}}.
type storedConfig map[string]any

// MarshalJSON writes the arguments.
func (c storedConfig) MarshalJSON() ([]byte, error) {
	out := map[string]any{}
	for name, v := range c {
		switch v := v.(type) {
		case Ref:
			out[name] = map[string]string{"ref": string(v)}
			continue
		case Configured:
			out[name] = map[string]any{"fn": v.Fn, "config": storedConfig(v.Config)}
			continue
		case float64:
			if math.IsInf(v, 0) || math.IsNaN(v) {
				out[name] = map[string]string{"number": strconv.FormatFloat(v, 'g', -1, 64)}
				continue
			}
		}
		out[name] = v
	}
	return json.Marshal(out)
}

// UnmarshalJSON is the inverse of MarshalJSON.
func (c *storedConfig) UnmarshalJSON(text []byte) error {
	in := map[string]any{}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*c = in
	return c.restore()
}

// restore puts what JSON cannot tell apart in the place of the objects that stand for it.
func (c *storedConfig) restore() error {
	in := *c
	for name, v := range in {
		switch v := v.(type) {
		case nil, float64, bool, string:
			continue
		case map[string]any:
			if ref, ok := v["ref"].(string); ok && len(v) == 1 {
				in[name] = Ref(ref)
				continue
			}
			fn, ok := v["fn"].(string)
			if config, isConfig := v["config"].(map[string]any); ok && isConfig && len(v) == 2 {
				inner := storedConfig(config)
				if err := inner.restore(); err != nil {
					return err
				}
				in[name] = Configured{fn, config}
				continue
			}
			if number, ok := v["number"].(string); ok && len(v) == 1 {
				if f, err := strconv.ParseFloat(number, 64); err == nil {
					in[name] = f
					continue
				}
			}
		}
		return fmt.Errorf("configuration argument %s has no such form: %v", name, v)
	}
	return nil
}

// check makes sure that what follows the plan finds what it names.
func (p *Program) check() error {
	for _, f := range []string{p.Init, p.Reset} {
		if err := p.checkFunc(f); err != nil {
			return err
		}
	}
	for _, d := range p.Data {
		if d == nil {
			return errors.New("a data declaration is missing")
		}
		if err := d.check(); err != nil {
			return fmt.Errorf("data %s: %w", d.Name, err)
		}
	}
	for _, m := range p.Models {
		if err := p.checkModel(m); err != nil {
			return fmt.Errorf("model %s: %w", m.Name, err)
		}
	}
	for _, t := range p.Trains {
		if err := p.checkTrain(t); err != nil {
			return fmt.Errorf("train %s: %w", t.Label, err)
		}
	}
	for _, g := range p.Generates {
		if err := p.checkGenerate(g); err != nil {
			return err
		}
	}
	return nil
}

// checkFunc accepts "", which stands for no function.
func (p *Program) checkFunc(name string) error {
	if name != "" && p.Module.Func(name) == nil {
		return fmt.Errorf("the module has no function %s", name)
	}
	return nil
}

func checkFields(fields []Field) error {
	for _, f := range fields {
		for _, n := range f.Shape {
			if n < -1 {
				return fmt.Errorf("field %s has a dimension of %d", f.Name, n)
			}
		}
	}
	return nil
}

func (d *Data) check() error {
	sources := 0
	for _, set := range []bool{
		d.Source.ImageFolder != nil, d.Source.IDX != nil, d.Source.CSV != nil, d.Source.Text != nil, d.Source.WAV != nil, d.Source.Synthetic != nil,
	} {
		if set {
			sources++
		}
	}
	switch {
	case sources != 1:
		return fmt.Errorf("it has %d sources", sources)
	case d.Batch < 0:
		return fmt.Errorf("a batch of %d", d.Batch)
	case !slices.Contains([]string{"", "streams", "lengths"}, d.Order):
		return fmt.Errorf("there is no order %s", d.Order)
	}
	return checkFields(d.Fields)
}

func (p *Program) checkModel(m *Model) error {
	fn := p.Module.Func(m.Predict)
	switch {
	case fn == nil:
		return fmt.Errorf("the module has no function %s", m.Predict)
	case len(fn.Params) != len(m.Fields):
		return fmt.Errorf("%s takes %d arguments, not %d", m.Predict, len(fn.Params), len(m.Fields))
	}
	for _, l := range m.Layers {
		for _, cell := range l.Params {
			if p.Module.Cell(cell) == nil {
				return fmt.Errorf("layer %s: the module has no cell %s", l.Path, cell)
			}
		}
	}
	return errors.Join(m.checkCalls(), checkFields(m.Inputs), checkFields(m.Fields), checkFields([]Field{m.Output}))
}

func (p *Program) checkGenerate(g *Generate) error {
	switch {
	case g == nil:
		return errors.New("a generate declaration is missing")
	case g.Func == "" || len(g.Vocabulary) == 0 || g.Length < 0 || g.TopK < 0 || g.Window < 0:
		return fmt.Errorf("generate %s cannot be followed", g.Model)
	}
	return errors.Join(p.checkFunc(g.Func), p.checkFunc(g.Step), p.checkFunc(g.Prefill))
}

// maxEvery bounds the periods of a train: there is a function for each set of them.
const maxEvery = 16

// checkTensors compares the shapes of metrics with what the evaluation gives.
func (p *Program) checkTensors(t *Train) error {
	for name, shape := range t.Tensors {
		fn, k := p.Module.Func(t.Eval), slices.Index(t.Metrics, name)
		if fn == nil || k < 0 || len(fn.Results) < k+2 {
			return fmt.Errorf("no result is the metric %s", name)
		}
		dims := fn.Results[k+1].Type.Shape
		if len(dims) != len(shape) {
			return fmt.Errorf("the metric %s has %d dimensions", name, len(dims))
		}
		for i, d := range dims {
			if n, constant := d.IsConst(); !constant || n != shape[i] {
				return fmt.Errorf("dimension %d of the metric %s is not %d", i+1, name, shape[i])
			}
		}
	}
	return nil
}

// checkSamples compares the shapes of pictures with what their function gives.
func (p *Program) checkSamples(s *Samples) error {
	if s == nil {
		return nil
	}
	fn := p.Module.Func(s.Func)
	if fn == nil || s.File == "" || len(s.Results) == 0 || len(s.Results) != len(fn.Results) || len(s.Results) != len(s.Single) {
		return errors.New("samples cannot be followed")
	}
	_, high, wide, _, _ := s.Results[0].Pictures()
	for i, shape := range s.Results {
		if _, h, w, _, ok := shape.Pictures(); !ok || h != high || w != wide {
			return fmt.Errorf("samples of %v", shape)
		}
		dims := fn.Results[i].Type.Shape
		if !s.Single[i] {
			dims = dims[min(1, len(dims)):]
		}
		fits := len(dims) == len(shape)
		for k := 0; fits && k < len(dims); k++ {
			n, constant := dims[k].IsConst()
			fits = constant && n == shape[k]
		}
		if !fits {
			return fmt.Errorf("%s gives no samples of %v", s.Func, shape)
		}
	}
	return nil
}

func (p *Program) checkTrain(t *Train) error {
	if len(t.Every) > maxEvery {
		return fmt.Errorf("%d periods of updates", len(t.Every))
	}
	for _, n := range t.Every {
		if n < 1 {
			return fmt.Errorf("a period of %d", n)
		}
	}
	if slices.Contains(t.Others, nil) || t.Data == nil && len(t.Others) > 0 {
		return errors.New("one of its data is missing")
	}
	for _, a := range t.Averages {
		for _, name := range []string{a.Param, a.Cell} {
			if p.Module.Cell(name) == nil {
				return fmt.Errorf("average: the module has no cell %s", name)
			}
		}
		if x, y := p.Module.Cell(a.Param).Type, p.Module.Cell(a.Cell).Type; !x.Equal(y) {
			return fmt.Errorf("average: %s is %v and %s is %v", a.Param, x, a.Cell, y)
		}
	}
	if err := errors.Join(p.checkTensors(t), p.checkTensors(t.Reported())); err != nil {
		return err
	}
	if err := p.checkSamples(t.Samples); err != nil {
		return err
	}
	funcs := []string{t.Eval, t.Until, t.Reported().Eval}
	for due := range 1 << len(t.Every) {
		step := t.StepVariant(due)
		if t.Step == "" {
			break
		}
		fn := p.Module.Func(step)
		if fn == nil {
			return fmt.Errorf("the module has no function %s", step)
		}
		if t.Data != nil && t.Data.Chance && p.Module.Func(step+EmptySuffix) == nil {
			return fmt.Errorf("the module has no function %s", step+EmptySuffix)
		}
		if len(fn.Results) < 1+len(t.Metrics)-len(t.OnlyEval) {
			return fmt.Errorf("%s gives %d results", step, len(fn.Results))
		}
	}
	for _, f := range funcs {
		if err := p.checkFunc(f); err != nil {
			return err
		}
	}
	for _, n := range []int{t.Batch, t.Epochs, t.Steps, t.Validate, t.Patience, t.Plateau} {
		if n < 0 {
			return fmt.Errorf("a number of %d", n)
		}
	}
	if t.Load != nil {
		for _, cell := range t.Load.Cells {
			if p.Module.Cell(cell) == nil {
				return fmt.Errorf("load: the module has no cell %s", cell)
			}
		}
	}
	return checkFields(t.Fields)
}
