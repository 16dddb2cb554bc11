package conformance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
)

// network says how a program of testdata/networks is compared with what PyTorch computed.
type network struct {
	name string

	// model is the function whose results are the goldens `out.*`, in the order of outs; "" for none.
	model string
	outs  []string

	// cells relates the beginnings of the goldens' names of parameters to those of the program's cells.
	cells map[string]string

	// losses are the results of a step that the columns of the golden trajectory hold.
	traj   string
	losses []string

	// batch makes the fields of step k from the inputs.
	batch func(in map[string]*tensor.Tensor, k int) map[string]*tensor.Tensor
}

// goldenNetworks is how many networks PyTorch trained.
const goldenNetworks = 6

var networks = []network{
	{
		name: "mlp_softmax_sgd", model: "Net.predict", outs: []string{"logits"}, cells: map[string]string{"0.": "hidden.", "2.": "output."},
		traj: "loss", losses: []string{"loss"}, batch: whole,
	},
	{
		name: "rnn_bptt_adam", model: "Net.predict", outs: []string{"hidden", "y"}, traj: "loss", losses: []string{"loss"}, batch: whole,
	},
	{
		name: "autoencoder_rmsprop", model: "Net.predict", outs: []string{"y"}, cells: map[string]string{"0.": "encoder.", "2.": "decoder."},
		traj: "loss", losses: []string{"loss"}, batch: whole,
	},
	{
		name: "gan_mlp_adam", cells: map[string]string{"G.0.": "G.hidden.", "G.2.": "G.output.", "D.0.": "D.hidden.", "D.2.": "D.output."},
		traj: "loss_D_G", losses: []string{"loss_d", "loss_g"},
		batch: func(in map[string]*tensor.Tensor, k int) map[string]*tensor.Tensor {
			z := row(in["z"], k)
			return map[string]*tensor.Tensor{"real": row(in["real"], k), "z": row(z, 0), "later_z": row(z, 1)}
		},
	},
	{
		name: "reinforce", model: "Return.predict", outs: []string{"returns", "advantage"},
		cells: map[string]string{"0.": "Policy.hidden.", "2.": "Policy.output."}, traj: "loss", losses: []string{"loss"},
		batch: func(in map[string]*tensor.Tensor, _ int) map[string]*tensor.Tensor {
			return map[string]*tensor.Tensor{"board": one(in["state"]), "action": one(in["action"]), "reward": one(in["reward"])}
		},
	},
	{name: "char_gru_lm", model: "Net.predict", outs: []string{"logits"}, traj: "loss", losses: []string{"loss"}, batch: whole},
}

// whole is all inputs at each step; the beginning of the tokens is the text.
func whole(in map[string]*tensor.Tensor, _ int) map[string]*tensor.Tensor {
	args := map[string]*tensor.Tensor{}
	for name, v := range in {
		args[name] = v
	}
	if t := in["tokens"]; t != nil {
		n := t.Shape[1] - 1
		text := tensor.New(tensor.I32, t.Shape[0], n)
		for i := range text.Len() {
			text.Set(i, t.At(i/n*(n+1)+i%n))
		}
		args["text"] = text
	}
	return args
}

// row is element k of the first dimension.
func row(v *tensor.Tensor, k int) *tensor.Tensor {
	r := rowsFrom(v, k, 1)
	r.Shape = r.Shape[1:]
	return r
}

// one is v as the only example of a batch.
func one(v *tensor.Tensor) *tensor.Tensor {
	clone := *v
	clone.Shape = append([]int{1}, v.Shape...)
	return &clone
}

// Whole networks train as in PyTorch: outputs, gradients of the first step, the loss of each step and the parameters at the end.
func TestNetworks(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "networks", "tolerances.json"))
	if err != nil {
		t.Fatal(err)
	}
	var pairs map[string][2]float64
	if err := json.Unmarshal(text, &pairs); err != nil {
		t.Fatal(err)
	}
	all := readTensors(t, filepath.Join("networks", "networks"))
	var names, want []string
	for name := range all {
		owner, _, _ := strings.Cut(name, "/")
		names = append(names, owner)
	}
	for _, n := range networks {
		want = append(want, n.name)
	}
	slices.Sort(names)
	slices.Sort(want)
	if names = slices.Compact(names); !slices.Equal(names, want) || len(names) != goldenNetworks {
		t.Errorf("the goldens are of %v, and compared are %v, of %d", names, want, goldenNetworks)
	}
	onEach(t, func(t *testing.T, s setting) {
		passed := 0
		for _, n := range networks {
			tensors := map[string]*tensor.Tensor{}
			for name, v := range all {
				if rest, ok := strings.CutPrefix(name, n.name+"/"); ok {
					tensors[rest] = v
				}
			}
			if t.Run(n.name, func(t *testing.T) { n.run(t, s, tensors, pairs) }) {
				passed++
			}
		}
		count("networks of "+s.String(), passed, len(networks))
	})
}

func (n *network) run(t *testing.T, s setting, tensors map[string]*tensor.Tensor, tolerances map[string][2]float64) {
	checked := map[string]bool{}
	check := func(name string, got *tensor.Tensor) {
		t.Helper()
		checked[name] = true
		if s.precision == tensor.F64 {
			compare(t, name+"@f64", got, tensors[name+"@f64"], double)
			return
		}
		compare(t, name, got, tensors[name], tolerance{tolerances[n.name+"/"+name][0], tolerances[n.name+"/"+name][1]})
	}
	in := map[string]*tensor.Tensor{}
	for name, v := range tensors {
		if rest, ok := strings.CutPrefix(name, "in."); ok {
			in[rest] = v
		}
	}
	var given []plan.Field
	for name, v := range n.batch(in, 0) {
		given = append(given, plan.Field{Name: name, DType: v.DType, Shape: v.Shape[1:]})
	}
	p, list := lang.Compile(source(t, filepath.Join("testdata", "networks", n.name+".nn")), lang.Options{Schema: fields(given...)})
	if list.HasErrors() {
		t.Fatalf("it does not compile:\n%s", rendered(t, list))
	}
	// params are the goldens' names of the parameters and the cells that they are.
	params := map[string]*ir.Cell{}
	var cells []*ir.Cell
	var order []string
	for name := range tensors {
		rest, ok := strings.CutPrefix(name, "param.")
		if !ok {
			continue
		}
		path := rest
		for from, to := range n.cells {
			if tail, ok := strings.CutPrefix(rest, from); ok {
				path = to + tail
			}
		}
		c := p.Module.Cell(path)
		if c == nil {
			t.Fatalf("there is no parameter %s", path)
		}
		params[rest] = c
		cells, order = append(cells, c), append(order, rest)
	}
	tr := p.Trains[0]
	gradients := goldenFunction(p.Module, p.Module.Func(tr.Eval), cells)
	if err := passes.Run(p.Module, passes.Options{Disable: s.disable, VerifyEach: true}); err != nil {
		t.Fatal(err)
	}
	prog, err := s.backend.Compile(p.Module, codegen.Options{Precision: s.precision, Threads: s.threads})
	if err != nil {
		t.Fatal(err)
	}
	c := &compiled{p, prog}
	c.init(t, 0)
	for name, cell := range params {
		c.setCell(t, cell.Name, tensors["param."+name])
	}
	if n.model != "" {
		for i, v := range c.call(t, n.model, n.batch(in, 0)) {
			check("out."+n.outs[i], v)
		}
	}
	if tensors["grad.step0."+order[0]] != nil { // of the loss: the other results of a step do not count
		args := n.batch(in, 0)
		args["cot0"] = tensor.FromF64([]float64{1})
		args["cot0"].Shape = nil
		results := c.call(t, gradients, args)
		results = results[len(results)-len(cells):]
		for i, name := range order {
			check("grad.step0."+name, results[i])
		}
	}
	steps := tensors["traj."+n.traj].Shape[0]
	var losses []float64
	names := c.Module().Func(tr.Step).ResultNames
	for k := range steps {
		args := n.batch(in, k)
		args["step"] = tensor.FromI32([]int32{int32(k)})
		results := c.call(t, tr.Step, args)
		for _, want := range n.losses {
			for i, name := range names {
				if name == want {
					losses = append(losses, results[i].At(0))
				}
			}
		}
	}
	check("traj."+n.traj, tensor.FromF64(losses, tensors["traj."+n.traj].Shape...))
	for name, cell := range params {
		check("after."+name, c.cell(t, cell.Name))
	}
	for name := range tensors {
		kind, _, _ := strings.Cut(name, ".")
		if kind != "in" && kind != "param" && !strings.HasSuffix(name, "@f64") && !checked[name] {
			t.Errorf("%s was not compared", name)
		}
	}
}
