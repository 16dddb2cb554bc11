// Package generate continues texts with a trained model.
package generate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
)

// Writer continues texts as a generate declaration says: unit after unit, each drawn from what the model says may follow.
//
// Where there is a window and the text has outgrown it, the model sees the newest half of the window, and then what follows as well until
// the window is full again. So it begins anew once for every half window, and not for every unit.
type Writer struct {
	prog runtime.Program
	g    *plan.Generate

	text []int32
	from int // the first unit that the model sees
	fed  int // units that the program has been given; those from `from` on are remembered
}

// New returns a writer with an empty text. Where g has a step, a unit costs what the model costs for one unit; the results are the same.
func New(prog runtime.Program, g *plan.Generate) *Writer {
	return &Writer{prog: prog, g: g}
}

// Vocabulary returns the units that the model knows.
func Vocabulary(g *plan.Generate) *data.Vocabulary {
	return data.NewVocabulary(data.Unit(g.Unit), g.Vocabulary)
}

// Append adds units to the text.
func (w *Writer) Append(ids ...int32) { w.text = append(w.text, ids...) }

// Next returns what the model says of the unit that follows: a number for each, a probability or a logarithm of one up to a constant.
//
// Errors: an empty text; what the program says.
func (w *Writer) Next() ([]float32, error) {
	if len(w.text) == 0 {
		return nil, errors.New("there is nothing to continue: give a prompt")
	}
	if w.g.Window > 0 && len(w.text)-w.from > w.g.Window {
		w.from = len(w.text) - (w.g.Window+1)/2
		w.fed = w.from
	}
	seen := w.text[w.from:]
	if w.g.Step == "" {
		out, err := w.begin(w.g.Func, seen)
		if err != nil {
			return nil, err
		}
		ids := len(w.g.Vocabulary)
		return out[(len(seen)-1)*ids:], nil
	}
	if w.fed == w.from && len(seen) > 1 {
		out, err := w.begin(w.g.Prefill, seen)
		if err == nil {
			w.fed = len(w.text)
		}
		return out, err
	}
	var out []*tensor.Tensor
	for ; w.fed < len(w.text); w.fed++ {
		var err error
		out, err = w.prog.Call(w.g.Step, tensor.FromI32([]int32{w.text[w.fed]}, 1), tensor.FromI32([]int32{int32(w.fed - w.from)}))
		if err != nil {
			return nil, err
		}
	}
	return values(out[0]), nil
}

// begin calls a function of a whole text.
func (w *Writer) begin(fn string, units []int32) ([]float32, error) {
	out, err := w.prog.Call(fn, tensor.FromI32(slices.Clone(units), 1, len(units)), tensor.FromI32([]int32{int32(len(units))}, 1))
	if err != nil {
		return nil, err
	}
	return values(out[0]), nil
}

// values are the elements of a tensor in single precision.
func values(t *tensor.Tensor) []float32 {
	out := make([]float32, t.Len())
	for i := range out {
		out[i] = float32(t.At(i))
	}
	return out
}

// Continue adds n units to the text that it continues, and tells use each as it is drawn.
//
// Errors: as Next; the context's.
func (w *Writer) Continue(ctx context.Context, n int, use func(id int32)) error {
	draw := NewSampler(w.g)
	for range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		row, err := w.Next()
		if err != nil {
			return err
		}
		id, err := draw.Draw(row)
		if err != nil {
			return err
		}
		w.Append(id)
		use(id)
	}
	return nil
}

// Sampler draws units. The same seed draws the same ones.
type Sampler struct {
	g   *plan.Generate
	rng *rand.Rand
}

// NewSampler returns a sampler that draws as g says.
func NewSampler(g *plan.Generate) *Sampler {
	return &Sampler{g, rand.New(rand.NewPCG(uint64(g.Seed), 0))}
}

// Draw draws a unit from what a model says of each: the greater, the more likely.
//
// Errors: numbers that are no distribution.
func (s *Sampler) Draw(row []float32) (int32, error) {
	order := make([]int32, len(row))
	for i := range order {
		order[i] = int32(i)
	}
	// Sorted by value, then by id: ties are broken alike everywhere.
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(row[b], row[a]) })
	for _, v := range row {
		if v != v {
			return 0, errors.New("the model gives what is not a number: was it trained?")
		}
	}
	if s.g.Temperature == 0 {
		return order[0], nil
	}
	if k := s.g.TopK; k > 0 && k < len(order) {
		order = order[:k]
	}
	weights, total := make([]float64, len(order)), 0.0
	for i, id := range order {
		weights[i] = math.Exp((s.logarithm(row[id]) - s.logarithm(row[order[0]])) / s.g.Temperature)
		total += weights[i]
	}
	if !(total > 0) || math.IsInf(total, 0) {
		return 0, fmt.Errorf("what the model gives is no distribution: its greatest value is %g", row[order[0]])
	}
	at := s.rng.Float64() * total
	for i, w := range weights {
		if at -= w; at < 0 {
			return order[i], nil
		}
	}
	return order[0], nil
}

func (s *Sampler) logarithm(v float32) float64 {
	if s.g.Probabilities {
		return math.Log(max(float64(v), 1e-30))
	}
	return float64(v)
}
