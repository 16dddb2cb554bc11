package train

import (
	"context"
	"fmt"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
)

// BatchesOptions say in which order Batches takes examples: in the source's, or in one that follows from Seed.
type BatchesOptions struct {
	Shuffle bool
	Seed    uint64
}

// Batches reads n batches of so many examples of a source into memory, going over the source again where it has fewer. Each has a tensor per
// field.
//
// Errors: what the source says.
func Batches(ctx context.Context, src data.Source, batch, n int, opt BatchesOptions) ([][]*tensor.Tensor, error) {
	loader, err := data.NewLoader(ctx, repeated(src, batch*n), data.Options{Batch: batch, Shuffle: opt.Shuffle, Seed: opt.Seed})
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	var all [][]*tensor.Tensor
	for range n {
		b, err := loader.Next()
		if err != nil {
			return nil, err
		}
		var kept []*tensor.Tensor
		for _, t := range b.Tensors {
			kept = append(kept, t.Clone())
		}
		b.Release()
		all = append(all, kept)
	}
	return all, nil
}

// repeated returns the source, over and over up to n examples.
func repeated(src data.Source, n int) data.Source {
	if src.Len() == 0 || src.Len() >= n {
		return src
	}
	indices := make([]int32, n)
	for i := range indices {
		indices[i] = int32(i % src.Len())
	}
	return data.Subset(src, indices)
}

// Steps are training steps over batches in memory, which it takes in turns: what Run does for each batch without all that is around it.
type Steps struct {
	prog    runtime.Program
	plan    *plan.Train
	fns     map[string]*batchFunc // steps differ where some updates are not made at each
	batches [][]*tensor.Tensor
	src     data.Source
	seed    int32
	done    int
}

// NewSteps prepares the steps of t over batches whose tensors are the fields of src.
//
// Errors: a field that the program reads and src lacks; weights that are stored as bf16.
func NewSteps(prog runtime.Program, t *plan.Train, src data.Source, batches [][]*tensor.Tensor, seed int32) (*Steps, error) {
	if err := trainable(prog, t); err != nil {
		return nil, err
	}
	s := &Steps{prog: prog, plan: t, fns: map[string]*batchFunc{}, batches: batches, src: src, seed: seed}
	_, err := s.fn(t.StepFunc(0))
	return s, err
}

func (s *Steps) fn(name string) (*batchFunc, error) {
	if f := s.fns[name]; f != nil {
		return f, nil
	}
	f, err := bind(s.prog, s.plan, name, s.src)
	if err != nil {
		return nil, err
	}
	s.fns[name] = f
	return f, nil
}

// Next does the next step and returns the loss before its update.
func (s *Steps) Next() (loss float64, err error) {
	f, err := s.fn(s.plan.StepFunc(s.done))
	if err != nil {
		return 0, err
	}
	values, err := f.call(s.batches[s.done%len(s.batches)], place{seed: s.seed, step: s.done})
	if err != nil {
		return 0, fmt.Errorf("step %d: %w", s.done+1, err)
	}
	s.done++
	return values[0], nil
}

// Call returns the function that Next calls next, and its arguments.
func (s *Steps) Call() (fn string, args []*tensor.Tensor, err error) {
	f, err := s.fn(s.plan.StepFunc(s.done))
	if err != nil {
		return "", nil, err
	}
	return f.fn.Name, f.args(s.batches[s.done%len(s.batches)], place{seed: s.seed, step: s.done}), nil
}
