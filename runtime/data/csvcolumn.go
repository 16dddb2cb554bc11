package data

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/nnc-lang/nnc/ir/diag"
)

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
			if len(t.header) == 1 {
				for _, separator := range []string{";", "\t", "|", ","} {
					if strings.Contains(t.header[0], separator) {
						return fmt.Errorf("%w; its first line, %q, seems to be separated otherwise: say separator: %q", err, t.header[0], separator)
					}
				}
			}
			return fmt.Errorf("%w; it has %s", err, columnNames(t.header))
		}
		if again := slices.Index(t.header[k+1:], name); again >= 0 {
			return fmt.Errorf("%s, line 1: two columns are called %q, the %s and the %s: rename one in the file", t.name, name, ordinal(k+1), ordinal(k+2+again))
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
	c.units(text, func(word string) { c.i32 = append(c.i32, c.texts.add(word)) })
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
