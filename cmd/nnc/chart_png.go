package main

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
)

// pixelsPerPoint is the resolution of PNG pictures, 130 dots an inch.
const pixelsPerPoint = 130.0 / 72

// raster draws a picture of pixels. The edges of what it draws are smooth: a pixel takes as much of the colour as of it is covered.
type raster struct{ to *image.NRGBA }

func newRaster(width, height float64) *raster {
	r := &raster{image.NewNRGBA(image.Rect(0, 0, int(math.Round(width*pixelsPerPoint)), int(math.Round(height*pixelsPerPoint))))}
	draw.Draw(r.to, r.to.Bounds(), image.NewUniform(white), image.Point{}, draw.Src)
	return r
}

// cover mixes a colour into a pixel by the share that is covered.
func (r *raster) cover(x, y int, c color.NRGBA, share float64) {
	share = min(share, 1)
	if share <= 0 || !(image.Point{X: x, Y: y}).In(r.to.Rect) {
		return
	}
	at := r.to.Pix[r.to.PixOffset(x, y):]
	for k, v := range [3]uint8{c.R, c.G, c.B} {
		at[k] = uint8(math.Round(float64(at[k]) + share*(float64(v)-float64(at[k]))))
	}
}

func (r *raster) line(a, b point, width float64, c color.NRGBA) {
	ax, ay, bx, by := a.x*pixelsPerPoint, a.y*pixelsPerPoint, b.x*pixelsPerPoint, b.y*pixelsPerPoint
	half := max(1, width*pixelsPerPoint) / 2
	length := (bx-ax)*(bx-ax) + (by-ay)*(by-ay)
	for y := int(min(ay, by) - half - 1); y <= int(max(ay, by)+half+1); y++ {
		for x := int(min(ax, bx) - half - 1); x <= int(max(ax, bx)+half+1); x++ {
			px, py := float64(x)+0.5, float64(y)+0.5
			along := 0.0
			if length > 0 {
				along = min(1, max(0, ((px-ax)*(bx-ax)+(py-ay)*(by-ay))/length))
			}
			r.cover(x, y, c, half+0.5-math.Hypot(px-ax-along*(bx-ax), py-ay-along*(by-ay)))
		}
	}
}

func (r *raster) box(at point, width, height float64, c color.NRGBA) {
	x0, y0, x1, y1 := at.x*pixelsPerPoint, at.y*pixelsPerPoint, (at.x+width)*pixelsPerPoint, (at.y+height)*pixelsPerPoint
	for y := int(y0); y <= int(y1); y++ {
		for x := int(x0); x <= int(x1); x++ {
			fx, fy := float64(x), float64(y)
			r.cover(x, y, c, max(0, min(x1, fx+1)-max(x0, fx))*max(0, min(y1, fy+1)-max(y0, fy)))
		}
	}
}

func (r *raster) dot(at point, radius float64, c color.NRGBA) { r.line(at, at, 2*radius, c) }

func (r *raster) text(s string, at point, size float64, how alignment, c color.NRGBA) {
	width := textWidth(s, size)
	start := map[alignment]float64{startsAt: 0, middleAt: -width / 2, endsAt: -width, upwards: -width / 2}[how]
	x, y := at.x*pixelsPerPoint, at.y*pixelsPerPoint
	for _, letter := range s {
		g := glyphOf(letter)
		if how == upwards {
			r.glyph(g, x, y-start*pixelsPerPoint, size, true, c)
		} else {
			r.glyph(g, x+start*pixelsPerPoint, y, size, false, c)
		}
		start += g.advance * size / glyphSize
	}
}

// glyph draws a letter whose line begins at a pixel.
func (r *raster) glyph(g glyph, x, y, size float64, turned bool, c color.NRGBA) {
	scale := glyphSize / (size * pixelsPerPoint) // pixels of the sheet for one of the picture
	reach := int(glyphCell/scale) + 2
	for dy := -reach; dy <= reach; dy++ {
		for dx := -reach; dx <= reach; dx++ {
			px, py := math.Floor(x)+float64(dx), math.Floor(y)+float64(dy)
			across, down := px-x, py-y // of the pixel's corner from the place of the letter, along the line and below it
			if turned {
				across, down = y-py-1, px-x
			}
			r.cover(int(px), int(py), c, g.covered(across*scale, down*scale, scale))
		}
	}
}

func (r *raster) bytes() ([]byte, error) {
	var b bytes.Buffer
	err := png.Encode(&b, r.to)
	return b.Bytes(), err
}
