package lang

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
)

var update = flag.Bool("update", false, "rewrite the expected outputs in testdata")

// TestErrors compiles the programs in testdata/errors/CODE.txt, x.nn, and compares the report with x.out. x.set holds values of
// options, one a line; x.data is the error that reading the data gives; there are no files to import. Every program must show the code
// that the file is about.
func TestErrors(t *testing.T) {
	paths, err := filepath.Glob("testdata/errors/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, path := range paths {
		code := diag.Code(strings.TrimSuffix(filepath.Base(path), ".txt"))
		t.Run(string(code), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			archive := txtar.Parse(raw)
			if len(bytes.TrimSpace(archive.Comment)) == 0 {
				t.Error("the file does not say what the code means")
			}
			files := map[string]string{}
			for _, f := range archive.Files {
				files[f.Name] = string(f.Data)
			}
			now := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files {
				name, program := strings.CutSuffix(f.Name, ".nn")
				if !program {
					if !strings.HasSuffix(f.Name, ".out") {
						now.Files = append(now.Files, f)
					}
					continue
				}
				got := report(t, f.Name, string(f.Data), code, files[name+".set"], files[name+".data"])
				now.Files = append(now.Files, f, txtar.File{Name: name + ".out", Data: []byte(got)})
				if diff := cmp.Diff(files[name+".out"], got); diff != "" && !*update {
					t.Errorf("%s (-want +got):\n%s", f.Name, diff)
				}
			}
			if *update {
				if err := os.WriteFile(path, txtar.Format(now), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// report compiles a program and renders what is reported.
func report(t *testing.T, name, text string, code diag.Code, set, data string) string {
	t.Helper()
	options := Options{Set: map[string]string{}, Read: func(path string) (*diag.File, error) { return nil, fmt.Errorf("there is no file %s", path) }}
	for line := range strings.Lines(set) {
		option, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		options.Set[option] = value
	}
	if data != "" {
		options.Schema = func(*plan.Data) error { return errors.New(strings.TrimSpace(data)) }
	}
	p, list := Compile(diag.NewFile(name, text), options)
	if p != nil {
		t.Errorf("%s: no error was found", name)
	}
	if !slices.ContainsFunc(list.All, func(d *diag.Diagnostic) bool { return d.Code == code }) {
		t.Errorf("%s: no error has the code %s", name, code)
	}
	for _, d := range list.All {
		for _, s := range append([]diag.Related{{Span: d.Span}}, d.Related...) {
			if s.Span.IsZero() || s.Span.Start >= s.Span.End || s.Span.End > len(s.Span.File.Text) {
				t.Errorf("%s: %v has an empty place", name, d)
			}
		}
	}
	var b strings.Builder
	if err := diag.Render(&b, list, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Every code has an example: here, or in the goldens of the syntax.
func TestEveryCodeHasAnExample(t *testing.T) {
	examples := map[string]bool{}
	shown := ""
	for _, pattern := range []string{"testdata/errors/*.txt", "syntax/testdata/errors/*.txt"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("no examples match %s: %v", pattern, err)
		}
		for _, path := range paths {
			examples[strings.TrimSuffix(filepath.Base(path), ".txt")] = true
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			shown += string(raw)
		}
	}
	for _, code := range codes(t) {
		if !strings.Contains(shown, "error["+code+"]:") && !strings.Contains(shown, "warning["+code+"]:") {
			t.Errorf("no example shows %s", code)
		}
		delete(examples, code)
	}
	for _, path := range []string{"braces", "expressions", "lexical", "several", "statements"} { // of the syntax, by topic
		delete(examples, path)
	}
	for name := range examples {
		t.Errorf("testdata/errors/%s.txt is about no code", name)
	}
}

// codes lists the constants of type Code in package diag.
func codes(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, name := range []string{"codes.go", "codes_lang.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("../ir/diag", name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
				if lit, ok := v.Values[0].(*ast.BasicLit); ok {
					s, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, s)
				}
			}
			return true
		})
	}
	if len(out) < 60 {
		t.Fatalf("only %d codes found", len(out))
	}
	return out
}
