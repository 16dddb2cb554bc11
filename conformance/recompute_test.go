package conformance

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
)

// recompute lets the training steps of p need as little memory as they can.
func recompute(p *plan.Program) error {
	for _, t := range p.Trains {
		for due := range 1 << len(t.Every) {
			fn := t.StepVariant(due)
			if _, err := passes.Recompute(p.Module, fn, 0, stepSizes(p.Module.Func(fn)), stepNeed(p.Module, fn)); err != nil {
				return err
			}
		}
	}
	return nil
}

// stepSizes gives the symbols of a step sizes: batches of 7, and lengths of 6.
func stepSizes(f *ir.Func) map[string]int {
	sizes := map[string]int{ir.Batch: 7}
	for _, p := range f.Params {
		for _, d := range p.Type.Shape {
			if s, ok := d.IsSymbol(); ok && s != ir.Batch {
				sizes[s] = 6
			}
		}
	}
	return sizes
}

func stepNeed(m *ir.Module, fn string) func() (int, error) {
	return func() (int, error) {
		need, err := native.Memory(m, fn, stepSizes(m.Func(fn)))
		return need.Total(), err
	}
}

// Values that are computed again are the same: the interpreter's results have the same bits, and native code's, whose kernels may be others, nearly.
func TestRecompute(t *testing.T) {
	onEachAlone(t, func(t *testing.T, s setting) {
		if s.precision != tensor.F32 {
			return
		}
		exact := s.backend.Name() != "native"
		tol := tolerance{2e-6, 2e-6}
		longer := 0
		for k, p := range partPrograms {
			t.Run(p.name, func(t *testing.T) {
				for _, parts := range []int{0, 3}[:1+k%2] {
					made := func(again bool) *compiled {
						s.recompute = again
						schema := func(d *plan.Data) error {
							d.Fields = partFields[d.Name]
							return nil
						}
						return compile(t, diag.NewFile(p.name+".nn", partData+p.text), lang.Options{Schema: schema, MicroBatch: parts}, s)
					}
					kept, again := made(false), made(true)
					random := rand.New(rand.NewPCG(2, 1))
					tr := kept.plan.Trains[0]
					for step, examples := range []int{7, 7, 2} {
						if tr.Data == nil {
							examples = 7
						}
						fn := tr.StepFunc(step)
						if instructions(again.Module().Func(fn)) > instructions(kept.Module().Func(fn)) {
							longer++
						}
						args := partArgs(kept.Module().Func(fn), examples, step, random)
						want, got := kept.call(t, fn, args), again.call(t, fn, args)
						check := func(what string, got, want *tensor.Tensor) {
							t.Helper()
							if exact && !cmp.Equal(got, want, cmpopts.EquateNaNs()) {
								t.Errorf("%s is %v, and %v where values are kept", what, got, want)
							}
							compare(t, what, got, want, tol)
						}
						for i := range want {
							check(fmt.Sprintf("step %d: %s", step, kept.Module().Func(fn).ResultNames[i]), got[i], want[i])
						}
						for _, c := range kept.plan.Module.Cells {
							check(fmt.Sprintf("step %d: %s", step, c.Name), again.cell(t, c.Name), kept.cell(t, c.Name))
						}
					}
				}
			})
		}
		if longer < 24 {
			t.Errorf("only %d steps compute a value again", longer)
		}
	})
}

func instructions(f *ir.Func) int {
	n := len(f.Body)
	for _, s := range f.Stages {
		n += len(s.Func.Body)
	}
	return n
}

// A deep network needs less memory if its activations are computed again, and keeps a limit if it can.
func TestRecomputeSaves(t *testing.T) {
	compiled := func() (*plan.Program, string) {
		p, list := lang.Compile(diag.NewFile("deep.nn", `
data D { source: synthetic(train: 64), map: { x: normal[64], y: uniform[] } }
model Deep(x: f32[64]) -> f32[1] { x |> repeat(30, Dense(64, gelu)) |> Dense(1) }
train on D { loss: mse(Deep(x), [y]), optimizer: adam(), batch: 2048, epochs: 1 }`), lang.Options{})
		if list.HasErrors() {
			t.Fatal(rendered(t, list))
		}
		if err := passes.Run(p.Module, passes.Options{}); err != nil {
			t.Fatal(err)
		}
		return p, p.Trains[0].Step
	}
	sizes := map[string]int{ir.Batch: 2048}
	need := func(p *plan.Program, fn string, limit int) int {
		n, err := passes.Recompute(p.Module, fn, limit, sizes, func() (int, error) {
			m, err := native.Memory(p.Module, fn, sizes)
			return m.Total(), err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	p, fn := compiled()
	whole := need(p, fn, 1<<40)
	if n := need(p, fn, whole/2); n > whole/2 {
		t.Errorf("a step needs %d bytes of %d where half is the limit", n, whole)
	}
	p, _ = compiled()
	least := need(p, fn, 0)
	if least > whole*2/5 || least == 0 {
		t.Errorf("a step needs %d bytes of %d at least", least, whole)
	}
	// What is applied in the end is what was measured.
	if n := need(p, fn, 1<<40); n != least {
		t.Errorf("a step needs %d bytes, and %d was said", n, least)
	}
}
