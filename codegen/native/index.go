package native

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/llir/llvm/ir/constant"
	"github.com/llir/llvm/ir/enum"
	"github.com/llir/llvm/ir/types"
	"github.com/llir/llvm/ir/value"

	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// levelOfForm returns the number of the outermost scope that knows all that f depends on.
func (e *emitter) levelOfForm(f *form) int {
	level := 0
	for _, t := range f.lin {
		level = max(level, e.level[t.loop])
	}
	for _, q := range f.quo {
		level = max(level, e.levelOfForm(q.num))
	}
	for _, d := range f.ld {
		level = max(level, e.levelOfAccess(d.from))
	}
	return level
}

func (e *emitter) levelOfAccess(a *access) int {
	if a.fails() && len(e.guards) > 0 {
		return len(e.extents) + 2 // innermost: only where the guards pass is it an error
	}
	level := 0
	for _, d := range a.dims {
		level = max(level, e.levelOfForm(d))
	}
	return level
}

// linear returns the linear part of f as an i64, at lane 0 of an instance. Each loop's share is added in that loop's scope.
func (e *emitter) linear(f *form, in *instance) value.Value {
	terms := slices.Clone(f.lin)
	slices.SortStableFunc(terms, func(a, b linear) int { return cmp.Compare(e.level[a.loop], e.level[b.loop]) })
	sum := e.size(f.c)
	key := "linear " + f.c.String()
	var perVector poly
	for _, t := range terms {
		s := e.scopeFor(e.level[t.loop])
		key += fmt.Sprintf("+%v*%d", t.coef, t.loop)
		if t.loop == e.v {
			perVector = t.coef
		}
		sum = s.memo(key, func() value.Value { return s.add(sum, s.mul(e.at[t.loop], e.size(t.coef))) })
	}
	shift := poly{}
	if perVector != nil {
		shift = shift.add(perVector.scale(in.u * e.lanes))
	}
	for k, w := range e.rows {
		if c := f.coef(w.loop); c != nil {
			shift = shift.add(c.scale(in.r[k]))
		}
	}
	if len(shift) == 0 {
		return sum
	}
	s := e.scopeFor(e.levelOfForm(f))
	return s.memo(fmt.Sprintf("%s@%v", key, shift), func() value.Value { return s.add(sum, e.size(shift)) })
}

// suffix tells instances apart in the keys of values that depend on the vector loop or the row loops.
func (e *emitter) suffix(uses func(int) bool, in *instance) string {
	s := ""
	if e.v >= 0 && uses(e.v) {
		s = fmt.Sprintf(" u%d", in.u)
	}
	for k, w := range e.rows {
		if uses(w.loop) {
			s += fmt.Sprintf(" r%d:%d", k, in.r[k])
		}
	}
	return s
}

// nonlinear returns the part of f that is quotients and data, all of it the same in all lanes, as an i64; nil if there is none.
func (e *emitter) nonlinear(f *form, in *instance) value.Value {
	if f.isLinear() {
		return nil
	}
	s := e.scopeFor(e.levelOfForm(&form{quo: f.quo, ld: f.ld}))
	return s.memo(fmt.Sprintf("nonlinear %v%s", f, e.suffix(f.uses, in)), func() value.Value {
		var sum value.Value = int64Const(0)
		for _, q := range f.quo {
			n := e.scalar(q.num, in)
			s := e.scopeFor(e.levelOfForm(q.num))
			z := floorQuotient(s, n, q.den, q.nonNeg)
			sum = s.add(sum, s.mul(z, int64Const(q.coef)))
		}
		for _, d := range f.ld {
			z := e.scalarRead(d.from, tensor.I32, in)
			s := e.scopeFor(e.levelOfForm(&form{quo: f.quo, ld: f.ld}))
			sum = s.add(sum, s.mul(s.blk.NewSExt(z, i64), int64Const(d.coef)))
		}
		return sum
	})
}

// floorQuotient returns ⌊n / den⌋ for integers of any type.
func floorQuotient(s *scope, n value.Value, den int, nonNeg bool) value.Value {
	d := integer(n.Type(), int64(den))
	if nonNeg {
		return s.blk.NewUDiv(n, d)
	}
	negative := s.icmp(enum.IPredSLT, n, integer(n.Type(), 0))
	low := s.blk.NewSub(n, integer(n.Type(), int64(den-1)))
	return s.blk.NewSDiv(s.choose(negative, low, n), d)
}

// formVaries reports whether f differs from lane to lane. With guards, so does what may be an error, since it is one only where they pass.
func (e *emitter) formVaries(f *form) bool {
	return e.v >= 0 && (f.uses(e.v) || f.fails() && len(e.guards) > 0)
}

func (e *emitter) accessVaries(a *access) bool {
	return e.v >= 0 && (a.uses(e.v) || a.fails() && len(e.guards) > 0)
}

// hides reports whether quotients or data in a vary.
func (e *emitter) hides(a *access) bool {
	for _, d := range a.dims {
		for _, q := range d.quo {
			if e.formVaries(q.num) {
				return true
			}
		}
		for _, l := range d.ld {
			if e.accessVaries(l.from) {
				return true
			}
		}
	}
	return false
}

// scalar returns f, which is the same in all lanes or linear along them, as an i64 at lane 0.
func (e *emitter) scalar(f *form, in *instance) value.Value {
	x := e.linear(f, in)
	if y := e.nonlinear(f, in); y != nil {
		s := e.scopeFor(e.levelOfForm(f))
		return s.add(x, y)
	}
	return x
}

// number32 returns f as a number of type i32: a vector if it differs from lane to lane.
func (e *emitter) number32(f *form, in *instance) value.Value {
	if !e.formVaries(f) {
		x := e.scalar(f, in)
		s := e.scopeFor(e.levelOfForm(f))
		return s.memo(fmt.Sprintf("i32 %p", x), func() value.Value { return s.blk.NewTrunc(x, i32) })
	}
	return e.lanesOfForm(f, in)
}

// lanesOfForm returns f in all lanes, as i32.
func (e *emitter) lanesOfForm(f *form, in *instance) value.Value {
	base := e.linear(f, in)
	s := e.scopeFor(e.levelOfForm(f))
	x := s.splat(s.blk.NewTrunc(base, i32), e.lanes)
	if c := f.coef(e.v); c != nil {
		x = s.add(x, e.ramp(s, c))
	}
	if y := e.nonlinearLanes(f, in); y != nil {
		x = s.add(x, y)
	}
	return x
}

// ramp returns (0, c, 2c, …).
func (e *emitter) ramp(s *scope, c poly) value.Value {
	if n, ok := c.isConst(); ok {
		return lanesTimes(e.lanes, n)
	}
	z := e.entry()
	n := e.size(c)
	return z.memo("ramp "+c.String(), func() value.Value {
		return z.blk.NewMul(lanesTimes(e.lanes, 1), z.splat(z.blk.NewTrunc(n, i32), e.lanes))
	})
}

// nonlinearLanes returns the quotients and data of f in all lanes, as i32; nil if there are none.
func (e *emitter) nonlinearLanes(f *form, in *instance) value.Value {
	var sum value.Value
	s := e.scopeFor(e.levelOfForm(&form{quo: f.quo, ld: f.ld}))
	add := func(x value.Value, coef int) {
		x = s.splat(x, e.lanes)
		if coef != 1 {
			x = s.blk.NewMul(x, integer(x.Type(), int64(coef)))
		}
		if sum != nil {
			x = s.add(sum, x)
		}
		sum = x
	}
	for _, q := range f.quo {
		n := e.number32(q.num, in)
		add(floorQuotient(s, n, q.den, q.nonNeg), q.coef)
	}
	for _, d := range f.ld {
		add(e.read(d.from, tensor.I32, in), d.coef)
	}
	return sum
}

// read returns the element that a reads, as a vector if it differs from lane to lane.
func (e *emitter) read(a *access, d tensor.DType, in *instance) value.Value {
	if e.accessVaries(a) {
		key := fmt.Sprintf("read %p%s", a, e.suffix(func(l int) bool { return l == e.v || a.uses(l) }, in))
		s := e.scopeFor(e.levelOfAccess(a))
		if v := s.cache[key]; v != nil {
			return v
		}
		v := e.vectorRead(a, d, in)
		s.cache[key] = v
		return v
	}
	return e.scalarRead(a, d, in)
}

// register returns x, as it was loaded from memory where it has type d, as a value to compute with.
func register(s *scope, d tensor.DType, x value.Value) value.Value {
	switch d {
	case tensor.Bool:
		return s.icmp(enum.IPredNE, x, num(x.Type(), 0))
	case tensor.BF16: // the upper half of an f32
		wide := vector(lanesOf(x), i32)
		return s.bitcast(s.blk.NewShl(s.blk.NewZExt(x, wide), integer(wide, 16)), f32)
	}
	return x
}

// stored returns the type that the elements of a's operand, which are of type d, have in memory.
func (e *emitter) stored(a *access, d tensor.DType) tensor.DType {
	if e.types[a.operand] == tensor.BF16 {
		return tensor.BF16
	}
	return d
}

func (e *emitter) scalarRead(a *access, d tensor.DType, in *instance) value.Value {
	s := e.scopeFor(e.levelOfAccess(a))
	return s.memo(fmt.Sprintf("read %p%s", a, e.suffix(a.uses, in)), func() value.Value {
		off, inside := e.scalarOffset(a, in)
		if inside != nil {
			off = s.choose(inside, off, int64Const(0))
		}
		x := register(s, e.stored(a, d), s.load(s.at(e.operand(a, d), off), 1, nil, nil))
		if inside != nil {
			x = s.choose(inside, x, num(llvmType(d), a.other))
		}
		return x
	})
}

func (e *emitter) operand(a *access, d tensor.DType) value.Value {
	return e.pointer(e.wordOperand(a.operand), memType(e.stored(a, d)))
}

// scalarOffset returns the offset of a, and where a may be outside whether it is inside.
func (e *emitter) scalarOffset(a *access, in *instance) (off, inside value.Value) {
	s := e.scopeFor(e.levelOfAccess(a))
	for d, dim := range a.dims {
		if a.check[d] == unchecked {
			continue
		}
		x := e.scalar(dim, in)
		ok := s.icmp(enum.IPredULT, x, e.size(a.sizes[d]))
		if a.check[d] == fault {
			bad := s.not(ok)
			if e.v < 0 { // otherwise there are no guards, or this would be a vectorRead
				if g := e.guard(in); g != nil {
					bad = s.and(bad, g)
				}
			}
			e.noteFault(s, bad, s.blk.NewTrunc(x, i32), a.sizes[d])
		}
		if inside != nil {
			ok = s.and(inside, ok)
		}
		inside = ok
	}
	off = e.linear(a.off, in)
	for d, dim := range a.dims {
		if x := e.nonlinear(dim, in); x != nil {
			off = s.add(off, s.mul(x, e.size(a.strides[d])))
		}
	}
	return off, inside
}

// noteFault notes an index outside its tensor if one of the lanes of bad is true.
func (e *emitter) noteFault(s *scope, bad, x value.Value, limit poly) {
	n := e.size(limit)
	p := e.pointer(exec.WordFault, i64)
	anyBad, lane := bad, value.Value(nil)
	if lanes := lanesOf(bad); lanes > 1 {
		bits := types.NewInt(uint64(lanes))
		lane = s.blk.NewBitCast(bad, bits)
		anyBad = s.icmp(enum.IPredNE, lane, constant.NewInt(bits, 0))
	}
	s.when(anyBad, func(in *scope) {
		if lane != nil {
			t := lane.Type()
			first := in.blk.NewCall(s.fn.module.intrinsic("llvm.cttz."+mangle(t), t, t, i1), lane, constant.NewBool(true))
			x = in.blk.NewExtractElement(x, in.blk.NewZExt(first, i32))
		}
		fresh := in.icmp(enum.IPredEQ, in.load(p, 1, nil, nil), int64Const(0))
		in.when(fresh, func(in *scope) {
			in.store(int64Const(1), p, nil)
			in.store(in.blk.NewSExt(x, i64), in.at(p, int64Const(1)), nil)
			in.store(n, in.at(p, int64Const(2)), nil)
		})
	})
}

// vectorRead returns the elements that a reads in all lanes.
func (e *emitter) vectorRead(a *access, d tensor.DType, in *instance) value.Value {
	live := in.tail
	s := e.scopeFor(e.levelOfAccess(a))
	var inside value.Value
	for k, dim := range a.dims {
		if a.check[k] == unchecked {
			continue
		}
		var ok, x value.Value
		if e.formVaries(dim) {
			x = e.lanesOfForm(dim, in)
		} else {
			x = e.number32(dim, in)
			if a.check[k] == fault {
				x = s.splat(x, e.lanes)
			}
		}
		size := e.size(a.sizes[k])
		ok = s.icmp(enum.IPredULT, x, s.splat(s.blk.NewTrunc(size, i32), lanesOf(x)))
		if a.check[k] == fault {
			bad := s.not(ok)
			if m := e.mask(in); m != nil {
				bad = s.and(bad, m)
			}
			e.noteFault(s, bad, x, a.sizes[k])
		}
		ok = s.splat(ok, e.lanes)
		if inside != nil {
			ok = s.and(inside, ok)
		}
		inside = ok
	}
	mask := live
	if inside != nil {
		mask = inside
		if live != nil {
			mask = s.and(inside, live)
		}
	}
	inMemory := e.stored(a, d)
	t := memType(inMemory)
	var other value.Value
	if inside != nil {
		x := a.other
		switch {
		case d == tensor.Bool && x != 0:
			x = 1
		case inMemory == tensor.BF16:
			x = 0 // it is chosen below
		}
		other = num(vector(e.lanes, t), x)
	}
	registered := func(x value.Value) value.Value {
		x = register(s, inMemory, x)
		if inside != nil && inMemory == tensor.BF16 && a.other != 0 {
			x = s.choose(inside, x, num(x.Type(), a.other))
		}
		return x
	}
	p := e.operand(a, d)
	if e.hides(a) {
		off := s.splat(s.blk.NewTrunc(e.linear(a.off, in), i32), e.lanes)
		if c := a.off.coef(e.v); c != nil {
			off = s.add(off, e.ramp(s, c))
		}
		for k, dim := range a.dims {
			if x := e.nonlinearLanes(dim, in); x != nil {
				n := e.size(a.strides[k])
				if c, ok := n.(*constant.Int); !ok || c.X.Int64() != 1 {
					x = s.blk.NewMul(x, s.splat(s.blk.NewTrunc(n, i32), e.lanes))
				}
				off = s.add(off, x)
			}
		}
		return registered(s.gather(p, off, mask, other))
	}
	base := s.at(p, e.index(a, in))
	switch c := a.off.coef(e.v); {
	case c.is(1):
		return registered(s.load(base, e.lanes, mask, other))
	default:
		return registered(s.gather(base, e.ramp(s, c), mask, other))
	}
}
