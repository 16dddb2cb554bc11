package main

import (
	"fmt"
	"strings"

	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// weightsCmd lists what files of weights hold.
type weightsCmd struct {
	Files []string `arg:"" help:"Files of weights: .h5, .weights.h5, .keras, .safetensors, .npz." name:"file"`
}

// Help shows how the command is used.
func (weightsCmd) Help() string {
	return `Prints a line for each tensor: its name, type and shape. These are the names that --map wants, a layer's being all but the last part. PyTorch's parameters have the names that they get here.

    nnc weights resnet.safetensors
    nnc run photos.nn --weights resnet.safetensors --map conv2d=conv1 --partial`
}

// Run carries out the command.
func (c *weightsCmd) Run(std *command.Streams) error {
	return each(std, c.Files, func(name string) error {
		if err := command.CheckFile(name); err != nil {
			return err
		}
		f, err := weights.Read(name)
		if err != nil {
			return err
		}
		width, total := 0, 0
		for _, e := range f.Entries() {
			width = max(width, len(e.Path))
		}
		for _, e := range f.Entries() {
			dims := make([]string, len(e.Tensor.Shape))
			for i, d := range e.Tensor.Shape {
				dims[i] = fmt.Sprint(d)
			}
			fmt.Fprintf(std.Out, "%-*s  %s[%s]\n", width, e.Path, e.Tensor.DType, strings.Join(dims, ", "))
			total += e.Tensor.Len()
		}
		_, err = fmt.Fprintf(std.Out, "%d tensors, %d numbers\n", len(f.Entries()), total)
		return err
	})
}
