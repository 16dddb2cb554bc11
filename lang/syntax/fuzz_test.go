package syntax

import (
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
)

func seeds(f *testing.F) {
	for _, pattern := range []string{"testdata/drafts/*.nn", "testdata/errors/*.nn"} {
		for _, src := range sources(f, pattern) {
			f.Add(src.Text)
		}
	}
	for _, text := range []string{"", "{", "}", "test \"", "fn f[", "layer A()(", "let a = [i] =>", "\xff", "a.b", "f(x &&&\n&&", "data D { map: { a: 1\nb: 2 } }"} {
		f.Add(text)
	}
}

// Whatever the text, Parse returns; every place it speaks of lies in the file.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		src := diag.NewFile("fuzz.nn", text)
		file, list := Parse(src)
		if file == nil {
			t.Fatal("no tree")
		}
		for _, d := range list.All {
			if d.Span.File != src || d.Span.Start < 0 || d.Span.Start > d.Span.End || d.Span.End > len(text) {
				t.Errorf("%s: span %d to %d of %d bytes", d.Message, d.Span.Start, d.Span.End, len(text))
			}
			if d.Message == "" || d.Code == "" {
				t.Error("a diagnostic without text or code")
			}
		}
		if err := diag.Render(discard{}, list, false); err != nil {
			t.Error(err)
		}
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// What the formatter writes reads as the same tree and is left alone the second time.
func FuzzFormat(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		src := diag.NewFile("fuzz.nn", text)
		before, list := Parse(src)
		if list.HasErrors() {
			return
		}
		once, _ := Format(src)
		formatted := diag.NewFile("fuzz.nn", once)
		after, list := Parse(formatted)
		if list.HasErrors() {
			t.Fatalf("the formatted text has errors:\n%s\n%v", once, list)
		}
		if dump(before) != dump(after) {
			t.Fatalf("the tree changed:\n%s\nbecame\n%s", text, once)
		}
		if twice, _ := Format(formatted); twice != once {
			t.Fatalf("not idempotent:\n%s\nbecame\n%s\nand then\n%s", text, once, twice)
		}
	})
}
