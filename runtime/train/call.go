package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
)

// place is where a run of steps stands: what Step and Eval learn of it.
type place struct {
	seed     int32
	step     int // training steps done before this one
	epoch    int // epochs done before this one
	progress float64
	plateaus int // see plan.Train.Plateau
}

// batchFunc is a function of the module that takes a batch: a train's Step or Eval.
type batchFunc struct {
	prog   runtime.Program
	fn     *ir.Func
	fields []int // by parameter: the field of the source, or -1 for one that place supplies
	batch  int   // examples of a batch that no source gives

	results int      // how many of its results are the loss and the metrics
	names   []string // of their values
}

// bind finds the fields that the parameters of a function of t name in src, which is nil for a train without data.
func bind(prog runtime.Program, t *plan.Train, name string, src data.Source) (*batchFunc, error) {
	fn := prog.Module().Func(name)
	if fn == nil {
		panic(fmt.Sprintf("BUG: the program has no function %s", name))
	}
	f := &batchFunc{prog: prog, fn: fn, batch: t.FullBatch(), results: 1 + len(t.Metrics) - len(t.OnlyEval), names: stepNames(t)}
	if name == t.Eval {
		f.results, f.names = 1+len(t.Metrics), evalNames(t)
	}
	for _, p := range fn.Params {
		field := -1
		switch p.Name {
		case plan.ParamSeed, plan.ParamStep, plan.ParamEpoch, plan.ParamProgress, plan.ParamPlateaus, plan.ParamExamples:
		default:
			if src != nil {
				field = fieldIndex(src, p.Name)
			}
			if field < 0 {
				return nil, fmt.Errorf("the data has no field %s, which the program reads", p.Name)
			}
		}
		f.fields = append(f.fields, field)
	}
	return f, nil
}

// trainable reports that t cannot be carried out, since the weights are stored rounded: see passes.HalfWeights.
func trainable(prog runtime.Program, t *plan.Train) error {
	for _, c := range prog.Module().Cells {
		if c.Half {
			return fmt.Errorf("the weights are stored in bf16, in which they cannot be trained: %s", c.Name)
		}
	}
	if t.Step == "" {
		return errors.New("the training steps were left out")
	}
	return nil
}

// stepNames returns the names of the values that a step measures, evalNames those of an evaluation.
func stepNames(t *plan.Train) []string { return names(t, t.OnlyEval) }

func evalNames(t *plan.Train) []string { return names(t, nil) }

func names(t *plan.Train, without []string) []string {
	all := []string{plan.ResultLoss}
	for _, metric := range t.Metrics {
		if !slices.Contains(without, metric) {
			all = append(all, t.Names(metric)...)
		}
	}
	return all
}

// args returns the function's arguments for a batch.
func (f *batchFunc) args(batch []*tensor.Tensor, at place) []*tensor.Tensor {
	args := make([]*tensor.Tensor, len(f.fields))
	for i, field := range f.fields {
		if field >= 0 {
			args[i] = batch[field]
			continue
		}
		p := f.fn.Params[i]
		if p.Name == plan.ParamExamples {
			args[i] = tensor.New(tensor.I32, f.batch)
			continue
		}
		args[i] = at.argument(p)
	}
	return args
}

// call runs the function on a batch and returns the loss and the metrics.
func (f *batchFunc) call(batch []*tensor.Tensor, at place) ([]float64, error) {
	results, err := f.prog.Call(f.fn.Name, f.args(batch, at)...)
	if err != nil {
		return nil, err
	}
	if len(results) < f.results {
		panic(fmt.Sprintf("BUG: %s gives %d results, not the %d that the plan names", f.fn.Name, len(results), f.results))
	}
	values := make([]float64, 0, len(f.names))
	for _, r := range results[:f.results] {
		for i := range r.Len() {
			values = append(values, r.At(i))
		}
	}
	if len(values) != len(f.names) {
		panic(fmt.Sprintf("BUG: %s gives %d values, not the %d that the plan names", f.fn.Name, len(values), len(f.names)))
	}
	return values, nil
}

// callWithout runs the function of a step without examples.
func (f *batchFunc) callWithout(at place) error {
	args := make([]*tensor.Tensor, len(f.fields))
	for i, p := range f.fn.Params {
		if f.fields[i] < 0 {
			args[i] = at.argument(p)
			continue
		}
		var shape []int
		for _, d := range p.Type.Shape {
			n, constant := d.IsConst()
			if !constant { // a length
				n = 1
			}
			shape = append(shape, n)
		}
		args[i] = tensor.New(p.Type.DType, shape...)
	}
	_, err := f.prog.Call(f.fn.Name, args...)
	return err
}

// argument is the value of a parameter that no field is.
func (p place) argument(param *ir.Value) *tensor.Tensor {
	t := tensor.New(param.Type.DType)
	t.Set(0, p.value(param.Name))
	return t
}

func (p place) value(param string) float64 {
	switch param {
	case plan.ParamSeed:
		return float64(p.seed)
	case plan.ParamStep:
		return float64(p.step)
	case plan.ParamEpoch:
		return float64(p.epoch)
	case plan.ParamPlateaus:
		return float64(p.plateaus)
	default:
		return p.progress
	}
}

// means are averages over the examples of several batches; a batch counts as often as it has examples. Metrics with state average by
// themselves: their last values count.
type means struct {
	names    []string
	running  []bool
	sums     []float64 // of a metric with state, its last value
	examples int
}

func newMeans(t *plan.Train, names []string) *means {
	m := &means{names: names}
	m.running, m.sums = make([]bool, len(m.names)), make([]float64, len(m.names))
	for i, name := range m.names {
		metric, _, _ := strings.Cut(name, "[") // of an element of a tensor
		m.running[i] = slices.Contains(t.Running, metric)
	}
	return m
}

func (m *means) add(values []float64, examples int) {
	for i, v := range values {
		if m.running[i] {
			m.sums[i] = v
			continue
		}
		m.sums[i] += v * float64(examples)
	}
	m.examples += examples
}

// into stores the averages under their names with prefix in values.
func (m *means) into(values map[string]float64, prefix string) {
	for i, name := range m.names {
		v := math.NaN()
		switch {
		case m.examples == 0:
		case m.running[i]:
			v = m.sums[i]
		default:
			v = m.sums[i] / float64(m.examples)
		}
		values[prefix+name] = v
	}
}

// Init gives every cell of the program its first value.
func Init(prog runtime.Program, p *plan.Program, seed int32) error {
	if p.Init == "" {
		return nil
	}
	if _, err := prog.Call(p.Init, tensor.FromI32([]int32{seed})); err != nil {
		return fmt.Errorf("first values of the parameters: %w", err)
	}
	return nil
}

// renew starts streams and metrics anew.
func renew(prog runtime.Program, p *plan.Program, seed int32) error {
	if p.Reset == "" {
		return nil
	}
	if _, err := prog.Call(p.Reset, tensor.FromI32([]int32{seed})); err != nil {
		return fmt.Errorf("first values of metrics and streams: %w", err)
	}
	return nil
}

// aside puts streams and metrics aside while something else is measured; the function that it returns puts them back.
func aside(prog runtime.Program, p *plan.Program) (back func() error, err error) {
	kept := map[string]*tensor.Tensor{}
	for _, c := range p.Module.Cells {
		if c.Kind != ir.Stream && c.Kind != ir.Metric || p.Beside(c) {
			continue
		}
		if kept[c.Name], err = prog.Cell(c.Name); err != nil {
			return nil, err
		}
	}
	return func() error {
		for name, v := range kept {
			if err := prog.SetCell(name, v); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
