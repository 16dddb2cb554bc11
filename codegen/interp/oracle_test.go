package interp

import (
	"math"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// naiveNest computes a nest point by point in float64, straight from the documentation of ir.Nest. Its extents must be constant. It reports
// false if an index that is data is outside its operand.
func naiveNest(n *ir.Nest, args []*tensor.Tensor) (*tensor.Tensor, bool) {
	extents := make([]int, len(n.Index))
	for i, ix := range n.Index {
		extents[i] = ix.Extent.MustConst()
	}
	shape := make([]int, 0)
	for _, d := range n.ResultShape() {
		shape = append(shape, d.MustConst())
	}
	d := n.ResultDType()
	if d == tensor.F32 {
		d = tensor.F64
	}
	out := tensor.New(d, shape...)
	best := make([]float64, out.Len()) // of ArgMax and ArgMin
	seen := make([]bool, out.Len())
	if n.Combine != ir.Map && n.Write == nil {
		for k := range out.Len() {
			switch n.Combine {
			case ir.Prod:
				out.Set(k, 1)
			case ir.Max:
				out.Set(k, math.Inf(-1))
				if d == tensor.I32 {
					out.Set(k, math.MinInt32)
				} else if d == tensor.Bool {
					out.Set(k, 0)
				}
			case ir.Min:
				out.Set(k, math.Inf(1))
				if d == tensor.I32 {
					out.Set(k, math.MaxInt32)
				}
			}
		}
	}
	ok := true
	e := &naive{args: args, loops: make([]int, len(extents)), ok: &ok}
	for point := range product(extents) {
		rest := point
		for k := len(extents) - 1; k >= 0; k-- {
			e.loops[k] = rest % extents[k]
			rest /= extents[k]
		}
		pass := true
		for _, g := range n.Guards {
			if v := e.affine(g.E); v < 0 || v >= e.affine(g.Limit) {
				pass = false
				break
			}
		}
		if !pass {
			continue
		}
		v := e.expr(n.Body)
		at := 0
		if n.Write != nil {
			for k, w := range n.Write {
				x := e.affine(w)
				if x < 0 || x >= shape[k] {
					return nil, false
				}
				at = at*shape[k] + x
			}
		} else {
			for k := range n.Out {
				at = at*extents[k] + e.loops[k]
			}
		}
		old := out.At(at)
		switch n.Combine {
		case ir.Map:
			out.Set(at, v)
		case ir.Sum:
			out.Set(at, e.wrap(n.Body.DType, old+v))
		case ir.Prod:
			if n.Body.DType == tensor.I32 {
				out.I32[at] *= int32(v)
			} else {
				out.Set(at, old*v)
			}
		case ir.Max:
			out.Set(at, max(old, v)) // unlike math.Max, max lets a not-a-number win over infinity
		case ir.Min:
			out.Set(at, min(old, v))
		default:
			number := 0
			for k := n.Out; k < len(extents); k++ {
				number = number*extents[k] + e.loops[k]
			}
			wins := !seen[at] || v > best[at]
			if n.Combine == ir.ArgMin {
				wins = !seen[at] || v < best[at]
			}
			if math.IsNaN(v) {
				wins = !seen[at] || !math.IsNaN(best[at])
			}
			if wins {
				best[at], seen[at] = v, true
				out.Set(at, float64(number))
			}
		}
	}
	return out, ok
}

type naive struct {
	args  []*tensor.Tensor
	loops []int
	ok    *bool
}

func (e *naive) affine(a ir.Affine) int {
	return a.Eval(func(i int) int { return e.loops[i] }, func(string) int { panic("symbol") }, func(r *ir.Read) int {
		return int(e.read(r))
	})
}

func (e *naive) read(r *ir.Read) float64 {
	t := e.args[r.Operand]
	at := 0
	for k, ix := range r.Index {
		x := e.affine(ix)
		if x < 0 || x >= t.Shape[k] {
			if r.Guarded {
				return r.Else
			}
			*e.ok = false
			return 0
		}
		at = at*t.Shape[k] + x
	}
	return t.At(at)
}

func (e *naive) wrap(d tensor.DType, v float64) float64 {
	if d == tensor.I32 {
		return float64(int32(int64(v)))
	}
	return v
}

func (e *naive) expr(x *ir.Expr) float64 {
	switch x.Leaf {
	case ir.LeafConst:
		return x.Value
	case ir.LeafRead:
		return e.read(x.Read)
	case ir.LeafIndex:
		return float64(e.affine(*x.Affine))
	}
	v := make([]float64, len(x.Args))
	for i, a := range x.Args { // also both sides of a select: a data index must be inside on either
		v[i] = e.expr(a)
	}
	return naiveOp(x.Op, x.Args[0].DType, v)
}

func naiveOp(op ir.Op, d tensor.DType, v []float64) float64 {
	if d == tensor.I32 {
		a, b := int64(v[0]), int64(v[len(v)-1])
		switch op {
		case ir.OpAdd:
			return float64(int32(a + b))
		case ir.OpSub:
			return float64(int32(a - b))
		case ir.OpMul:
			return float64(int32(a * b))
		case ir.OpNeg:
			return float64(int32(-a))
		case ir.OpAbs:
			return float64(int32(max(a, -a)))
		case ir.OpDiv, ir.OpMod:
			if b == 0 {
				return 0
			}
			q := int64(math.Floor(float64(a) / float64(b)))
			if op == ir.OpMod {
				return float64(int32(a - b*q))
			}
			return float64(int32(q))
		}
	}
	switch op { // math.Min and math.Max prefer infinity to a not-a-number
	case ir.OpMin:
		return min(v[0], v[1])
	case ir.OpMax:
		return max(v[0], v[1])
	}
	if eval := op.Row().Eval; eval != nil {
		return eval(v)
	}
	args := make([]*ir.Expr, len(v)) // a composite op is what its row says
	for i, x := range v {
		args[i] = ir.Const(d, x)
	}
	return (&naive{}).expr(op.Expand(args))
}
