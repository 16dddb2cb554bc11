package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/codegen/native"
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
