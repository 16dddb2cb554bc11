package main

import (
	"math"
	"testing"
)

// The quantile of Student's t with 4 degrees of freedom is 2.776445, as tables have it.
func TestSummarise(t *testing.T) {
	s := summarise([]float64{1, 2, 3, 4, 5})
	deviation := math.Sqrt(2.5)
	half := 2.7764451 * deviation / math.Sqrt(5)
	for _, c := range []struct {
		what      string
		got, want float64
	}{{"mean", s.Mean, 3}, {"deviation", s.Deviation, deviation}, {"low", s.Low, 3 - half}, {"high", s.High, 3 + half}} {
		if math.Abs(c.got-c.want) > 1e-6 {
			t.Errorf("%s %g, not %g", c.what, c.got, c.want)
		}
	}
	if s := summarise([]float64{7}); s.Mean != 7 || !math.IsNaN(s.Low) || s.Runs != 1 {
		t.Errorf("one value: %+v", s)
	}
}
