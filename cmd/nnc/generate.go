package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime/generate"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// generateCmd continues a text.
type generateCmd struct {
	source
	engine
	Weights     string   `help:"The trained weights; the file that the program saves, if it is left out." placeholder:"FILE"`
	Model       string   `help:"Which model, where the program has several generate blocks." placeholder:"NAME"`
	Prompt      *string  `help:"The text to continue, instead of the program's." placeholder:"TEXT"`
	Length      count    `help:"Add this many characters, bytes or words." placeholder:"N"`
	Temperature *float64 `help:"0 takes the likeliest each time, 1 draws as the model says, above it more freely." placeholder:"T"`
	TopK        count    `help:"Draw from this many of the likeliest only." placeholder:"K"`
	Seed        *int     `help:"What the draws follow from." placeholder:"N"`
	Whole       bool     `help:"Apply the model to the whole text for each unit, which is slow and gives the same."`
}

// Help shows how the command is used.
func (generateCmd) Help() string {
	return `Continues a text as the program's generate block says, which the flags change.

    nnc generate charrnn.nn
    nnc generate charrnn.nn --prompt "JULIET:" --length 300 --temperature 0.7

The same seed gives the same text. Of a model that looks back only, one step is derived that remembers what came before: a recurrent network's state, the keys and values of causal attention. Where that cannot be done, a line says why, and the model is applied to all of the text for each unit.`
}

// Run carries out the command.
func (c *generateCmd) Run(std *streams) error {
	l, err := c.load(std, needsData)
	if err != nil {
		return err
	}
	g, err := c.choose(l.plan)
	if err != nil {
		return err
	}
	vocabulary := generate.Vocabulary(g)
	prompt, err := vocabulary.Encode(g.Prompt)
	if err != nil {
		return fmt.Errorf("the prompt cannot be continued: %w", err)
	}
	if len(prompt) == 0 {
		return misuse("there is nothing to continue: give a text with --prompt")
	}
	file, err := l.weightsFile(c.Weights)
	if err != nil {
		return err
	}
	w, err := c.writer(std, l, g, file, len(prompt)+g.Length)
	if err != nil {
		return err
	}
	w.Append(prompt...)
	fmt.Fprint(std.out, g.Prompt)
	ctx, stop := untilInterrupted()
	defer stop()
	before := prompt[len(prompt)-1]
	err = w.Continue(ctx, g.Length, func(id int32) {
		fmt.Fprint(std.out, vocabulary.Decode(before, id))
		before = id
	})
	fmt.Fprintln(std.out)
	if errors.Is(err, context.Canceled) {
		return errFailed
	}
	return err
}

// choose finds the program's generate block and applies the flags to it.
func (c *generateCmd) choose(p *plan.Program) (*plan.Generate, error) {
	var names []string
	for _, g := range p.Generates {
		names = append(names, g.Model)
	}
	at := slices.Index(names, c.Model)
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("%s does not say what to generate: add a block such as generate Model { prompt: \"The \", length: 300 }", p.File)
	case c.Model == "" && len(names) > 1:
		return nil, misuse("%s generates with several models: choose one with --model: %s", p.File, strings.Join(names, ", "))
	case c.Model == "":
		at = 0
	case at < 0:
		return nil, misuse("%s does not generate with %s, but with %s", p.File, c.Model, strings.Join(names, ", "))
	}
	g := *p.Generates[at]
	if c.Prompt != nil {
		g.Prompt = *c.Prompt
	}
	if c.Length > 0 {
		g.Length = int(c.Length)
	}
	if c.Temperature != nil {
		if !(*c.Temperature >= 0) {
			return nil, misuse("--temperature is a number from 0")
		}
		g.Temperature = *c.Temperature
	}
	if c.TopK > 0 {
		g.TopK = int(c.TopK)
	}
	if c.Seed != nil {
		g.Seed = *c.Seed
	}
	return &g, nil
}

// writer makes code for the generator alone, with the step of one more unit where that can be derived.
func (c *generateCmd) writer(std *streams, l *loaded, g *plan.Generate, weightsFile string, units int) (*generate.Writer, error) {
	m := l.plan.Module
	if err := passes.Run(m, passes.Options{}); err != nil {
		return nil, err
	}
	step := ""
	if !c.Whole {
		capacity := g.Window
		if capacity == 0 {
			capacity = units
		}
		f, err := passes.Step(m, g.Func, capacity)
		if err != nil {
			fmt.Fprintf(std.err, "note: the model is applied to all of the text for each unit: %s\n", err)
		} else {
			step = f.Name
		}
	}
	m.Keep(cmp.Or(step, g.Func))
	prog, err := c.compile(m)
	if err != nil {
		return nil, err
	}
	return generate.New(prog, g, step), weights.LoadProgram(weightsFile, prog, l.plan)
}
