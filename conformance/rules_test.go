package conformance

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/runtime/train"
)

// rule is what testdata/rules/NN.txtar says of one rule of the language: programs that it allows, and others that it refuses.
type rule struct {
	number, title string
	cases         []*ruleCase
}

// ruleCase is a program of a rule. One that is allowed has tests that hold, or trains whose metrics called off… are 0 in all epochs, and
// whose metrics called same… are alike in all trains. One that is refused has comments `// ERROR code`, for each error on the line where it is.
type ruleCase struct {
	says    string
	refused bool
	text    string
	files   map[string]string // in the program's folder
}

func readRules(t *testing.T) []*rule {
	t.Helper()
	paths, err := filepath.Glob("testdata/rules/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var rules []*rule
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r := &rule{number: strings.TrimLeft(strings.TrimSuffix(filepath.Base(path), ".txtar"), "0"), title: string(bytes.TrimSpace(a.Comment))}
		for _, f := range a.Files {
			says, refused := strings.CutPrefix(f.Name, "refused: ")
			of, file, isFile := strings.Cut(says, "/")
			if !isFile {
				r.cases = append(r.cases, &ruleCase{says: says, refused: refused, text: string(f.Data), files: map[string]string{}})
				continue
			}
			last := r.cases[len(r.cases)-1]
			if of != last.says {
				t.Fatalf("%s: the file %s follows %s", path, f.Name, last.says)
			}
			last.files[file] = string(f.Data)
		}
		rules = append(rules, r)
	}
	return rules
}

// Every rule of the language holds, on every backend, and what a rule forbids is refused where it stands.
func TestRules(t *testing.T) {
	rules := readRules(t)
	if len(rules) != 20 {
		t.Errorf("%d rules", len(rules))
	}
	for _, r := range rules {
		for _, c := range r.cases {
			t.Run(r.number+"/"+c.says, func(t *testing.T) {
				if c.refused {
					c.isRefused(t)
					return
				}
				onEachAlone(t, c.holds)
			})
		}
	}
}

var errorComment = regexp.MustCompile(`// ERROR ([a-z-]+)`)

func (c *ruleCase) isRefused(t *testing.T) {
	t.Helper()
	var want []string
	for i, line := range strings.Split(c.text, "\n") {
		for _, m := range errorComment.FindAllStringSubmatch(line, -1) {
			want = append(want, fmt.Sprintf("%d: %s", i+1, m[1]))
		}
	}
	if len(want) == 0 {
		t.Fatal("the program does not say which error it has")
	}
	_, _, list := readWithData(t, c.text, c.files)
	var got []string
	for _, d := range list.All {
		if d.Severity == diag.Error {
			got = append(got, fmt.Sprintf("%d: %s", d.Span.File.Position(d.Span.Start).Line, d.Code))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors (-want +got):\n%s%s", diff, rendered(t, list))
	}
}

func (c *ruleCase) holds(t *testing.T, s setting) {
	t.Helper()
	p := openProgramOn(t, c.text, c.files, s)
	run := &compiled{p.plan, p.prog}
	run.runTests(t, c.says)
	shown := 0
	same := map[string]float64{}
	for _, tr := range p.plan.Trains {
		r, err := train.Run(context.Background(), p.prog, p.plan, tr, train.Options{NoCheckpoint: true, NoSave: true})
		if err != nil {
			t.Fatal(err)
		}
		for i, epoch := range r.History {
			for _, name := range sortedKeys(epoch) {
				v := epoch[name]
				name := strings.TrimPrefix(name, "val_")
				if strings.HasPrefix(name, "off") {
					shown++
					if !(math.Abs(v) <= 1e-5) {
						t.Errorf("%s is %v in epoch %d", name, v, i+1)
					}
				}
				if strings.HasPrefix(name, "same") {
					name := fmt.Sprintf("%s of epoch %d", name, i+1)
					if first, ok := same[name]; ok {
						shown++
						if !(math.Abs(v-first) <= 1e-6) {
							t.Errorf("%s is %v, and %v in another train", name, first, v)
						}
					} else {
						same[name] = v
					}
				}
			}
		}
	}
	if len(p.plan.Tests) == 0 && shown == 0 {
		t.Error("the program shows nothing")
	}
}
