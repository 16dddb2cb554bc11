package lang

import (
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// Words that tell in the name of a value, between its underscores, which values are better.
var (
	lowerWords = []string{
		"loss", "error", "mse", "mae", "rmse", "mape", "msle", "crossentropy", "perplexity", "divergence", "hinge", "huber", "distance",
	}
	higherWords = []string{"accuracy", "precision", "recall", "f1", "auc", "iou", "dice", "r2", "score", "reward"}
)

// clause returns a setting as it was written, or nil.
func (t *trainer) clause(name string) *syntax.Clause {
	for _, s := range t.decl.Body.Stmts {
		if c, ok := s.(*syntax.Clause); ok && c.Name.Name == name {
			return c
		}
	}
	return nil
}

// watch reads the settings that follow a value from epoch to epoch: keep, patience and plateau.
func (t *trainer) watch(f *frame, p *plan.Train) {
	p.Patience = t.set.integer("patience", 0, 1)
	p.Plateau = t.set.integer("plateau", 0, 1)
	if c := t.clause("keep"); c != nil {
		t.keep(f, c, p)
	}
	counted := slices.ContainsFunc(t.module.Func(p.StepVariant(1<<len(p.Every)-1)).Params, isPlateaus)
	switch g := t.set.given["plateau"]; {
	case g == nil && counted:
		d := f.errorf(t.headSpan(), diag.MissingSetting, "an optimizer counts `plateaus`, but this train does not say how long one is")
		d.Fix = "add plateau: 3, so that three epochs without a better value are one"
	case g != nil && !counted:
		d := f.errorf(g.name.Span(), diag.MissingSetting, "`plateau` changes nothing, as no optimizer uses the number of plateaus")
		d.Fix = "lower the learning rate with it, as in adam(lr: 0.001 * 0.5^plateaus)"
	}
}

// keep reads `keep: best val_loss`.
func (t *trainer) keep(f *frame, c *syntax.Clause, p *plan.Train) {
	unvalidated := t.unvalidated()
	validates := len(t.data) > 0 && unvalidated == nil
	name, ok := c.Value.(*syntax.Name)
	if c.Best == nil || !ok {
		d := f.errorf(c.Value.Span(), diag.InvalidValue, "`keep` says which epoch's weights are kept: the best by one value")
		d.Fix = "write keep: best loss"
		if validates {
			d.Fix = "write keep: best val_loss"
		}
		return
	}
	metric, validated := strings.CutPrefix(name.Name, "val_")
	if p.Tensors[metric] != nil {
		f.errorf(name.Span(), diag.NotScalar, "the best epoch is that of one number, and %s is a tensor", name.Name).Fix = "choose another metric, or the loss"
		return
	}
	if metric != plan.ResultLoss && !slices.Contains(p.Metrics, metric) {
		return // the names were checked
	}
	if validated && !validates {
		message := "`keep` needs " + name.Name + ", but there is no data to validate on"
		if unvalidated != nil {
			message = "`keep` needs " + name.Name + ", but the data " + unvalidated.decl.Name.Name + " has no validation split"
		}
		f.errorf(name.Span(), diag.NoValidation, "%s", message).Fix = "give the data a validation part, or use " + metric
		return
	}
	p.Keep, p.Watch = true, name.Name
	switch c.Best.Name {
	case "lowest":
	case "highest":
		p.Greater = true
	default:
		lower, higher := false, false
		for _, word := range strings.Split(metric, "_") {
			lower = lower || slices.Contains(lowerWords, word)
			higher = higher || slices.Contains(higherWords, word)
		}
		p.Greater = higher
		if lower == higher {
			d := f.errorf(c.Best.Span(), diag.UnknownDirection, "the name %s does not tell whether its best value is the lowest or the highest one", metric)
			d.Fix = "write keep: lowest " + name.Name + ", or keep: highest " + name.Name
		}
	}
}
