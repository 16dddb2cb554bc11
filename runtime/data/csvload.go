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

// read appends the rows of a file, which belong to a split, or to all if it is -1.
func (l *tableLoad) read(file string, split int) error {
	path := l.cfg.resolve(file)
	f, err := openRegular(path)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	defer f.Close()
	return l.readFrom(tableFile{filepath.Base(path), filepath.Dir(path), len(l.lines)}, f, split)
}

// readFrom is read where the file is open.
func (l *tableLoad) readFrom(file tableFile, f io.ReadSeeker, split int) error {
	open := func() (*table, error) {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", file.name, withoutPath(err))
		}
		return newTable(file.name, f, l.cfg.Separator, !l.cfg.NoHeader)
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
	l.files = append(l.files, file)
	first := len(l.lines)
	if err := l.rows(t); err != nil {
		return err
	}
	if len(l.lines) == first {
		return fmt.Errorf("%s %w", file.name, ErrNoRows)
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
		switch {
		case len(c.From) > 0:
		case c.Kind == Rest:
			rest = i
		default:
			c.From = []string{c.Field}
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
		case name == "":
			return fmt.Errorf("%s, line 1: the %s column has no name, and would be part of %s: name it in the file, or name the columns that %s takes", t.name, ordinal(k+1), c.Field, c.Field)
		case slices.Contains(c.From, name):
			return fmt.Errorf("%s, line 1: two columns are called %q, the %s and the %s: rename one in the file", t.name, name, ordinal(1+slices.Index(t.header, name)), ordinal(k+1))
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
