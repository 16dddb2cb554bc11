package conformance

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
)

// torchCells are PyTorch's recurrent layers, which have two biases and their kernels the other way round, as a user would write them.
const torchCells = `
layer RNN(units: int)(x: f32[t, n]) -> f32[t, units] {
    param weight_ih: f32[units, n] = zeros
    param weight_hh: f32[units, units] = zeros
    param bias_ih: f32[units] = zeros
    param bias_hh: f32[units] = zeros
    scan step in x with h = zeros[units] {
        h <- tanh(weight_ih @ step + bias_ih + weight_hh @ h + bias_hh)
        yield h
    }
}

layer TwoBiasLSTM(units: int)(x: f32[t, n]) -> (f32[t, units], f32[t, units]) {
    param weight_ih: f32[4*units, n] = zeros
    param weight_hh: f32[4*units, units] = zeros
    param bias_ih: f32[4*units] = zeros
    param bias_hh: f32[4*units] = zeros
    scan step in x with h = zeros[units], c = zeros[units] {
        let (i, f, g, o) = split(weight_ih @ step + bias_ih + weight_hh @ h + bias_hh, 4)
        c <- sigmoid(f) * c + sigmoid(i) * tanh(g)
        h <- sigmoid(o) * tanh(c)
        yield (h, c)
    }
}

layer TwoBiasGRU(units: int)(x: f32[t, n]) -> f32[t, units] {
    param weight_ih: f32[3*units, n] = zeros
    param weight_hh: f32[3*units, units] = zeros
    param bias_ih: f32[3*units] = zeros
    param bias_hh: f32[3*units] = zeros
    scan step in x with h = zeros[units] {
        let (xr, xz, xn) = split(weight_ih @ step + bias_ih, 3)
        let (hr, hz, hn) = split(weight_hh @ h + bias_hh, 3)
        let z = sigmoid(xz + hz)
        h <- (1 - z) * tanh(xn + sigmoid(xr + hr) * hn) + z * h
        yield h
    }
}
`

// torchParams relates PyTorch's parameters of a layer to an instance's.
func torchParams(suffix, instance string) string {
	layout := ""
	for _, name := range []string{"weight_ih", "weight_hh", "bias_ih", "bias_hh"} {
		layout += " " + name + "_l" + suffix + "=" + instance + "." + name
	}
	return layout
}

var recurrentRows = []libraryRow{
	{name: "simplernn_last", body: "x |> SimpleRNN(4)"},
	{name: "simplernn_seq", body: "x |> SimpleRNN(4, return_sequences: true)"},
	{name: "simplernn_relu_backwards", body: "x |> SimpleRNN(3, relu, go_backwards: true, return_sequences: true)"},
	{name: "lstm_last", body: "x |> LSTM(5)"},
	{name: "lstm_seq", body: "x |> LSTM(5, return_sequences: true)"},
	{name: "lstm_state", body: "x |> LSTM(4, return_sequences: true, return_state: true)"},
	{name: "gru_reset_after_last", body: "x |> GRU(5)"},
	{name: "gru_reset_after_seq", body: "x |> GRU(5, return_sequences: true)"},
	{name: "gru_reset_before_seq", body: "x |> GRU(4, reset_after: false, return_sequences: true)"},
	{
		name: "bidirectional_lstm", body: "x |> Bidirectional(LSTM(3, return_sequences: true))",
		layout: "forward_lstm_6/lstm_cell/kernel=forward.lstm_cell.kernel " +
			"forward_lstm_6/lstm_cell/recurrent_kernel=forward.lstm_cell.recurrent_kernel " +
			"forward_lstm_6/lstm_cell/bias=forward.lstm_cell.bias " +
			"backward_lstm_6/lstm_cell/kernel=backward.lstm_cell.kernel " +
			"backward_lstm_6/lstm_cell/recurrent_kernel=backward.lstm_cell.recurrent_kernel " +
			"backward_lstm_6/lstm_cell/bias=backward.lstm_cell.bias",
	},
	{
		name: "pt_rnn_tanh", extra: torchCells, layout: "x:102 y0:102 y1:102" + torchParams("0", "rnn"),
		body: "let h = x |> RNN(4)\n(h, [last(h)])",
	},
	{
		name: "pt_lstm_2layer", extra: torchCells,
		layout: "x:102 y0:102 y1:102 y2:102" + torchParams("0", "first") + torchParams("1", "second"),
		body: "let first = TwoBiasLSTM(4)\nlet second = TwoBiasLSTM(4)\n" +
			"let (h, c) = first(x)\nlet (g, d) = second(h)\n(g, [last(h), last(g)], [last(c), last(d)])",
	},
	{
		name: "pt_lstm_bidir_batchfirst", extra: torchCells,
		layout: "y1:102 y2:102" + torchParams("0", "forward") + torchParams("0_reverse", "backward"),
		body: "let forward = TwoBiasLSTM(4)\nlet backward = TwoBiasLSTM(4)\n" +
			"let (h, c) = forward(x)\nlet (g, d) = backward(reverse(x))\n" +
			"(concat(h, reverse(g)), [last(h), last(g)], [last(c), last(d)])",
	},
	{
		name: "pt_gru", extra: torchCells, layout: "x:102 y0:102 y1:102" + torchParams("0", "two_bias_gru"),
		body: "let h = x |> TwoBiasGRU(5)\n(h, [last(h)])",
	},
}

// The recurrent layers agree with Keras, and cells written like PyTorch's with these: outputs, states and all gradients through time.
func TestRecurrentLayers(t *testing.T) {
	cases := libraryCases(t)
	onEach(t, func(t *testing.T, s setting) {
		for _, row := range recurrentRows {
			t.Run(row.name, func(t *testing.T) {
				i := slices.IndexFunc(cases, func(c *libraryCase) bool { return c.Name == row.name })
				if i < 0 {
					t.Fatal("there is no such case")
				}
				runLibraryCase(t, s, withoutNumbers(cases[i]), row)
			})
		}
	})
}

// sameNumbers makes one of the names that Keras gave the layers inside a layer: those of gradients have other numbers.
var sameNumbers = strings.NewReplacer("_lstm_7/", "_lstm_6/", "dense_9/", "dense_8/")

// withoutNumbers returns a case whose parameters and their gradients have the same names.
func withoutNumbers(c *libraryCase) *libraryCase {
	clone := *c
	clone.tensors, clone.Tolerance = map[string]*tensor.Tensor{}, map[string][2]float64{}
	for name, v := range c.tensors {
		clone.tensors[sameNumbers.Replace(name)] = v
	}
	for name, v := range c.Tolerance {
		clone.Tolerance[sameNumbers.Replace(name)] = v
	}
	return &clone
}

// Scans agree with steps written out, and so do all their gradients.
func TestScansUnrolled(t *testing.T) {
	onEach(t, func(t *testing.T, s setting) {
		for _, disable := range append([]string{""}, optionalPasses()...) {
			s := s
			if disable != "" {
				s.disable = []string{disable}
			}
			c := compile(t, source(t, filepath.Join("testdata", "recurrent.nn")), lang.Options{}, s)
			for _, test := range c.plan.Tests {
				results := c.call(t, test.Func, nil)
				for _, x := range test.Expects {
					compare(t, test.Name+": "+x.Text, results[x.Left], results[x.Right], tolerance{x.Within, 0})
				}
			}
		}
	})
}

// Of an example's own length, padding takes no part: outputs, states and gradients of a batch are those of its examples alone.
func TestRecurrentLengths(t *testing.T) {
	const longest, width = 5, 2
	lengths := []int{2, 5, 1}
	random := rand.New(rand.NewPCG(1, 2))
	for _, layer := range []string{
		"SimpleRNN(3)", "LSTM(3, go_backwards: true)", "GRU(3, return_sequences: true)", "GRU(3, reset_after: false)",
		"Bidirectional(LSTM(3, return_sequences: true))",
	} {
		t.Run(layer, func(t *testing.T) {
			onEach(t, func(t *testing.T, s setting) {
				c, golden, cells := ownLengthProgram(t, layer, s)
				whole := map[string]*tensor.Tensor{"length.t": tensor.New(tensor.I32, len(lengths)), "x": tensor.New(tensor.F32, len(lengths), longest, width)}
				for b, n := range lengths {
					whole["length.t"].Set(b, float64(n))
				}
				for i := range whole["x"].Len() { // also the padding
					whole["x"].Set(i, random.NormFloat64())
				}
				whole["cot0"] = cotangent(c, golden, len(lengths), longest)
				all := c.call(t, golden, whole)
				sums := make([]*tensor.Tensor, len(cells))
				for b, n := range lengths {
					one := map[string]*tensor.Tensor{
						"length.t": rowsFrom(whole["length.t"], b, 1), "x": cut(rowsFrom(whole["x"], b, 1), n),
						"cot0": rowsFrom(whole["cot0"], b, 1),
					}
					if len(whole["cot0"].Shape) == 3 {
						one["cot0"] = cut(one["cot0"], n)
					}
					results := c.call(t, golden, one)
					for k, name := range []string{"output", "gradient of x"} {
						got := rowsFrom(all[k], b, 1)
						if len(got.Shape) == 3 {
							for i := n * got.Shape[2]; i < got.Len(); i++ {
								if got.At(i) != 0 {
									t.Errorf("%s of example %d: padding has %v", name, b, got.At(i))
									break
								}
							}
							got = cut(got, n)
						}
						compare(t, name, got, results[k], tolerance{1e-6, 1e-5})
					}
					for k, g := range results[2:] {
						if sums[k] == nil {
							sums[k] = tensor.New(tensor.F64, g.Shape...)
						}
						for i := range g.Len() {
							sums[k].Set(i, sums[k].At(i)+g.At(i))
						}
					}
				}
				for k, cell := range cells {
					compare(t, "gradient of "+cell.Name, all[2+k], sums[k], tolerance{1e-5, 1e-5})
				}
			})
		})
	}
}

// ownLengthProgram compiles a model of sequences of their own lengths with its golden function.
func ownLengthProgram(t *testing.T, layer string, s setting) (*compiled, string, []*ir.Cell) {
	t.Helper()
	p, list := lang.Compile(diag.NewFile("lengths.nn", "model Net(x: f32[t, 2]) {\n    x |> "+layer+"\n}\n"), lang.Options{})
	if list.HasErrors() {
		t.Fatal(rendered(t, list))
	}
	golden := goldenFunction(p.Module, p.Module.Func(".Net"), p.Module.Cells)
	run := &libraryRun{T: t, s: s}
	return run.compilePlan(p), golden, p.Module.Cells
}

// cotangent draws a cotangent of the golden function's output.
func cotangent(c *compiled, golden string, batch, steps int) *tensor.Tensor {
	f := c.Module().Func(golden)
	dims := f.Params[len(f.Params)-1].Type.Shape
	shape := []int{batch, dims[len(dims)-1].MustConst()}
	if len(dims) == 3 {
		shape = slices.Insert(shape, 1, steps)
	}
	v := tensor.New(tensor.F32, shape...)
	for i := range v.Len() {
		v.Set(i, float64(i%7)-2.5)
	}
	return v
}

// cut keeps the first n steps of one example.
func cut(v *tensor.Tensor, n int) *tensor.Tensor {
	out := tensor.New(v.DType, 1, n, v.Shape[2])
	for i := range out.Len() {
		out.Set(i, v.At(i))
	}
	return out
}
