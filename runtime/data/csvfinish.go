package data

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// splitRows deals the rows of one file to the splits.
func (l *tableLoad) splitRows() (*Dataset, error) {
	dealt := 0
	for stream, rows := range l.strata() {
		for k, part := range l.cfg.deal(uint64(stream), len(rows), dealt) {
			for _, i := range part {
				l.parts[k] = append(l.parts[k], rows[i])
			}
		}
		dealt += len(rows)
	}
	for k := range l.parts {
		slices.Sort(l.parts[k])
	}
	held := l.files[0].name + " has " + plural(len(l.lines), "row", "rows")
	if err := l.cfg.enough(held, [3]int{len(l.parts[0]), len(l.parts[1]), len(l.parts[2])}); err != nil {
		return nil, err
	}
	return l.finish()
}

// strata are the groups of rows that are dealt each by itself: those of each class, in the order in which the file has the classes first, as their
// numbers may change; or all rows.
func (l *tableLoad) strata() [][]int32 {
	k := slices.IndexFunc(l.columns, func(c *column) bool { return l.cfg.Stratify != "" && c.Field == l.cfg.Stratify })
	if k < 0 {
		return [][]int32{l.allRows()}
	}
	var groups [][]int32
	at := map[int32]int{}
	for row, class := range l.columns[k].i32 {
		g, ok := at[class]
		if !ok {
			g = len(groups)
			at[class] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], int32(row))
	}
	return groups
}

// finish numbers classes and words, measures the training split and makes the sources.
func (l *tableLoad) finish() (*Dataset, error) {
	ds := &Dataset{}
	for _, c := range l.columns {
		c.number()
		c.measure()
		if c.Kind == Class && ds.Labels == nil {
			ds.Labels = c.labels
		}
	}
	all := newTableSource(l)
	var sizes []string
	for k, slot := range [3]*Source{&ds.Train, &ds.Validation, &ds.Test} {
		if part := l.parts[k]; len(part) > 0 {
			*slot = Subset(all, part)
			sizes = append(sizes, fmt.Sprintf("%d %s", len(part), splitNames[k]))
		}
	}
	note := strings.Join(sizes, ", ")
	if l.cfg.Path != "" {
		note = fmt.Sprintf("%s: %s: %s (%s)", l.files[0].name, plural(len(l.lines), "row", "rows"), note, l.cfg.Division)
	}
	ds.Notes = append([]string{note}, l.notes...)
	if l.dropped > 0 {
		ds.Notes = append(ds.Notes, fmt.Sprintf("%s left out because a value is missing", plural(l.dropped, "row was", "rows were")))
	}
	return ds, nil
}

// number gives classes, ids and words their final numbers.
func (c *column) number() {
	var renumbered []int32
	switch {
	case (c.Kind == Class || c.Kind == ID) && c.Names != nil:
		c.labels = c.Names
		return
	case c.Kind == Class || c.Kind == ID:
		c.labels, renumbered = c.texts.sorted()
	case c.Kind == Words && c.Names != nil:
		c.labels, renumbered = c.Names, c.texts.known(c.Names)
	case c.Kind == Words:
		counts := make([]int, len(c.texts.names))
		for _, row := range c.place.training() {
			for _, w := range c.words(int(row)) {
				counts[w]++
			}
		}
		var special []string
		for _, s := range []string{c.Start, c.End} {
			if s != "" && !slices.Contains(special, s) {
				special = append(special, s)
			}
		}
		c.labels, renumbered = c.texts.vocabulary(counts, c.Top, special...)
	default:
		return
	}
	for i, old := range c.i32 {
		c.i32[i] = renumbered[old]
	}
	c.texts = interner{}
}

// training lists the rows that vocabularies and means are taken of: the training split, or all rows if there is none.
func (l *tableLoad) training() []int32 {
	if len(l.parts[0]) > 0 {
		return l.parts[0]
	}
	return l.allRows()
}

func (l *tableLoad) allRows() []int32 {
	all := make([]int32, len(l.lines))
	for i := range all {
		all[i] = int32(i)
	}
	return all
}

// words returns the words of a row.
func (c *column) words(row int) []int32 {
	from := 0
	if row > 0 {
		from = c.ends[row-1]
	}
	return c.i32[from:c.ends[row]]
}

// measure computes the mean and the deviation (of the whole split, not an estimate for more data) of each number.
//
// Source: Welford 1962, "Note on a method for calculating corrected sums of squares and products".
func (c *column) measure() {
	if c.Kind != Number && c.Kind != Rest {
		return
	}
	if c.Mean != nil {
		c.mean, c.deviation = c.Mean, c.Deviation
		return
	}
	c.mean, c.deviation = make([]float64, c.width), make([]float64, c.width)
	rows := c.place.training()
	for n, row := range rows {
		for k, x := range c.f32[int(row)*c.width:][:c.width] {
			d := float64(x) - c.mean[k]
			c.mean[k] += d / float64(n+1)
			c.deviation[k] += d * (float64(x) - c.mean[k])
		}
	}
	for k := range c.deviation {
		c.deviation[k] = math.Sqrt(c.deviation[k] / float64(len(rows)))
	}
}
