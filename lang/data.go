package lang

import (
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// dataset is a data declaration.
type dataset struct {
	decl   *syntax.Data
	plan   *plan.Data
	mapped *syntax.Record // the map clause; may be nil
	varied *syntax.Record // the augment clause; may be nil
	lets   []*syntax.Let  // which the map sees
	scope  *scope
}

func (d *dataset) describe() string { return "the data " + d.decl.Name.Name }

// raw returns a field as the source yields it.
func (d *dataset) raw(name string) plan.Field {
	for _, f := range d.plan.Fields {
		if f.Name == name {
			return f
		}
	}
	return plan.Field{Name: name}
}

// fieldNames lists the fields of an example after the map.
func (d *dataset) fieldNames() []string {
	var names []string
	for _, f := range d.plan.Fields {
		if !strings.Contains(f.Name, ".") { // others are lengths and the like, which no program can name
			names = append(names, f.Name)
		}
	}
	if d.mapped != nil {
		for _, a := range d.mapped.Fields {
			if a.Name != nil && !slices.Contains(names, a.Name.Name) {
				names = append(names, a.Name.Name)
			}
		}
	}
	return names
}

func (d *dataset) has(name string) bool { return slices.Contains(d.fieldNames(), name) }

// maps reports whether the map makes a field.
func (d *dataset) maps(name string) bool {
	return d.mapped != nil && slices.ContainsFunc(d.mapped.Fields, func(a *syntax.Arg) bool { return a.Name != nil && a.Name.Name == name })
}

// validates reports whether there is a validation split, as far as the declaration tells.
func (d *dataset) validates() bool {
	held := func(f plan.Files) bool { return f.Validation != "" || f.Path != "" && f.Split[1] > 0 }
	switch s := d.plan.Source; {
	case s.ImageFolder != nil:
		return held(s.ImageFolder.Files)
	case s.IDX != nil:
		return s.IDX.Validation > 0
	case s.CSV != nil:
		return held(s.CSV.Files)
	case s.Text != nil:
		return held(s.Text.Files)
	case s.WAV != nil:
		return held(s.WAV.Files)
	case s.Synthetic != nil:
		return s.Synthetic.Validation > 0
	}
	return true // a source in which an error was found
}

// count is how many ids a class field has.
func (d *dataset) count(name string) (int, bool) {
	n := len(d.raw(name).Labels)
	return n, n > 0
}

// marks lists the words that a field of words has at its ends: "start" and "end".
func (d *dataset) marks(name string) []string {
	var marks []string
	for _, mark := range []string{"start", "end"} {
		if d.markWord(name, mark) != "" {
			marks = append(marks, mark)
		}
	}
	return marks
}

// mark is the id of the word that a field of words has at its start or end; negative if only the data can tell. ok is false if there is
// no such word.
func (d *dataset) mark(name, mark string) (id int, ok bool) {
	word := d.markWord(name, mark)
	return slices.Index(d.raw(name).Labels, word), word != ""
}

func (d *dataset) markWord(name, mark string) string {
	if d.plan.Source.CSV == nil {
		return ""
	}
	for _, c := range d.plan.Source.CSV.Columns {
		switch {
		case c.Field == name && mark == "start":
			return c.Start
		case c.Field == name && mark == "end":
			return c.End
		}
	}
	return ""
}

// settings are the clauses of a block, or the named arguments of a source, by name.
type settings struct {
	f     *frame
	what  string
	known []string
	given map[string]*setting
	at    diag.Span
	wrong bool // a name was unknown: what seems to be missing may be what was meant
}

type setting struct {
	name *syntax.Ident
	node syntax.Expr
}

// readClauses collects clauses and checks their names; other statements go to rest.
func (f *frame) readClauses(b *syntax.Block, what string, known []string, rest func(syntax.Stmt)) *settings {
	s := &settings{f: f, what: what, known: known, given: map[string]*setting{}, at: b.Span()}
	for _, st := range b.Stmts {
		c, ok := st.(*syntax.Clause)
		if !ok {
			rest(st)
			continue
		}
		s.add(c.Name, c.Value)
	}
	return s
}

func (s *settings) add(name *syntax.Ident, v syntax.Expr) {
	if !slices.Contains(s.known, name.Name) {
		s.wrong = true
		d := s.f.errorf(name.Span(), diag.UnknownSetting, "%s has no setting `%s`", s.what, name.Name)
		if near := suggestion(name.Name, s.known); near != "" {
			d.Fix = "did you mean `" + near + "`?"
		} else {
			d.Fix = "it has " + joinNames(s.known)
		}
		return
	}
	if old := s.given[name.Name]; old != nil {
		s.wrong = true
		d := s.f.errorf(name.Span(), diag.DuplicateSetting, "`%s` is set twice", name.Name)
		s.f.relate(d, old.name.Span(), "it was set here")
		return
	}
	s.given[name.Name] = &setting{name, v}
}

// integer reads a whole number of at least low.
func (s *settings) integer(name string, fallback, low int) int {
	g := s.given[name]
	if g == nil {
		return fallback
	}
	n, ok := s.f.constInt(g.node)
	if ok && n < low {
		s.f.errorf(g.node.Span(), diag.InvalidValue, "`%s` must be at least %d, and this is %d", name, low, n)
		return fallback
	}
	if !ok {
		return fallback
	}
	return n
}

// truth reads true or false.
func (s *settings) truth(name string, fallback bool) bool {
	g := s.given[name]
	if g == nil {
		return fallback
	}
	v := s.f.eval(g.node)
	b, ok := v.(boolean)
	if !ok {
		if !isPoison(v) {
			s.f.errorf(g.node.Span(), diag.InvalidValue, "`%s` is true or false, not %s", name, describe(v))
		}
		return fallback
	}
	return bool(b)
}

// text reads a text, one of choices if there are any.
func (s *settings) text(name, fallback string, choices ...string) string {
	g := s.given[name]
	if g == nil {
		return fallback
	}
	v := s.f.eval(g.node)
	t, ok := v.(text)
	if !ok {
		if !isPoison(v) {
			d := s.f.errorf(g.node.Span(), diag.InvalidValue, "`%s` is a text in quotes, not %s", name, describe(v))
			if len(choices) > 0 {
				d.Fix = "it can be " + orNames(choices)
			}
		}
		return fallback
	}
	if len(choices) > 0 && !slices.Contains(choices, string(t)) {
		s.f.noChoice(g.node.Span(), "`"+name+"`", string(t), choices)
		return fallback
	}
	return string(t)
}

// noChoice reports a text that is none of those that may stand at its place.
func (f *frame) noChoice(at diag.Span, what, given string, choices []string) *diag.Diagnostic {
	d := f.errorf(at, diag.InvalidValue, "%s cannot be %q", what, given)
	if near := diag.DidYouMean(given, choices); near != "" {
		d.Fix = "did you mean \"" + near + "\"?"
	} else {
		d.Fix = "it can be " + orNames(choices)
	}
	return d
}

func orNames(names []string) string { return "\"" + strings.Join(names, "\" or \"") + "\"" }

// choicesOf lists the texts that a type of choices names; nil for other types.
func choicesOf(t *syntax.Type) []string {
	if t == nil {
		return nil
	}
	var choices []string
	for _, c := range t.Choices {
		choices = append(choices, c.Value)
	}
	return choices
}

// numbers reads a list of numbers.
func (s *settings) numbers(name string) ([]float64, bool) {
	g := s.given[name]
	if g == nil {
		return nil, false
	}
	l, ok := s.f.eval(g.node).(*list)
	var out []float64
	if ok {
		for _, e := range l.elems {
			n, good := e.(number)
			ok = ok && good
			out = append(out, n.float)
		}
	}
	if !ok {
		s.f.errorf(g.node.Span(), diag.InvalidValue, "`%s` is a list of numbers, such as [0.8, 0.1, 0.1]", name)
		return nil, false
	}
	return out, true
}

// texts reads a list of texts.
func (s *settings) texts(name string) []string {
	g := s.given[name]
	if g == nil {
		return nil
	}
	l, ok := s.f.eval(g.node).(*list)
	var out []string
	if ok {
		for _, e := range l.elems {
			t, good := e.(text)
			ok = ok && good
			out = append(out, string(t))
		}
	}
	if !ok {
		s.f.errorf(g.node.Span(), diag.InvalidValue, "`%s` is a list of texts, such as [\"cat\", \"dog\"]", name)
		return nil
	}
	return out
}

// dataSources are the kinds of sources. Each reads its settings into the plan.
var dataSources = map[string]struct {
	known      []string
	positional string // the setting that an argument without a name gives
	read       func(*settings, *plan.Data)
}{
	"image_folder": {
		known:      slices.Concat([]string{"size", "height", "width", "channels", "resize", "orientation", "on_corrupt", "classes"}, divisionSettings, fileSettings),
		positional: "path",
		read:       readImageFolder,
	},
	"idx": {
		known:      []string{"images", "labels", "test_images", "test_labels", "validation", "seed"},
		positional: "images",
		read:       readIDX,
	},
	"csv":       {known: tableSettings, positional: "path", read: readCSV},
	"tsv":       {known: tableSettings, positional: "path", read: readTSV},
	"text":      {known: append([]string{"unit", "sequence", "top"}, fileSettings...), positional: "path", read: readText},
	"wav":       {known: slices.Concat([]string{"rate", "window", "frames", "label", "classes"}, divisionSettings, fileSettings), positional: "path", read: readWAV},
	"synthetic": {known: []string{"train", "validation", "test", "seed"}, positional: "train", read: readSynthetic},
}

// maxSide bounds the sides of pictures, in pixels.
const maxSide = 16384

func readImageFolder(s *settings, d *plan.Data) {
	size := s.integer("size", 0, 1)
	c := &plan.ImageFolder{
		Files:  plan.Files{Train: s.text("train", ""), Validation: s.text("validation", ""), Test: s.text("test", ""), Path: s.text("path", "")},
		Height: s.integer("height", size, 1), Width: s.integer("width", size, 1), Channels: s.integer("channels", 3, 1),
		Resize:      s.text("resize", "nearest", "nearest", "bilinear"),
		Orientation: s.text("orientation", "exif", "exif", "keep"),
		OnCorrupt:   s.text("on_corrupt", "skip", "skip", "fail"),
		Classes:     s.texts("classes"),
	}
	s.division(&c.Files, [3]float64{0.8, 0.1, 0.1})
	switch {
	case c.Path == "" && c.Train == "" && c.Validation == "" && c.Test == "":
		d2 := s.f.errorf(s.at, diag.MissingSetting, "image_folder does not say where the pictures are")
		d2.Fix = `write image_folder("photos", …) for one folder of class folders, or image_folder(train: "train", validation: "validation", …)`
	case c.Path != "" && c.Train != "":
		s.f.errorf(s.at, diag.ConflictingSettings, "image_folder takes one folder that it splits, or `train`, `validation` and `test`, not both")
	}
	if (c.Height == 0 || c.Width == 0) && s.given["size"] == nil && s.given["height"] == nil && s.given["width"] == nil {
		s.f.errorf(s.at, diag.MissingSetting, "image_folder needs the size that pictures are brought to").Fix = "add size: 150, or height: and width:"
	}
	for _, name := range []string{"size", "height", "width"} {
		if g := s.given[name]; g != nil && max(c.Height, c.Width) > maxSide && (name == "size") == (s.given["size"] != nil) {
			s.f.errorf(g.node.Span(), diag.InvalidValue, "pictures have at most %d pixels a side, and `%s` is %d", maxSide, name, max(c.Height, c.Width))
			break
		}
	}
	if c.Channels != 1 && c.Channels != 3 {
		s.f.errorf(s.given["channels"].node.Span(), diag.InvalidValue, "pictures have 3 channels (colour) or 1 (grey), not %d", c.Channels)
	}
	d.Source.ImageFolder = c
	d.Fields = []plan.Field{
		{Name: "image", DType: tensor.F32, Shape: []int{c.Height, c.Width, c.Channels}},
		{Name: "label", DType: tensor.I32, Labels: c.Classes},
	}
}

func readIDX(s *settings, d *plan.Data) {
	c := &plan.IDX{
		Images: s.text("images", ""), Labels: s.text("labels", ""),
		TestImages: s.text("test_images", ""), TestLabels: s.text("test_labels", ""),
		Seed: s.integer("seed", 1, 0),
	}
	if c.Images == "" || c.Labels == "" {
		s.f.errorf(s.at, diag.MissingSetting, "idx needs `images` and `labels`, the two files of the training examples")
	}
	if g := s.given["validation"]; g != nil {
		n, ok := s.f.eval(g.node).(number)
		if !ok || n.float < 0 || n.float >= 1 {
			s.f.errorf(g.node.Span(), diag.InvalidValue, "`validation` is the share of the training examples that is held out, such as 0.1")
		}
		c.Validation = n.float
	}
	d.Source.IDX = c
	d.Fields = []plan.Field{
		{Name: "image", DType: tensor.F32, Shape: []int{28, 28, 1}},
		{Name: "label", DType: tensor.I32},
	}
}

// dataset evaluates a data declaration.
func (e *elaborator) dataset(decl *syntax.Data, s *scope) value {
	f := &frame{elaborator: e, function: e.init, scope: newScope(s)}
	d := &dataset{decl: decl, plan: &plan.Data{Name: decl.Name.Name}, scope: s}
	set := f.readClauses(decl.Body, "data", []string{"source", "map", "batch", "shuffle", "split", "order", "augment", "sampling"}, func(st syntax.Stmt) {
		if let, ok := st.(*syntax.Let); ok {
			d.lets = append(d.lets, let)
			return
		}
		f.unsupported(st, "such statements in data")
	})
	d.plan.Batch = set.integer("batch", 32, 1)
	d.plan.Order = set.text("order", "", "streams", "lengths")
	if set.text("sampling", "shuffle", "shuffle", "poisson") == "poisson" {
		d.plan.Chance = true
		for _, other := range []string{"order", "shuffle"} {
			if g := set.given[other]; g != nil {
				x := f.errorf(g.name.Span(), diag.ConflictingSettings, "examples that are taken by chance have no order, which `%s` would set", other)
				x.Fix = "leave one of the two out"
				f.relate(x, set.given["sampling"].name.Span(), "they are taken by chance here")
			}
		}
	}
	d.plan.Shuffle = set.truth("shuffle", d.plan.Order != "streams" && !d.plan.Chance)
	if d.plan.Order == "streams" && d.plan.Shuffle {
		f.errorf(set.given["shuffle"].node.Span(), diag.ConflictingSettings, "data in the order of streams cannot be shuffled").Fix = "leave one of the two out"
	}
	source := set.given["source"]
	if source == nil && set.wrong {
		return poison{}
	}
	if source == nil {
		f.errorf(decl.Name.Span(), diag.MissingSetting, "the data %s has no source", decl.Name.Name).Fix = `add source: image_folder("photos", size: 64)`
		return poison{}
	}
	errors := len(e.diags.All)
	if !f.readSource(source.node, set, d.plan) || len(e.diags.All) > errors {
		return poison{}
	}
	if g := set.given["map"]; g != nil {
		r, ok := g.node.(*syntax.Record)
		if !ok {
			f.errorf(g.node.Span(), diag.InvalidValue, "`map` is a record of fields, such as { image: image / 255 }")
			return poison{}
		}
		d.mapped = r
	}
	if g := set.given["augment"]; g != nil {
		r, ok := g.node.(*syntax.Record)
		if !ok {
			f.errorf(g.node.Span(), diag.InvalidValue, "`augment` is a record of fields, such as { image: image |> flip |> shift(0.1) }")
			return poison{}
		}
		d.varied = r
	}
	if e.options.Schema != nil {
		if err := e.options.Schema(d.plan); err != nil {
			f.errorf(source.node.Span(), diag.DataError, "%s", err)
			return poison{}
		}
	}
	e.plan.Data = append(e.plan.Data, d.plan)
	e.datasets = append(e.datasets, d)
	return d
}

// readSource reads `image_folder(…)` and its like.
func (f *frame) readSource(n syntax.Expr, data *settings, d *plan.Data) bool {
	names := make([]string, 0, len(dataSources))
	for name := range dataSources {
		names = append(names, name)
	}
	slices.Sort(names)
	call, ok := n.(*syntax.Call)
	var fn *syntax.Name
	if ok {
		fn, ok = call.Fn.(*syntax.Name)
	}
	if !ok {
		f.errorf(n.Span(), diag.InvalidValue, "a source is a call such as image_folder(\"photos\", size: 64)").Fix = "there are " + joinNames(names)
		return false
	}
	kind, ok := dataSources[fn.Name]
	if !ok {
		e := f.errorf(fn.Span(), diag.UnknownSource, "there is no source `%s`", fn.Name)
		if near := diag.DidYouMean(fn.Name, names); near != "" {
			e.Fix = "did you mean `" + near + "`?"
		} else {
			e.Fix = "there are " + joinNames(names)
		}
		return false
	}
	s := &settings{f: f, what: fn.Name, known: kind.known, given: map[string]*setting{}, at: n.Span()}
	for _, a := range call.Args {
		name := a.Name
		if name == nil {
			name = &syntax.Ident{At: syntax.At{Pos: a.Value.Span()}, Name: kind.positional}
		}
		s.add(name, a.Value)
	}
	if split := data.given["split"]; split != nil && slices.Contains(kind.known, "split") {
		s.add(split.name, split.node)
	}
	kind.read(s, d)
	return true
}
