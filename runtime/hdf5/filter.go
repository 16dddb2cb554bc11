package hdf5

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Filters that the format itself defines (section IV.A.2.l).
const (
	filterDeflate    = 1
	filterShuffle    = 2
	filterFletcher32 = 3
)

// filter is one step of how chunks were packed.
type filter struct {
	id     uint16
	values []uint32
}

// filters decodes a filter pipeline message.
func filters(data []byte) ([]filter, error) {
	c := &cursor{b: data}
	version, n := c.u8(), int(c.u8())
	if version != 1 && version != 2 {
		return nil, fmt.Errorf("filter pipeline of version %d is not supported", version)
	}
	if version == 1 {
		c.skip(6)
	}
	var list []filter
	deflated := false
	for range n {
		f := filter{id: c.u16()}
		nameSize := uint64(0)
		if version == 1 || f.id >= 256 {
			nameSize = uint64(c.u16())
		}
		c.skip(2) // flags: what is optional matters to writers only
		count := int(c.u16())
		if version == 1 {
			nameSize += -nameSize & 7
		}
		c.skip(nameSize)
		if count > c.left()/4 {
			return nil, errors.New("broken filter pipeline")
		}
		for range count {
			f.values = append(f.values, c.u32())
		}
		if version == 1 && count%2 == 1 {
			c.skip(4)
		}
		switch f.id {
		case filterDeflate:
			if deflated {
				return nil, errors.New("filter pipeline: data compressed twice are not supported")
			}
			deflated = true
		case filterShuffle, filterFletcher32:
		default:
			return nil, fmt.Errorf("data are packed by filter %d, which is not supported (gzip, shuffle and fletcher32 are)", f.id)
		}
		list = append(list, f)
	}
	if c.short {
		return nil, errors.New("broken filter pipeline")
	}
	return list, nil
}

// unpackedLimit returns the most bytes that packed bytes can become: deflate needs at least one bit for each 258/2 bytes.
func unpackedLimit(filters []filter, packed uint64) uint64 {
	for _, f := range filters {
		if f.id == filterDeflate {
			return 1032*packed + 1032
		}
	}
	return packed
}

// unpack undoes the filters, last one first, and demands exactly size bytes.
func unpack(filters []filter, skip uint32, data []byte, size uint64) ([]byte, error) {
	for i := len(filters) - 1; i >= 0; i-- {
		if i < 32 && skip>>i&1 != 0 {
			continue
		}
		var err error
		switch f := filters[i]; f.id {
		case filterDeflate:
			data, err = inflate(data, size)
		case filterShuffle:
			data, err = unshuffle(data, f.values)
		case filterFletcher32:
			data, err = checked(data)
		}
		if err != nil {
			return nil, err
		}
	}
	if uint64(len(data)) != size {
		return nil, fmt.Errorf("has %d bytes, not %d", len(data), size)
	}
	return data, nil
}

// inflate decompresses, and stops soon after size bytes.
func inflate(data []byte, size uint64) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	// A checksum may follow the data if fletcher32 came before. The buffer grows with what there really is.
	return io.ReadAll(io.LimitReader(z, int64(size)+8))
}

// unshuffle puts the bytes of each element together again: first come all first bytes, then all second ones.
func unshuffle(data []byte, values []uint32) ([]byte, error) {
	if len(values) == 0 || values[0] == 0 {
		return nil, errors.New("shuffle filter: has no element size")
	}
	size := int(values[0])
	n := len(data) / size
	out := make([]byte, len(data))
	for k := range size {
		if n == 0 {
			break
		}
		for i, b := range data[k*n : (k+1)*n] {
			out[i*size+k] = b
		}
	}
	copy(out[n*size:], data[n*size:])
	return out, nil
}

// checked verifies and removes the checksum at the end.
func checked(data []byte) ([]byte, error) {
	if len(data) < 4 {
		return nil, errors.New("lacks its checksum")
	}
	body, sum := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	want := fletcher32(body)
	// Early libraries stored the halves' bytes swapped.
	swapped := want&0x00ff00ff<<8 | want>>8&0x00ff00ff
	if sum != want && sum != swapped {
		return nil, errors.New("its checksum is wrong: the file is damaged")
	}
	return body, nil
}

// fletcher32 sums the big-endian 16-bit words of data modulo 2¹⁶-1.
func fletcher32(data []byte) uint32 {
	var low, high uint32
	add := func(word uint32) {
		low += word
		low = low&0xffff + low>>16
		high += low
		high = high&0xffff + high>>16
	}
	for ; len(data) >= 2; data = data[2:] {
		add(uint32(data[0])<<8 | uint32(data[1]))
	}
	if len(data) == 1 {
		add(uint32(data[0]) << 8)
	}
	return high<<16 | low
}
