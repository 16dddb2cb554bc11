package tensor

import (
	"math"
	"testing"
)

func TestBF16(t *testing.T) {
	inf := math.Float32frombits(0x7f800000)
	for _, c := range []struct{ in, want uint32 }{
		{0, 0},
		{0x80000000, 0x80000000},
		{0x3f800000, 0x3f800000}, // 1
		{0x3f808000, 0x3f800000}, // as near to both: the even one
		{0x3f818000, 0x3f820000},
		{0x3f808001, 0x3f810000},
		{0x3f807fff, 0x3f800000},
		{0xbf808001, 0xbf810000},
		{0x3fffffff, 0x40000000}, // into the next power of two
		{0x7f7fffff, 0x7f800000}, // the largest number becomes infinite
		{0x7f7f0000, 0x7f7f0000},
		{0x00000001, 0},
		{0x7f800000, 0x7f800000},
		{0xff800000, 0xff800000},
	} {
		if got := math.Float32bits(RoundBF16(math.Float32frombits(c.in))); got != c.want {
			t.Errorf("%#08x is rounded to %#08x, want %#08x", c.in, got, c.want)
		}
	}
	for _, bits := range []uint32{0x7f800001, 0x7fc00000, 0xffffffff, 0x7f80ffff} {
		if got := RoundBF16(math.Float32frombits(bits)); got == got || got == inf {
			t.Errorf("%#08x, which is not a number, becomes %v", bits, got)
		}
	}
}

// Every bfloat16 number stays what it is, and the error of others is at most 2⁻⁸ of them.
func TestBF16Error(t *testing.T) {
	for h := range 1 << 16 {
		f := FromBF16(uint16(h))
		if f == f && ToBF16(f) != uint16(h) {
			t.Errorf("%#04x becomes %#04x", h, ToBF16(f))
		}
	}
	for k := range 100_000 {
		f := math.Float32frombits(0x00800000 + uint32(k)*21_000)
		if got := RoundBF16(f); math.Abs(float64(got)-float64(f)) > math.Ldexp(float64(f), -8) && got-got == 0 {
			t.Errorf("%v is rounded to %v", f, got)
		}
	}
}
