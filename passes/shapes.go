package passes

import (
	"fmt"

	"github.com/nnc-lang/nnc/ir"
)

// shapes computes the types of all results anew from the operands, brings their dimensions into canonical form, and checks
// them against what the front end said.
func shapes(m *ir.Module) error {
	return eachFunc(m, func(f *ir.Func) error {
		for _, in := range f.Body {
			var want []ir.Type
			switch in.Op {
			case ir.OpNest:
				want = []ir.Type{{DType: in.Nest.ResultDType(), Shape: in.Nest.ResultShape()}}
			case ir.OpRead:
				want = []ir.Type{in.Cell.Type}
			case ir.OpGrad:
				for _, x := range in.Args[1:] {
					want = append(want, x.Type)
				}
			default:
				continue
			}
			if len(in.Results) != len(want) {
				return fmt.Errorf("%s: %s has %d results instead of %d", place(in.Loc), in.Op, len(in.Results), len(want))
			}
			for i, r := range in.Results {
				got := r.Type.Rewrite(nil)
				if want := want[i].Rewrite(nil); !got.Equal(want) {
					return fmt.Errorf("%s: result of %s is %v by its operands, but declared as %v", place(in.Loc), in.Op, want, got)
				}
				r.Type = got
			}
		}
		return nil
	})
}

// place formats a location for messages.
func place(l ir.Loc) string {
	if l.File == "" {
		return "-"
	}
	return fmt.Sprintf("%s:%d:%d", l.File, l.Line, l.Col)
}
