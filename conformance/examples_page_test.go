package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exampleResult is what one example came to, as examples/results.json keeps it: measured by its command, with seeds from 1 on.
type exampleResult struct {
	Name, Task, Target, Measure string
	Measured                    []float64
	Seconds                     float64 // of processor time of a run, compiling included
	Note                        string
}

// docs/examples.md is made of examples/results.json and of what the examples say of themselves.
func TestExamplesPage(t *testing.T) {
	text, err := os.ReadFile("../examples/results.json")
	if err != nil {
		t.Fatal(err)
	}
	var results []exampleResult
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&results); err != nil {
		t.Fatal(err)
	}
	page := examplesPage(t, results)
	const file = "../docs/examples.md"
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(kept), page); diff != "" {
		t.Errorf("docs/examples.md is stale; write it with go test ./conformance -run TestExamplesPage -update\n%s", diff)
	}
}

func examplesPage(t *testing.T, results []exampleResult) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# Examples

<!-- Made by go test ./conformance -run TestExamplesPage -update from examples/results.json and the examples' own first lines. -->

Each example is one file, and its data is beside it or made by a formula in it. Weights are those at the end of the training, with seeds 1, 2, 3 (transfer: 1 to 5; diagnosis: its five folds); no seed and no moment to stop
was chosen by the test data. Times are processor time of one run with ` + "`--backend native`" + ` on an AMD EPYC (Zen 3; Zen 5 for charrnn, gpt, kmeans, translate and those after it), compiling included; a run uses two cores.

| example | task | target | reached | time |
|---|---|---|---|---|
`)
	for _, r := range results {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %.0f s |\n", r.Name, r.Name, r.Task, r.Target, list(r.Measured), r.Seconds)
	}
	b.WriteString("\nThe first examples, [`catdog`](../examples/catdog/catdog.nn) and the worked [`mlp321`](../examples/mlp321/mlp321.nn), are described in the README and in [results.md](results.md).\n")
	for _, r := range results {
		source := fmt.Sprintf("../examples/%s/%s.nn", r.Name, r.Name)
		text, err := os.ReadFile(source)
		if err != nil {
			t.Errorf("results.json names an example that is not there: %v", err)
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n[%s](%s) · %s: %s", r.Name, introduction(string(text)), filepath.Base(source), source, r.Measure, list(r.Measured))
		if r.Note != "" {
			fmt.Fprintf(&b, " (%s)", r.Note)
		}
		b.WriteString("\n")
		picture := fmt.Sprintf("images/%s.png", r.Name)
		if _, err := os.Stat(filepath.Join("../docs", picture)); err != nil {
			t.Errorf("%s has no picture: %v", r.Name, err)
		}
		fmt.Fprintf(&b, "\n<img src=%q alt=\"the values of %s by epoch\" width=\"420\">\n", picture, r.Name)
		measured := fmt.Sprintf("images/%s-eval.png", r.Name)
		if _, err := os.Stat(filepath.Join("../docs", measured)); err == nil {
			fmt.Fprintf(&b, "\n<img src=%q alt=\"what nnc eval draws of %s: which classes are taken for which, and the ROC curve\" width=\"420\">\n", measured, r.Name)
		}
		if strings.Contains(string(text), "\n    samples:") {
			samples := fmt.Sprintf("images/%s-samples.png", r.Name)
			if _, err := os.Stat(filepath.Join("../docs", samples)); err != nil {
				t.Errorf("%s draws samples, and there are none: %v", r.Name, err)
			}
			fmt.Fprintf(&b, "\n<img src=%q alt=\"samples of %s\" width=\"420\">\n", samples, r.Name)
		}
	}
	return b.String()
}

func list(values []float64) string {
	var texts []string
	for _, v := range values {
		texts = append(texts, fmt.Sprintf("%.4g", v))
	}
	return strings.Join(texts, ", ")
}

// introduction is the comment that a program begins with, its commands as code.
func introduction(program string) string {
	var b strings.Builder
	for line := range strings.Lines(program) {
		text, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "//")
		if !ok {
			break
		}
		b.WriteString(strings.TrimPrefix(text, " ") + "\n")
	}
	return b.String()
}
