// Package command holds what people do with a compiled program on the command line: train it, measure it, predict with it. `nnc` has these
// commands for programs that it compiles, and every executable that `nnc build` makes has them for the model that is attached to it.
//
// It also holds what the commands of both have in common: streams, exit codes, how errors and wrong calls are told.
package command

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"
)

// App is a program with commands.
type App struct {
	Name        string // as messages call it
	Maker       string // who is to blame for a bug: "nnc"
	Description string
	Version     string
}

// Run carries out a command line and returns the exit code. cli is a pointer to a struct with a field for each command, as kong reads it; a command's Run
// method may take *Streams and each of bind.
func (a App) Run(cli any, args []string, std Streams, bind ...any) (code int) {
	out := &output{w: std.Out}
	if !std.OnTerminal() {
		std.Out = out
	}
	defer func() {
		if r := recover(); r != nil {
			code = a.reportBug(std, r, debug.Stack())
		}
	}()
	ended := -1
	helpTo := std.Out
	if len(args) == 0 { // a wrong call: nothing that a pipe should take for output
		helpTo = std.Err
	}
	parser, err := kong.New(cli,
		kong.Name(a.Name), kong.Description(a.Description), kong.Vars{"version": a.Version},
		kong.Writers(helpTo, std.Err),
		kong.Exit(func(code int) { ended = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if len(args) == 0 {
		_, _ = parser.Parse([]string{"--help"})
		return ExitMisuse
	}
	command, err := parser.Parse(normalized(args, parser.Model))
	switch {
	case ended >= 0: // help or the version was printed
		return out.exitCode(std, ended)
	case err != nil:
		return a.reportMisuse(std, err)
	}
	err = command.Run(append(bind, &std)...)
	if out.err != nil && errors.Is(err, out.err) { // which is told below
		err = nil
	}
	return out.exitCode(std, a.ExitCode(err, std))
}

// reportMisuse says what is wrong with a command line, and how the command is called.
func (a App) reportMisuse(std Streams, err error) int {
	name, usage := a.Name, fmt.Sprintf("`%s --help` lists the commands", a.Name)
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Selected() != nil {
		command := parse.Context.Selected()
		name = command.FullPath()
		usage = fmt.Sprintf("usage: %s %s\n`%s --help` shows the flags and examples", a.Name, command.Summary(), name)
	}
	text := err.Error()
	if rest, ok := strings.CutPrefix(text, "expected \""); ok {
		what, _, _ := strings.Cut(rest, "\"")
		text = "missing " + strings.TrimSuffix(what, " ...")
	}
	text = strings.Replace(text, "\"<key>=<value>\"", "NAME=VALUE", 1)
	fmt.Fprintf(std.Err, "%s: %s\n%s\n", name, text, usage)
	return ExitMisuse
}

// reportBug prints a broken invariant.
func (a App) reportBug(std Streams, what any, stack []byte) int {
	fmt.Fprintf(std.Err, "%s: internal error: %v\n%s\nThis is a bug of %s, not of your program. Please report it with the program and the text above.\n", a.Name, what, stack, a.Maker)
	return ExitBug
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

// exitCode is the code of a command that printed to o.
func (o *output) exitCode(std Streams, code int) int {
	if o.err != nil && code == ExitFine {
		fmt.Fprintf(std.Err, "error: the output could not be written: %s\n", withoutPath(o.err))
		return ExitWrong
	}
	return code
}
