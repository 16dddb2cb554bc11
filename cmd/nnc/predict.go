package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/data"
)

// predictCmd says what a trained program makes of pictures.
type predictCmd struct {
	source
	engine
	Inputs  []string `arg:"" help:"Pictures, or folders of pictures." name:"picture"`
	Weights string   `help:"The trained weights; the file that the program saves, if it is left out." placeholder:"FILE"`
	Model   string   `help:"Which model, where the program has several." placeholder:"NAME"`
	JSON    bool     `name:"json" help:"Print a line of JSON for each picture."`
}

// Help shows how the command is used.
func (predictCmd) Help() string {
	return `Prints a line for each picture: its file, the class and the probability of that class. A file that is no picture is named, the others are done, and the exit code is 1; in a folder, what is not named like a picture is passed over.

    nnc predict catdog.nn photo.jpg
    nnc predict catdog.nn --weights model.h5 photos`
}

// Run carries out the command.
func (c *predictCmd) Run(std *streams) error {
	files, err := pictures(c.Inputs)
	if err != nil {
		return err
	}
	l, err := c.load(std, wantsData)
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
	prog, err := l.trained(c.Weights, c.engine)
	if err != nil {
		return err
	}
	if m.Data != nil && m.Labels == nil && len(l.missing) > 0 {
		fmt.Fprintf(std.err, "note: the names of the classes are not known: %s\n", l.missing[0])
	}
	width := 0
	for _, file := range files {
		width = max(width, utf8.RuneCountInString(file))
	}
	failed := false
	for _, file := range files {
		image, err := data.LoadImage(file, spec)
		if err != nil {
			fmt.Fprintf(std.err, "error: %s\n", err)
			failed = true
			continue
		}
		out, err := prog.Call(m.Predict, image)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		v := verdictOf(m, out)
		if c.JSON {
			if err := writeJSON(std.out, v.json(file)); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(std.out, "%-*s  %s\n", width, file, v.text(m.Labels))
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
		return nil, misuse("%s has several models: choose one with --model: %s", p.File, strings.Join(names, ", "))
	}
	return nil, misuse("%s has no model %s; it has %s", p.File, name, strings.Join(names, ", "))
}

// pictureSpec says how pictures become the input of a model that takes one picture.
func pictureSpec(m *plan.Model) (data.ImageSpec, error) {
	if len(m.Fields) != 1 || len(m.Fields[0].Shape) != 3 || m.Fields[0].DType != tensor.F32 || !slices.Contains([]int{1, 3}, m.Fields[0].Shape[2]) {
		var takes []string
		for _, f := range m.Fields {
			takes = append(takes, fmt.Sprintf("%s: %s%v", f.Name, f.DType, f.Shape))
		}
		return data.ImageSpec{}, fmt.Errorf("the model %s does not take one picture, which is all that predict can give: it takes %s", m.Name, strings.Join(takes, ", "))
	}
	s := m.Fields[0].Shape
	spec := data.ImageSpec{Height: s[0], Width: s[1], Channels: s[2]}
	if m.Data != nil && m.Data.Source.ImageFolder != nil {
		spec.Resize = data.Resize(m.Data.Source.ImageFolder.Resize)
		spec.Orientation = data.Orientation(m.Data.Source.ImageFolder.Orientation)
	}
	return spec, nil
}

// pictures lists the files that the arguments name; a folder stands for the files in it and below that are named like pictures.
func pictures(inputs []string) ([]string, error) {
	var files []string
	for _, in := range inputs {
		info, err := os.Stat(in)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, misuse("there is no file or folder %s", in)
		case err != nil:
			return nil, misuse("cannot read %s: %w", in, withoutPath(err))
		case !info.IsDir():
			files = append(files, in)
			continue
		}
		found, err := picturesBelow(in)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("the folder %s holds no pictures (files that end in %s)", in, strings.Join(pictureNames, ", "))
		}
		files = append(files, found...)
	}
	return files, nil
}

var pictureNames = []string{".jpg", ".jpeg", ".png", ".gif", ".bmp"}

// picturesBelow finds the pictures in a folder and below, sorted by path. Hidden ones are passed over.
func picturesBelow(folder string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(d.Name(), ".") && path != folder && d.IsDir():
			return filepath.SkipDir
		case d.IsDir(), strings.HasPrefix(d.Name(), "."):
		case slices.Contains(pictureNames, strings.ToLower(filepath.Ext(path))):
			found = append(found, path)
		}
		return nil
	})
	slices.Sort(found)
	return found, err
}
