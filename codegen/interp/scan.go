package interp

import "github.com/nnc-lang/nnc/ir/tensor"

// scan runs the body of a scan once for each step of its sequences.
func (m *machine[F]) scan(p *plan[F], s *step[F], fr *frame[F], args []*buffer[F]) error {
	sc := s.in.Scan
	carried := make([]*buffer[F], sc.Carried)
	for i := range carried {
		carried[i] = args[i]
		carried[i].refs++
	}
	defer func() {
		for _, c := range carried {
			if c != nil {
				m.mem.release(c)
			}
		}
	}()
	rest := args[sc.Carried+sc.Slices:]
	var lengths []int32
	if sc.Length {
		lengths = rest[len(rest)-1].i
		if len(sc.Body.Params) == 1+sc.Carried+sc.Slices+len(rest)-1 {
			rest = rest[:len(rest)-1] // the body does not take the lengths
		}
	}
	for _, r := range s.results[sc.Carried:] {
		fr.slots[r] = m.mem.alloc(p.types[r].dtype, product(p.types[r].shape))
	}
	for k := range s.trip {
		t := k
		if sc.Reversed {
			t = s.trip - 1 - k
		}
		counter := m.mem.alloc(tensor.I32, 1)
		counter.i[0] = int32(t)
		in := []*buffer[F]{counter}
		for _, c := range carried {
			c.refs++
			in = append(in, c)
		}
		for i := range sc.Slices {
			a := s.args[sc.Carried+i]
			typ := p.types[a]
			slice := m.mem.alloc(typ.dtype, product(without(typ.shape, sc.Axis)))
			moveSlice(fr.slots[a], slice, typ.shape, sc.Axis, t, false)
			in = append(in, slice)
		}
		for _, u := range rest {
			u.refs++
			in = append(in, u)
		}
		out, err := m.run(s.body, in)
		if err != nil {
			return err
		}
		for i := range carried {
			next := out[i]
			if lengths != nil {
				next = m.keepEnded(next, carried[i], p.types[s.results[i]].shape, lengths, t)
			}
			m.mem.release(carried[i])
			carried[i] = next
		}
		for i, r := range s.results[sc.Carried:] {
			y := out[sc.Carried+i]
			if lengths != nil {
				y = m.keepEnded(y, nil, s.body.types[s.body.results[sc.Carried+i]].shape, lengths, t)
			}
			moveSlice(fr.slots[r], y, p.types[r].shape, sc.Axis, t, true)
			m.mem.release(y)
		}
	}
	for i := range carried {
		fr.slots[s.results[i]] = carried[i]
		carried[i] = nil
	}
	return nil
}

// keepEnded returns next, or a copy of it in which the rows of examples whose sequences have ended before step t are those of old, or zero
// without an old. A value that has no dimension of examples is not touched. It takes over the hold on next.
func (m *machine[F]) keepEnded(next, old *buffer[F], shape []int, lengths []int32, t int) *buffer[F] {
	if len(shape) == 0 || shape[0] != len(lengths) {
		return next
	}
	ended := false
	for _, n := range lengths {
		ended = ended || t >= int(n)
	}
	if !ended {
		return next
	}
	c := m.mem.clone(next)
	m.mem.release(next)
	if old == nil {
		old = &buffer[F]{}
	}
	row := product(shape[1:])
	for b, n := range lengths {
		if t >= int(n) {
			from, to := b*row, (b+1)*row
			replace(c.f, old.f, from, to)
			replace(c.i, old.i, from, to)
			replace(c.b, old.b, from, to)
		}
	}
	return c
}

func replace[T any](dst, src []T, from, to int) {
	switch {
	case dst == nil:
	case src == nil:
		clear(dst[from:to])
	default:
		copy(dst[from:to], src[from:to])
	}
}

// moveSlice copies element t along an axis of whole to slice, or back.
func moveSlice[F float](whole, slice *buffer[F], shape []int, axis, t int, back bool) {
	outer, n, inner := product(shape[:axis]), shape[axis], product(shape[axis+1:])
	move(whole.f, slice.f, outer, n, inner, t, back)
	move(whole.i, slice.i, outer, n, inner, t, back)
	move(whole.b, slice.b, outer, n, inner, t, back)
}

func move[T any](whole, slice []T, outer, n, inner, t int, back bool) {
	if len(whole) == 0 {
		return
	}
	for o := range outer {
		w, s := whole[(o*n+t)*inner:][:inner], slice[o*inner:][:inner]
		if back {
			copy(w, s)
		} else {
			copy(s, w)
		}
	}
}
