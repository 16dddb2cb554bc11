package exec

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/code"
)

// bound is a function for given sizes: the launch table. It does not change while calls use it.
type bound struct {
	fn       *Func
	shapes   [][]int // of the slots
	aliases  [][]int // of the slots that hold elements: the other slots that they are
	params   []int   // the slots that lie in the caller's tensors
	offset   []int   // of the slots that lie in the arena
	runs     []run
	runOf    []int // the first run of each step, and the number of runs
	doubt    int   // the first run that only a check needs
	gate     int   // the first run behind the gate
	arena    int   // bytes
	kept     *kept
	prepared atomic.Int64 // 1 + Instance.reshapes when the cells were found to have the shapes that are needed
	frames   []*frame     // that no call uses; the instance's cache is locked for them
	calls    int          // so far, likewise
	writing  bool         // a call may change a cell
	counts   [][]float64  // of the checks' proofs
	writes   []int        // the cells that a call may change
}

// run is a step for given sizes. Of a launch it is a kernel, where its operands lie, and chunks of its points; of a scan, its number of
// rounds and where its body ends.
type run struct {
	step    *Step
	trip    int      // of a scan
	end     int      // of a scan: the run after its body
	inPlace *inPlace // of a scan

	kernel  int
	entry   code.Func
	partial int  // offset in the arena of partial results; −1: there are none
	merge   bool // the only operand is the partial results, which otherwise are the result
	sizes   []int

	points    int // flattened
	perChunk  int
	splits    int // extent of the loops that partial results are split over
	perRound  int
	rounds    int
	stride    int // bytes of one round's results
	chunks    int
	together  int // chunks that one thread takes at most: they do not take long
	scratch   int
	long      bool // a chunk takes so long that a garbage collection should not have to wait
	longRound bool // so do all points of a round
	alone     bool // too little work for more than one thread
	fill      bool // there is nothing to compute: the result has the kernel's Identity everywhere
	kept      bool // what it computes is kept until a cell changes
}

// The cost of work, in multiplications and additions of a lane of a vector, or bytes read and written, which take about as long: what a chunk should have at least, and a round of
// what partial results are summed of, what is worth telling other threads, and what a garbage collection should not wait for.
const (
	chunkWork = 1 << 16
	splitWork = 1 << 18
	fewChunks = 8 // of what is worth telling other threads, so that they end at about the same time
	teamWork  = 1 << 17
	longWork  = 1 << 20
	maxChunks = 256

	leastGroups = 64 // chunks of groups, for many threads to have enough of them

	maxRounds = 64

	maxPartials = 32 << 20 // bytes of all partial results of a launch
)

// bind makes the launch table of a function for given symbols. If keep is set, what depends on cells alone is kept between calls.
func (p *Program) bind(f *Func, bind map[string]int, keep bool) (*bound, error) {
	b := &bound{fn: f, writing: f.changes(), offset: make([]int, len(f.Slots)), aliases: make([][]int, len(f.Slots))}
	for k, s := range f.Slots {
		root := f.Root(k)
		if root != k {
			b.aliases[root] = append(b.aliases[root], k)
		}
		if f.Slots[root].Place == Param {
			b.params = append(b.params, k)
		}
		shape, err := evalShape(s.Type.Shape, bind)
		if err != nil {
			return nil, err
		}
		b.shapes = append(b.shapes, shape)
	}
	if err := p.checkSizes(b); err != nil {
		return nil, err
	}
	if keep {
		b.kept = b.keep()
	}
	var partials []*live
	var open []int // scans whose body is not complete
	for k := range f.Steps {
		for len(open) > 0 && b.runs[open[len(open)-1]].step.Scan.End == k {
			b.runs[open[len(open)-1]].end = len(b.runs)
			open = open[:len(open)-1]
		}
		b.runOf = append(b.runOf, len(b.runs))
		st := &f.Steps[k]
		if st.Launch == nil {
			r := run{step: st}
			if st.Scan != nil {
				var err error
				if r.trip, err = evalDim(st.Scan.Trip, bind); err != nil {
					return nil, err
				}
				for _, w := range slices.Concat(st.Scan.Whole, st.Scan.Stacked) {
					if r.trip > b.shapes[w][st.Scan.Axis] {
						return nil, fmt.Errorf("%d rounds go through a sequence of %d", r.trip, b.shapes[w][st.Scan.Axis])
					}
				}
				r.inPlace = b.scanInPlace(st.Scan, k+1)
				open = append(open, len(b.runs))
			}
			b.runs = append(b.runs, r)
			continue
		}
		l := st.Launch
		local := bind
		if l.Sized >= 0 {
			local = map[string]int{Count: product(b.shapes[l.Sized])}
		}
		elems := product(b.shapes[l.Results[0]])
		r, err := p.size(l.Kernel, local, elems, b.bytes(slices.Concat(distinct(l.Results), l.Args)), true)
		if err != nil {
			return nil, err
		}
		r.step, r.kept = st, b.kept.has(l.Results[0])
		if r.rounds > 1 {
			size := ElemSize(p.Kernels[l.Kernel].Results[0])
			partials = append(partials, &live{id: len(b.runs), bytes: r.rounds * elems * size, first: k, last: k})
			m, err := p.size(p.Kernels[l.Kernel].Merge, map[string]int{Count: elems, Rounds: r.rounds}, elems, (1+r.rounds)*elems*size, false)
			if err != nil {
				return nil, err
			}
			m.step, m.merge, m.kept = st, true, r.kept
			r.stride = elems * size
			b.runs = append(b.runs, *r, *m)
			continue
		}
		b.runs = append(b.runs, *r)
	}
	for _, k := range open {
		b.runs[k].end = len(b.runs)
	}
	b.runOf = append(b.runOf, len(b.runs))
	b.doubt, b.gate = b.runOf[f.Doubt], b.runOf[f.Gate]
	for _, c := range f.Checks {
		var counts []float64
		if c.Proof != nil {
			var err error
			if counts, err = c.Proof.counts(bind); err != nil {
				return nil, err
			}
		}
		b.counts = append(b.counts, counts)
	}
	b.writes = f.writes()
	b.placeSlots(partials)
	for _, v := range partials {
		b.runs[v.id].partial, b.runs[v.id+1].partial = v.offset, v.offset
	}
	return b, nil
}

// writes returns the cells that f may change.
func (f *Func) writes() []int {
	var cells []int
	for _, c := range f.Commits {
		cells = append(cells, c.Cell)
	}
	for k := range f.Steps {
		var to []int
		switch st := &f.Steps[k]; {
		case st.Store != nil:
			to = []int{st.Store.To}
		case k < f.Gate:
		case st.Launch != nil:
			to = st.Launch.Results
		case st.Move != nil:
			to = []int{st.Move.To}
		case st.Scan != nil:
			to = st.Scan.own()
		}
		for _, z := range to {
			if root := &f.Slots[f.Root(z)]; root.Place == Cell {
				cells = append(cells, root.Index)
			}
		}
	}
	return cells
}

// distinct returns the results of a launch, of which several may be pieces of one.
func distinct(results []int) []int {
	var all []int
	for _, z := range results {
		if !slices.Contains(all, z) {
			all = append(all, z)
		}
	}
	return all
}

// bytes returns the size of some slots together.
func (b *bound) bytes(slots []int) int {
	n := 0
	for _, s := range slots {
		n += product(b.shapes[s]) * ElemSize(b.fn.Slots[s].Type.DType)
	}
	return n
}

// checkSizes checks what Check cannot.
func (p *Program) checkSizes(b *bound) error {
	for s, sl := range b.fn.Slots {
		n := product(b.shapes[s])
		switch {
		case sl.Place == Alias && n != product(b.shapes[sl.Index]):
			return fmt.Errorf("%v cannot be seen as %v", b.shapes[sl.Index], b.shapes[s])
		case sl.Place == Const && n*ElemSize(sl.Type.DType) > len(p.Consts)-sl.Index:
			return fmt.Errorf("a constant of %v is not there", b.shapes[s])
		}
	}
	return nil
}

// placeSlots plans the arena.
func (b *bound) placeSlots(partials []*live) {
	p := b.fn
	lives := map[int]*live{}
	var values []*live
	var open []*loopSpan
	at := func(s, step int) {
		s = p.Root(s)
		if p.Slots[s].Place != Arena || b.kept.has(s) {
			return
		}
		v := lives[s]
		if v == nil {
			v = &live{id: s, bytes: product(b.shapes[s]) * ElemSize(p.Slots[s].Type.DType), first: step, last: step}
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
	for k := range p.Steps {
		for len(open) > 0 && open[len(open)-1].last < k {
			open = open[:len(open)-1]
		}
		switch st := &p.Steps[k]; {
		case st.Launch != nil:
			for _, z := range st.Launch.Results {
				at(z, k)
			}
			for _, a := range st.Launch.Args {
				at(a, k)
			}
		case st.Move != nil:
			at(st.Move.From, k)
			at(st.Move.To, k)
		case st.Store != nil:
			at(st.Store.From, k)
			at(st.Store.At, k)
		default:
			// What the scan itself touches lives as long as it runs.
			for _, s := range st.Scan.own() {
				at(s, k)
				at(s, st.Scan.End-1)
			}
			for _, s := range st.Scan.Next { // changes places with a carried value, see Note [Elements of sequences]
				at(s, k)
			}
			open = append(open, &loopSpan{k, st.Scan.End - 1})
			for _, s := range st.Scan.fromBody() {
				at(s, st.Scan.End-1)
			}
		}
	}
	for _, r := range p.Results {
		at(r, p.Gate)
	}
	for _, c := range p.Checks {
		at(c.Slot, p.Gate)
		if c.Proof == nil {
			continue
		}
		for _, t := range c.Proof.Facts {
			if t.Kind == FactScalar || t.Kind == FactMagnitude {
				at(t.Slot, p.Gate)
			}
		}
	}
	for _, c := range p.Commits {
		at(c.Slot, len(p.Steps))
	}
	same := b.replace(lives)
	values = slices.DeleteFunc(values, func(v *live) bool { return same[v] != nil })
	b.arena = placeLive(append(slices.Clone(values), partials...))
	for _, v := range values {
		b.offset[v.id] = v.offset
	}
	for v, of := range same {
		for same[of] != nil {
			of = same[of]
		}
		b.offset[v.id] = of.offset
	}
}

// replace finds values that are computed element by element of others of their size that nothing needs afterwards: they take these values' places. The lives of
// those grow by theirs.
func (b *bound) replace(lives map[int]*live) map[*live]*live {
	p := b.fn
	same := map[*live]*live{}
	root := func(v *live) *live {
		for same[v] != nil {
			v = same[v]
		}
		return v
	}
	end := 0 // of the scans so far
	for k := range p.Steps {
		if s := p.Steps[k].Scan; s != nil {
			end = max(end, s.End)
		}
		l := p.Steps[k].Launch
		if l == nil || k < end || len(l.Results) != 1 || l.Sized != l.Results[0] {
			continue
		}
		z := lives[p.Root(l.Results[0])]
		if z == nil || z.first != k {
			continue
		}
		for _, a := range l.Args {
			x := lives[p.Root(a)]
			if x == nil {
				continue
			}
			if of := root(x); of != z && of.last == k && of.first < k && of.bytes == z.bytes {
				same[z] = of
				of.last = z.last
				break
			}
		}
	}
	return same
}

// loopSpan is the steps of a scan, from the first to the last.
type loopSpan struct{ first, last int }

// size computes the chunks of a kernel's use, which depend on nothing but sizes. Its result has so many elements, and it reads and writes so many bytes. It is not divided into
// rounds unless divide says so.
func (p *Program) size(kernel int, bind map[string]int, elems, bytes int, divide bool) (*run, error) {
	k := &p.Kernels[kernel]
	r := &run{kernel: kernel, partial: -1}
	var err error
	if r.sizes, err = evalSizes(k.Sizes, bind); err != nil {
		return nil, err
	}
	eval := func(q Poly) int {
		n, e := q.eval(r.sizes)
		if e != nil && err == nil {
			err = e
		}
		return n
	}
	for _, e := range k.Extents {
		if eval(e) > runtime.MaxElements {
			return nil, errors.New("a loop is longer than native code can count")
		}
	}
	all := eval(k.Work)
	r.points, r.splits, r.scratch = eval(k.Points), eval(k.Splits), eval(k.Scratch)
	group := max(1, eval(k.Group))
	if err != nil {
		return nil, err
	}
	if all <= 0 || elems == 0 || r.points <= 0 {
		r.fill = true
		return r, nil
	}
	r.rounds = 1
	work, ok := times(all, k.Cost)
	if !ok {
		return nil, runtime.ErrTooLarge
	}
	if most, ok := times(all, 4*(k.Operands+len(k.Results))); ok { // a point may read little of an operand
		work = max(work, min(bytes, most))
	}
	chunks := min(r.points, maxChunks, max(1, work/chunkWork))
	if work >= teamWork {
		chunks = min(r.points, max(chunks, fewChunks))
	}
	if k.Clear {
		chunks = 1
	}
	r.perChunk = (r.points + chunks - 1) / chunks
	chunks = (r.points + r.perChunk - 1) / r.perChunk
	r.perRound = r.splits
	if divide && k.Merge >= 0 {
		size := ElemSize(k.Results[0])
		rounds := 1
		if chunks < 16 {
			rounds = min(maxRounds/chunks, r.splits, work/splitWork/chunks)
		}
		if k.Across && all/elems > 512 && elems*size <= maxPartials/8 {
			// In rounds, so that what the chunks share stays in a cache near by.
			rounds = max(rounds, min(maxRounds, r.splits, all/elems/256, maxPartials/(elems*size)))
		}
		if rounds > 1 {
			if k.Vectors {
				rounds = min(rounds, (r.splits+1023)/1024)
			}
			r.perRound = (r.splits + rounds - 1) / rounds
			if k.Vectors {
				r.perRound = (r.perRound + 63) &^ 63
			}
			r.rounds = (r.splits + r.perRound - 1) / r.perRound
		}
	}
	if perGroup := (r.perChunk + group - 1) / group * group; chunks > 1 && (r.points+perGroup-1)/perGroup*r.rounds >= leastGroups {
		r.perChunk = perGroup
		chunks = (r.points + r.perChunk - 1) / r.perChunk
	}
	r.chunks = chunks * r.rounds
	r.alone = work < teamWork || r.chunks == 1
	r.long, r.longRound = work/r.chunks > longWork, work/r.rounds > longWork
	r.together = max(1, longWork/max(1, work/r.chunks))
	return r, nil
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

// Memory is the bytes that a program uses, beside its code.
type Memory struct {
	Cells  int // their values
	Arena  int // all else that a call computes, what it returns excepted; what is kept for the next call included
	Consts int
}

// Total returns the sum.
func (m Memory) Total() int { return m.Cells + m.Arena + m.Consts }

// Memory returns what calls of the function fn, its stages included, use if symbols have these sizes.
//
// Errors: a function that does not exist; a symbol that is missing.
func (p *Program) Memory(fn string, bind map[string]int) (Memory, error) {
	f := p.Module.Func(fn)
	if f == nil {
		return Memory{}, fmt.Errorf("there is no function %s", fn)
	}
	m := Memory{Consts: len(p.Consts)}
	for _, s := range append([]ir.Stage{{Func: f}}, f.Stages...) {
		sizes := bind
		if s.Size > 0 {
			sizes = maps.Clone(bind)
			sizes[ir.Batch] = min(bind[ir.Batch], s.Size)
		}
		b, err := p.bind(&p.Funcs[slices.Index(p.Module.Funcs, s.Func)], sizes, true)
		if err != nil {
			return Memory{}, err
		}
		arena := b.arena
		if b.kept != nil {
			arena += b.kept.bytes
		}
		m.Arena = max(m.Arena, arena)
	}
	for _, c := range p.Module.Cells {
		shape, err := evalShape(c.Type.Shape, bind)
		if err != nil {
			return Memory{}, err
		}
		m.Cells += product(shape) * ElemSize(Stored(c))
	}
	return m, nil
}
