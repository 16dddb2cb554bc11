package data

import (
	"fmt"
	"path/filepath"
	"slices"
	"sort"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// tableSource holds all rows of the tables of a data set.
type tableSource struct {
	*tableLoad
	fields []Field
	from   []tableField // by field
}

// tableField is where a field's values are.
type tableField struct {
	column  *column
	lengths bool // the field holds the lengths of the column's words
}

func newTableSource(l *tableLoad) *tableSource {
	s := &tableSource{tableLoad: l}
	add := func(f Field, c *column, lengths bool) {
		s.fields = append(s.fields, f)
		s.from = append(s.from, tableField{c, lengths})
	}
	for _, c := range l.columns {
		f := Field{Name: c.Field, DType: tensor.I32, Labels: c.labels, Mean: c.mean, Deviation: c.deviation}
		switch c.Kind {
		case Number, Rest:
			f.DType = tensor.F32
			fallthrough
		case Whole:
			if len(c.Column.From) > 1 || c.Kind == Rest {
				f.Shape, f.Columns = []int{c.width}, c.Column.From
			}
		case Words:
			f.Shape = []int{-1}
			if c.Fixed > 0 {
				f.Shape = []int{c.Fixed}
			}
		case Image:
			f.DType = tensor.F32
			f.Shape = []int{c.Picture.Height, c.Picture.Width, c.Picture.Channels}
		}
		add(f, c, false)
		if f.ragged() {
			add(Field{Name: LengthField(c.Field), DType: tensor.I32}, c, true)
		}
	}
	return s
}

func (s *tableSource) Len() int        { return len(s.lines) }
func (s *tableSource) Fields() []Field { return s.fields }

func (s *tableSource) Name(i int) string {
	return fmt.Sprintf("%s, line %d", s.fileOf(i).name, s.lines[i])
}

func (s *tableSource) fileOf(i int) tableFile {
	return s.files[sort.Search(len(s.files), func(k int) bool { return s.files[k].first > i })-1]
}

// sentence returns the words of row i with those before and after it; at least one.
func (c *column) sentence(i int, out []int32) []int32 {
	if c.Start != "" {
		out = append(out, c.special(c.Start))
	}
	out = append(out, c.words(i)...)
	if c.End != "" {
		out = append(out, c.special(c.End))
	}
	if len(out) == 0 {
		out = append(out, 0)
	}
	return out
}

// Encode returns the ids of the words of a text as a Words column has them, Names being its vocabulary.
func (c Column) Encode(text string) []int32 {
	one := &column{Column: c}
	one.addWords(text)
	one.number()
	ids := one.sentence(0, nil)
	if c.Fixed == 0 {
		return ids
	}
	fixed := make([]int32, c.Fixed)
	copy(fixed, ids)
	return fixed
}

// special is the id of Start or End, which stand at the head of the vocabulary.
func (c *column) special(word string) int32 {
	return int32(max(0, slices.Index(c.labels[:min(3, len(c.labels))], word)))
}

func (s *tableSource) LengthOf(i, field int) int {
	c := s.from[field].column
	n := len(c.words(i))
	for _, word := range []string{c.Start, c.End} {
		if word != "" {
			n++
		}
	}
	return max(1, n)
}

func (s *tableSource) At(i int, dst []*tensor.Tensor, row int) error {
	for k, from := range s.from {
		c, to := from.column, dst[k]
		switch {
		case from.lengths:
			to.I32[row] = int32(s.LengthOf(i, k))
		case c.Kind == Number || c.Kind == Rest:
			copy(to.F32[row*c.width:][:c.width], c.f32[i*c.width:])
		case c.Kind == Words:
			n := elementsOf(to)
			out := to.I32[row*n:][:n]
			clear(out[copy(out, c.sentence(i, make([]int32, 0, 64))):])
		case c.Kind == Image:
			path := filepath.FromSlash(c.paths[i])
			if !filepath.IsLocal(path) { // a table comes from somebody else, perhaps
				return fmt.Errorf("%s, column %q: %s leads out of the table's folder: pictures must lie in it or below", s.Name(i), c.From[0], c.paths[i])
			}
			r, err := loadImage(filepath.Join(s.fileOf(i).folder, path), c.Picture)
			if err != nil {
				return fmt.Errorf("%s, column %q: %s: %w", s.Name(i), c.From[0], c.paths[i], err)
			}
			writeBytes(to, row, r.pix)
		default:
			copy(to.I32[row*c.width:][:c.width], c.i32[i*c.width:])
		}
	}
	return nil
}
