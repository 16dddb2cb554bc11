package passes

import (
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// unroll puts the body of a scan of one round in its place, so that other passes see its instructions beside those around it. A model that is
// called with one unit of a text at a time has such scans. The element of a sequence that a map makes is made by itself, so that what it is remains known.
//
// Source: loop unrolling, the simplest case.
func unroll(m *ir.Module) error {
	return eachFunc(m, func(f *ir.Func) error {
		b := &ir.Builder{Func: f}
		values, variables := substitution{}, variablesOf(f)
		body := f.Body
		f.Body = nil
		for _, in := range body {
			values.args(in)
			if in.Op != ir.OpScan || !isSingle(in) {
				f.Body = append(f.Body, in)
				continue
			}
			b.Loc = in.Loc
			s := in.Scan
			args := []*ir.Value{b.Nest(&ir.Nest{Combine: ir.Map, Body: ir.Const(tensor.I32, 0)})}
			for i, a := range in.Args[:len(s.Body.Params)-1] {
				switch {
				case i < s.Carried || i >= s.Carried+s.Slices:
				case a.Def != nil && a.Def.Op == ir.OpNest && a.Def.Nest.Combine == ir.Map && !variables[a]:
					a = b.Nest(withoutLoop(a.Def.Nest, s.Axis, ir.Int(0)), a.Def.Args...)
				default:
					a = b.Reshape(a, s.Body.Params[1+i].Type.Shape...)
				}
				args = append(args, a)
			}
			copied, results := copyBody(s.Body, args, nil)
			f.Body = append(f.Body, copied...)
			for i, r := range in.Results {
				z := results[i]
				if i >= s.Carried {
					z = b.Reshape(z, r.Type.Shape...)
				}
				values[r] = z
			}
		}
		values.results(f)
		return nil
	})
}

// isSingle reports whether a scan has one round, in which every example takes part, through sequences of one element.
func isSingle(in *ir.Instr) bool {
	s := in.Scan
	if !s.Trip.Equal(ir.Int(1)) || s.Length {
		return false
	}
	for _, a := range in.Args[s.Carried:][:s.Slices] {
		if !a.Type.Shape[s.Axis].Equal(ir.Int(1)) {
			return false
		}
	}
	return true
}
