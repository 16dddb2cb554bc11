package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// longestNGram bounds the units of an n-gram: what a vocabulary holds must not outgrow the texts by much.
const longestNGram = 8

// checkNGrams checks the settings of a column that say what counts as a word.
func (c Column) checkNGrams() error {
	switch {
	case c.Unit != "" && c.Unit != Characters && c.Unit != WordUnits:
		return fmt.Errorf("unit %q: it is %q or %q", c.Unit, WordUnits, Characters)
	case len(c.NGrams) > 0 && (c.Start != "" || c.End != ""):
		return errors.New("n-grams have no first and no last one that start and end could mark")
	}
	for i, n := range c.NGrams {
		if n < 1 || n > longestNGram {
			return fmt.Errorf("n-grams of %d: they have 1 to %d units", n, longestNGram)
		}
		if slices.Contains(c.NGrams[:i], n) {
			return fmt.Errorf("n-grams of %d are listed twice", n)
		}
	}
	return nil
}

// units calls yield for what counts as a word of a text: its units, in small letters, or the runs of units of each length of NGrams.
func (c Column) units(text string, yield func(unit string)) {
	next, between := nextWord, " "
	if c.Unit == Characters {
		text, next, between = strings.Join(strings.FieldsFunc(text, invisible), " "), nextCharacter, ""
	}
	var list []string
	for len(list) < c.Longest || c.Longest == 0 {
		var unit string
		if unit, text = next(text); unit == "" {
			break
		}
		list = append(list, strings.ToLower(unit))
	}
	orders := c.NGrams
	if len(orders) == 0 {
		orders = []int{1}
	}
	for _, n := range orders {
		for i := range max(0, len(list)-n+1) {
			yield(strings.Join(list[i:i+n], between))
		}
	}
}
