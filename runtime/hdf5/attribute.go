package hdf5

import (
	"bytes"
	"errors"
	"fmt"
)

// attribute is a decoded attribute message.
type attribute struct {
	name  string
	array *Array
	err   error // why the array cannot be read
}

// AttrNames returns the names of the object's attributes.
func (o *Object) AttrNames() ([]string, error) {
	attrs, err := o.attributes()
	names := make([]string, len(attrs))
	for i, a := range attrs {
		names[i] = a.name
	}
	return names, err
}

// Attr returns an attribute.
//
// Errors: ErrNotFound, or what is wrong with the file.
func (o *Object) Attr(name string) (*Array, error) {
	attrs, err := o.attributes()
	if err != nil {
		return nil, err
	}
	for _, a := range attrs {
		if a.name == name {
			return a.array, a.err
		}
	}
	return nil, fmt.Errorf("/%s: attribute %q: %w", o.path, name, ErrNotFound)
}

// attributes decodes the attributes and remembers them.
func (o *Object) attributes() ([]attribute, error) {
	if o.decoded {
		return o.attrs, nil
	}
	var attrs []attribute
	for _, m := range o.messages {
		switch m.kind {
		case msgAttribute:
			data, err := o.f.resolve(m)
			if err != nil {
				return nil, fmt.Errorf("/%s: attribute: %w", o.path, err)
			}
			attrs = append(attrs, o.attribute(data))
		case msgAttributeInfo:
			dense, err := o.f.denseAttributes(m.data)
			if err != nil {
				return nil, fmt.Errorf("/%s: %w", o.path, err)
			}
			for _, data := range dense {
				attrs = append(attrs, o.attribute(data))
			}
		}
	}
	o.attrs, o.decoded = attrs, true
	return attrs, nil
}

// attribute decodes an attribute message (section IV.A.2.m).
func (o *Object) attribute(data []byte) attribute {
	c := &cursor{b: data}
	version, flags := c.u8(), c.u8()
	nameSize, typeSize, spaceSize := uint64(c.u16()), uint64(c.u16()), uint64(c.u16())
	if version == 3 {
		c.skip(1) // character set
	}
	field := func(n uint64) []byte {
		b := c.bytes(n)
		if version == 1 {
			c.skip(-n & 7)
		}
		return b
	}
	name, _, _ := bytes.Cut(field(nameSize), []byte{0})
	a := attribute{name: string(name)}
	what := fmt.Sprintf("/%s: attribute %q", o.path, a.name)
	typ := message{msgDatatype, version > 1 && flags&1 != 0, field(typeSize)}
	space := message{msgDataspace, version > 1 && flags&2 != 0, field(spaceSize)}
	if c.short || version < 1 || version > 3 {
		a.err = fmt.Errorf("%s: broken", what)
		return a
	}
	if a.array, a.err = o.f.array(typ, space); a.err != nil {
		a.err = fmt.Errorf("%s: %w", what, a.err)
		return a
	}
	a.array.name = what
	a.array.inMemory(data[c.pos:])
	return a
}

// array combines a datatype and a dataspace; storage is the caller's to add.
func (f *File) array(typ, space message) (*Array, error) {
	data, err := f.resolve(typ)
	if err != nil {
		return nil, err
	}
	a := &Array{f: f}
	if a.Type, err = datatype(data); err != nil {
		return nil, err
	}
	if a.Type.class == classVariableString && a.Type.size != uint64(8+f.offsetWidth) {
		return nil, errors.New("broken datatype of a variable-length string")
	}
	if data, err = f.resolve(space); err != nil {
		return nil, err
	}
	return a, f.dataspace(a, data)
}

// inMemory makes data, which may be longer, the array's storage.
func (a *Array) inMemory(data []byte) {
	a.size = func() (uint64, error) { return uint64(len(data)), nil }
	a.read = func(sink func(int, []byte) error) error { return sink(0, data[:uint64(a.n)*a.Type.size]) }
}
