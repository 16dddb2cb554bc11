package plan

import "github.com/nnc-lang/nnc/ir"

// Samples are pictures that are drawn into a file after each epoch of a train.
type Samples struct {
	Func    string  // function whose results are the pictures
	Results []Shape // of Func: of one example, or of all where they do not differ from example to example
	Single  []bool  // by result: it is one for all examples
	File    string  // relative to the program's folder; its name ends in .png
	At      ir.Loc  // where the program says so
}

// MostSamples is how many examples are drawn at most.
const MostSamples = 64

// MaxPictureSide bounds the sides of a picture, in pixels.
const MaxPictureSide = 4096

// Pictures tells what a tensor of that shape shows: n pictures of h × w pixels in c channels, 1 for grey and 3 for colour. ok is false if it
// shows none. A matrix is one grey picture; three dimensions are one picture if the last is of 1 or 3, else grey pictures; four are pictures.
func (s Shape) Pictures() (n, h, w, c int, ok bool) {
	channels := func(c int) bool { return c == 1 || c == 3 }
	switch d := s; {
	case len(d) == 2:
		n, h, w, c = 1, d[0], d[1], 1
	case len(d) == 3 && channels(d[2]):
		n, h, w, c = 1, d[0], d[1], d[2]
	case len(d) == 3:
		n, h, w, c = d[0], d[1], d[2], 1
	case len(d) == 4 && channels(d[3]):
		n, h, w, c = d[0], d[1], d[2], d[3]
	}
	ok = n > 0 && n <= MaxPictureSide && h > 0 && w > 0 && h <= MaxPictureSide && w <= MaxPictureSide
	return n, h, w, c, ok
}
