package conformance

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
)

// lossSteps and lossTolerance are how long machine code with fast math follows the interpreter, and how closely.
const (
	lossSteps     = 20
	lossTolerance = 1e-4
)

// followed are the programs whose losses are compared, and what their data looks like: pictures up to a number, or texts.
var followed = []struct {
	name, path string
	batch      int
	most       float32
	fields     []plan.Field
}{
	{"catdog", "../examples/catdog/catdog.nn", 8, 255, []plan.Field{{Name: "image", DType: tensor.F32, Shape: []int{32, 32, 3}}, {Name: "label", DType: tensor.I32, Labels: labels(2)}}},
	{"mnistmlp", "peers/mnistmlp.nn", 16, 1, []plan.Field{{Name: "image", DType: tensor.F32, Shape: []int{28, 28, 1}}, {Name: "label", DType: tensor.I32, Labels: labels(10)}}},
	{"charlstm", "peers/charlstm.nn", 3, 0, []plan.Field{{Name: "text", DType: tensor.I32, Shape: []int{50}, Labels: labels(65)}, {Name: "next", DType: tensor.I32, Shape: []int{50}, Labels: labels(65)}}},
	{"gptmini", "peers/gptmini.nn", 2, 0, []plan.Field{{Name: "text", DType: tensor.I32, Shape: []int{64}, Labels: labels(65)}, {Name: "next", DType: tensor.I32, Shape: []int{64}, Labels: labels(65)}}},
	{"digits", "../examples/digits/digits.nn", 8, 255, []plan.Field{{Name: "image", DType: tensor.F32, Shape: []int{28, 28, 1}}, {Name: "label", DType: tensor.I32, Labels: labels(10)}}},
	{"autoencoder", "../examples/autoencoder/autoencoder.nn", 8, 255, []plan.Field{{Name: "image", DType: tensor.F32, Shape: []int{28, 28, 1}}, {Name: "label", DType: tensor.I32, Labels: labels(10)}}},
	{"vae", "../examples/vae/vae.nn", 8, 255, []plan.Field{{Name: "image", DType: tensor.F32, Shape: []int{28, 28, 1}}, {Name: "label", DType: tensor.I32, Labels: labels(10)}}},
}

func labels(n int) []string {
	all := make([]string, n)
	for k := range all {
		all[k] = string(rune('0' + k))
	}
	return all
}

// The losses of 20 training steps, with all passes on and fast math, are the interpreter's.
func TestLossesFollowTheInterpreter(t *testing.T) {
	if len(backends) < 2 {
		t.Skip("without native code")
	}
	for _, f := range followed {
		t.Run(f.name, func(t *testing.T) {
			options := lang.Options{Schema: fields(f.fields...)}
			want := compile(t, source(t, f.path), options, setting{backend: interp.Backend{}, precision: tensor.F32})
			got := compile(t, source(t, f.path), options, setting{backend: native.Backend{}, precision: tensor.F32, fast: true})
			first := math.NaN()
			for step := range lossSteps {
				args := map[string]*tensor.Tensor{plan.ParamStep: tensor.FromI32([]int32{int32(step)})}
				random := rand.New(rand.NewPCG(uint64(step%4), 3))
				class := make([]int, f.batch) // there is something to learn: of noise alone, losses are chaotic after some steps
				for k := range class {
					class[k] = random.IntN(1000)
				}
				for _, field := range f.fields {
					v := tensor.New(field.DType, append([]int{f.batch}, field.Shape...)...)
					each := v.Len() / f.batch
					for k := range v.Len() {
						switch n := len(field.Labels); {
						case field.DType == tensor.F32:
							v.F32[k] = f.most * (0.5*random.Float32() + 0.5*float32(class[k/each]%10)/10)
						case len(field.Shape) == 0:
							v.I32[k] = int32(class[k] % n)
						default:
							v.I32[k] = int32((class[k/each] + 3*(k%each)) % n)
						}
					}
					args[field.Name] = v
				}
				fn := want.plan.Trains[0].Step
				w, g := want.call(t, fn, args)[0].At(0), got.call(t, fn, args)[0].At(0)
				if !(math.Abs(g-w) <= lossTolerance*math.Abs(w)) {
					t.Fatalf("step %d: the loss is %v, the interpreter's %v: they differ by %.2g of it", step, g, w, math.Abs(g-w)/math.Abs(w))
				}
				if step == 0 {
					first = w
				} else if step == lossSteps-4 && !(w < first) { // on the same batch
					t.Errorf("the loss was %v and is %v: nothing is learned", first, w)
				}
			}
		})
	}
}
