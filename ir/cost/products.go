package cost

import "github.com/nnc-lang/nnc/ir"

// Products counts the multiplications and additions of the sums of products in f, two for each product: matrix products, convolutions and
// their gradients, and nothing else. It is the arithmetic that benchmarks of networks count. Functions that f calls, and its stages, are counted with it. bind
// gives the dimensions that are known only when the program runs.
func Products(f *ir.Func, bind func(symbol string) int) float64 {
	total := 0.0
	for _, s := range f.Stages { // in parts it is as much as for the whole batch
		total += Products(s.Func, bind)
	}
	needed := Needed(f)
	for _, i := range f.Body {
		if !needed[i] {
			continue
		}
		switch i.Op {
		case ir.OpNest:
			total += nestProducts(i.Nest, bind)
		case ir.OpCall:
			total += Products(i.Call, bind)
		case ir.OpScan:
			total += float64(max(0, i.Scan.Trip.EvalDim(bind))) * Products(i.Scan.Body, bind)
		}
	}
	return total
}

// nestProducts is Products for one nest.
func nestProducts(n *ir.Nest, bind func(symbol string) int) float64 {
	if !SumsProducts(n) {
		return 0
	}
	points := 2.0
	for _, x := range n.Index {
		points *= float64(max(0, x.Extent.EvalDim(bind)))
	}
	return points
}

// SumsProducts reports whether n is a sum of products of data.
func SumsProducts(n *ir.Nest) bool {
	return n.Combine == ir.Sum && n.Write == nil && n.Out < len(n.Index) && n.Body.Leaf == ir.NotLeaf && n.Body.Op == ir.OpMul &&
		reads(n.Body.Args[0]) && reads(n.Body.Args[1])
}
