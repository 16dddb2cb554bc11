package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/runtime/code"
)

// llc returns LLVM's code generator. Where it is missing tests are skipped, except where everything must be tested.
func llc(t testing.TB) string {
	t.Helper()
	for _, name := range []string{os.Getenv("NNC_LLC"), "llc-19", "llc-18", "llc-17", "llc-16", "llc-15", "llc-14", "llc"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this test needs llc, of LLVM 14 to 19; NNC_LLC can say where it is")
	}
	t.Skip("this test needs llc, of LLVM 14 to 19; NNC_LLC can say where it is")
	return ""
}

// object compiles LLVM IR.
func object(t testing.TB, text string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "a.ll"), filepath.Join(dir, "a.o")
	if err := os.WriteFile(in, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(llc(t), "-O2", "-mtriple=x86_64-unknown-linux-gnu", "-relocation-model=pic", "-filetype=obj", in, "-o", out)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("llc: %v\n%s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// block is mapped code with its functions.
type block struct {
	*code.Code
	symbols map[string]int
}

func (b *block) fn(name string) code.Func {
	offset, ok := b.symbols[name]
	if !ok {
		panic("no function " + name)
	}
	return b.Func(offset)
}

func load(t testing.TB, text string) *block {
	t.Helper()
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" {
		t.Skip("code for x86-64 Linux")
	}
	img, err := Build(object(t, text))
	if err != nil {
		t.Fatal(err)
	}
	c, err := code.Load(img.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &block{c, img.Symbols}
}

const program = `
@table = private unnamed_addr constant [4 x double] [double 0.5, double 1.5, double 2.5, double 3.5]

; writes table[n % 4] + 1000.25 over its argument, a double
define void @lookup(double* %p) {
  %x = load double, double* %p
  %n = fptosi double %x to i64
  %k = and i64 %n, 3
  %a = getelementptr [4 x double], [4 x double]* @table, i64 0, i64 %k
  %v = load double, double* %a
  %w = fadd double %v, 1000.25
  store double %w, double* %p
  ret void
}

define void @twice(double* %p) {
  call void @lookup(double* %p)
  call void @lookup(double* %p)
  ret void
}

; spins for a number of rounds, then writes 7
define void @spin(i64* %p) {
entry:
  %n = load volatile i64, i64* %p
  br label %loop
loop:
  %k = phi i64 [ 0, %entry ], [ %k1, %loop ]
  %old = load volatile i64, i64* %p
  %k1 = add i64 %k, 1
  %more = icmp slt i64 %k1, %n
  br i1 %more, label %loop, label %done
done:
  store i64 7, i64* %p
  ret void
}`

func TestCodeRuns(t *testing.T) {
	c := load(t, program)
	s, err := code.NewStack()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, want := range map[string]float64{"lookup": 1002.75, "twice": 1002.75} { // twice: 1002.75 → 2.5 + 1000.25 again
		f := c.fn(name)
		x := 2.0
		code.Call(f, unsafe.Pointer(&x), s)
		if x != want {
			t.Errorf("%s(2) = %v, want %v", name, x, want)
		}
		x = 2
		code.CallLong(f, unsafe.Pointer(&x), s)
		if x != want {
			t.Errorf("%s(2) = %v by CallLong, want %v", name, x, want)
		}
	}
}

// grow uses up stack, so that goroutines' stacks move while others are in native code.
func grow(n int) int {
	var a [64]int
	if n == 0 {
		return 0
	}
	a[n%64] = n
	return grow(n-1) + a[n%64] - n
}

func TestCallsUnderGarbageCollection(t *testing.T) {
	c := load(t, program)
	lookup := c.fn("twice")
	spin := c.fn("spin")
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s, err := code.NewStack()
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for k := range 300 {
				x, n := 2.0, int64(20_000)
				grow(k % 100)
				code.Call(lookup, unsafe.Pointer(&x), s)
				if g%2 == 0 {
					code.CallLong(spin, unsafe.Pointer(&n), s)
				} else {
					code.Call(spin, unsafe.Pointer(&n), s)
				}
				if x != 1002.75 || n != 7 {
					t.Errorf("got %v and %v, want 1002.75 and 7", x, n)
					return
				}
				if k%16 == g {
					runtime.GC()
				}
			}
		}()
	}
	wg.Wait()
}

func TestBuildRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"undefined function", "declare float @expf(float)\ndefine float @f(float %x) {\n %y = call float @expf(float %x)\n ret float %y\n}", "symbol expf is not defined"},
		{"writable data", "@x = internal global i32 3\ndefine i32 @f() {\n %v = load volatile i32, i32* @x\n store volatile i32 4, i32* @x\n ret i32 %v\n}", ".data is writable"},
		{"zeroed data", "@x = internal global i32 0\ndefine i32 @f() {\n %v = load volatile i32, i32* @x\n store volatile i32 4, i32* @x\n ret i32 %v\n}", ".bss is writable"},
		{"table of addresses", "@t = constant [1 x i32 ()*] [i32 ()* @f]\ndefine i32 @f() {\n ret i32 1\n}", ".data.rel.ro is writable"},
		{"global offset table", "@x = external constant i32\ndefine i32 @f() {\n %v = load i32, i32* @x\n ret i32 %v\n}", "symbol x is not defined"},
		{"relocation", "@x = constant i32 5\ndefine i32 @f() {\n %v = load volatile i32, i32* @x\n ret i32 %v\n}", "needs a linker"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Build(object(t, test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestBuildSurvivesDamage(t *testing.T) {
	whole := object(t, program)
	if _, err := Build(nil); err == nil {
		t.Error("no error for an empty file")
	}
	for n := 0; n < len(whole); n += 7 {
		if _, err := Build(whole[:n]); err == nil {
			t.Errorf("no error for the first %d of %d bytes", n, len(whole))
		}
	}
	seed := uint32(1)
	for range 3000 { // must not crash; most damage is seen, some cannot be
		b := append([]byte{}, whole...)
		for range 4 {
			seed = seed*1664525 + 1013904223
			b[int(seed>>8)%len(b)] = byte(seed)
		}
		_, _ = Build(b)
	}
}

func TestNamesAreInOrder(t *testing.T) {
	img, err := Build(object(t, program))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"lookup", "twice", "spin"}, img.Names()); diff != "" {
		t.Error(diff)
	}
}
