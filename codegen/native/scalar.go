package native

import (
	"fmt"
	"math"

	"github.com/llir/llvm/ir/enum"
	"github.com/llir/llvm/ir/types"
	"github.com/llir/llvm/ir/value"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// llvmType returns the type that elements of type d have in registers.
func llvmType(d tensor.DType) types.Type {
	switch d {
	case tensor.F32:
		return f32
	case tensor.I32:
		return i32
	case tensor.Bool:
		return i1
	}
	panic(fmt.Sprintf("BUG: native: elements of type %v", d))
}

// memType returns the type that elements of type d have in memory.
func memType(d tensor.DType) types.Type {
	switch d {
	case tensor.Bool, tensor.U8:
		return i8
	case tensor.BF16:
		return i16
	}
	return llvmType(d)
}

// apply computes a primitive scalar op. All operands have as many lanes as the result.
func (s *scope) apply(op ir.Op, d tensor.DType, x []value.Value) value.Value {
	if z := s.applyAny(op, x); z != nil {
		return z
	}
	float := element(x[0].Type()) == types.Type(f32)
	switch {
	case float && len(x) == 2:
		return s.binaryF32(op, x[0], x[1])
	case float:
		return s.unaryF32(op, x[0])
	case op == ir.OpToF32 && element(x[0].Type()) == types.Type(i1):
		return s.choose(x[0], num(vector(lanesOf(x[0]), f32), 1), num(vector(lanesOf(x[0]), f32), 0))
	case op == ir.OpToI32 && element(x[0].Type()) == types.Type(i1):
		return s.blk.NewZExt(x[0], vector(lanesOf(x[0]), i32))
	case element(x[0].Type()) == types.Type(i1):
		return s.logic(op, x)
	}
	return s.applyI32(op, x)
}

// supported reports whether apply knows op for operands of this type.
func supported(op ir.Op, of tensor.DType) bool {
	switch op {
	case ir.OpSelect, ir.OpUniform, ir.OpEqual, ir.OpNotEqual, ir.OpToF32, ir.OpToI32, ir.OpStop:
		return true
	case ir.OpAdd, ir.OpSub, ir.OpMul, ir.OpDiv, ir.OpMod, ir.OpMin, ir.OpMax, ir.OpNeg, ir.OpAbs, ir.OpSign, ir.OpLess, ir.OpLessEqual:
		return of != tensor.Bool
	case ir.OpPow, ir.OpFloor, ir.OpExp, ir.OpLog, ir.OpLog1p, ir.OpExpm1, ir.OpSqrt, ir.OpSin, ir.OpCos, ir.OpTanh, ir.OpErf:
		return of == tensor.F32
	case ir.OpAnd, ir.OpOr, ir.OpNot:
		return of == tensor.Bool
	}
	return false
}

// applyAny computes the ops that are the same for all types, and returns nil for others.
func (s *scope) applyAny(op ir.Op, x []value.Value) value.Value {
	switch op {
	case ir.OpSelect:
		return s.choose(x[0], x[1], x[2])
	case ir.OpUniform:
		return s.uniform(x[0], x[1], x[2], x[3])
	case ir.OpStop:
		return x[0]
	case ir.OpToF32, ir.OpToI32:
		to := types.Type(f32)
		if op == ir.OpToI32 {
			to = i32
		}
		if element(x[0].Type()) == to {
			return x[0]
		}
	}
	return nil
}

func (s *scope) logic(op ir.Op, x []value.Value) value.Value {
	switch op {
	case ir.OpAnd:
		return s.and(x[0], x[1])
	case ir.OpOr:
		return s.or(x[0], x[1])
	case ir.OpNot:
		return s.not(x[0])
	case ir.OpEqual:
		return s.icmp(enum.IPredEQ, x[0], x[1])
	case ir.OpNotEqual:
		return s.icmp(enum.IPredNE, x[0], x[1])
	}
	panic("BUG: native: " + op.String() + " of bool")
}

func (s *scope) applyI32(op ir.Op, x []value.Value) value.Value {
	a, b := x[0], x[len(x)-1]
	zero := num(a.Type(), 0)
	switch op {
	case ir.OpAdd:
		return s.add(a, b)
	case ir.OpSub:
		return s.sub(a, b)
	case ir.OpMul:
		return s.mul(a, b)
	case ir.OpMin:
		return s.choose(s.icmp(enum.IPredSLT, a, b), a, b)
	case ir.OpMax:
		return s.choose(s.icmp(enum.IPredSGT, a, b), a, b)
	case ir.OpNeg:
		return s.sub(zero, a)
	case ir.OpAbs:
		return s.choose(s.icmp(enum.IPredSLT, a, zero), s.sub(zero, a), a)
	case ir.OpSign:
		return s.sub(
			s.blk.NewZExt(s.icmp(enum.IPredSGT, a, zero), a.Type()),
			s.blk.NewZExt(s.icmp(enum.IPredSLT, a, zero), a.Type()))
	case ir.OpLess:
		return s.icmp(enum.IPredSLT, a, b)
	case ir.OpLessEqual:
		return s.icmp(enum.IPredSLE, a, b)
	case ir.OpEqual:
		return s.icmp(enum.IPredEQ, a, b)
	case ir.OpNotEqual:
		return s.icmp(enum.IPredNE, a, b)
	case ir.OpToF32:
		return s.blk.NewSIToFP(a, vector(lanesOf(a), f32))
	case ir.OpDiv, ir.OpMod:
		return s.divI32(op, a, b)
	}
	panic("BUG: native: " + op.String() + " of i32")
}

// divI32 divides and rounds down, or takes the remainder that belongs to that. It computes in f64, where every i32 and every quotient of two that is
// not whole is told from the whole numbers around it, and where dividing by 0 or −1 is no trap.
func (s *scope) divI32(op ir.Op, a, b value.Value) value.Value {
	wide := vector(lanesOf(a), f64)
	zero := num(a.Type(), 0)
	none := s.icmp(enum.IPredEQ, b, zero)
	safe := s.choose(none, num(a.Type(), 1), b)
	q := s.call1("floor", s.fdiv(s.blk.NewSIToFP(a, wide), s.blk.NewSIToFP(safe, wide)))
	// −2³¹ / −1 wraps around to −2³¹.
	q = s.choose(s.fcmp(enum.FPredOGE, q, num(wide, 1<<31)), num(wide, -(1<<31)), q)
	z := value.Value(s.blk.NewFPToSI(q, a.Type()))
	if op == ir.OpMod {
		z = s.sub(a, s.blk.NewMul(safe, z))
	}
	return s.choose(none, zero, z)
}

func (s *scope) binaryF32(op ir.Op, a, b value.Value) value.Value {
	switch op {
	case ir.OpAdd:
		return s.fadd(a, b)
	case ir.OpSub:
		return s.fsub(a, b)
	case ir.OpMul:
		return s.fmul(a, b)
	case ir.OpDiv:
		return s.fdiv(a, b)
	case ir.OpMin:
		return s.minF32(a, b)
	case ir.OpMax:
		return s.maxF32(a, b)
	case ir.OpMod:
		return s.inF64(a, func(a value.Value) value.Value {
			y := s.blk.NewFPExt(b, a.Type())
			return s.fsub(a, s.fmul(y, s.call1("floor", s.fdiv(a, y))))
		})
	case ir.OpPow:
		return s.pow(a, b)
	case ir.OpLess:
		return s.fcmp(enum.FPredOLT, a, b)
	case ir.OpLessEqual:
		return s.fcmp(enum.FPredOLE, a, b)
	case ir.OpEqual:
		return s.fcmp(enum.FPredOEQ, a, b)
	case ir.OpNotEqual:
		return s.fcmp(enum.FPredUNE, a, b)
	}
	panic("BUG: native: " + op.String() + " of f32")
}

// maxF32 returns the greater; a not-a-number wins. Of equal ones, zeros of two signs, it is b, or the number if one is written in the program. Of two values the comparison and
// the choice are one instruction, which returns its second operand where one is not a number.
func (s *scope) maxF32(a, b value.Value) value.Value {
	if isNumber(a) {
		a, b = b, a
	}
	if isNumber(b) {
		return s.choose(s.fcmp(enum.FPredOGE, b, a), b, a) // a where a is not a number
	}
	return s.choose(s.fcmp(enum.FPredUNO, a, a), a, s.choose(s.fcmp(enum.FPredOGT, a, b), a, b))
}

// minF32 returns the lesser as maxF32 returns the greater.
func (s *scope) minF32(a, b value.Value) value.Value {
	if isNumber(a) {
		a, b = b, a
	}
	if isNumber(b) {
		return s.choose(s.fcmp(enum.FPredOLE, b, a), b, a)
	}
	return s.choose(s.fcmp(enum.FPredUNO, a, a), a, s.choose(s.fcmp(enum.FPredOLT, a, b), a, b))
}

func (s *scope) unaryF32(op ir.Op, a value.Value) value.Value {
	t := a.Type()
	switch op {
	case ir.OpNeg:
		return s.blk.NewFNeg(a)
	case ir.OpAbs:
		return s.call1("fabs", a)
	case ir.OpSign:
		one := s.choose(s.fcmp(enum.FPredOGT, a, num(t, 0)), num(t, 1), s.choose(s.fcmp(enum.FPredOLT, a, num(t, 0)), num(t, -1), num(t, 0)))
		return s.choose(s.fcmp(enum.FPredUNO, a, a), a, one)
	case ir.OpFloor:
		return s.call1("floor", a)
	case ir.OpSqrt:
		return s.call1("sqrt", a)
	case ir.OpToI32:
		it := vector(lanesOf(a), i32)
		z := value.Value(s.blk.NewFPToSI(a, it))
		z = s.choose(s.fcmp(enum.FPredOGE, a, num(t, 1<<31)), integer(it, math.MaxInt32), z)
		z = s.choose(s.fcmp(enum.FPredOLT, a, num(t, -(1<<31))), integer(it, math.MinInt32), z)
		return s.choose(s.fcmp(enum.FPredUNO, a, a), integer(it, 0), z)
	case ir.OpExp:
		return s.exp(a)
	case ir.OpExpm1:
		return s.inF64(a, s.expm1F64)
	case ir.OpLog:
		return s.inF64(a, s.logF64)
	case ir.OpLog1p:
		return s.inF64(a, s.log1pF64)
	case ir.OpTanh:
		return s.tanh(a)
	case ir.OpSigmoid:
		return s.sigmoid(a)
	case ir.OpErf:
		return s.inF64(a, s.erfF64)
	case ir.OpSin:
		return s.inF64(a, func(x value.Value) value.Value { return s.sineF64(x, 0) })
	case ir.OpCos:
		return s.inF64(a, func(x value.Value) value.Value { return s.sineF64(x, 1) })
	}
	panic("BUG: native: " + op.String() + " of f32")
}

// inF64 computes f of a in double precision.
func (s *scope) inF64(a value.Value, f func(value.Value) value.Value) value.Value {
	n := lanesOf(a)
	return s.blk.NewFPTrunc(f(s.blk.NewFPExt(a, vector(n, f64))), vector(n, f32))
}

// uniform computes Philox4x32-10 as ir.Uniform does.
func (s *scope) uniform(k0, k1, c0, c1 value.Value) value.Value {
	n := lanesOf(k0)
	t, wide := vector(n, i32), vector(n, i64)
	product := func(m int64, c value.Value) (hi, lo value.Value) {
		p := s.blk.NewMul(s.blk.NewZExt(c, wide), integer(wide, m))
		return s.blk.NewTrunc(s.blk.NewLShr(p, integer(wide, 32)), t), s.blk.NewTrunc(p, t)
	}
	c2, c3 := integer(t, 0), integer(t, 0)
	for round := range 10 {
		if round > 0 {
			k0 = s.blk.NewAdd(k0, integer(t, int64(int32(-0x61C88647)))) // 0x9E3779B9
			k1 = s.blk.NewAdd(k1, integer(t, int64(int32(-0x4498517B)))) // 0xBB67AE85
		}
		hi0, lo0 := product(0xD2511F53, c0)
		hi1, lo1 := product(0xCD9E8D57, c2)
		c0, c1, c2, c3 = s.blk.NewXor(s.blk.NewXor(hi1, c1), k0), lo1, s.blk.NewXor(s.blk.NewXor(hi0, c3), k1), lo0
	}
	x := s.blk.NewSIToFP(s.blk.NewLShr(c0, integer(t, 8)), vector(n, f32))
	return s.fmul(x, num(x.Type(), 1.0/(1<<24)))
}

// maxOf returns the greatest of some; one that is not a number wins.
func (s *scope) maxOf(x []value.Value) value.Value {
	for len(x) > 1 { // in pairs, so that none waits for all before it
		var next []value.Value
		for k := 0; k < len(x); k += 2 {
			if k+1 < len(x) {
				next = append(next, s.maxF32(x[k], x[k+1]))
			} else {
				next = append(next, x[k])
			}
		}
		x = next
	}
	return x[0]
}
