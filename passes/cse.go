package passes

import (
	"math"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// cse merges equal instructions: the same op of the same operands, with the same nest or constant. Reads of a cell are
// equal if it is not written between them, and one after a write is what was written, once no gradient is left to be taken: none would pass through
// the cell. Of equal yields of a scan, the first is used. What a gradient
// is taken by stays apart, except reads of a cell. The names of loop indices do not matter, and the first instruction's place is kept.
//
// Source: value numbering, Cocke and Schwartz 1970; on SSA form over one straight line it needs no dominators.
func cse(m *ir.Module) error {
	forward := !takesGradients(m)
	return eachFunc(m, func(f *ir.Func) error {
		type key struct {
			op    ir.Op
			first *ir.Value
			cell  *ir.Cell
			args  int
		}
		seen := map[key][]*ir.Instr{}
		written := map[*ir.Cell]*ir.Value{}
		values, variables := substitution{}, variablesOf(f)
		f.Body = slices.DeleteFunc(f.Body, func(in *ir.Instr) bool {
			values.args(in)
			if in.Nest != nil {
				in.Nest, in.Args = compact(in.Nest, in.Args)
			}
			for c := range effectsOf(in).writes {
				delete(seen, key{op: ir.OpRead, cell: c})
				delete(written, c)
			}
			switch in.Op {
			case ir.OpWrite:
				if forward && !in.Cell.Half { // what is stored of a bf16 cell is rounded
					written[in.Cell] = in.Args[0]
				}
				return false
			case ir.OpScan:
				mergeYields(in, values)
				return false
			case ir.OpNest, ir.OpReshape, ir.OpConst, ir.OpRead, ir.OpGrad:
			default:
				return false
			}
			if in.Op != ir.OpRead && slices.ContainsFunc(in.Results, func(v *ir.Value) bool { return variables[v] }) {
				return false // it differs from what has the same value for a gradient
			}
			if v := written[in.Cell]; in.Op == ir.OpRead && v != nil && v.Type.Equal(in.Result().Type) {
				values[in.Result()] = v
				return true
			}
			k := key{op: in.Op, cell: in.Cell, args: len(in.Args)}
			if k.args > 0 {
				k.first = in.Args[0]
			}
			for _, kept := range seen[k] {
				if equalInstrs(in, kept) {
					values.merge(in, kept)
					return true
				}
			}
			seen[k] = append(seen[k], in)
			return false
		})
		values.results(f)
		return nil
	})
}

// takesGradients reports whether gradients are left to be taken in m.
func takesGradients(m *ir.Module) bool {
	found := false
	_ = eachFunc(m, func(f *ir.Func) error {
		found = found || slices.ContainsFunc(f.Body, func(in *ir.Instr) bool { return in.Op == ir.OpGrad })
		return nil
	})
	return found
}

// mergeYields lets the first of equal yields of a scan stand for the others.
func mergeYields(in *ir.Instr, values substitution) {
	first := map[*ir.Value]*ir.Value{}
	for i, y := range in.Scan.Body.Results {
		if i < in.Scan.Carried {
			continue
		}
		if first[y] == nil {
			first[y] = in.Results[i]
		} else {
			values[in.Results[i]] = first[y]
		}
	}
}

func equalInstrs(a, b *ir.Instr) bool {
	if !slices.Equal(a.Args, b.Args) || len(a.Results) != len(b.Results) {
		return false
	}
	for i := range a.Results {
		if !a.Results[i].Type.Equal(b.Results[i].Type) {
			return false
		}
	}
	switch a.Op {
	case ir.OpNest:
		return equalNests(a.Nest, b.Nest)
	case ir.OpConst:
		return equalTensors(a.Data, b.Data)
	}
	return true
}

func equalNests(a, b *ir.Nest) bool {
	same := func(x, y []ir.Affine) bool { return slices.EqualFunc(x, y, ir.Affine.Equal) }
	return a.Combine == b.Combine && a.Out == b.Out && (a.Write == nil) == (b.Write == nil) &&
		slices.EqualFunc(a.Index, b.Index, func(x, y ir.Index) bool { return x.Extent.Equal(y.Extent) }) &&
		same(a.Write, b.Write) && same(a.Shape, b.Shape) &&
		slices.EqualFunc(a.Guards, b.Guards, func(x, y ir.Guard) bool { return x.E.Equal(y.E) && x.Limit.Equal(y.Limit) }) &&
		a.Body.Equal(b.Body)
}

func equalTensors(a, b *tensor.Tensor) bool {
	if a == b {
		return true
	}
	if a.DType != b.DType || !slices.Equal(a.Shape, b.Shape) {
		return false
	}
	for i := range a.Len() {
		if math.Float64bits(a.At(i)) != math.Float64bits(b.At(i)) { // −0 is not 0, and not-a-number is itself
			return false
		}
	}
	return true
}
