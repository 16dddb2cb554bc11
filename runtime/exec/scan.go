package exec

import (
	"slices"
	"unsafe"
)

// Note [Elements of sequences]
//
// In a scan along dimension 0, whose examples have no lengths of their own, an element of a sequence is a piece of it. Nothing is copied there: in each round the
// slice's slot lies in the sequence, and what a launch yields is written where it belongs. A next carried value is not copied either: its memory
// and that of the carried one change places, or the carried one lies where the value was stacked. In other scans, and for values that are something else,
// such as a yield that is carried, elements are copied. Nothing of this is in the program; it follows from it when a function is bound.

// inPlace tells what of a scan is not copied.
type inPlace struct {
	slices []bool // of Slices
	yields []bool // of Yields
	next   []nextKind
}

// nextKind says how a next carried value gets to where it is carried.
type nextKind uint8

const (
	copied  nextKind = iota
	swapped          // its memory and the carried one's change places
	stays            // it stays where it was stacked
)

// scanInPlace finds what of scan s, whose body is the steps from number body on, need not be copied.
func (b *bound) scanInPlace(s *Scan, body int) *inPlace {
	p := &inPlace{make([]bool, len(s.Slices)), make([]bool, len(s.Yields)), make([]nextKind, len(s.Next))}
	if s.Axis != 0 || s.Lengths >= 0 {
		return p
	}
	f := b.fn
	launched := map[int]bool{} // slots in memory of their own that the body's launches make
	depth := 0                 // of scans within the body
	for k := body; k < s.End; k++ {
		st := &f.Steps[k]
		if st.Scan != nil {
			depth = max(depth, st.Scan.End)
		}
		if st.Launch != nil && k >= depth {
			for _, z := range st.Launch.Results {
				launched[z] = f.Slots[z].Place == Arena && !b.kept.has(z)
			}
		}
	}
	for i, z := range s.Slices {
		p.slices[i] = f.Slots[z].Place == Arena
	}
	for i, y := range s.Yields {
		p.yields[i] = launched[y] && slices.Index(s.Yields, y) == i
	}
	for i, z := range s.Next {
		if !launched[z] || s.Staged[i] >= 0 || slices.Index(s.Next, z) != i || f.Slots[s.State[i]].Place != Arena {
			continue
		}
		p.next[i] = swapped
		if slices.Contains(s.Yields, z) {
			p.next[i] = stays
		}
	}
	return p
}

// place lets a slot, and those that are other names of it, lie in other memory.
func (f *frame) place(s int, memory []byte) {
	f.bytes[s], f.base[s] = memory, address(memory)
	for _, a := range f.aliases[s] {
		f.bytes[a], f.base[a] = memory, f.base[s]
	}
}

// piece returns element t of the slot whole along dimension 0.
func (f *frame) piece(whole, t int) []byte {
	w := f.bytes[whole]
	n := len(w) / max(1, f.shapes[whole][0])
	return w[t*n:][:n]
}

// scan runs the rounds of a scan, whose body are the runs from body on.
func (f *frame) scan(r *run, body int) error {
	s, p := r.step.Scan, r.inPlace
	var lengths []int32
	if s.Lengths >= 0 {
		b := f.bytes[s.Lengths]
		lengths = unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
	}
	home := make([][]byte, len(s.State)) // of the carried values and the next ones
	away := make([][]byte, len(s.State))
	for i, z := range s.State {
		home[i], away[i] = f.bytes[z], f.bytes[s.Next[i]]
	}
	for k := range r.trip {
		t := k
		if s.Reversed {
			t = r.trip - 1 - k
		}
		*(*int32)(unsafe.Pointer(unsafe.SliceData(f.bytes[s.Counter]))) = int32(t)
		for i, z := range s.Slices {
			if p.slices[i] {
				f.place(z, f.piece(s.Whole[i], t))
			} else {
				f.element(s.Whole[i], z, s.Axis, t, false, nil)
			}
		}
		for i, y := range s.Yields {
			if p.yields[i] {
				f.place(y, f.piece(s.Stacked[i], t))
			}
		}
		if err := f.runAll(body, r.end); err != nil {
			return err
		}
		for i, y := range s.Yields {
			if !p.yields[i] {
				f.element(s.Stacked[i], y, s.Axis, t, true, f.ended(y, lengths, t))
			}
		}
		f.carry(s, p, lengths, t)
	}
	for i, z := range s.State {
		if p.next[i] == copied {
			continue
		}
		copy(home[i], f.bytes[z])
		f.place(z, home[i])
		if p.next[i] == swapped {
			f.place(s.Next[i], away[i])
		}
	}
	return nil
}

// carry makes the next carried values the carried ones, after round t.
func (f *frame) carry(s *Scan, p *inPlace, lengths []int32, t int) {
	for i, z := range s.Next {
		if s.Staged[i] >= 0 {
			copy(f.bytes[s.Staged[i]], f.bytes[z])
		}
	}
	for i, z := range s.Next {
		from, to := f.bytes[z], f.bytes[s.State[i]]
		switch p.next[i] {
		case swapped:
			f.place(s.State[i], from)
			f.place(z, to)
			continue
		case stays:
			f.place(s.State[i], from)
			continue
		}
		if s.Staged[i] >= 0 {
			from = f.bytes[s.Staged[i]]
		}
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
	inner := product(shape[axis+1:]) * ElemSize(f.fn.Slots[whole].Type.DType)
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
