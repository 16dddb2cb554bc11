package syntax

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/diag"
)

var update = flag.Bool("update", false, "rewrite the expected outputs in testdata")

// golden compares got with the file, which -update rewrites.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// sources reads the files that match, by name.
func sources(t testing.TB, pattern string) map[string]*diag.File {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	files := map[string]*diag.File{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = diag.NewFile(filepath.Base(name), string(text))
	}
	return files
}

func TestErrors(t *testing.T) {
	for name, src := range sources(t, "testdata/errors/*.nn") {
		t.Run(src.Name, func(t *testing.T) {
			_, list := Parse(src)
			var b strings.Builder
			list.Sort()
			for len(list.All) > 0 { // more than one report holds
				n := min(len(list.All), diag.MaxShown)
				if err := diag.Render(&b, &diag.List{All: list.All[:n]}, false); err != nil {
					t.Fatal(err)
				}
				if list.All = list.All[n:]; len(list.All) > 0 {
					b.WriteByte('\n')
				}
			}
			golden(t, strings.TrimSuffix(name, ".nn")+".txt", b.String())
		})
	}
}
