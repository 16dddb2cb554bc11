package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/color"
	"strconv"
)

// svg draws a picture as text; whoever shows it chooses the letters' shapes.
type svg struct{ b bytes.Buffer }

func newSVG(width, height float64) *svg {
	s := &svg{}
	fmt.Fprintf(&s.b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%[1]spt\" height=\"%[2]spt\" viewBox=\"0 0 %[1]s %[2]s\" font-family=\"Go, Helvetica, Arial, sans-serif\">\n", short(width), short(height))
	fmt.Fprintf(&s.b, "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n")
	return s
}

// short writes a length.
func short(v float64) string { return strconv.FormatFloat(v, 'f', -1, 32) }

func hexColour(c color.NRGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func (s *svg) line(a, b point, width float64, c color.NRGBA) {
	fmt.Fprintf(&s.b, "<path d=\"M%.2f %.2fL%.2f %.2f\" stroke=\"%s\" stroke-width=\"%s\" stroke-linecap=\"round\"/>\n", a.x, a.y, b.x, b.y, hexColour(c), short(width))
}

func (s *svg) box(at point, width, height float64, c color.NRGBA) {
	fmt.Fprintf(&s.b, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n", at.x, at.y, width, height, hexColour(c))
}

func (s *svg) dot(at point, radius float64, c color.NRGBA) {
	fmt.Fprintf(&s.b, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%s\" fill=\"%s\"/>\n", at.x, at.y, short(radius), hexColour(c))
}

func (s *svg) text(text string, at point, size float64, how alignment, c color.NRGBA) {
	anchor := map[alignment]string{startsAt: "start", middleAt: "middle", endsAt: "end", upwards: "middle"}[how]
	turned := ""
	if how == upwards {
		turned = fmt.Sprintf(" transform=\"rotate(-90 %.2f %.2f)\"", at.x, at.y)
	}
	fmt.Fprintf(&s.b, "<text x=\"%.2f\" y=\"%.2f\" font-size=\"%s\" text-anchor=\"%s\" fill=\"%s\"%s>", at.x, at.y, short(size), anchor, hexColour(c), turned)
	_ = xml.EscapeText(&s.b, []byte(text)) // a buffer takes all
	s.b.WriteString("</text>\n")
}

func (s *svg) bytes() ([]byte, error) { return append(s.b.Bytes(), "</svg>\n"...), nil }
