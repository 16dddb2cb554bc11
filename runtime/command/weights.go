package command

import (
	"fmt"

	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// Weights says which weights a program gets.
type Weights struct {
	Weights string            `help:"A file of weights: .h5, .weights.h5, .keras, .safetensors or .npz. To measure or to use a program, the file that it saves is taken if it is left out." placeholder:"FILE"`
	Map     map[string]string `help:"Of --weights: the file's name for a layer or parameter of the program, where they differ; repeat it for several." placeholder:"NAME=NAME" mapsep:"none"`
	Partial bool              `help:"Of --weights: take what fits by name, say what that is, and leave the rest as it is."`
}

// load gives a program the weights of a file.
func (w Weights) load(std *Streams, file string, prog runtime.Program, p *Program) error {
	report, err := weights.Selection{Map: w.Map, Partial: w.Partial}.LoadProgram(file, prog, p.Plan)
	if report != "" {
		fmt.Fprintln(std.Err, report)
	}
	return err
}
