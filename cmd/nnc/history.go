package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/nnc-lang/nnc/ir/plan"
)

// records says where the values of the epochs go.
type records struct {
	History string `help:"Write the values of all epochs to this file, anew after each (CSV)." placeholder:"FILE"`
	Plot    string `help:"Draw the values by epoch into this file, anew after each (.png or .svg)." placeholder:"FILE"`
}

// check finds out what would go wrong with the files, before hours of training.
func (r records) check() error {
	if ext := filepath.Ext(r.Plot); r.Plot != "" && ext != ".png" && ext != ".svg" {
		return misuse("--plot draws PNG and SVG: name a file that ends in .png or .svg, not %s", r.Plot)
	}
	for _, path := range []string{r.History, r.Plot} {
		if path == "" {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return misuse("%s is a folder: name a file", path)
		}
		probe, err := os.CreateTemp(filepath.Dir(path), ".nnc-*")
		if err != nil {
			return fmt.Errorf("%s cannot be written: folder %s: %w", path, filepath.Dir(path), withoutPath(err))
		}
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
		if err != nil {
			return err
		}
	}
	return nil
}

// writer returns what writes the records of the i-th train; each of several trains has files of its own. That a file cannot be written
// is told on w once and ends no training.
func (r records) writer(p *plan.Program, i int, w io.Writer) func(history []map[string]float64) {
	history, plot := r.History, r.Plot
	if i > 0 {
		name := p.Trains[i].Label
		if name == "" {
			name = strconv.Itoa(i + 1)
		}
		history, plot = withSuffix(history, name), withSuffix(plot, name)
	}
	told := false
	return func(values []map[string]float64) {
		if len(values) == 0 {
			return
		}
		var err error
		if history != "" {
			err = replaceWhole(history, historyCSV(values))
		}
		if plot != "" && err == nil {
			var picture []byte
			if picture, err = plotHistory(values, filepath.Ext(plot)); err == nil {
				err = replaceWhole(plot, picture)
			}
		}
		if err != nil && !told {
			told = true
			fmt.Fprintf(w, "warning: %s\n", err)
		}
	}
}

// withSuffix puts a name before the end of a file's name: history-fine.csv.
func withSuffix(path, name string) string {
	if path == "" {
		return ""
	}
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-" + name + ext
}

// replaceWhole writes a file as a whole or not at all.
func replaceWhole(path string, contents []byte) error {
	if err := renameio.WriteFile(path, contents, 0o644); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, withoutPath(err))
	}
	return nil
}

// historyCSV has a line for each epoch: its number and its values.
func historyCSV(history []map[string]float64) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	names := valueColumns(history)
	_ = w.Write(append([]string{"epoch"}, names...)) // a buffer takes everything
	for i, values := range history {
		row := []string{strconv.Itoa(i + 1)}
		for _, name := range names {
			text := ""
			if v, ok := values[name]; ok {
				text = strings.ToLower(strconv.FormatFloat(v, 'g', -1, 64))
			}
			row = append(row, text)
		}
		_ = w.Write(row)
	}
	w.Flush()
	return b.Bytes()
}

// valueColumns lists the names of values: the loss, metrics by name, and then the same of the validation.
func valueColumns(history []map[string]float64) []string {
	var names []string
	for _, values := range history {
		for name := range values {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	rank := func(name string) string {
		of, validation := strings.CutPrefix(name, "val_")
		key := "0"
		if validation {
			key = "1"
		}
		if of == "loss" {
			return key
		}
		return key + of
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	return names
}
