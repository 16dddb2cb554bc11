package train

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"path/filepath"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime/access"
	"github.com/nnc-lang/nnc/runtime/atomicfile"
	"github.com/nnc-lang/nnc/runtime/data"
)

// samplesPath returns the file that pictures are drawn into, or "".
func (r *run) samplesPath() string {
	if r.t.Samples == nil {
		return ""
	}
	return fromFolder(r.p, r.t.Samples.File)
}

// fromFolder is a path of the program, which starts from the program's folder.
func fromFolder(p *plan.Program, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(p.File), path)
}

// prepareSamples finds out whether there can be a file where the pictures go, and binds what computes them.
func (r *run) prepareSamples() error {
	s := r.t.Samples
	if s == nil {
		return nil
	}
	path := r.samplesPath()
	err := access.Check(r.p, s.File)
	if err == nil {
		err = checkPlace(path, 0)
	}
	if err != nil {
		err = fmt.Errorf("samples cannot be drawn into %s: %w", path, err)
		if s.At.File != "" {
			err = fmt.Errorf("%s:%d:%d: %w", s.At.File, s.At.Line, s.At.Col, err)
		}
		return err
	}
	r.sampler, err = bind(r.prog, r.t, s.Func, r.trainSplit())
	return err
}

// draw draws the samples after an epoch, of the averages if the train keeps any.
func (r *run) draw(ctx context.Context) error {
	if r.sampler == nil {
		return nil
	}
	if err := r.withAverages(func() error { return r.drawNow(ctx) }); err != nil {
		return fmt.Errorf("samples after epoch %d: %w", r.done.Epoch+1, err)
	}
	return nil
}

// redraw draws the samples of the weights that are kept, where these are not the last ones.
func (r *run) redraw() error {
	if r.sampler == nil || r.kept.epoch == 0 || r.kept.epoch == r.done.Epoch {
		return nil
	}
	return r.drawNow(context.Background())
}

// drawNow computes the pictures and draws them. That the file cannot be written is told once and ends no training.
func (r *run) drawNow(ctx context.Context) error {
	pictures, err := r.pictures(ctx)
	if err != nil || pictures == nil {
		return err
	}
	grid := grid(r.t.Samples, pictures)
	path := r.samplesPath()
	err = atomicfile.Write(path, 0o644, func(w io.Writer) error { return png.Encode(w, grid) })
	if err != nil && !r.told[path] {
		r.told[path] = true
		r.printf("warning: samples cannot be drawn into %s: %v\n", path, err)
	}
	return nil
}

// pictures calls the function of the samples on examples that are the same each time, those of the validation split if there is one. They are
// nil if no example can be read.
func (r *run) pictures(ctx context.Context) (pictures []*tensor.Tensor, err error) {
	var batch []*tensor.Tensor
	if r.ds != nil {
		split := r.validation()
		if split == nil {
			split = r.trainSplit()
		}
		loader, err := data.NewLoader(ctx, split, data.Options{Batch: r.t.FullBatch(), Shuffle: true, OnlyGood: true, Buffers: r.opt.Buffers})
		if err != nil {
			return nil, err
		}
		defer loader.Close()
		b, err := loader.Next()
		if err != nil {
			return nil, err
		}
		defer b.Release()
		if b.Len() == 0 {
			return nil, nil
		}
		batch = b.Tensors
	}
	back, err := aside(r.prog, r.p)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := back(); e != nil && err == nil {
			err = e
		}
	}()
	if err := renew(r.prog, r.p, r.opt.Seed); err != nil {
		return nil, err
	}
	return r.prog.Call(r.sampler.fn.Name, r.sampler.args(batch, r.place())...)
}

// The look of a grid of pictures.
const (
	gap       = 2  // pixels between pictures
	leastSide = 64 // pixels: smaller pictures are enlarged by a whole factor
	mostDots  = 1 << 24
)

var background = color.Gray{0x80}

// grid draws pictures as a grid that is about as high as wide. The pictures of an example stand beside each other.
func grid(s *plan.Samples, results []*tensor.Tensor) image.Image {
	shown := newShown(s, results)
	factor := max(1, (leastSide-1)/min(shown.h, shown.w)+1)
	high, wide := shown.h*factor+gap, shown.w*factor+gap
	examples := min(shown.examples, plan.MostSamples, max(1, mostDots/(high*wide*shown.each)))
	// Of the numbers of columns, that whose grid is nearest to a square.
	columns, best := 1, math.Inf(1)
	for n := 1; n <= examples; n++ {
		rows := (examples-1)/n + 1
		if off := math.Abs(math.Log(float64(n*shown.each*wide) / float64(rows*high))); off < best-1e-9 {
			columns, best = n, off
		}
	}
	rows := (examples-1)/columns + 1
	out := image.NewNRGBA(image.Rect(0, 0, columns*shown.each*wide+gap, rows*high+gap))
	for i := range out.Pix {
		out.Pix[i] = background.Y
		if i%4 == 3 {
			out.Pix[i] = 0xff
		}
	}
	for example := range examples {
		for k := range shown.each {
			x0 := gap + ((example%columns)*shown.each+k)*wide
			y0 := gap + (example/columns)*high
			for y := range shown.h * factor {
				for x := range shown.w * factor {
					out.SetNRGBA(x0+x, y0+y, shown.at(example, k, y/factor, x/factor))
				}
			}
		}
	}
	return out
}

// shown are the pictures of a grid.
type shown struct {
	h, w     int // pixels of each
	examples int
	each     int // pictures of an example
	parts    []part
}

// part is a picture of each example, as a part of a result.
type part struct {
	values   *tensor.Tensor
	stride   int // elements from one example to the next; 0 where it is the same for all
	first    int // its first element in the first example
	channels int
}

func newShown(s *plan.Samples, results []*tensor.Tensor) *shown {
	g := &shown{examples: 1}
	for i, shape := range s.Results {
		n, h, w, c, ok := shape.Pictures()
		if !ok {
			panic(fmt.Sprintf("BUG: samples of shape %v", shape))
		}
		g.h, g.w = h, w
		stride := 0
		if !s.Single[i] {
			stride = n * h * w * c
			g.examples = results[i].Shape[0]
		}
		for k := range n {
			g.parts = append(g.parts, part{results[i], stride, k * h * w * c, c})
		}
	}
	g.each = len(g.parts)
	return g
}

// at is the colour of a pixel: 0 is black and 1 white or the full colour. What lies beyond is cut off, and what is no number is black.
func (g *shown) at(example, k, y, x int) color.NRGBA {
	p := &g.parts[k]
	first := example*p.stride + p.first + (y*g.w+x)*p.channels
	level := func(c int) uint8 {
		v := p.values.At(first + min(c, p.channels-1))
		if !(v > 0) {
			return 0
		}
		return uint8(math.Round(math.Min(v, 1) * 255))
	}
	return color.NRGBA{level(0), level(1), level(2), 0xff}
}
