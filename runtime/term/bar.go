package term

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Bar is one line of a terminal that shows how far a job of counted steps is, how fast it goes and how long it will still take.
// A nil Bar draws nothing, so that code need not ask whether there is a terminal.
type Bar struct {
	progress *mpb.Progress
	bar      *mpb.Bar
	status   atomic.Pointer[string]
	started  time.Time
	items    atomic.Int64 // done since started
	unit     string
}

// NewBar draws a bar of total steps, `done` of which were done before, on w, which must be a terminal. The rate is in unit per
// second, such as "examples".
func NewBar(w io.Writer, label, unit string, total, done int) *Bar {
	b := &Bar{started: time.Now(), unit: unit}
	empty := ""
	b.status.Store(&empty)
	b.progress = mpb.New(mpb.WithOutput(w), mpb.ForceTTY(), mpb.WithAutoRefresh(), mpb.WithRefreshRate(150*time.Millisecond))
	// A bar that is made without a total does not end by itself when it is full: Clear ends it, so that it leaves no trace.
	// The library leaves its own bar out where the text is long. This one is part of the text, whose end is cut off instead.
	b.bar = b.progress.New(0, mpb.NopStyle(), mpb.BarWidth(1), mpb.PrependDecorators(
		decor.Name(label+" "), decor.CountersNoUnit("%d/%d "), decor.Any(drawn), decor.Any(b.text),
	))
	b.bar.SetTotal(int64(total), false)
	if done > 0 {
		b.bar.SetCurrent(int64(done))
		b.bar.SetRefill(int64(done))
	}
	return b
}

// drawn is the bar itself.
func drawn(s decor.Statistics) string {
	const most, least = 30, 5
	const textColumns = 75 // the text that should stand beside the bar
	cells := min(most, max(least, s.AvailableWidth-textColumns))
	full := 0
	if s.Total > 0 {
		full = int(min(int64(cells), int64(cells)*s.Current/s.Total))
	}
	return strings.Repeat("━", full) + strings.Repeat("─", cells-full)
}

// text is what stands behind the bar: rate, time left, status.
func (b *Bar) text(s decor.Statistics) string {
	text := ""
	elapsed := time.Since(b.started)
	if items := b.items.Load(); items > 0 && elapsed > 0 {
		text += fmt.Sprintf(" %s %s/s", rate(float64(items)/elapsed.Seconds()), b.unit)
		if fresh := s.Current - s.Refill; fresh > 0 {
			left := time.Duration(float64(elapsed) * float64(s.Total-s.Current) / float64(fresh))
			text += ", " + Duration(left) + " left"
		}
	}
	if status := *b.status.Load(); status != "" {
		text += "  " + status
	}
	return text
}

// rate writes three significant digits, or all digits before the point.
func rate(r float64) string {
	switch {
	case r >= 99.95:
		return fmt.Sprintf("%.0f", r)
	case r >= 9.995:
		return fmt.Sprintf("%.1f", r)
	default:
		return fmt.Sprintf("%.2f", r)
	}
}

// Step counts one more step, which handled that many items.
func (b *Bar) Step(items int) {
	if b != nil {
		b.items.Add(int64(items))
		b.bar.Increment()
	}
}

// Status shows text behind the numbers.
func (b *Bar) Status(text string) {
	if b != nil {
		b.status.Store(&text)
	}
}

// Print writes lines of text above the bar. It reports whether there was a bar to write above.
func (b *Bar) Print(text string) bool {
	if b == nil {
		return false
	}
	_, err := io.WriteString(b.progress, text)
	return err == nil
}

// Clear takes the bar off the terminal; what is printed next stands in its place. A second call does nothing.
func (b *Bar) Clear() {
	if b != nil {
		b.bar.Abort(true)
		b.progress.Wait()
	}
}
