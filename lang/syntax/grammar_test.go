package syntax

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The grammar for editors colours the words that the lexer knows, and no others.
func TestEditorWords(t *testing.T) {
	text, err := os.ReadFile("../../editors/nn.tmLanguage.json")
	if err != nil {
		t.Fatal(err)
	}
	var grammar struct {
		Patterns []struct{ Name, Match, Begin, End string }
	}
	if err := json.Unmarshal(text, &grammar); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, p := range grammar.Patterns {
		for _, source := range []string{p.Match, p.Begin, p.End} {
			if _, err := regexp.Compile(strings.ReplaceAll(source, "(?=", "(?:")); err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
		switch p.Name {
		case "keyword.control.nn", "constant.language.nn", "support.function.reduction.nn":
			words = append(words, strings.Split(strings.TrimSuffix(strings.TrimPrefix(p.Match, `\b(`), `)\b`), "|")...)
		}
	}
	var want []string
	for _, list := range [][]string{declarationWords, statementWords, innerWords, reductionWords} {
		want = append(want, list...)
	}
	slices.Sort(words)
	slices.Sort(want)
	if diff := cmp.Diff(slices.Compact(want), words); diff != "" {
		t.Errorf("words of the lexer (-) and of the grammar (+): %s", diff)
	}
}
