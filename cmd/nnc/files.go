package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/runtime/atomicfile"
	"github.com/nnc-lang/nnc/runtime/command"
)

// maxSource is how long a program or IR text may be, in bytes: a wrong file is found out before it fills the memory.
const maxSource = 64 << 20

// stdinName stands for standard input on the command line.
const stdinName = "-"

// readSource reads a program's text.
func readSource(std *command.Streams, path string) (*diag.File, error) {
	if path != stdinName && filepath.Ext(path) != ".nn" {
		if err := command.CheckFile(path); err != nil {
			return nil, err
		}
		return nil, command.Misuse("%s is no program: the names of programs end in .nn", path)
	}
	return readText(std, path)
}

// readText reads a file of text, or standard input.
func readText(std *command.Streams, path string) (*diag.File, error) {
	if path == stdinName {
		return textOf("standard input", std.In)
	}
	if err := command.CheckFile(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, command.Misuse("cannot read %s: %w", path, withoutPath(err))
	}
	defer f.Close()
	return textOf(path, f)
}

func textOf(name string, r io.Reader) (*diag.File, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSource+1))
	switch {
	case err != nil:
		return nil, command.Misuse("cannot read %s: %w", name, withoutPath(err))
	case len(text) > maxSource:
		return nil, fmt.Errorf("%s is longer than %d MiB: is it a program?", name, maxSource>>20)
	case bytes.IndexByte(text, 0) >= 0 || !utf8.Valid(text) && mostlyBinary(text):
		return nil, fmt.Errorf("%s is not text: is it a program?", name)
	}
	return diag.NewFile(name, string(text)), nil
}

// mostlyBinary tells a file that is no text at all from one with a few wrong bytes, whose places the lexer names.
func mostlyBinary(text []byte) bool {
	wrong := 0
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			wrong++
		}
		i += n
	}
	return wrong*10 > len(text)
}

// each carries out do for every file, reports what goes wrong, and ends with the worst of it.
func each(std *command.Streams, files []string, do func(file string) error) error {
	worst := command.ExitFine
	for _, file := range files {
		worst = max(worst, app().ExitCode(do(file), *std))
	}
	if worst != command.ExitFine {
		return command.ReportedError{Code: worst}
	}
	return nil
}

// replaceFile writes a file as a whole or not at all, keeping its permissions. A link stays one.
func replaceFile(path, text string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	return writeWhole(target, text)
}

// writeWhole writes a file as a whole or not at all.
func writeWhole(path, text string) error {
	if err := atomicfile.WriteBytes(path, 0o666, []byte(text)); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
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
