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

// Note [Reports]
//
// Whoever evaluates a classifier wants to see its confusion matrix, precision, recall and so on, whether or not the train lists them. That a
// train is one of a classifier shows in its loss: a call of a library loss of classes, whose target is a class of each example. The function of the
// report measures what the train lists, and then the library's metrics of the arguments of that call, under the same names.

// judgement is a call of a loss of classes.
type judgement struct {
	p, target *array
	logits    bool
}

// classLosses are the library's losses whose arguments are p and target, what is judged and its class.
var classLosses = []string{"binary_crossentropy", "binary_focal_crossentropy", "crossentropy", "categorical_crossentropy"}

// judge notes the call of a loss, whose arguments s has, if it is one of classes.
func (f *frame) judge(fn *fnValue, site *callSite, s *scope) {
	if f.judged == nil || f.indexing || f.scan != nil || fn.scope != f.std || f.isStd(site.at) || !slices.Contains(classLosses, fn.decl.Name.Name) {
		return
	}
	p, ok := s.names["p"].value.(*array)
	if !ok {
		return
	}
	target, ok := s.names["target"].value.(*array)
	if !ok || !f.usesBatch(p) || !f.usesBatch(target) {
		return
	}
	logits := false
	if b := s.names["from_logits"]; b != nil {
		v, _ := b.value.(boolean)
		logits = bool(v)
	}
	*f.judged = append(*f.judged, judgement{p, target, logits})
}

// report builds the function that measures what the train lists and what Note [Reports] adds, if that is something.
func (t *trainer) report(p *plan.Train, name string) {
	if !t.options.Report {
		return
	}
	listed, before := *p, len(t.module.Cells)
	t.reporting = true
	fn, ok := t.function(name, false, p)
	t.reporting = false
	r := &plan.Report{Func: name, Metrics: p.Metrics, Running: p.Running, Tensors: p.Tensors}
	for _, c := range t.module.Cells[before:] {
		r.Cells = append(r.Cells, c.Name)
	}
	p.Metrics, p.Running, p.OnlyEval, p.Tensors = listed.Metrics, listed.Running, listed.OnlyEval, listed.Tensors
	for _, m := range r.Metrics {
		if !slices.Contains(p.Metrics, m) {
			r.Added = append(r.Added, m)
		}
	}
	if ok && len(r.Added) > 0 {
		t.module.AddFunc(fn)
		p.Report = r
	}
}

// judge adds the metrics of classifiers to those that a train lists.
func (t *trainer) judge(f *frame, metrics []metric) []metric {
	type question struct{ name, text string }
	var seen []judgement
	for _, j := range *f.judged {
		if slices.ContainsFunc(seen, func(o judgement) bool { return sameValue(o.p, j.p) && sameValue(o.target, j.target) }) {
			continue
		}
		n, target, ok := f.judgedClasses(j)
		if !ok {
			continue
		}
		seen = append(seen, j)
		p := "p"
		var questions []question
		if n <= 2 {
			switch {
			case n == 2 && j.logits:
				p = "softmax(p)[1]"
			case n == 2:
				p = "p[1]"
			case j.logits:
				p = "sigmoid(sum(p))"
			default:
				p = "sum(p)"
			}
			questions = []question{
				{"confusion_matrix", "confusion_matrix([k < 1] => " + p + ", " + target + ")"},
				{"precision", "precision(" + p + ", " + target + ")"},
				{"recall", "recall(" + p + ", " + target + ")"},
				{"f1", "f1(" + p + ", " + target + ")"},
				{"auc", "auc(" + p + ", " + target + ")"},
				{"roc", "roc(" + p + ", " + target + ")"},
			}
		} else {
			questions = []question{
				{"confusion_matrix", "confusion_matrix(p, " + target + ")"},
				{"precision", "precision(p, " + target + `, top_k: 1, average: "macro")`},
				{"recall", "recall(p, " + target + `, top_k: 1, average: "macro")`},
				{"f1", "f1(p, " + target + `, average: "macro")`},
			}
		}
		inner := f.with(newScope(f.std))
		inner.scope.set("p", j.p, diag.Span{})
		inner.scope.set("target", j.target, diag.Span{})
		for _, q := range questions {
			if len(seen) > 1 {
				q.name = fmt.Sprintf("%s_%d", q.name, len(seen))
			}
			if slices.ContainsFunc(metrics, func(m metric) bool { return m.name == q.name }) {
				continue
			}
			e, list := syntax.ParseExpr(diag.NewFile("report", q.text))
			if list.HasErrors() {
				panic("BUG: the report asks for " + q.text)
			}
			if m, ok := t.measured(inner, q.name, e); ok {
				metrics = append(metrics, m)
			}
		}
	}
	return metrics
}

// judgedClasses is how many outputs a judgement has, and its target as a class. ok is false where it is not about one class of each example.
func (f *frame) judgedClasses(j judgement) (n int, target string, ok bool) {
	n = 1
	switch len(j.p.shape) {
	case 0:
	case 1:
		if n, ok = j.p.shape[0].IsConst(); !ok {
			return 0, "", false
		}
	default:
		return 0, "", false
	}
	switch {
	case j.target.dtype == tensor.I32 && len(j.target.shape) == 0:
		most := max(n, 2)
		if ids, known := f.classesOf(j.target); known && ids > most {
			return 0, "", false
		}
		return n, "target", true
	case j.target.dtype == tensor.F32 && len(j.target.shape) == 1 && n > 1 && j.target.shape[0].Equal(ir.Int(n)):
		return n, "argmax(target)", true
	}
	return 0, "", false
}
