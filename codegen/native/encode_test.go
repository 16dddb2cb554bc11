package native

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/code"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// stored returns a program as a binary would keep it.
func stored(t testing.TB, m *ir.Module) (*exec.Program, []byte) {
	t.Helper()
	tools := needLLVM(t)
	level, err := DetectLevel()
	if err != nil {
		t.Fatal(err)
	}
	p, err := compileModule(m, level, codegen.Fast, tools, openCache())
	if err != nil {
		t.Fatal(err)
	}
	return p, p.Tables()
}

func TestProgramsAreStored(t *testing.T) {
	modules := map[string]*ir.Module{"catdog": parse(t, "catdog.ir"), "digits": parse(t, "digits.ir"), "scan": scanModule(1, true, true)}
	for name, m := range modules {
		p, tables := stored(t, m)
		q, err := exec.Decode(tables, p.Code, p.Consts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(p, q, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(exec.Program{}, "Module")); diff != "" {
			t.Errorf("%s: what was read is not what was written:\n%s", name, diff)
		}
		if !slices.Equal(tables, q.Tables()) {
			t.Errorf("%s: what was read has other tables", name)
		}
		for k, f := range m.Funcs {
			g := q.Module.Funcs[k]
			for n, v := range f.Params {
				if w := g.Params[n]; w.Name != v.Name || !w.Type.Equal(v.Type) {
					t.Errorf("%s: %s: parameter %s is %v, not %s, %v", name, f.Name, w.Name, w.Type, v.Name, v.Type)
				}
			}
			if g.Name != f.Name || g.Finite != f.Finite || !slices.Equal(g.ResultNames, f.ResultNames) || len(g.Body) > 0 {
				t.Errorf("%s: %s is stored as %v", name, f.Name, g)
			}
		}
		t.Logf("%s: %d bytes of tables, %d of code", name, len(tables), len(p.Code))
	}
}

// TestStoredProgramsRun runs a program from what a binary keeps, in code that is mapped already.
func TestStoredProgramsRun(t *testing.T) {
	m := parse(t, "digits.ir")
	p, tables := stored(t, m)
	want, err := exec.New(p, exec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := code.Load(p.Code)
	if err != nil {
		t.Fatal(err)
	}
	defer mapped.Close()
	q, err := exec.Decode(tables, p.Code, p.Consts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := exec.New(q, exec.Options{Code: mapped, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	mustCall(t, want, "init", tensor.FromI32([]int32{7}))
	for _, c := range m.Cells {
		x, err := want.Cell(c.Name)
		if err != nil {
			t.Fatal(err)
		}
		if c.Kind != ir.Param {
			if err := got.SetCell(c.Name, x); err != nil {
				t.Fatal(err)
			}
			continue
		}
		memory, err := code.MapMemory(4 * x.Len())
		if err != nil {
			t.Fatal(err)
		}
		defer code.UnmapMemory(memory)
		b, err := exec.BytesOf(x)
		if err != nil {
			t.Fatal(err)
		}
		copy(memory, b)
		if err := got.MapCell(c.Name, memory[:len(b)]); err != nil {
			t.Fatal(err)
		}
		if err := got.MapCell(c.Name, memory[:len(b)-1]); err == nil {
			t.Fatalf("%s lies in less memory than it needs", c.Name)
		}
	}
	for step := range uint32(3) {
		image, label := random(step, tensor.F32, 0, 256, 9, 28, 28, 1), random(step+99, tensor.I32, 0, 10, 9)
		for fn, args := range map[string][]*tensor.Tensor{"train.step": {image, label}, "Reader.predict": {image}} {
			x, y := mustCall(t, got, fn, args...), mustCall(t, want, fn, args...)
			for k := range y {
				if d := differ(x[k], y[k], 0); d != "" {
					t.Fatalf("%s, result %d: %s", fn, k, d)
				}
			}
		}
	}
}

// TestDamagedTables demands of tables that are damaged or cut short that they are refused, or else that they hold together: no such program
// may end the process before its code runs.
func TestDamagedTables(t *testing.T) {
	p, tables := stored(t, scanModule(0, false, true))
	for n := range tables {
		if _, err := exec.Decode(tables[:n], p.Code, p.Consts); err == nil {
			t.Errorf("the first %d of %d bytes were taken for a program", n, len(tables))
		}
	}
	if _, err := exec.Decode(append(tables[:len(tables):len(tables)], 0), p.Code, p.Consts); err == nil {
		t.Error("a byte too many was not noticed")
	}
	if _, err := exec.Decode(tables, nil, p.Consts); err == nil {
		t.Error("a program without code was not noticed")
	}
	damaged := 0
	for n := range tables {
		for _, b := range []byte{0, 1, 2, 0x7f, 0x80, 0xff, tables[n] + 1, tables[n] + 2, tables[n] - 2} {
			if b == tables[n] {
				continue
			}
			wrong := slices.Clone(tables)
			wrong[n] = b
			q, err := exec.Decode(wrong, p.Code, p.Consts)
			if err != nil {
				damaged++
				continue
			}
			if err := q.Check(); err != nil {
				t.Fatalf("byte %d as %d: %v", n, b, err)
			}
			_, _ = q.Memory("f", map[string]int{"B": 4, "T": 6})
		}
	}
	t.Logf("%d of some %d damaged tables are refused", damaged, 9*len(tables))
}
