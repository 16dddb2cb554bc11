package lang

import "testing"

// Every function that is written in Go is described, and every description is of one.
func TestBuiltinsAreDescribed(t *testing.T) {
	known := map[string]bool{}
	for _, b := range Builtins() {
		known[b.Name] = true
		if b.Use == "" || b.Doc == "" {
			t.Errorf("builtinDocs says nothing about %s", b.Name)
		}
	}
	for name := range builtinDocs {
		if !known[name] {
			t.Errorf("builtinDocs describes %s, which is no function", name)
		}
	}
}
