package command

import (
	"math"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
)

func TestVerdict(t *testing.T) {
	nan := float32(math.NaN())
	two, three := []string{"cats", "dogs"}, []string{"a", "bb", "c"}
	for _, c := range []struct {
		labels []string
		output []float32
		want   string
	}{
		{two, []float32{0.75}, "dogs  0.7500"},
		{two, []float32{0.25}, "cats  0.7500"},
		{two, []float32{0.5}, "cats  0.5000"}, // Keras's accuracy counts 0.5 as class 0
		{two, []float32{1}, "dogs  1.0000"},
		{two, []float32{1.5}, "1.5"}, // a logit: which class it means is the program's secret
		{two, []float32{-2}, "-2"},
		{two, []float32{nan}, "NaN"},
		{two, []float32{0.25, 0.75}, "dogs  0.7500"},
		{three, []float32{0.125, 0.625, 0.25}, "bb  0.6250"},
		{three, []float32{-1, 2, 5}, "c   score 5"},
		{three, []float32{0.5, 0.75, 0.5}, "bb  score 0.75"},
		{three, []float32{0.5, nan, 0.5}, "0.5 NaN 0.5"},
		{three, []float32{0.5, 0.5}, "0.5 0.5"},
		{nil, []float32{0.25}, "0.25"},
	} {
		out := tensor.New(tensor.F32, 1, len(c.output))
		copy(out.F32, c.output)
		if got := verdictOf(&plan.Model{Labels: c.labels}, []*tensor.Tensor{out}).text(c.labels); got != c.want {
			t.Errorf("%v of the classes %v: %q, want %q", c.output, c.labels, got, c.want)
		}
	}
}

func TestVerdictInJSON(t *testing.T) {
	out := tensor.New(tensor.F32, 1, 3)
	copy(out.F32, []float32{-1, 2, float32(math.Inf(1))})
	var b strings.Builder
	if err := WriteJSON(&b, verdictOf(&plan.Model{Labels: []string{"a", "<b>", "c"}}, []*tensor.Tensor{out}).json("x.png")); err != nil {
		t.Fatal(err)
	}
	if want := `{"file":"x.png","class":"c","output":[-1,2,null]}` + "\n"; b.String() != want {
		t.Errorf("%s, want %s", b.String(), want)
	}
}

// Ids are written as the text that they make: up to its end, or to what is no id.
func TestVerdictIsAText(t *testing.T) {
	words := []string{"<unknown>", "</s>", "so", "good", "!"}
	for _, c := range []struct {
		unit, end string
		ids       []int32
		want      string
	}{
		{"words", "</s>", []int32{2, 3, 4, 1, 3}, "so good!"},
		{"words", "", []int32{2, 0, 1}, "so <unknown> </s>"},
		{"characters", "", []int32{4, 4, -1, 4}, "!!"},
		{"words", "</s>", []int32{3, 5, 3}, "good"},
		{"words", "</s>", []int32{1}, ""},
	} {
		m := &plan.Model{Results: []plan.Result{{Labels: words, Unit: c.unit, End: c.end}}}
		out := tensor.FromI32(c.ids, 1, len(c.ids))
		if got := verdictOf(m, []*tensor.Tensor{out}).text(nil); got != c.want {
			t.Errorf("%v as %s: %q, not %q", c.ids, c.unit, got, c.want)
		}
	}
}
