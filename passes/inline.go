package passes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
)

// inline replaces every call by the body of the function it calls, with the symbols of that function bound by the operands'
// dimensions. Instructions keep their places and scopes, so that messages and profiles still name the layer.
//
// Before that, equal calls are merged: the same function of the same operands is applied once, if no other instruction
// between the two writes a cell that it touches. A model that is called for its loss and again for a metric thus runs once,
// and updates its state once. Functions that call many levels of others are inlined first, so that calls from different levels
// meet before either is gone.
//
// A function whose name begins with '.' is internal and is dropped in the end; all others are entries that stay.
func inline(m *ir.Module) error {
	levels := map[*ir.Func]int{}
	for _, f := range m.Funcs {
		if _, err := callLevels(f, levels); err != nil {
			return err
		}
	}
	callers := slices.Clone(m.Funcs)
	slices.SortStableFunc(callers, func(f, g *ir.Func) int { return levels[g] - levels[f] })
	for _, f := range callers {
		inlineFunc(f, levels)
	}
	kept := ir.NewModule()
	for _, c := range m.Cells {
		kept.AddCell(c)
	}
	for _, f := range m.Funcs {
		if !strings.HasPrefix(f.Name, ".") {
			kept.AddFunc(f)
		}
	}
	*m = *kept
	return nil
}

// callLevels fills levels with the number of levels of calls below each function, plus 1.
//
// Errors: a function that calls itself.
func callLevels(f *ir.Func, levels map[*ir.Func]int) (int, error) {
	const entered = -1
	switch n := levels[f]; {
	case n == entered:
		return 0, fmt.Errorf("function %s calls itself; recursion cannot be compiled", f.Name)
	case n > 0:
		return n, nil
	}
	levels[f] = entered
	highest := 0
	for _, in := range f.Body {
		callee := in.Call
		if in.Op == ir.OpScan {
			callee = in.Scan.Body
		}
		if callee == nil {
			continue
		}
		n, err := callLevels(callee, levels)
		if err != nil {
			return 0, err
		}
		highest = max(highest, n)
	}
	levels[f] = highest + 1
	return highest + 1, nil
}

func inlineFunc(f *ir.Func, levels map[*ir.Func]int) {
	for {
		mergeCalls(f)
		highest := 0
		for _, in := range f.Body {
			if in.Op == ir.OpCall {
				highest = max(highest, levels[in.Call])
			}
		}
		if highest == 0 {
			break
		}
		var body []*ir.Instr
		values := substitution{}
		for _, in := range f.Body {
			values.args(in)
			if in.Op != ir.OpCall || levels[in.Call] != highest {
				body = append(body, in)
				continue
			}
			copied, results := copyBody(in.Call, in.Args, ir.BindSymbols(in.Call, in.Args))
			body = append(body, copied...)
			for i, r := range in.Results {
				values[r] = results[i]
			}
		}
		values.results(f)
		f.Body = body
	}
	for _, in := range f.Body {
		if in.Op == ir.OpScan {
			inlineFunc(in.Scan.Body, levels)
		}
	}
}

// mergeCalls removes calls that repeat an earlier one.
func mergeCalls(f *ir.Func) {
	type made struct {
		call    *ir.Instr
		touches effects
	}
	var calls []made
	values := substitution{}
	f.Body = slices.DeleteFunc(f.Body, func(in *ir.Instr) bool {
		values.args(in)
		if in.Op == ir.OpCall {
			for _, c := range calls {
				if c.call.Call == in.Call && slices.Equal(c.call.Args, in.Args) {
					values.merge(in, c.call)
					return true
				}
			}
		}
		touches := effectsOf(in)
		calls = slices.DeleteFunc(calls, func(c made) bool {
			for cell := range touches.writes {
				if c.touches.reads[cell] || c.touches.writes[cell] {
					return true
				}
			}
			return false
		})
		if in.Op == ir.OpCall {
			calls = append(calls, made{in, touches})
		}
		return false
	})
	values.results(f)
}

// copyBody copies f's body with args for its parameters and bind for its symbols, and returns the copies of its results.
func copyBody(f *ir.Func, args []*ir.Value, bind map[string]ir.Affine) ([]*ir.Instr, []*ir.Value) {
	values := make(map[*ir.Value]*ir.Value, len(f.Params))
	for i, p := range f.Params {
		values[p] = args[i]
	}
	body := make([]*ir.Instr, len(f.Body))
	for i, in := range f.Body {
		body[i] = copyInstr(in, values, bind)
	}
	results := make([]*ir.Value, len(f.Results))
	for i, r := range f.Results {
		results[i] = values[r]
	}
	return body, results
}

func copyInstr(in *ir.Instr, values map[*ir.Value]*ir.Value, bind map[string]ir.Affine) *ir.Instr {
	symbols := func(a ir.Atom) (ir.Affine, bool) {
		v, ok := bind[a.Symbol]
		return v, ok && a.Kind == ir.AtomSymbol
	}
	clone := *in
	clone.Args = make([]*ir.Value, len(in.Args))
	for i, a := range in.Args {
		clone.Args[i] = values[a]
	}
	clone.Results = make([]*ir.Value, len(in.Results))
	for i, r := range in.Results {
		v := &ir.Value{Name: r.Name, Type: r.Type.Rewrite(bind), Def: &clone}
		values[r], clone.Results[i] = v, v
	}
	if in.Nest != nil {
		clone.Nest = rewriteNest(in.Nest, symbols)
	}
	if in.Scan != nil {
		scan := *in.Scan
		scan.Trip = scan.Trip.Rewrite(symbols)
		body := *scan.Body
		body.Params = make([]*ir.Value, len(scan.Body.Params))
		for i, p := range scan.Body.Params {
			body.Params[i] = &ir.Value{Name: p.Name, Type: p.Type.Rewrite(bind)}
		}
		body.Body, body.Results = copyBody(scan.Body, body.Params, bind)
		scan.Body = &body
		clone.Scan = &scan
	}
	return &clone
}
