package data

import "fmt"

// Cursor is a position in the endless sequence of batches of a Loader. It is plain data, to be kept in a checkpoint.
// The zero Cursor is the beginning.
type Cursor struct {
	// Pass and Batch count passes over the source and batches within the pass, from 0.
	Pass, Batch uint64
	// Examples, BatchSize, Shuffle and Seed are what the position was counted with: with others it would mean other examples.
	// They are checked unless Examples is 0.
	Examples, BatchSize uint64
	Shuffle             bool
	Seed                uint64
	// Order is that of an Orderer, "poisson" where examples are taken by chance, or "".
	Order string `json:",omitempty"`
	// Joined describes the other parts of a joined source, "" for other sources. Their positions follow from that in the first.
	Joined string `json:",omitempty"`
}

// within returns c, completed, as a position in src read with opt.
func (c Cursor) within(src Source, opt Options) (Cursor, error) {
	n := src.Len()
	parts, _ := partsOf(src)
	full := Cursor{c.Pass, c.Batch, uint64(n), uint64(opt.Batch), opt.Shuffle, opt.Seed, orderOf(parts[0]), joinedText(src, opt)}
	if opt.Poisson {
		full.Order = "poisson"
	}
	if c.Examples != 0 {
		switch {
		case c.Examples != full.Examples:
			return c, fmt.Errorf("the position was saved when the data had %d examples; now it has %d: restore the data or start anew", c.Examples, n)
		case c.BatchSize != full.BatchSize:
			return c, fmt.Errorf("the position was saved with batches of %d, not %d: set the batch back or start anew", c.BatchSize, opt.Batch)
		case c.Shuffle != full.Shuffle:
			return c, fmt.Errorf("the position was saved with shuffle %v, not %v: set it back or start anew", c.Shuffle, opt.Shuffle)
		case c.Order != full.Order:
			return c, fmt.Errorf("the position was saved with order %q, not %q: set it back or start anew", c.Order, full.Order)
		case c.Joined != full.Joined:
			return c, fmt.Errorf("the position was saved with %q beside the first data, not %q: restore the data or start anew", c.Joined, full.Joined)
		case c.Seed != full.Seed:
			return c, fmt.Errorf("the position was saved with seed %d, not %d: set the seed back or start anew", c.Seed, opt.Seed)
		}
	}
	if steps := batches(n, opt.Batch); c.Batch >= uint64(steps) {
		return c, fmt.Errorf("position at batch %d of a pass that has only %d", c.Batch+1, steps)
	}
	return full, nil
}

// after returns the position behind b, which is at c.
func (c Cursor) after(b *Batch) Cursor {
	if b.Pass != c.Pass || b.Index != c.Batch {
		panic(fmt.Sprintf("BUG: batch %d of pass %d at position %+v", b.Index, b.Pass, c))
	}
	c.Batch++
	if c.Batch*c.BatchSize >= c.Examples {
		c.Pass, c.Batch = c.Pass+1, 0
	}
	return c
}
