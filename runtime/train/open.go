package train

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime/data"
)

// OpenData opens the sources of a data declaration; relative paths start from the program's folder.
//
// Errors: what the source says, or fields of it that are not the ones the program was compiled for.
func OpenData(p *plan.Program, d *plan.Data) (*data.Dataset, error) {
	ds, err := openSource(filepath.Dir(p.File), d.Source)
	if err != nil {
		return nil, fmt.Errorf("data %s: %w", d.Name, err)
	}
	for _, src := range []data.Source{ds.Train, ds.Validation, ds.Test} {
		if src == nil {
			continue
		}
		if err := checkFields(d.Fields, src); err != nil {
			return nil, fmt.Errorf("data %s: %w", d.Name, err)
		}
	}
	return ds, nil
}

func openSource(root string, s plan.Source) (*data.Dataset, error) {
	switch {
	case s.ImageFolder != nil:
		f := s.ImageFolder
		return data.ImageFolder(data.ImageFolderConfig{
			ImageSpec: data.ImageSpec{
				Height: f.Height, Width: f.Width, Channels: f.Channels,
				Resize: data.Resize(f.Resize), Orientation: data.Orientation(f.Orientation),
			},
			Root:  root,
			Train: f.Train, Validation: f.Validation, Test: f.Test,
			Path: f.Path, Fractions: f.Split, Seed: uint64(f.Seed),
			Classes: f.Classes, OnCorrupt: data.OnCorrupt(f.OnCorrupt),
		})
	case s.IDX != nil:
		f := s.IDX
		return data.IDX(data.IDXConfig{
			Root:               root,
			Train:              data.IDXFiles{Images: f.Images, Labels: f.Labels},
			Test:               data.IDXFiles{Images: f.TestImages, Labels: f.TestLabels},
			ValidationFraction: f.Validation, Seed: uint64(f.Seed),
		})
	}
	panic("BUG: a data declaration without a source")
}

// checkFields compares the data with what the program was compiled for.
func checkFields(fields []plan.Field, src data.Source) error {
	for _, want := range fields {
		i := fieldIndex(src, want.Name)
		if i < 0 {
			return fmt.Errorf("the data has no field %s", want.Name)
		}
		got := src.Fields()[i]
		if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
			return fmt.Errorf("field %s is %s%v in the data, but the program was compiled for %s%v",
				want.Name, got.DType, got.Shape, want.DType, want.Shape)
		}
		if want.Labels != nil && got.Labels != nil && !slices.Equal(got.Labels, want.Labels) {
			return fmt.Errorf("field %s has the classes %q in the data, but the program was compiled for %q", want.Name, got.Labels, want.Labels)
		}
	}
	return nil
}

func fieldIndex(src data.Source, name string) int {
	return slices.IndexFunc(src.Fields(), func(f data.Field) bool { return f.Name == name })
}
