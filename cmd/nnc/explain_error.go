package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/runtime/command"
)

// explainCmd says what the codes of messages mean.
type explainCmd struct {
	Name string `arg:"" optional:"" help:"The name of an error, as it stands in brackets in its message; without it all are listed."`
	All  bool   `help:"Show all examples, not only the first."`
}

// Help shows how the command is used.
func (explainCmd) Help() string {
	return `Says what an error means and how to mend it, and shows a program that has it with its message.

    nnc explain-error
    nnc explain-error shape-mismatch
    nnc explain-error shape-mismatch --all`
}

// Run carries out the command.
func (c *explainCmd) Run(std *command.Streams) error {
	known := lang.Explanations()
	if c.Name == "" {
		w := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', 0)
		for _, x := range known {
			fmt.Fprintf(w, "%s\t%s\n", x.Code, x.Summary())
		}
		return w.Flush()
	}
	name := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(c.Name, "error"), "["), "]") // copied from a message
	var names []string
	for _, x := range known {
		if string(x.Code) == name {
			c.explain(std.Out, x)
			return nil
		}
		names = append(names, string(x.Code))
	}
	if near := diag.DidYouMean(name, names); near != "" {
		return command.Misuse("there is no error %s; did you mean %s?", c.Name, near)
	}
	return command.Misuse("there is no error %s; `nnc explain-error` lists them", c.Name)
}

func (c *explainCmd) explain(w io.Writer, x lang.Explanation) {
	fmt.Fprintf(w, "%s\n\n%s\n", x.Code, x.Text)
	examples := x.Examples
	if !c.All && len(examples) > 1 {
		examples = examples[:1]
	}
	for _, e := range examples {
		fmt.Fprintf(w, "\nFor example,\n\n%s\ngets the message\n\n%s", indented(e.Program), indented(e.Report))
	}
	if n := len(x.Examples) - len(examples); n > 0 {
		fmt.Fprintf(w, "\n`nnc explain-error %s --all` has %d more.\n", x.Code, n)
	}
}

// indented moves a text in by four columns.
func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
	return b.String()
}
