package train

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime/access"
	"github.com/nnc-lang/nnc/runtime/data"
)

// OpenData opens the sources of a data declaration; relative paths start from the program's folder. Classes, vocabularies and means that
// the declaration's fields have are taken from there; others are found in the data.
//
// Errors: *access.OutsideError; what the source says, or fields of it that are not the ones the program was compiled for.
func OpenData(p *plan.Program, d *plan.Data) (*data.Dataset, error) {
	err := access.CheckData(p, d)
	var ds *data.Dataset
	if err == nil {
		ds, err = openSource(filepath.Dir(p.File), d)
	}
	if err == nil {
		err = orderSources(ds, d.Order)
	}
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

// Examples returns what t trains on, nil if it has no data. open opens a data declaration. Several data are joined to one, see data.Join; it has the splits
// that all of them have.
//
// Errors: those of open; data that cannot stand after another.
func Examples(t *plan.Train, open func(*plan.Data) (*data.Dataset, error)) (*data.Dataset, error) {
	if t.Data == nil {
		return nil, nil
	}
	first, err := open(t.Data)
	if err != nil || len(t.Others) == 0 {
		return first, err
	}
	names := []string{"training", "validation", "test"}
	splits := func(ds *data.Dataset) []*data.Source { return []*data.Source{&ds.Train, &ds.Validation, &ds.Test} }
	parts := make([][]data.Part, len(names))
	joined := &data.Dataset{}
	lacks := make([]string, len(names))
	for _, d := range t.AllData() {
		ds, err := open(d)
		if err != nil {
			return nil, err
		}
		joined.Kept += ds.Kept
		for _, note := range ds.Notes {
			joined.Notes = append(joined.Notes, d.Name+": "+note)
		}
		for i, src := range splits(ds) {
			if *src == nil {
				lacks[i] = d.Name
				continue
			}
			parts[i] = append(parts[i], data.Part{Name: d.Name, Source: *src})
		}
	}
	for i, into := range splits(joined) {
		switch {
		case lacks[i] == "":
			if *into, err = data.Join(parts[i]...); err != nil {
				return nil, fmt.Errorf("%s split of several data: %w", names[i], err)
			}
		case len(parts[i]) > 0:
			joined.Notes = append(joined.Notes, fmt.Sprintf("%s has no %s split, so there is none", lacks[i], names[i]))
		}
	}
	return joined, nil
}

// Buffers is how many bytes of batches there are while t trains on ds and is measured: of each split those read ahead, and the one in use.
func Buffers(t *plan.Train, ds *data.Dataset) int {
	n := data.LoaderBytes(ds.Train, data.Options{Batch: t.FullBatch()})
	if ds.Validation != nil && t.Eval != "" {
		// While it is measured, no batch of training is in use.
		n = max(n, data.AheadBytes(ds.Train, data.Options{Batch: t.FullBatch()})+data.LoaderBytes(ds.Validation, data.Options{Batch: t.FullBatch()}))
	}
	return n
}

// FieldsOf describes the examples of a dataset, as a data declaration has them.
func FieldsOf(ds *data.Dataset) []plan.Field {
	for _, src := range []data.Source{ds.Train, ds.Validation, ds.Test} {
		if src == nil {
			continue
		}
		var fields []plan.Field
		for _, f := range src.Fields() {
			fields = append(fields, plan.Field{Name: f.Name, DType: f.DType, Shape: f.Shape, Labels: f.Labels, Columns: f.Columns, Mean: f.Mean, Deviation: f.Deviation})
		}
		return fields
	}
	return nil
}

func openSource(root string, d *plan.Data) (*data.Dataset, error) {
	switch s := d.Source; {
	case s.ImageFolder != nil:
		f := s.ImageFolder
		return data.ImageFolder(data.ImageFolderConfig{
			ImageSpec: data.ImageSpec{
				Height: f.Height, Width: f.Width, Channels: f.Channels,
				Resize: data.Resize(f.Resize), Orientation: data.Orientation(f.Orientation),
			},
			Root:  root,
			Train: f.Train, Validation: f.Validation, Test: f.Test,
			Path: f.Path, Division: division(f.Files),
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
	case s.CSV != nil:
		return openCSV(root, s.CSV, d.Fields)
	case s.Text != nil:
		f := s.Text
		return data.Text(data.TextConfig{
			Root:  root,
			Train: f.Train, Validation: f.Validation, Test: f.Test,
			Path: f.Path, Fractions: f.Split,
			Unit: data.Unit(f.Unit), Sequence: f.Sequence, Top: f.Top, Names: known(d.Fields, "text").Labels,
		})
	case s.WAV != nil:
		f := s.WAV
		names := f.Classes
		if names == nil {
			names = known(d.Fields, "label").Labels
		}
		return data.WAV(data.WAVConfig{
			Root:  root,
			Train: f.Train, Validation: f.Validation, Test: f.Test,
			Path: f.Path, Division: division(f.Files),
			Rate: f.Rate, Window: f.Window, Frame: f.Frame, Label: f.Label, Names: names,
		})
	case s.Synthetic != nil:
		return data.Synthetic(s.Synthetic.Train, s.Synthetic.Validation, s.Synthetic.Test)
	}
	panic("BUG: a data declaration without a source")
}

func openCSV(root string, f *plan.CSV, fields []plan.Field) (*data.Dataset, error) {
	cfg := data.CSVConfig{
		Root:  root,
		Train: f.Train, Validation: f.Validation, Test: f.Test,
		Path: f.Path, Division: division(f.Files),
		Stratify: f.Stratify, NoHeader: f.NoHeader, Missing: data.Missing(f.Missing), Fill: f.Fill,
	}
	for _, r := range f.Separator {
		cfg.Separator = r
	}
	for _, c := range f.Columns {
		cfg.Columns = append(cfg.Columns, ColumnOf(c, known(fields, c.Field)))
	}
	return data.CSV(cfg)
}

func division(f plan.Files) data.Division {
	return data.Division{Fractions: f.Split, Seed: uint64(f.Seed), Folds: f.Folds, Fold: f.Fold}
}

// ColumnOf says how a field is made of columns, as it was for the program that was compiled with it.
func ColumnOf(c plan.Column, compiled plan.Field) data.Column {
	names, from := c.Names, c.From
	if names == nil {
		names = compiled.Labels
	}
	if from == nil {
		from = compiled.Columns
	}
	return data.Column{
		Field: c.Field, Kind: data.ColumnKind(c.Kind), From: from, Names: names, Unknown: c.Unknown,
		Top: c.Top, Longest: c.Longest, Fixed: c.Length, Start: c.Start, End: c.End, Unit: data.Unit(c.Unit), NGrams: c.NGrams,
		Picture: data.ImageSpec{Height: c.Height, Width: c.Width, Channels: c.Channels},
		Mean:    compiled.Mean, Deviation: compiled.Deviation,
	}
}

// known is what the program was compiled with for a field.
func known(fields []plan.Field, name string) plan.Field {
	for _, f := range fields {
		if f.Name == name {
			return f
		}
	}
	return plan.Field{}
}

// orderSources puts the sources into the order of the declaration.
func orderSources(ds *data.Dataset, order string) error {
	for _, src := range []*data.Source{&ds.Train, &ds.Validation, &ds.Test} {
		if *src == nil {
			continue
		}
		switch order {
		case "":
		case "streams":
			*src = data.Streams(*src)
		case "lengths":
			sorted, err := data.ByLength(*src)
			if err != nil {
				return err
			}
			*src = sorted
		default:
			panic("BUG: no order " + order)
		}
	}
	return nil
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
