package main

import (
	"io"

	"github.com/nnc-lang/nnc/runtime/term"
)

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// onTerminal reports whether results go to a terminal, which gets a progress bar.
func (s streams) onTerminal() bool { return term.IsTerminal(s.out) }
