package data

// raster is a decoded image: height × width × channels bytes, row-major; 1 channel is gray, 3 are RGB.
type raster struct {
	width, height, channels int
	pix                     []byte
}

func newRaster(width, height, channels int) raster {
	return raster{width, height, channels, make([]byte, width*height*channels)}
}

// withChannels returns r as gray or RGB.
//
// Source: pillow's conversions: gray is (299 R + 587 G + 114 B) / 1000 in 16-bit fixed point, RGB repeats gray.
func (r raster) withChannels(channels int) raster {
	if r.channels == channels {
		return r
	}
	out := newRaster(r.width, r.height, channels)
	if channels == 3 {
		for i, v := range r.pix {
			out.pix[3*i], out.pix[3*i+1], out.pix[3*i+2] = v, v, v
		}
		return out
	}
	for i := range out.pix {
		red, green, blue := uint32(r.pix[3*i]), uint32(r.pix[3*i+1]), uint32(r.pix[3*i+2])
		out.pix[i] = byte((19595*red + 38470*green + 7471*blue + 1<<15) >> 16)
	}
	return out
}

// upright returns r turned as EXIF's orientation says that it must be for display; values other than 2…8 leave it.
//
// Source: EXIF 2.32, tag 0x112.
func (r raster) upright(orientation int) raster {
	var from func(x, y int) (int, int)
	w, h := r.width-1, r.height-1
	switch orientation {
	case 2:
		from = func(x, y int) (int, int) { return w - x, y }
	case 3:
		from = func(x, y int) (int, int) { return w - x, h - y }
	case 4:
		from = func(x, y int) (int, int) { return x, h - y }
	case 5:
		from = func(x, y int) (int, int) { return y, x }
	case 6:
		from = func(x, y int) (int, int) { return y, h - x }
	case 7:
		from = func(x, y int) (int, int) { return w - y, h - x }
	case 8:
		from = func(x, y int) (int, int) { return w - y, x }
	default:
		return r
	}
	width, height := r.width, r.height
	if orientation >= 5 {
		width, height = height, width
	}
	out := newRaster(width, height, r.channels)
	c := r.channels
	for y := range height {
		for x := range width {
			sx, sy := from(x, y)
			copy(out.pix[(y*width+x)*c:][:c], r.pix[(sy*r.width+sx)*c:])
		}
	}
	return out
}
