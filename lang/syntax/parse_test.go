package syntax

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
)

func TestDraftsParse(t *testing.T) {
	files, err := filepath.Glob("testdata/drafts/*.nn")
	if err != nil || len(files) == 0 {
		t.Fatal("no drafts", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, list := Parse(diag.NewFile(filepath.Base(name), string(text)))
			if list.HasErrors() {
				t.Error(list.Error())
			}
			golden(t, "testdata/trees/"+strings.TrimSuffix(filepath.Base(name), ".nn")+".txt", dump(file)+"\n")
		})
	}
}
