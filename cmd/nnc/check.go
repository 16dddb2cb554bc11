package main

import (
	"fmt"
	"os"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// checkCmd reports errors without running anything.
type checkCmd struct {
	Files []string          `arg:"" help:"Programs, .nn files." name:"file"`
	Set   map[string]string `help:"Give an option of the programs a value." placeholder:"NAME=VALUE" mapsep:"none"`
}

// Run carries out the command.
func (c *checkCmd) Run(std *streams) error {
	failed := false
	for _, file := range c.Files {
		l, err := source{file, c.Set}.load(std, true)
		if err != nil {
			if _, ok := err.(*diag.List); !ok {
				return err
			}
			report(*std, err.(*diag.List))
			failed = true
			continue
		}
		for _, m := range l.missing {
			fmt.Fprintf(std.err, "%s: checked without its data: %s\n", file, m)
		}
		fmt.Fprintf(std.out, "%s: ok\n", file)
	}
	if failed {
		return errFailed
	}
	return nil
}

// fmtCmd formats programs.
type fmtCmd struct {
	Files []string `arg:"" help:"Programs, .nn files." name:"file"`
	Check bool     `help:"Only list the files whose format differs, and exit with 1 if there are any."`
	Print bool     `short:"p" help:"Print the result instead of writing the files."`
}

// Run carries out the command.
func (c *fmtCmd) Run(std *streams) error {
	failed := false
	for _, file := range c.Files {
		src, err := readSource(file)
		if err != nil {
			return err
		}
		text, list := syntax.Format(src)
		switch {
		case list.HasErrors():
			report(*std, list)
			failed = true
		case c.Print:
			fmt.Fprint(std.out, text)
		case text == src.Text:
		case c.Check:
			fmt.Fprintln(std.out, file)
			failed = true
		default:
			if err := replaceFile(file, text); err != nil {
				return err
			}
			fmt.Fprintln(std.out, file)
		}
	}
	if failed {
		return errFailed
	}
	return nil
}

// replaceFile writes a file as a whole or not at all, keeping its permissions.
func replaceFile(path, text string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return writeAtomically(path, []byte(text), info.Mode().Perm())
}
