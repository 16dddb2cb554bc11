package data

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// ColumnKind says what the values of a column are.
type ColumnKind string

// The kinds of columns.
const (
	Number ColumnKind = "f32"
	Whole  ColumnKind = "i32"
	Class  ColumnKind = "class" // an id by the value's place among all values
	ID     ColumnKind = "id"    // the same, of things that are many: users, films
	Rest   ColumnKind = "rest"  // all columns of numbers that no other field takes, in the file's order
	Words  ColumnKind = "words"
	Image  ColumnKind = "image" // the path of a picture, from the table's folder
)

// Column says how a field is made of columns of a table.
type Column struct {
	Field string
	Kind  ColumnKind
	// From names the columns, the one called Field if there are none. Number and Whole may have several, which gives a vector; those of Rest, where
	// it has some, are taken as they are named here.
	From []string
	// Names are the values of a Class or ID in the order of their ids, or the vocabulary of Words; if nil, those that the data has.
	Names []string
	// Unknown makes a value of a Class or ID that Names does not have the first of them; otherwise it is an error.
	Unknown bool
	// Top is the greatest number of words of a vocabulary, Longest the greatest number of words of an example, further ones being cut
	// off; 0 for no limit. Fixed, if not 0, makes all examples that long, zeros following what is shorter. Start and End, if not "", are
	// put before and after the words, where they count as words.
	Top, Longest, Fixed int
	Start, End          string
	// Unit is what Words are made of: words if it is "", or Characters, the invisible ones being one space. NGrams, if not nil, are the lengths of
	// the runs of units that stand for words, those of the first length before those of the second; Longest counts units.
	Unit   Unit
	NGrams []int
	// Picture is how an Image is read.
	Picture ImageSpec
	// Mean and Deviation, if not nil, are taken instead of those of the training split.
	Mean, Deviation []float64
}

// Missing is what to do with a row where a number, a class or an id is missing.
type Missing string

// The treatments of missing values.
const (
	MissingFails Missing = "error"
	MissingDrops Missing = "drop" // the row
	MissingFills Missing = "fill" // a number; a missing class, id or path is an error then
)

// CSVConfig says where tables are: in Train, Validation and Test, or in Path, to be split.
type CSVConfig struct {
	Root                    string
	Train, Validation, Test string // files, or "" for none
	// Path is one file, whose rows are dealt as Division says.
	Path string
	Division
	// Stratify is the field of the kind Class whose classes are dealt one by one, so that each split has its share of each; "" for none.
	Stratify string
	// Separator is a comma if it is 0. Quotes mean nothing where it is a tab.
	Separator rune
	// NoHeader says that the first line holds values; the columns are called "1", "2", … then.
	NoHeader bool
	Columns  []Column
	Missing  Missing // MissingFails if it is ""
	Fill     float64
}

// ErrNoRows says that a table is no more than its header.
var ErrNoRows = errors.New("has a header but no rows to use")

// CSV returns sources over the rows of tables, with the fields that Columns describe: numbers as f32 or i32, classes, ids and words as
// i32. Ids and classes are collected over all splits, vocabularies, means and deviations over the training split. Words have a length
// of their own in each example, see Ragged, unless it is fixed; a text without words is one unknown word.
//
// Errors: a file, line and column for a row with too few or too many values, text where a number is needed, a value that is missing or
// not among the names given; columns that are not there; settings out of range.
func CSV(cfg CSVConfig) (*Dataset, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	l := &tableLoad{cfg: cfg}
	if cfg.Path != "" {
		if err := l.read(cfg.Path, -1); err != nil {
			return nil, err
		}
		return l.splitRows()
	}
	for k, file := range [3]string{cfg.Train, cfg.Validation, cfg.Test} {
		if file == "" {
			continue
		}
		if err := l.read(file, k); err != nil {
			return nil, fmt.Errorf("%s data: %w", splitNames[k], err)
		}
	}
	return l.finish()
}

// Table returns a source over the rows of one table, Test of the dataset, whose text content is. Names of files in it start from the folder; cfg's own files
// are not read.
//
// Errors: those of CSV, which call the table by its name.
func Table(name, folder string, content io.ReadSeeker, cfg CSVConfig) (*Dataset, error) {
	cfg.Path, cfg.Train, cfg.Validation, cfg.Test = "", "", "", name
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	l := &tableLoad{cfg: cfg}
	if err := l.readFrom(tableFile{name, folder, 0}, content, 2); err != nil {
		return nil, err
	}
	return l.finish()
}

// complete puts in what is left out, and checks the rest.
func (cfg *CSVConfig) complete() error {
	if cfg.Separator == 0 {
		cfg.Separator = ','
	}
	if cfg.Missing == "" {
		cfg.Missing = MissingFails
	}
	return cfg.check()
}

func (cfg CSVConfig) check() error {
	separate := cfg.Train != "" || cfg.Validation != "" || cfg.Test != ""
	switch {
	case !separate && cfg.Path == "":
		return errors.New("no table is given: name a training file, or one file to be split")
	case separate && cfg.Path != "":
		return fmt.Errorf("both one file to be split (%s) and separate files are given: use one or the other", cfg.Path)
	case cfg.Missing != MissingFails && cfg.Missing != MissingDrops && cfg.Missing != MissingFills:
		return fmt.Errorf("missing %q: it is %q, %q or %q", cfg.Missing, MissingFails, MissingDrops, MissingFills)
	case cfg.Separator == '"' || cfg.Separator == '\n' || cfg.Separator == '\r':
		return fmt.Errorf("%q cannot separate values", cfg.Separator)
	case len(cfg.Columns) == 0:
		return errors.New("no columns are given: a field is needed at least")
	}
	rest := ""
	for i, c := range cfg.Columns {
		if slices.ContainsFunc(cfg.Columns[:i], func(o Column) bool { return o.Field == c.Field }) {
			return fmt.Errorf("the field %s is given twice", c.Field)
		}
		if err := c.check(); err != nil {
			return fmt.Errorf("column %s: %w", c.Field, err)
		}
		if c.Kind == Rest {
			if rest != "" {
				return fmt.Errorf("both %s and %s take the rest of the columns; one field can", rest, c.Field)
			}
			rest = c.Field
		}
	}
	if cfg.Stratify != "" && !slices.ContainsFunc(cfg.Columns, func(c Column) bool { return c.Field == cfg.Stratify && c.Kind == Class }) {
		return fmt.Errorf("stratify: %q is no field of classes", cfg.Stratify)
	}
	if cfg.Path != "" {
		return cfg.Division.check()
	}
	return nil
}

func (c Column) check() error {
	switch c.Kind {
	case Number, Whole, Class, ID, Rest, Words:
	case Image:
		return c.Picture.withDefaults().check()
	default:
		return fmt.Errorf("there is no kind %q", c.Kind)
	}
	if len(c.From) > 1 && c.Kind != Number && c.Kind != Whole && c.Kind != Rest {
		return fmt.Errorf("it is made of %d columns; %s takes one", len(c.From), c.Kind)
	}
	if c.Top < 0 || c.Longest < 0 || c.Fixed < 0 {
		return errors.New("top, longest and length cannot be negative")
	}
	if c.Fixed > 1<<20 {
		return fmt.Errorf("a length of %d words: at most %d can be used", c.Fixed, 1<<20)
	}
	return c.checkNGrams()
}

// columnNames lists the columns of a file for a message.
func columnNames(header []string) string {
	const most = 12
	quoted := make([]string, 0, most)
	for _, h := range header[:min(len(header), most)] {
		quoted = append(quoted, fmt.Sprintf("%q", h))
	}
	list := strings.Join(quoted, ", ")
	if len(header) > most {
		list += fmt.Sprintf(" and %d more", len(header)-most)
	}
	return list
}

func (cfg CSVConfig) resolve(file string) string {
	return resolveIn(cfg.Root, filepath.FromSlash(file))
}
