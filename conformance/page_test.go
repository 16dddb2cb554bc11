package conformance

import (
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir"
)

var update = flag.Bool("update", false, "write docs/conformance.md and docs/examples.md anew")

// articleRow is a row of the article that the project implements: what it says, the tests that show that nnc does it, how closely
// they compare, and what of it nnc does not do yet.
type articleRow struct {
	says      string
	tests     string // folder: names; …
	tolerance string
	open      string
}

// articleRows are all things that the article says concretely, in its order.
var articleRows = []articleRow{
	{
		says:      "Preprocess (clean, standardise), design, train until a preset target, evaluate, deploy",
		tests:     "conformance: TestTableTrains, TestStandardisedFieldsHaveMeanZero, TestCatDogCommand, TestDigitsCommand; runtime/data: TestCSV, TestBrokenFilesAreSkipped; cmd/nnc: TestScripts; runtime/payload: TestRoundTrip; codegen/gopkg: TestPackages; examples/embed: TestClassify",
		tolerance: "mean 0 and deviation 1 of the training split; the texts that are printed, by executables too; a Go package's predictions are those of the interpreter",
	},
	{
		says:      "Data → algorithm → model → optimisation → compute → data, drawn as a graph",
		tests:     "cmd/nnc: TestScripts; ir/graph: TestMermaid, TestDOT, TestSVG",
		tolerance: "the whole text",
	},
	{
		says:      "Recurrent networks: a hidden state updated at each step, the next word or audio frame out, back-propagation through time",
		tests:     "conformance: TestLibrary, TestRecurrentLayers, TestRecurrentLengths, TestScansUnrolled, TestTextTrainsInStreams, TestRecordingsTrain, TestStepAgreesWithWholeText, TestDraws; passes: TestRandomScans",
		tolerance: "of each case; in double precision 1e-9 of the value",
	},
	{
		says:      "Forward `z = W a + b`, `a = σ(z)`; backward `δ = ∂C/∂a · σ'(z)`, `∂C/∂W = δ aᵀ`, `∂C/∂b = δ`: the 3-2-1 example, and its mistakes",
		tests:     "conformance: TestArticle, TestArticleAsPrinted; cmd/nnc: TestScripts",
		tolerance: "of each number, a few roundings; in double precision 1e-9; the errors of the printed version to the column",
	},
	{
		says:      "The cat and dog network at 150×150, 19,034,177 parameters",
		tests:     "conformance: TestFullCatDog, TestCatDogActivations; cmd/nnc: TestScripts",
		tolerance: "predictions 1e-6; activations and gradients 2e-6 of the largest element",
	},
	{
		says:      "Adam, binary cross-entropy, accuracy, with Keras's defaults",
		tests:     "conformance: TestCatDogSteps, TestInitialisers, TestLibrary",
		tolerance: "losses 2e-6, weights after 20 steps 1e-5",
	},
	{
		says:      "ImageDataGenerator and flow_from_directory: scaling, labels by sorted folder, nearest neighbour, repeated where shorter",
		tests:     "conformance: TestCatDogLabels, TestCatDogFit; runtime/data: TestPhotosAreKerasGenerators, TestPixelsAreKeras, TestOrderIsKeras, TestFoldersBelowAreKerasOrder",
		tolerance: "pixels and labels exactly",
	},
	{
		says:      "fit: steps of an epoch, epochs, validation steps, one line for each epoch",
		tests:     "conformance: TestCatDogFit, TestCatDogCommand; runtime/train: TestEpochLine",
		tolerance: "losses 2e-6; the line as the article has it",
	},
	{
		says:      "Load `model.h5`, evaluate, print `Test accuracy: …`",
		tests:     "conformance: TestKerasFiles, TestKerasLayers, TestCatDogCommand; runtime/command: TestMeasuredIsTheArticlesLine",
		tolerance: "weights exactly, predictions 1e-6; the line exactly",
	},
	{
		says:      "GAN, GPT, CNN, RNN; supervised, unsupervised and reinforcement learning",
		tests:     "conformance: TestNetworks, TestJobs, TestExamples, TestExamplesPage, TestPrograms",
		tolerance: "backends and passes among each other: 2e-5 in single, 1e-9 in double precision",
	},
	{
		says:      "Applications: image recognition, translation, sentiment, chat, driving, recommendation, medicine",
		tests:     "conformance: TestCatDogCommand, TestDigitsCommand, TestJobs, TestExamples",
		tolerance: "an accuracy that is reached",
	},
	{
		says:      "Limits: compute, data quality, interpretability, privacy",
		tests:     "cmd/nnc: TestScripts; conformance: TestJobs; runtime/data: TestTextLargerThanMemory",
		tolerance: "the whole report on the data",
		open:      "`nnc explain`; the ε of private training",
	},
	{
		says:      "Keras and PyTorch",
		tests:     "conformance: TestLibrary, TestLibraryWithoutPasses, TestNetworks, TestKerasFiles, TestKerasLayers, TestWritten, TestImport, TestTorch",
		tolerance: "of each case",
		open:      "ONNX",
	},
}

// docs/conformance.md says which test shows what of the article, with which tolerance, and how many goldens there are. It is made of
// the tables here, the goldens and the tests that exist; -update writes it.
func TestConformancePage(t *testing.T) {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Conformance\n\nMade by `go test ./conformance -run TestConformancePage -update`; a test fails where it is out of date.\n\n## The article, row by row\n")
	line("| # | the article says | tests that show it | they compare | not yet |\n|---|---|---|---|---|")
	for i, row := range articleRows {
		line("| %d | %s | %s | %s | %s |", i+1, row.says, testLinks(t, row.tests), row.tolerance, row.open)
	}

	line("\n## Rules of the language\n\nEach is shown by programs that must hold on every backend, and by others that must be refused at the line at fault: %s reads them from [testdata/rules](../conformance/testdata/rules).\n",
		testLinks(t, "conformance: TestRules"))
	line("| # | rule | holds | refused |\n|---|---|---|---|")
	for _, r := range readRules(t) {
		var holds, refused []string
		for _, c := range r.cases {
			if c.refused {
				refused = append(refused, c.says)
			} else {
				holds = append(holds, c.says)
			}
		}
		cell := func(s string) string { return strings.ReplaceAll(s, "|", "\\|") }
		line("| %s | %s | %s | %s |", r.number, cell(r.title), cell(strings.Join(holds, "; ")), cell(strings.Join(refused, "; ")))
	}

	line("\n## Goldens of the library\n\nEach tensor has a tolerance of its own, about two roundings above the error that was measured; `atol + rtol · |value|`.\n")
	line("| framework | kind | cases | tensors | least and greatest atol | greatest rtol |\n|---|---|---|---|---|---|")
	type sum struct {
		cases, tensors    int
		least, most, rtol float64
	}
	sums := map[string]*sum{}
	total := 0
	for _, c := range libraryCases(t) {
		key := c.Framework + " | " + c.Kind
		s := sums[key]
		if s == nil {
			s = &sum{least: 1}
			sums[key] = s
		}
		total++
		s.cases++
		s.tensors += len(c.tensors)
		for _, tol := range c.Tolerance {
			s.least, s.most, s.rtol = min(s.least, tol[0]), max(s.most, tol[0]), max(s.rtol, tol[1])
		}
	}
	for _, key := range sortedKeys(sums) {
		s := sums[key]
		if s.most == 0 {
			line("| %s | %d | %d | 2e-6 of the greatest element | 2e-5 |", key, s.cases, s.tensors)
			continue
		}
		line("| %s | %d | %d | %.3g to %.3g | %.3g |", key, s.cases, s.tensors, s.least, s.most, s.rtol)
	}
	line("\n%d cases in all. In double precision: %g + %g · |value|, where the goldens hold double precision.", total, double.atol, double.rtol)

	line("\n## Goldens of programs\n\n| goldens | tensors | of them with a tolerance of their own |\n|---|---|---|")
	var own map[string][2]float64
	raw, err := os.ReadFile(filepath.Join("testdata", "tolerances.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &own); err != nil {
		t.Fatal(err)
	}
	for _, g := range []struct{ file, prefix string }{{"article", ""}, {"reduced_steps", "reduced_20_adam_steps/"}, {"full", "full_catdog/"}} {
		all := readTensors(t, g.file)
		known := 0
		for name := range all {
			if _, ok := own[g.prefix+strings.TrimPrefix(name, g.prefix)]; ok {
				known++
			}
		}
		line("| %s | %d | %d |", g.file, len(all), known)
	}
	var networkTolerances map[string][2]float64
	if raw, err = os.ReadFile(filepath.Join("testdata", "networks", "tolerances.json")); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &networkTolerances); err != nil {
		t.Fatal(err)
	}
	line("| %d networks of PyTorch | %d | %d |", len(networks), len(readTensors(t, filepath.Join("networks", "networks"))), len(networkTolerances))
	line("\n`go test ./conformance -run 'TestLibrary$|TestNetworks' -v` ends with how many cases and networks agree, for each backend and precision.")

	rows, smooth := 0, 0
	ir.Ops(func(op ir.Op) {
		if op.Row().Class == ir.ClassScalar {
			rows++
			if op != ir.OpStop {
				smooth++
			}
		}
	})
	line("\n## Every row of the op table\n\n| what | rows | tests |\n|---|---|---|")
	line("| the gradient against differences in double precision | %d | %s |", smooth, testLinks(t, "ir: TestGradientsOfRows, TestGradientsAtKinks"))
	line("| the backends against its meaning | %d | %s |", rows, testLinks(t, "codegen/interp: TestEveryOp; codegen/native: TestEveryOp"))
	line("| nests of random shapes, index maps and bodies, and their gradients | drawn at random | %s |",
		testLinks(t, "codegen/interp: TestRandomNests, TestRandomContractions; codegen/native: TestRandomNests, TestRandomGraphs; passes: TestRandomGradients, TestRandomScans; conformance/random: TestRandomPrograms"))

	path := filepath.Join("..", "docs", "conformance.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if is, err := os.ReadFile(path); err != nil || string(is) != b.String() {
		t.Errorf("docs/conformance.md is out of date (%v): go test ./conformance -run TestConformancePage -update", err)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// testLinks writes a list of tests as links to the files that hold them; a test that does not exist is an error.
func testLinks(t *testing.T, list string) string {
	t.Helper()
	var out []string
	for _, part := range strings.Split(list, "; ") {
		folder, names, _ := strings.Cut(part, ": ")
		where := testsIn(t, folder)
		for _, name := range strings.Split(names, ", ") {
			file, ok := where[name]
			if !ok {
				t.Errorf("%s has no test %s", folder, name)
				continue
			}
			out = append(out, fmt.Sprintf("[%s](../%s/%s)", name, folder, file))
		}
	}
	return strings.Join(out, ", ")
}

// testsIn finds the tests of a package, and the files that they are in.
func testsIn(t *testing.T, folder string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(folder), "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no tests: %v", folder, err)
	}
	out := map[string]string{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Test") {
				out[fn.Name.Name] = filepath.Base(file)
			}
		}
	}
	return out
}
