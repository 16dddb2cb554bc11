package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// text writes a text.
func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// only checks that a folder holds one file with these contents.
func only(t *testing.T, path, contents string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != contents {
		t.Errorf("%q, want %q", got, contents)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, s := range []string{"first", "second"} {
		if err := Write(path, 0o644, text(s)); err != nil {
			t.Fatal(err)
		}
		only(t, path, s)
	}
}

// A write that fails half-way leaves what was there, and nothing else.
func TestFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := Write(path, 0o644, text("good")); err != nil {
		t.Fatal(err)
	}
	full := errors.New("full")
	err := Write(path, 0o644, func(w io.Writer) error {
		io.WriteString(w, "half")
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	only(t, path, "good")
}

func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no such permissions")
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := Write(path, 0o600, text("a")); err != nil {
		t.Fatal(err)
	}
	mode := func() fs.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode()
	}
	if mode() != 0o600 {
		t.Errorf("new file: %v", mode())
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, 0o666, text("b")); err != nil {
		t.Fatal(err)
	}
	if mode() != 0o640 {
		t.Errorf("replaced file: %v", mode())
	}
}

// Errors do not name the file beside the one that is meant.
func TestErrorNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "f")
	err := Write(path, 0o644, text("a"))
	if !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "missing") {
		t.Errorf("no folder: %v", err)
	}
	if err := Write(t.TempDir(), 0o644, text("a")); err == nil || strings.Contains(err.Error(), string(filepath.Separator)) {
		t.Errorf("a folder's place: %v", err)
	}
}
