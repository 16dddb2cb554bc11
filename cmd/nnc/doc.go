package main

import (
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/lang/syntax"
	"github.com/nnc-lang/nnc/runtime/command"
)

// docCmd shows the library, or what a user's own file declares.
type docCmd struct {
	Names []string `arg:"" optional:"" name:"name" help:"What to show; a program (.nn) before it is where to look instead of the library."`
}

// Help shows how the command is used.
func (docCmd) Help() string {
	return `Lists the functions, layers, losses, metrics and optimisers that every program can use, or shows one of them as it is written.

    nnc doc
    nnc doc Conv2D
    nnc doc relu adam
    nnc doc blocks.nn                what a file of your own declares
    nnc doc blocks.nn Residual`
}

// docTopic is a file of the library, or a part of one that a line of dashes begins.
type docTopic struct {
	title   string
	entries []docEntry
}

// docEntry is a name with all its declarations.
type docEntry struct {
	name  string
	use   string   // of a function that is written in Go
	doc   string   // the comment above the first declaration, in one paragraph
	texts []string // comment and source of each declaration
}

// Run carries out the command.
func (c *docCmd) Run(std *command.Streams) error {
	topics, where := library(), "in the library"
	names := c.Names
	if len(names) > 0 && (filepath.Ext(names[0]) == ".nn" || names[0] == stdinName) {
		src, err := readSource(std, names[0])
		if err != nil {
			return err
		}
		tree, list := syntax.Parse(src)
		if list.HasErrors() {
			return list
		}
		topics, where = topicsOf(tree, src.Name), "in "+src.Name
		names = names[1:]
	}
	if len(names) == 0 {
		listTopics(std.Out, topics)
		return nil
	}
	return each(std, names, func(name string) error {
		var all []string
		for _, t := range topics {
			for _, e := range t.entries {
				if e.name == name {
					if name != names[0] {
						fmt.Fprintln(std.Out)
					}
					e.show(std.Out)
					return nil
				}
				all = append(all, e.name)
			}
		}
		if near := diag.DidYouMean(name, all); near != "" {
			return command.Misuse("there is no %s %s; did you mean %s?", name, where, near)
		}
		return command.Misuse("there is no %s %s", name, where)
	})
}

// library is the standard library by topic, functions written in Go first.
func library() []docTopic {
	var topics []docTopic
	builtin := docTopic{title: "Built in"}
	for _, b := range lang.Builtins() {
		builtin.entries = append(builtin.entries, docEntry{name: b.Name, use: b.Use, doc: b.Doc})
	}
	for _, tree := range lang.StdFiles() {
		topics = append(topics, topicsOf(tree, "")...)
	}
	return append(topics, builtin)
}

// topicsOf lists what a file declares, by the headings between its declarations: lines such as "// ---- several classes ----".
func topicsOf(tree *syntax.File, title string) []docTopic {
	src := tree.Source
	if title == "" {
		title = strings.TrimSuffix(path.Base(src.Name), ".nn")
		title = strings.ToUpper(title[:1]) + title[1:]
	}
	topics := []docTopic{{title: title}}
	line := 1 // the first one not looked at
	for _, d := range tree.Decls {
		name := declaredName(d)
		if name == "" {
			continue
		}
		first := src.Position(d.Span().Start).Line
		for ; line < first; line++ {
			if heading, ok := headingOf(src.Line(line)); ok {
				topics = append(topics, docTopic{title: title + ": " + heading})
			}
		}
		comment := commentAbove(src, first)
		text := strings.TrimRight(comment+d.Span().Text(), "\n") + "\n"
		t := &topics[len(topics)-1]
		if i := slices.IndexFunc(t.entries, func(e docEntry) bool { return e.name == name }); i >= 0 {
			t.entries[i].texts = append(t.entries[i].texts, text)
			continue
		}
		t.entries = append(t.entries, docEntry{name: name, doc: plainComment(comment), use: signature(d), texts: []string{text}})
	}
	return slices.DeleteFunc(topics, func(t docTopic) bool { return len(t.entries) == 0 })
}

// declaredName is the name under which a declaration is found; "" for those that are no part of a library.
func declaredName(d syntax.Decl) string {
	switch d := d.(type) {
	case *syntax.Fn:
		return d.Name.Name
	case *syntax.Layer:
		return d.Name.Name
	case *syntax.Model:
		return d.Name.Name
	case *syntax.Optimizer:
		return d.Name.Name
	case *syntax.Metric:
		return d.Name.Name
	case *syntax.Data:
		return d.Name.Name
	case *syntax.Option:
		return d.Name.Name
	}
	return ""
}

// signature is a declaration up to its body, in one line, for declarations without a comment.
func signature(d syntax.Decl) string {
	text := d.Span().Text()
	if body := bodyOf(d); body != nil && body.Span().Start > d.Span().Start {
		text = text[:body.Span().Start-d.Span().Start]
	}
	text = strings.Trim(strings.Join(strings.Fields(text), " "), " ={")
	return strings.NewReplacer("( ", "(", " )", ")").Replace(text)
}

func bodyOf(d syntax.Decl) *syntax.Block {
	switch d := d.(type) {
	case *syntax.Fn:
		return d.Body
	case *syntax.Layer:
		return d.Body
	case *syntax.Model:
		return d.Body
	case *syntax.Optimizer:
		return d.Body
	case *syntax.Metric:
		return d.Body
	case *syntax.Data:
		return d.Body
	}
	return nil
}

func headingOf(line string) (string, bool) {
	text, ok := strings.CutPrefix(line, "// ---- ")
	return strings.TrimRight(strings.TrimSuffix(strings.TrimSpace(text), "----"), " "), ok
}

// commentAbove is the comment that ends on the line before, with its newlines.
func commentAbove(src *diag.File, line int) string {
	first := line
	for first > 1 && strings.HasPrefix(src.Line(first-1), "//") {
		if _, heading := headingOf(src.Line(first - 1)); heading {
			break
		}
		first--
	}
	var b strings.Builder
	for ; first < line; first++ {
		b.WriteString(src.Line(first) + "\n")
	}
	return b.String()
}

// plainComment is a comment as one paragraph.
func plainComment(comment string) string {
	var words []string
	for l := range strings.Lines(comment) {
		words = append(words, strings.Fields(strings.TrimPrefix(l, "//"))...)
	}
	return strings.Join(words, " ")
}

// summary is the comment's first sentence; where it only names a source, the signature.
func (e docEntry) summary() string {
	s := e.doc
	if i := strings.Index(s, ". "); i >= 0 {
		s = s[:i]
	}
	if s = strings.TrimSuffix(s, "."); s != "" && !strings.HasPrefix(s, "Source:") {
		return s
	}
	return e.use
}

// listTopics writes a line for each name.
func listTopics(w io.Writer, topics []docTopic) {
	width := 0
	for _, t := range topics {
		for _, e := range t.entries {
			width = max(width, utf8.RuneCountInString(e.name))
		}
	}
	for i, t := range topics {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\n", t.title)
		for _, e := range t.entries {
			fmt.Fprintf(w, "  %-*s  %s\n", width, e.name, e.summary())
		}
	}
}

// show writes comments and source of all declarations.
func (e docEntry) show(w io.Writer) {
	if len(e.texts) == 0 {
		fmt.Fprintf(w, "%s\n\n%s (built in)\n", e.use, e.doc)
		return
	}
	for i, text := range e.texts {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprint(w, text)
	}
}
