package syntax

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nnc-lang/nnc/ir/diag"
)

// large is a program of about the given number of lines.
func large(lines int) string {
	var b strings.Builder
	for i := 0; i < lines; i += 10 {
		fmt.Fprintf(&b, `layer L%d(units: int, activation: fn = linear)(x: f32[..., n]) -> f32[..., units] {
    param kernel: f32[n, units] = glorot_uniform
    let a = activation(x @ kernel) |> Dropout(0.1) |> LayerNorm()
    let m = [i, j < n - 1] => sum[k] a[i, k] * kernel[k, j+1] else 0
    if training {
        m * (1 - 2^-3) / sqrt(sum(x^2) + 1e-7)
    } else {
        where(m > 0 and not m == 1, m, -m)
    }
}
`, i)
	}
	return b.String()
}

func TestLargeFile(t *testing.T) {
	f, list := Parse(diag.NewFile("large.nn", large(10_000)))
	if list.HasErrors() || len(f.Decls) != 1000 {
		t.Errorf("%d declarations, %v", len(f.Decls), list)
	}
}

// Every declaration's error is reported, however many there are.
func TestManyErrors(t *testing.T) {
	_, list := Parse(diag.NewFile("large.nn", strings.ReplaceAll(large(1000), "let a =", "let a = =")))
	if len(list.All) != 100 {
		t.Errorf("%d errors, want 100", len(list.All))
	}
}

func BenchmarkParse(b *testing.B) {
	for _, lines := range []int{1000, 10_000} {
		text := large(lines)
		b.Run(fmt.Sprint(lines), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for range b.N {
				Parse(diag.NewFile("large.nn", text))
			}
		})
	}
}
