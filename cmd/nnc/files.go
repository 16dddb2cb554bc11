package main

import (
	"io/fs"

	"github.com/google/renameio/v2"
)

// writeAtomically writes a file as a whole or not at all.
func writeAtomically(path string, text []byte, mode fs.FileMode) error {
	return renameio.WriteFile(path, text, mode)
}
