package syntax

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/diag"
)

// The formatter changes nothing the second time, and never the tree.
func TestFormatDrafts(t *testing.T) {
	for name, src := range sources(t, "testdata/drafts/*.nn") {
		t.Run(src.Name, func(t *testing.T) {
			once, list := Format(src)
			if list.HasErrors() {
				t.Fatal(list)
			}
			twice, _ := Format(diag.NewFile(src.Name, once))
			if diff := cmp.Diff(once, twice); diff != "" {
				t.Errorf("not idempotent (-once +twice):\n%s", diff)
			}
			before, _ := Parse(src)
			after, _ := Parse(diag.NewFile(src.Name, once))
			if diff := cmp.Diff(dump(before), dump(after)); diff != "" {
				t.Errorf("the tree changed (-before +after):\n%s", diff)
			}
			golden(t, "testdata/formatted/"+src.Name, once)
			_ = name
		})
	}
}

// However badly a program is spaced, formatting keeps its tree and its comments and is stable.
func TestFormatSpoiled(t *testing.T) {
	for _, src := range sources(t, "testdata/drafts/*.nn") {
		t.Run(src.Name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			for range 20 {
				spoiled := spoil(src, random)
				before, list := Parse(spoiled)
				if list.HasErrors() {
					t.Fatalf("%s\n%v", spoiled.Text, list)
				}
				once, _ := Format(spoiled)
				formatted := diag.NewFile(src.Name, once)
				after, list := Parse(formatted)
				if list.HasErrors() {
					t.Fatalf("%s\n%v", once, list)
				}
				if diff := cmp.Diff(dump(before), dump(after)); diff != "" {
					t.Fatalf("%s\nbecame\n%s\n%s", spoiled.Text, once, diff)
				}
				if twice, _ := Format(formatted); twice != once {
					t.Fatalf("not idempotent (-once +twice):\n%s", cmp.Diff(once, twice))
				}
				if a, b := strings.Count(spoiled.Text, "//"), strings.Count(once, "//"); a != b {
					t.Fatalf("%d comments became %d", a, b)
				}
			}
		})
	}
}

// spoil changes blanks, blank lines and comments at random where they mean nothing.
func spoil(src *diag.File, random *rand.Rand) *diag.File {
	var b strings.Builder
	end := 0
	for _, tok := range lex(src, &diag.List{}).list {
		if tok.Type == tokenNewline {
			continue
		}
		gap := src.Text[end:tok.Pos.Offset]
		blanks := strings.Repeat(" ", random.IntN(4))
		switch {
		case end == 0 || strings.Contains(gap, "\n"):
			if random.IntN(8) == 0 {
				b.WriteString(blanks + "// trailing")
			}
			b.WriteString(strings.Repeat("\n", 1+random.IntN(3)))
			if random.IntN(8) == 0 {
				b.WriteString(blanks + "\t// alone \r\n")
			}
			if !startsDeclaration(tok) { // at column 1 it would look like the next declaration
				blanks += " "
			}
			b.WriteString(blanks)
		case gap == "":
			if random.IntN(3) == 0 && tok.Value != ":" && tok.Value != "." && !tok.EOF() {
				b.WriteString(blanks)
			}
		default:
			if random.IntN(2) == 0 {
				gap = " "
			}
			if strings.TrimSpace(gap) == "" {
				b.WriteString(gap)
			}
		}
		b.WriteString(tok.Value)
		end = tok.Pos.Offset + len(tok.Value)
	}
	return diag.NewFile(src.Name, b.String())
}
