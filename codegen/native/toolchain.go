package native

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The versions of LLVM that are known to accept what llir prints, which is LLVM IR with typed pointers.
const (
	oldestLLVM = 14
	newestLLVM = 19
)

// InstallLLVM says how to get LLVM.
const InstallLLVM = "`apt-get install llvm-19` installs it (any version from 14 to 19 will do), and so does `pip install ziglang` on any Linux"

// ErrNoLLVM says that no code generator was found; the text says how to get one.
var ErrNoLLVM = errors.New("LLVM was not found; " + InstallLLVM + "; NNC_LLC can name an llc that is not in PATH")

// newestZig is the clang within the newest zig that is known to do so.
const newestZig = 22

// Toolchain is LLVM's code generator on this machine.
type Toolchain struct {
	Path    string // of llc, or of clang or zig standing in for it
	Version int    // major, of LLVM
	kind    toolKind
	args    []string // that make the program clang
	plain   bool     // it does not optimise
}

type toolKind uint8

const (
	llcTool toolKind = iota
	clangTool
	zigTool // clang as "zig cc": it reads files only, by their names
)

// FindToolchain returns the newest llc that can be used, or else a clang, or else the clang within a zig. It looks for the program that the environment variable NNC_LLC
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
	for _, words := range [][]string{{"zig", "cc"}, {"python-zig", "cc"}, {"python3", "-m", "ziglang", "cc"}} {
		if t, err := probe(words[0], words[1:]...); err == nil {
			return t, nil
		}
	}
	return nil, ErrNoLLVM
})

var llvmVersion = regexp.MustCompile(`(?:LLVM|clang) version (\d+)\.`)

// probe runs a program to see what it is.
func probe(name string, args ...string) (*Toolchain, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, err
	}
	if len(args) == 0 && strings.Contains(filepath.Base(path), "zig") {
		args = []string{"cc"}
	}
	out, err := exec.Command(path, append(slices.Clone(args), "--version")...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s --version: %w", path, err)
	}
	m := llvmVersion.FindSubmatch(out)
	if m == nil {
		return nil, fmt.Errorf("%s does not say which version of LLVM it is", path)
	}
	t := &Toolchain{Path: path, args: args}
	newest := newestLLVM
	switch {
	case len(args) > 0:
		t.kind, newest = zigTool, newestZig
	case strings.HasPrefix(filepath.Base(path), "clang") || bytes.Contains(out, []byte("clang version")):
		t.kind = clangTool
	}
	if t.Version, err = strconv.Atoi(string(m[1])); err != nil || t.Version < oldestLLVM || t.Version > newest {
		return nil, fmt.Errorf("%s is of LLVM %s; versions %d to %d can be used", path, m[1], oldestLLVM, newest)
	}
	return t, nil
}

// The machines that code is made for. One name serves all systems, since the code calls none.
const (
	tripleX86 = "x86_64-unknown-linux-gnu"
	tripleARM = "aarch64-unknown-linux-gnu"
)

// armLevel is the level of arm64, for which LLVM has no -mcpu. Its code refers to constants by their distance (the tiny code model), not by pages,
// so that a block of it can lie anywhere, and leaves X28 alone, where Go's signal handlers look for the goroutine.
const armLevel = "armv8-a"

// quick returns the code generator as it makes slow code in a fourth of the time.
func (t *Toolchain) quick() *Toolchain {
	q := *t
	q.plain = true
	return &q
}

// flags returns the arguments that compile standard input to standard output; zig is told names of files as well.
func (t *Toolchain) flags(cpu, filetype string) []string {
	arm := cpu == armLevel
	effort := "-O3"
	if t.plain {
		effort = "-O0"
	}
	if t.kind == llcTool {
		target := []string{"-mtriple=" + tripleX86, "-mcpu=" + cpu}
		if arm {
			target = []string{"-mtriple=" + tripleARM, "-mattr=+neon,+reserve-x28", "-code-model=tiny"}
		}
		return append(target, effort, "-relocation-model=pic", "-filetype="+filetype, "-", "-o", "-")
	}
	emit := "-c"
	if filetype == "asm" {
		emit = "-S"
	}
	all := append(slices.Clone(t.args), effort, "-fPIC", "-fno-asynchronous-unwind-tables", "-Xclang", "-disable-llvm-passes", "-Wno-override-module", emit)
	if arm {
		all = append(all, "-mcmodel=tiny", "-ffixed-x28")
	}
	switch {
	case t.kind == zigTool && arm:
		return append(all, "-target", "aarch64-linux-gnu")
	case t.kind == zigTool:
		return append(all, "-target", "x86_64-linux-gnu", "-march="+strings.ReplaceAll(cpu, "-", "_"))
	case arm:
		all = append(all, "--target="+tripleARM)
	default:
		all = append(all, "--target="+tripleX86)
	}
	return append(all, "-march="+cpu, "-x", "ir", "-", "-o", "-")
}

// compile compiles LLVM IR for a processor to an object file, or with the file type "asm" to assembly text.
func (t *Toolchain) compile(text, cpu, filetype string) ([]byte, error) {
	flags := t.flags(cpu, filetype)
	var to string
	if t.kind == zigTool {
		dir, err := os.MkdirTemp("", "nnc-zig-*")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		from := filepath.Join(dir, "a.ll")
		if err := os.WriteFile(from, []byte(text), 0o666); err != nil {
			return nil, err
		}
		to = filepath.Join(dir, "a.o")
		flags = append(flags, from, "-o", to)
	}
	cmd := exec.Command(t.Path, flags...)
	cmd.Stdin = strings.NewReader(text)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %.1000s", t.Path, err, strings.TrimSpace(msg.String()))
	}
	if to != "" {
		return os.ReadFile(to)
	}
	return out.Bytes(), nil
}
