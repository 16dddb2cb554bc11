package exec

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Check says whether p holds together: every number names something, and what it names has the type that is needed there. What depends on
// the sizes of a call is checked when they are known. What the machine code does nobody checks.
func (p *Program) Check() error {
	for k := range p.Kernels {
		if err := p.checkKernel(&p.Kernels[k]); err != nil {
			return fmt.Errorf("kernel %d: %w", k, err)
		}
	}
	if len(p.Funcs) != len(p.Module.Funcs) {
		return fmt.Errorf("there are %d signatures for %d functions", len(p.Module.Funcs), len(p.Funcs))
	}
	for _, c := range p.Module.Cells {
		if !inMemory(c.Type.DType) || c.Half && c.Type.DType != tensor.F32 {
			return fmt.Errorf("cell %s is %v", c.Name, c.Type)
		}
	}
	for k := range p.Funcs {
		c := &checker{Program: p, fn: p.Module.Funcs[k], f: &p.Funcs[k]}
		if err := c.check(); err != nil {
			return fmt.Errorf("function %s: %w", c.fn.Name, err)
		}
	}
	return nil
}

func inMemory(d tensor.DType) bool { return d == tensor.F32 || d == tensor.I32 || d == tensor.Bool }

func (p *Program) checkKernel(k *Kernel) error {
	if k.Entry < 0 || k.Entry >= len(p.Code) {
		return fmt.Errorf("its code would start at byte %d of %d", k.Entry, len(p.Code))
	}
	if len(k.Results) == 0 || k.Operands < 0 || k.Cost < 0 {
		return fmt.Errorf("it has %d results, %d operands and a cost of %d", len(k.Results), k.Operands, k.Cost)
	}
	for _, d := range k.Results {
		if !inMemory(d) && d != tensor.U8 || len(k.Identity) == 0 || len(k.Identity)%ElemSize(d) != 0 {
			return fmt.Errorf("a result of %v cannot be filled with %d bytes", d, len(k.Identity))
		}
	}
	known := func(p Poly, n int) bool {
		return !slices.ContainsFunc(p, func(t Term) bool {
			return slices.ContainsFunc(t.Sizes, func(s int) bool { return s < 0 || s >= n })
		})
	}
	for n, s := range k.Sizes {
		if s.Tile < 0 || !known(s.Of, n) {
			return fmt.Errorf("size %d depends on one that is not known before it", n)
		}
	}
	for _, q := range append([]Poly{k.Points, k.Group, k.Splits, k.Work, k.Scratch}, k.Extents...) {
		if !known(q, len(k.Sizes)) {
			return fmt.Errorf("its sizing uses more than its %d sizes", len(k.Sizes))
		}
	}
	if k.Merge < -1 || k.Merge >= len(p.Kernels) {
		return fmt.Errorf("its partial results would be merged by kernel %d of %d", k.Merge, len(p.Kernels))
	}
	if k.Merge >= 0 {
		if m := &p.Kernels[k.Merge]; len(k.Results) != 1 || !slices.Equal(m.Results, k.Results) || m.Operands != 1 {
			return fmt.Errorf("its partial results cannot be merged by kernel %d", k.Merge)
		}
	}
	return nil
}

// checker checks a function.
type checker struct {
	*Program
	fn     *ir.Func
	f      *Func
	behind bool // the gate
}

func (c *checker) check() error {
	for s := range c.f.Slots {
		if err := c.slot(s); err != nil {
			return fmt.Errorf("value %d: %w", s, err)
		}
	}
	if c.f.Gate < 0 || c.f.Gate > len(c.f.Steps) || c.f.Doubt < 0 || c.f.Doubt > c.f.Gate {
		return fmt.Errorf("the gate would lie before step %d, and checks before step %d", c.f.Gate, c.f.Doubt)
	}
	if err := c.steps(0, c.f.Doubt); err != nil {
		return err
	}
	if err := c.steps(c.f.Doubt, c.f.Gate); err != nil {
		return err
	}
	c.behind = true
	if err := c.steps(c.f.Gate, len(c.f.Steps)); err != nil {
		return err
	}
	if len(c.f.Results) != len(c.fn.Results) || len(c.fn.ResultNames) != len(c.fn.Results) {
		return fmt.Errorf("%d results are computed, %d are named, and %d have a type", len(c.f.Results), len(c.fn.ResultNames), len(c.fn.Results))
	}
	for k, r := range c.f.Results {
		if !c.has(r) || !c.f.Slots[r].Type.Equal(c.fn.Results[k].Type) {
			return fmt.Errorf("result %d is not of its type", k)
		}
	}
	for _, m := range c.f.Commits {
		if m.Cell < 0 || m.Cell >= len(c.Module.Cells) || !c.has(m.Slot) || c.f.Slots[c.f.Root(m.Slot)].Place == Cell ||
			c.f.Slots[m.Slot].Type.DType != c.Module.Cells[m.Cell].Type.DType {
			return fmt.Errorf("cell %d cannot get value %d", m.Cell, m.Slot)
		}
	}
	for _, k := range c.f.Checks {
		if !c.has(k.Slot) || !c.f.Slots[k.Slot].Type.Equal(ir.Scalar(tensor.Bool)) {
			return fmt.Errorf("the check of %s is no truth value", k.What)
		}
		if k.Proof != nil {
			if err := k.Proof.check(c); err != nil {
				return fmt.Errorf("the check of %s: %w", k.What, err)
			}
			if k.First < c.f.Doubt || k.First > k.End || k.End > c.f.Gate {
				return fmt.Errorf("the check of %s would be steps %d to %d", k.What, k.First, k.End)
			}
		}
	}
	return nil
}

func (c *checker) has(s int) bool { return s >= 0 && s < len(c.f.Slots) }

func (c *checker) slot(s int) error {
	sl := &c.f.Slots[s]
	if !inMemory(sl.Type.DType) && (sl.Type.DType != tensor.BF16 || sl.Place != Cell) && (sl.Type.DType != tensor.U8 || sl.Place != Arena) {
		return fmt.Errorf("it is %v", sl.Type)
	}
	limit := 0
	typ := sl.Type
	switch sl.Place {
	case Arena:
		return nil
	case Param:
		if limit = len(c.fn.Params); sl.Index >= 0 && sl.Index < limit {
			typ = c.fn.Params[sl.Index].Type
		}
	case Const:
		limit = len(c.Consts) + 1
	case Cell:
		if limit = len(c.Module.Cells); sl.Index >= 0 && sl.Index < limit {
			typ.DType = Stored(c.Module.Cells[sl.Index])
		}
	case Alias:
		if limit = s; sl.Index >= 0 && sl.Index < limit {
			typ.DType = c.f.Slots[sl.Index].Type.DType
		}
	}
	if sl.Index < 0 || sl.Index >= limit || !typ.Equal(sl.Type) {
		return fmt.Errorf("it cannot lie in number %d of kind %d", sl.Index, sl.Place)
	}
	return nil
}

// written reports whether a step may set slot s.
func (c *checker) written(s int) bool {
	if !c.has(s) {
		return false
	}
	place := c.f.Slots[c.f.Root(s)].Place
	return place == Arena || place == Cell && c.behind
}

// steps checks those from one number up to another.
func (c *checker) steps(from, to int) error {
	for k := from; k < to; k++ {
		st := &c.f.Steps[k]
		var err error
		switch {
		case st.Launch != nil:
			err = c.launch(st.Launch)
		case st.Move != nil:
			if !c.has(st.Move.From) || !c.written(st.Move.To) {
				err = fmt.Errorf("value %d cannot be moved to %d", st.Move.From, st.Move.To)
			}
		case st.Store != nil:
			err = c.store(st.Store)
		case st.Scan != nil:
			if err = c.scan(k, to, st.Scan); err == nil {
				if err := c.steps(k+1, st.Scan.End); err != nil {
					return err
				}
				k = st.Scan.End - 1
			}
		default:
			err = fmt.Errorf("it does nothing")
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", k, err)
		}
	}
	return nil
}

func (c *checker) launch(l *Launch) error {
	if l.Kernel < 0 || l.Kernel >= len(c.Kernels) {
		return fmt.Errorf("there is no kernel %d", l.Kernel)
	}
	k := &c.Kernels[l.Kernel]
	if len(l.Args) != k.Operands || len(l.Results) != len(k.Results) || l.Sized < -1 || l.Sized >= len(c.f.Slots) {
		return fmt.Errorf("kernel %d has %d operands and %d results, not %d and %d", l.Kernel, k.Operands, len(k.Results), len(l.Args), len(l.Results))
	}
	for _, a := range l.Args {
		if !c.has(a) {
			return fmt.Errorf("there is no value %d", a)
		}
	}
	for n, z := range l.Results {
		if !c.written(z) || c.f.Slots[z].Type.DType != k.Results[n] {
			return fmt.Errorf("kernel %d cannot make value %d", l.Kernel, z)
		}
	}
	return nil
}

func (c *checker) store(s *Store) error {
	if !c.has(s.To) || !c.has(s.From) || !c.has(s.At) || c.behind {
		return fmt.Errorf("value %d cannot be stored in %d", s.From, s.To)
	}
	to := c.f.Slots[s.To]
	if to.Place != Cell || to.Type.DType == tensor.BF16 || s.Axis < 0 || s.Axis >= len(to.Type.Shape) || !c.f.Slots[s.At].Type.Equal(ir.Scalar(tensor.I32)) {
		return fmt.Errorf("value %d has no row %d", s.To, s.At)
	}
	row := ir.Type{DType: to.Type.DType, Shape: slices.Delete(slices.Clone(to.Type.Shape), s.Axis, s.Axis+1)}
	if !c.f.Slots[s.From].Type.Equal(row) {
		return fmt.Errorf("value %d is no row of value %d", s.From, s.To)
	}
	return nil
}

func (c *checker) scan(at, to int, s *Scan) error {
	if s.End <= at+1 || s.End > to {
		return fmt.Errorf("its body would end at step %d", s.End)
	}
	if len(s.State) != len(s.Next) || len(s.State) != len(s.Staged) || len(s.Whole) != len(s.Slices) || len(s.Yields) != len(s.Stacked) {
		return fmt.Errorf("its lists are of different lengths")
	}
	typ := func(k int) ir.Type { return c.f.Slots[k].Type }
	if !c.written(s.Counter) || !typ(s.Counter).Equal(ir.Scalar(tensor.I32)) {
		return fmt.Errorf("it cannot count in value %d", s.Counter)
	}
	for k, z := range s.State {
		staged := s.Staged[k]
		if !c.written(z) || !c.has(s.Next[k]) || !typ(z).Equal(typ(s.Next[k])) || staged >= 0 && (!c.written(staged) || !typ(staged).Equal(typ(z))) {
			return fmt.Errorf("it cannot carry value %d", z)
		}
	}
	// part reports whether slice is an element along the axis of whole.
	part := func(whole, slice int) bool {
		w := typ(whole)
		if s.Axis < 0 || s.Axis >= len(w.Shape) {
			return false
		}
		w.Shape = slices.Delete(slices.Clone(w.Shape), s.Axis, s.Axis+1)
		return w.Equal(typ(slice))
	}
	for k, w := range s.Whole {
		if !c.has(w) || !c.written(s.Slices[k]) || !part(w, s.Slices[k]) {
			return fmt.Errorf("it cannot slice value %d", w)
		}
	}
	for k, w := range s.Stacked {
		if !c.written(w) || !c.has(s.Yields[k]) || !part(w, s.Yields[k]) {
			return fmt.Errorf("it cannot stack value %d", w)
		}
	}
	if s.Lengths >= 0 && (!c.has(s.Lengths) || typ(s.Lengths).DType != tensor.I32) {
		return fmt.Errorf("value %d has no lengths", s.Lengths)
	}
	return nil
}
