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

// lazyFrom is the number of examples from which on an order is computed place by place, so that it takes no memory.
const lazyFrom = 1 << 22

// shuffled returns the numbers 0…n-1 by their place in an order that seed and stream determine.
func shuffled(seed, stream uint64, n int) func(place int) int32 {
	if n >= lazyFrom {
		return lazyPermutation(seed, stream, n)
	}
	p := Permutation(seed, stream, n)
	return func(place int) int32 { return p[place] }
}

// lazyPermutation is an order of 0…n-1 as a function: a Feistel network over the least even number of bits that hold n, applied until
// the result is below n.
//
// Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains", the cycle-walking and generalized-Feistel ciphers.
func lazyPermutation(seed, stream uint64, n int) func(place int) int32 {
	half := (bits.Len(uint(n-1)) + 1) / 2
	mask := uint64(1)<<half - 1
	var keys [4]uint64
	rng := rand.NewPCG(seed, stream)
	for i := range keys {
		keys[i] = rng.Uint64()
	}
	return func(place int) int32 {
		x := uint64(place)
		for {
			left, right := x>>half, x&mask
			for _, k := range keys {
				left, right = right, left^mix(right^k)&mask
			}
			if x = left<<half | right; x < uint64(n) {
				return int32(x)
			}
		}
	}
}

// mix is a bijection of 64 bits each of whose output bits depends on all input bits.
//
// Source: Steele, Lea, Flood 2014, the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
