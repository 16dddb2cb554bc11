package lang

import (
	"math"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// fileSettings are the settings of a source that is a file for each split, or one that is split.
var fileSettings = []string{"train", "validation", "test", "path", "split"}

// files reads fileSettings; shares are those of one file whose split is not given. example is for a message.
func (s *settings) files(shares [3]float64, example string) plan.Files {
	c := plan.Files{
		Train: s.text("train", ""), Validation: s.text("validation", ""), Test: s.text("test", ""), Path: s.text("path", ""), Seed: 1,
	}
	separate := c.Train != "" || c.Validation != "" || c.Test != ""
	switch {
	case s.wrong:
	case c.Path == "" && !separate:
		s.f.errorf(s.at, diag.MissingSetting, "%s does not say where the data is", s.what).Fix = "write " + example
	case c.Path != "" && separate:
		s.f.errorf(s.at, diag.ConflictingSettings, "%s takes one path that it splits, or `train`, `validation` and `test`, not both", s.what)
	case separate && s.given["split"] != nil:
		s.f.errorf(s.given["split"].name.Span(), diag.ConflictingSettings, "`split` is for one path, and `train`, `validation` and `test` are split already")
	}
	if c.Path != "" {
		c.Split = shares
		readSplit(s, &c.Split)
	}
	return c
}

// seeded is files with the setting `seed`.
func (s *settings) seeded(shares [3]float64, example string) plan.Files {
	c := s.files(shares, example)
	c.Seed = s.integer("seed", 1, 0)
	return c
}

func readText(s *settings, d *plan.Data) {
	c := &plan.Text{
		Files: s.files([3]float64{0.9, 0.1}, `text("book.txt", unit: "characters", sequence: 64)`),
		Unit:  s.text("unit", "characters", "characters", "bytes", "words"), Sequence: s.integer("sequence", 0, 1), Top: s.integer("top", 0, 1),
	}
	if s.given["sequence"] == nil && !s.wrong {
		s.f.errorf(s.at, diag.MissingSetting, "text needs the number of %s of an example", c.Unit).Fix = "add sequence: 64"
	}
	if g := s.given["top"]; g != nil && c.Unit != "words" {
		s.f.errorf(g.name.Span(), diag.InvalidValue, "`top` bounds the words of a vocabulary, and the units are %s", c.Unit)
	}
	d.Source.Text = c
	for _, name := range []string{"text", "next"} {
		d.Fields = append(d.Fields, plan.Field{Name: name, DType: tensor.I32, Shape: []int{c.Sequence}})
	}
}

func readWAV(s *settings, d *plan.Data) {
	c := &plan.WAV{
		Files: s.seeded([3]float64{0.8, 0.1, 0.1}, `wav("recordings", rate: 8000, window: 8000)`),
		Rate:  s.integer("rate", 0, 1), Window: s.integer("window", 0, 1), Frame: s.integer("frames", 0, 1),
		Label: s.text("label", "folder"), Classes: s.texts("classes"),
	}
	if c.Label == "none" {
		c.Label = ""
	}
	length, sound := c.Window, plan.Field{Name: "sound", DType: tensor.F32}
	if c.Frame > 0 {
		length = (c.Window + c.Frame - 1) / c.Frame
	}
	if length == 0 {
		length = -1
	}
	sound.Shape = []int{length}
	if c.Frame > 0 {
		sound.Shape = append(sound.Shape, c.Frame)
	}
	d.Source.WAV = c
	d.Fields = withLength(nil, sound)
	if c.Label != "" {
		d.Fields = append(d.Fields, plan.Field{Name: "label", DType: tensor.I32, Labels: c.Classes})
	}
}

// withLength appends a field, and the one with its lengths if they differ.
func withLength(fields []plan.Field, f plan.Field) []plan.Field {
	fields = append(fields, f)
	if len(f.Shape) > 0 && f.Shape[0] == -1 {
		fields = append(fields, plan.Field{Name: plan.LengthField(f.Name), DType: tensor.I32})
	}
	return fields
}

func readSynthetic(s *settings, d *plan.Data) {
	c := &plan.Synthetic{
		Train: s.integer("train", 0, 1), Validation: s.integer("validation", 0, 0), Test: s.integer("test", 0, 0), Seed: s.integer("seed", 1, 0),
	}
	if s.given["train"] == nil && !s.wrong {
		s.f.errorf(s.at, diag.MissingSetting, "synthetic needs the number of training examples").Fix = "write synthetic(train: 20000, validation: 2000)"
	}
	d.Source.Synthetic = c
	d.Fields = []plan.Field{{Name: plan.FieldExample, DType: tensor.I32}, {Name: plan.FieldSplit, DType: tensor.I32}}
}

// numberOr reads a number or one of some texts.
func (s *settings) numberOr(name, fallback string, choices ...string) (choice string, n float64) {
	g := s.given[name]
	if g == nil {
		return fallback, 0
	}
	if _, ok := g.node.(*syntax.String); ok {
		return s.text(name, fallback, choices...), 0
	}
	switch v := s.f.eval(g.node).(type) {
	case number:
		if f := float64(float32(v.float)); !math.IsInf(f, 0) && !math.IsNaN(f) {
			return "", v.float
		}
		s.f.errorf(g.node.Span(), diag.InvalidValue, "`%s` is a number that an f32 can hold", name)
	case text:
		return s.text(name, fallback, choices...), 0
	case poison:
	default:
		s.f.errorf(g.node.Span(), diag.InvalidValue, "`%s` is a number, or %s", name, orNames(choices))
	}
	return fallback, 0
}
