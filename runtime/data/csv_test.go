package data

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// folder writes files into a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// whole reads all examples of a source as one batch, by field.
func whole(t *testing.T, s Source) map[string]*tensor.Tensor {
	t.Helper()
	all := make([]int, s.Len())
	for i := range all {
		all[i] = i
	}
	batch := NewBatchOf(s, all...)
	for i := range all {
		if err := s.At(i, batch, i); err != nil {
			t.Fatal(err)
		}
	}
	byName := map[string]*tensor.Tensor{}
	for k, f := range s.Fields() {
		byName[f.Name] = batch[k]
	}
	return byName
}

func TestCSV(t *testing.T) {
	flowers := "\ufefflong, wide ,\"kind, of flower\",note\n5.1,3.5,rose,a\n\n4.9,-3e-1,\"lily \"\"x\"\"\",b\n 6 ,1,rose,c\n"
	for _, c := range []struct {
		name    string
		text    string
		columns []Column
		change  func(*CSVConfig)
		want    map[string]string // of each field: its type and its values
		labels  []string
	}{
		{
			name: "rest and class", text: flowers,
			columns: []Column{{Field: "x", Kind: Rest}, {Field: "label", Kind: Class, From: []string{"kind, of flower"}}},
			want:    map[string]string{"x": "f32[3, 2] [5.1 3.5 4.9 -0.3 6 1]", "label": "i32[3] [1 0 1]"},
			labels:  []string{`lily "x"`, "rose"},
		},
		{
			name: "numbers", text: flowers,
			columns: []Column{{Field: "wide", Kind: Number}, {Field: "both", Kind: Number, From: []string{"wide", "long"}}},
			want:    map[string]string{"wide": "f32[3] [3.5 -0.3 1]", "both": "f32[3, 2] [3.5 5.1 -0.3 4.9 1 6]"},
		},
		{
			name: "ids in the order of their values", text: "user,stars\n10,5\n9,4.0\n10,1\n100,2\n",
			columns: []Column{{Field: "user", Kind: ID}, {Field: "stars", Kind: Whole}},
			want:    map[string]string{"user": "i32[4] [1 0 1 2]", "stars": "i32[4] [5 4 1 2]"},
		},
		{
			name: "classes given", text: "a\nno\nyes\nno\n",
			columns: []Column{{Field: "a", Kind: Class, Names: []string{"yes", "no", "perhaps"}}},
			want:    map[string]string{"a": "i32[3] [1 0 1]"}, labels: []string{"yes", "no", "perhaps"},
		},
		{
			name: "unknown ids", text: "a\n3\n7\n",
			columns: []Column{{Field: "a", Kind: ID, Names: []string{"?", "3"}, Unknown: true}},
			want:    map[string]string{"a": "i32[2] [1 0]"},
		},
		{
			name: "words", text: "t\n\"The cat, the CAT!\"\nit's\n\"\"\n",
			columns: []Column{{Field: "t", Kind: Words, Top: 4}},
			// The most frequent first: cat and the twice, then ! and the comma by their letters; it's is not among the four.
			want: map[string]string{"t": "i32[3, 6] [2 1 4 2 1 3 0 0 0 0 0 0 0 0 0 0 0 0]", "length.t": "i32[3] [6 1 1]"},
		},
		{
			name: "words cut, with start and end", text: "t\na b c\na\n",
			columns: []Column{{Field: "t", Kind: Words, Longest: 2, Start: "<s>", End: "</s>"}},
			want:    map[string]string{"t": "i32[2, 4] [1 3 4 2 1 3 2 0]", "length.t": "i32[2] [4 3]"},
		},
		{
			name: "words of a fixed length", text: "t\na b c\na\n",
			columns: []Column{{Field: "t", Kind: Words, Fixed: 2}},
			want:    map[string]string{"t": "i32[2, 2] [1 2 1 0]"},
		},
		{
			name: "words and pairs of words", text: "t\nBad! not good\nnot good\n",
			columns: []Column{{Field: "t", Kind: Words, Top: 3, NGrams: []int{1, 2}}},
			// good, not and "not good" are there twice.
			want: map[string]string{"t": "i32[2, 7] [0 0 2 1 0 0 3 2 1 3 0 0 0 0]", "length.t": "i32[2] [7 3]"},
		},
		{
			name: "n-grams of words that are known", text: "t\na b c a b\n",
			columns: []Column{{Field: "t", Kind: Words, NGrams: []int{3, 2}, Longest: 4, Names: []string{"<unknown>", "a b", "b c a", "c a"}}},
			want:    map[string]string{"t": "i32[1, 5] [0 2 1 0 3]", "length.t": "i32[1] [5]"},
		},
		{
			name: "groups of characters", text: "t\n É \tB\nb\n",
			columns: []Column{{Field: "t", Kind: Words, Unit: Characters, NGrams: []int{2}, Names: []string{"<unknown>", "é ", " b"}}},
			want:    map[string]string{"t": "i32[2, 2] [1 2 0 0]", "length.t": "i32[2] [2 1]"},
		},
		{
			name: "characters", text: "t\nabA\n",
			columns: []Column{{Field: "t", Kind: Words, Unit: Characters}},
			want:    map[string]string{"t": "i32[1, 3] [1 2 1]", "length.t": "i32[1] [3]"},
		},
		{
			name: "tabs and no quotes", text: "t\tn\r\nhe said \"x\t1\r\n\r\n\"\t2\r\n",
			columns: []Column{{Field: "n", Kind: Number}}, change: func(c *CSVConfig) { c.Separator = '\t' },
			want: map[string]string{"n": "f32[2] [1 2]"},
		},
		{
			name: "no header", text: "1,2\n3,4\n",
			columns: []Column{{Field: "y", Kind: Number, From: []string{"2"}}, {Field: "x", Kind: Rest}},
			change:  func(c *CSVConfig) { c.NoHeader = true },
			want:    map[string]string{"y": "f32[2] [2 4]", "x": "f32[2, 1] [1 3]"},
		},
		{
			name: "rows with missing numbers are dropped, with their classes", text: "x,k\n1,a\nNA,b\n3,\n4,c\n",
			columns: []Column{{Field: "x", Kind: Number}, {Field: "k", Kind: Class}},
			change:  func(c *CSVConfig) { c.Missing = MissingDrops },
			want:    map[string]string{"x": "f32[2] [1 4]", "k": "i32[2] [0 1]"}, labels: []string{"a", "c"},
		},
		{
			name: "missing numbers are filled", text: "x,y\n1,?\nnan,2\n",
			columns: []Column{{Field: "x", Kind: Number}, {Field: "y", Kind: Whole}},
			change:  func(c *CSVConfig) { c.Missing, c.Fill = MissingFills, -1 },
			want:    map[string]string{"x": "f32[2] [1 -1]", "y": "i32[2] [-1 2]"},
		},
		{
			name: "a column of text among the rest", text: "a,b,c\n1,x,\n2,3,4\n",
			columns: []Column{{Field: "x", Kind: Rest}}, change: func(c *CSVConfig) { c.Missing, c.Fill = MissingFills, 9 },
			want: map[string]string{"x": "f32[2, 2] [1 9 2 4]"},
		},
		{
			name: "no end of the last line", text: "a\n1\n2",
			columns: []Column{{Field: "a", Kind: Number}}, want: map[string]string{"a": "f32[2] [1 2]"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := CSVConfig{Root: folder(t, map[string]string{"t.csv": c.text}), Train: "t.csv", Columns: c.columns}
			if c.change != nil {
				c.change(&cfg)
			}
			ds, err := CSV(cfg)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for name, x := range whole(t, ds.Train) {
				values := fmt.Sprint(x.F32)
				if x.DType == tensor.I32 {
					values = fmt.Sprint(x.I32)
				}
				got[name] = x.String() + " " + values
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.labels, ds.Labels); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCSVErrors(t *testing.T) {
	number := []Column{{Field: "x", Kind: Number}}
	for _, c := range []struct {
		name, text string
		columns    []Column
		change     func(*CSVConfig)
		want       string
	}{
		{"text", "x,y\n1,2\n\n1o,3\n", number, nil, `training data: t.csv, line 4, column "x": "1o" is not a number`},
		{"comma in a number", "x;y\n1;2\n1,5;3\n", number, func(c *CSVConfig) { c.Separator = ';' }, `training data: t.csv, line 3, column "x": "1,5" is not a number; fractions are written with a point`},
		{"too large", "x\n1e39\n", number, nil, `training data: t.csv, line 2, column "x": 1e39 is too large for an f32`},
		{"infinite", "x\ninf\n", number, nil, `training data: t.csv, line 2, column "x": inf is too large for an f32`},
		{"half", "x\n1.5\n", []Column{{Field: "x", Kind: Whole}}, nil, `training data: t.csv, line 2, column "x": 1.5 is not a whole number; make the column f32`},
		{"large whole", "x\n3000000000\n", []Column{{Field: "x", Kind: Whole}}, nil, `training data: t.csv, line 2, column "x": 3000000000 is too large for an i32`},
		{"missing", "x,y\n,2\n", number, nil, `training data: t.csv, line 2, column "x": the number is missing; set missing: "drop" to leave such rows out, or missing: 0 to put a number there`},
		{"missing word", "x,y\nNA,2\n", number, nil, `training data: t.csv, line 2, column "x": "NA" stands for a missing number; set missing: "drop" to leave such rows out, or missing: 0 to put a number there`},
		{"missing class", "x,y\n,2\n", []Column{{Field: "x", Kind: Class}}, func(c *CSVConfig) { c.Missing = MissingFills }, `training data: t.csv, line 2, column "x": the class is missing; set missing: "drop" to leave such rows out`},
		{"ragged", "x,y\n1,2\n1\n", number, nil, `training data: t.csv, line 3: the row has 1 value, but the first one has 2`},
		{"too many", "x,y\n1,2,3\n", number, nil, `training data: t.csv, line 2: the row has 3 values, but the first one has 2; a value that holds a separator must stand in quotes`},
		{"separator", "x,y\n1;2\n", number, nil, `training data: t.csv, line 2: the row has 1 value, but the first one has 2; is another character the separator?`},
		{"quote", "x,y\n1,a\"b\n", number, nil, `training data: t.csv, line 2: a quote stands inside a value without quotes around it; write the value in quotes and the quote twice`},
		{"open quote", "x,y\n1,2\n1,\"b\n2,3\n", number, nil, `training data: t.csv, line 3: a quote is never closed, or text follows the closing one; a quote within quotes is written twice`},
		{"label out of range", "x\na\nc\n", []Column{{Field: "x", Kind: Class, Names: []string{"a", "b"}}}, nil, `training data: t.csv, line 3, column "x": "c" is not among the 2 values that the program knows: "a", "b"`},
		{"column", "Label,y\n1,2\n", []Column{{Field: "label", Kind: Class}}, nil, `training data: t.csv has no column "label"; did you mean "Label"?`},
		{"separator", "a;label\n1;2\n", []Column{{Field: "label", Kind: Class}}, nil, `training data: t.csv has no column "label"; its first line, "a;label", seems to be separated otherwise: say separator: ";"`},
		{"column far", "a,b\n1,2\n", []Column{{Field: "label", Kind: Class}}, nil, `training data: t.csv has no column "label"; it has "a", "b"`},
		{"twice", "x,y,x\n1,2,3\n", number, nil, `training data: t.csv, line 1: two columns are called "x", the 1st and the 3rd: rename one in the file`},
		{"twice in rest", "a,x,a\n1,2,3\n", []Column{{Field: "x", Kind: Number}, {Field: "r", Kind: Rest}}, nil, `training data: t.csv, line 1: two columns are called "a", the 1st and the 3rd: rename one in the file`},
		{"nameless in rest", ",x,a\n1,2,3\n", []Column{{Field: "x", Kind: Number}, {Field: "r", Kind: Rest}}, nil, `training data: t.csv, line 1: the 1st column has no name, and would be part of r: name it in the file, or name the columns that r takes`},
		{"no rest", "x,y\n1,a\n", []Column{{Field: "x", Kind: Number}, {Field: "r", Kind: Rest}}, nil, `training data: t.csv has no columns of numbers left for r`},
		{"rest that turns to text", "x,y\n1,2\n1,b\n", []Column{{Field: "r", Kind: Rest}}, nil, `training data: t.csv, line 3, column "y": "b" is not a number`},
		{"empty", "", number, nil, `training data: t.csv is empty`},
		{"header only", "x\n", number, nil, `training data: t.csv has a header but no rows to use`},
		{"encoding", "x,y\n1,caf\xe9\n", number, nil, `training data: t.csv, line 2: "caf\xe9" is not UTF-8 text; save the file as UTF-8`},
		{"utf-16", "\xff\xfex\x00\n\x001\x00\n\x00", number, nil, `training data: t.csv is UTF-16 text: save it as UTF-8`},
		{"no file", "x\n1\n", number, func(c *CSVConfig) { c.Train = "no.csv" }, `training data: cannot read DIR/no.csv: no such file or directory`},
		{"nothing", "x\n1\n", number, func(c *CSVConfig) { c.Train = "" }, `no table is given: name a training file, or one file to be split`},
		{"both", "x\n1\n", number, func(c *CSVConfig) { c.Path = "t.csv" }, `both one file to be split (t.csv) and separate files are given: use one or the other`},
		{"too few", "x\n1\n", number, func(c *CSVConfig) { c.Train, c.Path, c.Fractions = "", "t.csv", [3]float64{0.5, 0.5} }, `t.csv has 1 row, too few to give validation a fraction of 0.5`},
		{"shares", "x\n1\n", number, func(c *CSVConfig) { c.Train, c.Path, c.Fractions = "", "t.csv", [3]float64{0.5, 0.4} }, `the fractions [0.5 0.4 0] (training, validation, test) add up to 0.9, not to 1`},
		{"two rests", "x\n1\n", []Column{{Field: "a", Kind: Rest}, {Field: "b", Kind: Rest}}, nil, `both a and b take the rest of the columns; one field can`},
		{"picture", "x\nno.png\n", []Column{{Field: "x", Kind: Image, Picture: ImageSpec{Height: 2, Width: 2, Channels: 3}}}, nil, `t.csv, line 2, column "x": no.png: no such file or directory`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"t.csv": c.text})
			cfg := CSVConfig{Root: dir, Train: "t.csv", Columns: c.columns}
			if c.change != nil {
				c.change(&cfg)
			}
			ds, err := CSV(cfg)
			if err == nil { // a picture is read with its example
				err = ds.Train.At(0, NewBatchOf(ds.Train, 0), 0)
			}
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(strings.ReplaceAll(c.want, "DIR", dir), err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCSVSplits(t *testing.T) {
	text := "x,k,t\n"
	for i := range 20 {
		text += fmt.Sprintf("%d,k%d,w%d\n", i, i%3, i)
	}
	dir := folder(t, map[string]string{"t.csv": text, "v.csv": "t,k,x\nw1 w2 new,k9,7\n"})
	columns := []Column{{Field: "x", Kind: Number}, {Field: "k", Kind: Class}, {Field: "t", Kind: Words}}
	ds, err := CSV(CSVConfig{Root: dir, Path: "t.csv", Division: Division{Fractions: [3]float64{0.7, 0.15, 0.15}, Seed: 3}, Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"t.csv: 20 rows: 14 training, 3 validation, 3 test (split by seed 3)"}, ds.Notes); diff != "" {
		t.Error(diff)
	}
	var all, train []float64
	for _, s := range []Source{ds.Train, ds.Validation, ds.Test} {
		for _, x := range whole(t, s)["x"].F32 {
			all = append(all, float64(x))
		}
		if s == ds.Train {
			train = slices.Clone(all)
		}
	}
	slices.Sort(all)
	for i, x := range all {
		if x != float64(i) {
			t.Fatalf("the splits together hold %v", all)
		}
	}
	mean, square := 0.0, 0.0
	for _, x := range train {
		mean += x / 14
	}
	for _, x := range train {
		square += (x - mean) * (x - mean) / 14
	}
	f := ds.Test.Fields()
	near := cmpopts.EquateApprox(0, 1e-12)
	if diff := cmp.Diff([][]float64{{mean}, {math.Sqrt(square)}}, [][]float64{f[0].Mean, f[0].Deviation}, near); diff != "" {
		t.Error(diff)
	}
	// Fifteen words: the unknown one and those of the training split alone.
	if len(f[2].Labels) != 15 || f[2].Labels[0] != "<unknown>" {
		t.Errorf("vocabulary %q", f[2].Labels)
	}
	words := whole(t, ds.Test)["t"].I32
	if diff := cmp.Diff([]int32{0, 0, 0}, words); diff != "" {
		t.Error(diff)
	}

	ds, err = CSV(CSVConfig{Root: dir, Train: "t.csv", Validation: "v.csv", Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"k0", "k1", "k2", "k9"}, ds.Labels); diff != "" {
		t.Error(diff)
	}
	got := whole(t, ds.Validation)
	if got["x"].F32[0] != 7 || got["k"].I32[0] != 3 || got["t"].I32[2] != 0 || got["t"].I32[0] == 0 {
		t.Errorf("validation: %v %v %v", got["x"].F32, got["k"].I32, got["t"].I32)
	}
	if name := ds.Validation.Name(0); name != "v.csv, line 2" {
		t.Errorf("named %s", name)
	}
	if name := ds.Train.Name(19); name != "t.csv, line 21" {
		t.Errorf("named %s", name)
	}
}

func TestCSVPictures(t *testing.T) {
	picture, err := os.ReadFile(firstFile(t, "testdata/images"))
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t, map[string]string{"tables/t.csv": "photo,price\np/1.img,3\n", "tables/p/1.img": string(picture)})
	ds, err := CSV(CSVConfig{Root: dir, Train: "tables/t.csv", Columns: []Column{
		{Field: "photo", Kind: Image, Picture: ImageSpec{Height: 4, Width: 5, Channels: 3}}, {Field: "price", Kind: Number},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := whole(t, ds.Train)
	want, err := LoadImage(filepath.Join(dir, "tables/p/1.img"), ImageSpec{Height: 4, Width: 5, Channels: 3})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got["photo"]); diff != "" {
		t.Error(diff)
	}
}

// firstFile is the first regular picture in a folder.
func firstFile(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := LoadImage(filepath.Join(dir, e.Name()), ImageSpec{Height: 1, Width: 1, Channels: 3}); err == nil {
			return filepath.Join(dir, e.Name())
		}
	}
	t.Fatalf("no pictures in %s", dir)
	return ""
}

// What a program writes in quotes comes back as it was, and numbers keep their bits.
func TestCSVRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(r, "rows")
		names := rapid.SliceOfN(rapid.StringMatching(`[a-z",\n é]{0,5}[a-z]`), n, n).Draw(r, "classes")
		numbers := rapid.SliceOfN(rapid.Float32(), n, n).Draw(r, "numbers")
		text := "k,x\n"
		for i := range n {
			text += fmt.Sprintf("\"%s\",%s\n", strings.ReplaceAll(names[i], `"`, `""`), strconv.FormatFloat(float64(numbers[i]), 'g', -1, 32))
		}
		tab, err := newTable("t.csv", strings.NewReader(text), ',', true)
		if err != nil {
			r.Fatal(err)
		}
		l := &tableLoad{cfg: CSVConfig{Columns: []Column{{Field: "x", Kind: Number}, {Field: "k", Kind: Class}}}, files: []tableFile{{}}}
		if err := l.findColumns(tab); err != nil {
			r.Fatal(err)
		}
		for _, c := range l.columns {
			if err := c.locate(tab); err != nil {
				r.Fatal(err)
			}
		}
		if err := l.rows(tab); err != nil {
			r.Fatal(err)
		}
		ds, err := l.finish()
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(numbers, l.columns[0].f32, cmpopts.EquateEmpty()); diff != "" {
			r.Error(diff)
		}
		for i, id := range l.columns[1].i32 {
			if ds.Labels[id] != strings.TrimSpace(names[i]) {
				r.Errorf("class %q came back as %q", names[i], ds.Labels[id])
			}
		}
	})
}

func FuzzCSV(f *testing.F) {
	for _, text := range []string{
		"x,k,t\n1,a,b c\n2,b,\n", "\ufeffx,k,t\n?,\"a\n\"\"b\",t\n", "x,k,t\n1,2\n", "x\tk\tt\n1\ta\"\tb\r\n", "\xff\xfe", "x,k,t\n1,\xff,2\n", "x,x,k,t\n1,2,3,4\n",
	} {
		f.Add(text, byte(','), false)
		f.Add(text, byte('\t'), true)
	}
	f.Fuzz(func(t *testing.T, text string, separator byte, noHeader bool) {
		path := filepath.Join(t.TempDir(), "t.csv")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		columns := []Column{{Field: "x", Kind: Rest}, {Field: "k", Kind: Class}, {Field: "t", Kind: Words, Top: 3, Start: "<s>"}}
		if noHeader {
			columns[1].From, columns[2].From = []string{"2"}, []string{"3"}
		}
		ds, err := CSV(CSVConfig{Train: path, Separator: rune(separator), NoHeader: noHeader, Columns: columns, Missing: MissingDrops})
		if err != nil {
			if strings.Contains(err.Error(), "BUG") {
				t.Error(err)
			}
			return
		}
		if ds.Train.Len() > len(text) {
			t.Errorf("%d rows of %d bytes", ds.Train.Len(), len(text))
		}
		labels := map[string]int{}
		for _, field := range ds.Train.Fields() {
			labels[field.Name] = len(field.Labels)
		}
		got := whole(t, ds.Train)
		for _, name := range []string{"k", "t"} {
			for _, id := range got[name].I32 {
				if id < 0 || int(id) >= labels[name] {
					t.Errorf("%s %d of %d", name, id, labels[name])
				}
			}
		}
	})
}
