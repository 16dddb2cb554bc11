package conformance

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/train"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// backends are those on which every program gives the same results. Native code needs LLVM: where it is missing, the interpreter is tested
// alone, except in CI, where its absence is an error.
var backends = func() []codegen.Backend {
	all := []codegen.Backend{interp.Backend{}, native.Backend{}}
	if _, err := native.FindToolchain(); err != nil && os.Getenv("CI") == "" {
		fmt.Fprintf(os.Stderr, "conformance without native code: %v\n", err)
		return all[:1]
	}
	return all
}()

// precisions are those that the goldens were computed in.
var precisions = []tensor.DType{tensor.F32, tensor.F64}

// computes reports whether a backend computes in a precision: machine code is made for single precision only.
func computes(b codegen.Backend, p tensor.DType) bool { return p == tensor.F32 || b.Name() != "native" }

// setting is one way to compile a program.
type setting struct {
	backend   codegen.Backend
	precision tensor.DType
	disable   []string // passes
	threads   int
	fast      bool // codegen.Fast: further from the goldens than sums in single precision are
	recompute bool // all values that training steps can compute again instead of keeping them
}

func (s setting) String() string {
	name := s.backend.Name() + "/" + s.precision.String()
	if len(s.disable) > 0 {
		name += "/without_" + strings.Join(s.disable, "_")
	}
	if s.fast {
		name += "/fast"
	}
	return name
}

// math is the setting's choice of algorithms.
func (s setting) math() codegen.Math {
	if s.fast {
		return codegen.Fast
	}
	return codegen.Strict
}

// onEach runs a test for every backend and precision.
func onEach(t *testing.T, test func(t *testing.T, s setting)) {
	for _, b := range backends {
		for _, p := range precisions {
			if !computes(b, p) {
				continue
			}
			s := setting{backend: b, precision: p}
			t.Run(s.String(), func(t *testing.T) { test(t, s) })
		}
	}
}

// onEachAlone is onEach for tests of many small programs: they run side by side, each on one thread.
func onEachAlone(t *testing.T, test func(t *testing.T, s setting)) {
	for _, b := range backends {
		for _, p := range precisions {
			if !computes(b, p) {
				continue
			}
			s := setting{backend: b, precision: p, threads: 1}
			t.Run(s.String(), func(t *testing.T) { test(t, s) })
		}
	}
}

// counts say how many of the goldens agree, for TestMain to print.
var counts struct {
	sync.Mutex
	lines []string
}

func count(what string, passed, all int) {
	counts.Lock()
	defer counts.Unlock()
	counts.lines = append(counts.lines, fmt.Sprintf("goldens: %d of %d %s agree", passed, all, what))
}

// goldensVariable names a file that the counts are written to as well: `go test` hides what packages print that pass.
const goldensVariable = "NNC_TEST_GOLDENS"

func printCounts() error {
	if len(counts.lines) == 0 {
		return nil
	}
	text := strings.Join(counts.lines, "\n") + "\n"
	fmt.Print(text)
	if path := os.Getenv(goldensVariable); path != "" {
		return os.WriteFile(path, []byte(text), 0o666)
	}
	return nil
}

// optionalPasses lists the passes that can be switched off.
func optionalPasses() []string {
	var names []string
	for _, p := range passes.All() {
		if !p.Required {
			names = append(names, p.Name)
		}
	}
	return names
}

// compiled is a program that runs.
type compiled struct {
	plan *plan.Program
	runtime.Program
}

// compile compiles a program's text; its cells have their first values for seed 0.
func compile(t *testing.T, file *diag.File, options lang.Options, s setting) *compiled {
	t.Helper()
	c, err := build(file, options, s)
	if err != nil {
		t.Fatal(err)
	}
	c.init(t, 0)
	return c
}

// build is compile without a test; the cells are zero.
func build(file *diag.File, options lang.Options, s setting) (*compiled, error) {
	p, list := lang.Compile(file, options)
	if list.HasErrors() {
		var b bytes.Buffer
		if err := diag.Render(&b, list, false); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%s does not compile:\n%s", file.Name, b.String())
	}
	if err := passes.Run(p.Module, passes.Options{Disable: s.disable, VerifyEach: true}); err != nil {
		return nil, err
	}
	if s.recompute {
		if err := recompute(p); err != nil {
			return nil, err
		}
	}
	prog, err := s.backend.Compile(p.Module, codegen.Options{Precision: s.precision, Math: s.math(), Threads: s.threads})
	if err != nil {
		return nil, err
	}
	return &compiled{p, prog}, nil
}

// init gives the program's cells their first values.
func (c *compiled) init(t testing.TB, seed int32) {
	t.Helper()
	if err := train.Init(c.Program, c.plan, seed); err != nil {
		t.Fatal(err)
	}
}

// source reads a program's text.
func source(t *testing.T, path string) *diag.File {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return diag.NewFile(path, string(text))
}

// rendered is what a user sees of diagnostics.
func rendered(t testing.TB, list *diag.List) string {
	t.Helper()
	var b bytes.Buffer
	if err := diag.Render(&b, list, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// fields makes a Schema that gives all data the same fields, without reading any.
func fields(f ...plan.Field) func(*plan.Data) error {
	return func(d *plan.Data) error {
		d.Fields = f
		return nil
	}
}

// call runs a function of the program with arguments by name; seed, step, epoch and progress are 0 unless given.
func (c *compiled) call(t *testing.T, fn string, args map[string]*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	f := c.Module().Func(fn)
	if f == nil {
		t.Fatalf("there is no function %s", fn)
	}
	var list []*tensor.Tensor
	for _, p := range f.Params {
		a := args[p.Name]
		if a == nil && len(p.Type.Shape) == 0 {
			a = tensor.New(p.Type.DType)
		}
		list = append(list, a)
	}
	results, err := c.Call(fn, list...)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func (c *compiled) cell(t *testing.T, name string) *tensor.Tensor {
	t.Helper()
	v, err := c.Cell(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (c *compiled) setCell(t *testing.T, name string, v *tensor.Tensor) {
	t.Helper()
	if err := c.SetCell(name, v); err != nil {
		t.Fatal(err)
	}
}

// tolerance is how far a number may be from the one that is expected: atol + rtol times its magnitude.
type tolerance struct{ atol, rtol float64 }

// double is the tolerance of double precision against double precision.
var double = tolerance{1e-12, 1e-9}

// compare reports the element of got that is worst, if any is outside the tolerance.
func compare(t *testing.T, what string, got, want *tensor.Tensor, tol tolerance) {
	t.Helper()
	if got.Len() != want.Len() {
		t.Errorf("%s: got %v, want %v", what, got, want)
		return
	}
	worst, at := 0.0, -1
	for i := range want.Len() {
		g, w := got.At(i), want.At(i)
		excess := math.Abs(g-w) - tol.atol - tol.rtol*math.Abs(w)
		if g == w {
			continue
		}
		if !(excess <= 0) && (at < 0 || excess > worst || math.IsNaN(excess)) {
			worst, at = excess, i
		}
	}
	if at >= 0 {
		t.Errorf("%s: element %d is %v, want %v: they differ by %.3g, more than %.3g + %.3g·|want|",
			what, at, got.At(at), want.At(at), math.Abs(got.At(at)-want.At(at)), tol.atol, tol.rtol)
	}
}

// eighth returns every eighth element, which is what the goldens have of large tensors in double precision.
func eighth(v *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(v.DType, (v.Len()+7)/8)
	for i := range out.Len() {
		out.Set(i, v.At(8*i))
	}
	return out
}

// goldens are tensors of a file in testdata, with the tolerances for single precision.
type goldens struct {
	tensors map[string]*tensor.Tensor
	prefix  string // of the names in tolerances.json
}

// check compares a value with the golden of that name in the setting's precision. A bound that is not 0 replaces the golden's own
// tolerance of single precision.
func (g goldens) check(t *testing.T, s setting, name string, got *tensor.Tensor, bound float64) {
	t.Helper()
	if s.precision == tensor.F32 {
		want, ok := g.tensors[name]
		if !ok {
			t.Fatalf("there is no golden %s", name)
		}
		tol, ok := tolerances()[g.prefix+name]
		if bound > 0 {
			tol = tolerance{bound, 0}
		} else if !ok {
			t.Fatalf("there is no tolerance for %s", name)
		}
		compare(t, name, got, want, tol)
		return
	}
	if want, ok := g.tensors[name+"@f64/8"]; ok {
		compare(t, name+"@f64", eighth(got), want, double)
		return
	}
	want, ok := g.tensors[name+"@f64"]
	if !ok {
		t.Fatalf("there is no golden %s@f64", name)
	}
	compare(t, name+"@f64", got, want, double)
}

// rows returns the first n rows of a tensor.
func rows(v *tensor.Tensor, n int) *tensor.Tensor { return rowsFrom(v, 0, n) }

// rowsFrom returns n rows of a tensor, from row i on.
func rowsFrom(v *tensor.Tensor, i, n int) *tensor.Tensor {
	shape := slices.Clone(v.Shape)
	shape[0] = n
	out := tensor.New(v.DType, shape...)
	size := out.Len() / n
	for k := range out.Len() {
		out.Set(k, v.At(i*size+k))
	}
	return out
}

// unzip returns the contents of a compressed file.
func unzip(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unzipped writes the contents of a compressed file to a temporary one of that name.
func unzipped(t testing.TB, path string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(path), ".gz"))
	if err := os.WriteFile(out, unzip(t, path), 0o644); err != nil {
		t.Fatal(err)
	}
	return out
}

// readTensors reads a compressed safetensors file of testdata.
func readTensors(t testing.TB, name string) map[string]*tensor.Tensor {
	t.Helper()
	b := unzip(t, filepath.Join("testdata", name+".safetensors.gz"))
	tensors, err := weights.DecodeSafetensors(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return tensors
}

// tolerances are those that come with the goldens: eight times what Keras in single precision differs from double precision by,
// but not below 2e-6 of the largest element, which is two roundings above what correct code shows.
var tolerances = sync.OnceValue(func() map[string]tolerance {
	b, err := os.ReadFile(filepath.Join("testdata", "tolerances.json"))
	if err != nil {
		panic(err)
	}
	var pairs map[string][2]float64
	if err := json.Unmarshal(b, &pairs); err != nil {
		panic(fmt.Errorf("tolerances.json: %w", err))
	}
	out := map[string]tolerance{}
	for name, p := range pairs {
		out[name] = tolerance{p[0], p[1]}
	}
	return out
})
