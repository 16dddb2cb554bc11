package hdf5

import (
	"errors"
	"math/bits"
)

// extensible is an extensible array (section VII.D): the entries of chunks in the order of their numbers. The first few
// stand in the index block, the others in data blocks that double in size: those of the first super blocks are named by the
// index block, the others by super blocks of their own. Long data blocks are cut into pages.
type extensible struct {
	g           *grid
	slowest     int // the dimension without limit
	width       int // bytes of an entry
	filtered    bool
	offsetBytes int    // of a block's place in the array
	page        uint64 // entries of a page
	chunks      []chunk
}

var errExtensible = errors.New("broken extensible array")

// extensibleArray lists the chunks of an extensible array.
func (g *grid) extensibleArray(addr uint64) ([]chunk, error) {
	if addr == undefined {
		return nil, nil
	}
	f := g.f
	head, err := f.metadata(addr, uint64(12+6*f.lengthWidth+f.offsetWidth), "extensible array")
	if err != nil {
		return nil, err
	}
	c := &cursor{b: head}
	if !c.signature("EAHD") {
		return nil, errors.New("broken extensible array: lacks its signature")
	}
	c.skip(1)
	e := &extensible{g: g, slowest: -1, filtered: c.u8() == 1, width: int(c.u8())}
	entryBits, direct := int(c.u8()), uint64(c.u8())
	least, pointers, pageBits := uint64(c.u8()), uint64(c.u8()), int(c.u8())
	c.skip(uint64(6 * f.lengthWidth))
	index := f.address(c)
	e.offsetBytes, e.page = (entryBits+7)/8, 1<<min(pageBits, 62)
	power := func(n uint64) bool { return bits.OnesCount64(n) == 1 }
	switch {
	case !g.entryFits(e.filtered, e.width), entryBits > 64, pageBits > 62, !power(least), !power(pointers), bits.Len64(least)-1 > entryBits:
		return nil, errExtensible
	case index == undefined:
		return nil, nil
	}
	for d, most := range g.most {
		if most == undefined && e.slowest < 0 {
			e.slowest = d
		} else if most == undefined {
			return nil, errors.New("broken extensible array: two dimensions without a limit")
		}
	}
	if e.slowest < 0 {
		return nil, errors.New("broken extensible array: no dimension without a limit")
	}
	if err := e.index(index, direct, least, pointers, entryBits); err != nil {
		return nil, err
	}
	return e.chunks, nil
}

// block reads the frame that index, super and data blocks have in common, and then n bytes.
func (e *extensible) block(addr uint64, signature string, frame int, n uint64) (*cursor, error) {
	body, err := e.g.f.metadata(addr, uint64(frame)+n, "extensible array")
	if err != nil {
		return nil, err
	}
	c := &cursor{b: body}
	if !c.signature(signature) {
		return nil, errors.New("broken extensible array: a block lacks its signature")
	}
	c.skip(uint64(frame - len(signature)))
	return c, nil
}

// index reads the index block and what it names: entries, data blocks, super blocks.
func (e *extensible) index(addr, direct, least, pointers uint64, entryBits int) error {
	f := e.g.f
	own := 2 * (bits.Len64(pointers) - 1) // super blocks whose data blocks the index block names
	supers := 1 + entryBits - (bits.Len64(least) - 1)
	if supers < own {
		return errExtensible
	}
	named := 2*(pointers-1) + uint64(supers-own)
	c, err := e.block(addr, "EAIB", 6+f.offsetWidth, direct*uint64(e.width)+named*uint64(f.offsetWidth))
	if err != nil {
		return err
	}
	e.entries(c, 0, direct)
	at := direct
	for u := range supers {
		blocks := uint64(1) << (u / 2)
		high, entries := bits.Mul64(least, 1<<((u+1)/2))
		if high != 0 || entries > undefined>>(u/2) {
			return errExtensible
		}
		if u >= own {
			if err := e.super(f.address(c), at, blocks, entries); err != nil {
				return err
			}
		} else {
			for k := range blocks {
				if err := e.data(f.address(c), at+k*entries, entries, nil, 0); err != nil {
					return err
				}
			}
		}
		at += blocks * entries // may wrap behind the last one only: numbers have entryBits bits
	}
	return nil
}

// super reads a super block: which pages of its data blocks were ever written, and where these are.
func (e *extensible) super(addr, at, blocks, entries uint64) error {
	if addr == undefined {
		return nil
	}
	f := e.g.f
	bitmap := uint64(0)
	if entries > e.page {
		bitmap = blocks * ((entries/e.page + 7) / 8)
	}
	if bitmap > f.size || blocks > f.size {
		return errExtensible
	}
	c, err := e.block(addr, "EASB", 6+f.offsetWidth+e.offsetBytes, bitmap+blocks*uint64(f.offsetWidth))
	if err != nil {
		return err
	}
	written := c.bytes(bitmap)
	for k := range blocks {
		if err := e.data(f.address(c), at+k*entries, entries, written, k*(entries/e.page)); err != nil {
			return err
		}
	}
	return nil
}

// data reads a data block of so many entries, the first of which has number at. Its first page has bit number bit among
// those that tell which were written.
func (e *extensible) data(addr, at, entries uint64, written []byte, bit uint64) error {
	if addr == undefined {
		return nil
	}
	f := e.g.f
	frame := 6 + f.offsetWidth + e.offsetBytes
	if entries > f.size { // none that is smaller holds them
		return errExtensible
	}
	if entries <= e.page {
		c, err := e.block(addr, "EADB", frame, entries*uint64(e.width))
		if err != nil {
			return err
		}
		e.entries(c, at, entries)
		return nil
	}
	if written == nil || entries%e.page != 0 {
		return errExtensible
	}
	if _, err := e.block(addr, "EADB", frame, 0); err != nil {
		return err
	}
	const checksum = 4
	page := e.page * uint64(e.width)
	for k := range entries / e.page {
		if n := bit + k; written[n/8]>>(7-n%8)&1 == 0 {
			continue
		}
		body, err := f.metadata(addr+uint64(frame)+checksum+k*(page+checksum), page, "extensible array")
		if err != nil {
			return err
		}
		e.entries(&cursor{b: body}, at+k*e.page, e.page)
	}
	return nil
}

// entries adds the chunks of n entries, the first of which has number at.
func (e *extensible) entries(c *cursor, at, n uint64) {
	for k := range n {
		one := e.g.packed(c, e.width)
		var inside bool
		if one.offset, inside = e.g.place(at+k, e.slowest); inside && one.addr != undefined {
			e.chunks = append(e.chunks, one)
		}
	}
}
