// Package access holds programs to the folders that the user lets them read and write: the one that the program lies in, and those that are
// allowed beside it. A program comes perhaps from a stranger; the paths in it do too.
package access

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nnc-lang/nnc/ir/plan"
)

// OutsideError says that a program's path leads where the user did not let it.
type OutsideError struct {
	Path   string // as the program has it
	Folder string // to allow
}

// Error says what to do.
func (e *OutsideError) Error() string {
	return fmt.Sprintf("%s lies outside of the program's folder: if the program may use it, add --allow %s", e.Path, e.Folder)
}

// Check tells whether the program may use a path, which starts from the program's folder if it is not absolute. Links count as where they lead.
//
// Errors: *OutsideError.
func Check(p *plan.Program, path string) error {
	if path == "" {
		return nil
	}
	base := filepath.Dir(p.File)
	full := path
	if !filepath.IsAbs(full) {
		full = filepath.Join(base, path)
	}
	at := resolved(full)
	for _, folder := range append([]string{base}, p.Allow...) {
		if inside(resolved(folder), at) {
			return nil
		}
	}
	folder := at
	if info, err := os.Stat(at); err != nil || !info.IsDir() {
		folder = filepath.Dir(at)
	}
	return &OutsideError{Path: path, Folder: folder}
}

// CheckData tells whether the program may use all that a data declaration names.
func CheckData(p *plan.Program, d *plan.Data) error {
	for _, path := range paths(d.Source) {
		if err := Check(p, path); err != nil {
			return err
		}
	}
	return nil
}

// paths lists the files and folders of a source.
func paths(s plan.Source) []string {
	files := func(f plan.Files) []string { return []string{f.Train, f.Validation, f.Test, f.Path} }
	switch {
	case s.ImageFolder != nil:
		return []string{s.ImageFolder.Train, s.ImageFolder.Validation, s.ImageFolder.Test, s.ImageFolder.Path}
	case s.IDX != nil:
		return []string{s.IDX.Images, s.IDX.Labels, s.IDX.TestImages, s.IDX.TestLabels}
	case s.CSV != nil:
		return files(s.CSV.Files)
	case s.Text != nil:
		return files(s.Text.Files)
	case s.WAV != nil:
		return files(s.WAV.Files)
	}
	return nil
}

// inside tells whether a path is a folder or lies in it; both are resolved.
func inside(folder, path string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// resolved is where a path leads: absolute, and with the links of as much of it as there is followed.
func resolved(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil { // there is no current folder: nothing lies in what is returned
		return path
	}
	rest := ""
	for at := abs; ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		// A link that leads to what is not there yet would be followed when that is made.
		if target, err := os.Readlink(at); err == nil {
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(at), target)
			}
			return filepath.Join(target, rest)
		}
		if at == filepath.Dir(at) {
			return abs
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}
