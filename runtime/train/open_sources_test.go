package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime/data"
)

// A program meets other data than it was compiled with: its classes, vocabulary and means stay what they were.
func TestCompiledProgramMeetsOtherData(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "t.csv"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := &plan.Program{File: filepath.Join(dir, "p.nn")}
	table := func(unknown bool) *plan.Data {
		return &plan.Data{Name: "T", Source: plan.Source{CSV: &plan.CSV{
			Files: plan.Files{Train: "t.csv"}, Separator: ",", Missing: "error",
			Columns: []plan.Column{{Field: "x", Kind: "f32"}, {Field: "k", Kind: "class", Unknown: unknown}, {Field: "t", Kind: "words"}},
		}}}
	}
	write("x,k,t\n1,a,red\n3,b,red green\n")
	ds, err := OpenData(p, table(false))
	if err != nil {
		t.Fatal(err)
	}
	fields := FieldsOf(ds)
	want := []plan.Field{
		{Name: "x", DType: fields[0].DType, Mean: []float64{2}, Deviation: []float64{1}},
		{Name: "k", DType: fields[1].DType, Labels: []string{"a", "b"}},
		{Name: "t", DType: fields[2].DType, Shape: []int{-1}, Labels: []string{"<unknown>", "red", "green"}},
		{Name: "length.t", DType: fields[3].DType},
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Fatal(diff)
	}

	write("x,k,t\n9,b,green blue\n9,b,blue\n")
	d := table(false)
	d.Fields = fields
	if ds, err = OpenData(p, d); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fields, FieldsOf(ds)); diff != "" {
		t.Error(diff)
	}
	batch := data.NewBatchOf(ds.Train, 0)
	if err := ds.Train.At(0, batch, 0); err != nil {
		t.Fatal(err)
	}
	if batch[1].I32[0] != 1 || batch[2].I32[0] != 2 || batch[2].I32[1] != 0 {
		t.Errorf("class %d, words %d", batch[1].I32, batch[2].I32)
	}

	write("x,k,t\n9,c,green\n")
	_, err = OpenData(p, d)
	if want := `data T: training data: t.csv, line 2, column "k": "c" is not among the 2 values that the program knows: "a", "b"`; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	d = table(true)
	d.Fields = fields
	if ds, err = OpenData(p, d); err != nil {
		t.Fatal(err)
	}
	if err := ds.Train.At(0, batch, 0); err != nil || batch[1].I32[0] != 0 {
		t.Errorf("an unknown class is %d, %v", batch[1].I32, err)
	}
}

func TestOrderOfSources(t *testing.T) {
	for order, want := range map[string]string{"": "", "streams": "streams", "lengths": "no order by length"} {
		ds, err := OpenData(&plan.Program{File: "p.nn"}, &plan.Data{
			Name: "S", Order: order, Source: plan.Source{Synthetic: &plan.Synthetic{Train: 3, Validation: 1}},
		})
		if order == "lengths" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, src := range []data.Source{ds.Train, ds.Validation} {
			o, ok := src.(data.Orderer)
			if ok != (want != "") || ok && o.OrderName() != want {
				t.Errorf("order %q gives %T", order, src)
			}
		}
	}
}
