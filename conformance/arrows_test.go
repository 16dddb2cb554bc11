package conformance

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Data flows lang → ir → passes → codegen → runtime. A package may import, of this module, only what its row names (and itself): each
// entry is a folder, with all below it.
var arrows = []struct {
	folder string
	may    []string
}{
	{"ir/diag", nil},
	{"ir/tensor", nil},
	{"ir/plan", []string{"ir"}},
	{"ir", []string{"ir/diag", "ir/tensor"}},
	{"lang/syntax", []string{"ir/diag"}},
	{"lang", []string{"lang/syntax", "ir"}},
	{"convert", []string{"lang/syntax"}},
	{"passes", []string{"ir"}},
	{"codegen", []string{"ir", "runtime"}},
	{"runtime/main", []string{"ir", "runtime", "codegen", "codegen/interp"}},
	{"runtime", []string{"ir"}},
}

const module = "github.com/nnc-lang/nnc/"

func TestArrows(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		from := strings.TrimPrefix(words[0], module)
		for _, a := range arrows {
			if !within(from, a.folder) {
				continue
			}
			checked++
			for _, to := range words[1:] {
				to, ours := strings.CutPrefix(to, module)
				if ours && !within(to, a.folder) && !withinAny(to, a.may) {
					t.Errorf("%s imports %s, against the flow of data", from, to)
				}
			}
			break
		}
	}
	if checked < len(arrows) {
		t.Errorf("checked %d packages only", checked)
	}
}

// TestRunningNeedsNoCompiler keeps what makes code out of what runs it: a compiled program carries the latter, and the interpreter for where
// there is no code.
func TestRunningNeedsNoCompiler(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, "../runtime/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	compiler := []string{
		module + "lang", module + "passes", module + "codegen/native", module + "codegen/image",
		"github.com/llir/llvm", "github.com/alecthomas/participle/v2",
	}
	interpreter := []string{module + "codegen", "gonum.org/v1/gonum"}
	programs := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		not := compiler
		if within(words[0], module+"runtime/main") {
			programs++
		} else {
			not = append(slices.Clone(compiler), interpreter...)
		}
		for _, pkg := range words[1:] {
			if withinAny(pkg, not) {
				t.Errorf("%s depends on %s", words[0], pkg)
			}
		}
	}
	if programs == 0 {
		t.Error("the program that models are attached to was not looked at")
	}
}

func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

func withinAny(pkg string, folders []string) bool {
	for _, f := range folders {
		if within(pkg, f) {
			return true
		}
	}
	return false
}

// downloads are the modules that `go install` of nnc fetches, with the megabytes of each that has more than one: 15 MB together with nnc's own two.
var downloads = []string{
	"github.com/VividCortex/ewma", "github.com/acarl005/stripansi", "github.com/alecthomas/kong", "github.com/alecthomas/participle/v2",
	"github.com/clipperhouse/uax29/v2", "github.com/fatih/color", "github.com/klauspost/cpuid/v2", "github.com/llir/llvm",
	"github.com/mattn/go-colorable", "github.com/mattn/go-isatty", "github.com/mattn/go-runewidth",
	"github.com/mewmew/float", // 5.1, for llir/llvm
	"github.com/nnc-lang/nnc", "github.com/pkg/errors", "github.com/vbauerster/cupwriter", "github.com/vbauerster/mpb/v8",
	"golang.org/x/sys", // 2.1
	"golang.org/x/term",
	"gonum.org/v1/gonum", // 4.7
}

// TestInstallIsSmall keeps the modules that nnc is installed from few: at most 20 MB are to be downloaded.
func TestInstallIsSmall(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "../cmd/nnc")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(out))
	slices.Sort(got)
	if diff := cmp.Diff(downloads, slices.Compact(got)); diff != "" {
		t.Errorf("modules that an install downloads (-listed +needed):\n%s", diff)
	}
}
