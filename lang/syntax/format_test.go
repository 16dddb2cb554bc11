package syntax

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/diag"
)

// The formatter changes nothing the second time, and never the tree.
func TestFormatDrafts(t *testing.T) {
	for name, src := range sources(t, "testdata/drafts/*.nn") {
		t.Run(src.Name, func(t *testing.T) {
			once, list := Format(src)
			if list.HasErrors() {
				t.Fatal(list)
			}
			twice, _ := Format(diag.NewFile(src.Name, once))
			if diff := cmp.Diff(once, twice); diff != "" {
				t.Errorf("not idempotent (-once +twice):\n%s", diff)
			}
			before, _ := Parse(src)
			after, _ := Parse(diag.NewFile(src.Name, once))
			if diff := cmp.Diff(dump(before), dump(after)); diff != "" {
				t.Errorf("the tree changed (-before +after):\n%s", diff)
			}
			golden(t, "testdata/formatted/"+src.Name, once)
			_ = name
		})
	}
}
