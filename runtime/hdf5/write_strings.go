package hdf5

import (
	"maps"
	"math"
	"slices"
)

// stringRef tells where in the global heap a string is; the zero value stands for an empty one.
type stringRef struct {
	length     uint32
	collection uint64
	index      uint32
}

// collector gathers the strings of attributes into collections of the global heap. Each string is stored as often as it
// occurs: who edits the file with another library frees the string of an attribute that goes.
type collector struct {
	l       *writer
	pending []string
	refs    []*stringRef // of pending
	size    uint64       // bytes that pending takes
}

// globalHeaps places the strings of all attributes of n and below.
func (l *writer) globalHeaps(root *Node) {
	c := &collector{l: l}
	c.visit(root)
	c.flush()
}

func (c *collector) visit(n *Node) {
	for i := range n.attrs {
		a := &n.attrs[i]
		var all []string
		switch v := a.value.(type) {
		case string:
			all = []string{v}
		case []string:
			all = v
		}
		a.refs = make([]stringRef, len(all))
		for k, s := range all {
			c.add(s, &a.refs[k])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		c.visit(n.children[name])
	}
}

func (c *collector) add(s string, ref *stringRef) {
	if s == "" {
		return
	}
	if len(c.pending) == math.MaxUint16-1 || c.size > 0 && c.size+uint64(len(s)) > 64<<10 {
		c.flush()
	}
	ref.length, ref.index = uint32(len(s)), uint32(len(c.pending)+1)
	c.pending, c.refs = append(c.pending, s), append(c.refs, ref)
	c.size += 16 + (uint64(len(s))+7)&^7
}

// flush places what is pending as one collection (section III.E).
func (c *collector) flush() {
	if len(c.pending) == 0 {
		return
	}
	// A collection has at least 4096 bytes; what is left over is one free object, which needs 16.
	size := 16 + c.size
	switch {
	case size+16 <= 4096:
		size = 4096
	case size < 4096:
		size += 16
	}
	b := append([]byte("GCOL"), 1, 0, 0, 0)
	b = le.AppendUint64(b, size)
	for i, s := range c.pending {
		b = le.AppendUint64(b, uint64(i+1)|1<<16) // index, one reference
		b = le.AppendUint64(b, uint64(len(s)))
		b = pad8(append(b, s...))
	}
	if free := size - uint64(len(b)); free > 0 {
		b = le.AppendUint64(b, 0)
		b = le.AppendUint64(b, free)
		b = append(b, make([]byte, free-16)...)
	}
	at := c.l.place(b)
	for _, ref := range c.refs {
		ref.collection = at
	}
	*c = collector{l: c.l}
}

// appendReferences encodes references to strings.
func appendReferences(b []byte, refs []stringRef) []byte {
	for _, ref := range refs {
		b = le.AppendUint32(b, ref.length)
		b = le.AppendUint64(b, ref.collection)
		b = le.AppendUint32(b, ref.index)
	}
	return b
}
