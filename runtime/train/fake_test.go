package train

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
)

// line is a program computed by hand: y = w·x + b by gradient descent with momentum, with a little noise from seed and step so
// that a run that resumes at the wrong place shows.
type line struct {
	module *ir.Module
	cells  map[string]*tensor.Tensor
	steps  int // calls of step
	// plateaus as each step was told.
	plateaus []int
	before   func(step int) error
	target   func(values map[string]float64) bool
}

const features = 3

func newLine() *line {
	m := ir.NewModule()
	vector := ir.Type{DType: tensor.F32, Shape: []ir.Affine{ir.Int(features)}}
	for _, c := range []*ir.Cell{
		{Name: "Line.w", Type: vector, Kind: ir.Param},
		{Name: "Line.b", Type: ir.Scalar(tensor.F32), Kind: ir.Param},
		{Name: "Line.seen", Type: ir.Scalar(tensor.I32), Kind: ir.State},
		{Name: "momentum.Line.w", Type: vector, Kind: ir.Slot},
		{Name: "metric.count", Type: ir.Scalar(tensor.I32), Kind: ir.Metric},
		{Name: "flag", Type: ir.Scalar(tensor.Bool), Kind: ir.Stream},
	} {
		m.AddCell(c)
	}
	i32 := func(name string) *ir.Value { return &ir.Value{Name: name, Type: ir.Scalar(tensor.I32)} }
	f32 := func(name string) *ir.Value { return &ir.Value{Name: name, Type: ir.Scalar(tensor.F32)} }
	fields := []*ir.Value{{Name: "y"}, {Name: "x"}}
	m.AddFunc(&ir.Func{Name: "init", Params: []*ir.Value{i32(plan.ParamSeed)}})
	m.AddFunc(&ir.Func{Name: "reset", Params: []*ir.Value{i32(plan.ParamSeed)}})
	m.AddFunc(&ir.Func{
		Name: "step", Params: append(fields, i32(plan.ParamStep), i32(plan.ParamSeed), f32(plan.ParamProgress), i32(plan.ParamEpoch), i32(plan.ParamPlateaus)),
		ResultNames: []string{"loss", "mae", "count"}, Finite: true,
	})
	m.AddFunc(&ir.Func{Name: "eval", Params: fields, ResultNames: []string{"loss", "mae", "count"}})
	m.AddFunc(&ir.Func{Name: "until", Params: []*ir.Value{f32("val_mae")}})
	l := &line{module: m, cells: map[string]*tensor.Tensor{}}
	for _, c := range m.Cells {
		shape := []int{}
		for range c.Type.Shape {
			shape = append(shape, features)
		}
		l.cells[c.Name] = tensor.New(c.Type.DType, shape...)
	}
	return l
}

func (l *line) Module() *ir.Module { return l.module }

func (l *line) Cell(name string) (*tensor.Tensor, error) {
	if l.cells[name] == nil {
		return nil, fmt.Errorf("no cell %s", name)
	}
	return l.cells[name].Clone(), nil
}

func (l *line) SetCell(name string, t *tensor.Tensor) error {
	old := l.cells[name]
	if old == nil || fmt.Sprint(old.Shape) != fmt.Sprint(t.Shape) {
		return fmt.Errorf("cell %s does not take %v", name, t)
	}
	l.cells[name] = t.To(old.DType).Clone()
	return nil
}

func (l *line) Call(fn string, args ...*tensor.Tensor) ([]*tensor.Tensor, error) {
	switch fn {
	case "init":
		for _, c := range l.cells {
			for i := range c.Len() {
				c.Set(i, 0)
			}
		}
		for i := range features {
			l.cells["Line.w"].F32[i] = float32(args[0].I32[0]) / float32(10+i)
		}
		return nil, nil
	case "reset":
		l.cells["metric.count"].Set(0, 0)
		l.cells["flag"].Set(0, 0)
		return nil, nil
	case "step":
		return l.step(args)
	case "eval":
		loss, mae, _, _ := l.measure(args[0], args[1])
		return scalars(loss, mae, 0), nil
	case "until":
		ok := tensor.New(tensor.Bool)
		ok.Bool[0] = l.target(map[string]float64{"val_mae": args[0].At(0)})
		return []*tensor.Tensor{ok}, nil
	}
	panic("no function " + fn)
}

// measure returns the loss, the mean absolute error and the gradients.
func (l *line) measure(y, x *tensor.Tensor) (loss, mae float32, dw []float32, db float32) {
	n := y.Len()
	dw = make([]float32, features)
	w, b := l.cells["Line.w"].F32, l.cells["Line.b"].F32[0]
	for i := range n {
		e := b - y.F32[i]
		for k, wk := range w {
			e += wk * x.F32[i*features+k]
		}
		loss += e * e / float32(n)
		mae += float32(math.Abs(float64(e))) / float32(n)
		for k := range w {
			dw[k] += 2 * e * x.F32[i*features+k] / float32(n)
		}
		db += 2 * e / float32(n)
	}
	return loss, mae, dw, db
}

func (l *line) step(args []*tensor.Tensor) ([]*tensor.Tensor, error) {
	at := int(args[2].I32[0])
	if l.before != nil {
		if err := l.before(at); err != nil {
			return nil, err
		}
	}
	l.steps++
	loss, mae, dw, db := l.measure(args[0], args[1])
	seed, progress, epoch, plateaus := args[3].I32[0], args[4].F32[0], args[5].I32[0], args[6].I32[0]
	l.plateaus = append(l.plateaus, int(plateaus))
	rate := 0.05 * (1 - 0.5*progress) / (1 + 0.1*float32(epoch)) / float32(1+plateaus)
	v := l.cells["momentum.Line.w"].F32
	for k := range dw {
		v[k] = 0.9*v[k] + dw[k] + 1e-3*float32(math.Sin(float64(at*7+int(seed)+k)))
		l.cells["Line.w"].F32[k] -= rate * v[k]
	}
	l.cells["Line.b"].F32[0] -= rate * db
	l.cells["Line.seen"].I32[0] += int32(args[0].Len())
	l.cells["metric.count"].I32[0]++
	l.cells["flag"].Bool[0] = !l.cells["flag"].Bool[0]
	return scalars(loss, mae, float32(l.cells["metric.count"].I32[0])), nil
}

func scalars(values ...float32) []*tensor.Tensor {
	var out []*tensor.Tensor
	for _, v := range values {
		out = append(out, tensor.FromF32([]float32{v}))
	}
	return out
}

var _ runtime.Program = (*line)(nil)

// lineData returns n training examples of a known line and 5 to validate on.
func lineData(t *testing.T, n int) *data.Dataset {
	t.Helper()
	make := func(n int) data.Source {
		x, y := tensor.New(tensor.F32, n, features), tensor.New(tensor.F32, n)
		for i := range n {
			for k := range features {
				x.F32[i*features+k] = float32(math.Sin(float64(i*features + k)))
				y.F32[i] += float32(k+1) * x.F32[i*features+k]
			}
		}
		src, err := data.Memory([]data.Field{
			{Name: "x", DType: tensor.F32, Shape: []int{features}}, {Name: "y", DType: tensor.F32},
		}, x, y)
		if err != nil {
			t.Fatal(err)
		}
		return src
	}
	return &data.Dataset{Split: data.Split{Train: make(n), Validation: make(5)}, Notes: []string{fmt.Sprintf("%d training, 5 validation", n)}}
}

// lineRun is a program with its plan, in a folder of its own.
type lineRun struct {
	prog *line
	p    *plan.Program
	t    *plan.Train
	opt  Options
}

// newRun prepares a run of 3 epochs over 10 examples in batches of 4.
func newRun(t *testing.T) *lineRun {
	t.Helper()
	tr := &plan.Train{
		Data: &plan.Data{Name: "Points", Batch: 4, Shuffle: true}, Batch: 4, Step: "step", Eval: "eval",
		Metrics: []string{"mae", "count"}, Epochs: 3,
	}
	prog := newLine()
	r := &lineRun{
		prog: prog, t: tr,
		p:   &plan.Program{File: filepath.Join(t.TempDir(), "line.nn"), Module: prog.module, Init: "init", Reset: "reset", Trains: []*plan.Train{tr}},
		opt: Options{Seed: 7, Data: lineData(t, 10)},
	}
	r.init(t)
	return r
}

func (r *lineRun) init(t *testing.T) {
	t.Helper()
	if err := Init(r.prog, r.p, r.opt.Seed); err != nil {
		t.Fatal(err)
	}
}

// restarted returns the same run in a new process.
func (r *lineRun) restarted(t *testing.T) *lineRun {
	t.Helper()
	again := *r
	again.prog = newLine()
	again.init(t)
	return &again
}

// cellBits returns all cells for comparison.
func cellBits(l *line) map[string]string {
	bits := map[string]string{}
	for name, c := range l.cells {
		for i := range c.Len() {
			bits[name] += fmt.Sprintf("%x ", math.Float64bits(c.At(i)))
		}
	}
	return bits
}

var errPulled = errors.New("the plug was pulled")

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
