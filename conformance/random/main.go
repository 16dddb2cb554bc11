// Command random draws programs of the language, trains them on the interpreter and as machine code, and tells where the two do not agree.
//
//	go run ./conformance/random -n 1000
//	go run ./conformance/random -n 100000 -state FILE
//
// Program number K is the same each time. With -state a run goes on where the last one with that file was stopped. A program that fails is made
// as small as it will go and printed; as a file of conformance/random/testdata it is a test.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime/debug"
)

// together is how many programs are compiled to machine code at once. The more they are, the more kernels they share: of 1,000 programs four tenths, of 50 hardly
// any.
const together = 1000

// optimized is in one of how many rounds through all ways LLVM's code generator optimises, which takes longer than all else: what is tried is what this
// repository makes, the code generator's input.
const optimized = 4

// optimize is the transformation that has it do so.
const optimize = "optimize"

// garbage is how much the heap may grow between collections, in percent: most of what programs leave behind is garbage soon.
const garbage = 400

// state is how far a run has come.
type state struct {
	Next   int            `json:"next"`   // number of the first program that was not tried
	Tried  map[string]int `json:"tried"`  // programs, by the way in which their machine code was made
	Failed []int          `json:"failed"` // their numbers
}

func main() {
	first := flag.Int("first", 0, "number of the first program")
	n := flag.Int("n", 1000, "number of programs")
	file := flag.String("state", "", "keep in this file how far the run has come, and go on from there")
	flag.Parse()
	debug.SetGCPercent(garbage)
	if err := run(*first, *n, *file); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(first, n int, file string) error {
	s := state{Next: first, Tried: map[string]int{}}
	if file != "" {
		b, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(b, &s)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	all := ways()
	if len(all) == 0 {
		return errors.New("this machine runs no machine code")
	}
	for s.Next < first+n {
		w := all[s.Next/together%len(all)]
		if s.Next/together/len(all)%optimized > 0 {
			w.without = []string{optimize}
		}
		trials := drawn(s.Next, min(together, first+n-s.Next))
		check(trials, w)
		for _, t := range trials {
			if t.failure != "" {
				s.Failed = append(s.Failed, t.number)
				t.report(w)
			}
		}
		s.Next += len(trials)
		s.Tried[w.String()] += len(trials)
		if file != "" {
			b, err := json.MarshalIndent(s, "", "  ")
			if err != nil {
				return err
			}
			if err := errors.Join(os.WriteFile(file+".new", append(b, '\n'), 0o644), os.Rename(file+".new", file)); err != nil {
				return err
			}
		}
		fmt.Printf("%d of %d programs, %d failed\n", s.Next-first, n, len(s.Failed))
	}
	if len(s.Failed) > 0 {
		return fmt.Errorf("programs %v failed", s.Failed)
	}
	return nil
}

// drawn returns n programs, from that number on.
func drawn(first, n int) []*trial {
	trials := make([]*trial, n)
	for k := range trials {
		c := &choices{fresh: rand.New(rand.NewPCG(uint64(first+k), 1))}
		trials[k] = &trial{program: generate(c), number: first + k, made: c.made}
	}
	return trials
}

// smallest is how many smaller programs are tried for one that fails.
const smallest = 300

// report prints a program that fails, and a small one that does.
func (t *trial) report(w way) {
	fmt.Printf("program %d: %s\n%s\n", t.number, t.failure, t.program)
	last := t
	minimise(t.made, smallest, func(made []uint32) bool {
		c := &choices{given: made}
		smaller := &trial{program: generate(c), number: t.number} // the same functions of it are called
		check([]*trial{smaller}, w)
		if smaller.failure != "" {
			last = smaller
		}
		return smaller.failure != ""
	})
	fmt.Printf("made smaller: %s\n%s\n", last.failure, last.program)
}
