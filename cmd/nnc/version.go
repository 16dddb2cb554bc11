package main

import (
	"fmt"

	"github.com/nnc-lang/nnc/runtime/command"
)

// versionCmd prints the version.
type versionCmd struct{}

// Help shows how the command is used.
func (versionCmd) Help() string {
	return `Prints the version of nnc, its commit if it was built from a checkout, and that of Go.

    nnc version`
}

// Run carries out the command.
func (versionCmd) Run(std *command.Streams) error {
	_, err := fmt.Fprintln(std.Out, version())
	return err
}
