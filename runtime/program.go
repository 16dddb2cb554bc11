// Package runtime is what a compiled model needs to live. Its subpackages hold data sources, the training loop, weight files
// and the terminal; this package holds the one interface through which they know a compiled program.
package runtime

import (
	"fmt"
	"time"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Program is a compiled module together with the memory of its cells. A backend makes it.
type Program interface {
	// Call runs the function fn. Symbols, such as the batch, take the sizes that the arguments have. The results belong to the
	// caller. A call takes effect on the cells as a whole or, where it returns an error, not at all.
	//
	// Errors: *NonFiniteError where the function demands finite values; an index that is data outside its tensor.
	Call(fn string, args ...*tensor.Tensor) ([]*tensor.Tensor, error)

	// Cell returns a copy of a cell's value.
	Cell(name string) (*tensor.Tensor, error)

	// SetCell gives a cell a value, which must have its shape; elements are converted to the program's precision.
	SetCell(name string, t *tensor.Tensor) error

	// Module returns the IR that the program was compiled from: its functions' signatures and its cells.
	Module() *ir.Module
}

// Viewer is a Program that can show its cells' values without copying them.
type Viewer interface {
	// View calls f, which may use what cell returns until it returns itself, must not change it, and must not call the program otherwise.
	View(f func(cell func(name string) (*tensor.Tensor, error)) error) error
}

// View is p's own View; where p has none, values are copied.
func View(p Program, f func(cell func(name string) (*tensor.Tensor, error)) error) error {
	if v, ok := p.(Viewer); ok {
		return v.View(f)
	}
	return f(p.Cell)
}

// Profiler is a Program that tells what its calls consist of.
type Profiler interface {
	Program

	// Profile makes a call as Call does, and tells how long each of its parts took, in their order.
	Profile(fn string, args ...*tensor.Tensor) ([]Part, error)
}

// Part is one kernel's work in a call.
type Part struct {
	What     string // what it computes: the combiner or the op of its nest
	Loc      ir.Loc // what it was made of
	Elapsed  time.Duration
	Products float64 // the multiplications and additions of sums of products that it carries out
	Bytes    float64 // of its operands and its result
}

// RangeError says that an index that is data, such as the number of a class or a word, was outside its tensor.
type RangeError struct{ Index, Limit int }

// Error names the index and what it may be.
func (e *RangeError) Error() string {
	return fmt.Sprintf("index %d is outside [0, %d)", e.Index, e.Limit)
}

// NonFiniteError says that a call met an infinite value or one that is not a number, and where it arose.
type NonFiniteError struct {
	What string // what was found not to be finite: "loss", or the name of a cell
	Op   string // the first operation whose result was not finite although its operands were
	Loc  ir.Loc // where that operation stands
	Note string // what it computed, such as "log of 0"; may be empty
}

// Error names the place.
func (e *NonFiniteError) Error() string {
	s := fmt.Sprintf("%s is not a finite number; the first operation to give one is %s", e.What, e.Op)
	if e.Note != "" {
		s += " (" + e.Note + ")"
	}
	if e.Loc.File != "" {
		s += fmt.Sprintf(" at %s:%d:%d", e.Loc.File, e.Loc.Line, e.Loc.Col)
	}
	if e.Loc.Scope != "" {
		s += " in " + e.Loc.Scope
	}
	return s
}
