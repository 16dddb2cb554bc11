package ir

import "math/bits"

// Uniform returns a number in [0, 1) that depends on nothing but its key (k0, k1) and counter (c0, c1): the upper 24 bits
// of the first lane of Philox4x32-10, so that it is exact in an f32.
//
// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
func Uniform(k0, k1, c0, c1 int32) float64 {
	return float64(philox(uint32(k0), uint32(k1), uint32(c0), uint32(c1))>>8) * (1.0 / (1 << 24))
}

func philox(k0, k1, c0, c1 uint32) uint32 {
	var c2, c3 uint32
	for round := range 10 {
		if round > 0 {
			k0 += 0x9E3779B9
			k1 += 0xBB67AE85
		}
		hi0, lo0 := bits.Mul32(0xD2511F53, c0)
		hi1, lo1 := bits.Mul32(0xCD9E8D57, c2)
		c0, c1, c2, c3 = hi1^c1^k0, lo1, hi0^c3^k1, lo0
	}
	return c0
}
