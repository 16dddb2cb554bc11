package train

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
)

// EvalOptions say how much of a split is measured.
type EvalOptions struct {
	// Steps is the number of batches. 0 visits each example once, the last batch being smaller; otherwise the examples are
	// visited in an order chosen by Seed, over and over as Keras's generators do until there are enough batches.
	Steps int
	// Batch is the number of examples of a batch; the train's if it is 0.
	Batch int
	Seed  int32
	// Progress is told after each batch how many are done of how many, and how many examples the last one had. It may be nil.
	Progress func(done, total, examples int)

	at place
}

// Evaluate measures the loss and the metrics of t on a split and changes nothing. The values are averages over the examples,
// by name ("loss", "accuracy"); n is the number of examples visited.
//
// Errors: what the data or the program says; the context's error.
func Evaluate(ctx context.Context, prog runtime.Program, p *plan.Program, t *plan.Train, split data.Source, opt EvalOptions) (values map[string]float64, n int, err error) {
	if split == nil {
		return nil, 0, errors.New("there is no data in this split to evaluate on")
	}
	fn, err := bind(prog, t, t.Eval, split)
	if err != nil {
		return nil, 0, err
	}
	if opt.Batch == 0 {
		opt.Batch = batchOf(t)
	}
	opt.at.seed = opt.Seed
	// The first classes come first in most sources: part of a pass in their order would tell little.
	loader, err := data.NewLoader(ctx, split, data.Options{
		Batch: opt.Batch, Repeat: opt.Steps > 0, Shuffle: opt.Steps > 0, Seed: uint64(opt.Seed),
	})
	if err != nil {
		return nil, 0, err
	}
	defer loader.Close()
	steps := opt.Steps
	if steps == 0 {
		steps = loader.Steps()
	}
	sums := newMeans(fn.names)
	for done := range steps {
		b, err := loader.Next()
		if errors.Is(err, io.EOF) {
			panic("BUG: a pass ended before its last batch")
		}
		if err != nil {
			return nil, 0, err
		}
		results, err := fn.call(b.Tensors, opt.at)
		if err != nil {
			return nil, 0, fmt.Errorf("batch %d: %w", done+1, err)
		}
		sums.add(results, b.Len())
		examples := b.Len()
		b.Release()
		if opt.Progress != nil {
			opt.Progress(done+1, steps, examples)
		}
	}
	values = map[string]float64{}
	sums.into(values, "")
	return values, sums.examples, nil
}

// batchOf returns the number of examples of a full batch of t.
func batchOf(t *plan.Train) int {
	if t.Batch == 0 && t.Data != nil {
		return t.Data.Batch
	}
	return t.Batch
}
