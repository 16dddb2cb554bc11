package hdf5

import (
	"errors"
	"fmt"
	"math/bits"
)

// countWidth returns how many bytes numbers up to n take.
func countWidth(n uint64) int { return max(0, bits.Len64(n)-1)/8 + 1 }

// btreeV2 returns the records of a version 2 B-tree in order (section III.A.2).
func (f *File) btreeV2(addr uint64) (kind uint8, records [][]byte, err error) {
	head, err := f.metadata(addr, uint64(18+f.offsetWidth+f.lengthWidth), "B-tree")
	if err != nil {
		return 0, nil, err
	}
	c := &cursor{b: head}
	if !c.signature("BTHD") {
		return 0, nil, errors.New("broken B-tree: its header lacks the signature")
	}
	c.skip(1)
	kind = c.u8()
	nodeSize, recordSize, depth := uint64(c.u32()), uint64(c.u16()), int(c.u16())
	c.skip(2)
	root, rootCount := f.address(c), uint64(c.u16())
	const frame = 10 // signature, version, kind and checksum of a node
	if c.short || recordSize == 0 || nodeSize < frame+recordSize || depth > 32 {
		return 0, nil, errors.New("broken B-tree: header")
	}
	if root == undefined {
		return kind, nil, nil
	}

	// How wide the counts beside a node's children are follows from how much could be below them.
	most := (nodeSize - frame) / recordSize // records of a leaf, then of a whole subtree
	countBytes := countWidth(most)
	totalBytes := make([]int, depth+1) // of the count of a subtree; a leaf needs none
	for level := 1; level <= depth; level++ {
		child := uint64(f.offsetWidth + countBytes + totalBytes[level-1])
		if nodeSize < frame+child {
			return 0, nil, errors.New("broken B-tree: header")
		}
		own := (nodeSize - frame - child) / (recordSize + child)
		high, low := bits.Mul64(own+1, most)
		if high != 0 || low > 1<<62 {
			return 0, nil, errors.New("broken B-tree: too deep")
		}
		most = low + own
		totalBytes[level] = countWidth(most)
	}

	var node func(addr, count uint64, level int) error
	node = func(addr, count uint64, level int) error {
		body, err := f.metadata(addr, nodeSize, "B-tree node")
		if err != nil {
			return err
		}
		want := "BTLF"
		if level > 0 {
			want = "BTIN"
		}
		c := &cursor{b: body[:nodeSize-4]}
		if !c.signature(want) {
			return fmt.Errorf("broken B-tree: a node lacks its signature")
		}
		c.skip(1)
		if c.u8() != kind {
			return errors.New("broken B-tree: a node is of another kind")
		}
		own := c.bytes(count * recordSize)
		for i := range count + 1 {
			if c.short {
				return errors.New("broken B-tree: a node is too small for its records")
			}
			if level > 0 {
				child, n := f.address(c), c.uint(countBytes)
				c.skip(uint64(totalBytes[level-1]))
				if err := node(child, n, level-1); err != nil {
					return err
				}
			}
			if i < count {
				records = append(records, own[i*recordSize:(i+1)*recordSize])
			}
		}
		return nil
	}
	return kind, records, node(root, rootCount, depth)
}
