package gopkg

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// nestWriter writes the loops of one nest.
type nestWriter struct {
	src    *source
	nest   *ir.Nest
	args   []operand
	result string
	loc    ir.Loc

	order []int          // the loops, outermost first
	depth map[int]int    // of the loops
	reads map[string]int // of the linear reads of the nest: their number by operand and place
	flats []linearRead
	ready map[int]string // values of linear reads that were read outside the innermost loop
	row   string         // a row of the result
	along bool           // the innermost loop goes along a row of the result, to which every round of the reduced loops adds
}

// operand is a value that a nest reads.
type operand struct {
	name string
	typ  ir.Type
}

// linearRead is a read whose place is a sum of loop indices.
type linearRead struct {
	operand int
	at      ir.Affine
	place   string // the Go expression of the place as far as the open loops know it
}

// alongWidth is from how many elements on rows of results are worth a loop of their own.
const alongWidth = 4

// writeNest writes the computation of a nest into the slice result, whose elements may hold anything before.
func writeNest(src *source, n *ir.Nest, args []operand, result string, loc ir.Loc) {
	w := &nestWriter{src: src, nest: n, args: args, result: result, loc: loc, depth: map[int]int{}, reads: map[string]int{}, ready: map[int]string{}}
	for i := range n.Index {
		w.order = append(w.order, i)
	}
	if w.along = w.alongRows(); w.along {
		last := n.Out - 1
		w.order = append(append(w.order[:last:last], w.order[n.Out:]...), last)
	}
	for d, i := range w.order {
		w.depth[i] = d
	}
	n.Reads(w.note)
	src.line("{")
	if n.Write != nil || w.along || n.Combine == ir.Map && len(n.Guards) > 0 {
		src.line("clear(%s)", result)
	}
	w.loops(0)
	src.line("}")
}

// alongRows decides whether the innermost loop goes along rows of the result: sums of much, in which that loop reads one operand in steps
// of one.
func (w *nestWriter) alongRows() bool {
	n := w.nest
	if n.Write != nil || n.Combine != ir.Sum || n.Body.DType != tensor.F32 || n.Out == 0 || n.Out == len(n.Index) {
		return false
	}
	last := n.Out - 1
	if c, ok := n.Index[last].Extent.IsConst(); ok && c < alongWidth {
		return false
	}
	for _, g := range n.Guards {
		if g.E.Uses(last) || g.Limit.Uses(last) {
			return false
		}
	}
	found := false
	n.Body.Reads(func(r *ir.Read) {
		if at, ok := flat(w.args[r.Operand].typ.Shape, r.Index); ok && linear(at) && coefficient(at, last) == 1 {
			found = true
		}
	})
	return found
}

func coefficient(a ir.Affine, loop int) int {
	for _, t := range a.Terms {
		if t.Atom.Kind == ir.AtomIndex && t.Atom.Index == loop {
			return t.Coef
		}
	}
	return 0
}

// note numbers a read whose place is linear.
func (w *nestWriter) note(r *ir.Read) {
	at, ok := flat(w.args[r.Operand].typ.Shape, r.Index)
	if !ok || !linear(at) || r.Guarded {
		return
	}
	key := readKey(r, w.args)
	if _, known := w.reads[key]; known {
		return
	}
	w.reads[key] = len(w.flats)
	start := ir.Affine{Const: at.Const}
	for _, t := range at.Terms {
		if t.Atom.Kind == ir.AtomSymbol {
			start.Terms = append(start.Terms, t)
		}
	}
	w.flats = append(w.flats, linearRead{r.Operand, at, w.affine(start)})
}

// readKey is the same for linear reads of the same element.
func readKey(r *ir.Read, args []operand) string {
	at, _ := flat(args[r.Operand].typ.Shape, r.Index)
	return fmt.Sprint(r.Operand, at)
}

// loops writes the loops from depth d on.
func (w *nestWriter) loops(d int) {
	n := w.nest
	if w.reduces() && !w.along && d == n.Out {
		w.reduction()
		return
	}
	if d == len(w.order) {
		w.point(func(v string) {
			switch {
			case n.Write != nil:
				w.scatter(v)
			case w.along:
				w.src.line("%s[%s] += %s", w.row, loopName(n.Out-1), v)
			default:
				w.src.line("%s[%s] = %s", w.result, w.resultPlace(), v)
			}
		})
		return
	}
	w.loop(d, func() { w.loops(d + 1) })
}

// reduces reports whether several points may fall on one element, which they are combined in before it is stored.
func (w *nestWriter) reduces() bool { return w.nest.Write == nil && w.nest.Combine != ir.Map }

// loop writes loop d around what body writes.
func (w *nestWriter) loop(d int, body func()) {
	i := w.order[d]
	innermost := d == len(w.order)-1
	extent := dimension(w.nest.Index[i].Extent)
	places := make([]string, len(w.flats))
	for k := range w.flats {
		places[k] = w.flats[k].place
	}
	if w.along && innermost {
		w.hoist(i, extent)
	}
	start := len(w.src.lines)
	w.src.line("for %s := range %s {", loopName(i), extent)
	var steps []int // lines that may turn out to be needless
	for k := range w.flats {
		f := &w.flats[k]
		c := coefficient(f.at, i)
		if _, ready := w.ready[k]; c == 0 || ready {
			continue
		}
		next := sum(0, []string{f.place, scaled(c, loopName(i))})
		if innermost {
			f.place = next
			continue
		}
		v := w.src.name("p")
		steps = append(steps, len(w.src.lines))
		w.src.line("%s := %s", v, next)
		f.place = v
	}
	w.guards(d)
	body()
	w.src.line("}")
	for _, k := range slices.Backward(steps) {
		name, _, _ := strings.Cut(w.src.lines[k], " ")
		if !w.src.usedSince(k+1, name) {
			w.src.lines[k] = ""
		}
	}
	if !w.src.usedSince(start+1, loopName(i)) {
		w.src.lines[start] = fmt.Sprintf("for range %s {", extent)
	}
	for k := range w.flats {
		w.flats[k].place = places[k]
	}
	clear(w.ready)
}

// hoist prepares the innermost loop i along a row: what it does not change is read before, and what it steps through one by one is cut out.
func (w *nestWriter) hoist(i int, extent string) {
	shape := w.nest.ResultShape()
	ix := make([]string, w.nest.Out)
	for k := range ix {
		ix[k] = loopName(k)
	}
	ix[i] = "0"
	w.row = w.src.name("row")
	w.src.line("%s := %s[%s:][:%s]", w.row, w.result, place(shape, ix), extent)
	w.nest.Body.Reads(func(r *ir.Read) {
		k, ok := w.reads[readKey(r, w.args)]
		if _, done := w.ready[k]; !ok || done || r.Guarded {
			return
		}
		f := w.flats[k]
		switch coefficient(f.at, i) {
		case 0:
			v := w.src.name("x")
			w.src.line("%s := %s[%s]", v, w.args[f.operand].name, f.place)
			w.ready[k] = v
		case 1:
			v := w.src.name("s")
			w.src.line("%s := %s[%s:][:len(%s)]", v, w.args[f.operand].name, f.place, w.row)
			w.ready[k] = v + "[" + loopName(i) + "]"
		}
	})
}

// guards writes the tests that pass over the points of loop d at which a guard fails. In a reduction guards of the outer loops are tested
// at the points, since the element is stored all the same.
func (w *nestWriter) guards(d int) {
	for _, g := range w.nest.Guards {
		if w.guardDepth(g) == d {
			w.src.line("if %s { continue }", w.guardFails(g))
		}
	}
}

func (w *nestWriter) guardFails(g ir.Guard) string {
	e := w.src.name("g")
	w.src.line("%s := %s", e, w.affine(g.E))
	return fmt.Sprintf("%s < 0 || %s >= %s", e, e, w.affine(g.Limit))
}

// guardDepth returns the depth of the loop at whose start a guard is tested, or −1 where it is tested at each point.
func (w *nestWriter) guardDepth(g ir.Guard) int {
	d := -1
	for i := range w.nest.Index {
		if g.E.Uses(i) || g.Limit.Uses(i) {
			d = max(d, w.depth[i])
		}
	}
	if w.reduces() && !w.along && d < w.nest.Out {
		return -1
	}
	return d
}

// point writes the computation of the body at a point, and what use makes of it.
func (w *nestWriter) point(use func(v string)) {
	open := 0
	for _, g := range w.nest.Guards {
		if w.guardDepth(g) < 0 {
			w.src.line("if !(%s) {", w.guardFails(g))
			open++
		}
	}
	use(w.scalar(w.nest.Body))
	for range open {
		w.src.line("}")
	}
}

// reduction writes the reduced loops and the element that they give.
func (w *nestWriter) reduction() {
	n := w.nest
	acc, best := w.src.name("a"), ""
	if n.Combine == ir.ArgMax || n.Combine == ir.ArgMin {
		best = w.src.name("best")
		w.src.line("var %s %s", acc, goType(n.Body.DType))
		w.src.line("%s := int32(-1)", best)
	} else {
		w.src.line("%s := %s", acc, identity(n.Combine, n.Body.DType))
	}
	var inner func(d int)
	inner = func(d int) {
		if d < len(w.order) {
			w.loop(d, func() { inner(d + 1) })
			return
		}
		w.point(func(v string) { w.combine(acc, best, v) })
	}
	inner(n.Out)
	if best != "" {
		acc = "max(" + best + ", 0)"
	}
	w.src.line("%s[%s] = %s", w.result, w.resultPlace(), acc)
}

// combine writes what a point's value v does to the accumulator.
func (w *nestWriter) combine(acc, best, v string) {
	n := w.nest
	truth := n.Body.DType == tensor.Bool
	switch {
	case n.Combine == ir.Sum:
		w.src.line("%s += %s", acc, v)
	case n.Combine == ir.Prod:
		w.src.line("%s *= %s", acc, v)
	case n.Combine == ir.Max && truth:
		w.src.line("%s = %s || %s", acc, acc, v)
	case n.Combine == ir.Min && truth:
		w.src.line("%s = %s && %s", acc, acc, v)
	case n.Combine == ir.Max:
		w.src.line("%s = max(%s, %s)", acc, acc, v)
	case n.Combine == ir.Min:
		w.src.line("%s = min(%s, %s)", acc, acc, v)
	default:
		var shape []ir.Affine
		var ix []string
		for k := n.Out; k < len(n.Index); k++ {
			shape = append(shape, n.Index[k].Extent)
			ix = append(ix, loopName(k))
		}
		x := w.src.name("v")
		w.src.line("%s := %s", x, v)
		better := ">"
		if n.Combine == ir.ArgMin {
			better = "<"
		}
		w.src.line("if %s < 0 || %s %s %s || %s != %s && %s == %s { %s, %s = %s, int32(%s) }", best, x, better, acc, x, x, acc, acc, acc, best, x, place(shape, ix))
	}
}

// identity returns the Go expression of a reduction of no points.
func identity(c ir.Combine, d tensor.DType) string {
	switch {
	case c == ir.Prod || c == ir.Min && d == tensor.Bool:
		return literal(d, 1)
	case c == ir.Max && d == tensor.I32:
		return literal(d, math.MinInt32)
	case c == ir.Min && d == tensor.I32:
		return literal(d, math.MaxInt32)
	case c == ir.Max && d == tensor.F32:
		return literal(d, math.Inf(-1))
	case c == ir.Min && d == tensor.F32:
		return literal(d, math.Inf(1))
	}
	return literal(d, 0)
}

// resultPlace returns the Go expression of the place of the element of the result that the outer loops are at.
func (w *nestWriter) resultPlace() string {
	ix := make([]string, w.nest.Out)
	for i := range ix {
		ix[i] = loopName(i)
	}
	return place(w.nest.ResultShape(), ix)
}

// scatter adds v to the element of the result that the write map names.
func (w *nestWriter) scatter(v string) {
	ix := make([]string, len(w.nest.Write))
	for i, a := range w.nest.Write {
		ix[i] = w.src.name("j")
		w.src.line("%s := %s", ix[i], w.affine(a))
		w.inside(a, ix[i], w.nest.Shape[i])
	}
	w.src.line("%s[%s] += %s", w.result, place(w.nest.Shape, ix), v)
}

// inside writes the test of an index that is data.
func (w *nestWriter) inside(a ir.Affine, ix string, dim ir.Affine) {
	data := false
	a.Loads(func(*ir.Read) { data = true })
	if data {
		w.src.line("if uint(%s) >= uint(%s) { return outside(%s, %s, %q) }", ix, dimension(dim), ix, dimension(dim), position(w.loc))
	}
}

// position formats where an instruction comes from.
func position(l ir.Loc) string {
	if l.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", l.File, l.Line, l.Col)
}

// read returns the Go expression of a read; what it needs is computed in lines before.
func (w *nestWriter) read(r *ir.Read) string {
	arg := w.args[r.Operand]
	if at, ok := flat(arg.typ.Shape, r.Index); ok && linear(at) && !r.Guarded {
		k := w.reads[readKey(r, w.args)]
		if v, ready := w.ready[k]; ready {
			return v
		}
		return fmt.Sprintf("%s[%s]", arg.name, w.flats[k].place)
	}
	ix := make([]string, len(r.Index))
	for i, a := range r.Index {
		ix[i] = w.src.name("j")
		w.src.line("%s := %s", ix[i], w.affine(a))
		if !r.Guarded {
			w.inside(a, ix[i], arg.typ.Shape[i])
		}
	}
	if !r.Guarded {
		return fmt.Sprintf("%s[%s]", arg.name, place(arg.typ.Shape, ix))
	}
	v := w.src.name("x")
	w.src.line("%s := %s", v, literal(arg.typ.DType, r.Else))
	var tests []string
	for i, x := range ix {
		tests = append(tests, fmt.Sprintf("uint(%s) < uint(%s)", x, dimension(arg.typ.Shape[i])))
	}
	w.src.line("if %s { %s = %s[%s] }", strings.Join(tests, " && "), v, arg.name, place(arg.typ.Shape, ix))
	return v
}
