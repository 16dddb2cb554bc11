package main

import (
	"bytes"
	_ "embed"
	"image"
	"image/png"
	"sync"
)

// The letters of pictures are those of the font Go Regular (Bigelow & Holmes, BSD licence), drawn once, large, into a sheet of cells, from which they are
// made smaller. The first pixel of a cell says how far the next letter stands from this one, in pixels; 0 where the font has no such letter.
//
//go:generate go run -C glyphs . ../glyphs.png
//go:embed glyphs.png
var glyphSheet []byte

// As in glyphs/main.go.
const (
	firstGlyph, lastGlyph  = ' ', 'ӿ'
	glyphColumns           = 32
	glyphCell, glyphAscent = 40, 30
	glyphBearing           = 2 // pixels before the place where a letter begins
	glyphSize              = 32.0
)

// glyph is a letter.
type glyph struct {
	sheet   *image.Gray
	x, y    int // of its cell
	advance float64
}

var glyphs = sync.OnceValue(func() *image.Gray {
	m, err := png.Decode(bytes.NewReader(glyphSheet))
	if err != nil {
		panic("BUG: the letters cannot be read: " + err.Error())
	}
	return m.(*image.Gray)
})

// glyphOf returns a letter; what the font does not have is a question mark.
func glyphOf(letter rune) glyph {
	if letter < firstGlyph || letter > lastGlyph {
		letter = '?'
	}
	n := int(letter - firstGlyph)
	g := glyph{sheet: glyphs(), x: n % glyphColumns * glyphCell, y: n / glyphColumns * glyphCell}
	g.advance = float64(g.sheet.GrayAt(g.x, g.y).Y)
	if g.advance == 0 {
		return glyphOf('?')
	}
	return g
}

// textWidth is how wide a text is, in points.
func textWidth(s string, size float64) float64 {
	width := 0.0
	for _, letter := range s {
		width += glyphOf(letter).advance
	}
	return width * size / glyphSize
}

// covered is the share of a square of the sheet that the letter covers; x and y are its corner, from the place of the letter.
func (g glyph) covered(x, y, side float64) float64 {
	x, y = x+glyphBearing, y+glyphAscent
	sum := 0.0
	for v := max(1, int(y)); v <= min(glyphCell-1, int(y+side)); v++ {
		for u := max(0, int(x)); u <= min(glyphCell-1, int(x+side)); u++ {
			fu, fv := float64(u), float64(v)
			share := max(0, min(x+side, fu+1)-max(x, fu)) * max(0, min(y+side, fv+1)-max(y, fv))
			sum += share * float64(g.sheet.GrayAt(g.x+u, g.y+v).Y) / 255
		}
	}
	return sum / (side * side)
}
