package native

import (
	"github.com/llir/llvm/ir/enum"
	"github.com/llir/llvm/ir/types"
	"github.com/llir/llvm/ir/value"

	"github.com/nnc-lang/nnc/runtime/exec"
)

// Note [Gradients of few channels from pooled elements]
//
// In the gradient of the first layer's weights,
//
//	z[di, dj, c, o] = Σ x[n…, i+di+p, j+dj+q, c] · y[n…, i, j, o]    over n…, i, j
//
// three of four elements of y are zero where it was pooled over 2×2. So the sum goes over the pooled elements d[n…, I, J, o] alone, each with that of the four windows
// which its maximum was in. Which one differs from lane to lane, but all four lie in 4×4 pixels; with at most four channels a row of them is a vector, and the element
// of each lane comes from two neighbouring rows by one permutation:
//
//	z[di, dj, c, o] += d[o] · (row di, row di+1)[16·(place/2) + (place mod 2)·C + dj·C + c]
//
// For a row of d the sums of all 9·C products of a vector are in registers.
//
// What x holds beside those windows is multiplied by no element: so that what is not finite there is not lost, each row is also multiplied by zero and added up.

// pooledLanes is the number of lanes that a permutation of two vectors needs here.
const pooledLanes = 16

// fromPooled reports whether the gradient c is computed from pooled elements: windows must cover y, for what x holds there to be looked at.
func (c *convolution) fromPooled(level Level) bool {
	for _, n := range c.out {
		if size, known := n.IsConst(); !known || size%2 != 0 {
			return false
		}
	}
	return c.gradient && c.unpooled && level.Arch == "amd64" && level.Lanes == pooledLanes && 4*c.c <= pooledLanes && c.o%pooledLanes == 0
}

const (
	// pooledRows is the number of rows of d whose gradients are added up without an end between.
	pooledRows = 32
	// pooledSide is the side of the windows of 2×2 elements of y.
	pooledSide = tileIn - 2
)

// pooledTiles chooses the parts that are added up: rows of d.
func (w *winograd) pooledTiles() {
	w.total = w.numImages.mul(w.sizes.dim(w.convolution.pooled[0]))
	w.groups = w.sizes.tiles(w.total, pooledRows)
}

// pooledWork returns the number of multiplications of vectors.
func (w *winograd) pooledWork() poly {
	return w.total.mul(w.sizes.dim(w.convolution.pooled[1])).scale(windowSide * windowSide * w.c * w.o / w.lanes)
}

// pooledGradient writes the kernel. It has one point; the split loop is over groups of rows of d.
func (e *winogradWriter) pooledGradient() {
	z, x, d := e.pointer(exec.WordResult, f32), e.pointer(exec.WordResult+1, f32), e.pointer(exec.WordResult+2, f32)
	e.place = e.pointer(exec.WordResult+3, e.placeType())
	taps := windowSide * e.c // of a row of the window
	s := e.top
	sums := s.at(e.memory, int64Const(e.at.sums))
	s.loop(int64Const(0), int64Const(windowSide*taps*e.o), e.lanes, true, nil, func(s *scope, k value.Value, _ []value.Value) []value.Value {
		s.store(num(vector(e.lanes, f32), 0), s.at(sums, k), nil)
		return nil
	})
	lo, hi := s.mul(e.word(exec.WordR0), int64Const(pooledRows)), s.mul(e.word(exec.WordR1), int64Const(pooledRows))
	hi = s.choose(s.icmp(enum.IPredSLT, hi, e.count), hi, e.count)
	// The lanes of what is not finite are not: a sum of zeros otherwise.
	bad := s.loop(lo, hi, 1, true, []value.Value{num(vector(e.lanes, f32), 0)}, func(s *scope, n value.Value, bad []value.Value) []value.Value {
		image, row := s.blk.NewUDiv(n, e.pooled[0]), s.blk.NewURem(n, e.pooled[0])
		return s.loop(int64Const(0), int64Const(e.o), e.lanes, true, bad, func(s *scope, o value.Value, bad []value.Value) []value.Value {
			return e.pooledRow(s, x, s.at(d, o), s.at(e.place, o), s.at(sums, o), n, image, s.mul(row, int64Const(2)), bad)
		})
	})[0]
	poison := value.Value(num(f32, 0))
	for l := range e.lanes {
		poison = s.fadd(poison, s.blk.NewExtractElement(bad, int64Const(l)))
	}
	poison = s.splat(poison, e.lanes)
	s.loop(int64Const(0), int64Const(taps*windowSide), 1, true, nil, func(s *scope, tap value.Value, _ []value.Value) []value.Value {
		di, rest := s.blk.NewUDiv(tap, int64Const(taps)), s.blk.NewURem(tap, int64Const(taps))
		dj, c := s.blk.NewUDiv(rest, int64Const(e.c)), s.blk.NewURem(rest, int64Const(e.c))
		at := s.add(s.add(s.mul(di, int64Const(e.strides[0])), s.mul(dj, int64Const(e.strides[1]))), s.add(s.mul(c, int64Const(e.strides[2])), int64Const(e.base)))
		e.vectorsOf(s, e.o, func(s *scope, o, mask value.Value) {
			v := s.fadd(s.load(s.at(sums, s.add(s.mul(tap, int64Const(e.o)), o)), e.lanes, nil, nil), poison)
			p := s.at(z, s.add(at, s.mul(o, int64Const(e.strides[3]))))
			if e.strides[3] == 1 {
				s.store(v, p, mask)
			} else {
				s.scatter(v, p, lanesTimes(e.lanes, e.strides[3]), mask)
			}
		})
		return nil
	})
}

// pooledRow writes the products of row number n of d, of a vector of channels, with the windows that begin in that row of x without its offset, added to sums.
func (e *winogradWriter) pooledRow(s *scope, x, d, place, sums, n, image, row value.Value, bad []value.Value) []value.Value {
	taps := windowSide * e.c
	at := func(tap int) value.Value { return s.at(sums, int64Const(tap*e.o)) }
	state := []value.Value{bad[0]}
	for tap := range windowSide * taps {
		state = append(state, s.load(at(tap), e.lanes, nil, nil))
	}
	elements := s.mul(n, e.pooled[1])
	state = s.loop(int64Const(0), e.pooled[1], 1, true, state, func(s *scope, col value.Value, state []value.Value) []value.Value {
		base, stride := e.region(s, x, image, s.add(row, int64Const(e.offset[0])), s.add(s.mul(col, int64Const(2)), int64Const(e.offset[1])), e.in, pooledSide, pooledSide, e.c, 0)
		mask := firstLanes(e.lanes, pooledSide*e.c)
		if pooledSide*e.c == e.lanes {
			mask = nil
		}
		zero := num(vector(e.lanes, f32), 0)
		var rows [pooledSide]value.Value
		next := make([]value.Value, len(state))
		next[0] = state[0]
		for i := range rows {
			rows[i] = s.load(s.at(base, s.mul(int64Const(i), stride)), e.lanes, mask, zero)
			next[0] = s.fma(rows[i], zero, next[0])
		}
		off := s.mul(s.add(elements, col), int64Const(e.o))
		y, k := s.load(s.at(d, off), e.lanes, nil, nil), s.load(s.at(place, off), e.lanes, nil, nil)
		if e.bytes {
			k = s.blk.NewZExt(k, vector(e.lanes, i32))
		} else {
			k = s.bitcast(k, i32)
		}
		// The second row's lanes follow the first one's.
		lane := s.add(s.blk.NewMul(s.blk.NewLShr(k, integer(k.Type(), 1)), integer(k.Type(), pooledLanes)),
			s.blk.NewMul(s.and(k, integer(k.Type(), 1)), integer(k.Type(), int64(e.c))))
		for tap := range taps {
			index := s.blk.NewAdd(lane, integer(k.Type(), int64(tap)))
			for di := range windowSide {
				next[1+di*taps+tap] = s.fma(s.permute(rows[di], rows[di+1], index), y, state[1+di*taps+tap])
			}
		}
		return next
	})
	for tap := range windowSide * taps {
		s.store(state[1+tap], at(tap), nil)
	}
	return state[:1]
}

// permute returns the elements of two vectors of AVX-512, one after the other, that the lanes of index name.
func (s *scope) permute(x, y, index value.Value) value.Value {
	f := s.fn.module.intrinsic("llvm.x86.avx512.vpermi2var.ps.512", types.Type(x.Type()), x.Type(), index.Type(), y.Type())
	return s.blk.NewCall(f, x, index, y)
}
