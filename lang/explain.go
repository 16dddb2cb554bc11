package lang

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

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
		comment, files := parts(string(raw))
		x := Explanation{Code: diag.Code(strings.TrimSuffix(path.Base(name), ".txt")), Text: strings.TrimSpace(comment)}
		reports := map[string]string{}
		for _, f := range files {
			if of, ok := strings.CutSuffix(f.name, ".out"); ok {
				reports[of] = f.text
			}
		}
		for _, f := range files {
			if of, ok := strings.CutSuffix(f.name, ".nn"); ok && strings.Contains(reports[of], fmt.Sprintf("[%s]", x.Code)) {
				x.Examples = append(x.Examples, ErrorExample{f.text, reports[of]})
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

// namedText is a file within a text.
type namedText struct{ name, text string }

// parts takes a text in the form of txtar apart: a comment, and files that follow lines such as "-- name --".
func parts(text string) (comment string, files []namedText) {
	to := &comment
	for line := range strings.Lines(text) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "-- ")
		if name, end := strings.CutSuffix(name, " --"); ok && end {
			files = append(files, namedText{name: strings.TrimSpace(name)})
			to = &files[len(files)-1].text
			continue
		}
		*to += line
	}
	return comment, files
}
