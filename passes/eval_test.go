package passes

import (
	"fmt"
	"math"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// array is a tensor of the naive evaluator: everything is float64.
type array struct {
	shape []int
	data  []float64
}

func newArray(shape ...int) *array {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return &array{shape, make([]float64, n)}
}

// offset returns the place of an element, and false outside.
func (a *array) offset(index []int) (int, bool) {
	o := 0
	for k, i := range index {
		if i < 0 || i >= a.shape[k] {
			return 0, false
		}
		o = o*a.shape[k] + i
	}
	return o, true
}

// machine evaluates functions point by point, with no regard for speed, independently of every backend.
type machine struct {
	symbols map[string]int
	cells   map[*ir.Cell]*array
}

func (m *machine) dims(shape []ir.Affine) []int {
	out := make([]int, len(shape))
	for i, d := range shape {
		out[i] = d.EvalDim(m.symbol)
	}
	return out
}

func (m *machine) symbol(s string) int {
	v, ok := m.symbols[s]
	if !ok {
		panic("symbol " + s + " has no value")
	}
	return v
}

// run evaluates f.
func (m *machine) run(f *ir.Func, args ...*array) []*array {
	env := map[*ir.Value]*array{}
	for i, p := range f.Params {
		env[p] = args[i]
	}
	for _, in := range f.Body {
		operands := make([]*array, len(in.Args))
		for i, a := range in.Args {
			if operands[i] = env[a]; operands[i] == nil {
				panic(fmt.Sprintf("operand %d of %s has no value", i, in.Op))
			}
		}
		switch in.Op {
		case ir.OpNest:
			env[in.Result()] = m.nest(in.Nest, operands)
		case ir.OpReshape:
			env[in.Result()] = &array{m.dims(in.Result().Type.Shape), operands[0].data}
		case ir.OpConst:
			a := newArray(in.Data.Shape...)
			for i := range a.data {
				a.data[i] = in.Data.At(i)
			}
			env[in.Result()] = a
		case ir.OpRead:
			env[in.Result()] = m.cells[in.Cell]
		case ir.OpWrite:
			m.cells[in.Cell] = operands[0]
		case ir.OpCall:
			for i, r := range m.run(in.Call, operands...) {
				env[in.Results[i]] = r
			}
		case ir.OpScan:
			for i, r := range m.scan(in, operands) {
				env[in.Results[i]] = r
			}
		default:
			panic("no evaluation of " + in.Op.String())
		}
	}
	results := make([]*array, len(f.Results))
	for i, r := range f.Results {
		results[i] = env[r]
	}
	return results
}

func (m *machine) scan(in *ir.Instr, operands []*array) []*array {
	s := in.Scan
	trip := s.Trip.EvalDim(m.symbol)
	carried := append([]*array{}, operands[:s.Carried]...)
	rest := operands[s.Carried+s.Slices:]
	var lengths *array
	ended := func(shape []ir.Affine, b, t int) bool {
		by := in.Args[len(in.Args)-1].Type.Shape
		return s.Length && len(shape) > 0 && shape[0].Equal(by[0]) && t >= int(lengths.data[b])
	}
	if s.Length {
		lengths = rest[len(rest)-1]
		if len(s.Body.Params) == len(operands) {
			rest = rest[:len(rest)-1]
		}
	}
	stacks := make([]*array, len(in.Results)-s.Carried)
	for i, r := range in.Results[s.Carried:] {
		stacks[i] = newArray(m.dims(r.Type.Shape)...)
	}
	for k := range trip {
		t := k
		if s.Reversed {
			t = trip - 1 - k
		}
		args := append([]*array{{nil, []float64{float64(t)}}}, carried...)
		for i, x := range operands[s.Carried:][:s.Slices] {
			slice := newArray(m.dims(s.Body.Params[1+s.Carried+i].Type.Shape)...)
			slice.each(func(at []int, o int) {
				from, _ := x.offset(slices.Insert(slices.Clone(at), s.Axis, t))
				slice.data[o] = x.data[from]
			})
			args = append(args, slice)
		}
		for i, v := range m.run(s.Body, append(args, rest...)...) {
			shape := s.Body.Results[i].Type.Shape
			next := newArray(v.shape...)
			v.each(func(at []int, o int) {
				switch {
				case len(at) == 0 || !ended(shape, at[0], t):
					next.data[o] = v.data[o]
				case i < s.Carried:
					next.data[o] = carried[i].data[o]
				}
				if i >= s.Carried {
					to, _ := stacks[i-s.Carried].offset(slices.Insert(slices.Clone(at), s.Axis, t))
					stacks[i-s.Carried].data[to] = next.data[o]
				}
			})
			if i < s.Carried {
				carried[i] = next
			}
		}
	}
	return append(carried, stacks...)
}

// each calls f for every element's index and place.
func (a *array) each(f func(at []int, o int)) {
	at := make([]int, len(a.shape))
	for o := range a.data {
		for k, rest := len(at)-1, o; k >= 0; k-- {
			at[k], rest = rest%a.shape[k], rest/a.shape[k]
		}
		f(at, o)
	}
}

func (m *machine) nest(n *ir.Nest, operands []*array) *array {
	out := newArray(m.dims(n.ResultShape())...)
	taken := make([]bool, len(out.data))
	best := make([]float64, len(out.data))
	index := make([]int, len(n.Index))
	extents := make([]int, len(n.Index))
	for i, x := range n.Index {
		extents[i] = x.Extent.EvalDim(m.symbol)
	}
	p := point{m, index, operands}
	var loop func(k int)
	loop = func(k int) {
		if k < len(index) {
			for index[k] = 0; index[k] < extents[k]; index[k]++ {
				loop(k + 1)
			}
			return
		}
		at := index[:n.Out]
		if n.Write != nil {
			at = nil
		}
		for _, g := range n.Guards {
			if e := p.affine(g.E); e < 0 || e >= p.affine(g.Limit) {
				return
			}
		}
		for _, w := range n.Write {
			at = append(at, p.affine(w))
		}
		o, ok := out.offset(at)
		if !ok {
			panic(fmt.Sprintf("write outside at %v of %v", at, out.shape))
		}
		v := p.expr(n.Body)
		number := 0
		for i := n.Out; i < len(index); i++ {
			number = number*extents[i] + index[i]
		}
		first := !taken[o]
		taken[o] = true
		switch n.Combine {
		case ir.Map:
			out.data[o] = v
		case ir.Sum:
			out.data[o] += v
		case ir.Prod:
			if first {
				out.data[o] = 1
			}
			out.data[o] *= v
		case ir.Max:
			if first || v > out.data[o] {
				out.data[o] = v
			}
		case ir.Min:
			if first || v < out.data[o] {
				out.data[o] = v
			}
		case ir.ArgMax:
			if first || v > best[o] {
				best[o], out.data[o] = v, float64(number)
			}
		case ir.ArgMin:
			if first || v < best[o] {
				best[o], out.data[o] = v, float64(number)
			}
		}
	}
	loop(0)
	for o := range taken {
		if !taken[o] {
			switch n.Combine {
			case ir.Prod:
				out.data[o] = 1
			case ir.Max:
				out.data[o] = math.Inf(-1)
			case ir.Min:
				out.data[o] = math.Inf(1)
			}
		}
	}
	return out
}

// point is one point of a nest.
type point struct {
	m        *machine
	index    []int
	operands []*array
}

func (p point) affine(a ir.Affine) int {
	return a.Eval(func(i int) int { return p.index[i] }, p.m.symbol, func(r *ir.Read) int { return int(p.read(r)) })
}

func (p point) read(r *ir.Read) float64 {
	at := make([]int, len(r.Index))
	for i, a := range r.Index {
		at[i] = p.affine(a)
	}
	x := p.operands[r.Operand]
	o, ok := x.offset(at)
	if !ok {
		if r.Guarded {
			return r.Else
		}
		panic(fmt.Sprintf("read outside at %v of %v", at, x.shape))
	}
	return x.data[o]
}

func (p point) expr(e *ir.Expr) float64 {
	switch e.Leaf {
	case ir.LeafConst:
		return e.Value
	case ir.LeafRead:
		return p.read(e.Read)
	case ir.LeafIndex:
		return float64(p.affine(*e.Affine))
	}
	if e.Op == ir.OpSelect {
		if p.expr(e.Args[0]) != 0 {
			return p.expr(e.Args[1])
		}
		return p.expr(e.Args[2])
	}
	x := make([]float64, len(e.Args))
	for i, a := range e.Args {
		x[i] = p.expr(a)
	}
	if f := e.Op.Row().Eval; f != nil {
		v := f(x)
		if e.DType == tensor.I32 {
			v = math.Floor(v)
		}
		return v
	}
	return p.expr(e.Op.Expand(e.Args))
}
