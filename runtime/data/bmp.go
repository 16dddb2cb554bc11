package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
)

// bmpHeader is what a BMP file says before its pixels.
//
// Source: Microsoft's documentation of BITMAPINFOHEADER, BITMAPV4HEADER and BITMAPV5HEADER.
type bmpHeader struct {
	width, height int
	topDown       bool // the first row is the top one
	bits          int  // of a pixel
	alpha         bool // 32 bits hold an opacity
	palette       color.Palette
}

// bmpInfoSizes are the sizes of the headers that are read, which differ in what they say about colours.
const (
	bmpInfo   = 40
	bmpInfoV4 = 108
	bmpInfoV5 = 124
)

var errBMPKind = errors.New("a BMP file of a kind that is not read: pixels of 1, 2, 4, 8, 24 or 32 bits that are not compressed are")

// readBMPHeader reads up to the pixels.
func readBMPHeader(r io.Reader) (*bmpHeader, error) {
	start := make([]byte, 18)
	if _, err := io.ReadFull(r, start); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(start[14:])
	if size != bmpInfo && size != bmpInfoV4 && size != bmpInfoV5 {
		return nil, errBMPKind
	}
	info := make([]byte, size)
	if _, err := io.ReadFull(r, info[4:]); err != nil {
		return nil, err
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(info[at:]) }
	h := &bmpHeader{
		width: int(int32(word(4))), height: int(int32(word(8))),
		bits: int(binary.LittleEndian.Uint16(info[14:])), alpha: size > bmpInfo,
	}
	if h.height < 0 {
		h.height, h.topDown = -h.height, true
	}
	// Colours by masks that are the usual ones are no compression.
	usualMasks := size > bmpInfo && word(16) == 3 && word(40) == 0xff0000 && word(44) == 0xff00 && word(48) == 0xff && word(52) == 0xff000000
	switch {
	case h.width <= 0 || h.height <= 0:
		return nil, fmt.Errorf("the BMP header says %d × %d pixels", h.width, h.height)
	case word(16) != 0 && !usualMasks, binary.LittleEndian.Uint16(info[12:]) != 1:
		return nil, errBMPKind
	}
	pixels := int64(len(start)) - 4 + int64(size)
	switch h.bits {
	case 24, 32:
	case 1, 2, 4, 8:
		colours := word(32)
		if colours == 0 {
			colours = 1 << h.bits
		}
		if colours > 1<<h.bits {
			return nil, fmt.Errorf("the BMP header says %d colours for pixels of %d bits", colours, h.bits)
		}
		raw := make([]byte, 4*colours)
		if _, err := io.ReadFull(r, raw); err != nil {
			return nil, err
		}
		for k := range colours {
			h.palette = append(h.palette, color.RGBA{raw[4*k+2], raw[4*k+1], raw[4*k], 0xff})
		}
		pixels += int64(len(raw))
	default:
		return nil, errBMPKind
	}
	gap := int64(binary.LittleEndian.Uint32(start[10:])) - pixels
	if gap < 0 {
		return nil, errors.New("the pixels of the BMP file begin within its header")
	}
	_, err := io.CopyN(io.Discard, r, gap)
	return h, err
}

func decodeBMPConfig(r io.Reader) (image.Config, error) {
	h, err := readBMPHeader(r)
	if err != nil {
		return image.Config{}, err
	}
	c := image.Config{Width: h.width, Height: h.height, ColorModel: color.NRGBAModel}
	if h.palette != nil {
		c.ColorModel = h.palette
	}
	return c, nil
}

// decodeBMP reads a picture whose header was found to be possible.
func decodeBMP(r io.Reader) (image.Image, error) {
	h, err := readBMPHeader(r)
	if err != nil {
		return nil, err
	}
	row := make([]byte, (h.width*h.bits+31)/32*4)
	bounds := image.Rect(0, 0, h.width, h.height)
	paletted, direct := &image.Paletted{}, &image.NRGBA{}
	if h.palette != nil {
		paletted = image.NewPaletted(bounds, h.palette)
	} else {
		direct = image.NewNRGBA(bounds)
	}
	for k := range h.height {
		if _, err := io.ReadFull(r, row); err != nil {
			return nil, err
		}
		y := h.height - 1 - k
		if h.topDown {
			y = k
		}
		if h.palette == nil {
			h.direct(row, direct.Pix[y*direct.Stride:][:4*h.width])
			continue
		}
		out := paletted.Pix[y*paletted.Stride:][:h.width]
		for x := range out {
			at := x * h.bits
			out[x] = row[at/8] >> (8 - h.bits - at%8) & (1<<h.bits - 1)
			if int(out[x]) >= len(h.palette) {
				return nil, fmt.Errorf("a pixel of the BMP file has colour %d of %d", out[x], len(h.palette))
			}
		}
	}
	if h.palette != nil {
		return paletted, nil
	}
	return direct, nil
}

// direct turns a row of blue, green, red and perhaps opacity into red, green, blue, opacity.
func (h *bmpHeader) direct(row, out []byte) {
	each := h.bits / 8
	for x := range h.width {
		in, to := row[x*each:], out[4*x:]
		to[0], to[1], to[2], to[3] = in[2], in[1], in[0], 0xff
		if each == 4 && h.alpha {
			to[3] = in[3]
		}
	}
}
