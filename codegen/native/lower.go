package native

import (
	"fmt"
	"math"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// kernel is a piece of code that some launches share.
type kernel struct {
	key  string
	name string
	nest *loopNest
}

// function's values are numbered. place says where a value lives while a call runs.
type place uint8

const (
	inArena  place = iota
	inParam        // in a tensor of the caller
	inConst        // in the program's constants
	inCell         // in a cell, which the call does not change
	inShadow       // where a cell's next value is made
	inAlias        // in another value
)

// slot is a value of a procedure.
type slot struct {
	typ   ir.Type
	place place
	index int // of the parameter, the offset of the constant, the number of the cell, the slot that holds the elements
}

// step is what a procedure does next: one of its members is set.
type step struct {
	launch *launch
	move   *move
	scan   *scan // the steps up to scan.end are its body
}

// move copies a value.
type move struct{ to, from int }

// launch is one use of a kernel.
type launch struct {
	kernel *kernel
	args   []int
	result int
	loc    ir.Loc
	what   string // for errors
	sized  int    // ≥ 0: the kernel is told the number of that slot's elements as the symbol N
}

// commit gives a cell its next value.
type commit struct {
	cell int
	slot int
	copy bool // the value lives elsewhere and is copied to the shadow first
}

// check is the result of a launch that tells whether something is finite.
type check struct {
	slot int
	what string
}

// procedure is a lowered function.
type procedure struct {
	fn      *ir.Func
	slots   []slot
	steps   []step
	results []int
	commits []commit
	checks  []check
}

// lowering turns a module into procedures and kernels.
type lowering struct {
	module  *ir.Module
	level   Level
	cells   map[*ir.Cell]int
	kernels []*kernel
	byKey   map[string]*kernel
	consts  []byte
	constAt map[*tensor.Tensor]int
}

func newLowering(m *ir.Module, level Level) *lowering {
	l := &lowering{module: m, level: level, cells: map[*ir.Cell]int{}, byKey: map[string]*kernel{}, constAt: map[*tensor.Tensor]int{}}
	for k, c := range m.Cells {
		l.cells[c] = k
	}
	return l
}

// procedure lowers a function.
func (l *lowering) procedure(f *ir.Func) (*procedure, error) {
	p := &procedure{fn: f}
	b := &bodyLowering{lowering: l, p: p, number: map[*ir.Value]int{}, written: map[int]int{}}
	for k, v := range f.Params {
		b.define(v, slot{place: inParam, index: k})
	}
	if err := b.body(f); err != nil {
		return nil, err
	}
	for _, r := range f.Results {
		p.results = append(p.results, b.number[r])
	}
	for c := range l.module.Cells {
		if s, ok := b.written[c]; ok {
			p.commit(c, s)
		}
	}
	if f.Finite {
		if err := l.addChecks(p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// bodyLowering lowers the instructions of a function, or of a scan's body.
type bodyLowering struct {
	*lowering
	p       *procedure
	number  map[*ir.Value]int // slots
	written map[int]int       // the slot with a cell's newest value
	scans   int               // how many scans the body is in
}

// slot adds a slot.
func (p *procedure) slot(s slot) int {
	p.slots = append(p.slots, s)
	return len(p.slots) - 1
}

func (b *bodyLowering) define(v *ir.Value, s slot) int {
	s.typ = v.Type
	b.number[v] = b.p.slot(s)
	return b.number[v]
}

func (b *bodyLowering) body(f *ir.Func) error {
	for _, in := range fuse(f).Body {
		args := make([]int, len(in.Args))
		for k, a := range in.Args {
			n, ok := b.number[a]
			if !ok {
				panic(fmt.Sprintf("BUG: native: %s: an operand of %s is not defined before it", f.Name, in.Op))
			}
			args[k] = n
		}
		if err := b.instr(f, in, args); err != nil {
			return fmt.Errorf("%s%w", position(in.Loc), err)
		}
	}
	return nil
}

func (b *bodyLowering) instr(f *ir.Func, in *ir.Instr, args []int) error {
	switch in.Op {
	case ir.OpNest:
		z := b.define(in.Result(), slot{place: inArena})
		return b.nest(b.p, in.Nest, args, z, in.Loc)
	case ir.OpReshape:
		b.define(in.Result(), slot{place: inAlias, index: args[0]})
	case ir.OpConst:
		at, err := b.constant(in.Data)
		if err != nil {
			return err
		}
		b.define(in.Result(), slot{place: inConst, index: at})
	case ir.OpRead:
		c := b.cells[in.Cell]
		if w, ok := b.written[c]; ok {
			b.define(in.Result(), slot{place: inAlias, index: w})
		} else {
			b.define(in.Result(), slot{place: inCell, index: c})
		}
	case ir.OpWrite:
		if b.scans > 0 {
			return fmt.Errorf("a write inside a scan, in %s, cannot be compiled to native code", f.Name)
		}
		b.written[b.cells[in.Cell]] = args[0]
	case ir.OpScan:
		return b.scan(in, args)
	default:
		return fmt.Errorf("%s in %s cannot be compiled to native code", in.Op, f.Name)
	}
	return nil
}

// commit notes that cell c gets slot s. A value that a launch makes for it alone is made where the cell's next value belongs.
func (p *procedure) commit(c, s int) {
	root := p.root(s)
	if p.slots[root].place == inArena {
		p.slots[root].place, p.slots[root].index = inShadow, c
		p.commits = append(p.commits, commit{c, s, false})
		return
	}
	p.commits = append(p.commits, commit{c, s, true})
}

// root returns the slot that holds the elements of slot s.
func (p *procedure) root(s int) int {
	for p.slots[s].place == inAlias {
		s = p.slots[s].index
	}
	return s
}

// constant keeps a tensor's elements and returns where.
func (l *lowering) constant(t *tensor.Tensor) (int, error) {
	if at, ok := l.constAt[t]; ok {
		return at, nil
	}
	at := (len(l.consts) + 63) &^ 63
	l.consts = append(l.consts, make([]byte, at-len(l.consts))...)
	b, err := bytesOf(t.To(l.working(t.DType)))
	if err != nil {
		return 0, err
	}
	l.consts = append(l.consts, b...)
	l.constAt[t] = at
	return at, nil
}

func (l *lowering) working(d tensor.DType) tensor.DType {
	if d == tensor.F64 {
		return tensor.F32
	}
	return d
}

// nest appends the launches that compute a nest.
func (l *lowering) nest(p *procedure, n *ir.Nest, args []int, result int, loc ir.Loc) error {
	name := nestName(n)
	types := make([]ir.Type, len(args))
	for k, a := range args {
		types[k] = p.slots[a].typ
	}
	for _, part := range prepare(n, types) {
		nest, of := part.nest, part.types(types)
		flat, flatTypes, elementwise := flatten(nest, of)
		if elementwise {
			nest, of = flat, flatTypes
		}
		k, err := l.kernelOf(nest, of)
		if err != nil {
			return err
		}
		z := result
		if part.temporary {
			z = len(p.slots)
			p.slots = append(p.slots, slot{typ: ir.Type{DType: part.nest.ResultDType(), Shape: part.nest.ResultShape()}, place: inArena})
		}
		from := make([]int, len(part.args))
		for i, a := range part.args {
			from[i] = args[a]
		}
		sized := -1
		if elementwise {
			sized = z
		}
		p.steps = append(p.steps, step{launch: &launch{k, from, z, loc, name, sized}})
		if part.temporary {
			args, types = append(args[:len(args):len(args)], z), append(types[:len(types):len(types)], p.slots[z].typ)
		}
	}
	return nil
}

// kernelOf returns the kernel of a nest, which equal nests share.
func (l *lowering) kernelOf(n *ir.Nest, types []ir.Type) (*kernel, error) {
	key := nestKey(n, types)
	if k := l.byKey[key]; k != nil {
		return k, nil
	}
	if err := computable(n); err != nil {
		return nil, err
	}
	t, err := analyse(n, types, l.level)
	if err != nil {
		return nil, err
	}
	k := &kernel{key: key, nest: t, name: fmt.Sprintf("k%d", len(l.kernels))}
	l.byKey[key] = k
	l.kernels = append(l.kernels, k)
	if len(t.split) > 0 {
		if _, err := l.mergeKernel(t); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// computable reports what in n native code cannot compute.
func computable(n *ir.Nest) error {
	var err error
	n.Body.Walk(func(e *ir.Expr) {
		if err == nil && e.Leaf == ir.NotLeaf && e.Op.Expand(e.Args) == nil && !supported(e.Op, e.Args[0].DType) {
			err = fmt.Errorf("%s of %v cannot be compiled to native code", e.Op, e.Args[0].DType)
		}
	})
	return err
}

// The symbols of kernels that work on any number of elements.
const (
	countSymbol = "N"
	roundSymbol = "R"
)

// mergeKernel returns the kernel that combines partial results f32[R, N] of a nest.
func (l *lowering) mergeKernel(t *loopNest) (*kernel, error) {
	n := &ir.Nest{
		Combine: t.combine, Out: 1,
		Index: []ir.Index{{Name: "n", Extent: ir.Symbol(countSymbol)}, {Name: "r", Extent: ir.Symbol(roundSymbol)}},
		Body:  ir.ReadOf(t.dtype, 0, ir.Loop(1), ir.Loop(0)),
	}
	return l.kernelOf(n, []ir.Type{{DType: t.dtype, Shape: []ir.Affine{ir.Symbol(roundSymbol), ir.Symbol(countSymbol)}}})
}

// addChecks adds launches that find whether the loss and the cells' next values are finite.
func (l *lowering) addChecks(p *procedure) error {
	n := &ir.Nest{
		Combine: ir.Min, Index: []ir.Index{{Name: "n", Extent: ir.Symbol(countSymbol)}},
		Body: ir.Apply(ir.OpLessEqual, ir.Apply(ir.OpAbs, ir.ReadOf(tensor.F32, 0, ir.Loop(0))), ir.F32(math.MaxFloat32)),
	}
	k, err := l.kernelOf(n, []ir.Type{{DType: tensor.F32, Shape: []ir.Affine{ir.Symbol(countSymbol)}}})
	if err != nil {
		return err
	}
	add := func(s int, what string) {
		if p.slots[s].typ.DType != tensor.F32 {
			return
		}
		z := len(p.slots)
		p.slots = append(p.slots, slot{typ: ir.Scalar(tensor.Bool), place: inArena})
		p.steps = append(p.steps, step{launch: &launch{k, []int{s}, z, ir.Loc{}, "check", s}})
		p.checks = append(p.checks, check{z, what})
	}
	for k, name := range p.fn.ResultNames {
		if name == "loss" {
			add(p.results[k], name)
		}
	}
	for _, c := range p.commits {
		add(c.slot, l.module.Cells[c.cell].Name)
	}
	return nil
}

// nestName names a nest in errors as the interpreter does.
func nestName(n *ir.Nest) string {
	switch {
	case n.Combine != ir.Map:
		return n.Combine.String()
	case n.Body.Leaf == ir.NotLeaf:
		return n.Body.Op.String()
	case n.Body.Leaf == ir.LeafRead:
		return "read"
	}
	return "nest"
}

// position formats where an instruction comes from as the start of a message.
func position(l ir.Loc) string {
	s := ""
	if l.File != "" {
		s = fmt.Sprintf("%s:%d:%d: ", l.File, l.Line, l.Col)
	}
	if l.Scope != "" {
		s += "in " + l.Scope + ": "
	}
	return s
}

// nestKey returns a text that is equal for equal nests over operands of equal types.
func nestKey(n *ir.Nest, types []ir.Type) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v out %d [", n.Combine, n.Out)
	for _, ix := range n.Index {
		fmt.Fprintf(&b, " %v", ix.Extent)
	}
	fmt.Fprintf(&b, " ] of %v", types)
	if n.Write != nil {
		b.WriteString(" write")
		for k, w := range n.Write {
			writeAffine(&b, w)
			fmt.Fprintf(&b, " < %v", n.Shape[k])
		}
	}
	for _, g := range n.Guards {
		b.WriteString(" guard")
		writeAffine(&b, g.E)
		writeAffine(&b, g.Limit)
	}
	writeExpr(&b, n.Body)
	return b.String()
}

func writeExpr(b *strings.Builder, e *ir.Expr) {
	switch e.Leaf {
	case ir.LeafConst:
		fmt.Fprintf(b, " %v:%x", e.DType, math.Float64bits(e.Value))
	case ir.LeafIndex:
		writeAffine(b, *e.Affine)
	case ir.LeafRead:
		writeRead(b, e.Read)
	default:
		fmt.Fprintf(b, " (%s", e.Op)
		for _, a := range e.Args {
			writeExpr(b, a)
		}
		b.WriteString(")")
	}
}

func writeRead(b *strings.Builder, r *ir.Read) {
	fmt.Fprintf(b, " %%%d", r.Operand)
	if r.Guarded {
		fmt.Fprintf(b, "?%x", math.Float64bits(r.Else))
	}
	b.WriteString("[")
	for _, ix := range r.Index {
		writeAffine(b, ix)
	}
	b.WriteString("]")
}

// writeAffine writes an index expression whole; its String leaves out what data indices read.
func writeAffine(b *strings.Builder, a ir.Affine) {
	fmt.Fprintf(b, " {%d", a.Const)
	for _, t := range a.Terms {
		fmt.Fprintf(b, " %d", t.Coef)
		switch t.Atom.Kind {
		case ir.AtomIndex:
			fmt.Fprintf(b, "$%d", t.Atom.Index)
		case ir.AtomSymbol:
			b.WriteString(t.Atom.Symbol)
		case ir.AtomQuotient:
			writeAffine(b, *t.Atom.Num)
			fmt.Fprintf(b, "/%d", t.Atom.Den)
		case ir.AtomLoad:
			writeRead(b, t.Atom.Load)
		}
	}
	b.WriteString("}")
}
