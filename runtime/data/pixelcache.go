package data

import (
	"sync"
	"sync/atomic"
)

// pixelCache is the memory that decoded pixels may take, in bytes, shared by the sources of a data set.
// What is kept stays: every pass visits every example, so replacing one by another would gain nothing.
type pixelCache struct {
	mu   sync.Mutex
	left int64
	free []byte
}

// together is how many images' pixels are allocated as one: each for itself, they would be rounded up to whole pages, and lie between what the decoder
// left over.
const together = 16

func newPixelCache(bytes int64) *pixelCache { return &pixelCache{left: max(bytes, 0)} }

// keep keeps a copy of pix in at, where nothing is yet and memory is left.
func (c *pixelCache) keep(at *atomic.Pointer[[]byte], pix []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(pix)
	if at.Load() != nil || int64(n) > c.left {
		return
	}
	c.left -= int64(n)
	if n > len(c.free) {
		c.free = make([]byte, max(n, int(min(int64(together*n), c.left+int64(n)))))
	}
	kept := c.free[:n:n]
	c.free = c.free[n:]
	copy(kept, pix)
	at.Store(&kept)
}
