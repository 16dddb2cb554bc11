// Package cost counts what functions compute.
package cost

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// Flops counts the scalar operations of f on one example, by the layer (Loc.Scope) that they belong to; what belongs to none stands
// under "". Functions that f calls are counted with it, each time they are called; what no result needs is not counted.
//
// An operation of the table counts as one, be it a sum or an exponential, and combining a point of a reduction with those before
// counts as one more: a product of matrices has 2·M·N·K. Reading, choosing, converting and what depends on indices alone count as nothing.
// A dimension that is not known before the program runs counts as 1.
func Flops(f *ir.Func) map[string]int {
	total := map[string]int{}
	count(f, 1, total)
	return total
}

// count adds the operations of f, times times.
func count(f *ir.Func, times int, total map[string]int) {
	needed := Needed(f)
	for _, i := range f.Body {
		if !needed[i] {
			continue
		}
		switch i.Op {
		case ir.OpNest:
			total[i.Loc.Scope] += times * points(i.Nest) * perPoint(i.Nest)
		case ir.OpCall:
			count(i.Call, times, total)
		case ir.OpScan:
			count(i.Scan.Body, times*size(i.Scan.Trip), total)
		}
	}
}

// size is a dimension for one example.
func size(d ir.Affine) int { return max(0, d.EvalDim(func(string) int { return 1 })) }

func points(n *ir.Nest) int {
	p := 1
	for _, x := range n.Index {
		p *= size(x.Extent)
	}
	return p
}

// perPoint is the number of operations at one point of a nest.
func perPoint(n *ir.Nest) int {
	ops := operations(n.Body)
	if n.Combine != ir.Map {
		ops++
	}
	return ops
}

func operations(e *ir.Expr) int {
	if !reads(e) {
		return 0
	}
	n := 1
	switch {
	case e.Leaf != ir.NotLeaf, e.Op == ir.OpToF32, e.Op == ir.OpToI32, e.Op == ir.OpStop, e.Op == ir.OpSelect:
		n = 0
	}
	for _, a := range e.Args {
		n += operations(a)
	}
	return n
}

// reads reports whether e depends on data, not on indices alone.
func reads(e *ir.Expr) bool {
	return e.Leaf == ir.LeafRead || slices.ContainsFunc(e.Args, reads)
}

// Needed tells which instructions of f influence a result or a cell.
func Needed(f *ir.Func) map[*ir.Instr]bool {
	needed := map[*ir.Instr]bool{}
	live := map[*ir.Value]bool{}
	for _, v := range f.Results {
		live[v] = true
	}
	for k := len(f.Body) - 1; k >= 0; k-- {
		i := f.Body[k]
		use := i.Op == ir.OpWrite || i.Op == ir.OpCall && writes(i.Call)
		for _, r := range i.Results {
			use = use || live[r]
		}
		if !use {
			continue
		}
		needed[i] = true
		for _, a := range i.Args {
			live[a] = true
		}
	}
	return needed
}

// writes reports whether a function changes cells.
func writes(f *ir.Func) bool {
	for _, i := range f.Body {
		if i.Op == ir.OpWrite || i.Op == ir.OpCall && writes(i.Call) || i.Op == ir.OpScan && writes(i.Scan.Body) {
			return true
		}
	}
	return false
}
