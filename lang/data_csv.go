package lang

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// tableSettings are those of csv and tsv.
var tableSettings = slices.Concat([]string{"columns", "missing", "header", "separator", "stratify"}, divisionSettings, fileSettings)

// columnKinds are the kinds of columns, with the settings of each. An argument without a name is the name of a column.
var columnKinds = map[string][]string{
	"f32": {}, "i32": {}, "rest": {},
	"class": {"names", "unknown"}, "id": {"names", "unknown"},
	"words": {"top", "longest", "length", "start", "end", "unit", "ngrams"},
	"image": {"size", "height", "width", "channels"},
}

func readCSV(s *settings, d *plan.Data) { readTable(s, d, ",") }
func readTSV(s *settings, d *plan.Data) { readTable(s, d, "\t") }

func readTable(s *settings, d *plan.Data, separator string) {
	c := &plan.CSV{
		Files:     s.files([3]float64{0.8, 0.1, 0.1}, s.what+`("flowers.csv", columns: { x: rest, label: class })`),
		Separator: s.text("separator", separator), NoHeader: !s.truth("header", true),
	}
	if utf8.RuneCountInString(c.Separator) != 1 || strings.ContainsAny(c.Separator, "\"\r\n\ufffd") {
		s.f.errorf(s.given["separator"].node.Span(), diag.InvalidValue, "`separator` is one character, such as \";\"")
	}
	c.Missing, c.Fill = s.numberOr("missing", "error", "error", "drop")
	if c.Missing == "" {
		c.Missing = "fill"
	}
	d.Source.CSV = c
	g := s.given["columns"]
	if g == nil {
		if !s.wrong {
			s.f.errorf(s.at, diag.MissingSetting, "%s does not say what its columns are", s.what).Fix = "add columns: { x: rest, label: class }"
		}
		return
	}
	r, ok := g.node.(*syntax.Record)
	if !ok || len(r.Fields) == 0 {
		s.f.errorf(g.node.Span(), diag.InvalidValue, "`columns` is a record of fields and what they are, such as { x: rest, label: class }")
		return
	}
	rest := ""
	for _, a := range r.Fields {
		if a.Name == nil {
			s.f.errorf(a.Span(), diag.InvalidValue, "each of `columns` needs the name of a field, as in { label: class }")
			continue
		}
		if slices.ContainsFunc(c.Columns, func(o plan.Column) bool { return o.Field == a.Name.Name }) {
			s.f.errorf(a.Name.Span(), diag.DuplicateName, "the field %s is given twice", a.Name.Name)
			continue
		}
		column, ok := s.column(a)
		if !ok {
			continue
		}
		if column.Kind == "rest" {
			if rest != "" {
				s.f.errorf(a.Span(), diag.InvalidValue, "%s takes the rest of the columns already, and nothing is left for %s", rest, column.Field)
				continue
			}
			rest = column.Field
		}
		c.Columns = append(c.Columns, column)
		d.Fields = withLength(d.Fields, columnField(column))
	}
	s.stratify(c)
}

// stratify reads the field whose classes are dealt to the splits one by one.
func (s *settings) stratify(c *plan.CSV) {
	g := s.given["stratify"]
	if g == nil {
		return
	}
	c.Stratify = s.text("stratify", "")
	var classes []string
	for _, column := range c.Columns {
		if column.Kind == "class" {
			classes = append(classes, column.Field)
		}
	}
	switch {
	case c.Path == "":
		s.onePath(c.Files, "stratify")
	case len(classes) == 0:
		s.f.errorf(g.node.Span(), diag.InvalidValue, "`stratify` names a field of classes, and there is none").Fix = "make the column a class, as in { label: class }"
	case c.Stratify != "" && !slices.Contains(classes, c.Stratify):
		s.f.noChoice(g.node.Span(), "`stratify`", c.Stratify, classes)
	}
}

// column reads `label: class`, `text: words(top: 20000)` or `label: class("kind of flower")`.
func (s *settings) column(a *syntax.Arg) (plan.Column, bool) {
	c := plan.Column{Field: a.Name.Name}
	kind := a.Value
	call, ok := kind.(*syntax.Call)
	if ok {
		kind = call.Fn
	}
	name, ok := kind.(*syntax.Name)
	if !ok {
		s.f.errorf(a.Value.Span(), diag.InvalidValue, "what a column is stands here, such as class, f32 or words(top: 20000)").Fix = "there are " + joinNames(kindNames())
		return c, false
	}
	known, ok := columnKinds[name.Name]
	if !ok {
		d := s.f.errorf(name.Span(), diag.UnknownName, "there is no kind of column called `%s`", name.Name)
		if near := diag.DidYouMean(name.Name, kindNames()); near != "" {
			d.Fix = "did you mean `" + near + "`?"
		} else {
			d.Fix = "there are " + joinNames(kindNames())
		}
		return c, false
	}
	c.Kind = name.Name
	errors := len(s.f.diags.All)
	set := &settings{f: s.f, what: c.Kind, known: known, given: map[string]*setting{}, at: a.Value.Span()}
	if call != nil {
		for _, arg := range call.Args {
			if arg.Name != nil {
				set.add(arg.Name, arg.Value)
				continue
			}
			if word, ok := arg.Value.(*syntax.Name); ok && s.f.scope.lookup(word.Name) == nil {
				s.f.errorf(arg.Value.Span(), diag.InvalidValue, "the name of a column stands here, in quotes").Fix = "write " + strconv.Quote(word.Name)
				continue
			}
			switch t := s.f.eval(arg.Value).(type) {
			case text:
				c.From = append(c.From, string(t))
			case poison:
			default:
				s.f.errorf(arg.Value.Span(), diag.InvalidValue, "the name of a column stands here, in quotes")
			}
		}
	}
	switch {
	case c.Kind == "rest" && len(c.From) > 0:
		s.f.errorf(a.Value.Span(), diag.InvalidValue, "rest takes all columns of numbers that are left and names none").Fix = "write f32(…) with the columns' names"
	case len(c.From) > 1 && c.Kind != "f32" && c.Kind != "i32":
		s.f.errorf(a.Value.Span(), diag.InvalidValue, "%s takes one column, not %d", c.Kind, len(c.From))
	}
	c.Names, c.Unknown = set.texts("names"), set.truth("unknown", false)
	c.Top, c.Longest, c.Length = set.integer("top", 0, 1), set.integer("longest", 0, 1), set.integer("length", 0, 1)
	c.Start, c.End = set.text("start", ""), set.text("end", "")
	if c.Kind == "words" {
		c.Unit, c.NGrams = set.text("unit", "words", "words", "characters"), set.ngrams()
	}
	if c.Kind == "image" {
		size := set.integer("size", 0, 1)
		c.Height, c.Width = set.integer("height", size, 1), set.integer("width", size, 1)
		c.Channels = set.integer("channels", 3, 1)
		if (c.Height == 0 || c.Width == 0) && !set.wrong {
			s.f.errorf(a.Value.Span(), diag.MissingSetting, "image needs the size that pictures are brought to").Fix = "write image(size: 64)"
		}
		if c.Channels != 1 && c.Channels != 3 {
			s.f.errorf(set.given["channels"].node.Span(), diag.InvalidValue, "pictures have 3 channels (colour) or 1 (grey), not %d", c.Channels)
		}
	}
	return c, len(s.f.diags.All) == errors
}

// longestNGram is the greatest number of units of an n-gram.
const longestNGram = 8

// ngrams reads the lengths of n-grams: a number stands for all up to it.
func (s *settings) ngrams() []int {
	g := s.given["ngrams"]
	if g == nil {
		return nil
	}
	for _, mark := range []string{"start", "end"} {
		if m := s.given[mark]; m != nil {
			d := s.f.errorf(m.name.Span(), diag.ConflictingSettings, "n-grams have no first and no last one that `%s` could mark", mark)
			s.f.relate(d, g.name.Span(), "words are n-grams here")
		}
	}
	v := s.f.eval(g.node)
	l, ok := v.(*list)
	values := []value{v}
	if ok {
		values = l.elems
	}
	var lengths []int
	for _, e := range values {
		n, whole := e.(number)
		ok := whole && n.float == math.Trunc(n.float) && n.float >= 1 && n.float <= longestNGram && !slices.Contains(lengths, int(n.float))
		if !ok {
			if !isPoison(e) {
				s.f.errorf(g.node.Span(), diag.InvalidValue, "`ngrams` is the greatest number of words that stand for one, from 1 to %d, or a list of different numbers, such as [2, 3]", longestNGram)
			}
			return nil
		}
		lengths = append(lengths, int(n.float))
	}
	if l == nil {
		for n := range lengths[0] - 1 {
			lengths = slices.Insert(lengths, n, n+1)
		}
	}
	return lengths
}

func kindNames() []string {
	names := make([]string, 0, len(columnKinds))
	for name := range columnKinds {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// columnField is the field of a column, as far as it is known without the data.
func columnField(c plan.Column) plan.Field {
	f := plan.Field{Name: c.Field, DType: tensor.I32, Labels: c.Names}
	switch c.Kind {
	case "rest":
		f.DType, f.Shape = tensor.F32, []int{unknownSize}
	case "f32", "i32":
		if c.Kind == "f32" {
			f.DType = tensor.F32
		}
		if len(c.From) > 1 {
			f.Shape = []int{len(c.From)}
		}
	case "words":
		f.Shape = []int{-1}
		if c.Length > 0 {
			f.Shape[0] = c.Length
		}
	case "image":
		f.DType, f.Shape = tensor.F32, []int{c.Height, c.Width, c.Channels}
	}
	return f
}
