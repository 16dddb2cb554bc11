package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime/command"
)

// passesCmd lists the passes.
type passesCmd struct{}

// Help shows what the columns mean.
func (passesCmd) Help() string {
	return `Passes that are not required can be switched off with "nnc opt --disable". A pass may run twice.`
}

// Run carries out the command.
func (c *passesCmd) Run(std *command.Streams) error {
	w := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', 0)
	for _, p := range passes.All() {
		required := ""
		if p.Required {
			required = "required"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Name, required, p.Doc)
	}
	fmt.Fprintf(w, "\norder: %s\n", strings.Join(passes.Pipeline(), ", "))
	return w.Flush()
}
