package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"time"

	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/ir/cost"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/train"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// benchCmd measures how fast a program predicts or trains.
type benchCmd struct {
	source
	engine
	weightsType
	Phase   string        `default:"infer" enum:"infer,train" help:"What is measured: predictions (infer) or training steps (train)."`
	Batch   command.Count `help:"Examples of a batch; 1 for predictions and the program's own number for training, if it is left out." placeholder:"N"`
	Model   string        `help:"Which model predicts, where the program has several." placeholder:"NAME"`
	Seconds float64       `default:"3" help:"How long to measure." placeholder:"S"`
	Pause   time.Duration `help:"Wait so long between calls, like a program that predicts now and then." placeholder:"10ms"`
	Weights string        `help:"Start from the weights in this file." placeholder:"FILE"`
	Inputs  string        `help:"Take the examples from this safetensors file, a tensor for each field, instead of the program's data." placeholder:"FILE"`
	Seed    int32         `default:"1" help:"What first weights and the choice of examples follow from."`
	Layers  bool          `help:"Show a table of what the layers take."`
	Kernels bool          `help:"Show a table of what each launch of a kernel takes."`
	JSON    bool          `name:"json" help:"Print a line of JSON."`
}

// Help shows how the command is used.
func (benchCmd) Help() string {
	return `Calls what "nnc run" and "nnc predict" call, over and over, on batches that lie in memory, and prints the median time of a call.

gflops counts the multiplications and additions of the program's matrix products and convolutions in a second; executed_gflops those of the algorithms that compute them; percent_of_peak compares the latter with the most that these threads can do. check is the first number of the first prediction, or the loss after three updates.

    nnc bench catdog.nn
    nnc bench catdog.nn --phase train --batch 32 --threads 2 --json
    nnc bench catdog.nn --layers`
}

// benchResult is what --json prints.
type benchResult struct {
	Workload string  `json:"workload"`
	Phase    string  `json:"phase"`
	Batch    int     `json:"batch"`
	Threads  int     `json:"threads"`
	Median   float64 `json:"median_ms"`
	Min      float64 `json:"min_ms"`
	Runs     int     `json:"runs"`
	Gflops   float64 `json:"gflops"`
	Executed float64 `json:"executed_gflops"`
	Percent  float64 `json:"percent_of_peak"`
	Check    float64 `json:"check"`
	Pause    float64 `json:"pause_ms,omitempty"`
}

// rotation is how many batches take turns at least: one alone would stay in a cache.
const rotation = 4

// Run carries out the command.
func (c *benchCmd) Run(std *command.Streams) error {
	l, err := c.load(std, wantsData)
	if err != nil {
		return err
	}
	if c.Phase == "train" && c.WeightsType != "f32" {
		return command.Misuse("weights are trained in f32: --weights-type bf16 is for predictions")
	}
	prog, err := l.program(c.engine, c.weightsType).Fresh(c.Seed)
	if err != nil {
		return err
	}
	if c.Weights != "" {
		if err := command.CheckFile(c.Weights); err != nil {
			return err
		}
		if err := weights.LoadProgram(c.Weights, prog, l.plan); err != nil {
			return err
		}
	}
	w, err := c.work(l, prog)
	if err != nil {
		return err
	}
	threads := int(c.Threads)
	if threads == 0 {
		threads = goruntime.GOMAXPROCS(0)
	}
	r := &benchResult{
		Workload: strings.TrimSuffix(filepath.Base(c.File), filepath.Ext(c.File)),
		Phase:    c.Phase, Batch: w.batch, Threads: threads, Pause: float64(c.Pause) / 1e6,
	}
	if err := c.time(w, r); err != nil {
		return err
	}
	parts, err := w.profile()
	if err != nil {
		return err
	}
	var limits native.Limits
	if parts != nil {
		if limits, err = native.MeasureLimits(threads); err != nil {
			return err
		}
	}
	r.count(w.products(), parts, limits)
	if c.JSON {
		return command.WriteJSON(std.Out, r)
	}
	r.print(std.Out)
	if parts == nil && (c.Layers || c.Kernels) {
		return errors.New("the interpreter does not tell launches apart, which needs --backend native")
	}
	if c.Layers {
		printCosts(std.Out, "Layer", layerCosts(parts, limits), limits)
	}
	if c.Kernels {
		printCosts(std.Out, "Kernel", kernelCosts(parts, limits), limits)
	}
	return nil
}

// work is what is measured: a call that is made over and over.
type work struct {
	prog  runtime.Program
	batch int
	do    func() (check float64, err error)                    // the next call
	next  func() (fn string, args []*tensor.Tensor, err error) // what do would call
}

// work prepares predictions or training steps.
func (c *benchCmd) work(l *loaded, prog runtime.Program) (*work, error) {
	if c.Phase == "train" {
		return c.trainingWork(l, prog)
	}
	m, err := command.ChooseModel(l.plan, c.Model)
	if err != nil {
		return nil, err
	}
	w := &work{prog: prog, batch: max(1, int(c.Batch))}
	src, err := c.examples(l, l.data[m.Data], m.Fields)
	if err != nil {
		return nil, err
	}
	batches, err := c.batches(src, w.batch)
	if err != nil {
		return nil, err
	}
	fields := make([]int, len(m.Fields))
	for i, f := range m.Fields {
		if fields[i] = slices.IndexFunc(src.Fields(), func(g data.Field) bool { return g.Name == f.Name }); fields[i] < 0 {
			return nil, fmt.Errorf("the examples have no field %s, which the model %s takes", f.Name, m.Name)
		}
	}
	calls := make([][]*tensor.Tensor, len(batches))
	for k, b := range batches {
		for _, i := range fields {
			calls[k] = append(calls[k], b[i])
		}
	}
	done := 0
	w.next = func() (string, []*tensor.Tensor, error) { return m.Predict, calls[done%len(calls)], nil }
	w.do = func() (float64, error) {
		out, err := prog.Call(m.Predict, calls[done%len(calls)]...)
		if err != nil {
			return 0, err
		}
		done++
		return out[0].At(0), nil
	}
	return w, nil
}

func (c *benchCmd) trainingWork(l *loaded, prog runtime.Program) (*work, error) {
	if len(l.plan.Trains) == 0 {
		return nil, fmt.Errorf("%s declares no training", c.File)
	}
	t := l.plan.Trains[0]
	w := &work{prog: prog, batch: int(c.Batch)}
	if w.batch == 0 {
		w.batch = t.FullBatch()
	}
	src, err := c.trainExamples(l, t)
	if err != nil {
		return nil, err
	}
	batches, err := c.batches(src, w.batch)
	if err != nil {
		return nil, err
	}
	s, err := train.NewSteps(prog, t, src, batches, c.Seed)
	if err != nil {
		return nil, err
	}
	w.do, w.next = s.Next, s.Call
	return w, nil
}

// trainExamples finds the examples to train on.
func (c *benchCmd) trainExamples(l *loaded, t *plan.Train) (data.Source, error) {
	var ds *data.Dataset
	if !slices.ContainsFunc(t.AllData(), func(d *plan.Data) bool { return l.data[d] == nil }) {
		var err error
		if ds, err = train.Examples(t, func(d *plan.Data) (*data.Dataset, error) { return l.data[d], nil }); err != nil {
			return nil, err
		}
	}
	return c.examples(l, ds, t.Fields)
}

// examples finds the examples to take batches from; ds is nil where the data could not be read.
func (c *benchCmd) examples(l *loaded, ds *data.Dataset, fields []plan.Field) (data.Source, error) {
	if c.Inputs != "" {
		if err := command.CheckFile(c.Inputs); err != nil {
			return nil, err
		}
		tensors, err := weights.ReadSafetensors(c.Inputs)
		if err != nil {
			return nil, err
		}
		var have []data.Field
		var columns []*tensor.Tensor
		for _, f := range fields {
			t := tensors[f.Name]
			if t == nil {
				return nil, fmt.Errorf("%s has no tensor %s, whose rows would be examples", c.Inputs, f.Name)
			}
			have, columns = append(have, data.Field{Name: f.Name, DType: f.DType, Shape: f.Shape}), append(columns, t)
		}
		return data.Memory(have, columns...)
	}
	if ds != nil && ds.Train != nil {
		return ds.Train, nil
	}
	if len(l.missing) > 0 {
		return nil, fmt.Errorf("there are no examples to measure with: %w; --inputs FILE takes them from a file", l.missing[0])
	}
	return nil, errors.New("there are no examples to measure with: --inputs FILE takes them from a file")
}

// batches returns the batches that take turns: those of the file in its order, or of the program's data in one that follows from the seed.
func (c *benchCmd) batches(src data.Source, batch int) ([][]*tensor.Tensor, error) {
	if c.Inputs == "" {
		return train.Batches(context.Background(), src, batch, rotation, train.BatchesOptions{Shuffle: true, Seed: uint64(c.Seed)})
	}
	return train.Batches(context.Background(), src, batch, max(rotation, src.Len()/batch), train.BatchesOptions{})
}

// checkedStep is the training step whose loss is compared: three updates are made before it.
const checkedStep = 3

// time makes calls and takes their times. The first ones do not count: they bind sizes and fill caches.
func (c *benchCmd) time(w *work, r *benchResult) error {
	call := func(i int) (time.Duration, error) {
		start := time.Now()
		v, err := w.do()
		elapsed := time.Since(start)
		if c.Phase == "train" && i == checkedStep || c.Phase != "train" && i == 0 {
			r.Check = v
		}
		return elapsed, err
	}
	n := 0
	for start := time.Now(); n <= checkedStep || time.Since(start).Seconds() < c.Seconds/4; n++ {
		if _, err := call(n); err != nil {
			return err
		}
	}
	goruntime.GC()
	var times []time.Duration
	for start := time.Now(); len(times) < 5 || time.Since(start).Seconds() < c.Seconds; n++ {
		if c.Pause > 0 {
			time.Sleep(c.Pause)
		}
		d, err := call(n)
		if err != nil {
			return err
		}
		times = append(times, d)
	}
	slices.Sort(times)
	r.Runs = len(times)
	r.Median, r.Min = float64(times[len(times)/2])/1e6, float64(times[0])/1e6
	return nil
}

// products counts the multiplications and additions of the next call as the program states it.
func (w *work) products() float64 {
	name, args, err := w.next()
	if err != nil {
		return 0
	}
	f := w.prog.Module().Func(name)
	bind := map[string]int{}
	for i, p := range f.Params {
		for k, d := range p.Type.Shape {
			if s, ok := d.IsSymbol(); ok {
				bind[s] = args[i].Shape[k]
			}
		}
	}
	return cost.Products(f, func(s string) int { return bind[s] })
}

// profiled is how many calls the times of layers are the least of.
const profiled = 20

// profile returns what a call consists of, with the least time of each part in some calls; nil if the program does not tell.
func (w *work) profile() ([]runtime.Part, error) {
	p, ok := w.prog.(runtime.Profiler)
	if !ok {
		return nil, nil
	}
	var best []runtime.Part
	for range profiled {
		fn, args, err := w.next()
		if err != nil {
			return nil, err
		}
		parts, err := p.Profile(fn, args...)
		if err != nil {
			return nil, err
		}
		if best == nil {
			best = parts
		}
		for k := range min(len(best), len(parts)) {
			best[k].Elapsed = min(best[k].Elapsed, parts[k].Elapsed)
		}
	}
	return best, nil
}

// count sets the rates.
func (r *benchResult) count(products float64, parts []runtime.Part, limits native.Limits) {
	r.Gflops = products / r.Median / 1e6
	executed := 0.0
	for _, p := range parts {
		executed += p.Products
	}
	r.Executed = executed / r.Median / 1e6
	if limits.Flops > 0 {
		r.Percent = 100 * r.Executed * 1e9 / limits.Flops
	}
}

// print writes the result for people.
func (r *benchResult) print(w io.Writer) {
	what := "prediction"
	if r.Phase == "train" {
		what = "training step"
	}
	fmt.Fprintf(w, "%s: one %s of %d on %d: median %s, least %s of %d\n", r.Workload, what, r.Batch, r.Threads, milliseconds(r.Median), milliseconds(r.Min), r.Runs)
	if r.Gflops > 0 {
		fmt.Fprintf(w, "%.1f GFLOP/s", r.Gflops)
		if r.Executed > 0 {
			fmt.Fprintf(w, ", %.1f executed, %.0f%% of peak", r.Executed, r.Percent)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "check: %.7g\n", r.Check)
}

// milliseconds writes a time with three digits that count.
func milliseconds(ms float64) string {
	switch {
	case ms < 1:
		return fmt.Sprintf("%.4f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.2f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}
