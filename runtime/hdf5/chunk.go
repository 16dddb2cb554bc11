package hdf5

import (
	"errors"
	"fmt"
	"math"
)

// grid is the storage of a dataset that is cut into chunks of one shape.
type grid struct {
	f       *File
	shape   []int    // of the dataset
	most    []uint64 // what its dimensions may grow to; undefined: without limit
	extent  []int    // of a chunk
	size    uint64
	bytes   uint64 // of a whole chunk, unpacked
	filters []filter
	// bareEdges: chunks that stand over the dataset's edge are not packed.
	bareEdges bool
	fill      []byte
	// list finds the chunks that the file has.
	list func() ([]chunk, error)
}

// chunk is one chunk: where its first element belongs in the dataset, and where its bytes are in the file.
type chunk struct {
	offset []int
	addr   uint64
	stored uint64 // bytes, packed
	skip   uint32 // bit i: filter i was not applied
}

// grid checks the shape of a chunk, whose last number is the size of an element.
func (o *Object) grid(a *Array, dims []uint64) (*grid, error) {
	g := &grid{f: o.f, shape: a.Shape, most: a.most, size: a.Type.size}
	if len(dims) != len(a.Shape)+1 || len(a.Shape) == 0 || dims[len(dims)-1] != g.size {
		return nil, errors.New("broken data layout: chunks do not fit the dataset")
	}
	g.bytes = g.size
	for _, d := range dims[:len(dims)-1] {
		if d == 0 || d > math.MaxInt32 || g.bytes > math.MaxInt64/d {
			return nil, errors.New("broken data layout: size of chunks")
		}
		g.extent = append(g.extent, int(d))
		g.bytes *= d
	}
	// A huge chunk of a small dataset would cost much work for little data.
	if limit := max(16<<20, 16*float64(a.n)*float64(g.size)); float64(g.bytes) > limit {
		return nil, fmt.Errorf("chunks of %d bytes are too large for shape %v", g.bytes, a.Shape)
	}
	if m, ok := o.find(msgFilters); ok {
		data, err := o.f.resolve(m)
		if err != nil {
			return nil, err
		}
		if g.filters, err = filters(data); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// btreeChunks lists the chunks of a version 1 B-tree.
func (g *grid) btreeChunks(addr uint64) ([]chunk, error) {
	var chunks []chunk
	if addr == undefined { // nothing was ever written
		return nil, nil
	}
	rank := len(g.shape)
	err := g.f.btree(addr, 1, uint64(8+8*(rank+1)), func(key []byte, child uint64) error {
		c := &cursor{b: key}
		one := chunk{addr: child, stored: uint64(c.u32()), skip: c.u32(), offset: make([]int, rank)}
		for i := range rank {
			o := c.uint(8)
			if o >= uint64(g.shape[i]) || o%uint64(g.extent[i]) != 0 {
				return errors.New("broken B-tree: a chunk lies outside of its dataset")
			}
			one.offset[i] = int(o)
		}
		chunks = append(chunks, one)
		return nil
	})
	return chunks, err
}

// store makes the grid the array's storage.
func (g *grid) store(a *Array) {
	var chunks []chunk
	listed := false
	a.size = func() (uint64, error) {
		if !listed {
			var err error
			if chunks, err = g.list(); err != nil {
				return 0, err
			}
			listed = true
		}
		// What was never written may have as many bytes as the file.
		total, stored := g.f.size, uint64(0)
		for _, c := range chunks {
			if stored += c.stored; c.stored > g.f.size || stored > g.f.size {
				return 0, errors.New("chunks overlap")
			}
			total += min(g.bytes, unpackedLimit(g.filters, c.stored))
		}
		return total, nil
	}
	a.read = func(sink func(int, []byte) error) error {
		if err := a.filled(g.fill, sink); err != nil {
			return err
		}
		for _, c := range chunks {
			packed, err := g.f.block(c.addr, c.stored, "chunk")
			if err != nil {
				return err
			}
			filters := g.filters
			if g.bareEdges && g.overEdge(c.offset) {
				filters = nil
			}
			raw, err := unpack(filters, c.skip, packed, g.bytes)
			if err != nil {
				return fmt.Errorf("chunk at %v: %w", c.offset, err)
			}
			if err := g.scatter(c.offset, raw, sink); err != nil {
				return err
			}
		}
		return nil
	}
}

// overEdge tells whether a chunk stands over the dataset's edge.
func (g *grid) overEdge(offset []int) bool {
	for d, at := range offset {
		if g.extent[d] > g.shape[d]-at {
			return true
		}
	}
	return false
}

// scatter sends the rows of a chunk to where they belong; the part that stands over the dataset's edge is left out.
func (g *grid) scatter(offset []int, raw []byte, sink func(int, []byte) error) error {
	last := len(g.shape) - 1
	row := min(g.extent[last], g.shape[last]-offset[last])
	index := make([]int, last) // within the chunk
	for {
		from, to := 0, 0
		for i := range last {
			from = from*g.extent[i] + index[i]
			to = to*g.shape[i] + offset[i] + index[i]
		}
		from *= g.extent[last]
		to = to*g.shape[last] + offset[last]
		if err := sink(to, raw[uint64(from)*g.size:uint64(from+row)*g.size]); err != nil {
			return err
		}
		i := last - 1
		for ; i >= 0; i-- {
			if index[i]++; index[i] < g.extent[i] && offset[i]+index[i] < g.shape[i] {
				break
			}
			index[i] = 0
		}
		if i < 0 {
			return nil
		}
	}
}
