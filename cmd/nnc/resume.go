package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// resumeCommand is the command line that goes on with this run: the one that began it, with --resume.
func (c *runCmd) resumeCommand() string {
	words := []string{"nnc", "run", c.File}
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		words = append(words, "--set", name+"="+c.Set[name])
	}
	if c.Seed != 1 {
		words = append(words, "--seed", fmt.Sprint(c.Seed))
	}
	if c.Epochs != 0 {
		words = append(words, "--epochs", fmt.Sprint(int(c.Epochs)))
	}
	if c.NoSave {
		words = append(words, "--no-save")
	}
	if c.History != "" {
		words = append(words, "--history", c.History)
	}
	if c.Plot != "" {
		words = append(words, "--plot", c.Plot)
	}
	for i, w := range words {
		words[i] = quoted(w)
	}
	return strings.Join(append(words, "--resume"), " ")
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
