package plan

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/tensor"
)

const moduleText = `
cell @w: f32[2] param

func @init(%seed: i32[]) -> () {
  return
}

func @Net.predict(%x: f32[B, 2]) -> (f32[B, 2]) {
  return %x
}

func @train.step.0(%x: f32[B, 2]) -> (loss: f32[B, 2], error: f32[B, 2]) {
  return %x, %x
}

func @train.step.1(%x: f32[B, 2]) -> (loss: f32[B, 2], error: f32[B, 2]) {
  return %x, %x
}

func @train.eval(%x: f32[B, 2], %c: f32[2, 3]) -> (loss: f32[B, 2], error: f32[B, 2], counts: f32[2, 3]) {
  return %x, %x, %c
}
`

// example returns a program that uses every kind of thing that a plan holds.
func example(t testing.TB) *Program {
	t.Helper()
	m, err := ir.Parse(diag.NewFile("module", moduleText))
	if err != nil {
		t.Fatal(err)
	}
	x := Field{Name: "x", DType: tensor.F32, Shape: []int{2}, Mean: []float64{1.0 / 3, 2}, Deviation: []float64{1, math.Pi}}
	label := Field{Name: "label", DType: tensor.I32, Labels: []string{"cats", "<dogs>"}}
	unused := &Data{Name: "Unused", Source: Source{Synthetic: &Synthetic{Train: 3, Seed: 4}}, Order: "streams"}
	table := &Data{
		Name: "Table", Fields: []Field{x, label}, Batch: 8, Shuffle: true,
		Source: Source{CSV: &CSV{
			Files: Files{Path: "t.csv", Split: [3]float64{0.8, 0.1, 0.1}, Seed: 5}, Separator: ";", Missing: "fill", Fill: 0.1,
			Columns: []Column{{Field: "x", Kind: "rest"}, {Field: "label", Kind: "class", From: []string{"k"}, Names: label.Labels, Unknown: true}},
		}},
	}
	net := &Model{
		Name: "Net", Inputs: []Field{x}, Output: x, Predict: "Net.predict", Fields: []Field{x}, Data: table, Labels: label.Labels,
		Layers: []*Layer{{
			Path: "dense", Kind: "Dense", Std: true, Input: []Shape{{2}}, Output: []Shape{{-1, 2}}, Params: []string{"w"},
			Config: map[string]any{"units": 2.0, "activation": Ref("relu"), "bias": true, "padding": "same", "max": math.Inf(1), "elu": nil, "gate": Configured{"elu", map[string]any{"alpha": 0.5}}},
		}},
		Calls: []*Call{
			{Kind: CallOperator, Name: "*", Std: true, Args: []Arg{{Origin: Origin{FromInput, 0}}, {Origin{FromNumber, 0}, 2}}, Outputs: []Tensor{{tensor.F32, Shape{2}}}},
			{Kind: CallFn, Name: "f", Config: map[string]any{"by": Ref("relu")}, Args: []Arg{{Origin: Origin{0, 0}}}, Outputs: []Tensor{{tensor.F32, Shape{2}}}, Results: []Origin{{FromElsewhere, 0}}},
		},
		Outputs: []Origin{{1, 0}},
		Results: []Result{{"kind", label.Labels, "", ""}, {"", []string{"a", "</s>"}, "words", "</s>"}},
	}
	other := &Model{Name: "Other", Predict: "Net.predict", Fields: []Field{x}, Output: x}
	at := ir.Loc{File: "a.nn", Line: 3, Col: 4}
	return &Program{
		File: "nets/a.nn", Module: m, Init: "init", Data: []*Data{unused, table}, Models: []*Model{other, net},
		Generates: []*Generate{{Model: "Net", Func: "Net.predict", Unit: "bytes", Vocabulary: []string{"a", "b"}, Prompt: "a", Length: 3, Temperature: 0.5}},
		Trains: []*Train{
			{Label: "alone", Batch: 2, Step: "train.step.0", Steps: 3, Models: []*Model{other}},
			{
				Data: table, Others: []*Data{unused}, Averages: []Average{{"w", "w"}}, Batch: 8, Step: "train.step", Every: []int{2}, Fields: []Field{x}, Models: []*Model{net, other}, Eval: "train.eval",
				Metrics: []string{"error", "counts"}, OnlyEval: []string{"counts"}, Running: []string{"error", "counts"}, Tensors: map[string]Shape{"counts": {2, 3}},
				Epochs: 4, Target: "loss < 1", Save: "m.h5", SaveAt: at, Patience: 2, Keep: true, Watch: "val_loss", Greater: true,
				Load: &Load{File: "pre.h5", At: at, Into: "Net", Root: "net", Cells: []string{"w"}},
			},
		},
	}
}

func TestEncodeDecode(t *testing.T) {
	p := example(t)
	text, err := Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(text, p.Module)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, got, cmpopts.IgnoreFields(Program{}, "Module")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Trains[1].Data != got.Models[1].Data || got.Trains[1].Models[0] != got.Models[1] || got.Module != p.Module {
		t.Error("what was one declaration is several, or the module is another")
	}
	again, err := Encode(got)
	if err != nil || string(again) != string(text) {
		t.Errorf("encoded anew: %v\n%s\n%s", err, text, again)
	}
}

func TestDecodeRefuses(t *testing.T) {
	p := example(t)
	good, err := Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"Init":"init"`, `"Init":"other"`, "the module has no function other"},
		{`"Init":"init"`, `"Start":"init"`, `unknown field "Start"`},
		{`"Predict":"Net.predict"`, `"Predict":"init"`, "" /* one argument, as it must be */},
		{`"Step":"train.step","Every":[2]`, `"Step":"train.step","Every":[0]`, "a period of 0"},
		{`"Step":"train.step","Every":[2]`, `"Step":"train.step","Every":[2,3]`, "the module has no function train.step.2"},
		{`"counts":[2,3]`, `"counts":[2,4]`, "dimension 2 of the metric counts is not 4"},
		{`"counts":[2,3]`, `"counts":[2]`, "the metric counts has 2 dimensions"},
		{`"counts":[2,3]`, `"count":[2,3]`, "no result is the metric count"},
		{`"counts":[2,3]`, `"error":[2,3]`, "dimension 1 of the metric error is not 2"},
		{`"Step":"train.step.0"`, `"Step":"init"`, "init gives 0 results"},
		{`"Params":["w"]`, `"Params":["v"]`, "layer dense: the module has no cell v"},
		{`"Cells":["w"]`, `"Cells":["v"]`, "load: the module has no cell v"},
		{`"Data":1`, `"Data":2`, "there is no number 2 among 2"},
		{`"Models":[1,0]`, `"Models":[-2]`, "there is no number -2 among 2"},
		{`"Averages":[{"Param":"w","Cell":"w"}]`, `"Averages":[{"Param":"w","Cell":"v"}]`, "average: the module has no cell v"},
		{`"Others":[0]`, `"Others":[2]`, "there is no number 2 among 2"},
		{`"Others":[0]`, `"Others":[-1]`, "one of its data is missing"},
		{`"Func":"Net.predict"`, `"Func":"none"`, "the module has no function none"},
		{`"Vocabulary":["a","b"]`, `"Vocabulary":[]`, "generate Net cannot be followed"},
		{`"Synthetic":{`, `"Text":{},"Synthetic":{`, "it has 2 sources"},
		{`"Batch":8`, `"Batch":-8`, "a batch of -8"},
		{`"Order":"streams"`, `"Order":"random"`, "there is no order random"},
		{`"ref":"relu"`, `"ref":"relu","number":"1"`, "configuration argument activation"},
		{`"Call":-1`, `"Call":1`, "there is no output 0 of call 1"},
		{`"Call":-1,"Output":0`, `"Call":-1,"Output":1`, "there is no output 1 of call -1"},
		{`"Results":[{"Call":-2`, `"Results":[{"Call":1`, "call 1 has wrong results"},
		{`"Outputs":[{"Call":1`, `"Outputs":[{"Call":-3`, "there is no output 0 of call -3"},
		{`"fn":"elu"`, `"fn":"elu","more":"1"`, "configuration argument gate"},
		{`"DType":"f32"`, `"DType":"f16"`, `no element type "f16"`},
		{`"Shape":[2]`, `"Shape":[-2]`, "has a dimension of -2"},
	} {
		bad := strings.Replace(string(good), c.old, c.new, 1)
		if bad == string(good) {
			t.Errorf("%s is not in the text", c.old)
			continue
		}
		_, err := Decode([]byte(bad), p.Module)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
	if _, err := Decode(append(good, "{}"...), p.Module); err == nil || !strings.Contains(err.Error(), "follows its end") {
		t.Errorf("two texts: %v", err)
	}
}

// What is decoded can be followed: it names nothing that is not there, and encodes.
func FuzzDecode(f *testing.F) {
	p := example(f)
	text, err := Encode(p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"Data":[null],"Models":[{}],"Trains":[{"Data":-1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Decode(text, p.Module)
		if err != nil {
			return
		}
		if _, err := Encode(got); err != nil {
			t.Error(err)
		}
		for _, train := range got.Trains {
			for done := range 8 {
				if p.Module.Func(train.StepFunc(done)) == nil {
					t.Errorf("no function for step %d", done)
				}
			}
		}
	})
}

func TestNames(t *testing.T) {
	train := &Train{Tensors: map[string]Shape{"counts": {2, 3}}}
	if got := strings.Join(train.Names("counts"), " "); got != "counts[0][0] counts[0][1] counts[0][2] counts[1][0] counts[1][1] counts[1][2]" {
		t.Errorf("of a tensor: %s", got)
	}
	if got := train.Names("accuracy"); len(got) != 1 || got[0] != "accuracy" {
		t.Errorf("of a number: %v", got)
	}
}
