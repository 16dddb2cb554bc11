package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/runtime/command"
)

// opsCmd lists the op table.
type opsCmd struct {
	JSON bool `name:"json" help:"Print a line of JSON for each op."`
}

// Help says what the columns mean.
func (opsCmd) Help() string {
	return `Prints what every op is called, which part of a backend implements it, its types and its meaning. T is f32 or i32, A is any type. Scalar ops stand in the bodies of nests.

    nnc ops
    nnc ops --json`
}

// opRow is an op as programs read it.
type opRow struct {
	Name      string   `json:"name"`
	Class     string   `json:"class"`
	Signature string   `json:"signature,omitempty"`
	Doc       string   `json:"doc"`
	Params    []string `json:"params,omitempty"`
	Expr      string   `json:"expr,omitempty"`
	Grad      []string `json:"grad,omitempty"`
}

// Run carries out the command.
func (c *opsCmd) Run(std *command.Streams) error {
	var rows []opRow
	ir.Ops(func(op ir.Op) {
		r := op.Row()
		rows = append(rows, opRow{r.Name, r.Class.String(), r.Sig, r.Doc, r.Params, r.Expr, r.Grad})
	})
	if c.JSON {
		for _, r := range rows {
			if err := command.WriteJSON(std.Out, r); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "Op\tClass\tSignature\tMeaning")
	for _, r := range rows {
		sig := r.Signature
		if sig == "" {
			sig = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Name, r.Class, sig, r.Doc)
	}
	return w.Flush()
}
