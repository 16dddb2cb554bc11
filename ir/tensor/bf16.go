package tensor

import "math"

// ToBF16 rounds a number to bfloat16, the upper half of a float32: to the nearest, or of two as near to the even one. What is too large becomes
// infinite.
func ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if f != f {
		return uint16(bits>>16) | 0x40 // quiet, or its fraction might become that of an infinity
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// FromBF16 widens a bfloat16 number, which changes nothing.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// RoundBF16 returns the bfloat16 number next to f.
func RoundBF16(f float32) float32 { return FromBF16(ToBF16(f)) }
