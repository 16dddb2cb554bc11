package native

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/cost"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// kernel is a piece of code that some launches share: what is needed to size a launch, and what writes the code.
type kernel struct {
	exec.Kernel
	number int
	key    string // equal for what is equal
	write  func(m *module, name string)
}

// addKernel adds a kernel; nothing with this key was added before.
func (l *lowering) addKernel(key string, data exec.Kernel, write func(m *module, name string)) *kernel {
	k := &kernel{Kernel: data, number: len(l.kernels), key: key, write: write}
	k.Name = fmt.Sprintf("k%d", k.number)
	l.byKey[key] = k
	l.kernels = append(l.kernels, k)
	return k
}

// data returns what is needed to size a launch of t.
func (t *loopNest) data() exec.Kernel {
	k := exec.Kernel{
		Results: slices.Repeat([]tensor.DType{t.result}, t.results()), Operands: len(t.types), Cost: t.cost, Clear: t.scatter, Merge: -1,
		Across: len(t.rows) > 0 && t.across, Identity: identityBytes(t),
	}
	if t.v < 0 {
		k.Cost *= 16 // a vector's ops for each element
	}
	if cost.SumsProducts(t.ir) {
		k.Products = 2
	}
	points, group, splits, work := whole(1), whole(1), whole(1), whole(1)
	for _, e := range t.extents {
		k.Extents = append(k.Extents, t.sizes.export(e))
		work = work.mul(e)
	}
	for _, o := range t.outer {
		points = points.mul(t.extents[o])
	}
	if t.tile > 0 {
		points = points.mul(t.columnTiles())
	}
	for _, w := range t.rows {
		group = group.mul(t.sizes.rowTiles(t.extents[w.loop], w.n))
	}
	points = points.mul(group)
	for _, l := range t.split {
		splits = splits.mul(t.extents[l])
		k.Vectors = l == t.v
	}
	k.Points, k.Splits, k.Work = t.sizes.export(points), t.sizes.export(splits), t.sizes.export(work)
	switch {
	case len(t.post) > 0 && !t.after: // the tiles of rows are not the innermost ones
	case t.blocks():
		k.Group = exec.Whole(blockTiles)
	default:
		k.Group = t.sizes.export(group)
	}
	if t.stream != nil {
		k.Scratch = exec.Whole(t.scratchBytes())
	}
	k.Sizes = t.sizes.exportAll()
	return k
}

// exportAll returns the sizes that are defined.
func (s *sizes) exportAll() []exec.Size {
	var all []exec.Size
	for _, name := range s.names {
		d := s.defs[name]
		z := exec.Size{Tile: d.tile, Rows: d.rows, Less: d.less}
		if d.tile > 0 {
			z.Of = s.export(d.of)
		} else {
			z.Dim = ir.Affine{Terms: []ir.Term{{Coef: 1, Atom: d.atom}}}
		}
		all = append(all, z)
	}
	return all
}

// export returns p over the numbers of the sizes.
func (s *sizes) export(p poly) exec.Poly {
	var q exec.Poly
	for _, mono := range p.monomials() {
		t := exec.Term{Coef: p[mono]}
		if mono != "" {
			for _, name := range strings.Split(mono, timesSign) {
				t.Sizes = append(t.Sizes, s.number(name))
			}
		}
		q = append(q, t)
	}
	return q
}

// identityBytes returns the element that a nest without points has everywhere.
func identityBytes(t *loopNest) []byte {
	x := tensor.New(t.result, 1)
	switch t.combine {
	case ir.Prod:
		x.Set(0, 1)
	case ir.Max, ir.Min:
		sign := 1
		if t.combine == ir.Max {
			sign = -1
		}
		switch {
		case t.result == tensor.F32:
			x.F32[0] = float32(math.Inf(sign))
		case t.result == tensor.I32 && sign > 0:
			x.I32[0] = math.MaxInt32
		case t.result == tensor.I32:
			x.I32[0] = math.MinInt32
		default:
			x.Bool[0] = sign > 0
		}
	}
	b, err := exec.BytesOf(x)
	if err != nil {
		panic("BUG: native: " + err.Error())
	}
	return b
}
