package native

import (
	"math"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// winogradCases are convolutions of odd and prime sizes with B images, in every direction; they are written as a user might, too.
var winogradCases = []string{
	"sum [b<B, i<11, j<14, o<24 | di<3, dj<3, c<9] mul(%x[b, i+di, j+dj, c], %y[di, dj, c, o]) : [B, 13, 16, 9] [3, 3, 9, 24]",
	"sum [b<B, i<13, j<7, o<17 | di<3, dj<3, c<33] mul(%x[b, i+di-1, j+dj-1, c] else 0.0, %y[di, dj, c, o]) : [B, 13, 7, 33] [3, 3, 33, 17]",
	"sum [b<B, i<10, j<12, c<19 | o<32, di<3, dj<3] mul(%x[b, i-di, j-dj, o] else 0.0, %y[di, dj, c, o]) : [B, 8, 10, 32] [3, 3, 19, 32]",
	"sum [a<2, b<B, i<5, j<4, o<16 | c<8, dj<3, di<3] mul(%y[o, c, dj, di], %x[a, b, i-di+1, j+dj-2, c] else 0.0) : [2, B, 6, 5, 8] [16, 8, 3, 3]",
	"sum [b<B, i<8, j<9, o<32 | di<3, dj<3, c<3] mul(%x[b, i+di, j+dj, c], %y[di, dj, c, o]) : [B, 10, 11, 3] [3, 3, 3, 32]",
	"sum [b<B, i<8, j<9, o<32 | di<3, dj<3, c<3] mul(%x[b, i+di, j+dj, c], %y[o, c, di, dj]) : [B, 10, 11, 3] [32, 3, 3, 3]",
	"sum [b<B, i<10, j<11, c<32 | o<3, di<3, dj<3] mul(%x[b, i-di, j-dj, o] else 0.0, %y[di, dj, c, o]) : [B, 8, 9, 3] [3, 3, 32, 3]",
	"sum [b<B, i<9, j<13, o<16 | di<3, dj<3, c<4] mul(%x[b, i+di-1, j+dj-1, c] else 0.0, %y[di, dj, c, o]) : [B, 9, 13, 4] [3, 3, 4, 16]",
	"sum [di<3, dj<3, c<3, o<32 | b<B, i<8, j<9] mul(%y[b, i, j, o], %x[b, i+di, j+dj, c]) : [B, 10, 11, 3] [B, 8, 9, 32]",
	"sum [i<4, j<19, o<40 | di<3, dj<3, c<8] mul(%x[i+di, j+dj, c], %y[di, dj, c, o]) : [6, 21, 8] [3, 3, 8, 40]",
	"sum [di<3, dj<3, c<8, o<37 | b<B, i<17, j<6] mul(%x[b, i+di, j+dj, c], %y[b, i, j, o]) : [B, 19, 8, 8] [B, 17, 6, 37]",
	"sum [dj<3, di<3, c<23, o<16 | b<B, i<9, j<9] mul(%y[b, i, j, o], %x[b, i-di+1, j+dj-1, c] else 0.0) : [B, 9, 9, 23] [B, 9, 9, 16]",
	"sum [di<3, dj<3, o<17, c<3 | b<B, i<6, j<17] mul(%y[b, i, j, o], %x[b, i-di+1, j-dj+1, c] else 0.0) : [B, 6, 17, 3] [B, 6, 17, 17]",
	"sum [di<3, dj<3, c<3, o<17 | b<B, i<6, j<17] mul(%y[b, i, j, o], %x[b, i-di+1, j-dj+1, c] else 0.0) : [B, 6, 17, 3] [B, 6, 17, 17]",
	"sum [di<3, dj<3, o<17, c<3 | b<B, i<6, j<17] mul(%y[b, i, j, o], %x[b, i+di-1, j+dj-1, c] else 0.0) : [B, 6, 17, 3] [B, 6, 17, 17]",
}

// levelsOf returns the levels of a kind of processors.
func levelsOf(arch string) []Level {
	return slices.DeleteFunc(slices.Clone(levels), func(l Level) bool { return l.Arch != arch })
}

// compileAt compiles m for a level, to be run by one thread and by two. The code of a wider level than this processor's is made with the
// instructions that it has.
func compileAt(t testing.TB, m *ir.Module, level Level) (one, two runtime.Program) {
	t.Helper()
	tools := needLLVM(t)
	here, err := DetectLevel()
	if err != nil {
		t.Fatal(err)
	}
	if here.Lanes < level.Lanes {
		level.CPU = here.CPU
	}
	p, err := compileModule(m, level, codegen.Fast, tools, openCache())
	if err != nil {
		t.Fatal(err)
	}
	var made [2]runtime.Program
	for k := range made {
		if made[k], err = exec.New(p, exec.Options{Threads: k + 1}); err != nil {
			t.Fatal(err)
		}
	}
	return made[0], made[1]
}

// notConvolutions look like one and are none: each channel is for itself, as in the gradients of a depthwise convolution.
var notConvolutions = []string{
	"sum [di<3, dj<3, c<16, one<1 | b<B, i<6, j<6] mul(%x[b, i+di, j+dj, c], %y[b, i, j, c]) : [B, 8, 8, 16] [B, 6, 6, 16]",
	"sum [b<B, i<8, j<8, c<16 | di<3, dj<3, one<1] mul(%x[b, i-di, j-dj, c] else 0.0, %y[di, dj, c, one]) : [B, 6, 6, 16] [3, 3, 16, 1]",
}

func TestDepthwiseIsNoConvolution(t *testing.T) {
	for k, f := range nestModule(t, notConvolutions).Funcs {
		in := f.Body[0]
		if c := asConvolution(in.Nest, []ir.Type{in.Args[0].Type, in.Args[1].Type}); c != nil {
			t.Errorf("%s is taken for a convolution of %d and %d channels", notConvolutions[k], c.c, c.o)
		}
	}
}

// relativeError returns the root mean square of got − want relative to that of want.
func relativeError(got, want *tensor.Tensor) float64 {
	e, r := 0.0, 0.0
	for k := range want.Len() {
		d := got.At(k) - want.At(k)
		e, r = e+d*d, r+want.At(k)*want.At(k)
	}
	return math.Sqrt(e / r)
}

// winogradTolerance is the error that codegen.Fast states.
const winogradTolerance = 2e-6

func TestWinogradAgreesWithDoublePrecision(t *testing.T) {
	m := nestModule(t, winogradCases)
	reference, err := interp.Backend{}.Compile(m, codegen.Options{Precision: tensor.F64})
	if err != nil {
		t.Fatal(err)
	}
	for k, f := range m.Funcs {
		in := f.Body[0]
		if c := asConvolution(in.Nest, []ir.Type{in.Args[0].Type, in.Args[1].Type}); c == nil || !c.pays() {
			t.Errorf("%s is not computed by Winograd's algorithm", winogradCases[k])
		}
	}
	for _, level := range levelsOf(goruntime.GOARCH) {
		one, two := compileAt(t, m, level)
		for k, f := range m.Funcs {
			for _, b := range []int{1, 7} {
				var args []*tensor.Tensor
				for i, v := range f.Params {
					args = append(args, random(uint32(k*100+b*2+i), tensor.F32, -1, 1, dims(v.Type, b)...))
				}
				got, again, want := mustCall(t, one, f.Name, args...)[0], mustCall(t, two, f.Name, args...)[0], mustCall(t, reference, f.Name, args...)[0]
				if e := relativeError(got, want); !(e < winogradTolerance) {
					t.Errorf("%s, B = %d: the error is %.2g: %s", level.Name, b, e, winogradCases[k])
				}
				if d := differ(again, got, 0); d != "" {
					t.Errorf("%s, B = %d: two threads make another result: %s: %s", level.Name, b, d, winogradCases[k])
				}
			}
		}
	}
}

func TestStrictMathSumsDirectly(t *testing.T) {
	m := nestModule(t, winogradCases[:1])
	for math, want := range map[codegen.Math]bool{codegen.Fast: true, codegen.Strict: false} {
		low := newLowering(m, levels[0], math)
		if _, err := low.procedure(m.Funcs[0]); err != nil {
			t.Fatal(err)
		}
		got := false
		for _, k := range low.kernels {
			got = got || strings.HasPrefix(k.key, "winograd")
		}
		if got != want {
			t.Errorf("math %d: Winograd's algorithm is used: %v", math, got)
		}
	}
}

// TestWinogradKeepsWhatIsNotFinite puts an infinity or a not-a-number into operands.
func TestWinogradKeepsWhatIsNotFinite(t *testing.T) {
	m := nestModule(t, winogradCases)
	p, q := compileBoth(t, m)
	for k, f := range m.Funcs {
		for which := range 2 {
			for n, bad := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
				var args []*tensor.Tensor
				for i, v := range f.Params {
					args = append(args, random(uint32(k+i), tensor.F32, -1, 1, dims(v.Type, 2)...))
				}
				x := args[which]
				x.Set(x.Len()*(n+1)/5, bad)
				got, want := mustCall(t, p, f.Name, args...)[0], mustCall(t, q, f.Name, args...)[0]
				more := 0
				for e := range want.Len() {
					finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
					if finite(got.At(e)) && !finite(want.At(e)) {
						t.Fatalf("element %d is %v, not %v: %s", e, got.At(e), want.At(e), winogradCases[k])
					}
					if !finite(got.At(e)) && finite(want.At(e)) {
						more++
					}
				}
				// An element of x meets at most four tiles of 16 elements, in every channel; one of the weights is in every element anyway.
				if c := f.Results[0].Type.Shape; which == 0 && !strings.HasPrefix(winogradCases[k], "sum [d") && more > 4*16*c[len(c)-1].MustConst() {
					t.Errorf("%d more elements are not finite: %s", more, winogradCases[k])
				}
			}
		}
	}
}
