// Package payload attaches a compiled model to an executable file and finds it there.
//
// A payload is named sections behind the executable's own bytes, numbers little-endian:
//
//	          the executable
//	          sections, each at a multiple of 4096 bytes, so that it can be mapped
//	          the table, JSON: name, offset, size and checksums of each section, one for each MiB
//	8 bytes   "NNCMODEL"
//	4 bytes   version, 1
//	4 bytes   checksum of the table
//	8 bytes   offset of the table
//	8 bytes   size of the table
//
// The end of the file is where it is looked for. Checksums are CRC-32C, which processors compute as fast as memory is read: they find damage, such
// as a download that was cut off. Who can write to an executable can have it do anything, so no checksum could prevent forgery.
package payload

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// Section is a part of a payload.
type Section struct {
	Name string
	Data []byte
}

// row describes a section in the table.
type row struct {
	Name         string
	Offset, Size int64
	Sums         []uint32 // of its blocks
}

const (
	magic        = "NNCMODEL"
	version      = 1
	trailerBytes = 32
	pageBytes    = 4096
	maxTable     = 1 << 20
	blockBytes   = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Write writes an executable with sections attached to it.
func Write(w io.Writer, executable []byte, sections []Section) error {
	out := &counter{w: w}
	if _, err := out.Write(executable); err != nil {
		return err
	}
	rows := make([]row, len(sections))
	for k, s := range sections {
		if err := out.pad(); err != nil {
			return err
		}
		rows[k] = row{s.Name, out.n, int64(len(s.Data)), sums(s.Data)}
		if _, err := out.Write(s.Data); err != nil {
			return err
		}
	}
	if err := out.pad(); err != nil {
		return err
	}
	table, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	trailer := []byte(magic)
	trailer = binary.LittleEndian.AppendUint32(trailer, version)
	trailer = binary.LittleEndian.AppendUint32(trailer, crc32.Checksum(table, castagnoli))
	trailer = binary.LittleEndian.AppendUint64(trailer, uint64(out.n))
	trailer = binary.LittleEndian.AppendUint64(trailer, uint64(len(table)))
	_, err = out.Write(append(table, trailer...))
	return err
}

// sums returns the checksums of the blocks of a section, computed by several threads.
func sums(data []byte) []uint32 {
	list := make([]uint32, (len(data)+blockBytes-1)/blockBytes)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(list)) {
		wg.Go(func() {
			for k := int(next.Add(1)) - 1; k < len(list); k = int(next.Add(1)) - 1 {
				list[k] = crc32.Checksum(data[k*blockBytes:min(len(data), (k+1)*blockBytes)], castagnoli)
			}
		})
	}
	wg.Wait()
	return list
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

// Write writes p.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// pad writes zeros up to the next page.
func (c *counter) pad() error {
	_, err := c.Write(make([]byte, (pageBytes-c.n%pageBytes)%pageBytes))
	return err
}

// ErrNone says that a file has no payload.
var ErrNone = errors.New("no model is attached to this program")

// ErrDamaged says that a payload is not as it was written.
var ErrDamaged = errors.New("the model that is attached to this program is damaged: get the file again, or build it again with `nnc build`")

// readTable finds the sections of a file of that size.
//
// Errors: ErrNone, ErrDamaged, a later version, what the reader says.
func readTable(r io.ReaderAt, size int64) ([]row, error) {
	if size < trailerBytes {
		return nil, ErrNone
	}
	var trailer [trailerBytes]byte
	if _, err := r.ReadAt(trailer[:], size-trailerBytes); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(trailer[:], []byte(magic)) {
		return nil, ErrNone
	}
	if v := binary.LittleEndian.Uint32(trailer[8:]); v != version {
		return nil, fmt.Errorf("the model attached to this program has format %d, and this program reads %d", v, version)
	}
	sum := binary.LittleEndian.Uint32(trailer[12:])
	offset, length := binary.LittleEndian.Uint64(trailer[16:]), binary.LittleEndian.Uint64(trailer[24:])
	if length > maxTable || offset > math.MaxInt64 || int64(offset) != size-trailerBytes-int64(length) {
		return nil, fmt.Errorf("%w (its table has no place in the file)", ErrDamaged)
	}
	table := make([]byte, length)
	if _, err := r.ReadAt(table, int64(offset)); err != nil {
		return nil, err
	}
	if crc32.Checksum(table, castagnoli) != sum {
		return nil, fmt.Errorf("%w (its table is not what was written)", ErrDamaged)
	}
	var rows []row
	if err := json.Unmarshal(table, &rows); err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	seen := map[string]bool{}
	for _, s := range rows {
		if s.Offset < 0 || s.Size < 0 || s.Offset%pageBytes != 0 || s.Size > int64(offset) || s.Offset > int64(offset)-s.Size || seen[s.Name] {
			return nil, fmt.Errorf("%w (section %q has no place in the file)", ErrDamaged, s.Name)
		}
		seen[s.Name] = true
	}
	return rows, nil
}
