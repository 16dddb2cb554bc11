package graph

import (
	"cmp"
	"math"
	"slices"
	"unicode/utf8"
)

// Distances, in pixels.
const (
	margin     = 24.0
	lineHeight = 16.0
	padX, padY = 14.0, 9.0
	charWidth  = 7.1 // of the text's font, on average
	gapX, gapY = 28.0, 34.0
	laneGap    = 56.0
	laneHead   = 30.0
	titleHead  = 34.0
	dummyWidth = 14.0
)

// cell is a node with a place, or a bend of a long edge on its way through a row.
type cell struct {
	node     *Node // nil for a bend
	row      int
	lane     int
	order    float64
	x, y     float64 // centre
	w, h     float64
	up, down []*cell
}

// layout is a graph with places.
type layout struct {
	g      *Graph
	cells  map[*Node]*cell
	rows   [][][]*cell // lane, row, place
	bends  map[*Edge][]*cell
	laneX  []float64 // left edges of the lanes, and the right edge of the last one
	width  float64
	height float64
}

// arrange gives every node a place: rows by the longest way from the sources, the order in a row by the mean of the neighbours'
// places, and then coordinates.
//
// Source: Sugiyama, Tagawa and Toda 1981, with barycenters.
func arrange(g *Graph) *layout {
	l := &layout{g: g, cells: map[*Node]*cell{}, bends: map[*Edge][]*cell{}}
	rows := rowsOf(g)
	lanes := max(1, len(g.Lanes))
	height := 0
	for _, n := range g.Nodes {
		height = max(height, rows[n]+1)
	}
	l.rows = make([][][]*cell, lanes)
	for k := range l.rows {
		l.rows[k] = make([][]*cell, height)
	}
	for _, n := range g.Nodes {
		c := &cell{node: n, row: rows[n], lane: n.Lane}
		c.w, c.h = size(n)
		l.cells[n] = c
		l.place(c)
	}
	for _, e := range g.Edges {
		l.bend(e)
	}
	for range 8 {
		l.sweep()
	}
	l.coordinates()
	return l
}

func (l *layout) place(c *cell) {
	row := &l.rows[c.lane][c.row]
	c.order = float64(len(*row))
	*row = append(*row, c)
}

func size(n *Node) (w, h float64) {
	for i, line := range n.Lines {
		width := float64(utf8.RuneCountInString(line)) * charWidth
		if i == 0 {
			width *= 1.08 // bold
		}
		w = max(w, width)
	}
	return math.Ceil(max(w, 40)) + 2*padX, float64(len(n.Lines))*lineHeight + 2*padY
}

// bend gives an edge within a lane that skips rows a bend in each of them, from the top downwards.
func (l *layout) bend(e *Edge) {
	from, to := l.ends(e)
	if from == nil {
		return
	}
	last := from
	for row := from.row + 1; row < to.row; row++ {
		c := &cell{row: row, lane: from.lane, w: dummyWidth, up: []*cell{last}}
		last.down = append(last.down, c)
		l.place(c)
		l.bends[e] = append(l.bends[e], c)
		last = c
	}
	last.down = append(last.down, to)
	to.up = append(to.up, last)
}

// ends returns the upper and the lower end of an edge that runs through the rows of its lane; nil for others.
func (l *layout) ends(e *Edge) (upper, lower *cell) {
	from, to := l.cells[e.From], l.cells[e.To]
	switch {
	case from.lane != to.lane || from.row == to.row:
		return nil, nil
	case from.row < to.row:
		return from, to
	case e.Upward && !e.Dashed:
		return to, from
	}
	return nil, nil
}

// outward reports whether an arrow leads from a node to a lane further right: such nodes stand right of others that would do as well.
func (l *layout) outward(c *cell) bool {
	if c.node == nil {
		return false
	}
	for _, e := range l.g.Edges {
		if e.From == c.node && e.To.Lane > c.lane {
			return true
		}
	}
	return false
}

// rowsOf puts every node below those that it depends on. Edges that close a cycle do not count.
func rowsOf(g *Graph) map[*Node]int {
	row := map[*Node]int{}
	next := map[*Node][]*Node{}
	for _, e := range g.Edges {
		if e.From != e.To && !e.Upward && e.To.Beside == nil && e.From.Beside == nil {
			next[e.From] = append(next[e.From], e.To)
		}
	}
	const (
		unseen = iota
		open
		done
	)
	state := map[*Node]int{}
	var order []*Node // reversed topological
	var visit func(n *Node)
	visit = func(n *Node) {
		state[n] = open
		var kept []*Node
		for _, m := range next[n] {
			if state[m] == open { // a cycle
				continue
			}
			kept = append(kept, m)
			if state[m] == unseen {
				visit(m)
			}
		}
		next[n] = kept
		state[n] = done
		order = append(order, n)
	}
	for _, n := range g.Nodes {
		if state[n] == unseen && n.Beside == nil {
			visit(n)
		}
	}
	fed := map[*Node]bool{}
	for _, n := range slices.Backward(order) {
		for _, m := range next[n] {
			row[m] = max(row[m], row[n]+1)
			fed[m] = true
		}
	}
	// A source stands right above the first that needs it.
	for _, n := range order {
		if !fed[n] && len(next[n]) > 0 {
			first := math.MaxInt
			for _, m := range next[n] {
				first = min(first, row[m])
			}
			row[n] = first - 1
		}
	}
	for _, n := range g.Nodes {
		at := n
		for range g.Nodes { // a chain of nodes beside each other, without end if it is wrong
			if at.Beside == nil {
				break
			}
			at = at.Beside
		}
		row[n] = row[at]
	}
	return row
}

// sweep orders each row by the places of the neighbours, once downwards and once upwards.
func (l *layout) sweep() {
	for _, lane := range l.rows {
		for r := range lane {
			l.reorder(lane[r], func(c *cell) []*cell { return c.up })
		}
		for r := range slices.Backward(lane) {
			l.reorder(lane[r], func(c *cell) []*cell { return c.down })
		}
	}
}

func (l *layout) reorder(row []*cell, neighbours func(*cell) []*cell) {
	wish := map[*cell]float64{}
	for _, c := range row {
		wish[c] = c.order
		if ns := neighbours(c); len(ns) > 0 {
			sum := 0.0
			for _, n := range ns {
				sum += n.order
			}
			wish[c] = sum / float64(len(ns))
		}
		if l.outward(c) {
			wish[c] += 0.3
		}
	}
	slices.SortStableFunc(row, func(a, b *cell) int { return cmp.Compare(wish[a], wish[b]) })
	for i, c := range row {
		c.order = float64(i)
	}
}

// coordinates sets rows below each other and lanes beside each other; within a row, cells come as near to their neighbours as the
// order and the gaps allow.
func (l *layout) coordinates() {
	y := margin
	if l.g.Title != "" {
		y += titleHead
	}
	if len(l.g.Lanes) > 0 {
		y += laneHead
	}
	for r := range l.rows[0] {
		height := 0.0
		for _, lane := range l.rows {
			for _, c := range lane[r] {
				height = max(height, c.h)
			}
		}
		for _, lane := range l.rows {
			for _, c := range lane[r] {
				c.y = y + height/2
				if c.node == nil {
					c.h = height
				}
			}
		}
		y += height + gapY
	}
	l.height = y - gapY + margin
	left := margin
	for k, lane := range l.rows {
		for _, row := range lane {
			x := 0.0
			for _, c := range row {
				c.x = x + c.w/2
				x += c.w + gapX
			}
		}
		for range 24 {
			for r := range lane {
				settle(lane[r], func(c *cell) []*cell { return c.up })
			}
			for r := range slices.Backward(lane) {
				settle(lane[r], func(c *cell) []*cell { return c.down })
			}
		}
		low, high := math.Inf(1), math.Inf(-1)
		for _, row := range lane {
			for _, c := range row {
				low, high = min(low, c.x-c.w/2), max(high, c.x+c.w/2)
			}
		}
		if low > high {
			low, high = 0, 60
		}
		if len(l.g.Lanes) > 0 {
			wide := float64(utf8.RuneCountInString(l.g.Lanes[k]))*charWidth + 2*padX
			if missing := wide - (high - low); missing > 0 {
				low, high = low-missing/2, high+missing/2
			}
			left += padX
		}
		for _, row := range lane {
			for _, c := range row {
				c.x += left - low
			}
		}
		l.laneX = append(l.laneX, left)
		left += high - low
		if len(l.g.Lanes) > 0 {
			left += padX
		}
		l.width = left
		left += laneGap
	}
	l.laneX = append(l.laneX, left-laneGap)
	for _, e := range l.g.Edges { // room for labels, and for arrows that lead back at the side
		if from, to := l.cells[e.From], l.cells[e.To]; l.alongSide(e) {
			l.width = max(l.width, l.side(from, to)+padX+labelWidth(e))
		} else if x, _, anchor := l.labelPlace(e); anchor == "start" && e.Label != "" {
			l.width = max(l.width, x+labelWidth(e))
		}
	}
	l.width += margin
	if title := float64(utf8.RuneCountInString(l.g.Title))*8.5 + 2*margin; title > l.width {
		l.width = title
	}
}

// alongSide reports whether an edge leads back at the side of its lane.
func (l *layout) alongSide(e *Edge) bool {
	upper, _ := l.ends(e)
	return upper == nil && e.From.Lane == e.To.Lane
}

// side is where an arrow that leads back runs: right of all cells between its ends.
func (l *layout) side(a, b *cell) float64 {
	x := 0.0
	for r := min(a.row, b.row); r <= max(a.row, b.row); r++ {
		for _, c := range l.rows[a.lane][r] {
			x = max(x, c.x+c.w/2)
		}
	}
	return x + 26
}

// settle moves the cells of a row towards the mean of their neighbours, keeping order and gaps: cells that push against each other
// form blocks, which move as one.
func settle(row []*cell, neighbours func(*cell) []*cell) {
	type block struct {
		first, last int
		wish, count float64 // of the first cell's centre
	}
	offset := make([]float64, len(row)) // of a cell's centre from the row's first, as near as they may come
	for i := 1; i < len(row); i++ {
		offset[i] = offset[i-1] + row[i-1].w/2 + gapX + row[i].w/2
	}
	var blocks []block
	for i, c := range row {
		want := c.x
		if ns := neighbours(c); len(ns) > 0 {
			sum := 0.0
			for _, n := range ns {
				sum += n.x
			}
			want = sum / float64(len(ns))
		}
		blocks = append(blocks, block{i, i, want - offset[i], 1})
		for n := len(blocks); n > 1; n = len(blocks) {
			a, b := blocks[n-2], blocks[n-1]
			if a.wish <= b.wish {
				break
			}
			blocks = append(blocks[:n-2], block{a.first, b.last, (a.wish*a.count + b.wish*b.count) / (a.count + b.count), a.count + b.count})
		}
	}
	for _, b := range blocks {
		for i := b.first; i <= b.last; i++ {
			row[i].x = b.wish + offset[i]
		}
	}
}
