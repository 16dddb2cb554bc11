package hdf5

import (
	"errors"
	"fmt"
	"math"
)

// maxRank is the largest number of dimensions that the format allows.
const maxRank = 32

// dataspace decodes a dataspace message (section IV.A.2.b): the shape, and the number of elements. A scalar has one
// element and no dimension, a null dataspace has no element.
func (f *File) dataspace(data []byte) (shape []int, n int, err error) {
	c := &cursor{b: data}
	version, rank := c.u8(), int(c.u8())
	c.skip(1) // flags: maximal sizes do not matter here
	null := false
	switch version {
	case 1:
		c.skip(5)
	case 2:
		null = c.u8() == 2
	default:
		return nil, 0, fmt.Errorf("dataspace of version %d is not supported", version)
	}
	if rank > maxRank {
		return nil, 0, fmt.Errorf("dataspace of %d dimensions", rank)
	}
	n = 1
	for range rank {
		d := f.length(c)
		// No real dimension comes near, and the product of all of them, with zero left out, must not overflow.
		if d > math.MaxInt/8 || n > math.MaxInt/8/max(1, int(d)) {
			return nil, 0, errors.New("dataspace: too large")
		}
		shape = append(shape, int(d))
		n *= max(1, int(d))
	}
	if c.short {
		return nil, 0, errors.New("broken dataspace")
	}
	for _, d := range shape {
		null = null || d == 0
	}
	if null {
		n = 0
	}
	return shape, n, nil
}
