package command

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/train"
)

// reader reads the examples of a model that takes neither one picture nor one recording: JSON, rows of the tables that it was trained on, texts.
type reader struct {
	model *plan.Model
	table *data.CSVConfig                          // nil where the model does not take what tables have
	texts map[string]func(string) ([]int32, error) // by field: how a text becomes ids
	lines bool                                     // each line of a text is an example; otherwise a whole text is
}

func newReader(m *plan.Model) *reader {
	r := &reader{model: m, texts: map[string]func(string) ([]int32, error){}}
	if m.Data == nil {
		return r
	}
	if s := m.Data.Source.Text; s != nil {
		for _, f := range m.Fields {
			r.texts[f.Name] = data.NewVocabulary(data.Unit(s.Unit), f.Labels).Encode
		}
	}
	if s := m.Data.Source.CSV; s != nil {
		r.lines = true
		r.table = &data.CSVConfig{NoHeader: s.NoHeader, Missing: data.Missing(s.Missing), Fill: s.Fill}
		for _, c := range s.Separator {
			r.table.Separator = c
		}
		for _, f := range m.Fields {
			k := slices.IndexFunc(s.Columns, func(c plan.Column) bool { return c.Field == f.Name })
			if k < 0 { // lengths
				continue
			}
			c := train.ColumnOf(s.Columns[k], f)
			r.table.Columns = append(r.table.Columns, c)
			if c.Kind == data.Words && c.Names != nil {
				r.texts[f.Name] = func(text string) ([]int32, error) { return c.Encode(text), nil }
			}
		}
	}
	return r
}

// text lists the fields of a model that takes nothing but a text, several where they are made of the same column; nil for another model.
func (r *reader) text() []string {
	var names, column []string
	for _, f := range r.model.Fields {
		if strings.HasPrefix(f.Name, plan.LengthField("")) {
			continue
		}
		from := []string{f.Name}
		if r.table != nil {
			if k := slices.IndexFunc(r.table.Columns, func(c data.Column) bool { return c.Field == f.Name }); k >= 0 && r.table.Columns[k].From != nil {
				from = r.table.Columns[k].From
			}
		}
		if r.texts[f.Name] == nil || names != nil && !slices.Equal(from, column) {
			return nil
		}
		names, column = append(names, f.Name), from
	}
	return names
}

// kind is the kind of files that hold examples.
func (r *reader) kind() kind {
	k := kind{"files of examples", []string{".json", ".jsonl"}}
	if r.table != nil {
		k.names = append(k.names, ".csv", ".tsv")
	}
	if r.text() != nil {
		k.names = append(k.names, ".txt")
	}
	return k
}

// open finds the examples that the arguments name.
func (r *reader) open(std *Streams, names []string) (*inputs, error) {
	k := r.kind()
	var files []string
	texts := map[int]bool{} // those of files that are no files, but texts
	width := 0
	for _, name := range names {
		if name == stdinName {
			files = append(files, name)
			continue
		}
		if r.text() != nil && isText(name, k) {
			texts[len(files)] = true
			files = append(files, name)
			width = max(width, utf8.RuneCountInString(name))
			continue
		}
		found, err := k.find(name)
		if err != nil {
			return nil, err
		}
		for _, file := range found {
			if !k.has(file) {
				return nil, fmt.Errorf("%s: the model %s does not take one picture: give it %s", file, r.model.Name, r.wanted())
			}
		}
		files = append(files, found...)
	}
	if len(texts) < len(files) {
		width = 0
	}
	return &inputs{width: width, examples: func(yield func(*example, error) bool) {
		for i, file := range files {
			if texts[i] {
				if !yield(r.ofText(file, r.text(), file), nil) {
					return
				}
			} else if !r.read(std, file, yield) {
				return
			}
		}
	}}, nil
}

// isText tells a text on the command line from the name of a file, a folder or a pattern of them: nothing of that name is there, it does not end
// as the files of the kind do, and it is no path.
func isText(name string, k kind) bool {
	if _, err := os.Lstat(name); err == nil || k.has(name) || strings.Contains(name, "/") && !strings.Contains(name, " ") {
		return false
	}
	found, err := filepath.Glob(name)
	return err != nil || len(found) == 0
}

// wanted says what files a model takes.
func (r *reader) wanted() string {
	text := "files that end in .json, with an example such as " + sample(r.model) + " on each line"
	if r.table != nil {
		var columns []string
		for _, c := range r.table.Columns {
			if c.From == nil {
				c.From = []string{c.Field}
			}
			columns = append(columns, c.From...)
		}
		const most = 12
		list := strings.Join(columns[:min(most, len(columns))], ", ")
		if len(columns) > most {
			list += fmt.Sprintf(" and %d more", len(columns)-most)
		}
		text += ", or in .csv, with the columns " + list
	}
	if r.text() != nil {
		if r.lines {
			return text + ", or in .txt, with a text on each line, or a text itself, in quotes"
		}
		return text + ", or in .txt, with a text, or a text itself, in quotes"
	}
	return text
}

// read reads the examples of a file, and reports whether there is more to do.
func (r *reader) read(std *Streams, name string, yield func(*example, error) bool) bool {
	if name == stdinName {
		return r.readStdin(std.In, yield)
	}
	f, err := os.Open(name)
	if err != nil {
		return yield(nil, err)
	}
	defer f.Close()
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv", ".tsv":
		return r.rows(name, f, yield)
	case ".txt":
		return r.readTexts(name, f, yield)
	}
	return r.objects(name, f, yield)
}

// readStdin tells by its beginning what standard input is.
func (r *reader) readStdin(in io.Reader, yield func(*example, error) bool) bool {
	b := bufio.NewReader(in)
	first, _ := b.ReadSlice('\n') // what stands in the way of reading shows below
	begin := bytes.TrimSpace(first)
	in = io.MultiReader(bytes.NewReader(bytes.Clone(first)), b)
	switch {
	case len(first) == 0:
		return yield(nil, errNothing)
	case len(begin) == 0 || begin[0] == '{' || r.table == nil && r.text() == nil:
		return r.objects(stdinName, in, yield)
	case r.text() != nil && (r.table == nil || !r.heads(string(begin))):
		return r.readTexts(stdinName, in, yield)
	}
	content, err := io.ReadAll(io.LimitReader(in, maxStdin+1))
	switch {
	case err != nil:
		return yield(nil, fmt.Errorf("standard input: %w", err))
	case len(content) > maxStdin:
		return yield(nil, fmt.Errorf("standard input has more than %d MiB", maxStdin>>20))
	}
	return r.rows(stdinName, bytes.NewReader(content), yield)
}

// heads reports whether a line is the first of a table with a header that has the model's columns.
func (r *reader) heads(line string) bool {
	_, err := data.Table(stdinName, "", strings.NewReader(line+"\n"), *r.table)
	return !r.table.NoHeader && errors.Is(err, data.ErrNoRows)
}

// rows reads the rows of a table.
func (r *reader) rows(name string, content io.ReadSeeker, yield func(*example, error) bool) bool {
	cfg := *r.table
	if strings.ToLower(filepath.Ext(name)) == ".tsv" {
		cfg.Separator = '\t'
	}
	for _, c := range cfg.Columns {
		if c.Names == nil && slices.Contains([]data.ColumnKind{data.Class, data.ID, data.Words}, c.Kind) || c.From == nil && c.Kind == data.Rest {
			return yield(nil, fmt.Errorf("%s: what stands for %s is known from the training data only, which could not be opened: give examples as JSON", name, c.Field))
		}
	}
	table, err := data.Table(filepath.Base(name), filepath.Dir(name), content, cfg)
	if err != nil {
		return yield(nil, inFolder(name, err))
	}
	for _, note := range table.Notes[1:] { // rows that are left out
		if !yield(nil, warning(name+": "+note)) {
			return false
		}
	}
	src := table.Test
	for i := range src.Len() {
		e := &example{name: src.Name(i)}
		if name != stdinName {
			e.name = filepath.Join(filepath.Dir(name), e.name)
		}
		e.load = func() ([]*tensor.Tensor, error) {
			batch := data.NewBatchOf(src, i)
			if err := src.At(i, batch, 0); err != nil {
				return nil, inFolder(name, err)
			}
			return r.arranged(src, batch)
		}
		if !yield(e, nil) {
			return false
		}
	}
	return true
}

// inFolder completes an error that begins with the name of a file without its folder.
func inFolder(name string, err error) error {
	if folder := filepath.Dir(name); folder != "." {
		return fmt.Errorf("%s%c%w", folder, filepath.Separator, err)
	}
	return err
}

// warning is what is told of inputs and no error.
type warning string

// Error is the text.
func (w warning) Error() string { return string(w) }

// arranged puts the fields of a source into the model's order.
func (r *reader) arranged(src data.Source, batch []*tensor.Tensor) ([]*tensor.Tensor, error) {
	fields := make([]*tensor.Tensor, len(r.model.Fields))
	for i, f := range r.model.Fields {
		k := slices.IndexFunc(src.Fields(), func(s data.Field) bool { return s.Name == f.Name })
		if k < 0 {
			return nil, fmt.Errorf("a table has no field %s", f.Name)
		}
		for d, n := range f.Shape {
			if n >= 0 && batch[k].Shape[d+1] != n {
				return nil, fmt.Errorf("field %s has %d elements in the table where %d are expected", f.Name, batch[k].Shape[d+1], n)
			}
		}
		fields[i] = batch[k]
	}
	return fields, nil
}

// readTexts reads texts: one on each line, or one.
func (r *reader) readTexts(name string, in io.Reader, yield func(*example, error) bool) bool {
	fields := r.text()
	if r.lines {
		return eachLine(name, in, func(line string, number int) bool {
			if strings.TrimSpace(line) == "" {
				return true
			}
			return yield(r.ofText(fmt.Sprintf("%s:%d", name, number), fields, line), nil)
		}, yield)
	}
	content, err := io.ReadAll(io.LimitReader(in, maxLine+1))
	switch {
	case err != nil:
		return yield(nil, fmt.Errorf("%s: %w", name, withoutPath(err)))
	case len(content) > maxLine:
		return yield(nil, fmt.Errorf("%s has more than %d MiB", name, maxLine>>20))
	}
	return yield(r.ofText(name, fields, strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")), nil)
}

// ofText is the example that is a text.
func (r *reader) ofText(name string, names []string, text string) *example {
	return &example{name: name, load: func() ([]*tensor.Tensor, error) {
		values := map[string]any{}
		for _, field := range names {
			values[field] = text
		}
		fields, err := r.fields(values)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return fields, nil
	}}
}

// objects reads a JSON object with the model's raw fields on each line.
func (r *reader) objects(name string, in io.Reader, yield func(*example, error) bool) bool {
	return eachLine(name, in, func(line string, number int) bool {
		if strings.TrimSpace(line) == "" {
			return true
		}
		name := fmt.Sprintf("%s:%d", name, number)
		return yield(&example{name: name, load: func() ([]*tensor.Tensor, error) {
			values, err := decodeObject(line)
			if err != nil {
				return nil, fmt.Errorf("%s: not a JSON object such as %s: %w", name, sample(r.model), err)
			}
			fields, err := r.fields(values)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return fields, nil
		}}, nil)
	}, yield)
}

// eachLine calls do for the lines of a text until it says that there is nothing more to do, and reports whether there is.
func eachLine(name string, in io.Reader, do func(line string, number int) bool, yield func(*example, error) bool) bool {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	number := 0
	for lines.Scan() {
		number++
		if !do(strings.TrimPrefix(lines.Text(), "\ufeff"), number) {
			return false
		}
	}
	switch err := lines.Err(); {
	case err == nil:
		return true
	case errors.Is(err, bufio.ErrTooLong):
		return yield(nil, fmt.Errorf("%s:%d: the line has more than %d MiB", name, number+1, maxLine>>20))
	default:
		return yield(nil, fmt.Errorf("%s: %w", name, withoutPath(err)))
	}
}

// maxLine bounds one example, in bytes.
const maxLine = 256 << 20

// fields makes one example of its raw fields' values as JSON has them. The number of elements of a field whose length is the example's own is the field
// of its lengths.
func (r *reader) fields(values map[string]any) ([]*tensor.Tensor, error) {
	m := r.model
	fields := make([]*tensor.Tensor, len(m.Fields))
	lengths := map[string]int{}
	for i, f := range m.Fields {
		v, ok := values[f.Name]
		if !ok {
			continue
		}
		delete(values, f.Name)
		flat := &flattener{field: f, encode: r.texts[f.Name], shape: slices.Clone(f.Shape)}
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

// sample is what an example of a model looks like: {"x": [0, 0, 0]}.
func sample(m *plan.Model) string {
	var parts []string
	for _, f := range m.Fields {
		if strings.HasPrefix(f.Name, plan.LengthField("")) {
			continue
		}
		value := "0"
		if f.DType == tensor.Bool {
			value = "false"
		}
		if len(f.Labels) > 0 {
			value = strconv.Quote(f.Labels[0])
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
