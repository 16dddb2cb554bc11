package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime/generate"
)

// Generate continues a text.
type Generate struct {
	Weights
	Model       string   `help:"Which model, where the program has several generate blocks." placeholder:"NAME"`
	Prompt      *string  `help:"The text to continue, instead of the program's." placeholder:"TEXT"`
	Length      Count    `help:"Add this many characters, bytes or words." placeholder:"N"`
	Temperature *float64 `help:"0 takes the likeliest each time, 1 draws as the model says, above it more freely." placeholder:"T"`
	TopK        Count    `help:"Draw from this many of the likeliest only." placeholder:"K"`
	Seed        *int     `help:"What the draws follow from." placeholder:"N"`
}

// Choose finds the program's generate block and applies the flags to it.
func (c *Generate) Choose(p *plan.Program) (*plan.Generate, error) {
	var names []string
	for _, g := range p.Generates {
		names = append(names, g.Model)
	}
	at := slices.Index(names, c.Model)
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("%s does not say what to generate: add a block such as generate Model { prompt: \"The \", length: 300 }", p.File)
	case c.Model == "" && len(names) > 1:
		return nil, Misuse("%s generates with several models: choose one with --model: %s", p.File, strings.Join(names, ", "))
	case c.Model == "":
		at = 0
	case at < 0:
		return nil, Misuse("%s does not generate with %s, but with %s", p.File, c.Model, strings.Join(names, ", "))
	}
	g := *p.Generates[at]
	if c.Prompt != nil {
		g.Prompt = *c.Prompt
	}
	if c.Length > 0 {
		g.Length = int(c.Length)
	}
	if c.Temperature != nil {
		if !(*c.Temperature >= 0) || math.IsInf(*c.Temperature, 0) {
			return nil, Misuse("--temperature is a number from 0")
		}
		g.Temperature = *c.Temperature
	}
	if c.TopK > 0 {
		g.TopK = int(c.TopK)
	}
	if c.Seed != nil {
		g.Seed = *c.Seed
	}
	if g.Prompt == "" {
		return nil, Misuse("there is nothing to continue: give a text with --prompt")
	}
	return &g, nil
}

// Run continues the text of g, one that Choose returned; making the program may set its Step and Prefill.
func (c *Generate) Run(std *Streams, p *Program, g *plan.Generate) error {
	vocabulary := generate.Vocabulary(g)
	prompt, err := vocabulary.Encode(g.Prompt)
	if err != nil {
		return fmt.Errorf("the prompt cannot be continued: %w", err)
	}
	prog, err := p.Trained(std, c.Weights)
	if err != nil {
		return err
	}
	w := generate.New(prog, g)
	w.Append(prompt...)
	fmt.Fprint(std.Out, g.Prompt)
	ctx, stop := UntilInterrupted()
	defer stop()
	before := prompt[len(prompt)-1]
	err = w.Continue(ctx, g.Length, func(id int32) {
		fmt.Fprint(std.Out, vocabulary.Decode(before, id))
		before = id
	})
	fmt.Fprintln(std.Out)
	if errors.Is(err, context.Canceled) {
		return ErrFailed
	}
	return err
}
