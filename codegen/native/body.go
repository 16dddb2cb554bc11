package native

import (
	"fmt"
	"math"

	"github.com/llir/llvm/ir/enum"
	"github.com/llir/llvm/ir/value"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// levelOf returns the number of the outermost scope that knows all that nd depends on.
func (e *emitter) levelOf(nd *node) int {
	if l, ok := e.levels[nd]; ok {
		return l
	}
	level := 0
	switch {
	case nd.sum:
		level = len(e.extents) + 2 // innermost
	case nd.leaf == ir.LeafRead:
		level = e.levelOfAccess(nd.access)
	case nd.leaf == ir.LeafIndex:
		level = e.levelOfForm(nd.form)
	}
	for _, a := range nd.args {
		level = max(level, e.levelOf(a))
	}
	e.levels[nd] = level
	return level
}

// varies reports whether nd differs from lane to lane.
func (e *emitter) varies(nd *node) bool {
	if e.v < 0 {
		return false
	}
	switch {
	case nd.sum:
		return true
	case nd.leaf == ir.LeafRead:
		return e.accessVaries(nd.access)
	case nd.leaf == ir.LeafIndex:
		return e.formVaries(nd.form)
	}
	for _, a := range nd.args {
		if e.varies(a) {
			return true
		}
	}
	return false
}

// uses reports whether nd depends on a loop.
func (nd *node) uses(loop int) bool {
	switch {
	case nd.sum:
		return true
	case nd.leaf == ir.LeafRead:
		return nd.access.uses(loop)
	case nd.leaf == ir.LeafIndex:
		return nd.form.uses(loop)
	}
	for _, a := range nd.args {
		if a.uses(loop) {
			return true
		}
	}
	return false
}

// value returns nd at an instance: a vector if it varies, else a scalar.
func (e *emitter) value(nd *node, in *instance) value.Value {
	switch {
	case nd.sum:
		return e.sum
	case nd.leaf == ir.LeafConst:
		return num(llvmType(nd.dtype), nd.value)
	case nd.leaf == ir.LeafRead:
		return e.read(nd.access, nd.dtype, in)
	}
	varies := e.varies(nd)
	key := fmt.Sprintf("node %d", nd.id)
	if varies {
		key += fmt.Sprintf(" u%d", in.u)
	}
	for k, w := range e.rows {
		if nd.uses(w.loop) {
			key += fmt.Sprintf(" r%d:%d", k, in.r[k])
		}
	}
	s := e.scopeFor(e.levelOf(nd))
	if v := s.cache[key]; v != nil {
		return v
	}
	var z value.Value
	if nd.leaf == ir.LeafIndex {
		z = e.number32(nd.form, in)
	} else {
		x := make([]value.Value, len(nd.args))
		for k, a := range nd.args {
			x[k] = e.value(a, in)
			if varies {
				x[k] = e.scopeFor(e.levelOf(a)).splat(x[k], e.lanes)
			}
		}
		if nd.plusOne {
			z = s.onePlusErf(x[0])
		} else {
			z = s.apply(nd.op, nd.dtype, x)
		}
	}
	s.cache[key] = z
	return z
}

// use returns nd in as many lanes as the nest's values have.
func (e *emitter) use(nd *node, in *instance) value.Value {
	v := e.value(nd, in)
	return e.scopeFor(e.levelOf(nd)).splat(v, e.width())
}

// identity returns the state of a reduction of no points: the combiner's identity, or for ArgMax and ArgMin a value and the number −1.
func (e *emitter) identity(n int) []value.Value {
	t := vector(n, llvmType(e.dtype))
	lowest, highest := math.Inf(-1), math.Inf(1)
	switch e.dtype {
	case tensor.I32:
		lowest, highest = math.MinInt32, math.MaxInt32
	case tensor.Bool:
		lowest, highest = 0, 1
	}
	switch e.combine {
	case ir.Sum:
		return []value.Value{num(t, 0)}
	case ir.Prod:
		if e.dtype == tensor.F32 { // a factor's overflow must not outlive a 0 in another lane
			t = vector(n, f64)
		}
		return []value.Value{num(t, 1)}
	case ir.Max:
		return []value.Value{num(t, lowest)}
	case ir.Min:
		return []value.Value{num(t, highest)}
	}
	return []value.Value{num(t, 0), integer(vector(n, i32), -1)}
}

// accumulate combines the body at an instance into a state.
func (e *emitter) accumulate(in *instance, state []value.Value) []value.Value {
	mask := e.guard(in)
	if in.tail != nil && !e.across {
		mask = e.mask(in)
	}
	var next []value.Value
	if m := e.roots[0]; e.combine == ir.Sum && e.dtype == tensor.F32 && m.leaf == ir.NotLeaf && m.op == ir.OpMul {
		a, b := e.use(m.args[0], in), e.use(m.args[1], in)
		next = []value.Value{e.inner().fma(a, b, state[0])}
	} else {
		x := []value.Value{e.use(e.roots[0], in)}
		if e.combine == ir.Prod && e.dtype == tensor.F32 {
			x[0] = e.inner().blk.NewFPExt(x[0], state[0].Type())
		}
		if len(state) == 2 {
			n := e.number32(e.number, in)
			x = append(x, e.scopeFor(e.levelOfForm(e.number)).splat(n, e.width()))
		}
		next = e.combineStates(e.inner(), state, x)
	}
	if mask != nil {
		for k := range next {
			next[k] = e.inner().choose(mask, next[k], state[k])
		}
	}
	return next
}

// combineStates combines two states.
func (e *emitter) combineStates(s *scope, a, b []value.Value) []value.Value {
	x, y := a[0], b[0]
	switch e.combine {
	case ir.ArgMax, ir.ArgMin:
		return e.better(s, a, b)
	case ir.Sum:
		if e.dtype == tensor.F32 {
			return []value.Value{s.fadd(x, y)}
		}
		return []value.Value{s.blk.NewAdd(x, y)}
	case ir.Prod:
		if e.dtype == tensor.F32 {
			return []value.Value{s.fmul(x, y)}
		}
		return []value.Value{s.blk.NewMul(x, y)}
	}
	switch e.dtype {
	case tensor.F32:
		if e.combine == ir.Max {
			return []value.Value{s.maxF32(x, y)}
		}
		return []value.Value{s.minF32(x, y)}
	case tensor.I32:
		op := ir.OpMax
		if e.combine == ir.Min {
			op = ir.OpMin
		}
		return []value.Value{s.applyI32(op, []value.Value{x, y})}
	}
	if e.combine == ir.Max {
		return []value.Value{s.or(x, y)}
	}
	return []value.Value{s.and(x, y)}
}

// better returns the one of two (value, number) pairs that wins: a not-a-number before all, then the greater or lesser value, then the lesser
// number; the number −1 stands for no point.
func (e *emitter) better(s *scope, a, b []value.Value) []value.Value {
	x, m, y, n := a[0], a[1], b[0], b[1]
	none := s.icmp(enum.IPredSLT, m, num(m.Type(), 0))
	some := s.icmp(enum.IPredSGE, n, num(n.Type(), 0))
	earlier := s.icmp(enum.IPredSLT, n, m)
	var wins value.Value
	if e.dtype == tensor.F32 {
		before := enum.FPredOGT
		if e.combine == ir.ArgMin {
			before = enum.FPredOLT
		}
		xnan, ynan := s.fcmp(enum.FPredUNO, x, x), s.fcmp(enum.FPredUNO, y, y)
		byValue := s.or(s.fcmp(before, y, x), s.and(s.fcmp(enum.FPredOEQ, y, x), earlier))
		byNaN := s.and(ynan, s.or(s.not(xnan), earlier))
		wins = s.or(byValue, byNaN)
	} else {
		before := enum.IPredSGT
		if e.combine == ir.ArgMin {
			before = enum.IPredSLT
		}
		wins = s.or(s.icmp(before, y, x), s.and(s.icmp(enum.IPredEQ, y, x), earlier))
	}
	wins = s.and(some, s.or(none, wins))
	return []value.Value{s.choose(wins, y, x), s.choose(wins, n, m)}
}

// finish returns the result of a state.
func (e *emitter) finish(state []value.Value) value.Value {
	if e.combine == ir.Prod && e.dtype == tensor.F32 {
		return e.inner().blk.NewFPTrunc(state[0], vector(lanesOf(state[0]), f32))
	}
	if len(state) == 1 {
		return state[0]
	}
	n := state[1]
	return e.inner().choose(e.inner().icmp(enum.IPredSLT, n, num(n.Type(), 0)), num(n.Type(), 0), n)
}
