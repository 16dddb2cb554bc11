package hdf5

import (
	"errors"
	"fmt"
	"io"
)

const signature = "\x89HDF\r\n\x1a\n"

// File is an HDF5 file open for reading. It must not be used from several goroutines at once.
type File struct {
	r    io.ReaderAt
	size uint64 // bytes from the superblock on; addresses count from there
	base uint64 // length of the user block before the superblock, in bytes

	offsetWidth, lengthWidth int // bytes of an address and of a length

	spent   uint64 // bytes of metadata read so far, see metadata
	objects map[uint64]*object
	heaps   map[uint64]map[uint16]string // global heap collections by address
	root    *Object
}

// Open reads the superblock and the root group of an HDF5 file of size bytes.
//
// Errors: what is wrong with the file, or what in it is not supported.
func Open(r io.ReaderAt, size int64) (*File, error) {
	for at := int64(0); at+8 <= size; at = max(512, 2*at) {
		var start [8]byte
		if _, err := io.ReadFull(io.NewSectionReader(r, at, 8), start[:]); err != nil {
			return nil, err
		}
		if string(start[:]) != signature {
			continue
		}
		f := &File{
			r: r, size: uint64(size - at), base: uint64(at),
			objects: map[uint64]*object{}, heaps: map[uint64]map[uint16]string{},
		}
		root, err := f.superblock()
		if err != nil {
			return nil, err
		}
		f.root, err = f.open(root, "")
		return f, err
	}
	return nil, errors.New("not an HDF5 file: it lacks the signature")
}

// superblock reads the superblock (section II.A) and returns the address of the root group's header.
func (f *File) superblock() (root uint64, err error) {
	head, err := f.metadata(0, min(f.size, 128), "superblock")
	if err != nil {
		return 0, err
	}
	c := &cursor{b: head, pos: len(signature)}
	version := c.u8()
	switch version {
	case 0, 1:
		c.skip(4) // versions of parts that never changed
		f.offsetWidth, f.lengthWidth = int(c.u8()), int(c.u8())
		c.skip(1 + 2 + 2 + 4) // reserved, ranks of the B-trees, flags
		if version == 1 {
			c.skip(4)
		}
	case 2, 3:
		f.offsetWidth, f.lengthWidth = int(c.u8()), int(c.u8())
		c.skip(1)
	default:
		return 0, fmt.Errorf("superblock of version %d is not supported (0 to 3 are)", version)
	}
	for _, width := range []int{f.offsetWidth, f.lengthWidth} {
		if width != 2 && width != 4 && width != 8 {
			return 0, fmt.Errorf("superblock: addresses of %d bytes", width)
		}
	}
	switch version {
	case 0, 1:
		c.skip(4 * uint64(f.offsetWidth)) // base, free space, end of file, driver
		c.skip(uint64(f.offsetWidth))     // the root's name
	default:
		c.skip(3 * uint64(f.offsetWidth)) // base, extension, end of file
	}
	root = f.address(c)
	if c.short {
		return 0, errors.New("superblock: the file is cut short")
	}
	return root, nil
}

// Root returns the root group.
func (f *File) Root() *Object { return f.root }

func (f *File) address(c *cursor) uint64 { return c.address(f.offsetWidth) }
func (f *File) length(c *cursor) uint64  { return c.uint(f.lengthWidth) }

// section returns the n bytes at an address, which must lie in the file.
func (f *File) section(addr, n uint64, what string) (*io.SectionReader, error) {
	if addr == undefined {
		return nil, fmt.Errorf("%s: has no address", what)
	}
	if addr > f.size || n > f.size-addr {
		return nil, fmt.Errorf("%s: %d bytes at %d lie outside of the file's %d: was it cut short?", what, n, addr, f.size)
	}
	return io.NewSectionReader(f.r, int64(f.base+addr), int64(n)), nil
}

// block reads n bytes at an address.
func (f *File) block(addr, n uint64, what string) ([]byte, error) {
	s, err := f.section(addr, n, what)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(s, b); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return b, nil
}

// metadata reads a block of the file's structure. Such a block is read only once, so the sum of all of them cannot be much
// more than the file, unless blocks overlap: it is this sum that bounds the work on a malicious file.
func (f *File) metadata(addr, n uint64, what string) ([]byte, error) {
	b, err := f.block(addr, n, what)
	if err == nil {
		err = f.spend(n, what)
	}
	return b, err
}

// spend counts n bytes of metadata.
func (f *File) spend(n uint64, what string) error {
	f.spent += n
	if f.spent > 4*f.size+64<<10 {
		return fmt.Errorf("%s: the file's structures overlap", what)
	}
	return nil
}
