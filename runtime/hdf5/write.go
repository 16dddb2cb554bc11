package hdf5

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// Node is a group or a dataset to be written.
type Node struct {
	attrs    []attrValue
	children map[string]*Node
	shape    []int
	data     any // of a dataset: []float32, []float64, []int32 or []int64
}

// attrValue is an attribute to be written.
type attrValue struct {
	name  string
	value any
	refs  []stringRef // to the strings of value, while a file is written
}

// NewGroup returns an empty group, such as the root of a file.
func NewGroup() *Node { return &Node{children: map[string]*Node{}} }

// Group returns the group at a path below n, whose parts are joined by slashes. What is not there yet is made.
//
// Errors: a part of the path that is empty, or a dataset.
func (n *Node) Group(path string) (*Node, error) {
	for name := range strings.SplitSeq(path, "/") {
		if n.children == nil {
			return nil, fmt.Errorf("%q: %q would lie in a dataset", path, name)
		}
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("%q: %w", path, err)
		}
		child := n.children[name]
		if child == nil {
			child = NewGroup()
			n.children[name] = child
		}
		n = child
	}
	if n.children == nil {
		return nil, fmt.Errorf("%q is a dataset", path)
	}
	return n, nil
}

// Dataset adds a dataset at a path below n and returns it. Data, which must be a []float32, []float64, []int32 or []int64
// of the product of shape elements, are not copied: they must not change before the file is written.
//
// Errors: a path that is taken or has a part that is empty.
func (n *Node) Dataset(path string, shape []int, data any) (*Node, error) {
	count := 1
	for _, d := range shape {
		count *= d
	}
	if have := dataLen(data); have != count {
		panic(fmt.Sprintf("BUG: hdf5: dataset %q: %d elements for shape %v", path, have, shape))
	}
	if i := strings.LastIndex(path, "/"); i >= 0 {
		var err error
		if n, err = n.Group(path[:i]); err != nil {
			return nil, err
		}
		path = path[i+1:]
	}
	if err := checkName(path); err != nil {
		return nil, err
	}
	if n.children[path] != nil {
		return nil, fmt.Errorf("there is a %q already", path)
	}
	child := &Node{shape: slices.Clone(shape), data: data}
	n.children[path] = child
	return child, nil
}

func checkName(name string) error {
	if name == "" || name == "." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q cannot be a name in an HDF5 file", name)
	}
	return nil
}

// SetAttr sets an attribute to a string, []string, int64, []int64, float64 or []float64. An attribute holds at most about
// 64 kB; each string counts as 16 bytes.
func (n *Node) SetAttr(name string, value any) {
	switch value.(type) {
	case string, []string, int64, []int64, float64, []float64:
	default:
		panic(fmt.Sprintf("BUG: hdf5: attribute %q of type %T", name, value))
	}
	n.attrs = slices.DeleteFunc(n.attrs, func(a attrValue) bool { return a.name == name })
	n.attrs = append(n.attrs, attrValue{name: name, value: value})
}

// writer lays a file out: every structure gets its address when those it points to have theirs. Only the data of datasets
// are not held in memory a second time.
type writer struct {
	segments []segment
	end      uint64 // address of the next segment
	leafK    int    // half the entries of a symbol table node
}

// segment is a piece of the file; they lie one after the other.
type segment struct {
	meta []byte
	data any // or the data of a dataset
}

const (
	superblockSize = 96
	treeK          = 16 // half the children of a B-tree node
)

// Write writes a file with root as its root group: superblock 0, groups with symbol tables, contiguous datasets,
// attributes with strings of variable length in global heaps.
//
// Errors: an attribute longer than the format allows, or that of w.
func Write(w io.Writer, root *Node) error {
	if root.children == nil {
		panic("BUG: hdf5: the root is not a group")
	}
	l := &writer{end: superblockSize}
	// One node of the B-tree should do for every group, so the largest decides how many entries a leaf takes.
	l.leafK = max(4, (root.widest()+4*treeK-1)/(4*treeK))
	if l.leafK > math.MaxUint16 {
		return errors.New("a group has too many members")
	}
	l.globalHeaps(root)
	group, err := l.group(root, "")
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, pieceSize)
	if _, err := out.Write(l.superblock(group)); err != nil {
		return err
	}
	for _, s := range l.segments {
		if s.data != nil {
			err = writeData(out, s.data)
		} else {
			_, err = out.Write(s.meta)
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

// place appends a segment of metadata, padded to a multiple of eight bytes, and returns its address.
func (l *writer) place(meta []byte) uint64 {
	at := l.end
	meta = pad8(meta)
	l.segments = append(l.segments, segment{meta: meta})
	l.end += uint64(len(meta))
	return at
}

func pad8(b []byte) []byte { return append(b, make([]byte, -len(b)&7)...) }

// widest returns the largest number of members of any group.
func (n *Node) widest() int {
	most := len(n.children)
	for _, child := range n.children {
		most = max(most, child.widest())
	}
	return most
}

// placedGroup is where a group's structures are.
type placedGroup struct{ header, tree, heap uint64 }

// le is the byte order of everything that is written.
var le = binary.LittleEndian

func (l *writer) superblock(root placedGroup) []byte {
	b := []byte(signature)
	b = append(b, 0, 0, 0, 0, 0, 8, 8, 0) // versions; addresses and lengths of eight bytes
	b = le.AppendUint16(b, uint16(l.leafK))
	b = le.AppendUint16(b, treeK)
	b = le.AppendUint32(b, 0)
	for _, addr := range []uint64{0, undefined, l.end, undefined} { // base, free space, end of file, driver
		b = le.AppendUint64(b, addr)
	}
	return appendEntry(b, 0, root.header, &root)
}

// appendEntry appends a symbol table entry (section III.C).
func appendEntry(b []byte, name, header uint64, group *placedGroup) []byte {
	b = le.AppendUint64(b, name)
	b = le.AppendUint64(b, header)
	if group == nil {
		return append(b, make([]byte, 24)...)
	}
	b = le.AppendUint64(b, 1) // the scratch pad holds the addresses of tree and heap
	b = le.AppendUint64(b, group.tree)
	return le.AppendUint64(b, group.heap)
}

// group places everything below a group, then the group.
func (l *writer) group(n *Node, path string) (placedGroup, error) {
	names := slices.Sorted(maps.Keys(n.children))
	heap := make([]byte, 8) // names; an empty one comes first
	type member struct {
		name   uint64 // offset in the heap
		header uint64
		group  *placedGroup
	}
	members := make([]member, len(names))
	for i, name := range names {
		members[i].name = uint64(len(heap))
		heap = pad8(append(append(heap, name...), 0))
		child, childPath := n.children[name], path+"/"+name
		var err error
		if child.children == nil {
			members[i].header, err = l.dataset(child, childPath)
		} else {
			var g placedGroup
			g, err = l.group(child, childPath)
			members[i].header, members[i].group = g.header, &g
		}
		if err != nil {
			return placedGroup{}, err
		}
	}

	tree := append([]byte("TREE"), 0, 0) // of groups, at level 0
	tree = le.AppendUint16(tree, uint16((len(members)+2*l.leafK-1)/(2*l.leafK)))
	tree = le.AppendUint64(tree, undefined)
	tree = le.AppendUint64(tree, undefined)
	tree = le.AppendUint64(tree, 0) // the key left of everything: the empty name
	treeSize := len(tree) + 2*treeK*16
	for part := range slices.Chunk(members, 2*l.leafK) {
		node := append([]byte("SNOD"), 1, 0)
		node = le.AppendUint16(node, uint16(len(part)))
		for _, m := range part {
			node = appendEntry(node, m.name, m.header, m.group)
		}
		node = append(node, make([]byte, (2*l.leafK-len(part))*40)...)
		tree = le.AppendUint64(tree, l.place(node))
		tree = le.AppendUint64(tree, part[len(part)-1].name)
	}
	tree = append(tree, make([]byte, treeSize-len(tree))...)

	var g placedGroup
	g.tree = l.place(tree)
	head := append([]byte("HEAP"), 0, 0, 0, 0)
	head = le.AppendUint64(head, uint64(len(heap)))
	head = le.AppendUint64(head, 1) // no free list
	head = le.AppendUint64(head, l.end+32)
	g.heap = l.place(append(head, heap...))

	table := le.AppendUint64(le.AppendUint64(nil, g.tree), g.heap)
	var err error
	g.header, err = l.header(n, path, []message{{kind: msgSymbolTable, data: table}})
	return g, err
}

// dataset places a dataset.
func (l *writer) dataset(n *Node, path string) (uint64, error) {
	typ := encodedType(n.data)
	at, size := l.end, uint64(dataLen(n.data))*uint64(le.Uint32(typ[4:]))
	if size == 0 {
		at = undefined
	} else {
		l.segments = append(l.segments, segment{data: n.data})
		l.end += size
		l.place(make([]byte, -size&7))
	}
	layout := le.AppendUint64([]byte{3, 1}, at)
	layout = le.AppendUint64(layout, size)
	return l.header(n, path, []message{
		{kind: msgDataspace, data: encodedSpace(n.shape)},
		{kind: msgDatatype, data: typ},
		{kind: msgFill, data: []byte{2, 2, 2, 1, 0, 0, 0, 0}}, // late allocation, written if set, the default: zero
		{kind: msgLayout, data: layout},
	})
}

// header places an object header with messages and the attributes of n.
func (l *writer) header(n *Node, path string, messages []message) (uint64, error) {
	for _, a := range n.attrs {
		data := encodedAttribute(a)
		if len(data) > math.MaxUint16-7 {
			return 0, fmt.Errorf("attribute %q of %q is too long for an HDF5 file: %d bytes, where 64 kB are the limit",
				a.name, cmp.Or(path, "/"), len(data))
		}
		messages = append(messages, message{kind: msgAttribute, data: data})
	}
	if len(messages) > math.MaxUint16 {
		return 0, fmt.Errorf("%q has too many attributes", cmp.Or(path, "/"))
	}
	var body []byte
	for _, m := range messages {
		data := pad8(m.data)
		body = le.AppendUint16(body, m.kind)
		body = le.AppendUint16(body, uint16(len(data)))
		body = append(body, 0, 0, 0, 0) // flags, reserved
		body = append(body, data...)
	}
	b := []byte{1, 0}
	b = le.AppendUint16(b, uint16(len(messages)))
	b = le.AppendUint32(b, 1) // one link leads here
	b = le.AppendUint32(b, uint32(len(body)))
	b = append(b, 0, 0, 0, 0)
	return l.place(append(b, body...)), nil
}
