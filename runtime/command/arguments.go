package command

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/alecthomas/kong"
)

// Count is a flag's value that is a whole number of at least 1; 0 where the flag is not given.
type Count int

// UnmarshalText reads the flag's value.
func (c *Count) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 {
		return fmt.Errorf("it must be a whole number of at least 1, not %q", text)
	}
	*c = Count(n)
	return nil
}

// Size is a flag's value that is a number of bytes; 0 where the flag is not given.
type Size int64

// UnmarshalText reads the flag's value: a number and one of B, KB, MB, GB (powers of 1000), KiB, MiB and GiB (of 1024).
func (s *Size) UnmarshalText(text []byte) error {
	number := strings.TrimRightFunc(string(text), func(r rune) bool { return unicode.IsLetter(r) || r == ' ' })
	unit, known := sizeUnits[strings.ToLower(strings.TrimSpace(string(text)[len(number):]))]
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || !(v*unit >= 1 && v*unit < 1<<62) {
		return fmt.Errorf("it must be a size such as 300MB or 1.5GiB, not %q", text)
	}
	*s = Size(v * unit)
	return nil
}

var sizeUnits = map[string]float64{"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}

// Threads is a number of threads: at most 1,024, as each has a stack of its own.
type Threads int

// UnmarshalText reads the flag's value.
func (t *Threads) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || n > 1024 {
		return fmt.Errorf("it must be a whole number from 1 to 1024, not %q", text)
	}
	*t = Threads(n)
	return nil
}

var negative = regexp.MustCompile(`^-\.?[0-9]`)

// normalized lets flags be written with one dash, as those of Go's own tools, and have negative numbers for values.
func normalized(args []string, app *kong.Application) []string {
	long := map[string]bool{}
	for _, node := range append([]*kong.Node{app.Node}, app.Children...) {
		for _, f := range node.Flags {
			long[f.Name] = true
		}
	}
	var out []string
	flag := false // the last argument is a flag that may want a value
	for i, a := range args {
		if a == "--" {
			return append(out, args[i:]...)
		}
		if flag && negative.MatchString(a) {
			out[len(out)-1] += "=" + a
			flag = false
			continue
		}
		if name, _, _ := strings.Cut(strings.TrimPrefix(a, "-"), "="); len(name) > 1 && long[name] && strings.HasPrefix(a, "-") {
			a = "-" + a
		}
		flag = strings.HasPrefix(a, "--") && !strings.Contains(a, "=")
		out = append(out, a)
	}
	return out
}
