package passes

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// Recompute makes the function fn of m, its stages included, need at most limit bytes, if computing some values a second time is enough for that:
// what the gradients use of the prediction is dropped after its first uses, and computed again right before the others. need measures m as it
// is then, and sizes are those of its symbols. Recompute returns what fn needs in the end, which is more than limit where no choice is enough.
// No result changes. It is no pass of the pipeline, since it spends time on memory, and since cse would undo it.
//
// Values that take no sums to compute are tried first. If they are not enough, values are kept at intervals of so many bytes, and all between
// them is dropped; the intervals become longer until the limit is kept.
//
// Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016, algorithm 3.
//
// Errors: those of need; a module that is malformed, which is a bug.
func Recompute(m *ir.Module, fn string, limit int, sizes map[string]int, need func() (int, error)) (int, error) {
	f := m.Func(fn)
	if f == nil {
		return 0, fmt.Errorf("there is no function %s", fn)
	}
	least, err := need()
	if err != nil || least <= limit {
		return least, err
	}
	var parts []*recomputation
	total := 0
	for _, s := range append([]ir.Stage{{Func: f}}, f.Stages...) {
		local := sizes
		if s.Size > 0 {
			local = map[string]int{}
			for name, n := range sizes {
				local[name] = n
			}
			local[ir.Batch] = min(s.Size, sizes[ir.Batch])
		}
		r := newRecomputation(s.Func, local)
		for _, v := range r.found {
			total += r.bytes(v)
		}
		parts = append(parts, r)
	}
	type choice struct {
		elementwise bool
		interval    int
	}
	choices := []choice{{true, total}}
	for n := total >> 12; n < total; n += n/2 + 1 {
		choices = append(choices, choice{false, n})
	}
	choices = append(choices, choice{false, total})
	apply := func(c choice) {
		for _, r := range parts {
			r.restore()
			r.drop(c.elementwise, c.interval)
		}
	}
	best := choice{}
	for _, c := range choices {
		apply(c)
		n, err := need()
		if err != nil {
			return 0, err
		}
		if n < least {
			least, best = n, c
		}
		if n <= limit {
			break
		}
	}
	apply(best)
	if err := ir.Verify(m); err != nil {
		return 0, fmt.Errorf("BUG: after values are computed again: %w\n%s", err, ir.Print(m))
	}
	return least, nil
}

// recomputation is a function some of whose values may be computed again.
type recomputation struct {
	f       *ir.Func
	sizes   map[string]int
	body    []*ir.Instr   // as it was
	args    [][]*ir.Value // of its instructions
	results []*ir.Value
	def     map[*ir.Value]int  // the numbers of the instructions that compute values
	last    map[*ir.Value]int  // the numbers of those that use them last; len(body) for a result of the function
	waits   map[*ir.Value]span // the longest time that a value waits for a use
	found   []*ir.Value        // the values that wait long, in the order in which they are computed
}

// span is the time between two instructions that compute or use a value.
type span struct{ from, to int }

// longWait is how many instructions there are at least between two uses of a value that is worth computing again.
const longWait = 8

func newRecomputation(f *ir.Func, sizes map[string]int) *recomputation {
	r := &recomputation{
		f: f, sizes: sizes, body: f.Body, results: slices.Clone(f.Results),
		def: map[*ir.Value]int{}, last: map[*ir.Value]int{}, waits: map[*ir.Value]span{},
	}
	use := func(v *ir.Value, k int) {
		from, used := r.last[v]
		if !used {
			from = r.def[v]
		}
		if w := r.waits[v]; k-from > w.to-w.from {
			r.waits[v] = span{from, k}
		}
		r.last[v] = k
	}
	for k, in := range f.Body {
		r.args = append(r.args, in.Args)
		for _, a := range in.Args {
			use(a, k)
		}
		for _, v := range in.Results {
			r.def[v] = k
		}
	}
	for _, v := range f.Results {
		use(v, len(f.Body))
	}
	for _, in := range f.Body {
		for _, v := range in.Results {
			if w := r.waits[v]; w.to-w.from > longWait && v.PerExample() && repeatable(in) {
				r.found = append(r.found, v)
			}
		}
	}
	turn := r.turn()
	r.found = slices.DeleteFunc(r.found, func(v *ir.Value) bool { return turn <= r.waits[v].from || turn > r.waits[v].to })
	return r
}

// turn is where most bytes wait, which is where the prediction ends and the gradients begin. What waits at other times, such as a gradient that goes
// two ways, would need half of what went before to be computed again.
func (r *recomputation) turn() int {
	change := make([]int, len(r.body)+2)
	for _, v := range r.found {
		change[r.waits[v].from+1] += r.bytes(v)
		change[r.waits[v].to+1] -= r.bytes(v)
	}
	turn, most, bytes := 0, 0, 0
	for k, c := range change {
		if bytes += c; bytes > most {
			turn, most = k, bytes
		}
	}
	return turn
}

// repeatable reports whether an instruction gives the same wherever it stands.
func repeatable(in *ir.Instr) bool {
	switch in.Op {
	case ir.OpNest, ir.OpReshape:
		return true
	case ir.OpScan:
		touches := effectsOf(in)
		return len(touches.reads) == 0 && len(touches.writes) == 0
	}
	return false
}

// elementwise reports whether it takes no sums to compute v again at the instruction number k.
func (r *recomputation) elementwise(v *ir.Value, k int, dropped map[*ir.Value]bool) bool {
	in := r.body[r.def[v]]
	if in.Op != ir.OpReshape && (in.Op != ir.OpNest || in.Nest.Combine != ir.Map) {
		return false
	}
	return !slices.ContainsFunc(in.Args, func(a *ir.Value) bool {
		_, made := r.def[a]
		return made && !dropped[a] && r.gone(a, dropped, k) && !r.elementwise(a, k, dropped)
	})
}

func (r *recomputation) bytes(v *ir.Value) int {
	n := 4
	for _, d := range v.Type.Shape {
		n *= max(0, d.EvalDim(func(s string) int { return max(1, r.sizes[s]) }))
	}
	return n
}

// restore gives the function its body back.
func (r *recomputation) restore() {
	r.f.Body = r.body
	for k, in := range r.body {
		in.Args = r.args[k]
	}
	copy(r.f.Results, r.results)
}

// drop has values computed again: those that take no sums, or all but some at intervals of so many bytes.
func (r *recomputation) drop(onlyElementwise bool, interval int) {
	dropped := map[*ir.Value]bool{}
	since := 0
	for _, v := range r.found {
		if onlyElementwise && !r.elementwise(v, r.waits[v].to, dropped) {
			continue
		}
		if n := r.bytes(v); since+n <= interval {
			dropped[v] = true
			since += n
		} else {
			since = 0
		}
	}
	if len(dropped) == 0 {
		return
	}
	again := map[*ir.Value]*ir.Value{} // the values that were computed again
	var body []*ir.Instr
	var at func(v *ir.Value, k int) *ir.Value
	// at returns what stands for v at the instruction number k.
	at = func(v *ir.Value, k int) *ir.Value {
		if w := again[v]; w != nil {
			return w
		}
		made, ok := r.def[v]
		if !ok || !r.gone(v, dropped, k) {
			return v
		}
		in := r.body[made]
		values := map[*ir.Value]*ir.Value{}
		for _, a := range in.Args {
			values[a] = at(a, k)
		}
		clone := copyInstr(in, values, nil)
		body = append(body, clone)
		for i, w := range clone.Results {
			again[in.Results[i]] = w
		}
		return again[v]
	}
	for k, in := range r.body {
		var args []*ir.Value
		for i, a := range in.Args {
			if w := at(a, k); w != a {
				if args == nil {
					args = slices.Clone(in.Args)
				}
				args[i] = w
			}
		}
		if args != nil {
			in.Args = args
		}
		body = append(body, in)
	}
	for i, v := range r.results {
		r.f.Results[i] = at(v, len(r.body))
	}
	r.f.Body = body
}

// gone reports whether v is not there any more at the instruction number k, and can be computed again.
func (r *recomputation) gone(v *ir.Value, dropped map[*ir.Value]bool, k int) bool {
	last := r.last[v]
	if dropped[v] {
		last = r.waits[v].from
	}
	return k > last && repeatable(r.body[r.def[v]])
}
