package passes

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
)

var update = flag.Bool("update", false, "write what the passes make into testdata")

// TestGolden runs passes on IR text. The first line of a file's comment names them, as "passes: grad gather"; the files are "in"
// and "out", or "error" where a pass refuses.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.ToSlash(name)[len("testdata/"):], ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			archive := txtar.Parse(raw)
			first, _, _ := strings.Cut(string(archive.Comment), "\n")
			list, ok := strings.CutPrefix(first, "passes: ")
			if !ok {
				t.Fatalf("%s does not begin with a line of passes", name)
			}
			m, err := ir.Parse(diag.NewFile(name, string(archive.Files[0].Data)))
			if err != nil {
				t.Fatal(err)
			}
			kind, got := "out", ""
			if err := Run(m, Options{Only: strings.Fields(list), VerifyEach: true}); err != nil {
				kind, got = "error", err.Error()+"\n"
			} else {
				got = ir.Print(m)
			}
			if *update {
				archive.Files = append(archive.Files[:1], txtar.File{Name: kind, Data: []byte(got)})
				if now := txtar.Format(archive); !bytes.Equal(now, raw) {
					if err := os.WriteFile(name, now, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				return
			}
			if len(archive.Files) != 2 || archive.Files[1].Name != kind {
				t.Fatalf("%s expects something else than %s:\n%s", name, kind, got)
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Errorf("want (-) and got (+) differ:\n%s", diff)
			}
		})
	}
}
