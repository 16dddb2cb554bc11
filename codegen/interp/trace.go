package interp

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// tracer collects where a value that is not finite came from.
type tracer struct {
	found    *runtime.NonFiniteError
	constant *runtime.NonFiniteError // a literal that is not finite: blamed only if nothing else is to blame
}

var errTraced = errors.New("traced")

// explain runs a call again that gave a value that is not finite, and returns the error that names the first operation to blame.
func (m *machine[F]) explain(p *plan[F], args []*tensor.Tensor, what string) error {
	m.trace = &tracer{}
	for i, a := range args {
		if !m.finite(wrap[F](a)) && m.trace.found == nil {
			m.trace.found = &runtime.NonFiniteError{Op: "parameter", Note: "in " + paramName(p.fn, i)}
		}
	}
	for _, c := range m.module.Cells { // what the call that failed left there is not where its values came from
		if v := m.cells[c]; v != nil && c.Kind == ir.Part {
			m.mem.release(v.buffer)
			m.cells[c] = m.zeros(c.Type.DType, v.shape)
		}
	}
	if m.trace.found == nil {
		// What fails has been found, or is not to be explained here.
		_, _ = m.call(p, args)
	}
	e := m.trace.found
	if e == nil {
		e = m.trace.constant
	}
	if e == nil {
		e = &runtime.NonFiniteError{Op: "unknown"}
	}
	m.trace = nil
	e.What = what
	return e
}

// inspect looks at the results of a step that has just run.
func (m *machine[F]) inspect(p *plan[F], s *step[F], fr *frame[F]) error {
	inherited := false
	for _, a := range s.args {
		inherited = inherited || fr.bad[a]
	}
	for _, r := range s.results {
		if p.types[r].dtype != tensor.F32 || m.finite(fr.slots[r]) {
			continue
		}
		fr.bad[r] = true
		if inherited {
			continue
		}
		e := &runtime.NonFiniteError{Op: s.in.Op.String(), Loc: s.in.Loc}
		switch s.in.Op {
		case ir.OpConst:
			m.trace.constant = e
			continue
		case ir.OpRead:
			e.Note = "of " + s.in.Cell.Name
		case ir.OpNest:
			args := make([]*buffer[F], len(s.args))
			for i, a := range s.args {
				args[i] = fr.slots[a]
			}
			e.Op, e.Note = s.nest.blame(m.team.workers[0], args)
		}
		m.trace.found = e
		return errTraced
	}
	return nil
}

// blame returns the scalar op of a nest with finite operands that gave the first value that is not finite, and what it was given. If the body is
// finite everywhere it is the combining.
func (t *nest[F]) blame(w *worker[F], args []*buffer[F]) (op, note string) {
	if t.dtype != tensor.F32 || t.gemm != nil {
		return t.name, ""
	}
	for _, q := range t.parts {
		t.begin(w, args, q)
		for w.cursor.next(&w.strip, w) {
			t.body.run(w)
			for k, x := range w.f[t.body.root][:w.strip.n] {
				if !isFinite(float64(x)) {
					return t.descend(w, t.body.root, k)
				}
			}
		}
	}
	return t.combine.String(), ""
}

func isFinite(x float64) bool { return !math.IsInf(x, 0) && !math.IsNaN(x) }

// descend follows a value that is not finite to the node where it arose.
func (t *nest[F]) descend(w *worker[F], z, k int) (op, note string) {
	nd := &t.body.nodes[z]
	if nd.leaf != ir.NotLeaf {
		return t.name, ""
	}
	var given []string
	for i, a := range nd.args {
		if nd.op == ir.OpSelect && (i == 0 || w.b[nd.args[0]][k] != (i == 1)) {
			continue
		}
		d := t.body.nodes[a].dtype
		x := w.at(d, a, k)
		if d == tensor.F32 && !isFinite(x) && t.body.nodes[a].leaf == ir.NotLeaf {
			return t.descend(w, a, k)
		}
		given = append(given, fmt.Sprint(x))
	}
	return nd.op.String(), fmt.Sprintf("%s of %s", nd.op, strings.Join(given, " and "))
}
