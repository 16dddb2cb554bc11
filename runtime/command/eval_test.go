package command

import (
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/plan"
)

// The article's line, to the letter; scripts read it.
func TestMeasuredIsTheArticlesLine(t *testing.T) {
	m := measured{train: &plan.Train{Metrics: []string{"accuracy", "mean_error"}}, values: map[string]float64{"loss": 0.4, "accuracy": 0.8125, "mean_error": 2}}
	for _, name := range []string{"1", "2", "3", "4", "5", "6", "7"} {
		m.broken = append(m.broken, name+".png: broken")
	}
	var out, notes strings.Builder
	m.print(&out, &notes)
	if want := "Test loss: 0.4000\nTest accuracy: 0.8125\nTest mean error: 2.0000\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	if got := notes.String(); strings.Count(got, "\n") != 7 || !strings.HasSuffix(got, "skipped 2 more\ndata: 7 broken test examples do not count\n") {
		t.Errorf("notes %q", got)
	}
}
