package hdf5

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// link is a named way from a group to an object.
type link struct {
	name   string
	addr   uint64
	target string // for a soft or external link, which has no address
	order  uint64 // creation order, or noOrder
}

const noOrder = undefined

// list returns the links of a group and remembers them.
func (o *Object) list() ([]link, error) {
	if o.listed {
		return o.links, nil
	}
	links, err := o.f.groupLinks(o.object)
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", o.path, err)
	}
	if slices.ContainsFunc(links, func(l link) bool { return l.order == noOrder }) {
		slices.SortStableFunc(links, func(a, b link) int { return cmp.Compare(a.name, b.name) })
	} else {
		slices.SortStableFunc(links, func(a, b link) int { return cmp.Compare(a.order, b.order) })
	}
	o.links, o.listed = links, true
	return links, nil
}

func (f *File) groupLinks(o *object) ([]link, error) {
	if m, ok := o.find(msgSymbolTable); ok {
		return f.symbolTable(m.data)
	}
	var links []link
	group := false
	for _, m := range o.messages {
		switch m.kind {
		case msgLink:
			l, err := f.linkMessage(m.data)
			if err != nil {
				return nil, err
			}
			links = append(links, l)
			group = true
		case msgLinkInfo:
			dense, err := f.denseLinks(m.data)
			if err != nil {
				return nil, err
			}
			links = append(links, dense...)
			group = true
		}
	}
	if !group {
		return nil, errors.New("is not a group")
	}
	return links, nil
}

// linkMessage decodes a link message (section IV.A.2.g).
func (f *File) linkMessage(data []byte) (link, error) {
	c := &cursor{b: data}
	version, flags, kind := c.u8(), c.u8(), uint8(0)
	if flags&8 != 0 {
		kind = c.u8()
	}
	l := link{order: noOrder, addr: undefined}
	if flags&4 != 0 {
		l.order = c.uint(8)
	}
	if flags&16 != 0 {
		c.skip(1) // character set
	}
	l.name = string(c.bytes(c.uint(1 << (flags & 3))))
	switch kind {
	case 0:
		l.addr = f.address(c)
	case 1:
		l.target = string(c.bytes(uint64(c.u16())))
	default:
		l.target = fmt.Sprintf("another file (kind %d)", kind)
	}
	if c.short || version != 1 || l.name == "" {
		return link{}, errors.New("broken link message")
	}
	return l, nil
}

// symbolTable lists a group of the old kind, whose names lie in a local heap (section III.D) and whose entries in the
// leaves of a B-tree.
func (f *File) symbolTable(data []byte) ([]link, error) {
	c := &cursor{b: data}
	tree, heap := f.address(c), f.address(c)
	if c.short {
		return nil, errors.New("broken symbol table message")
	}
	names, err := f.localHeap(heap)
	if err != nil {
		return nil, err
	}
	var links []link
	err = f.btree(tree, 0, uint64(f.lengthWidth), func(_ []byte, child uint64) error {
		head, err := f.metadata(child, 8, "symbol table node")
		if err != nil {
			return err
		}
		c := &cursor{b: head}
		if !c.signature("SNOD") {
			return errors.New("symbol table node: lacks its signature")
		}
		c.skip(2)
		n, width := uint64(c.u16()), uint64(2*f.offsetWidth+24)
		body, err := f.metadata(child+8, n*width, "symbol table node")
		if err != nil {
			return err
		}
		c = &cursor{b: body}
		for range n {
			l := link{order: noOrder}
			name := f.address(c)
			l.addr = f.address(c)
			cache := c.u32()
			c.skip(4)
			scratch := &cursor{b: c.bytes(16)}
			if l.name, err = f.heapString(names, name); err != nil {
				return err
			}
			if cache == 2 { // a soft link
				if l.target, err = f.heapString(names, uint64(scratch.u32())); err != nil {
					return err
				}
			}
			links = append(links, l)
		}
		return nil
	})
	return links, err
}

// localHeap returns the data segment of a local heap.
func (f *File) localHeap(addr uint64) ([]byte, error) {
	head, err := f.metadata(addr, uint64(8+2*f.lengthWidth+f.offsetWidth), "local heap")
	if err != nil {
		return nil, err
	}
	c := &cursor{b: head}
	if !c.signature("HEAP") {
		return nil, errors.New("local heap: lacks its signature")
	}
	c.skip(4)
	size := f.length(c)
	f.length(c) // the free list
	return f.metadata(f.address(c), size, "local heap")
}

// heapString returns the string that begins at an offset of a local heap and ends before a zero.
func (f *File) heapString(heap []byte, offset uint64) (string, error) {
	if offset >= uint64(len(heap)) {
		return "", errors.New("local heap: a name lies outside of it")
	}
	end := bytes.IndexByte(heap[offset:], 0)
	if end < 0 {
		return "", errors.New("local heap: a name has no end")
	}
	// Entries that share one long name would multiply it.
	return string(heap[offset : offset+uint64(end)]), f.spend(uint64(end), "local heap")
}
