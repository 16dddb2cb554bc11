package data

import "sync/atomic"

// pixelCache is the memory that decoded pixels may take, in bytes, shared by the sources of a data set.
// What is kept stays: every pass visits every example, so replacing one by another would gain nothing.
type pixelCache struct{ left atomic.Int64 }

func newPixelCache(bytes int64) *pixelCache {
	c := &pixelCache{}
	c.left.Store(max(bytes, 0))
	return c
}

// take reserves n bytes if there are as many left.
func (c *pixelCache) take(n int64) bool {
	if c.left.Add(-n) >= 0 {
		return true
	}
	c.left.Add(n)
	return false
}

func (c *pixelCache) giveBack(n int64) { c.left.Add(n) }
