package native

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

func TestFuse(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // the bodies left
	}{
		{
			"a chain becomes one nest, also through a reduction", `
func @f(%x: f32[B, 8, 8, 4], %b: f32[4]) -> (f32[B, 4, 4, 4]) {
  %0: f32[B, 8, 8, 4] = map [b<B, i<8, j<8, c<4] add(%x[b, i, j, c], %b[c])
  %1: f32[B, 8, 8, 4] = map [b<B, i<8, j<8, c<4] relu(%0[b, i, j, c])
  %2: f32[B, 4, 4, 4] = max [b<B, i<4, j<4, c<4 | di<2, dj<2] %1[b, 2*i+di, 2*j+dj, c]
  return %2
}`,
			[]string{"relu(add(%0[$0 2*$1+$4 2*$2+$5 $3], %1[$3]))"},
		},
		{
			"cheap ones are computed by each consumer, costly ones once", `
func @f(%x: f32[B, 8]) -> (f32[B, 8], f32[B, 8], f32[B]) {
  %0: f32[B, 8] = map [b<B, i<8] add(%x[b, i], 1.0)
  %1: f32[B, 8] = map [b<B, i<8] neg(%0[b, i])
  %2: f32[B, 8] = map [b<B, i<8] exp(%0[b, i])
  %3: f32[B, 8] = map [b<B, i<8] mul(%2[b, i], 2.0)
  %4: f32[B] = sum [b<B | i<8] %2[b, i]
  return %1, %3, %4
}`,
			[]string{"neg(add(%0[$0 $1], 1))", "exp(add(%0[$0 $1], 1))", "mul(%0[$0 $1], 2)", "%0[$0 $1]"},
		},
		{
			"not into contractions, windows that overlap, guarded reads; not what is a result", `
func @f(%x: f32[B, 9], %w: f32[9, 5]) -> (f32[B, 5], f32[B, 8], f32[B, 9], f32[B, 9]) {
  %0: f32[B, 9] = map [b<B, i<9] neg(%x[b, i])
  %1: f32[B, 5] = sum [b<B, o<5 | i<9] mul(%0[b, i], %w[i, o])
  %2: f32[B, 9] = map [b<B, i<9] abs(%x[b, i])
  %3: f32[B, 8] = max [b<B, i<8 | d<2] %2[b, i+d]
  %4: f32[B, 9] = map [b<B, i<9] sign(%x[b, i])
  %5: f32[B, 9] = map [b<B, i<9] %4[b, i-1] else 7.0
  %6: f32[B, 9] = map [b<B, i<9] floor(%x[b, i])
  %7: f32[B, 9] = map [b<B, i<9] neg(%6[b, i])
  %8: f32[B, 9] = map [b<B, i<9] add(%6[b, i], %7[b, i])
  return %1, %3, %5, %6
}`,
			[]string{"neg(%0[$0 $1])", "mul(%0[$0 $2], %1[$2 $1])", "abs(%0[$0 $1])", "%0[$0 $1+$2]", "sign(%0[$0 $1])", "%0[$0 $1-1]", "floor(%0[$0 $1])", "add(%0[$0 $1], neg(%0[$0 $1]))"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := parse(t, test.text)
			before := ir.Print(m)
			var got []string
			for _, in := range fuse(m.Funcs[0]).Body {
				got = append(got, in.Nest.Body.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, ir.Print(m)); diff != "" {
				t.Errorf("the module changed: %s", diff)
			}
		})
	}
}

// graph is a function of several small nests that read one another.
var graph = rapid.Custom(func(t *rapid.T) *ir.Func {
	n := func(k int, label string) int { return rapid.IntRange(0, k-1).Draw(t, label) }
	b := ir.NewFunc("")
	rows, cols := ir.Symbol("B"), ir.Int([]int{1, 4, 17, 32}[n(4, "cols")])
	square := ir.Type{DType: tensor.F32, Shape: []ir.Affine{rows, cols}}
	row := ir.Type{DType: tensor.F32, Shape: []ir.Affine{cols}}
	values := []*ir.Value{b.Param("x", square), b.Param("y", square), b.Param("v", row)}
	for range 2 + n(8, "nests") {
		index := ir.Indices(square.Shape)
		out, combine := 2, ir.Map
		switch n(6, "kind") {
		case 0:
			index[0], index[1] = index[1], index[0] // one value for each column
			out, combine = 1, []ir.Combine{ir.Sum, ir.Max, ir.Min}[n(3, "combine")]
		case 1:
			index, out = index[1:], 1
		}
		var args []*ir.Value
		read := func() *ir.Expr {
			v := values[n(len(values), "value")]
			at := func(d ir.Affine) ir.Affine { // the loop over d
				for k, ix := range index {
					if ix.Extent.Equal(d) {
						return ir.Loop(k)
					}
				}
				return ir.Int(0)
			}
			args = append(args, v)
			var ix []ir.Affine
			for _, d := range v.Type.Shape {
				ix = append(ix, at(d))
			}
			return ir.ReadOf(tensor.F32, len(args)-1, ix...)
		}
		x, y := read(), read()
		body := []*ir.Expr{
			ir.Apply(ir.OpAdd, x, y), ir.Apply(ir.OpSub, x, ir.Apply(ir.OpTanh, y)), ir.Apply(ir.OpRelu, x),
			ir.Apply(ir.OpSelect, ir.Apply(ir.OpLess, x, y), x, ir.F32(0.5)), ir.Apply(ir.OpMax, ir.Apply(ir.OpNeg, x), y),
		}[n(5, "body")]
		values = append(values, b.Nest(&ir.Nest{Combine: combine, Index: index, Out: out, Body: body}, args...))
	}
	for k := range 1 + n(3, "results") {
		b.Return("", values[len(values)-1-k])
	}
	return b.Func
})

func TestRandomGraphs(t *testing.T) {
	needLLVM(t)
	m := ir.NewModule()
	for k := range 60 {
		f := graph.Example(k + 1)
		f.Name = fmt.Sprintf("f%d", k)
		m.AddFunc(f)
	}
	p, q := compileBoth(t, m)
	for _, f := range m.Funcs {
		for _, b := range []int{1, 7, 40} {
			var args []*tensor.Tensor
			for i, v := range f.Params {
				args = append(args, random(uint32(i*10+b), tensor.F32, -1, 1, dims(v.Type, b)...))
			}
			got, want := mustCall(t, p, f.Name, args...), mustCall(t, q, f.Name, args...)
			for k := range want {
				if d := differ(got[k], want[k], 1e-4); d != "" {
					t.Errorf("%s, B = %d, result %d: %s", f.Name, b, k, d)
				}
			}
		}
	}
}
