package gopkg

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// funcWriter writes a function of the IR as a Go function in which every value is a slice.
//
// A value's memory comes from the variable s, a *scratch, and goes back there after the value's last use.
type funcWriter struct {
	src   *source
	cells map[*ir.Cell]string // Go expressions of the cells that the function reads
	names map[*ir.Value]string
	owned map[string]*owner // by name: the memory that came from s
	pos   int               // number of the instruction being written
}

// owner is memory from s: the last instruction that needs it.
type owner struct {
	dtype tensor.DType
	last  int
}

// writeFunc writes f as a Go function of that name. Its parameters are s, the symbols of f, its parameters, and its results, which it
// fills.
func writeFunc(src *source, f *ir.Func, name string, cells map[*ir.Cell]string) error {
	w := &funcWriter{src: src, cells: cells, names: map[*ir.Value]string{}, owned: map[string]*owner{}}
	params := []string{"s *scratch"}
	for _, n := range symbols(f) {
		params = append(params, symbolName(n)+" int")
	}
	for k, p := range f.Params {
		w.names[p] = fmt.Sprintf("in%d", k)
		params = append(params, w.names[p]+" []"+goType(p.Type.DType))
	}
	for k, r := range f.Results {
		params = append(params, fmt.Sprintf("out%d []%s", k, goType(r.Type.DType)))
	}
	src.line("func (w *weights) %s(%s) error {", name, strings.Join(params, ", "))
	if err := w.body(f); err != nil {
		return err
	}
	for k, r := range f.Results {
		src.line("copy(out%d, %s)", k, w.names[r])
	}
	for _, r := range f.Results {
		w.release(w.names[r], len(f.Body))
	}
	src.line("return nil")
	src.line("}")
	return nil
}

// symbols returns the names of the symbols that the dimensions of f's parameters hold, in order.
func symbols(f *ir.Func) []string {
	var names []string
	for _, p := range f.Params {
		for _, d := range p.Type.Shape {
			for _, t := range d.Terms {
				if t.Atom.Kind == ir.AtomSymbol && !slices.Contains(names, t.Atom.Symbol) {
					names = append(names, t.Atom.Symbol)
				}
			}
		}
	}
	return names
}

// body writes the instructions of f. The values that f returns are not released.
func (w *funcWriter) body(f *ir.Func) error {
	last := map[*ir.Value]int{}
	for k, in := range f.Body {
		for _, a := range in.Args {
			last[a] = k
		}
	}
	for _, r := range f.Results {
		last[r] = len(f.Body)
	}
	for k, in := range f.Body {
		w.pos = k
		if err := w.instr(in, last); err != nil {
			return err
		}
		done := map[string]bool{}
		for _, v := range slices.Concat(in.Args, in.Results) {
			if n := w.names[v]; !done[n] {
				done[n] = true
				w.release(n, k)
			}
		}
	}
	return nil
}

// release gives back memory that no instruction after number k needs.
func (w *funcWriter) release(name string, k int) {
	if o := w.owned[name]; o != nil && o.last <= k {
		w.src.line("s.%s.put(%s)", pool(o.dtype), name)
		delete(w.owned, name)
	}
}

// define makes memory for a value.
func (w *funcWriter) define(v *ir.Value, last map[*ir.Value]int) string {
	n := w.memory(v.Type)
	w.names[v] = n
	w.keep(v, last)
	return n
}

// memory makes memory for a value of type t.
func (w *funcWriter) memory(t ir.Type) string {
	n := w.src.name("v")
	w.src.line("%s := s.%s.get(%s)", n, pool(t.DType), count(t.Shape))
	w.owned[n] = &owner{t.DType, -1}
	return n
}

// keep makes sure that v's memory lives as long as v.
func (w *funcWriter) keep(v *ir.Value, last map[*ir.Value]int) {
	if o := w.owned[w.names[v]]; o != nil {
		o.last = max(o.last, last[v])
	}
}

func pool(d tensor.DType) string {
	switch d {
	case tensor.I32:
		return "i32"
	case tensor.Bool:
		return "bool"
	}
	return "f32"
}

func (w *funcWriter) instr(in *ir.Instr, last map[*ir.Value]int) error {
	switch in.Op {
	case ir.OpNest:
		args := make([]operand, len(in.Args))
		for k, a := range in.Args {
			args[k] = operand{w.names[a], a.Type}
		}
		writeNest(w.src, in.Nest, args, w.define(in.Result(), last), in.Loc)
	case ir.OpReshape:
		w.names[in.Result()] = w.names[in.Args[0]]
		w.keep(in.Result(), last)
	case ir.OpConst:
		n := w.define(in.Result(), last)
		t := in.Data
		var all []string
		for k := range t.Len() {
			all = append(all, literal(t.DType, t.At(k)))
		}
		w.src.line("copy(%s, []%s{%s})", n, goType(t.DType), strings.Join(all, ", "))
	case ir.OpRead:
		n, ok := w.cells[in.Cell]
		if !ok {
			return fmt.Errorf("the cell %s is no weight", in.Cell.Name)
		}
		w.names[in.Result()] = n
	case ir.OpScan:
		return w.scan(in, last)
	default:
		return fmt.Errorf("%s cannot be part of a prediction", in.Op)
	}
	return nil
}

// scan writes a loop.
func (w *funcWriter) scan(in *ir.Instr, last map[*ir.Value]int) error {
	sc, src := in.Scan, w.src
	nCarried, nSlices := sc.Carried, sc.Slices
	rest := in.Args[nCarried+nSlices:]
	var lengths string
	var examples ir.Affine
	if sc.Length {
		v := rest[len(rest)-1]
		lengths, examples = w.names[v], v.Type.Shape[0]
		if len(sc.Body.Params) == 1+nCarried+nSlices+len(rest)-1 {
			rest = rest[:len(rest)-1] // the body does not take the lengths
		}
	}
	// The final carried values lie where they are carried.
	for k, r := range in.Results {
		n := w.define(r, last)
		if k < nCarried {
			src.line("copy(%s, %s)", n, w.names[in.Args[k]])
		}
	}
	inner := &funcWriter{src: src, cells: w.cells, names: map[*ir.Value]string{}, owned: map[string]*owner{}}
	params := sc.Body.Params
	counter, round := src.name("counter"), src.name("t")
	src.line("for %s := range %s {", round, dimension(sc.Trip))
	if sc.Reversed {
		src.line("%s = %s - 1 - %s", round, dimension(sc.Trip), round)
	}
	src.line("%s := []int32{int32(%s)}", counter, round)
	counterLine := len(src.lines)
	inner.names[params[0]] = counter
	for k := range nCarried {
		inner.names[params[1+k]] = w.names[in.Results[k]]
	}
	var slicesOf []string
	for k := range nSlices {
		p := params[1+nCarried+k]
		n := src.name("slice")
		src.line("%s := s.%s.get(%s)", n, pool(p.Type.DType), count(p.Type.Shape))
		whole := in.Args[nCarried+k]
		src.line("takeSlice(%s, %s, %s, %s, %s)", n, w.names[whole], count(whole.Type.Shape[:sc.Axis]), dimension(whole.Type.Shape[sc.Axis]), round)
		inner.names[p] = n
		slicesOf = append(slicesOf, n)
	}
	for k, v := range rest {
		inner.names[params[1+nCarried+nSlices+k]] = w.names[v]
	}
	if err := inner.body(sc.Body); err != nil {
		return err
	}
	for k, r := range in.Results[nCarried:] {
		y := sc.Body.Results[nCarried+k]
		if lengths != "" && perExample(y.Type, examples) {
			src.line("storeRows(%s, %s, %s, %s, %s, %s)", w.names[r], inner.names[y], count(r.Type.Shape[:sc.Axis]), dimension(r.Type.Shape[sc.Axis]), round, lengths)
			continue
		}
		src.line("storeSlice(%s, %s, %s, %s, %s)", w.names[r], inner.names[y], count(r.Type.Shape[:sc.Axis]), dimension(r.Type.Shape[sc.Axis]), round)
	}
	// A next value that is another carried one is copied before that is overwritten.
	next := make([]string, nCarried)
	var staged []string
	for k := range nCarried {
		next[k] = inner.names[sc.Body.Results[k]]
		for j := range k {
			if next[k] == w.names[in.Results[j]] {
				t := sc.Body.Results[k].Type
				n := src.name("staged")
				src.line("%s := s.%s.get(%s)", n, pool(t.DType), count(t.Shape))
				src.line("copy(%s, %s)", n, next[k])
				staged = append(staged, fmt.Sprintf("s.%s.put(%s)", pool(t.DType), n))
				next[k] = n
				break
			}
		}
	}
	for k := range nCarried {
		to := w.names[in.Results[k]]
		if to == next[k] {
			continue
		}
		if lengths != "" && perExample(in.Results[k].Type, examples) {
			src.line("keepRows(%s, %s, %s, %s)", to, next[k], round, lengths)
			continue
		}
		src.line("copy(%s, %s)", to, next[k])
	}
	for _, l := range staged {
		src.line("%s", l)
	}
	released := map[string]bool{}
	for _, r := range sc.Body.Results {
		if n := inner.names[r]; !released[n] {
			released[n] = true
			inner.release(n, len(sc.Body.Body))
		}
	}
	for k, n := range slicesOf {
		src.line("s.%s.put(%s)", pool(params[1+nCarried+k].Type.DType), n)
	}
	if !src.usedSince(counterLine, counter) {
		src.lines[counterLine-1] = ""
	}
	src.line("}")
	return nil
}

// perExample reports whether a value has a row for each example.
func perExample(t ir.Type, examples ir.Affine) bool {
	return len(t.Shape) > 0 && t.Shape[0].Equal(examples)
}
