package interp

import (
	"fmt"
	"sync"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// jobPoints is how many points one job of a nest has, more or less.
const jobPoints = 1 << 15

// nest is a loop nest ready to run for one binding of the symbols.
type nest[F float] struct {
	name    string // for errors
	loc     ir.Loc
	combine ir.Combine
	scatter bool
	space   space
	body    body[F]
	length  int     // elements of the result
	outs    index   // number of a point's element, linear in the loops
	number  index   // number of a point among those reduced, linear
	write   *access // scatter form
	dtype   tensor.DType

	across     bool // the innermost loop is an output index, not a reduced one
	outer      int  // flattened number of outer points
	reduced    int  // flattened number of points of the reduced loops before the innermost
	inner      int  // extent of the innermost loop
	parts      []part
	rounds     int // number of parts that fall on the same elements, next to each other in parts
	partials   []accumulator[F]
	inplace    []bool // operands whose memory the result may take over: each element is read only where it is written
	gemm       *contraction
	failure    failure
	accesses   []*access
	expression *ir.Nest
}

// part is a job: ranges of the flattened outer loops, the reduced ones and the innermost.
type part struct{ p0, p1, r0, r1, v0, v1 int }

// failure keeps the data index error of the earliest job.
type failure struct {
	sync.Mutex
	job int
	err *runtime.RangeError
}

func (f *failure) note(job int, err *runtime.RangeError) {
	f.Lock()
	defer f.Unlock()
	if f.err == nil || job < f.job {
		f.job, f.err = job, err
	}
}

// split divides the nest into jobs, by its shape alone.
func (t *nest[F]) split() {
	innermost := t.space.innermost()
	t.rounds = 1
	if t.scatter {
		t.splitScatter(innermost)
		return
	}
	if t.outer*t.reduced*t.inner == 0 {
		t.parts = []part{{0, t.outer, 0, t.reduced, 0, t.inner}} // empty, but its elements get the combiner's identity
		return
	}
	tile := t.inner
	if t.across {
		tile = max(1024, min(8192, jobPoints/t.reduced))
		if t.combine == ir.Map {
			tile = jobPoints / 2
		}
	}
	var outs []part
	if t.across && t.inner > tile {
		for p := range t.outer {
			for v := 0; v < t.inner; v += tile {
				outs = append(outs, part{p, p + 1, 0, t.reduced, v, min(t.inner, v+tile)})
			}
		}
	} else {
		n := max(1, jobPoints/(t.reduced*t.inner))
		for p := 0; p < t.outer; p += n {
			outs = append(outs, part{p, min(t.outer, p+n), 0, t.reduced, 0, t.inner})
		}
	}
	points := t.outer * t.reduced * t.inner
	if rounds := min(64, points/jobPoints) / len(outs); t.combine != ir.Map && rounds > 1 {
		t.divide(outs, rounds)
		return
	}
	t.parts = outs
}

// divide splits each part over reduced points into the given number of rounds, or somewhat fewer.
func (t *nest[F]) divide(outs []part, rounds int) {
	over := t.reduced
	inner := !t.across && t.reduced < rounds
	if inner {
		over = t.inner
	}
	step := (over + rounds - 1) / rounds
	t.rounds = (over + step - 1) / step
	for _, o := range outs {
		for k := 0; k < over; k += step {
			q := o
			if inner {
				q.v0, q.v1 = k, min(over, k+step)
			} else {
				q.r0, q.r1 = k, min(over, k+step)
			}
			t.parts = append(t.parts, q)
		}
	}
	t.partials = make([]accumulator[F], len(t.parts))
}

// region returns the elements [base, base+n) of the result on which a part falls.
func (t *nest[F]) region(q part) (base, n int) {
	if !t.across {
		return q.p0, q.p1 - q.p0
	}
	if q.p1-q.p0 == 1 {
		return q.p0*t.inner + q.v0, q.v1 - q.v0
	}
	return q.p0 * t.inner, (q.p1 - q.p0) * t.inner
}

// run computes the nest into out.
func (t *nest[F]) run(team *team[F], args []*buffer[F], out *buffer[F]) error {
	if t.gemm != nil {
		runContraction(t.gemm, team, args, out)
		return nil
	}
	points := t.outer * t.reduced * t.inner
	if t.length == 0 {
		return nil
	}
	t.failure.err = nil
	switch {
	case t.scatter:
		t.runScatter(team, args, out)
	default:
		team.run(len(t.parts), points*max(1, len(t.body.nodes)), func(w *worker[F], job int) {
			q := t.parts[job]
			t.begin(w, args, q)
			switch {
			case t.combine == ir.Map:
				t.runMap(w, q, out)
			case t.rounds > 1:
				t.reduce(w, q, &t.partials[job])
			default:
				t.reduce(w, q, &w.acc)
				base, _ := t.region(q)
				w.acc.store(out, base)
			}
			t.end(w, job)
		})
		if t.rounds > 1 {
			team.run(len(t.parts)/t.rounds, points/t.rounds, func(w *worker[F], k int) {
				first := &t.partials[k*t.rounds]
				for r := 1; r < t.rounds; r++ {
					first.merge(&t.partials[k*t.rounds+r])
				}
				base, _ := t.region(t.parts[k*t.rounds])
				first.store(out, base)
			})
		}
	}
	if t.failure.err != nil {
		return fmt.Errorf("%s%s: %w", t.loc.Prefix(), t.name, t.failure.err)
	}
	return nil
}

func (t *nest[F]) begin(w *worker[F], args []*buffer[F], q part) {
	w.args, w.bad = args, nil
	if n := (q.p1 - q.p0) * (q.r1 - q.r0) * (q.v1 - q.v0); n > 0 {
		t.body.prepare(w, n)
	}
	w.cursor.start(&t.space, q.p0, q.p1, q.r0, q.r1, q.v0, q.v1)
}

func (t *nest[F]) end(w *worker[F], job int) {
	if w.bad != nil {
		t.failure.note(job, w.bad)
	}
	w.args = nil
}

// runMap computes the elements of a part.
func (t *nest[F]) runMap(w *worker[F], q part, out *buffer[F]) {
	base, n := t.region(q)
	switch t.dtype {
	case tensor.F32:
		mapStrips(t, w, out.f[base:base+n], base, w.f, w.fown)
	case tensor.I32:
		mapStrips(t, w, out.i[base:base+n], base, w.i, w.iown)
	default:
		mapStrips(t, w, out.b[base:base+n], base, w.b, w.bown)
	}
}

// mapStrips computes the elements out, of which the first has number base. Without guards the root's register is the result itself.
func mapStrips[T any, F float](t *nest[F], w *worker[F], out []T, base int, regs, own [][]T) {
	root := t.body.root
	if len(t.space.guards) > 0 {
		clear(out)
		for w.cursor.next(&w.strip, w) {
			t.body.run(w)
			for _, s := range w.strip.segs {
				at := t.outs.at(w.strip.loops[s.row:], nil) - base
				copy(out[at:at+s.n], regs[root][s.pos:])
			}
		}
		return
	}
	kept := own[root]
	nd := &t.body.nodes[root]
	for w.cursor.next(&w.strip, w) {
		n := w.strip.n
		if !nd.uniform {
			regs[root], own[root] = out[:n], out[:n]
		}
		t.body.run(w)
		if z := regs[root][:n]; &z[0] != &out[0] {
			copy(out, z)
		}
		out = out[n:]
	}
	own[root] = kept
}

// reduce combines the points of a part in acc.
func (t *nest[F]) reduce(w *worker[F], q part, acc *accumulator[F]) {
	base, n := t.region(q)
	acc.reset(t.combine, t.dtype, n)
	root := t.body.root
	numberStep := t.number.coef(t.space.innermost())
	step := 0
	if t.across {
		step = 1
	}
	for w.cursor.next(&w.strip, w) {
		t.body.run(w)
		for _, s := range w.strip.segs {
			loops := w.strip.loops[s.row:]
			at := t.outs.at(loops, nil) - base
			number := 0
			if acc.at != nil {
				number = t.number.at(loops, nil)
			}
			switch {
			case t.dtype == tensor.F32 && t.across:
				acc.row(at, w.f[root][s.pos:s.pos+s.n], number, numberStep)
			case t.dtype == tensor.F32:
				acc.all(at, w.f[root][s.pos:s.pos+s.n], number, numberStep)
			case t.dtype == tensor.I32:
				acc.rowI32(at, w.i[root][s.pos:s.pos+s.n], step, number, numberStep)
			default:
				for k, v := range w.b[root][s.pos : s.pos+s.n] {
					x := [1]int32{}
					if v {
						x[0] = 1
					}
					acc.rowI32(at+k*step, x[:], 0, 0, 0)
				}
			}
		}
	}
}
