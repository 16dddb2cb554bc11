package diag

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// place is the span of the n-th (from 1) occurrence of text.
func place(f *File, text string, n int) Span {
	at := 0
	for range n {
		i := strings.Index(f.Text[at:], text)
		if i < 0 {
			panic("BUG: test text lacks " + text)
		}
		at += i + 1
	}
	return Span{f, at - 1, at - 1 + len(text)}
}

func rendered(t *testing.T, list *List, colored bool) string {
	t.Helper()
	var b strings.Builder
	if err := Render(&b, list, colored); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRender(t *testing.T) {
	net := NewFile("net.nn", `model Net(x: f32[3]) -> f32[1] {
    param W1: f32[2, 2] = [[1, 1], [1, 1]]
    param b1: f32[2]    = [1, 1]
    param W2: f32[1, 2] = [[1, 1]]
    param b2: f32[1]    = [1]
    let z1 = W1 @ x + b1
    let z2 = W2 @ relu(z1) + b2
    z2
}
`)
	odd := NewFile("odd.nn", "\tlet\tα = 漢字 + x\nlet b = \x1b[31m\nlet c = 1 +\n    2\n\n\n\n\n\n\n\nlast\n")
	std := NewFile("std/dense.nn", "layer Dense(units: int)(x: f32[..., n]) -> f32[..., units] {\n    param kernel: f32[n, units]\n}\n")
	for _, c := range []struct {
		name string
		list []*Diagnostic
		want string
	}{
		{
			"the shape mismatch of the language's description",
			[]*Diagnostic{{
				Span: place(net, "W1 @ x", 1), Code: "shape-mismatch",
				Message: "W1 @ x: W1 is f32[2, 2], so x needs 2 elements, but it has 3", Label: "x is f32[3]",
				Related: []Related{{place(net, "f32[2, 2]", 1), "W1 has 2 columns"}},
				Fix:     "declare W1 as f32[2, 3]",
			}},
			`error[shape-mismatch]: W1 @ x: W1 is f32[2, 2], so x needs 2 elements, but it has 3
  --> net.nn:6:14
   |
 2 |     param W1: f32[2, 2] = [[1, 1], [1, 1]]
   |               --------- W1 has 2 columns
 6 |     let z1 = W1 @ x + b1
   |              ^^^^^^ x is f32[3]
   = help: declare W1 as f32[2, 3]
`,
		},
		{
			"tabs and wide characters",
			[]*Diagnostic{{Span: place(odd, "字", 1), Code: "c", Message: "m", Related: []Related{{place(odd, "α", 1), "narrow"}}}},
			"error[c]: m\n" +
				"  --> odd.nn:1:11\n" +
				"   |\n" +
				" 1 |     let    α = 漢字 + x\n" +
				"   |                  ^^\n" +
				"   |            - narrow\n",
		},
		{
			"control characters do not reach the terminal",
			[]*Diagnostic{{Span: place(odd, "[31m", 1), Code: "c", Message: "m\x1b"}},
			"error[c]: m\uFFFD\n  --> odd.nn:2:10\n   |\n 2 | let b = \uFFFD[31m\n   |          ^^^^\n",
		},
		{
			"places of several lines and far apart",
			[]*Diagnostic{
				{Span: place(odd, "1 +\n    2", 1), Severity: Warning, Code: "c", Message: "m", Related: []Related{{place(odd, "last", 1), "far"}}},
			},
			"warning[c]: m\n   --> odd.nn:3:9\n    |\n  3 | let c = 1 +\n    |         ^^^\n...\n 12 | last\n    | ---- far\n",
		},
		{
			"the end of the file",
			[]*Diagnostic{{Span: Span{odd, len(odd.Text), len(odd.Text)}, Code: "c", Message: "m"}},
			"error[c]: m\n   --> odd.nn:13:1\n    |\n 13 |\n    | ^\n",
		},
		{
			"a place beyond the file",
			[]*Diagnostic{{Span: Span{odd, 900, 950}, Code: "c", Message: "m"}},
			"error[c]: m\n   --> odd.nn:13:1\n    |\n 13 |\n    | ^\n",
		},
		{
			"another file",
			[]*Diagnostic{
				{Span: place(net, "z1 =", 1), Code: "c", Message: "m", Fix: "f", Related: []Related{{place(std, "kernel", 1), "declared here"}, {Span{}, "no place"}}},
			},
			`error[c]: m
  --> net.nn:6:9
   |
 6 |     let z1 = W1 @ x + b1
   |         ^^^^
   = help: f
note: declared here
  --> std/dense.nn:2:11
   |
 2 |     param kernel: f32[n, units]
   |           ------
note: no place
`,
		},
		{"no place", []*Diagnostic{{Code: "c", Message: "m", Fix: "f"}}, "error[c]: m\n   = help: f\n"},
		{
			"sorted",
			[]*Diagnostic{{Span: place(net, "z2", 1), Code: "b", Message: "second"}, {Span: place(net, "x", 1), Code: "a", Message: "first"}},
			`error[a]: first
  --> net.nn:1:11
   |
 1 | model Net(x: f32[3]) -> f32[1] {
   |           ^

error[b]: second
  --> net.nn:7:9
   |
 7 |     let z2 = W2 @ relu(z1) + b2
   |         ^^
`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, rendered(t, &List{All: c.list}, false)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestRenderCapped(t *testing.T) {
	list := &List{}
	for i := range MaxShown + 3 {
		list.Add(&Diagnostic{Code: "c", Message: fmt.Sprint("message ", i)})
	}
	got := rendered(t, list, false)
	if n := strings.Count(got, "error[c]"); n != MaxShown {
		t.Errorf("%d messages shown, want %d", n, MaxShown)
	}
	if !strings.HasSuffix(got, "\n… and 3 more\n") {
		t.Errorf("the report ends with %q", got[len(got)-30:])
	}
}

// Colour is the caller's decision: it is there when asked for, even where output is no terminal, and takes nothing from the text.
func TestRenderColored(t *testing.T) {
	f := NewFile("a.nn", "let a = b\n")
	list := &List{All: []*Diagnostic{{Span: place(f, "b", 1), Code: "c", Message: "m", Label: "l", Fix: "f"}}}
	plain, colored := rendered(t, list, false), rendered(t, list, true)
	if strings.Contains(plain, "\x1b") || !strings.Contains(colored, "\x1b[31;1m^\x1b[") {
		t.Errorf("plain %q, colored %q", plain, colored)
	}
	var b strings.Builder
	for i, part := range strings.Split(colored, "\x1b[") {
		if i > 0 {
			_, part, _ = strings.Cut(part, "m")
		}
		b.WriteString(part)
	}
	if diff := cmp.Diff(plain, b.String()); diff != "" {
		t.Error(diff)
	}
}

type broken struct{}

var errBroken = errors.New("broken")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestRenderReportsTheWriter(t *testing.T) {
	if err := Render(broken{}, &List{All: []*Diagnostic{{Code: "c", Message: "m"}}}, false); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want %v", err, errBroken)
	}
}

func TestDidYouMean(t *testing.T) {
	words := []string{"model", "metric", "layer", "train", "test", "fn", "max", "min"}
	for name, want := range map[string]string{
		"modle": "model", "mdel": "model", "Model": "model", "lyaer": "layer", "trian": "train", "text": "test", "mix": "max",
		"f": "fn", "zzz": "", "model": "", "": "", "convolution": "", "fm": "fn",
	} {
		if got := DidYouMean(name, words); got != want {
			t.Errorf("DidYouMean(%q) = %q, want %q", name, got, want)
		}
	}
	for _, c := range []struct{ name, first, second, want string }{ // both are one edit away
		{"rleu", "bleu", "relu", "relu"}, // swapped letters
		{"adim", "edim", "adam", "adam"}, // the same first letter
		{"convd", "cond", "conv2d", "cond"},
	} {
		if got := DidYouMean(c.name, []string{c.first, c.second}); got != c.want {
			t.Errorf("DidYouMean(%q) = %q, want %q", c.name, got, c.want)
		}
	}
}

// Of a line that is wider than a screen, what is around each place is shown, the place where the underline says.
func TestLongLines(t *testing.T) {
	text := strings.Repeat("漢 + ", 100) + "here" + strings.Repeat(" - x", 100)
	f := NewFile("long.nn", text)
	list := &List{}
	list.Add(&Diagnostic{Span: place(f, "here", 1), Code: "code", Message: "wrong", Related: []Related{{Span: place(f, "漢", 1), Message: "the first"}}})
	lines := strings.Split(rendered(t, list, false), "\n")
	if len(lines) != 8 {
		t.Fatalf("%d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for i, want := range map[int]string{3: "here", 5: "漢"} {
		source, under := []rune(lines[i]), lines[i+1]
		at := strings.IndexAny(under, "^-")
		col := 0
		for k, c := range source {
			if col == at {
				if got := string(source[k : k+len([]rune(want))]); got != want {
					t.Errorf("line %d: %q is underlined, not %q:\n%s\n%s", i+1, got, want, lines[i], under)
				}
			}
			col += narrow.RuneWidth(c)
		}
		if col > widest+10 {
			t.Errorf("line %d is %d columns wide", i+1, col)
		}
	}
	if !strings.HasPrefix(lines[3], " 1 | …") || !strings.HasSuffix(lines[3], "…") || strings.HasPrefix(lines[5], " 1 | …") {
		t.Errorf("the dots are wrong:\n%s\n%s", lines[3], lines[5])
	}
}
