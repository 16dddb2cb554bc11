// Command times runs the examples and keeps what that took and came to in examples/times.json, from which docs/examples.md is made:
//
//	go run ./conformance/times                        every example's command with the seeds 1, 2 and 3, natively
//	go run ./conformance/times -steps                 instead: a training step natively and in the interpreter, by nnc bench
//	go run ./conformance/times -seeds 2 digits gan    these examples, this seed
//
// It has to be started in the folder of the repository. A training takes the command of the example's first lines, with a seed, which also deals
// the data where the example has an option split_seed; its time is processor time, which other work on the machine changes less than the
// time that passes.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/nnc-lang/nnc/conformance/results"
)

func main() {
	seeds := flag.String("seeds", "1,2,3", "train with these seeds")
	steps := flag.Bool("steps", false, "measure steps instead of training")
	seconds := flag.Float64("seconds", 10, "how long to measure the steps of a backend")
	flag.Parse()
	if err := measure(*seeds, *steps, *seconds, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "times:", err)
		os.Exit(1)
	}
}

func measure(seeds string, steps bool, seconds float64, names []string) error {
	folder, err := os.MkdirTemp("", "times")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	nnc := filepath.Join(folder, "nnc")
	if out, err := exec.Command("go", "build", "-o", nnc, "./cmd/nnc").CombinedOutput(); err != nil {
		return fmt.Errorf("nnc cannot be built: %w\n%s", err, out)
	}
	if len(names) == 0 {
		if names, err = results.Names("."); err != nil {
			return err
		}
	}
	for _, name := range names {
		command, err := results.Command(".", name)
		if err != nil {
			return err
		}
		if steps {
			if err := step(nnc, name, command, seconds); err != nil {
				return err
			}
			continue
		}
		for text := range strings.SplitSeq(seeds, ",") {
			seed, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("-seeds: %w", err)
			}
			if err := train(nnc, name, command, seed); err != nil {
				return err
			}
		}
	}
	return nil
}

// train runs an example with a seed, and keeps what it took and came to.
func train(nnc, name string, command []string, seed int) error {
	checkpoint := filepath.Join(filepath.Dir(command[len(command)-1]), name+".ckpt")
	args := append(slices.Clone(command), "--seed", strconv.Itoa(seed), "--backend", "native")
	if program, err := os.ReadFile(command[len(command)-1]); err == nil && bytes.Contains(program, []byte("\noption split_seed ")) {
		args = append(args, "--set", "split_seed="+strconv.Itoa(seed))
	}
	c := exec.Command(nnc, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, os.Stderr
	err := c.Run()
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	_ = os.Remove(checkpoint)
	r := results.Run{Seed: seed, Seconds: (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds(), Machine: machine()}
	r.Reached = strings.Contains(out.String(), "reached after epoch")
	var last string
	if all := epochLine.FindAllStringSubmatch(out.String(), -1); len(all) > 0 {
		m := all[len(all)-1]
		last = m[2]
		if r.Epochs, err = strconv.Atoi(m[1]); err != nil {
			return fmt.Errorf("%s: %q: %w", name, m[0], err)
		}
	}
	if r.Test, err = values(testLine, out.String()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if r.Last, err = values(valueOf, last); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Printf("%s: seed %d: %.1f s, %d epochs, target reached: %t, %v\n", name, seed, r.Seconds, r.Epochs, r.Reached, r.Test)
	return results.Change(".", name, func(e *results.Example) {
		e.Runs = slices.DeleteFunc(e.Runs, func(old results.Run) bool { return old.Seed == seed })
		e.Runs = append(e.Runs, r)
		slices.SortFunc(e.Runs, func(a, b results.Run) int { return a.Seed - b.Seed })
	})
}

var (
	testLine  = regexp.MustCompile(`(?mi)^(?:\w+: )?test ([\w ]+): (\S+)$`)
	epochLine = regexp.MustCompile(`(?mi)^(?:\w+: )?epoch (\d+)/\d+ - (.*)$`) // of which the last one counts
	valueOf   = regexp.MustCompile(`(\w+): (\S+)`)
)

// values reads the names and numbers that an expression finds.
func values(each *regexp.Regexp, text string) (map[string]float64, error) {
	all := map[string]float64{}
	for _, m := range each.FindAllStringSubmatch(text, -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", m[0], err)
		}
		all[m[1]] = v
	}
	return all, nil
}

// step measures a training step of an example on both backends, and keeps that.
func step(nnc, name string, command []string, seconds float64) error {
	s := results.Step{Machine: machine()}
	for backend, ms := range map[string]*float64{"native": &s.Native, "interp": &s.Interp} {
		args := append([]string{"bench", "--phase", "train", "--json", "--backend", backend, "--seconds", fmt.Sprint(seconds)}, command[1:]...)
		c := exec.Command(nnc, args...)
		c.Stderr = os.Stderr
		out, err := c.Output()
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
		}
		var measured struct {
			Batch  int
			Median float64 `json:"median_ms"`
			Runs   int
		}
		if err := json.Unmarshal(out, &measured); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
		}
		*ms, s.Batch = measured.Median, measured.Batch
		fmt.Printf("%s: %s: %.4g ms, batch %d, %d runs\n", name, backend, measured.Median, measured.Batch, measured.Runs)
	}
	return results.Change(".", name, func(e *results.Example) { e.Step = &s })
}

// machine names the processor that this runs on.
func machine() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	model := runtime.GOARCH
	if m := regexp.MustCompile(`(?m)^model name\s*: (.*)$`).FindSubmatch(text); m != nil {
		model = string(m[1])
	}
	if bytes.Contains(text, []byte("avx512f")) {
		model += ", AVX-512"
	}
	return fmt.Sprintf("%s, %d processors", model, runtime.NumCPU())
}
