package lang

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
)

// ownLibrary is a program with more of the language in it than the examples have.
const ownLibrary = `option units = 4
option rate  = 0.01

data Digits {
    source: idx(images: "images", labels: "labels", validation: 0.1)
    map:    { image: image / 255, mirrored: [i, j < 28, k] => image[i, 27-j, k] }
    batch:  16
}

fn scaled(x: f32[...s], by: f32) -> f32[...s] = by * x
fn small[...s](scale: f32 = 0.02) -> f32[...s] = scale * normal[...s]
fn pooled(x: f32[h, w, c]) -> f32[h/2, w/2, c] =
    [i, j, ch] => max[di < 2, dj < 2] x[2*i+di, 2*j+dj, ch]
fn neighbours(x: f32[n]) -> f32[n] = [i] => (x[i-1] else 0) + (x[i+1] else 0)
fn smooth(rounds: int)(x: f32[n]) -> f32[n] {
    scan r < rounds with y = x {
        let side = neighbours(y)
        y <- 0.5 * y + 0.25 * side
    }
}

layer Gated(n_out: int, gate: fn = sigmoid)(x: f32[..., n]) -> f32[..., n_out] {
    param kernel: f32[n, n_out] = small(0.01)
    param bias: f32[n_out] = zeros
    let y = x @ kernel + bias
    y * gate(y)
}
layer Centred(momentum: f32 = 0.9)(x: f32[n]) -> f32[n] {
    state middle: f32[n] = zeros
    if training {
        let m = mean[batch] x
        middle <- momentum * middle + (1 - momentum) * m
        x - m
    } else {
        x - middle
    }
}
layer Residual(f: layer)(x: f32[...s]) -> f32[...s] = x + f(x)

optimizer momentum_sgd(lr: f32, mu: f32 = 0.9)(w, g) {
    state v = zeros
    v <- mu * v + g
    w <- w - lr * v
}

model Net(image: f32[28, 28, 1]) -> f32[10] {
    let seen = image |> pooled |> pooled |> Flatten()
    let hidden = seen |> Gated(units) |> Centred() |> Residual(Dense(units, tanh))
    hidden |> smooth(2) |> Dense(10, softmax)
}

train on Digits {
    let p = Net(image)
    let q = Net(mirrored)
    let both = crossentropy(p, label) + crossentropy(q, label)
    minimize both + 1e-4 * sum(Net.dense.kernel^2)
        over Net using momentum_sgd(lr: rate)
    metrics: accuracy(p, label)
    epochs:  3
    until:   val_accuracy > 0.9
}

test "own" {
    let y = neighbours([1, 2, 3])
    expect y == [2, 4, 2]
    expect smooth(1)([4, 4, 4]) == [3, 4, 3] within 1e-6
    expect sum(scaled([1, 2], 3)) == 9
}
`

// labelled tells the compiler the classes of the data of these programs.
func labelled(d *plan.Data) error {
	for i := range d.Fields {
		if d.Fields[i].Name == "label" {
			d.Fields[i].Labels = []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
			if d.Source.ImageFolder != nil {
				d.Fields[i].Labels = []string{"cats", "dogs"}
			}
		}
	}
	return nil
}

// validPrograms returns the texts of the examples that compile, and ownLibrary.
func validPrograms(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{"own.nn": ownLibrary}
	paths, err := filepath.Glob("../examples/*/*.nn")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(p)] = string(text)
	}
	for name, text := range texts {
		_, list := Compile(diag.NewFile(name, text), Options{Schema: labelled})
		if list.HasErrors() {
			if name == "own.nn" {
				t.Fatal(list)
			}
			delete(texts, name)
		}
	}
	return texts
}

// tokens of a program that edits may touch; comments and texts are left alone.
var (
	tokenPattern  = regexp.MustCompile(`//[^\n]*|"[^"\n]*"|[A-Za-z_]\w*|\d+(\.\d+)?(e-?\d+)?|[()\[\]{},]`)
	numberPattern = regexp.MustCompile(`^\d`)
	namePattern   = regexp.MustCompile(`^[A-Za-z_]`)
)

// edit is one change of a program: text[start:end] became with.
type edit struct {
	start, end int
	with       string
}

func (e edit) apply(text string) string { return text[:e.start] + e.with + text[e.end:] }

// randomEdit breaks a program as people do: a number, a name, a type, an argument, a bracket.
func randomEdit(r *rand.Rand, text string) edit {
	var places [][]int
	pick := func(fits func(string) bool) []int {
		places = places[:0]
		for _, at := range tokenPattern.FindAllStringIndex(text, -1) {
			if s := text[at[0]:at[1]]; s[0] != '"' && !strings.HasPrefix(s, "//") && fits(s) {
				places = append(places, at)
			}
		}
		return places[r.IntN(len(places))]
	}
	any := func(words ...string) func(string) bool {
		return func(s string) bool { return slices.Contains(words, s) }
	}
	switch r.IntN(6) {
	case 0:
		at := pick(numberPattern.MatchString)
		return edit{at[0], at[1], []string{"0", "1", "2", "3", "7", "28", "-1", "1.5", "1000000"}[r.IntN(9)]}
	case 1: // a slip of the keyboard
		at := pick(namePattern.MatchString)
		k := at[0] + r.IntN(at[1]-at[0])
		return edit{k, k + 1, []string{"", "x", text[k:k+1] + text[k:k+1]}[r.IntN(3)]}
	case 2: // another name of the program
		at, other := pick(namePattern.MatchString), pick(namePattern.MatchString)
		return edit{at[0], at[1], text[other[0]:other[1]]}
	case 3:
		at := pick(any("f32", "i32", "int", "layer", "fn", "string", "bool"))
		return edit{at[0], at[1], []string{"f32", "i32", "bool", "int", "fn", "float"}[r.IntN(6)]}
	case 4: // an argument more or less
		at := pick(any(",", ")"))
		if text[at[0]] == ')' {
			return edit{at[0], at[0], []string{", 1", ", x", ", units: 2", ", relu"}[r.IntN(4)]}
		}
		end := at[1]
		for end < len(text) && !strings.ContainsRune(",)]}\n", rune(text[end])) {
			end++
		}
		return edit{at[0], end, ""}
	}
	at := pick(any("(", ")", "[", "]", "{", "}"))
	return edit{at[0], at[1], ""}
}

func TestMutations(t *testing.T) {
	texts := validPrograms(t)
	names := make([]string, 0, len(texts))
	for n := range texts {
		names = append(names, n)
	}
	slices.Sort(names)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 500 {
		name := names[i%len(names)]
		text := texts[name]
		e := randomEdit(r, text)
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			src := diag.NewFile(name, e.apply(text))
			what := fmt.Sprintf("%s line %d, %q for %q", name, src.Position(e.start).Line, e.with, text[e.start:e.end])
			defer func() {
				if p := recover(); p != nil {
					t.Fatalf("%s: panic: %v", what, p)
				}
			}()
			_, list := Compile(src, Options{Schema: labelled})
			if !list.HasErrors() {
				return
			}
			if why := farFrom(list.All[0], e, text, src); why != "" {
				var b strings.Builder
				if err := diag.Render(&b, list, false); err != nil {
					t.Fatal(err)
				}
				t.Errorf("%s: %s\n%s\n%s", what, why, src.Line(src.Position(e.start).Line), b.String())
			}
		})
	}
}

// farFrom says why an error is not about an edit; it is if its place or a related one holds the edited line or the partner of an
// edited bracket, or if it is on a line that uses what the edited line, or one that uses it in turn, declares.
func farFrom(d *diag.Diagnostic, e edit, before string, src *diag.File) string {
	line := src.Position(e.start).Line
	holds := func(s diag.Span) bool {
		return s.File == src && src.Position(s.Start).Line <= line && line <= src.Position(s.End).Line
	}
	if holds(d.Span) || slices.ContainsFunc(d.Related, func(r diag.Related) bool { return holds(r.Span) }) {
		return ""
	}
	if d.Span.File != src {
		return "the error is in another file"
	}
	if at := partner(before, e.start); at >= 0 && src.Position(d.Span.Start).Line == diag.NewFile("", before).Position(at).Line {
		return ""
	}
	at := src.Position(d.Span.Start).Line
	touched := map[string]bool{}
	old := diag.NewFile(src.Name, before)
	for _, f := range []*diag.File{src, old} {
		if line == headOf(f, line) && headOf(src, at) == line {
			return "" // a body uses what is before it
		}
		for _, name := range declaredOn(f, line) {
			touched[name] = true
		}
	}
	for _, token := range tokenPattern.FindAllStringIndex(before, -1) {
		if token[0] <= e.start && e.start < token[1] {
			touched[before[token[0]:token[1]]] = true
		}
	}
	for grown := true; grown; {
		grown = false
		for n := 1; n <= strings.Count(src.Text, "\n"); n++ {
			if !mentions(src.Line(n), touched) {
				continue
			}
			for _, name := range declaredOn(src, n) {
				grown = grown || !touched[name]
				touched[name] = true
			}
		}
	}
	if mentions(src.Line(at), touched) || mentions(src.Line(headOf(src, at)), touched) {
		return ""
	}
	for n := 1; n <= strings.Count(src.Text, "\n"); n++ { // what was edited is given to a layer, and is wrong there
		if mentions(src.Line(n), touched) && mentions(src.Line(n), nameSet(declaredOn(src, headOf(src, at)))) {
			return ""
		}
	}
	if headOf(src, line) == line && slices.ContainsFunc(declaredOn(src, headOf(src, at)), func(name string) bool { return calledFrom(src, line)[name] }) {
		return "" // the shape of a model's input is wrong in a layer that the model is made of
	}
	if strings.HasSuffix(d.Message, "on the next line") && at == line+1 {
		return ""
	}
	return fmt.Sprintf("the first error is on line %d", at)
}

// partner returns where the bracket that belongs to the one at a place is, or -1.
func partner(text string, at int) int {
	const brackets = "()[]{}"
	var open []int
	for _, t := range tokenPattern.FindAllStringIndex(text, -1) {
		switch k := strings.Index(brackets, text[t[0]:t[1]]); {
		case k < 0:
		case k%2 == 0:
			open = append(open, t[0])
		case len(open) > 0:
			from := open[len(open)-1]
			open = open[:len(open)-1]
			if from == at {
				return t[0]
			}
			if t[0] == at {
				return from
			}
		}
	}
	return -1
}

var declaringPattern = regexp.MustCompile(`\b(option|data|fn|layer|optimizer|model|metric|let|param|state|with)\s+(\w+)`)

// declaredOn lists the names declared on a line, and the declaration that the line is inside of.
func declaredOn(f *diag.File, line int) []string {
	var out []string
	for _, text := range []string{f.Line(line), f.Line(headOf(f, line))} {
		for _, m := range declaringPattern.FindAllStringSubmatch(text, -1) {
			out = append(out, m[2])
		}
	}
	return out
}

// headOf is the first line of the declaration that a line is inside of.
func headOf(f *diag.File, line int) int {
	for n := line; n > 1; n-- {
		if text := f.Line(n); text != "" && text[0] != ' ' && text[0] != '}' {
			return n
		}
	}
	return 1
}

func nameSet(names []string) map[string]bool {
	set := map[string]bool{}
	for _, n := range names {
		set[n] = true
	}
	return set
}

// mentions reports whether a line uses one of these names; val_accuracy uses accuracy.
func mentions(line string, names map[string]bool) bool {
	return slices.ContainsFunc(tokenPattern.FindAllString(line, -1), func(s string) bool { return names[s] || names[strings.TrimPrefix(s, "val_")] })
}

// calledFrom lists what a line uses, what the declarations of that use, and so on.
func calledFrom(f *diag.File, line int) map[string]bool {
	called := nameSet(tokenPattern.FindAllString(f.Line(line), -1))
	for grown := true; grown; {
		grown = false
		for n := 1; n <= strings.Count(f.Text, "\n"); n++ {
			if headOf(f, n) == headOf(f, line) || !slices.ContainsFunc(declaredOn(f, n), func(name string) bool { return called[name] }) {
				continue
			}
			for _, name := range tokenPattern.FindAllString(f.Line(n), -1) {
				grown = grown || !called[name]
				called[name] = true
			}
		}
	}
	return called
}
