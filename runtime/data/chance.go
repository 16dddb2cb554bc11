package data

import (
	"math"
	"math/rand/v2"
)

// chance takes examples for batches, each with the same chance and independently of all others.
type chance struct {
	seed  uint64
	n     int
	limit uint64 // a number of 64 bits below it takes an example
	all   bool
}

// newChance gives each of n examples the chance batch/n.
func newChance(seed uint64, n, batch int) chance {
	c := chance{seed: seed, n: n, all: batch >= n}
	if !c.all {
		c.limit = uint64(math.Ldexp(float64(batch)/float64(n), 64))
	}
	return c
}

// batch returns the examples of a batch, in their order in the source. They depend on the seed, the pass and the batch's number in it alone, so
// that a run can go on anywhere.
func (c chance) batch(pass, index uint64) []int32 {
	var taken []int32
	rng := rand.NewPCG(c.seed, mix(mix(pass)+index))
	for i := range c.n {
		if c.all || rng.Uint64() < c.limit {
			taken = append(taken, int32(i))
		}
	}
	return taken
}
