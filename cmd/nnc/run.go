package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nnc-lang/nnc/runtime/term"
	"github.com/nnc-lang/nnc/runtime/train"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// runCmd trains as the program declares.
type runCmd struct {
	source
	Seed    int32  `default:"1" help:"What all random numbers follow from."`
	Epochs  int    `help:"Train this many epochs at most, instead of the program's number."`
	Resume  bool   `help:"Go on where an interrupted run stopped."`
	Weights string `help:"Start from the weights in this file." type:"existingfile"`
	NoSave  bool   `help:"Do not save the weights."`
}

// Run carries out the command.
func (c *runCmd) Run(ctx context.Context, std *streams) error {
	l, err := c.load(std, false)
	if err != nil {
		return err
	}
	p := l.plan
	if len(p.Trains) == 0 {
		return fmt.Errorf("%s declares no training: add a train block, or run its tests with nnc test", c.File)
	}
	prog, err := l.build(c.Seed)
	if err != nil {
		return err
	}
	if c.Weights != "" {
		if err := weights.LoadProgram(c.Weights, prog, p); err != nil {
			return err
		}
	}
	for i, t := range p.Trains {
		result, err := train.Run(ctx, prog, p, t, train.Options{
			Seed: c.Seed, Epochs: c.Epochs, Resume: c.Resume, Data: l.data[t.Data], KeepCheckpoint: i < len(p.Trains)-1,
			CheckpointEvery: 30 * time.Second, NoSave: c.NoSave, Weights: beside(p.File, t.Save),
			Save: func(path string) error {
				note, err := weights.SaveProgram(path, prog, p)
				if err == nil && note != "" {
					fmt.Fprintln(std.out, note)
				}
				return err
			},
			Out: std.out, Terminal: term.IsTerminal(std.out),
		})
		if err != nil {
			return err
		}
		if result.Earlier {
			continue
		}
		if t.Data == nil || l.data[t.Data] == nil || l.data[t.Data].Test == nil {
			continue
		}
		if err := printTest(ctx, std, prog, l, t, evalCmd{}); err != nil {
			return err
		}
	}
	return nil
}

// beside makes a path of a program relative to the program's folder.
func beside(program, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(program), path)
}
