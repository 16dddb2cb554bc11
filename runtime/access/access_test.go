package access

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/nnc-lang/nnc/ir/plan"
)

func TestCheck(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"home/data", "elsewhere", "home2"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if runtime.GOOS != "windows" {
		for link, target := range map[string]string{"out": "../elsewhere", "new": "../elsewhere/not/there", "in": "data"} {
			if err := os.Symlink(target, filepath.Join(dir, "home", link)); err != nil {
				t.Fatal(err)
			}
		}
	}
	elsewhere := filepath.Join(dir, "elsewhere")
	for _, c := range []struct {
		path  string
		allow []string
		want  string // the folder to allow
	}{
		{"", nil, ""},
		{"model.h5", nil, ""},
		{"data/not/there", nil, ""},
		{"data/../model.h5", nil, ""},
		{filepath.Join(dir, "home", "data"), nil, ""},
		{"in/x", nil, ""},
		{"..", nil, dir},
		{"../home2", nil, filepath.Join(dir, "home2")},
		{"data/../../elsewhere/f", nil, elsewhere},
		{"../elsewhere/f", []string{elsewhere}, ""},
		{elsewhere, nil, elsewhere},
		{elsewhere, []string{dir}, ""},
		{"out/f", nil, elsewhere},
		{"out/f", []string{elsewhere}, ""},
		{"new", nil, filepath.Join(elsewhere, "not")},
	} {
		err := Check(&plan.Program{File: filepath.Join(dir, "home", "p.nn"), Allow: c.allow}, c.path)
		var outside *OutsideError
		switch {
		case c.want == "" && err != nil, c.want != "" && !errors.As(err, &outside):
			t.Errorf("%q, allowed %v: %v", c.path, c.allow, err)
		case c.want != "" && outside.Folder != c.want:
			t.Errorf("%q: allow %s, want %s", c.path, outside.Folder, c.want)
		}
	}
}

// Every file and folder of every kind of source is looked at.
func TestCheckData(t *testing.T) {
	p := &plan.Program{File: filepath.Join(t.TempDir(), "p.nn")}
	for _, s := range []plan.Source{
		{ImageFolder: &plan.ImageFolder{Files: plan.Files{Test: "/"}}},
		{ImageFolder: &plan.ImageFolder{Files: plan.Files{Path: "/"}}},
		{IDX: &plan.IDX{Images: "x", TestLabels: "../../x"}},
		{CSV: &plan.CSV{Files: plan.Files{Train: "../x.csv"}}},
		{Text: &plan.Text{Files: plan.Files{Path: "a", Validation: "../x"}}},
		{WAV: &plan.WAV{Files: plan.Files{Path: "/"}}},
	} {
		if err := CheckData(p, &plan.Data{Source: s}); err == nil {
			t.Errorf("%+v may be read", s)
		}
	}
	if err := CheckData(p, &plan.Data{Source: plan.Source{Synthetic: &plan.Synthetic{Train: 1}}}); err != nil {
		t.Error(err)
	}
}
