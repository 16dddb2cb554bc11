// Command nnc compiles and runs neural networks written in the language .nn.
//
// Exit codes: 0 fine, 1 the program or its data is wrong, 2 nnc was called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/runtime/term"
	"github.com/nnc-lang/nnc/runtime/train"
)

// commands is the command line: one field for each command, in the order of `nnc --help`.
type commands struct {
	Run     runCmd     `cmd:"" help:"Train a program as it declares, evaluate it and save its weights."`
	Eval    evalCmd    `cmd:"" help:"Measure a trained program on its test data."`
	Predict predictCmd `cmd:"" help:"Say what a trained program makes of pictures."`
	Check   checkCmd   `cmd:"" help:"Report the errors of programs without running them."`
	Test    testCmd    `cmd:"" help:"Run the tests that programs declare."`
	Fmt     fmtCmd     `cmd:"" help:"Format programs."`
	Summary summaryCmd `cmd:"" help:"Show a program's layers, shapes and parameters."`
	Opt     optCmd     `cmd:"" help:"Show a program's IR, before, between or after the passes, or run passes on IR text."`
	Passes  passesCmd  `cmd:"" help:"List the compiler's passes."`
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// errFailed ends a command with exit code 1 when it has said already what is wrong.
var errFailed = errors.New("failed")

// usageError is a call that cannot be carried out: exit code 2.
type usageError struct{ error }

func main() { os.Exit(run(os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})) }

// run carries out a command line and returns the exit code.
func run(args []string, std streams) int {
	var cli commands
	ended := -1
	parser, err := kong.New(&cli,
		kong.Name("nnc"),
		kong.Description("A language and compiler for neural networks. One .nn file states data, model, loss, optimiser and target.\n\n"+
			"Start with:  nnc run examples/catdog/catdog.nn"),
		kong.Writers(std.out, std.err),
		kong.Exit(func(code int) { ended = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if ended >= 0 {
		return ended // help was printed
	}
	if err != nil {
		fmt.Fprintf(std.err, "nnc: %s\n", err)
		fmt.Fprintln(std.err, "nnc --help lists the commands; nnc COMMAND --help says what one takes")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command.BindTo(ctx, (*context.Context)(nil))
	return exitCode(command.Run(&std), std)
}

// exitCode reports an error and chooses the exit code.
func exitCode(err error, std streams) int {
	var list *diag.List
	var usage usageError
	var interrupted *train.InterruptedError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFailed):
	case errors.As(err, &list):
		report(std, list)
	case errors.As(err, &usage):
		fmt.Fprintf(std.err, "nnc: %s\n", err)
		return 2
	case errors.As(err, &interrupted):
		fmt.Fprintln(std.err, err)
	default:
		fmt.Fprintf(std.err, "error: %s\n", err)
	}
	return 1
}

// report prints diagnostics.
func report(std streams, list *diag.List) {
	if err := diag.Render(std.err, list, term.Colours(std.err)); err != nil {
		panic("cannot write to standard error: " + err.Error())
	}
}
