// Package codegen turns modules of IR into programs that run. Its subpackages are the backends; this package holds the contract
// that they fulfil.
package codegen

import (
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// Backend compiles modules.
type Backend interface {
	// Name returns the word that names the backend on the command line.
	Name() string

	// Compile makes a program of a module that has been through the passes. All of its cells are zero at first.
	//
	// Errors: an instruction that the backend cannot compile.
	Compile(m *ir.Module, opts Options) (runtime.Program, error)
}

// Options are what a backend is told beside the module.
type Options struct {
	Precision tensor.DType // tensor.F32, which the zero value stands for, or tensor.F64 to compute f32 values in double precision
	Math      Math
	Disable   []string // what the backend does for speed alone and is to leave out, by its names
	Threads   int      // the most goroutines that compute at the same time; 0 stands for one on each core
}

// Math says which algorithms a backend may choose.
type Math uint8

const (
	// Fast allows algorithms that round more than sums in single precision do: Winograd's, whose results are off by at most 2e-6 of their
	// root mean square.
	Fast Math = iota
	// Strict allows sums in another order only.
	Strict
)
