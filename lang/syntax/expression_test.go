package syntax

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
)

// grouped writes an expression with parentheses around every operation.
func grouped(x Expr) string {
	switch x := x.(type) {
	case *Binary:
		return "(" + grouped(x.X) + " " + x.Op + " " + grouped(x.Y) + ")"
	case *Pipe:
		return "(" + grouped(x.X) + " |> " + grouped(x.F) + ")"
	case *Unary:
		return "(" + x.Op + " " + grouped(x.X) + ")"
	case *Reduce:
		return "(" + x.Op.Name + "[" + bindersText(x.Binders) + "] " + grouped(x.Body) + ")"
	case *Lambda:
		return "([" + bindersText(x.Binders) + "] => " + grouped(x.Body) + ")"
	case *Index:
		var indices []string
		for _, i := range x.Indices {
			indices = append(indices, grouped(i))
		}
		text := grouped(x.X) + "[" + strings.Join(indices, ", ") + "]"
		if x.Else != nil {
			return "(" + text + " else " + grouped(x.Else) + ")"
		}
		return text
	case *Call:
		var args []string
		for _, a := range x.Args {
			args = append(args, grouped(a.Value))
		}
		return grouped(x.Fn) + "(" + strings.Join(args, ", ") + ")"
	case *Field:
		return grouped(x.X) + "." + x.Name.Name
	case *Paren:
		return grouped(x.X)
	case *Ellipsis:
		return "..."
	case *Name:
		return x.Name
	case *Number:
		return x.Text
	}
	return fmt.Sprintf("%T", x)
}

func bindersText(binders []*Binder) string {
	var parts []string
	for _, b := range binders {
		text := ""
		if b.Spread {
			text = "..."
		}
		if b.Name != nil {
			text += b.Name.Name
		}
		if b.Bound != nil {
			text += " < " + grouped(b.Bound)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func TestPrecedence(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"sum[i] x[i]*w[i] + b", "((sum[i] (x[i] * w[i])) + b)"},
		{"2 * sum[i] a[i]*b[i] + c", "((2 * (sum[i] (a[i] * b[i]))) + c)"},
		{"-sum[i] x[i]*y[i]", "(- (sum[i] (x[i] * y[i])))"},
		{"mean[batch, ...s] (x - m)^2", "(mean[batch, ...s] ((x - m) ^ 2))"},
		{"x[..., k] / sqrt(mean[m] x[..., m]^2 + eps) * s[k]", "((x[..., k] / sqrt(((mean[m] (x[..., m] ^ 2)) + eps))) * s[k])"},
		{"-x^2", "(- (x ^ 2))"},
		{"2^-x*y", "((2 ^ (- x)) * y)"},
		{"a^b^c", "(a ^ (b ^ c))"},
		{"a - b - c", "((a - b) - c)"},
		{"a / b * c % d @ e", "((((a / b) * c) % d) @ e)"},
		{"a + b |> f |> g(1)", "(((a + b) |> f) |> g(1))"},
		{"not a == b and c or d", "(((not (a == b)) and c) or d)"},
		{"a < b + 1 and b >= c", "((a < (b + 1)) and (b >= c))"},
		{"[i, j < n - 1] => x[i] |> f", "([i, j < (n - 1)] => (x[i] |> f))"},
		{"[i] => [j] => a[i, j]", "([i] => ([j] => a[i, j]))"},
		{"x[i-1] else 0 + y", "((x[(i - 1)] else 0) + y)"},
		{"x[i] else -inf * y", "((x[i] else (- inf)) * y)"},
		{"uniform[4](-1, 1)", "uniform[4]((- 1), 1)"},
		{"uniform[] < 0.5", "(uniform[] < 0.5)"},
		{"sum(x) * max(a, b).c[0]", "(sum(x) * max(a, b).c[0])"},
		{"-a.b", "(- a.b)"},
		{"a * -b * c", "((a * (- b)) * c)"},
		{"sum[i] sum[j] x[i, j] * 2 - 1", "((sum[i] (sum[j] (x[i, j] * 2))) - 1)"},
	} {
		x, list := ParseExpr(diag.NewFile("x.nn", c.text))
		if list.HasErrors() {
			t.Errorf("%s: %v", c.text, list)
			continue
		}
		if got := grouped(x); got != c.want {
			t.Errorf("%s\nreads as %s\nwant     %s", c.text, got, c.want)
		}
	}
}

func TestParseExprRefuses(t *testing.T) {
	for _, text := range []string{"", "1 2", "(", "a +", "let x = 1", "a <- b", "[i => x", "\"", "{ a: 1"} {
		if x, list := ParseExpr(diag.NewFile("x.nn", text)); x != nil || !list.HasErrors() {
			t.Errorf("%q is read as %v without an error", text, x)
		}
	}
}

// Nesting without end is a diagnostic, whatever nests.
func TestNestingTooDeep(t *testing.T) {
	const n = 100_000
	for name, text := range map[string]string{
		"parentheses": strings.Repeat("(", n),
		"lists":       strings.Repeat("[", n) + strings.Repeat("]", n),
		"minus":       strings.Repeat("-", n) + "x",
		"not":         strings.Repeat("not ", n) + "x",
		"power":       "x" + strings.Repeat("^x", n),
		"lambda":      strings.Repeat("[i] => ", n) + "x",
		"reductions":  strings.Repeat("sum[i] ", n) + "x",
		"else":        strings.Repeat("x[i] else ", n) + "x",
		"else if":     strings.Repeat("if a { 1 } else ", n) + "{ 2 }",
		"sum":         "x" + strings.Repeat("+x", n),
		"pipe":        "x" + strings.Repeat(" |> f", n),
		"calls":       "x" + strings.Repeat("()", n),
		"blocks":      strings.Repeat("if a {", n),
	} {
		_, list := ParseExpr(diag.NewFile("x.nn", text))
		if len(list.All) == 0 || list.All[0].Code != diag.NestingTooDeep {
			t.Errorf("%s: %.200s", name, list.Error())
		}
	}
	var types strings.Builder
	types.WriteString("fn f(x: " + strings.Repeat("(", n))
	if _, list := Parse(diag.NewFile("x.nn", types.String())); len(list.All) != 1 || list.All[0].Code != diag.NestingTooDeep {
		t.Errorf("types: %.200s", list.Error())
	}
}

// Deep but lawful nesting is read.
func TestNestingAllowed(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("(", maxNesting) + "x" + strings.Repeat(")", maxNesting),
		strings.Repeat("f(1 + -x * ", maxNesting) + "x" + strings.Repeat(")", maxNesting),
		strings.Repeat("{ a: ", maxNesting) + "x" + strings.Repeat(" }", maxNesting),
	} {
		if _, list := ParseExpr(diag.NewFile("x.nn", text)); list.HasErrors() {
			t.Errorf("%.40s…: %.200s", text, list.Error())
		}
	}
}
