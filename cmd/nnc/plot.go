package main

import (
	"errors"
	"image/color"
	"math"
	"strings"

	"github.com/nnc-lang/nnc/runtime/command"
)

// panelHeight is the height of the panel of a value, in points.
const panelHeight = 2.7 * 72

// legendRoom is the share of a panel's height that is added above the lines, for the legend.
const legendRoom = 0.25

// greatestDrawn bounds what is drawn: the axes' arithmetic overflows far beyond it, and so has the training.
const greatestDrawn = 1e30

// The colours of the training's and the validation's line.
var (
	trainColour      = color.NRGBA{0x2b, 0x6c, 0xb0, 0xff}
	validationColour = color.NRGBA{0xdd, 0x6b, 0x20, 0xff}
)

// plotHistory draws a panel for the loss and each metric that is a number, with a line for training and one for validation.
//
// Errors: there is nothing to draw.
func plotHistory(history []map[string]float64, ext string) ([]byte, error) {
	var panels []*chart
	for _, name := range command.ValueNames(history) {
		if strings.Contains(name, "[") {
			continue // an element of a tensor, of which there may be many
		}
		if of, validation := strings.CutPrefix(name, "val_"); validation && hasValue(history, of) {
			continue // drawn beside the training's
		}
		panels = append(panels, panel(history, strings.TrimPrefix(name, "val_")))
	}
	if len(panels) == 0 {
		return nil, errors.New("there are no values to draw")
	}
	panels[len(panels)-1].xLabel = "epoch"
	return drawCharts(panels, panelHeight, ext)
}

func hasValue(history []map[string]float64, name string) bool {
	for _, values := range history {
		if _, ok := values[name]; ok {
			return true
		}
	}
	return false
}

// panel draws one value by epoch.
func panel(history []map[string]float64, name string) *chart {
	c := &chart{yLabel: name, xTicks: wholeSteps, yTicks: steps}
	for _, l := range []struct {
		name, legend string
		colour       color.NRGBA
	}{{name, "training", trainColour}, {"val_" + name, "validation", validationColour}} {
		s := series{colour: l.colour, name: l.legend}
		for i, values := range history {
			if v, ok := values[l.name]; ok && math.Abs(v) < greatestDrawn { // nor what is not a number
				s.points = append(s.points, point{float64(i + 1), v})
			}
		}
		s.dots = len(s.points) <= 60
		if len(s.points) > 0 {
			c.series = append(c.series, s)
		}
	}
	return c
}
