package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/term"
)

// layerCost is what the parts of one layer take together.
type layerCost struct {
	layer    string
	parts    int
	elapsed  time.Duration
	products float64
	bytes    float64
	limit    time.Duration // what the parts would take at the processor's limits
}

// layerCosts sums parts by layer, the slowest layer first.
func layerCosts(parts []runtime.Part, limits native.Limits) []*layerCost {
	byName := map[string]*layerCost{}
	var all []*layerCost
	for _, p := range parts {
		name := p.Loc.Scope
		if name == "" {
			name = "(between layers)"
		}
		c := byName[name]
		if c == nil {
			c = &layerCost{layer: name}
			byName[name] = c
			all = append(all, c)
		}
		c.add(p, limits)
	}
	slices.SortStableFunc(all, func(a, b *layerCost) int { return cmp.Compare(b.elapsed, a.elapsed) })
	return all
}

// add adds a part.
func (c *layerCost) add(p runtime.Part, limits native.Limits) {
	c.parts++
	c.elapsed += p.Elapsed
	c.products += p.Products
	c.bytes += p.Bytes
	c.limit += time.Duration(max(p.Products/limits.Flops, p.Bytes/limits.Read) * 1e9)
}

// kernelCosts returns each part by itself, in the order in which they are computed, under the names of their layers and of what they compute.
func kernelCosts(parts []runtime.Part, limits native.Limits) []*layerCost {
	var all []*layerCost
	for _, p := range parts {
		c := &layerCost{layer: strings.TrimSpace(p.Loc.Scope + " " + p.What)}
		c.add(p, limits)
		all = append(all, c)
	}
	return all
}

// printCosts writes a table of costs. A part's limit is the longer of what its arithmetic takes at the rate at which the processor multiplies
// and adds, and what its operands and its result take at the rate at which it reads memory; what stays in a cache passes that.
func printCosts(w io.Writer, of string, costs []*layerCost, limits native.Limits) {
	rows := [][6]string{{of, "Kernels", "Time", "GFLOP/s", "Of its limit", "Bytes"}}
	total := &layerCost{layer: "Total"}
	for _, c := range costs {
		rows = append(rows, c.row())
		total.parts += c.parts
		total.elapsed += c.elapsed
		total.products += c.products
		total.bytes += c.bytes
		total.limit += c.limit
	}
	rows = append(rows, total.row())
	var width [6]int
	for _, r := range rows {
		for k, cell := range r {
			width[k] = max(width[k], utf8.RuneCountInString(cell))
		}
	}
	line := strings.Repeat("─", width[0]+width[1]+width[2]+width[3]+width[4]+width[5]+10)
	fmt.Fprintf(w, "\n%.1f GFLOP/s and %.1f GB/s are the limits of these threads\n%s\n", limits.Flops/1e9, limits.Read/1e9, line)
	for i, r := range rows {
		fmt.Fprintf(w, "%-*s", width[0], r[0])
		for k := 1; k < len(r); k++ {
			fmt.Fprintf(w, "  %*s", width[k], r[k])
		}
		fmt.Fprintln(w)
		if i == 0 || i >= len(rows)-2 {
			fmt.Fprintln(w, line)
		}
	}
}

func (c *layerCost) row() [6]string {
	rate, share := "", ""
	if c.elapsed > 0 {
		if c.products > 0 {
			rate = fmt.Sprintf("%.1f", c.products/float64(c.elapsed))
		}
		share = fmt.Sprintf("%.0f%%", 100*float64(c.limit)/float64(c.elapsed))
	}
	return [6]string{c.layer, fmt.Sprint(c.parts), milliseconds(float64(c.elapsed) / 1e6), rate, share, term.Bytes(int64(c.bytes))}
}
