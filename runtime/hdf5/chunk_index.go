package hdf5

import (
	"errors"
	"fmt"
)

// layoutV4 gives a the storage of a chunked dataset as newer libraries write it.
func (o *Object) layoutV4(a *Array, c *cursor, fill []byte) error {
	flags, rank, width := c.u8(), int(c.u8()), int(c.u8())
	if width < 1 || width > 8 {
		return errors.New("broken data layout")
	}
	var dims []uint64
	for range rank {
		dims = append(dims, c.uint(width))
	}
	index := c.u8()
	if c.short {
		return errors.New("broken data layout")
	}
	g, err := o.grid(a, dims)
	if err != nil {
		return err
	}
	g.fill = fill
	g.store(a)
	switch index {
	case 1: // a single chunk
		one := chunk{offset: make([]int, len(g.shape)), stored: g.bytes}
		if flags&2 != 0 {
			one.stored, one.skip = o.f.length(c), c.u32()
		}
		one.addr = o.f.address(c)
		g.list = func() ([]chunk, error) {
			if one.addr == undefined || a.n == 0 {
				return nil, nil
			}
			return []chunk{one}, nil
		}
	case 2: // all chunks, one after the other
		addr := o.f.address(c)
		g.list = func() ([]chunk, error) { return g.consecutive(addr) }
	case 3:
		c.skip(1)
		addr := o.f.address(c)
		g.list = func() ([]chunk, error) { return g.fixedArray(addr) }
	case 5:
		c.skip(6)
		addr := o.f.address(c)
		g.list = func() ([]chunk, error) { return g.btreeV2Chunks(addr) }
	default:
		return fmt.Errorf("chunks with an index of kind %d are not supported: save the file with libver=\"earliest\"", index)
	}
	if c.short {
		return errors.New("broken data layout")
	}
	return nil
}

// place returns the offset of chunk number i in row-major order.
func (g *grid) place(i uint64) (offset []int, ok bool) {
	offset = make([]int, len(g.shape))
	for d := len(g.shape) - 1; d >= 0; d-- {
		n := uint64((g.shape[d] + g.extent[d] - 1) / g.extent[d])
		if n == 0 {
			return nil, false
		}
		offset[d] = int(i%n) * g.extent[d]
		i /= n
	}
	return offset, i == 0
}

// consecutive lists chunks that need no index, since none is packed and all are there.
func (g *grid) consecutive(addr uint64) ([]chunk, error) {
	var chunks []chunk
	if addr == undefined {
		return nil, nil
	}
	for i := uint64(0); ; i++ {
		offset, ok := g.place(i)
		if !ok {
			return chunks, nil
		}
		one := chunk{offset: offset, addr: addr + i*g.bytes, stored: g.bytes}
		if _, err := g.f.section(one.addr, one.stored, "chunk"); err != nil {
			return nil, err
		}
		chunks = append(chunks, one)
	}
}

// packed reads where a chunk is: its address and, if entries are longer than that, its size and which filters it lacks.
func (g *grid) packed(c *cursor, width int) chunk {
	one := chunk{addr: g.f.address(c), stored: g.bytes}
	if rest := width - g.f.offsetWidth; rest > 0 {
		one.stored, one.skip = c.uint(min(8, rest-4)), c.u32()
	}
	return one
}

// fixedArray lists the chunks of a fixed array (section VII.C): their entries in row-major order, in pages if there are many.
func (g *grid) fixedArray(addr uint64) ([]chunk, error) {
	if addr == undefined {
		return nil, nil
	}
	head, err := g.f.block(addr, uint64(8+g.f.lengthWidth+g.f.offsetWidth), "fixed array")
	if err != nil {
		return nil, err
	}
	c := &cursor{b: head}
	if !c.signature("FAHD") {
		return nil, errors.New("broken fixed array: lacks its signature")
	}
	c.skip(1)
	filtered, width, pageBits := c.u8() == 1, int(c.u8()), c.u8()
	n := g.f.length(c)
	block := g.f.address(c)
	if least := g.f.offsetWidth; width < least || filtered && (width < least+5 || width > least+12) || !filtered && width != least || pageBits > 62 {
		return nil, errors.New("broken fixed array")
	}
	if block == undefined {
		return nil, nil
	}
	page := uint64(1) << pageBits
	at := block + uint64(6+g.f.offsetWidth)
	paged := n > page
	if n > g.f.size/uint64(width) {
		return nil, errors.New("broken fixed array: longer than the file")
	}
	var bitmap []byte
	if paged {
		pages := (n + page - 1) / page
		if bitmap, err = g.f.block(at, (pages+7)/8, "fixed array"); err != nil {
			return nil, err
		}
		at += (pages+7)/8 + 4
	} else {
		page = n
	}
	var chunks []chunk
	for i := uint64(0); i < n; i += page {
		count := min(page, n-i)
		if k := i / page; paged && bitmap[k/8]>>(7-k%8)&1 == 0 { // a page never written
			at += page*uint64(width) + 4
			continue
		}
		entries, err := g.f.block(at, count*uint64(width), "fixed array")
		if err != nil {
			return nil, err
		}
		c := &cursor{b: entries}
		for k := range count {
			one := g.packed(c, width)
			if one.addr == undefined {
				continue
			}
			var ok bool
			if one.offset, ok = g.place(i + k); !ok {
				return nil, errors.New("broken fixed array: more chunks than the dataset has")
			}
			chunks = append(chunks, one)
		}
		at += page*uint64(width) + 4
	}
	return chunks, nil
}

// btreeV2Chunks lists the chunks of a version 2 B-tree.
func (g *grid) btreeV2Chunks(addr uint64) ([]chunk, error) {
	if addr == undefined {
		return nil, nil
	}
	kind, records, err := g.f.btreeV2(addr)
	if err != nil {
		return nil, err
	}
	rank := len(g.shape)
	var chunks []chunk
	for _, r := range records {
		width := len(r) - 8*rank
		if least := g.f.offsetWidth; kind != 10 && kind != 11 || width < least || kind == 10 && width != least ||
			kind == 11 && (width < least+5 || width > least+12) {
			return nil, errors.New("broken B-tree of chunks")
		}
		c := &cursor{b: r}
		one := g.packed(c, width)
		for d := range rank {
			k := c.uint(8)
			if k >= uint64(g.shape[d]+g.extent[d]-1)/uint64(g.extent[d]) {
				return nil, errors.New("broken B-tree: a chunk lies outside of its dataset")
			}
			one.offset = append(one.offset, int(k)*g.extent[d])
		}
		chunks = append(chunks, one)
	}
	return chunks, nil
}
