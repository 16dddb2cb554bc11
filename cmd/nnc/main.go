// Command nnc compiles and runs neural networks written in the language .nn.
//
// Exit codes: 0 fine; 1 the program or its data is wrong, or the run was interrupted; 2 nnc was called wrongly; 3 a bug of nnc.
package main

import (
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/main/model"
)

// commands is the command line: one field for each command, in the order of `nnc --help`.
type commands struct {
	Run      runCmd      `cmd:"" help:"Train a program as it declares, measure it and save its weights."`
	Eval     evalCmd     `cmd:"" help:"Measure a trained program on its test data."`
	Repeat   repeatCmd   `cmd:"" help:"Train a program again and again, with other seeds, folds or options, and say what comes out in the mean."`
	Predict  predictCmd  `cmd:"" help:"Say what a trained program makes of pictures, rows, texts and other examples."`
	Generate generateCmd `cmd:"" help:"Continue a text with a trained program."`
	New      newCmd      `cmd:"" help:"Begin a project that trains at once."`
	Build    buildCmd    `cmd:"" help:"Make one executable file of a program, which needs nothing to run."`
	Import   importCmd   `cmd:"" help:"Turn a model of Keras into a program."`
	Weights  weightsCmd  `cmd:"" help:"List what a file of weights holds."`
	Gen      genCmd      `cmd:"" help:"Write a model as a Go package."`
	Check    checkCmd    `cmd:"" help:"Report the errors of programs without running them."`
	Test     testCmd     `cmd:"" help:"Run the tests that programs declare."`
	Fmt      fmtCmd      `cmd:"" help:"Format programs."`
	Summary  summaryCmd  `cmd:"" help:"Show a program's layers, shapes and parameters."`
	Data     dataCmd     `cmd:"" help:"Look through a program's data: counts, broken files, repeated examples."`
	Bench    benchCmd    `cmd:"" help:"Measure how fast a program predicts or trains."`
	Graph    graphCmd    `cmd:"" help:"Draw a program's models, a training step, or the way from data to weights."`
	Opt      optCmd      `cmd:"" help:"Show a program's IR, or run passes on IR text."`
	Passes   passesCmd   `cmd:"" help:"List the compiler's passes."`
	Doc      docCmd      `cmd:"" help:"Show the library, or what a file declares."`
	Ops      opsCmd      `cmd:"" help:"List the compiler's ops."`
	Doctor   doctorCmd   `cmd:"" help:"Say whether programs can run as machine code here, and what is missing."`
	Explain  explainCmd  `cmd:"" name:"explain-error" help:"Say what an error means and how to mend it."`

	Completion  completionCmd `cmd:"" help:"Print a script that completes command lines in a shell."`
	ShowVersion versionCmd    `cmd:"" name:"version" help:"Print the version."`

	Version kong.VersionFlag `help:"Print the version and leave."`
}

const description = `A language and compiler for neural networks. One .nn file states data, model, loss, optimiser and target.

    nnc run examples/catdog/catdog.nn        train it
    nnc eval examples/catdog/catdog.nn       measure it on the test photos
    nnc predict examples/catdog/catdog.nn photo.jpg

Exit codes: 0 fine; 1 the program or its data is wrong, or the run was interrupted; 2 nnc was called wrongly; 3 a bug of nnc.`

func main() {
	std := command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	if attached := model.Self(os.Args); attached != nil { // this is a copy of nnc that `nnc build` made
		os.Exit(attached(std))
	}
	os.Exit(run(os.Args[1:], std))
}

// run carries out a command line and returns the exit code.
func run(args []string, std command.Streams) int { return app().Run(&commands{}, args, std) }

func app() command.App {
	return command.App{Name: "nnc", Maker: "nnc", Description: description, Version: version()}
}

// version is that of the module, with the commit where it was built from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "nnc (unknown version)"
	}
	text := "nnc " + info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			text += " " + s.Value
		}
	}
	return text + " " + info.GoVersion
}
