package command

import (
	"bufio"
	"bytes"
	"encoding/json"
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
	if spec, ok := pictureSpec(m); ok {
		return openPictures(std, c.Inputs, spec)
	}
	if spec, ok := soundSpec(m); ok && !slices.ContainsFunc(c.Inputs, isJSON) {
		return openRecordings(c.Inputs, m, spec)
	}
	for _, in := range c.Inputs {
		if in == stdinName {
			continue
		}
		if err := CheckFile(in); err != nil {
			return nil, err
		}
		if !isJSON(in) {
			return nil, fmt.Errorf("%s: the model %s does not take one picture: give it files that end in .json, with an example such as %s on each line", in, m.Name, sample(m))
		}
	}
	return &inputs{examples: func(yield func(*example, error) bool) {
		for _, in := range c.Inputs {
			if !readExamples(std, in, m, yield) {
				return
			}
		}
	}}, nil
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

// find lists the files that an argument names: a file, those of the kind in a folder and below, or what matches a pattern.
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
		return found, nil
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
		case slices.Contains(k.names, strings.ToLower(filepath.Ext(path))):
			found = append(found, path)
		}
		return nil
	})
	slices.Sort(found)
	return found, err
}

// readExamples reads examples of any model: a JSON object with the model's raw fields on each line. It reports whether there is more to do.
func readExamples(std *Streams, name string, m *plan.Model, yield func(*example, error) bool) bool {
	in := std.In
	if name != stdinName {
		f, err := os.Open(name)
		if err != nil {
			return yield(nil, err)
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	number := 0
	for lines.Scan() {
		number++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		e := &example{name: fmt.Sprintf("%s:%d", name, number)}
		text := bytes.Clone(lines.Bytes())
		e.load = func() ([]*tensor.Tensor, error) {
			fields, err := fieldsOf(text, m)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.name, err)
			}
			return fields, nil
		}
		if !yield(e, nil) {
			return false
		}
	}
	if err := lines.Err(); err != nil {
		return yield(nil, fmt.Errorf("%s: %w", name, err))
	}
	return true
}

// maxLine bounds one example, in bytes.
const maxLine = 256 << 20

// fieldsOf reads one example. The number of elements of a field whose length is the example's own is the field of its lengths.
func fieldsOf(text []byte, m *plan.Model) ([]*tensor.Tensor, error) {
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("not a JSON object such as %s: %w", sample(m), err)
	}
	fields := make([]*tensor.Tensor, len(m.Fields))
	lengths := map[string]int{}
	for i, f := range m.Fields {
		v, ok := values[f.Name]
		if !ok {
			continue
		}
		delete(values, f.Name)
		flat := &flattener{field: f, shape: slices.Clone(f.Shape)}
		if err := flat.add(v, 0); err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		for k := range flat.shape {
			flat.shape[k] = max(flat.shape[k], 0) // within nothing
		}
		t := tensor.New(f.DType, append([]int{1}, flat.shape...)...)
		for k, x := range flat.values {
			t.Set(k, x)
		}
		for k, n := range f.Shape {
			if n < 0 {
				lengths[plan.LengthField(f.Name)] = flat.shape[k]
			}
		}
		fields[i] = t
	}
	for i, f := range m.Fields {
		if fields[i] != nil {
			continue
		}
		n, ok := lengths[f.Name]
		if !ok {
			return nil, fmt.Errorf("field %s is missing; an example is %s", f.Name, sample(m))
		}
		fields[i] = tensor.FromI32([]int32{int32(n)}, 1)
	}
	for name := range values {
		return nil, fmt.Errorf("the model %s takes no field %s; an example is %s", m.Name, name, sample(m))
	}
	return fields, nil
}

// flattener turns nested arrays into the elements of a field.
type flattener struct {
	field  plan.Field
	shape  []int // -1 until the length is known
	values []float64
}

func (f *flattener) add(v any, depth int) error {
	if depth == len(f.shape) {
		switch v := v.(type) {
		case float64:
			if f.field.DType == tensor.I32 && (v != float64(int32(v))) {
				return fmt.Errorf("%v is no whole number", v)
			}
			f.values = append(f.values, v)
			return nil
		case bool:
			if f.field.DType == tensor.Bool {
				f.values = append(f.values, map[bool]float64{true: 1}[v])
				return nil
			}
		case string:
			if id := slices.Index(f.field.Labels, v); id >= 0 {
				f.values = append(f.values, float64(id))
				return nil
			}
			if f.field.Labels != nil {
				return fmt.Errorf("%q is not among the %d names that the program knows", v, len(f.field.Labels))
			}
		}
		return fmt.Errorf("a number is expected, not %s", shortJSON(v))
	}
	list, ok := v.([]any)
	if !ok {
		return fmt.Errorf("an array of the shape %v is expected, not %s", f.field.Shape, shortJSON(v))
	}
	if f.shape[depth] < 0 {
		f.shape[depth] = len(list)
	}
	if len(list) != f.shape[depth] {
		return fmt.Errorf("%d elements where %d are expected", len(list), f.shape[depth])
	}
	for _, x := range list {
		if err := f.add(x, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// shortJSON writes a value for a message.
func shortJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("BUG: what was read as JSON cannot be written: " + err.Error())
	}
	if len(text) > 40 {
		return string(text[:37]) + "…"
	}
	return string(text)
}

// sample is what an example of a model looks like: {"x": [0, 0, 0]}.
func sample(m *plan.Model) string {
	var parts []string
	for _, f := range m.Fields {
		if strings.HasPrefix(f.Name, plan.LengthField("")) {
			continue
		}
		value := "0"
		if len(f.Labels) > 0 {
			value = fmt.Sprintf("%q", f.Labels[0])
		}
		for _, n := range slices.Backward(f.Shape) {
			if n >= 0 && n <= 3 {
				value = "[" + strings.TrimSuffix(strings.Repeat(value+", ", n), ", ") + "]"
				continue
			}
			value = "[" + value + ", …]"
		}
		parts = append(parts, fmt.Sprintf("%q: %s", f.Name, value))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
