package train

import (
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// photos makes a folder with the given classes, two images each, and returns the program beside it.
func photos(t *testing.T, classes ...string) *plan.Program {
	t.Helper()
	dir := t.TempDir()
	for _, class := range classes {
		folder := filepath.Join(dir, "photos", class)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"1.png", "2.png"} {
			f, err := os.Create(filepath.Join(folder, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(f, image.NewRGBA(image.Rect(0, 0, 3, 5))); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return &plan.Program{File: filepath.Join(dir, "photos.nn")}
}

func photosData() *plan.Data {
	return &plan.Data{
		Name: "Photos",
		Source: plan.Source{ImageFolder: &plan.ImageFolder{
			Files: plan.Files{Train: "photos"}, Height: 4, Width: 4, Channels: 3, Resize: "bilinear", Orientation: "keep", OnCorrupt: "fail",
		}},
		Fields: []plan.Field{
			{Name: "image", DType: tensor.F32, Shape: []int{4, 4, 3}},
			{Name: "label", DType: tensor.I32, Labels: []string{"cat", "dog"}},
		},
	}
}

func TestOpenData(t *testing.T) {
	ds, err := OpenData(photos(t, "dog", "cat"), photosData())
	if err != nil {
		t.Fatal(err)
	}
	if ds.Train.Len() != 4 || ds.Validation != nil || len(ds.Notes) == 0 {
		t.Errorf("%d examples, notes %q", ds.Train.Len(), ds.Notes)
	}
}

func TestOpenDataRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		classes []string
		change  func(*plan.Data)
		want    string
	}{
		{"missing", nil, func(*plan.Data) {}, "data Photos: "},
		{"classes", []string{"cat", "cow"}, func(*plan.Data) {}, `classes ["cat" "cow"] in the data, but the program was compiled for ["cat" "dog"]`},
		{"shape", []string{"cat", "dog"}, func(d *plan.Data) { d.Source.ImageFolder.Height = 8 }, "f32[8 4 3] in the data, but the program was compiled for f32[4 4 3]"},
		{"field", []string{"cat", "dog"}, func(d *plan.Data) { d.Fields[0].Name = "sound" }, "no field sound"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := photosData()
			c.change(d)
			if _, err := OpenData(photos(t, c.classes...), d); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestOpenIDX(t *testing.T) {
	dir := t.TempDir()
	for name, file := range map[string]string{
		"images": "\x00\x00\x08\x03\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x02" + "abcdefgh",
		"labels": "\x00\x00\x08\x01\x00\x00\x00\x04" + "\x00\x01\x02\x03",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ds, err := OpenData(&plan.Program{File: filepath.Join(dir, "digits.nn")}, &plan.Data{
		Name:   "Digits",
		Source: plan.Source{IDX: &plan.IDX{Images: "images", Labels: "labels", TestImages: "images", TestLabels: "labels", Validation: 0.25}},
		Fields: []plan.Field{{Name: "image", DType: tensor.F32, Shape: []int{1, 2, 1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if ds.Train.Len() != 3 || ds.Validation.Len() != 1 || ds.Test.Len() != 4 {
		t.Errorf("%d, %d and %d examples", ds.Train.Len(), ds.Validation.Len(), ds.Test.Len())
	}
}
