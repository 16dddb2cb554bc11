// Command main is the program in every executable that `nnc build` makes: alone it is nothing, a model attached to it is what it trains,
// measures and predicts with. It holds no compiler.
package main

import (
	"os"

	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/main/model"
)

// Source says which source this was built from, for `nnc build` to find out whether it fits. The linker sets it.
var Source = "unknown"

func main() {
	std := command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	os.Exit(model.Run(os.Args, std, Source))
}
