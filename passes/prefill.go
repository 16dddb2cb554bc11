package passes

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// PrefillSuffix is what Step adds to the name of the function of a whole beginning.
const PrefillSuffix = ".prefill"

// prefill derives the function that a text begins with. It is f itself, with three differences:
//
//   - the text is as long as it is given, so no loop over it is guarded by its length;
//   - at the end the cells of the step get what f has computed: a cache the rows, and zeros behind them, which no step reads before it has stored its
//     own there; a carried value what the scan carried last;
//   - of the results only the last row is returned, which sink makes the last layers compute alone.
func (s *stepper) prefill() (*ir.Func, error) {
	b := ir.NewFunc(s.f.Name + PrefillSuffix)
	values := map[*ir.Value]*ir.Value{}
	for _, p := range s.f.Params {
		values[p] = b.Param(p.Name, p.Type)
	}
	for _, in := range s.f.Body {
		b.Func.Body = append(b.Func.Body, copyInstr(s.unguarded(in), values, nil))
	}
	for _, k := range s.kept {
		v := values[k.of]
		if times := s.times(k.of); len(times) > 0 {
			shape := k.cell.Type.Shape
			index := ir.Loops(0, len(shape))
			index = slices.Insert(slices.Delete(index, k.axis, k.axis+1), times[0], ir.Loop(k.axis))
			v = b.Nest(&ir.Nest{Index: ir.Indices(shape), Out: len(shape), Body: ir.ReadElse(v.Type.DType, 0, 0, index...)}, v)
		}
		b.Write(k.cell, v)
	}
	for i, r := range s.f.Results {
		shape := slices.Delete(slices.Clone(r.Type.Shape), 1, 2)
		last := slices.Insert(ir.Loops(0, len(shape)), 1, s.time.AddConst(-1))
		b.Return(s.f.ResultNames[i], b.Nest(&ir.Nest{Index: ir.Indices(shape), Out: len(shape), Body: ir.ReadOf(r.Type.DType, 0, last...)}, values[r]))
	}
	alone := &ir.Module{Funcs: []*ir.Func{b.Func}}
	for _, pass := range []func(*ir.Module) error{dce, sink, simplify, dce} {
		if err := pass(alone); err != nil {
			return nil, err
		}
	}
	return b.Func, nil
}

// unguarded returns an instruction of f as it is where the text is as long as it is given.
func (s *stepper) unguarded(in *ir.Instr) *ir.Instr {
	clone := *in
	switch {
	case in.Op == ir.OpNest:
		n := *in.Nest
		n.Guards = slices.DeleteFunc(slices.Clone(n.Guards), func(g ir.Guard) bool {
			k, ok := g.E.IsLoop()
			return ok && n.Index[k].Extent.Equal(s.time) && s.isLength(g.Limit, in.Args)
		})
		clone.Nest, clone.Args = compact(&n, in.Args)
	case in.Op == ir.OpScan && in.Scan.Length && in.Args[len(in.Args)-1] == s.length:
		sc := *in.Scan
		sc.Length = false
		clone.Scan, clone.Args = &sc, in.Args[:len(in.Args)-1]
	}
	return &clone
}
