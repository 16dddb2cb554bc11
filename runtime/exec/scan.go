package exec

import "unsafe"

// scan runs the rounds of a scan, whose body are the runs from body on.
func (f *frame) scan(r *run, body int) error {
	s := r.step.Scan
	var lengths []int32
	if s.Lengths >= 0 {
		b := f.bytes[s.Lengths]
		lengths = unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
	}
	for k := range r.trip {
		t := k
		if s.Reversed {
			t = r.trip - 1 - k
		}
		*(*int32)(unsafe.Pointer(unsafe.SliceData(f.bytes[s.Counter]))) = int32(t)
		for i, z := range s.Slices {
			f.element(s.Whole[i], z, s.Axis, t, false, nil)
		}
		if err := f.runAll(body, r.end); err != nil {
			return err
		}
		for i, y := range s.Yields {
			f.element(s.Stacked[i], y, s.Axis, t, true, f.ended(y, lengths, t))
		}
		for i, z := range s.Next {
			if s.Staged[i] >= 0 {
				copy(f.bytes[s.Staged[i]], f.bytes[z])
			}
		}
		for i, z := range s.Next {
			from := f.bytes[z]
			if s.Staged[i] >= 0 {
				from = f.bytes[s.Staged[i]]
			}
			to := f.bytes[s.State[i]]
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
