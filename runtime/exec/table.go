package exec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// Table is a function of a program for given sizes, for those who run it by other means than an Instance: rows in the order in which they
// are done. It needs nothing of the program but Code and Consts.
type Table struct {
	Arena   int // bytes of memory that a call needs, aligned to 64
	Scratch int // bytes of scratch memory
	Words   int // the most words that a kernel is given, see Note [Arguments of a kernel]
	Rows    []Row
	Results []Ref // of the function
}

// Ref is memory: Bytes bytes from Offset on of the arena, the constants, parameter Index or cell Index.
type Ref struct {
	Place  Place // Arena, Param, Const or Cell
	Index  int
	Offset int
	Bytes  int
}

// Row is what is done next: one of its members is set.
type Row struct {
	Kernel *KernelRow
	Fill   *FillRow
	Copy   *CopyRow
	Loop   *LoopRow // the rows up to its End are its body
	Next   *NextRow // ends a loop's body
}

// KernelRow is one use of a kernel: its chunks of PerChunk points for each of its rounds.
type KernelRow struct {
	Entry   int   // offset in the program's code
	Results []Ref // each round's lie Stride bytes behind those of the last
	Args    []Ref
	Sizes   []int
	Clear   bool // results are zeroed first

	Points, PerChunk         int
	Splits, PerRound, Rounds int
	Stride                   int
	What                     string // for errors
}

// FillRow fills To with copies of Element.
type FillRow struct {
	To      Ref
	Element []byte
}

// CopyRow copies Outer pieces of Inner bytes, ToStep and FromStep bytes apart. In a loop, the rounds' pieces lie ToRound and FromRound bytes
// apart.
type CopyRow struct {
	To, From           Ref
	Outer, Inner       int
	ToStep, FromStep   int
	ToRound, FromRound int
}

// LoopRow begins a loop of Trip rounds, which go backwards if Reversed. Counter is an i32 with the number of the round.
type LoopRow struct {
	Trip     int
	Reversed bool
	Counter  Ref
	End      int // the row that ends the body
}

// NextRow goes back to the loop that begins at row Loop.
type NextRow struct{ Loop int }

// calmWork is the work of a chunk that takes some 0.1 ms, for programs that no garbage collection should have to wait for.
const calmWork = 2 << 20

// Table returns the rows of the function fn for given sizes of its symbols. No chunk takes much longer than 0.1 ms, unless a single point
// does.
//
// Errors: a function that does not exist, that changes cells, or that has examples with lengths of their own; a size that is missing.
func (p *Program) Table(fn string, bind map[string]int) (*Table, error) {
	at := slices.IndexFunc(p.Module.Funcs, func(f *ir.Func) bool { return f.Name == fn })
	if at < 0 {
		return nil, fmt.Errorf("there is no function %s", fn)
	}
	f := &p.Funcs[at]
	if f.changes() {
		return nil, fmt.Errorf("the function %s changes cells", fn)
	}
	b, err := p.bind(f, bind, false)
	if err != nil {
		return nil, err
	}
	t := &tableMaker{Program: p, bound: b, Table: &Table{Arena: b.arena}}
	if err := t.rows(0, len(b.runs)); err != nil {
		return nil, fmt.Errorf("%s: %w", fn, err)
	}
	for _, r := range f.Results {
		t.Results = append(t.Results, t.ref(r))
	}
	return t.Table, nil
}

type tableMaker struct {
	*Program
	*bound
	*Table
}

// ref returns where slot s lies.
func (t *tableMaker) ref(s int) Ref {
	root := t.fn.Root(s)
	sl := &t.fn.Slots[root]
	r := Ref{Place: sl.Place, Index: sl.Index, Bytes: product(t.shapes[root]) * ElemSize(sl.Type.DType)}
	switch sl.Place {
	case Arena:
		r.Index, r.Offset = 0, t.offset[root]
	case Const:
		r.Index, r.Offset = 0, sl.Index
	}
	return r
}

func (t *tableMaker) refs(slots []int) []Ref {
	refs := make([]Ref, len(slots))
	for k, s := range slots {
		refs[k] = t.ref(s)
	}
	return refs
}

func (t *tableMaker) rows(from, to int) error {
	for k := from; k < to; k++ {
		r := &t.runs[k]
		switch {
		case r.step.Move != nil:
			t.copy(t.ref(r.step.Move.To), t.ref(r.step.Move.From))
		case r.step.Scan != nil:
			if err := t.loop(r, k+1); err != nil {
				return err
			}
			k = r.end - 1
		default:
			t.kernel(r)
		}
	}
	return nil
}

func (t *tableMaker) copy(to, from Ref) {
	t.Rows = append(t.Rows, Row{Copy: &CopyRow{To: to, From: from, Outer: 1, Inner: to.Bytes}})
}

func (t *tableMaker) kernel(r *run) {
	k, l := &t.Kernels[r.kernel], r.step.Launch
	if r.fill {
		for _, z := range l.Results {
			t.Rows = append(t.Rows, Row{Fill: &FillRow{t.ref(z), k.Identity}})
		}
		return
	}
	row := &KernelRow{
		Entry: k.Entry, Results: t.refs(l.Results), Args: t.refs(l.Args), Sizes: r.sizes, Clear: k.Clear,
		Points: r.points, PerChunk: r.perChunk, Splits: r.splits, PerRound: r.perRound, Rounds: r.rounds, Stride: r.stride,
		What: l.Loc.Prefix() + l.What,
	}
	partial := Ref{Place: Arena, Offset: r.partial, Bytes: r.stride}
	switch {
	case r.merge:
		row.Args = []Ref{partial}
	case r.rounds > 1:
		row.Results = []Ref{partial}
	}
	if n, ok := k.Work.eval(r.sizes); ok == nil && n > 0 {
		if work := n / r.rounds * k.Cost; work > calmWork {
			row.PerChunk = max(1, min(row.PerChunk, int(float64(r.points)*calmWork/float64(work))))
		}
	}
	t.Scratch = max(t.Scratch, r.scratch)
	t.Words = max(t.Words, WordResult+len(row.Results)+len(row.Args)+len(row.Sizes))
	t.Rows = append(t.Rows, Row{Kernel: row})
}

func (t *tableMaker) loop(r *run, body int) error {
	s := r.step.Scan
	if s.Lengths >= 0 {
		return errors.New("examples have lengths of their own")
	}
	head := len(t.Rows)
	l := &LoopRow{Trip: r.trip, Reversed: s.Reversed, Counter: t.ref(s.Counter)}
	t.Rows = append(t.Rows, Row{Loop: l})
	for i, z := range s.Slices {
		c := t.element(s.Whole[i], z, s.Axis)
		c.To, c.From, c.ToStep, c.FromStep, c.ToRound, c.FromRound = c.From, c.To, c.FromStep, c.ToStep, c.FromRound, c.ToRound
		t.Rows = append(t.Rows, Row{Copy: c})
	}
	if err := t.rows(body, r.end); err != nil {
		return err
	}
	for i, y := range s.Yields {
		t.Rows = append(t.Rows, Row{Copy: t.element(s.Stacked[i], y, s.Axis)})
	}
	for i, z := range s.Next {
		if s.Staged[i] >= 0 {
			t.copy(t.ref(s.Staged[i]), t.ref(z))
		}
	}
	for i, z := range s.Next {
		from := z
		if s.Staged[i] >= 0 {
			from = s.Staged[i]
		}
		t.copy(t.ref(s.State[i]), t.ref(from))
	}
	l.End = len(t.Rows)
	t.Rows = append(t.Rows, Row{Next: &NextRow{head}})
	return nil
}

// element is the copy of a slice to its place along an axis of the whole.
func (t *tableMaker) element(whole, slice, axis int) *CopyRow {
	shape := t.shapes[whole]
	inner := product(shape[axis+1:]) * ElemSize(t.fn.Slots[whole].Type.DType)
	return &CopyRow{
		To: t.ref(whole), From: t.ref(slice), Outer: product(shape[:axis]), Inner: inner,
		ToStep: shape[axis] * inner, FromStep: inner, ToRound: inner,
	}
}
