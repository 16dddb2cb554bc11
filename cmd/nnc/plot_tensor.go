package main

import (
	"errors"
	"image/color"
	"math"
	"slices"
	"strconv"

	"github.com/nnc-lang/nnc/runtime/command"
)

// tensorHeight is the height of a panel for a tensor, in points.
const tensorHeight = 5 * 72

// plotTensors draws metrics that are matrices: one of two columns and more than two rows is a curve, its rows being points (x, y); others have a square for
// each element, the darker the greater it is. Tensors of other ranks are not drawn.
//
// Errors: there is nothing to draw.
func plotTensors(tensors []command.Tensor, ext string) ([]byte, error) {
	var panels []*chart
	for _, t := range tensors {
		if len(t.Shape) != 2 {
			continue
		}
		draw := matrixPanel
		if t.Shape[1] == 2 && t.Shape[0] > 2 {
			draw = curvePanel
		}
		c := draw(t)
		c.title = t.Metric
		if t.Train != "" {
			c.title = t.Train + ": " + t.Metric
		}
		panels = append(panels, c)
	}
	if len(panels) == 0 {
		return nil, errors.New("there is nothing to draw: --plot draws the confusion matrix and the ROC curve of classifiers, and other metrics that are matrices; the train block has none")
	}
	return drawCharts(panels, tensorHeight, ext)
}

// curvePanel draws a line through points.
func curvePanel(t command.Tensor) *chart {
	c := &chart{xLabel: "column 0", yLabel: "column 1", xTicks: steps, yTicks: steps}
	curve := series{colour: trainColour}
	for row := range slices.Chunk(t.Values, 2) {
		if math.Abs(row[0]) < greatestDrawn && math.Abs(row[1]) < greatestDrawn {
			curve.points = append(curve.points, point{row[0], row[1]})
		}
	}
	if t.Metric == "roc" {
		c.xLabel, c.yLabel = "false alarms, as a share of class 0", "found, as a share of class 1"
		chance := series{points: []point{{0, 0}, {1, 1}}, colour: color.NRGBA{0x99, 0x99, 0x99, 0xff}, dashed: true}
		c.series = append(c.series, chance)
	}
	c.series = append(c.series, curve)
	return c
}

// matrixPanel draws a square for each element, the first row on top, with its number in it.
func matrixPanel(t command.Tensor) *chart {
	rows, columns := t.Shape[0], t.Shape[1]
	c := &chart{xLabel: "column", yLabel: "row", low: point{-0.5, -0.5}, high: point{float64(columns) - 0.5, float64(rows) - 0.5}}
	greatest := math.Max(slices.Max(t.Values), 1e-30)
	for i, v := range t.Values {
		share := math.Max(v, 0) / greatest
		mix := func(c uint8) uint8 { return uint8(255 - share*float64(255-c)) }
		s := square{
			at:     point{float64(i % columns), float64(rows - 1 - i/columns)},
			fill:   color.NRGBA{mix(trainColour.R), mix(trainColour.G), mix(trainColour.B), 0xff},
			colour: axisColour,
			text:   strconv.FormatFloat(v, 'g', 4, 64),
		}
		if v > greatest/2 {
			s.colour = white
		}
		c.squares = append(c.squares, s)
	}
	name := func(i, n int) string {
		if n == len(t.Classes) {
			return t.Classes[i]
		}
		return strconv.Itoa(i)
	}
	var x, y []tick
	for i := range columns {
		x = append(x, tick{float64(i), name(i, columns)})
	}
	for i := range rows {
		y = append(y, tick{float64(rows - 1 - i), name(i, rows)})
	}
	c.xTicks = func(float64, float64) []tick { return x }
	c.yTicks = func(float64, float64) []tick { return y }
	if rows == columns && rows == len(t.Classes) {
		c.xLabel, c.yLabel = "taken for", "class"
	}
	return c
}
