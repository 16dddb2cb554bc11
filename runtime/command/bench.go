package command

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/train"
)

// Bench measures how fast a model predicts or is trained.
type Bench struct {
	Phase  string        `default:"infer" enum:"infer,train" help:"What is measured: predictions (infer) or training steps (train)."`
	Model  string        `help:"Which model predicts, where the program has several." placeholder:"NAME"`
	Batch  []Count       `help:"Measure batches of so many examples; of 1 and 32 for predictions and of the program's own number for training, if it is left out." placeholder:"N,..."`
	Length Count         `default:"100" help:"The length of examples whose length is their own." placeholder:"N"`
	Time   time.Duration `default:"2s" help:"Measure each batch for so long."`
	JSON   bool          `name:"json" help:"Print a line of JSON for each batch."`
}

// mostBenched bounds a batch, for which there is to be memory.
const mostBenched = 1 << 16

// speed is how long a batch takes.
type speed struct {
	Phase  string  `json:"phase"`
	Batch  int     `json:"batch"`
	Calls  int     `json:"calls"`
	First  float64 `json:"first_ms"` // the first call, which makes room
	Median float64 `json:"median_ms"`
	P99    float64 `json:"p99_ms"`
	Rate   float64 `json:"examples_per_second"`
}

// Run carries out the command. Weights and examples do not change how long it takes, so the first values serve, and random numbers.
func (c *Bench) Run(std *Streams, p *Program) error {
	for _, batch := range c.Batch {
		if batch > mostBenched {
			return Misuse("--batch: at most %d examples are measured at a time", mostBenched)
		}
	}
	if c.Time < 0 {
		return Misuse("--time: it cannot be negative")
	}
	prog, err := p.Fresh(1)
	if err != nil {
		return err
	}
	prepare, batches := c.predictions, []Count{1, 32}
	if c.Phase == "train" {
		if len(p.Plan.Trains) == 0 {
			return fmt.Errorf("%s declares no training", p.Plan.File)
		}
		prepare, batches = c.steps, []Count{Count(max(1, p.Plan.Trains[0].FullBatch()))}
	}
	if len(c.Batch) > 0 {
		if c.Phase == "train" && p.Plan.Trains[0].Data == nil {
			return Misuse("--batch: the program has no data, and says itself how many examples a step has")
		}
		batches = c.Batch
	}
	for _, batch := range batches {
		call, err := prepare(p.Plan, prog, int(batch))
		if err != nil {
			return err
		}
		s, err := c.measure(call)
		if err != nil {
			return err
		}
		s.Phase, s.Batch, s.Rate = c.Phase, int(batch), float64(batch)/s.Median*1000
		if c.JSON {
			if err := WriteJSON(std.Out, s); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(std.Out, "batch %-4d %8.3f ms median, %8.3f ms p99, %.0f examples/s (%d calls, the first %.3f ms)\n", s.Batch, s.Median, s.P99, s.Rate, s.Calls, s.First)
	}
	return nil
}

// predictions returns a prediction of a batch.
func (c *Bench) predictions(p *plan.Program, prog runtime.Program, batch int) (func() error, error) {
	m, err := ChooseModel(p, c.Model)
	if err != nil {
		return nil, err
	}
	args := c.examples(m.Fields, batch)
	return func() error {
		_, err := prog.Call(m.Predict, args...)
		return err
	}, nil
}

// steps returns a training step on a batch.
func (c *Bench) steps(p *plan.Program, prog runtime.Program, batch int) (func() error, error) {
	t := p.Trains[0]
	var src data.Source
	args := c.examples(t.Fields, batch)
	if len(args) > 0 {
		fields := make([]data.Field, len(args))
		for i, a := range args {
			fields[i] = data.Field{Name: t.Fields[i].Name, DType: a.DType, Shape: a.Shape[1:]}
		}
		var err error
		if src, err = data.Memory(fields, args...); err != nil {
			return nil, err
		}
	}
	steps, err := train.NewSteps(prog, t, src, [][]*tensor.Tensor{args}, 1)
	if err != nil {
		return nil, err
	}
	return func() error {
		_, err := steps.Next()
		return err
	}, nil
}

// examples makes up a batch.
func (c *Bench) examples(fields []plan.Field, batch int) []*tensor.Tensor {
	args := make([]*tensor.Tensor, len(fields))
	random := rand.New(rand.NewPCG(1, 2))
	for i, f := range fields {
		shape := []int{batch}
		for _, n := range f.Shape {
			if n < 0 {
				n = int(c.Length)
			}
			shape = append(shape, n)
		}
		args[i] = tensor.New(f.DType, shape...)
		for k := range args[i].F32 {
			args[i].F32[k] = random.Float32()
		}
	}
	for i, f := range fields {
		for _, of := range fields {
			if f.Name == plan.LengthField(of.Name) {
				for k := range args[i].I32 {
					args[i].I32[k] = int32(c.Length)
				}
			}
		}
	}
	return args
}

// measure makes calls and takes their times.
func (c *Bench) measure(call func() error) (*speed, error) {
	var times []float64
	begin := time.Now()
	for len(times) < 3 || time.Since(begin) < c.Time {
		start := time.Now()
		if err := call(); err != nil {
			return nil, err
		}
		times = append(times, float64(time.Since(start).Nanoseconds())/1e6)
	}
	s := &speed{Calls: len(times), First: times[0]}
	slices.Sort(times)
	s.Median, s.P99 = times[len(times)/2], times[len(times)*99/100]
	return s, nil
}
