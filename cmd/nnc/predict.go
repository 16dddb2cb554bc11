package main

import "github.com/nnc-lang/nnc/runtime/command"

// predictCmd says what a trained program makes of pictures and other examples.
type predictCmd struct {
	source
	engine
	weightsType
	command.Predict
}

// Help shows how the command is used.
func (predictCmd) Help() string {
	return `Prints a line for each picture: its file, the class and the probability of that class. A file that is no picture is named, the others are done, and the exit code is 1; in a folder, what is not named like a picture is passed over.

    nnc predict catdog.nn photo.jpg
    nnc predict catdog.nn --weights model.h5 photos
    find photos -newer last | nnc predict catdog.nn -      names of pictures, or one picture

Other models take rows of tables with the columns of their training (.csv, .tsv), texts, one on each line (.txt) or in quotes, or their fields as JSON (.json): {"x": [1, 2]}.

    nnc predict reviews.nn "The plot was thin, but I loved every minute."

Ids of words are printed as the text that they make. Of a model that gives several things, each is printed with its name.`
}

// Run carries out the command.
func (c *predictCmd) Run(std *command.Streams) error {
	l, err := c.load(std, wantsData)
	if err != nil {
		return err
	}
	return c.Predict.Run(std, l.program(c.engine, c.weightsType))
}
