package native

import (
	"errors"
	"slices"
	"testing"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/exec"
)

const storeText = `
cell @keys: f32[1, 2, 9, 3] stream
cell @values: f32[1, 5, 4] stream
cell @table: f32[6, 4] param

func @step(%place: i32[], %key: f32[1, 2, 3], %value: f32[1, 4], %word: i32[]) -> (f32[1, 2], f32[4]) {
  %0: f32[1, 2, 9, 3] = read @keys
  %1: f32[1, 2, 9, 3] = map [b<1, n<2, i<9, k<3] select(equal(i, %place[]), %key[b, n, k], %0[b, n, i, k])
  write @keys, %1
  %2: f32[1, 5, 4] = read @values
  %3: f32[1, 5, 4] = map [b<1, i<5, k<4] select(equal(i, %place[]), %value[b, k], %2[b, i, k])
  write @values, %3
  %4: f32[1, 2] = sum [b<1, n<2 | i<9, k<3] mul(%1[b, n, i, k], %1[b, n, i, k])
  %5: f32[6, 4] = read @table
  %6: f32[4] = sum [k<4 | i<5] mul(%3[0, i, k], %5[%word[], k])
  return %4, %6
}

func @read_twice(%place: i32[], %value: f32[1, 4]) -> (f32[1, 5, 4]) {
  %0: f32[1, 5, 4] = read @values
  %1: f32[1, 5, 4] = map [b<1, i<5, k<4] select(equal(i, %place[]), %value[b, k], %0[b, i, k])
  write @values, %1
  %2: f32[1, 5, 4] = map [b<1, i<5, k<4] sub(%1[b, i, k], %0[b, i, k])
  return %2
}

func @must_be_finite(%place: i32[], %value: f32[1, 4]) -> (loss: f32[]) finite {
  %0: f32[1, 5, 4] = read @values
  %1: f32[1, 5, 4] = map [b<1, i<5, k<4] select(equal(i, %place[]), %value[b, k], %0[b, i, k])
  write @values, %1
  %2: f32[] = sum [ | b<1, i<5, k<4] %1[b, i, k]
  return %2
}
`

// Rows are stored into cells where nobody reads the old value and values need not be finite; a call that fails afterwards puts the old rows back.
func TestRowsAreStored(t *testing.T) {
	needLLVM(t)
	m := parse(t, storeText)
	p, err := Backend{}.Compile(m, codegen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := interp.Backend{}.Compile(parse(t, storeText), codegen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	prog := p.(*exec.Instance).Program()
	for k, want := range []int{2, 0, 0} {
		stores := 0
		for _, s := range prog.Funcs[k].Steps {
			if s.Store != nil {
				stores++
			}
		}
		if stores != want {
			t.Errorf("%s has %d stores, not %d", m.Funcs[k].Name, stores, want)
		}
	}
	table := random(1, tensor.F32, -1, 1, 6, 4)
	cells := func() (all [2][]float32) {
		t.Helper()
		for k, name := range []string{"keys", "values"} {
			a, err := p.Cell(name)
			if err != nil {
				t.Fatal(err)
			}
			b, err := q.Cell(name)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(a.F32, b.F32) {
				t.Fatalf("%s is %v, not %v", name, a.F32, b.F32)
			}
			all[k] = a.F32
		}
		return all
	}
	for _, r := range []runtime.Program{p, q} {
		if err := r.SetCell("table", table); err != nil {
			t.Fatal(err)
		}
	}
	scalar := func(n int) *tensor.Tensor { return tensor.FromI32([]int32{int32(n)}) }
	for n, place := range []int{0, 1, 4, 2, 7, 9, -1, 1} { // some are in one of the cells only, or in none
		args := []*tensor.Tensor{scalar(place), random(uint32(10+n), tensor.F32, -1, 1, 1, 2, 3), random(uint32(30+n), tensor.F32, -1, 1, 1, 4), scalar(n % 6)}
		got, want := mustCall(t, p, "step", args...), mustCall(t, q, "step", args...)
		for k := range got {
			if e := relativeError(got[k], want[k]); !(e < 1e-5) {
				t.Fatalf("place %d: result %d is %v, not %v", place, k, got[k], want[k])
			}
		}
		before := cells()
		args[1], args[2], args[3] = random(50, tensor.F32, -1, 1, 1, 2, 3), random(51, tensor.F32, -1, 1, 1, 4), scalar(6)
		var outside *runtime.RangeError
		if _, err := p.Call("step", args...); !errors.As(err, &outside) {
			t.Fatalf("a word that is not in the table: %v", err)
		}
		after := cells()
		for k := range before {
			if !slices.Equal(before[k], after[k]) {
				t.Fatalf("place %d: a call that failed left %v, where it had found %v", place, after[k], before[k])
			}
		}
	}
	for _, fn := range []string{"read_twice", "must_be_finite"} {
		args := []*tensor.Tensor{scalar(3), random(60, tensor.F32, -1, 1, 1, 4)}
		got, want := mustCall(t, p, fn, args...)[0], mustCall(t, q, fn, args...)[0]
		if e := relativeError(got, want); !(e < 1e-5) {
			t.Errorf("%s: %v, not %v", fn, got, want)
		}
		cells()
	}
}
