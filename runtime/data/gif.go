package data

import (
	"bytes"
	"errors"
	"image"
	"image/gif"
	"io"
)

// gifHead is what a GIF file says before its first picture's pixels.
type gifHead struct {
	width, height int
	// transparent is the palette index that stands for no colour, -1 if none does.
	transparent int
	// palette is the first picture's, its own or the file's: RGB triples.
	palette []byte
}

// readGIFHead reads up to the first picture. The standard decoder hides the size of the canvas behind that of the picture,
// and the colour of the transparent index, both of which count when alpha is dropped and not blended.
//
// Source: GIF89a specification, sections 18 to 23.
func readGIFHead(file []byte) (gifHead, error) {
	h := gifHead{transparent: -1}
	at := 6
	take := func(n int) []byte {
		if len(file)-at < n {
			at = len(file)
			return nil
		}
		at += n
		return file[at-n : at]
	}
	screen := take(7)
	if screen == nil {
		return h, io.ErrUnexpectedEOF
	}
	h.width, h.height = int(screen[0])|int(screen[1])<<8, int(screen[2])|int(screen[3])<<8
	if screen[4]&0x80 != 0 {
		h.palette = take(3 << (screen[4]&7 + 1))
	}
	for {
		block := take(1)
		if block == nil {
			return h, io.ErrUnexpectedEOF
		}
		switch block[0] {
		case ',': // a picture
			d := take(9)
			if d == nil {
				return h, io.ErrUnexpectedEOF
			}
			if d[8]&0x80 != 0 {
				h.palette = take(3 << (d[8]&7 + 1))
			}
			return h, nil
		case '!': // an extension: a label and sub-blocks
			label := take(1)
			for label != nil {
				size := take(1)
				if size == nil {
					return h, io.ErrUnexpectedEOF
				}
				if size[0] == 0 {
					break
				}
				sub := take(int(size[0]))
				if label[0] == 0xf9 && len(sub) >= 4 && sub[0]&1 != 0 {
					h.transparent = int(sub[3])
				}
			}
		default:
			return h, errors.New("gif: it holds no picture")
		}
	}
}

// decodeGIF returns the first picture on its canvas.
func decodeGIF(file []byte, limit int64) (raster, error) {
	h, err := readGIFHead(file)
	if err != nil {
		return raster{}, err
	}
	if err := plausible(formatGIF, h.width, h.height, len(file), limit); err != nil {
		return raster{}, err
	}
	img, err := gif.Decode(bytes.NewReader(file))
	if err != nil {
		return raster{}, err
	}
	picture, ok := img.(*image.Paletted)
	if !ok {
		return raster{}, errors.New("gif: it holds no palette")
	}
	canvas := make([]byte, h.width*h.height)
	if h.transparent > 0 {
		for i := range canvas {
			canvas[i] = byte(h.transparent)
		}
	}
	b := picture.Rect.Intersect(image.Rect(0, 0, h.width, h.height))
	for y := b.Min.Y; y < b.Max.Y; y++ {
		copy(canvas[y*h.width+b.Min.X:][:b.Dx()], picture.Pix[picture.PixOffset(b.Min.X, y):])
	}
	return rgbOfPalette(canvas, h.width, h.width, h.height, h.palette), nil
}
