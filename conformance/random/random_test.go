package main

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/passes"
)

// needCode skips a test where no machine code can be made, except in CI.
func needCode(t *testing.T) []way {
	t.Helper()
	if _, err := native.FindToolchain(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	all := ways()
	if len(all) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("no level of machine code runs here")
		}
		t.Skip("this machine runs no machine code")
	}
	return all
}

// Random programs give the same on the interpreter and as machine code, on each level of this machine and in both maths.
func TestRandomPrograms(t *testing.T) {
	all := needCode(t)
	n := 1000
	if testing.Short() {
		n = 200
	}
	n = (n + len(all) - 1) / len(all) // in each way
	for k, w := range all {
		trials := drawn(k*n, n)
		check(trials, w)
		for _, tr := range trials {
			if tr.failure != "" {
				t.Errorf("program %d: %s\n%s", tr.number, tr.failure, tr.program)
			}
		}
	}
}

// chosen are what twenty programs have, one of them each at least.
var chosen = []string{
	"Conv2D(", "Conv1D(", "Pool2D(", "LSTM(", "GRU(", "SimpleRNN(", "MultiHead", "Embedding(", "BatchNorm(", "Dropout(", "LayerNorm(", "words", "Depthwise", "Conv2DTranspose",
	"global_norm", "by_example", "Mixing1", " else ", "grad(sum", "return_sequences",
}

// twenty returns programs that train and predict, one with each of the chosen.
func twenty(t *testing.T) []int {
	t.Helper()
	var all []int
	for _, what := range chosen {
		n := 0
		for slices.Contains(all, n) || !strings.Contains(generate(&choices{fresh: rand.New(rand.NewPCG(uint64(n), 1))}).text, what) {
			if n += 4; n > 20000 {
				t.Fatalf("no program has %s", what)
			}
		}
		all = append(all, n)
	}
	return all
}

var product = flag.Bool("product", false, "leave out every pair of passes and transformations, too")

// Without each optional pass, and without each of the transformations of machine code, twenty programs give what they give with all.
func TestWithoutEach(t *testing.T) {
	w := needCode(t)[0]
	numbers := twenty(t)
	var passNames, codeNames [][]string
	for _, p := range passes.All() {
		if !p.Required {
			passNames = append(passNames, []string{p.Name})
		}
	}
	for _, p := range native.Transformations() {
		codeNames = append(codeNames, []string{p.Name})
	}
	try := func(passes, code []string) {
		w := w
		w.without = code
		var trials []*trial
		for _, n := range numbers {
			tr := drawn(n, 1)[0]
			tr.without = passes
			trials = append(trials, tr)
		}
		check(trials, w)
		for _, tr := range trials {
			if tr.failure != "" {
				t.Errorf("program %d without %v: %s\n%s", tr.number, passes, tr.failure, tr.program)
			}
		}
	}
	for _, p := range passNames {
		try(p, nil)
	}
	for _, c := range codeNames {
		try(nil, c)
	}
	if !*product {
		return
	}
	for _, p := range passNames {
		for _, c := range codeNames {
			try(p, c)
		}
	}
	for i, p := range passNames {
		for _, q := range passNames[:i] {
			try(append(q[:1:1], p...), nil)
		}
	}
	for i, p := range codeNames {
		for _, q := range codeNames[:i] {
			try(nil, append(q[:1:1], p...))
		}
	}
}

// Programs that failed once.
func TestFoundPrograms(t *testing.T) {
	all := needCode(t)
	files, err := filepath.Glob("testdata/*.nn")
	if err != nil || len(files) == 0 {
		t.Fatal("no programs", err)
	}
	for _, w := range all {
		var trials []*trial
		for k, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			p, err := read(string(text))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if p.String() != string(text) {
				t.Errorf("%s reads as\n%s", name, p)
			}
			trials = append(trials, &trial{program: p, number: 4 * k})
		}
		check(trials, w)
		for k, tr := range trials {
			if tr.failure != "" {
				t.Errorf("%s: %s", files[k], tr.failure)
			}
		}
	}
}

// What is compared sees a small error in each result of each kind.
func TestErrorsAreSeen(t *testing.T) {
	seen := 0
	for _, tr := range drawn(0, 10) {
		tr.front()
		if tr.failure != "" || tr.truth.err != nil {
			t.Fatalf("program %d: %s %v", tr.number, tr.failure, tr.truth.err)
		}
		got := tr.interpret(tr.single.values[0].DType, 0)
		if d := tr.agrees(got); d != "" {
			t.Fatalf("program %d: the interpreter differs from itself: %s", tr.number, d)
		}
		for _, v := range got.values {
			i := v.Len() - 1
			if i < 0 || v.At(i) == 0 {
				continue
			}
			old := v.At(i)
			v.Set(i, old*1.02)
			if tr.agrees(got) != "" {
				seen++
			}
			v.Set(i, old)
		}
	}
	if seen < 40 {
		t.Errorf("%d errors are seen only", seen)
	}
}

func TestMinimise(t *testing.T) {
	c := &choices{fresh: rand.New(rand.NewPCG(9, 1))}
	fails := func(made []uint32) bool { return strings.Contains(generate(&choices{given: made}).text, "Conv2D(") }
	for k := uint64(0); ; k++ {
		c = &choices{fresh: rand.New(rand.NewPCG(k, 1))}
		if strings.Count(generate(c).text, "Conv2D(") == 2 {
			break
		}
	}
	small := generate(&choices{given: minimise(c.made, 2000, fails)})
	if !strings.Contains(small.text, "Conv2D(") || strings.Count(small.text, "let v") > 3 {
		t.Errorf("the smallest program is\n%s", small)
	}
	if again, err := read(small.String()); err != nil || again.String() != small.String() {
		t.Errorf("it reads as %v, %v", again, err)
	}
}
