package main

import "github.com/nnc-lang/nnc/runtime/command"

import "fmt"

// checkCmd reports errors without running anything.
type checkCmd struct {
	Files []string `arg:"" help:"Programs, .nn files." name:"file"`
	settings
}

// Help shows how the command is used.
func (checkCmd) Help() string {
	return `Shapes, names and types are checked with the sizes that they really have. Data that cannot be read is mentioned; it is an error only where the program needs something from it, such as the number of its classes.

    nnc check catdog.nn
    nnc check catdog.nn --set image_size=150
    nnc check examples/*/*.nn`
}

// Run carries out the command.
func (c *checkCmd) Run(std *command.Streams) error {
	return each(std, c.Files, func(file string) error {
		l, err := source{File: file, settings: c.settings}.load(std, wantsData)
		if err != nil {
			return err
		}
		l.noteMissing(std, file)
		fmt.Fprintf(std.Out, "%s: ok\n", file)
		return nil
	})
}
