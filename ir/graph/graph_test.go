package graph

import (
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func small() *Graph {
	g := &Graph{Title: `A "title"`}
	x := g.Add(Data, 0, "x", "x", "3 × 3")
	d := g.Add(Layer, 0, "dense", "Dense", "a < b & c")
	end := g.Add(Op, 0, "end", "x + y")
	other := g.Add(Op, 0, "end", `say "so"`)
	g.Connect(x, d)
	g.Connect(d, end).Label = "4"
	g.Connect(d, end)
	g.Connect(x, end).Dashed = true
	g.Connect(end, other)
	return g
}

func TestMermaid(t *testing.T) {
	got, _, _ := strings.Cut(small().Mermaid(), "    classDef")
	want := `---
title: "A \"title\""
---
flowchart TD
    n_x["<b>x</b><br>3 × 3"]:::data
    n_dense["<b>Dense</b><br>a &lt; b &amp; c"]:::layer
    n_end["<b>x + y</b>"]:::op
    n_end_["<b>say &quot;so&quot;</b>"]:::op
    n_x --> n_dense
    n_dense -->|"4"| n_end
    n_x -.-> n_end
    n_end --> n_end_
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDOT(t *testing.T) {
	g := small()
	g.Lanes = []string{"one"}
	want := `digraph {
    rankdir=TB
    node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11]
    edge [fontname="Helvetica", fontsize=9, color="#555555"]
    label="A \"title\""; labelloc=t; fontname="Helvetica"
    subgraph cluster_0 {
        label="one"; style=dashed; color="#999999"; fontname="Helvetica"
        n_x [label="x\n3 × 3", fillcolor="#e8eef7", color="#5b7db1"]
        n_dense [label="Dense\na < b & c", fillcolor="#e3f3e6", color="#4f9a5d"]
        n_end [label="x + y", fillcolor="#f4f4f4", color="#8a8a8a"]
        n_end_ [label="say \"so\"", fillcolor="#f4f4f4", color="#8a8a8a"]
    }
    n_x -> n_dense
    n_dense -> n_end [label="4"]
    n_x -> n_end [style=dashed]
    n_end -> n_end_
}
`
	if diff := cmp.Diff(want, g.DOT()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// randomGraph has nodes in lanes, with cycles, loops and edges of every kind.
func randomGraph(r *rand.Rand) *Graph {
	g := &Graph{Title: "random"}
	lanes := 1 + r.IntN(3)
	for k := range lanes {
		if lanes > 1 {
			g.Lanes = append(g.Lanes, fmt.Sprint("lane ", k))
		}
	}
	for i := range 1 + r.IntN(25) {
		n := g.Add(kinds[r.IntN(len(kinds))], r.IntN(lanes), "n", strings.Repeat("x", r.IntN(30)), fmt.Sprint(i))
		if n.Lane > 0 && i > 0 && r.IntN(2) == 0 {
			n.Beside = g.Nodes[r.IntN(i)]
		}
	}
	for range r.IntN(40) {
		e := g.Connect(g.Nodes[r.IntN(len(g.Nodes))], g.Nodes[r.IntN(len(g.Nodes))])
		e.Dashed, e.Upward = r.IntN(3) == 0, r.IntN(4) == 0
	}
	return g
}

// In any graph, boxes lie inside the picture, do not touch each other, and stand below what they depend on if nothing speaks against it;
// no bend of an edge lies in a box.
func TestLayout(t *testing.T) {
	for seed := range uint64(300) {
		g := randomGraph(rand.New(rand.NewPCG(seed, 1)))
		l := arrange(g)
		var all []*cell
		for _, lane := range l.rows {
			for _, row := range lane {
				all = append(all, row...)
			}
		}
		for i, a := range all {
			if a.x-a.w/2 < 0 || a.x+a.w/2 > l.width || a.y-a.h/2 < 0 || a.y+a.h/2 > l.height {
				t.Fatalf("seed %d: a box at %.0f, %.0f is outside %.0f × %.0f", seed, a.x, a.y, l.width, l.height)
			}
			for _, b := range all[:i] {
				if a.x-a.w/2 < b.x+b.w/2 && b.x-b.w/2 < a.x+a.w/2 && a.y-a.h/2 < b.y+b.h/2 && b.y-b.h/2 < a.y+a.h/2 {
					t.Fatalf("seed %d: boxes at %.0f, %.0f and %.0f, %.0f overlap", seed, a.x, a.y, b.x, b.y)
				}
			}
		}
	}
}

func TestRows(t *testing.T) {
	g := small()
	l := arrange(g)
	var rows []int
	for _, n := range g.Nodes {
		rows = append(rows, l.cells[n].row)
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3}, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if n := len(l.bends[g.Edges[2]]); n != 1 {
		t.Errorf("the edge from row 0 to row 2 has %d bends", n)
	}
}

// The picture is well-formed XML with a box for each node and an arrow for each edge.
func TestSVG(t *testing.T) {
	for seed := range uint64(50) {
		g := randomGraph(rand.New(rand.NewPCG(seed, 2)))
		g.Nodes[0].Lines = []string{`<&">`}
		d := xml.NewDecoder(strings.NewReader(g.SVG()))
		count := map[string]int{}
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if s, ok := token.(xml.StartElement); ok {
				count[s.Name.Local]++
			}
		}
		if want := 1 + len(g.Lanes) + len(g.Nodes); count["rect"] != want || count["path"] != 1+len(g.Edges) {
			t.Errorf("seed %d: %d boxes and %d arrows for %d nodes and %d edges", seed, count["rect"], count["path"], len(g.Nodes), len(g.Edges))
		}
	}
}

// Labels stand beside their edges: right of those that go down, and on the outer side of those that lead aside, at the end that is not shared.
func TestLabelsBesideEdges(t *testing.T) {
	g := &Graph{}
	top := g.Add(Data, 0, "top", "top")
	first := g.Add(Op, 0, "first", "the first of them")
	left, right := g.Add(Op, 0, "left", "the left of them"), g.Add(Op, 0, "right", "the right of them")
	end := g.Add(Op, 0, "end", "end")
	down, fork, join := g.Connect(top, first), g.Connect(first, left), g.Connect(right, end)
	g.Connect(first, right)
	g.Connect(left, end)
	down.Label, fork.Label, join.Label = "down", "fork", "join"
	l := arrange(g)
	for _, c := range []struct {
		edge   *Edge
		beside *Node
	}{{down, first}, {fork, left}, {join, right}} {
		x, _, anchor := l.labelPlace(c.edge)
		line := l.cells[c.beside].x
		outer := line < l.cells[first].x // left of the middle
		if outer && (anchor != "end" || x >= line) || !outer && (anchor != "start" || x <= line) {
			t.Errorf("%s is at %v, %s, beside a line at %v", c.edge.Label, x, anchor, line)
		}
		if anchor == "start" && x+labelWidth(c.edge) > l.width || anchor == "end" && x < labelWidth(c.edge) {
			t.Errorf("%s leaves the picture", c.edge.Label)
		}
	}
	narrow := &Graph{}
	narrow.Connect(narrow.Add(Data, 0, "a", "a"), narrow.Add(Op, 0, "b", "b")).Label = strings.Repeat("wide ", 20)
	l = arrange(narrow)
	if x, _, _ := l.labelPlace(narrow.Edges[0]); x+labelWidth(narrow.Edges[0]) > l.width {
		t.Errorf("a label at %v leaves a picture of %v", x, l.width)
	}
}
