package main

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var someHistory = []map[string]float64{
	{"loss": 0.7, "accuracy": 0.5, "val_loss": 0.71, "val_accuracy": 0.25, "auc": 0.5},
	{"loss": 1e-9, "accuracy": 1, "val_loss": math.NaN(), "val_accuracy": math.Inf(1)},
}

// The picture is an image with lines in the colours of training and validation, whatever the values are.
func TestPlotPNG(t *testing.T) {
	for name, history := range map[string][]map[string]float64{
		"usual": someHistory, "one epoch": someHistory[:1],
		"nothing finite": {{"loss": math.NaN(), "val_loss": math.NaN()}},
		"huge":           {{"loss": 1e308}, {"loss": -1e308}},
		"the same":       {{"loss": 3}, {"loss": 3}, {"loss": 3}},
	} {
		raw, err := plotHistory(history, ".png")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		img, err := png.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		drawn := false
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				r, g, b, _ := img.At(x, y).RGBA()
				drawn = drawn || r>>8 == uint32(trainColour.R) && g>>8 == uint32(trainColour.G) && b>>8 == uint32(trainColour.B)
			}
		}
		if want := name != "nothing finite" && name != "huge"; drawn != want {
			t.Errorf("%s: a line of the training is drawn: %v", name, drawn)
		}
	}
}

func TestPlotSVG(t *testing.T) {
	raw, err := plotHistory(someHistory, ".svg")
	if err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(raw))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{">loss<", ">accuracy<", ">auc<", ">training<", ">validation<", ">epoch<"} {
		if !strings.Contains(string(raw), text) {
			t.Errorf("the picture does not say %s", text)
		}
	}
}

func TestWholeSteps(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{{1, 6, "1 2 3 4 5 6"}, {1, 15, "2 4 6 8 10 12 14"}, {1, 100, "10 20 30 40 50 60 70 80 90 100"}, {1, 300, "50 100 150 200 250 300"}, {0.5, 1.5, "1"}} {
		var got []string
		for _, tick := range wholeSteps(c.low, c.high) {
			got = append(got, tick.label)
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("from %v to %v (-want +got):\n%s", c.low, c.high, diff)
		}
	}
}
