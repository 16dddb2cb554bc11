// Command glyphs draws the letters of Go Regular that PNG pictures of nnc have, see cmd/nnc/chart_text.go, into the file that it is given. It is a module of
// its own, since nobody who installs nnc needs what it is made with.
package main

import (
	"image"
	"image/color"
	"image/png"
	"log"
	"os"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// As in cmd/nnc/chart_text.go.
const (
	first, last  = ' ', 'ӿ'
	columns      = 32
	cell, ascent = 40, 30
	size         = 32
)

func main() {
	parsed, err := opentype.Parse(goregular.TTF)
	if err != nil {
		log.Fatal(err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		log.Fatal(err)
	}
	sheet := image.NewGray(image.Rect(0, 0, columns*cell, (last-first+columns)/columns*cell))
	for r := rune(first); r <= last; r++ {
		advance, ok := face.GlyphAdvance(r)
		if index, _ := parsed.GlyphIndex(nil, r); !ok || index == 0 {
			continue
		}
		x, y := int(r-first)%columns*cell, int(r-first)/columns*cell
		d := font.Drawer{Dst: sheet.SubImage(image.Rect(x, y+1, x+cell, y+cell)).(*image.Gray), Src: image.White, Face: face, Dot: fixed.P(x+2, y+ascent)}
		d.DrawString(string(r))
		sheet.SetGray(x, y, color.Gray{uint8(advance.Round())})
	}
	out, err := os.Create(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(out, sheet); err != nil {
		log.Fatal(err)
	}
	if err := out.Close(); err != nil {
		log.Fatal(err)
	}
}
