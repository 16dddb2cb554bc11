package train

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// target is a train's until clause; nil where it has none.
type target struct {
	prog runtime.Program
	fn   *ir.Func
	text string
}

func newTarget(prog runtime.Program, t *plan.Train) *target {
	if t.Until == "" {
		return nil
	}
	fn := prog.Module().Func(t.Until)
	if fn == nil {
		panic(fmt.Sprintf("BUG: the program has no function %s", t.Until))
	}
	return &target{prog, fn, t.Target}
}

// check finds out before the first step whether the epochs will have the values that the target asks for.
func (g *target) check(known []string, validation bool) error {
	if g == nil {
		return nil
	}
	for _, p := range g.fn.Params {
		if slices.Contains(known, p.Name) {
			continue
		}
		if strings.HasPrefix(p.Name, "val_") && !validation {
			return fmt.Errorf("until: %s needs %s, but the data has no validation split: give it one, or aim at a value of the training split", g.text, p.Name)
		}
		return fmt.Errorf("until: %s needs %s; an epoch has %s", g.text, p.Name, strings.Join(known, ", "))
	}
	return nil
}

// reached reports whether the values of an epoch meet the target.
func (g *target) reached(values map[string]float64) (bool, error) {
	if g == nil || values == nil {
		return false, nil
	}
	args := make([]*tensor.Tensor, len(g.fn.Params))
	for i, p := range g.fn.Params {
		args[i] = tensor.New(p.Type.DType)
		args[i].Set(0, values[p.Name])
	}
	results, err := g.prog.Call(g.fn.Name, args...)
	if err != nil {
		return false, fmt.Errorf("until: %s: %w", g.text, err)
	}
	return results[0].At(0) != 0, nil
}

// missed says how near the epochs came to the target: the best value where it is one bound of one value, else the last ones.
func (g *target) missed(history []map[string]float64) string {
	text := fmt.Sprintf("target %s not reached in %s", g.text, epochsText(len(history)))
	name, greater, ok := g.bound()
	if !ok {
		last := history[len(history)-1]
		values := map[string]float64{}
		for _, p := range g.fn.Params {
			values[p.Name] = last[p.Name]
		}
		for i, n := range slices.Sorted(maps.Keys(values)) {
			sep := ", "
			if i == 0 {
				sep = ": at the end "
			}
			text += fmt.Sprintf("%s%s %s", sep, n, shortValue(values[n]))
		}
		return text
	}
	best, at := math.NaN(), 0
	for i, values := range history {
		v := values[name]
		if math.IsNaN(v) {
			continue
		}
		if at == 0 || greater && v > best || !greater && v < best {
			best, at = v, i+1
		}
	}
	if at == 0 {
		return text + ": it never was a number"
	}
	return text + fmt.Sprintf(": best %s at epoch %d", shortValue(best), at)
}

var boundForm = regexp.MustCompile(`^\s*([^\s<>=]+)\s*(>=|<=|>|<)\s*([^\s<>=]+)\s*$`)

// bound reads a target of the form "name >= number", or the other way round, and tells whether greater is better.
func (g *target) bound() (name string, greater, ok bool) {
	if len(g.fn.Params) != 1 {
		return "", false, false
	}
	name = g.fn.Params[0].Name
	words := boundForm.FindStringSubmatch(g.text)
	if words == nil || (words[1] != name && words[3] != name) {
		return "", false, false
	}
	words = words[1:]
	switch words[1] {
	case ">", ">=":
		return name, words[0] == name, true
	case "<", "<=":
		return name, words[0] != name, true
	}
	return "", false, false
}

// shortValue writes four significant digits without closing zeros.
func shortValue(v float64) string { return fmt.Sprintf("%.4g", v) }

func epochsText(n int) string {
	if n == 1 {
		return "1 epoch"
	}
	return fmt.Sprintf("%d epochs", n)
}
