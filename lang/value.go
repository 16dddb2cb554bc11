package lang

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// value is what an expression means while the program is elaborated: a number known at compile time, a run-time tensor, a
// function, a recipe of a layer, … Every kind describes itself for messages.
type value interface {
	describe() string
}

// poison stands for a value whose expression was wrong. Whatever is computed from it is poison too, without a message.
type poison struct{}

// number is an untyped number that is known at compile time. It is exact, as Go's constants are, until a function such as
// sqrt has been applied to it.
type number struct {
	exact *big.Rat // nil once inexact
	float float64  // the nearest float64
}

// dimension is a number that is known only when the program runs, but is a dimension: a length, or the batch.
type dimension struct{ size ir.Affine }

type (
	boolean bool
	text    string
)

// axis is a loop index: the batch, or an index of an index expression or reduction. Its number stands for it in the index
// expressions of the values under construction; nests renumber them.
type axis struct {
	id     int
	name   string
	extent ir.Affine
	known  bool // extent is known
	span   diag.Span
	from   diag.Span // what gave it its extent
}

// array is a run-time tensor of one example: for each point of its own axes, body says what the element is. Body also uses
// the axes of what encloses it: the batch, and the indices of enclosing index expressions. An array is shared if its body does
// not use the batch axis, and per example if it does.
//
// An array is stored where its body is nothing but a read of a value of the IR, and pending otherwise.
type array struct {
	dtype tensor.DType
	shape []ir.Affine
	own   []int // the number of an axis for each dimension
	body  *ir.Expr
	part  bool // body reads only the first elements of a value's dimensions, so that the value is not the array

	name string    // what the program calls it, for messages; may be empty
	decl diag.Span // where its type was declared

	origin *plan.Origin // the output of a call that it is, see Note [Calls of a model]; nil if it is none
}

// tuple is several values, perhaps with names.
type tuple struct {
	names []string // "" where an element has none
	elems []value
}

// list is `[a, b, c]` of numbers or lists of numbers, before it meets a type.
type list struct {
	elems []value
	span  diag.Span
}

// record is `{ key: value }`, unevaluated.
type record struct{ node *syntax.Record }

// shape is a list of dimensions that a spread `...s` stands for.
type shape struct{ dims []ir.Affine }

// field is a field of a data declaration, as a type or as the count of its ids.
type field struct {
	data *dataset
	name string
}

func (poison) describe() string      { return "an expression with an error" }
func (n number) describe() string    { return "the number " + n.String() }
func (d dimension) describe() string { return "the dimension " + d.size.String() }
func (b boolean) describe() string   { return fmt.Sprint(bool(b)) }
func (t text) describe() string      { return fmt.Sprintf("the text %q", string(t)) }
func (a *axis) describe() string     { return "the index " + a.name }
func (a *array) describe() string    { return a.typ() }
func (t *tuple) describe() string    { return fmt.Sprintf("a tuple of %d values", len(t.elems)) }
func (l *list) describe() string     { return fmt.Sprintf("a list of %d values", len(l.elems)) }
func (record) describe() string      { return "a record" }
func (shape) describe() string       { return "a list of dimensions" }
func (f field) describe() string     { return "the field " + f.data.decl.Name.Name + "." + f.name }

func isPoison(vs ...value) bool {
	for _, v := range vs {
		if _, ok := v.(poison); ok || v == nil {
			return true
		}
	}
	return false
}

// ---- numbers ----

func integer(n int) number { return number{exact: big.NewRat(int64(n), 1), float: float64(n)} }

func rational(r *big.Rat) number {
	f, _ := r.Float64()
	return number{exact: r, float: f}
}

func inexact(f float64) number { return number{float: f} }

// parseNumber reads a literal, which the lexer has checked.
func parseNumber(s string) number {
	s = strings.ReplaceAll(s, "_", "")
	if len(s) < 64 { // an exponent of absurd size would make a rational of absurd size
		if r, ok := new(big.Rat).SetString(s); ok && r.Num().BitLen() < 4096 && r.Denom().BitLen() < 4096 {
			return rational(r)
		}
	}
	f, _, err := big.ParseFloat(s, 10, 64, big.ToNearestEven)
	if err != nil {
		return inexact(math.NaN())
	}
	v, _ := f.Float64()
	return inexact(v)
}

// asInt returns n as an int if it is a whole number of moderate size.
func (n number) asInt() (int, bool) {
	if n.exact != nil {
		if !n.exact.IsInt() || !n.exact.Num().IsInt64() {
			return 0, false
		}
		return int(n.exact.Num().Int64()), true
	}
	if n.float != math.Trunc(n.float) || math.Abs(n.float) > 1<<53 {
		return 0, false
	}
	return int(n.float), true
}

// String prints n as a person would write it.
func (n number) String() string {
	if n.exact != nil && n.exact.IsInt() {
		return n.exact.Num().String()
	}
	return fmt.Sprint(n.float)
}

// ---- arrays ----

// typ formats an array's type as programs write it; the batch is not part of it.
func (a *array) typ() string { return typeString(a.dtype, a.shape) }

func typeString(d tensor.DType, dims []ir.Affine) string {
	if len(dims) == 0 {
		return d.String()
	}
	s := make([]string, len(dims))
	for i, d := range dims {
		s[i] = dimString(d)
	}
	return d.String() + "[" + strings.Join(s, ", ") + "]"
}

var ownLength = regexp.MustCompile(`\bL(\w+)`)

// dimString shows a dimension as the program calls it: the symbol of an example's own length t is Lt.
func dimString(d ir.Affine) string { return ownLength.ReplaceAllString(d.String(), "$1") }

// stored returns the operand number and true if a is nothing but an element-by-element read of a value, its own axes last and
// in order.
func (a *array) stored() (int, bool) {
	if a.part || a.body.Leaf != ir.LeafRead || a.body.Read.Guarded {
		return 0, false
	}
	ix := a.body.Read.Index
	if len(ix) < len(a.own) {
		return 0, false
	}
	lead := len(ix) - len(a.own)
	for k, own := range a.own {
		if i, ok := ix[lead+k].IsLoop(); !ok || i != own {
			return 0, false
		}
	}
	for _, x := range ix[:lead] {
		if _, ok := x.IsLoop(); !ok {
			return 0, false
		}
	}
	return a.body.Read.Operand, true
}

// at returns the body with its own axes replaced by the given index expressions.
func (a *array) at(index []ir.Affine) *ir.Expr {
	replace := map[int]ir.Affine{}
	for k, own := range a.own {
		replace[own] = index[k]
	}
	return a.body.RewriteAffine(func(t ir.Atom) (ir.Affine, bool) {
		if t.Kind != ir.AtomIndex {
			return ir.Affine{}, false
		}
		x, ok := replace[t.Index]
		return x, ok
	})
}

// named returns a copy of a that messages call name.
func (a *array) named(name string, decl diag.Span) *array {
	clone := *a
	clone.name, clone.decl = name, decl
	return &clone
}

// axesOf returns the numbers of all axes that e uses.
func axesOf(e *ir.Expr) map[int]bool {
	used := map[int]bool{}
	e.RewriteAffine(func(t ir.Atom) (ir.Affine, bool) {
		if t.Kind == ir.AtomIndex {
			used[t.Index] = true
		}
		return ir.Affine{}, false
	})
	return used
}
