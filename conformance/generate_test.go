package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime/generate"
)

// letters is what the texts of these tests are made of.
var letters = strings.Split("abcdefghijkl", "")

// textProgram is a program with a model of texts and a generate block.
func textProgram(layers, settings string) *diag.File {
	return diag.NewFile("text.nn", `
data Poem { source: text("poem.txt", unit: "characters", sequence: 6) }
layer Blend()(x: f32[t, d]) -> f32[t, d] = [i, k] => x[i, k] + 0.5 * (x[i-1, k] else 0) - 0.25 * (x[i-2, k] else 0)
layer Placed(places: int)(x: f32[t, d]) -> f32[t, d] = x + PositionEmbedding(places)(x)
layer Grouped(heads: int)(x: f32[t, d]) -> f32[t, d] = x |> GroupQueryAttention(d / heads, heads, heads / 2, causal: true)
model Net(text: i32[t]) -> f32[t, Poem.text] {
    text |> Embedding(Poem.text, 8) |> `+layers+` |> Dense(Poem.text)
}
train on Poem {
    loss:      crossentropy(Net(text), next, from_logits: true)
    optimizer: adam()
    epochs:    1
}
generate Net { `+settings+` }
`)
}

// generator compiles a program of textProgram. Why there is no step is returned where none can be derived.
func generator(t testing.TB, s setting, file *diag.File, capacity int) (*compiled, *plan.Generate, error) {
	t.Helper()
	p, list := lang.Compile(file, lang.Options{Schema: fields(
		plan.Field{Name: "text", DType: tensor.I32, Shape: []int{6}, Labels: letters},
		plan.Field{Name: "next", DType: tensor.I32, Shape: []int{6}, Labels: letters},
	)})
	if list.HasErrors() {
		t.Fatal(rendered(t, list))
	}
	if err := passes.Run(p.Module, passes.Options{Disable: s.disable, VerifyEach: true}); err != nil {
		t.Fatal(err)
	}
	g := p.Generates[0]
	step, prefill, why := passes.Step(p.Module, g.Func, capacity)
	names := []string{p.Init, g.Func}
	if why == nil {
		g.Step, g.Prefill = step.Name, prefill.Name
		names = append(names, g.Step, g.Prefill)
		if err := ir.Verify(p.Module); err != nil {
			t.Fatal(err)
		}
	}
	p.Module.Keep(names...)
	prog, err := s.backend.Compile(p.Module, codegen.Options{Precision: s.precision, Threads: s.threads})
	if err != nil {
		t.Fatal(err)
	}
	c := &compiled{p, prog}
	c.init(t, 3)
	return c, g, why
}

// steppable are models whose step can be derived: all that look back only.
var steppable = map[string]string{
	"lstm":                "LSTM(8, return_sequences: true)",
	"two grus":            "GRU(8, return_sequences: true) |> GRU(6, return_sequences: true, reset_after: false)",
	"attention":           "CausalAttention(2)",
	"transformer":         "repeat(2, TransformerBlock(2, 16))",
	"learned positions":   "Placed(21) |> repeat(2, TransformerBlock(2, 16))",
	"rotary positions":    "CausalAttention(2, rotary: true)",
	"grouped queries":     "Grouped(4)",
	"units before":        "Blend() |> Blend()",
	"both kinds together": "LSTM(8, return_sequences: true) |> TransformerBlock(4, 8) |> Blend()",
}

// A step that remembers computes what the model computes for the whole text, also where a window slides over it, and where it is given several
// units at the beginning.
func TestStepAgreesWithWholeText(t *testing.T) {
	for name, layers := range steppable {
		t.Run(name, func(t *testing.T) {
			for _, window := range []int{0, 7} {
				for _, b := range backends {
					settings, capacity := `prompt: "a"`, 21
					if window > 0 {
						settings, capacity = fmt.Sprintf(`%s, window: %d`, settings, window), window
					}
					c, g, err := generator(t, setting{backend: b, precision: tensor.F32}, textProgram(layers, settings), capacity)
					if err != nil {
						t.Fatal(err)
					}
					for _, first := range []int{1, 4, 11} {
						if err := stepsAgree(c, g, first); err != nil {
							t.Errorf("%s, window %d, %d units at first: %v", b.Name(), window, first, err)
						}
					}
				}
			}
		})
	}
}

// stepsAgree compares what is said of a text by the step and by the whole model: after its first units, and after each one more.
func stepsAgree(c *compiled, g *plan.Generate, first int) error {
	text := []int32{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 11, 8, 4, 6}
	all := *g
	all.Step = ""
	whole, stepped := generate.New(c, &all), generate.New(c, g)
	differ := false
	var before []float32
	for i, id := range text {
		whole.Append(id)
		stepped.Append(id)
		if i+1 < first {
			continue
		}
		want, err := whole.Next()
		if err != nil {
			return err
		}
		got, err := stepped.Next()
		if err != nil {
			return err
		}
		if len(got) != len(want) {
			return fmt.Errorf("unit %d: %d numbers, not %d", i, len(got), len(want))
		}
		for k := range want {
			if d := got[k] - want[k]; !(d < 1e-5 && d > -1e-5) {
				return fmt.Errorf("unit %d: element %d is %g, not %g", i, k, got[k], want[k])
			}
		}
		differ = differ || before != nil && !slices.Equal(before, want)
		before = want
	}
	if !differ {
		return errors.New("the model says the same everywhere: nothing was compared")
	}
	return nil
}

// Where a row depends on later units, no step is derived, and the reason is told.
func TestNoStepWhereUnitsAheadCount(t *testing.T) {
	s := setting{backend: backends[0], precision: tensor.F32}
	for layers, want := range map[string]string{
		"Bidirectional(GRU(4, return_sequences: true))":      "reads units of the text that may come later",
		"MultiHeadAttention(2, 4)":                           "put a causal mask over it",
		"MultiHeadAttention(2, 4) |> CausalAttention(2)":     "put a causal mask over it",
		"GRU(8, return_sequences: true, go_backwards: true)": "reads units of the text that may come later",
	} {
		_, g, err := generator(t, s, textProgram(layers, `prompt: "a"`), 8)
		if err == nil || g.Step != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", layers, err)
		}
	}
}

// The same seed draws the same text, another one a different text; temperature 0 takes the likeliest.
func TestDraws(t *testing.T) {
	s := setting{backend: backends[0], precision: tensor.F32}
	c, g, err := generator(t, s, textProgram(steppable["lstm"], `prompt: "abc", length: 30`), 40)
	if err != nil {
		t.Fatal(err)
	}
	draw := func(change func(*plan.Generate)) string {
		clone := *g
		change(&clone)
		w := generate.New(c, &clone)
		w.Append(0, 1, 2)
		out := ""
		if err := w.Continue(context.Background(), clone.Length, func(id int32) { out += letters[id] }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := draw(func(*plan.Generate) {})
	if again := draw(func(*plan.Generate) {}); again != first || len(first) != 30 {
		t.Errorf("%q and then %q", first, again)
	}
	if other := draw(func(g *plan.Generate) { g.Seed = 2 }); other == first {
		t.Errorf("another seed gives %q as well", other)
	}
	cold := draw(func(g *plan.Generate) { g.Temperature = 0 })
	if one := draw(func(g *plan.Generate) { g.TopK = 1 }); one != cold || cold == first {
		t.Errorf("the likeliest gives %q, one of the likeliest %q, a free draw %q", cold, one, first)
	}
}

// BenchmarkGenerate measures what a unit costs around two places of the text: of a recurrent network, and of a transformer of four blocks of width 128,
// whose window the text stays within, or which it has outgrown: the median of several times 32 units.
func BenchmarkGenerate(b *testing.B) {
	const recurrent, transformer = "GRU(256, return_sequences: true)", "Dense(128) |> repeat(4, TransformerBlock(4, 512))"
	for _, c := range []struct {
		name, layers string
		window       int
	}{{"recurrent", recurrent, 0}, {"window of 1024", transformer, 1024}, {"window of 64", transformer, 64}} {
		for _, place := range []int{50, 500} {
			b.Run(fmt.Sprintf("%s/at %d", c.name, place), func(b *testing.B) {
				settings := `prompt: "a"`
				if c.window > 0 {
					settings += fmt.Sprintf(", window: %d", c.window)
				}
				p, g, err := generator(b, setting{backend: backends[len(backends)-1], precision: tensor.F32, fast: true}, textProgram(c.layers, settings), max(c.window, 1))
				if err != nil {
					b.Fatal(err)
				}
				var times []float64 // µs a unit
				for b.Loop() {
					w := generate.New(p, g)
					for range place - 18 {
						w.Append(1)
						if _, err := w.Next(); err != nil {
							b.Fatal(err)
						}
					}
					start := time.Now()
					for range 32 { // a window of 64 begins anew for one of 32 units
						w.Append(1)
						if _, err := w.Next(); err != nil {
							b.Fatal(err)
						}
					}
					times = append(times, float64(time.Since(start).Nanoseconds())/32e3)
				}
				slices.Sort(times)
				b.ReportMetric(times[len(times)/2], "µs/unit")
				b.ReportMetric(0, "ns/op") // with what comes before the place
			})
		}
	}
}
