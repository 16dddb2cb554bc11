package native

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// Note [Winograd's algorithm]
//
// A 3×3 convolution in single steps takes 9 multiplications for each pair of channels and element of the result. Winograd's F(4×4, 3×3) makes
// 4×4 elements from 6×6 of the operand with 36 multiplications, 2.25 for each: it evaluates both factors, seen as polynomials, at the points
// 0, ±3/4, ±3/2 and ∞ in each direction, multiplies the values, and interpolates. With
//
//	Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A
//
// for one tile and one pair of channels, the sum over channels moves inside: for each of the 36 pairs of points it is a matrix product of
// V (tiles × c) and U (c × o). So a chunk of tiles is transformed to V, multiplied, and the products M transformed to the result. V and M lie
// in the thread's scratch memory and are small enough to stay in its cache.
//
// The gradient in the weights is the transposed algorithm: g = Gᵀ [ Σ over tiles (Bᵀ d B) ⊙ (A y Aᵀ) ] G. The gradient in x is a convolution
// again.
//
// The usual points are 0, ±1, ±2 and ∞. Those used here are as exact in binary, cost as much, and halve the error: relative to the root mean
// square of the result it is about twice that of a direct sum.
//
// Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016); Barabasz et al., "Error Analysis and Improving the
// Accuracy of Winograd Convolution for Deep Neural Networks" (2020), on the choice of points.

// The sides of a tile of the result, of the window, and of a tile of the operand.
const (
	tileOut    = 4
	windowSide = 3
	tileIn     = tileOut + windowSide - 1
	tilePoints = tileIn * tileIn
)

// convolution is a nest that is a two-dimensional convolution with a window of 3×3 in single steps, or the gradient of one in its weights:
//
//	z[n…, i, j, o]  = Σ x[n…, i+di+p, j+dj+q, c] · w[di, dj, c, o]   over di, dj, c
//	z[di, dj, c, o] = Σ x[n…, i+di+p, j+dj+q, c] · y[n…, i, j, o]    over n…, i, j
//
// where x is zero outside, and the indices of w, and of the weights' gradient, come in any order. A window that is read backwards is one
// whose weights are reversed.
type convolution struct {
	gradient bool
	x, y     int         // numbers of the operands; y: of the weights, too
	images   []ir.Affine // extents of n…
	in, out  [2]ir.Affine
	offset   [2]int // p and q
	c, o     int    // numbers of channels

	base    int    // where the weight of the window's first element lies
	strides [4]int // of the weights: of di, dj, c, o

	unpooled bool         // x, or y of a gradient, is read as it was pooled: see Note [Gradients before pooling]
	bytes    bool         // the places beside it are bytes
	pooled   [2]ir.Affine // its height and width then
}

// pays reports whether Winograd's algorithm computes c faster than direct sums: there must be enough channels to make up for the
// transformations, and images large enough that tiles fit in.
func (c *convolution) pays() bool {
	waste := 1.0
	for _, n := range c.out {
		if n, known := n.IsConst(); known {
			waste *= float64((n+tileOut-1)/tileOut*tileOut) / float64(n)
		}
	}
	return c.c >= 3 && c.o >= 8 && max(c.c, c.o) >= 16 && waste <= 2
}

// asConvolution returns what convolution n is, or nil.
func asConvolution(n *ir.Nest, types []ir.Type) *convolution {
	if n.Combine != ir.Sum || n.Write != nil || len(n.Guards) > 0 || n.Body.Leaf != ir.NotLeaf || n.Body.Op != ir.OpMul || n.Body.DType != tensor.F32 {
		return nil
	}
	a, b := n.Body.Args[0], n.Body.Args[1]
	if a.Leaf != ir.LeafRead || b.Leaf != ir.LeafRead {
		return nil
	}
	if c := convolutionOf(n, types, a.Read, b.Read); c != nil {
		return c
	}
	return convolutionOf(n, types, b.Read, a.Read)
}

// convolutionOf tries x and y in their roles.
func convolutionOf(n *ir.Nest, types []ir.Type, x, y *ir.Read) *convolution {
	last := len(x.Index) - 1
	if last < 2 || y.Guarded && !insideAll(n, y, types) || x.Guarded && x.Else != 0 && !insideAll(n, x, types) {
		return nil
	}
	conv := &convolution{x: x.Operand, y: y.Operand}
	shape := types[x.Operand].Shape
	var images []int
	for k := range last - 2 {
		l, ok := wholeLoop(n, x.Index[k], shape[k])
		if !ok {
			return nil
		}
		images = append(images, l)
		conv.images = append(conv.images, shape[k])
	}
	channel, ok := wholeLoop(n, x.Index[last], shape[last])
	if !ok {
		return nil
	}
	var place, window [2]int
	var backwards [2]bool
	for k := range 2 {
		ix := x.Index[last-2+k]
		w, ok := windowed(n, ix)
		if !ok {
			return nil
		}
		place[k], window[k], backwards[k], conv.offset[k] = w.place, w.window, w.backwards, ix.Const
		if w.backwards {
			conv.offset[k] -= windowSide - 1
		}
		conv.in[k], conv.out[k] = shape[last-2+k], n.Index[w.place].Extent
	}
	conv.gradient = window[0] < n.Out
	if window[1] < n.Out != conv.gradient {
		return nil
	}
	// The loops of the other operand and of the result, in the order of their dimensions.
	other := make([]int, len(y.Index))
	for k, ix := range y.Index {
		if other[k], ok = wholeLoop(n, ix, types[y.Operand].Shape[k]); !ok {
			return nil
		}
	}
	result := make([]int, n.Out)
	for k := range result {
		result[k] = k
	}
	dense, weights := result, other // over n…, i, j, o and over di, dj, c, o
	if conv.gradient {
		dense, weights = other, result
	}
	if len(dense) != len(images)+3 || len(weights) != 4 || len(n.Index) != len(images)+6 {
		return nil
	}
	output := dense[len(dense)-1]
	if output == channel {
		return nil // each channel for itself, which is no sum of products of matrices
	}
	for k, l := range append(images, place[0], place[1]) {
		if dense[k] != l {
			return nil
		}
	}
	stride := 1
	seen := 0
	for k := 3; k >= 0; k-- {
		l := weights[k]
		size, known := n.Index[l].Extent.IsConst()
		if !known {
			return nil
		}
		for role, loop := range []int{window[0], window[1], channel, output} {
			if loop != l {
				continue
			}
			seen |= 1 << role
			conv.strides[role] = stride
			if role < 2 && backwards[role] {
				conv.base += (windowSide - 1) * stride
				conv.strides[role] = -stride
			}
			switch role {
			case 2:
				conv.c = size
			case 3:
				conv.o = size
			}
		}
		stride *= size
	}
	if seen != 15 {
		return nil
	}
	return conv
}

// insideAll reports whether a read is never outside its operand.
func insideAll(n *ir.Nest, r *ir.Read, types []ir.Type) bool {
	for k, ix := range r.Index {
		if !ir.Inside(ix, types[r.Operand].Shape[k], n.Extent) {
			return false
		}
	}
	return true
}

// wholeLoop returns the loop that an index is, if it goes over all of a dimension.
func wholeLoop(n *ir.Nest, ix, size ir.Affine) (int, bool) {
	l, ok := ix.IsLoop()
	if !ok || !n.Index[l].Extent.Equal(size) {
		return 0, false
	}
	return l, true
}

// windowIndex is an index place ± window + offset.
type windowIndex struct {
	place, window int
	backwards     bool
}

// windowed reads an index as that of a window of three elements: of its two loops one is of the result, and the other is not.
func windowed(n *ir.Nest, ix ir.Affine) (windowIndex, bool) {
	if len(ix.Terms) != 2 || ix.Terms[0].Atom.Kind != ir.AtomIndex || ix.Terms[1].Atom.Kind != ir.AtomIndex {
		return windowIndex{}, false
	}
	for k, t := range ix.Terms {
		p := ix.Terms[1-k]
		a, b := p.Atom.Index, t.Atom.Index
		size, known := n.Index[b].Extent.IsConst()
		if p.Coef != 1 || t.Coef != 1 && t.Coef != -1 || !known || size != windowSide || (a < n.Out) == (b < n.Out) {
			continue
		}
		if m, known := n.Index[a].Extent.IsConst(); known && m < tileOut {
			continue
		}
		return windowIndex{a, b, t.Coef < 0}, true
	}
	return windowIndex{}, false
}

// convolution appends the launches that compute in, the convolution c, or in its place e.
func (b *bodyLowering) convolution(f *ir.Func, in *ir.Instr, c *convolution, e *epilogue, results []int) error {
	// The operand that may be read as it was pooled, and then the places beside it.
	read := in.Args[c.x]
	if c.gradient {
		read = in.Args[c.y]
	}
	operand := []*ir.Value{read}
	if u := b.unpooled[read]; u != nil {
		of := *c
		of.unpooled, of.bytes = true, u.bytes
		of.pooled = u.pooled()
		c, operand = &of, []*ir.Value{u.masked, u.place}
	}
	launch := func(part winogradPart, args, results []int) error {
		k, err := b.winogradKernel(newWinograd(c, part, e, b.level))
		if err == nil {
			b.p.launch(exec.Launch{Kernel: k.number, Args: args, Results: results, Loc: in.Loc, What: nestName(in.Nest), Sized: -1})
		}
		return err
	}
	if c.gradient {
		part := gradientPart
		if c.fromPooled(b.level) {
			part = pooledPart
		}
		return launch(part, b.numbers(f, slices.Concat([]*ir.Value{in.Args[c.x]}, operand)), results)
	}
	if b.does(doDirect) && c.direct(e, b.level) {
		return launch(directPart, b.numbers(f, slices.Concat([]*ir.Value{in.Args[c.y]}, operand, e.others())), results)
	}
	n := newWinograd(c, filterPart, nil, b.level).filterElems()
	u := b.p.slot(exec.Slot{Type: ir.Type{DType: tensor.F32, Shape: []ir.Affine{ir.Int(n)}}, Place: exec.Arena})
	if err := launch(filterPart, b.numbers(f, []*ir.Value{in.Args[c.y]}), []int{u}); err != nil {
		return err
	}
	return launch(tilesPart, slices.Concat([]int{u}, b.numbers(f, operand), b.numbers(f, e.others())), results)
}

// winogradKernel returns the kernel w, which equal convolutions share.
func (l *lowering) winogradKernel(w *winograd) (*kernel, error) {
	key := w.key()
	if k := l.byKey[key]; k != nil {
		return k, nil
	}
	k := l.addKernel(key, w.data(), func(m *module, name string) { writeWinograd(m, name, w) })
	if w.part == gradientPart || w.part == pooledPart {
		m, err := l.mergeKernel(ir.Sum, tensor.F32)
		if err != nil {
			return nil, err
		}
		k.Merge = m.number
	}
	return k, nil
}

// operands returns how many operands the kernel has beside those of its epilogue.
func (w *winograd) operands() int {
	if w.unpooled {
		return 3
	}
	return 2
}

// key returns a text that is equal for equal kernels.
func (w *winograd) key() string {
	weights := fmt.Sprint(w.base, w.strides)
	switch w.part {
	case filterPart:
		return fmt.Sprintf("winograd filter %d×%d at %s", w.c, w.o, weights)
	case tilesPart, directPart: // of which there is one order of weights
		weights = ""
	}
	return fmt.Sprintf("winograd %d of %v×%v×%d + %v to %v×%d %s%s", w.part, w.images, w.in, w.c, w.offset, w.out, w.o, weights, w.epilogue.key()) +
		fmt.Sprintf(" unpooled %v of %v, bytes %v", w.unpooled, w.pooled, w.bytes)
}

// data returns what is needed to size a launch of w.
func (w *winograd) data() exec.Kernel {
	k := exec.Kernel{Results: w.epilogue.dtypes(), Operands: w.operands() + len(w.epilogue.others()), Cost: 1, Merge: -1, Identity: make([]byte, 4)}
	channels := whole(w.c * w.paddedO() / w.lanes)
	work := w.total.mul(channels).scale(tilePoints) // multiplications of vectors
	points, splits := w.blocks, whole(1)
	k.Products = 2 * w.lanes
	k.Cost = w.rowOfC() / w.c // of few channels, the transformations take more
	switch w.part {
	case filterPart:
		k.Operands, points, work = 1, whole(w.c), channels.scale(tilePoints)
		k.Products = 0
	case gradientPart:
		points, splits = whole(1), w.groups
	case directPart:
		points, work, k.Cost = w.total, w.directWork(), 1
	case pooledPart:
		points, splits, work, k.Cost = whole(1), w.groups, w.pooledWork(), 1
	}
	for _, n := range []poly{w.total, w.sizes.dim(w.in[0]), w.sizes.dim(w.in[1])} {
		k.Extents = append(k.Extents, w.sizes.export(n))
	}
	k.Points, k.Splits, k.Work = w.sizes.export(points), w.sizes.export(splits), w.sizes.export(work)
	if w.part != filterPart {
		k.Scratch = exec.Whole(4 * w.scratch().elems)
	}
	k.Sizes = w.sizes.exportAll()
	return k
}
