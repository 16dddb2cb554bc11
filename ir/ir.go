// Package ir is the intermediate representation: modules of functions over tensors, in static single assignment form.
//
// There are few kinds of instruction (see ops.go). Nearly all computing is done by one of them, the nest: a loop nest with
// quasi-affine reads and one scalar expression as its body, which covers elementwise functions, broadcasts, transposes,
// reductions, matrix products, convolutions, pooling, gathers and scatters. Parameters, optimiser state and other memory
// that outlives a call are cells of the module, read and written by effects in program order.
//
// The batch is nothing but an outermost dimension, the symbol B. Text is a first-class form: Print and Parse are inverses.
package ir

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Type is the type of a value: an element type and a shape of dimensions.
type Type struct {
	DType tensor.DType
	Shape []Affine
}

// Scalar returns the type of a single element.
func Scalar(d tensor.DType) Type { return Type{DType: d} }

// Equal reports whether t and u have the same element type and the same dimensions.
func (t Type) Equal(u Type) bool {
	if t.DType != u.DType || len(t.Shape) != len(u.Shape) {
		return false
	}
	for i := range t.Shape {
		if !t.Shape[i].Equal(u.Shape[i]) {
			return false
		}
	}
	return true
}

// String formats t as f32[B, 3]; a scalar is f32[].
func (t Type) String() string {
	s := t.DType.String() + "["
	for i, d := range t.Shape {
		if i > 0 {
			s += ", "
		}
		s += d.String()
	}
	return s + "]"
}

// Bind binds the symbols that stand alone in t's shape to the sizes that v has, and checks that v then has type t, as far as all symbols of a
// dimension are known: a value of f64 passes for f32, since both are what a program calls f32.
//
// Errors: in what v differs, as "it was given …".
func (t Type) Bind(v *tensor.Tensor, symbols map[string]int) error {
	if v == nil {
		return errors.New("the argument is missing")
	}
	d := v.DType
	if d == tensor.F64 {
		d = tensor.F32
	}
	if d != t.DType || len(v.Shape) != len(t.Shape) {
		return fmt.Errorf("it was given %v", v)
	}
	if n := len(v.F32) + len(v.F64) + len(v.I32) + len(v.Bool); v.Len() != n {
		return fmt.Errorf("it was given %v with %d elements", v, n)
	}
	for i, dim := range t.Shape {
		if s, ok := dim.IsSymbol(); ok {
			if old, bound := symbols[s]; bound && old != v.Shape[i] {
				return fmt.Errorf("it was given %v, but %s is %d", v, s, old)
			}
			if v.Shape[i] < 1 {
				return fmt.Errorf("it was given %v, but %s must be at least 1", v, s)
			}
			symbols[s] = v.Shape[i]
		}
	}
	for i, dim := range t.Shape {
		known := true
		n := dim.EvalDim(func(s string) int {
			size, ok := symbols[s]
			known = known && ok
			return size
		})
		if known && n != v.Shape[i] {
			return fmt.Errorf("it was given %v", v)
		}
	}
	return nil
}

// Loc says where an instruction comes from, for messages, profiles and summaries.
type Loc struct {
	File      string
	Line, Col int
	Scope     string // path of the layer instance, such as "CatDog.conv2d_1"; "" outside layers
}

// Prefix formats l as the start of a message, "net.nn:3:5: in CatDog.conv2d: "; "" if nothing is known.
func (l Loc) Prefix() string {
	s := ""
	if l.File != "" {
		s = fmt.Sprintf("%s:%d:%d: ", l.File, l.Line, l.Col)
	}
	if l.Scope != "" {
		s += "in " + l.Scope + ": "
	}
	return s
}

// Module is a whole compiled program.
type Module struct {
	Cells []*Cell
	Funcs []*Func

	cells map[string]*Cell
	funcs map[string]*Func
}

// CellKind says what a cell is for, which decides the files it goes into.
type CellKind string

// The kinds of cells.
const (
	Param  CellKind = "param"  // trained; in weight files and checkpoints
	State  CellKind = "state"  // a layer's state, such as moving means; in weight files and checkpoints
	Slot   CellKind = "slot"   // an optimiser's memory; in checkpoints only
	Stream CellKind = "stream" // kept for each row of the batch; in checkpoints only
	Metric CellKind = "metric" // a metric's running state; in no file
	Part   CellKind = "part"   // what the parts of a batch have come to, see Stage; means nothing between calls, in no file
)

// Cell is memory that outlives a call.
type Cell struct {
	Name string // path, such as "CatDog.conv2d_1.kernel"
	Type Type
	Kind CellKind
	// Half says that the elements, which are f32, are rounded to bf16 whenever they are stored, and may lie in memory so. Arithmetic with them is in f32.
	Half bool
}

// Func is a function: parameters, a straight line of instructions, results.
type Func struct {
	Name        string
	Params      []*Value
	Body        []*Instr
	Results     []*Value
	ResultNames []string // one for each result; "" where it has none

	// Finite demands that the result named "loss" and all values written to cells are finite: a call that breaks this is an
	// error and leaves the cells as they were.
	Finite bool

	// Parts allows a call to compute its batch in parts of at most so many examples; 0 does not. The pass split turns it into Stages.
	Parts int

	// Batch is how many examples there are at most where Parts is set; 0: nobody knows.
	Batch int

	// Stages are what a call of the function begins with, in order.
	Stages []Stage
}

// Batch is the symbol of the batch, the first dimension of what is given for each example.
const Batch = "B"

// Stage is a function that is called before another one, whose parameters it has, and leaves its results in cells.
//
// A Size divides the batch: the function is called for each Size examples in turn, the last time for those that are left. Of the parameters
// whose first dimension is Batch it then gets the rows of these examples, and it has two more parameters, i32[] both: the number of its
// first example, and how many the whole batch has.
//
// If Most is not 0 the whole batch may have no more examples.
type Stage struct {
	Func       *Func
	Size, Most int
}

// Value is a parameter of a function or a result of an instruction.
type Value struct {
	Name string // hint for the printer, made unique there; may be empty
	Type Type
	Def  *Instr // nil for a function's parameter
}

// PerExample reports whether v has a row for each example of the batch.
func (v *Value) PerExample() bool {
	if len(v.Type.Shape) == 0 {
		return false
	}
	s, ok := v.Type.Shape[0].IsSymbol()
	return ok && s == Batch
}

// Instr is one instruction. Which of the fields after Results are used depends on Op, see the rows of the op table.
type Instr struct {
	Op      Op
	Args    []*Value
	Results []*Value
	Loc     Loc

	Nest *Nest          // OpNest
	Data *tensor.Tensor // OpConst
	Cell *Cell          // OpRead, OpWrite
	Call *Func          // OpCall
	Scan *Scan          // OpScan
}

// Scan is the part of a scan instruction that no other has: a loop with carried state and a body of its own.
//
// The instruction's operands are the initial carried values, then the sequences (their dimension Axis is stepped through),
// then the values that the body uses unchanged. The body's parameters are the counter (i32[]), the carried values, one
// slice of each sequence, and the unchanged values; its results are the next carried values, then what it yields. The
// instruction's results are the final carried values, then the yields stacked along Axis.
type Scan struct {
	Body     *Func
	Trip     Affine // number of rounds
	Carried  int
	Slices   int
	Axis     int // of the sequences and the stacked yields
	Reversed bool
	Length   bool // the last operand is i32[B]: each example's own number of rounds; later ones leave its carried values alone and yield zero
}

// Combine says how the points of a nest that fall on one element are combined.
type Combine uint8

// The ways of combining. Map means that there is one point for each element.
const (
	Map Combine = iota
	Sum
	Prod
	Max
	Min
	ArgMax // i32: the number of the first greatest point, in row-major order of the reduced indices
	ArgMin
)

var combineNames = [...]string{"map", "sum", "prod", "max", "min", "argmax", "argmin"}

// String returns the word that the text form uses.
func (c Combine) String() string { return combineNames[c] }

// Nest is a loop nest: the points of Index, in which Body is computed and combined into the result.
//
// In the gather form (Write == nil) the first Out indices are the result's dimensions in order and the others are reduced.
// In the scatter form every point adds Body to the element of the result at Write; Out is 0 and Combine is Sum.
//
// A point at which a guard fails takes no part: a Map element is 0 there (false, for bool), a reduction passes over it.
// A reduction of no points is its combiner's identity; ArgMax and ArgMin of no points are 0.
type Nest struct {
	Combine Combine
	Index   []Index
	Out     int
	Write   []Affine // scatter form: one for each dimension of the result
	Shape   []Affine // scatter form: the result's dimensions
	Guards  []Guard
	Body    *Expr
}

// Index is one loop of a nest, over [0, Extent).
type Index struct {
	Name   string
	Extent Affine
}

// Guard demands 0 ≤ E < Limit. An example's own length guards an index with Limit = a load from the batch's lengths.
type Guard struct{ E, Limit Affine }

// Expr is a scalar expression tree, the body of a nest.
type Expr struct {
	Op     Op // a row of class scalar, or one of OpRead…: see Leaf
	DType  tensor.DType
	Args   []*Expr
	Leaf   Leaf
	Value  float64 // LeafConst; exact for i32, 0 or 1 for bool
	Read   *Read   // LeafRead
	Affine *Affine // LeafIndex: an index expression as an i32 number
}

// Leaf tells what an expression without arguments is.
type Leaf uint8

// The leaves.
const (
	NotLeaf Leaf = iota
	LeafConst
	LeafRead
	LeafIndex
)

// Read is one element of an operand: Index has one entry for each of its dimensions.
type Read struct {
	Operand int // number among the instruction's operands
	Index   []Affine
	Guarded bool // outside the operand it is Else; otherwise it is proved inside, or is data and checked when it runs
	Else    float64
}

// NewModule returns an empty module.
func NewModule() *Module {
	return &Module{cells: map[string]*Cell{}, funcs: map[string]*Func{}}
}

// AddCell adds a cell; its name must be new.
func (m *Module) AddCell(c *Cell) *Cell {
	if m.cells[c.Name] != nil {
		panic(fmt.Sprintf("BUG: cell %s added twice", c.Name))
	}
	m.cells[c.Name] = c
	m.Cells = append(m.Cells, c)
	return c
}

// AddFunc adds a function; its name must be new.
func (m *Module) AddFunc(f *Func) *Func {
	if m.funcs[f.Name] != nil {
		panic(fmt.Sprintf("BUG: function %s added twice", f.Name))
	}
	m.funcs[f.Name] = f
	m.Funcs = append(m.Funcs, f)
	return f
}

// AddStage adds a function whose name must be new in front of f, which must be in m, and makes it the last of f's stages.
func (m *Module) AddStage(f *Func, s Stage) {
	m.AddFunc(s.Func)
	m.Funcs = slices.Insert(m.Funcs[:len(m.Funcs)-1], slices.Index(m.Funcs, f), s.Func)
	f.Stages = append(f.Stages, s)
}

// Keep drops all functions but these, which must call none of the others, and their stages.
func (m *Module) Keep(names ...string) {
	for _, name := range names {
		if f := m.funcs[name]; f != nil {
			for _, s := range f.Stages {
				names = append(names, s.Func.Name)
			}
		}
	}
	m.Funcs = slices.DeleteFunc(m.Funcs, func(f *Func) bool {
		if slices.Contains(names, f.Name) {
			return false
		}
		delete(m.funcs, f.Name)
		return true
	})
}

// Drop drops these functions, which no other may call, and their stages.
func (m *Module) Drop(names ...string) {
	gone := map[string]bool{}
	for _, name := range names {
		gone[name] = true
		if f := m.funcs[name]; f != nil {
			for _, s := range f.Stages {
				gone[s.Func.Name] = true
			}
		}
	}
	var kept []string
	for _, f := range m.Funcs {
		if !gone[f.Name] {
			kept = append(kept, f.Name)
		}
	}
	m.Keep(kept...)
}

// Cell returns the cell of that name, or nil.
func (m *Module) Cell(name string) *Cell { return m.cells[name] }

// Func returns the function of that name, or nil.
func (m *Module) Func(name string) *Func { return m.funcs[name] }

// Result returns the only result of an instruction.
func (i *Instr) Result() *Value {
	if len(i.Results) != 1 {
		panic(fmt.Sprintf("BUG: %s has %d results", i.Op, len(i.Results)))
	}
	return i.Results[0]
}

// Extent returns the extent of loop index i, in the form that BoundsOf takes.
func (n *Nest) Extent(i int) Affine { return n.Index[i].Extent }

// ResultShape returns the dimensions of the nest's result.
func (n *Nest) ResultShape() []Affine {
	if n.Write != nil {
		return n.Shape
	}
	shape := make([]Affine, n.Out)
	for i := range shape {
		shape[i] = n.Index[i].Extent
	}
	return shape
}

// ResultDType returns the element type of the nest's result.
func (n *Nest) ResultDType() tensor.DType {
	if n.Combine == ArgMax || n.Combine == ArgMin {
		return tensor.I32
	}
	return n.Body.DType
}
