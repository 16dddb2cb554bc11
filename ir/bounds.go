package ir

import "slices"

// Bounds are the least and the greatest value of an Affine over all points of a nest, themselves Affines over symbols only.
type Bounds struct{ Lo, Hi Affine }

// BoundsOf computes bounds of a when loop index i runs over [0, extent(i)). It fails (false) if a depends on data.
//
// Bounds are exact for a sum of different indices and conservative otherwise. A remainder x − n·⌊x/n⌋ is recognised and lies
// in [0, n−1], also where x does not.
func BoundsOf(a Affine, extent func(int) Affine) (Bounds, bool) {
	b := Bounds{Int(a.Const), Int(a.Const)}
	rest := a
	// Take remainders out first: interval arithmetic would treat their two parts as unrelated.
	for i := 0; i < len(rest.Terms); i++ {
		t := rest.Terms[i]
		if t.Atom.Kind != AtomQuotient || t.Coef%t.Atom.Den != 0 {
			continue
		}
		k := -t.Coef / t.Atom.Den // rest = k·(num − den·⌊num/den⌋) + others, if the numerator is there as well
		others := rest.Sub(t.Atom.Num.Mod(t.Atom.Den).Scale(k))
		if len(others.Terms) != len(rest.Terms)-1-len(t.Atom.Num.Terms) {
			continue
		}
		if k > 0 {
			b.Hi = b.Hi.AddConst(k * (t.Atom.Den - 1))
		} else {
			b.Lo = b.Lo.AddConst(k * (t.Atom.Den - 1))
		}
		rest = others
		i = -1
	}
	delta := rest.Const - a.Const
	b.Lo, b.Hi = b.Lo.AddConst(delta), b.Hi.AddConst(delta)
	for _, t := range rest.Terms {
		var lo, hi Affine // of the atom
		switch t.Atom.Kind {
		case AtomLoad:
			return Bounds{}, false
		case AtomIndex:
			hi = extent(t.Atom.Index).AddConst(-1)
		case AtomSymbol:
			lo = Affine{Terms: []Term{{1, t.Atom}}}
			hi = lo
		case AtomQuotient:
			n, ok := BoundsOf(*t.Atom.Num, extent)
			if !ok {
				return Bounds{}, false
			}
			lo, hi = n.Lo.Div(t.Atom.Den), n.Hi.Div(t.Atom.Den)
		}
		if t.Coef < 0 {
			lo, hi = hi, lo
		}
		b.Lo, b.Hi = b.Lo.Add(lo.Scale(t.Coef)), b.Hi.Add(hi.Scale(t.Coef))
	}
	return b, true
}

// NonNegative reports whether a ≥ 0 is certain for all values ≥ 1 of its symbols. It is conservative: false means unknown.
func NonNegative(a Affine) bool {
	steps := maxProof
	return nonNegative(a, &steps)
}

// maxProof bounds the steps of one proof, which may try two ways for each quotient.
const maxProof = 1000

func nonNegative(a Affine, steps *int) bool {
	if *steps--; *steps < 0 {
		return false
	}
	least := a.Const
	for i, t := range a.Terms {
		switch t.Atom.Kind {
		case AtomSymbol:
			if t.Coef < 0 {
				return false
			}
			least += t.Coef
		case AtomQuotient:
			others := Affine{a.Const, slices.Concat(a.Terms[:i], a.Terms[i+1:])}
			return t.Coef > 0 && nonNegative(*t.Atom.Num, steps) && nonNegative(others, steps) || nonNegative(exchanged(others, t), steps)
		default:
			return false
		}
	}
	return least >= 0
}

// exchanged returns an expression without the quotient t whose being ≥ 0 implies that of others + t.
//
// n·⌊x/n⌋ lies between x−n+1 and x. So where n divides the coefficient c of the quotient, a multiple of x can stand for it; else
// n·(others + t) is compared, which only has to be above −n, since others + t is whole.
func exchanged(others Affine, t Term) Affine {
	c, n := t.Coef, t.Atom.Den
	slack := 0
	if c%n == 0 {
		c /= n
	} else {
		if others.exceeds(maxExchanged) || t.Atom.Num.exceeds(maxExchanged) || n > maxExchanged || max(c, -c) > maxExchanged {
			return Int(-1) // the proof is given up, before numbers overflow
		}
		others, slack = others.Scale(n), n-1
	}
	if c > 0 {
		slack -= c * (n - 1)
	}
	return others.Add(t.Atom.Num.Scale(c)).AddConst(slack)
}

// maxExchanged bounds the numbers that proofs multiply.
const maxExchanged = 1 << 30

// exceeds reports whether a number outside quotients in a is beyond limit.
func (a Affine) exceeds(limit int) bool {
	for _, t := range a.Terms {
		if max(t.Coef, -t.Coef) > limit {
			return true
		}
	}
	return max(a.Const, -a.Const) > limit
}

// Inside reports whether 0 ≤ a < limit is certain at every point of a nest with these extents.
func Inside(a, limit Affine, extent func(int) Affine) bool {
	b, ok := BoundsOf(a, extent)
	return ok && NonNegative(b.Lo) && NonNegative(limit.Sub(b.Hi).AddConst(-1))
}
