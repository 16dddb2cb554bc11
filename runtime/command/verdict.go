package command

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/data"
)

// verdict is what a model says of one example.
type verdict struct {
	class  string  // "" where the output does not stand for classes with names
	score  float64 // of the class
	likely bool    // score is a probability
	speaks bool    // the output is ids of words or characters
	said   string  // the text that they make
	output []float64

	parts []part // what each of several tensors says, if one of them says something that has a name
}

// part is what one of a model's tensors says.
type part struct {
	name string
	verdict
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
	if len(out) > 1 {
		v.parts = partsOf(m, out)
	}
	if math.IsNaN(sum) || len(out) != 1 {
		return v
	}
	if len(m.Results) == 1 && m.Results[0].Unit != "" {
		v.speaks, v.said = true, saidBy(m.Results[0], out[0])
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

// partsOf reads each of a model's tensors by itself; nil if none stands for classes with names or for a text.
func partsOf(m *plan.Model, out []*tensor.Tensor) []part {
	var parts []part
	named := false
	for i, t := range out {
		if i >= len(m.Results) {
			return nil
		}
		r := m.Results[i]
		p := part{r.Name, verdictOf(&plan.Model{Labels: r.Labels, Results: []plan.Result{r}}, []*tensor.Tensor{t})}
		named = named || r.Labels != nil
		parts = append(parts, p)
	}
	if !named {
		return nil
	}
	return parts
}

// saidBy writes the text whose ids a tensor has, up to the word that ends it.
func saidBy(r plan.Result, t *tensor.Tensor) string {
	words := data.NewVocabulary(data.Unit(r.Unit), r.Labels)
	var b strings.Builder
	before := int32(-1)
	for i := range t.Len() {
		id := int32(t.At(i))
		if id < 0 || int(id) >= len(r.Labels) || r.End != "" && r.Labels[id] == r.End {
			break
		}
		b.WriteString(words.Decode(before, id))
		before = id
	}
	return b.String()
}

// text is the class, as wide as the widest of labels, and its probability or score; where there is no class, the output's numbers.
func (v verdict) text(labels []string) string {
	if v.speaks {
		return v.said
	}
	if v.parts != nil {
		words := make([]string, len(v.parts))
		for i, p := range v.parts {
			words[i] = strings.TrimSpace(p.name + " " + p.text(nil))
		}
		return strings.Join(words, ", ")
	}
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

func (v verdict) json(file string) jsonVerdict {
	line := jsonVerdict{File: file, Class: v.class, Text: v.said}
	if v.likely {
		line.Probability = finite(v.score)
	}
	for _, x := range v.output {
		line.Output = append(line.Output, finite(x))
	}
	for _, p := range v.parts {
		more := p.json("")
		more.Name, more.Output = p.name, nil
		line.Parts = append(line.Parts, more)
	}
	return line
}

// jsonVerdict is a verdict as JSON has it; the outputs of its parts are those of the whole, one after another.
type jsonVerdict struct {
	File        string        `json:"file,omitempty"`
	Name        string        `json:"name,omitempty"`
	Class       string        `json:"class,omitempty"`
	Probability *float64      `json:"probability,omitempty"`
	Text        string        `json:"text,omitempty"`
	Parts       []jsonVerdict `json:"parts,omitempty"`
	Output      []*float64    `json:"output,omitempty"`
}
