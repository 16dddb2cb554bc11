package hdf5

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
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
	g.fill, g.bareEdges = fill, flags&1 != 0
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
	case 4:
		c.skip(5)
		addr := o.f.address(c)
		g.list = func() ([]chunk, error) { return g.extensibleArray(addr) }
	case 5:
		c.skip(6)
		addr := o.f.address(c)
		g.list = func() ([]chunk, error) { return g.btreeV2Chunks(addr) }
	default:
		return fmt.Errorf("chunks with an index of kind %d are not supported", index)
	}
	if c.short {
		return errors.New("broken data layout")
	}
	return nil
}

// along returns how many chunks the dataset has in dimension d, and how many it may grow to.
func (g *grid) along(d int) (now, most uint64) {
	count := func(n uint64) uint64 { return (n + uint64(g.extent[d]) - 1) / uint64(g.extent[d]) }
	if most = g.most[d]; most < undefined-uint64(g.extent[d]) {
		most = count(most)
	}
	return count(uint64(g.shape[d])), most
}

// place returns the offset of the chunk with number i, and whether the dataset is large enough to have it. The dimension
// slowest changes most slowly with i; the others follow in their order.
func (g *grid) place(i uint64, slowest int) (offset []int, inside bool) {
	offset, inside = make([]int, len(g.shape)), true
	put := func(d int, k uint64) {
		now, _ := g.along(d)
		if inside = inside && k < now; inside {
			offset[d] = int(k) * g.extent[d]
		}
	}
	for d := len(g.shape) - 1; d >= 0; d-- {
		if d == slowest {
			continue
		}
		_, most := g.along(d)
		if most == 0 {
			return nil, false
		}
		put(d, i%most)
		i /= most
	}
	put(slowest, i)
	return offset, inside
}

// capacity returns how many chunks the dataset may grow to; beyond all files' if there is no limit.
func (g *grid) capacity() uint64 {
	n := uint64(1)
	for d := range g.shape {
		_, most := g.along(d)
		high, low := bits.Mul64(n, most)
		if n = low; high != 0 {
			return undefined
		}
	}
	return n
}

// consecutive lists chunks that need no index, since none is packed and all that can ever be are there.
func (g *grid) consecutive(addr uint64) ([]chunk, error) {
	var chunks []chunk
	if addr == undefined {
		return nil, nil
	}
	n := g.capacity()
	if addr > g.f.size || n > (g.f.size-addr)/g.bytes {
		return nil, errors.New("chunks: longer than the file: was it cut short?")
	}
	for i := range n {
		if offset, inside := g.place(i, 0); inside {
			chunks = append(chunks, chunk{offset: offset, addr: addr + i*g.bytes, stored: g.bytes})
		}
	}
	return chunks, nil
}

// packed reads where a chunk is: its address and, if entries are longer than that, its size and which filters it lacks.
func (g *grid) packed(c *cursor, width int) chunk {
	one := chunk{addr: g.f.address(c), stored: g.bytes}
	if rest := width - g.f.offsetWidth; rest > 0 {
		one.stored, one.skip = c.uint(min(8, rest-4)), c.u32()
	}
	return one
}

// entryFits tells whether entries of so many bytes have what packed reads, and no more.
func (g *grid) entryFits(filtered bool, width int) bool {
	least := g.f.offsetWidth
	if filtered {
		return width >= least+5 && width <= least+12
	}
	return width == least
}

// fixedArray lists the chunks of a fixed array (section VII.C): their entries in row-major order, in pages if there are many.
func (g *grid) fixedArray(addr uint64) ([]chunk, error) {
	if addr == undefined {
		return nil, nil
	}
	head, err := g.f.metadata(addr, uint64(8+g.f.lengthWidth+g.f.offsetWidth), "fixed array")
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
	if !g.entryFits(filtered, width) || pageBits > 62 {
		return nil, errors.New("broken fixed array")
	}
	if block == undefined {
		return nil, nil
	}
	if n > g.f.size/uint64(width) {
		return nil, errors.New("broken fixed array: longer than the file")
	}
	if n != g.capacity() {
		return nil, errors.New("broken fixed array: has not as many entries as the dataset chunks")
	}
	lead := uint64(6 + g.f.offsetWidth)
	data, err := g.f.metadata(block, lead, "fixed array")
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(data, []byte("FADB")) {
		return nil, errors.New("broken fixed array: its entries lack their signature")
	}
	page := uint64(1) << pageBits
	at := block + lead
	paged := n > page
	var bitmap []byte
	if paged {
		pages := (n + page - 1) / page
		if bitmap, err = g.f.metadata(at, (pages+7)/8, "fixed array"); err != nil {
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
		entries, err := g.f.metadata(at, count*uint64(width), "fixed array")
		if err != nil {
			return nil, err
		}
		c := &cursor{b: entries}
		for k := range count {
			one := g.packed(c, width)
			var inside bool
			if one.offset, inside = g.place(i+k, 0); inside && one.addr != undefined {
				chunks = append(chunks, one)
			}
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
		if kind != 10 && kind != 11 || !g.entryFits(kind == 11, width) {
			return nil, errors.New("broken B-tree of chunks")
		}
		c := &cursor{b: r}
		one := g.packed(c, width)
		for d := range rank {
			k := c.uint(8)
			if now, _ := g.along(d); k >= now {
				return nil, errors.New("broken B-tree: a chunk lies outside of its dataset")
			}
			one.offset = append(one.offset, int(k)*g.extent[d])
		}
		chunks = append(chunks, one)
	}
	return chunks, nil
}
