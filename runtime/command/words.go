package command

import "strings"

// line joins words to a command line that can be typed into a shell.
func line(words []string) string {
	safe := make([]string, len(words))
	for i, w := range words {
		safe[i] = quoted(w)
	}
	return strings.Join(safe, " ")
}

// quoted makes a word safe to type into a shell.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("_-+=./:@%,", r) || r > 127
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
