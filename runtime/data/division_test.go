package data

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Over all folds each example is a test example once, folds are alike in size, and so are the classes in them.
func TestFolds(t *testing.T) {
	for _, classes := range [][]int{{20}, {7, 6, 5}, {3, 11}, {1, 1, 1}} {
		const folds = 3
		var total, validated []int
		times := map[[2]int]int{}
		for fold := 1; fold <= folds; fold++ {
			d := Division{Fractions: [3]float64{0.75, 0.25}, Seed: 2, Folds: folds, Fold: fold}
			if err := d.check(); err != nil {
				t.Fatal(err)
			}
			dealt, tests, held := 0, 0, 0
			for class, n := range classes {
				parts := d.deal(uint64(class), n, dealt)
				dealt += n
				all := slices.Sorted(slices.Values(slices.Concat(parts[0], parts[1], parts[2])))
				for i, example := range all {
					if int(example) != i || len(all) != n {
						t.Fatalf("%v, fold %d: the splits hold %v of class %d", classes, fold, all, class)
					}
				}
				if k := len(parts[2]); k < n/folds || k > (n+folds-1)/folds {
					t.Errorf("%v, fold %d has %d of class %d", classes, fold, k, class)
				}
				for _, example := range parts[2] {
					times[[2]int{class, int(example)}]++
				}
				tests += len(parts[2])
				held += len(parts[1])
			}
			total, validated = append(total, tests), append(validated, held)
		}
		if slices.Max(total)-slices.Min(total) > 1 {
			t.Errorf("%v: the folds have %v examples", classes, total)
		}
		if classes[0] == 20 && !slices.Equal(validated, []int{3, 3, 3}) { // what three quarters of 13, 13 and 14, which are rounded, leave
			t.Errorf("validation has %v examples", validated)
		}
		for example, n := range times {
			if n != 1 {
				t.Errorf("%v: example %v is tested %d times", classes, example, n)
			}
		}
		for class, n := range classes {
			for i := range n {
				if times[[2]int{class, i}] == 0 {
					t.Errorf("%v: example %d of class %d is never tested", classes, i, class)
				}
			}
		}
	}
	first := Division{Fractions: [3]float64{1}, Seed: 1, Folds: 5, Fold: 2}
	other := first
	other.Seed = 2
	if a, b := first.deal(0, 50, 0), other.deal(0, 50, 0); slices.Equal(a[2], b[2]) {
		t.Error("another seed deals the same folds")
	}
}

func TestFoldErrors(t *testing.T) {
	for _, c := range []struct {
		d    Division
		want string
	}{
		{Division{Fractions: [3]float64{1}, Fold: 2}, "fold 2 of how many? Say it with folds"},
		{Division{Fractions: [3]float64{1}, Folds: 1, Fold: 1}, "1 folds: at least 2 are needed"},
		{Division{Fractions: [3]float64{1}, Folds: 5}, "fold 0: it must be from 1 to 5, the number of folds"},
		{Division{Fractions: [3]float64{1}, Folds: 5, Fold: 6}, "fold 6: it must be from 1 to 5, the number of folds"},
		{Division{Fractions: [3]float64{0.8, 0, 0.2}, Folds: 5, Fold: 1}, "the test split is one of the folds: a fraction for it cannot be chosen"},
		{Division{Fractions: [3]float64{0.8}, Folds: 5, Fold: 1}, "the fractions [0.8 0 0] (training, validation, test) add up to 0.8, not to 1"},
	} {
		if err := c.d.check(); err == nil || err.Error() != c.want {
			t.Errorf("%v: %v, not %s", c.d, err, c.want)
		}
	}
	dir := folder(t, map[string]string{"t.csv": "x,k\n1,a\n2,b\n3,a\n"})
	cfg := CSVConfig{Root: dir, Path: "t.csv", Columns: []Column{{Field: "x", Kind: Number}, {Field: "k", Kind: Class}}}
	cfg.Division = Division{Fractions: [3]float64{1}, Folds: 4, Fold: 1}
	if _, err := CSV(cfg); err == nil || err.Error() != "t.csv has 3 rows, too few for 4 folds" {
		t.Errorf("four folds of three rows: %v", err)
	}
	cfg.Folds, cfg.Stratify = 3, "x"
	if _, err := CSV(cfg); err == nil || err.Error() != `stratify: "x" is no field of classes` {
		t.Errorf("strata of numbers: %v", err)
	}
}

// The rows of each class are dealt by themselves, and alike whether the classes have been numbered before or not.
func TestStrata(t *testing.T) {
	text := "k,x\n"
	for i := range 40 {
		text += fmt.Sprintf("%s,%d\n", []string{"z", "a", "z", "z"}[i%4], i)
	}
	cfg := CSVConfig{
		Root: folder(t, map[string]string{"t.csv": text}), Path: "t.csv", Stratify: "k",
		Columns:  []Column{{Field: "k", Kind: Class}, {Field: "x", Kind: Number}},
		Division: Division{Fractions: [3]float64{0.6, 0.2, 0.2}, Seed: 4},
	}
	read := func() (notes []string, x [3][]float32) {
		ds, err := CSV(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for k, src := range []Source{ds.Train, ds.Validation, ds.Test} {
			if src == nil {
				continue
			}
			v := whole(t, src)
			x[k] = v["x"].F32
			a := 0
			for _, id := range v["k"].I32 {
				if id == 0 {
					a++
				}
			}
			if 4*a != src.Len() {
				t.Errorf("the %s split has %d of class a among %d", splitNames[k], a, src.Len())
			}
		}
		return ds.Notes, x
	}
	_, found := read()
	cfg.Columns[0].Names = []string{"a", "z"}
	_, known := read()
	if diff := cmp.Diff(found, known); diff != "" {
		t.Error(diff)
	}
	cfg.Division = Division{Fractions: [3]float64{1}, Seed: 4, Folds: 5, Fold: 3}
	notes, parts := read()
	if len(parts[2]) != 8 || len(parts[1]) != 0 || !strings.HasSuffix(notes[0], "32 training, 8 test (fold 3 of 5, dealt by seed 4)") {
		t.Errorf("fold 3 of 5: %v, %q", parts, notes)
	}
}
