package syntax

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/diag"
)

// layoutOf writes tokens apart, with ¶ where a statement ends.
func layoutOf(text string) (string, *diag.List) {
	list := &diag.List{}
	var parts []string
	for _, t := range lex(diag.NewFile("x.nn", text), list).list {
		switch {
		case t.EOF():
		case t.Type == tokenNewline:
			parts = append(parts, "¶")
		default:
			parts = append(parts, t.Value)
		}
	}
	return strings.Join(parts, " "), list
}

func TestLayout(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"statements", "a\nb\n\n\nc\n", "a ¶ b ¶ c"},
		{"brackets", "f(\na\nb\n)\n[\n1\n]", "f ( a b ) ¶ [ 1 ]"},
		{"braces within brackets", "f({\na\nb\n})", "f ( { ¶ a ¶ b } )"},
		{"after operators", "a +\nb =\nc =>\nd :\ne <-\nf ,\ng and\nh |>\ni", "a + b = c => d : e <- f , g and h |> i"},
		{"before a pipe", "a\n|> b\n|> c\nd", "a |> b |> c ¶ d"},
		{"before words", "a\nover b\nusing c\nclip d\nelse e\nwithin f\nand g\nor h", "a over b using c clip d else e within f and g or h"},
		{"before operators", "a\n+ b\n* c\n== d\n< e\n^ f\n@ g", "a + b * c == d < e ^ f @ g"},
		{"minus begins", "a\n-b\n(c)\n[d]", "a ¶ - b ¶ ( c ) ¶ [ d ]"},
		{"clauses named as words", "a: 1\nclip: 2\nover : 3", "a : 1 ¶ clip : 2 ¶ over : 3"},
		{"comments", "a // one\n// two\n|> b // three\n", "a |> b"},
		{"carriage returns", "a\r\nb\r\n", "a ¶ b"},
		{"byte order mark", "\uFEFFa", "a"},
		{"numbers", "1 1.5 1e-3 2.5E+7 x.y 0", "1 1.5 1e-3 2.5E+7 x . y 0"},
		{"spread after a number", "[3, ...s]", "[ 3 , ... s ]"},
		{"a forgotten bracket ends at a statement", "f(a\nlet b = 1", "f ( a ¶ let b = 1"},
		{"a forgotten bracket ends at a declaration", "f(a\nmodel B", "f ( a ¶ model B"},
		{"an argument named as a declaration", "f(\ntrain: 1,\ntest: 2)", "f ( train : 1 , test : 2 )"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, list := layoutOf(c.text)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if list.HasErrors() {
				t.Error(list)
			}
		})
	}
}

func TestStringEscapes(t *testing.T) {
	for raw, want := range map[string]string{
		`""`: "", `"a"`: "a", `"\n\t\r"`: "\n\t\r", `"\""`: `"`, `"\\"`: `\`, `"a\\"`: `a\`, `"\\\""`: `\"`, `"é"`: "é",
	} {
		x, list := ParseExpr(diag.NewFile("x.nn", raw))
		if list.HasErrors() {
			t.Errorf("%s: %v", raw, list)
		} else if got := x.(*String).Value; got != want {
			t.Errorf("%s is %q, want %q", raw, got, want)
		}
	}
}

func TestInvalidCharactersKeepTheirPlace(t *testing.T) {
	_, list := layoutOf("a é € b\nc \x00 \xff d")
	var got []string
	for _, d := range list.All {
		got = append(got, d.Span.String()+" "+string(d.Code))
	}
	want := []string{"x.nn:1:5 invalid-character", "x.nn:2:3 invalid-character", "x.nn:2:5 invalid-character"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
