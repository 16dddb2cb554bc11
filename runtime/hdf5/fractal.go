package hdf5

import (
	"cmp"
	"errors"
	"math/bits"
	"slices"
)

// fractalHeap holds the objects of a group or of attributes in blocks, which double in size (section III.G).
type fractalHeap struct {
	f                        *File
	idWidth                  int // bytes of an object's ID
	offsetWidth, lengthWidth int // bytes of offset and length in it
	blocks                   []heapBlock
	huge                     uint64 // B-tree of the objects that no block holds
	hugeObjects              map[uint64][2]uint64

	tableWidth, startSize, maxDirect uint64
}

// heapBlock is a direct block: size bytes of the file that stand for as many of the heap.
type heapBlock struct{ offset, size, addr uint64 }

func (f *File) fractalHeap(addr uint64) (*fractalHeap, error) {
	head, err := f.metadata(addr, uint64(22+12*f.lengthWidth+3*f.offsetWidth), "fractal heap")
	if err != nil {
		return nil, err
	}
	c := &cursor{b: head}
	if !c.signature("FRHP") {
		return nil, errors.New("broken fractal heap: lacks its signature")
	}
	c.skip(1)
	h := &fractalHeap{f: f, idWidth: int(c.u16())}
	if c.u16() != 0 {
		return nil, errors.New("a compressed fractal heap is not supported")
	}
	c.skip(1)
	maxObject := uint64(c.u32())
	f.length(c)
	h.huge = f.address(c)
	f.length(c)
	f.address(c)
	c.skip(uint64(8 * f.lengthWidth))
	h.tableWidth = uint64(c.u16())
	h.startSize, h.maxDirect = f.length(c), f.length(c)
	heapBits := int(c.u16())
	c.skip(2)
	root, rows := f.address(c), uint64(c.u16())
	power := func(n uint64) bool { return n > 0 && n < 1<<40 && n&(n-1) == 0 }
	if c.short || !power(h.tableWidth) || !power(h.startSize) || !power(h.maxDirect) || h.maxDirect < h.startSize ||
		heapBits > 64 || rows > 64 {
		return nil, errors.New("broken fractal heap: header")
	}
	h.offsetWidth = (heapBits + 7) / 8
	h.lengthWidth = min((bits.Len64(h.maxDirect)-1+7)/8, countWidth(maxObject))
	switch {
	case root == undefined:
	case rows == 0:
		h.blocks = []heapBlock{{0, h.startSize, root}}
	default:
		if err := h.indirect(root, rows, 0, 0); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(h.blocks, func(a, b heapBlock) int { return cmp.Compare(a.offset, b.offset) })
	return h, nil
}

// rowSize returns the size of the blocks in a row of the doubling table.
func (h *fractalHeap) rowSize(row uint64) uint64 { return h.startSize << (max(row, 1) - 1) }

// indirect gathers the direct blocks below an indirect block.
func (h *fractalHeap) indirect(addr, rows, offset uint64, depth int) error {
	if depth > 16 {
		return errors.New("broken fractal heap: too deep")
	}
	lead := uint64(5 + h.f.offsetWidth + h.offsetWidth)
	block, err := h.f.metadata(addr, lead+rows*h.tableWidth*uint64(h.f.offsetWidth), "fractal heap")
	if err != nil {
		return err
	}
	c := &cursor{b: block}
	if !c.signature("FHIB") {
		return errors.New("broken fractal heap: an indirect block lacks its signature")
	}
	c.pos = int(lead)
	for row := range rows {
		size := h.rowSize(row)
		if size >= 1<<56 || offset >= 1<<56 {
			return errors.New("broken fractal heap: too large")
		}
		for range h.tableWidth {
			child := h.f.address(c)
			switch {
			case child == undefined:
			case size <= h.maxDirect:
				h.blocks = append(h.blocks, heapBlock{offset, size, child})
			default:
				below := bits.Len64(size) - bits.Len64(h.startSize*h.tableWidth) + 1
				if below < 1 || uint64(below) > rows {
					return errors.New("broken fractal heap: rows")
				}
				if err := h.indirect(child, uint64(below), offset, depth+1); err != nil {
					return err
				}
			}
			offset += size
		}
	}
	return nil
}

// object returns the bytes of the object with an ID.
func (h *fractalHeap) object(id []byte) ([]byte, error) {
	c := &cursor{b: id}
	switch kind := c.u8() >> 4 & 3; kind {
	case 0: // in a block
		offset, n := c.uint(h.offsetWidth), c.uint(h.lengthWidth)
		i, exact := slices.BinarySearchFunc(h.blocks, offset, func(b heapBlock, offset uint64) int { return cmp.Compare(b.offset, offset) })
		if !exact {
			i--
		}
		if c.short || i < 0 || offset-h.blocks[i].offset > h.blocks[i].size || n > h.blocks[i].size-(offset-h.blocks[i].offset) {
			return nil, errors.New("broken fractal heap: an object lies outside of it")
		}
		return h.f.metadata(h.blocks[i].addr+offset-h.blocks[i].offset, n, "object of a fractal heap")
	case 1: // too large for a block
		if h.idWidth >= 1+h.f.offsetWidth+h.f.lengthWidth {
			addr, n := h.f.address(c), h.f.length(c)
			return h.f.metadata(addr, n, "object of a fractal heap")
		}
		return h.hugeObject(c.uint(min(8, len(id)-1)))
	case 2: // in the ID itself
		data := c.bytes(uint64(id[0]&15) + 1)
		if c.short {
			return nil, errors.New("broken fractal heap: a tiny object")
		}
		return data, nil
	}
	return nil, errors.New("broken fractal heap: an ID of unknown kind")
}

// hugeObject finds an object by its number in the B-tree of huge objects.
func (h *fractalHeap) hugeObject(number uint64) ([]byte, error) {
	if h.hugeObjects == nil {
		kind, records, err := h.f.btreeV2(h.huge)
		if err != nil {
			return nil, err
		}
		h.hugeObjects = map[uint64][2]uint64{}
		for _, r := range records {
			c := &cursor{b: r}
			addr, n := h.f.address(c), h.f.length(c)
			h.hugeObjects[h.f.length(c)] = [2]uint64{addr, n}
			if c.short || kind != 1 {
				return nil, errors.New("broken fractal heap: huge objects")
			}
		}
	}
	where, ok := h.hugeObjects[number]
	if !ok {
		return nil, errors.New("broken fractal heap: a huge object is missing")
	}
	return h.f.metadata(where[0], where[1], "object of a fractal heap")
}
