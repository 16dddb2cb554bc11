// Command nnc compiles and runs neural networks written in the language .nn.
//
// Exit codes: 0 fine; 1 the program or its data is wrong, or the run was interrupted; 2 nnc was called wrongly; 3 a bug of nnc.
package main

import (
	"io"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// commands is the command line: one field for each command, in the order of `nnc --help`.
type commands struct {
	Run     runCmd     `cmd:"" help:"Train a program as it declares, measure it and save its weights."`
	Eval    evalCmd    `cmd:"" help:"Measure a trained program on its test data."`
	Predict predictCmd `cmd:"" help:"Say what a trained program makes of pictures."`
	Check   checkCmd   `cmd:"" help:"Report the errors of programs without running them."`
	Test    testCmd    `cmd:"" help:"Run the tests that programs declare."`
	Fmt     fmtCmd     `cmd:"" help:"Format programs."`
	Summary summaryCmd `cmd:"" help:"Show a program's layers, shapes and parameters."`
	Data    dataCmd    `cmd:"" help:"Look through a program's data: counts, broken files, repeated examples."`
	Graph   graphCmd   `cmd:"" help:"Draw a program's models, a training step, or the way from data to weights."`
	Opt     optCmd     `cmd:"" help:"Show a program's IR, or run passes on IR text."`
	Passes  passesCmd  `cmd:"" help:"List the compiler's passes."`
	Doc     docCmd     `cmd:"" help:"Show the library, or what a file declares."`
	Ops     opsCmd     `cmd:"" help:"List the compiler's ops."`
	Explain explainCmd `cmd:"" name:"explain-error" help:"Say what an error means and how to mend it."`

	Version kong.VersionFlag `help:"Print the version and leave."`
}

const description = `A language and compiler for neural networks. One .nn file states data, model, loss, optimiser and target.

    nnc run examples/catdog/catdog.nn        train it
    nnc eval examples/catdog/catdog.nn       measure it on the test photos
    nnc predict examples/catdog/catdog.nn photo.jpg

Exit codes: 0 fine; 1 the program or its data is wrong, or the run was interrupted; 2 nnc was called wrongly; 3 a bug of nnc.`

func main() { os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})) }

// run carries out a command line and returns the exit code.
func run(args []string, std streams) (code int) {
	out := &output{w: std.out}
	if !std.onTerminal() {
		std.out = out
	}
	defer func() {
		if r := recover(); r != nil {
			code = reportBug(std, r, debug.Stack())
		}
	}()
	var cli commands
	ended := -1
	helpTo := std.out
	if len(args) == 0 { // a wrong call: nothing that a pipe should take for output
		helpTo = std.err
	}
	parser, err := kong.New(&cli,
		kong.Name("nnc"), kong.Description(description), kong.Vars{"version": version()},
		kong.Writers(helpTo, std.err),
		kong.Exit(func(code int) { ended = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if len(args) == 0 {
		_, _ = parser.Parse([]string{"--help"})
		return exitMisuse
	}
	command, err := parser.Parse(normalized(args, parser.Model))
	switch {
	case ended >= 0: // help or the version was printed
		return out.exitCode(std, ended)
	case err != nil:
		return reportMisuse(std, err)
	}
	return out.exitCode(std, exitCode(command.Run(&std), std))
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

// output remembers the first failure to write, which commands would not notice one by one: a full disk must not look like success.
type output struct {
	w   io.Writer
	err error
}

// Write writes to the underlying writer until that fails.
func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.err = err
	return n, err
}
