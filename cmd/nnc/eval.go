package main

import "github.com/nnc-lang/nnc/runtime/command"

// evalCmd measures a trained program on its test data.
type evalCmd struct {
	source
	engine
	command.Eval
}

// Help shows how the command is used.
func (evalCmd) Help() string {
	return `Prints the loss and the metrics of the train block, such as "Test accuracy: 0.8125". Broken test examples are named and left out.

    nnc eval catdog.nn
    nnc eval catdog.nn --weights model.h5 --steps 50`
}

// Run carries out the command.
func (c *evalCmd) Run(std *command.Streams) error {
	l, err := c.load(std, needsData)
	if err != nil {
		return err
	}
	return c.Eval.Run(std, l.program(c.engine))
}
