package hdf5

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Dataset returns the data of a dataset; nothing but their description is read yet.
func (o *Object) Dataset() (*Array, error) {
	a, err := o.dataset()
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", o.path, err)
	}
	a.name = "/" + o.path
	return a, nil
}

func (o *Object) dataset() (*Array, error) {
	layout, ok := o.find(msgLayout)
	typ, hasType := o.find(msgDatatype)
	space, hasSpace := o.find(msgDataspace)
	if !ok || !hasType || !hasSpace {
		return nil, errors.New("is not a dataset")
	}
	if _, external := o.find(msgExternal); external {
		return nil, errors.New("its data are in another file, which is not supported")
	}
	a, err := o.f.array(typ, space)
	if err != nil {
		return nil, err
	}
	fill, err := o.fill(a.Type.size)
	if err != nil {
		return nil, err
	}
	data, err := o.f.resolve(layout)
	if err != nil {
		return nil, err
	}
	return a, o.layout(a, data, fill)
}

// fill returns the value of elements never written, or nil for zero (sections IV.A.2.e and f).
func (o *Object) fill(size uint64) ([]byte, error) {
	if m, ok := o.find(msgFill); ok {
		data, err := o.f.resolve(m)
		if err != nil {
			return nil, err
		}
		c := &cursor{b: data}
		version := c.u8()
		defined := true
		if version == 3 {
			defined = c.u8()&0x20 != 0
		} else {
			c.skip(2)
			defined = c.u8() != 0
		}
		if !defined {
			return nil, nil
		}
		value := c.bytes(uint64(c.u32()))
		if uint64(len(value)) != size || len(bytes.Trim(value, "\x00")) == 0 {
			return nil, nil
		}
		return value, nil
	}
	return nil, nil
}

// layout decodes a data layout message (section IV.A.2.i) and gives a its storage.
func (o *Object) layout(a *Array, data, fill []byte) error {
	c := &cursor{b: data}
	version := c.u8()
	var kind uint8
	var addr uint64
	var dims []uint64
	switch version {
	case 1, 2:
		rank := int(c.u8())
		kind = c.u8()
		c.skip(5)
		if kind != 0 {
			addr = o.f.address(c)
		}
		for range rank {
			dims = append(dims, uint64(c.u32()))
		}
		switch kind {
		case 0:
			data = c.bytes(uint64(c.u32()))
		case 2:
			dims = append(dims, uint64(c.u32()))
		}
	case 3, 4:
		kind = c.u8()
		switch kind {
		case 0:
			data = c.bytes(uint64(c.u16()))
		case 1:
			addr = o.f.address(c)
			c.skip(uint64(o.f.lengthWidth))
		case 2:
			if version == 4 {
				return o.layoutV4(a, c, fill)
			}
			rank := int(c.u8())
			addr = o.f.address(c)
			for range rank {
				dims = append(dims, uint64(c.u32()))
			}
		}
	default:
		// Version 5 came with HDF5 2.0, which writes it only where the newest format is asked for.
		return fmt.Errorf("data layout of version %d is not supported: write the file anew with h5py.File(…, libver=(\"earliest\", \"v114\"))", version)
	}
	if c.short {
		return errors.New("broken data layout")
	}
	switch kind {
	case 0:
		a.inMemory(data)
		return nil
	case 1:
		a.contiguous(addr, fill)
		return nil
	case 2:
		g, err := o.grid(a, dims)
		if err != nil {
			return err
		}
		g.fill = fill
		g.list = func() ([]chunk, error) { return g.btreeChunks(addr) }
		g.store(a)
		return nil
	}
	return fmt.Errorf("data layout of class %d is not supported", kind)
}

// pieceSize is how many bytes of contiguous data are read at once.
const pieceSize = 64 << 10

// contiguous makes one run of bytes the array's storage; none, if nothing was ever written.
func (a *Array) contiguous(addr uint64, fill []byte) {
	a.size = func() (uint64, error) {
		if addr == undefined || addr > a.f.size {
			return a.f.size, nil // reading gives the fill value, or an error
		}
		return a.f.size - addr, nil
	}
	a.read = func(sink func(int, []byte) error) error {
		if addr == undefined {
			return a.filled(fill, sink)
		}
		size := a.Type.size
		data, err := a.f.section(addr, uint64(a.n)*size, "data")
		if err != nil {
			return err
		}
		step := int(max(1, pieceSize/size))
		buf := make([]byte, uint64(min(step, a.n))*size)
		for at := 0; at < a.n; at += step {
			piece := buf[:uint64(min(step, a.n-at))*size]
			if _, err := io.ReadFull(data, piece); err != nil {
				return err
			}
			if err := sink(at, piece); err != nil {
				return err
			}
		}
		return nil
	}
}

// filled sends the fill value for every element; nothing, if it is zero.
func (a *Array) filled(fill []byte, sink func(int, []byte) error) error {
	if fill == nil || a.Type.class == classVariableString {
		return nil
	}
	step := max(1, pieceSize/len(fill))
	piece := bytes.Repeat(fill, min(step, a.n))
	for at := 0; at < a.n; at += step {
		if err := sink(at, piece[:min(step, a.n-at)*len(fill)]); err != nil {
			return err
		}
	}
	return nil
}
