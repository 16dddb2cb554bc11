package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/runtime/term"
	"github.com/nnc-lang/nnc/runtime/train"
)

// The exit codes.
const (
	exitFine   = 0
	exitWrong  = 1 // the program or its data is wrong, or the run was interrupted
	exitMisuse = 2 // nnc was called wrongly
	exitBug    = 3 // nnc itself is wrong
)

// reportedError ends a command with an exit code when it has said already what is wrong.
type reportedError struct{ code int }

// Error is for tests; nobody else prints it.
func (e reportedError) Error() string { return fmt.Sprintf("reported, exit code %d", e.code) }

// errFailed is a reported error in the program or its data.
var errFailed = reportedError{exitWrong}

// usageError is a call that cannot be carried out.
type usageError struct{ error }

// Unwrap returns what is wrong with the call.
func (e usageError) Unwrap() error { return e.error }

func misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode reports an error and chooses the exit code.
func exitCode(err error, std streams) int {
	var list *diag.List
	var one *diag.Diagnostic
	var usage usageError
	var reported reportedError
	var interrupted *train.InterruptedError
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &reported):
		return reported.code
	case errors.As(err, &list):
		report(std, list)
		return codeOf(list)
	case errors.As(err, &one):
		report(std, &diag.List{All: []*diag.Diagnostic{one}})
	case errors.As(err, &usage):
		fmt.Fprintf(std.err, "nnc: %s\n", err)
		return exitMisuse
	case errors.As(err, &interrupted):
		fmt.Fprintln(std.err, err)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(std.err, "interrupted")
	case strings.HasPrefix(err.Error(), "BUG:"):
		return reportBug(std, err, nil)
	default:
		fmt.Fprintf(std.err, "error: %s\n", err)
	}
	return exitWrong
}

// report prints diagnostics.
func report(std streams, list *diag.List) {
	// Where standard error cannot be written to, nobody can be told.
	_ = diag.Render(std.err, list, term.Colours(std.err))
}

// codeOf tells errors in the program from errors in what the command line sets.
func codeOf(list *diag.List) int {
	for _, d := range list.All {
		if d.Severity == diag.Error && d.Span.File != nil && d.Span.File.Name == "--set" {
			return exitMisuse
		}
	}
	return exitWrong
}

// reportMisuse says what is wrong with a command line, and how the command is called.
func reportMisuse(std streams, err error) int {
	name, usage := "nnc", "`nnc --help` lists the commands"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Selected() != nil {
		command := parse.Context.Selected()
		name = command.FullPath()
		usage = fmt.Sprintf("usage: nnc %s\n`%s --help` shows the flags and examples", command.Summary(), name)
	}
	text := err.Error()
	if rest, ok := strings.CutPrefix(text, "expected \""); ok {
		what, _, _ := strings.Cut(rest, "\"")
		text = "missing " + strings.TrimSuffix(what, " ...")
	}
	text = strings.Replace(text, "\"<key>=<value>\"", "NAME=VALUE", 1)
	fmt.Fprintf(std.err, "%s: %s\n%s\n", name, text, usage)
	return exitMisuse
}

// reportBug prints a broken invariant of nnc.
func reportBug(std streams, what any, stack []byte) int {
	fmt.Fprintf(std.err, "nnc: internal error: %v\n%s\nThis is a bug of nnc, not of your program. Please report it with the program and the text above.\n", what, stack)
	return exitBug
}

// exitCode is the code of a command that printed to o.
func (o *output) exitCode(std streams, code int) int {
	if o.err != nil && code == exitFine {
		fmt.Fprintf(std.err, "error: the output could not be written: %s\n", withoutPath(o.err))
		return exitWrong
	}
	return code
}
