package passes

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// dce drops instructions without effect whose results nobody uses, and operands that a nest does not read. Effects are
// writes of cells, also those inside calls and scans.
//
// Source: dead code elimination on SSA form, Cytron et al., TOPLAS 1991, section 7.1.
func dce(m *ir.Module) error {
	return eachFunc(m, func(f *ir.Func) error {
		used := map[*ir.Value]bool{}
		for _, r := range f.Results {
			used[r] = true
		}
		var kept []*ir.Instr
		for _, in := range slices.Backward(f.Body) {
			if !slices.ContainsFunc(in.Results, func(v *ir.Value) bool { return used[v] }) && len(effectsOf(in).writes) == 0 {
				continue
			}
			if in.Nest != nil {
				in.Nest, in.Args = compact(in.Nest, in.Args)
			}
			for _, a := range in.Args {
				used[a] = true
			}
			kept = append(kept, in)
		}
		slices.Reverse(kept)
		f.Body = kept
		return nil
	})
}
