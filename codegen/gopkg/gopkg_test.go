package gopkg_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/gopkg"
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

// models are programs whose packages are built and compared with the interpreter. Lengths are those of inputs with a length of their own.
var models = []struct {
	name, text string
	lengths    []int
}{
	{"cnn", `model M(x: f32[12, 11, 3]) -> f32[5] {
    x |> Conv2D(4, 3, relu) |> MaxPool2D(2) |> Conv2D(6, 3, padding: "same", activation: tanh) |> BatchNorm() |> Flatten() |> Dense(9, gelu) |> Dense(5, softmax)
}`, nil},
	{"binary", `model M(x: f32[7]) -> f32[1] { x |> Dense(5, relu) |> LayerNorm() |> Dense(1, sigmoid) }`, nil},
	{"two_inputs", `model M(a: f32[2], ids: i32[3]) -> f32[2, 3] {
    let e = Embedding(10, 4)
    let h = e(ids)
    let d = h |> Dense(2)
    [i, j] => d[j, i] * a[i] + f32(argmax(h[j]))
}`, nil},
	{"recurrent", `model M(x: f32[t, 3]) -> f32[4] { x |> GRU(6) |> Dense(4, softmax) }`, []int{1, 2, 7}},
	{"attention", `model M(ids: i32[6]) -> f32[6, 8] { ids |> Embedding(10, 8) |> MultiHeadAttention(2, key_dim: 4, causal: true) }`, nil},
	{"reversed", `model M(x: f32[5, 2]) -> f32[5, 2] {
    scan reversed xt in x with a = zeros[2], b = ones[2] {
        let old = a
        a <- b * 0.5 + xt
        b <- old
        yield a - b
    }
}`, nil},
	{"ops", `model M(x: f32[6], k: i32[6]) -> f32[6] {
    let y = where(x > 0.25, exp(x), -x) + floor(3 * x) / 7 + f32(k / 3 - k % 4)
    let shifted: f32[6] = [i] => y[i-1] else 0.5
    shifted + sqrt(abs(x)) * max(x) + f32(i32(10 * x)) + sin(x) * erf(x)
}`, nil},
}

// TestPackages builds packages for models and runs them: outputs must be the interpreter's.
func TestPackages(t *testing.T) {
	t.Run("go", func(t *testing.T) { testPackages(t, "") })
	t.Run("native", func(t *testing.T) {
		if _, err := native.FindToolchain(); errors.Is(err, native.ErrNoLLVM) && os.Getenv("CI") == "" {
			t.Skip(err)
		}
		testPackages(t, "x86-64-v3")
	})
}

// testPackages uses machine code for a level of processors, unless that is "".
func testPackages(t *testing.T, cpu string) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/check\n\ngo 1.24\n")
	var calls strings.Builder
	var imports strings.Builder
	var want [][]float64
	for _, m := range models {
		prog, p := compile(t, m.text)
		options := gopkg.Options{Package: m.name, File: m.name + ".nn", Weights: weightsOf(t, prog)}
		if cpu != "" && m.lengths == nil {
			var err error
			if options.Native, err = native.Program(gopkg.Predictor(p.Module, p.Models[0].Predict), cpu, codegen.Fast); err != nil {
				t.Fatalf("%s: %v", m.name, err)
			}
		}
		files, err := gopkg.Generate(p, p.Models[0], options)
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		for name, text := range files {
			write(t, filepath.Join(dir, m.name), name, string(text))
		}
		fmt.Fprintf(&imports, "\t%q\n", "example.com/check/"+m.name)
		lengths := m.lengths
		if lengths == nil {
			lengths = []int{0}
		}
		fmt.Fprintf(&calls, "\t{\n\t\tm, err := %s.New()\n\t\tcheck(err)\n", m.name)
		for _, n := range lengths {
			args, params := arguments(prog, p.Models[0].Predict, n)
			out, err := prog.Call(p.Models[0].Predict, args...)
			if err != nil {
				t.Fatal(err)
			}
			var z []float64
			for k := range out[0].Len() {
				z = append(z, out[0].At(k))
			}
			want = append(want, z)
			fmt.Fprintf(&calls, "\t\t{\n\t\t\ty, err := m.Predict(%s)\n\t\t\tcheck(err)\n\t\t\tshow(y)\n\t\t}\n", params)
			if m.lengths == nil {
				fmt.Fprintf(&calls, "\t\t{\n%s\t\t}\n", batchText(params, len(z)))
				want = append(want, slices.Repeat(z, 19))
			}
		}
		calls.WriteString("\t}\n")
	}
	write(t, dir, "main.go", "package main\n\nimport (\n\t\"encoding/json\"\n\t\"os\"\n\t\"slices\"\n\t\"testing\"\n\n"+imports.String()+`)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func show(y any) { check(json.NewEncoder(os.Stdout).Encode(y)) }

func main() {
`+calls.String()+"}\n")
	text := goCommand(t, dir, nil, "run", ".")
	if cpu != "" {
		goCommand(t, dir, nil, "vet", "./...")
		goCommand(t, dir, []string{"GOARCH=arm64"}, "build", "./...")
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d outputs, not %d", len(lines), len(want))
	}
	for k, line := range lines {
		var got []float64
		if flat := strings.NewReplacer("[", "", "]", "").Replace(line); json.Unmarshal([]byte("["+flat+"]"), &got) != nil || len(got) != len(want[k]) {
			t.Fatalf("output %d: %s, not %v", k, line, want[k])
		}
		for i, x := range got {
			if math.Abs(x-want[k][i]) > 2e-6*(1+math.Abs(want[k][i])) {
				t.Errorf("output %d, element %d: %v, the interpreter's is %v", k, i, x, want[k][i])
			}
		}
	}
}

// goCommand runs the go command in a folder and returns what it prints.
func goCommand(t *testing.T, dir string, env []string, args ...string) []byte {
	t.Helper()
	c := exec.Command("go", args...)
	c.Dir = dir
	c.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off"), env...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	text, err := c.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return text
}

// batchText checks that Predict takes no memory from the heap, and calls PredictBatch with the same example 19 times, which is more than a batch of machine code and no multiple of it.
func batchText(params string, outputs int) string {
	var names []string
	text := ""
	for k, p := range strings.SplitAfter(params, "}") {
		if p = strings.TrimPrefix(p, ", "); p != "" {
			names = append(names, fmt.Sprintf("x%d[:]", k))
			text += fmt.Sprintf("\t\t\tx%d := slices.Repeat([]%s, 19)\n", k, strings.Replace(p[1:], "{", "{{", 1)+"}")
		}
	}
	result := fmt.Sprintf("[%d]float32", outputs)
	if outputs == 1 {
		result = "float32"
	}
	ones := strings.ReplaceAll("&"+strings.Join(names, ", &"), "[:]", "[0]")
	text += fmt.Sprintf("\t\t\tif n := testing.AllocsPerRun(5, func() { _, err = m.Predict(%s) }); n != 0 {\n\t\t\t\tpanic(n)\n\t\t\t}\n", ones)
	return text + fmt.Sprintf("\t\t\ty := make([]%s, 19)\n\t\t\tcheck(m.PredictBatch(%s, y))\n\t\t\tshow(y)\n", result, strings.Join(names, ", "))
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// compile compiles a program for the interpreter, with its first weights.
func compile(t *testing.T, text string) (runtime.Program, *plan.Program) {
	t.Helper()
	p, errs := lang.Compile(diag.NewFile("m.nn", text), lang.Options{})
	if errs.HasErrors() {
		t.Fatalf("%s\n%v", text, errs.All)
	}
	if err := passes.Run(p.Module, passes.Options{VerifyEach: true}); err != nil {
		t.Fatal(err)
	}
	prog, err := interp.Backend{}.Compile(p.Module, codegen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := train.Init(prog, p, 3); err != nil {
		t.Fatal(err)
	}
	return prog, p
}

// weightsOf returns a program's parameters and states as a safetensors file.
func weightsOf(t *testing.T, prog runtime.Program) []byte {
	t.Helper()
	all := map[string]*tensor.Tensor{}
	for _, c := range prog.Module().Cells {
		v, err := prog.Cell(c.Name)
		if err != nil {
			t.Fatal(err)
		}
		all[c.Name] = v
	}
	var b bytes.Buffer
	if err := weights.EncodeSafetensors(&b, all); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// arguments makes data for the parameters of a function, lengths n where they have their own, and the same as Go text.
func arguments(prog runtime.Program, fn string, n int) ([]*tensor.Tensor, string) {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var args []*tensor.Tensor
	var text []string
	for _, p := range prog.Module().Func(fn).Params {
		shape := make([]int, len(p.Type.Shape))
		for i, d := range p.Type.Shape {
			shape[i] = d.EvalDim(func(s string) int {
				if s == "B" {
					return 1
				}
				return n
			})
		}
		x := tensor.New(p.Type.DType, shape...)
		var all []string
		for k := range x.Len() {
			v := float64(float32(r.Float64()*2 - 1))
			if x.DType == tensor.I32 {
				v = float64(r.IntN(10))
			}
			if strings.HasPrefix(p.Name, plan.LengthField("")) {
				v = float64(n)
			}
			x.Set(k, v)
			all = append(all, fmt.Sprint(v))
		}
		args = append(args, x)
		elem := map[tensor.DType]string{tensor.F32: "float32", tensor.I32: "int32"}[x.DType]
		switch {
		case strings.HasPrefix(p.Name, plan.LengthField("")):
		case n > 0:
			text = append(text, "[]"+elem+"{"+strings.Join(all, ", ")+"}")
		default:
			text = append(text, fmt.Sprintf("&[%d]%s{%s}", x.Len(), elem, strings.Join(all, ", ")))
		}
	}
	return args, strings.Join(text, ", ")
}
