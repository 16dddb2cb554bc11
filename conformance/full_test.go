package conformance

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/data"
)

// fullCatDog is what Keras says of the network at the article's size.
type fullCatDog struct {
	Params int
	Images []struct {
		PNG    string
		Digest string `json:"sha256_rgb"`
	}
	Tensors []struct {
		Name   string
		Shape  []int
		Limit  float64
		Digest string `json:"sha256_f32le"`
	}
	Float32 struct {
		Loss        float64 `json:"loss_bce"`
		Predictions []float64
		Activations map[string]statistics
		Gradients   map[string]statistics
	}
}

// statistics stand for a tensor that is too large to be kept.
type statistics struct {
	Shape                   []int
	Mean, Std, Min, Max, L2 float64
	First8, Last8           []float64
}

// check compares a tensor with its statistics. The tolerance is that of the goldens, 2e-6 of the largest element and 1e-5 of the
// number; sums over many elements are no worse.
func (want statistics) check(t *testing.T, what string, v *tensor.Tensor) {
	t.Helper()
	n := v.Len()
	got := statistics{Min: math.Inf(1), Max: math.Inf(-1)}
	for i := range n {
		x := v.At(i)
		got.Mean += x / float64(n)
		got.L2 += x * x
		got.Min, got.Max = min(got.Min, x), max(got.Max, x)
	}
	for i := range n {
		d := v.At(i) - got.Mean
		got.Std += d * d / float64(n)
	}
	got.L2, got.Std = math.Sqrt(got.L2), math.Sqrt(got.Std)
	k := min(8, n)
	numbers := func(s statistics) *tensor.Tensor {
		list := []float64{s.Mean, s.Std, s.Min, s.Max}
		list = append(list, s.First8...)
		list = append(list, s.Last8...)
		return tensor.FromF64(list, len(list))
	}
	for i := range k {
		got.First8 = append(got.First8, v.At(i))
		got.Last8 = append(got.Last8, v.At(n-k+i))
	}
	largest := max(math.Abs(want.Min), math.Abs(want.Max))
	tol := tolerance{max(2e-6*largest, 1e-7), 1e-5}
	compare(t, what, numbers(got), numbers(want), tol)
	compare(t, what+" (norm)", tensor.FromF64([]float64{got.L2}, 1), tensor.FromF64([]float64{want.L2}, 1), tolerance{tol.atol * math.Sqrt(float64(n)), 1e-5})
}

// formulaWeights are made from their places alone: the finaliser of MurmurHash3 scatters them evenly in [-limit, limit].
func formulaWeights(number, n int, limit float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		x := uint32(i) + uint32(number)*0x9E3779B9
		x ^= x >> 16
		x *= 0x85ebca6b
		x ^= x >> 13
		x *= 0xc2b2ae35
		x ^= x >> 16
		u := (float64(x) + 0.5) / (1 << 32)
		out[i] = float32((2*u - 1) * limit)
	}
	return out
}

// The network of the article at its own size, 150×150 pixels and 19,034,177 parameters: predictions, activations, the loss and all
// gradients are Keras's.
func TestFullCatDog(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "full.json"))
	if err != nil {
		t.Fatal(err)
	}
	var full fullCatDog
	if err := json.Unmarshal(b, &full); err != nil {
		t.Fatal(err)
	}
	g := goldens{readTensors(t, "full"), "full_catdog/"}
	for _, backend := range backends {
		t.Run(backend.Name(), func(t *testing.T) {
			s := setting{backend: backend, precision: tensor.F32}
			const side, hidden = 150, 512
			c := catDog(t, s, side, hidden)
			if n := c.countParams(); n != full.Params || n != 19034177 {
				t.Fatalf("%d parameters", n)
			}
			for i, name := range c.params() {
				want := full.Tensors[i]
				if goldenName(name) != want.Name {
					t.Fatalf("parameter %d is %s, not %s", i, name, want.Name)
				}
				v := tensor.New(tensor.F32, want.Shape...)
				v.F32 = formulaWeights(i, v.Len(), want.Limit)
				if sum := digest(v.F32); sum != want.Digest {
					t.Fatalf("%s has the digest %s, not %s", name, sum, want.Digest)
				}
				c.setCell(t, name, v)
			}
			image, label := tensor.New(tensor.F32, 4, side, side, 3), tensor.FromI32([]int32{0, 1, 0, 1}, 4)
			for i, im := range full.Images {
				v, err := data.LoadImage(filepath.Join("testdata", im.PNG), data.ImageSpec{Height: side, Width: side, Channels: 3})
				if err != nil {
					t.Fatal(err)
				}
				if sum := digestPixels(v); sum != im.Digest {
					t.Fatalf("%s has the digest %s, not %s", im.PNG, sum, im.Digest)
				}
				copy(image.F32[i*v.Len():], v.F32)
			}
			predictions := c.predict(t, image)
			g.check(t, s, "out.prediction", predictions, 0)
			compare(t, "predictions", predictions, tensor.FromF64(full.Float32.Predictions, 4), tolerance{1e-6, 0})
			chain := stages(side, hidden)
			for i, st := range chain[:len(chain)-1] {
				v := activation(t, s, c, chain[:i+1], image)
				full.Float32.Activations[st.name].check(t, st.name, v)
				switch st.name {
				case "pool128":
					g.check(t, s, "out.pool128.img0", rows(v, 1), 0)
				case "dense_hidden":
					g.check(t, s, "out.dense_hidden", v, 0)
				}
			}
			if computes(backend, tensor.F64) {
				wide := setting{backend: backend, precision: tensor.F64}
				for i, name := range map[int]string{5: "pool128", 7: "dense_hidden", 8: "prediction"} {
					v := activation(t, wide, c, chain[:i+1], pixels(wide, image))
					if name == "pool128" {
						name, v = "pool128.img0", rows(v, 1)
					}
					g.check(t, wide, "out."+name, v, 0)
				}
			}
			loss := c.call(t, c.plan.Trains[0].Step, map[string]*tensor.Tensor{"image": image, "label": label})[0]
			compare(t, "loss", loss, tensor.FromF64([]float64{full.Float32.Loss}, 1), tolerance{lossBound, 0})
			for _, name := range c.params() {
				full.Float32.Gradients[goldenName(name)].check(t, "gradient of "+name, c.firstGradient(t, name))
			}
		})
	}
}

func digest(values []float32) string {
	h := sha256.New()
	var b [4]byte
	for _, v := range values {
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
		h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func digestPixels(v *tensor.Tensor) string {
	b := make([]byte, v.Len())
	for i := range b {
		b[i] = byte(v.At(i))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
