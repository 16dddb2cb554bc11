package diag

import (
	"strings"
	"unicode/utf8"
)

// DidYouMean returns the candidate nearest to name in edits (a letter put in, left out, changed, or two neighbours swapped), or "" if none
// is near: at most a third of the letters, and at least one, may differ. Of equally near ones the first is returned.
func DidYouMean(name string, candidates []string) string {
	best, least := "", max(1, utf8.RuneCountInString(name)/3)+1
	for _, c := range candidates {
		if c == name {
			continue
		}
		if d := distance([]rune(name), []rune(c)); d < least && d < utf8.RuneCountInString(c) {
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
