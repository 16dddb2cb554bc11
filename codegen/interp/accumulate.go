package interp

import (
	"math"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// accumulator holds partial results of a reduction for a run of the result's elements. Sums and products of floats are accumulated in
// double precision, element after element of a strip and strip after strip, whatever the working precision.
type accumulator[F float] struct {
	combine ir.Combine
	dtype   tensor.DType // of the body
	sum     []float64    // Sum, Prod of floats
	f       []F          // Max, Min, ArgMax, ArgMin of floats
	i       []int32      // of i32; of bool as 0 and 1
	at      []int32      // ArgMax, ArgMin: the point's number, −1 before the first
}

func resize[T any](s []T, n int, x T) []T {
	if cap(s) < n {
		s = make([]T, n)
	}
	s = s[:n]
	for k := range s {
		s[k] = x
	}
	return s
}

// reset makes n empty reductions.
func (a *accumulator[F]) reset(combine ir.Combine, d tensor.DType, n int) {
	a.combine, a.dtype = combine, d
	arg := combine == ir.ArgMax || combine == ir.ArgMin
	if arg {
		a.at = resize(a.at, n, -1)
	}
	switch {
	case d != tensor.F32:
		identity := int32(0)
		switch {
		case combine == ir.Prod:
			identity = 1
		case combine == ir.Max && d == tensor.I32:
			identity = math.MinInt32
		case combine == ir.Min && d == tensor.I32:
			identity = math.MaxInt32
		case combine == ir.Min:
			identity = 1
		}
		a.i = resize(a.i, n, identity)
	case combine == ir.Sum:
		a.sum = resize(a.sum, n, 0)
	case combine == ir.Prod:
		a.sum = resize(a.sum, n, 1)
	case combine == ir.Max:
		a.f = resize(a.f, n, F(math.Inf(-1)))
	case combine == ir.Min:
		a.f = resize(a.f, n, F(math.Inf(1)))
	default:
		a.f = resize(a.f, n, 0)
	}
}

// row combines x[k] into element pos+k.
func (a *accumulator[F]) row(pos int, x []F, number, numberStep int) {
	switch a.combine {
	case ir.Sum:
		d := a.sum[pos : pos+len(x)]
		for k, v := range x {
			d[k] += float64(v)
		}
	case ir.Prod:
		d := a.sum[pos : pos+len(x)]
		for k, v := range x {
			d[k] *= float64(v)
		}
	case ir.Max:
		maximum(a.f[pos:pos+len(x)], a.f[pos:pos+len(x)], x)
	case ir.Min:
		minimum(a.f[pos:pos+len(x)], a.f[pos:pos+len(x)], x)
	default:
		arg(a.combine == ir.ArgMin, a.f[pos:pos+len(x)], a.at[pos:pos+len(x)], x, 1, number, numberStep)
	}
}

// all combines all of x into element pos.
func (a *accumulator[F]) all(pos int, x []F, number, numberStep int) {
	switch a.combine {
	case ir.Sum:
		a.sum[pos] += sum(x)
	case ir.Prod:
		p := 1.0
		for _, v := range x {
			p *= float64(v)
		}
		a.sum[pos] *= p
	case ir.Max:
		m := a.f[pos]
		for _, v := range x {
			m = max(m, v)
		}
		a.f[pos] = m
	case ir.Min:
		m := a.f[pos]
		for _, v := range x {
			m = min(m, v)
		}
		a.f[pos] = m
	default:
		arg(a.combine == ir.ArgMin, a.f[pos:pos+1], a.at[pos:pos+1], x, 0, number, numberStep)
	}
}

// sum adds x in double precision in four interleaved parts, so that one addition need not wait for the last.
func sum[F float](x []F) float64 {
	var s0, s1, s2, s3 float64
	for len(x) >= 4 {
		s0 += float64(x[0])
		s1 += float64(x[1])
		s2 += float64(x[2])
		s3 += float64(x[3])
		x = x[4:]
	}
	for _, v := range x {
		s0 += float64(v)
	}
	return (s0 + s1) + (s2 + s3)
}

// rowI32 is row for i32, where sums and products wrap around.
func (a *accumulator[F]) rowI32(pos int, x []int32, step, number, numberStep int) {
	if a.at != nil && (a.combine == ir.ArgMax || a.combine == ir.ArgMin) {
		n := 1
		if step == 1 {
			n = len(x)
		}
		arg(a.combine == ir.ArgMin, a.i[pos:pos+n], a.at[pos:pos+n], x, step, number, numberStep)
		return
	}
	for _, v := range x {
		d := &a.i[pos]
		switch a.combine {
		case ir.Sum:
			*d += v
		case ir.Prod:
			*d *= v
		case ir.Max:
			*d = max(*d, v)
		default:
			*d = min(*d, v)
		}
		pos += step
	}
}

// arg combines x[k], which is point number+k·numberStep, into element k·step: the first greatest (least) wins, and the first that is not
// a number above all.
func arg[T number](least bool, best []T, at []int32, x []T, step, number, numberStep int) {
	pos := 0
	for k, v := range x {
		n := int32(number + k*numberStep)
		if better(least, v, best[pos], n, at[pos]) {
			best[pos], at[pos] = v, n
		}
		pos += step
	}
}

// better reports whether point n with value v comes before point m with value b; m is −1 where there is none yet.
func better[T number](least bool, v, b T, n, m int32) bool {
	switch {
	case m < 0:
		return true
	case v != v || b != b:
		return v != v && (b == b || n < m)
	case v == b:
		return n < m
	case least:
		return v < b
	}
	return v > b
}

// merge combines b, of the same elements, into a.
func (a *accumulator[F]) merge(b *accumulator[F]) {
	switch {
	case a.combine == ir.ArgMax || a.combine == ir.ArgMin:
		for k, n := range b.at {
			if n < 0 {
				continue
			}
			if a.dtype == tensor.F32 {
				arg(a.combine == ir.ArgMin, a.f[k:k+1], a.at[k:k+1], b.f[k:k+1], 0, int(n), 0)
			} else {
				arg(a.combine == ir.ArgMin, a.i[k:k+1], a.at[k:k+1], b.i[k:k+1], 0, int(n), 0)
			}
		}
	case a.dtype != tensor.F32:
		a.rowI32(0, b.i, 1, 0, 0)
	case a.combine == ir.Sum:
		add(a.sum, a.sum, b.sum)
	case a.combine == ir.Prod:
		mul(a.sum, a.sum, b.sum)
	default:
		a.row(0, b.f, 0, 0)
	}
}

// store writes the results to out from element base on.
func (a *accumulator[F]) store(out *buffer[F], base int) {
	switch {
	case a.combine == ir.ArgMax || a.combine == ir.ArgMin:
		d := out.i[base : base+len(a.at)]
		for k, n := range a.at {
			d[k] = max(n, 0)
		}
	case a.dtype == tensor.I32:
		copy(out.i[base:], a.i)
	case a.dtype == tensor.Bool:
		d := out.b[base : base+len(a.i)]
		for k, v := range a.i {
			d[k] = v != 0
		}
	case a.combine == ir.Sum || a.combine == ir.Prod:
		d := out.f[base : base+len(a.sum)]
		for k, v := range a.sum {
			d[k] = F(v)
		}
	default:
		copy(out.f[base:], a.f)
	}
}
