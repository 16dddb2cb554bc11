package hdf5

import "errors"

// denseLinks lists the links that a group of the new kind keeps in a fractal heap (section IV.A.2.c).
func (f *File) denseLinks(data []byte) ([]link, error) {
	c := &cursor{b: data}
	c.skip(1)
	if flags := c.u8(); flags&1 != 0 {
		c.skip(8)
	}
	heap, tree := f.address(c), f.address(c)
	if c.short {
		return nil, errors.New("broken link info message")
	}
	messages, err := f.dense(heap, tree, 5, 4)
	if err != nil {
		return nil, err
	}
	links := make([]link, len(messages))
	for i, m := range messages {
		if links[i], err = f.linkMessage(m); err != nil {
			return nil, err
		}
	}
	return links, nil
}

// denseAttributes returns the attribute messages that an object keeps in a fractal heap (section IV.A.2.v).
func (f *File) denseAttributes(data []byte) ([][]byte, error) {
	c := &cursor{b: data}
	c.skip(1)
	if flags := c.u8(); flags&1 != 0 {
		c.skip(2)
	}
	heap, tree := f.address(c), f.address(c)
	if c.short {
		return nil, errors.New("broken attribute info message")
	}
	return f.dense(heap, tree, 8, 0)
}

// dense returns the objects of a fractal heap that a B-tree of the given kind lists; their IDs lie idAt bytes into a record.
func (f *File) dense(heap, tree uint64, kind uint8, idAt int) ([][]byte, error) {
	if heap == undefined || tree == undefined {
		return nil, nil
	}
	h, err := f.fractalHeap(heap)
	if err != nil {
		return nil, err
	}
	gotKind, records, err := f.btreeV2(tree)
	if err != nil {
		return nil, err
	}
	objects := make([][]byte, len(records))
	for i, r := range records {
		if gotKind != kind || len(r) < idAt+h.idWidth {
			return nil, errors.New("broken B-tree: its records are of another kind")
		}
		if objects[i], err = h.object(r[idAt : idAt+h.idWidth]); err != nil {
			return nil, err
		}
	}
	return objects, nil
}
