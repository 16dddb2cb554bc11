package lang

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
)

// Every nn block of the documentation is a program that compiles.
func TestDocs(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal("no documentation", err)
	}
	block := regexp.MustCompile("(?s)```nn\n(.*?)```")
	blocks := 0
	for _, name := range append(files, "../README.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllSubmatchIndex(text, -1) {
			blocks++
			line := strings.Count(string(text[:m[2]]), "\n") + 1
			program, list := Compile(diag.NewFile(filepath.Base(name), string(text[m[2]:m[3]])), Options{})
			if program == nil {
				t.Errorf("%s:%d: %s", name, line, list.Error())
			}
		}
	}
	if blocks < 10 {
		t.Errorf("found %d blocks only", blocks)
	}
}
