package train

import (
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/data"
)

// holed is a source whose examples from `from` up to `to` are broken; At puts example 0 in their place.
type holed struct {
	data.Source
	from, to int
}

func (h holed) At(i int, dst []*tensor.Tensor, row int) error {
	if h.from <= i && i < h.to {
		i = 0
	}
	return h.Source.At(i, dst, row)
}

func (h holed) AtOnly(i int, dst []*tensor.Tensor, row int) error {
	if h.from <= i && i < h.to {
		return data.ErrBroken
	}
	return h.Source.At(i, dst, row)
}

func (h holed) Skipped() []string { return []string{"first.png: broken", "second.png: broken"} }

// A broken example counts as none at all, and not as the one that training would see in its place.
func TestEvaluationCountsGoodExamplesOnce(t *testing.T) {
	r := newRun(t)
	good := data.Subset(r.opt.Data.Validation, []int32{0, 4})
	want, _, err := Evaluate(t.Context(), r.prog, r.p, r.t, good, EvalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for batch := 1; batch <= 5; batch++ {
		got, n, err := Evaluate(t.Context(), r.prog, r.p, r.t, holed{r.opt.Data.Validation, 1, 4}, EvalOptions{Batch: batch})
		// Sums over other batches are rounded in another order.
		if err != nil || n != 2 || got["loss"]-want["loss"] > 1e-6 || want["loss"]-got["loss"] > 1e-6 {
			t.Errorf("batches of %d: %v over %d examples, error %v; the two good ones alone give %v", batch, got, n, err, want)
		}
	}
	_, n, err := Evaluate(t.Context(), r.prog, r.p, r.t, holed{r.opt.Data.Validation, 1, 4}, EvalOptions{Batch: 5, Steps: 3})
	if err != nil || n != 6 {
		t.Errorf("three passes visited %d examples, error %v", n, err)
	}
}

func TestEvaluationOfNothing(t *testing.T) {
	r := newRun(t)
	_, _, err := Evaluate(t.Context(), r.prog, r.p, r.t, holed{r.opt.Data.Validation, 0, 5}, EvalOptions{})
	if err == nil || !strings.Contains(err.Error(), "none of the 5 examples can be read; the first: first.png: broken") {
		t.Errorf("error %v", err)
	}
}
