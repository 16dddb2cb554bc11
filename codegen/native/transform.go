package native

import (
	"fmt"
	"slices"
	"strings"
)

// Transformation is something that is done for speed alone: without it, a program computes the same, but for the order of sums. What changes nothing that is
// computed, as asking for memory ahead of time, is none.
type Transformation struct {
	Name string
	Doc  string // one line
}

// transformation is the number of a row of transformations.
type transformation int

const (
	doRounds transformation = iota
	doMaxima
	doFuse
	doUpdates
	doProofs
	doUnpool
	doWinograd
	doDirect
	doEpilogues
	doPost
	doSlices
	doPrepare
	doPanels
	doJoin
	doPieces
	doAfter
	doPlaces
	doFlatten
	doStreams
	doTiles
	doBlocks
	doSquares
	doOptimize
)

// transformations names each once, in the order in which they are done.
var transformations = []Transformation{
	doRounds:    {"rounds", "puts the rounds of scans' sequences first"},
	doMaxima:    {"maxima", "reads the maxima of pooling in the place of what they are of"},
	doFuse:      {"fuse", "computes elementwise nests where they are read"},
	doUpdates:   {"updates", "writes the next values of cells in place"},
	doProofs:    {"proofs", "proves next values finite from bounds in the place of looking at them"},
	doUnpool:    {"unpool", "reads gradients before pooling as they were pooled"},
	doWinograd:  {"winograd", "computes 3×3 convolutions by Winograd's algorithm"},
	doDirect:    {"direct", "computes those of few channels by direct sums"},
	doEpilogues: {"epilogues", "computes what follows such a convolution with it"},
	doPost:      {"post", "updates weights from the sums that are their gradients"},
	doSlices:    {"slices", "reads parts of a value where they lie in it"},
	doPrepare:   {"prepare", "pads, permutes and packs what sums of products read"},
	doPanels:    {"panels", "packs in panels, for prepare"},
	doJoin:      {"join", "computes elementwise nests over the same loops together"},
	doPieces:    {"pieces", "writes the parts of a value where they belong in it"},
	doAfter:     {"after", "computes what follows a product of its sums"},
	doPlaces:    {"places", "has kernels told which random numbers to draw"},
	doFlatten:   {"flatten", "goes through elements as they lie, whatever their shape"},
	doStreams:   {"streams", "copies blocks of large matrices before rows are multiplied with them"},
	doTiles:     {"tiles", "computes sums of several rows and vectors together"},
	doBlocks:    {"blocks", "goes through tiles in blocks of rows"},
	doSquares:   {"squares", "transposes in registers"},
	doOptimize:  {"optimize", "has LLVM's code generator make fast code, which takes most of its time"},
}

// Transformations returns the table of what codegen.Options.Disable may leave out.
func Transformations() []Transformation { return slices.Clone(transformations) }

// leaveOut tells lowering to do without these transformations.
func (l *lowering) leaveOut(names []string) error {
	for _, name := range names {
		k := slices.IndexFunc(transformations, func(t Transformation) bool { return t.Name == name })
		if k < 0 {
			var all []string
			for _, t := range transformations {
				all = append(all, t.Name)
			}
			return fmt.Errorf("native code has no transformation %q; there are %s", name, strings.Join(all, ", "))
		}
		l.leftOut[transformation(k)] = true
	}
	return nil
}

// leftOut is the transformations that are not wanted.
type leftOut map[transformation]bool

// does reports whether a transformation is wanted.
func (l leftOut) does(t transformation) bool { return !l[t] }

// String names them all.
func (l leftOut) String() string {
	var names []string
	for k, t := range transformations {
		if !l.does(transformation(k)) {
			names = append(names, t.Name)
		}
	}
	return strings.Join(names, " ")
}
