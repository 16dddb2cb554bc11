package conformance

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/train"
)

// sourceProgram is a program with the files that its data comes from.
type sourceProgram struct {
	plan *plan.Program
	prog runtime.Program
	data *data.Dataset
}

// openProgram compiles a program in a folder of its own; the data is opened meanwhile.
func openProgram(t *testing.T, text string, files map[string]string) *sourceProgram {
	t.Helper()
	return openProgramOn(t, text, files, setting{backend: interp.Backend{}})
}

// openProgramOn is openProgram for one way to compile.
func openProgramOn(t *testing.T, text string, files map[string]string, s setting) *sourceProgram {
	t.Helper()
	p, ds, list := readWithData(t, text, files)
	if list.HasErrors() {
		t.Fatalf("the program does not compile:\n%s", rendered(t, list))
	}
	if err := passes.Run(p.Module, passes.Options{Disable: s.disable, VerifyEach: true}); err != nil {
		t.Fatal(err)
	}
	prog, err := s.backend.Compile(p.Module, codegen.Options{Precision: s.precision, Math: s.math(), Threads: s.threads})
	if err != nil {
		t.Fatal(err)
	}
	if err := train.Init(prog, p, 0); err != nil {
		t.Fatal(err)
	}
	return &sourceProgram{p, prog, ds}
}

// readWithData writes files into a folder and reads a program that stands there, and the data that it opened last.
func readWithData(t *testing.T, text string, files map[string]string) (*plan.Program, *data.Dataset, *diag.List) {
	t.Helper()
	dir := t.TempDir()
	for name, contents := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(contents), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "program.nn")
	read := func(path string) (*diag.File, error) { return source(t, path), nil }
	var opened *data.Dataset
	p, list := lang.Compile(diag.NewFile(file, text), lang.Options{Read: read, Schema: func(d *plan.Data) error {
		fields := d.Fields
		d.Fields = nil
		ds, err := train.OpenData(&plan.Program{File: file}, d)
		d.Fields = fields
		if err == nil {
			opened, d.Fields = ds, train.FieldsOf(ds)
		}
		return err
	}})
	return p, opened, list
}

// train trains the program's first train and returns the values of each epoch.
func (s *sourceProgram) train(t *testing.T) []map[string]float64 {
	t.Helper()
	r, err := train.Run(context.Background(), s.prog, s.plan, s.plan.Trains[0], train.Options{NoCheckpoint: true, NoSave: true})
	if err != nil {
		t.Fatal(err)
	}
	return r.History
}

// trainLossFalls trains and demands that the loss ends below a share of where it began.
func (s *sourceProgram) trainLossFalls(t *testing.T, share float64) []map[string]float64 {
	t.Helper()
	h := s.train(t)
	first, last := h[0]["loss"], h[len(h)-1]["loss"]
	if !(last < share*first) {
		t.Errorf("the loss went from %v to %v", first, last)
	}
	return h
}

// flowers is a table of two classes that a line parts, whose columns have very different scales.
func flowers(n int) string {
	rng := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	b.WriteString("long,wide,note,kind\n")
	for i := range n {
		kind := i % 2
		fmt.Fprintf(&b, "%.3f,%.3f,\"a, b\",%s\n", 1000+float64(kind)*20+10*rng.Float64(), 0.01*rng.Float64(), []string{"rose", "lily"}[kind])
	}
	return b.String()
}

func TestTableTrains(t *testing.T) {
	s := openProgram(t, `data Flowers {
    source: csv("flowers.csv", columns: { x: rest, kind: class })
    split: [0.7, 0.15, 0.15]
    map: { x: standardise(x) }
    batch: 8
}
model Net(x: f32[2]) -> f32[Flowers.kind] {
    param w: f32[2, 2] = zeros
    param b: f32[2] = zeros
    softmax(x @ w + b)
}
train on Flowers {
    loss: crossentropy(Net(x), kind)
    optimizer: sgd(0.5)
    metrics: accuracy(Net(x), kind)
    epochs: 5
}
`, map[string]string{"flowers.csv": flowers(80)})
	h := s.trainLossFalls(t, 0.5)
	if got := h[len(h)-1]["val_accuracy"]; got != 1 {
		t.Errorf("accuracy %v", got)
	}
	if diff := cmp.Diff([]string{"lily", "rose"}, s.plan.Models[0].Labels); diff != "" {
		t.Error(diff)
	}
}

func TestStandardisedFieldsHaveMeanZero(t *testing.T) {
	s := openProgram(t, `data D {
    source: csv(train: "d.csv", columns: { x: rest, y: f32 }, missing: 7)
    map: { x: standardise(x), y: standardise(y) }
    batch: 4
}
model M(x: f32[2], y: f32) -> f32 {
    param w: f32 = zeros
    w * y
}
train on D {
    loss: mse(M(x, y), y)
    optimizer: sgd(0.0)
    metrics: { a: x[0], a2: x[0]^2, b2: x[1]^2, c: y, c2: y^2 }
    epochs: 1
}
`, map[string]string{"d.csv": "p,q,y\n1000,5,1\n1010,5,\n1020,5,9\n1060,5,-3\n"})
	got := s.train(t)[0]
	for name, want := range map[string]float64{"a": 0, "a2": 1, "b2": 0, "c": 0, "c2": 1} {
		if math.Abs(got[name]-want) > 1e-6 {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

// Reviews of different lengths: what pads the shorter ones has no part in the mean, whatever the batch is.
func TestWordsOfOwnLengths(t *testing.T) {
	files := map[string]string{"r.tsv": "text\tlabel\ngood \"good film\t1\nbad\t0\nbad bad bad bad film\t0\ngood\t1\nthe good\t1\nthe bad one\t0\n"}
	text := `data Reviews {
    source: tsv(train: "r.tsv", validation: "r.tsv", columns: { text: words(top: 20), label: class })
    batch: BATCH
    shuffle: false
    ORDER
}
model Mean(text: i32[t]) -> f32 {
    param w: f32[Reviews.text] = zeros
    sigmoid(mean[i] w[text[i]])
}
train on Reviews {
    loss: binary_crossentropy(Mean(text), label)
    optimizer: sgd(LR)
    metrics: { words: sum[i] where(text[i] >= 0, 1.0, 0.0), accuracy: accuracy(Mean(text), label) }
    epochs: 20
}
`

	write := func(batch, order, rate string) string {
		return strings.NewReplacer("BATCH", batch, "ORDER", order, "LR", rate).Replace(text)
	}
	s := openProgram(t, write("2", `order: "lengths"`, "5.0"), files)
	h := s.trainLossFalls(t, 0.5)
	if got := h[len(h)-1]; got["val_accuracy"] != 1 || math.Abs(got["words"]-16.0/6) > 1e-6 {
		t.Errorf("accuracy %v, words %v", got["val_accuracy"], got["words"])
	}
	var losses []float64
	for _, batch := range []string{"1", "2", "6"} {
		s := openProgram(t, write(batch, "", "0.0"), files)
		w, err := s.prog.Cell("w")
		if err != nil {
			t.Fatal(err)
		}
		for i := range w.F32 {
			w.F32[i] = float32(i) - 2
		}
		if err := s.prog.SetCell("w", w); err != nil {
			t.Fatal(err)
		}
		losses = append(losses, s.train(t)[0]["val_loss"])
	}
	if math.Abs(losses[0]-losses[1]) > 1e-6 || math.Abs(losses[0]-losses[2]) > 1e-6 {
		t.Errorf("the loss depends on the batch: %v", losses)
	}
}

func TestTextTrainsInStreams(t *testing.T) {
	for _, c := range []struct{ unit, text string }{
		{"characters", strings.Repeat("äbcd ", 200)},
		{"bytes", strings.Repeat("abc", 300)},
		{"words", strings.Repeat("the cat, the dog! ", 100)},
	} {
		t.Run(c.unit, func(t *testing.T) {
			s := openProgram(t, strings.ReplaceAll(`data Book {
    source: text("book.txt", unit: "UNIT", sequence: 8, split: [0.9, 0.1])
    batch: 5
    order: "streams"
}
model Next(text: i32[8]) -> f32[8, Book.text] {
    param w: f32[Book.text, Book.text] = zeros
    [i, k] => w[text[i], k]
}
train on Book {
    let p = softmax(Next(text))
    stream previous: i32 = -1
    let follows = where(previous == -1 or previous == text[0], 1.0, 0.0)
    previous <- next[7]
    loss: mean([i < 8] => crossentropy(p[i], next[i]))
    metrics: { follows: follows }
    optimizer: sgd(20.0)
    epochs: 4
}
`, "UNIT", c.unit), map[string]string{"book.txt": c.text})
			h := s.trainLossFalls(t, 0.9)
			for _, epoch := range h {
				if epoch["follows"] != 1 || epoch["val_follows"] != 1 {
					t.Errorf("rows follow the rows before in %v and %v of the batches", epoch["follows"], epoch["val_follows"])
				}
			}
		})
	}
}

// wave is a WAVE file of 16-bit samples at 8,000 a second.
func wave(samples []float64) string {
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data")
	b = binary.LittleEndian.AppendUint32(b, uint32(2*len(samples)))
	for _, x := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(x*32767)))
	}
	return string(b)
}

func tones(perClass int) map[string]string {
	files := map[string]string{}
	for i := range perClass {
		for k, class := range []string{"high", "low"} {
			samples := make([]float64, 60+7*i)
			for t := range samples {
				samples[t] = math.Sin(float64(t) * []float64{2.5, 0.3}[k])
			}
			files[fmt.Sprintf("tones/%s_%d.wav", class, i)] = wave(samples)
		}
	}
	return files
}

func TestRecordingsTrain(t *testing.T) {
	for name, window := range map[string]string{"window": ", window: 64", "own lengths": ""} {
		t.Run(name, func(t *testing.T) {
			size := "64"
			if window == "" {
				size = "t"
			}
			s := openProgram(t, strings.NewReplacer("WINDOW", window, "SIZE", size).Replace(`data Tones {
    source: wav("tones", rate: 8000, label: "{label}_*.wav"WINDOW, split: [0.75, 0.25])
    batch: 4
}
model Pitch(sound: f32[SIZE]) -> f32 {
    param w: f32 = zeros
    param b: f32 = zeros
    let rough = mean[i] abs(sound[i] - (sound[i-1] else 0))
    sigmoid(w * (rough - 0.5) + b)
}
train on Tones {
    loss: binary_crossentropy(Pitch(sound), label)
    optimizer: sgd(2.0)
    metrics: accuracy(Pitch(sound), label)
    epochs: 8
}
`), tones(8))
			h := s.trainLossFalls(t, 0.8)
			if got := h[len(h)-1]["val_accuracy"]; got != 1 {
				t.Errorf("accuracy %v", got)
			}
		})
	}
}

func TestFormulaTrains(t *testing.T) {
	text := `data Roads {
    source: synthetic(train: 64, validation: 32SEED)
    let bend = uniform[](-1, 1)
    let noise = normal[3]
    map: { x: [k < 3] => bend * f32(k) + 0.01 * noise[k], angle: 0.4 * bend }
    batch: BATCH
}
model Steer(x: f32[3]) -> f32 {
    param w: f32[3] = zeros
    sum[k] w[k] * x[k]
}
train on Roads {
    loss: mse(Steer(x), angle)
    optimizer: sgd(RATE)
    metrics: { angle: angle, spread: angle^2, drop: uniform[] }
    epochs: 6
}
`
	write := func(seed, batch, rate string) string {
		return strings.NewReplacer("SEED", seed, "BATCH", batch, "RATE", rate).Replace(text)
	}
	openProgram(t, write("", "8", "0.1"), nil).trainLossFalls(t, 0.1)
	still := openProgram(t, write("", "8", "0.0"), nil).train(t)
	other := openProgram(t, write("", "16", "0.0"), nil).train(t)
	seeded := openProgram(t, write(", seed: 2", "8", "0.0"), nil).train(t)
	for _, name := range []string{"angle", "val_angle", "val_spread"} {
		for _, epoch := range append(still, other...) { // the same examples in each epoch and in batches of any size
			if math.Abs(epoch[name]-still[0][name]) > 1e-6 {
				t.Errorf("%s is %v and then %v", name, still[0][name], epoch[name])
			}
		}
		if seeded[0][name] == still[0][name] {
			t.Errorf("another seed gives the same %s", name)
		}
	}
	if still[0]["angle"] == still[0]["val_angle"] {
		t.Error("training and validation have the same examples")
	}
	if got, want := still[0]["spread"], 0.16/3; math.Abs(got-want) > 0.02 {
		t.Errorf("the mean square of the angle is %v, want about %v", got, want)
	}
}

// What is measured over several batches sees other draws in each: with one example in a batch, draws that repeat have no variance.
func TestMeasurementDrawsAnewForEachBatch(t *testing.T) {
	const text = `data Draws { source: synthetic(train: 1, validation: 200), map: { x: uniform[] }, batch: 1 }
model Line(x: f32) -> f32 {
    param w: f32 = 1
    w * x
}
train on Draws {
    let drawn = uniform[]
    loss: mse(Line(x), x)
    optimizer: sgd(0.1)
    metrics: { val_drawn: drawn, val_square: drawn^2 }
    epochs: 1
}
`
	epoch := openProgram(t, text, nil).train(t)[0]
	if variance := epoch["val_square"] - epoch["val_drawn"]*epoch["val_drawn"]; math.Abs(variance-1.0/12) > 0.02 {
		t.Errorf("the variance of uniform draws is %v, not about 1/12", variance)
	}
}

func TestDataDeclarationErrors(t *testing.T) {
	files := map[string]string{"t.csv": "x,y\n1,a\nb,c\n", "t.txt": "abc"}
	for _, c := range []struct{ data, want string }{
		{`source: csv("t.csv", columns: { x: f32 })`, `t.csv, line 3, column "x": "b" is not a number`},
		{`source: csv("t.csv", columns: { z: f32 })`, `t.csv has no column "z"; it has "x", "y"`},
		{`source: csv("t.csv", columns: { x: float })`, "there is no kind of column called `float`"},
		{`source: csv("t.csv", columns: { y: clas })`, "there is no kind of column called `clas`"},
		{`source: csv("t.csv", columns: { y: class(top: 3) })`, "class has no setting `top`"},
		{`source: csv("t.csv", columns: { y: words(tops: 3) })`, "words has no setting `tops`"},
		{`source: csv("t.csv", columns: { y: words(ngrams: 0) })`, "`ngrams` is the greatest number of words that stand for one, from 1 to 8, or a list of different numbers, such as [2, 3]"},
		{`source: csv("t.csv", columns: { y: words(ngrams: [2, 2]) })`, "`ngrams` is the greatest number"},
		{`source: csv("t.csv", columns: { y: words(ngrams: 9) })`, "`ngrams` is the greatest number"},
		{`source: csv("t.csv", columns: { y: words(ngrams: "2") })`, "`ngrams` is the greatest number"},
		{`source: csv("t.csv", columns: { y: words(ngrams: 2, start: "<s>") })`, "n-grams have no first and no last one that `start` could mark"},
		{`source: csv("t.csv", columns: { y: words(unit: "bytes") })`, "`unit` cannot be \"bytes\""},
		{`source: csv("t.csv", columns: { y: class, y: id })`, "the field y is given twice"},
		{`source: csv("t.csv", columns: { y: rest, x: rest })`, "y takes the rest of the columns already, and nothing is left for x"},
		{`source: csv("t.csv", columns: { y: image })`, "image needs the size that pictures are brought to"},
		{`source: csv("t.csv", columns: { y: class("a", "b") })`, "class takes one column, not 2"},
		{`source: csv("t.csv")`, "csv does not say what its columns are"},
		{`source: csv(columns: { y: class })`, "csv does not say where the data is"},
		{`source: csv("t.csv", train: "t.csv", columns: { y: class })`, "csv takes one path that it splits, or `train`, `validation` and `test`, not both"},
		{`source: csv(train: "t.csv", split: [0.5, 0.5], columns: { y: class })`, "`split` is for one path, and `train`, `validation` and `test` are split already"},
		{`source: csv(train: "t.csv", folds: 5, columns: { y: class })`, "`folds` is for one path, and `train`, `validation` and `test` are split already"},
		{`source: csv(train: "t.csv", stratify: "y", columns: { y: class })`, "`stratify` is for one path, and `train`, `validation` and `test` are split already"},
		{`source: csv("t.csv", folds: 1, columns: { y: class })`, "`folds` must be at least 2, and this is 1"},
		{`source: csv("t.csv", folds: 2, fold: 0, columns: { y: class })`, "`fold` must be at least 1, and this is 0"},
		{`source: csv("t.csv", folds: 2, fold: 3, columns: { y: class })`, "`fold` must be from 1 to 2, the number of folds, and this is 3"},
		{`source: csv("t.csv", fold: 3, columns: { y: class })`, "`fold` says which fold is the test split, and not how many there are"},
		{`source: csv("t.csv", folds: 2, split: [0.5, 0.2, 0.3], columns: { y: class })`, "`split` is two shares that add up to 1, such as [0.9, 0.1], of what the folds leave for training and validation"},
		{`source: csv("t.csv", folds: 3, columns: { y: class })`, "t.csv has 2 rows, too few for 3 folds"},
		{`source: csv("t.csv", stratify: "x", columns: { y: class })`, "`stratify` cannot be \"x\""},
		{`source: csv("t.csv", stratify: "x", columns: { x: words })`, "`stratify` names a field of classes, and there is none"},
		{`source: wav("none", folds: 2, fold: 3)`, "`fold` must be from 1 to 2, the number of folds, and this is 3"},
		{`source: image_folder("none", size: 3, fold: 2)`, "`fold` says which fold is the test split, and not how many there are"},
		{`source: csv("t.csv", separator: "ab", columns: { y: class })`, "`separator` is one character, such as \";\""},
		{`source: csv("t.csv", missing: "keep", columns: { y: class })`, "`missing` cannot be \"keep\""},
		{`source: text("t.txt")`, "text needs the number of characters of an example"},
		{`source: text("t.txt", unit: "letters", sequence: 2)`, "`unit` cannot be \"letters\""},
		{`source: text("t.txt", sequence: 64)`, "t.txt: 3 characters for training are too few for a sequence of 64 and the one that follows"},
		{`source: text("t.txt", sequence: 2, top: 4)`, "`top` bounds the words of a vocabulary, and the units are characters"},
		{`source: wav("none")`, "there is no folder DIR/none"},
		{`source: synthetic()`, "synthetic needs the number of training examples"},
		{`source: synthetic(train: 3), order: "streams", shuffle: true`, "data in the order of streams cannot be shuffled"},
		{`source: synthetic(train: 3), order: "lengths"`, "no field has a length that differs from example to example, so there is no order by length"},
		{`source: synthetic(train: 3), order: "stream"`, "`order` cannot be \"stream\""},
	} {
		t.Run(c.data, func(t *testing.T) {
			text := "data D {\n    " + strings.ReplaceAll(strings.ReplaceAll(c.data, ", order", "\n    order"), ", shuffle", "\n    shuffle") + "\n}\n"
			_, _, list := readWithData(t, text, files)
			for _, d := range list.All {
				if strings.Contains(d.Message, strings.TrimPrefix(c.want, "there is no folder DIR")) {
					return
				}
			}
			t.Errorf("got %v\nwant %s", list, c.want)
		})
	}
}

func TestStandardiseErrors(t *testing.T) {
	for _, c := range []struct{ entry, want string }{
		{"x: standardise(2 * x)", "standardise is given a field as the source has it"},
		{"x: standardise(z)", "there is no `z` here"},
		{"k: standardise(k)", "standardise is for columns of numbers, and k is none"},
	} {
		_, _, list := readWithData(t, `data D {
    source: csv(train: "d.csv", columns: { x: f32, k: i32 })
    map: { `+c.entry+` }
}
train on D {
    stream s: f32 = zeros
    minimize f32(k) + x over rest using sgd(0.1)
    epochs: 1
}
`, map[string]string{"d.csv": "x,k\n1,2\n"})
		if !strings.Contains(fmt.Sprint(list), c.want) {
			t.Errorf("got %v\nwant %s", list, c.want)
		}
	}
}
