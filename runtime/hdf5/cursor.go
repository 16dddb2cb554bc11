package hdf5

import "math"

// undefined is the address of what is not there.
const undefined = math.MaxUint64

// cursor reads the little-endian fields of a block. Reading past the end gives zeros and sets short, which the caller asks
// once, after the last field.
type cursor struct {
	b     []byte
	pos   int
	short bool
}

// bytes returns the next n bytes, or nil if there are not so many.
func (c *cursor) bytes(n uint64) []byte {
	if n > uint64(len(c.b)-c.pos) {
		c.short, c.pos = true, len(c.b)
		return nil
	}
	part := c.b[c.pos : c.pos+int(n) : c.pos+int(n)]
	c.pos += int(n)
	return part
}

// skip passes over n bytes.
func (c *cursor) skip(n uint64) { c.bytes(n) }

// left returns the number of bytes not yet read.
func (c *cursor) left() int { return len(c.b) - c.pos }

// uint returns the next width bytes, at most eight, as a number.
func (c *cursor) uint(width int) uint64 {
	v := uint64(0)
	for i, b := range c.bytes(uint64(width)) {
		v |= uint64(b) << (8 * i)
	}
	return v
}

func (c *cursor) u8() uint8   { return uint8(c.uint(1)) }
func (c *cursor) u16() uint16 { return uint16(c.uint(2)) }
func (c *cursor) u32() uint32 { return uint32(c.uint(4)) }

// signature consumes the four letters that begin a structure and tells whether they are want.
func (c *cursor) signature(want string) bool { return string(c.bytes(uint64(len(want)))) == want }

// address reads an address of the given width; all bits set means undefined.
func (c *cursor) address(width int) uint64 {
	v := c.uint(width)
	if v == 1<<(8*width)-1 {
		return undefined
	}
	return v
}
