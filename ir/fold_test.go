package ir

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/nnc-lang/nnc/ir/tensor"
)

func TestFold(t *testing.T) {
	params := map[string]*Expr{
		"x": ReadOf(tensor.F32, 0), "n": ReadOf(tensor.I32, 1), "c": ReadOf(tensor.Bool, 2),
		"yes": Const(tensor.Bool, 1), "no": Const(tensor.Bool, 0),
		"one": Const(tensor.I32, 1), "big": Const(tensor.I32, math.MaxInt32), "least": Const(tensor.I32, math.MinInt32),
		"inf": F32(math.Inf(1)),
	}
	for text, want := range map[string]string{
		"add(1, 2)":                         "3",
		"mul(add(1, 1), x)":                 "mul(2, %0[])",
		"mul(x, 1)":                         "%0[]",
		"mul(1, x)":                         "%0[]",
		"mul(0, x)":                         "mul(0, %0[])",
		"add(x, 0)":                         "add(%0[], 0)",
		"add(x, -0)":                        "%0[]",
		"sub(x, 0)":                         "%0[]",
		"sub(x, -0)":                        "sub(%0[], -0)",
		"div(x, 1)":                         "%0[]",
		"pow(x, 1)":                         "%0[]",
		"neg(neg(x))":                       "%0[]",
		"max(x, x)":                         "%0[]",
		"equal(x, x)":                       "equal(%0[], %0[])",
		"select(yes, x, 2)":                 "%0[]",
		"select(no, x, 2)":                  "2",
		"select(less(1, 2), x, exp(x))":     "%0[]",
		"select(c, x, x)":                   "%0[]",
		"and(c, yes)":                       "%2[]",
		"and(no, c)":                        "0",
		"or(no, c)":                         "%2[]",
		"or(c, yes)":                        "1",
		"not(not(c))":                       "%2[]",
		"add(big, one)":                     "-2.147483648e+09",
		"neg(least)":                        "-2.147483648e+09",
		"abs(least)":                        "-2.147483648e+09",
		"div(least, -1)":                    "-2.147483648e+09",
		"mul(big, big)":                     "1",
		"div(one, 0)":                       "0",
		"mod(one, 0)":                       "0",
		"div(-7, add(one, one))":            "-4",
		"mod(-7, add(one, one))":            "1",
		"add(n, 0)":                         "%1[]",
		"to_f32(add(one, one))":             "2",
		"to_i32(2.75)":                      "2",
		"to_i32(n)":                         "%1[]",
		"sigmoid(0)":                        "0.5",
		"relu(-3)":                          "0",
		"square(3)":                         "9",
		"exp(1000)":                         "+Inf",
		"exp(100)":                          "exp(100)", // overflows in f32 only
		"exp(-200)":                         "exp(-200)",
		"less(1, add(1, 1e-12))":            "less(1, 1.000000000001)", // true in f64 only
		"sub(add(1, 1e-12), 1)":             "sub(1.000000000001, 1)",
		"log(-1)":                           "NaN",
		"min(inf, 2)":                       "2",
		"stop(2)":                           "2",
		"uniform(0, 0, 0, 0)":               "0.3990464210510254", // 0x6627e8 / 2^24
		"normal(n, n, n, add(one, 1))":      "normal(%1[], %1[], %1[], 2)",
		"add(mul(2, 3), mul(x, add(0, 1)))": "add(6, %0[])",
	} {
		e, err := ParseScalar(text, params)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := Fold(e).String(); got != want {
			t.Errorf("%s folds to %s, want %s", text, got, want)
		}
	}
}

// Folding changes no value, whatever the operand: not-a-number, infinity and negative zero included.
func TestFoldKeepsValues(t *testing.T) {
	values := []float64{0, math.Copysign(0, -1), 1, -1, 2, 0.5, -3.25, math.Inf(1), math.Inf(-1), math.NaN()}
	rapid.Check(t, func(t *rapid.T) {
		e := drawExpr(t, tensor.F32, 4, func(t *rapid.T, d tensor.DType) *Expr {
			switch {
			case d == tensor.Bool:
				return Const(d, float64(rapid.IntRange(0, 1).Draw(t, "bool")))
			case d == tensor.I32:
				return Const(d, float64(rapid.IntRange(-4, 4).Draw(t, "int")))
			case rapid.Bool().Draw(t, "read"):
				return ReadOf(d, rapid.IntRange(0, 1).Draw(t, "operand"))
			}
			return F32(rapid.SampledFrom(values).Draw(t, "literal"))
		})
		folded := Fold(e)
		for _, x := range values {
			for _, y := range values {
				want, got := evalExpr(e, []float64{x, y}), evalExpr(folded, []float64{x, y})
				if want != got && (want == want || got == got) || want == 0 && math.Signbit(want) != math.Signbit(got) {
					t.Fatalf("%v folds to %v: %v, want %v", e, folded, got, want)
				}
			}
		}
	})
}

// drawExpr draws an expression of type d with leaves from leaf. Ops on i32 that wrap around or divide are left out.
func drawExpr(t *rapid.T, d tensor.DType, depth int, leaf func(*rapid.T, tensor.DType) *Expr) *Expr {
	if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
		return leaf(t, d)
	}
	var fit []Op
	Ops(func(o Op) {
		if o.Row().Class != ClassScalar {
			return
		}
		want, result := o.Row().signature()
		fixed, _ := tensor.ParseDType(result)
		whole := d == tensor.I32 && want[0] == "T" && o != OpMin && o != OpMax
		if (result == "A" || result == "T" && d != tensor.Bool || fixed == d) && !whole {
			fit = append(fit, o)
		}
	})
	op := rapid.SampledFrom(fit).Draw(t, "op")
	want, result := op.Row().signature()
	common := d
	if result != "T" && result != "A" {
		common = rapid.SampledFrom([]tensor.DType{tensor.F32, tensor.I32}).Draw(t, "type")
	}
	args := make([]*Expr, len(want))
	for i, w := range want {
		k := common
		if fixed, ok := tensor.ParseDType(w); ok {
			k = fixed
		}
		args[i] = drawExpr(t, k, depth-1, leaf)
	}
	return Apply(op, args...)
}
