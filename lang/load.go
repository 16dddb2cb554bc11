package lang

import (
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// weightSuffixes are the ends of the names of files of weights.
var weightSuffixes = []string{".h5", ".keras", ".safetensors", ".npz"}

func isWeights(file string) bool {
	return slices.ContainsFunc(weightSuffixes, func(s string) bool { return strings.HasSuffix(file, s) })
}

// load reads `load: "trunk.h5" into trunk`: which cells begin with the values in the file.
func (t *trainer) load(f *frame, p *plan.Train) {
	t.into(f)
	g := t.set.given["load"]
	if g == nil {
		return
	}
	l := &plan.Load{File: t.set.text("load", ""), At: f.locate(g.node.Span())}
	if l.File != "" && !isWeights(l.File) {
		f.errorf(g.node.Span(), diag.UnknownFormat, "weights are read from files whose names end in .h5, .keras, .safetensors or .npz, not %q", l.File)
		return
	}
	p.Load = l
	into := t.clause("load").Into
	if into == nil {
		return
	}
	v := f.eval(into)
	var inst *instance
	switch v := v.(type) {
	case poison:
		return
	case *modelValue:
		f.elaborateModel(v)
		inst = v.inst
	case *instance:
		inst = v
	default:
		f.errorf(into.Span(), diag.TypeMismatch, "weights are loaded into models and layers, not into %s", describe(v))
		return
	}
	l.Into, l.Root, l.Cells = into.Span().Text(), inst.path, []string{}
	for _, c := range inst.allCells() {
		if c.Kind == ir.Param || c.Kind == ir.State {
			l.Cells = append(l.Cells, c.Name)
		}
	}
	if len(l.Cells) == 0 {
		f.errorf(into.Span(), diag.NotTrained, "%s has no parameters that could be loaded", l.Into)
	}
}

// into refuses a second part of settings that have none.
func (t *trainer) into(f *frame) {
	for _, s := range t.decl.Body.Stmts {
		if c, ok := s.(*syntax.Clause); ok && c.Into != nil && c.Name.Name != "load" && c.Name.Name != "samples" {
			f.errorf(c.Into.Span(), diag.Misplaced, "`%s` is set to a value, and nothing follows it", c.Name.Name)
		}
	}
}

func isPlateaus(v *ir.Value) bool { return v.Name == plan.ParamPlateaus }
