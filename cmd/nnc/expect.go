package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
)

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
		if x.Holds(a, b) {
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
