package main

import "github.com/nnc-lang/nnc/runtime/command"

// runCmd trains as the program declares.
type runCmd struct {
	source
	engine
	command.Train
	Plot string `help:"Draw the values by epoch into this file, anew after each (.png or .svg)." placeholder:"FILE"`
}

// Help shows how the command is used.
func (runCmd) Help() string {
	return `Trains until the epochs are over or the target of until: is reached, saves the weights to the file of save:, and measures the program on its test data.

    nnc run catdog.nn
    nnc run catdog.nn --set image_size=64 --epochs 3
    nnc run catdog.nn --history h.csv --plot h.png
    nnc run catdog.nn --resume           after Ctrl-C, a crash or a power cut

The same seed gives the same weights, bit for bit. While it trains, the state is kept in a file beside the program (catdog.ckpt), from which --resume goes on.`
}

// Run carries out the command.
func (c *runCmd) Run(std *command.Streams) error {
	c.Records = []command.Record{{
		Flag: "--plot", Path: c.Plot, Ends: []string{".png", ".svg"}, What: "draws PNG and SVG: name a file that ends in .png or .svg",
		Make: plotHistory,
	}}
	if err := c.Check(); err != nil {
		return err
	}
	l, err := c.load(std, needsData)
	if err != nil {
		return err
	}
	return c.Train.Run(std, l.program(c.engine, weightsType{}))
}
