package lang

import (
	"sort"

	"github.com/nnc-lang/nnc/ir/diag"
)

// scope maps names to what they stand for. Outer scopes are searched after inner ones.
type scope struct {
	outer *scope
	names map[string]*binding
}

// binding is a name's value and the place where it was given.
type binding struct {
	value value
	at    diag.Span
	from  diag.Span // of a parameter or dimension: the argument that gave it, see Note [Requirements]; zero for a default
}

func newScope(outer *scope) *scope { return &scope{outer: outer, names: map[string]*binding{}} }

// lookup finds a name in s or the scopes around it.
func (s *scope) lookup(name string) *binding {
	for ; s != nil; s = s.outer {
		if b := s.names[name]; b != nil {
			return b
		}
	}
	return nil
}

// set gives name a value in s itself.
func (s *scope) set(name string, v value, at diag.Span) { s.names[name] = &binding{value: v, at: at} }

// assign changes the value of a name where it is bound.
func (s *scope) assign(name string, v value) {
	if b := s.lookup(name); b != nil {
		b.value = v
	}
}

// visible lists all names in reach, for suggestions.
func (s *scope) visible() []string {
	seen := map[string]bool{}
	for ; s != nil; s = s.outer {
		for n := range s.names {
			seen[n] = true
		}
	}
	names := make([]string, 0, len(seen))
	for n := range seen {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
