package native

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/codegen/image"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// bound is a procedure for given sizes: the launch table.
type bound struct {
	proc   *procedure
	bind   map[string]int
	shapes [][]int // of the slots
	offset []int   // of the slots that lie in the arena
	runs   []run
	arena  int // bytes
}

// run is a step for given sizes. Of a launch it is a kernel, where its operands lie, and chunks of its points; of a scan, its number of
// rounds and where its body ends.
type run struct {
	step *step
	trip int // of a scan
	end  int // of a scan: the run after its body

	fn      image.Func
	args    []int // slots
	result  int   // slot; −1: partial results at offset partial of the arena
	partial int
	merge   bool // the only operand is the partial results
	words   []uint64

	points   int // flattened
	perChunk int
	splits   int // extent of the loops that partial results are split over
	perRound int
	rounds   int
	stride   int // bytes of one round's results
	chunks   int
	long     bool // a chunk takes so long that a garbage collection should not have to wait
	alone    bool // too little work for more than one thread

	fill []byte // without any point: what every element of the result is
	zero bool   // a scatter: the result is cleared first
}

// The cost of work, in nodes of a body times points: what a chunk should have at least, what is worth telling other threads, and what takes
// some 50 µs.
const (
	chunkWork = 1 << 16
	teamWork  = 1 << 17
	longWork  = 1 << 20
	maxChunks = 256
	maxRounds = 64

	maxPartials = 32 << 20 // bytes of all partial results of a launch
)

// maxElements bounds a tensor: kernels count lanes in 32 bits.
const maxElements = math.MaxInt32

// bindProcedure makes the launch table of p for given symbols.
func (c *compiled) bindProcedure(p *procedure, bind map[string]int) (*bound, error) {
	b := &bound{proc: p, bind: bind, offset: make([]int, len(p.slots))}
	for _, s := range p.slots {
		shape, err := evalShape(s.typ.Shape, bind)
		if err != nil {
			return nil, err
		}
		if product(shape) > maxElements {
			return nil, fmt.Errorf("a tensor of %v elements is more than native code can count", product(shape))
		}
		b.shapes = append(b.shapes, shape)
	}
	var partials []*live
	var open []int // scans whose body is not complete
	for k := range p.steps {
		for len(open) > 0 && b.runs[open[len(open)-1]].step.scan.end == k {
			b.runs[open[len(open)-1]].end = len(b.runs)
			open = open[:len(open)-1]
		}
		st := &p.steps[k]
		if st.launch == nil {
			r := run{step: st}
			if st.scan != nil {
				r.trip = st.scan.trip.EvalDim(func(n string) int { return bind[n] })
				open = append(open, len(b.runs))
			}
			b.runs = append(b.runs, r)
			continue
		}
		l := st.launch
		r, err := c.bindRun(b, l)
		if err != nil {
			return nil, err
		}
		r.step = st
		if r.rounds > 1 {
			elems := product(b.shapes[l.result])
			size := elemSize(l.kernel.nest.result)
			partials = append(partials, &live{id: len(b.runs), bytes: r.rounds * elems * size, first: k, last: k})
			m, err := c.bindMerge(l, r.rounds, elems)
			if err != nil {
				return nil, err
			}
			m.step = st
			r.result, r.stride = -1, elems*size
			b.runs = append(b.runs, *r, *m)
			continue
		}
		b.runs = append(b.runs, *r)
	}
	for _, k := range open {
		b.runs[k].end = len(b.runs)
	}
	b.placeSlots(partials)
	for _, v := range partials {
		b.runs[v.id].partial, b.runs[v.id+1].partial = v.offset, v.offset
	}
	return b, nil
}

// placeSlots plans the arena.
func (b *bound) placeSlots(partials []*live) {
	p := b.proc
	lives := map[int]*live{}
	var values []*live
	var open []*loopSpan
	at := func(s, step int) {
		s = p.root(s)
		if p.slots[s].place != inArena {
			return
		}
		v := lives[s]
		if v == nil {
			v = &live{id: s, bytes: product(b.shapes[s]) * elemSize(p.slots[s].typ.DType), first: step, last: step}
			lives[s] = v
			values = append(values, v)
		}
		v.first, v.last = min(v.first, step), max(v.last, step) // what a scan needs after its body is seen here before it is made
		for _, l := range open {                                // made before a loop and used in it: needed in every round
			if v.first < l.first {
				v.last = max(v.last, l.last)
			}
		}
	}
	for k := range p.steps {
		for len(open) > 0 && open[len(open)-1].last < k {
			open = open[:len(open)-1]
		}
		switch st := &p.steps[k]; {
		case st.launch != nil:
			at(st.launch.result, k)
			for _, a := range st.launch.args {
				at(a, k)
			}
		case st.move != nil:
			at(st.move.from, k)
			at(st.move.to, k)
		default:
			// What the scan itself touches lives as long as it runs.
			for _, s := range st.scan.own() {
				at(s, k)
				at(s, st.scan.end-1)
			}
			open = append(open, &loopSpan{k, st.scan.end - 1})
			for _, s := range st.scan.fromBody() {
				at(s, st.scan.end-1)
			}
		}
	}
	end := len(p.steps)
	for _, r := range p.results {
		at(r, end)
	}
	for _, c := range p.commits {
		at(c.slot, end)
	}
	for _, c := range p.checks {
		at(c.slot, end)
	}
	b.arena = placeLive(append(slices.Clone(values), partials...))
	for _, v := range values {
		b.offset[v.id] = v.offset
	}
}

// loopSpan is the steps of a scan, from the first to the last.
type loopSpan struct{ first, last int }

// bindRun sizes a launch.
func (c *compiled) bindRun(b *bound, l *launch) (*run, error) {
	bind := b.bind
	if l.sized >= 0 {
		bind = map[string]int{countSymbol: product(b.shapes[l.sized])}
	}
	r := &run{args: l.args, result: l.result}
	return r, c.size(r, l.kernel, bind, product(b.shapes[l.result]), true)
}

// bindMerge sizes the launch that combines the partial results of another.
func (c *compiled) bindMerge(l *launch, rounds, elems int) (*run, error) {
	k, err := c.low.mergeKernel(l.kernel.nest)
	if err != nil {
		return nil, err
	}
	r := &run{result: l.result, merge: true}
	return r, c.size(r, k, map[string]int{countSymbol: elems, roundSymbol: rounds}, elems, false)
}

// size computes a run's chunks, which depend on nothing but the nest's sizes.
func (c *compiled) size(r *run, k *kernel, bind map[string]int, elems int, divide bool) error {
	t := k.nest
	r.fn = c.funcs[k]
	r.zero = t.scatter
	extents := make([]int, len(t.extents))
	all := 1
	for i, e := range t.extents {
		extents[i] = t.sizes.eval(e, bind)
		if extents[i] > maxElements {
			return errors.New("a loop is longer than native code can count")
		}
		all *= extents[i]
	}
	if all == 0 || elems == 0 {
		r.fill = identityBytes(t)
		return nil
	}
	r.points, r.splits, r.rounds = 1, 1, 1
	for _, o := range t.outer {
		r.points *= extents[o]
	}
	if t.tile > 0 {
		r.points *= t.sizes.eval(t.sizes.tiles(t.extents[t.v], t.tile), bind)
	}
	for _, w := range t.rows {
		r.points *= t.sizes.eval(t.sizes.rowTiles(t.extents[w.loop], w.n), bind)
	}
	for _, l := range t.split {
		r.splits *= extents[l]
	}
	cost := t.nodes
	if t.v >= 0 {
		cost = max(1, cost/4) // in vectors, of which a part is empty
	}
	work := all * cost
	chunks := min(r.points, maxChunks, max(1, work/chunkWork))
	if t.scatter {
		chunks = 1
	}
	r.perChunk = (r.points + chunks - 1) / chunks
	chunks = (r.points + r.perChunk - 1) / r.perChunk
	r.perRound = r.splits
	if divide && len(t.split) > 0 {
		rounds := 1
		if chunks < 16 {
			rounds = min(maxRounds/chunks, r.splits, work/chunkWork/chunks)
		}
		if len(t.rows) > 0 && t.across && all/elems >= 1024 && elems*elemSize(t.result) <= maxPartials/8 {
			// Each chunk goes over all that is reduced: in rounds, so that what the chunks share stays in a cache near by.
			rounds = max(rounds, min(maxRounds, r.splits, all/elems/256, maxPartials/(elems*elemSize(t.result))))
		}
		if rounds > 1 {
			lanes := t.split[0] == t.v
			if lanes { // whole vectors
				rounds = min(rounds, (r.splits+1023)/1024)
			}
			r.perRound = (r.splits + rounds - 1) / rounds
			if lanes {
				r.perRound = (r.perRound + 63) &^ 63
			}
			r.rounds = (r.splits + r.perRound - 1) / r.perRound
		}
	}
	r.chunks = chunks * r.rounds
	r.alone = work < teamWork || r.chunks == 1
	r.long = work/r.chunks > longWork
	if r.alone {
		r.long = work > longWork
	}
	r.words = make([]uint64, wordOperands+len(t.types)+len(t.sizes.names))
	for i, name := range t.sizes.names {
		r.words[wordOperands+len(t.types)+i] = uint64(t.sizes.value(name, bind))
	}
	return nil
}

// identityBytes returns the element that a nest without points has everywhere.
func identityBytes(t *loopNest) []byte {
	x := tensor.New(t.result, 1)
	switch t.combine {
	case ir.Prod:
		x.Set(0, 1)
	case ir.Max, ir.Min:
		sign := 1
		if t.combine == ir.Max {
			sign = -1
		}
		switch {
		case t.result == tensor.F32:
			x.F32[0] = float32(math.Inf(sign))
		case t.result == tensor.I32 && sign > 0:
			x.I32[0] = math.MaxInt32
		case t.result == tensor.I32:
			x.I32[0] = math.MinInt32
		default:
			x.Bool[0] = sign > 0
		}
	}
	b, err := bytesOf(x)
	if err != nil {
		panic("BUG: native: " + err.Error())
	}
	return b
}

// evalShape returns the dimensions for given symbols.
func evalShape(shape []ir.Affine, bind map[string]int) ([]int, error) {
	dims := make([]int, len(shape))
	var err error
	for i, d := range shape {
		dims[i] = d.EvalDim(func(s string) int {
			n, ok := bind[s]
			if !ok && err == nil {
				err = fmt.Errorf("the size of %s is not known", s)
			}
			return n
		})
	}
	return dims, err
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// bindKey returns a text for a function and sizes.
func bindKey(fn string, bind map[string]int) string {
	names := make([]string, 0, len(bind))
	for s, n := range bind {
		names = append(names, fmt.Sprintf(" %s=%d", s, n))
	}
	slices.Sort(names)
	return fn + strings.Join(names, "")
}
