package native

import "github.com/llir/llvm/ir/value"

// The points at which the factors are evaluated are 0, ±pointA, ±pointB and ∞.
const (
	pointA, pointB   = 0.75, 1.5
	squareA, squareB = pointA * pointA, pointB * pointB
)

// operandTransform returns Bᵀ d.
func operandTransform(s *scope, d [tileIn]value.Value) (v [tileIn]value.Value) {
	k := func(x float64) value.Value { return num(d[0].Type(), x) }
	ends := func(a, b, c value.Value) value.Value { // a·A²B² − b·(A²+B²) + c
		return s.fma(b, k(-squareA-squareB), s.fma(a, k(squareA*squareB), c))
	}
	v[0], v[5] = ends(d[0], d[2], d[4]), ends(d[1], d[3], d[5])
	for i, p := range []struct{ x, square float64 }{{pointA, squareB}, {pointB, squareA}} {
		even, odd := s.fma(d[2], k(-p.square), d[4]), s.fma(d[1], k(-p.square), d[3])
		v[1+2*i], v[2+2*i] = s.fma(odd, k(p.x), even), s.fma(odd, k(-p.x), even)
	}
	return v
}

// filterTransform returns G g.
func filterTransform(s *scope, g [windowSide]value.Value) (u [tileIn]value.Value) {
	k := func(x float64) value.Value { return num(g[0].Type(), x) }
	u[0], u[5] = s.fmul(g[0], k(1/(squareA*squareB))), g[2]
	for i, p := range []struct{ x, square, other float64 }{{pointA, squareA, squareB}, {pointB, squareB, squareA}} {
		scale := 1 / (2 * p.square * (p.square - p.other))
		even, odd := s.fmul(s.fma(g[2], k(p.square), g[0]), k(scale)), s.fmul(g[1], k(scale*p.x))
		u[1+2*i], u[2+2*i] = s.fadd(even, odd), s.fsub(even, odd)
	}
	return u
}

// resultTransform returns Aᵀ m.
func resultTransform(s *scope, m [tileIn]value.Value) (y [tileOut]value.Value) {
	k := func(x float64) value.Value { return num(m[0].Type(), x) }
	evenA, oddA, evenB, oddB := s.fadd(m[1], m[2]), s.fsub(m[1], m[2]), s.fadd(m[3], m[4]), s.fsub(m[3], m[4])
	y[0] = s.fadd(m[0], s.fadd(evenA, evenB))
	y[1] = s.fma(oddB, k(pointB), s.fmul(oddA, k(pointA)))
	y[2] = s.fma(evenB, k(squareB), s.fmul(evenA, k(squareA)))
	y[3] = s.fma(oddB, k(pointB*squareB), s.fma(oddA, k(pointA*squareA), m[5]))
	return y
}

// cotangentTransform returns A y.
func cotangentTransform(s *scope, y [tileOut]value.Value) (m [tileIn]value.Value) {
	k := func(x float64) value.Value { return num(y[0].Type(), x) }
	m[0], m[5] = y[0], y[3]
	for i, p := range []struct{ x, square float64 }{{pointA, squareA}, {pointB, squareB}} {
		even, odd := s.fma(y[2], k(p.square), y[0]), s.fma(y[3], k(p.square), y[1])
		m[1+2*i], m[2+2*i] = s.fma(odd, k(p.x), even), s.fma(odd, k(-p.x), even)
	}
	return m
}

// weightTransform returns Gᵀ u.
func weightTransform(s *scope, u [tileIn]value.Value) (g [windowSide]value.Value) {
	k := func(x float64) value.Value { return num(u[0].Type(), x) }
	scale := func(square, other float64) float64 { return 1 / (2 * square * (square - other)) }
	a, b := scale(squareA, squareB), scale(squareB, squareA)
	evenA, oddA, evenB, oddB := s.fadd(u[1], u[2]), s.fsub(u[1], u[2]), s.fadd(u[3], u[4]), s.fsub(u[3], u[4])
	g[0] = s.fma(u[0], k(1/(squareA*squareB)), s.fma(evenB, k(b), s.fmul(evenA, k(a))))
	g[1] = s.fma(oddB, k(b*pointB), s.fmul(oddA, k(a*pointA)))
	g[2] = s.fma(evenB, k(b*squareB), s.fma(evenA, k(a*squareA), u[5]))
	return g
}
