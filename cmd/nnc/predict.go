package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
)

// predictCmd says what a trained program makes of pictures.
type predictCmd struct {
	source
	Inputs  []string `arg:"" help:"Pictures, or folders of pictures." name:"input"`
	Weights string   `help:"The trained weights; the file that the program saves, if it is left out." placeholder:"FILE"`
	Model   string   `help:"Which model, where the program has several."`
}

// Run carries out the command.
func (c *predictCmd) Run(ctx context.Context, std *streams) error {
	l, err := c.load(std, true)
	if err != nil {
		return err
	}
	m, err := chooseModel(l.plan, c.Model)
	if err != nil {
		return err
	}
	spec, err := pictureSpec(m)
	if err != nil {
		return err
	}
	files, err := pictures(c.Inputs)
	if err != nil {
		return err
	}
	prog, err := l.build(0)
	if err != nil {
		return err
	}
	if err := loadTrained(prog, l.plan, c.Weights); err != nil {
		return err
	}
	table := tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)
	failed := false
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return errors.New("interrupted")
		}
		image, err := data.LoadImage(file, spec)
		if err != nil {
			fmt.Fprintf(std.err, "error: %s\n", err)
			failed = true
			continue
		}
		out, err := prog.Call(m.Predict, image)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%s\n", file, verdict(m, out))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if failed {
		return errFailed
	}
	return nil
}

// chooseModel finds the model to use.
func chooseModel(p *plan.Program, name string) (*plan.Model, error) {
	var names []string
	for _, m := range p.Models {
		if m.Name == name || name == "" && len(p.Models) == 1 {
			return m, nil
		}
		names = append(names, m.Name)
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("%s declares no model", p.File)
	case name == "":
		return nil, usageError{fmt.Errorf("%s has several models: choose one with --model: %s", p.File, strings.Join(names, ", "))}
	}
	return nil, usageError{fmt.Errorf("%s has no model %s; it has %s", p.File, name, strings.Join(names, ", "))}
}

// pictureSpec says how pictures become the input of a model that takes one picture.
func pictureSpec(m *plan.Model) (data.ImageSpec, error) {
	if len(m.Fields) != 1 || len(m.Fields[0].Shape) != 3 || m.Fields[0].DType != tensor.F32 {
		return data.ImageSpec{}, fmt.Errorf("the model %s does not take one picture, which is all that predict can give it so far", m.Name)
	}
	s := m.Fields[0].Shape
	spec := data.ImageSpec{Height: s[0], Width: s[1], Channels: s[2], Resize: data.Nearest, Orientation: data.UprightEXIF}
	if m.Data != nil && m.Data.Source.ImageFolder != nil {
		spec.Resize = data.Resize(m.Data.Source.ImageFolder.Resize)
		spec.Orientation = data.Orientation(m.Data.Source.ImageFolder.Orientation)
	}
	return spec, nil
}

// pictures lists the files that the arguments name; a folder stands for the files in it and below.
func pictures(inputs []string) ([]string, error) {
	var files []string
	for _, in := range inputs {
		info, err := os.Stat(in)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, usageError{fmt.Errorf("there is no file or folder %s", in)}
		case err != nil:
			return nil, err
		case !info.IsDir():
			files = append(files, in)
			continue
		}
		var found []string
		err = filepath.WalkDir(in, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
				return err
			}
			found = append(found, path)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("the folder %s holds no files", in)
		}
		sort.Strings(found)
		files = append(files, found...)
	}
	return files, nil
}

// verdict is the class and its probability, or the numbers that the model gives.
func verdict(m *plan.Model, out []*tensor.Tensor) string {
	if len(out) == 1 && out[0].DType != tensor.Bool {
		n := out[0].Len()
		labels := m.Labels
		switch {
		case len(labels) == 2 && n == 1:
			p := out[0].At(0)
			if p > 0.5 {
				return fmt.Sprintf("%s\t%.4f", labels[1], p)
			}
			return fmt.Sprintf("%s\t%.4f", labels[0], 1-p)
		case n > 1 && len(labels) == n:
			best := 0
			for i := range n {
				if out[0].At(i) > out[0].At(best) {
					best = i
				}
			}
			return fmt.Sprintf("%s\t%.4f", labels[best], out[0].At(best))
		}
	}
	var numbers []string
	for _, t := range out {
		for i := range t.Len() {
			numbers = append(numbers, fmt.Sprintf("%.6g", t.At(i)))
		}
	}
	return strings.Join(numbers, " ")
}

func missing(file string) bool {
	_, err := os.Stat(file)
	return errors.Is(err, fs.ErrNotExist)
}

var _ runtime.Program
