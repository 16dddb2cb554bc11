package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// decodeObject reads a JSON object and nothing else. Numbers stay as they are written.
func decodeObject(text string) (map[string]any, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("it is not UTF-8 text")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	if err == nil {
		rest := strings.TrimSpace(text[d.InputOffset():])
		if rest != "" {
			return nil, fmt.Errorf("behind its end stands %s", shortened(rest))
		}
		if o, ok := v.(map[string]any); ok {
			return o, nil
		}
		return nil, fmt.Errorf("it is %s", shortJSON(v))
	}
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return nil, errors.New("it ends in the middle")
	case errors.As(err, &syntax) && syntax.Offset > 0 && int(syntax.Offset) <= len(text):
		at := int(syntax.Offset) - 1
		return nil, fmt.Errorf("character %d does not belong there: %s", utf8.RuneCountInString(text[:at])+1, shortened(text[at:]))
	}
	return nil, err
}

// flattener turns nested arrays into the elements of a field.
type flattener struct {
	field  plan.Field
	encode func(string) ([]int32, error) // of a text; nil where the field is none
	shape  []int                         // -1 until the length is known
	values []float64
}

func (f *flattener) add(v any, depth int) error {
	if depth == len(f.shape) {
		x, err := f.element(v)
		f.values = append(f.values, x)
		return err
	}
	if text, ok := v.(string); ok && f.encode != nil && depth == 0 && len(f.shape) == 1 {
		ids, err := f.encode(text)
		if err != nil {
			return err
		}
		for _, id := range ids {
			f.values = append(f.values, float64(id))
		}
		return f.has(0, len(ids))
	}
	list, ok := v.([]any)
	if !ok {
		return fmt.Errorf("an array of the shape %s is expected, not %s", shapeText(f.field.Shape), shortJSON(v))
	}
	if err := f.has(depth, len(list)); err != nil {
		return err
	}
	for _, x := range list {
		if err := f.add(x, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// has takes note that there are n elements at a depth.
func (f *flattener) has(depth, n int) error {
	if f.shape[depth] < 0 {
		if n == 0 {
			return errors.New("it is empty, and must have an element at least")
		}
		f.shape[depth] = n
	}
	if n != f.shape[depth] {
		return fmt.Errorf("%d elements where %d are expected", n, f.shape[depth])
	}
	return nil
}

// element is the number that a value stands for.
func (f *flattener) element(v any) (float64, error) {
	switch v := v.(type) {
	case json.Number:
		return f.number(v.String())
	case bool:
		if f.field.DType == tensor.Bool {
			return map[bool]float64{true: 1}[v], nil
		}
	case string:
		if id := slices.Index(f.field.Labels, v); id >= 0 {
			return float64(id), nil
		}
		if f.field.Labels != nil {
			return 0, fmt.Errorf("%q is not among the %d names that the program knows", v, len(f.field.Labels))
		}
	}
	expected := "a number"
	if f.field.DType == tensor.Bool {
		expected = "true or false"
	}
	return 0, fmt.Errorf("%s is expected, not %s", expected, shortJSON(v))
}

// number reads a number of the field's type.
func (f *flattener) number(text string) (float64, error) {
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || f.field.DType == tensor.F32 && math.IsInf(float64(float32(x)), 0) {
		return 0, fmt.Errorf("%s is too large for %s", shortened(text), f.field.DType)
	}
	switch f.field.DType {
	case tensor.I32:
		if x != math.Trunc(x) {
			return 0, fmt.Errorf("%s is no whole number", shortened(text))
		}
		if x < math.MinInt32 || x > math.MaxInt32 {
			return 0, fmt.Errorf("%s is too large for i32", shortened(text))
		}
		if n := len(f.field.Labels); n > 0 && (x < 0 || x >= float64(n)) {
			return 0, fmt.Errorf("%s is no id: those of the %d names that the program knows are 0 to %d", shortened(text), n, n-1)
		}
	case tensor.Bool:
		if x != 0 && x != 1 {
			return 0, fmt.Errorf("true or false is expected, not %s", shortened(text))
		}
	}
	return x, nil
}

// shapeText writes a shape, with a point for the length that is each example's own.
func shapeText(shape []int) string {
	sizes := make([]string, len(shape))
	for i, n := range shape {
		sizes[i] = strconv.Itoa(n)
		if n < 0 {
			sizes[i] = "…"
		}
	}
	return "[" + strings.Join(sizes, ", ") + "]"
}

// shortJSON writes a value for a message.
func shortJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic("BUG: what was read as JSON cannot be written: " + err.Error())
	}
	return shortened(string(text))
}

// shortened cuts a text for a message.
func shortened(text string) string {
	const most = 40
	if r := []rune(text[:min(len(text), 8*most)]); len(r) > most {
		return string(r[:most-3]) + "…"
	}
	return text
}
