// Package results reads and writes what the examples have come to: examples/results.json, which people write, examples/times.json, which
// the command conformance/times writes, and examples/peers.json, which conformance/peers/compare --keep writes. All are in the repository, whose
// folder the functions are told.
package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Claim is what an example is for and what was measured of it, as examples/results.json keeps it.
type Claim struct {
	Name, Task, Target, Measure string
	Metric                      string    // the test value of the runs that Measure names, or the last epoch's
	Measured                    []float64 // in its place, where other runs than those of the seeds are meant, or other values
	Note                        string
}

// Of returns what was measured: for each seed, or what the claim itself says.
//
// Errors: both or neither; a run without the metric.
func (c *Claim) Of(e *Example) ([]float64, error) {
	if (c.Metric == "") == (c.Measured == nil) {
		return nil, fmt.Errorf("%s needs either a metric or what was measured", c.Name)
	}
	if c.Metric == "" {
		return c.Measured, nil
	}
	var all []float64
	for _, r := range e.Runs {
		v, ok := r.Test[c.Metric]
		if !ok {
			v, ok = r.Last[c.Metric]
		}
		if !ok {
			return nil, fmt.Errorf("the run of %s with seed %d has no %s", c.Name, r.Seed, c.Metric)
		}
		all = append(all, v)
	}
	return all, nil
}

// Example is what runs of an example took, as examples/times.json keeps it by name.
type Example struct {
	Runs []Run `json:"runs,omitempty"`
	Step *Step `json:"step,omitempty"`
}

// Run is one training by the example's command.
type Run struct {
	Seed    int                `json:"seed"`
	Seconds float64            `json:"seconds"`        // of processor time, compiling included
	Epochs  int                `json:"epochs"`         // of the last training
	Reached bool               `json:"reached"`        // its `until:`
	Test    map[string]float64 `json:"test"`           // by name
	Last    map[string]float64 `json:"last,omitempty"` // of the last epoch, by name
	Machine string             `json:"machine"`
}

// Step is the median time of a step of the first training, in milliseconds.
type Step struct {
	Batch   int     `json:"batch"`
	Native  float64 `json:"native_ms"`
	Interp  float64 `json:"interp_ms"`
	Machine string  `json:"machine"`
}

// Names lists the examples that train: those whose first lines have a command `nnc run`.
func Names(repository string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(repository, "examples/*/*.nn"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		name := filepath.Base(filepath.Dir(f))
		if filepath.Base(f) != name+".nn" {
			continue
		}
		if _, err := Command(repository, name); err == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// Command returns the arguments of nnc in the first command `nnc run` of an example's first lines; the file is the last one.
func Command(repository, name string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(repository, "examples", name, name+".nn"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimPrefix(line, "//")), "nnc run "); ok && strings.HasPrefix(line, "//") {
			return append([]string{"run"}, strings.Fields(command)...), nil
		}
	}
	return nil, fmt.Errorf("examples/%s/%s.nn begins without a command nnc run", name, name)
}

// Claims reads examples/results.json.
func Claims(repository string) ([]Claim, error) {
	var claims []Claim
	return claims, read(filepath.Join(repository, "examples/results.json"), &claims)
}

// Times reads examples/times.json.
func Times(repository string) (map[string]*Example, error) {
	times := map[string]*Example{}
	return times, read(filepath.Join(repository, timesFile), &times)
}

const timesFile = "examples/times.json"

// Change changes what examples/times.json says of an example.
func Change(repository, name string, change func(*Example)) error {
	times, err := Times(repository)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if times[name] == nil {
		times[name] = &Example{}
	}
	change(times[name])
	text, err := json.MarshalIndent(times, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(repository, timesFile), append(text, '\n'), 0o644)
}

func read(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// Peer is a row that conformance/peers/compare has kept.
type Peer struct {
	Workload string             `json:"workload"`
	Phase    string             `json:"phase"`
	Batch    int                `json:"batch"`
	Threads  int                `json:"threads"`
	NNC      float64            `json:"nnc_ms"`
	Peers    map[string]float64 `json:"peers_ms"`
	Machine  string             `json:"machine"`
}

// Peers reads examples/peers.json.
func Peers(repository string) ([]Peer, error) {
	var rows []Peer
	return rows, read(filepath.Join(repository, "examples/peers.json"), &rows)
}

// Seconds returns the median over the runs.
func (e *Example) Seconds() float64 {
	var all []float64
	for _, r := range e.Runs {
		all = append(all, r.Seconds)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// Machines lists what an example was measured on, each machine once.
func (e *Example) Machines() []string {
	var all []string
	for _, r := range e.Runs {
		all = append(all, r.Machine)
	}
	if e.Step != nil {
		all = append(all, e.Step.Machine)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
