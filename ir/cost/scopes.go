package cost

import (
	"slices"

	"github.com/nnc-lang/nnc/ir"
)

// Scopes returns the layer of each instruction of f. A fn that a layer calls leaves no scope in its instructions; they belong to the
// layer all the same, which is found out from what they read, from the place in the program they share with the layer's own
// instructions, or from the instructions between which they stand.
func Scopes(f *ir.Func) map[*ir.Instr]string {
	scopes := map[*ir.Instr]string{}
	known := map[*ir.Instr]bool{}
	set := func(i *ir.Instr, scope string) { scopes[i], known[i] = scope, true }
	type place struct {
		file      string
		line, col int
	}
	at := func(i *ir.Instr) place { return place{i.Loc.File, i.Loc.Line, i.Loc.Col} }
	byPlace := map[place][]string{} // the layers that have instructions of their own there
	for _, i := range f.Body {
		if i.Loc.Scope == "" {
			continue
		}
		set(i, i.Loc.Scope)
		if seen := byPlace[at(i)]; len(seen) == 0 || seen[len(seen)-1] != i.Loc.Scope {
			byPlace[at(i)] = append(seen, i.Loc.Scope)
		}
	}
	users := map[*ir.Value][]*ir.Instr{}
	for _, i := range f.Body {
		for _, a := range i.Args {
			users[a] = append(users[a], i)
		}
	}
	// Nearest instructions first: those that read a layer's cells, forwards, …
	for _, i := range f.Body {
		if known[i] {
			continue
		}
		for _, a := range i.Args {
			if a.Def != nil && a.Def.Op == ir.OpRead && scopes[a.Def] != "" {
				set(i, scopes[a.Def])
			}
		}
	}
	// … then those at the place of one layer, or of several one of which made an operand (a layer in a loop), …
	for _, i := range f.Body {
		here := byPlace[at(i)]
		switch {
		case known[i]:
		case len(here) == 1:
			set(i, here[0])
		default:
			for _, a := range i.Args {
				if a.Def != nil && slices.Contains(here, scopes[a.Def]) {
					set(i, scopes[a.Def])
				}
			}
		}
	}
	// … then, backwards, those whose value only one layer uses, if that layer is at this place too or has made an operand.
	for k := len(f.Body) - 1; k >= 0; k-- {
		i := f.Body[k]
		if known[i] {
			continue
		}
		user, one := "", true
		for _, r := range i.Results {
			for _, u := range users[r] {
				one = one && (user == "" || user == scopes[u])
				user = scopes[u]
			}
		}
		if !one || user == "" {
			continue
		}
		inside := false
		for _, a := range i.Args {
			inside = inside || a.Def != nil && scopes[a.Def] == user
		}
		for _, s := range byPlace[at(i)] {
			inside = inside || s == user
		}
		if inside {
			set(i, user)
		}
	}
	return scopes
}
