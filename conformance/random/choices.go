package main

import "math/rand/v2"

// choices are the numbers that a program is drawn with. A program is a function of them, so that a smaller list of smaller numbers is a smaller
// program: minimising needs to know nothing of programs.
type choices struct {
	given []uint32   // these first
	fresh *rand.Rand // then these, or else zeros
	made  []uint32   // what was drawn
}

// draw returns a number in [0, n).
func (c *choices) draw(n int) int {
	var v uint32
	switch k := len(c.made); {
	case k < len(c.given):
		v = c.given[k]
	case c.fresh != nil:
		v = c.fresh.Uint32N(1 << 16)
	}
	v %= uint32(n)
	c.made = append(c.made, v)
	return int(v)
}

// chance is true in that many cases of a hundred, and false in the simplest one.
func (c *choices) chance(percent int) bool { return c.draw(100) >= 100-percent }

// pick returns one of these, of which the first is the simplest.
func pick[T any](c *choices, from ...T) T { return from[c.draw(len(from))] }

// minimise returns a list of choices for which fails holds as it does for made, with fewer and smaller numbers. It calls fails at most limit
// times.
func minimise(made []uint32, limit int, fails func([]uint32) bool) []uint32 {
	try := func(candidate []uint32) bool {
		if limit--; limit < 0 || !fails(candidate) {
			return false
		}
		made = candidate
		return true
	}
	for changed := true; changed && limit > 0; {
		changed = false
		for size := max(1, len(made)/2); size >= 1; size /= 2 {
			for at := len(made) - size; at >= 0; at -= max(1, size/2) {
				if at+size > len(made) {
					continue
				}
				shorter := append(append([]uint32{}, made[:at]...), made[at+size:]...)
				changed = try(shorter) || changed
			}
		}
		for at := 0; at < len(made); at++ {
			for _, smaller := range []uint32{0, made[at] / 2, made[at] - 1} {
				if at < len(made) && made[at] > smaller {
					simpler := append([]uint32{}, made...)
					simpler[at] = smaller
					changed = try(simpler) || changed
				}
			}
		}
	}
	return made
}
