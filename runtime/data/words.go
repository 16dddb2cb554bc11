package data

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unknownWord is the name of id 0 of a vocabulary, the word that is not in it.
const unknownWord = "<unknown>"

// nextWord returns the first word of s and what follows it; the word is "" if there is none. A word is a run of letters, digits and
// marks, with apostrophes inside it, or any other visible character alone.
func nextWord(s string) (word, rest string) {
	s = strings.TrimLeftFunc(s, invisible)
	if s == "" {
		return "", ""
	}
	end := 0
	for end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		if !inWord(r) && (end == 0 || !apostrophe(r) || !inWordNext(s[end+size:])) {
			break
		}
		end += size
	}
	if end == 0 {
		_, end = utf8.DecodeRuneInString(s)
	}
	return s[:end], s[end:]
}

// nextCharacter returns the first character of s and what follows it; it is "" if there is none.
func nextCharacter(s string) (character, rest string) {
	_, size := utf8.DecodeRuneInString(s)
	return s[:size], s[size:]
}

func inWord(r rune) bool { return unicode.In(r, unicode.Letter, unicode.Digit, unicode.Mark) }

func inWordNext(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return inWord(r)
}

func apostrophe(r rune) bool { return r == '\'' || r == '’' }

func invisible(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// interner numbers texts in the order in which they are met first.
type interner struct {
	id    map[string]int32
	names []string
}

func (t *interner) add(s string) int32 {
	id, ok := t.id[s]
	if !ok {
		if t.id == nil {
			t.id = map[string]int32{}
		}
		s = strings.Clone(s) // and not the line that it is part of
		id = int32(len(t.names))
		t.id[s] = id
		t.names = append(t.names, s)
	}
	return id
}

// sorted returns the texts in the order of classes and ids: by value if all are numbers, else by their letters; and the new number of
// each old one.
func (t *interner) sorted() (names []string, renumbered []int32) {
	order := make([]int32, len(t.names))
	values := make([]float64, len(t.names))
	numeric := true
	for i, name := range t.names {
		order[i] = int32(i)
		v, err := strconv.ParseFloat(name, 64)
		values[i], numeric = v, numeric && err == nil && v == v
	}
	slices.SortFunc(order, func(a, b int32) int {
		if numeric && values[a] != values[b] {
			return cmp.Compare(values[a], values[b])
		}
		return cmp.Compare(t.names[a], t.names[b])
	})
	return t.arranged(order)
}

// arranged returns the texts in the given order, and the new number of each old one.
func (t *interner) arranged(order []int32) (names []string, renumbered []int32) {
	names, renumbered = make([]string, len(order)), make([]int32, len(t.names))
	for k, old := range order {
		names[k], renumbered[old] = t.names[old], int32(k)
	}
	return names, renumbered
}

// vocabulary chooses the words of a vocabulary by how often the training split has them, the most frequent first: unknownWord, the
// special ones, then at most top others (all if top is 0). Words that are left out get 0.
func (t *interner) vocabulary(counts []int, top int, special ...string) (names []string, renumbered []int32) {
	var order []int32
	for i, n := range counts {
		if n > 0 && !slices.Contains(special, t.names[i]) && t.names[i] != unknownWord {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(a, b int32) int {
		if c := cmp.Compare(counts[b], counts[a]); c != 0 {
			return c
		}
		return cmp.Compare(t.names[a], t.names[b])
	})
	if top > 0 && len(order) > top {
		order = order[:top]
	}
	names = append([]string{unknownWord}, special...)
	for _, old := range order {
		names = append(names, t.names[old])
	}
	return names, t.known(names)
}

// known returns the id of each text among given names, 0 for those that are not among them.
func (t *interner) known(names []string) []int32 {
	renumbered := make([]int32, len(t.names))
	for id, name := range names {
		if old, ok := t.id[name]; ok {
			renumbered[old] = int32(id)
		}
	}
	return renumbered
}
