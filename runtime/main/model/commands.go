package model

import (
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/payload"
)

// commands is the command line of an executable with a model.
type commands struct {
	Train    trainCmd    `cmd:"" help:"Train as the program declares, measure the result and save the weights."`
	Eval     evalCmd     `cmd:"" help:"Measure on the test data."`
	Predict  predictCmd  `cmd:"" help:"Say what the model makes of pictures, rows, texts and other examples."`
	Generate generateCmd `cmd:"" help:"Continue a text."`
	Bench    benchCmd    `cmd:"" help:"Measure how fast the model predicts, or is trained."`
	Info     infoCmd     `cmd:"" help:"Say what is in this executable."`

	Version kong.VersionFlag `help:"Print the version and leave."`
}

const description = `The model of %s, made by nnc. It needs nothing but this file.

    %[2]s predict photo.jpg
    %[2]s train --folder where-the-data-is

Exit codes: 0 fine; 1 the data is wrong, or the run was interrupted; 2 the command line is wrong; 3 a bug of nnc.`

func versionOf(a payload.About) string {
	return fmt.Sprintf("%s, built by %s for %s/%s", a.File, a.Version, a.OS, a.Arch)
}

// engine says how and where the model computes.
type engine struct {
	Folder      string          `help:"The folder that the program's relative paths start from; the current one, if it is left out." placeholder:"DIR"`
	Allow       []string        `help:"Let the program read and write in this folder, which is not below the one it starts from; for several, repeat it, or list them in NNC_ALLOW." placeholder:"FOLDER" sep:"none"`
	Threads     command.Threads `help:"Use this many threads, instead of all processors." placeholder:"N"`
	Interpreter bool            `help:"Compute with the interpreter, even where there is machine code for this processor."`
}

type trainCmd struct {
	engine
	command.Train
}

// Help shows how the command is used.
func (trainCmd) Help() string {
	return `Paths that the program names start from the current folder, or from --folder: there the data is looked for, the weights are saved and a checkpoint is kept, from which --resume goes on after Ctrl-C, a crash or a power cut. The same seed gives the same weights.`
}

// Run carries out the command.
func (c *trainCmd) Run(std *command.Streams, a *attached) error {
	if err := c.Check(); err != nil {
		return err
	}
	p, err := a.program(c.engine, std)
	if err != nil {
		return err
	}
	if c.Folder != "" {
		p.Settings = []string{"--folder", c.Folder}
	}
	for _, folder := range c.Allow {
		p.Settings = append(p.Settings, "--allow", folder)
	}
	return c.Train.Run(std, p)
}

type evalCmd struct {
	engine
	command.Eval
}

// Run carries out the command.
func (c *evalCmd) Run(std *command.Streams, a *attached) error {
	p, err := a.program(c.engine, std)
	if err != nil {
		return err
	}
	return c.Eval.Run(std, p)
}

type predictCmd struct {
	engine
	command.Predict
}

// Help shows how the command is used.
func (predictCmd) Help() string {
	return `Prints a line for each picture: its file, the class and the probability of that class. The weights are those of --weights, else those in this executable, else those of the file that train saves. A file that is no picture is named, the others are done, and the exit code is 1.

A picture on standard input is read where - is named, or the names of pictures, one on each line. Other models take rows of tables with the columns of their training (.csv, .tsv), texts, one on each line (.txt), or their fields as JSON (.json): {"x": [1, 2]}.`
}

// Run carries out the command.
func (c *predictCmd) Run(std *command.Streams, a *attached) error {
	p, err := a.program(c.engine, std)
	if err != nil {
		return err
	}
	return c.Predict.Run(std, p)
}

type generateCmd struct {
	engine
	command.Generate
}

// Run carries out the command.
func (c *generateCmd) Run(std *command.Streams, a *attached) error {
	p, err := a.program(c.engine, std)
	if err != nil {
		return err
	}
	g, err := c.Choose(p.Plan)
	if err != nil {
		return err
	}
	if g.Window == 0 && len(g.Prompt)+g.Length > g.Capacity { // more than the step remembers
		g.Step = ""
	}
	return c.Generate.Run(std, p, g)
}

type benchCmd struct {
	engine
	command.Bench
}

// Run carries out the command.
func (c *benchCmd) Run(std *command.Streams, a *attached) error {
	p, err := a.program(c.engine, std)
	if err != nil {
		return err
	}
	return c.Bench.Run(std, p)
}
