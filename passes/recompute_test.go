package passes

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
)

// Of the three values that wait for their gradients, two can be computed again from elements; if the sum in between may be computed again too, the first is enough.
func TestRecomputeText(t *testing.T) {
	text := `func @step(%x: f32[B, 4], %w: f32[4, 4]) -> (loss: f32[]) {
  %a: f32[B, 4] = map [b<B, i<4] exp(%x[b, i])
  %h: f32[B, 4] = sum [b<B, i<4 | k<4] mul(%a[b, k], %w[k, i])
  %c: f32[B, 4] = map [b<B, i<4] tanh(%h[b, i])
  %d: f32[B, 4] = map [b<B, i<4] sin(%c[b, i])
  %1: f32[] = sum [| b<B, i<4] %d[b, i]
  %2: f32[] = map [] neg(%1[])
  %3: f32[] = map [] neg(%2[])
  %4: f32[] = map [] neg(%3[])
  %5: f32[] = map [] neg(%4[])
  %6: f32[] = map [] neg(%5[])
  %7: f32[] = map [] neg(%6[])
  %8: f32[] = map [] neg(%7[])
  %9: f32[] = map [] neg(%8[])
  %10: f32[B, 4] = map [b<B, i<4] mul(%9[], %d[b, i])
  %11: f32[B, 4] = map [b<B, i<4] mul(%10[b, i], %c[b, i])
  %12: f32[B, 4] = map [b<B, i<4] mul(%11[b, i], %a[b, i])
  %13: f32[] = sum [| b<B, i<4] %12[b, i]
  return %13
}
`
	m, err := ir.Parse(diag.NewFile("step.ir", text))
	if err != nil {
		t.Fatal(err)
	}
	f := m.Func("step")
	sizes := map[string]int{ir.Batch: 100}
	need := func() (int, error) { return peak(f, sizes), nil }
	kept, err := Recompute(m, "step", 1<<30, sizes, need)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ir.Print(mustParse(t, text)), ir.Print(m)); diff != "" {
		t.Errorf("a limit that is kept changes something (-want +got):\n%s", diff)
	}
	least, err := Recompute(m, "step", 0, sizes, need)
	if err != nil {
		t.Fatal(err)
	}
	if least >= kept {
		t.Errorf("%d bytes are needed, and %d where values are kept", least, kept)
	}
	for _, x := range []struct {
		what string
		m    *ir.Module
		want string
	}{
		{"least", m, `
  %d_1: f32[B, 4] = map [b<B, i<4] sin(%c[b, i])
  %10: f32[B, 4] = map [b<B, i<4] mul(%9[], %d_1[b, i])
  %11: f32[B, 4] = map [b<B, i<4] mul(%10[b, i], %c[b, i])
  %a_1: f32[B, 4] = map [b<B, i<4] exp(%x[b, i])
  %12: f32[B, 4] = map [b<B, i<4] mul(%11[b, i], %a_1[b, i])
`},
		{"all but the first", dropAfter(t, text, sizes, 3200), `
  %h_1: f32[B, 4] = sum [b<B, i<4 | k<4] mul(%a[b, k], %w[k, i])
  %c_1: f32[B, 4] = map [b<B, i<4] tanh(%h_1[b, i])
  %d_1: f32[B, 4] = map [b<B, i<4] sin(%c_1[b, i])
  %10: f32[B, 4] = map [b<B, i<4] mul(%9[], %d_1[b, i])
  %11: f32[B, 4] = map [b<B, i<4] mul(%10[b, i], %c_1[b, i])
  %12: f32[B, 4] = map [b<B, i<4] mul(%11[b, i], %a[b, i])
`},
	} {
		_, got, _ := strings.Cut(ir.Print(x.m), "%9: f32[] = map [] neg(%8[])")
		got, _, _ = strings.Cut(got, "  %13:")
		if diff := cmp.Diff(x.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", x.what, diff)
		}
	}
}

// dropAfter keeps the first value that waits and drops as many bytes of those after it.
func dropAfter(t *testing.T, text string, sizes map[string]int, bytes int) *ir.Module {
	m := mustParse(t, text)
	r := newRecomputation(m.Func("step"), sizes)
	r.found = r.found[1:]
	r.drop(false, bytes)
	return m
}

func mustParse(t *testing.T, text string) *ir.Module {
	t.Helper()
	m, err := ir.Parse(diag.NewFile("step.ir", text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// peak is how many bytes the values of f take together where they are most: each from where it is computed to where it is used last.
func peak(f *ir.Func, sizes map[string]int) int {
	r := newRecomputation(f, sizes)
	most := 0
	for k := range f.Body {
		n := 0
		for v, made := range r.def {
			if made <= k && r.last[v] >= k {
				n += r.bytes(v)
			}
		}
		most = max(most, n)
	}
	return most
}
