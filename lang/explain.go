package lang

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/nnc-lang/nnc/ir/diag"
)

// The examples that TestErrors executes are those that users are shown, so what is shown is true.
//
//go:embed testdata/errors/*.txt
var errorText embed.FS

// Explanation says what a code means and how to mend what it is about, with programs that show it.
type Explanation struct {
	Code     diag.Code
	Text     string // paragraphs; the first begins with what the code means, the last says how to mend it
	Examples []ErrorExample
}

// ErrorExample is a wrong program and the report on it.
type ErrorExample struct {
	Program, Report string
}

// Explanations returns one explanation for each code, by name.
func Explanations() []Explanation {
	names, err := fs.Glob(errorText, "testdata/errors/*.txt")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	out := make([]Explanation, len(names))
	for i, name := range names {
		raw, err := errorText.ReadFile(name)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		archive := txtar.Parse(raw)
		x := Explanation{Code: diag.Code(strings.TrimSuffix(path.Base(name), ".txt")), Text: strings.TrimSpace(string(archive.Comment))}
		reports := map[string]string{}
		for _, f := range archive.Files {
			if of, ok := strings.CutSuffix(f.Name, ".out"); ok {
				reports[of] = string(f.Data)
			}
		}
		for _, f := range archive.Files {
			if of, ok := strings.CutSuffix(f.Name, ".nn"); ok && strings.Contains(reports[of], fmt.Sprintf("[%s]", x.Code)) {
				x.Examples = append(x.Examples, ErrorExample{string(f.Data), reports[of]})
			}
		}
		out[i] = x
	}
	return out
}

// Summary is the first sentence: what the code means.
func (x Explanation) Summary() string { return firstSentence(x.Text) }

// firstSentence ends at the first full stop that is followed by a space, in one line.
func firstSentence(text string) string {
	text, _, _ = strings.Cut(text, "\n\n")
	text = strings.Join(strings.Fields(text), " ")
	if i := strings.Index(text, ". "); i >= 0 {
		text = text[:i+1]
	}
	return text
}
