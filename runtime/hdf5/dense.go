package hdf5

import "errors"

// denseLinks lists the links that a group of the new kind keeps in a fractal heap (section IV.A.2.c).
func (f *File) denseLinks(data []byte) ([]link, error) {
	c := &cursor{b: data}
	c.skip(1)
	if flags := c.u8(); flags&1 != 0 {
		c.skip(8)
	}
	heap := f.address(c)
	if c.short {
		return nil, errors.New("broken link info message")
	}
	if heap == undefined {
		return nil, nil
	}
	return nil, errors.New("a group with its links in a fractal heap is not supported")
}

// denseAttributes returns the attribute messages that an object keeps in a fractal heap (section IV.A.2.v).
func (f *File) denseAttributes(data []byte) ([][]byte, error) {
	c := &cursor{b: data}
	c.skip(1)
	if flags := c.u8(); flags&1 != 0 {
		c.skip(2)
	}
	heap := f.address(c)
	if c.short {
		return nil, errors.New("broken attribute info message")
	}
	if heap == undefined {
		return nil, nil
	}
	return nil, errors.New("an object with its attributes in a fractal heap is not supported")
}
