package lang

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// generateClauses are the settings of a generate block.
var generateClauses = []string{"prompt", "length", "temperature", "top_k", "window", "seed", "from_logits"}

// generate elaborates a generate declaration: the function that applies a model to one text, and what the text is continued by.
func (e *elaborator) generate(decl *syntax.Generate) {
	f := &frame{elaborator: e, function: e.init, scope: e.globals}
	s := f.readClauses(decl.Body, "generate", generateClauses, func(n syntax.Stmt) {
		f.errorf(n.Span(), diag.Misplaced, "generate has settings only").Fix = "it has " + joinNames(generateClauses)
	})
	name := decl.Model.Name
	v := f.resolve(e.globals.lookup(name), decl.Model.Span(), name)
	m, ok := v.(*modelValue)
	if !ok {
		if !isPoison(v) {
			f.errorf(decl.Model.Span(), diag.NotGenerative, "generate continues what a model predicts, and %s is %s", name, describe(v))
		}
		return
	}
	mf := m.functions[0]
	if mf == nil || mf.f == nil {
		return // an error was reported
	}
	text, ok := f.generates(decl, m, mf)
	if !ok {
		return
	}
	g := &plan.Generate{
		Func: "generate." + name, Unit: text.unit, Vocabulary: text.labels,
		Prompt: s.text("prompt", ""), Length: s.integer("length", 200, 1), TopK: s.integer("top_k", 0, 1),
		Window: s.integer("window", 0, 1), Seed: s.integer("seed", 1, 0), Temperature: 1,
		Probabilities: !s.truth("from_logits", !endsInSoftmax(m.decl)),
	}
	if given := s.given["temperature"]; given != nil {
		n, ok := f.eval(given.node).(number)
		if !ok || n.float < 0 {
			f.errorf(given.node.Span(), diag.InvalidValue, "`temperature` is a number from 0, where 0 takes the likeliest each time")
			return
		}
		g.Temperature = n.float
	}
	for _, old := range e.plan.Generates {
		if old.Func == g.Func {
			f.errorf(decl.Model.Span(), diag.DuplicateName, "there are two generates of %s", name).Fix = "`nnc generate` takes other settings on the command line"
			return
		}
	}
	if s.wrong || !e.continuation(m, mf, g) {
		return
	}
	e.plan.Generates = append(e.plan.Generates, g)
	g.Model = name
}

// spelling is what the ids of a text stand for.
type spelling struct {
	unit   string
	labels []string
}

// generates checks that a model maps a text of any length to what may follow each of its units, and finds what these are called.
func (f *frame) generates(decl *syntax.Generate, m *modelValue, mf *modelFunction) (spelling, bool) {
	name := m.decl.Name.Name
	at := decl.Model.Span()
	wrong := func(format string, args ...any) (spelling, bool) {
		d := f.errorf(at, diag.NotGenerative, "generate needs a model of texts, and %s", fmt.Sprintf(format, args...))
		d.Fix = fmt.Sprintf("declare it as %s(text: i32[t]) -> f32[t, D.text], where D is the data, with a source text", name)
		f.relate(d, m.decl.Name.Span(), "%s is declared here", name)
		return spelling{}, false
	}
	if len(mf.inputs) != 1 {
		return wrong("%s takes %s", name, count(len(mf.inputs), "input"))
	}
	in := mf.inputs[0]
	if in.dtype != tensor.I32 || len(in.shape) != 1 || len(mf.lengths) != 1 {
		return wrong("%s takes %s, not a text i32[t] of any length", name, typeString(in.dtype, in.shape))
	}
	out, ok := mf.output.(*array)
	if !ok || len(out.shape) != 2 || out.dtype != tensor.F32 || !out.shape[0].Equal(in.shape[0]) {
		return wrong("%s does not give a row for each unit of its text", name)
	}
	field := m.decl.Params[0].Name.Name
	if m.data == nil || m.data.plan.Source.Text == nil || m.data.raw(field).Labels == nil {
		return wrong("%s is not trained on the field `%s` of a text", name, field)
	}
	text := spelling{m.data.plan.Source.Text.Unit, m.data.raw(field).Labels}
	if n, ok := out.shape[1].IsConst(); !ok || n != len(text.labels) {
		return wrong("%s gives rows of %s numbers where the text has %d different %s", name, out.shape[1], len(text.labels), text.unit)
	}
	return text, true
}

// continuation builds the function that applies the model to one text, of any length.
func (e *elaborator) continuation(m *modelValue, mf *modelFunction, g *plan.Generate) bool {
	fn := e.withBatch(e.newFunction(g.Func), ir.Int(1))
	fn.fixedSeed = true
	f := &frame{elaborator: e, function: fn, scope: newScope(e.globals)}
	in := m.decl.Params[0]
	length := in.Type.Dims[0].Size.(*syntax.Name)
	text := fn.b.Param(plan.ParamText, ir.Type{DType: tensor.I32, Shape: []ir.Affine{fn.batch.extent, mf.inputs[0].shape[0]}})
	f.ownLengthNamed(length.Name, length.Span())
	site := &callSite{node: m.decl, at: m.decl.Name.Span()}
	site.args = []*argument{{node: in, value: f.arrayOf(text, []*axis{fn.batch})}}
	out := f.applyModel(site, m)
	if isPoison(out) || !f.returnValue("", out, m.decl) {
		return false
	}
	e.module.AddFunc(fn.b.Func)
	return true
}

// endsInSoftmax reports whether the last thing that a model applies is a softmax, or has it as its activation.
func endsInSoftmax(decl *syntax.Model) bool {
	last := lastOf(decl.Body)
	for {
		switch n := last.(type) {
		case *syntax.Pipe:
			last = n.F
		case *syntax.Call:
			if isSoftmax(n.Fn) {
				return true
			}
			return slices.ContainsFunc(n.Args, func(a *syntax.Arg) bool { return isSoftmax(a.Value) })
		default:
			return isSoftmax(n)
		}
	}
}

func isSoftmax(n syntax.Node) bool {
	name, ok := n.(*syntax.Name)
	return ok && name.Name == "softmax"
}
