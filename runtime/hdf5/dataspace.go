package hdf5

import (
	"errors"
	"fmt"
	"math"
)

// maxRank is the largest number of dimensions that the format allows.
const maxRank = 32

// dataspace decodes a dataspace message (section IV.A.2.b) into a's shape, its limits, and the number of elements. A scalar
// has one element and no dimension, a null dataspace has no element.
func (f *File) dataspace(a *Array, data []byte) error {
	c := &cursor{b: data}
	version, rank := c.u8(), int(c.u8())
	limited := c.u8()&1 != 0
	null := false
	switch version {
	case 1:
		c.skip(5)
	case 2:
		null = c.u8() == 2
	default:
		return fmt.Errorf("dataspace of version %d is not supported", version)
	}
	if rank > maxRank {
		return fmt.Errorf("dataspace of %d dimensions", rank)
	}
	n := 1
	for range rank {
		d := f.length(c)
		// No real dimension comes near, and the product of all of them, with zero left out, must not overflow.
		if d > math.MaxInt/8 || n > math.MaxInt/8/max(1, int(d)) {
			return errors.New("dataspace: too large")
		}
		a.Shape = append(a.Shape, int(d))
		n *= max(1, int(d))
	}
	for i := range rank {
		most := uint64(a.Shape[i])
		if limited {
			most = c.address(f.lengthWidth) // all bits set: without limit
		}
		a.most = append(a.most, most)
	}
	if c.short {
		return errors.New("broken dataspace")
	}
	for i, d := range a.Shape {
		if a.most[i] < uint64(d) {
			return errors.New("broken dataspace: larger than its limit")
		}
	}
	for _, d := range a.Shape {
		null = null || d == 0
	}
	if null {
		n = 0
	}
	a.n = n
	return nil
}
