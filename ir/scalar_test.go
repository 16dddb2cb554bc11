package ir

import (
	"testing"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Every row of a scalar op is complete, and its texts parse and have the types that the signature promises.
func TestRows(t *testing.T) {
	Ops(func(o Op) {
		row := o.Row()
		if row.Name == "" || row.Doc == "" {
			t.Errorf("op %d lacks a name or doc", o)
		}
		if back, ok := OpNamed(row.Name); !ok || back != o {
			t.Errorf("%s: OpNamed finds %v", row.Name, back)
		}
		if row.Class != ClassScalar {
			return
		}
		if row.Sig == "" || len(row.Grad) != len(row.Params) {
			t.Errorf("%s: signature %q, %d parameters, %d gradients", o, row.Sig, len(row.Params), len(row.Grad))
		}
		if (row.Expr == "") == (row.Eval == nil) {
			t.Errorf("%s: either Expr or Eval must be there", o)
		}
		if _, _, err := o.parseRow(); err != nil {
			t.Errorf("%s: %v", o, err)
		}
	})
}

func TestExpandAndGradOf(t *testing.T) {
	x, y := ReadOf(tensor.F32, 0, Loop(0)), ReadOf(tensor.F32, 1, Loop(0))
	n := ReadOf(tensor.I32, 2)
	z, dz := ReadOf(tensor.F32, 3), ReadOf(tensor.F32, 4)
	c := Apply(OpLess, x, y)
	for _, test := range []struct {
		got  *Expr
		want string
	}{
		{OpRelu.Expand([]*Expr{x}), "max(%0[$0], 0)"},
		{OpSigmoid.Expand([]*Expr{y}), "div(1, add(1, exp(neg(%1[$0]))))"},
		{OpAdd.Expand([]*Expr{x, y}), ""},
		{OpMul.GradOf(0, []*Expr{x, y}, z, dz), "mul(%4[], %1[$0])"},
		{OpDiv.GradOf(1, []*Expr{x, y}, z, dz), "neg(div(mul(%4[], %3[]), %1[$0]))"},
		{OpFloor.GradOf(0, []*Expr{x}, z, dz), ""},
		{OpAdd.GradOf(0, []*Expr{n, n}, n, n), ""},
		{OpSelect.GradOf(1, []*Expr{c, x, y}, z, dz), "select(less(%0[$0], %1[$0]), %4[], 0)"},
		{OpSelect.GradOf(1, []*Expr{c, n, n}, n, n), ""},
	} {
		got := ""
		if test.got != nil {
			got = test.got.String()
		}
		if got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
	key := OpNormal.Expand([]*Expr{n, n, n, n})
	key.Walk(func(e *Expr) {
		if e.Op == OpAdd && (e.DType != tensor.I32 || e.Args[1].DType != tensor.I32) {
			t.Errorf("%v is %v, want i32 throughout", e, e.DType)
		}
	})
}

func TestParseScalarErrors(t *testing.T) {
	params := map[string]*Expr{"a": ReadOf(tensor.F32, 0), "n": ReadOf(tensor.I32, 1)}
	for text, want := range map[string]string{
		"":                 `expected an expression, found ""`,
		"b":                "b is not defined",
		"frob(a)":          "there is no scalar op frob",
		"nest(a)":          "there is no scalar op nest",
		"add(a)":           "add takes 2 operands, not 1",
		"add(a, n)":        "add takes (T, T) -> T, not i32 as operand 2",
		"add(n, 1.5)":      "add takes (T, T) -> T, not f32 as operand 2",
		"add(a, 1":         "expected ) after the operands of add",
		"a a":              `unexpected "a" after the expression`,
		"add(a, 1e999)":    "1e999 is too large",
		"-a":               `expected an expression, found "a"`,
		"select(a, a, a)":  "select takes (bool, A, A) -> A, not f32 as operand 1",
		"add(a, \x00)":     `'\x00' has no meaning here`,
		"add(a, \"no end)": `the string has no closing "`,
	} {
		_, err := ParseScalar(text, params)
		if err == nil || err.Error() != want {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}
