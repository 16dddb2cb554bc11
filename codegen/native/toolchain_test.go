package native

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir/tensor"
)

const tiny = "define dso_local void @f(i64* %p) {\n  store i64 5, i64* %p, align 8\n  ret void\n}\n"

func TestCacheKeepsWhatItIsGiven(t *testing.T) {
	c := cache{t.TempDir()}
	const k = "abcdef"
	if _, ok := c.load(k); ok {
		t.Fatal("an empty cache has something")
	}
	c.store(k, []byte("content"))
	if b, ok := c.load(k); !ok || string(b) != "content" {
		t.Fatalf("got %q, %v", b, ok)
	}
	// A file that is damaged or cut short is not used.
	path := c.path(k)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		b := append([]byte{}, whole...)
		b[n] ^= 1
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.load(k); ok {
			t.Errorf("a file whose byte %d is wrong was used", n)
		}
		if err := os.WriteFile(path, whole[:n], 0o666); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.load(k); ok {
			t.Errorf("a file of %d bytes was used", n)
		}
	}
	c.store(k, []byte("content"))
	if _, ok := c.load(k); !ok {
		t.Error("a damaged file was not replaced")
	}
}

func TestCacheIsSharedByManyWriters(t *testing.T) {
	c := cache{t.TempDir()}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			content := strings.Repeat(string(rune('a'+g)), 50_000)
			for range 30 {
				c.store("abcdef", []byte(content))
				if b, ok := c.load("abcdef"); ok && (len(b) != 50_000 || strings.Trim(string(b), string(b[:1])) != "") {
					t.Error("two contents in one file")
					return
				}
			}
		}()
	}
	wg.Wait()
}

func TestCacheWithoutAFolder(t *testing.T) {
	c := cache{filepath.Join(os.DevNull, "x")} // cannot be written
	c.store("abcdef", []byte("x"))
	if _, ok := c.load("abcdef"); ok {
		t.Error("found something nowhere")
	}
	t.Setenv("NNC_CACHE", "off")
	if c := openCache(); c.dir != "" {
		t.Errorf("NNC_CACHE=off opens %q", c.dir)
	}
	t.Setenv("NNC_CACHE", "/somewhere")
	if c := openCache(); c.dir != "/somewhere" {
		t.Errorf("NNC_CACHE=/somewhere opens %q", c.dir)
	}
}

func TestObjectsComeFromTheCache(t *testing.T) {
	tools := needLLVM(t)
	c := cache{t.TempDir()}
	first, err := tools.object(c, tiny, "x86-64-v3")
	if err != nil {
		t.Fatal(err)
	}
	broken := *tools
	broken.Path = "/nowhere/llc"
	again, err := broken.object(c, tiny, "x86-64-v3")
	if err != nil || string(again) != string(first) {
		t.Errorf("the second time %v", err)
	}
	if _, err := broken.object(c, tiny, "x86-64-v4"); err == nil {
		t.Error("code for another processor came from the cache")
	}
	if _, err := broken.object(c, tiny+"; other\n", "x86-64-v3"); err == nil {
		t.Error("other code came from the cache")
	}
}

func TestToolchainThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o777); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"):             "no such file",
		script("old", "echo LLVM version 9.0.1"):  "is of LLVM 9",
		script("new", "echo LLVM version 23.1.0"): "versions 14 to 19",
		script("other", "echo hello"):             "does not say which version",
		script("broken", "exit 3"):                "exit status 3",
	} {
		t.Setenv("NNC_LLC", path)
		if _, err := FindToolchain(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "NNC_LLC") {
			t.Errorf("%s: got %v, want an error with %q", filepath.Base(path), err, want)
		}
		if _, err := (Backend{}).Compile(parse(t, "digits.ir"), codegen.Options{}); err == nil {
			t.Errorf("%s: a program was compiled", filepath.Base(path))
		}
	}
	good := script("llc-good", "echo LLVM version 15.0.2")
	t.Setenv("NNC_LLC", good)
	if tools, err := FindToolchain(); err != nil || tools.Path != good || tools.Version != 15 {
		t.Errorf("got %v, %v", tools, err)
	}
}

// TestEveryVersionOfLLVM compiles a program with each llc that is installed.
func TestEveryVersionOfLLVM(t *testing.T) {
	needLLVM(t)
	m := parse(t, "digits.ir")
	var want *tensor.Tensor
	for _, name := range []string{"llc-19", "llc-18", "llc-17", "llc-16", "llc-15", "llc-14", "clang-19", "clang-14", "clang", "zig", "python-zig"} {
		if _, err := exec.LookPath(name); err != nil {
			continue
		}
		t.Setenv("NNC_LLC", name)
		p, err := Backend{}.Compile(m, codegen.Options{Threads: 1})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		mustCall(t, p, "init", tensor.FromI32([]int32{1}))
		got := mustCall(t, p, "Reader.predict", random(1, tensor.F32, 0, 255, 3, 28, 28, 1))[0]
		if want == nil {
			want = got
		}
		if d := differ(got, want, 1e-6); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		t.Logf("%s: agrees", name)
	}
}

func TestLevels(t *testing.T) {
	t.Setenv("NNC_CPU", "sse")
	if _, err := DetectLevel(); err == nil || !strings.Contains(err.Error(), "NNC_CPU=sse is not known") {
		t.Errorf("got %v", err)
	}
	t.Setenv("NNC_CPU", "avx2")
	if l, err := DetectLevel(); err == nil && l.Lanes != 8 {
		t.Errorf("got %v", l)
	}
}

func TestWhatCannotBeCompiled(t *testing.T) {
	needLLVM(t)
	if _, err := (Backend{}).Compile(parse(t, "digits.ir"), codegen.Options{Precision: tensor.F64}); !errors.Is(err, ErrPrecision) {
		t.Errorf("f64: got %v", err)
	}
}

// A program that was compiled before is found by its kernels alone; of one that changed, the objects with other kernels are made anew.
func TestKernelsComeFromTheCache(t *testing.T) {
	tools := needLLVM(t)
	c := cache{t.TempDir()}
	text := func(n int) string {
		var b strings.Builder
		for k := range n {
			fmt.Fprintf(&b, "func @f%d(%%x: f32[%d]) -> (f32[%d]) {\n  %%0: f32[%d] = map [i<%d] sin(%%x[%d-i])\n  return %%0\n}\n", k, 5+k, 5+k, 5+k, 5+k, 4+k)
		}
		return b.String()
	}
	level := levelsOf("amd64")[1]
	first, err := compileModule(parse(t, text(40)), level, codegen.Strict, tools, c)
	if err != nil {
		t.Fatal(err)
	}
	broken := *tools
	broken.Path = "/nowhere/llc"
	again, err := compileModule(parse(t, text(40)), level, codegen.Strict, &broken, c)
	if err != nil || !slices.Equal(again.Code, first.Code) {
		t.Errorf("the second time %v", err)
	}
	if _, err := compileModule(parse(t, text(40)), level, codegen.Fast, &broken, c); err != nil {
		t.Errorf("the IR is the same with fast math: %v", err)
	}
	if _, err := compileModule(parse(t, text(41)), level, codegen.Strict, &broken, c); err == nil {
		t.Error("a new kernel came from the cache")
	}
	low := func(n int) [][]*kernel {
		_, l, err := lower(parse(t, text(n)), level, codegen.Strict)
		if err != nil {
			t.Fatal(err)
		}
		return batches(l.kernels)
	}
	changed := 0
	old := low(40)
	for i, b := range low(41) {
		if !slices.EqualFunc(b, old[i], func(x, y *kernel) bool { return x.key == y.key }) {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("one more kernel changes %d of %d objects", changed, len(old))
	}
}
