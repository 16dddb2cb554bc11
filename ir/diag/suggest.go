package diag

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// DidYouMean returns the candidate nearest to name in edits (a letter put in, left out, changed, or two neighbours swapped), or "" if none
// is near: at most a third of the letters, and at least one, may differ. Of equally near ones it is the first that has the letters of name in
// another order, since fingers swap more often than they miss, or else the first that begins like name.
func DidYouMean(name string, candidates []string) string {
	best, least := "", max(1, utf8.RuneCountInString(name)/3)+1
	for _, c := range candidates {
		if c == name {
			continue
		}
		d := distance([]rune(name), []rune(c))
		if d < least && d < utf8.RuneCountInString(c) || d == least && best != "" && likeness(name, c) > likeness(name, best) {
			best, least = c, d
		}
	}
	if best == "" && utf8.RuneCountInString(name) >= 4 { // the beginning of a longer name: val_acc
		for _, c := range candidates {
			if strings.HasPrefix(c, name) && (best == "" || len(c) < len(best)) && c != name {
				best = c
			}
		}
	}
	return best
}

// likeness orders candidates that are equally near to name.
func likeness(name, c string) int {
	a, b := []rune(name), []rune(c)
	slices.Sort(a)
	slices.Sort(b)
	switch {
	case slices.Equal(a, b):
		return 2
	case name != "" && c != "" && []rune(name)[0] == []rune(c)[0]:
		return 1
	}
	return 0
}

// distance is the optimal string alignment distance: Levenshtein's with swaps of neighbours.
func distance(a, b []rune) int {
	rows := [3][]int{}
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
	}
	before, last, row := rows[0], rows[1], rows[2]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
