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
	"github.com/nnc-lang/nnc/ir"
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

// Without each optional pass, and without each of the transformations of machine code, some programs give what they give with all: twenty that are drawn, and those of
// testdata/each, for what those do not make use of. Each is left out of something.
func TestWithoutEach(t *testing.T) {
	w := needCode(t)[0]
	var passNames, codeNames []string
	for _, p := range passes.All() {
		if !p.Required {
			passNames = append(passNames, p.Name)
		}
	}
	for _, p := range native.Transformations() {
		codeNames = append(codeNames, p.Name)
	}
	numbers, written := twenty(t), files(t, "testdata/each/*.nn")
	// fresh returns the programs after the front end and the passes without some, and what these make of them.
	fresh := func(without ...string) ([]*trial, string) {
		var trials []*trial
		for _, n := range numbers {
			trials = append(trials, drawn(n, 1)...)
		}
		for k, p := range written {
			trials = append(trials, &trial{program: p, number: 4 * k})
		}
		for k, tr := range trials {
			tr.number, tr.without = 4*k, without // all train and predict
		}
		each(trials, (*trial).front)
		var text strings.Builder
		for _, tr := range trials {
			if tr.module != nil {
				text.WriteString(ir.Print(tr.module))
			}
		}
		return trials, text.String()
	}
	// try compares machine code without some transformations with the interpreter, and returns it.
	try := func(trials []*trial, passes string, without ...string) string {
		w := w
		if !slices.Contains(without, optimize) { // which takes longer than all else
			w.without = append(w.without, optimize)
			w.without = append(w.without, without...)
		}
		code := compare(trials, w)
		for _, tr := range trials {
			if tr.failure != "" {
				t.Errorf("program %d without %s: %s\n%s", tr.number, passes, tr.failure, tr.program)
			}
			if tr.module != nil { // machine code of it can be tried again
				tr.failure = ""
			}
		}
		if code == nil {
			return ""
		}
		return string(code.Code) + string(code.Tables())
	}
	all, text := fresh()
	code := try(all, "no pass")
	for _, p := range passNames {
		trials, without := fresh(p)
		if without == text {
			t.Errorf("the pass %s changes none of the programs", p)
		}
		try(trials, p)
	}
	for _, c := range codeNames {
		if try(all, "no pass", c) == code {
			t.Errorf("the transformation %s changes none of the programs", c)
		}
	}
	if !*product {
		return
	}
	for i, p := range passNames {
		trials, _ := fresh(p)
		for _, c := range codeNames {
			try(trials, p, c)
		}
		for _, q := range passNames[:i] {
			trials, _ := fresh(p, q)
			try(trials, p+" and "+q)
		}
	}
	for i, p := range codeNames {
		for _, q := range codeNames[:i] {
			if p != optimize {
				try(all, "no pass", p, q)
			}
		}
	}
}

// files reads the programs of files.
func files(t *testing.T, pattern string) []*program {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatal("no programs", err)
	}
	var all []*program
	for _, name := range names {
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
		p.name = name
		all = append(all, p)
	}
	return all
}

// Programs that failed once.
func TestFoundPrograms(t *testing.T) {
	found := files(t, "testdata/*.nn")
	for _, w := range needCode(t) {
		var trials []*trial
		for k, p := range found {
			trials = append(trials, &trial{program: p, number: 4 * k})
		}
		check(trials, w)
		for _, tr := range trials {
			if tr.failure != "" {
				t.Errorf("%s: %s", tr.name, tr.failure)
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
