package main

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"
)

// point is a place: of data, or in points (1/72 inch) from the left and from the top.
type point struct{ x, y float64 }

// canvas is drawn on; lengths are points. What is drawn later lies on top.
type canvas interface {
	line(a, b point, width float64, c color.NRGBA)
	box(at point, width, height float64, c color.NRGBA)
	dot(at point, radius float64, c color.NRGBA)
	// text writes to the left, around or to the right of a place on the line that letters stand on, or upwards around it.
	text(s string, at point, size float64, how alignment, c color.NRGBA)
	bytes() ([]byte, error)
}

// alignment is how a text lies to its place.
type alignment int

const (
	startsAt alignment = iota
	middleAt
	endsAt
	upwards
)

// tick is a mark at an axis.
type tick struct {
	value float64
	label string
}

// chart is a panel with two axes.
type chart struct {
	title, xLabel, yLabel string
	series                []series
	squares               []square
	xTicks                func(low, high float64) []tick
	yTicks                func(low, high float64) []tick
	low, high             point // of the axes
}

// series is a line through points.
type series struct {
	points []point
	colour color.NRGBA
	name   string // in the legend; "" for none
	dots   bool
	dashed bool
}

// square is an element of a matrix, around a place, with a text in it.
type square struct {
	at           point
	fill, colour color.NRGBA
	text         string
}

// The measures of a chart, in points.
const (
	chartWidth                                  = 460.8
	padTop, padBottom, padLeft, padRight, apart = 8.0, 6.0, 6.0, 12.0, 10.0
	labelSize, tickSize                         = 12.0, 10.0
	tickLength                                  = 4.0
	lineWidth                                   = 1.6
)

var (
	axisColour = color.NRGBA{0, 0, 0, 0xff}
	gridColour = color.NRGBA{0xe4, 0xe4, 0xe4, 0xff}
	white      = color.NRGBA{0xff, 0xff, 0xff, 0xff}
)

// drawCharts draws charts of one height below each other, their axes in line.
func drawCharts(charts []*chart, each float64, ext string) ([]byte, error) {
	height := padTop + padBottom + each*float64(len(charts))
	var to canvas = newSVG(chartWidth, height)
	if ext == ".png" {
		to = newRaster(chartWidth, height)
	}
	left := 0.0
	for _, c := range charts {
		c.fit()
		for _, t := range c.yTicks(c.low.y, c.high.y) {
			left = max(left, textWidth(t.label, tickSize))
		}
	}
	left += padLeft + tickLength + 3
	if slices.ContainsFunc(charts, func(c *chart) bool { return c.yLabel != "" }) {
		left += labelSize * 1.4
	}
	for i, c := range charts {
		c.draw(to, left, padTop+each*float64(i), each-apart)
	}
	return to.bytes()
}

// fit completes the range of the axes.
func (c *chart) fit() {
	if c.high != c.low {
		return
	}
	c.low, c.high = point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}
	named := false
	for _, s := range c.series {
		named = named || s.name != ""
		for _, p := range s.points {
			c.low = point{min(c.low.x, p.x), min(c.low.y, p.y)}
			c.high = point{max(c.high.x, p.x), max(c.high.y, p.y)}
		}
	}
	c.low.x, c.high.x = widened(c.low.x, c.high.x)
	c.low.y, c.high.y = widened(c.low.y, c.high.y)
	if named {
		c.high.y += legendRoom * (c.high.y - c.low.y)
	}
}

// widened is a range that is not empty and has some room around what is in it.
func widened(low, high float64) (float64, float64) {
	switch {
	case low > high: // there are no points
		return 0, 1
	case low == high:
		by := max(0.5, math.Abs(low)/10)
		return low - by, high + by
	}
	by := (high - low) * 0.02
	return low - by, high + by
}

// draw draws the chart between two heights; left is where the vertical axis stands.
func (c *chart) draw(to canvas, left, top, height float64) {
	right, bottom := chartWidth-padRight, top+height-tickSize*1.2-tickLength-3
	if c.xLabel != "" {
		bottom -= labelSize * 1.4
	}
	if c.title != "" {
		to.text(c.title, point{(left + right) / 2, top + labelSize}, labelSize, middleAt, axisColour)
		top += labelSize * 1.6
	}
	place := func(p point) point {
		return point{
			left + (p.x-c.low.x)/(c.high.x-c.low.x)*(right-left),
			bottom - (p.y-c.low.y)/(c.high.y-c.low.y)*(bottom-top),
		}
	}
	xTicks, yTicks := c.xTicks(c.low.x, c.high.x), c.yTicks(c.low.y, c.high.y)
	if len(c.squares) == 0 {
		for _, t := range xTicks {
			x := place(point{t.value, c.low.y}).x
			to.line(point{x, top}, point{x, bottom}, 0.5, gridColour)
		}
		for _, t := range yTicks {
			y := place(point{c.low.x, t.value}).y
			to.line(point{left, y}, point{right, y}, 0.5, gridColour)
		}
	}
	c.drawSquares(to, place)
	for _, s := range c.series {
		s.draw(to, place)
	}
	c.drawLegend(to, right, top)

	to.line(point{left, top}, point{left, bottom}, 0.8, axisColour)
	to.line(point{left, bottom}, point{right, bottom}, 0.8, axisColour)
	for _, t := range xTicks {
		x := place(point{t.value, c.low.y}).x
		to.line(point{x, bottom}, point{x, bottom + tickLength}, 0.8, axisColour)
		to.text(t.label, point{x, bottom + tickLength + tickSize}, tickSize, middleAt, axisColour)
	}
	for _, t := range yTicks {
		y := place(point{c.low.x, t.value}).y
		to.line(point{left - tickLength, y}, point{left, y}, 0.8, axisColour)
		to.text(t.label, point{left - tickLength - 2, y + tickSize*0.35}, tickSize, endsAt, axisColour)
	}
	if c.xLabel != "" {
		to.text(c.xLabel, point{(left + right) / 2, bottom + tickLength + tickSize*1.2 + labelSize*1.1}, labelSize, middleAt, axisColour)
	}
	if c.yLabel != "" {
		to.text(c.yLabel, point{padLeft + labelSize*0.8, (top + bottom) / 2}, labelSize, upwards, axisColour)
	}
}

func (c *chart) drawSquares(to canvas, place func(point) point) {
	for _, s := range c.squares {
		a, b := place(point{s.at.x - 0.5, s.at.y + 0.5}), place(point{s.at.x + 0.5, s.at.y - 0.5})
		to.box(point{a.x + 0.5, a.y + 0.5}, b.x-a.x-1, b.y-a.y-1, s.fill)
		size := min(labelSize, (b.y-a.y)*0.8, labelSize*(b.x-a.x)*0.9/max(1, textWidth(s.text, labelSize)))
		if size >= 3 { // what can be read
			to.text(s.text, point{(a.x + b.x) / 2, (a.y+b.y)/2 + size*0.35}, size, middleAt, s.colour)
		}
	}
}

func (c *chart) drawLegend(to canvas, right, top float64) {
	row := 0.0
	for _, s := range c.series {
		if s.name == "" {
			continue
		}
		y := top + labelSize*(1.1+1.35*row)
		to.line(point{right - 26, y - labelSize*0.3}, point{right - 6, y - labelSize*0.3}, lineWidth, s.colour)
		to.text(s.name, point{right - 30, y}, labelSize, endsAt, axisColour)
		row++
	}
}

func (s series) draw(to canvas, place func(point) point) {
	for i, p := range s.points {
		at := place(p)
		if i > 0 {
			before := place(s.points[i-1])
			if s.dashed {
				dashes(to, before, at, s.colour)
			} else {
				to.line(before, at, lineWidth, s.colour)
			}
		}
		if s.dots {
			to.dot(at, 2, s.colour)
		}
	}
}

// dashes draws a line of dashes.
func dashes(to canvas, a, b point, c color.NRGBA) {
	const dash = 4
	length := math.Hypot(b.x-a.x, b.y-a.y)
	along := func(d float64) point { return point{a.x + (b.x-a.x)*d/length, a.y + (b.y-a.y)*d/length} }
	for d := 0.0; d < length; d += 2 * dash {
		to.line(along(d), along(min(length, d+dash)), 0.7, c)
	}
}

// steps marks multiples of 1, 2 or 5 times a power of ten, about five of them.
func steps(low, high float64) []tick {
	power := math.Pow(10, math.Floor(math.Log10((high-low)/5)))
	step := power
	for _, digit := range []float64{1, 2, 5, 10} {
		if step = digit * power; (high-low)/step <= 6 {
			break
		}
	}
	var ticks []tick
	for k := math.Ceil(low / step); k*step <= high*(1+1e-12) && len(ticks) < 20; k++ {
		ticks = append(ticks, tick{k * step, stepLabel(k*step, step)})
	}
	return ticks
}

// stepLabel writes a multiple of step with the digits that tell it from the next one.
func stepLabel(v, step float64) string {
	if v == 0 {
		return "0"
	}
	if a := math.Abs(v); a >= 1e6 || step < 1e-4 {
		return strconv.FormatFloat(v, 'g', 1+max(0, int(math.Floor(math.Log10(a)+1e-9)-math.Floor(math.Log10(step)+1e-9))), 64)
	}
	return strconv.FormatFloat(v, 'f', max(0, -int(math.Floor(math.Log10(step)+1e-9))), 64)
}

// wholeSteps marks whole numbers, epochs, at most about ten of them.
func wholeSteps(low, high float64) []tick {
	step := 1.0
	for power := 1.0; (high-low)/step > 10; power *= 10 {
		for _, digit := range []float64{2, 5, 10} {
			if step = digit * power; (high-low)/step <= 10 {
				break
			}
		}
	}
	var ticks []tick
	for x := math.Ceil(low/step) * step; x <= high; x += step {
		ticks = append(ticks, tick{x, fmt.Sprintf("%.0f", x)})
	}
	return ticks
}
