package conformance

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
)

// What partPrograms are trained on: pictures and vectors with a class, texts and sequences of their own lengths.
const partData = `data D {
    source: csv("d.csv", columns: { x: f32("a", "b", "c", "d", "e"), image: image(size: 8), text: words(), label: class, y: f32, w: f32 })
    map: {
        image: if training { image / 255 |> flip |> rotate(10) |> shift(0.1) |> zoom(0.1) |> brightness(0.2) } else { image / 255 }
    }
    batch: 7
}
data Far { source: csv("far.csv", columns: { far: f32 }) }
`

var partFields = map[string][]plan.Field{
	"D": {
		{Name: "x", DType: tensor.F32, Shape: []int{5}},
		{Name: "image", DType: tensor.F32, Shape: []int{8, 8, 2}},
		{Name: "text", DType: tensor.I32, Shape: []int{-1}, Labels: []string{"?", "a", "b", "c"}},
		{Name: "label", DType: tensor.I32, Labels: []string{"p", "q", "r"}},
		{Name: "y", DType: tensor.F32},
		{Name: "w", DType: tensor.F32},
	},
	"Far": {{Name: "far", DType: tensor.F32}},
}

// partPrograms compute batches in parts in all ways that there are.
var partPrograms = []struct{ name, text string }{
	{"dense", `
model M(x: f32[5]) -> f32[D.label] { x |> Dense(6, gelu) |> LayerNorm() |> Dense(5, tanh) |> Dense(D.label) }
train on D {
    loss:      where(label == 1, 1.7, 1.0) * crossentropy(M(x), label, from_logits: true)
    optimizer: adam(lr: warmup_cosine(step, peak: 1e-3, warmup: 2, total: 9))
    metrics:   { right: accuracy(M(x), label), matrix: confusion_matrix(softmax(M(x)), label) }
    average:   ema(0.9)
    epochs:    1
}`},
	{"convolution", `
model M(image: f32[8, 8, 2]) -> f32[D.label] {
    image |> Conv2D(6, 3, relu, padding: "same") |> Conv2D(4, 3) |> GroupNorm(2) |> MaxPool2D(2) |> Flatten() |> Dropout(0.4) |> Dense(D.label)
}
train on D {
    minimize crossentropy(M(image), label, from_logits: true) + 1e-3 * sum(M.dense.kernel^2)
        over M where rank >= 2 using sgd(0.1, momentum: 0.9),
        over rest using sgd(0.05)
    metrics: { right: accuracy(M(image), label), most: max[batch] y, least: min[batch] y }
    epochs:  1
}`},
	{"wide", `
model M(image: f32[8, 8, 2]) -> f32[D.label] { image |> Flatten() |> Dense(40, relu) |> Dropout(0.3) |> Dense(30, tanh) |> Dense(D.label) }
train on D {
    minimize crossentropy(M(image), label, from_logits: true) clip global_norm(0.5) over M using sgd(0.1)
    metrics: { after: accuracy(M(image), label) }
    epochs:  1
}`},
	{"lstm", `
model M(text: i32[t]) -> f32 {
    (text |> Embedding(D.text, 6) |> Bidirectional(LSTM(5, return_sequences: true)) |> GRU(4) |> Dense(1))[0]
}
train on D {
    minimize (M(text) - y)^2 clip value(0.02) over M using sgd(0.5)
    metrics: { length: sum[i] f32(where(text[i] >= 0, 1, 0)) }
    epochs:  1
}`},
	{"attention", `
model M(text: i32[t]) -> f32[t, D.text] {
    let tokens = Embedding(D.text, 8)
    (tokens(text) |> repeat(2, TransformerBlock(2, 12)) |> LayerNorm()) @ transpose(tokens.embeddings)
}
train on D {
    minimize crossentropy(M(text), text, from_logits: true) clip global_norm(0.1) over M using sgd(0.3)
    epochs: 1
}`},
	{"clip norm", `
model M(x: f32[5]) -> f32 { (x |> Dense(4, relu) |> Dense(1))[0] }
train on D {
    loss:      (M(x) - y)^2
    optimizer: sgd(0.1)
    clip:      norm(0.1)
    epochs:    1
}`},
	{"by example", `
model M(x: f32[5]) -> f32 { (x |> Dense(4, tanh) |> Dense(1))[0] }
model Slope(x: f32[5]) -> f32 {
    param v: f32[5] = ones
    sum(v * x^2)
}
train on D {
    let g = grad((Slope(x) - y)^2, Slope.v)
    Slope.v <- Slope.v - 0.01 * mean[batch] g
    minimize (M(x) - y)^2 clip by_example(0.2) over M using sgd(0.1)
    metrics: { norm: norm(g), after: Slope(x) }
    epochs:  1
}`},
	{"two models", `
model Maker(z: f32[3]) -> f32[5] { z |> Dense(6, relu) |> Dense(5) }
model Critic(x: f32[5]) -> f32 { (x |> Dense(6, leaky_relu) |> Dropout(0.2) |> Dense(1, sigmoid))[0] }
train on D {
    let z = normal[3]
    minimize binary_crossentropy(Critic(x), 1) + binary_crossentropy(Critic(stop_gradient(Maker(z))), 0) over Critic using sgd(0.2, momentum: 0.5)
    minimize binary_crossentropy(Critic(Maker(z)), 1) over Maker using sgd(0.1) every 2
    epochs: 1
}`},
	{"gradient penalty", `
model Critic(x: f32[5]) -> f32 { (x |> Dense(6, tanh) |> Dense(1))[0] }
train on D {
    let at = x + 0.1 * normal[5]
    let slope = grad(Critic(at), at)
    minimize Critic(x) + 10 * (norm(slope) - 1)^2 over Critic using sgd(0.02)
    epochs: 1
}`},
	{"weights", `
model M(x: f32[5]) -> f32 { (x |> BatchNorm(momentum: 0.9) |> Dense(4) |> Dense(1))[0] }
train on D {
    let e = (M(x) - y)^2
    minimize sum[batch] (w * e) / sum[batch] w + 1e-3 * sum(M.dense.kernel^2) over M using sgd(0.1)
    metrics: { after: (M(x) - y)^2, area: auc(sigmoid(M(x)), i32(w + 0.5)) }
    epochs:  1
}`},
	{"frozen", `
let trunk = Conv2D(3, 3)
layer Normed()(x: f32[...s, c]) -> f32[...s, c] { x |> BatchNorm() }
let norm1 = Normed()
model M(image: f32[8, 8, 2]) -> f32 { (image |> trunk |> norm1 |> Flatten() |> Dense(1))[0] }
train on D {
    minimize (M(image) - y)^2 over M.dense using sgd(0.01)
    epochs: 1
}`},
	{"streams", `
model Policy(s: f32[2]) -> f32[2] { s |> Dense(4, tanh) |> Dense(2) }
train {
    batch: 7
    steps: 3
    stream s: f32[2] = uniform[2](-1, 1)
    stream age: f32 = 0
    let (gain, last) = scan i < 4 with now = s, run = age {
        let a = categorical(softmax(Policy(now)))
        let push = f32(a) - 0.5 + 0.1 * normal[]
        yield (log_softmax(Policy(now))[a] * (1 - sum(now^2)), run)
        now <- now + 0.1 * [now[1], push]
        run <- run + 1
    }
    s <- s + 0.01 * [gain[0], last[1]]
    age <- age + 1
    minimize -sum(gain) over Policy using sgd(0.1)
    metrics: { age: age, gone: sum(s) }
    epochs: 1
}`},
	{"several data", `
model M(x: f32[5]) -> f32 { (x |> Dense(3, relu) |> Dense(1))[0] }
train on D, Far {
    minimize (M(D.x) - Far.far)^2 over M using sgd(0.1)
    metrics: { far: Far.far }
    epochs:  1
}`},
}

// partArgs makes arguments of a function, by name: a batch of so many examples.
func partArgs(f *ir.Func, examples, step int, random *rand.Rand) map[string]*tensor.Tensor {
	const longest = 6
	args := map[string]*tensor.Tensor{plan.ParamStep: tensor.FromI32([]int32{int32(step)}), plan.ParamSeed: tensor.FromI32([]int32{3})}
	for _, p := range f.Params {
		if !p.PerExample() {
			continue
		}
		shape := []int{examples}
		for _, d := range p.Type.Shape[1:] {
			n, known := d.IsConst()
			if !known {
				n = longest
			}
			shape = append(shape, n)
		}
		v := tensor.New(p.Type.DType, shape...)
		for i := range v.Len() {
			switch {
			case strings.HasPrefix(p.Name, "length."):
				v.Set(i, float64(1+random.IntN(longest)))
				v.Set(0, longest)
			case v.DType == tensor.I32:
				v.Set(i, float64(random.IntN(3)))
			case strings.HasSuffix(p.Name, "image"):
				v.Set(i, float64(random.IntN(256)))
			default:
				v.Set(i, random.Float64())
			}
		}
		args[p.Name] = v
	}
	return args
}

// A batch that is computed in parts comes to what it comes to as a whole: in parts of one size, with a smaller one at the end, one by one, and
// where the batch itself is the smaller one at the end of a pass.
func TestParts(t *testing.T) {
	onEachAlone(t, func(t *testing.T, s setting) {
		tol := tolerance{2e-6, 2e-6}
		if s.precision == tensor.F64 {
			tol = tolerance{1e-13, 1e-12}
		}
		for _, p := range partPrograms {
			t.Run(p.name, func(t *testing.T) {
				made := func(parts int) *compiled {
					schema := func(d *plan.Data) error {
						d.Fields = partFields[d.Name]
						return nil
					}
					return compile(t, diag.NewFile(p.name+".nn", partData+p.text), lang.Options{Schema: schema, MicroBatch: parts}, s)
				}
				whole := made(0)
				for _, size := range []int{1, 3} {
					parts := made(size)
					for _, c := range whole.plan.Module.Cells {
						parts.setCell(t, c.Name, whole.cell(t, c.Name))
					}
					start := map[string]*tensor.Tensor{}
					for _, c := range whole.plan.Module.Cells {
						start[c.Name] = whole.cell(t, c.Name)
					}
					random := rand.New(rand.NewPCG(1, uint64(size)))
					tr := whole.plan.Trains[0]
					for step, examples := range []int{7, 7, 2} {
						if tr.Data == nil {
							examples = 7
						}
						for _, fn := range []string{tr.StepFunc(step), tr.Eval} {
							if f := parts.Module().Func(fn); len(f.Stages) == 0 {
								t.Fatalf("%s is computed as a whole", fn)
							}
							args := partArgs(parts.Module().Func(fn), examples, step, random)
							want, got := whole.call(t, fn, args), parts.call(t, fn, args)
							for i := range want {
								compare(t, fmt.Sprintf("parts of %d, step %d: %s %s", size, step, fn, whole.Module().Func(fn).ResultNames[i]), got[i], want[i], tol)
							}
						}
						for _, c := range whole.plan.Module.Cells {
							compare(t, fmt.Sprintf("parts of %d, step %d: %s", size, step, c.Name), parts.cell(t, c.Name), whole.cell(t, c.Name), tol)
						}
					}
					for name, v := range start {
						whole.setCell(t, name, v)
					}
				}
			})
		}
	})
}
