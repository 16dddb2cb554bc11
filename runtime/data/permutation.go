package data

import (
	"math/bits"
	"math/rand/v2"
)

// Permutation returns the numbers 0…n-1 in an order that seed and stream determine, the same in every release:
// checkpoints depend on it.
//
// Source: Fisher and Yates 1938 as in Durstenfeld 1964, over PCG-DXSM; bounded numbers by Lemire 2019.
func Permutation(seed, stream uint64, n int) []int32 {
	// The shuffle is written out since math/rand/v2 promises the generator's numbers but not Shuffle's use of them.
	rng := rand.NewPCG(seed, stream)
	p := make([]int32, n)
	for i := range p {
		j := below(rng, uint64(i)+1)
		p[i] = p[j]
		p[j] = int32(i)
	}
	return p
}

// below returns a number of 0…n-1, each equally likely.
func below(rng *rand.PCG, n uint64) uint64 {
	hi, lo := bits.Mul64(rng.Uint64(), n)
	if lo < n {
		for reject := -n % n; lo < reject; {
			hi, lo = bits.Mul64(rng.Uint64(), n)
		}
	}
	return hi
}
