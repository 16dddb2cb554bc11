package data

import "math"

// Resize is how an image is brought to its size.
type Resize string

// The ways to resize. Nearest is what Keras's ImageDataGenerator does; Bilinear averages over the source pixels when shrinking.
const (
	Nearest  Resize = "nearest"
	Bilinear Resize = "bilinear"
)

// fitted returns r at the given size with so many channels.
func (r raster) fitted(width, height, channels int, how Resize) raster {
	if r.channels == 1 { // gray is resized once, and repeated then
		return r.resized(width, height, how).withChannels(channels)
	}
	return r.withChannels(channels).resized(width, height, how)
}

// resized returns r at the given size.
func (r raster) resized(width, height int, how Resize) raster {
	switch {
	case r.width == width && r.height == height:
		return r
	case how == Bilinear:
		return r.resizedBilinear(width, height)
	default:
		return r.resizedNearest(width, height)
	}
}

// resizedNearest takes the source pixel under each pixel's centre.
//
// Source: pillow's Image.resize(…, NEAREST), which Keras calls: positions are summed in float64, not multiplied.
func (r raster) resizedNearest(width, height int) raster {
	columns, rows := nearest(r.width, width), nearest(r.height, height)
	out := newRaster(width, height, r.channels)
	o, c := 0, r.channels
	for _, y := range rows {
		line := r.pix[y*r.width*c:]
		for _, x := range columns {
			o += copy(out.pix[o:o+c], line[x*c:])
		}
	}
	return out
}

// nearest returns the source index of each of n positions.
func nearest(source, n int) []int {
	index := make([]int, n)
	scale := float64(source) / float64(n)
	at := scale * 0.5
	for i := range index {
		index[i] = min(int(at), source-1)
		at += scale
	}
	return index
}

// resizedBilinear weights the source pixels with a triangle as wide as a pixel of the result, first along rows, then along columns.
//
// Source: pillow's Image.resize(…, BILINEAR), which Keras's load_img calls; its 22-bit fixed point and its rounding to bytes in between.
func (r raster) resizedBilinear(width, height int) raster {
	c := r.channels
	if r.width != width {
		out := newRaster(width, r.height, c)
		columns := triangles(r.width, width)
		for y := range r.height {
			line := r.pix[y*r.width*c:]
			for x, t := range columns {
				for k := range c {
					out.pix[(y*width+x)*c+k] = t.sum(line[k:], c)
				}
			}
		}
		r = out
	}
	if r.height != height {
		out := newRaster(width, height, c)
		for y, t := range triangles(r.height, height) {
			for i := range width * c {
				out.pix[y*width*c+i] = t.sum(r.pix[i:], width*c)
			}
		}
		r = out
	}
	return r
}

// triangle holds the weights of the source pixels first, first+1, … of one pixel of the result, in units of 2⁻²².
type triangle struct {
	first   int
	weights []int32
}

const weightBits = 22

// sum returns the weighted sum of every stride-th byte of line.
func (t triangle) sum(line []byte, stride int) byte {
	total := int32(1) << (weightBits - 1)
	at := t.first * stride
	for _, w := range t.weights {
		total += w * int32(line[at])
		at += stride
	}
	return byte(min(max(total>>weightBits, 0), 255))
}

func triangles(source, n int) []triangle {
	all := make([]triangle, n)
	scale := float64(source) / float64(n)
	support := max(scale, 1)
	weights := make([]float64, 0, int(math.Ceil(support))*2+1)
	for i := range all {
		centre := (float64(i) + 0.5) * scale
		first := max(int(centre-support+0.5), 0)
		end := min(int(centre+support+0.5), source)
		weights = weights[:0]
		total := 0.0
		for j := first; j < end; j++ {
			w := max(1-math.Abs((float64(j)-centre+0.5)*(1/support)), 0)
			weights = append(weights, w)
			total += w
		}
		t := triangle{first: first, weights: make([]int32, len(weights))}
		for j, w := range weights {
			if total != 0 {
				w /= total
			}
			t.weights[j] = int32(0.5 + w*(1<<weightBits))
		}
		all[i] = t
	}
	return all
}
