package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/nnc-lang/nnc/runtime/command"
)

// The size of a panel, and the colours of the training's and the validation's line.
const (
	panelWidth  = 6.4 * vg.Inch
	panelHeight = 2.7 * vg.Inch
	plotDPI     = 130
)

// legendRoom is the share of a panel's height that is added above the lines, for the legend.
const legendRoom = 0.22

// greatestDrawn bounds what is drawn: the axes' arithmetic overflows far beyond it, and so has the training.
const greatestDrawn = 1e30

var (
	trainColour      = color.NRGBA{0x2b, 0x6c, 0xb0, 0xff}
	validationColour = color.NRGBA{0xdd, 0x6b, 0x20, 0xff}
	gridColour       = color.NRGBA{0xe4, 0xe4, 0xe4, 0xff}
)

// plotHistory draws a panel for the loss and each metric that is a number, with a line for training and one for validation.
//
// Errors: those of the drawing library.
func plotHistory(history []map[string]float64, ext string) ([]byte, error) {
	var panels [][]*plot.Plot
	for _, name := range command.ValueNames(history) {
		if strings.Contains(name, "[") {
			continue // an element of a tensor, of which there may be many
		}
		if of, validation := strings.CutPrefix(name, "val_"); validation && hasValue(history, of) {
			continue // drawn beside the training's
		}
		p, err := panel(history, strings.TrimPrefix(name, "val_"))
		if err != nil {
			return nil, fmt.Errorf("cannot draw %s: %w", name, err)
		}
		panels = append(panels, []*plot.Plot{p})
	}
	if len(panels) == 0 {
		return nil, fmt.Errorf("there are no values to draw")
	}
	panels[len(panels)-1][0].X.Label.Text = "epoch"
	return drawPanels(panels, panelHeight, ext)
}

// drawPanels draws plots of one height below each other.
func drawPanels(panels [][]*plot.Plot, each vg.Length, ext string) ([]byte, error) {
	height := each * vg.Length(len(panels))
	var canvas vg.CanvasWriterTo
	if ext == ".svg" {
		canvas = vgsvg.New(panelWidth, height)
	} else {
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(panelWidth, height), vgimg.UseDPI(plotDPI))}
	}
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadTop: vg.Points(8), PadBottom: vg.Points(6), PadLeft: vg.Points(6), PadRight: vg.Points(12), PadY: vg.Points(10)}
	for i, c := range plot.Align(panels, tiles, draw.New(canvas)) {
		panels[i][0].Draw(c[0])
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func hasValue(history []map[string]float64, name string) bool {
	for _, values := range history {
		if _, ok := values[name]; ok {
			return true
		}
	}
	return false
}

func sans(p *plot.Plot) {
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		f.Variant = "Sans"
	}
}

// panel draws one value by epoch.
func panel(history []map[string]float64, name string) (*plot.Plot, error) {
	p := plot.New()
	p.Y.Label.Text = name
	p.X.Tick.Marker = wholeTicks{}
	sans(p)
	p.Legend.Top = true
	p.Legend.XOffs, p.Legend.Padding = vg.Points(-6), vg.Points(3)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = gridColour, gridColour
	p.Add(grid)
	for _, l := range []struct {
		name, legend string
		colour       color.Color
	}{{name, "training", trainColour}, {"val_" + name, "validation", validationColour}} {
		var points plotter.XYs
		for i, values := range history {
			if v, ok := values[l.name]; ok && math.Abs(v) < greatestDrawn { // nor what is not a number
				points = append(points, plotter.XY{X: float64(i + 1), Y: v})
			}
		}
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = l.colour, vg.Points(1.6)
		dots.Color, dots.Shape, dots.Radius = l.colour, draw.CircleGlyph{}, vg.Points(2)
		p.Add(line)
		if len(points) <= 60 {
			p.Add(dots)
		}
		p.Legend.Add(l.legend, line)
	}
	if room := legendRoom * (p.Y.Max - p.Y.Min); room > 0 && !math.IsInf(room, 0) {
		p.Y.Max += room
	}
	return p, nil
}

// wholeTicks marks whole numbers, epochs, at most about ten of them.
type wholeTicks struct{}

// Ticks implements plot.Ticker.
func (wholeTicks) Ticks(low, high float64) []plot.Tick {
	step := 1.0
	for power := 1.0; (high-low)/step > 10; power *= 10 {
		for _, digit := range []float64{2, 5, 10} {
			if step = digit * power; (high-low)/step <= 10 {
				break
			}
		}
	}
	return wholeBy(low, high, step)
}

func wholeBy(low, high, step float64) []plot.Tick {
	var ticks []plot.Tick
	for x := math.Ceil(low/step) * step; x <= high; x += step {
		ticks = append(ticks, plot.Tick{Value: x, Label: fmt.Sprintf("%.0f", x)})
	}
	return ticks
}
