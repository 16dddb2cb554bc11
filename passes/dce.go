package passes

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// dce drops instructions without effect whose results nobody uses, and operands that a nest does not read. Effects are
// writes of cells, also those inside calls and scans, except where another write of the same cell follows before it is read. A scan loses the yields that nobody uses, the carried values that only they
// themselves and what has gone depend on, and the operands that its body does not use.
//
// Source: dead code elimination on SSA form, Cytron et al., TOPLAS 1991, section 7.1.
func dce(m *ir.Module) error {
	for _, f := range m.Funcs {
		dropDead(f)
	}
	return nil
}

// dropDead drops the dead instructions of f and of the bodies in it, and returns the values that the others use.
func dropDead(f *ir.Func) map[*ir.Value]bool {
	used := map[*ir.Value]bool{}
	for _, r := range f.Results {
		used[r] = true
	}
	var kept []*ir.Instr
	overwritten := cellSet{}
	for _, in := range slices.Backward(f.Body) {
		if !isLive(in, used) || in.Op == ir.OpWrite && overwritten[in.Cell] {
			continue
		}
		for c := range effectsOf(in).reads {
			delete(overwritten, c)
		}
		if in.Op == ir.OpWrite {
			overwritten[in.Cell] = true
		}
		if in.Nest != nil {
			in.Nest, in.Args = compact(in.Nest, in.Args)
		}
		if in.Scan != nil {
			dropFromScan(in, used)
		}
		for _, a := range in.Args {
			used[a] = true
		}
		kept = append(kept, in)
	}
	slices.Reverse(kept)
	f.Body = kept
	return used
}

func isLive(in *ir.Instr, used map[*ir.Value]bool) bool {
	return slices.ContainsFunc(in.Results, func(v *ir.Value) bool { return used[v] }) || len(effectsOf(in).writes) > 0
}

// dropFromScan drops from scan in what its used results and its effects do not need.
func dropFromScan(in *ir.Instr, used map[*ir.Value]bool) {
	s := *in.Scan
	f := *s.Body
	needed := make([]bool, len(f.Results)) // results of the body
	for i, r := range in.Results {
		needed[i] = used[r]
	}
	for again := true; again; {
		again = false
		inside := map[*ir.Value]bool{}
		for i, r := range f.Results {
			inside[r] = inside[r] || needed[i]
		}
		for _, c := range slices.Backward(f.Body) {
			if isLive(c, inside) {
				for _, a := range c.Args {
					inside[a] = true
				}
			}
		}
		for i, p := range f.Params[1 : 1+s.Carried] {
			if inside[p] && !needed[i] {
				needed[i], again = true, true
			}
		}
	}
	names, results := f.ResultNames, f.Results
	f.Results, f.ResultNames = nil, nil
	var outer []*ir.Value
	for i, r := range results {
		if needed[i] {
			outer, f.Results, f.ResultNames = append(outer, in.Results[i]), append(f.Results, r), append(f.ResultNames, names[i])
		}
	}
	in.Results = outer

	inside := dropDead(&f)
	params, args := f.Params[:1:1], []*ir.Value(nil)
	carried, slicesKept := 0, 0
	for i, a := range in.Args {
		length := s.Length && i == len(in.Args)-1
		if 1+i < len(f.Params) {
			p := f.Params[1+i]
			switch {
			case i < s.Carried:
				if !needed[i] {
					continue
				}
				carried++
			case length && !inside[p]:
				args = append(args, a)
				continue
			case !inside[p]:
				continue
			case i < s.Carried+s.Slices:
				slicesKept++
			}
			params = append(params, p)
		}
		args = append(args, a)
	}
	f.Params, s.Body, s.Carried, s.Slices = params, &f, carried, slicesKept
	in.Scan, in.Args = &s, args
}
