package native

import (
	"math"
	"math/big"
	"sync"

	"github.com/llir/llvm/ir/enum"
	"github.com/llir/llvm/ir/value"
)

// Note [Functions by polynomial]
//
// LLVM turns its own exp, log and so on into library calls, of which there are none here. So each function is an argument reduction
// and a polynomial. exp, by far the commonest, is computed in f32; the others in f64 to about 1e-9, which rounds to within 0.51
// ulp of the true f32 value, at half the speed.
//
// The coefficients are not tables: chebyshev interpolates Go's own math functions when the first kernel is written, to the degree
// at which the error is far below what the result can show.

// chebyshev returns the coefficients, lowest first, of the polynomial of a degree that interpolates f in the Chebyshev nodes of
// [lo, hi], as a polynomial of x itself.
func chebyshev(f func(float64) float64, lo, hi float64, degree int) []float64 {
	n := degree + 1
	nodes, values := make([]float64, n), make([]float64, n)
	for k := range n {
		t := math.Cos(math.Pi * (float64(k) + 0.5) / float64(n))
		nodes[k] = t
		values[k] = f(lo + (hi-lo)*(t+1)/2)
	}
	// Newton's divided differences in t, then expanded, then t = (2x − lo − hi) / (hi − lo).
	for j := 1; j < n; j++ {
		for k := n - 1; k >= j; k-- {
			values[k] = (values[k] - values[k-1]) / (nodes[k] - nodes[k-j])
		}
	}
	expand := func(top []float64, a, b float64) []float64 { // top(x)·(a + b·x)
		out := make([]float64, len(top)+1)
		for k, c := range top {
			out[k] += c * a
			out[k+1] += c * b
		}
		return out
	}
	p := []float64{values[n-1]}
	for k := n - 2; k >= 0; k-- {
		p = expand(p, -nodes[k], 1)
		p[0] += values[k]
	}
	q := []float64{p[n-1]}
	for k := n - 2; k >= 0; k-- {
		q = expand(q, -(lo+hi)/(hi-lo), 2/(hi-lo))
		q[0] += p[k]
	}
	return q[:n]
}

// rational returns the coefficients, lowest first, of polynomials p and q of a degree, q's first one being 1, of which p(x²)/q(x²) interpolates the even
// function f in the Chebyshev nodes of [−hi, hi]. It solves f·q − p = 0 at the nodes, more exactly than in f64, since the powers of x² are hardly told apart.
func rational(f func(float64) float64, hi float64, degree int) (p, q []float64) {
	n := 2*degree + 1
	number := func(x float64) *big.Float { return new(big.Float).SetPrec(256).SetFloat64(x) }
	rows := make([][]*big.Float, n) // p's coefficients, q's and the right side
	for k := range rows {
		x := hi * math.Cos(math.Pi*(float64(k)+0.5)/float64(2*n))
		y, u, power := number(f(x)), number(x), number(1)
		u.Mul(u, u)
		row := make([]*big.Float, n+1)
		row[n] = y
		for j := range degree + 1 {
			row[j] = new(big.Float).Set(power)
			if j > 0 {
				row[degree+j] = number(0).Mul(power, y)
				row[degree+j].Neg(row[degree+j])
			}
			power.Mul(power, u)
		}
		rows[k] = row
	}
	for c := range n {
		best := c
		for k := c; k < n; k++ {
			if rows[k][c].MantExp(nil) > rows[best][c].MantExp(nil) {
				best = k
			}
		}
		rows[c], rows[best] = rows[best], rows[c]
		for k := range n {
			if k == c {
				continue
			}
			ratio := number(0).Quo(rows[k][c], rows[c][c])
			for j := c; j <= n; j++ {
				rows[k][j].Sub(rows[k][j], number(0).Mul(ratio, rows[c][j]))
			}
		}
	}
	all := make([]float64, n)
	for k, row := range rows {
		all[k], _ = number(0).Quo(row[n], row[k]).Float64()
	}
	return all[:degree+1], append([]float64{1}, all[degree+1:]...)
}

// poly computes a polynomial by Horner's rule.
func (s *scope) poly(x value.Value, c []float64) value.Value {
	z := num(x.Type(), c[len(c)-1])
	for k := len(c) - 2; k >= 0; k-- {
		z = s.fma(z, x, num(x.Type(), c[k]))
	}
	return z
}

var (
	// exp(r) = 1 + r + r²·q(r) for |r| ≤ ln 2 / 2.
	expTail = chebyshev(func(r float64) float64 {
		if math.Abs(r) < 1e-3 {
			return 0.5 + r/6 + r*r/24 + r*r*r/120
		}
		return (math.Expm1(r) - r) / (r * r)
	}, -0.3470, 0.3470, 5)

	// exp(r) to 1e-11.
	expF64 = chebyshev(math.Exp, -0.3470, 0.3470, 9)

	// log(m) = 2·t·q(t²) with t = (m−1)/(m+1), for m in [1/√2, √2].
	logF64 = chebyshev(func(u float64) float64 {
		t := math.Sqrt(u)
		if t < 1e-3 {
			return 1 + u/3 + u*u/5
		}
		return math.Atanh(t) / t
	}, 0, 0.0295, 6)

	// sin(r) = r·q(r²) and cos(r) = q(r²) for |r| ≤ π/4.
	sinF64 = chebyshev(func(u float64) float64 {
		if u < 1e-6 {
			return 1 - u/6 + u*u/120
		}
		return math.Sin(math.Sqrt(u)) / math.Sqrt(u)
	}, 0, 0.6169, 6)
	cosF64 = chebyshev(func(u float64) float64 { return math.Cos(math.Sqrt(u)) }, 0, 0.6169, 6)

	// erf(x) = x·q(x²) for |x| ≤ 1, and 1 − exp(−q(x)) for x in [1, 4].
	erfNear = chebyshev(func(u float64) float64 {
		if u < 1e-6 {
			return 2 / math.Sqrt(math.Pi) * (1 - u/3 + u*u/10)
		}
		return math.Erf(math.Sqrt(u)) / math.Sqrt(u)
	}, 0, 1, 10)
	erfFar = chebyshev(func(x float64) float64 { return -math.Log(math.Erfc(x)) }, 1, 4, 12)

	// 1 − erf(x) = 2^(−x·q(x)) for x in [0, 4], to 1e-8: beyond the nodes it is small.
	erfcTail = chebyshev(func(x float64) float64 {
		if x < 1e-6 {
			return 2 / math.Sqrt(math.Pi) * math.Log2E
		}
		return -math.Log2(math.Erfc(x)) / x
	}, 0, 2.5, 8)

	// 2^r = 1 + r·q(r) for |r| ≤ 1/2, to 2e-9.
	exp2Tail = chebyshev(func(r float64) float64 {
		if math.Abs(r) < 1e-3 {
			return math.Ln2 * (1 + r*math.Ln2/2 + r*r*math.Ln2*math.Ln2/6)
		}
		return math.Expm1(r*math.Ln2) / r
	}, -0.5, 0.5, 5)

	// tanh(x) = x·p(x²)/q(x²) for |x| ≤ tanhLimit, to 4e-11.
	tanhParts = sync.OnceValues(func() (p, q []float64) {
		return rational(func(x float64) float64 { return math.Tanh(x) / x }, tanhLimit, 6)
	})
)

// tanhLimit is where the hyperbolic tangent is 1 in f32.
const tanhLimit = 9.1

// isNumber reports whether v is a constant that is a number.
func isNumber(v value.Value) bool {
	c, ok := v.(*literal)
	return ok && c.number
}

// clamp limits x to [lo, hi]; a not-a-number stays.
func (s *scope) clamp(x value.Value, lo, hi float64) value.Value {
	return s.minF32(s.maxF32(x, num(x.Type(), lo)), num(x.Type(), hi))
}

// exp computes e to the power x in f32.
//
// x = n·ln 2 + r; the power of two is applied in two halves, so that results overflow to infinity and underflow through the subnormal
// numbers as they should.
func (s *scope) exp(x value.Value) value.Value {
	t := x.Type()
	it := vector(lanesOf(x), i32)
	// What rounds to 0, as a masked place's −∞ does, is not computed through the subnormal numbers, which are slow.
	vanishes := s.fcmp(enum.FPredOLT, x, num(t, -104))
	x = s.minF32(s.choose(vanishes, num(t, 0), x), num(t, 89))
	p, e := s.expParts(x, 2*exponentBias)
	half := s.blk.NewLShr(e, integer(it, 1))
	return s.choose(vanishes, num(t, 0), s.fmul(s.fmul(s.fadd(p, num(t, 1)), s.powerOf2(half)), s.powerOf2(s.sub(e, half))))
}

// Note [Whole numbers in f32]
//
// A sum of a small number and 1.5·2^23 is rounded to a whole number, whose low bits are those of the sum. So n = rint(x) and 2^n, whose exponent is n + 127, take an
// addition, a subtraction and a shift, and a not-a-number becomes any power of two, while that times its polynomial stays none.

const (
	wholeF32     = 3 << 22
	exponentBias = 127
)

// nearest returns x·scale rounded to a whole number, and the same plus bias in the low nine bits of an i32.
func (s *scope) nearest(x value.Value, scale float64, bias int) (n, e value.Value) {
	t := x.Type()
	sum := s.fma(x, num(t, scale), num(t, wholeF32+float64(bias)))
	return s.fsub(sum, num(t, wholeF32+float64(bias))), s.bitcast(sum, i32)
}

// powerOf2 returns the f32 with exponent e, the low nine bits of an i32 of which the ninth is 0.
func (s *scope) powerOf2(e value.Value) value.Value {
	return s.bitcast(s.blk.NewShl(e, integer(e.Type(), 23)), f32)
}

// expParts returns p and k + bias of which exp(x) = (1 + p)·2^k, p being at most about 0.4; see nearest.
func (s *scope) expParts(x value.Value, bias int) (p, e value.Value) {
	t := x.Type()
	n, e := s.nearest(x, math.Log2E, bias)
	hi := float64(float32(0.693359375)) // ln 2 in two parts, the first of 9 bits
	r := s.fma(n, num(t, -hi), x)
	r = s.fma(n, num(t, hi-math.Ln2), r)
	return s.fma(s.fmul(r, r), s.poly(r, expTail), r), e
}

// sigmoid computes 1 / (1 + exp(−x)) in f32, as 0 where that is below the normal numbers.
func (s *scope) sigmoid(x value.Value) value.Value {
	one := num(x.Type(), 1)
	p, e := s.expParts(s.blk.NewFNeg(s.clamp(x, -89, 87)), exponentBias)
	return s.fdiv(one, s.fma(s.fadd(p, one), s.powerOf2(e), one))
}

// expF64 computes exp(x) for |x| up to 700 to about 1e-11.
func (s *scope) expF64(x value.Value) value.Value {
	t := x.Type()
	n := s.call1("rint", s.fmul(x, num(t, math.Log2E)))
	const hi = 0.693145751953125 // ln 2 in two parts
	r := s.fma(n, num(t, -hi), x)
	r = s.fma(n, num(t, hi-math.Ln2), r)
	it := vector(lanesOf(x), i32)
	k := s.blk.NewFPToSI(s.choose(s.fcmp(enum.FPredUNO, n, n), num(t, 0), n), it)
	wide := vector(lanesOf(x), i64)
	e := s.blk.NewShl(s.blk.NewAdd(s.blk.NewSExt(k, wide), integer(wide, 1023)), integer(wide, 52))
	return s.fmul(s.poly(r, expF64), s.bitcast(e, f64))
}

// expm1F64 computes exp(x) − 1.
func (s *scope) expm1F64(x value.Value) value.Value {
	t := x.Type()
	small := s.fma(s.fmul(x, s.fmul(x, num(t, 0.5))), s.fma(x, num(t, 1.0/3), num(t, 1)), x)
	large := s.fsub(s.expF64(s.clamp(x, -120, 120)), num(t, 1))
	return s.choose(s.fcmp(enum.FPredOLT, s.call1("fabs", x), num(t, 2e-3)), small, large)
}

// logF64 computes the natural logarithm of x, which may be any number of type f32, or 1 plus one.
func (s *scope) logF64(x value.Value) value.Value {
	t := x.Type()
	wide := vector(lanesOf(x), i64)
	bits := s.bitcast(x, i64)
	// Split at 1/√2, so that m lies in [1/√2, √2).
	const root = 0x3FE6A09E00000000
	shifted := s.blk.NewSub(bits, integer(wide, root))
	e := s.blk.NewAShr(shifted, integer(wide, 52))
	m := s.bitcast(s.blk.NewSub(bits, s.blk.NewShl(e, integer(wide, 52))), f64)
	q := s.fdiv(s.fsub(m, num(t, 1)), s.fadd(m, num(t, 1)))
	l := s.fmul(s.fmul(num(t, 2), q), s.poly(s.fmul(q, q), logF64))
	ef := s.blk.NewSIToFP(s.blk.NewTrunc(e, vector(lanesOf(x), i32)), t)
	z := s.fma(ef, num(t, math.Ln2), l)
	// A positive x that is not finite stays; 0 gives −∞; below, no number.
	z = s.choose(s.fcmp(enum.FPredUEQ, x, num(t, math.Inf(1))), x, z)
	z = s.choose(s.fcmp(enum.FPredOEQ, x, num(t, 0)), num(t, math.Inf(-1)), z)
	return s.choose(s.fcmp(enum.FPredOLT, x, num(t, 0)), num(t, math.NaN()), z)
}

// log1pF64 computes log(1 + x).
func (s *scope) log1pF64(x value.Value) value.Value {
	t := x.Type()
	small := s.fma(s.fmul(x, x), s.fma(x, num(t, 1.0/3), num(t, -0.5)), x)
	large := s.logF64(s.fadd(x, num(t, 1)))
	return s.choose(s.fcmp(enum.FPredOLT, s.call1("fabs", x), num(t, 1e-3)), small, large)
}

// tanh computes the hyperbolic tangent.
func (s *scope) tanh(x value.Value) value.Value {
	return s.inF64(s.clamp(x, -tanhLimit, tanhLimit), func(x value.Value) value.Value {
		p, q := tanhParts()
		u := s.fmul(x, x)
		return s.fdiv(s.fmul(x, s.poly(u, p)), s.poly(u, q))
	})
}

// erfF64 computes the error function.
func (s *scope) erfF64(x value.Value) value.Value {
	t := x.Type()
	a := s.call1("fabs", x)
	near := s.fmul(x, s.poly(s.fmul(x, x), erfNear))
	far := s.fsub(num(t, 1), s.expF64(s.blk.NewFNeg(s.poly(s.clamp(a, 1, 4), erfFar))))
	far = s.choose(s.fcmp(enum.FPredOGE, a, num(t, 4)), num(t, 1), far)
	far = s.choose(s.fcmp(enum.FPredOLT, x, num(t, 0)), s.blk.NewFNeg(far), far)
	return s.choose(s.fcmp(enum.FPredULT, a, num(t, 1)), near, far)
}

// onePlusErf computes 1 + erf(x) in f32, to 1.5e-7: what 1 − erf(|x|) is, and 2 less that for positive x. Where erf(x) rounds to −1 the
// result is 0.
func (s *scope) onePlusErf(x value.Value) value.Value {
	t := x.Type()
	a := s.call1("fabs", x)
	far := s.fcmp(enum.FPredOGE, a, num(t, 4))
	c := s.minF32(a, num(t, 4))
	y := s.fmul(s.blk.NewFNeg(c), s.poly(c, erfcTail))
	n, e := s.nearest(y, 1, exponentBias)
	r := s.fsub(y, n)
	z := s.fmul(s.fma(r, s.poly(r, exp2Tail), num(t, 1)), s.powerOf2(e))
	z = s.choose(far, num(t, 0), z)
	return s.choose(s.fcmp(enum.FPredOGT, x, num(t, 0)), s.fsub(num(t, 2), z), z)
}

// sineF64 computes the sine of x advanced by quarter turns. Beyond some 1e9 the result is as inexact as 2/π is in f64.
func (s *scope) sineF64(x value.Value, quarters float64) value.Value {
	t := x.Type()
	n := s.call1("rint", s.fmul(x, num(t, 2/math.Pi)))
	const hi, lo = math.Pi / 2, 6.123233995736766e-17
	r := s.fma(n, num(t, -hi), x)
	r = s.fma(n, num(t, -lo), r)
	q := s.fadd(n, num(t, quarters))
	q = s.fsub(q, s.fmul(num(t, 4), s.call1("floor", s.fmul(q, num(t, 0.25))))) // 0, 1, 2 or 3
	u := s.fmul(r, r)
	sin, cos := s.fmul(r, s.poly(u, sinF64)), s.poly(u, cosF64)
	odd := s.or(s.fcmp(enum.FPredOEQ, q, num(t, 1)), s.fcmp(enum.FPredOEQ, q, num(t, 3)))
	z := s.choose(odd, cos, sin)
	return s.choose(s.fcmp(enum.FPredOGE, q, num(t, 2)), s.blk.NewFNeg(z), z)
}

// pow computes a to the power b with the special cases of math.Pow.
func (s *scope) pow(a, b value.Value) value.Value {
	n := lanesOf(a)
	wide := vector(n, f64)
	x, y := value.Value(s.blk.NewFPExt(a, wide)), value.Value(s.blk.NewFPExt(b, wide))
	ax := s.call1("fabs", x)
	l := s.logF64(ax)
	e := s.fmul(y, l)
	z := s.expF64(s.clamp(e, -200, 200))
	inf, one, zero := num(wide, math.Inf(1)), num(wide, 1), num(wide, 0)
	z = s.choose(s.fcmp(enum.FPredOGT, e, num(wide, 199)), inf, z)
	z = s.choose(s.fcmp(enum.FPredOLT, e, num(wide, -199)), zero, z)
	// Negative bases: a sign for odd exponents, no number for exponents that are not whole.
	whole := s.fcmp(enum.FPredOEQ, s.call1("floor", y), y)
	half := s.fmul(y, num(wide, 0.5))
	odd := s.and(whole, s.fcmp(enum.FPredUNE, s.call1("floor", half), half))
	negative := s.blk.NewICmp(enum.IPredSLT, s.bitcast(x, i64), integer(vector(n, i64), 0))
	z = s.choose(s.and(negative, odd), s.blk.NewFNeg(z), z)
	finite := s.fcmp(enum.FPredONE, ax, inf)
	invalid := s.and(s.and(s.fcmp(enum.FPredOLT, x, zero), finite), s.fcmp(enum.FPredONE, s.call1("floor", y), y))
	z = s.choose(invalid, num(wide, math.NaN()), z)
	// (±1)^±∞ and everything to the power 0 and 1 to any power are 1; a not-a-number otherwise stays.
	infinite := s.fcmp(enum.FPredOEQ, s.call1("fabs", y), inf)
	z = s.choose(s.and(infinite, s.fcmp(enum.FPredOEQ, ax, one)), one, z)
	z = s.choose(s.or(s.fcmp(enum.FPredUNO, x, x), s.fcmp(enum.FPredUNO, y, y)), num(wide, math.NaN()), z)
	z = s.choose(s.or(s.fcmp(enum.FPredOEQ, y, zero), s.fcmp(enum.FPredOEQ, x, one)), one, z)
	return s.blk.NewFPTrunc(z, vector(n, f32))
}
