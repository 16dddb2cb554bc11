package ir

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// The indices and symbols of random index expressions.
const (
	indices = 3
	symbols = 2
)

func symbolName(i int) string { return string(rune('M' + i)) }

// drawAffine draws an expression over some of the loop indices and symbols, with a function that computes it independently.
func drawAffine(t *rapid.T, depth, indices int) (Affine, func(point) int) {
	kinds := 6
	if depth == 0 {
		kinds = 3
	}
	sub := func() (Affine, func(point) int) { return drawAffine(t, depth-1, indices) }
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		n := rapid.IntRange(-9, 9).Draw(t, "constant")
		return Int(n), func(point) int { return n }
	case 1:
		s := rapid.IntRange(0, symbols-1).Draw(t, "symbol")
		return Symbol(symbolName(s)), func(p point) int { return p.symbol[s] }
	case 2:
		if indices == 0 {
			return Affine{}, func(point) int { return 0 }
		}
		i := rapid.IntRange(0, indices-1).Draw(t, "index")
		return Loop(i), func(p point) int { return p.index[i] }
	case 3:
		a, f := sub()
		b, g := sub()
		if rapid.Bool().Draw(t, "minus") {
			return a.Sub(b), func(p point) int { return f(p) - g(p) }
		}
		return a.Add(b), func(p point) int { return f(p) + g(p) }
	case 4:
		a, f := sub()
		k := rapid.IntRange(-6, 6).Draw(t, "factor")
		return a.Scale(k), func(p point) int { return k * f(p) }
	default:
		a, f := sub()
		n := rapid.IntRange(1, 7).Draw(t, "divisor")
		if rapid.Bool().Draw(t, "remainder") {
			return a.Mod(n), func(p point) int { return ((f(p) % n) + n) % n }
		}
		return a.Div(n), func(p point) int { return (f(p) - ((f(p)%n)+n)%n) / n }
	}
}

// point gives values to indices and symbols.
type point struct {
	index  [indices]int
	symbol [symbols]int
}

func (p point) eval(a Affine) int {
	return a.Eval(
		func(i int) int { return p.index[i] },
		func(s string) int { return p.symbol[s[0]-'M'] },
		func(*Read) int { panic("BUG: no data here") },
	)
}

// points calls f for all small symbols, and all indices below their extents.
func points(extent []Affine, f func(point)) {
	var p point
	var loop func(k int)
	loop = func(k int) {
		if k == len(extent) {
			f(p)
			return
		}
		for p.index[k] = 0; p.index[k] < p.eval(extent[k]); p.index[k]++ {
			loop(k + 1)
		}
		p.index[k] = 0
	}
	for p.symbol[0] = 1; p.symbol[0] <= 5; p.symbol[0]++ {
		for p.symbol[1] = 1; p.symbol[1] <= 4; p.symbol[1]++ {
			loop(0)
		}
	}
}

var cube = []Affine{Int(4), Int(3), Int(3)}

func TestAffineAlgebra(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, f := drawAffine(t, 4, indices)
		if err := a.check(func(Atom) error { return nil }); err != nil {
			t.Fatal(err)
		}
		again := a.Rewrite(func(Atom) (Affine, bool) { return Affine{}, false })
		if !again.Equal(a) {
			t.Fatalf("%v rebuilt is %v", a, again)
		}
		points(cube, func(p point) {
			if got, want := p.eval(a), f(p); got != want {
				t.Fatalf("%v at %v is %d, want %d", a, p, got, want)
			}
		})
	})
}

func TestAffineRewrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, f := drawAffine(t, 3, indices)
		b, g := drawAffine(t, 2, indices)
		replaced := a.Rewrite(func(x Atom) (Affine, bool) { return b, x.Kind == AtomIndex && x.Index == 0 })
		points(cube, func(p point) {
			q := p
			q.index[0] = g(p)
			if got, want := p.eval(replaced), f(q); got != want {
				t.Fatalf("%v with %v for $0 is %v: %d, want %d", a, b, replaced, got, want)
			}
		})
		if uses := a.Rewrite(func(x Atom) (Affine, bool) { return Int(0), x.Kind == AtomIndex && x.Index == 0 }).Uses(0); uses {
			t.Fatalf("%v without $0 still uses it", a)
		}
	})
}

func TestBoundsOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, f := drawAffine(t, 4, indices)
		extent := make([]Affine, indices)
		for i := range extent {
			extent[i] = Int(rapid.IntRange(1, 4).Draw(t, "extent"))
			if rapid.Bool().Draw(t, "symbolic") {
				extent[i] = Symbol(symbolName(rapid.IntRange(0, symbols-1).Draw(t, "symbol")))
			}
		}
		limit, h := drawAffine(t, 2, 0)
		extentOf := func(i int) Affine { return extent[i] }
		b, ok := BoundsOf(a, extentOf)
		if !ok {
			t.Fatalf("%v has no bounds", a)
		}
		inside := Inside(a, limit, extentOf)
		points(extent, func(p point) {
			v, lo, hi := f(p), p.eval(b.Lo), p.eval(b.Hi)
			if v < lo || v > hi {
				t.Fatalf("%v at %v is %d, outside [%v, %v] = [%d, %d]", a, p, v, b.Lo, b.Hi, lo, hi)
			}
			if inside && (v < 0 || v >= h(p)) {
				t.Fatalf("%v at %v is %d, not inside %v = %d", a, p, v, limit, h(p))
			}
		})
	})
}

func TestNonNegative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, f := drawAffine(t, 5, 0)
		if !NonNegative(a) {
			return
		}
		points(nil, func(p point) {
			if f(p) < 0 {
				t.Fatalf("%v at %v is %d", a, p, f(p))
			}
		})
	})
}

// What is proved must include the plain cases, or no program would pass.
func TestProofs(t *testing.T) {
	b, i, d := Symbol("B"), Loop(0), Loop(1)
	nest := &Nest{Index: []Index{{"i", Int(30)}, {"d", Int(3)}}}
	for _, c := range []struct {
		a, limit Affine
		want     bool
	}{
		{i, Int(30), true},
		{i, Int(29), false},
		{i.Add(d), Int(32), true},
		{i.Add(d), Int(31), false},
		{i.AddConst(-1), Int(30), false},
		{Int(29).Sub(i), Int(30), true},
		{i.Div(2), Int(15), true},
		{i.Div(2), Int(14), false},
		{i.Mod(7), Int(7), true},
		{i.AddConst(-20).Mod(7), Int(7), true},
		{i.AddConst(-20).Mod(7), Int(6), false},
		{i.Mod(4).Add(d.Mod(2).Scale(4)), Int(8), true},
		{b.Div(3).Scale(2), b, true},
		{b.Scale(2).Div(3), b, true},
		{i.Scale(3).Add(d), Int(90), true},
		{b.AddConst(-1), b, true},
		{b.Div(2), b, true},
		{b.Sub(b.Div(2).Scale(2)), Int(2), true},
		{b.AddConst(-2), b, false},
	} {
		if got := Inside(c.a, c.limit, nest.Extent); got != c.want {
			t.Errorf("Inside(%v, %v) = %v", c.a, c.limit, got)
		}
	}
}

func TestCanonicalForms(t *testing.T) {
	i, j, n := Loop(0), Loop(1), Symbol("N")
	for _, c := range []struct {
		a    Affine
		want string
	}{
		{i.Scale(2).AddConst(1).Div(2), "$0"},
		{i.Div(2).Div(3), "($0/6)"},
		{i.Div(2).AddConst(1).Div(3), "(($0+2)/6)"},
		{i.Scale(6).Mod(3), "0"},
		{i.Scale(6).AddConst(-1).Mod(3), "2"},
		{i.AddConst(6).Mod(3).Sub(i.Mod(3)), "0"},
		{i.AddConst(5).Div(3), "(($0+2)/3)+1"},
		{i.AddConst(-1).Div(3), "(($0+2)/3)-1"},
		{i.Scale(2).Add(j.Scale(4)).AddConst(3).Div(6), "(($0+2*$1+1)/3)"},
		{i.Scale(7).Div(3), "2*$0+($0/3)"},
		{i.Scale(-4).Div(3), "-$0+((-$0)/3)"},
		{i.Div(3).Scale(2).Div(4), "($0/6)"},
		{j.Add(i).Sub(j), "$0"},
		{n.Add(i).Sub(n).Sub(i), "0"},
		{n.Scale(3).Add(n).AddConst(-2), "4*N-2"},
		{i.Div(1), "$0"},
		{i.Mod(1), "0"},
		{Int(-7).Div(2), "-4"},
		{Int(-7).Mod(2), "1"},
	} {
		if got := c.a.String(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestOperationsKeepTheirOperands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, _ := drawAffine(t, 3, indices)
		b, _ := drawAffine(t, 3, indices)
		before := fmt.Sprint(a, " ", b)
		_, _, _, _, _ = a.Add(b), a.Sub(b), a.Scale(3), a.Div(4), a.AddConst(1)
		if _, ok := a.Mul(Int(5)); !ok {
			t.Fatal("a product with a constant fails")
		}
		a.Rewrite(func(Atom) (Affine, bool) { return b, true })
		if after := fmt.Sprint(a, " ", b); after != before {
			t.Fatalf("%s became %s", before, after)
		}
	})
}
