package train

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// epochLine returns the line that Keras prints after an epoch with verbose=2.
//
// Source: Keras 3, callbacks/progbar_logger.py and utils/progbar.py.
func epochLine(epoch, epochs int, elapsed time.Duration, values map[string]float64) string {
	return fmt.Sprintf("%s - %.0fs%s", epochName(epoch, epochs), elapsed.Seconds(), valuesText(values))
}

// epochName returns "Epoch 3/15", or "Epoch 3" where there is no limit.
func epochName(epoch, epochs int) string {
	if epochs == 0 {
		return fmt.Sprintf("Epoch %d", epoch)
	}
	return fmt.Sprintf("Epoch %d/%d", epoch, epochs)
}

// valuesText returns " - accuracy: 0.7100 - loss: 0.5600", sorted by name, of all values that are single numbers.
func valuesText(values map[string]float64) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if isElement(name) {
			continue
		}
		fmt.Fprintf(&b, " - %s: %s", name, valueText(values[name]))
	}
	return b.String()
}

// isElement reports whether a value is an element of a metric that is a tensor. There may be many: no line shows them.
func isElement(name string) bool { return strings.Contains(name, "[") }

// valueText writes four decimals, or the exponent where they would all be 0.
func valueText(v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 0):
		return strings.ToLower(strings.TrimPrefix(fmt.Sprint(v), "+"))
	case math.Abs(v) > 1e-3:
		return fmt.Sprintf("%.4f", v)
	default:
		return fmt.Sprintf("%.4e", v)
	}
}
