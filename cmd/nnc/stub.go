package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync"

	nnc "github.com/nnc-lang/nnc"
)

// stub returns the program that a model is attached to, for a system and a kind of processor: the one that a release has beside nnc, else one
// built from the source in nnc, else a copy of nnc itself. note says where it comes from, if it is the last.
func stub(goos, goarch string) (executable []byte, note string, err error) {
	own, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("nnc cannot find its own file: %w", err)
	}
	if b, err := os.ReadFile(filepath.Join(filepath.Dir(own), stubName(goos, goarch))); err == nil && bytes.Contains(b, []byte(sourceSum())) {
		return b, "", nil
	}
	b, why := buildStub(goos, goarch)
	if why == nil {
		return b, "", nil
	}
	if goos != goruntime.GOOS || goarch != goruntime.GOARCH {
		return nil, "", fmt.Errorf("an executable for %s/%s needs Go, or the file %s of the release beside nnc: %w", goos, goarch, stubName(goos, goarch), why)
	}
	if b, err = os.ReadFile(own); err != nil {
		return nil, "", fmt.Errorf("nnc cannot read its own file: %w", err)
	}
	return b, fmt.Sprintf("the executable is a copy of nnc itself, with the compiler in it, since %s", why), nil
}

func stubName(goos, goarch string) string { return "nnc-runtime-" + goos + "-" + goarch }

// errNoGo says that there is no Go.
var errNoGo = errors.New("there is no `go` in PATH")

// buildStub builds the program from the source in nnc. The same source gives the same bytes.
func buildStub(goos, goarch string) ([]byte, error) {
	tool, err := exec.LookPath("go")
	if err != nil {
		return nil, errNoGo
	}
	dir, err := os.MkdirTemp("", "nnc-build-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	err = eachSource(func(path string, content []byte) error {
		to := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return err
		}
		return os.WriteFile(to, content, 0o666)
	})
	if err != nil {
		return nil, err
	}
	out := filepath.Join(dir, "stub")
	cmd := exec.Command(tool, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid= -X main.Source="+sourceSum(), "-o", out, "./runtime/main")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOWORK=off", "GO111MODULE=on", "GOEXPERIMENT=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("`go build` of nnc's runtime fails: %.1000s", strings.TrimSpace(string(text)))
	}
	return os.ReadFile(out)
}

// eachSource goes through the files that the program is built from.
func eachSource(do func(path string, content []byte) error) error {
	return fs.WalkDir(nnc.Source, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := nnc.Source.ReadFile(path)
		if err != nil {
			return err
		}
		return do(path, content)
	})
}

// sourceSum names the source in nnc. A program built from it holds this text.
var sourceSum = sync.OnceValue(func() string {
	h := sha256.New()
	err := eachSource(func(path string, content []byte) error {
		fmt.Fprintf(h, "%s %d\n", path, len(content))
		h.Write(content)
		return nil
	})
	if err != nil {
		panic("BUG: the source in nnc cannot be read: " + err.Error())
	}
	return "nnc-source-" + hex.EncodeToString(h.Sum(nil))
})
