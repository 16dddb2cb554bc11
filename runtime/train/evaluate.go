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
	// visited in an order chosen by Seed, over and over as Keras's generators do until there are enough batches. Broken examples
	// are left out either way.
	Steps int
	// Batch is the number of examples of a batch; the train's if it is 0.
	Batch int
	Seed  int32
	// Buffers is the memory of batches, where it is shared with others; nil: its own.
	Buffers *data.Buffers
	// Progress is told after each batch how many are done of how many, and how many examples the last one had. It may be nil.
	Progress func(done, total, examples int)

	at place
}

// Evaluate measures the loss and the metrics of t on a split and changes nothing. The values are averages over the examples,
// by name ("loss", "accuracy"); n is the number of examples visited, each as often as it was.
//
// Errors: what the data or the program says, also if all examples are broken; the context's error.
func Evaluate(ctx context.Context, prog runtime.Program, p *plan.Program, t *plan.Train, split data.Source, opt EvalOptions) (values map[string]float64, n int, err error) {
	if split == nil {
		return nil, 0, errors.New("there is no data in this split to evaluate on")
	}
	fn, err := bind(prog, t, t.Eval, split)
	if err != nil {
		return nil, 0, err
	}
	if opt.Batch == 0 {
		opt.Batch = t.FullBatch()
	}
	// The first classes come first in most sources: part of a pass in their order would tell little.
	loader, err := data.NewLoader(ctx, split, data.Options{
		Batch: opt.Batch, Repeat: opt.Steps > 0, Shuffle: opt.Steps > 0, Seed: uint64(opt.Seed), OnlyGood: true, Buffers: opt.Buffers,
	})
	if err != nil {
		return nil, 0, err
	}
	defer loader.Close()
	steps := opt.Steps
	if steps == 0 {
		steps = loader.Steps()
	}
	back, err := aside(prog, p)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if e := back(); e != nil && err == nil {
			err = e
		}
	}()
	if err := renew(prog, p, opt.Seed); err != nil {
		return nil, 0, err
	}
	sums := newMeans(t, evalNames(t))
	for done := range steps {
		b, err := loader.Next()
		if errors.Is(err, io.EOF) {
			panic("BUG: a pass ended before its last batch")
		}
		if err != nil {
			return nil, 0, err
		}
		examples := b.Len()
		if examples > 0 {
			// Draws follow from the seed and from an example's place in its batch, so each batch needs a seed of its own.
			opt.at.seed = opt.Seed + int32(uint32(done)*0x9E3779B9)
			results, err := fn.call(b.Tensors, opt.at)
			if err != nil {
				return nil, 0, fmt.Errorf("batch %d: %w", done+1, err)
			}
			sums.add(results, examples)
		}
		b.Release()
		if opt.Progress != nil {
			opt.Progress(done+1, steps, examples)
		}
	}
	if sums.examples == 0 {
		return nil, 0, noneGood(split)
	}
	values = map[string]float64{}
	sums.into(values, "")
	return values, sums.examples, nil
}

// noneGood says that there was nothing to measure.
func noneGood(split data.Source) error {
	err := fmt.Errorf("none of the %d examples can be read", split.Len())
	if s, ok := split.(data.SkipReporter); ok {
		if lines := s.Skipped(); len(lines) > 0 {
			err = fmt.Errorf("%w; the first: %s", err, lines[0])
		}
	}
	return err
}
