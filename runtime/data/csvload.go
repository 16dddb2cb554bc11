package data

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/nnc-lang/nnc/ir/diag"
)

// tableLoad reads the rows of all files of a data set into columns.
type tableLoad struct {
	cfg     CSVConfig
	columns []*column
	files   []tableFile
	lines   []int32 // of each row in its file
	parts   [3][]int32
	dropped int
	notes   []string
}

// tableFile is a file whose rows begin at row `first`.
type tableFile struct {
	name, folder string
	first        int
}

// column is what the rows have for one field.
type column struct {
	Column
	place *tableLoad
	at    []int     // the columns of the file at hand
	width int       // numbers per row
	f32   []float32 // of Number and Rest
	i32   []int32   // of Whole, Class and ID; of Words, those of all rows
	ends  []int     // Words: where each row's end
	texts interner
	paths []string // of Image

	labels          []string
	mean, deviation []float64
}

// read appends the rows of a file, which belong to a split, or to all if it is -1.
func (l *tableLoad) read(file string, split int) error {
	path := l.cfg.resolve(file)
	f, err := openRegular(path)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	defer f.Close()
	name := filepath.Base(path)
	open := func() (*table, error) {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", path, withoutPath(err))
		}
		return newTable(name, f, l.cfg.Separator, !l.cfg.NoHeader)
	}
	t, err := open()
	if err != nil {
		return err
	}
	if l.columns == nil {
		if err := l.findColumns(t); err != nil {
			return err
		}
		if t, err = open(); err != nil { // findColumns read some rows
			return err
		}
	}
	for _, c := range l.columns {
		if err := c.locate(t); err != nil {
			return err
		}
	}
	l.files = append(l.files, tableFile{name, filepath.Dir(path), len(l.lines)})
	first := len(l.lines)
	if err := l.rows(t); err != nil {
		return err
	}
	if len(l.lines) == first {
		return fmt.Errorf("%s has a header but no rows to use", path)
	}
	if split >= 0 {
		for i := first; i < len(l.lines); i++ {
			l.parts[split] = append(l.parts[split], int32(i))
		}
	}
	return nil
}

func (l *tableLoad) rows(t *table) error {
	for {
		row, err := t.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(l.lines) == math.MaxInt32 {
			return fmt.Errorf("%s: more than %d rows", t.name, math.MaxInt32)
		}
		drop := false
		for _, c := range l.columns {
			missing, err := c.missing(t, row)
			if err != nil {
				return err
			}
			drop = drop || missing
		}
		if drop {
			l.dropped++
			continue
		}
		for _, c := range l.columns {
			if err := c.add(t, row); err != nil {
				return err
			}
		}
		l.lines = append(l.lines, int32(t.line))
	}
}

// findColumns decides which columns of the first file each field takes.
func (l *tableLoad) findColumns(t *table) error {
	taken := map[string]bool{}
	rest := -1
	for i := range l.cfg.Columns {
		c := &column{Column: l.cfg.Columns[i], place: l, width: 1}
		if len(c.From) == 0 {
			c.From = []string{c.Field}
		}
		if c.Kind == Rest {
			rest = i
			c.From = nil
		}
		c.width = max(1, len(c.From))
		for _, name := range c.From {
			taken[name] = true
		}
		if c.Kind == Image {
			c.Picture = c.Picture.withDefaults()
		}
		l.columns = append(l.columns, c)
	}
	if rest < 0 {
		return nil
	}
	c := l.columns[rest]
	numeric, err := numericColumns(t)
	if err != nil {
		return err
	}
	var left []string
	for k, name := range t.header {
		switch {
		case taken[name]:
		case !numeric[k]:
			left = append(left, strconv.Quote(name))
		default:
			c.From = append(c.From, name)
		}
	}
	if len(left) > 0 {
		l.notes = append(l.notes, fmt.Sprintf("%s: %s no number and left out of %s: %s", t.name, plural(len(left), "column holds", "columns hold"), c.Field, strings.Join(left, ", ")))
	}
	if len(c.From) == 0 {
		return fmt.Errorf("%s has no columns of numbers left for %s", t.name, c.Field)
	}
	c.width = len(c.From)
	return nil
}

// numericColumns tells which columns hold numbers, by the first value of each that is not missing: what is no number further down is
// a mistake then, and not a reason to pass over the column.
func numericColumns(t *table) ([]bool, error) {
	numeric, known := make([]bool, len(t.header)), make([]bool, len(t.header))
	for slices.Contains(known, false) {
		row, err := t.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		for k, cell := range row {
			if !known[k] && !missingNumber(cell) {
				_, err := parseNumber(cell)
				known[k], numeric[k] = true, err == nil
			}
		}
	}
	return numeric, nil
}

// locate finds the column's places in a file.
func (c *column) locate(t *table) error {
	c.at = c.at[:0]
	for _, name := range c.From {
		k := slices.Index(t.header, name)
		if k < 0 {
			err := fmt.Errorf("%s has no column %q", t.name, name)
			if near := diag.DidYouMean(name, t.header); near != "" {
				return fmt.Errorf("%w; did you mean %q?", err, near)
			}
			return fmt.Errorf("%w; it has %s", err, columnNames(t.header))
		}
		if again := slices.Index(t.header[k+1:], name); again >= 0 && c.Kind != Rest {
			return fmt.Errorf("%s has two columns called %q, the %s and the %s: rename one in the file", t.name, name, ordinal(k+1), ordinal(k+2+again))
		}
		if c.Kind == Rest { // of several columns of one name, each in its turn
			for slices.Contains(c.at, k) {
				next := slices.Index(t.header[k+1:], name)
				if next < 0 {
					return fmt.Errorf("%s has fewer columns called %q than the first file", t.name, name)
				}
				k += 1 + next
			}
		}
		c.at = append(c.at, k)
	}
	return nil
}

func ordinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}

// missingWords are what stands for a missing number.
var missingWords = []string{"", "?", "na", "n/a", "nan", "null", "none", "-"}

func missingNumber(cell string) bool {
	cell = strings.TrimSpace(cell)
	return len(cell) <= 4 && slices.Contains(missingWords, strings.ToLower(cell))
}

// missing reports whether a row is to be dropped since it lacks a value of the column.
func (c *column) missing(t *table, row []string) (bool, error) {
	for k, at := range c.at {
		cell := row[at]
		number := c.Kind == Number || c.Kind == Whole || c.Kind == Rest
		switch {
		case c.Kind == Words:
			continue
		case number && !missingNumber(cell), !number && strings.TrimSpace(cell) != "":
			continue
		}
		switch {
		case c.place.cfg.Missing == MissingDrops:
			return true, nil
		case number && c.place.cfg.Missing == MissingFills:
			continue
		}
		what, advice := "number", `; set missing: "drop" to leave such rows out, or missing: 0 to put a number there`
		if !number {
			what, advice = string(c.Kind), `; set missing: "drop" to leave such rows out`
		}
		if strings.TrimSpace(cell) == "" {
			return false, c.wrong(t, k, fmt.Sprintf("the %s is missing%s", what, advice))
		}
		return false, c.wrong(t, k, fmt.Sprintf("%q stands for a missing %s%s", cell, what, advice))
	}
	return false, nil
}

// wrong is an error about the k-th column of the row at hand.
func (c *column) wrong(t *table, k int, why string) error {
	return fmt.Errorf("%s, line %d, column %q: %s", t.name, t.line, t.header[c.at[k]], why)
}

// add takes the column's values of a row.
func (c *column) add(t *table, row []string) error {
	for k, at := range c.at {
		cell := row[at]
		if c.Kind != Words {
			cell = strings.TrimSpace(cell)
		}
		switch c.Kind {
		case Number, Rest:
			v := float32(c.place.cfg.Fill)
			if !missingNumber(cell) {
				var err error
				if v, err = parseNumber(cell); err != nil {
					return c.wrong(t, k, err.Error())
				}
			}
			c.f32 = append(c.f32, v)
		case Whole:
			v := int32(c.place.cfg.Fill)
			if !missingNumber(cell) {
				var err error
				if v, err = parseWhole(cell); err != nil {
					return c.wrong(t, k, err.Error())
				}
			}
			c.i32 = append(c.i32, v)
		case Class, ID:
			id, err := c.id(cell)
			if err != nil {
				return c.wrong(t, k, err.Error())
			}
			c.i32 = append(c.i32, id)
		case Words:
			c.addWords(cell)
		case Image:
			c.paths = append(c.paths, strings.Clone(cell))
		}
	}
	return nil
}

// id is the number of a class for now: the place in Names, or the order in which values are met.
func (c *column) id(cell string) (int32, error) {
	if c.Names == nil {
		return c.texts.add(cell), nil
	}
	if c.texts.id == nil {
		for _, name := range c.Names {
			c.texts.add(name)
		}
	}
	if id, ok := c.texts.id[cell]; ok {
		return id, nil
	}
	if c.Unknown {
		return 0, nil
	}
	const most = 8
	known := make([]string, 0, most)
	for _, n := range c.Names[:min(most, len(c.Names))] {
		known = append(known, strconv.Quote(n))
	}
	list := strings.Join(known, ", ")
	if len(c.Names) > most {
		list += ", …"
	}
	return 0, fmt.Errorf("%q is not among the %d values that the program knows: %s", cell, len(c.Names), list)
}

func (c *column) addWords(text string) {
	for n := 0; c.Longest == 0 || n < c.Longest; n++ {
		var word string
		if word, text = nextWord(text); word == "" {
			break
		}
		c.i32 = append(c.i32, c.texts.add(strings.ToLower(word)))
	}
	c.ends = append(c.ends, len(c.i32))
}

func parseNumber(cell string) (float32, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(cell), 32)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && math.IsInf(v, 0):
		return 0, fmt.Errorf("%s is too large for an f32", cell)
	case err != nil || math.IsNaN(v):
		if _, err := strconv.ParseFloat(strings.Replace(cell, ",", ".", 1), 32); err == nil {
			return 0, fmt.Errorf("%q is not a number; fractions are written with a point", cell)
		}
		return 0, fmt.Errorf("%q is not a number", shortened(cell))
	}
	return float32(v), nil
}

func parseWhole(cell string) (int32, error) {
	v, err := strconv.ParseFloat(cell, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(v):
		return 0, fmt.Errorf("%q is not a whole number", shortened(cell))
	case v < math.MinInt32 || v > math.MaxInt32:
		return 0, fmt.Errorf("%s is too large for an i32", shortened(cell))
	case v != math.Trunc(v):
		return 0, fmt.Errorf("%s is not a whole number; make the column f32", shortened(cell))
	}
	return int32(v), nil
}

// shortened cuts a value for a message.
func shortened(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// splitRows deals the rows of one file to the splits.
func (l *tableLoad) splitRows() (*Dataset, error) {
	l.parts = divide(l.cfg.Seed, 0, len(l.lines), l.cfg.Fractions)
	for k, f := range l.cfg.Fractions {
		if f > 0 && len(l.parts[k]) == 0 {
			return nil, fmt.Errorf("%s has %s, too few to give %s a fraction of %g", l.files[0].name, plural(len(l.lines), "row", "rows"), splitNames[k], f)
		}
	}
	return l.finish()
}

// finish numbers classes and words, measures the training split and makes the sources.
func (l *tableLoad) finish() (*Dataset, error) {
	ds := &Dataset{}
	for _, c := range l.columns {
		c.number()
		c.measure()
		if c.Kind == Class && ds.Labels == nil {
			ds.Labels = c.labels
		}
	}
	all := newTableSource(l)
	var sizes []string
	for k, slot := range [3]*Source{&ds.Train, &ds.Validation, &ds.Test} {
		if part := l.parts[k]; len(part) > 0 {
			*slot = Subset(all, part)
			sizes = append(sizes, fmt.Sprintf("%d %s", len(part), splitNames[k]))
		}
	}
	note := strings.Join(sizes, ", ")
	if l.cfg.Path != "" {
		note = fmt.Sprintf("%s: %s: %s (split by seed %d)", l.files[0].name, plural(len(l.lines), "row", "rows"), note, l.cfg.Seed)
	}
	ds.Notes = append([]string{note}, l.notes...)
	if l.dropped > 0 {
		ds.Notes = append(ds.Notes, fmt.Sprintf("%s left out because a value is missing", plural(l.dropped, "row was", "rows were")))
	}
	return ds, nil
}

// number gives classes, ids and words their final numbers.
func (c *column) number() {
	var renumbered []int32
	switch {
	case (c.Kind == Class || c.Kind == ID) && c.Names != nil:
		c.labels = c.Names
		return
	case c.Kind == Class || c.Kind == ID:
		c.labels, renumbered = c.texts.sorted()
	case c.Kind == Words && c.Names != nil:
		c.labels, renumbered = c.Names, c.texts.known(c.Names)
	case c.Kind == Words:
		counts := make([]int, len(c.texts.names))
		for _, row := range c.place.training() {
			for _, w := range c.words(int(row)) {
				counts[w]++
			}
		}
		var special []string
		for _, s := range []string{c.Start, c.End} {
			if s != "" && !slices.Contains(special, s) {
				special = append(special, s)
			}
		}
		c.labels, renumbered = c.texts.vocabulary(counts, c.Top, special...)
	default:
		return
	}
	for i, old := range c.i32 {
		c.i32[i] = renumbered[old]
	}
	c.texts = interner{}
}

// training lists the rows that vocabularies and means are taken of: the training split, or all rows if there is none.
func (l *tableLoad) training() []int32 {
	if len(l.parts[0]) > 0 {
		return l.parts[0]
	}
	all := make([]int32, len(l.lines))
	for i := range all {
		all[i] = int32(i)
	}
	return all
}

// words returns the words of a row.
func (c *column) words(row int) []int32 {
	from := 0
	if row > 0 {
		from = c.ends[row-1]
	}
	return c.i32[from:c.ends[row]]
}

// measure computes the mean and the deviation (of the whole split, not an estimate for more data) of each number.
//
// Source: Welford 1962, "Note on a method for calculating corrected sums of squares and products".
func (c *column) measure() {
	if c.Kind != Number && c.Kind != Rest {
		return
	}
	if c.Mean != nil {
		c.mean, c.deviation = c.Mean, c.Deviation
		return
	}
	c.mean, c.deviation = make([]float64, c.width), make([]float64, c.width)
	rows := c.place.training()
	for n, row := range rows {
		for k, x := range c.f32[int(row)*c.width:][:c.width] {
			d := float64(x) - c.mean[k]
			c.mean[k] += d / float64(n+1)
			c.deviation[k] += d * (float64(x) - c.mean[k])
		}
	}
	for k := range c.deviation {
		c.deviation[k] = math.Sqrt(c.deviation[k] / float64(len(rows)))
	}
}
