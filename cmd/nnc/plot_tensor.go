package main

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"

	"github.com/nnc-lang/nnc/runtime/command"
)

// tensorHeight is the height of a panel for a tensor.
const tensorHeight = 5 * vg.Inch

// plotTensors draws metrics that are matrices: one of two columns and more than two rows is a curve, its rows being points (x, y); others have a square for
// each element, the darker the greater it is. Tensors of other ranks are not drawn.
//
// Errors: there is nothing to draw; those of the drawing library.
func plotTensors(tensors []command.Tensor, ext string) ([]byte, error) {
	var panels [][]*plot.Plot
	for _, t := range tensors {
		if len(t.Shape) != 2 {
			continue
		}
		draw := matrixPanel
		if t.Shape[1] == 2 && t.Shape[0] > 2 {
			draw = curvePanel
		}
		p, err := draw(t)
		if err != nil {
			return nil, fmt.Errorf("cannot draw %s: %w", t.Metric, err)
		}
		p.Title.Text = t.Metric
		if t.Train != "" {
			p.Title.Text = t.Train + ": " + t.Metric
		}
		sans(p)
		panels = append(panels, []*plot.Plot{p})
	}
	if len(panels) == 0 {
		return nil, errors.New("there is nothing to draw: --plot draws the confusion matrix and the ROC curve of classifiers, and other metrics that are matrices; the train block has none")
	}
	return drawPanels(panels, tensorHeight, ext)
}

// curvePanel draws a line through points.
func curvePanel(t command.Tensor) (*plot.Plot, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "column 0", "column 1"
	var points plotter.XYs
	for row := range slices.Chunk(t.Values, 2) {
		points = append(points, plotter.XY{X: row[0], Y: row[1]})
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = trainColour, vg.Points(1.6)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = gridColour, gridColour
	p.Add(grid)
	if t.Metric == "roc" {
		p.X.Label.Text, p.Y.Label.Text = "false alarms, as a share of class 0", "found, as a share of class 1"
		chance, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1}})
		if err != nil {
			return nil, err
		}
		chance.Color, chance.Dashes = color.Gray{0x99}, []vg.Length{vg.Points(4), vg.Points(4)}
		p.Add(chance)
	}
	p.Add(line)
	return p, nil
}

// matrixPanel draws a square for each element, the first row on top, with its number in it.
func matrixPanel(t command.Tensor) (*plot.Plot, error) {
	p := plot.New()
	rows, columns := t.Shape[0], t.Shape[1]
	greatest := math.Max(slices.Max(t.Values), 1e-30)
	var labels plotter.XYLabels
	for i, v := range t.Values {
		x, y := float64(i%columns), float64(rows-1-i/columns)
		share := math.Max(v, 0) / greatest
		square, err := plotter.NewPolygon(plotter.XYs{{X: x - 0.5, Y: y - 0.5}, {X: x + 0.5, Y: y - 0.5}, {X: x + 0.5, Y: y + 0.5}, {X: x - 0.5, Y: y + 0.5}})
		if err != nil {
			return nil, err
		}
		mix := func(c uint8) uint8 { return uint8(255 - share*float64(255-c)) }
		square.Color = color.NRGBA{mix(trainColour.R), mix(trainColour.G), mix(trainColour.B), 0xff}
		square.LineStyle.Color, square.LineStyle.Width = color.White, vg.Points(1)
		p.Add(square)
		labels.XYs = append(labels.XYs, plotter.XY{X: x, Y: y})
		labels.Labels = append(labels.Labels, strconv.FormatFloat(v, 'g', 4, 64))
	}
	numbers, err := plotter.NewLabels(labels)
	if err != nil {
		return nil, err
	}
	for i, v := range t.Values {
		s := &numbers.TextStyle[i]
		s.XAlign, s.YAlign, s.Font.Variant = text.XCenter, text.YCenter, "Sans"
		if v > greatest/2 {
			s.Color = color.White
		}
	}
	p.Add(numbers)
	name := func(i, n int) string {
		if n == len(t.Classes) {
			return t.Classes[i]
		}
		return strconv.Itoa(i)
	}
	var x, y plot.ConstantTicks
	for i := range columns {
		x = append(x, plot.Tick{Value: float64(i), Label: name(i, columns)})
	}
	for i := range rows {
		y = append(y, plot.Tick{Value: float64(rows - 1 - i), Label: name(i, rows)})
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = x, y
	p.X.Label.Text, p.Y.Label.Text = "column", "row"
	if rows == columns && rows == len(t.Classes) {
		p.X.Label.Text, p.Y.Label.Text = "taken for", "class"
	}
	return p, nil
}
