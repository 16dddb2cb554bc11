package native

import (
	"fmt"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// scan lowers a scan and its body.
func (b *bodyLowering) scan(in *ir.Instr, args []int) error {
	sc, p := in.Scan, b.p
	if b.carried == nil { // not within another
		b.carry(sc.Body)
		defer func() { b.carried = nil }()
	}
	s := &exec.Scan{Trip: sc.Trip, Reversed: sc.Reversed, Axis: sc.Axis, Lengths: -1}
	for i := range sc.Carried {
		z := p.slot(exec.Slot{Type: p.Slots[args[i]].Type, Place: exec.Arena})
		s.State = append(s.State, z)
		p.move(z, args[i])
	}
	params := sc.Body.Params
	s.Counter = b.define(params[0], exec.Slot{Place: exec.Arena})
	rest := args[sc.Carried+sc.Slices:]
	if sc.Length {
		s.Lengths = rest[len(rest)-1]
		if len(params) == sc.Carried+sc.Slices+len(rest) {
			rest = rest[:len(rest)-1] // the body does not take the lengths
		}
	}
	for i, v := range params[1:] {
		var from ir.Type
		switch {
		case i < sc.Carried:
			from = p.Slots[s.State[i]].Type
			b.define(v, exec.Slot{Place: exec.Alias, Index: s.State[i]})
		case i < sc.Carried+sc.Slices:
			whole := args[i]
			from = p.Slots[whole].Type
			from.Shape = append(append([]ir.Affine{}, from.Shape[:sc.Axis]...), from.Shape[sc.Axis+1:]...)
			s.Whole, s.Slices = append(s.Whole, whole), append(s.Slices, b.define(v, exec.Slot{Place: exec.Arena}))
		default:
			from = p.Slots[rest[i-sc.Carried-sc.Slices]].Type
			b.define(v, exec.Slot{Place: exec.Alias, Index: rest[i-sc.Carried-sc.Slices]})
		}
		if !from.Equal(v.Type) {
			return fmt.Errorf("the scan's parameter %s is %v, but gets %v", v.Name, v.Type, from)
		}
	}
	p.Steps = append(p.Steps, exec.Step{Scan: s})
	if err := b.body(sc.Body); err != nil {
		return err
	}
	for i, r := range sc.Body.Results {
		z := b.number[r]
		if i >= sc.Carried {
			s.Yields = append(s.Yields, z)
			continue
		}
		s.Next = append(s.Next, z)
		staged := -1
		for k, other := range s.State {
			if root := p.Root(z); k != i && root == p.Root(other) {
				staged = p.slot(exec.Slot{Type: p.Slots[z].Type, Place: exec.Arena})
			}
		}
		s.Staged = append(s.Staged, staged)
	}
	// A body without steps still is a body.
	p.move(s.Counter, s.Counter)
	s.End = len(p.Steps)
	for i, r := range in.Results {
		if i < sc.Carried {
			b.define(r, exec.Slot{Place: exec.Alias, Index: s.State[i]})
		} else {
			s.Stacked = append(s.Stacked, b.define(r, exec.Slot{Place: exec.Arena}))
		}
	}
	return nil
}

// carry gives the cells that a scan's body writes a place to live in while it runs.
func (b *bodyLowering) carry(body *ir.Func) {
	b.carried = map[int]int{}
	eachCell(body, func(cell *ir.Cell, write bool) {
		c := b.cells[cell]
		if _, known := b.carried[c]; known || !write {
			return
		}
		from, ok := b.written[c]
		if !ok {
			from = b.p.slot(exec.Slot{Type: cell.Type, Place: exec.Cell, Index: c})
		}
		z := b.p.slot(exec.Slot{Type: cell.Type, Place: exec.Arena})
		b.p.move(z, from)
		b.carried[c], b.written[c] = z, z
	})
}
