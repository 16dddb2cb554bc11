package lang

import (
	"sort"
	"strings"

	"github.com/nnc-lang/nnc/ir"
)

// Builtin describes a function that is written in Go.
type Builtin struct {
	Name string
	Use  string // how it is called, such as "where(c, a, b)"
	Doc  string // what it does, one sentence
}

// Builtins lists the functions that are written in Go, by name.
func Builtins() []Builtin {
	u := newUniverse()
	var out []Builtin
	for name := range u.names {
		out = append(out, describeBuiltin(name))
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// describeBuiltin takes the description of a scalar op from its row.
func describeBuiltin(name string) Builtin {
	if d, ok := builtinDocs[name]; ok {
		return Builtin{name, d[0], d[1]}
	}
	if op, ok := ir.OpNamed(name); ok && op.Row().Class == ir.ClassScalar {
		row := op.Row()
		return Builtin{name, name + "(" + strings.Join(row.Params, ", ") + ")", row.Doc}
	}
	return Builtin{Name: name, Use: name}
}

// builtinDocs has the use and the description of the functions that are no scalar ops.
var builtinDocs = map[string][2]string{
	"sum":    {"sum(x), sum[i] e", "the sum of all elements, or of e over the range of i"},
	"mean":   {"mean(x), mean[i] e", "the mean of all elements, or of e over the range of i; mean[batch] is over the examples"},
	"prod":   {"prod(x), prod[i] e", "the product of all elements, or of e over the range of i"},
	"max":    {"max(x), max(a, b), max[i] e", "the greatest element, the greater of two, or the greatest e over the range of i"},
	"min":    {"min(x), min(a, b), min[i] e", "the least element, the lesser of two, or the least e over the range of i"},
	"argmax": {"argmax(x), argmax[i] e", "the number of the first greatest element (i32)"},
	"any":    {"any(x), any[i] e", "whether at least one truth value is true"},
	"all":    {"all(x), all[i] e", "whether all truth values are true"},

	"where":         {"where(c, a, b)", "a where c is true, else b, element by element; the side not chosen has no influence and no gradient"},
	"f32":           {"f32(x)", "x as fractions; true is 1"},
	"i32":           {"i32(x)", "x as whole numbers, rounded towards zero"},
	"stop_gradient": {"stop_gradient(x)", "x, a constant to gradients"},
	"grad":          {"grad(e, x)", "the gradient of the number e with respect to x"},
	"standardise":   {"standardise(x)", "in the map of data: a column of numbers less its mean, divided by its deviation, both of the training split"},

	"reshape":   {"reshape(x, [2, 3])", "the same elements in row-major order under another shape"},
	"elements":  {"elements(x), elements(s)", "how many elements a tensor or a shape has"},
	"shape":     {"shape(x)", "the list of a tensor's dimensions"},
	classesWord: {"classes(x)", "how many classes, words or other ids there are, of which x is one or holds some"},
	"transpose": {"transpose(x)", "a matrix with rows and columns exchanged"},
	"concat":    {"concat(a, b, …)", "tensors joined along their last dimension"},
	"split":     {"split(x, n)", "the n equal parts of the last dimension"},
	"repeat":    {"repeat(n, layer)", "the layer n times in a row; a recipe gets parameters of its own each time"},

	"zeros":   {"zeros[3, 2]", "zeros of that shape; the shape may be left out where it is known"},
	"ones":    {"ones[3, 2]", "ones of that shape; the shape may be left out where it is known"},
	"uniform": {"uniform[3, 2](low, high)", "random numbers spread evenly from low to high, by default from 0 to 1"},
	"normal":  {"normal[3, 2](mean, deviation)", "normally distributed random numbers, by default with mean 0 and standard deviation 1"},
	"randint": {"randint[3, 2](n)", "random whole numbers from 0 to n−1"},
}
