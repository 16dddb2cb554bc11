package command

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// Bench measures how fast a model predicts.
type Bench struct {
	Model  string        `help:"Which model, where the program has several." placeholder:"NAME"`
	Batch  []Count       `default:"1,32" help:"Measure batches of so many examples." placeholder:"N,..."`
	Length Count         `default:"100" help:"The length of examples whose length is their own." placeholder:"N"`
	Time   time.Duration `default:"2s" help:"Measure each batch for so long."`
	JSON   bool          `name:"json" help:"Print a line of JSON for each batch."`
}

// mostBenched bounds a batch, for which there is to be memory.
const mostBenched = 1 << 16

// speed is how long a batch takes.
type speed struct {
	Batch  int     `json:"batch"`
	Calls  int     `json:"calls"`
	First  float64 `json:"first_ms"` // the first call, which makes room
	Median float64 `json:"median_ms"`
	P99    float64 `json:"p99_ms"`
	Rate   float64 `json:"examples_per_second"`
}

// Run carries out the command. Weights do not change how long it takes, so the first values serve.
func (c *Bench) Run(std *Streams, p *Program) error {
	m, err := ChooseModel(p.Plan, c.Model)
	if err != nil {
		return err
	}
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
	for _, batch := range c.Batch {
		s, err := c.measure(prog, m, int(batch))
		if err != nil {
			return err
		}
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

func (c *Bench) measure(prog runtime.Program, m *plan.Model, batch int) (*speed, error) {
	args := make([]*tensor.Tensor, len(m.Fields))
	random := rand.New(rand.NewPCG(1, 2))
	for i, f := range m.Fields {
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
	for i, f := range m.Fields {
		for _, of := range m.Fields {
			if f.Name == plan.LengthField(of.Name) {
				for k := range args[i].I32 {
					args[i].I32[k] = int32(c.Length)
				}
			}
		}
	}
	var times []float64
	begin := time.Now()
	for len(times) < 3 || time.Since(begin) < c.Time {
		start := time.Now()
		if _, err := prog.Call(m.Predict, args...); err != nil {
			return nil, err
		}
		times = append(times, float64(time.Since(start).Nanoseconds())/1e6)
	}
	s := &speed{Batch: batch, Calls: len(times), First: times[0]}
	slices.Sort(times)
	s.Median, s.P99 = times[len(times)/2], times[len(times)*99/100]
	s.Rate = float64(batch) / s.Median * 1000
	return s, nil
}
