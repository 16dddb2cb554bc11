package native

import (
	"fmt"
	"math"
	"strings"

	ll "github.com/llir/llvm/ir"
	"github.com/llir/llvm/ir/constant"
	"github.com/llir/llvm/ir/enum"
	"github.com/llir/llvm/ir/types"
	"github.com/llir/llvm/ir/value"
)

// Short names of LLVM's types.
var (
	i1, i8, i16, i32, i64 = types.I1, types.I8, types.I16, types.I32, types.I64
	f32, f64              = types.Float, types.Double
)

// scope is a place where instructions are appended: a loop's body, or the function's entry. Values that do not depend on an inner loop are
// appended to the scope around it, also while the inner one is being written, so nothing is left for an optimiser to move. Methods work on
// scalars and vectors alike.
type scope struct {
	fn    *function
	blk   *ll.Block
	cache map[string]value.Value
}

// function is an LLVM function while it is written.
type function struct {
	module *module
	f      *ll.Func
	blocks int
}

// module is an LLVM module while it is written.
type module struct {
	m          *ll.Module
	intrinsics map[string]*ll.Func
}

func newModule() *module {
	m := ll.NewModule()
	return &module{m, map[string]*ll.Func{}}
}

// intrinsic declares one of LLVM's intrinsic functions.
func (m *module) intrinsic(name string, result types.Type, params ...types.Type) *ll.Func {
	if f := m.intrinsics[name]; f != nil {
		return f
	}
	ps := make([]*ll.Param, len(params))
	for k, t := range params {
		ps[k] = ll.NewParam("", t)
	}
	f := m.m.NewFunc(name, result, ps...)
	m.intrinsics[name] = f
	return f
}

// newFunction begins a function void name(i64* args).
func (m *module) newFunction(name string) (*function, *scope, value.Value) {
	p := ll.NewParam("args", types.NewPointer(i64))
	f := &function{module: m, f: m.m.NewFunc(name, types.Void, p)}
	f.f.FuncAttrs = append(f.f.FuncAttrs, enum.FuncAttrNoUnwind)
	f.f.Preemption = enum.PreemptionDSOLocal
	return f, &scope{fn: f, blk: f.block(), cache: map[string]value.Value{}}, p
}

func (f *function) block() *ll.Block {
	f.blocks++
	return f.f.NewBlock(fmt.Sprintf("b%d", f.blocks))
}

// memo returns the value kept in s under key, which make computes the first time.
func (s *scope) memo(key string, make func() value.Value) value.Value {
	if v := s.cache[key]; v != nil {
		return v
	}
	v := make()
	s.cache[key] = v
	return v
}

// vector returns the type of n elements; one element is a scalar.
func vector(n int, t types.Type) types.Type {
	if n == 1 {
		return t
	}
	return types.NewVector(uint64(n), t)
}

// lanesOf returns the number of elements of v, 1 for a scalar.
func lanesOf(v value.Value) int {
	if t, ok := v.Type().(*types.VectorType); ok {
		return int(t.Len)
	}
	return 1
}

func element(t types.Type) types.Type {
	if v, ok := t.(*types.VectorType); ok {
		return v.ElemType
	}
	return t
}

// mangle returns the name that intrinsics give to a type.
func mangle(t types.Type) string {
	switch t := t.(type) {
	case *types.VectorType:
		return fmt.Sprintf("v%d%s", t.Len, mangle(t.ElemType))
	case *types.FloatType:
		if t.Kind == types.FloatKindDouble {
			return "f64"
		}
		return "f32"
	case *types.IntType:
		return fmt.Sprintf("i%d", t.BitSize)
	case *types.PointerType:
		return "p0" + mangle(t.ElemType)
	}
	panic(fmt.Sprintf("BUG: native: no name of type %v", t))
}

// literal is a constant whose text is made once: llir would write its own anew, element by element, wherever they are used.
type literal struct {
	typ    types.Type
	text   string
	number bool // of floating point, and not a NaN
}

func (l *literal) Type() types.Type { return l.typ }
func (l *literal) Ident() string    { return l.text }
func (l *literal) String() string   { return l.typ.String() + " " + l.text }

// splatConst returns a constant of t's shape.
func splatConst(t types.Type, c value.Value) value.Value {
	v, ok := t.(*types.VectorType)
	if !ok {
		return c
	}
	each := c.String()
	return &literal{v, "<" + strings.Repeat(each+", ", int(v.Len)-1) + each + ">", isNumber(c)}
}

// floatConst returns x as a constant of type t. LLVM reads it as the bits of a double in any case.
func floatConst(t *types.FloatType, x float64) value.Value {
	return &literal{t, fmt.Sprintf("0x%016X", math.Float64bits(x)), !math.IsNaN(x)}
}

// lanes returns the vector of n integers of type t that each makes.
func lanes(t *types.IntType, n int, each func(lane int) int) value.Value {
	elems := make([]string, n)
	for l := range elems {
		elems[l] = fmt.Sprintf("%s %d", t, each(l))
	}
	return &literal{types.NewVector(uint64(n), t), "<" + strings.Join(elems, ", ") + ">", false}
}

// num returns the number x as a constant of type t, rounded to it.
func num(t types.Type, x float64) value.Value {
	switch e := element(t).(type) {
	case *types.FloatType:
		if e.Kind == types.FloatKindFloat {
			x = float64(float32(x))
		}
		return splatConst(t, floatConst(e, x))
	case *types.IntType:
		if e.BitSize == 1 {
			return splatConst(t, constant.NewBool(x != 0))
		}
		return splatConst(t, constant.NewInt(e, int64(x)))
	}
	panic(fmt.Sprintf("BUG: native: a number of type %v", t))
}

// integer returns n as a constant of type t.
func integer(t types.Type, n int64) value.Value {
	return splatConst(t, constant.NewInt(element(t).(*types.IntType), n))
}

func int64Const(n int) value.Value { return constant.NewInt(i64, int64(n)) }

func (s *scope) add(x, y value.Value) value.Value {
	if isZero(y) {
		return x
	}
	if isZero(x) {
		return y
	}
	if a, ok := x.(*constant.Int); ok {
		if b, ok := y.(*constant.Int); ok {
			return constant.NewInt(a.Typ, a.X.Int64()+b.X.Int64())
		}
	}
	return s.blk.NewAdd(x, y)
}

func (s *scope) mul(x, y value.Value) value.Value {
	for _, p := range [][2]value.Value{{x, y}, {y, x}} {
		if c, ok := p[1].(*constant.Int); ok && c.X.IsInt64() {
			if a, ok := p[0].(*constant.Int); ok {
				return constant.NewInt(a.Typ, a.X.Int64()*c.X.Int64())
			}
			switch c.X.Int64() {
			case 0:
				return c
			case 1:
				return p[0]
			}
		}
	}
	return s.blk.NewMul(x, y)
}

func isZero(v value.Value) bool {
	c, ok := v.(*constant.Int)
	return ok && c.X.Sign() == 0
}

func (s *scope) sub(x, y value.Value) value.Value  { return s.blk.NewSub(x, y) }
func (s *scope) fadd(x, y value.Value) value.Value { return s.blk.NewFAdd(x, y) }
func (s *scope) fsub(x, y value.Value) value.Value { return s.blk.NewFSub(x, y) }
func (s *scope) fmul(x, y value.Value) value.Value { return s.blk.NewFMul(x, y) }
func (s *scope) fdiv(x, y value.Value) value.Value { return s.blk.NewFDiv(x, y) }
func (s *scope) and(x, y value.Value) value.Value  { return s.blk.NewAnd(x, y) }
func (s *scope) or(x, y value.Value) value.Value   { return s.blk.NewOr(x, y) }

func (s *scope) not(x value.Value) value.Value { return s.blk.NewXor(x, num(x.Type(), 1)) }

func (s *scope) icmp(p enum.IPred, x, y value.Value) value.Value { return s.blk.NewICmp(p, x, y) }
func (s *scope) fcmp(p enum.FPred, x, y value.Value) value.Value { return s.blk.NewFCmp(p, x, y) }

// choose returns x where c, else y.
func (s *scope) choose(c, x, y value.Value) value.Value { return s.blk.NewSelect(c, x, y) }

// call1 calls an intrinsic whose operands and result are all of the first operand's type.
func (s *scope) call1(name string, xs ...value.Value) value.Value {
	t := xs[0].Type()
	params := make([]types.Type, len(xs))
	for k := range params {
		params[k] = t
	}
	return s.blk.NewCall(s.fn.module.intrinsic("llvm."+name+"."+mangle(t), t, params...), xs...)
}

func (s *scope) fma(x, y, z value.Value) value.Value { return s.call1("fma", x, y, z) }

// bitcast reinterprets the elements of x as of type t.
func (s *scope) bitcast(x value.Value, t types.Type) value.Value {
	return s.blk.NewBitCast(x, vector(lanesOf(x), t))
}

// splat returns x in n lanes.
func (s *scope) splat(x value.Value, n int) value.Value {
	if n == 1 || lanesOf(x) == n {
		return x
	}
	switch x.(type) {
	case constant.Constant, *literal:
		return splatConst(types.NewVector(uint64(n), x.Type()), x)
	}
	return s.memo(fmt.Sprintf("splat %d %p", n, x), func() value.Value {
		t := types.NewVector(uint64(n), x.Type())
		one := s.blk.NewInsertElement(constant.NewUndef(t), x, constant.NewInt(i32, 0))
		return s.blk.NewShuffleVector(one, constant.NewUndef(t), constant.NewZeroInitializer(types.NewVector(uint64(n), i32)))
	})
}

// lanesTimes returns (0, k, 2k, …) as n numbers of type i32.
func lanesTimes(n, k int) value.Value {
	return lanes(i32, n, func(l int) int { return l * k })
}

// shuffle returns the lanes of x named by index.
func (s *scope) shuffle(x value.Value, index ...int) value.Value {
	return s.blk.NewShuffleVector(x, constant.NewUndef(x.Type().(*types.VectorType)), lanes(i32, len(index), func(l int) int { return index[l] }))
}

// at returns the address of element off behind p.
func (s *scope) at(p, off value.Value) value.Value {
	if isZero(off) {
		return p
	}
	return s.blk.NewGetElementPtr(p.Type().(*types.PointerType).ElemType, p, off)
}

// load reads n elements at p; those where a mask is false are not touched and get the value of other.
func (s *scope) load(p value.Value, n int, mask, other value.Value) value.Value {
	t := vector(n, p.Type().(*types.PointerType).ElemType)
	if n > 1 {
		p = s.blk.NewBitCast(p, types.NewPointer(t))
	}
	align := s.align(t)
	if mask == nil {
		l := s.blk.NewLoad(t, p)
		l.Align = ll.Align(align)
		return l
	}
	if other == nil {
		other = constant.NewZeroInitializer(t)
	}
	f := s.fn.module.intrinsic("llvm.masked.load."+mangle(t)+"."+mangle(p.Type()), t, p.Type(), i32, vector(n, i1), t)
	return s.blk.NewCall(f, p, constant.NewInt(i32, int64(align)), mask, other)
}

// align returns the alignment that is known of a vector in memory: that of its elements.
func (s *scope) align(t types.Type) int {
	switch e := element(t).(type) {
	case *types.IntType:
		return max(1, int(e.BitSize)/8)
	default:
		return 4
	}
}

// store writes x at p, or only those elements where a mask is true.
func (s *scope) store(x, p, mask value.Value) {
	n := lanesOf(x)
	if n > 1 {
		p = s.blk.NewBitCast(p, types.NewPointer(x.Type()))
	}
	align := s.align(x.Type())
	if mask == nil {
		s.blk.NewStore(x, p).Align = ll.Align(align)
		return
	}
	f := s.fn.module.intrinsic("llvm.masked.store."+mangle(x.Type())+"."+mangle(p.Type()), types.Void, x.Type(), p.Type(), i32, vector(n, i1))
	s.blk.NewCall(f, x, p, constant.NewInt(i32, int64(align)), mask)
}

// Note [Asking ahead]
//
// A processor foresees what is read in order. Where a kernel will read something else, pieces of rows that lie far apart or the next tiles of an image, it asks for it ahead of
// time: from memory into the cache behind the nearest one, spread over the rounds of a product, since only some dozens of lines can be on their way at once; and from there into
// the nearest just before it is read. What is asked for may lie outside of its tensor, which does no harm.

// prefetch asks for the line of memory at p, to be in the nearest cache or in the one behind it.
func (s *scope) prefetch(p value.Value, nearest bool) {
	p8 := types.NewPointer(i8)
	f := s.fn.module.intrinsic("llvm.prefetch.p0i8", types.Void, p8, i32, i32, i32)
	near := 2.0
	if nearest {
		near = 3
	}
	s.blk.NewCall(f, s.blk.NewBitCast(p, p8), num(i32, 0), num(i32, near), num(i32, 1))
}

// scatter writes the lanes of x to the offsets off behind p.
func (s *scope) scatter(x, p, off, mask value.Value) {
	n := lanesOf(x)
	ps := s.blk.NewGetElementPtr(p.Type().(*types.PointerType).ElemType, p, off)
	if mask == nil {
		mask = num(vector(n, i1), 1)
	}
	f := s.fn.module.intrinsic("llvm.masked.scatter."+mangle(x.Type())+"."+mangle(ps.Type()), types.Void, x.Type(), ps.Type(), i32, vector(n, i1))
	s.blk.NewCall(f, x, ps, constant.NewInt(i32, int64(s.align(p.Type().(*types.PointerType).ElemType))), mask)
}

// gather reads the elements at the offsets off behind p.
func (s *scope) gather(p, off, mask, other value.Value) value.Value {
	n := lanesOf(off)
	elem := p.Type().(*types.PointerType).ElemType
	if n == 1 {
		return s.load(s.at(p, s.blk.NewSExt(off, i64)), 1, nil, nil)
	}
	t := vector(n, elem)
	ps := s.blk.NewGetElementPtr(elem, p, off)
	if mask == nil {
		mask = num(vector(n, i1), 1)
	}
	if other == nil {
		other = constant.NewZeroInitializer(t)
	}
	name := "llvm.masked.gather." + mangle(t) + "." + mangle(ps.Type())
	f := s.fn.module.intrinsic(name, t, ps.Type(), i32, vector(n, i1), t)
	return s.blk.NewCall(f, ps, constant.NewInt(i32, int64(s.align(t))), mask, other)
}

// loop writes a loop of iv from lo below hi with carried values. Unless some is certain, the loop may have no rounds. body writes one round in a
// scope of its own and returns the next carried values; loop returns the last.
func (s *scope) loop(lo, hi value.Value, step int, some bool, carry []value.Value, body func(in *scope, iv value.Value, carry []value.Value) []value.Value) []value.Value {
	header, exit := s.fn.block(), s.fn.block()
	in := &scope{fn: s.fn, blk: header, cache: map[string]value.Value{}}
	iv := header.NewPhi(ll.NewIncoming(lo, s.blk))
	phis := make([]*ll.InstPhi, len(carry))
	now := make([]value.Value, len(carry))
	for k, c := range carry {
		phis[k] = header.NewPhi(ll.NewIncoming(c, s.blk))
		now[k] = phis[k]
	}
	next := body(in, iv, now)
	step1 := in.blk.NewAdd(iv, int64Const(step))
	in.blk.NewCondBr(in.blk.NewICmp(enum.IPredSLT, step1, hi), header, exit)
	iv.Incs = append(iv.Incs, ll.NewIncoming(step1, in.blk))
	iv.Incs[0].Pred = s.blk
	out := make([]value.Value, len(carry))
	for k := range carry {
		phis[k].Incs = append(phis[k].Incs, ll.NewIncoming(next[k], in.blk))
		phis[k].Incs[0].Pred = s.blk
		z := exit.NewPhi(ll.NewIncoming(next[k], in.blk))
		if !some {
			z.Incs = append(z.Incs, ll.NewIncoming(carry[k], s.blk))
		}
		out[k] = z
	}
	if some {
		s.blk.NewBr(header)
	} else {
		s.blk.NewCondBr(s.blk.NewICmp(enum.IPredSLT, lo, hi), header, exit)
	}
	s.blk = exit
	return out
}

// when writes what happens only where c holds.
func (s *scope) when(c value.Value, body func(in *scope)) {
	then, exit := s.fn.block(), s.fn.block()
	s.blk.NewCondBr(c, then, exit)
	in := &scope{fn: s.fn, blk: then, cache: map[string]value.Value{}}
	body(in)
	in.blk.NewBr(exit)
	s.blk = exit
}

// either writes what happens where c holds and what happens where it does not.
func (s *scope) either(c value.Value, then, otherwise func(in *scope)) {
	exit := s.fn.block()
	one := &scope{fn: s.fn, blk: s.fn.block(), cache: map[string]value.Value{}}
	two := &scope{fn: s.fn, blk: s.fn.block(), cache: map[string]value.Value{}}
	first, second := one.blk, two.blk
	then(one)
	one.blk.NewBr(exit)
	otherwise(two)
	two.blk.NewBr(exit)
	s.blk.NewCondBr(c, first, second)
	s.blk = exit
}
