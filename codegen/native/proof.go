package native

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// prove returns a proof that an update's values are finite, and appends the launches of what it is about; nil if bounds do not follow through its
// operations.
func (b *bodyLowering) prove(u *update) (*exec.Proof, error) {
	if !b.does(doProofs) {
		return nil, nil
	}
	pr := &prover{bodyLowering: b, update: u, facts: map[*ir.Expr]int{}, operands: map[int]int{}}
	type next struct {
		cell *ir.Cell
		body *ir.Expr
	}
	var all []next
	for k, body := range u.bodies {
		if body.DType == tensor.F32 {
			all = append(all, next{u.cells[k], body})
		}
	}
	if len(all) == 0 || slices.ContainsFunc(all, func(n next) bool { return !pr.bounded(n.body) }) || slices.ContainsFunc(u.args, pr.half) {
		return nil, nil
	}
	for _, n := range all {
		fact, err := pr.expr(n.body)
		if err != nil {
			return nil, err
		}
		pr.Cells = append(pr.Cells, exec.Bounded{Cell: b.cells[n.cell], Fact: fact})
	}
	return &pr.Proof, nil
}

// prover makes the proof of an update.
type prover struct {
	*bodyLowering
	*update
	exec.Proof
	facts    map[*ir.Expr]int
	operands map[int]int // the facts of the update's operands
}

// bounded reports whether bounds of e follow from those of what it reads.
func (u *update) bounded(e *ir.Expr) bool {
	if e.DType != tensor.F32 {
		return false
	}
	switch e.Leaf {
	case ir.LeafConst:
		return true
	case ir.LeafIndex:
		return false
	case ir.LeafRead:
		return !e.Read.Guarded && u.args[e.Read.Operand].Type.DType == tensor.F32
	}
	if !exec.Bounds(e.Op) {
		x := e.Op.Expand(e.Args)
		return x != nil && u.bounded(x)
	}
	return !slices.ContainsFunc(sides(e), func(a *ir.Expr) bool { return !u.bounded(a) })
}

// sides returns the operands that bound an op's result.
func sides(e *ir.Expr) []*ir.Expr {
	if e.Op == ir.OpSelect {
		return e.Args[1:]
	}
	return e.Args
}

func (p *prover) add(f exec.Fact) int {
	p.Facts = append(p.Facts, f)
	return len(p.Facts) - 1
}

// expr returns the fact that bounds e.
func (p *prover) expr(e *ir.Expr) (int, error) {
	if k, ok := p.facts[e]; ok {
		return k, nil
	}
	k, err := p.newFact(e)
	p.facts[e] = k
	return k, err
}

func (p *prover) newFact(e *ir.Expr) (int, error) {
	switch e.Leaf {
	case ir.LeafConst:
		return p.add(exec.Fact{Kind: exec.FactLiteral, Value: e.Value}), nil
	case ir.LeafRead:
		k := e.Read.Operand
		if f, ok := p.operands[k]; ok {
			return f, nil
		}
		f, err := p.operand(p.args[k])
		p.operands[k] = f
		return f, err
	}
	if !exec.Bounds(e.Op) {
		return p.expr(e.Op.Expand(e.Args))
	}
	f := exec.Fact{Kind: exec.FactOp, Op: e.Op}
	for _, a := range sides(e) {
		k, err := p.expr(a)
		if err != nil {
			return 0, err
		}
		f.Args = append(f.Args, k)
	}
	return p.add(f), nil
}

// operand returns the fact that bounds the elements of a value.
func (p *prover) operand(v *ir.Value) (int, error) {
	if of := p.def[v]; of != nil {
		if a, b, ok := factors(of); ok && p.known(a) && p.known(b) && !p.half(a) && !p.half(b) && fewer(of, a, b) {
			return p.products(of, a, b)
		}
	}
	return p.elements(v)
}

// elements returns the fact that bounds the elements of a value in memory.
func (p *prover) elements(v *ir.Value) (int, error) {
	s := p.numbers(p.p.fn, []*ir.Value{v})[0]
	if len(v.Type.Shape) == 0 {
		return p.add(exec.Fact{Kind: exec.FactScalar, Slot: s}), nil
	}
	if root := p.p.Slots[p.p.Root(s)]; root.Place == exec.Cell {
		return p.add(exec.Fact{Kind: exec.FactCell, Cell: root.Index}), nil
	}
	z, ok := p.magnitude[s]
	if !ok {
		z = p.p.slot(exec.Slot{Type: ir.Scalar(tensor.F32), Place: exec.Arena})
		n := &ir.Nest{
			Combine: ir.Max, Index: []ir.Index{{Name: "n", Extent: ir.Symbol(exec.Count)}},
			Body: ir.Apply(ir.OpAbs, ir.ReadOf(tensor.F32, 0, ir.Loop(0))),
		}
		k, err := p.kernelOf(n, []*ir.Expr{n.Body}, []ir.Type{{DType: tensor.F32, Shape: []ir.Affine{ir.Symbol(exec.Count)}}})
		if err != nil {
			return 0, err
		}
		p.p.launch(exec.Launch{Kernel: k.number, Args: []int{s}, Results: []int{z}, What: "magnitude", Sized: s})
		p.magnitude[s] = z
	}
	return p.add(exec.Fact{Kind: exec.FactMagnitude, Slot: z}), nil
}

// hasten moves the steps from the given one on, launches that read a slot each, to right behind the steps that compute these slots: what they read need
// not be kept for them, and is still in a cache.
func (p *procedure) hasten(first int) {
	behind := map[int]int{} // the first step after a slot is complete
	for k, st := range p.Steps[:first] {
		switch {
		case st.Launch != nil:
			for _, z := range st.Launch.Results {
				behind[p.Root(z)] = max(behind[p.Root(z)], k+1)
			}
		case st.Move != nil:
			z := p.Root(st.Move.To)
			behind[z] = max(behind[z], k+1)
		case st.Scan != nil:
			for _, z := range slices.Concat(st.Scan.State, st.Scan.Stacked) {
				behind[p.Root(z)] = max(behind[p.Root(z)], st.Scan.End)
			}
		}
	}
	at := map[int][]exec.Step{}
	for _, st := range p.Steps[first:] {
		k := behind[p.Root(st.Launch.Args[0])]
		at[k] = append(at[k], st)
	}
	moved := make([]int, first+1) // the new numbers of the steps
	var steps []exec.Step
	for k, st := range append(slices.Clone(p.Steps[:first]), exec.Step{}) {
		steps = append(steps, at[k]...)
		moved[k] = len(steps)
		if k < first {
			steps = append(steps, st)
		}
	}
	for k := range steps {
		if s := steps[k].Scan; s != nil {
			s.End = moved[s.End] - len(at[s.End])
		}
	}
	p.Steps = steps
}

// known reports whether a value is in memory.
func (p *prover) known(v *ir.Value) bool {
	_, ok := p.number[v]
	return ok
}

// half reports whether a value lies in memory as bf16, which facts are not about.
func (p *prover) half(v *ir.Value) bool {
	s, ok := p.number[v]
	return ok && p.p.Slots[p.p.Root(s)].Type.DType == tensor.BF16
}

// fewer reports whether the factors a and b of a sum have fewer elements than it.
func fewer(in *ir.Instr, a, b *ir.Value) bool {
	return 2*(weight(a.Type.Shape...)+weight(b.Type.Shape...)) < weight(in.Result().Type.Shape...)
}

// factors returns the factors of a sum of products.
func factors(in *ir.Instr) (a, b *ir.Value, ok bool) {
	if in.Op != ir.OpNest {
		return nil, nil, false
	}
	n := in.Nest
	if n.Combine != ir.Sum || n.Write != nil || n.Body.Leaf != ir.NotLeaf || n.Body.Op != ir.OpMul || n.Body.DType != tensor.F32 {
		return nil, nil, false
	}
	var of [2]*ir.Value
	for k, x := range n.Body.Args {
		if x.Leaf != ir.LeafRead || x.Read.Else != 0 {
			return nil, nil, false
		}
		of[k] = in.Args[x.Read.Operand]
	}
	return of[0], of[1], true
}

// products returns the fact that bounds a sum of products.
func (p *prover) products(in *ir.Instr, a, b *ir.Value) (int, error) {
	f := exec.Fact{Kind: exec.FactProducts}
	for _, v := range []*ir.Value{a, b} {
		k, err := p.elements(v)
		if err != nil {
			return 0, err
		}
		f.Args = append(f.Args, k)
	}
	for _, ix := range in.Nest.Index[in.Nest.Out:] {
		f.Count = append(f.Count, ix.Extent)
	}
	return p.add(f), nil
}

// definitions returns what computes the values of f.
func definitions(f *ir.Func) map[*ir.Value]*ir.Instr {
	def := map[*ir.Value]*ir.Instr{}
	for _, in := range f.Body {
		for _, r := range in.Results {
			def[r] = in
		}
	}
	return def
}
