package main

import (
	"fmt"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/train"
)

// testCmd runs the tests that programs declare.
type testCmd struct {
	engine
	Files []string `arg:"" help:"Programs, .nn files." name:"file"`
	settings
}

// Help shows how the command is used.
func (testCmd) Help() string {
	return `Each test block starts from the first values of all parameters. What an expectation compares is shown where it fails; the exit code is 1 then.

    nnc test examples/mlp321/mlp321.nn`
}

// Run carries out the command.
func (c *testCmd) Run(std *command.Streams) error {
	failed, ran := 0, 0
	err := each(std, c.Files, func(file string) error {
		l, err := source{File: file, settings: c.settings}.load(std, wantsData)
		if err != nil {
			return err
		}
		if len(l.plan.Tests) == 0 {
			fmt.Fprintf(std.Out, "-     %s: no tests\n", file)
			return nil
		}
		prog, err := l.build(0, c.engine)
		if err != nil {
			return err
		}
		for _, t := range l.plan.Tests {
			ran++
			why := runTest(prog, l.plan, t)
			if why == "" {
				fmt.Fprintf(std.Out, "ok    %s: %s\n", file, t.Name)
				continue
			}
			failed++
			fmt.Fprintf(std.Out, "FAIL  %s: %s\n%s", file, t.Name, why)
		}
		return nil
	})
	fmt.Fprintf(std.Out, "%d passed, %d failed\n", ran-failed, failed)
	if failed > 0 && err == nil {
		return command.ErrFailed
	}
	return err
}

// runTest returns why a test fails, or "". It starts from the first values: what another test trained does not count.
func runTest(prog runtime.Program, p *plan.Program, t *plan.Test) string {
	if err := train.Init(prog, p, 0); err != nil {
		return fmt.Sprintf("    %s\n", err)
	}
	results, err := prog.Call(t.Func)
	if err != nil {
		return fmt.Sprintf("    %s: %s\n", place(t.Loc), err)
	}
	var wrong strings.Builder
	for _, x := range t.Expects {
		if why := judge(x, results); why != "" {
			fmt.Fprintf(&wrong, "    %s: expect %s\n%s", place(x.Loc), x.Text, why)
		}
	}
	return wrong.String()
}

func place(l ir.Loc) string { return fmt.Sprintf("%s:%d:%d", l.File, l.Line, l.Col) }
