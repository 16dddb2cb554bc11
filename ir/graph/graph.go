// Package graph draws directed graphs: as text for Mermaid and Graphviz, and as SVG by a layered layout of its own.
package graph

import "strings"

// Kind says what a node stands for, which decides its colour.
type Kind string

// The kinds of nodes.
const (
	Data   Kind = "data"   // what comes from files, or goes there
	Op     Kind = "op"     // arithmetic outside layers
	Layer  Kind = "layer"  // a layer with parameters
	Plain  Kind = "plain"  // a layer without
	Loss   Kind = "loss"   // what is minimised or measured
	Back   Kind = "back"   // backward pass
	Update Kind = "update" // new values of parameters
)

// Node is a box with lines of text, the first of which is its name.
type Node struct {
	ID    string // unique; letters, digits and _
	Lines []string
	Kind  Kind
	Lane  int // the lane it stands in
	// Beside puts the node on the row of another one, in another lane; nil: the row follows from the edges.
	Beside *Node
}

// Edge is an arrow.
type Edge struct {
	From, To *Node
	Label    string
	Dashed   bool
	// Upward marks an arrow against the direction in which the graph is read: it does not count for the rows. If it is dashed, it runs at
	// the side.
	Upward bool
}

// Graph is a set of nodes in lanes, columns that are read from left to right, each from top to bottom.
type Graph struct {
	Title string
	Lanes []string // their headings; none for a graph without lanes
	Nodes []*Node
	Edges []*Edge
}

// Add adds a node, whose ID is made from name.
func (g *Graph) Add(kind Kind, lane int, name string, lines ...string) *Node {
	n := &Node{ID: g.id(name), Kind: kind, Lane: lane, Lines: lines}
	g.Nodes = append(g.Nodes, n)
	return n
}

// id makes a name that no node has yet.
func (g *Graph) id(name string) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
	id = "n_" + id // words such as end and graph mean something to Mermaid and Graphviz
	taken := func(id string) bool {
		for _, n := range g.Nodes {
			if n.ID == id {
				return true
			}
		}
		return false
	}
	for taken(id) {
		id += "_"
	}
	return id
}

// Connect adds an edge, unless there is one.
func (g *Graph) Connect(from, to *Node) *Edge {
	for _, e := range g.Edges {
		if e.From == from && e.To == to {
			return e
		}
	}
	e := &Edge{From: from, To: to}
	g.Edges = append(g.Edges, e)
	return e
}
