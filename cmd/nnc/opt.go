package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/passes"
)

// optCmd shows a program's IR and runs passes on it.
type optCmd struct {
	File    string            `arg:"" help:"A program (.nn), or IR text (any other name)."`
	Set     map[string]string `help:"Give an option of the program a value." placeholder:"NAME=VALUE" mapsep:"none"`
	Passes  []string          `help:"Run these passes in this order, instead of all." placeholder:"PASS,…"`
	Disable []string          `help:"Leave these passes out." placeholder:"PASS,…"`
	Dump    []string          `help:"Print the IR also after these passes, or after \"all\" of them." placeholder:"PASS,…"`
	None    bool              `help:"Run no pass: print the IR as the front end makes it."`
	Func    string            `help:"Print only this function." placeholder:"NAME"`
	Time    bool              `name:"time-passes" help:"Print how long each pass took."`
}

// Run carries out the command.
func (c *optCmd) Run(std *streams) error {
	m, err := c.module(std)
	if err != nil {
		return err
	}
	for _, name := range slices.Concat(c.Passes, c.Disable, c.Dump) {
		if name != "all" && !slices.ContainsFunc(passes.All(), func(p passes.Pass) bool { return p.Name == name }) {
			return usageError{fmt.Errorf("%q is no pass: `nnc passes` lists them", name)}
		}
	}
	timing := tabwriter.NewWriter(std.err, 0, 8, 2, ' ', tabwriter.AlignRight)
	options := passes.Options{
		Disable: c.Disable, Only: c.Passes,
		Observe: func(pass string, m *ir.Module, d time.Duration) {
			if slices.Contains(c.Dump, pass) || slices.Contains(c.Dump, "all") {
				fmt.Fprintf(std.out, "; after %s\n%s\n", pass, c.text(m))
			}
			if c.Time {
				fmt.Fprintf(timing, "%s\t%s\t\n", pass, d.Round(time.Microsecond))
			}
		},
	}
	if !c.None {
		if err := passes.Run(m, options); err != nil {
			return err
		}
	}
	fmt.Fprint(std.out, c.text(m))
	return timing.Flush()
}

// module compiles a program or parses IR text.
func (c *optCmd) module(std *streams) (*ir.Module, error) {
	if strings.HasSuffix(c.File, ".nn") {
		l, err := source{c.File, c.Set}.load(std, true)
		if err != nil {
			return nil, err
		}
		return l.plan.Module, nil
	}
	text, err := os.ReadFile(c.File)
	if err != nil {
		return nil, usageError{err}
	}
	m, err := ir.Parse(diag.NewFile(c.File, string(text)))
	if err != nil {
		return nil, err
	}
	return m, nil
}

// text prints the module, or the one function that was asked for.
func (c *optCmd) text(m *ir.Module) string {
	if c.Func == "" {
		return ir.Print(m)
	}
	f := m.Func(c.Func)
	if f == nil {
		names := make([]string, len(m.Funcs))
		for i, f := range m.Funcs {
			names[i] = f.Name
		}
		return fmt.Sprintf("; there is no function %s; there are %s\n", c.Func, strings.Join(names, ", "))
	}
	return f.String() + "\n"
}

// passesCmd lists the passes.
type passesCmd struct{}

// Run carries out the command.
func (c *passesCmd) Run(std *streams) error {
	w := tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)
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
