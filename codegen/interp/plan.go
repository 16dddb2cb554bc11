package interp

import (
	"fmt"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// plan is a function compiled for one binding of its symbols.
type plan[F float] struct {
	fn      *ir.Func
	types   []slotType // of the slots, one for each value; the parameters' come first
	steps   []step[F]
	results []int
}

type slotType struct {
	dtype tensor.DType
	shape []int
}

// step is an instruction.
type step[F float] struct {
	in      *ir.Instr
	args    []int
	results []int
	release []int // slots that no later step and no result needs

	nest *nest[F]
	data *buffer[F] // OpConst
	body *plan[F]   // OpCall, OpScan
	trip int        // OpScan
}

// compilePlan compiles f for the given symbols.
func compilePlan[F float](f *ir.Func, bind map[string]int) (*plan[F], error) {
	p := &plan[F]{fn: f}
	slots := map[*ir.Value]int{}
	define := func(v *ir.Value) (int, error) {
		shape, err := evalShape[F](v.Type.Shape, bind)
		if err != nil {
			return 0, err
		}
		slots[v] = len(p.types)
		p.types = append(p.types, slotType{v.Type.DType, shape})
		return slots[v], nil
	}
	for _, v := range f.Params {
		if _, err := define(v); err != nil {
			return nil, err
		}
	}
	for _, in := range f.Body {
		s := step[F]{in: in}
		for _, a := range in.Args {
			k, ok := slots[a]
			if !ok {
				panic(fmt.Sprintf("BUG: interp: %s: an operand of %s is not defined before it", f.Name, in.Op))
			}
			s.args = append(s.args, k)
		}
		for _, r := range in.Results {
			k, err := define(r)
			if err != nil {
				return nil, fmt.Errorf("%s%w", in.Loc.Prefix(), err)
			}
			s.results = append(s.results, k)
		}
		if err := p.compileStep(&s, bind); err != nil {
			return nil, fmt.Errorf("%s%w", in.Loc.Prefix(), err)
		}
		p.steps = append(p.steps, s)
	}
	for _, r := range f.Results {
		p.results = append(p.results, slots[r])
	}
	p.findReleases()
	return p, nil
}

func (p *plan[F]) compileStep(s *step[F], bind map[string]int) (err error) {
	in := s.in
	switch in.Op {
	case ir.OpNest:
		types := make([]tensor.DType, len(s.args))
		shapes := make([][]int, len(s.args))
		for i, a := range s.args {
			types[i], shapes[i] = p.types[a].dtype, p.types[a].shape
		}
		s.nest, err = compileNest[F](bindNest(in.Nest, bind), in.Loc, types, shapes)
	case ir.OpConst:
		s.data = wrap[F](in.Data)
	case ir.OpCall:
		s.body, err = compilePlan[F](in.Call, p.bindBody(in.Call, s.args, bind, nil))
	case ir.OpScan:
		s.trip = in.Scan.Trip.EvalDim(func(n string) int { return bind[n] })
		s.body, err = compilePlan[F](in.Scan.Body, p.bindBody(in.Scan.Body, s.args, bind, in.Scan))
	}
	return err
}

// bindNest replaces the symbols in n by their sizes.
func bindNest(n *ir.Nest, bind map[string]int) *ir.Nest {
	sizes := func(a ir.Atom) (ir.Affine, bool) {
		if a.Kind != ir.AtomSymbol {
			return ir.Affine{}, false
		}
		return ir.Int(bind[a.Symbol]), true
	}
	b := n.Rewrite(sizes)
	b.Index = make([]ir.Index, len(n.Index))
	for i, ix := range n.Index {
		b.Index[i] = ir.Index{Name: ix.Name, Extent: ix.Extent.Rewrite(sizes)}
	}
	b.Shape = nil
	for _, d := range n.Shape {
		b.Shape = append(b.Shape, d.Rewrite(sizes))
	}
	return b
}

// bindBody returns the sizes of the symbols in a called function or a scan's body: those of the caller, except where a parameter says
// otherwise.
func (p *plan[F]) bindBody(f *ir.Func, args []int, bind map[string]int, scan *ir.Scan) map[string]int {
	inner := map[string]int{}
	for s, n := range bind {
		inner[s] = n
	}
	for i, v := range f.Params {
		shape := v.Type.Shape
		k := i
		if scan != nil {
			if i == 0 {
				continue // the counter
			}
			k = i - 1
		}
		if k >= len(args) {
			break
		}
		actual := p.types[args[k]].shape
		if scan != nil && k >= scan.Carried && k < scan.Carried+scan.Slices {
			actual = without(actual, scan.Axis)
		}
		for d, dim := range shape {
			if s, ok := dim.IsSymbol(); ok {
				inner[s] = actual[d]
			}
		}
	}
	return inner
}

func without(shape []int, axis int) []int {
	return append(append([]int{}, shape[:axis]...), shape[axis+1:]...)
}

// findReleases finds the last use of every slot.
func (p *plan[F]) findReleases() {
	needed := make([]bool, len(p.types))
	for _, r := range p.results {
		needed[r] = true
	}
	for k := len(p.steps) - 1; k >= 0; k-- {
		s := &p.steps[k]
		for _, list := range [][]int{s.results, s.args} { // a result that nobody reads is released at once
			for _, v := range list {
				if !needed[v] {
					needed[v] = true
					s.release = append(s.release, v)
				}
			}
		}
	}
}

// frame is the values of a plan while it runs.
type frame[F float] struct {
	slots []*buffer[F]
	bad   []bool // tracing: the value is not finite
}

// run executes a plan. It takes over the caller's hold on args; the caller gets one on each result.
func (m *machine[F]) run(p *plan[F], args []*buffer[F]) (results []*buffer[F], err error) {
	fr := &frame[F]{slots: make([]*buffer[F], len(p.types))}
	copy(fr.slots, args)
	defer func() {
		for _, b := range fr.slots {
			if b != nil {
				m.mem.release(b)
			}
		}
	}()
	if m.trace != nil {
		fr.bad = make([]bool, len(p.types))
		for k, a := range args {
			fr.bad[k] = !m.finite(a)
		}
	}
	for k := range p.steps {
		s := &p.steps[k]
		if err := m.step(p, s, fr); err != nil {
			return nil, err
		}
		if m.trace != nil {
			if err := m.inspect(p, s, fr); err != nil {
				return nil, err
			}
		}
		for _, v := range s.release {
			m.mem.release(fr.slots[v])
			fr.slots[v] = nil
		}
	}
	for _, r := range p.results {
		b := fr.slots[r]
		b.refs++
		results = append(results, b)
	}
	return results, nil
}

func (m *machine[F]) step(p *plan[F], s *step[F], fr *frame[F]) error {
	args := make([]*buffer[F], len(s.args))
	for i, a := range s.args {
		args[i] = fr.slots[a]
	}
	hold := func() []*buffer[F] {
		for _, a := range args {
			a.refs++
		}
		return args
	}
	switch s.in.Op {
	case ir.OpNest:
		z := s.results[0]
		out := m.inplace(s, fr)
		if out == nil {
			out = m.mem.alloc(p.types[z].dtype, product(p.types[z].shape))
		}
		fr.slots[z] = out
		return s.nest.run(m.team, args, out)
	case ir.OpReshape:
		hold()
		fr.slots[s.results[0]] = args[0]
	case ir.OpConst:
		s.data.refs++
		fr.slots[s.results[0]] = s.data
	case ir.OpRead:
		v, err := m.read(s.in.Cell, p.types[s.results[0]])
		if err != nil {
			return fmt.Errorf("%s%w", s.in.Loc.Prefix(), err)
		}
		v.refs++
		fr.slots[s.results[0]] = v.buffer
	case ir.OpWrite:
		b := args[0]
		if b.foreign {
			b = m.mem.clone(b)
		} else {
			b.refs++
		}
		if old := m.staged[s.in.Cell]; old != nil {
			m.mem.release(old.buffer)
		}
		m.staged[s.in.Cell] = &value[F]{b, p.types[s.args[0]].shape}
	case ir.OpCall:
		results, err := m.run(s.body, hold())
		if err != nil {
			return err
		}
		for i, r := range s.results {
			fr.slots[r] = results[i]
		}
	case ir.OpScan:
		return m.scan(p, s, fr, args)
	}
	return nil
}

// inplace returns an operand's buffer for the result of an elementwise nest if nothing else needs it, with one more hold.
func (m *machine[F]) inplace(s *step[F], fr *frame[F]) *buffer[F] {
	if m.trace != nil || s.nest.inplace == nil {
		return nil // tracing looks at the operands afterwards
	}
	for k, v := range s.args {
		b := fr.slots[v]
		if b.refs != 1 || b.foreign || b.len() != s.nest.length {
			continue
		}
		dies := false
		for _, r := range s.release {
			dies = dies || r == v
		}
		for j, u := range s.args {
			dies = dies && (u != v || s.nest.inplace[j])
		}
		if dies && s.nest.inplace[k] {
			b.refs++
			return b
		}
	}
	return nil
}

// read returns a cell's value as the call in progress sees it.
func (m *machine[F]) read(c *ir.Cell, t slotType) (*value[F], error) {
	v := m.staged[c]
	if v == nil {
		v = m.cells[c]
	}
	if v == nil {
		v = m.zeros(t.dtype, t.shape)
		m.cells[c] = v
	}
	for i, d := range t.shape {
		if v.shape[i] != d {
			return nil, fmt.Errorf("cell %s holds %v, where the call needs %v", c.Name, v.shape, t.shape)
		}
	}
	return v, nil
}
