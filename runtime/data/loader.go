package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Options say how a Loader goes through its source.
type Options struct {
	// Batch is the number of examples of a batch; the last one of a pass may have fewer, as with Keras's generators.
	Batch int
	// Shuffle visits the examples of each pass in an order of its own, which Seed and the pass's number determine.
	Shuffle bool
	Seed    uint64
	// ShuffleJoined is Shuffle of the parts of a joined source after the first; nil: all as the first one. See Join.
	ShuffleJoined []bool
	// Poisson puts each example into each batch with a chance of its own, so that batches have Batch examples in the mean, and perhaps none. A
	// pass has as many batches as otherwise. It goes with Shuffle false, Repeat and a source that is not joined.
	Poisson bool
	// Repeat goes on with the next pass after the last batch of one; otherwise the loader ends there with io.EOF.
	Repeat bool
	// OnlyGood leaves out the examples that the source finds broken, where it would put others in their places. A batch then has
	// fewer examples, or none, and a pass visits each good one once: what measures needs that.
	OnlyGood bool
	// Prefetch is the number of batches read ahead; if it is 0, 2, or 1 of batches of more than 4 MiB.
	Prefetch int
	// Workers is the number of goroutines that read examples; the number of processors if it is 0. It never changes the batches.
	Workers int
	// Start is where to begin: the zero Cursor, or one that a loader over the same data returned.
	Start Cursor
	// Buffers is the memory of batches that several loaders share; nil: the loader has its own.
	Buffers *Buffers
}

// Buffers keeps the tensors of batches that were released for the next ones, also of other loaders.
type Buffers struct {
	sync.Mutex
	free [][]*tensor.Tensor
}

// take returns tensors to be filled, or nil.
func (f *Buffers) take() []*tensor.Tensor {
	f.Lock()
	defer f.Unlock()
	last := len(f.free) - 1
	if last < 0 {
		return nil
	}
	b := f.free[last]
	f.free = f.free[:last]
	return b
}

func (f *Buffers) give(b []*tensor.Tensor) {
	f.Lock()
	defer f.Unlock()
	f.free = append(f.free, b)
}

// largeBatch is how many bytes of a batch are not worth to be held three times.
const largeBatch = 4 << 20

// prefetch returns how many batches of a source are read ahead.
func (o Options) prefetch(src Source) int {
	switch {
	case o.Prefetch > 0:
		return o.Prefetch
	case batchBytes(src, o.Batch) > largeBatch:
		return 1
	}
	return 2
}

// batchBytes is the size of a batch of examples; one whose length is its own counts as of length 1.
func batchBytes(src Source, batch int) int {
	total := 0
	for _, f := range src.Fields() {
		n := min(batch, src.Len())
		switch f.DType {
		case tensor.F64:
			n *= 8
		case tensor.F32, tensor.I32:
			n *= 4
		}
		for _, d := range f.Shape {
			n *= max(d, 1)
		}
		total += n
	}
	return total
}

// LoaderBytes is how much memory the batches of a loader take: those read ahead, and the one that is used. Examples whose lengths are their own count
// as of length 1.
func LoaderBytes(src Source, opt Options) int {
	return AheadBytes(src, opt) + batchBytes(src, opt.Batch)
}

// AheadBytes is LoaderBytes without the batch that is used.
func AheadBytes(src Source, opt Options) int { return opt.prefetch(src) * batchBytes(src, opt.Batch) }

// Batch is what one step of training or evaluation reads.
type Batch struct {
	// Tensors holds one tensor per field of the source, the batch its first dimension. They are valid until Release.
	Tensors []*tensor.Tensor
	// Examples holds the index in the source of each row; in its first part, where it is joined.
	Examples []int32
	// Pass and Index count passes over the source and batches within a pass, from 0.
	Pass, Index uint64

	rows     [][]int32        // by part of the source, the example of each row; the first is Examples before broken ones are left out
	full     []*tensor.Tensor // of Options.Batch rows or more; Tensors shares its elements
	loader   *Loader
	released atomic.Bool

	mu      sync.Mutex
	left    int    // chunks not read yet
	broken  []bool // by row, under OnlyGood; nil while there is none
	failRow int    // of err; the lowest one, so that the message does not depend on timing
	err     error
	done    chan struct{}
}

// NameOf tells where the example of a row comes from that a field belongs to.
func (b *Batch) NameOf(field, row int) string {
	part := 0
	for field >= b.loader.first[part+1] {
		part++
	}
	return b.loader.parts[part].Name(int(b.rows[part][row]))
}

// Len returns the number of examples.
func (b *Batch) Len() int { return len(b.Examples) }

// Release gives the tensors back to the loader, which fills them again; the caller must not use them any more.
func (b *Batch) Release() {
	if b.released.Swap(true) {
		panic("BUG: batch released twice")
	}
	b.loader.free.give(b.full)
}

// Loader reads the batches of a source ahead, on goroutines of its own. Next, Cursor and Close belong to one goroutine.
type Loader struct {
	src    Source
	parts  []Source // of src, see Join
	first  []int    // by part, the number of its first field; one more for the end
	fields []Field
	opt    Options
	cancel context.CancelFunc
	ctx    context.Context
	wg     sync.WaitGroup

	ready  chan *Batch   // in order, some still being read
	places chan struct{} // one for each batch in ready, taken before it has memory
	chunks chan chunk
	free   *Buffers

	cursor Cursor
	ended  error
}

// chunk is a run of rows of a batch that one worker reads.
type chunk struct {
	batch  *Batch
	lo, hi int
}

// NewLoader starts to read src. Cancelling ctx stops it, as Close does.
//
// Errors: options out of range, an empty source, or a Start that belongs to other data or options.
func NewLoader(ctx context.Context, src Source, opt Options) (*Loader, error) {
	n := src.Len()
	switch {
	case n == 0:
		return nil, fmt.Errorf("the data source has no examples")
	case n > math.MaxInt32:
		return nil, fmt.Errorf("the data source has %d examples; at most %d can be used", n, math.MaxInt32)
	case opt.Batch < 1:
		return nil, fmt.Errorf("a batch of %d examples: it must have at least 1", opt.Batch)
	case opt.Poisson && (opt.Shuffle || !opt.Repeat || isJoined(src)):
		panic("BUG: a loader that takes examples by chance has no other order, no end and no other data")
	case opt.Prefetch < 0 || opt.Workers < 0:
		return nil, fmt.Errorf("prefetch %d, workers %d: neither can be negative", opt.Prefetch, opt.Workers)
	}
	opt.Prefetch = opt.prefetch(src)
	if opt.Workers == 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	start, err := opt.Start.within(src, opt)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &Loader{
		src: src, fields: src.Fields(), opt: opt, ctx: ctx, cancel: cancel,
		ready:  make(chan *Batch, opt.Prefetch),
		places: make(chan struct{}, opt.Prefetch),
		chunks: make(chan chunk),
		free:   opt.Buffers,
		cursor: start,
	}
	if l.free == nil {
		l.free = &Buffers{}
	}
	l.parts, l.first = partsOf(src)
	l.wg.Go(func() { l.dispatch(start) })
	for range opt.Workers {
		l.wg.Go(l.work)
	}
	return l, nil
}

// Steps returns the number of batches of one pass.
func (l *Loader) Steps() int { return batches(l.src.Len(), l.opt.Batch) }

func batches(n, batch int) int { return (n-1)/batch + 1 }

// Cursor returns the position of the batch that Next returns next; a loader whose Start it is returns the same batches from there, bit for bit.
func (l *Loader) Cursor() Cursor { return l.cursor }

// Next returns the next batch.
//
// Errors: io.EOF after the last one; the context's error once it is cancelled; otherwise what the source says of the first
// example of the batch that it could not read, with the batch's number. After an error Next returns the same one again.
func (l *Loader) Next() (*Batch, error) {
	if l.ended != nil {
		return nil, l.ended
	}
	b, err := l.next()
	if err != nil {
		l.ended = err
		l.cancel()
		return nil, err
	}
	l.cursor = l.cursor.after(b)
	return b, nil
}

func (l *Loader) next() (*Batch, error) {
	// Checked first: select would choose at random between a batch and a context that is over.
	if err := context.Cause(l.ctx); err != nil {
		return nil, err
	}
	var b *Batch
	select {
	case next, ok := <-l.ready:
		if !ok {
			return nil, l.atEnd()
		}
		b = next
	case <-l.ctx.Done():
		return nil, context.Cause(l.ctx)
	}
	select {
	case <-b.done:
	case <-l.ctx.Done():
		return nil, context.Cause(l.ctx)
	}
	<-l.places
	if err := context.Cause(l.ctx); err != nil {
		return nil, err // and not what a worker said that noticed it in the middle of the batch
	}
	if b.err != nil {
		return nil, fmt.Errorf("batch %d of pass %d: %w", b.Index+1, b.Pass+1, b.err)
	}
	b.closeRanks()
	return b, nil
}

// closeRanks takes the broken rows out of the batch.
func (b *Batch) closeRanks() {
	if b.broken == nil {
		return
	}
	var good []int32
	for row, example := range b.Examples {
		if b.broken[row] {
			continue
		}
		for _, t := range b.Tensors {
			copyRow(t, len(good), t, row)
		}
		good = append(good, example)
	}
	b.Examples = good
	for i, t := range b.Tensors {
		b.Tensors[i] = firstRows(t, len(good))
	}
}

// atEnd tells a pass that is over from a dispatcher that gave up.
func (l *Loader) atEnd() error {
	if err := context.Cause(l.ctx); err != nil {
		return err
	}
	return io.EOF
}

// Skipped returns one line per broken example that the source passed over so far.
func (l *Loader) Skipped() []string {
	if s, ok := l.src.(SkipReporter); ok {
		return s.Skipped()
	}
	return nil
}

// Close stops reading and waits until the loader's goroutines have ended. Batches that Next returned stay valid.
func (l *Loader) Close() {
	l.cancel()
	l.wg.Wait()
	for b := range l.ready { // nobody reads into them any more
		b.Release()
	}
	if l.ended == nil {
		l.ended = context.Canceled
	}
}

// dispatch hands out the batches in order, from start on.
func (l *Loader) dispatch(start Cursor) {
	defer close(l.ready)
	defer close(l.chunks)
	orders := visits(l.src, l.opt)
	chance := newChance(l.opt.Seed, l.src.Len(), l.opt.Batch)
	pass, index := start.Pass, start.Batch
	for {
		n := l.src.Len()
		for lo := int(index) * l.opt.Batch; lo < n; lo += l.opt.Batch {
			rows := make([][]int32, len(orders))
			for part, order := range orders {
				if l.opt.Poisson {
					rows[part] = chance.batch(pass, index)
					continue
				}
				rows[part] = make([]int32, min(l.opt.Batch, n-lo))
				for k := range rows[part] {
					if part == 0 {
						rows[part][k] = order.example(pass, lo+k)
						continue
					}
					place, size := pass*uint64(n)+uint64(lo+k), uint64(order.src.Len()) // in all passes
					rows[part][k] = order.example(place/size, int(place%size))
				}
			}
			select {
			case l.places <- struct{}{}:
			case <-l.ctx.Done():
				return
			}
			l.send(l.batch(rows, pass, index))
			index++
		}
		if !l.opt.Repeat {
			return
		}
		pass, index = pass+1, 0
	}
}

// batch returns a batch for the given examples of each part whose tensors are still to be filled.
func (l *Loader) batch(rows [][]int32, pass, index uint64) *Batch {
	b := &Batch{Examples: rows[0], rows: rows, Pass: pass, Index: index, loader: l, done: make(chan struct{})}
	if b.full = l.free.take(); len(b.full) != len(l.fields) {
		b.full = make([]*tensor.Tensor, len(l.fields))
	}
	b.Tensors = make([]*tensor.Tensor, len(b.full))
	part := 0
	for i, f := range l.fields {
		for i >= l.first[part+1] {
			part++
		}
		examples := rows[part]
		if f.ragged() {
			b.full[i] = padded(b.full[i], f, len(examples), longest(l.parts[part], i-l.first[part], examples))
			b.Tensors[i] = b.full[i]
			continue
		}
		if old := b.full[i]; old == nil || old.DType != f.DType || old.Shape[0] < len(examples) || !slices.Equal(old.Shape[1:], f.Shape) {
			b.full[i] = NewBatch(l.fields[i:i+1], max(len(examples), min(l.opt.Batch, l.src.Len())))[0]
		}
		b.Tensors[i] = firstRows(b.full[i], len(examples))
	}
	return b
}

// firstRows returns the first n rows of t, sharing its elements.
func firstRows(t *tensor.Tensor, n int) *tensor.Tensor {
	size := t.Len() / t.Shape[0] * n
	u := &tensor.Tensor{DType: t.DType, Shape: append([]int{n}, t.Shape[1:]...)}
	switch t.DType {
	case tensor.F32:
		u.F32 = t.F32[:size]
	case tensor.F64:
		u.F64 = t.F64[:size]
	case tensor.I32:
		u.I32 = t.I32[:size]
	case tensor.Bool:
		u.Bool = t.Bool[:size]
	}
	return u
}

// send queues b for Next, where it has a place, and its rows for the workers.
func (l *Loader) send(b *Batch) {
	n := len(b.Examples)
	// Two chunks per worker even out examples that take longer, and cost little when each takes a microsecond.
	size := max(1, n/(2*l.opt.Workers))
	b.left = (n + size - 1) / size
	if n == 0 {
		close(b.done)
	}
	l.ready <- b
	for lo := 0; lo < n; lo += size {
		l.chunks <- chunk{b, lo, min(lo+size, n)} // workers receive until the channel is closed, also when they only drain it
	}
}

func (l *Loader) work() {
	for c := range l.chunks {
		failRow, err := l.read(c)
		c.batch.finish(failRow, err)
	}
}

// read fills the rows of c and returns the first row that failed.
func (l *Loader) read(c chunk) (int, error) {
	for row := c.lo; row < c.hi; row++ {
		if err := l.ctx.Err(); err != nil {
			return row, err
		}
		err := l.readAt(c.batch, row)
		switch {
		case l.opt.OnlyGood && errors.Is(err, ErrBroken):
			c.batch.leaveOut(row)
		case err != nil:
			return row, err
		}
	}
	return 0, nil
}

// readAt fills a row of b with an example of each part.
func (l *Loader) readAt(b *Batch, row int) error {
	for k, src := range l.parts {
		example, dst := int(b.rows[k][row]), b.Tensors[l.first[k]:l.first[k+1]]
		read := src.At
		if r, ok := src.(Replacer); ok && l.opt.OnlyGood {
			read = r.AtOnly
		}
		if err := read(example, dst, row); err != nil {
			return err
		}
	}
	return nil
}

// leaveOut marks a row as broken.
func (b *Batch) leaveOut(row int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken == nil {
		b.broken = make([]bool, len(b.Examples))
	}
	b.broken[row] = true
}

// finish records the end of one chunk; the last one makes the batch ready.
func (b *Batch) finish(failRow int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && (b.err == nil || failRow < b.failRow) {
		b.failRow, b.err = failRow, err
	}
	if b.left--; b.left == 0 {
		close(b.done)
	}
}
