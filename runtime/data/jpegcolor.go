package data

import "image"

// rgbOfYCbCr converts a decoded JPEG to RGB, with the chroma interpolated and not repeated.
//
// Source: libjpeg's "fancy upsampling" and its fixed-point colour conversion, which pillow and so Keras use.
func rgbOfYCbCr(img *image.YCbCr) raster {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out := newRaster(w, h, 3)
	cb, cr := newChroma(img, img.Cb), newChroma(img, img.Cr)
	for y := range h {
		luma := img.Y[y*img.YStride:][:w]
		blues, reds := cb.row(y), cr.row(y)
		line := out.pix[y*w*3:][:w*3]
		for x, v := range luma {
			const half = 1 << 15
			yy, b, r := int32(v), int32(blues[x])-128, int32(reds[x])-128
			line[3*x] = clip(yy + (91881*r+half)>>16)
			line[3*x+1] = clip(yy + (-22554*b-46802*r+half)>>16)
			line[3*x+2] = clip(yy + (116130*b+half)>>16)
		}
	}
	return out
}

func clip(v int32) byte { return byte(min(max(v, 0), 255)) }

// chroma is one subsampled plane of a JPEG that yields rows at full width.
type chroma struct {
	img           *image.YCbCr
	plane         []byte
	width, height int // of the plane
	dx, dy        int // pixels per sample
	sums          []int32
	out           []byte
}

func newChroma(img *image.YCbCr, plane []byte) *chroma {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	c := &chroma{img: img, plane: plane, dx: 1, dy: 1}
	switch img.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		c.dx = 2
	case image.YCbCrSubsampleRatio420:
		c.dx, c.dy = 2, 2
	case image.YCbCrSubsampleRatio440:
		c.dy = 2
	case image.YCbCrSubsampleRatio411:
		c.dx = 4
	case image.YCbCrSubsampleRatio410:
		c.dx, c.dy = 4, 2
	}
	c.width, c.height = (w-1)/c.dx+1, (h-1)/c.dy+1
	c.sums = make([]int32, c.width)
	c.out = make([]byte, c.width*c.dx)
	return c
}

func (c *chroma) line(y int) []byte { return c.plane[y*c.img.CStride:][:c.width] }

// row returns the samples of row y of the image; they are valid until the next call.
func (c *chroma) row(y int) []byte {
	switch {
	case c.dx == 4 || c.dx == 2 && c.width <= 2: // libjpeg, too, repeats these
		for x, v := range c.line(y / c.dy) {
			for k := range c.dx {
				c.out[x*c.dx+k] = v
			}
		}
		return c.out
	case c.dx == 1 && c.dy == 1:
		return c.line(y)
	case c.dy == 1:
		for x, v := range c.line(y) {
			c.sums[x] = int32(v)
		}
		c.widen(4, 1, 2)
	default:
		// Three quarters of the nearer row, one quarter of the further one.
		near, bias := y/2, int32(1)
		far := max(near-1, 0)
		if y%2 == 1 {
			far, bias = min(near+1, c.height-1), 2
		}
		further := c.line(far)
		for x, v := range c.line(near) {
			c.sums[x] = 3*int32(v) + int32(further[x])
		}
		if c.dx == 1 {
			for x, s := range c.sums {
				c.out[x] = byte((s + bias) >> 2)
			}
			return c.out
		}
		c.widen(16, 8, 7)
	}
	return c.out
}

// widen doubles the row c.sums, whose values are scale/4 times those of a sample, by weights 3 and 1.
// The rounding alternates between left and right, so that no shade is favoured.
func (c *chroma) widen(scale, left, right int32) {
	last := len(c.sums) - 1
	for x, s := range c.sums {
		before, after := c.sums[max(x-1, 0)], c.sums[min(x+1, last)]
		c.out[2*x] = byte((3*s + before + left) / scale)
		c.out[2*x+1] = byte((3*s + after + right) / scale)
	}
}
