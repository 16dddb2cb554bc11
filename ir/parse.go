package ir

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Parse reads the text form of a module. What it returns is well formed as text; Verify says whether it means something.
//
// Errors: a *diag.List with the first mistake, codes unexpected-token, unknown-name, duplicate-name, type-mismatch,
// invalid-number, nesting-too-deep and those of the lexer.
func Parse(src *diag.File) (*Module, error) {
	p := &parser{file: src, lex: lexer{text: src.Text}, module: NewModule()}
	p.next()
	p.next()
	for p.tok.kind != tokEnd {
		switch {
		case p.accept("cell"):
			p.cell()
		case p.accept("func"):
			p.topFunction()
		default:
			p.expected("cell or func")
		}
	}
	for _, c := range p.calls {
		if c.in.Call = p.module.Func(c.name.text); c.in.Call == nil {
			p.fail(c.name, diag.UnknownName, "there is no function @%s", c.name.text)
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	return p.module, nil
}

// parser reads one module. After the first mistake all further text counts as ended, so that every rule comes to its end
// by itself.
type parser struct {
	file       *diag.File
	lex        lexer
	tok, ahead token
	err        error
	depth      int // of nested expressions and bodies

	module *Module
	calls  []call
	values map[string]*Value // of the function being read
	nest   *nestScope        // nil outside nests
}

// call is one whose function may come later in the text.
type call struct {
	in   *Instr
	name token
}

func (p *parser) next() {
	p.tok = p.ahead
	if p.err != nil {
		p.tok, p.ahead = token{}, token{}
		return
	}
	var err error
	if p.ahead, err = p.lex.next(); err != nil {
		var bad *lexError
		if !errors.As(err, &bad) {
			panic("BUG: the lexer fails with " + err.Error())
		}
		p.fail(token{start: bad.start, end: bad.end}, bad.code, "%s", bad.message)
	}
}

func (p *parser) fail(at token, code diag.Code, format string, args ...any) {
	if p.err == nil {
		list := &diag.List{}
		list.Add(&diag.Diagnostic{
			Span: diag.Span{File: p.file, Start: at.start, End: at.end}, Code: code, Message: fmt.Sprintf(format, args...),
		})
		p.err = list
	}
	p.tok, p.ahead = token{}, token{}
}

func (p *parser) expected(what string) {
	found := strconv.Quote(p.file.Text[p.tok.start:p.tok.end])
	if p.tok.kind == tokEnd {
		found = "the end"
	}
	p.fail(p.tok, diag.UnexpectedToken, "expected %s, found %s", what, found)
}

// at reports whether the next token is this word or punctuation.
func (p *parser) at(text string) bool {
	return (p.tok.kind == tokName || p.tok.kind == tokPunct) && p.tok.text == text
}

func (p *parser) accept(text string) bool {
	if !p.at(text) {
		return false
	}
	p.next()
	return true
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.expected(text)
	}
}

// take returns the next token, which must be of that kind.
func (p *parser) take(kind tokenKind, what string) token {
	tok := p.tok
	if tok.kind != kind {
		p.expected(what)
		return token{kind: kind}
	}
	p.next()
	return tok
}

// enter counts one level of nesting and reports whether there may be another.
func (p *parser) enter() bool {
	p.depth++
	if p.depth > maxDepth {
		p.fail(p.tok, diag.NestingTooDeep, "more than %d levels of nesting", maxDepth)
	}
	return p.err == nil
}

func (p *parser) leave() { p.depth-- }

// list reads item until the closing token, which it takes.
func (p *parser) list(closing string, item func()) {
	for p.err == nil && !p.at(closing) {
		item()
		if !p.accept(",") {
			break
		}
	}
	p.expect(closing)
}

// global reads the name of a cell or function.
func (p *parser) global(what string) token {
	tok := p.take(tokGlobal, what)
	if len(tok.text) > 0 && tok.text[0] == '"' {
		tok.text = p.unquoted(tok)
	}
	return tok
}

func (p *parser) unquoted(tok token) string {
	s, err := strconv.Unquote(tok.text)
	if err != nil {
		p.fail(tok, diag.InvalidEscape, "%s is no string", tok.text)
	}
	return s
}

// number reads digits.
func (p *parser) number(what string) int {
	tok := p.take(tokInt, what)
	if p.err != nil {
		return 0
	}
	n, err := strconv.Atoi(tok.text)
	if err != nil || n > maxInt {
		p.fail(tok, diag.InvalidNumber, "%s is too large", tok.text)
		return 0
	}
	return n
}

func (p *parser) cell() {
	name := p.global("the cell's name")
	p.expect(":")
	t := p.typ()
	kind := p.take(tokName, "the cell's kind")
	if p.err != nil {
		return
	}
	switch CellKind(kind.text) {
	case Param, State, Slot, Stream, Metric, Part:
	default:
		p.fail(kind, diag.UnknownName, "%s is no kind of cell: they are param, state, slot, stream, metric and part", kind.text)
		return
	}
	if p.module.Cell(name.text) != nil {
		p.fail(name, diag.DuplicateName, "a second cell @%s", name.text)
		return
	}
	p.module.AddCell(&Cell{Name: name.text, Type: t, Kind: CellKind(kind.text), Half: p.accept("bf16")})
}

func (p *parser) topFunction() {
	name := p.global("the function's name")
	f := &Func{Name: name.text}
	p.function(f)
	if p.err != nil {
		return
	}
	if p.module.Func(name.text) != nil {
		p.fail(name, diag.DuplicateName, "a second function @%s", name.text)
		return
	}
	p.module.AddFunc(f)
}

// function reads everything after a function's name.
func (p *parser) function(f *Func) {
	outer := p.values
	p.values = map[string]*Value{}
	defer func() { p.values = outer }()

	p.expect("(")
	p.list(")", func() { f.Params = append(f.Params, p.definition()) })
	p.expect("->")
	p.expect("(")
	var types []Type
	p.list(")", func() {
		name := ""
		switch {
		case p.tok.kind == tokString:
			name = p.unquoted(p.tok)
			p.next()
			p.expect(":")
		case p.ahead.kind == tokPunct && p.ahead.text == ":":
			name = p.take(tokName, "the result's name").text
			p.expect(":")
		}
		f.ResultNames = append(f.ResultNames, name)
		types = append(types, p.typ())
	})
	f.Finite = p.accept("finite")
	if p.accept("parts") {
		f.Parts = p.number("how many examples a part has")
		if p.accept("of") {
			f.Batch = p.number("how many examples a batch has")
		}
	}
	if p.accept("after") {
		f.Stages = append(f.Stages, p.stage())
		for p.accept(",") {
			f.Stages = append(f.Stages, p.stage())
		}
	}
	p.expect("{")
	for p.err == nil && !p.at("return") {
		f.Body = append(f.Body, p.instruction())
	}
	at := p.tok
	p.expect("return")
	for p.err == nil && !p.at("}") {
		v := p.tok
		f.Results = append(f.Results, p.value())
		if i := len(f.Results) - 1; p.err == nil && i < len(types) && !f.Results[i].Type.Equal(types[i]) {
			p.fail(v, diag.TypeMismatch, "%%%s is %s, but the function's result %d is %s", v.text, f.Results[i].Type, i+1, types[i])
		}
		if !p.accept(",") {
			break
		}
	}
	if p.err == nil && len(f.Results) != len(types) {
		p.fail(at, diag.TypeMismatch, "%d values returned, but the function has %d results", len(f.Results), len(types))
	}
	p.expect("}")
}

// stage reads `@name by 8`; the function stands further up.
func (p *parser) stage() Stage {
	name := p.global("the name of a function")
	s := Stage{Func: p.module.Func(name.text)}
	if p.err == nil && s.Func == nil {
		p.fail(name, diag.UnknownName, "there is no function @%s further up", name.text)
	}
	if p.accept("by") {
		s.Size = p.number("how many examples a part has")
		if p.accept("of") {
			s.Most = p.number("how many examples a batch has")
		}
	}
	return s
}

// definition reads `%name: type` and makes the value known.
func (p *parser) definition() *Value {
	name := p.take(tokValue, "a value's name")
	p.expect(":")
	v := &Value{Name: name.text, Type: p.typ()}
	if p.err == nil && p.values[name.text] != nil {
		p.fail(name, diag.DuplicateName, "a second value %%%s", name.text)
	}
	p.values[name.text] = v
	return v
}

// value reads the name of a value defined before.
func (p *parser) value() *Value {
	name := p.take(tokValue, "a value")
	v := p.values[name.text]
	if v == nil {
		p.fail(name, diag.UnknownName, "%%%s is not defined before this place", name.text)
		return &Value{}
	}
	return v
}

func (p *parser) valueList(in *Instr) {
	in.Args = append(in.Args, p.value())
	for p.accept(",") {
		in.Args = append(in.Args, p.value())
	}
}

// typ reads f32[B, 3].
func (p *parser) typ() Type {
	name := p.take(tokName, "a type")
	d, ok := tensor.ParseDType(name.text)
	if p.err == nil && (!ok || d == tensor.F64) {
		p.fail(name, diag.UnknownName, "%s is no element type: they are f32, i32 and bool", name.text)
	}
	t := Type{DType: d}
	p.expect("[")
	p.list("]", func() { t.Shape = append(t.Shape, p.affine()) })
	return t
}

// instruction reads one line of a body.
func (p *parser) instruction() *Instr {
	in := &Instr{}
	var results []*Value // known only after the instruction: it cannot read itself
	var names []token
	for p.tok.kind == tokValue {
		name := p.take(tokValue, "a value's name")
		p.expect(":")
		results, names = append(results, &Value{Name: name.text, Type: p.typ(), Def: in}), append(names, name)
		if !p.accept(",") {
			p.expect("=")
			break
		}
	}
	in.Results = results
	word := p.take(tokName, "an instruction")
	if p.err == nil {
		p.operation(in, word)
	}
	if in.Op != OpScan {
		p.loc(in)
	}
	for i, v := range results {
		if p.err == nil && p.values[v.Name] != nil {
			p.fail(names[i], diag.DuplicateName, "a second value %%%s", v.Name)
		}
		p.values[v.Name] = v
	}
	return in
}

// operation reads what follows the instruction's word.
func (p *parser) operation(in *Instr, word token) {
	if combine, ok := combineNamed(word.text); ok || word.text == "scatter" {
		in.Op = OpNest
		if len(in.Results) != 1 {
			p.fail(word, diag.TypeMismatch, "%s has one result, not %d", word.text, len(in.Results))
			return
		}
		if !ok {
			combine = Sum
		}
		p.nestInstr(in, combine, !ok)
		return
	}
	in.Op, _ = OpNamed(word.text)
	switch in.Op {
	case OpReshape, OpGrad:
		p.valueList(in)
	case OpConst:
		p.constant(in, word)
	case OpRead:
		in.Cell = p.cellNamed()
	case OpWrite:
		in.Cell = p.cellNamed()
		p.expect(",")
		in.Args = append(in.Args, p.value())
	case OpCall:
		p.calls = append(p.calls, call{in, p.global("the function's name")})
		p.expect("(")
		p.list(")", func() { in.Args = append(in.Args, p.value()) })
	case OpScan:
		p.scan(in)
	default:
		p.fail(word, diag.UnknownName, "%s is no instruction", word.text)
	}
}

func combineNamed(word string) (Combine, bool) {
	for c, name := range combineNames {
		if name == word {
			return Combine(c), true
		}
	}
	return Map, false
}

func (p *parser) cellNamed() *Cell {
	name := p.global("the cell's name")
	c := p.module.Cell(name.text)
	if c == nil {
		p.fail(name, diag.UnknownName, "there is no cell @%s", name.text)
	}
	return c
}

// constant reads the elements of a constant, whose number the text's length bounds.
func (p *parser) constant(in *Instr, word token) {
	if len(in.Results) != 1 {
		p.fail(word, diag.TypeMismatch, "const has one result, not %d", len(in.Results))
		return
	}
	t := in.Results[0].Type
	data := &tensor.Tensor{DType: t.DType, Shape: []int{}}
	count := 0
	p.expect("[")
	p.list("]", func() {
		count++
		switch v := p.literal(t.DType); t.DType {
		case tensor.F32:
			data.F32 = append(data.F32, float32(v))
		case tensor.I32:
			data.I32 = append(data.I32, int32(v))
		case tensor.Bool:
			data.Bool = append(data.Bool, v != 0)
		}
	})
	if p.err != nil {
		return
	}
	for _, d := range t.Shape {
		n, ok := d.IsConst()
		if !ok || n < 0 {
			p.fail(word, diag.TypeMismatch, "a constant cannot be %s", t)
			return
		}
		data.Shape = append(data.Shape, n)
	}
	if n, ok := product(data.Shape); !ok || n != count {
		p.fail(word, diag.TypeMismatch, "%d elements for %s", count, t)
		return
	}
	in.Data = data
}

// product multiplies dimensions and reports whether an int holds the product.
func product(dims []int) (int, bool) {
	n, zero := 1, false
	for _, d := range dims {
		zero = zero || d == 0
	}
	if zero {
		return 0, true
	}
	for _, d := range dims {
		if n > math.MaxInt/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// literal reads a literal of type d.
func (p *parser) literal(d tensor.DType) float64 {
	start := p.tok
	negative := d != tensor.Bool && p.accept("-")
	tok := p.tok
	if d == tensor.Bool {
		if !p.at("true") && !p.at("false") {
			p.expected("true or false")
			return 0
		}
		p.next()
		return truth(tok.text == "true")
	}
	v := 0.0
	switch {
	case d == tensor.F32 && p.at("inf"):
		v = math.Inf(1)
	case d == tensor.F32 && p.at("nan"):
		v = math.NaN()
	case d == tensor.F32 && tok.kind == tokFloat, d == tensor.I32 && tok.kind == tokInt:
		var err error
		if v, err = strconv.ParseFloat(tok.text, 64); err != nil {
			p.fail(tok, diag.InvalidNumber, "%s is too large", tok.text)
		}
	case d == tensor.F32:
		p.expected("an f32 literal, such as 1.0 or inf")
	default:
		p.expected("a whole number")
	}
	if negative {
		v = -v
	}
	if p.err == nil && d == tensor.I32 && (v < math.MinInt32 || v > math.MaxInt32) {
		p.fail(token{start: start.start, end: tok.end}, diag.InvalidNumber, "%.0f does not fit an i32", v)
	}
	p.next()
	if d == tensor.I32 {
		v += 0 // there is no negative zero among whole numbers
	}
	return v
}

// loc reads `at "file":line:col in "scope"` if it is there.
func (p *parser) loc(in *Instr) {
	if !p.accept("at") {
		return
	}
	in.Loc.File = p.unquoted(p.take(tokString, "the file's name"))
	p.expect(":")
	in.Loc.Line = p.number("the line")
	p.expect(":")
	in.Loc.Col = p.number("the column")
	if p.accept("in") {
		in.Loc.Scope = p.unquoted(p.take(tokString, "the scope"))
	}
}

// scan reads what follows the word scan. The counter's name before the number of rounds is for people only.
func (p *parser) scan(in *Instr) {
	s := &Scan{Body: &Func{}}
	in.Scan = s
	p.take(tokName, "the counter's name")
	p.expect("<")
	s.Trip = p.affine()
	p.expect("carried")
	s.Carried = p.number("the number of carried values")
	p.expect("slices")
	s.Slices = p.number("the number of sequences")
	p.expect("axis")
	s.Axis = p.number("the sequences' axis")
	s.Reversed = p.accept("reversed")
	s.Length = p.accept("length")
	p.expect("(")
	p.list(")", func() { in.Args = append(in.Args, p.value()) })
	p.loc(in)
	p.expect("{")
	if p.enter() {
		p.function(s.Body)
	}
	p.leave()
	p.expect("}")
}
