package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"slices"
	"strings"
)

// format is a file format of images, told by a file's first bytes.
type format string

const (
	formatJPEG format = "JPEG"
	formatPNG  format = "PNG"
	formatGIF  format = "GIF"
	formatBMP  format = "BMP"
)

const (
	pngMagic = "\x89PNG\r\n\x1a\n"
	// sniffLen bytes suffice for formatOf.
	sniffLen = 32
	// maxPixels keeps a small hostile file from taking gigabytes; a 100-megapixel camera's photos pass.
	maxPixels = 100_000_000
	// maxFileSize bounds what is read of one image file, in bytes.
	maxFileSize = 512 << 20
)

// formatOf returns the format that a file's first bytes show, or "" if it is none of those that can be read.
func formatOf(head []byte) format {
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xd8\xff")):
		return formatJPEG
	case bytes.HasPrefix(head, []byte(pngMagic)):
		return formatPNG
	case bytes.HasPrefix(head, []byte("GIF87a")), bytes.HasPrefix(head, []byte("GIF89a")):
		return formatGIF
	case bytes.HasPrefix(head, []byte("BM")) && len(head) >= 18:
		// "BM" may begin a text; the size of the header behind it makes sure.
		if slices.Contains([]uint32{12, 40, 52, 56, 64, 108, 124}, binary.LittleEndian.Uint32(head[14:])) {
			return formatBMP
		}
	}
	return ""
}

// decode returns the pixels of an image file as Keras's load_img gives them: alpha is dropped and not blended, a palette is
// looked up, CMYK becomes RGB, 16-bit gray is cut off at 255, and of an animation the first picture is taken.
//
// Errors: a format that is not known, a broken or truncated file, and a size above limit pixels or beyond what the file's
// length can hold, which is refused before anything is allocated for it.
func decode(file []byte, orientation Orientation, limit int64) (raster, error) {
	f := formatOf(file[:min(len(file), sniffLen)])
	if len(file) == 0 {
		return raster{}, errors.New("the file is empty")
	}
	if f == "" {
		return raster{}, errors.New("not a JPEG, PNG, GIF or BMP image")
	}
	r, err := decodeFormat(file, f, limit)
	if err != nil {
		return raster{}, plainError(f, err)
	}
	if orientation == UprightEXIF {
		r = r.upright(orientationOf(file, f))
	}
	return r, nil
}

// plainError says in words what a decoder means by running out of bytes, which some wrap and some only quote.
func plainError(f format, err error) error {
	if strings.HasSuffix(err.Error(), io.ErrUnexpectedEOF.Error()) || errors.Is(err, io.EOF) {
		return fmt.Errorf("the %s file is truncated", f)
	}
	return err
}

func decodeFormat(file []byte, f format, limit int64) (raster, error) {
	if f == formatGIF {
		return decodeGIF(file, limit)
	}
	decodeConfig, decodeImage := jpeg.DecodeConfig, jpeg.Decode
	switch f {
	case formatPNG:
		decodeConfig, decodeImage = png.DecodeConfig, png.Decode
	case formatBMP:
		decodeConfig, decodeImage = decodeBMPConfig, decodeBMP
	}
	config, err := decodeConfig(bytes.NewReader(file))
	if err != nil {
		return raster{}, err
	}
	if err := plausible(f, config.Width, config.Height, len(file), limit); err != nil {
		return raster{}, err
	}
	img, err := decodeImage(bytes.NewReader(file))
	if err != nil {
		return raster{}, err
	}
	if f == formatPNG && isGray16(file) {
		return clippedGray(img), nil
	}
	return rasterOf(img), nil
}

// maxPixelsPerByte is the most pixels that one byte of a file can stand for.
var maxPixelsPerByte = map[format]int64{
	formatJPEG: 8 * 64,   // at least one bit for each block of 8 × 8
	formatPNG:  8 * 1032, // deflate repeats 258 bytes in 2 bits; 8 pixels a byte
	formatGIF:  2 * 2730, // a code of 12 bits names a string of at most 4096 pixels; doubled for good measure
	formatBMP:  8,        // not compressed; 8 pixels a byte
}

// plausible refuses a size in pixels that no memory should be given for.
func plausible(f format, width, height, fileSize int, limit int64) error {
	pixels := int64(width) * int64(height)
	switch {
	case width <= 0 || height <= 0:
		return fmt.Errorf("the %s header says %d × %d pixels", f, width, height)
	case width > 1<<20 || height > 1<<20 || pixels > limit:
		return fmt.Errorf("the %s header says %d × %d pixels; more than %d in all are refused", f, width, height, limit)
	case pixels > int64(fileSize)*maxPixelsPerByte[f]:
		return fmt.Errorf("the %s header says %d × %d pixels, more than a file of %d bytes can hold", f, width, height, fileSize)
	}
	return nil
}

// isGray16 tells whether a PNG file holds 16-bit gray without alpha, which pillow treats unlike all others.
func isGray16(file []byte) bool {
	const depth, colorType = 24, 25
	return len(file) > colorType && file[depth] == 16 && file[colorType] == 0
}

// clippedGray returns 16-bit gray cut off at 255: pillow's "I;16" to "RGB".
func clippedGray(img image.Image) raster {
	b := img.Bounds()
	out := newRaster(b.Dx(), b.Dy(), 1)
	for y := range out.height {
		for x := range out.width {
			// Gray with a transparent shade comes as NRGBA64, whose red is the shade.
			var shade uint16
			switch img := img.(type) {
			case *image.Gray16:
				shade = img.Gray16At(b.Min.X+x, b.Min.Y+y).Y
			case *image.NRGBA64:
				shade = img.NRGBA64At(b.Min.X+x, b.Min.Y+y).R
			}
			out.pix[y*out.width+x] = byte(min(shade, 255))
		}
	}
	return out
}

// rasterOf returns the pixels of what the standard decoders yield, without alpha.
func rasterOf(img image.Image) raster {
	b := img.Bounds()
	switch img := img.(type) {
	case *image.YCbCr:
		return rgbOfYCbCr(img)
	case *image.CMYK:
		return rgbOfCMYK(img)
	case *image.Gray:
		return packed(img.Pix, img.Stride, b.Dx(), b.Dy(), 1, 1, 1)
	case *image.RGBA: // opaque where a decoder makes it
		return packed(img.Pix, img.Stride, b.Dx(), b.Dy(), 4, 1, 3)
	case *image.NRGBA:
		return packed(img.Pix, img.Stride, b.Dx(), b.Dy(), 4, 1, 3)
	case *image.RGBA64: // big-endian: the high byte comes first
		return packed(img.Pix, img.Stride, b.Dx(), b.Dy(), 8, 2, 3)
	case *image.NRGBA64:
		return packed(img.Pix, img.Stride, b.Dx(), b.Dy(), 8, 2, 3)
	case *image.Paletted:
		return rgbOfPalette(img.Pix, img.Stride, b.Dx(), b.Dy(), paletteBytes(img.Palette))
	}
	panic(fmt.Sprintf("BUG: decoder yielded %T", img))
}

// packed gathers `channels` bytes, `step` apart, of every pixel of `size` bytes.
func packed(pix []byte, stride, width, height, size, step, channels int) raster {
	out := newRaster(width, height, channels)
	o := 0
	for y := range height {
		line := pix[y*stride:]
		for x := range width {
			for k := range channels {
				out.pix[o] = line[x*size+k*step]
				o++
			}
		}
	}
	return out
}

// paletteBytes returns the colours of a palette as RGB, without their alpha.
func paletteBytes(palette color.Palette) []byte {
	rgb := make([]byte, 0, 3*len(palette))
	for _, c := range palette {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		rgb = append(rgb, n.R, n.G, n.B)
	}
	return rgb
}

// rgbOfPalette looks up indices into RGB triples; those beyond the palette are black.
func rgbOfPalette(index []byte, stride, width, height int, palette []byte) raster {
	var table [256][3]byte
	for i := range len(palette) / 3 {
		table[i] = [3]byte(palette[3*i:])
	}
	out := newRaster(width, height, 3)
	o := 0
	for y := range height {
		for _, i := range index[y*stride:][:width] {
			o += copy(out.pix[o:o+3], table[i][:])
		}
	}
	return out
}

// rgbOfCMYK mixes inks.
//
// Source: pillow's CMYK to RGB: R = (255-K) - C (255-K) / 255, rounded.
func rgbOfCMYK(img *image.CMYK) raster {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out := newRaster(w, h, 3)
	for y := range h {
		for x := range w {
			inks := img.Pix[y*img.Stride+4*x:][:4]
			white := 255 - uint32(inks[3])
			for k := range 3 {
				t := uint32(inks[k])*white + 128
				out.pix[(y*w+x)*3+k] = byte(white - (t+t>>8)>>8)
			}
		}
	}
	return out
}
