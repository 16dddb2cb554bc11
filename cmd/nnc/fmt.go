package main

import (
	"fmt"

	"github.com/nnc-lang/nnc/lang/syntax"
	"github.com/nnc-lang/nnc/runtime/command"
)

// fmtCmd formats programs.
type fmtCmd struct {
	Files []string `arg:"" help:"Programs, .nn files; - is standard input." name:"file"`
	Check bool     `help:"Only list the files whose format differs, and exit with 1 if there are any."`
	Print bool     `short:"p" help:"Print the result instead of writing the files."`
}

// Help shows how the command is used.
func (fmtCmd) Help() string {
	return `The files are rewritten; those that changed are listed. A file with errors is left as it is.

    nnc fmt catdog.nn
    nnc fmt --check examples/*/*.nn      for a test that all files are formatted
    nnc fmt - < catdog.nn                for editors`
}

// Run carries out the command.
func (c *fmtCmd) Run(std *command.Streams) error {
	return each(std, c.Files, func(file string) error {
		src, err := readSource(std, file)
		if err != nil {
			return err
		}
		text, list := syntax.Format(src)
		switch {
		case list.HasErrors():
			return list
		case c.Check:
			if text != src.Text {
				fmt.Fprintln(std.Out, file)
				return command.ErrFailed
			}
		case c.Print, file == stdinName:
			fmt.Fprint(std.Out, text)
		case text != src.Text:
			if err := replaceFile(file, text); err != nil {
				return err
			}
			fmt.Fprintln(std.Out, file)
		}
		return nil
	})
}
