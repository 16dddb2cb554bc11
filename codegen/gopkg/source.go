package gopkg

import (
	"fmt"
	"go/format"
	"regexp"
	"strings"
)

// source is Go text while it is written. Its lines are not indented: gofmt does that at the end.
type source struct {
	lines []string
	names int // how many names were made
}

// line writes a line.
func (s *source) line(layout string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(layout, args...))
}

// name makes a name that no other value has.
func (s *source) name(prefix string) string {
	s.names++
	return fmt.Sprintf("%s%d", prefix, s.names)
}

// usedSince reports whether a name occurs in the lines from number k on.
func (s *source) usedSince(k int, name string) bool {
	word := regexp.MustCompile(`\b` + name + `\b`)
	for _, l := range s.lines[k:] {
		if word.MatchString(l) {
			return true
		}
	}
	return false
}

// formatted returns the text as gofmt writes it.
func (s *source) formatted() ([]byte, error) { return formatGo(strings.Join(s.lines, "\n") + "\n") }

func formatGo(text string) ([]byte, error) {
	b, err := format.Source([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("the generated Go text: %w", err)
	}
	return b, nil
}
