package passes

import (
	"testing"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
)

// What lies before a gradient's variables or behind what it is of is not gone through: a step of many updates takes time in proportion to them.
func TestBetween(t *testing.T) {
	m, err := ir.Parse(diag.NewFile("f.ir", `
cell @w: f32[2] param

func @f(%x: f32[2]) -> (f32[]) {
  %0: f32[2] = read @w
  %1: f32[] = sum [ | i<2] mul(%0[i], %x[i])
  %2: f32[2] = map [i<2] mul(%1[], %x[i])
  write @w, %2
  %3: f32[2] = read @w
  %4: f32[2] = read @w
  %5: f32[] = sum [ | i<2] mul(%4[i], %x[i])
  %6: f32[] = map [] mul(%5[], %5[])
  return %6
}
`))
	if err != nil {
		t.Fatal(err)
	}
	f := m.Funcs[0]
	b := &before{place: map[*ir.Instr]int{}, equalReads: newEqualReads()}
	for _, in := range f.Body {
		b.add(in)
	}
	value := func(i int) *ir.Value { return f.Body[i].Result() }
	for _, c := range []struct {
		what     string
		xs       []*ir.Value
		y        *ir.Value
		from, to int
	}{
		{"by a read of the second round, which is the one before", []*ir.Value{value(5)}, value(6), 4, 7},
		{"by the first read, up to the first sum", []*ir.Value{value(0)}, value(1), 0, 2},
		{"by the first of several", []*ir.Value{value(5), value(2)}, value(7), 2, 8},
		{"by a parameter", []*ir.Value{f.Params[0]}, value(7), 0, 8},
		{"by what comes later", []*ir.Value{value(5)}, value(1), 2, 2},
		{"of a parameter", []*ir.Value{value(0)}, f.Params[0], 0, 0},
	} {
		got := b.between(c.xs, c.y)
		if len(got) != c.to-c.from || len(got) > 0 && (got[0] != f.Body[c.from] || got[len(got)-1] != f.Body[c.to-1]) {
			t.Errorf("%s: %d instructions, want those from %d up to %d", c.what, len(got), c.from, c.to)
		}
	}
}
