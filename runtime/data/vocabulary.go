package data

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Vocabulary is the units that a program knows, by their ids. It cuts texts into units as the source Text does.
type Vocabulary struct {
	unit  Unit
	names []string
	ids   map[string]int32
}

// NewVocabulary returns the vocabulary of units that have these names, in the order of their ids.
func NewVocabulary(unit Unit, names []string) *Vocabulary {
	v := &Vocabulary{unit, names, map[string]int32{}}
	for id, name := range names {
		v.ids[name] = int32(id)
	}
	return v
}

// Encode returns the ids of a text's units. A word that is not known is id 0, as in training.
//
// Errors: a character that is not known; no UTF-8 text.
func (v *Vocabulary) Encode(text string) ([]int32, error) {
	var ids []int32
	if v.unit == Bytes {
		for _, b := range []byte(text) {
			ids = append(ids, int32(b))
		}
		return ids, nil
	}
	if !utf8.ValidString(text) {
		return nil, errors.New("this is not UTF-8 text")
	}
	if v.unit == Characters {
		for _, r := range text {
			id, ok := v.ids[string(r)]
			if !ok {
				return nil, fmt.Errorf("character %d, %q, does not occur in the text that the model was trained on; it knows %s", len(ids)+1, r, v.known())
			}
			ids = append(ids, id)
		}
		return ids, nil
	}
	for word, rest := nextWord(text); word != ""; word, rest = nextWord(rest) {
		ids = append(ids, v.ids[word])
	}
	return ids, nil
}

// known lists the characters.
func (v *Vocabulary) known() string {
	var b strings.Builder
	for _, name := range v.names {
		if name == " " {
			name = "␣"
		}
		b.WriteString(strings.ReplaceAll(name, "\n", "↵"))
	}
	return b.String()
}

// Decode returns the text of a unit that follows the unit before, or none if that is -1. Words are set apart by spaces, but for marks such
// as commas.
func (v *Vocabulary) Decode(before, id int32) string {
	name := v.names[id]
	switch {
	case v.unit == Bytes:
		return string([]byte{byte(id)})
	case v.unit == Characters || before < 0 || strings.ContainsAny(name[:1], ".,;:!?)]"):
		return name
	}
	return " " + name
}
