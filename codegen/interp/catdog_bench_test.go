package interp_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime"
)

// catdog compiles examples/catdog at the given image size and returns its program and the names of its training step and of its init
// function.
func catdog(b *testing.B, size string) (runtime.Program, *plan.Program) {
	b.Helper()
	name := filepath.Join("..", "..", "examples", "catdog", "catdog.nn")
	text, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	schema := func(d *plan.Data) error {
		d.Fields = []plan.Field{
			{Name: "image", DType: tensor.F32, Shape: []int{d.Source.ImageFolder.Height, d.Source.ImageFolder.Width, 3}},
			{Name: "label", DType: tensor.I32, Labels: []string{"cat", "dog"}},
		}
		return nil
	}
	p, errs := lang.Compile(diag.NewFile(name, string(text)), lang.Options{Set: map[string]string{"image_size": size}, Schema: schema})
	if p == nil {
		b.Fatalf("%+v", errs)
	}
	if err := passes.Run(p.Module, passes.Options{}); err != nil {
		b.Fatal(err)
	}
	prog, err := interp.Backend{}.Compile(p.Module, codegen.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return prog, p
}

// arguments makes random data for a function's parameters with the given batch.
func arguments(f *ir.Func, batch int) []*tensor.Tensor {
	r := rand.New(rand.NewPCG(1, 2))
	var args []*tensor.Tensor
	for _, p := range f.Params {
		shape := make([]int, len(p.Type.Shape))
		for i, d := range p.Type.Shape {
			shape[i] = d.EvalDim(func(string) int { return batch })
		}
		t := tensor.New(p.Type.DType, shape...)
		for k := range t.Len() {
			t.Set(k, float64(r.IntN(2)))
			if t.DType == tensor.F32 {
				t.Set(k, 255*r.Float64())
			}
		}
		args = append(args, t)
	}
	return args
}

// BenchmarkCatdogStep runs training steps of the article's network at its own size, and compares their rate of arithmetic with that of
// gonum's own product of two large matrices. flops/step counts the products of the layers, forward and twice backward;
// gonum leaves out those of them in which one factor is zero, as many are after relu.
func BenchmarkCatdogStep(b *testing.B) {
	prog, p := catdog(b, "150")
	const batch = 32
	// Multiplications and additions of one example: three convolutions and two dense layers; the first layer needs no gradient of
	// its data.
	conv1, conv2, conv3 := 148.*148*27*32, 72.*72*288*64, 34.*34*576*128
	dense := 17.*17*128*512 + 512
	flops := 2 * batch * (2*conv1 + 3*conv2 + 3*conv3 + 3*dense)
	f := prog.Module().Func(p.Trains[0].Step)
	args := arguments(f, batch)
	if _, err := prog.Call(p.Init, tensor.New(tensor.I32)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := prog.Call(f.Name, args...); err != nil {
			b.Fatal(err)
		}
	}
	rate := flops * float64(b.N) / b.Elapsed().Seconds() / 1e9
	b.ReportMetric(rate, "GFLOP/s")
	b.ReportMetric(rate/productRate(), "of-gemm")
}

// productRate returns the GFLOP/s of a product of two matrices of 1024 by 1024.
func productRate() float64 {
	const n = 1024
	x := blas32.General{Rows: n, Cols: n, Stride: n, Data: make([]float32, n*n)}
	for k := range x.Data {
		x.Data[k] = float32(k%7) + 0.5
	}
	z := blas32.General{Rows: n, Cols: n, Stride: n, Data: make([]float32, n*n)}
	best := time.Duration(1 << 62)
	for range 3 {
		start := time.Now()
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, x, x, 0, z)
		best = min(best, time.Since(start))
	}
	return 2 * n * n * n / best.Seconds() / 1e9
}
