package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/command"
)

// generateCmd continues a text.
type generateCmd struct {
	source
	engine
	command.Generate
	Whole bool `help:"Apply the model to the whole text for each unit, which is slow and gives the same."`
}

// Help shows how the command is used.
func (generateCmd) Help() string {
	return `Continues a text as the program's generate block says, which the flags change.

    nnc generate charrnn.nn
    nnc generate charrnn.nn --prompt "JULIET:" --length 300 --temperature 0.7

The same seed gives the same text. Of a model that looks back only, one step is derived that remembers what came before: a recurrent network's state, the keys and values of causal attention. Where that cannot be done, a line says why, and the model is applied to all of the text for each unit.`
}

// Run carries out the command.
func (c *generateCmd) Run(std *command.Streams) error {
	l, err := c.load(std, needsData)
	if err != nil {
		return err
	}
	g, err := c.Choose(l.plan)
	if err != nil {
		return err
	}
	p := l.program(c.engine, weightsType{})
	p.Make = func() (runtime.Program, error) {
		if err := c.reduce(std.Err, l.plan, g); err != nil {
			return nil, err
		}
		return c.compile(l.plan.Module, std.Err)
	}
	return c.Generate.Run(std, p, g)
}

// reduce leaves what the generator needs of a program: the step of one more unit and the beginning, where they can be derived, or the whole model.
func (c *generateCmd) reduce(notes io.Writer, p *plan.Program, g *plan.Generate) error {
	if err := passes.Run(p.Module, passes.Options{}); err != nil {
		return err
	}
	if !c.Whole {
		g.Capacity = cmp.Or(g.Window, len(g.Prompt)+g.Length)
		step, prefill, err := passes.Step(p.Module, g.Func, g.Capacity)
		if err == nil {
			g.Step, g.Prefill = step.Name, prefill.Name
			p.Module.Keep(p.Init, g.Step, g.Prefill)
			return nil
		}
		fmt.Fprintf(notes, "note: the model is applied to all of the text for each unit: %s\n", err)
	}
	p.Module.Keep(p.Init, g.Func)
	return nil
}
