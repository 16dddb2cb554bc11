package native

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// contractions are sums of products of every kind; N stands for odd and prime sizes that come from the list of batches.
var contractions = []string{
	"sum [i<B, j<64 | k<96] mul(%x[i, k], %y[k, j]) : [B, 96] [96, 64]",
	"sum [i<B, j<37 | k<129] mul(%x[i, k], %y[k, j]) : [B, 129] [129, 37]",
	"sum [i<B, j<512 | k<2100] mul(%x[i, k], %y[k, j]) : [B, 2100] [2100, 512]",
	"sum [i<B, j<45 | k<77] mul(%x[i, k], %y[j, k]) : [B, 77] [45, 77]",
	"sum [i<B, j<1 | k<300] mul(%x[i, k], %y[k, j]) : [B, 300] [300, 1]",
	"sum [i<71, j<33 | k<B] mul(%x[k, i], %y[k, j]) : [B, 71] [B, 33]",
	"sum [i<B, j<B | k<40] mul(%x[i, k], %y[j, k]) : [B, 40] [B, 40]",
	"sum [i<130, j<70 | k<65] mul(%x[k, i], %y[j, k]) : [65, 130] [70, 65]",
	"sum [h<3, i<17, j<17 | k<24] mul(%x[h, i, k], %y[h, j, k]) : [3, 17, 24] [3, 17, 24]",
	"sum [b<B, h<2, i<9, d<16 | s<9] mul(%x[b, h, i, s], %y[b, s, h, d]) : [B, 2, 9, 9] [B, 9, 2, 16]",
	"sum [b<B, i<13, j<11, o<24 | di<3, dj<3, c<7] mul(%x[b, i+di, j+dj, c], %y[di, dj, c, o]) : [B, 15, 13, 7] [3, 3, 7, 24]",
	"sum [b<B, i<13, j<20, o<40 | di<3, dj<3, c<16] mul(%x[b, i+di-1, j+dj-1, c] else 0.0, %y[di, dj, c, o]) : [B, 13, 20, 16] [3, 3, 16, 40]",
	"sum [b<B, i<7, j<6, o<16 | di<3, dj<3, c<5] mul(%x[b, 2*i+di-1, 2*j+dj-1, c] else 0.0, %y[di, dj, c, o]) : [B, 14, 12, 5] [3, 3, 5, 16]",
	"sum [b<B, i<12, j<12, c<16 | o<32, di<3, dj<3] mul(%x[b, i-di, j-dj, o] else 0.0, %y[di, dj, c, o]) : [B, 10, 10, 32] [3, 3, 16, 32]",
	"sum [di<3, dj<3, c<20, o<32 | b<B, i<17, j<19] mul(%x[b, i+di, j+dj, c], %y[b, i, j, o]) : [B, 19, 21, 20] [B, 17, 19, 32]",
	"sum [b<B, i<9, j<9, c<33 | di<3, dj<3] mul(%x[b, i+di-1, j+dj-1, c] else 0.0, %y[di, dj, c]) : [B, 9, 9, 33] [3, 3, 33]",
	"sum [b<B, i<8, j<8, o<24 | c<48] mul(%x[b, i, j, c], %y[c, o]) : [B, 8, 8, 48] [48, 24]",
	"sum [b<B, t<50, o<16 | dt<5, c<9] mul(%x[b, t-3*dt, c] else 0.5, %y[dt, c, o]) : [B, 50, 9] [5, 9, 16]", // which is padded
	"sum [b<B, t<50, o<12 | dt<5, c<9] mul(%x[b, t-3*dt, c] else 0.5, %y[dt, c, o]) : [B, 50, 9] [5, 9, 12]",
}

// nestModule returns a module with a function for each nest of %x and %y, which is written "nest : shape shape".
func nestModule(t testing.TB, nests []string) *ir.Module {
	t.Helper()
	var text strings.Builder
	for k, c := range nests {
		nest, shapes, _ := strings.Cut(c, " : ")
		x, y, _ := strings.Cut(shapes, "] [")
		outs, _, _ := strings.Cut(nest[strings.Index(nest, "[")+1:], " |")
		out := regexp.MustCompile(`\w+<`).ReplaceAllString(outs, "")
		fmt.Fprintf(&text, "func @f%d(%%x: f32%s], %%y: f32[%s) -> (f32[%s]) {\n  %%0: f32[%s] = %s\n  return %%0\n}\n", k, x, y, out, out, nest)
	}
	return parse(t, text.String())
}

// dims returns the dimensions of t for a batch of b.
func dims(t ir.Type, b int) []int {
	var shape []int
	for _, d := range t.Shape {
		shape = append(shape, d.EvalDim(func(string) int { return b }))
	}
	return shape
}

func TestContractions(t *testing.T) {
	m := nestModule(t, contractions)
	p, q := compileWith(t, m, codegen.Options{Threads: 2, Math: codegen.Strict})
	for k, c := range contractions {
		f := m.Funcs[k]
		for _, b := range []int{1, 2, 3, 7, 8, 13, 32, 33} {
			var args []*tensor.Tensor
			for i, v := range f.Params {
				args = append(args, random(uint32(k*100+b*2+i), tensor.F32, -1, 1, dims(v.Type, b)...))
			}
			got, want := mustCall(t, p, f.Name, args...)[0], mustCall(t, q, f.Name, args...)[0]
			// Sums of up to 10,000 products below 1, in another order.
			if d := differ(got, want, 5e-5); d != "" {
				t.Errorf("B = %d: %s: %s", b, c, d)
			}
			if !strings.Contains(c, "B") {
				break
			}
		}
	}
}

func TestPrepareCopiesWhereItPays(t *testing.T) {
	m := parse(t, `
func @f(%x: f32[B, 72, 72, 64], %w: f32[3, 3, 32, 64]) -> (f32[B, 74, 74, 32]) {
  %0: f32[B, 74, 74, 32] = sum [b<B, i<74, j<74, c<32 | o<64, di<3, dj<3] mul(%x[b, i-di, j-dj, o] else 0.0, %w[di, dj, c, o])
  return %0
}
func @g(%x: f32[B, 100], %w: f32[50, 100]) -> (f32[B, 50]) {
  %0: f32[B, 50] = sum [b<B, i<50 | k<100] mul(%x[b, k], %w[i, k])
  return %0
}
`)
	steps := func(f *ir.Func) []string {
		in := f.Body[0]
		var s []string
		for _, p := range prepare(in.Nest, []ir.Type{in.Args[0].Type, in.Args[1].Type}, []int{1, 1}, levels[1], 1, nil) {
			s = append(s, fmt.Sprintf("%v %v of %v: %v", p.nest.Combine, p.nest.ResultShape(), p.args, p.nest.Body))
		}
		return s
	}
	want := []string{
		"map [B 76 76 64] of [0]: %0[$0 $1-2 $2-2 $3]",
		"map [2 3 3 64 16] of [1]: %0[$1 $2 16*$0+$4 $3]",
		"sum [B 74 74 2 16] of [2 3]: mul(%0[$0 $1-$5+2 $2-$6+2 $7], %1[$3 $5 $6 $7 $4])",
	}
	if diff := cmp.Diff(want, steps(m.Funcs[0])); diff != "" {
		t.Error(diff)
	}
	// A weight that is read 32 times is not worth a copy.
	if diff := cmp.Diff([]string{"sum [B 50] of [0 1]: mul(%0[$0 $2], %1[$1 $2])"}, steps(m.Funcs[1])); diff != "" {
		t.Error(diff)
	}
}

// TestInnerLoopsKeepSumsInRegisters reads the assembly of kernels for x86-64: LLVM comments on each vector that does not stay in its register.
func TestInnerLoopsKeepSumsInRegisters(t *testing.T) {
	tools := needLLVM(t)
	for _, level := range levelsOf("amd64") {
		m := nestModule(t, contractions)
		low := newLowering(m, level, codegen.Strict)
		for _, k := range []int{0, 2, 10, 11, 14, 16} {
			if _, err := low.procedure(m.Funcs[k]); err != nil {
				t.Fatal(err)
			}
		}
		mod := newModule()
		for _, k := range low.kernels {
			k.write(mod, k.Name)
		}
		asm, err := tools.compile(mod.m.String(), level.CPU, "asm")
		if err != nil {
			t.Fatal(err)
		}
		// The code between a label and the next is a block; one that multiplies and adds and jumps back to itself is an inner loop.
		loops := 0
		for _, block := range regexp.MustCompile(`(?m)^\.LBB`).Split(string(asm), -1) {
			label, code, _ := strings.Cut(block, ":")
			end := regexp.MustCompile(`\sj\w+\s+\.LBB` + regexp.QuoteMeta(label) + `\s`).FindStringIndex(code)
			if end == nil || !strings.Contains(code[:end[1]], "vfmadd") {
				continue
			}
			code = code[:end[1]]
			loops++
			spills := regexp.MustCompile(`(?m)^.*mm\d+.*\b(Spill|Reload)\b.*$`).FindAllString(code, -1)
			if strings.Count(code, "vfmadd") == 32 && len(spills) <= 4 {
				continue // a whole row of a matrix in memory takes more registers than there are: two sums may be on the stack
			}
			if len(spills) > 0 {
				t.Errorf("%s: a sum is on the stack in an inner loop:\n%s\n%s", level.Name, spills[0], code)
			}
		}
		if loops < 6 {
			t.Errorf("%s: only %d inner loops were found", level.Name, loops)
		}
		t.Logf("%s: %d inner loops", level.Name, loops)
	}
}
