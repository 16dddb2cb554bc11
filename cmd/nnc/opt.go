package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime/command"
)

// optCmd shows a program's IR and runs passes on it.
type optCmd struct {
	File string `arg:"" help:"A program (.nn), or a file of IR text (any other name); - is IR text on standard input."`
	settings
	Passes  []string `help:"Run these passes in this order, instead of all." placeholder:"PASS"`
	Disable []string `help:"Leave these passes out." placeholder:"PASS"`
	Dump    []string `help:"Print the IR also after these passes, or after all of them." placeholder:"PASS"`
	None    bool     `help:"Run no pass: print the IR as the front end makes it."`
	Func    string   `help:"Print only this function." placeholder:"NAME"`
	Time    bool     `name:"time-passes" help:"Print how long each pass took."`
}

// Help shows how the command is used.
func (optCmd) Help() string {
	return `Prints the IR after all passes. What it prints it also reads. "nnc passes" lists the passes.

    nnc opt net.nn --none                            as the front end makes it
    nnc opt net.nn --func Net.predict --dump all     after every pass
    nnc opt net.nn --none | nnc opt - --passes inline,simplify`
}

// Run carries out the command.
func (c *optCmd) Run(std *command.Streams) error {
	for _, name := range slices.Concat(c.Passes, c.Disable, c.Dump) {
		if err := c.checkPass(name); err != nil {
			return err
		}
	}
	if c.None && len(c.Passes)+len(c.Disable)+len(c.Dump) > 0 {
		return command.Misuse("--none runs no pass, so --passes, --disable and --dump mean nothing beside it")
	}
	m, err := c.module(std)
	if err != nil {
		return err
	}
	if c.Func != "" && m.Func(c.Func) == nil {
		return command.Misuse("there is no function %s; there are %s", c.Func, strings.Join(funcNames(m), ", "))
	}
	printed := false // what the last pass left
	timing := tabwriter.NewWriter(std.Err, 0, 8, 2, ' ', 0)
	options := passes.Options{
		Disable: c.Disable, Only: c.Passes, VerifyEach: true,
		Observe: func(pass string, m *ir.Module, d time.Duration) {
			if printed = slices.Contains(c.Dump, pass) || slices.Contains(c.Dump, "all"); printed {
				fmt.Fprintf(std.Out, "; after %s\n%s\n", pass, c.text(m))
			}
			fmt.Fprintf(timing, "%s\t%s\n", pass, d.Round(time.Microsecond))
		},
	}
	if !c.None {
		if err := passes.Run(m, options); err != nil {
			return err
		}
	}
	if !printed {
		fmt.Fprint(std.Out, c.text(m))
	}
	if c.Time {
		return timing.Flush()
	}
	return nil
}

// checkPass refuses a name that is no pass, or that stands where it cannot.
func (c *optCmd) checkPass(name string) error {
	if name == "all" && slices.Contains(c.Dump, name) && !slices.Contains(c.Passes, name) && !slices.Contains(c.Disable, name) {
		return nil
	}
	var names []string
	for _, p := range passes.All() {
		if p.Name == name {
			if p.Required && slices.Contains(c.Disable, name) {
				return command.Misuse("the pass %s cannot be left out: it %s", name, p.Doc)
			}
			return nil
		}
		names = append(names, p.Name)
	}
	if near := diag.DidYouMean(name, names); near != "" {
		return command.Misuse("there is no pass %s; did you mean %s?", name, near)
	}
	return command.Misuse("there is no pass %s; there are %s", name, strings.Join(names, ", "))
}

// module compiles a program or reads IR text.
func (c *optCmd) module(std *command.Streams) (*ir.Module, error) {
	if filepath.Ext(c.File) == ".nn" {
		l, err := source{File: c.File, settings: c.settings}.load(std, wantsData)
		if err != nil {
			return nil, err
		}
		l.noteMissing(std, c.File)
		return l.plan.Module, nil
	}
	if len(c.Set) > 0 {
		return nil, command.Misuse("--set is for programs; IR text has no options")
	}
	text, err := readText(std, c.File)
	if err != nil {
		return nil, err
	}
	m, err := ir.Parse(text)
	if err != nil {
		return nil, err
	}
	if err := ir.Verify(m); err != nil {
		return nil, fmt.Errorf("%s: %w", text.Name, err)
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
		return fmt.Sprintf("; the function %s is gone\n", c.Func)
	}
	return f.String()
}

func funcNames(m *ir.Module) []string {
	names := make([]string, len(m.Funcs))
	for i, f := range m.Funcs {
		names[i] = f.Name
	}
	return names
}
