package graph

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"unicode/utf8"
)

// SVG draws the graph as a picture that needs nothing but an SVG viewer.
func (g *Graph) SVG() string {
	l := arrange(g)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif" font-size="12.5">`+"\n",
		l.width, l.height, l.width, l.height)
	b.WriteString(`<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 1 L10 5 L0 9 z" fill="#666"/></marker></defs>` + "\n")
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="white"/>`+"\n", l.width, l.height)
	top := margin
	if g.Title != "" {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" font-size="16" font-weight="bold" fill="#222">%s</text>`+"\n", margin, top+12, html.EscapeString(g.Title))
		top += titleHead
	}
	for k, lane := range g.Lanes {
		left := l.laneX[k] - padX
		right := l.width - margin
		if k+1 < len(g.Lanes) {
			right = l.laneX[k+1] - padX - laneGap + padX
		}
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="8" fill="#fafafa" stroke="#ddd"/>`+"\n", left, top-8, right-left, l.height-top-margin/2+8)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle" font-weight="bold" fill="#666">%s</text>`+"\n", (left+right)/2, top+9, html.EscapeString(lane))
	}
	for _, e := range g.Edges {
		l.drawEdge(&b, e)
	}
	for _, n := range g.Nodes {
		l.drawNode(&b, n)
	}
	for _, e := range g.Edges {
		l.drawLabel(&b, e)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (l *layout) drawNode(b *strings.Builder, n *Node) {
	c := l.cells[n]
	fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="6" fill="%s" stroke="%s"/>`+"\n",
		c.x-c.w/2, c.y-c.h/2, c.w, c.h, colour[n.Kind][0], colour[n.Kind][1])
	for i, line := range n.Lines {
		style := `fill="#444"`
		if i == 0 {
			style = `fill="#111" font-weight="bold"`
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="middle" %s>%s</text>`+"\n",
			c.x, c.y-c.h/2+padY+lineHeight*(float64(i)+0.75), style, html.EscapeString(line))
	}
}

// drawEdge draws downwards from bottom to top, through the bends; to another lane from side to side; and back along the side.
func (l *layout) drawEdge(b *strings.Builder, e *Edge) {
	from, to := l.cells[e.From], l.cells[e.To]
	var path strings.Builder
	upper, lower := l.ends(e)
	switch {
	case upper == from && upper != nil:
		through(&path, from, append(slices.Clone(l.bends[e]), lower), 1)
	case upper != nil:
		stops := append([]*cell{upper}, l.bends[e]...)
		slices.Reverse(stops)
		through(&path, from, stops, -1)
	case from.lane == to.lane:
		side := l.side(from, to)
		x, end := from.x+from.w/2, to.x+to.w/2
		fmt.Fprintf(&path, "M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f L%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f",
			x, from.y, side, from.y, side, from.y, side, from.y-18*sign(from.y-to.y),
			side, to.y+18*sign(from.y-to.y), side, to.y, side, to.y, end, to.y)
	default:
		toward := sign(to.x - from.x)
		x, end := from.x+toward*from.w/2, to.x-toward*to.w/2
		middle := (x + end) / 2
		if from.row != to.row { // the curve bends in the gap before the other lane, where no boxes are
			middle = end - toward*laneGap/2
		}
		fmt.Fprintf(&path, "M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f", x, from.y, middle, from.y, middle, to.y, end, to.y)
	}
	dash := ""
	if e.Dashed {
		dash = ` stroke-dasharray="5 4"`
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="#666" stroke-width="1.2"%s marker-end="url(#tip)"/>`+"\n", path.String(), dash)
}

// through draws from a cell to the near edge of each of the others, and straight past the boxes of a row where one is a bend; way is 1
// downwards and -1 upwards.
func through(path *strings.Builder, from *cell, stops []*cell, way float64) {
	x, y := from.x, from.y+way*from.h/2
	fmt.Fprintf(path, "M%.1f %.1f", x, y)
	for _, c := range stops {
		end := c.y - way*c.h/2
		middle := (y + end) / 2
		fmt.Fprintf(path, " C%.1f %.1f %.1f %.1f %.1f %.1f", x, middle, c.x, middle, c.x, end)
		if x, y = c.x, end; c.node == nil {
			y += way * c.h
			fmt.Fprintf(path, " L%.1f %.1f", x, y)
		}
	}
}

func sign(x float64) float64 {
	if x < 0 {
		return -1
	}
	return 1
}

// labelPlace is where an edge's label stands: right of one that goes straight down, at its middle; of one that leads aside at the end that is its own, on the
// outer side; on the edge where there is no room for that.
func (l *layout) labelPlace(e *Edge) (x, y float64, anchor string) {
	const gap, below = 6, 10
	from, to := l.cells[e.From], l.cells[e.To]
	bends := l.bends[e]
	switch {
	case l.alongSide(e):
		return l.side(from, to) + gap, (from.y + to.y) / 2, "start"
	case len(bends) > 0:
		return bends[len(bends)/2].x + gap, bends[len(bends)/2].y, "start"
	case from.x == to.x:
		return from.x + gap, (from.y + from.h/2 + to.y - to.h/2) / 2, "start"
	}
	if e.From.Lane != e.To.Lane {
		return (from.x + to.x) / 2, (from.y + to.y) / 2, "middle"
	}
	own, other, y := from, to, from.y+from.h/2+below
	for _, o := range l.g.Edges {
		if o != e && o.From == e.From && !l.alongSide(o) {
			own, other, y = to, from, to.y-to.h/2-below
		}
	}
	if other.x < own.x {
		return own.x + gap, y, "start"
	}
	if own.x-gap-labelWidth(e) > 0 {
		return own.x - gap, y, "end"
	}
	return (from.x + to.x) / 2, (from.y + from.h/2 + to.y - to.h/2) / 2, "middle"
}

// labelWidth is about how wide an edge's label is drawn.
func labelWidth(e *Edge) float64 { return float64(utf8.RuneCountInString(e.Label)) * charWidth * 0.8 }

// drawLabel writes an edge's label on a white ground.
func (l *layout) drawLabel(b *strings.Builder, e *Edge) {
	if e.Label == "" {
		return
	}
	x, y, anchor := l.labelPlace(e)
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="11" fill="#555" stroke="white" stroke-width="4" paint-order="stroke">%s</text>`+"\n",
		x, y+4, anchor, html.EscapeString(e.Label))
}
