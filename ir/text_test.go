package ir

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/diag"
)

func parsed(t testing.TB, text string) *Module {
	t.Helper()
	m, err := Parse(diag.NewFile("test.nnir", text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return m
}

func TestForms(t *testing.T) {
	text, err := os.ReadFile("testdata/forms.nnir")
	if err != nil {
		t.Fatal(err)
	}
	m := parsed(t, string(text))
	if diff := cmp.Diff(string(text), Print(m)); diff != "" {
		t.Errorf("-text +printed:\n%s", diff)
	}
}
