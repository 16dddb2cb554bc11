package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/train"
)

// testCmd runs the tests that programs declare.
type testCmd struct {
	Files []string          `arg:"" help:"Programs, .nn files." name:"file"`
	Set   map[string]string `help:"Give an option of the programs a value." placeholder:"NAME=VALUE" mapsep:"none"`
}

// Run carries out the command.
func (c *testCmd) Run(std *streams) error {
	failed, ran := 0, 0
	for _, file := range c.Files {
		l, err := source{file, c.Set}.load(std, true)
		if err != nil {
			return err
		}
		if len(l.plan.Tests) == 0 {
			fmt.Fprintf(std.out, "%s: no tests\n", file)
			continue
		}
		prog, err := l.build(0)
		if err != nil {
			return err
		}
		for _, t := range l.plan.Tests {
			ran++
			// Each test starts from the first values: what another one trained does not count.
			if err := train.Init(prog, l.plan, 0); err != nil {
				return err
			}
			results, err := prog.Call(t.Func)
			if err != nil {
				return fmt.Errorf("test %q: %w", t.Name, err)
			}
			var wrong []string
			for _, x := range t.Expects {
				if why := judge(x, results); why != "" {
					wrong = append(wrong, fmt.Sprintf("    %s: expect %s\n%s", place(x.Loc), x.Text, why))
				}
			}
			if len(wrong) > 0 {
				failed++
				fmt.Fprintf(std.out, "FAIL  %s: %s\n%s", file, t.Name, strings.Join(wrong, ""))
				continue
			}
			fmt.Fprintf(std.out, "ok    %s: %s\n", file, t.Name)
		}
	}
	fmt.Fprintf(std.out, "%d passed, %d failed\n", ran-failed, failed)
	if failed > 0 {
		return errFailed
	}
	return nil
}

func place(l ir.Loc) string { return fmt.Sprintf("%s:%d:%d", l.File, l.Line, l.Col) }

// judge returns why an expectation fails, or "".
func judge(x plan.Expect, results []*tensor.Tensor) string {
	left := results[x.Left]
	if x.Op == "" {
		for i := range left.Len() {
			if left.At(i) == 0 {
				return fmt.Sprintf("        it is false%s\n", elementNote(left, i))
			}
		}
		return ""
	}
	right := results[x.Right]
	worst, at := math.Inf(-1), -1
	for i := range left.Len() {
		a, b := left.At(i), right.At(i)
		if holds(x, a, b) {
			continue
		}
		if d := math.Abs(a - b); at < 0 || d > worst {
			worst, at = d, i
		}
	}
	if at < 0 {
		return ""
	}
	s := fmt.Sprintf("        left  %s\n        right %s\n", show(left), show(right))
	if x.Op == "==" {
		s += fmt.Sprintf("        they differ by %.3g%s\n", worst, elementNote(left, at))
	}
	return s
}

// holds compares one pair of elements.
func holds(x plan.Expect, a, b float64) bool {
	switch x.Op {
	case "==":
		if x.Within >= 0 {
			return math.Abs(a-b) <= x.Within || a == b
		}
		return a == b
	case "!=":
		return a != b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	}
	return a >= b
}

// elementNote names element i of a tensor of more than one, without the example's own dimension.
func elementNote(t *tensor.Tensor, i int) string {
	dims := t.Shape[1:]
	if len(dims) == 0 {
		return ""
	}
	ix := make([]string, len(dims))
	for k := len(dims) - 1; k >= 0; k-- {
		ix[k] = fmt.Sprint(i % dims[k])
		i /= dims[k]
	}
	return " at [" + strings.Join(ix, ", ") + "]"
}

// show prints a tensor of one example as the language writes it, shortened if it is long.
func show(t *tensor.Tensor) string {
	const most = 64
	dims := t.Shape[1:]
	var b strings.Builder
	printed := 0
	var dump func(depth, offset, size int)
	dump = func(depth, offset, size int) {
		if depth == len(dims) {
			switch {
			case t.DType == tensor.Bool:
				fmt.Fprint(&b, t.At(offset) != 0)
			case t.DType == tensor.F32:
				fmt.Fprintf(&b, "%v", float32(t.At(offset)))
			default:
				fmt.Fprintf(&b, "%v", t.At(offset))
			}
			printed++
			return
		}
		size /= dims[depth]
		b.WriteByte('[')
		for i := range dims[depth] {
			if i > 0 {
				b.WriteString(", ")
			}
			if printed >= most {
				b.WriteString("…")
				break
			}
			dump(depth+1, offset+i*size, size)
		}
		b.WriteByte(']')
	}
	dump(0, 0, t.Len())
	return b.String()
}
