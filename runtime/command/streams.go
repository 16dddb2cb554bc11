package command

import (
	"io"

	"github.com/nnc-lang/nnc/runtime/term"
)

// Streams are where a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// OnTerminal reports whether results go to a terminal, which gets a progress bar.
func (s Streams) OnTerminal() bool { return term.IsTerminal(s.Out) }
