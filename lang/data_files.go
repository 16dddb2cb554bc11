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

// divisionSettings are further ones of a source whose examples are dealt to the splits by chance.
var divisionSettings = []string{"seed", "folds", "fold"}

// files reads fileSettings, and those of divisionSettings that the source has; shares are those of one file whose split is not given. example is
// for a message.
func (s *settings) files(shares [3]float64, example string) plan.Files {
	c := plan.Files{Train: s.text("train", ""), Validation: s.text("validation", ""), Test: s.text("test", ""), Path: s.text("path", "")}
	separate := c.Train != "" || c.Validation != "" || c.Test != ""
	switch {
	case s.wrong:
	case c.Path == "" && !separate:
		s.f.errorf(s.at, diag.MissingSetting, "%s does not say where the data is", s.what).Fix = "write " + example
	case c.Path != "" && separate:
		s.f.errorf(s.at, diag.ConflictingSettings, "%s takes one path that it splits, or `train`, `validation` and `test`, not both", s.what)
	}
	s.division(&c, shares)
	return c
}

// division reads how the examples of one path are dealt to the splits: by shares of them, or in folds, of which one is the test split.
func (s *settings) division(c *plan.Files, shares [3]float64) {
	c.Seed = s.integer("seed", 1, 0)
	c.Folds = s.integer("folds", 0, 2)
	first := 0
	if c.Folds > 0 {
		first, shares = 1, [3]float64{1}
	}
	c.Fold = s.integer("fold", first, 1)
	if c.Path == "" {
		s.onePath(*c, "split", "folds", "fold")
		return
	}
	fold := s.given["fold"]
	switch {
	case fold == nil || s.wrong:
	case s.given["folds"] == nil:
		s.f.errorf(fold.name.Span(), diag.MissingSetting, "`fold` says which fold is the test split, and not how many there are").Fix = "add folds: 5"
	case c.Folds > 0 && c.Fold > c.Folds:
		s.f.errorf(fold.node.Span(), diag.InvalidValue, "`fold` must be from 1 to %d, the number of folds, and this is %d", c.Folds, c.Fold)
	}
	c.Split = shares
	s.split(&c.Split, s.given["folds"] != nil)
}

// onePath reports settings that mean nothing where each split has a path of its own.
func (s *settings) onePath(c plan.Files, names ...string) {
	if s.wrong || c.Train == "" && c.Validation == "" && c.Test == "" {
		return
	}
	for _, name := range names {
		if g := s.given[name]; g != nil {
			s.f.errorf(g.name.Span(), diag.ConflictingSettings, "`%s` is for one path, and `train`, `validation` and `test` are split already", name)
		}
	}
}

// split reads the shares of the splits; with folds, which give the test split, those of training and validation of the rest.
func (s *settings) split(into *[3]float64, folds bool) {
	shares, ok := s.numbers("split")
	if !ok {
		return
	}
	total := 0.0
	for _, x := range shares {
		if x < 0 {
			ok = false
		}
		total += x
	}
	at := s.given["split"].node.Span()
	most, what := 3, "two or three shares that add up to 1, such as [0.8, 0.1, 0.1]"
	if folds {
		most, what = 2, "two shares that add up to 1, such as [0.9, 0.1], of what the folds leave for training and validation"
	}
	if !ok || len(shares) < 2 || len(shares) > most || total < 1-1e-6 || total > 1+1e-6 {
		s.f.errorf(at, diag.InvalidValue, "`split` is %s", what)
		return
	}
	*into = [3]float64{}
	copy(into[:], shares)
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
		Files: s.files([3]float64{0.8, 0.1, 0.1}, `wav("recordings", rate: 8000, window: 8000)`),
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
