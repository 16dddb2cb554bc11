package command

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// verdict is what a model says of one example.
type verdict struct {
	class  string  // "" where the output does not stand for classes with names
	score  float64 // of the class
	likely bool    // score is a probability
	output []float64
}

// verdictOf reads a model's output for one example: one number for two classes is the probability of the second, several numbers
// are those of as many classes. Logits are told from probabilities by their values.
func verdictOf(m *plan.Model, out []*tensor.Tensor) verdict {
	var v verdict
	sum, within := 0.0, true
	for _, t := range out {
		for i := range t.Len() {
			x := t.At(i)
			v.output = append(v.output, x)
			sum += x
			within = within && x >= 0 && x <= 1
		}
	}
	if math.IsNaN(sum) || len(out) != 1 {
		return v
	}
	switch n := len(v.output); {
	case len(m.Labels) == 2 && n == 1 && within:
		v.class, v.score, v.likely = m.Labels[0], 1-v.output[0], true
		if v.output[0] > 0.5 {
			v.class, v.score = m.Labels[1], v.output[0]
		}
	case len(m.Labels) == n && n > 1:
		best := 0
		for i, x := range v.output {
			if x > v.output[best] {
				best = i
			}
		}
		v.class, v.score, v.likely = m.Labels[best], v.output[best], within && math.Abs(sum-1) < 1e-3
	}
	return v
}

// text is the class, as wide as the widest of labels, and its probability or score; where there is no class, the output's numbers.
func (v verdict) text(labels []string) string {
	if v.class == "" {
		numbers := make([]string, len(v.output))
		for i, x := range v.output {
			numbers[i] = fmt.Sprintf("%.6g", x)
		}
		return strings.Join(numbers, " ")
	}
	width := 0
	for _, l := range labels {
		width = max(width, utf8.RuneCountInString(l))
	}
	if !v.likely {
		return fmt.Sprintf("%-*s  score %.6g", width, v.class, v.score)
	}
	return fmt.Sprintf("%-*s  %.4f", width, v.class, v.score)
}

func (v verdict) json(file string) any {
	line := struct {
		File        string     `json:"file"`
		Class       string     `json:"class,omitempty"`
		Probability *float64   `json:"probability,omitempty"`
		Output      []*float64 `json:"output"`
	}{File: file, Class: v.class}
	if v.likely {
		line.Probability = finite(v.score)
	}
	for _, x := range v.output {
		line.Output = append(line.Output, finite(x))
	}
	return line
}
