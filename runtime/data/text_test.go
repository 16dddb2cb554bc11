package data

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// spell is the text that ids stand for.
func spell(labels []string, ids []int32) string {
	var words []string
	for _, id := range ids {
		words = append(words, labels[id])
	}
	return strings.Join(words, "|")
}

func TestText(t *testing.T) {
	const poem = "\ufeffÄ rose,\nit's a  Rose. 'a rose'\n"
	for _, c := range []struct {
		name   string
		cfg    TextConfig
		labels int
		train  []string // text and next of each example
		valid  []string
	}{
		{
			"characters",
			TextConfig{Path: "t", Fractions: [3]float64{0.5, 0.5}, Unit: Characters, Sequence: 6},
			14,
			[]string{"Ä| |r|o|s|e", " |r|o|s|e|,", ",|\n|i|t|'|s", "\n|i|t|'|s| "},
			[]string{"R|o|s|e|.| ", "o|s|e|.| |'", "'|a| |r|o|s", "a| |r|o|s|e"},
		},
		{
			"words",
			TextConfig{Path: "t", Fractions: [3]float64{0.6, 0.4}, Unit: WordUnits, Sequence: 3, Top: 5},
			6,
			[]string{"<unknown>|<unknown>|,", "<unknown>|,|it's"}, // the first five by their codes: , . Rose a it's
			[]string{"<unknown>|a|<unknown>", "a|<unknown>|<unknown>"},
		},
		{
			"bytes",
			TextConfig{Train: "t", Validation: "v", Unit: Bytes, Sequence: 2},
			256,
			[]string{"<0xef>|<0xbb>", "<0xbb>|<0xbf>", "<0xbf>|<0xc3>", "<0xc3>|<0x84>"},
			[]string{"a|b", "b|c"},
		},
		{
			"characters of all files",
			TextConfig{Train: "v", Validation: "t", Unit: Characters, Sequence: 3},
			17,
			nil,
			[]string{"Ä| |r", " |r|o"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Root = folder(t, map[string]string{"t": poem, "v": "abcd"})
			ds, err := Text(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if len(ds.Labels) != c.labels {
				t.Errorf("%d units: %q", len(ds.Labels), ds.Labels)
			}
			for _, split := range []struct {
				src  Source
				want []string
			}{{ds.Train, c.train}, {ds.Validation, c.valid}} {
				var got []string
				batch := NewBatch(split.src.Fields(), 2)
				for i := range min(split.src.Len(), len(split.want)/2) {
					if err := split.src.At(i, batch, 1); err != nil {
						t.Fatal(err)
					}
					n := c.cfg.Sequence
					got = append(got, spell(ds.Labels, batch[0].I32[n:]), spell(ds.Labels, batch[1].I32[n:]))
				}
				if diff := cmp.Diff(split.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestTextErrors(t *testing.T) {
	for _, c := range []struct {
		text string
		cfg  TextConfig
		want string
	}{
		{"ab\ncd\xff", TextConfig{Train: "t", Unit: Characters, Sequence: 1}, `training data: t, line 2: byte 0xff is not UTF-8 text; save the file as UTF-8, or use unit: "bytes"`},
		{"ab\ncd\xff", TextConfig{Train: "t", Unit: WordUnits, Sequence: 1}, `training data: t, line 2: this is not UTF-8 text; save the file as UTF-8, or use unit: "bytes"`},
		{"ab\n" + strings.Repeat("x", 5000), TextConfig{Train: "t", Unit: WordUnits, Sequence: 1}, `training data: t, line 2: a word of more than 4096 bytes`},
		{"abc", TextConfig{Train: "t", Unit: Bytes, Sequence: 3}, `t: 3 bytes for training are too few for a sequence of 3 and the one that follows`},
		{"abcdefghi", TextConfig{Path: "t", Fractions: [3]float64{0.9, 0.1}, Unit: Bytes, Sequence: 3}, `t: 1 bytes for validation are too few for a sequence of 3 and the one that follows`},
		{"", TextConfig{Train: "t", Unit: Characters, Sequence: 1}, `t: 0 characters for training are too few for a sequence of 1 and the one that follows`},
		{"abc", TextConfig{Train: "u", Unit: Bytes, Sequence: 1}, `training data: cannot read DIR/u: no such file or directory`},
		{"abc", TextConfig{Train: "t", Unit: "letters", Sequence: 1}, `unit "letters": it is "characters", "bytes" or "words"`},
		{"abc", TextConfig{Train: "t", Unit: Bytes}, `a sequence of 0 units: it must have between 1 and 16777216`},
		{"abc", TextConfig{Validation: "t", Unit: WordUnits, Sequence: 1}, `the vocabulary is taken of the training split, and there is none`},
		{"abc", TextConfig{Train: "t", Unit: Characters, Sequence: 1, Names: []string{"a", "b"}}, `t, characters from 1 on: the character 'c' is not among the 2 that the program knows`},
	} {
		c.cfg.Root = folder(t, map[string]string{"t": c.text})
		ds, err := Text(c.cfg)
		if err == nil {
			err = ds.Train.At(1, NewBatch(ds.Train.Fields(), 1), 0)
		}
		if err == nil {
			t.Errorf("no error, want %s", c.want)
			continue
		}
		if diff := cmp.Diff(strings.ReplaceAll(c.want, "DIR", c.cfg.Root), err.Error()); diff != "" {
			t.Error(diff)
		}
	}
}

// A text is found by the numbers of its units as if it were cut up in memory, also where marks are far apart.
func TestTextUnitsAreFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for range 3 * maxMarks {
		text.WriteRune([]rune("ab’' .ß語\n")[rng.IntN(9)])
	}
	for _, unit := range []Unit{Characters, WordUnits} {
		x, err := newTextFile(strings.NewReader(text.String()), int64(text.Len()), "t", unit)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		if unit == Characters {
			want = strings.Split(text.String(), "")
			if x.stride < 2 || len(x.marks) > maxMarks {
				t.Errorf("%d marks, every %d", len(x.marks), x.stride)
			}
		} else {
			for rest := text.String(); ; {
				var word string
				if word, rest = nextWord(rest); word == "" {
					break
				}
				want = append(want, word)
			}
		}
		if x.units != int64(len(want)) {
			t.Fatalf("%d %s, want %d", x.units, unit, len(want))
		}
		for range 200 {
			from := rng.IntN(len(want))
			to := min(len(want), from+rng.IntN(9))
			var got []string
			if unit == Characters {
				err = x.visitRunes(int64(from), int64(to), func(r rune) { got = append(got, string(r)) })
			} else {
				err = x.visit(int64(from), int64(to), func(w string) { got = append(got, w) })
			}
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(got, "|") != strings.Join(want[from:to], "|") {
				t.Fatalf("%s %d to %d: %q, want %q", unit, from, to, got, want[from:to])
			}
		}
	}
}

// A file of holes is larger than any memory that is used for it.
func TestTextLargerThanMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "holes")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 1 << 38 // bytes
	if err := f.Truncate(size); err != nil {
		t.Skip(err)
	}
	if _, err := f.WriteAt([]byte("end"), size-3); err != nil {
		t.Skip(err)
	}
	ds, err := Text(TextConfig{Path: path, Fractions: [3]float64{0.5, 0.5}, Unit: Bytes, Sequence: 1 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if n := ds.Train.Len(); n < lazyFrom {
		t.Fatalf("%d examples", n)
	}
	for _, src := range []Source{ds.Train, Streams(ds.Validation)} {
		l := load(t, src, Options{Batch: 4, Shuffle: true, Seed: 1})
		for range 3 {
			b, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			if b.Len() != 4 {
				t.Errorf("a batch of %d", b.Len())
			}
			b.Release()
		}
	}
	batch := NewBatch(ds.Validation.Fields(), 1)
	if err := ds.Validation.At(ds.Validation.Len()-1, batch, 0); err != nil {
		t.Fatal(err)
	}
	if got := ds.Validation.Len(); got != size/2/(1<<10)-1 {
		t.Errorf("%d examples for validation", got)
	}
}

func TestStreamsContinue(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n, batch := rapid.IntRange(1, 60).Draw(r, "examples"), rapid.IntRange(1, 12).Draw(r, "batch")
		l, err := NewLoader(t.Context(), Streams(counting(n)), Options{Batch: batch, Shuffle: rapid.Bool().Draw(r, "shuffle"), Workers: 2})
		if err != nil {
			r.Fatal(err)
		}
		defer l.Close()
		steps := take(r, l, n+1)
		if len(steps) != l.Steps() {
			r.Errorf("%d batches, and %d are announced", len(steps), l.Steps())
		}
		seen := map[int32]bool{}
		for k, s := range steps {
			for row, e := range s.Examples {
				seen[e] = true
				if k > 0 && e != steps[k-1].Examples[row]+1 {
					r.Errorf("row %d: example %d follows %d", row, e, steps[k-1].Examples[row])
				}
			}
		}
		if len(seen) != n {
			r.Errorf("%d of %d examples visited", len(seen), n)
		}
	})
}

func TestLazyPermutation(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(r, "n")
		at := lazyPermutation(rapid.Uint64().Draw(r, "seed"), rapid.Uint64().Draw(r, "pass"), n)
		seen := make([]bool, n)
		for k := range n {
			p := at(k)
			if p < 0 || int(p) >= n || seen[p] {
				r.Fatalf("place %d has %d", k, p)
			}
			seen[p] = true
		}
	})
	a, b := lazyPermutation(1, 0, 1000), lazyPermutation(1, 1, 1000)
	same, sum := 0, 0
	for k := range 1000 {
		if a(k) == b(k) {
			same++
		}
		if int(a(k)) < k {
			sum++
		}
	}
	if same > 20 || sum < 400 || sum > 600 {
		t.Errorf("%d places are the same in two passes; %d move back", same, sum)
	}
}

// raggedSource has examples of lengths 1 to 7, whose elements are their number + 1.
type raggedSource int

func (n raggedSource) Len() int { return int(n) }
func (n raggedSource) Fields() []Field {
	return []Field{{Name: "x", DType: tensor.F32, Shape: []int{-1, 2}}, {Name: LengthField("x"), DType: tensor.I32}}
}
func (n raggedSource) Name(i int) string         { return fmt.Sprint(i) }
func (n raggedSource) LengthOf(i, field int) int { return i*5%7 + 1 }

func (n raggedSource) At(i int, dst []*tensor.Tensor, row int) error {
	out := dst[0].F32[row*elementsOf(dst[0]):]
	for k := range 2 * n.LengthOf(i, 0) {
		out[k] = float32(i + 1)
	}
	dst[1].I32[row] = int32(n.LengthOf(i, 0))
	return nil
}

func TestBatchesArePaddedToTheirLongest(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n, opt := drawOptions(r)
		var src Source = raggedSource(n)
		ordered := rapid.Bool().Draw(r, "by length")
		if ordered {
			var err error
			if src, err = ByLength(src); err != nil {
				r.Fatal(err)
			}
		}
		opt.Repeat = false
		l, err := NewLoader(t.Context(), src, opt)
		if err != nil {
			r.Fatal(err)
		}
		defer l.Close()
		seen := map[int32]bool{}
		for _, s := range take(r, l, n+1) {
			most := 0
			for _, e := range s.Examples {
				seen[e] = true
				most = max(most, raggedSource(n).LengthOf(int(e), 0))
			}
			if diff := cmp.Diff([]int{len(s.Examples), most, 2}, s.Shape); diff != "" {
				r.Fatal(diff)
			}
			for row, e := range s.Examples {
				for k := range 2 * most {
					want := float32(e + 1)
					if k >= 2*int(s.Y[row]) {
						want = 0
					}
					if got := s.X[row*2*most+k]; got != want {
						r.Fatalf("example %d, element %d is %v, want %v", e, k, got, want)
					}
				}
			}
		}
		if len(seen) != n {
			r.Errorf("%d of %d examples visited", len(seen), n)
		}
	})
}

// A loader that begins where another stopped reads the same batches, in every order.
func TestOrdersResume(t *testing.T) {
	sorted, err := ByLength(raggedSource(23))
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range []Source{sorted, Streams(raggedSource(23))} {
		opt := Options{Batch: 4, Shuffle: true, Seed: 7, Repeat: true}
		l := load(t, src, opt)
		want := take(t, l, 9)
		l = load(t, src, opt)
		take(t, l, 3)
		opt.Start = l.Cursor()
		if diff := cmp.Diff(want[3:], take(t, load(t, src, opt), 6)); diff != "" {
			t.Errorf("%s: %s", src.(Orderer).OrderName(), diff)
		}
	}
}

func TestOrderByLengthNeedsLengths(t *testing.T) {
	if _, err := ByLength(counting(3)); err == nil {
		t.Error("no error")
	}
}

func FuzzText(f *testing.F) {
	for _, text := range []string{"a rose's rose.\n", "\ufeffÄ語’s", "\xff\xfe", "'''", "\r\n\t \x00", "a’"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, unit := range []Unit{Characters, Bytes, WordUnits} {
			x, err := newTextFile(strings.NewReader(text), int64(len(text)), "t", unit)
			if err != nil {
				continue
			}
			if x.units > int64(len(text)) {
				t.Errorf("%d %s of %d bytes", x.units, unit, len(text))
			}
			n := int64(0)
			switch unit {
			case Bytes:
				err = x.visitBytes(0, x.units, func(byte) { n++ })
			case Characters:
				err = x.visitRunes(0, x.units, func(rune) { n++ })
			default:
				rest := strings.TrimPrefix(text, "\ufeff")
				err = x.visit(0, x.units, func(w string) {
					n++
					var want string
					if want, rest = nextWord(rest); want != w {
						t.Errorf("word %q, want %q", w, want)
					}
				})
			}
			if err != nil || n != x.units {
				t.Errorf("%d of %d %s: %v", n, x.units, unit, err)
			}
		}
	})
}
