package lang

import (
	"strings"
	"testing"
)

// Every code can be explained: it has a file of its own, which says how to mend it and has an example.
func TestExplanations(t *testing.T) {
	explained := map[string]Explanation{}
	for _, x := range Explanations() {
		explained[string(x.Code)] = x
	}
	for _, code := range codes(t) {
		x, ok := explained[code]
		switch {
		case !ok:
			t.Errorf("there is no testdata/errors/%s.txt", code)
		case len(x.Examples) == 0:
			t.Errorf("%s has no example that shows it", code)
		case !strings.Contains(x.Text, "\n\nTo mend it: "):
			t.Errorf("%s does not say how to mend it, in a last paragraph that begins with \"To mend it: \"", code)
		case len(x.Summary()) < 10:
			t.Errorf("%s has no summary: %q", code, x.Summary())
		}
	}
}
