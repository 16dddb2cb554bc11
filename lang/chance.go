package lang

import (
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Note [Empty batches]
//
// Where each example is taken by chance, a batch may have none. It is a step all the same: optimizers count it, and what they do without a
// gradient, such as decaying weights or adding noise, happens. Every dimension of a function is at least 1, so such a step is a function of its own,
// of one example that nothing depends on: gradients are 0, a sum or mean over the batch is 0, layers run with `training` false, so that
// their states stay, and nothing is measured.

// byChance reports whether the train's examples are taken by chance.
func (t *trainer) byChance() bool { return len(t.data) == 1 && t.data[0].plan.Chance }

// minimized is the number whose gradient is taken, given a loss and its mean over the batch. Where examples are taken by chance, their sum is
// divided by the number that a batch has in the mean. So the gradient is that of all examples in the mean, and one example more or
// less changes it by no more than its own share, on which differential privacy rests. Source: Abadi et al. 2016.
func (t *trainer) minimized(f *frame, loss, mean *array) *array {
	if !t.byChance() || f.empty || !f.usesBatch(loss) {
		return mean
	}
	sum := f.reduce(ir.Sum, loss.body, nil, []int{f.batch.id})
	return f.store(scalarArray(ir.Apply(ir.OpDiv, sum.body, ir.F32(float64(t.batch)))))
}

// exampleCount is the number that the sum of the examples' gradients is divided by, see minimized.
func (t *trainer) exampleCount(f *frame) *array {
	if t.byChance() {
		return scalarArray(ir.F32(float64(t.batch)))
	}
	return scalarArray(product(ir.F32(1), f.batch.extent))
}

// zeros are the gradients of a step without examples.
func (f *frame) zeros(weights []*ir.Value) []*ir.Value {
	var grads []*ir.Value
	for _, w := range weights {
		own := f.newAxes(w.Type.Shape)
		grads = append(grads, f.shared(&array{dtype: tensor.F32, shape: w.Type.Shape, own: own, body: ir.F32(0)}))
	}
	return grads
}

// keepsStreams reports whether functions read streams.
func (t *trainer) keepsStreams(functions []*ir.Func) bool {
	read := map[*ir.Cell]bool{}
	for _, fn := range functions {
		readBy(fn, read)
	}
	for c := range read {
		if c.Kind == ir.Stream {
			return true
		}
	}
	return false
}
