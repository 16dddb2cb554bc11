package main

import (
	"os"
	"path/filepath"

	"github.com/nnc-lang/nnc/runtime/command"
)

// evalCmd measures a trained program on its test data.
type evalCmd struct {
	source
	engine
	weightsType
	command.Eval
	Plot string `help:"Draw the metrics that are matrices, such as confusion_matrix, and curves, such as roc, into this file (.png or .svg)." placeholder:"FILE"`
}

// Help shows how the command is used.
func (evalCmd) Help() string {
	return `Prints the loss and the metrics of the train block, such as "Test accuracy: 0.8125". Broken test examples are named and left out.

Of a classifier, whose loss is binary_crossentropy, crossentropy or the like, it prints the confusion matrix, precision, recall and F1 as well, and for two
classes the area under the ROC curve, as the library's metrics of these names measure them. For more classes precision, recall and F1 are the means over the
classes, the greatest output being the answer. --json and --plot have them too, and the curve.

    nnc eval catdog.nn
    nnc eval catdog.nn --weights model.h5 --steps 50
    nnc eval catdog.nn --plot curve.png`
}

// Run carries out the command.
func (c *evalCmd) Run(std *command.Streams) error {
	if ext := filepath.Ext(c.Plot); c.Plot != "" {
		if ext != ".png" && ext != ".svg" {
			return command.Misuse("--plot draws PNG and SVG: name a file that ends in .png or .svg, not %s", c.Plot)
		}
		c.Draw = func(tensors []command.Tensor) error {
			picture, err := plotTensors(tensors, ext)
			if err != nil {
				return err
			}
			return os.WriteFile(c.Plot, picture, 0o666)
		}
	}
	c.report = true
	l, err := c.load(std, needsData)
	if err != nil {
		return err
	}
	return c.Eval.Run(std, l.program(c.engine, c.weightsType))
}
