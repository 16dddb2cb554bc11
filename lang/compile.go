// Package lang is the front end: it checks .nn programs and elaborates them to IR and a plan.
//
// A program is evaluated once, when it is compiled: recipes become instances, `if` and `repeat` disappear, every shape is
// checked with the sizes it really has, and what is left, the arithmetic on data and parameters, is IR. The syntax is package
// syntax's; the standard library is text in the folder std.
package lang

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// Options are what a compilation depends on beside the source text.
type Options struct {
	// Set gives options values, as `--set name=value` does.
	Set map[string]string

	// MicroBatch is how many examples of a batch are computed at a time, instead of what the program says; 0: as it says.
	MicroBatch int

	// Read returns the text of an imported file; path is relative to the program's folder. It may be nil: then there are no imports.
	Read func(path string) (*diag.File, error)

	// Report adds functions that measure classifiers in more ways than their trains list.
	Report bool

	// Schema fills in what only the data can tell, its fields with their labels, and returns an error if it cannot be read. It may
	// be nil: then data is taken to be unreadable, and what depends on it is an error.
	Schema func(*plan.Data) error
}

//go:embed std/*.nn
var stdText embed.FS

var (
	stdOnce  sync.Once
	stdTrees []*syntax.File
	stdFiles = map[*diag.File]bool{}
)

// StdFiles returns the parsed standard library.
func StdFiles() []*syntax.File {
	stdOnce.Do(func() {
		names, err := fs.Glob(stdText, "std/*.nn")
		if err != nil {
			panic("BUG: " + err.Error())
		}
		sort.Strings(names)
		for _, name := range names {
			b, err := stdText.ReadFile(name)
			if err != nil {
				panic("BUG: " + err.Error())
			}
			src := diag.NewFile(name, string(b))
			tree, list := syntax.Parse(src)
			if list.HasErrors() {
				panic("BUG: the standard library does not parse: " + list.Error())
			}
			stdTrees = append(stdTrees, tree)
			stdFiles[src] = true
		}
	})
	return stdTrees
}

// Compile checks a program and elaborates it. The plan is nil if there are errors; the list, sorted, then says what they are. It
// may hold warnings otherwise.
func Compile(src *diag.File, options Options) (*plan.Program, *diag.List) {
	std := StdFiles()
	tree, list := syntax.Parse(src)
	if list.HasErrors() {
		return nil, list
	}
	e := &elaborator{
		options: options, diags: list, module: ir.NewModule(), number: map[*ir.Value]int{}, owner: map[*ir.Value]*ir.Builder{},
		universe: newUniverse(), namespaces: map[string]*namespace{}, imported: map[*scope]string{}, metricAt: map[syntax.Node]*instance{}, streams: map[*ir.Cell]func(*function){},
		unmet: map[string]bool{}, ids: map[*ir.Value]int{}, bounds: map[*ir.Value]bound{}, spans: map[place]diag.Span{},
	}
	e.plan = &plan.Program{File: src.Name, Module: e.module, Init: "init"}
	e.std = newScope(e.universe)
	for _, t := range std {
		e.declare(t, e.std)
	}
	e.globals = newScope(e.std)
	if tree = e.checkNames(tree, e.globals); tree == nil {
		e.diags.Sort()
		return nil, e.diags
	}
	e.init = e.newFunction("init")
	(&frame{elaborator: e, function: e.init, scope: e.globals}).scalarParam("seed")
	e.setOptions(tree, e.globals)
	e.importing = []string{filepath.ToSlash(src.Name)}
	e.declare(tree, e.globals)
	e.elaborate(tree)
	e.module.AddFunc(e.init.b.Func)
	if e.reset != nil {
		e.module.AddFunc(e.reset.b.Func)
	}
	e.diags.Sort()
	if e.diags.HasErrors() {
		return nil, e.diags
	}
	return e.plan, e.diags
}

// declare binds the names of a file's declarations in s.
func (e *elaborator) declare(tree *syntax.File, s *scope) {
	for _, d := range tree.Decls {
		switch d := d.(type) {
		case *syntax.Fn:
			fn := &fnValue{decl: d, scope: s}
			if old := s.names[d.Name.Name]; old != nil {
				switch v := old.value.(type) {
				case *fnValue:
					old.value = &overloads{[]*fnValue{v, fn}}
				case *overloads:
					v.fns = append(v.fns, fn)
				}
				continue
			}
			s.set(d.Name.Name, fn, d.Name.Span())
		case *syntax.Layer:
			s.set(d.Name.Name, &layerValue{d, s}, d.Name.Span())
		case *syntax.Optimizer:
			s.set(d.Name.Name, &optimizerValue{d, s}, d.Name.Span())
		case *syntax.Model:
			m := &modelValue{decl: d, scope: s}
			e.models = append(e.models, m)
			s.set(d.Name.Name, m, d.Name.Span())
		case *syntax.Data:
			s.set(d.Name.Name, &deferred{find: func() value { return e.dataset(d, s) }}, d.Name.Span())
		case *syntax.TopLet:
			e.topLet(d.Let, s)
		case *syntax.Option, *syntax.Train, *syntax.Test, *syntax.Generate:
		case *syntax.Import:
			e.importFile(d, tree, s)
		case *syntax.Metric:
			s.set(d.Name.Name, &metricValue{d, s}, d.Name.Span())
		case *syntax.BadDecl:
		default:
			panic(fmt.Sprintf("BUG: no declaration of %T", d))
		}
	}
	single := s == e.globals && len(e.models) == 1
	for _, m := range e.models {
		if m.inst == nil && m.scope == s {
			path := join(e.imported[s], m.decl.Name.Name)
			if single {
				path = ""
			}
			m.inst = e.newInstance(path, nil)
			m.inst.model = m.decl
		}
	}
}

// namespace is an imported file: its declarations by name.
type namespace struct {
	name  string
	scope *scope
}

func (n *namespace) describe() string { return "the imported file " + n.name }

// importFile declares an imported file's layers, fns, optimisers, metrics, data, models and options under a name of its own. Its trains,
// tests and generates do not run.
func (e *elaborator) importFile(d *syntax.Import, from *syntax.File, into *scope) {
	file := path.Join(path.Dir(filepath.ToSlash(e.plan.File)), d.Path.Value)
	if into != e.globals {
		file = path.Join(path.Dir(from.Source.Name), d.Path.Value)
	}
	name := strings.TrimSuffix(path.Base(d.Path.Value), ".nn")
	at := d.Path.Span()
	if d.As != nil {
		name, at = d.As.Name, d.As.Span()
	}
	into.set(name, poison{}, at) // until it has been read
	if slices.Contains(e.importing, file) {
		e.report(d.Path.Span(), diag.Span{}, diag.Recursion, "the import of "+d.Path.Value+" leads back to this file")
		return
	}
	ns := e.namespaces[file]
	if ns == nil {
		if e.options.Read == nil {
			e.report(d.Path.Span(), diag.Span{}, diag.NotSupported, "there are no imports here")
			return
		}
		src, err := e.options.Read(file)
		if err != nil {
			e.report(d.Path.Span(), diag.Span{}, diag.ImportFailed, err.Error())
			return
		}
		tree, list := syntax.Parse(src)
		e.diags.All = append(e.diags.All, list.All...)
		if list.HasErrors() {
			return
		}
		ns = &namespace{name, newScope(e.std)}
		if tree = e.checkNames(tree, ns.scope); tree == nil {
			return
		}
		e.namespaces[file] = ns
		e.imported[ns.scope] = name
		e.importing = append(e.importing, file)
		e.setOptions(tree, ns.scope)
		e.declare(tree, ns.scope)
		e.importing = e.importing[:len(e.importing)-1]
	}
	into.set(name, ns, at)
}

func (e *elaborator) notYet(n syntax.Node, what string) {
	e.report(n.Span(), diag.Span{}, diag.NotSupported, "this version of nnc does not have "+what+" yet")
}

// topLet binds a top-level let: an instance or a constant, found when it is first used.
func (e *elaborator) topLet(l *syntax.Let, s *scope) {
	if l.Tuple {
		e.notYet(l, "top-level let of tuples")
		return
	}
	name := l.Names[0].Name
	s.set(name, &deferred{find: func() value {
		f := &frame{elaborator: e, function: e.init, scope: s}
		v := f.eval(l.Value)
		if r, ok := v.(*recipe); ok {
			i := e.newInstance(name, nil)
			i.recipe = r
			return i
		}
		return v
	}}, l.Names[0].Span())
}

// setOptions binds the program's options: values from the command line, else those in the text.
func (e *elaborator) setOptions(tree *syntax.File, into *scope) {
	f := &frame{elaborator: e, function: e.init, scope: into}
	known := map[string]bool{}
	for _, d := range tree.Decls {
		o, ok := d.(*syntax.Option)
		if !ok {
			continue
		}
		name := o.Name.Name
		known[name] = true
		var v value
		if o.Value != nil {
			v = f.eval(o.Value)
		}
		if choices := choicesOf(o.Type); choices != nil && v != nil && !isPoison(v) {
			if t, ok := v.(text); !ok || !slices.Contains(choices, string(t)) {
				given := string(t)
				if !ok {
					given = o.Value.Span().Text()
				}
				f.noChoice(o.Value.Span(), "the option "+name, given, choices)
				v = poison{}
			}
		}
		kind := optionKind(o, v)
		if given, ok := e.options.Set[name]; ok && into == e.globals {
			v = e.parseOption(o, kind, given)
		}
		if v == nil {
			d := f.errorf(o.Span(), diag.MissingOption, "the option %s has no value", name)
			d.Fix = fmt.Sprintf("give it one here, or on the command line: --set %s=…", name)
			v = poison{}
		}
		f.define(o.Name, v)
	}
	if into != e.globals {
		return
	}
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, n)
	}
	sort.Strings(names)
	given := make([]string, 0, len(e.options.Set))
	for n := range e.options.Set {
		given = append(given, n)
	}
	sort.Strings(given)
	for _, n := range given {
		if known[n] {
			continue
		}
		src := diag.NewFile("--set", "--set "+n+"="+e.options.Set[n])
		d := e.report(diag.Span{File: src, Start: 6, End: 6 + len(n)}, diag.Span{}, diag.UnknownOption, "the program has no option `"+n+"`")
		switch near := diag.DidYouMean(n, names); {
		case near != "":
			d.Fix = "did you mean `" + near + "`?"
		case len(names) > 0:
			d.Fix = "it has " + joinNames(names)
		default:
			d.Fix = "declare it in the program: option " + n + " = …"
		}
	}
}

// optionKind is an option's type: declared, or that of its literal.
func optionKind(o *syntax.Option, v value) string {
	switch {
	case choicesOf(o.Type) != nil:
		return "string"
	case o.Type != nil && o.Type.Name != nil:
		return o.Type.Name.Name
	}
	switch v.(type) {
	case boolean:
		return "bool"
	case text:
		return "string"
	}
	if lit, ok := o.Value.(*syntax.Number); ok && strings.ContainsAny(lit.Text, ".eE") {
		return "f32"
	}
	return "int"
}

// parseOption reads a value from the command line.
func (e *elaborator) parseOption(o *syntax.Option, kind, given string) value {
	src := diag.NewFile("--set", "--set "+o.Name.Name+"="+given)
	place := diag.Span{File: src, Start: len(src.Text) - len(given), End: len(src.Text)}
	wrong := func() value {
		d := e.report(place, diag.Span{}, diag.InvalidValue, fmt.Sprintf("the option %s is %s, and %q is not", o.Name.Name, optionNoun(kind), given))
		e.relate(d, o.Span(), "the option is declared here")
		return poison{}
	}
	if choices := choicesOf(o.Type); choices != nil && !slices.Contains(choices, given) {
		f := &frame{elaborator: e}
		e.relate(f.noChoice(place, "the option "+o.Name.Name, given, choices), o.Span(), "the option is declared here")
		return poison{}
	}
	if kind == "string" {
		return text(given)
	}
	tree, list := syntax.ParseExpr(diag.NewFile("--set", given))
	if tree == nil || list.HasErrors() {
		return wrong()
	}
	quiet := *e
	quiet.diags = &diag.List{}
	v := (&frame{elaborator: &quiet, function: e.init, scope: newScope(nil)}).eval(tree)
	switch v := v.(type) {
	case boolean:
		if kind == "bool" {
			return v
		}
	case number:
		if _, whole := v.asInt(); kind == "f32" || kind == "int" && whole {
			return v
		}
	}
	return wrong()
}

func optionNoun(kind string) string {
	switch kind {
	case "int":
		return "a whole number"
	case "f32":
		return "a number"
	case "bool":
		return "true or false"
	}
	return "a " + kind
}

// planRows finds the largest batch of the program's trains: streams have so many rows. Mistakes are left to the trains.
func (e *elaborator) planRows(tree *syntax.File) {
	quiet := *e
	quiet.diags = &diag.List{}
	f := &frame{elaborator: &quiet, function: e.init, scope: newScope(e.globals)}
	for _, d := range tree.Decls {
		t, ok := d.(*syntax.Train)
		if !ok {
			continue
		}
		rows := 1
		if len(t.On) > 0 {
			if b := e.globals.lookup(t.On[0].Name); b != nil {
				if d, ok := f.resolve(b, t.On[0].Span(), t.On[0].Name).(*dataset); ok {
					rows = d.plan.Batch
				}
			}
		}
		for _, s := range t.Body.Stmts {
			if c, ok := s.(*syntax.Clause); ok && c.Name.Name == "batch" {
				if n, ok := f.constInt(c.Value); ok {
					rows = n
				}
			}
		}
		e.rows = max(e.rows, rows)
	}
}

// elaborate builds the functions of a program: each model's, each train's, each test's.
func (e *elaborator) elaborate(tree *syntax.File) {
	f := &frame{elaborator: e, function: e.init, scope: e.globals}
	for _, d := range tree.Decls {
		switch d := d.(type) {
		case *syntax.Data:
			f.resolve(e.globals.names[d.Name.Name], d.Name.Span(), d.Name.Name)
		case *syntax.TopLet:
			if b := e.globals.names[d.Let.Names[0].Name]; b != nil {
				f.resolve(b, d.Span(), d.Let.Names[0].Name)
			}
		}
	}
	e.planRows(tree)
	for _, m := range e.models {
		e.elaborateModel(m)
	}
	for _, d := range tree.Decls {
		if t, ok := d.(*syntax.Train); ok {
			e.train(t)
		}
	}
	for _, m := range e.models {
		e.predictor(m)
	}
	tests := 0
	for _, d := range tree.Decls {
		switch d := d.(type) {
		case *syntax.Test:
			e.test(d, tests)
			tests++
		case *syntax.Generate:
			e.generate(d)
		}
	}
}
