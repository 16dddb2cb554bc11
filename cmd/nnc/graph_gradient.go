package main

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/graph"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// gradientEdges lists the arrows of the forward pass along which gradients of these cells flow back: not those whose values pass only
// through stop_gradient, comparisons and the like.
func (s *stepDrawing) gradientEdges(cells map[string]bool) []*graph.Edge {
	live := map[*ir.Value]bool{}
	for _, i := range s.body {
		if i.Op != ir.OpGrad {
			flow(i, cells, live)
		}
	}
	type arrow struct{ from, to *graph.Node }
	carries := map[arrow]bool{} // of the arrows that were looked at, whether a gradient flows
	for _, i := range s.body {
		to, inside := s.applied[i]
		if !inside && len(i.Results) > 0 && s.value[i.Results[0]] != nil {
			to = []*graph.Node{s.value[i.Results[0]]}
		}
		for k, a := range i.Args {
			for _, box := range to {
				at := arrow{s.value[a], box}
				on := live[a] && slices.ContainsFunc(i.Results, func(r *ir.Value) bool { return live[r] })
				if i.Op == ir.OpNest {
					on = on && flowsTo(i.Nest.Body, func(operand int) bool { return operand == k })
				}
				carries[at] = carries[at] || on
			}
		}
	}
	var out []*graph.Edge
	for _, e := range s.Edges {
		on, known := carries[arrow{e.From, e.To}]
		if e.From.Lane == laneForward && e.To.Lane == laneForward && (on || !known) {
			out = append(out, e)
		}
	}
	return out
}

// flow marks an instruction's results that depend on the cells, or on values that are marked, in a way that a gradient takes.
func flow(i *ir.Instr, cells map[string]bool, live map[*ir.Value]bool) {
	mark := func(r *ir.Value, on bool) { live[r] = live[r] || on && r.Type.DType == tensor.F32 }
	anyArg := slices.ContainsFunc(i.Args, func(a *ir.Value) bool { return live[a] })
	switch i.Op {
	case ir.OpRead:
		mark(i.Result(), cells[i.Cell.Name])
	case ir.OpNest:
		mark(i.Result(), flowsTo(i.Nest.Body, func(operand int) bool { return live[i.Args[operand]] }))
	case ir.OpCall:
		for k, on := range flowThrough(i.Call, cells, func(p int) bool { return live[i.Args[p]] }) {
			mark(i.Results[k], on)
		}
	case ir.OpScan:
		// The body's parameters are the counter and then what the instruction's operands are; a carried value that is reached in one
		// round is so in the next ones.
		carried := make([]bool, i.Scan.Carried)
		for range i.Scan.Carried + 1 {
			results := flowThrough(i.Scan.Body, cells, func(p int) bool {
				return p > 0 && (live[i.Args[p-1]] || p-1 < len(carried) && carried[p-1])
			})
			for k, on := range results {
				mark(i.Results[k], on)
				if k < len(carried) {
					carried[k] = carried[k] || on
				}
			}
		}
		for k := range carried {
			mark(i.Results[k], live[i.Args[k]])
		}
	default:
		for _, r := range i.Results {
			mark(r, anyArg)
		}
	}
}

// flowThrough tells which results of a function a gradient reaches, given its parameters.
func flowThrough(f *ir.Func, cells map[string]bool, param func(int) bool) []bool {
	live := map[*ir.Value]bool{}
	for k, p := range f.Params {
		live[p] = param(k)
	}
	for _, i := range f.Body {
		flow(i, cells, live)
	}
	out := make([]bool, len(f.Results))
	for k, r := range f.Results {
		out[k] = live[r]
	}
	return out
}

// flowsTo reports whether a gradient flows from an expression to one of the operands that want it.
func flowsTo(e *ir.Expr, wants func(operand int) bool) bool {
	if e.Leaf == ir.LeafRead {
		return wants(e.Read.Operand)
	}
	grad := e.Op.Row().Grad
	for k, a := range e.Args {
		if k < len(grad) && grad[k] != "0" && flowsTo(a, wants) {
			return true
		}
	}
	return false
}

// reached lists the boxes from which arrows lead to a box, itself first.
func reached(from *graph.Node, edges []*graph.Edge) []*graph.Node {
	out := []*graph.Node{from}
	for k := 0; k < len(out); k++ {
		for _, e := range edges {
			if e.To == out[k] && !slices.Contains(out, e.From) {
				out = append(out, e.From)
			}
		}
	}
	return out
}
