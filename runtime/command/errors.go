package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/runtime/term"
	"github.com/nnc-lang/nnc/runtime/train"
)

// The exit codes.
const (
	ExitFine   = 0
	ExitWrong  = 1 // the program or its data is wrong, or the run was interrupted
	ExitMisuse = 2 // the command line is wrong
	ExitBug    = 3 // the command itself is wrong
)

// ReportedError ends a command with an exit code when it has said already what is wrong.
type ReportedError struct{ Code int }

// Error is for tests; nobody else prints it.
func (e ReportedError) Error() string { return fmt.Sprintf("reported, exit code %d", e.Code) }

// ErrFailed is a reported error in the program or its data.
var ErrFailed = ReportedError{ExitWrong}

// usageError is a call that cannot be carried out.
type usageError struct{ error }

// Unwrap returns what is wrong with the call.
func (e usageError) Unwrap() error { return e.error }

// Misuse returns the error of a call that cannot be carried out.
func Misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// ExitCode reports an error and chooses the exit code.
func (a App) ExitCode(err error, std Streams) int {
	var list *diag.List
	var one *diag.Diagnostic
	var usage usageError
	var reported ReportedError
	var interrupted *train.InterruptedError
	switch {
	case err == nil:
		return ExitFine
	case errors.As(err, &reported):
		return reported.Code
	case errors.As(err, &list):
		Report(std, list)
		return CodeOf(list)
	case errors.As(err, &one):
		Report(std, &diag.List{All: []*diag.Diagnostic{one}})
	case errors.As(err, &usage):
		fmt.Fprintf(std.Err, "%s: %s\n", a.Name, err)
		return ExitMisuse
	case errors.As(err, &interrupted):
		fmt.Fprintln(std.Err, err)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(std.Err, "interrupted")
	case strings.HasPrefix(err.Error(), "BUG:"):
		return a.reportBug(std, err, nil)
	default:
		fmt.Fprintf(std.Err, "error: %s\n", err)
	}
	return ExitWrong
}

// Report prints diagnostics.
func Report(std Streams, list *diag.List) {
	// Where standard error is closed, nobody can be told.
	_ = diag.Render(std.Err, list, term.Colours(std.Err))
}

// CodeOf tells errors in the program from errors in what the command line sets.
func CodeOf(list *diag.List) int {
	for _, d := range list.All {
		if d.Severity == diag.Error && d.Span.File != nil && d.Span.File.Name == "--set" {
			return ExitMisuse
		}
	}
	return ExitWrong
}

// CheckFile refuses a path that is no file.
func CheckFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Misuse("there is no file %s", path)
	case err != nil:
		return Misuse("cannot read %s: %w", path, withoutPath(err))
	case info.IsDir():
		programs, _ := filepath.Glob(filepath.Join(path, "*.nn"))
		if len(programs) > 0 {
			return Misuse("%s is a folder: name a file, such as %s", path, strings.Join(programs, " or "))
		}
		return Misuse("%s is a folder: name a file", path)
	}
	return nil
}

// withoutPath drops the path from an operating system's error, for messages that name the file already.
func withoutPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
