package weights

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
)

// cells is a program that is nothing but its cells, of two elements each unless said otherwise.
type cells struct {
	runtime.Program
	values map[string]*tensor.Tensor
}

func (c cells) SetCell(name string, t *tensor.Tensor) error {
	c.values[name] = t
	return nil
}

func program(folder string, names ...string) (cells, *plan.Program) {
	m := ir.NewModule()
	for _, name := range names {
		kind := ir.Param
		if strings.HasSuffix(name, "moving_mean") {
			kind = ir.State
		}
		if strings.HasPrefix(name, "adam.") {
			kind = ir.Slot
		}
		m.AddCell(&ir.Cell{Name: name, Kind: kind, Type: ir.Type{DType: tensor.F32, Shape: []ir.Affine{ir.Int(2)}}})
	}
	return cells{values: map[string]*tensor.Tensor{}}, &plan.Program{File: filepath.Join(folder, "net.nn"), Module: m, Models: []*plan.Model{{Name: "Net"}}}
}

// A file's entries, by number in the order here, get where they belong.
func TestLoad(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []string // layer/weight
		cells   []string
		load    plan.Load
		want    map[string]float32
		note    string
		err     []string // parts of it
	}{
		{
			name: "relative paths", entries: []string{"conv2d/kernel", "conv2d/bias"}, cells: []string{"trunk.conv2d.kernel", "trunk.conv2d.bias"},
			load: plan.Load{Into: "trunk", Root: "trunk"},
			want: map[string]float32{"trunk.conv2d.kernel": 1, "trunk.conv2d.bias": 2},
		},
		{
			name: "whole paths go before others", entries: []string{"dense/kernel", "trunk.dense/kernel", "head/kernel"},
			cells: []string{"trunk.dense.kernel"}, load: plan.Load{Into: "trunk", Root: "trunk"},
			want: map[string]float32{"trunk.dense.kernel": 2}, note: "it also holds dense/kernel, head/kernel, which nothing was loaded from",
		},
		{
			name: "inner part, Keras's separator", entries: []string{"block_dense/kernel", "block_norm/moving_mean"},
			cells: []string{"GPT.block.dense.kernel", "GPT.block.norm.moving_mean"}, load: plan.Load{Into: "GPT.block", Root: "GPT.block"},
			want: map[string]float32{"GPT.block.dense.kernel": 1, "GPT.block.norm.moving_mean": 2},
		},
		{
			name: "the only model, with parameters of its own", entries: []string{"net/w", "dense/kernel"}, cells: []string{"w", "dense.kernel"},
			load: plan.Load{Into: "Net"}, want: map[string]float32{"w": 1, "dense.kernel": 2},
		},
		{
			name: "from the file of two models", entries: []string{"Net/w", "Net.dense/kernel", "Critic.dense/kernel"}, cells: []string{"w", "dense.kernel"},
			load: plan.Load{Into: "Net"}, want: map[string]float32{"w": 1, "dense.kernel": 2},
			note: "it also holds Critic.dense/kernel, which nothing was loaded from",
		},
		{
			name: "the whole program", entries: []string{"net/w", "trunk.dense/kernel", "a/x", "b/x", "c/x", "d/x", "e/x"},
			cells: []string{"w", "trunk.dense.kernel", "adam.w.m"}, want: map[string]float32{"w": 1, "trunk.dense.kernel": 2},
			note: "it also holds a/x, b/x, c/x and 2 more, which nothing was loaded from",
		},
		{
			name: "other names, in order", entries: []string{"dense_7/kernel", "dense_8/kernel"}, cells: []string{"trunk.a.kernel", "trunk.b.kernel"},
			load: plan.Load{Into: "trunk", Root: "trunk"}, want: map[string]float32{"trunk.a.kernel": 1, "trunk.b.kernel": 2},
		},
		{
			name: "one is missing", entries: []string{"a/kernel", "c/kernel", "d/kernel"}, cells: []string{"trunk.a.kernel", "trunk.b.kernel"},
			load: plan.Load{Into: "trunk", Root: "trunk"},
			err:  []string{"weights.h5 does not fit trunk", `the file has no "b/kernel", which is wanted with shape [2]`, "the model has 2 layers with weights, the file 3"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			var m Model
			safe := map[string]*tensor.Tensor{}
			for i, e := range c.entries {
				layer, weight, _ := strings.Cut(e, "/")
				v := tensor.FromF32([]float32{float32(i + 1), 0}, 2)
				k := slices.IndexFunc(m.Layers, func(l Layer) bool { return l.Name == layer })
				if k < 0 {
					k = len(m.Layers)
					m.Layers = append(m.Layers, Layer{Name: layer})
				}
				m.Layers[k].Weights = append(m.Layers[k].Weights, Weight{weight, v})
				safe[strings.ReplaceAll(e, "/", ".")] = v
			}
			if _, err := WriteKeras(filepath.Join(dir, "weights.h5"), m); err != nil {
				t.Fatal(err)
			}
			if err := WriteSafetensors(filepath.Join(dir, "weights.safetensors"), safe); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"weights.h5", "weights.safetensors"} {
				prog, p := program(dir, c.cells...)
				l := c.load
				l.File = file
				if l.Into != "" {
					l.Cells = c.cells
				}
				note, err := Load(prog, p, &l)
				if file != "weights.h5" && (err != nil || c.err != nil) {
					if len(prog.values) > 0 {
						t.Errorf("%s: set %v after %v", file, prog.values, err)
					}
					continue // no order of layers
				}
				if err != nil && c.err == nil || err == nil && c.err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				for _, part := range c.err {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%s: the error %q lacks %q", file, err, part)
					}
				}
				var got map[string]float32
				for name, v := range prog.values {
					if got == nil {
						got = map[string]float32{}
					}
					got[name] = v.F32[0]
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s: %s", file, diff)
				}
				if file == "weights.h5" && note != c.note {
					t.Errorf("note %q, not %q", note, c.note)
				}
			}
		})
	}
}

func TestLoadShape(t *testing.T) {
	dir := t.TempDir()
	m := Model{Layers: []Layer{{Name: "a", Weights: []Weight{{"kernel", tensor.FromF32([]float32{1, 2, 3}, 3)}}}}}
	if _, err := WriteKeras(filepath.Join(dir, "weights.h5"), m); err != nil {
		t.Fatal(err)
	}
	prog, p := program(dir, "t.a.kernel")
	_, err := Load(prog, p, &plan.Load{File: "weights.h5", Into: "t", Root: "t", Cells: []string{"t.a.kernel"}})
	if err == nil || !strings.Contains(err.Error(), `"a/kernel" has shape [3] in the file, but [2] is wanted`) || len(prog.values) > 0 {
		t.Errorf("error %v, values %v", err, prog.values)
	}
	if _, err := Load(prog, p, &plan.Load{File: "none.h5"}); err == nil || !strings.Contains(err.Error(), "none.h5") {
		t.Errorf("error %v", err)
	}
}
