package ir

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// PrintOptions choose what the text form leaves out. The zero PrintOptions leave out nothing.
type PrintOptions struct {
	NoLoc bool // no "at … in …": for reading, and for tests that compare functions
}

// Print returns the text form of m, which Parse turns into an equal module.
//
// Operands of a nest that it reads nowhere, or that are listed twice, have no place in the text; its operands are numbered in the
// order of their first reads. Names of values and loop indices are made unique and legible.
func Print(m *Module) string { return PrintOptions{}.Print(m) }

// Print returns the text form of m.
func (o PrintOptions) Print(m *Module) string {
	p := &printer{options: o}
	for _, c := range m.Cells {
		half := ""
		if c.Half {
			half = " bf16"
		}
		p.printf("cell %s: %s %s%s\n", globalName(c.Name), c.Type, c.Kind, half)
	}
	for i, f := range m.Funcs {
		if i > 0 || len(m.Cells) > 0 {
			p.printf("\n")
		}
		p.printf("func %s", globalName(f.Name))
		p.function(f, "")
		p.printf("\n")
	}
	return p.b.String()
}

// String returns the text form of f.
func (f *Func) String() string { return PrintOptions{}.Func(f) }

// Func returns the text form of f.
func (o PrintOptions) Func(f *Func) string {
	p := &printer{options: o}
	p.printf("func %s", globalName(f.Name))
	p.function(f, "")
	p.printf("\n")
	return p.b.String()
}

type printer struct {
	options PrintOptions
	b       strings.Builder
	names   map[*Value]string // of the function being printed
}

func (p *printer) printf(format string, args ...any) { fmt.Fprintf(&p.b, format, args...) }

// function prints everything of f after its name: a scan's body has none.
func (p *printer) function(f *Func, indent string) {
	outer := p.names
	p.names = valueNames(f)
	defer func() { p.names = outer }()

	p.printf("(")
	for i, v := range f.Params {
		p.comma(i)
		p.printf("%s: %s", p.value(v), v.Type)
	}
	p.printf(") -> (")
	for i, v := range f.Results {
		p.comma(i)
		if i < len(f.ResultNames) && f.ResultNames[i] != "" {
			p.printf("%s: ", resultName(f.ResultNames[i]))
		}
		p.printf("%s", v.Type)
	}
	p.printf(")")
	if f.Finite {
		p.printf(" finite")
	}
	if f.Parts > 0 {
		p.printf(" parts %d", f.Parts)
		if f.Batch > 0 {
			p.printf(" of %d", f.Batch)
		}
	}
	for i, s := range f.Stages {
		if i == 0 {
			p.printf(" after ")
		}
		p.comma(i)
		p.printf("%s", globalName(s.Func.Name))
		if s.Size > 0 {
			p.printf(" by %d", s.Size)
			if s.Most > 0 {
				p.printf(" of %d", s.Most)
			}
		}
	}
	p.printf(" {\n")
	for _, in := range f.Body {
		p.instruction(in, indent+"  ")
	}
	p.printf("%s  return", indent)
	p.values(" ", f.Results)
	p.printf("\n%s}", indent)
}

func (p *printer) comma(i int) {
	if i > 0 {
		p.printf(", ")
	}
}

// values prints a list of values, after lead if there are any.
func (p *printer) values(lead string, vs []*Value) {
	for i, v := range vs {
		if i == 0 {
			p.printf("%s", lead)
		}
		p.comma(i)
		p.printf("%s", p.value(v))
	}
}

// value is the name of v. A value that the function does not define is printed as such: broken modules are printed, too.
func (p *printer) value(v *Value) string {
	if name, ok := p.names[v]; ok {
		return "%" + name
	}
	return "%!undefined"
}

func (p *printer) instruction(in *Instr, indent string) {
	p.printf("%s", indent)
	for i, r := range in.Results {
		p.comma(i)
		p.printf("%s: %s", p.value(r), r.Type)
	}
	if len(in.Results) > 0 {
		p.printf(" = ")
	}
	switch in.Op {
	case OpNest:
		p.nest(in)
	case OpConst:
		p.printf("const [")
		for i := range in.Data.Len() {
			p.comma(i)
			p.printf("%s", element(in.Data, i))
		}
		p.printf("]")
	case OpRead:
		p.printf("read %s", globalName(in.Cell.Name))
	case OpWrite:
		p.printf("write %s", globalName(in.Cell.Name))
		p.values(", ", in.Args)
	case OpCall:
		p.printf("call %s(", globalName(in.Call.Name))
		p.values("", in.Args)
		p.printf(")")
	case OpScan:
		p.scan(in, indent)
	default:
		p.printf("%s", in.Op)
		p.values(" ", in.Args)
	}
	if in.Op != OpScan {
		p.loc(in)
	}
	p.printf("\n")
}

func (p *printer) loc(in *Instr) {
	if p.options.NoLoc || in.Loc == (Loc{}) {
		return
	}
	p.printf(" at %q:%d:%d", in.Loc.File, in.Loc.Line, in.Loc.Col)
	if in.Loc.Scope != "" {
		p.printf(" in %q", in.Loc.Scope)
	}
}

func (p *printer) scan(in *Instr, indent string) {
	s := in.Scan
	counter := "t"
	if len(s.Body.Params) > 0 {
		counter = indexName(s.Body.Params[0].Name, "t")
	}
	p.printf("scan %s<%s carried %d slices %d axis %d", counter, s.Trip, s.Carried, s.Slices, s.Axis)
	if s.Reversed {
		p.printf(" reversed")
	}
	if s.Length {
		p.printf(" length")
	}
	p.printf(" (")
	p.values("", in.Args)
	p.printf(")")
	p.loc(in)
	p.printf(" {\n%s  ", indent)
	p.function(s.Body, indent+"  ")
	p.printf("\n%s}", indent)
}

// nestPrinter knows the names within one nest.
type nestPrinter struct {
	*printer
	args  []*Value
	index []string
}

func (p *printer) nest(in *Instr) {
	nest, args := canonicalNest(in.Nest, in.Args)
	n := &nestPrinter{printer: p, args: args, index: indexNames(nest)}
	word := nest.Combine.String()
	if nest.Write != nil {
		word = "scatter"
	}
	p.printf("%s [", word)
	for i, ix := range nest.Index {
		switch {
		case i == nest.Out && nest.Write == nil:
			if i > 0 {
				p.printf(" ")
			}
			p.printf("| ")
		case i > 0:
			p.printf(", ")
		}
		p.printf("%s<%s", n.index[i], n.affine(ix.Extent))
	}
	p.printf("] ")
	if len(nest.Guards) > 0 {
		p.printf("where (")
		for i, g := range nest.Guards {
			p.comma(i)
			p.printf("%s < %s", n.affine(g.E), n.affine(g.Limit))
		}
		p.printf(") ")
	}
	n.expr(nest.Body)
	if nest.Write != nil {
		p.printf(" to [%s]", n.affines(nest.Write))
	}
}

func (n *nestPrinter) expr(e *Expr) {
	switch e.Leaf {
	case LeafConst:
		n.printf("%s", literal(e.DType, e.Value))
	case LeafRead:
		n.printf("%s", n.read(e.Read, e.DType))
	case LeafIndex:
		if v := IndexValue(*e.Affine); v.Leaf != LeafIndex {
			n.expr(v)
			return
		}
		n.printf("%s", n.affine(*e.Affine))
	default:
		n.printf("%s(", e.Op)
		for i, a := range e.Args {
			n.comma(i)
			n.expr(a)
		}
		n.printf(")")
	}
}

func (n *nestPrinter) affine(a Affine) string {
	index := func(i int) string {
		if i < 0 || i >= len(n.index) {
			return fmt.Sprintf("!index%d", i)
		}
		return n.index[i]
	}
	load := func(r *Read) string {
		if r.Guarded {
			return "(" + n.read(r, tensor.I32) + ")"
		}
		return n.read(r, tensor.I32)
	}
	return a.format(index, load)
}

func (n *nestPrinter) affines(as []Affine) string {
	texts := make([]string, len(as))
	for i, a := range as {
		texts[i] = n.affine(a)
	}
	return strings.Join(texts, ", ")
}

func (n *nestPrinter) read(r *Read, d tensor.DType) string {
	operand := fmt.Sprintf("%%!operand%d", r.Operand)
	if r.Operand >= 0 && r.Operand < len(n.args) {
		operand = n.value(n.args[r.Operand])
	}
	s := operand + "[" + n.affines(r.Index) + "]"
	if r.Guarded {
		s += " else " + literal(d, r.Else)
	}
	return s
}

// literal prints a number so that its type can be told: f32 has a point, an exponent or is inf or nan.
func literal(d tensor.DType, v float64) string {
	switch d {
	case tensor.I32:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case tensor.Bool:
		return strconv.FormatBool(v != 0)
	}
	return floatLiteral(v, 64)
}

func floatLiteral(v float64, bits int) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 0):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(v, 'g', -1, bits)), "+")
	}
	s := strconv.FormatFloat(v, 'g', -1, bits)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// element prints element i of a constant tensor.
func element(t *tensor.Tensor, i int) string {
	switch t.DType {
	case tensor.F32:
		return floatLiteral(float64(t.F32[i]), 32)
	default:
		return literal(t.DType, t.At(i))
	}
}

// globalName prints the name of a cell or a function.
func globalName(name string) string {
	if isPath(name) {
		return "@" + name
	}
	return "@" + strconv.Quote(name)
}

// resultName prints the name of a function's result.
func resultName(name string) string {
	if isName(name) {
		return name
	}
	return strconv.Quote(name)
}

// cleanName turns a hint into a name without characters that the text form has no place for.
func cleanName(hint string) string {
	return strings.Map(func(c rune) rune {
		if isNameRune(c) || c == '.' {
			return c
		}
		return '_'
	}, hint)
}

// valueNames gives every value of f a name of its own: its hint where that is free, else the hint with a number, or a number.
func valueNames(f *Func) map[*Value]string {
	var values []*Value
	values = append(values, f.Params...)
	for _, in := range f.Body {
		values = append(values, in.Results...)
	}
	u := unique{}
	for _, v := range values {
		u.reserve(cleanName(v.Name))
	}
	names := make(map[*Value]string, len(values))
	for _, v := range values {
		if _, twice := names[v]; !twice {
			names[v] = u.name(cleanName(v.Name))
		}
	}
	return names
}

// indexNames gives every loop of n a name of its own that is no symbol.
func indexNames(n *Nest) []string {
	u := unique{}
	hints := make([]string, len(n.Index))
	for i, ix := range n.Index {
		hints[i] = indexName(ix.Name, fmt.Sprintf("i%d", i))
		u.reserve(hints[i])
	}
	for i, h := range hints {
		hints[i] = u.name(h)
	}
	return hints
}

// indexName turns a hint into a name that can stand in an index expression, or returns the fallback.
func indexName(hint, fallback string) string {
	hint = cleanName(hint)
	if !isName(hint) || isSymbol(hint) || reserved[hint] {
		return fallback
	}
	return hint
}

// reserved words mean something where an index expression may stand or end.
var reserved = map[string]bool{"true": true, "false": true, "inf": true, "nan": true, "else": true, "where": true, "to": true, "at": true}

// unique hands out names. Hints are reserved first, so that a name made up never takes a later hint.
type unique map[string]int // how often a name was asked for; 0 when only reserved

func (u unique) reserve(hint string) {
	if hint != "" {
		u[hint] += 0
	}
}

func (u unique) name(hint string) string {
	if hint != "" && u[hint] == 0 {
		u[hint] = 1
		return hint
	}
	sep := "_"
	if hint == "" {
		sep = ""
	}
	for {
		name := hint + sep + strconv.Itoa(u[hint])
		u[hint]++
		if _, taken := u[name]; !taken {
			u[name] = 1
			return name
		}
	}
}

// canonicalNest returns the nest with operands that are read nowhere dropped, operands listed twice merged, and the others
// numbered in the order in which the text form reads them first.
//
// Terms of an index are sorted by operand, so a new numbering may change the order of reads. It settles: each round fixes at
// least one more read from the left.
func canonicalNest(n *Nest, args []*Value) (*Nest, []*Value) {
	for {
		order, first := []*Value{}, map[*Value]int{}
		settled, known := true, true
		n.readsInOrder(func(r *Read) {
			if r.Operand < 0 || r.Operand >= len(args) {
				known = false
				return
			}
			v := args[r.Operand]
			k, seen := first[v]
			if !seen {
				k = len(order)
				first[v] = k
				order = append(order, v)
			}
			settled = settled && k == r.Operand
		})
		if !known { // a broken nest is printed as it is
			return n, args
		}
		if settled {
			return n, order
		}
		old := args
		n = n.RewriteReads(func(r *Read) *Read {
			clone := *r
			clone.Operand = first[old[r.Operand]]
			return &clone
		})
		args = order
	}
}

// readsInOrder calls f for every read of the nest in the order of the text form: guards, body, write map.
func (n *Nest) readsInOrder(f func(*Read)) {
	for _, g := range n.Guards {
		g.E.Loads(f)
		g.Limit.Loads(f)
	}
	n.Body.Reads(f)
	for _, w := range n.Write {
		w.Loads(f)
	}
}
