package native

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// The versions of LLVM that are known to accept what llir prints, which is LLVM IR with typed pointers.
const (
	oldestLLVM = 14
	newestLLVM = 19
)

// ErrNoLLVM says that no code generator was found; the text says how to get one.
var ErrNoLLVM = errors.New("LLVM was not found; `apt-get install llvm-19` (or llvm of any version from 14 to 19) installs it, NNC_LLC can name its llc")

// Toolchain is LLVM's code generator on this machine.
type Toolchain struct {
	Path    string // of llc, or of clang standing in for it
	Version int    // major
	clang   bool
}

// FindToolchain returns the newest llc that can be used, or else a clang. It looks for the program that the environment variable NNC_LLC
// names, and if that is not set for the usual names in PATH.
//
// Errors: ErrNoLLVM; an NNC_LLC that cannot be used.
func FindToolchain() (*Toolchain, error) {
	if name := os.Getenv("NNC_LLC"); name != "" {
		t, err := probe(name)
		if err != nil {
			return nil, fmt.Errorf("NNC_LLC=%s cannot be used: %w", name, err)
		}
		return t, nil
	}
	return found()
}

// found searches PATH once in the life of the process.
var found = sync.OnceValues(func() (*Toolchain, error) {
	for _, tool := range []string{"llc", "clang"} {
		for v := newestLLVM; v >= oldestLLVM; v-- {
			if t, err := probe(fmt.Sprintf("%s-%d", tool, v)); err == nil {
				return t, nil
			}
		}
		if t, err := probe(tool); err == nil {
			return t, nil
		}
	}
	return nil, ErrNoLLVM
})

var llvmVersion = regexp.MustCompile(`(?:LLVM|clang) version (\d+)\.`)

// probe runs a program to see what it is.
func probe(name string) (*Toolchain, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, err
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w", path, err)
	}
	m := llvmVersion.FindSubmatch(out)
	if m == nil {
		return nil, fmt.Errorf("%s does not say which version of LLVM it is", path)
	}
	v, err := strconv.Atoi(string(m[1]))
	if err != nil || v < oldestLLVM || v > newestLLVM {
		return nil, fmt.Errorf("%s is of LLVM %s; versions %d to %d can be used", path, m[1], oldestLLVM, newestLLVM)
	}
	return &Toolchain{Path: path, Version: v, clang: strings.HasPrefix(filepath.Base(path), "clang") || bytes.Contains(out, []byte("clang version"))}, nil
}

// triple is the machine that code is made for. One name serves all systems, since the code calls none.
const triple = "x86_64-unknown-linux-gnu"

// flags returns the arguments that compile standard input to standard output.
func (t *Toolchain) flags(cpu, filetype string) []string {
	if t.clang {
		emit := "-c"
		if filetype == "asm" {
			emit = "-S"
		}
		return []string{
			"-O3", "--target=" + triple, "-march=" + cpu, "-fPIC", "-fno-asynchronous-unwind-tables",
			"-Xclang", "-disable-llvm-passes", "-Wno-override-module", emit, "-x", "ir", "-", "-o", "-",
		}
	}
	return []string{"-O3", "-mtriple=" + triple, "-mcpu=" + cpu, "-relocation-model=pic", "-filetype=" + filetype, "-", "-o", "-"}
}

// compile compiles LLVM IR for a processor to an object file, or with the file type "asm" to assembly text.
func (t *Toolchain) compile(text []byte, cpu, filetype string) ([]byte, error) {
	cmd := exec.Command(t.Path, t.flags(cpu, filetype)...)
	cmd.Stdin = bytes.NewReader(text)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %.1000s", t.Path, err, strings.TrimSpace(msg.String()))
	}
	return out.Bytes(), nil
}
