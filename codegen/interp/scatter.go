package interp

import "github.com/nnc-lang/nnc/ir/tensor"

// scatterTile is how much of the innermost loop one job of a scatter has.
const scatterTile = 64

// splitScatter divides a scatter into jobs over ranges of the innermost loop if points that differ in it never fall on one element.
// Otherwise it is one job: points are added in row-major order, so that a sum's bits are always the same.
func (t *nest[F]) splitScatter(innermost int) {
	disjoint := false
	for i := range t.write.dims {
		x := &t.write.dims[i]
		disjoint = disjoint || !t.write.flat && x.isLinear() && len(x.lin) == 1 && x.lin[0].loop == innermost
	}
	tile := t.inner
	if disjoint {
		tile = scatterTile
	}
	for v := 0; v < t.inner; v += tile {
		t.parts = append(t.parts, part{0, t.outer, 0, t.reduced, v, min(t.inner, v+tile)})
	}
}

// runScatter adds every point to its element, floats in double precision.
func (t *nest[F]) runScatter(team *team[F], args []*buffer[F], out *buffer[F]) {
	points := t.outer * t.reduced * t.inner
	var sums []float64
	if t.dtype == tensor.F32 {
		sums = make([]float64, t.length)
	} else {
		clear(out.i)
	}
	team.run(len(t.parts), points*max(1, len(t.body.nodes)), func(w *worker[F], job int) {
		t.begin(w, args, t.parts[job])
		for w.cursor.next(&w.strip, w) {
			t.body.run(w)
			if w.bad != nil {
				break
			}
			if t.dtype == tensor.F32 {
				scatterStrip(w, t.write, sums, w.f[t.body.root])
			} else {
				scatterStrip(w, t.write, out.i, w.i[t.body.root])
			}
		}
		t.end(w, job)
	})
	for k, s := range sums {
		out.f[k] = F(s)
	}
}

// scatterStrip adds x to the elements of sums that the strip's points write.
func scatterStrip[S, T number, F float](w *worker[F], a *access, sums []S, x []T) {
	st := &w.strip
	width := len(st.loops) / max(1, len(st.segs))
	for _, s := range st.segs {
		w.point = append(w.point[:0], st.loops[s.row:s.row+width]...)
		off, step := 0, a.stride
		for k := range s.n {
			switch {
			case k == 0 || a.irregular:
				off, _ = w.offset(a, w.point)
			case a.flat:
				off += step
			default:
				// Along a regular row only checked dimensions need a new look.
				w.check(a, w.point)
				off += step
			}
			if w.bad != nil {
				return
			}
			sums[off] += S(x[s.pos+k])
			w.point[width-1]++
		}
	}
}

// check notes an error if a checked dimension that moves along the innermost loop is outside.
func (w *worker[F]) check(a *access, loops []int) {
	for d := range a.dims {
		if a.check[d] && a.inner[d] != 0 {
			if x := a.dims[d].at(loops, w); x < 0 || x >= a.sizes[d] {
				w.outside(x, a.sizes[d])
			}
		}
	}
}
