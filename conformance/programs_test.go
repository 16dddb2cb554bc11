package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
)

// The tests that programs declare hold with all passes and without each of the optional ones.
func TestPrograms(t *testing.T) {
	onEach(t, func(t *testing.T, s setting) {
		for _, name := range []string{"library.nn", "layers.nn"} {
			for _, disable := range append([]string{""}, optionalPasses()...) {
				s := s
				if disable != "" {
					s.disable = []string{disable}
				}
				c := compile(t, source(t, filepath.Join("testdata", name)), lang.Options{}, s)
				c.runTests(t, name+" without "+disable)
			}
		}
	})
}

// Every nn block of the documentation is a program that compiles, and its tests hold. Of its data only texts are needed to compile, and these
// are taken to have three characters.
func TestDocs(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal("no documentation", err)
	}
	block := regexp.MustCompile("(?s)```nn\n(.*?)```")
	texts := func(d *plan.Data) error {
		for i := range d.Fields {
			if d.Source.Text != nil {
				d.Fields[i].Labels = []string{"a", "b", "c"}
			}
		}
		return nil
	}
	blocks, tests := 0, 0
	for _, name := range append(files, "../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllSubmatchIndex(text, -1) {
			blocks++
			at := fmt.Sprintf("%s:%d", filepath.Base(name), strings.Count(string(text[:m[2]]), "\n")+1)
			onEach(t, func(t *testing.T, s setting) {
				c := compile(t, diag.NewFile(at, string(text[m[2]:m[3]])), lang.Options{Schema: texts}, s)
				tests += len(c.plan.Tests)
				c.runTests(t, at)
			})
		}
	}
	if blocks < 10 || tests < 8 {
		t.Errorf("found %d blocks with %d tests only", blocks, tests)
	}
}

// runTests runs the tests of a program, each from the first values of seed 0.
func (c *compiled) runTests(t *testing.T, what string) {
	t.Helper()
	for _, test := range c.plan.Tests {
		c.init(t, 0)
		results := c.call(t, test.Func, nil)
		for _, x := range test.Expects {
			left := results[x.Left]
			for i := range left.Len() {
				if !expected(x, results, i) {
					t.Errorf("%s: %s: expect %s: %v and %v", what, test.Name, x.Text, left, results[x.Right])
					break
				}
			}
		}
	}
}

// expected reports whether element i meets an expectation.
func expected(x plan.Expect, results []*tensor.Tensor, i int) bool {
	left := results[x.Left].At(i)
	if x.Op == "" {
		return left != 0
	}
	return x.Holds(left, results[x.Right].At(i))
}
