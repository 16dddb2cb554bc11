package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/data"
)

// stdinName stands for standard input on the command line.
const stdinName = "-"

// inputs are what a model is to predict.
type inputs struct {
	width    int // of the longest name, in characters; 0 where it is not known before
	examples iter.Seq2[*example, error]
}

// example is one of the inputs: its name for people, and the model's raw fields.
type example struct {
	name   string
	load   func() ([]*tensor.Tensor, error) // errors name the example
	fields []*tensor.Tensor
	rate   int // of a recording, in samples a second
}

// open finds the inputs that the arguments name.
func (c *Predict) open(std *Streams, m *plan.Model) (*inputs, error) {
	if spec, ok := pictureSpec(m); ok && !slices.ContainsFunc(c.Inputs, func(in string) bool { return in != stdinName && isJSON(in) }) {
		if m.Data == nil {
			fmt.Fprintf(std.Err, "note: the program's data holds no pictures: %s gets their pixels as numbers from 0 to 255\n", m.Name)
		}
		return openPictures(std, c.Inputs, spec)
	}
	if spec, ok := soundSpec(m); ok && !slices.ContainsFunc(c.Inputs, isJSON) {
		return openRecordings(c.Inputs, m, spec)
	}
	return newReader(m).open(std, c.Inputs)
}

// isJSON reports whether an argument names examples as JSON.
func isJSON(name string) bool {
	return name == stdinName || slices.Contains([]string{".json", ".jsonl"}, filepath.Ext(name))
}

// pictureSpec says how pictures become the input of a model that takes one picture.
func pictureSpec(m *plan.Model) (data.ImageSpec, bool) {
	if len(m.Fields) != 1 || len(m.Fields[0].Shape) != 3 || m.Fields[0].DType != tensor.F32 || !slices.Contains([]int{1, 3}, m.Fields[0].Shape[2]) {
		return data.ImageSpec{}, false
	}
	s := m.Fields[0].Shape
	spec := data.ImageSpec{Height: s[0], Width: s[1], Channels: s[2]}
	if m.Data != nil && m.Data.Source.ImageFolder != nil {
		spec.Resize = data.Resize(m.Data.Source.ImageFolder.Resize)
		spec.Orientation = data.Orientation(m.Data.Source.ImageFolder.Orientation)
	}
	return spec, true
}

func openPictures(std *Streams, names []string, spec data.ImageSpec) (*inputs, error) {
	in := &inputs{}
	var list []*example
	add := func(e *example) {
		list = append(list, e)
		in.width = max(in.width, utf8.RuneCountInString(e.name))
	}
	addFile := func(file string) {
		add(&example{name: file, load: func() ([]*tensor.Tensor, error) {
			t, err := data.LoadImage(file, spec)
			return []*tensor.Tensor{t}, err
		}})
	}
	for _, name := range names {
		if name != stdinName {
			files, err := pictures.find(name)
			if err != nil {
				return nil, err
			}
			for _, file := range files {
				addFile(file)
			}
			continue
		}
		content, err := io.ReadAll(io.LimitReader(std.In, maxStdin+1))
		switch {
		case err != nil:
			return nil, fmt.Errorf("standard input: %w", err)
		case len(content) > maxStdin:
			return nil, fmt.Errorf("standard input has more than %d MiB", maxStdin>>20)
		case len(content) == 0:
			return nil, errNothing
		case !data.IsImage(content) && utf8.Valid(content): // names of files
			for file := range strings.Lines(string(content)) {
				if file = strings.TrimRight(file, "\r\n"); file != "" {
					addFile(file)
				}
			}
			continue
		}
		add(&example{name: stdinName, load: func() ([]*tensor.Tensor, error) {
			t, err := data.DecodeImage(content, spec)
			if err != nil {
				return nil, fmt.Errorf("standard input: %w", err)
			}
			return []*tensor.Tensor{t}, nil
		}})
	}
	in.examples = func(yield func(*example, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
	return in, nil
}

// errNothing tells that whatever was to write to standard input has not done so.
var errNothing = errors.New("standard input is empty: neither a picture nor names of pictures, nor other examples")

// maxStdin bounds a picture on standard input, in bytes.
const maxStdin = 512 << 20

// kind is a kind of files.
type kind struct {
	plural string
	names  []string // how their names end
}

var (
	pictures   = kind{"pictures", []string{".jpg", ".jpeg", ".png", ".gif", ".bmp"}}
	recordings = kind{"recordings", []string{".wav"}}
)

// has reports whether a file is named like one of the kind.
func (k kind) has(name string) bool {
	return slices.Contains(k.names, strings.ToLower(filepath.Ext(name)))
}

// find lists the files that an argument names: a file, those of the kind in a folder and below, or all of these of what matches a pattern.
func (k kind) find(name string) ([]string, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(name, "*?["):
		found, err := filepath.Glob(name)
		if err != nil {
			return nil, Misuse("%s is no pattern: %w", name, err)
		}
		if len(found) == 0 {
			return nil, Misuse("nothing matches %s", name)
		}
		var files []string
		for _, match := range found {
			below, err := k.find(match)
			if err != nil {
				return nil, err
			}
			files = append(files, below...)
		}
		return files, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, Misuse("there is no file or folder %s", name)
	case err != nil:
		return nil, Misuse("cannot read %s: %w", name, withoutPath(err))
	case !info.IsDir():
		return []string{name}, nil
	}
	found, err := k.below(name)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("the folder %s holds no %s (files that end in %s)", name, k.plural, strings.Join(k.names, ", "))
	}
	return found, nil
}

// below finds the files of the kind in a folder and below, sorted by path. Hidden ones are passed over.
func (k kind) below(folder string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(d.Name(), ".") && path != folder && d.IsDir():
			return filepath.SkipDir
		case d.IsDir(), strings.HasPrefix(d.Name(), "."):
		case k.has(path):
			found = append(found, path)
		}
		return nil
	})
	slices.Sort(found)
	return found, err
}
