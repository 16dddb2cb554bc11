package lang

import (
	"fmt"
	"strings"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// samples reads `samples: e to "f.png"` and builds the function that computes the pictures: it sees what the train's statements declare, with
// `training` false and the same random numbers each time.
func (t *trainer) samples(p *plan.Train, name string) {
	g := t.set.given["samples"]
	if g == nil {
		return
	}
	c := t.clause("samples")
	at := g.node.Span()
	if c.Into == nil {
		f := &frame{elaborator: t.elaborator, function: t.init, scope: newScope(t.globals)}
		f.errorf(at, diag.MissingSetting, "`samples` does not say which file the pictures are drawn into").Fix = `write samples: ` + at.Text() + ` to "samples.png"`
		return
	}
	parts := t.parts
	t.parts = 0 // pictures are no batch
	f := t.begin(name, false, p)
	t.parts = parts
	f.function.fixedSeed = true
	s := &plan.Samples{Func: name, At: f.locate(c.Into.Span())}
	if !t.samplesFile(f, c.Into, s) {
		return
	}
	errors := len(t.diags.All)
	for _, st := range t.decl.Body.Stmts {
		switch st.(type) {
		case *syntax.Clause, *syntax.Minimize:
		default:
			f.statement(st)
		}
	}
	for _, n := range listed(g.node) {
		t.sample(f, n, s)
	}
	spread := t.wantsSpread && !t.spread
	t.elaborator.wantsSpread = false
	switch {
	case spread: // see Note [Gradients of examples]
		t.diags.All = t.diags.All[:errors]
		t.spread = true
		t.samples(p, name)
		return
	case len(t.diags.All) > errors:
		return
	}
	f.bindBatch(t.data)
	t.module.AddFunc(f.b.Func)
	p.Samples = s
}

// samplesFile reads the name of the file.
func (t *trainer) samplesFile(f *frame, n syntax.Expr, s *plan.Samples) bool {
	v := f.eval(n)
	file, ok := v.(text)
	switch {
	case isPoison(v):
		return false
	case !ok:
		f.errorf(n.Span(), diag.InvalidValue, "the name of the file is a text in quotes, not %s", describe(v)).Fix = `write to "samples.png"`
		return false
	case !strings.HasSuffix(string(file), ".png"):
		f.errorf(n.Span(), diag.UnknownFormat, "samples are drawn as PNG, into a file whose name ends in .png, not %q", string(file))
		return false
	}
	s.File = string(file)
	return true
}

// sample adds one of the values that are drawn.
func (t *trainer) sample(f *frame, n syntax.Expr, s *plan.Samples) {
	v := f.eval(n)
	f.enter(n)
	a, ok := f.asArray(n, v, tensor.F32)
	if !ok {
		return
	}
	shape, known := plan.Shape{}, true
	for _, d := range a.shape {
		size, constant := d.IsConst()
		shape, known = append(shape, size), known && constant
	}
	_, h, w, _, fits := shape.Pictures()
	switch {
	case !known:
		f.errorf(n.Span(), diag.InvalidValue, "a picture has the same size in each example, and this is %s", a.typ())
		return
	case a.dtype != tensor.F32 || !fits:
		d := f.errorf(n.Span(), diag.InvalidValue, "this is no picture: it is %s", a.typ())
		d.Fix = "pictures are f32[height, width], with 1 channel (grey) or 3 (red, green, blue) behind them, or several of these; Reshape gives a vector such a shape"
		return
	}
	if len(s.Results) > 0 {
		if _, h0, w0, _, _ := s.Results[0].Pictures(); h0 != h || w0 != w {
			f.errorf(n.Span(), diag.InvalidValue, "pictures beside each other have one size: the first is %d × %d pixels, and this %d × %d", h0, w0, h, w)
			return
		}
	}
	name, single := fmt.Sprintf("picture%d", len(s.Results)+1), !f.usesBatch(a)
	if single {
		f.b.Return(name, f.shared(a))
	} else {
		f.b.Return(name, f.examples(a))
	}
	s.Results, s.Single = append(s.Results, shape), append(s.Single, single)
}
