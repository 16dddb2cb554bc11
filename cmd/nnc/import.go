package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/nnc-lang/nnc/convert/keras"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// importCmd turns a model of Keras into a program.
type importCmd struct {
	Model string `arg:"" help:"A whole model that Keras saved: .keras or .h5."`
	Out   string `short:"o" help:"The program to write; standard output, if it is left out." placeholder:"FILE"`
}

// Help shows how the command is used.
func (importCmd) Help() string {
	return `Writes a program that computes what the model computes: sequential and functional models of Keras 2 and 3, models in models, layers that are used several times, several inputs and outputs. Its parameters are those of the file, whose weights load by name or in order.

    nnc import model.keras -o model.nn
    nnc predict model.nn --weights model.keras photo.jpg

For training, add data and a train block; load: "model.keras" there starts from the weights.`
}

// Run carries out the command.
func (c *importCmd) Run(std *command.Streams) error {
	if err := command.CheckFile(c.Model); err != nil {
		return err
	}
	file, err := weights.Read(c.Model)
	if err != nil {
		return err
	}
	if file.ModelConfig == "" {
		return fmt.Errorf("%s holds weights and no model: save the whole model with model.save(\"model.keras\"), or write the program yourself and give it the weights with --weights", c.Model)
	}
	text, notes, err := keras.Program(file.ModelConfig, "From "+filepath.Base(c.Model)+", a model of Keras.")
	if err != nil {
		return fmt.Errorf("%s: %w", c.Model, err)
	}
	if err := c.verify(std, text); err != nil {
		return err
	}
	if c.Out == "" {
		_, err := io.WriteString(std.Out, text)
		return err
	}
	if filepath.Ext(c.Out) != ".nn" {
		return command.Misuse("%s is no name for a program: let it end in .nn", c.Out)
	}
	if err := writeWhole(c.Out, text); err != nil {
		return err
	}
	for _, note := range notes {
		fmt.Fprintf(std.Err, "note: %s\n", note)
	}
	fmt.Fprintf(std.Err, "%s written; the weights of %s fit\n", c.Out, c.Model)
	return nil
}

// verify compiles the program and gives it the file's weights.
func (c *importCmd) verify(std *command.Streams, text string) error {
	name := c.Out
	if name == "" {
		name = "imported.nn"
	}
	program, list := lang.Compile(diag.NewFile(name, text), lang.Options{})
	if list.HasErrors() {
		command.Report(*std, list)
		return fmt.Errorf("the program that %s became has errors, which is a fault of nnc: please report it with the file's configuration", c.Model)
	}
	l := &loaded{plan: program}
	prog, err := l.build(0, engine{Backend: "interp", Precision: "f32"})
	if err != nil {
		return err
	}
	return weights.LoadProgram(c.Model, prog, program)
}
