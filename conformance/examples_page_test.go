package conformance

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/conformance/results"
)

// docs/examples.md is made of what was kept of the examples, see package results, and of what they say of themselves. Every example that trains is in it.
func TestExamplesPage(t *testing.T) {
	claims, err := results.Claims("..")
	if err != nil {
		t.Fatal(err)
	}
	times, err := results.Times("..")
	if err != nil {
		t.Fatal(err)
	}
	peers, err := results.Peers("..")
	if err != nil {
		t.Fatal(err)
	}
	names, err := results.Names("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !slices.ContainsFunc(claims, func(c results.Claim) bool { return c.Name == name }) {
			t.Errorf("examples/results.json says nothing of %s", name)
		}
		if e := times[name]; e == nil || len(e.Runs) == 0 || e.Step == nil {
			t.Fatalf("examples/times.json does not say what %s takes: go run ./conformance/times %s, and the same with -steps", name, name)
		}
	}
	page := examplesPage(t, claims, times, peers)
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

// peerNames are what compare calls other frameworks.
var peerNames = map[string]string{"tf:keras": "Keras", "tf:fn": "TensorFlow function", "torch:eager": "PyTorch", "torch:eager-cl": "PyTorch, channels last"}

// peerExamples are the examples that resemble the networks of conformance/peers.
var peerExamples = map[string]string{"catdog": "catdog", "mnistmlp": "digits", "charlstm": "charrnn", "gptmini": "gpt"}

func examplesPage(t *testing.T, claims []results.Claim, times map[string]*results.Example, peers []results.Peer) string {
	t.Helper()
	var b strings.Builder
	machines := times[claims[0].Name].Machines()
	b.WriteString(`# Examples

<!-- Made by go test ./conformance -run TestExamplesPage -update from examples/results.json, times.json, peers.json and the examples' own first lines. -->

Each example is one file, and its data is beside it or made by a formula in it. Weights are those at the end of the training, with seeds 1, 2, 3 (transfer: 1 to 5; diagnosis: its five folds); no seed and no moment to stop
was chosen by the test data.

A training's time is processor time of the command, natively, compiling included, in the median over the seeds; two free cores need about half of it. A step is one update of the first training of the program, the median by ` + "`nnc bench --phase train`" + `,
natively and with ` + "`--backend interp`" + `. `)
	fmt.Fprintf(&b, "Both were measured on %s, which did other work at the same time (`go run ./conformance/times`, and the same with `-steps`).\n\n", strings.Join(machines, " and "))
	b.WriteString("| example | task | target | reached | training, s | a step natively, ms | in the interpreter, ms |\n|---|---|---|---|---|---|---|\n")
	measured := map[string]string{}
	for _, c := range claims {
		e := times[c.Name]
		if e == nil {
			t.Fatalf("examples/results.json names %s, which examples/times.json has not", c.Name)
		}
		values, err := c.Of(e)
		if err != nil {
			t.Fatal(err)
		}
		measured[c.Name] = list(values)
		seconds := number(e.Seconds())
		if m := e.Machines(); !slices.Equal(m, machines) {
			seconds += " on " + strings.Join(m, " and ")
		}
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s | %s | %s | %s |\n", c.Name, c.Name, c.Task, c.Target, measured[c.Name], seconds, number(e.Step.Native), number(e.Step.Interp))
	}
	b.WriteString("\nThe worked example [`mlp321`](../examples/mlp321/mlp321.nn) is described in [results.md](results.md).\n")
	writePeers(t, &b, peers)
	for _, c := range claims {
		source := fmt.Sprintf("../examples/%s/%s.nn", c.Name, c.Name)
		text, err := os.ReadFile(source)
		if err != nil {
			t.Errorf("results.json names an example that is not there: %v", err)
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n[%s](%s) · %s: %s", c.Name, introduction(string(text)), filepath.Base(source), source, c.Measure, measured[c.Name])
		if c.Note != "" {
			fmt.Fprintf(&b, " (%s)", c.Note)
		}
		b.WriteString("\n")
		picture := fmt.Sprintf("images/%s.png", c.Name)
		if _, err := os.Stat(filepath.Join("../docs", picture)); err != nil {
			t.Errorf("%s has no picture: %v", c.Name, err)
		}
		fmt.Fprintf(&b, "\n<img src=%q alt=\"the values of %s by epoch\" width=\"420\">\n", picture, c.Name)
		measured := fmt.Sprintf("images/%s-eval.png", c.Name)
		if _, err := os.Stat(filepath.Join("../docs", measured)); err == nil {
			fmt.Fprintf(&b, "\n<img src=%q alt=\"what nnc eval draws of %s: which classes are taken for which, and the ROC curve\" width=\"420\">\n", measured, c.Name)
		}
		if strings.Contains(string(text), "\n    samples:") {
			samples := fmt.Sprintf("images/%s-samples.png", c.Name)
			if _, err := os.Stat(filepath.Join("../docs", samples)); err != nil {
				t.Errorf("%s draws samples, and there are none: %v", c.Name, err)
			}
			fmt.Fprintf(&b, "\n<img src=%q alt=\"samples of %s\" width=\"420\">\n", samples, c.Name)
		}
	}
	return b.String()
}

// writePeers writes the table of the networks that others compute as well.
func writePeers(t *testing.T, b *strings.Builder, peers []results.Peer) {
	t.Helper()
	b.WriteString(`
## Beside Keras and PyTorch

The networks of [conformance/peers](../conformance/peers/README.md), which are the same in all frameworks, with the same weights and batches: a training step in milliseconds on two threads. Those of an
example's kind are not of its size, but for catdog, which is the article's at 150×150 pixels. A peer's figure counts if its loss after three updates is nnc's to 5e-4; TensorFlow's of mnistmlp is 7e-4 off and left out. The command is in the first lines of conformance/peers/compare.

| network | like | batch | nnc | TensorFlow | PyTorch |
|---|---|---|---|---|---|
`)
	for _, p := range peers {
		example, ok := peerExamples[p.Workload]
		if !ok || p.Phase != "train" {
			t.Errorf("examples/peers.json has %s %s, for which the page has no place", p.Workload, p.Phase)
		}
		of := map[string]string{"tf": "", "torch": ""}
		for _, name := range slices.Sorted(maps.Keys(p.Peers)) {
			framework, _, _ := strings.Cut(name, ":")
			if peerNames[name] == "" {
				t.Errorf("examples/peers.json has %s, for which the page has no name", name)
			}
			of[framework] = fmt.Sprintf("%s (%s)", number(p.Peers[name]), peerNames[name])
		}
		fmt.Fprintf(b, "| [%s](../conformance/peers/%s.nn) | [%s](#%s) | %d | %s | %s | %s |\n", p.Workload, p.Workload, example, example, p.Batch, number(p.NNC), of["tf"], of["torch"])
	}
	fmt.Fprintf(b, "\nThese were measured on %s, nnc and its peers in turns.\n", peers[0].Machine)
}

// number writes a time with two or three digits that mean something.
func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2g", v)
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
