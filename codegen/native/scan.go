package native

import (
	"fmt"
	"unsafe"

	"github.com/nnc-lang/nnc/ir"
)

// scan is a loop in a procedure. Its body's steps follow it. In each round the counter and the slices are set, the body runs, its next carried
// values are moved to where the carried values live, and what it yields is moved to the stacked results.
type scan struct {
	trip     ir.Affine
	reversed bool
	axis     int
	end      int // the step after the body

	counter         int
	state           []int // where carried values live
	next            []int
	staged          []int // where a next value waits that lies in the place of another carried one; −1: it need not
	whole, slices   []int // sequences, and one element of each
	yields, stacked []int
	lengths         int // −1 for none
}

// own returns the slots that the scan needs in every round and before the body.
func (s *scan) own() []int {
	var all []int
	for _, list := range [][]int{{s.counter}, s.state, s.staged, s.whole, s.slices, s.stacked, {s.lengths}} {
		for _, k := range list {
			if k >= 0 {
				all = append(all, k)
			}
		}
	}
	return all
}

// fromBody returns the slots that the scan needs after the body.
func (s *scan) fromBody() []int { return append(append([]int{}, s.next...), s.yields...) }

// scan lowers a scan and its body.
func (b *bodyLowering) scan(in *ir.Instr, args []int) error {
	sc, p := in.Scan, b.p
	s := &scan{trip: sc.Trip, reversed: sc.Reversed, axis: sc.Axis, lengths: -1}
	for i := range sc.Carried {
		z := p.slot(slot{typ: p.slots[args[i]].typ, place: inArena})
		s.state = append(s.state, z)
		p.steps = append(p.steps, step{move: &move{z, args[i]}})
	}
	params := sc.Body.Params
	s.counter = b.define(params[0], slot{place: inArena})
	rest := args[sc.Carried+sc.Slices:]
	if sc.Length {
		s.lengths = rest[len(rest)-1]
		if len(params) == sc.Carried+sc.Slices+len(rest) {
			rest = rest[:len(rest)-1] // the body does not take the lengths
		}
	}
	for i, v := range params[1:] {
		var from ir.Type
		switch {
		case i < sc.Carried:
			from = p.slots[s.state[i]].typ
			b.define(v, slot{place: inAlias, index: s.state[i]})
		case i < sc.Carried+sc.Slices:
			whole := args[i]
			from = p.slots[whole].typ
			from.Shape = append(append([]ir.Affine{}, from.Shape[:sc.Axis]...), from.Shape[sc.Axis+1:]...)
			s.whole, s.slices = append(s.whole, whole), append(s.slices, b.define(v, slot{place: inArena}))
		default:
			from = p.slots[rest[i-sc.Carried-sc.Slices]].typ
			b.define(v, slot{place: inAlias, index: rest[i-sc.Carried-sc.Slices]})
		}
		if !from.Equal(v.Type) {
			return fmt.Errorf("the scan's parameter %s is %v, but gets %v", v.Name, v.Type, from)
		}
	}
	p.steps = append(p.steps, step{scan: s})
	b.scans++
	if err := b.body(sc.Body); err != nil {
		return err
	}
	b.scans--
	for i, r := range sc.Body.Results {
		z := b.number[r]
		if i >= sc.Carried {
			s.yields = append(s.yields, z)
			continue
		}
		s.next = append(s.next, z)
		staged := -1
		for k, other := range s.state {
			if root := p.root(z); k != i && root == p.root(other) {
				staged = p.slot(slot{typ: p.slots[z].typ, place: inArena})
			}
		}
		s.staged = append(s.staged, staged)
	}
	// A body without steps still is a body.
	p.steps = append(p.steps, step{move: &move{s.counter, s.counter}})
	s.end = len(p.steps)
	for i, r := range in.Results {
		if i < sc.Carried {
			b.define(r, slot{place: inAlias, index: s.state[i]})
		} else {
			s.stacked = append(s.stacked, b.define(r, slot{place: inArena}))
		}
	}
	return nil
}

// scan runs the rounds of a scan, whose body are the runs from body on.
func (f *frame) scan(r *run, body int) error {
	s := r.step.scan
	var lengths []int32
	if s.lengths >= 0 {
		b := f.bytes[s.lengths]
		lengths = unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
	}
	for k := range r.trip {
		t := k
		if s.reversed {
			t = r.trip - 1 - k
		}
		*(*int32)(unsafe.Pointer(unsafe.SliceData(f.bytes[s.counter]))) = int32(t)
		for i, z := range s.slices {
			f.element(s.whole[i], z, s.axis, t, false, nil)
		}
		if err := f.runAll(body, r.end); err != nil {
			return err
		}
		for i, y := range s.yields {
			f.element(s.stacked[i], y, s.axis, t, true, f.ended(y, lengths, t))
		}
		for i, z := range s.next {
			if s.staged[i] >= 0 {
				copy(f.bytes[s.staged[i]], f.bytes[z])
			}
		}
		for i, z := range s.next {
			from := f.bytes[z]
			if s.staged[i] >= 0 {
				from = f.bytes[s.staged[i]]
			}
			to := f.bytes[s.state[i]]
			ended := f.ended(z, lengths, t)
			if ended == nil {
				copy(to, from)
				continue
			}
			row := len(to) / len(ended)
			for b, e := range ended {
				if !e {
					copy(to[b*row:(b+1)*row], from[b*row:])
				}
			}
		}
	}
	return nil
}

// ended tells which examples' sequences have ended before step t, for a value with a dimension of examples; nil: none.
func (f *frame) ended(s int, lengths []int32, t int) []bool {
	shape := f.shapes[s]
	if len(shape) == 0 || shape[0] != len(lengths) {
		return nil
	}
	ended, some := make([]bool, len(lengths)), false
	for b, n := range lengths {
		ended[b] = t >= int(n)
		some = some || ended[b]
	}
	if !some {
		return nil
	}
	return ended
}

// element copies element t along an axis of one slot to another, or back; the rows of ended examples are zero then.
func (f *frame) element(whole, slice, axis, t int, back bool, ended []bool) {
	shape := f.shapes[whole]
	outer, n := product(shape[:axis]), shape[axis]
	inner := product(shape[axis+1:]) * elemSize(f.proc.slots[whole].typ.DType)
	w, s := f.bytes[whole], f.bytes[slice]
	for o := range outer {
		a, b := w[(o*n+t)*inner:][:inner], s[o*inner:][:inner]
		switch {
		case !back:
			copy(b, a)
		default:
			copy(a, b)
		}
	}
	if ended == nil {
		return
	}
	// The first dimension of the slice is the examples': within the whole that is dimension 0, or 1 behind the axis.
	for b, e := range ended {
		if !e {
			continue
		}
		if axis == 0 {
			row := inner / len(ended)
			clear(w[t*inner+b*row:][:row])
			continue
		}
		rows := outer / len(ended)
		for o := b * rows; o < (b+1)*rows; o++ {
			clear(w[(o*n+t)*inner:][:inner])
		}
	}
}
