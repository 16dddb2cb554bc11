package passes

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// hoist moves out of scans what is the same in every round: instructions without effects whose operands the body takes unchanged, and
// reads of cells that the body does not write. What depends on no such value, as a constant does, is cheap and useful to other
// passes where it is, so it stays, and is copied out if something outside needs it.
//
// The gradient of a scan relies on it: parameters are then operands of the scan, and no round repeats what leads from them to
// the first value that changes.
//
// Source: loop-invariant code motion, Aho et al., Compilers, 2nd ed. 2006, section 9.5; since a body is pure, no loop need be
// entered for the move to be safe.
func hoist(m *ir.Module) error {
	return eachFunc(m, func(f *ir.Func) error {
		var body []*ir.Instr
		for _, in := range f.Body {
			if in.Op == ir.OpScan {
				body = append(body, hoistFrom(in)...)
			}
			body = append(body, in)
		}
		f.Body = body
		return nil
	})
}

// hoistFrom takes out of scan in what does not change and returns it.
func hoistFrom(in *ir.Instr) []*ir.Instr {
	before := *in.Scan
	s, f := &before, *in.Scan.Body
	outside := map[*ir.Value]*ir.Value{} // of values of the body
	unchanged := s.Carried + s.Slices
	for i, p := range f.Params[1+unchanged:] {
		outside[p] = in.Args[unchanged+i]
	}
	written := effectsOf(in).writes
	variables := variablesOf(&f)          // what depends on them is differentiated here
	constant := map[*ir.Value]*ir.Instr{} // instructions that depend on nothing
	var moved []*ir.Instr
	var move func(c *ir.Instr)
	move = func(c *ir.Instr) {
		for _, a := range c.Args {
			if outside[a] == nil {
				move(constant[a])
			}
		}
		moved = append(moved, copyInstr(c, outside, nil))
	}
	kept := make([]*ir.Instr, 0, len(f.Body))
	for _, c := range f.Body {
		varies, depends := slices.ContainsFunc(c.Results, func(v *ir.Value) bool { return variables[v] }), c.Op == ir.OpRead
		for _, a := range c.Args {
			_, invariant := outside[a]
			depends = depends || invariant && constant[a] == nil // a copied constant is still one
			varies = varies || !invariant && constant[a] == nil || variables[a]
		}
		switch {
		case varies, c.Op == ir.OpRead && written[c.Cell], c.Op == ir.OpWrite, c.Op == ir.OpCall, c.Op == ir.OpGrad, len(effectsOf(c).writes) > 0:
			kept = append(kept, c)
		case depends:
			move(c)
		default:
			for _, r := range c.Results {
				constant[r] = c
			}
			kept = append(kept, c)
		}
	}
	if len(kept) == len(f.Body) {
		return nil
	}
	// What the remaining body uses of what has gone becomes operands, before the lengths if the body does not take these.
	at := len(in.Args)
	if s.Length {
		at--
	}
	params, args, lengths := slices.Clone(f.Params), slices.Clone(in.Args[:at]), in.Args[at:]
	inside := substitution{}
	var lengthParam []*ir.Value
	if s.Length && len(params) == 1+len(in.Args) {
		lengthParam, params = f.Params[len(params)-1:], params[:len(params)-1]
	}
	known := map[*ir.Value]bool{}
	for _, p := range f.Params {
		known[p] = true
	}
	for _, c := range kept {
		for _, r := range c.Results {
			known[r] = true
		}
	}
	use := func(v *ir.Value) {
		if known[v] || inside[v] != nil {
			return
		}
		p := &ir.Value{Name: v.Name, Type: v.Type}
		inside[v] = p
		params, args = append(params, p), append(args, outside[v])
	}
	for _, c := range kept {
		for _, a := range c.Args {
			use(a)
		}
		inside.args(c)
	}
	for _, r := range f.Results {
		use(r)
	}
	f.Results = slices.Clone(f.Results)
	inside.results(&f)
	f.Params, f.Body = append(params, lengthParam...), kept
	s.Body = &f
	in.Scan, in.Args = s, append(args, lengths...)
	return moved
}
