package command

import (
	"fmt"
	"path/filepath"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/train"
)

// Program is a compiled program and what is around it.
type Program struct {
	Plan *plan.Program

	// Make returns the program with all of its cells zero.
	Make func() (runtime.Program, error)

	// Attach gives a program the trained weights that are attached to the executable; nil if there are none.
	Attach func(runtime.Program) error

	// Words returns what the user types for one of the commands: nnc run catdog.nn, ./catdog train.
	Words func(Verb) []string

	// Settings are the words behind it that make the program what it is: --set size=64.
	Settings []string

	// Data is what was opened already.
	Data map[*plan.Data]*data.Dataset

	// Unopened says which data could not be opened, though the program may be better with it: it names the classes.
	Unopened []error
}

// Verb is one of the commands.
type Verb int

// The commands that messages name.
const (
	VerbTrain Verb = iota
	VerbEval
	VerbPredict
	VerbTest
)

// call is the command line that carries out a verb, for messages.
func (p *Program) call(v Verb, more ...string) string { return line(append(p.Words(v), more...)) }

// examples opens what a train is on; nil if it has no data.
func (p *Program) examples(t *plan.Train) (*data.Dataset, error) { return train.Examples(t, p.dataset) }

// dataset opens a data declaration.
func (p *Program) dataset(d *plan.Data) (*data.Dataset, error) {
	if p.Data[d] != nil {
		return p.Data[d], nil
	}
	ds, err := train.OpenData(p.Plan, d)
	if err != nil {
		return nil, err
	}
	if p.Data == nil {
		p.Data = map[*plan.Data]*data.Dataset{}
	}
	p.Data[d] = ds
	return ds, nil
}

// Fresh returns the program with the first values of all cells.
func (p *Program) Fresh(seed int32) (runtime.Program, error) {
	prog, err := p.Make()
	if err != nil {
		return nil, err
	}
	return prog, train.Init(prog, p.Plan, seed)
}

// Trained returns the program with the weights of a file; if that is "", with those that are attached, or of the file that it saves.
//
// Errors: that there are no trained weights, and how to get them; weights of another program.
func (p *Program) Trained(std *Streams, w Weights) (runtime.Program, error) {
	file := w.Weights
	if file == "" && p.Attach != nil {
		prog, err := p.Make()
		if err != nil {
			return nil, err
		}
		if p.Plan.Reset != "" { // what is neither a parameter nor a state
			if _, err := prog.Call(p.Plan.Reset, tensor.FromI32([]int32{0})); err != nil {
				return nil, err
			}
		}
		return prog, p.Attach(prog)
	}
	file, err := p.WeightsFile(file)
	if err != nil {
		return nil, err
	}
	prog, err := p.Fresh(0)
	if err != nil {
		return nil, err
	}
	return prog, w.load(std, file, prog, p)
}

// WeightsFile finds the trained weights: that file, or the one that the program saves if it is "".
func (p *Program) WeightsFile(file string) (string, error) {
	if file != "" {
		return file, CheckFile(file)
	}
	for _, t := range p.Plan.Trains {
		if t.Save != "" {
			file = p.beside(t.Save)
		}
	}
	if file == "" {
		return "", fmt.Errorf("the program saves no weights: name a file of trained weights with --weights FILE, or add save: \"model.h5\" to its train block and run `%s`", p.call(VerbTrain))
	}
	if CheckFile(file) != nil {
		return "", fmt.Errorf("there are no trained weights yet: train them with `%s`, which writes %s, or name a file with --weights FILE", p.call(VerbTrain), file)
	}
	return file, nil
}

// beside makes a path of the program relative to the program's folder.
func (p *Program) beside(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(p.Plan.File), path)
}
