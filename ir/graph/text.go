package graph

import (
	"fmt"
	"strings"
)

// colour has the fill and the line of each kind of node.
var colour = map[Kind][2]string{
	Data:   {"#e8eef7", "#5b7db1"},
	Op:     {"#f4f4f4", "#8a8a8a"},
	Layer:  {"#e3f3e6", "#4f9a5d"},
	Plain:  {"#f4faf5", "#8dbb96"},
	Loss:   {"#fdeedd", "#d08a35"},
	Back:   {"#f6e7f3", "#a85b98"},
	Update: {"#fdf7d8", "#b89c24"},
}

// kinds is the order in which kinds are declared in text.
var kinds = []Kind{Data, Op, Layer, Plain, Loss, Back, Update}

// Mermaid writes a flowchart in the language of Mermaid.
func (g *Graph) Mermaid() string {
	var b strings.Builder
	if g.Title != "" {
		fmt.Fprintf(&b, "---\ntitle: %q\n---\n", g.Title)
	}
	b.WriteString("flowchart TD\n")
	text := strings.NewReplacer("&", "&amp;", "\"", "&quot;", "<", "&lt;", ">", "&gt;", "#", "&num;", "|", "&vert;", "`", "&grave;")
	node := func(in string, n *Node) {
		lines := make([]string, len(n.Lines))
		for i, l := range n.Lines {
			lines[i] = text.Replace(l)
		}
		if len(lines) > 0 {
			lines[0] = "<b>" + lines[0] + "</b>"
		}
		fmt.Fprintf(&b, "%s%s[\"%s\"]:::%s\n", in, n.ID, strings.Join(lines, "<br>"), n.Kind)
	}
	if len(g.Lanes) == 0 {
		for _, n := range g.Nodes {
			node("    ", n)
		}
	}
	for k, lane := range g.Lanes {
		fmt.Fprintf(&b, "    subgraph lane%d[\"%s\"]\n", k, text.Replace(lane))
		for _, n := range g.Nodes {
			if n.Lane == k {
				node("        ", n)
			}
		}
		b.WriteString("    end\n")
	}
	for _, e := range g.Edges {
		arrow := "-->"
		if e.Dashed {
			arrow = "-.->"
		}
		if e.Label != "" {
			arrow += "|\"" + text.Replace(e.Label) + "\"|"
		}
		fmt.Fprintf(&b, "    %s %s %s\n", e.From.ID, arrow, e.To.ID)
	}
	for _, k := range kinds {
		fmt.Fprintf(&b, "    classDef %s fill:%s,stroke:%s,color:#222\n", k, colour[k][0], colour[k][1])
	}
	return b.String()
}

// DOT writes the graph in the language of Graphviz.
func (g *Graph) DOT() string {
	var b strings.Builder
	b.WriteString("digraph {\n    rankdir=TB\n    node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11]\n    edge [fontname=\"Helvetica\", fontsize=9, color=\"#555555\"]\n")
	if g.Title != "" {
		fmt.Fprintf(&b, "    label=%s; labelloc=t; fontname=\"Helvetica\"\n", quote(g.Title))
	}
	node := func(in string, n *Node) {
		fmt.Fprintf(&b, "%s%s [label=%s, fillcolor=%q, color=%q]\n", in, n.ID, quote(strings.Join(n.Lines, "\n")), colour[n.Kind][0], colour[n.Kind][1])
	}
	if len(g.Lanes) == 0 {
		for _, n := range g.Nodes {
			node("    ", n)
		}
	}
	for k, lane := range g.Lanes {
		fmt.Fprintf(&b, "    subgraph cluster_%d {\n        label=%s; style=dashed; color=\"#999999\"; fontname=\"Helvetica\"\n", k, quote(lane))
		for _, n := range g.Nodes {
			if n.Lane == k {
				node("        ", n)
			}
		}
		b.WriteString("    }\n")
	}
	for _, e := range g.Edges {
		var attrs []string
		if e.Label != "" {
			attrs = append(attrs, "label="+quote(e.Label))
		}
		if e.Dashed {
			attrs = append(attrs, "style=dashed")
		}
		if e.Upward {
			attrs = append(attrs, "constraint=false")
		}
		list := ""
		if len(attrs) > 0 {
			list = " [" + strings.Join(attrs, ", ") + "]"
		}
		fmt.Fprintf(&b, "    %s -> %s%s\n", e.From.ID, e.To.ID, list)
	}
	b.WriteString("}\n")
	return b.String()
}

// quote writes a text in Graphviz's quotes, where only the quote itself, a backslash and line ends need care.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
