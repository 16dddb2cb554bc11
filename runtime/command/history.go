package command

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

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime/atomicfile"
)

// Record is a file with the values of the epochs, which is written anew after each.
type Record struct {
	Flag string   // of the command line: "--history"
	Path string   // "" for none
	Ends []string // how its name may end; nil: in any way
	What string   // "draws PNG and SVG: name a file that ends in .png or .svg", for a name that ends otherwise

	// Make returns the contents, for a name that ends in ext.
	Make func(history []map[string]float64, ext string) ([]byte, error)
}

// check finds out what would go wrong with the file, before hours of training.
func (r Record) check() error {
	if r.Path == "" {
		return nil
	}
	if r.Ends != nil && !slices.Contains(r.Ends, filepath.Ext(r.Path)) {
		return Misuse("%s %s, not %s", r.Flag, r.What, r.Path)
	}
	if info, err := os.Stat(r.Path); err == nil && info.IsDir() {
		return Misuse("%s is a folder: name a file", r.Path)
	}
	probe, err := os.CreateTemp(filepath.Dir(r.Path), ".nnc-*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: folder %s: %w", r.Path, filepath.Dir(r.Path), withoutPath(err))
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// recorder returns what writes the records of the i-th train; each of several trains has files of its own. That a file cannot be written
// is told on w once and ends no training.
func recorder(records []Record, p *plan.Program, i int, w io.Writer) func(history []map[string]float64) {
	told := false
	return func(values []map[string]float64) {
		if len(values) == 0 {
			return
		}
		for _, r := range records {
			if r.Path == "" {
				continue
			}
			path := r.Path
			if i > 0 {
				name := p.Trains[i].Label
				if name == "" {
					name = strconv.Itoa(i + 1)
				}
				path = withSuffix(path, name)
			}
			contents, err := r.Make(values, filepath.Ext(path))
			if err == nil {
				err = replaceWhole(path, contents)
			}
			if err != nil && !told {
				told = true
				fmt.Fprintf(w, "warning: %s\n", err)
			}
		}
	}
}

// withSuffix puts a name before the end of a file's name: history-fine.csv.
func withSuffix(path, name string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-" + name + ext
}

// replaceWhole writes a file as a whole or not at all.
func replaceWhole(path string, contents []byte) error {
	if err := atomicfile.WriteBytes(path, 0o644, contents); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, withoutPath(err))
	}
	return nil
}

// historyCSV has a line for each epoch: its number and its values.
func historyCSV(history []map[string]float64) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	names := ValueNames(history)
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

// ValueNames lists the names of values: the loss, metrics by name, and then the same of the validation.
func ValueNames(history []map[string]float64) []string {
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
