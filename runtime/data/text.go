package data

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Unit is what a text is cut into.
type Unit string

// The units of a text.
const (
	Characters Unit = "characters"
	Bytes      Unit = "bytes"
	WordUnits  Unit = "words"
)

// TextConfig says where a text is: in Train, Validation and Test, or in Path, to be split.
type TextConfig struct {
	Root                    string
	Train, Validation, Test string // files, or "" for none
	// Path is one file. The first Fractions[0] of its units are for training, those that follow for validation, the last for test.
	Path      string
	Fractions [3]float64
	Unit      Unit
	// Sequence is the number of units of an example.
	Sequence int
	// Top is the greatest number of words of the vocabulary; 0 for no limit.
	Top int
	// Names are the units in the order of their ids; if nil, those that the text has.
	Names []string
}

// Text returns sources over a text, with the fields text i32[sequence] and next i32[sequence], the unit that follows each; examples
// follow one another. Units are characters (all that the files have, in the order of their codes), bytes (all 256) or words (those of
// the training split, the most frequent first; id 0 is any other one). The text stays on disk.
//
// Errors: a file that cannot be read or is no UTF-8 text, with the line; a split with too few units; settings out of range.
func Text(cfg TextConfig) (*Dataset, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	var parts [3]textPart
	if cfg.Path != "" {
		x, err := openText(cfg.resolve(cfg.Path), cfg.Unit)
		if err != nil {
			return nil, err
		}
		sum, lo := 0.0, int64(0)
		for k, f := range cfg.Fractions {
			sum += f
			hi := min(x.units, int64(sum*float64(x.units)+0.5))
			if f > 0 {
				parts[k] = textPart{x, lo, hi}
				lo = hi
			}
		}
	} else {
		for k, file := range [3]string{cfg.Train, cfg.Validation, cfg.Test} {
			if file == "" {
				continue
			}
			x, err := openText(cfg.resolve(file), cfg.Unit)
			if err != nil {
				return nil, fmt.Errorf("%s data: %w", splitNames[k], err)
			}
			parts[k] = textPart{x, 0, x.units}
		}
	}
	labels, err := cfg.vocabulary(parts)
	if err != nil {
		return nil, err
	}
	ds := &Dataset{Labels: labels}
	var sizes []string
	ids := map[string]int32{}
	for id, name := range labels {
		ids[name] = int32(id)
	}
	for k, slot := range [3]*Source{&ds.Train, &ds.Validation, &ds.Test} {
		p := parts[k]
		if p.text == nil {
			continue
		}
		units := p.to - p.from
		if units <= int64(cfg.Sequence) {
			return nil, fmt.Errorf("%s: %d %s for %s are too few for a sequence of %d and the one that follows", p.text.name, units, cfg.Unit, splitNames[k], cfg.Sequence)
		}
		*slot = newTextSource(p, cfg, labels, ids)
		sizes = append(sizes, fmt.Sprintf("%d %s", units, splitNames[k]))
	}
	ds.Notes = []string{fmt.Sprintf("%s: %s; %d different ones", cfg.Unit, strings.Join(sizes, ", "), len(labels))}
	return ds, nil
}

func (cfg TextConfig) resolve(file string) string {
	return resolveIn(cfg.Root, filepath.FromSlash(file))
}

func (cfg TextConfig) check() error {
	separate := cfg.Train != "" || cfg.Validation != "" || cfg.Test != ""
	switch {
	case !separate && cfg.Path == "":
		return errors.New("no text is given: name a training file, or one file to be split")
	case separate && cfg.Path != "":
		return fmt.Errorf("both one file to be split (%s) and separate files are given: use one or the other", cfg.Path)
	case cfg.Unit != Characters && cfg.Unit != Bytes && cfg.Unit != WordUnits:
		return fmt.Errorf("unit %q: it is %q, %q or %q", cfg.Unit, Characters, Bytes, WordUnits)
	case cfg.Sequence < 1 || cfg.Sequence > 1<<24:
		return fmt.Errorf("a sequence of %d units: it must have between 1 and %d", cfg.Sequence, 1<<24)
	case cfg.Top < 0:
		return fmt.Errorf("a vocabulary of %d words", cfg.Top)
	}
	if cfg.Path != "" {
		return checkFractions(cfg.Fractions)
	}
	return nil
}

// vocabulary returns the names of the units in the order of their ids.
func (cfg TextConfig) vocabulary(parts [3]textPart) ([]string, error) {
	switch {
	case cfg.Unit == Bytes:
		return byteNames(), nil
	case cfg.Names != nil:
		return cfg.Names, nil
	case cfg.Unit == Characters:
		var seen characterSet
		for _, p := range parts {
			if p.text != nil {
				seen.add(p.text.seen)
			}
		}
		return seen.names(), nil
	}
	train := parts[0]
	if train.text == nil {
		return nil, errors.New("the vocabulary is taken of the training split, and there is none")
	}
	var words interner
	var counts []int
	err := train.text.visit(train.from, train.to, func(unit string) {
		id := words.add(unit)
		if int(id) == len(counts) {
			counts = append(counts, 0)
		}
		counts[id]++
	})
	if err != nil {
		return nil, err
	}
	names, _ := words.vocabulary(counts, cfg.Top)
	return names, nil
}

// byteNames are the names of bytes: the character where there is one in ASCII, else the code, as in "<0xff>".
func byteNames() []string {
	names := make([]string, 256)
	for b := range names {
		if b < 0x80 {
			names[b] = string(rune(b))
		} else {
			names[b] = fmt.Sprintf("<0x%02x>", b)
		}
	}
	return names
}

// textPart is a run of units of a text.
type textPart struct {
	text     *textFile
	from, to int64
}

// textSource cuts a part of a text into examples.
type textSource struct {
	textPart
	unit     Unit
	sequence int
	fields   []Field
	ids      map[string]int32
	runes    map[rune]int32
}

func newTextSource(p textPart, cfg TextConfig, labels []string, ids map[string]int32) *textSource {
	s := &textSource{textPart: p, unit: cfg.Unit, sequence: cfg.Sequence, ids: ids, fields: []Field{
		{Name: "text", DType: tensor.I32, Shape: []int{cfg.Sequence}, Labels: labels},
		{Name: "next", DType: tensor.I32, Shape: []int{cfg.Sequence}, Labels: labels},
	}}
	if cfg.Unit == Characters {
		s.runes = map[rune]int32{}
		for id, name := range labels {
			s.runes[[]rune(name + "\x00")[0]] = int32(id)
		}
	}
	return s
}

func (s *textSource) Len() int        { return int((s.to - s.from - 1) / int64(s.sequence)) }
func (s *textSource) Fields() []Field { return s.fields }

func (s *textSource) Name(i int) string {
	return fmt.Sprintf("%s, %s from %d on", s.text.name, s.unit, s.from+int64(i)*int64(s.sequence))
}

func (s *textSource) At(i int, dst []*tensor.Tensor, row int) error {
	text, next := dst[0].I32[row*s.sequence:][:s.sequence], dst[1].I32[row*s.sequence:][:s.sequence]
	k := 0
	put := func(id int32) {
		if k < s.sequence {
			text[k] = id
		}
		if k > 0 {
			next[k-1] = id
		}
		k++
	}
	from := s.from + int64(i)*int64(s.sequence)
	to := from + int64(s.sequence) + 1
	var err error
	switch s.unit {
	case Bytes:
		err = s.text.visitBytes(from, to, func(b byte) { put(int32(b)) })
	case Characters:
		unknown := rune(-1)
		err = s.text.visitRunes(from, to, func(r rune) {
			id, ok := s.runes[r]
			if !ok && unknown < 0 {
				unknown = r
			}
			put(id)
		})
		if err == nil && unknown >= 0 {
			err = fmt.Errorf("the character %q is not among the %d that the program knows", unknown, len(s.runes))
		}
	default:
		err = s.text.visit(from, to, func(word string) { put(s.ids[word]) })
	}
	if err == nil && k <= s.sequence {
		err = errors.New("the file has become shorter")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name(i), err)
	}
	return nil
}
