package hdf5

import (
	"errors"
	"fmt"
)

// btree calls visit for every child of the leaves of a version 1 B-tree (section III.A.1), with the key on its left.
// Kind is 0 for groups and 1 for chunks.
func (f *File) btree(addr uint64, kind uint8, keyWidth uint64, visit func(key []byte, child uint64) error) error {
	seen, total := map[uint64]bool{}, uint64(0)
	var node func(addr uint64, above int) error
	node = func(addr uint64, above int) error {
		if seen[addr] {
			return errors.New("broken B-tree: it has a cycle")
		}
		seen[addr] = true
		headWidth := uint64(8 + 2*f.offsetWidth)
		head, err := f.block(addr, headWidth, "B-tree node")
		if err != nil {
			return err
		}
		c := &cursor{b: head}
		if !c.signature("TREE") {
			return errors.New("broken B-tree: a node lacks its signature")
		}
		gotKind, level, entries := c.u8(), int(c.u8()), uint64(c.u16())
		if gotKind != kind || level >= above {
			return fmt.Errorf("broken B-tree: a node of kind %d at level %d, where kind %d below level %d belongs", gotKind, level, kind, above)
		}
		body, err := f.block(addr+headWidth, entries*(keyWidth+uint64(f.offsetWidth)), "B-tree node")
		if err != nil {
			return err
		}
		if total += uint64(len(body)); total > f.size {
			return errors.New("broken B-tree: its nodes overlap")
		}
		c = &cursor{b: body}
		for range entries {
			key := c.bytes(keyWidth)
			child := f.address(c)
			if level > 0 {
				err = node(child, level)
			} else {
				err = visit(key, child)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return node(addr, 256)
}
