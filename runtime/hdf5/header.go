package hdf5

import (
	"errors"
	"fmt"
)

// Kinds of header messages (section IV.A.2).
const (
	msgDataspace     = 0x01
	msgLinkInfo      = 0x02
	msgDatatype      = 0x03
	msgFillOld       = 0x04
	msgFill          = 0x05
	msgLink          = 0x06
	msgExternal      = 0x07
	msgLayout        = 0x08
	msgFilters       = 0x0b
	msgAttribute     = 0x0c
	msgContinuation  = 0x10
	msgSymbolTable   = 0x11
	msgAttributeInfo = 0x15
)

// message is one message of an object header.
type message struct {
	kind   uint16
	shared bool // data tell where the message is
	data   []byte
}

// object is what an object header says. Two paths may lead to one object.
type object struct {
	addr     uint64
	messages []message
	links    []link // once listed is set
	listed   bool
	attrs    []attribute // once decoded is set
	decoded  bool
}

// find returns the first message of a kind.
func (o *object) find(kind uint16) (message, bool) {
	for _, m := range o.messages {
		if m.kind == kind {
			return m, true
		}
	}
	return message{}, false
}

// header reads the object header at an address, of either version (section IV.A.1).
func (f *File) header(addr uint64) (*object, error) {
	if o, ok := f.objects[addr]; ok {
		return o, nil
	}
	start, err := f.metadata(addr, min(16, f.size-min(addr, f.size)), "object header")
	if err != nil {
		return nil, err
	}
	o := &object{addr: addr}
	if string(start[:min(4, len(start))]) == "OHDR" {
		err = f.headerV2(o)
	} else {
		err = f.headerV1(o, start)
	}
	if err != nil {
		return nil, err
	}
	f.objects[addr] = o
	return o, nil
}

func (f *File) headerV1(o *object, start []byte) error {
	c := &cursor{b: start}
	version := c.u8()
	c.skip(1 + 2 + 4) // reserved, number of messages, reference count
	size := uint64(c.u32())
	if c.short || version != 1 {
		return fmt.Errorf("no object header at address %d", o.addr)
	}
	queue := []continuation{{o.addr + 16, size}}
	for len(queue) > 0 {
		block, err := f.metadata(queue[0].addr, queue[0].size, "object header")
		if err != nil {
			return err
		}
		queue = queue[1:]
		c := &cursor{b: block}
		for c.left() >= 8 {
			kind, size, flags := c.u16(), uint64(c.u16()), c.u8()
			c.skip(3)
			m := message{kind, flags&2 != 0, c.bytes(size)}
			if c.short {
				return errors.New("object header: a message is longer than the header")
			}
			if queue, err = f.collect(o, m, queue); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *File) headerV2(o *object) error {
	prefix, err := f.metadata(o.addr, min(34, f.size-o.addr), "object header")
	if err != nil {
		return err
	}
	c := &cursor{b: prefix, pos: 4}
	version, flags := c.u8(), c.u8()
	if version != 2 {
		return fmt.Errorf("object header of version %d is not supported", version)
	}
	if flags&0x20 != 0 {
		c.skip(16) // times
	}
	if flags&0x10 != 0 {
		c.skip(4) // limits of attributes in the header
	}
	size := c.uint(1 << (flags & 3))
	if c.short {
		return errors.New("object header: the file is cut short")
	}
	queue := []continuation{{o.addr + uint64(c.pos), size}}
	for first := true; len(queue) > 0; first = false {
		block, err := f.metadata(queue[0].addr, queue[0].size, "object header")
		if err != nil {
			return err
		}
		queue = queue[1:]
		c := &cursor{b: block}
		if !first {
			if !c.signature("OCHK") || len(block) < 8 {
				return errors.New("object header: a continuation lacks its signature")
			}
			c.b = block[:len(block)-4] // without the checksum
		}
		lead := 4
		if flags&4 != 0 {
			lead += 2
		}
		for c.left() >= lead { // less than a message is a gap
			kind, size, mflags := uint16(c.u8()), uint64(c.u16()), c.u8()
			if flags&4 != 0 {
				c.skip(2) // creation order
			}
			m := message{kind, mflags&2 != 0, c.bytes(size)}
			if c.short {
				return errors.New("object header: a message is longer than the header")
			}
			if queue, err = f.collect(o, m, queue); err != nil {
				return err
			}
		}
	}
	return nil
}

// continuation is a further block of an object header.
type continuation struct{ addr, size uint64 }

// collect files a message under the object, or under the queue of continuations.
func (f *File) collect(o *object, m message, queue []continuation) ([]continuation, error) {
	switch m.kind {
	case 0: // NIL: deleted or padding
	case msgContinuation:
		c := &cursor{b: m.data}
		next := continuation{f.address(c), f.length(c)}
		if c.short {
			return nil, errors.New("object header: broken continuation")
		}
		queue = append(queue, next)
	default:
		o.messages = append(o.messages, m)
	}
	return queue, nil
}

// resolve returns the data of a message, which for a shared one (such as a committed datatype) lie in the header of another
// object (section IV.A.1.c).
func (f *File) resolve(m message) ([]byte, error) {
	if !m.shared {
		return m.data, nil
	}
	c := &cursor{b: m.data}
	version, kind := c.u8(), c.u8()
	switch {
	case version == 1:
		c.skip(6)
	case version == 3 && kind == 1:
		return nil, errors.New("shared header messages are not supported")
	case version > 3:
		return nil, fmt.Errorf("shared message of version %d is not supported", version)
	}
	addr := f.address(c)
	if c.short {
		return nil, errors.New("shared message: broken")
	}
	o, err := f.header(addr)
	if err != nil {
		return nil, fmt.Errorf("shared message: %w", err)
	}
	there, ok := o.find(m.kind)
	if !ok || there.shared {
		return nil, errors.New("shared message: not where it should be")
	}
	return there.data, nil
}
