package ir

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// InvalidError is one thing that is wrong with a module.
type InvalidError struct {
	Func    string // the function; "" for what is outside functions
	Value   string // the first result of the instruction, as the printer names it, else the instruction's word; may be empty
	Loc     Loc    // of the instruction
	Message string
}

// Error says where, then what.
func (e *InvalidError) Error() string {
	var b strings.Builder
	if e.Loc.File != "" {
		fmt.Fprintf(&b, "%s:%d:%d: ", e.Loc.File, e.Loc.Line, e.Loc.Col)
	}
	if e.Func != "" {
		fmt.Fprintf(&b, "%s: ", globalName(e.Func))
	}
	if e.Value != "" {
		fmt.Fprintf(&b, "%s: ", e.Value)
	}
	b.WriteString(e.Message)
	return b.String()
}

// Verify checks everything that the types of Go do not: that values are defined before they are used, that types follow from the
// instructions, that reads and writes stay inside their tensors, that symbols are bound. Passes may rely on all of it.
//
// Errors: an *InvalidError about the first thing that is wrong.
func Verify(m *Module) error {
	v := &verifier{module: m, symbols: map[string]bool{}, cells: map[*Cell]bool{}}
	names := map[string]bool{}
	for _, c := range m.Cells {
		if names[c.Name] {
			return v.errorf("a second cell %s", globalName(c.Name))
		}
		names[c.Name], v.cells[c] = true, true
		bindDims(v.symbols, c.Type)
	}
	for _, c := range m.Cells {
		if err := v.typ(c.Type); err != nil {
			return v.errorf("cell %s: %v", globalName(c.Name), err)
		}
		switch c.Kind {
		case Param, State, Slot, Stream, Metric, Part:
		default:
			return v.errorf("cell %s: %q is no kind of cell", globalName(c.Name), c.Kind)
		}
		if c.Half && c.Type.DType != tensor.F32 {
			return v.errorf("cell %s: %s cannot be stored as bf16", globalName(c.Name), c.Type)
		}
	}
	clear(names)
	for _, f := range m.Funcs {
		if names[f.Name] {
			return v.errorf("a second function %s", globalName(f.Name))
		}
		if err := v.stages(f, names); err != nil {
			return err
		}
		names[f.Name] = true
		if err := v.function(f); err != nil {
			return err
		}
	}
	return v.recursion()
}

// verifier knows the module and, while it checks a function, what is in scope there.
type verifier struct {
	module  *Module
	symbols map[string]bool
	cells   map[*Cell]bool

	f       *Func
	name    string // of the outermost function around f
	in      *Instr
	names   map[*Value]string
	defined map[*Value]bool
}

func (v *verifier) errorf(format string, args ...any) error {
	e := &InvalidError{Func: v.name, Message: fmt.Sprintf(format, args...)}
	if v.in != nil {
		e.Loc, e.Value = v.in.Loc, v.in.Op.String()
		if len(v.in.Results) > 0 {
			e.Value = v.value(v.in.Results[0])
		}
	}
	return e
}

func (v *verifier) value(x *Value) string {
	if name, ok := v.names[x]; ok {
		return "%" + name
	}
	if x != nil && x.Name != "" {
		return "%" + cleanName(x.Name)
	}
	return "a value"
}

// bindDims adds the symbols that stand alone as a dimension of t.
func bindDims(symbols map[string]bool, t Type) {
	for _, d := range t.Shape {
		if len(d.Terms) == 1 && d.Const == 0 && d.Terms[0].Coef == 1 && d.Terms[0].Atom.Kind == AtomSymbol {
			symbols[d.Terms[0].Atom.Symbol] = true
		}
	}
}

// function checks f, or the body of a scan, which also sees the symbols of the function around it.
func (v *verifier) function(f *Func) error {
	inner := &verifier{
		module: v.module, symbols: map[string]bool{}, cells: v.cells, f: f, name: v.name,
		names: valueNames(f), defined: map[*Value]bool{},
	}
	if v.f == nil {
		inner.name = f.Name
	}
	for s := range v.symbols {
		inner.symbols[s] = true
	}
	for _, p := range f.Params {
		bindDims(inner.symbols, p.Type)
	}
	for _, p := range f.Params {
		if err := inner.define(p, nil); err != nil {
			return err
		}
	}
	for _, in := range f.Body {
		inner.in = in
		for i, a := range in.Args {
			if !inner.defined[a] {
				return inner.errorf("operand %d (%s) is not defined before this instruction", i+1, inner.value(a))
			}
		}
		for _, r := range in.Results {
			if err := inner.define(r, in); err != nil {
				return err
			}
		}
		if err := inner.instruction(in); err != nil {
			return err
		}
	}
	inner.in = nil
	if len(f.ResultNames) != len(f.Results) {
		return inner.errorf("%d names for %d results", len(f.ResultNames), len(f.Results))
	}
	for i, r := range f.Results {
		if !inner.defined[r] {
			return inner.errorf("result %d (%s) is not defined", i+1, inner.value(r))
		}
		if name := f.ResultNames[i]; name != "" && slices.Contains(f.ResultNames[:i], name) {
			return inner.errorf("a second result named %s", name)
		}
	}
	return nil
}

// stages checks what f says of its stages, which must be among the functions above it.
func (v *verifier) stages(f *Func, above map[string]bool) error {
	v.name = f.Name
	defer func() { v.name = "" }()
	if f.Parts < 0 || f.Batch < 0 || f.Batch > 0 && f.Parts == 0 || f.Parts > 0 && len(f.Stages) > 0 {
		return v.errorf("a batch in parts of %d examples, and %d stages", f.Parts, len(f.Stages))
	}
	for _, s := range f.Stages {
		if s.Func == nil || v.module.Func(s.Func.Name) != s.Func || !above[s.Func.Name] {
			return v.errorf("a stage is no function further up")
		}
		params := s.Func.Params
		if s.Size > 0 {
			if len(params) < 2 {
				return v.errorf("stage %s is not told which examples it gets", globalName(s.Func.Name))
			}
			for _, p := range params[len(params)-2:] {
				if !p.Type.Equal(Scalar(tensor.I32)) {
					return v.errorf("stage %s is told numbers of examples as %s, not i32[]", globalName(s.Func.Name), p.Type)
				}
			}
			params = params[:len(params)-2]
		}
		switch {
		case s.Size < 0 || s.Most < 0 || s.Most > 0 && s.Size == 0 || len(s.Func.Stages) > 0 || s.Func.Parts > 0:
			return v.errorf("stage %s cannot be one", globalName(s.Func.Name))
		case !slices.EqualFunc(params, f.Params, func(p, q *Value) bool { return p.Type.Equal(q.Type) }):
			return v.errorf("stage %s has other parameters", globalName(s.Func.Name))
		case s.Size > 0 && !slices.ContainsFunc(params, (*Value).PerExample):
			return v.errorf("stage %s has no parameter to divide", globalName(s.Func.Name))
		}
	}
	return nil
}

// define adds a value of instruction in, or of no instruction if it is a parameter.
func (v *verifier) define(x *Value, in *Instr) error {
	switch {
	case v.defined[x]:
		return v.errorf("%s is defined twice", v.value(x))
	case x.Def != in:
		return v.errorf("%s does not refer to the instruction that defines it", v.value(x))
	}
	v.defined[x] = true
	if err := v.typ(x.Type); err != nil {
		return v.errorf("%s: %v", v.value(x), err)
	}
	return nil
}

// typ checks that t is one of f32, i32 and bool, with dimensions that are known when the program runs.
func (v *verifier) typ(t Type) error {
	if t.DType != tensor.F32 && t.DType != tensor.I32 && t.DType != tensor.Bool {
		return fmt.Errorf("%v is no element type of a program", t.DType)
	}
	for _, d := range t.Shape {
		if err := v.dim(d); err != nil {
			return err
		}
	}
	return nil
}

// dim checks a dimension or an extent.
func (v *verifier) dim(d Affine) error {
	if n, ok := d.IsConst(); ok && n < 0 {
		return fmt.Errorf("dimension %d is negative", n)
	}
	return d.check(func(a Atom) error {
		switch a.Kind {
		case AtomIndex:
			return fmt.Errorf("dimension %v depends on a loop index", d)
		case AtomLoad:
			return fmt.Errorf("dimension %v depends on data", d)
		case AtomSymbol:
			return v.symbol(a.Symbol)
		}
		return nil
	})
}

func (v *verifier) symbol(name string) error {
	switch {
	case !isSymbol(name):
		return fmt.Errorf("%q cannot name a symbol", name)
	case !v.symbols[name]:
		return fmt.Errorf("symbol %s is bound by no parameter and no cell", name)
	}
	return nil
}

// check calls atom for every atom of a, data indices from outside only, and checks the canonical form.
func (a Affine) check(atom func(Atom) error) error {
	for i, t := range a.Terms {
		if t.Coef == 0 || i > 0 && compareAtoms(a.Terms[i-1].Atom, t.Atom) >= 0 {
			return fmt.Errorf("%v is not in canonical form", a)
		}
		if err := atom(t.Atom); err != nil {
			return err
		}
		if t.Atom.Kind == AtomQuotient {
			if t.Atom.Den < 2 || len(t.Atom.Num.Terms) == 0 {
				return fmt.Errorf("%v is not in canonical form", a)
			}
			if err := t.Atom.Num.check(atom); err != nil {
				return err
			}
		}
	}
	return nil
}

// operands checks how many operands and results an instruction has.
func (v *verifier) operands(in *Instr, args, results int) error {
	switch {
	case len(in.Args) != args:
		return v.errorf("%s has %d operands, not %d", in.Op, args, len(in.Args))
	case len(in.Results) != results:
		return v.errorf("%s has %d results, not %d", in.Op, results, len(in.Results))
	}
	return nil
}

func (v *verifier) instruction(in *Instr) error {
	switch in.Op {
	case OpNest:
		if err := v.operands(in, len(in.Args), 1); err != nil {
			return err
		}
		return v.nest(in)
	case OpReshape:
		if err := v.operands(in, 1, 1); err != nil {
			return err
		}
		from, to := in.Args[0].Type, in.Results[0].Type
		if from.DType != to.DType || !sameCount(from.Shape, to.Shape) {
			return v.errorf("%s has not the elements of %s", to, from)
		}
	case OpConst:
		if err := v.operands(in, 0, 1); err != nil {
			return err
		}
		return v.constant(in)
	case OpRead, OpWrite:
		return v.cell(in)
	case OpCall:
		return v.call(in)
	case OpGrad:
		if len(in.Args) < 2 {
			return v.errorf("grad has an operand to differentiate and others to differentiate by")
		}
		if err := v.operands(in, len(in.Args), len(in.Args)-1); err != nil {
			return err
		}
		if y := in.Args[0].Type; !y.Equal(Scalar(tensor.F32)) {
			return v.errorf("only an f32[] has gradients, not %s", y)
		}
		for i, x := range in.Args[1:] {
			if x.Type.DType != tensor.F32 {
				return v.errorf("there are gradients only by f32, not by %s", x.Type)
			}
			if r := in.Results[i].Type; !r.Equal(x.Type) {
				return v.errorf("the gradient by %s is %s, not %s", v.value(x), x.Type, r)
			}
		}
	case OpScan:
		return v.scan(in)
	default:
		return v.errorf("%s is no instruction", in.Op)
	}
	return nil
}

func (v *verifier) constant(in *Instr) error {
	t, data := in.Results[0].Type, in.Data
	if data == nil {
		return v.errorf("the constant's elements are missing")
	}
	if data.DType != t.DType || len(data.Shape) != len(t.Shape) {
		return v.errorf("the constant is %v, not %s", data, t)
	}
	for i, d := range t.Shape {
		if !d.Equal(Int(data.Shape[i])) {
			return v.errorf("the constant is %v, not %s", data, t)
		}
	}
	n, ok := product(data.Shape)
	if have := len(data.F32) + len(data.I32) + len(data.Bool); !ok || n != have {
		return v.errorf("%d elements for %s", have, t)
	}
	return nil
}

func (v *verifier) cell(in *Instr) error {
	if !v.cells[in.Cell] {
		return v.errorf("the cell does not belong to the module")
	}
	var t Type
	if in.Op == OpRead {
		if err := v.operands(in, 0, 1); err != nil {
			return err
		}
		t = in.Results[0].Type
	} else {
		if err := v.operands(in, 1, 0); err != nil {
			return err
		}
		t = in.Args[0].Type
	}
	if !t.Equal(in.Cell.Type) {
		return v.errorf("cell %s is %s, not %s", globalName(in.Cell.Name), in.Cell.Type, t)
	}
	return nil
}

func (v *verifier) call(in *Instr) error {
	f := in.Call
	if !slices.Contains(v.module.Funcs, f) {
		return v.errorf("the called function does not belong to the module")
	}
	if len(in.Args) != len(f.Params) || len(in.Results) != len(f.Results) {
		return v.errorf("%s has %d parameters and %d results, not %d and %d",
			globalName(f.Name), len(f.Params), len(f.Results), len(in.Args), len(in.Results))
	}
	for i, p := range f.Params {
		if len(p.Type.Shape) != len(in.Args[i].Type.Shape) {
			return v.errorf("parameter %d of %s is %s, not %s", i+1, globalName(f.Name), p.Type, in.Args[i].Type)
		}
	}
	bind := BindSymbols(f, in.Args)
	for i, p := range f.Params {
		if t := p.Type.Rewrite(bind); !t.Equal(in.Args[i].Type) {
			return v.errorf("parameter %d of %s is %s, not %s", i+1, globalName(f.Name), t, in.Args[i].Type)
		}
	}
	for i, r := range f.Results {
		if t := r.Type.Rewrite(bind); !t.Equal(in.Results[i].Type) {
			return v.errorf("result %d of %s is %s, not %s", i+1, globalName(f.Name), t, in.Results[i].Type)
		}
	}
	return nil
}

// recursion finds functions that call themselves, if only through others.
func (v *verifier) recursion() error {
	const (
		entered = 1
		left    = 2
	)
	state := map[*Func]int{}
	var visit func(f *Func) error
	inBody := func(f *Func, body []*Instr) error { return nil }
	visit = func(f *Func) error {
		switch state[f] {
		case left:
			return nil
		case entered:
			return &InvalidError{Func: f.Name, Message: "the function calls itself"}
		}
		state[f] = entered
		if err := inBody(f, f.Body); err != nil {
			return err
		}
		state[f] = left
		return nil
	}
	inBody = func(f *Func, body []*Instr) error {
		for _, in := range body {
			var err error
			switch in.Op {
			case OpCall:
				err = visit(in.Call)
			case OpScan:
				err = inBody(f, in.Scan.Body.Body)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, f := range v.module.Funcs {
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// maxMonomials bounds the work of comparing counts of elements; real shapes have a handful.
const maxMonomials = 1000

// sameCount reports whether two shapes certainly have the same number of elements: whether the products of their dimensions are
// the same polynomial in the symbols.
func sameCount(a, b []Affine) bool {
	x, ok := elementCount(a)
	if !ok {
		return false
	}
	y, ok := elementCount(b)
	if !ok || len(x) != len(y) {
		return false
	}
	for key, n := range x {
		if m := y[key]; m == nil || m.Cmp(n) != 0 {
			return false
		}
	}
	return true
}

// elementCount multiplies dimensions out. A monomial's key is the text of its atoms in order.
func elementCount(shape []Affine) (map[string]*big.Int, bool) {
	type monomial struct {
		atoms []string
		coef  *big.Int
	}
	all := map[string]monomial{"": {nil, big.NewInt(1)}}
	for _, d := range shape {
		next := map[string]monomial{}
		add := func(m monomial, coef int, atom ...string) {
			atoms := slices.Sorted(slices.Values(slices.Concat(m.atoms, atom)))
			key := strings.Join(atoms, "·")
			n := new(big.Int).Mul(m.coef, big.NewInt(int64(coef)))
			if old, ok := next[key]; ok {
				n.Add(n, old.coef)
			}
			next[key] = monomial{atoms, n}
		}
		for _, m := range all {
			if d.Const != 0 {
				add(m, d.Const)
			}
			for _, t := range d.Terms {
				add(m, t.Coef, Affine{Terms: []Term{{1, t.Atom}}}.String())
			}
		}
		if len(next) > maxMonomials {
			return nil, false
		}
		all = next
	}
	counts := map[string]*big.Int{}
	for key, m := range all {
		if m.coef.Sign() != 0 {
			counts[key] = m.coef
		}
	}
	return counts, true
}
