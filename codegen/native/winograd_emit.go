package native

import (
	"github.com/llir/llvm/ir/enum"
	"github.com/llir/llvm/ir/types"
	"github.com/llir/llvm/ir/value"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// winogradPart is one of the kernels that compute a convolution.
type winogradPart uint8

const (
	filterPart   winogradPart = iota // weights → U
	tilesPart                        // x and U → z
	gradientPart                     // x and y → the weights' gradient
	directPart                       // x and w → z, by direct sums: see Note [Convolutions of few channels]
	pooledPart                       // x and pooled y → the weights' gradient: see Note [Gradients of few channels from pooled elements]
)

// winograd is a kernel of Winograd's algorithm.
type winograd struct {
	*convolution
	part     winogradPart
	epilogue *epilogue // of tilesPart; nil: the result is that of the convolution

	lanes   int
	vectors int // of a row of a product's tile in registers
	rows    int // at most, of that tile
	tiles   int // that are transformed and multiplied together
	sizes   *sizes

	total     poly // of tiles
	blocks    poly // of tiles that are multiplied together
	groups    poly // of tiles whose gradients are added up without an end between
	perGroup  int  // blocks
	rowsOf    poly // of tiles in an image
	columns   poly // of tiles in a row
	numImages poly
}

const (
	// winogradCache is how much of a processor's own cache V and M should take.
	winogradCache = 256 << 10
	// gradientCache is how much V and the transformed y should take. The sums beside them are larger still with many channels: the more tiles are added
	// in one go, the less often they come and go.
	gradientCache = 768 << 10
	// gradientTiles is the number of tiles at least whose gradients are added up before they are transformed back.
	gradientTiles = 192
)

// newWinograd returns a kernel of conv, followed by e if that is not nil.
func newWinograd(conv *convolution, part winogradPart, e *epilogue, level Level) *winograd {
	w := &winograd{convolution: conv, part: part, lanes: level.Lanes, sizes: newSizes()}
	if part == tilesPart || part == directPart {
		w.epilogue = e
	}
	w.vectors = min(2, (conv.o+w.lanes-1)/w.lanes)
	switch {
	case level.Regs >= 32 && w.vectors == 2:
		w.rows = 12
	case level.Regs >= 32:
		w.rows = 14
	case w.vectors == 2:
		w.rows = 6
	default:
		w.rows = 12
	}
	perTile := 4 * tilePoints * (w.rowOfC() + w.block())
	if part == gradientPart {
		perTile = 4 * tilePoints * (w.rowOfC() + w.paddedO())
		w.tiles = max(8, min(48, gradientCache/perTile/8*8))
	} else {
		w.tiles = max(w.rows, min(48, winogradCache/perTile)/w.rows*w.rows)
	}
	w.numImages = whole(1)
	for _, n := range conv.images {
		w.numImages = w.numImages.mul(w.sizes.dim(n))
	}
	w.rowsOf = w.sizes.tiles(w.sizes.dim(conv.out[0]), tileOut)
	w.columns = w.sizes.tiles(w.sizes.dim(conv.out[1]), tileOut)
	w.total = w.numImages.mul(w.rowsOf).mul(w.columns)
	switch part {
	case directPart:
		w.directTiles(level)
	case pooledPart:
		w.pooledTiles()
		return w
	}
	w.blocks = w.sizes.tiles(w.total, w.tiles)
	w.perGroup = (gradientTiles + w.tiles - 1) / w.tiles
	w.groups = w.sizes.tiles(w.blocks, w.perGroup)
	return w
}

// block returns the number of output channels that are multiplied together.
func (w *winograd) block() int { return w.vectors * w.lanes }

// paddedO returns the number of output channels in whole blocks.
func (w *winograd) paddedO() int { return (w.o + w.block() - 1) / w.block() * w.block() }

// rowOfC returns the number of input channels in whole vectors.
func (w *winograd) rowOfC() int { return (w.c + w.lanes - 1) / w.lanes * w.lanes }

// filterElems returns the number of elements of U, which lies in memory as [block of o][point][c][o of the block].
func (w *winograd) filterElems() int { return w.paddedO() * tilePoints * w.c }

// scratch says where things lie in scratch memory, in elements. The distance between planes of points is not a multiple of a page: planes are
// written side by side, and would else meet in the same place of the cache.
type scratch struct {
	patch, result    int // a tile of x or of y, and one of z, that lies partly outside
	v, vTile, vPoint int // [point][tile][c]
	m, mTile, mPoint int // [point][tile][o of the block], or of y transformed: [point][tile][o]
	sums, sPoint     int // [point][c][o]
	elems            int // of all
}

func (w *winograd) scratch() scratch {
	var s scratch
	take := func(n int) int {
		at := s.elems
		s.elems += (n + 15) &^ 15
		return at
	}
	if w.part == directPart {
		s.patch = take((directHigh + windowSide - 1) * (directWide + windowSide - 1) * w.c)
		return s
	}
	if w.part == pooledPart {
		s.patch = take(pooledSide * pooledSide * w.c)
		s.elems += pooledLanes // which the last row's vector reaches
		s.sums = take(windowSide * windowSide * w.c * w.o)
		return s
	}
	const apart = 16
	s.patch = take(tilePoints * max(w.c, w.o))
	s.result = take(2 * tileOut * tileOut * w.o)
	width := w.block()
	if w.part == gradientPart {
		width = w.paddedO()
	}
	s.vTile, s.vPoint = w.rowOfC(), w.tiles*w.rowOfC()+apart
	s.v = take(tilePoints * s.vPoint)
	s.mTile, s.mPoint = width, w.tiles*width+apart
	s.m = take(tilePoints * s.mPoint)
	if w.part == gradientPart {
		s.sPoint = w.c*w.paddedO() + apart
		s.sums = take(tilePoints * s.sPoint)
	}
	return s
}

// winogradWriter writes a kernel of Winograd's algorithm.
type winogradWriter struct {
	*winograd
	words
	at     scratch
	memory value.Value // the scratch memory

	in, out      [2]value.Value // heights and widths of x and of z or y
	pooled       [2]value.Value // of what is unpooled
	place        value.Value    // the places of what is unpooled
	down, across value.Value    // tiles in an image
	count        value.Value    // tiles
}

// writeWinograd writes w as a function of that name.
func writeWinograd(m *module, name string, w *winograd) {
	_, entry, args := m.newFunction(name)
	e := &winogradWriter{winograd: w, words: words{entry, args, len(w.epilogue.dtypes()) + w.operands() + len(w.epilogue.others()), w.sizes}}
	if w.part == filterPart {
		e.pointers = 2
		e.filter()
		entry.blk.NewRet(nil)
		return
	}
	e.at = w.scratch()
	e.memory = e.pointer(exec.WordScratch, f32)
	for k := range 2 {
		e.in[k], e.out[k] = e.size(w.sizes.dim(w.convolution.in[k])), e.size(w.sizes.dim(w.convolution.out[k]))
	}
	if w.unpooled {
		e.pooled = [2]value.Value{e.size(w.sizes.dim(w.convolution.pooled[0])), e.size(w.sizes.dim(w.convolution.pooled[1]))}
	}
	e.down, e.across, e.count = e.size(w.rowsOf), e.size(w.columns), e.size(w.total)
	for k := exec.WordP0; k <= exec.WordR1; k++ {
		e.word(k)
	}
	switch w.part {
	case gradientPart:
		e.gradient()
	case directPart:
		e.direct()
	case pooledPart:
		e.pooledGradient()
	default:
		e.convolve()
	}
	entry.blk.NewRet(nil)
}

// filter writes the transformation of weights: U = G g Gᵀ. Its points are the channels c.
func (e *winogradWriter) filter() {
	z, g := e.pointer(exec.WordResult, f32), e.pointer(exec.WordResult+1, f32)
	block := e.block()
	e.top.loop(e.word(exec.WordP0), e.word(exec.WordP1), 1, true, nil, func(s *scope, c value.Value, _ []value.Value) []value.Value {
		from := s.at(g, s.add(int64Const(e.base), s.mul(c, int64Const(e.strides[2]))))
		s.loop(int64Const(0), int64Const(e.paddedO()/block), 1, true, nil, func(s *scope, b value.Value, _ []value.Value) []value.Value {
			to := s.at(z, s.add(s.mul(b, int64Const(tilePoints*e.c*block)), s.mul(c, int64Const(block))))
			for u := range e.vectors {
				o := s.add(s.mul(b, int64Const(block)), int64Const(u*e.lanes))
				mask := e.maskO(s, o)
				var w [windowSide][windowSide]value.Value
				for i := range windowSide {
					for j := range windowSide {
						p := s.at(from, s.add(int64Const(i*e.strides[0]+j*e.strides[1]), s.mul(o, int64Const(e.strides[3]))))
						if e.strides[3] == 1 {
							w[i][j] = s.load(p, e.lanes, mask, nil)
						} else {
							w[i][j] = s.gather(p, lanesTimes(e.lanes, e.strides[3]), mask, nil)
						}
					}
				}
				var t [tileIn][windowSide]value.Value
				for j := range windowSide {
					x := filterTransform(s, [windowSide]value.Value{w[0][j], w[1][j], w[2][j]})
					for i := range tileIn {
						t[i][j] = x[i]
					}
				}
				for i := range tileIn {
					for j, x := range filterTransform(s, t[i]) {
						s.store(x, s.at(to, int64Const((i*tileIn+j)*e.c*block+u*e.lanes)), nil)
					}
				}
			}
			return nil
		})
		return nil
	})
}

// maskO returns which of the channels from o on exist; nil: all that a vector can hold.
func (e *winogradWriter) maskO(s *scope, o value.Value) value.Value {
	if e.o%e.lanes == 0 && e.o%e.block() == 0 {
		return nil
	}
	left := s.splat(s.blk.NewTrunc(s.sub(int64Const(e.o), o), i32), e.lanes)
	return s.icmp(enum.IPredSGT, left, lanesTimes(e.lanes, 1))
}

// tile is one of the tiles that are computed together.
type tile struct {
	slot            value.Value // its number among them
	image, row, col value.Value // its image, and where in the image its part of z or y begins
}

// eachTile writes body for count tiles from number first on.
func (e *winogradWriter) eachTile(s *scope, first, count value.Value, body func(s *scope, t tile)) {
	s.loop(int64Const(0), count, 1, true, nil, func(s *scope, slot value.Value, _ []value.Value) []value.Value {
		n := s.add(first, slot)
		col, n := s.blk.NewURem(n, e.across), value.Value(s.blk.NewUDiv(n, e.across))
		row, image := s.blk.NewURem(n, e.down), s.blk.NewUDiv(n, e.down)
		body(s, tile{slot, image, s.mul(row, int64Const(tileOut)), s.mul(col, int64Const(tileOut))})
		return nil
	})
}

// vectorsOf writes body for the vectors of n channels; the last may have a mask, and lie at any place.
func (e *winogradWriter) vectorsOf(s *scope, n int, body func(s *scope, c, mask value.Value)) {
	if n >= e.lanes {
		s.loop(int64Const(0), int64Const(n/e.lanes*e.lanes), e.lanes, true, nil, func(s *scope, c value.Value, _ []value.Value) []value.Value {
			body(s, c, nil)
			return nil
		})
	}
	if left := n % e.lanes; left > 0 {
		body(s, int64Const(n-left), firstLanes(e.lanes, left))
	}
}

// firstLanes returns the mask of the first k of n lanes.
func firstLanes(n, k int) value.Value {
	return lanes(i1, n, func(l int) int {
		if l < k {
			return 1
		}
		return 0
	})
}

// region returns where the high×wide elements of n channels from (row, col) on lie, and the distance of their rows. If some lie outside they
// are copied with zeros around them.
func (e *winogradWriter) region(s *scope, from, image, row, col value.Value, size [2]value.Value, high, wide, n, patchAt int) (base, stride value.Value) {
	elem := from.Type().(*types.PointerType).ElemType
	patch := value.Value(s.blk.NewBitCast(s.at(e.memory, int64Const(e.at.patch+patchAt)), types.NewPointer(elem)))
	inside := s.and(below(s, row, size[0], high), below(s, col, size[1], wide))
	width := s.mul(size[1], int64Const(n))
	base = s.at(from, s.add(s.mul(s.add(s.mul(image, size[0]), row), width), s.mul(col, int64Const(n))))
	s.when(s.not(inside), func(s *scope) {
		count := func(s *scope, most int, body func(s *scope, k value.Value)) {
			s.loop(int64Const(0), int64Const(most), 1, true, nil, func(s *scope, k value.Value, _ []value.Value) []value.Value {
				body(s, k)
				return nil
			})
		}
		count(s, high, func(s *scope, i value.Value) {
			count(s, wide, func(s *scope, j value.Value) {
				to := s.at(patch, s.mul(s.add(s.mul(i, int64Const(wide)), j), int64Const(n)))
				ok := s.and(below(s, s.add(row, i), size[0], 1), below(s, s.add(col, j), size[1], 1))
				s.either(ok, func(s *scope) {
					p := s.at(base, s.add(s.mul(i, width), s.mul(j, int64Const(n))))
					e.vectorsOf(s, n, func(s *scope, c, mask value.Value) {
						s.store(s.load(s.at(p, c), e.lanes, mask, nil), s.at(to, c), mask)
					})
				}, func(s *scope) {
					e.vectorsOf(s, n, func(s *scope, c, mask value.Value) {
						s.store(num(vector(e.lanes, elem), 0), s.at(to, c), mask)
					})
				})
			})
		})
	})
	return s.choose(inside, base, patch), s.choose(inside, width, int64Const(wide*n))
}

// below reports whether x … x+n−1 lie in [0, size).
func below(s *scope, x, size value.Value, n int) value.Value {
	return s.and(s.icmp(enum.IPredSGE, x, int64Const(0)), s.icmp(enum.IPredSLE, s.add(x, int64Const(n)), size))
}

// elements prepares to read side×side elements of n channels from (row, col) on, of which those outside are zero. What it returns begins to read them
// at a vector of channels, and what that returns reads one element. If they are unpooled, from holds the pooled elements.
func (e *winogradWriter) elements(s *scope, from, image, row, col value.Value, size [2]value.Value, side, n int, unpooled bool) func(s *scope, c, mask value.Value) func(i, j int) value.Value {
	rowsOf := func(from value.Value, row, col value.Value, size [2]value.Value, side, patchAt int) []value.Value {
		base, stride := e.region(s, from, image, row, col, size, side, side, n, patchAt)
		rows := make([]value.Value, side)
		for i := range rows {
			rows[i] = s.at(base, s.mul(int64Const(i), stride))
		}
		return rows
	}
	if !unpooled {
		rows := rowsOf(from, row, col, size, side, 0)
		return func(s *scope, c, mask value.Value) func(i, j int) value.Value {
			return func(i, j int) value.Value {
				if j >= side-tileOut {
					s.prefetch(s.at(rows[i], s.add(c, int64Const((j+tileOut)*n))), true)
				}
				return s.load(s.at(rows[i], s.add(c, int64Const(j*n))), e.lanes, mask, nil)
			}
		}
	}
	row, col = s.blk.NewAShr(row, int64Const(1)), s.blk.NewAShr(col, int64Const(1))
	half := side / 2
	values := rowsOf(from, row, col, e.pooled, half, 0)
	places := rowsOf(e.place, row, col, e.pooled, half, half*half*n)
	return func(s *scope, c, mask value.Value) func(i, j int) value.Value {
		zero := num(vector(e.lanes, f32), 0)
		var x, place [tileIn / 2][tileIn / 2]value.Value
		for i := range half {
			for j := range half {
				off := s.add(c, int64Const(j*n))
				if j >= half-tileOut/2 {
					s.prefetch(s.at(values[i], s.add(off, int64Const(tileOut/2*n))), true)
				}
				x[i][j] = s.load(s.at(values[i], off), e.lanes, mask, nil)
				place[i][j] = s.load(s.at(places[i], off), e.lanes, mask, nil)
				if e.bytes {
					place[i][j] = s.blk.NewZExt(place[i][j], vector(e.lanes, i32))
				}
			}
		}
		return func(i, j int) value.Value {
			p := place[i/2][j/2]
			return s.choose(s.icmp(enum.IPredEQ, p, integer(p.Type(), int64(i%2*2+j%2))), x[i/2][j/2], zero)
		}
	}
}

// placeType returns the type of what is unpooled's places in memory.
func (e *winogradWriter) placeType() types.Type {
	if e.bytes {
		return i8
	}
	return i32
}

// operandTile writes the transformation of a tile of x: V = Bᵀ d B.
func (e *winogradWriter) operandTile(s *scope, x value.Value, t tile) {
	load := e.elements(s, x, t.image, s.add(t.row, int64Const(e.offset[0])), s.add(t.col, int64Const(e.offset[1])), e.in, tileIn, e.c,
		e.unpooled && e.part == tilesPart)
	to := s.at(e.memory, s.add(int64Const(e.at.v), s.mul(t.slot, int64Const(e.at.vTile))))
	e.vectorsOf(s, e.c, func(s *scope, c, mask value.Value) {
		var d [tileIn][tileIn]value.Value
		at := load(s, c, mask)
		for j := range tileIn {
			var col [tileIn]value.Value
			for i := range tileIn {
				col[i] = at(i, j)
			}
			for i, v := range operandTransform(s, col) {
				d[i][j] = v
			}
		}
		p := s.at(to, c)
		for i := range tileIn {
			for j, v := range operandTransform(s, d[i]) {
				s.store(v, s.at(p, int64Const((i*tileIn+j)*e.at.vPoint)), nil)
			}
		}
	})
}

// convolve writes the kernel of a convolution from x and U. Its points are blocks of tiles.
func (e *winogradWriter) convolve() {
	r := e.results()
	operands := exec.WordResult + len(r)
	u, x := e.pointer(operands, f32), e.pointer(operands+1, f32)
	if e.unpooled {
		e.place = e.pointer(operands+2, e.placeType())
	}
	for k := range e.epilogue.others() {
		e.word(operands + e.operands() + k)
	}
	e.top.loop(e.word(exec.WordP0), e.word(exec.WordP1), 1, true, nil, func(s *scope, p value.Value, _ []value.Value) []value.Value {
		first, count := e.blockOfTiles(s, p)
		e.eachTile(s, first, count, func(s *scope, t tile) { e.operandTile(s, x, t) })
		s.loop(int64Const(0), int64Const(e.paddedO()/e.block()), 1, true, nil, func(s *scope, b value.Value, _ []value.Value) []value.Value {
			next, later := s.add(first, count), ahead{x, e.in, e.c, tileIn, tileOut}
			if e.unpooled {
				later = ahead{x, e.pooled, e.c, tileIn / 2, tileOut / 2}
			}
			e.products(s, s.at(u, s.mul(b, int64Const(tilePoints*e.c*e.block()))), count, func(s *scope, f, r value.Value) {
				s.when(s.icmp(enum.IPredEQ, b, int64Const(0)), func(s *scope) { e.fetchTiles(s, later, next, f, r, e.tiles/e.rows) })
			})
			o := s.mul(b, int64Const(e.block()))
			e.eachTile(s, first, count, func(s *scope, t tile) { e.resultTile(s, r, o, t) })
			return nil
		})
		return nil
	})
}

// blockOfTiles returns the first tile of block p, and how many it has.
func (e *winogradWriter) blockOfTiles(s *scope, p value.Value) (first, count value.Value) {
	first = s.mul(p, int64Const(e.tiles))
	left := s.sub(e.count, first)
	return first, s.choose(s.icmp(enum.IPredSLT, left, int64Const(e.tiles)), left, int64Const(e.tiles))
}

// ahead is an image of which a kernel will read tiles.
type ahead struct {
	from     value.Value
	size     [2]value.Value // its height and width
	channels int
	side     int // of what is read for a tile
	step     int // from a tile to the next
}

// fetchTiles asks for a part of what the block of tiles from number first on will read, which processors do not foresee, while products are computed: of the rows of point f's
// number, modulo their number, those of perRound tiles in each round r.
func (e *winogradWriter) fetchTiles(s *scope, a ahead, first, f, r value.Value, rounds int) {
	perGroup := (e.tiles + tileIn - 1) / tileIn
	perRound := (perGroup + rounds - 1) / rounds
	group, line := s.blk.NewUDiv(f, int64Const(tileIn)), s.blk.NewURem(f, int64Const(a.side))
	for k := range perRound {
		n := s.add(s.add(first, s.mul(group, int64Const(perGroup))), s.add(s.mul(r, int64Const(perRound)), int64Const(k)))
		col, n := s.blk.NewURem(n, e.across), value.Value(s.blk.NewUDiv(n, e.across))
		row := s.add(s.mul(s.blk.NewURem(n, e.down), int64Const(a.step)), line)
		at := s.add(s.mul(s.add(s.mul(s.blk.NewUDiv(n, e.down), a.size[0]), row), a.size[1]), s.mul(col, int64Const(a.step)))
		p := s.at(a.from, s.mul(at, int64Const(a.channels)))
		for at := 0; at < a.step*a.channels; at += lineElements {
			s.prefetch(s.at(p, int64Const(at)), false)
		}
	}
}

// products writes the products M = V U for all points of a block of channels, and what is done besides in each round of a point.
func (e *winogradWriter) products(s *scope, u, count value.Value, each func(s *scope, f, r value.Value)) {
	block := e.block()
	rounds := s.blk.NewUDiv(s.add(count, int64Const(e.rows-1)), int64Const(e.rows))
	s.loop(int64Const(0), int64Const(tilePoints), 1, true, nil, func(s *scope, f value.Value, _ []value.Value) []value.Value {
		b := s.at(u, s.mul(f, int64Const(e.c*block)))
		v := s.at(e.memory, s.add(int64Const(e.at.v), s.mul(f, int64Const(e.at.vPoint))))
		m := s.at(e.memory, s.add(int64Const(e.at.m), s.mul(f, int64Const(e.at.mPoint))))
		s.loop(int64Const(0), rounds, 1, true, nil, func(s *scope, r value.Value, _ []value.Value) []value.Value {
			each(s, f, r)
			a := s.at(v, s.mul(r, int64Const(e.rows*e.at.vTile)))
			to := s.at(m, s.mul(r, int64Const(e.rows*e.at.mTile)))
			sums := make([]value.Value, e.rows*e.vectors)
			for k := range sums {
				sums[k] = num(vector(e.lanes, f32), 0)
			}
			sums = e.product(s, int64Const(e.c), a, e.rows, e.at.vTile, 1, b, block, sums)
			for k, x := range sums {
				s.store(x, s.at(to, int64Const(k/e.vectors*e.at.mTile+k%e.vectors*e.lanes)), nil)
			}
			return nil
		})
		return nil
	})
}

// product writes sums += a b for rows × vectors sums: a's elements lie row and step apart, b's vectors step apart.
func (e *winogradWriter) product(s *scope, count, a value.Value, rows, row, step int, b value.Value, stepB int, sums []value.Value) []value.Value {
	return s.loop(int64Const(0), count, 1, true, sums, func(s *scope, k value.Value, sums []value.Value) []value.Value {
		pa, pb := s.at(a, s.mul(k, int64Const(step))), s.at(b, s.mul(k, int64Const(stepB)))
		next := make([]value.Value, len(sums))
		y := make([]value.Value, e.vectors)
		for u := range y {
			y[u] = s.load(s.at(pb, int64Const(u*e.lanes)), e.lanes, nil, nil)
		}
		for r := range rows {
			x := s.splat(s.load(s.at(pa, int64Const(r*row)), 1, nil, nil), e.lanes)
			for u := range y {
				next[r*e.vectors+u] = s.fma(x, y[u], sums[r*e.vectors+u])
			}
		}
		return next
	})
}

// results are the tensors that a convolution's kernel makes.
type results []struct {
	z     value.Value // where it lies
	patch value.Value // where tiles lie that are partly outside
}

func (e *winogradWriter) results() results {
	var r results
	for k, d := range e.epilogue.dtypes() {
		t := memType(d)
		patch := e.top.at(e.memory, int64Const(e.at.result+k*tileOut*tileOut*e.o))
		r = append(r, struct{ z, patch value.Value }{e.pointer(exec.WordResult+k, t), e.top.blk.NewBitCast(patch, types.NewPointer(t))})
	}
	return r
}

// resultTile writes the transformation of a tile of a block of channels to the result, Aᵀ M A, and what follows.
func (e *winogradWriter) resultTile(s *scope, r results, o value.Value, t tile) {
	side, size := tileOut, e.out
	if p := e.epilogue; p != nil {
		size = [2]value.Value{e.size(e.sizes.dim(p.out[0])), e.size(e.sizes.dim(p.out[1]))}
		if p.pooled {
			side /= 2
			t.row, t.col = s.blk.NewUDiv(t.row, int64Const(2)), s.blk.NewUDiv(t.col, int64Const(2))
		}
	}
	inside := s.and(below(s, t.row, size[0], side), below(s, t.col, size[1], side))
	width := s.mul(size[1], int64Const(e.o))
	off := s.add(s.mul(s.add(s.mul(t.image, size[0]), t.row), width), s.mul(t.col, int64Const(e.o)))
	stride := s.choose(inside, width, int64Const(side*e.o))
	bases := make([]value.Value, len(r))
	rows := make([][tileOut]value.Value, len(r))
	for k := range r {
		bases[k] = s.at(r[k].z, off)
		to := s.choose(inside, bases[k], r[k].patch)
		for i := range side {
			rows[k][i] = s.at(to, s.add(s.mul(int64Const(i), stride), o))
		}
	}
	m := s.at(e.memory, s.add(int64Const(e.at.m), s.mul(t.slot, int64Const(e.at.mTile))))
	for u := range e.vectors {
		channel := s.add(o, int64Const(u*e.lanes))
		mask := e.maskO(s, channel)
		var y [tileOut][tileIn]value.Value
		for j := range tileIn {
			var col [tileIn]value.Value
			for i := range tileIn {
				col[i] = s.load(s.at(m, int64Const((i*tileIn+j)*e.at.mPoint+u*e.lanes)), e.lanes, nil, nil)
			}
			for i, v := range resultTransform(s, col) {
				y[i][j] = v
			}
		}
		var z [tileOut][tileOut]value.Value
		for i := range tileOut {
			z[i] = resultTransform(s, y[i])
		}
		for i := range side {
			for j := range side {
				for k, x := range e.after(s, z, i, j, channel, mask) {
					s.store(x, s.at(rows[k][i], int64Const(j*e.o+u*e.lanes)), mask)
				}
			}
		}
	}
	s.when(s.not(inside), func(s *scope) {
		e.partOfTile(s, t, size, side, func(s *scope, i, j value.Value) {
			from := s.add(s.mul(s.add(s.mul(i, int64Const(side)), j), int64Const(e.o)), o)
			to := s.add(s.add(s.mul(i, width), s.mul(j, int64Const(e.o))), o)
			for u := range e.vectors {
				u := int64Const(u * e.lanes)
				mask := e.maskO(s, s.add(o, u))
				for k := range r {
					s.store(s.load(s.at(r[k].patch, s.add(from, u)), e.lanes, mask, nil), s.at(bases[k], s.add(to, u)), mask)
				}
			}
		})
	})
}

// after writes what follows a convolution, of its results z in a tile, at element i, j of the tile that is left.
func (e *winogradWriter) after(s *scope, z [tileOut][tileOut]value.Value, i, j int, channel, mask value.Value) []value.Value {
	p := e.epilogue
	switch {
	case p == nil:
		return []value.Value{z[i][j]}
	case !p.pooled:
		return []value.Value{e.follow(s, p.body, z[i][j], channel, mask)}
	}
	square := [4]value.Value{z[2*i][2*j], z[2*i][2*j+1], z[2*i+1][2*j], z[2*i+1][2*j+1]}
	if !p.place {
		if p.rising() {
			return []value.Value{e.follow(s, p.body, s.maxOf(square[:]), channel, mask)}
		}
		for k, x := range square {
			square[k] = e.follow(s, p.body, x, channel, mask)
		}
		return []value.Value{s.maxOf(square[:])}
	}
	most, place := e.follow(s, p.body, square[0], channel, mask), integer(vector(e.lanes, i32), 0)
	for k, x := range square[1:] {
		x = e.follow(s, p.body, x, channel, mask)
		// What is not a number comes before all, and the first one before those that follow.
		wins := s.and(s.fcmp(enum.FPredUGT, x, most), s.fcmp(enum.FPredORD, most, most))
		most, place = s.choose(wins, x, most), s.choose(wins, integer(vector(e.lanes, i32), int64(k+1)), place)
	}
	if p.bytes {
		place = s.blk.NewTrunc(place, vector(e.lanes, i8))
	}
	return []value.Value{most, place}
}

// follow writes the body of the epilogue for one vector of the convolution's result.
func (e *winogradWriter) follow(s *scope, x *ir.Expr, acc, channel, mask value.Value) value.Value {
	switch x.Leaf {
	case ir.LeafConst:
		return num(vector(e.lanes, llvmType(x.DType)), x.Value)
	case ir.LeafRead:
		k := x.Read.Operand
		if k == e.epilogue.acc {
			return acc
		}
		if k > e.epilogue.acc {
			k-- // that operand is none of the kernel's
		}
		p := e.pointer(exec.WordResult+len(e.epilogue.dtypes())+e.operands()+k, memType(x.DType))
		var v value.Value
		if len(x.Read.Index) == 0 {
			v = s.splat(s.load(p, 1, nil, nil), e.lanes)
		} else {
			v = s.load(s.at(p, channel), e.lanes, mask, nil)
		}
		if x.DType == tensor.Bool {
			v = s.icmp(enum.IPredNE, v, num(v.Type(), 0))
		}
		return v
	}
	if y := x.Op.Expand(x.Args); y != nil {
		return e.follow(s, y, acc, channel, mask)
	}
	args := make([]value.Value, len(x.Args))
	for k, a := range x.Args {
		args[k] = e.follow(s, a, acc, channel, mask)
	}
	return s.apply(x.Op, x.DType, args)
}

// partOfTile writes body for the elements of a tile of so many sides that exist.
func (e *winogradWriter) partOfTile(s *scope, t tile, size [2]value.Value, side int, body func(s *scope, i, j value.Value)) {
	var n [2]value.Value
	for k, at := range []value.Value{t.row, t.col} {
		left := s.sub(size[k], at)
		n[k] = s.choose(s.icmp(enum.IPredSLT, left, int64Const(side)), left, int64Const(side))
	}
	s.loop(int64Const(0), n[0], 1, false, nil, func(s *scope, i value.Value, _ []value.Value) []value.Value {
		s.loop(int64Const(0), n[1], 1, false, nil, func(s *scope, j value.Value, _ []value.Value) []value.Value {
			body(s, i, j)
			return nil
		})
		return nil
	})
}

// gradient writes the kernel of the weights' gradient. It has one point; the split loop is over groups of blocks of tiles.
func (e *winogradWriter) gradient() {
	z, x, y := e.pointer(exec.WordResult, f32), e.pointer(exec.WordResult+1, f32), e.pointer(exec.WordResult+2, f32)
	if e.unpooled {
		e.place = e.pointer(exec.WordResult+3, e.placeType())
	}
	s := e.top
	sums := s.at(e.memory, int64Const(e.at.sums))
	s.loop(int64Const(0), int64Const(tilePoints*e.at.sPoint), e.lanes, true, nil, func(s *scope, k value.Value, _ []value.Value) []value.Value {
		s.store(num(vector(e.lanes, f32), 0), s.at(sums, k), nil)
		return nil
	})
	blocks := e.size(e.blocks)
	lo, hi := s.mul(e.word(exec.WordR0), int64Const(e.perGroup)), s.mul(e.word(exec.WordR1), int64Const(e.perGroup))
	hi = s.choose(s.icmp(enum.IPredSLT, hi, blocks), hi, blocks)
	s.loop(lo, hi, 1, true, nil, func(s *scope, p value.Value, _ []value.Value) []value.Value {
		first, count := e.blockOfTiles(s, p)
		e.eachTile(s, first, count, func(s *scope, t tile) {
			e.operandTile(s, x, t)
			e.cotangentTile(s, y, t)
		})
		s.loop(int64Const(0), int64Const(tilePoints), 1, true, nil, func(s *scope, f value.Value, _ []value.Value) []value.Value {
			e.addProducts(s, f, count, func(s *scope, r value.Value, rounds int) {
				next, later := s.add(first, count), ahead{y, e.out, e.o, tileOut, tileOut}
				if e.unpooled {
					later = ahead{y, e.pooled, e.o, tileOut / 2, tileOut / 2}
				}
				e.fetchTiles(s, ahead{x, e.in, e.c, tileIn, tileOut}, next, f, r, rounds)
				e.fetchTiles(s, later, next, f, r, rounds)
			})
			return nil
		})
		return nil
	})
	e.weights(s, z, sums)
}

// cotangentTile writes the transformation of a tile of y: A y Aᵀ.
func (e *winogradWriter) cotangentTile(s *scope, y value.Value, t tile) {
	load := e.elements(s, y, t.image, t.row, t.col, e.out, tileOut, e.o, e.unpooled)
	to := s.at(e.memory, s.add(int64Const(e.at.m), s.mul(t.slot, int64Const(e.at.mTile))))
	e.vectorsOf(s, e.o, func(s *scope, c, mask value.Value) {
		var d [tileIn][tileOut]value.Value
		at := load(s, c, mask)
		for j := range tileOut {
			var col [tileOut]value.Value
			for i := range tileOut {
				col[i] = at(i, j)
			}
			for i, v := range cotangentTransform(s, col) {
				d[i][j] = v
			}
		}
		p := s.at(to, c)
		for i := range tileIn {
			for j, v := range cotangentTransform(s, d[i]) {
				s.store(v, s.at(p, int64Const((i*tileIn+j)*e.at.mPoint)), nil)
			}
		}
	})
}

// addProducts writes sums += Vᵀ Y for point f, and what is done besides in each of some rounds.
func (e *winogradWriter) addProducts(s *scope, f, count value.Value, each func(s *scope, r value.Value, rounds int)) {
	v := s.at(e.memory, s.add(int64Const(e.at.v), s.mul(f, int64Const(e.at.vPoint))))
	y := s.at(e.memory, s.add(int64Const(e.at.m), s.mul(f, int64Const(e.at.mPoint))))
	sums := s.at(e.memory, s.add(int64Const(e.at.sums), s.mul(f, int64Const(e.at.sPoint))))
	width := e.paddedO()
	n := (e.c + e.rows - 1) / e.rows // tiles of sums, of two heights, so that none is low
	high, large := (e.c+n-1)/n, e.c%n
	if large == 0 {
		large = n
	}
	tiles := func(rows, from, count_ int) {
		if count_ == 0 {
			return
		}
		s.loop(int64Const(0), int64Const(count_), 1, true, nil, func(s *scope, r value.Value, _ []value.Value) []value.Value {
			if from == 0 {
				each(s, r, count_)
			}
			c := s.add(int64Const(from), s.mul(r, int64Const(rows)))
			s.loop(int64Const(0), int64Const(width), e.block(), true, nil, func(s *scope, o value.Value, _ []value.Value) []value.Value {
				p := s.at(sums, s.add(s.mul(c, int64Const(width)), o))
				acc := make([]value.Value, rows*e.vectors)
				for k := range acc {
					acc[k] = s.load(s.at(p, int64Const(k/e.vectors*width+k%e.vectors*e.lanes)), e.lanes, nil, nil)
				}
				acc = e.product(s, count, s.at(v, c), rows, 1, e.at.vTile, s.at(y, o), e.at.mTile, acc)
				for k, x := range acc {
					s.store(x, s.at(p, int64Const(k/e.vectors*width+k%e.vectors*e.lanes)), nil)
				}
				return nil
			})
			return nil
		})
	}
	tiles(high, 0, large)
	tiles(high-1, high*large, n-large)
}

// weights writes the transformation of the sums to the weights' gradient: Gᵀ S G.
func (e *winogradWriter) weights(s *scope, z, sums value.Value) {
	s.loop(int64Const(0), int64Const(e.c), 1, true, nil, func(s *scope, c value.Value, _ []value.Value) []value.Value {
		from := s.at(sums, s.mul(c, int64Const(e.paddedO())))
		to := s.at(z, s.add(int64Const(e.base), s.mul(c, int64Const(e.strides[2]))))
		e.vectorsOf(s, e.o, func(s *scope, o, mask value.Value) {
			var t [windowSide][tileIn]value.Value
			for j := range tileIn {
				var col [tileIn]value.Value
				for i := range tileIn {
					col[i] = s.load(s.at(from, s.add(o, int64Const((i*tileIn+j)*e.at.sPoint))), e.lanes, nil, nil)
				}
				for i, x := range weightTransform(s, col) {
					t[i][j] = x
				}
			}
			for i := range windowSide {
				for j, x := range weightTransform(s, t[i]) {
					p := s.at(to, s.add(int64Const(i*e.strides[0]+j*e.strides[1]), s.mul(o, int64Const(e.strides[3]))))
					if e.strides[3] == 1 {
						s.store(x, p, mask)
					} else {
						s.scatter(x, p, lanesTimes(e.lanes, e.strides[3]), mask)
					}
				}
			}
		})
		return nil
	})
}
