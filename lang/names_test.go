package lang

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// checked runs checkNames alone on a program and lists what it reports: place, code, message, related places, help.
func checked(t *testing.T, text string) (got []string, good *syntax.File) {
	t.Helper()
	tree, list := syntax.Parse(diag.NewFile("a.nn", text))
	if list.HasErrors() {
		t.Fatalf("the program does not parse: %v", list)
	}
	e := &elaborator{diags: list, universe: newUniverse()}
	e.std = newScope(e.universe)
	for _, f := range StdFiles() {
		e.declare(f, e.std)
	}
	e.globals = newScope(e.std)
	good = e.checkNames(tree, e.globals)
	list.Sort()
	for _, d := range list.All {
		at := d.Span.File.Position(d.Span.Start)
		s := fmt.Sprintf("%d:%d %q %s: %s", at.Line, at.Col, d.Span.Text(), d.Code, d.Message)
		for _, r := range d.Related {
			at := r.Span.File.Position(r.Span.Start)
			s += fmt.Sprintf("; %d:%d %q %s", at.Line, at.Col, r.Span.Text(), r.Message)
		}
		if d.Fix != "" {
			s += "; help: " + d.Fix
		}
		got = append(got, s)
	}
	return got, good
}

func TestCheckNames(t *testing.T) {
	const fields = `data D { source: idx(images: "i", labels: "l"), map: { picture: image / 255 } }
`
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{
			"declared twice", "model Net(x: f32[1]) { x }\nmodel Net(x: f32[2]) { x }\n",
			[]string{"2:7 \"Net\" duplicate-name: `Net` is declared twice; 1:7 \"Net\" the model `Net`; help: give one of them another name"},
		},
		{
			"declared as two things", "option Net = 1\nmodel Net(x: f32[2]) { x }\n",
			[]string{"2:7 \"Net\" duplicate-name: `Net` is the name of an option already; 1:8 \"Net\" the option `Net`; help: give one of them another name"},
		},
		{
			"overloads", "fn f(x: f32[n]) = x\nfn f(x: f32[...s]) = x\nfn f(x: f32[1]) = x\nfn f(x: i32[n]) = x\nfn f(x: f32[m]) = x\n",
			[]string{"5:4 \"f\" duplicate-name: there are two fns `f` for the same types of arguments; 1:4 \"f\" the first one is here; help: give one of them another name"},
		},
		{
			"a fn and a layer", "fn f(x: f32) = x\nlayer f()(x: f32) = x\nfn f(x: i32) = x\n",
			[]string{"2:7 \"f\" duplicate-name: `f` is the name of a fn already; 1:4 \"f\" the fn `f`; help: give one of them another name"},
		},
		{
			"labels of trains are names of their own", fields + "model M(x: f32[28, 28, 1]) { sum(x) }\ntrain M on D { loss: M(picture) }\ntrain M on D { loss: M(picture) }\n",
			[]string{"4:7 \"M\" duplicate-name: there are two trains called `M`; 3:7 \"M\" the first one is here"},
		},
		{
			"the library's names may be reused", "option mse = 1\nlayer Dense(relu: int)(x: f32[n]) -> f32[n] { let sigmoid = x + relu\n    sigmoid }\n", nil,
		},
		{
			"a local name hides another", `option units = 8
layer L(units: int)(x: f32[h, units2], L: f32) -> f32[h] {
    let h = x
    let y = [h] => x[h, 0]
    let y = x
    let z = sum[i] sum[i] x[i, i]
    param y: f32[h]
    y
}
`,
			[]string{
				"2:9 \"units\" duplicate-name: `units` is the name of an option already; 1:8 \"units\" the option `units`; help: give one of them another name",
				"2:40 \"L\" duplicate-name: `L` is the name of a layer already; 2:7 \"L\" the layer `L`; help: give one of them another name",
				"3:9 \"h\" duplicate-name: `h` is the name of a dimension already; 2:28 \"h\" the dimension `h`; help: give one of them another name",
				"4:14 \"h\" duplicate-name: `h` is the name of a value already; 3:9 \"h\" the value `h`; help: give one of them another name",
				"5:9 \"y\" duplicate-name: `y` has a value already, and it cannot be given another one; 4:9 \"y\" the value `y`; help: give the new value a name of its own",
				"6:24 \"i\" duplicate-name: `i` is the name of an index already; 6:17 \"i\" the index `i`; help: give one of them another name",
				"7:11 \"y\" duplicate-name: `y` is the name of a value already; 5:9 \"y\" the value `y`; help: give one of them another name",
			},
		},
		{
			"what is not in reach at the same time may have one name", `layer A(units: int)(x: f32[n]) -> f32[n] {
    let y = [i] => x[i] + units
    if units > 3 { param b: f32[n] = zeros
        y + b } else { param b: f32[n] = ones
        let z = [i] => y[i]
        y - b + z }
}
layer B(units: int)(x: f32[n]) -> f32[n] = x
`, nil,
		},
		{
			"a dimension that is a number already is compared", "option n = 3\nfn f(k: int)(x: f32[n], y: f32[k, m], z: f32[m, k]) -> f32[m, k, n] = [i, j, l] => x[l] * y[j, i]\n", nil,
		},
		{
			"a dimension called as a fn of the file", "fn f(x: f32) = x\nfn g(x: f32[f]) = x\n",
			[]string{"2:13 \"f\" duplicate-name: `f` is the name of a fn already; 1:4 \"f\" the fn `f`; help: give one of them another name"},
		},
		{
			"batch is reserved", "option batch = 32\nfn f(x: f32[n]) = [batch] => x\nfn g(x: f32) = batch\n",
			[]string{
				"1:8 \"batch\" keyword-as-name: `batch` stands for the examples of a batch, as in mean[batch] x, and cannot name anything else; help: choose another name, such as batch_size",
				"2:20 \"batch\" misplaced-batch: `batch` can be reduced over, as in mean[batch], and is no index otherwise",
				"3:16 \"batch\" misplaced: `batch` is not a value: it can only be reduced over, as in mean[batch] x",
			},
		},
		{
			"unknown names, also where nothing is used", `layer Never(units: int, act: fn = relo)(x: f32[n]) -> f32[m] {
    param kernel: f32[n, unts] = zeros
    let y = x |> Dens(units) |> conv3d()
    MaxPooling2D(2)(kernal) + Unheard()(y)
}
`,
			[]string{
				"1:35 \"relo\" unknown-name: there is no `relo` here; help: did you mean `relu`?",
				"1:59 \"m\" unknown-name: there is no `m` here",
				"2:26 \"unts\" unknown-name: there is no `unts` here; help: did you mean `units`?",
				"3:18 \"Dens\" unknown-name: there is no `Dens` here; help: did you mean `Dense`?",
				"3:33 \"conv3d\" unknown-name: there is no `conv3d` here; help: did you mean `conv2d`?",
				"4:5 \"MaxPooling2D\" unknown-name: there is no `MaxPooling2D` here; help: did you mean `MaxPool2D`?",
				"4:21 \"kernal\" unknown-name: there is no `kernal` here; help: did you mean `kernel`?",
				"4:31 \"Unheard\" unknown-name: there is no `Unheard` here",
			},
		},
		{
			"before and after its place", `fn f(x: f32[n]) -> f32[n] {
    let a = b + 1
    let b = x
    let c = c + a
    let d = [i] => x[i] + i
    let e = x[i]
    if true { let g = a
        g } else { g }
}
`,
			[]string{
				"2:13 \"b\" used-before-value: `b` is used before it is given a value; 3:9 \"b\" it is given a value only here",
				"4:13 \"c\" used-before-value: `c` is used before it is given a value; 4:9 \"c\" it is given a value only here",
				"6:15 \"i\" out-of-scope: the index `i` is not known here; 5:14 \"i\" it is known only inside the expression that begins here",
				"8:20 \"g\" out-of-scope: the value `g` is not known here; 7:19 \"g\" it is known only inside its block, which has ended; help: declare it before the block",
			},
		},
		{
			"a dimension computed before it is bound", "fn f(x: f32[n-1], y: f32[n]) = y\n",
			[]string{"1:13 \"n\" used-before-value: `n` is used before it is given a value; 1:26 \"n\" it is given a value only here"},
		},
		{
			"spreads", `fn small[...s, n](by: f32) -> f32[...s, n] = by * normal[...s, n]
fn f(x: f32[..., n]) -> f32[...] = [...] => sum[k] x[..., k]
fn g(x: f32[...s]) -> f32[...t] = mean[...s] x
fn h(x: f32[n]) = uniform[...] + elements(s)
fn two(x: f32[...s], y: f32[...s]) -> f32[elements(s)] = x
fn odd[n+1](x: f32) = x
`,
			[]string{
				"3:27 \"...t\" unknown-dimensions: `...t` stands for no dimensions here; help: name it in a parameter's type, as in x: f32[...t, n]",
				"4:27 \"...\" unknown-dimensions: `...` stands for no dimensions here; help: name it in a parameter's type, as in x: f32[..., n]",
				"4:43 \"s\" unknown-name: there is no `s` here",
				"6:8 \"n+1\" misplaced: a shape parameter is a name, not an expression; help: write a name here, and compute with it in the body",
			},
		},
		{
			"types", "option o: str = 1\nfn f(x: floot[3], y: f64, z: D.label, u: layer) -> int = x\nfn g(x: float) { let y: string = x\n    y }\n",
			[]string{
				"1:11 \"str\" unknown-type: there is no type `str` here; help: write string",
				"2:9 \"floot\" unknown-type: there is no type `floot` here; help: it can be `f32`, `i32`, `bool`, `int`, `string`, `fn` and `layer`",
				"2:22 \"f64\" unknown-type: there is no type `f64` here; help: write f32; precision is a switch of the compiler",
				"2:30 \"D\" unknown-data: there is no data `D`",
				"2:52 \"int\" unknown-type: there is no type `int` here; help: write i32",
				"3:9 \"float\" unknown-type: there is no type `float` here; help: write f32; precision is a switch of the compiler",
				"3:25 \"string\" unknown-type: there is no type `string` here; help: it can be `f32`, `i32` and `bool`",
			},
		},
		{
			"fields", fields + `model M(image: f32[28, 28, 1]) -> f32 = sum(image) + label
train on D {
    let label = 1
    let twice = M(image) + M(picture) + lable
    loss: twice
    optimizer: adam(lr: 1 / (step + 1))
    metrics: accuracy(twice, label), { err: tmice }
    until: val_accuracy > 0.9 and err < 1 and loss < 2 and val_eror < 1 and twice < 3
}
test "no fields" { expect M(picture) == 1 }
`,
			[]string{
				"2:54 \"label\" misplaced: `label` is a field of D, which only a train on D sees; help: pass it as an argument",
				"4:9 \"label\" duplicate-name: `label` is the name of a field already; 1:18 \"idx(images: \\\"i\\\", labels: \\\"l\\\")\" the field `label`; help: give one of them another name",
				"5:41 \"lable\" unknown-name: there is no `lable` here; help: did you mean `label`?",
				"8:45 \"tmice\" unknown-name: there is no `tmice` here; help: did you mean `twice`?",
				"9:60 \"val_eror\" unknown-name: there is no `val_eror` here; help: did you mean `val_err`?",
				"9:77 \"twice\" misplaced: `twice` belongs to a step, and `until` and `keep` look at the loss and the metrics of an epoch; help: make it a metric, as in metrics: { twice: … }",
				"11:29 \"picture\" misplaced: `picture` is a field of D, which only a train on D sees; help: pass it as an argument",
			},
		},
		{
			"a metric that is not measured", fields + `train on D { loss: mse(picture, 1), until: val_accuracy > 0.9 }
`,
			[]string{"2:44 \"val_accuracy\" unknown-metric: there is no metric `accuracy`; help: add it to the metrics, as in metrics: accuracy(…)"},
		},
		{
			"fields that only the data can tell", `data D { source: csv("a.csv", columns: { x: rest, kind: class }), map: { y: x + 1 } }
data E { source: E2 }
train on D { let z = x + y + kind
    loss: z }
train on D, E { loss: D.x + a }
train on F { loss: b }
train on D, G { loss: 1 }
`,
			[]string{
				"5:29 \"a\" unknown-name: there is no `a` here",
				"6:10 \"F\" unknown-data: there is no data `F`; help: there is `D` and `E`",
				"7:13 \"G\" unknown-data: there is no data `G`; help: there is `D` and `E`",
			},
		},
		{
			"train", fields + `model Net(x: f32[28, 28, 1]) -> f32 = sum(x)
train on D {
    minimize Net(image) clip global_nrm(1) over Net where rank >= 2 and name == "a" using adm(lr: epoch), over rest using sgd(progress) every 2
    load: "f" into Nett
    over: Net.w
    optimizer: sgd(rank)
    clip: norm(rest)
}
fn f(x: f32) = x + step + updates
optimizer o(lr: f32)(w, g) { state m = zeros
    m <- m * updates
    lr <- g
    w <- w - m }
`,
			[]string{
				"4:30 \"global_nrm\" unknown-name: there is no way to clip gradients called `global_nrm`; help: did you mean `global_norm`?",
				"4:91 \"adm\" unknown-optimizer: there is no optimizer `adm`; help: did you mean `adam`?",
				"5:20 \"Nett\" unknown-name: there is no `Nett` here; help: did you mean `Net`?",
				"7:20 \"rank\" unknown-name: there is no `rank` here",
				"8:16 \"rest\" misplaced: `rest` can stand only after `over`",
				"10:20 \"step\" misplaced: `step` is known only in a train; help: pass it as an argument, as in adam(lr: rate(step))",
				"10:27 \"updates\" misplaced: `updates` is known only in the body of an optimizer",
				"13:5 \"lr\" not-assignable: `lr` cannot be assigned to; 11:13 \"lr\" it is an argument; help: `<-` changes a state; `let` gives a new name to a value",
			},
		},
		{
			"statements in the wrong declaration", `fn f(x: f32) -> f32 {
    param w: f32 = 1
    yield x
    loss: x
    expect x == 1
    minimize x over f using sgd()
    w * x
}
`,
			[]string{
				"2:5 \"param w: f32 = 1\" misplaced: a param belongs in a layer or a model",
				"3:5 \"yield x\" misplaced: `yield` belongs in a scan",
				"4:5 \"loss: x\" misplaced: `loss:` is a setting, which this block does not have",
				"5:5 \"expect x == 1\" misplaced: `expect` belongs in a test",
				"6:5 \"minimize x over f using sgd()\" misplaced: `minimize` belongs in a train or a test",
			},
		},
		{
			"scan", `layer L(units: int)(x: f32[t, n]) -> f32[t, n] {
    let total = 1
    let (hs, cs) = scan xt in x with h = total, c = h {
        h <- h + xt + total
        xt <- h
        yield (h, c)
    }
    let ys = scan reversed (a, b) in (hs, cs) with total = 0 { total <- a + b }
    let zs = scan i < 3 while hh < 2 with hh = i { yield hh + i }
    h + i
}
`,
			[]string{
				"3:53 \"h\" unknown-name: there is no `h` here",
				"5:9 \"xt\" not-assignable: `xt` cannot be assigned to; 3:25 \"xt\" it is a value; help: `<-` changes a state; `let` gives a new name to a value",
				"8:52 \"total\" duplicate-name: `total` is the name of a value already; 2:9 \"total\" the value `total`; help: give one of them another name",
				"9:48 \"i\" unknown-name: there is no `i` here",
				"10:5 \"h\" out-of-scope: the carried value `h` is not known here; 3:38 \"h\" it is known only inside its block, which has ended; help: declare it before the block",
				"10:9 \"i\" out-of-scope: the index `i` is not known here; 9:19 \"i\" it is known only inside the expression that begins here",
			},
		},
		{
			"metric, generate, import, top-level let", `import "lib/blocks.nn"
import "other.nn" as blocks
let enc = blocks.Encoder(2)
metric auc(p: f32) { state hits = 0.0
    hits <- hits + p
    value: hits / count }
generate GPT { prompt: nme }
`,
			[]string{
				"2:22 \"blocks\" duplicate-name: `blocks` is declared twice; 1:8 \"\\\"lib/blocks.nn\\\"\" the import `blocks`; help: give one of them another name",
				"6:19 \"count\" unknown-name: there is no `count` here",
				"7:10 \"GPT\" unknown-name: there is no model `GPT`",
				"7:24 \"nme\" unknown-name: there is no `nme` here",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := checked(t, c.text)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The library keeps the rules that it demands of programs.
func TestCheckNamesOfTheLibrary(t *testing.T) {
	e := &elaborator{diags: &diag.List{}, universe: newUniverse()}
	e.std = newScope(e.universe)
	all := &syntax.File{}
	for _, f := range StdFiles() {
		all.Decls = append(all.Decls, f.Decls...)
	}
	e.checkNames(all, newScope(e.std))
	if err := e.diags.Err(); err != nil {
		t.Error(err)
	}
}

func TestCheckNamesOfTheExamples(t *testing.T) {
	paths, err := filepath.Glob("../examples/*/*.nn")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := checked(t, string(text)); got != nil {
			t.Errorf("%s:\n%s", p, strings.Join(got, "\n"))
		}
	}
}

// A declaration with a wrong name is not evaluated, what it declares is silent, and the others are still checked.
func TestWrongNamesSilenceFollowOns(t *testing.T) {
	_, list := Compile(diag.NewFile("a.nn", `data D { source: idx(images: "i", labels: "l"), map: { image: imag / 255 } }
fn f(x: f32) = foo(x)
fn f(x: i32) = x
layer L(n: int)(x: f32[m]) -> f32[n] = x + bar
let enc = L(3)
model M(x: f32[2]) -> f32[3] { f(x[0]) + enc(x) + [D.label, 1, 1] }
model N(x: f32[2]) -> f32[3] { x }
train on D { loss: M(image).a, optimizer: adam(), epochs: 1 }
test "t" { expect M([1, 2]) == f(3)
    expect N([1, 2]) == 1 }
`), Options{})
	var got []string
	for _, d := range list.All {
		got = append(got, d.Error())
	}
	want := []string{
		"a.nn:1:63: error[unknown-name]: there is no `imag` here",
		"a.nn:2:16: error[unknown-name]: there is no `foo` here",
		"a.nn:4:44: error[unknown-name]: there is no `bar` here",
		"a.nn:7:32: error[shape-mismatch]: N gives f32[2], but its result is declared as f32[3]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
