// Package exec runs programs that were compiled to machine code.
//
// A Program is plain data: kernels (code, and what is needed to size a use of it), and for each function of the module numbered slots for
// its values and the steps that compute them. A compiler makes it, or Decode reads it, so that running one needs no compiler. An Instance is
// a program with the memory of its cells: it implements runtime.Program.
//
//	program.go   what a program is; size.go: numbers that depend on the sizes of a call
//	encode.go    programs as bytes, and back; check.go: what holds in every program that is run
//	bind.go      steps for given sizes: chunks, rounds, and where in the arena values live (memory.go)
//	bounds.go    proofs that the cells' next values are finite
//	instance.go  cells and calls; kept.go: what is kept between calls; scan.go: loops; team.go: threads
//
// Chunks and the order in which partial results are combined depend on shapes alone, so that the bits of a result do not depend on the
// number of threads.
package exec

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Program is a compiled module as data.
type Program struct {
	// Module has the cells and the functions' signatures. Of a program that was decoded the functions have no bodies.
	Module *ir.Module

	Level   string // what the code needs of the processor, as code.Check knows it
	Kernels []Kernel
	Funcs   []Func // what computes the module's function of the same number

	Code   []byte // machine code of all kernels: one position-independent block
	Consts []byte // the elements of constants
}

// Note [Arguments of a kernel]
//
// A kernel has one argument, the address of 64-bit words: the range of points and the range of the split loop to compute, where to note an
// index that is outside its tensor (three words: noted, index, limit), the address of its scratch memory, the addresses of its results
// and of its operands, and then its sizes. All else is in the code.
const (
	WordP0 = iota
	WordP1
	WordR0
	WordR1
	WordFault
	WordScratch
	WordResult
)

// Kernel is a piece of code that some launches share.
type Kernel struct {
	Name     string // unique, for profiles
	Entry    int    // offset in the program's code
	Results  []tensor.DType
	Operands int

	Sizes   []Size // the numbers that the code is told
	Extents []Poly // of its loops: what the code counts in 32 bits
	Points  Poly   // the number of points, which chunks are ranges of
	Group   Poly   // neighbouring points that read the same part of a large operand: chunks are of whole groups where that leaves enough of them
	Splits  Poly   // the extent of the split loop, which rounds are ranges of
	Work    Poly   // the number of times that the body is computed; 0: the result has Identity everywhere
	Scratch Poly   // bytes of memory that a thread needs to itself, beside results and operands

	Cost     int    // of the body at a point, in multiplications and additions of a lane of a vector
	Products int    // multiplications and additions each time that the body is computed, if it is a product that is summed
	Clear    bool   // results are zeroed first, and one thread computes all
	Merge    int    // the kernel that combines the partial results of rounds; −1: there is one round
	Vectors  bool   // rounds are of whole vectors
	Across   bool   // each chunk goes over all that is reduced, many elements of the result at a time
	Identity []byte // an element of the result of no points
}

// Place says where a value lives while a call runs.
type Place uint8

// The places.
const (
	Arena Place = iota
	Param       // a tensor of the caller
	Const       // the program's constants
	Cell        // a cell, which steps from the gate on may change
	Alias       // another value
	places
)

// Slot is a value of a function.
type Slot struct {
	Type  ir.Type
	Place Place
	Index int // of the parameter, the offset of the constant, the number of the cell, the slot that holds the elements
}

// Step is what a function does next: one of its members is set.
type Step struct {
	Launch *Launch
	Move   *Move
	Store  *Store
	Scan   *Scan // the steps up to its End are its body
}

// Store copies a value into a row of a cell, in the midst of a call: that of dimension Axis whose number the element of At is; into none, if there
// is no such row. What lay there is put back if the call fails. To is the slot of the cell's value from then on; nothing reads the one before.
type Store struct{ To, From, At, Axis int }

// Move copies a value.
type Move struct{ To, From int }

// Launch is one use of a kernel. Its numbers are of slots.
type Launch struct {
	Kernel  int
	Args    []int
	Results []int
	Loc     ir.Loc
	What    string // for errors
	Sized   int    // ≥ 0: the kernel is told the number of that slot's elements as the symbol Count, and nothing of other symbols
}

// The symbols of kernels that work on any number of elements.
const (
	Count  = "N"
	Rounds = "R" // of partial results that are merged
)

// Commit gives a cell its next value: a slot's, which is copied behind the gate.
type Commit struct{ Cell, Slot int }

// Check is a slot, the result of a launch, that tells whether something is finite. If Proof shows that it is, the steps from First up to End, which
// compute the slot, need not run.
type Check struct {
	Slot       int
	What       string
	Proof      *Proof // nil: the slot is computed
	First, End int
}

// Func is a compiled function. A call runs the steps up to Doubt, evaluates the checks, each with its own of the steps from Doubt up to the gate,
// and copies the results; then nothing can fail any more, and it runs the other steps, which may write cells in place, and commits. Before the gate
// only stores write cells.
type Func struct {
	Slots   []Slot
	Steps   []Step
	Doubt   int // the first step that only a check needs
	Gate    int // the first step behind the gate
	Results []int
	Commits []Commit
	Checks  []Check
}

// changes reports whether a call may change a cell.
func (f *Func) changes() bool {
	return len(f.Commits) > 0 || f.Gate < len(f.Steps) || slices.ContainsFunc(f.Steps, func(s Step) bool { return s.Store != nil })
}

// Root returns the slot that holds the elements of slot s.
func (f *Func) Root(s int) int {
	for f.Slots[s].Place == Alias {
		s = f.Slots[s].Index
	}
	return s
}

// Scan is a loop in a function. Its body's steps follow it. In each round the counter and the slices are set, the body runs, its next carried
// values are moved to where the carried values live, and what it yields is moved to the stacked results. Its numbers are of slots.
type Scan struct {
	Trip     ir.Affine
	Reversed bool
	Axis     int
	End      int // the step after the body

	Counter         int
	State           []int // where carried values live
	Next            []int
	Staged          []int // where a next value waits that lies in the place of another carried one; −1: it need not
	Whole, Slices   []int // sequences, and one element of each
	Yields, Stacked []int
	Lengths         int // −1 for none
}

// own returns the slots that the scan needs in every round and before the body.
func (s *Scan) own() []int {
	var all []int
	for _, list := range [][]int{{s.Counter}, s.State, s.Staged, s.Whole, s.Slices, s.Stacked, {s.Lengths}} {
		for _, k := range list {
			if k >= 0 {
				all = append(all, k)
			}
		}
	}
	return all
}

// fromBody returns the slots that the scan needs after the body.
func (s *Scan) fromBody() []int { return append(append([]int{}, s.Next...), s.Yields...) }

// ElemSize returns the bytes of an element in memory.
func ElemSize(d tensor.DType) int {
	switch d {
	case tensor.Bool, tensor.U8:
		return 1
	case tensor.BF16:
		return 2
	}
	return 4
}

// Stored returns the type that a cell's elements have in memory.
func Stored(c *ir.Cell) tensor.DType {
	if c.Half {
		return tensor.BF16
	}
	return c.Type.DType
}
