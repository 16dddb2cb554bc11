package native

import (
	"github.com/llir/llvm/ir/enum"
	"github.com/llir/llvm/ir/value"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// Note [Convolutions of few channels]
//
// A convolution of images with three channels has so few products that Winograd's transformations take longer than what they save. It is computed
// by direct sums: 2×6 elements of the result, which become three pooled ones where a max-pooling follows, of two vectors of channels, are in
// registers. In each of the 9·c rounds two vectors of weights are loaded, and an element of the image for each of the twelve places. Tiles at the
// ends lie further inside, and compute some elements again.

// The sides of a tile, and the number of channels up to which direct sums are faster.
const (
	directHigh, directWide = 2, 6
	directChannels         = 4
)

// direct reports whether direct sums compute the convolution, followed by e if that is not nil.
func (c *convolution) direct(e *epilogue, level Level) bool {
	if c.c > directChannels || c.unpooled || c.o%(directVectors(c, level)*level.Lanes) != 0 {
		return false
	}
	if c.base != 0 || c.strides != [4]int{windowSide * c.c * c.o, c.c * c.o, c.o, 1} {
		return false
	}
	size, high, wide := c.out, directHigh, directWide
	if e != nil && e.pooled {
		size, high, wide = e.out, high/2, wide/2
	}
	return known(size[0], high) && known(size[1], wide) && known(c.out[0], directHigh) && known(c.out[1], directWide)
}

// known reports whether a dimension is known to be at least n.
func known(d ir.Affine, n int) bool {
	size, ok := d.IsConst()
	return ok && size >= n
}

// directVectors returns how many vectors of channels are computed together.
func directVectors(c *convolution, level Level) int {
	if level.Regs < 32 {
		return 1
	}
	return min(2, max(1, c.o/level.Lanes))
}

// directTiles chooses the tiles: the points are pairs of rows.
func (w *winograd) directTiles(level Level) {
	w.vectors = directVectors(w.convolution, level)
	high, _ := w.directSize()
	w.total = w.numImages.mul(w.sizes.tiles(w.sizes.dim(ir.Int(high)), directHigh))
}

// directSize returns the height and width of what is computed of the convolution's result.
func (w *winograd) directSize() (high, wide int) {
	if e := w.epilogue; e != nil && e.pooled {
		return 2 * e.out[0].MustConst(), 2 * e.out[1].MustConst()
	}
	return w.convolution.out[0].MustConst(), w.convolution.out[1].MustConst()
}

// directWork returns the number of multiplications of vectors.
func (w *winograd) directWork() poly {
	high, wide := w.directSize()
	return w.numImages.scale(high * wide * windowSide * windowSide * w.c * w.o / w.lanes)
}

// direct writes the kernel of direct sums.
func (e *winogradWriter) direct() {
	r := e.epilogue.dtypes()
	operands := exec.WordResult + len(r)
	w, x := e.pointer(operands, f32), e.pointer(operands+1, f32)
	for k := range e.epilogue.others() {
		e.word(operands + e.operands() + k)
	}
	high, wide := e.directSize()
	step := 1
	if p := e.epilogue; p != nil && p.pooled {
		step = 2
	}
	down := (high + directHigh - 1) / directHigh
	within := func(s *scope, at value.Value, last int) value.Value {
		return s.choose(s.icmp(enum.IPredSLT, at, int64Const(last)), at, int64Const(last))
	}
	e.top.loop(e.word(exec.WordP0), e.word(exec.WordP1), 1, true, nil, func(s *scope, p value.Value, _ []value.Value) []value.Value {
		image := s.blk.NewUDiv(p, int64Const(down))
		row := within(s, s.mul(s.blk.NewURem(p, int64Const(down)), int64Const(directHigh)), high-directHigh)
		s.loop(int64Const(0), int64Const(wide), directWide, true, nil, func(s *scope, col value.Value, _ []value.Value) []value.Value {
			col = within(s, col, wide-directWide)
			from, stride := e.region(s, x, image, s.add(row, int64Const(e.offset[0])), s.add(col, int64Const(e.offset[1])), e.in,
				directHigh+windowSide-1, directWide+windowSide-1, e.c, 0)
			// Where the tile's elements lie in an image of the results.
			at := s.mul(s.add(s.mul(s.add(s.mul(image, int64Const(high/step)), s.blk.NewUDiv(row, int64Const(step))), int64Const(wide/step)),
				s.blk.NewUDiv(col, int64Const(step))), int64Const(e.o))
			s.loop(int64Const(0), int64Const(e.o), e.block(), true, nil, func(s *scope, o value.Value, _ []value.Value) []value.Value {
				sums := e.directSums(s, from, stride, s.at(w, o))
				for u := range e.vectors {
					channel := s.add(o, int64Const(u*e.lanes))
					for i := 0; i < directHigh; i += step {
						for j := 0; j < directWide; j += step {
							var z [tileOut][tileOut]value.Value
							for k := range step * step {
								z[k/step][k%step] = sums[((i+k/step)*directWide+j+k%step)*e.vectors+u]
							}
							off := s.add(s.add(at, channel), int64Const((i/step*(wide/step)+j/step)*e.o))
							for k, v := range e.after(s, z, 0, 0, channel, nil) {
								s.store(v, s.at(e.pointer(exec.WordResult+k, memType(r[k])), off), nil)
							}
						}
					}
				}
				return nil
			})
			return nil
		})
		return nil
	})
}

// directSums writes the sums of a tile: those of each place's vectors, row by row. The image's elements lie at from, their rows stride apart.
func (e *winogradWriter) directSums(s *scope, from, stride, w value.Value) []value.Value {
	sums := make([]value.Value, directHigh*directWide*e.vectors)
	for k := range sums {
		sums[k] = num(vector(e.lanes, f32), 0)
	}
	run := windowSide * e.c // the elements of a row of the window lie together
	return s.loop(int64Const(0), int64Const(windowSide), 1, true, sums, func(s *scope, di value.Value, sums []value.Value) []value.Value {
		var rows [directHigh]value.Value
		for i := range rows {
			rows[i] = s.at(from, s.mul(s.add(di, int64Const(i)), stride))
		}
		line := s.at(w, s.mul(di, int64Const(run*e.o)))
		return s.loop(int64Const(0), int64Const(run), 1, true, sums, func(s *scope, k value.Value, sums []value.Value) []value.Value {
			weights := make([]value.Value, e.vectors)
			for u := range weights {
				weights[u] = s.load(s.at(s.at(line, s.mul(k, int64Const(e.o))), int64Const(u*e.lanes)), e.lanes, nil, nil)
			}
			next := make([]value.Value, len(sums))
			for i, row := range rows {
				row = s.at(row, k)
				for j := range directWide {
					a := s.splat(s.load(s.at(row, int64Const(j*e.c)), 1, nil, nil), e.lanes)
					for u, b := range weights {
						at := (i*directWide+j)*e.vectors + u
						next[at] = s.fma(a, b, sums[at])
					}
				}
			}
			return next
		})
	})
}
