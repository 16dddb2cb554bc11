// Package data holds the data sources of a training program and the loader that turns them into batches.
//
// A Source is indexed: it has a length and yields the i-th example, so shuffling permutes indices and data larger than memory works.
// ImageFolder, IDX, CSV, Text, WAV, Synthetic and Memory make sources; a Loader reads one ahead on other goroutines, in an order that depends on the seed alone.
package data

import (
	"errors"
	"fmt"

	"github.com/nnc-lang/nnc/ir/tensor"
)

// Field describes one named part of an example, such as its image or its label.
type Field struct {
	Name  string
	DType tensor.DType
	// Shape is that of one example, without the batch; empty for a scalar. A -1 in it stands for each example's own length, see Ragged.
	Shape []int
	// Labels names the values 0, 1, … of an id field; nil for a field that holds no ids.
	Labels []string
	// Columns names the elements of a field that holds several columns of a table; nil for others.
	Columns []string
	// Mean and Deviation were measured over the training split, one number per element; nil where they were not.
	Mean, Deviation []float64
}

// Source is an indexed collection of examples. All methods may be called from several goroutines at once.
type Source interface {
	// Len returns the number of examples.
	Len() int
	// Fields describes an example. The caller must not change what it returns.
	Fields() []Field
	// At writes example i into row `row` of the batch tensors dst, one per field, each of shape [batch, field.Shape…].
	// Calls at the same time write different rows. Errors name the example.
	At(i int, dst []*tensor.Tensor, row int) error
	// Name tells where example i comes from, for messages: a file's name or a row's number.
	Name(i int) string
}

// SkipReporter is a Source that passes over broken examples.
type SkipReporter interface {
	// Skipped returns one line per broken example met so far, its name and what is wrong with it, in the source's order.
	Skipped() []string
}

// ErrBroken says that an example is broken and was passed over.
var ErrBroken = errors.New("broken example")

// Replacer is a Source whose At writes another example in the place of a broken one, which keeps the batches of training full.
type Replacer interface {
	// AtOnly is At without the other example: where At would write one, it returns ErrBroken.
	AtOnly(i int, dst []*tensor.Tensor, row int) error
}

// Split holds the sources of one data set by what they are for; any of them may be nil.
type Split struct{ Train, Validation, Test Source }

// Dataset is a Split with what was learned from the data when it was opened.
type Dataset struct {
	Split
	// Labels names the classes in the order of their ids.
	Labels []string
	// Notes are sentences for the user: how many examples there are of what, how they were split, what was ignored.
	Notes []string
	// Kept is how many bytes of decoded examples stay in memory once they were read, at most.
	Kept int64
}

// NewBatch returns zeroed tensors for n examples of the given fields, none of which has lengths that differ.
//
// Shapes: [n, field.Shape…] each.
func NewBatch(fields []Field, n int) []*tensor.Tensor {
	batch := make([]*tensor.Tensor, len(fields))
	for i, f := range fields {
		batch[i] = tensor.New(f.DType, append([]int{n}, f.Shape...)...)
	}
	return batch
}

// writeBytes stores raw bytes as numbers 0…255 in one row of dst.
func writeBytes(dst *tensor.Tensor, row int, pix []byte) {
	out := dst.F32[row*len(pix):][:len(pix)]
	for i, b := range pix {
		out[i] = float32(b)
	}
}

// plural returns "1 file", "2 files".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
