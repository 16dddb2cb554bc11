package native

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// procedure is a function while it is lowered.
type procedure struct {
	exec.Func
	fn *ir.Func
}

// lowering turns a module into procedures and kernels.
type lowering struct {
	module  *ir.Module
	level   Level
	math    codegen.Math
	cells   map[*ir.Cell]int
	kernels []*kernel
	byKey   map[string]*kernel
	consts  []byte
	constAt map[*tensor.Tensor]int
	bodies  map[*ir.Instr][]*ir.Expr // of nests with several results
	pieces  map[*ir.Instr][]*piece   // of nests with results that are parts of values; nil of one that is not
	after   map[*ir.Instr]*update    // what is computed of the sums of a product that is no instruction of its own

	numbers32 map[int32]*tensor.Tensor // constants that are operands

	leftOut
}

func newLowering(m *ir.Module, level Level, math codegen.Math) *lowering {
	l := &lowering{module: m, level: level, math: math, cells: map[*ir.Cell]int{}, byKey: map[string]*kernel{}, constAt: map[*tensor.Tensor]int{}, bodies: map[*ir.Instr][]*ir.Expr{}, pieces: map[*ir.Instr][]*piece{}, after: map[*ir.Instr]*update{}, numbers32: map[int32]*tensor.Tensor{}, leftOut: leftOut{}}
	for k, c := range m.Cells {
		l.cells[c] = k
	}
	return l
}

// procedure lowers a function.
func (l *lowering) procedure(f *ir.Func) (*procedure, error) {
	p := &procedure{fn: f}
	b := &bodyLowering{lowering: l, p: p, number: map[*ir.Value]int{}, written: map[int]int{}, magnitude: map[int]int{}}
	for k, v := range f.Params {
		b.define(v, exec.Slot{Place: exec.Param, Index: k})
	}
	f, b.stores = rowStores(f)
	body := l.roundsFirst(f)
	if l.math == codegen.Fast && l.does(doMaxima) {
		body = maxima(body)
	}
	body = l.fuse(body)
	inPlace := l.updates(body)
	kept := slices.Clone(body.Results)
	for _, u := range inPlace {
		kept = append(kept, u.args...)
	}
	body, b.unpooled = l.unpool(body, kept)
	b.def = definitions(body)
	b.epilogues = l.epilogues(body, kept)
	narrow(body, b.unpooled, b.epilogues, kept)
	if err := b.body(l.arrange(body, leastSymbols(f), b.epilogues, b.unpooled, kept, l.updatesFromSums(body, inPlace))); err != nil {
		return nil, err
	}
	p.Results = b.numbers(f, f.Results)
	for c := range l.module.Cells {
		if s, ok := b.written[c]; ok {
			p.commit(c, s)
		}
	}
	p.Doubt = len(p.Steps)
	if f.Finite {
		if err := b.addChecks(inPlace); err != nil {
			return nil, err
		}
	}
	p.Gate = len(p.Steps)
	for _, u := range inPlace {
		if err := b.update(u); err != nil {
			return nil, fmt.Errorf("%s%w", u.loc.Prefix(), err)
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
	carried map[int]int       // in a scan: where the cells live that it writes

	epilogues map[*ir.Instr]*epilogue // of convolutions, and of the nests that they stand for
	unpooled  map[*ir.Value]*unpooled // what is computed as it is read
	def       map[*ir.Value]*ir.Instr // of the function's body
	magnitude map[int]int             // the slots with the greatest magnitudes of slots
	stores    map[*ir.Value]int       // cells' values after a row was stored: the dimension
}

// slot adds a slot.
func (p *procedure) slot(s exec.Slot) int {
	p.Slots = append(p.Slots, s)
	return len(p.Slots) - 1
}

func (p *procedure) move(to, from int) {
	p.Steps = append(p.Steps, exec.Step{Move: &exec.Move{To: to, From: from}})
}

func (p *procedure) launch(l exec.Launch) { p.Steps = append(p.Steps, exec.Step{Launch: &l}) }

func (b *bodyLowering) define(v *ir.Value, s exec.Slot) int {
	s.Type = v.Type
	b.number[v] = b.p.slot(s)
	return b.number[v]
}

func (b *bodyLowering) body(f *ir.Func) error {
	for _, in := range f.Body {
		if e := b.epilogues[in]; e != nil {
			if err := b.epilogue(f, e, in); err != nil {
				return fmt.Errorf("%s%w", in.Loc.Prefix(), err)
			}
			continue
		}
		if u := b.after[in]; u != nil {
			var zs []int
			for _, r := range in.Results {
				zs = append(zs, b.define(r, exec.Slot{Place: exec.Arena}))
			}
			if err := b.fromSum(u, u.bodies, zs, nestName(u.product.Nest), true); err != nil {
				return fmt.Errorf("%s%w", in.Loc.Prefix(), err)
			}
			continue
		}
		if bodies, pieces := b.bodies[in], b.pieces[in]; bodies != nil || pieces != nil {
			if bodies == nil {
				bodies = []*ir.Expr{in.Nest.Body}
			}
			var zs []int
			for _, r := range in.Results {
				z, made := b.number[r] // with another part
				if !made {
					z = b.define(r, exec.Slot{Place: exec.Arena})
				}
				zs = append(zs, z)
			}
			if err := b.single(b.p, in.Nest, bodies, pieces, b.numbers(f, in.Args), zs, nestName(in.Nest), in.Loc); err != nil {
				return fmt.Errorf("%s%w", in.Loc.Prefix(), err)
			}
			continue
		}
		if c := b.byWinograd(in); c != nil {
			z := b.define(in.Result(), exec.Slot{Place: exec.Arena})
			if err := b.convolution(f, in, c, nil, []int{z}); err != nil {
				return fmt.Errorf("%s%w", in.Loc.Prefix(), err)
			}
			continue
		}
		if err := b.instr(f, in, b.numbers(f, in.Args)); err != nil {
			return fmt.Errorf("%s%w", in.Loc.Prefix(), err)
		}
	}
	return nil
}

// numbers returns the slots of values.
func (b *bodyLowering) numbers(f *ir.Func, values []*ir.Value) []int {
	slots := make([]int, len(values))
	for k, v := range values {
		s, ok := b.number[v]
		if !ok {
			panic(fmt.Sprintf("BUG: native: %s: %s is used before it is defined", f.Name, v.Name))
		}
		slots[k] = s
	}
	return slots
}

func (b *bodyLowering) instr(f *ir.Func, in *ir.Instr, args []int) error {
	switch in.Op {
	case ir.OpNest:
		z := b.define(in.Result(), exec.Slot{Place: exec.Arena})
		return b.single(b.p, in.Nest, []*ir.Expr{in.Nest.Body}, nil, args, []int{z}, nestName(in.Nest), in.Loc)
	case ir.OpReshape:
		b.define(in.Result(), exec.Slot{Place: exec.Alias, Index: args[0]})
	case ir.OpConst:
		at, err := b.constant(in.Data)
		if err != nil {
			return err
		}
		b.define(in.Result(), exec.Slot{Place: exec.Const, Index: at})
	case ir.OpRead:
		c := b.cells[in.Cell]
		if z, ok := b.carried[c]; ok { // the next write must not change what was read
			b.p.move(b.define(in.Result(), exec.Slot{Place: exec.Arena}), z)
		} else if w, ok := b.written[c]; ok {
			b.define(in.Result(), exec.Slot{Place: exec.Alias, Index: w})
		} else if in.Cell.Half {
			return b.readHalf(f, in, c)
		} else {
			b.define(in.Result(), exec.Slot{Place: exec.Cell, Index: c})
		}
	case ir.OpWrite:
		c := b.cells[in.Cell]
		if len(in.Results) > 0 {
			z := b.define(in.Result(), exec.Slot{Place: exec.Cell, Index: c})
			b.p.Steps = append(b.p.Steps, exec.Step{Store: &exec.Store{To: z, From: args[0], At: args[1], Axis: b.stores[in.Result()]}})
		} else if z, ok := b.carried[c]; ok {
			b.p.move(z, args[0])
		} else {
			b.written[c] = args[0]
		}
	case ir.OpScan:
		return b.scan(in, args)
	default:
		return fmt.Errorf("%s in %s cannot be compiled to native code", in.Op, f.Name)
	}
	return nil
}

// readHalf reads cell c, which is stored as bf16. Nests read it as it is, unless they are computed by Winograd's algorithm; all else gets a
// copy of f32, which is kept between calls.
func (b *bodyLowering) readHalf(f *ir.Func, in *ir.Instr, c int) error {
	v := in.Result()
	stored := exec.Slot{Type: ir.Type{DType: tensor.BF16, Shape: v.Type.Shape}, Place: exec.Cell, Index: c}
	plain := !slices.Contains(f.Results, v)
	for _, user := range f.Body {
		if slices.Contains(user.Args, v) {
			plain = plain && user.Op == ir.OpNest && b.epilogues[user] == nil && b.byWinograd(user) == nil
		}
	}
	for _, e := range b.epilogues {
		plain = plain && !slices.Contains(e.args, v)
	}
	z := b.p.slot(stored)
	if plain {
		b.number[v] = z
		return nil
	}
	n := len(v.Type.Shape)
	copied := &ir.Nest{Combine: ir.Map, Out: n, Index: ir.Indices(v.Type.Shape), Body: ir.ReadOf(tensor.F32, 0, ir.Loops(0, n)...)}
	return b.single(b.p, copied, []*ir.Expr{copied.Body}, nil, []int{z}, []int{b.define(v, exec.Slot{Place: exec.Arena})}, "read", in.Loc)
}

// commit notes that cell c gets slot s. The value of another cell, which may change as well, is copied first.
func (p *procedure) commit(c, s int) {
	if p.Slots[p.Root(s)].Place == exec.Cell {
		z := p.slot(exec.Slot{Type: p.Slots[s].Type, Place: exec.Arena})
		p.move(z, s)
		s = z
	}
	p.Commits = append(p.Commits, exec.Commit{Cell: c, Slot: s})
}

// constant keeps a tensor's elements and returns where.
func (l *lowering) constant(t *tensor.Tensor) (int, error) {
	if at, ok := l.constAt[t]; ok {
		return at, nil
	}
	at := (len(l.consts) + 63) &^ 63
	l.consts = append(l.consts, make([]byte, at-len(l.consts))...)
	b, err := exec.BytesOf(t.To(exec.Working(t.DType)))
	if err != nil {
		return 0, err
	}
	l.consts = append(l.consts, b...)
	l.constAt[t] = at
	return at, nil
}

// single appends the launch of one kernel, which computes the bodies over the loops of n. If there are pieces, they tell where results are written.
func (l *lowering) single(p *procedure, n *ir.Nest, bodies []*ir.Expr, pieces []*piece, args, results []int, what string, loc ir.Loc) error {
	types := make([]ir.Type, len(args))
	for k, a := range args {
		types[k] = p.Slots[a].Type
	}
	sized := -1
	if of, ofTypes, ofArgs := l.places(p, bodies, types, args); len(ofArgs) > len(args) {
		clone := *n
		clone.Body = of[0]
		n, bodies, types, args = &clone, of, ofTypes, ofArgs
	}
	if flat := flatten(n, bodies, types); flat != nil && pieces == nil && l.does(doFlatten) {
		n, bodies, types, sized = flat.nest, flat.bodies, flat.types, results[0]
		if flat.sized >= 0 {
			sized = args[flat.sized]
		}
	}
	k, err := l.kernelOf(n, bodies, types, pieces...)
	if err != nil {
		return err
	}
	p.launch(exec.Launch{Kernel: k.number, Args: args, Results: results, Loc: loc, What: what, Sized: sized})
	return nil
}

// kernelOf returns the kernel that computes some bodies over the loops of n, which equal ones share.
func (l *lowering) kernelOf(n *ir.Nest, bodies []*ir.Expr, types []ir.Type, pieces ...*piece) (*kernel, error) {
	key := nestKey(n, bodies, types)
	for _, p := range pieces {
		key += p.key()
	}
	if k := l.byKey[key]; k != nil {
		return k, nil
	}
	for _, b := range bodies {
		if err := computable(b); err != nil {
			return nil, err
		}
	}
	t, err := l.analyse(n, bodies, types, pieces...)
	if err != nil {
		return nil, err
	}
	k := l.addKernel(key, t.data(), func(m *module, name string) { writeKernel(m, name, t) })
	if len(t.split) > 0 && len(pieces) == 0 { // partial results are whole ones
		m, err := l.mergeKernel(t.combine, t.dtype)
		if err != nil {
			return nil, err
		}
		k.Merge = m.number
	}
	return k, nil
}

// computable reports what in a body native code cannot compute.
func computable(body *ir.Expr) error {
	var err error
	body.Walk(func(e *ir.Expr) {
		if err == nil && e.Leaf == ir.NotLeaf && e.Op.Expand(e.Args) == nil && !supported(e.Op, e.Args[0].DType) {
			err = fmt.Errorf("%s of %v cannot be compiled to native code", e.Op, e.Args[0].DType)
		}
	})
	return err
}

// mergeKernel returns the kernel that combines partial results [R, N] of this type.
func (l *lowering) mergeKernel(combine ir.Combine, d tensor.DType) (*kernel, error) {
	n := &ir.Nest{
		Combine: combine, Out: 1,
		Index: []ir.Index{{Name: "n", Extent: ir.Symbol(exec.Count)}, {Name: "r", Extent: ir.Symbol(exec.Rounds)}},
		Body:  ir.ReadOf(d, 0, ir.Loop(1), ir.Loop(0)),
	}
	return l.kernelOf(n, []*ir.Expr{n.Body}, []ir.Type{{DType: d, Shape: []ir.Affine{ir.Symbol(exec.Rounds), ir.Symbol(exec.Count)}}})
}

// addChecks adds launches that find whether the loss and the cells' next values are finite.
func (b *bodyLowering) addChecks(inPlace []*update) error {
	p := b.p
	n := &ir.Nest{
		Combine: ir.Min, Index: []ir.Index{{Name: "n", Extent: ir.Symbol(exec.Count)}},
		Body: isFinite(ir.ReadOf(tensor.F32, 0, ir.Loop(0))),
	}
	k, err := b.kernelOf(n, []*ir.Expr{n.Body}, []ir.Type{{DType: tensor.F32, Shape: []ir.Affine{ir.Symbol(exec.Count)}}})
	if err != nil {
		return err
	}
	add := func(s int, what string) {
		if p.Slots[s].Type.DType != tensor.F32 {
			return
		}
		z := p.slot(exec.Slot{Type: ir.Scalar(tensor.Bool), Place: exec.Arena})
		p.launch(exec.Launch{Kernel: k.number, Args: []int{s}, Results: []int{z}, What: "check", Sized: s})
		p.Checks = append(p.Checks, exec.Check{Slot: z, What: what})
	}
	for k, name := range p.fn.ResultNames {
		if name == "loss" {
			add(p.Results[k], name)
		}
	}
	for _, c := range p.Commits {
		add(c.Slot, b.module.Cells[c.Cell].Name)
	}
	proofs := make([]*exec.Proof, len(inPlace))
	first := len(p.Steps)
	for k, u := range inPlace {
		if proofs[k], err = b.prove(u); err != nil {
			return err
		}
	}
	p.hasten(first)
	p.Doubt = len(p.Steps)
	for k, u := range inPlace {
		if err := b.checkUpdate(u, proofs[k]); err != nil {
			return err
		}
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

// nestKey returns a text that is equal for equal loops and bodies over operands of equal types.
func nestKey(n *ir.Nest, bodies []*ir.Expr, types []ir.Type) string {
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
	for _, body := range bodies {
		b.WriteString(" ;")
		writeExpr(&b, body)
	}
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
