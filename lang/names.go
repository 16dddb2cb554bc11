package lang

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// Note [Names]
//
// The elaborator finds a name when it evaluates it, so it says nothing about a body that is never used, and it would let one name
// hide another. Names are therefore checked first, in every declaration: each is declared once, no local name equals another
// name of the file that is in reach (the library's may be reused), and each use has a declaration before it. A declaration in
// which a name is wrong is not evaluated, and what it declares is poison to the others.

// names checks the names of one file.
type names struct {
	*elaborator
	tree  *syntax.File
	file  *reach // what the file declares
	scope *reach
	decl  syntax.Decl              // being checked
	bad   map[syntax.Decl]bool     // in which an error was found
	body  bodyKind                 // what kind of declaration statements belong to
	scan  bool                     // in the body of a scan
	on    []*syntax.Ident          // in a train: its data
	step  *reach                   // in a train's `until`: what its steps see
	words []string                 // words that mean something only here, such as step
	ended map[string]*declaredName // names of this declaration whose block or expression has ended
}

// bodyKind is the kind of declaration that a body belongs to, which decides what statements may stand in it.
type bodyKind int

const (
	fnBody bodyKind = iota
	layerBody
	modelBody
	optimizerBody
	metricBody
	dataBody
	trainBody
	testBody
	generateBody
)

// checkNames reports names that are declared twice, that nothing declares, and words where they mean nothing, in all declarations
// of the file. It returns the file without the declarations that it found errors in; what these declare is poison in the file's
// scope s. It returns nil where an option is wrong, on which everything may depend.
func (e *elaborator) checkNames(tree *syntax.File, s *scope) *syntax.File {
	n := &names{elaborator: e, tree: tree, file: newReach(nil), bad: map[syntax.Decl]bool{}}
	n.scope = n.file
	n.declareFile()
	for _, d := range tree.Decls {
		n.decl = d
		n.ended = map[string]*declaredName{}
		n.declaration(d)
	}
	good := &syntax.File{Source: tree.Source}
	for _, d := range tree.Decls {
		if !n.bad[d] {
			good.Decls = append(good.Decls, d)
			continue
		}
		if _, ok := d.(*syntax.Option); ok {
			return nil
		}
		for _, name := range declares(d) {
			s.set(name.Name, poison{}, name.Span())
		}
	}
	good.Decls = slices.DeleteFunc(good.Decls, func(d syntax.Decl) bool { // an overload of a fn that is wrong
		fn, ok := d.(*syntax.Fn)
		return ok && s.names[fn.Name.Name] != nil
	})
	return good
}

// declares lists the names that a declaration gives the file.
func declares(d syntax.Decl) []*syntax.Ident {
	switch d := d.(type) {
	case *syntax.Import:
		return []*syntax.Ident{importName(d)}
	case *syntax.Option:
		return []*syntax.Ident{d.Name}
	case *syntax.Fn:
		return []*syntax.Ident{d.Name}
	case *syntax.Layer:
		return []*syntax.Ident{d.Name}
	case *syntax.Model:
		return []*syntax.Ident{d.Name}
	case *syntax.Optimizer:
		return []*syntax.Ident{d.Name}
	case *syntax.Metric:
		return []*syntax.Ident{d.Name}
	case *syntax.Data:
		return []*syntax.Ident{d.Name}
	case *syntax.TopLet:
		return d.Let.Names
	}
	return nil
}

// importName is what an import is called: `as name`, or its path's last part.
func importName(d *syntax.Import) *syntax.Ident {
	if d.As != nil {
		return d.As
	}
	base := d.Path.Value[strings.LastIndexByte(d.Path.Value, '/')+1:]
	return &syntax.Ident{At: d.Path.At, Name: strings.TrimSuffix(base, ".nn")}
}

// nounOf is what messages call the names of a declaration.
func nounOf(d syntax.Decl) noun {
	switch d.(type) {
	case *syntax.Import:
		return "import"
	case *syntax.Option:
		return "option"
	case *syntax.Fn:
		return "fn"
	case *syntax.Layer:
		return "layer"
	case *syntax.Model:
		return "model"
	case *syntax.Optimizer:
		return "optimizer"
	case *syntax.Metric:
		return "metric"
	case *syntax.Data:
		return "data declaration"
	}
	return valueNoun
}

// declareFile declares the names of the file, all of which are in reach everywhere in it.
func (n *names) declareFile() {
	first := map[string]syntax.Decl{}
	overloads := map[string]map[string]*syntax.Fn{}
	labels := map[string]*syntax.Ident{}
	for _, d := range n.tree.Decls {
		n.decl = d
		if t, ok := d.(*syntax.Train); ok && t.Label != nil { // labels of trains are no names of values
			if old := labels[t.Label.Name]; old != nil {
				n.relate(n.wrong(t.Label.Span(), diag.DuplicateName, "there are two trains called `"+t.Label.Name+"`"), old.Span(), "the first one is here")
			} else {
				labels[t.Label.Name] = t.Label
			}
		}
		for _, name := range declares(d) {
			if fn, ok := d.(*syntax.Fn); ok {
				if overloads[name.Name] == nil {
					overloads[name.Name] = map[string]*syntax.Fn{}
				}
				s := overloadOf(fn)
				old := overloads[name.Name][s]
				if old == nil {
					overloads[name.Name][s] = fn
					if _, also := first[name.Name].(*syntax.Fn); also {
						continue
					}
				} else {
					x := n.wrong(name.Span(), diag.DuplicateName, "there are two fns `"+name.Name+"` for the same types of arguments")
					n.relate(x, old.Name.Span(), "the first one is here")
					x.Fix = "give one of them another name"
					continue
				}
			}
			if !n.declare(name, nounOf(d)) {
				n.bad[first[name.Name]] = true
				continue
			}
			if n.file.own[name.Name] != nil && first[name.Name] == nil {
				first[name.Name] = d
			}
		}
	}
}

// overloadOf describes what tells a fn from its namesakes: how its parameters' types look, whatever their dimensions are called.
func overloadOf(fn *syntax.Fn) string {
	var b strings.Builder
	for _, p := range fn.Params {
		b.WriteByte('(')
		for _, choice := range choicesOf(p.Type) {
			b.WriteString(strconv.Quote(choice))
		}
		if p.Type != nil && p.Type.Name != nil {
			b.WriteString(p.Type.Name.Name)
			if p.Type.Field != nil {
				b.WriteString("." + p.Type.Field.Name)
			}
			for _, d := range p.Type.Dims {
				switch size := d.Size.(type) {
				case *syntax.Number:
					b.WriteString("," + size.Text)
				case nil:
					if d.Spread {
						b.WriteString(",...")
					} else {
						b.WriteString(",_")
					}
				default:
					b.WriteString(",n")
				}
			}
		}
	}
	return b.String()
}

// declaration checks the inside of a declaration.
func (n *names) declaration(d syntax.Decl) {
	switch d := d.(type) {
	case *syntax.Option:
		n.typeName(d.Type, "int", "f32", "bool", "string")
		n.expr(d.Value)
	case *syntax.Fn:
		n.callable(fnBody, func() {
			n.params(d.Config, nil)
			n.shapeParams(d.Shape)
			n.params(d.Params, d.Result)
		}, d.Body)
	case *syntax.Layer:
		n.callable(layerBody, func() {
			n.params(d.Config, nil)
			n.params(d.Params, d.Result)
		}, d.Body)
	case *syntax.Model:
		n.callable(modelBody, func() { n.params(d.Params, d.Result) }, d.Body)
	case *syntax.Optimizer:
		n.callable(optimizerBody, func() {
			n.params(d.Config, nil)
			n.params([]*syntax.Param{d.Weight, d.Grad}, nil)
			n.scope.own[d.Weight.Name.Name] = &declaredName{d.Weight.Name.Span(), weightNoun}
		}, d.Body)
	case *syntax.Metric:
		n.callable(metricBody, func() {
			n.params(d.Config, nil)
			n.params(d.Params, nil)
		}, d.Body)
	case *syntax.Data:
		n.data(d)
	case *syntax.Train:
		n.train(d)
	case *syntax.Test:
		n.callable(testBody, func() {}, d.Body)
	case *syntax.Generate:
		n.generate(d)
	case *syntax.TopLet:
		n.body = layerBody
		n.typ(d.Let.Type)
		n.expr(d.Let.Value)
	}
}

// callable checks parameters and the body that sees them.
func (n *names) callable(kind bodyKind, params func(), body *syntax.Block) {
	n.body, n.words = kind, nil
	if kind == optimizerBody {
		n.words = []string{"updates", "examples"}
	}
	n.nested(func() {
		params()
		n.block(body)
	})
}

// params declares parameters and the dimension variables of their types, in the order in which a call binds them.
func (n *names) params(list []*syntax.Param, result *syntax.Type) {
	for _, p := range list {
		n.announce(p.Name)
		if p.Type != nil {
			for _, d := range p.Type.Dims {
				if name, ok := d.Size.(*syntax.Name); ok {
					n.announce(&syntax.Ident{At: name.At, Name: name.Name})
				}
			}
		}
	}
	for _, p := range list {
		n.expr(p.Default)
		n.typeName(p.Type, "f32", "i32", "bool", "int", "string", "fn", "layer")
		n.bindDims(p.Type)
		n.declare(p.Name, argumentNoun)
	}
	n.scope.later = nil
	if result != nil {
		n.typ(result)
	}
}

// bindDims declares the dimension variables of a parameter's type. See Note [Dimension variables].
func (n *names) bindDims(t *syntax.Type) {
	if t == nil {
		return
	}
	for _, e := range t.Tuple {
		n.bindDims(e.Type)
	}
	for _, d := range t.Dims {
		name, alone := d.Size.(*syntax.Name)
		switch {
		case d.Spread:
			if n.scope.find(spreadName(d)) == nil {
				n.spread(d)
			}
		case d.Any:
		case !alone:
			n.expr(d.Size)
		default:
			if old := n.scope.find(name.Name); old == nil || !old.noun.number() {
				n.declare(&syntax.Ident{At: name.At, Name: name.Name}, dimensionNoun)
			}
		}
	}
}

// shapeParams declares the names of `fn f[...s, n]`.
func (n *names) shapeParams(list []syntax.Dim) {
	for _, d := range list {
		switch size := d.Size.(type) {
		case *syntax.Name:
			n.declare(&syntax.Ident{At: size.At, Name: size.Name}, dimensionNoun)
		case nil:
			if d.Spread {
				n.spread(d)
			}
		default:
			n.wrong(d.Span(), diag.Misplaced, "a shape parameter is a name, not an expression").Fix = "write a name here, and compute with it in the body"
		}
	}
}

// spread declares `...s`, and s, which is the list of its dimensions.
func (n *names) spread(d syntax.Dim) {
	n.scope.own[spreadName(d)] = &declaredName{d.Span(), dimensionNoun}
	if d.Name != nil {
		n.declare(d.Name, dimensionNoun)
	}
}

// typ checks a type all of whose dimensions must be known.
func (n *names) typ(t *syntax.Type) {
	if t == nil {
		return
	}
	n.typeName(t, "f32", "i32", "bool")
	for _, e := range t.Tuple {
		n.typ(e.Type)
	}
	for _, d := range t.Dims {
		if d.Spread {
			n.spreadUse(d.Span(), spreadName(d))
			continue
		}
		n.expr(d.Size)
	}
}

// typeName checks the word of a type.
func (n *names) typeName(t *syntax.Type, known ...string) {
	switch {
	case t == nil || t.Name == nil:
	case t.Field != nil:
		if n.scope.find(t.Name.Name) == nil {
			n.unknownOf(diag.UnknownData, t.Name.Span(), t.Name.Name, "data", n.named("data declaration"))
		}
	case !slices.Contains(known, t.Name.Name):
		d := n.wrong(t.Name.Span(), diag.UnknownType, "there is no type `"+t.Name.Name+"` here")
		switch t.Name.Name {
		case "f16", "bf16", "f64", "float16", "float32", "float64", "float", "double":
			d.Fix = "write f32; precision is a switch of the compiler"
		case "i8", "u8", "i64", "int32", "int64", "int":
			d.Fix = "write i32"
		case "str", "text":
			d.Fix = "write string"
		default:
			if near := diag.DidYouMean(t.Name.Name, known); near != "" {
				d.Fix = "did you mean `" + near + "`?"
			} else {
				d.Fix = "it can be " + joinNames(known)
			}
		}
	}
}

// ---- data, train, generate ----

// data checks a data declaration. The source's own words, such as kinds of columns, are left to the source.
func (n *names) data(d *syntax.Data) {
	n.body, n.words = dataBody, nil
	n.nested(func() {
		n.statements(d.Body)
		fields, known := n.fields(d)
		for _, s := range d.Body.Stmts {
			c, ok := s.(*syntax.Clause)
			if !ok {
				continue
			}
			switch c.Name.Name {
			case "source":
				if call, ok := c.Value.(*syntax.Call); ok && known {
					n.args(slices.DeleteFunc(slices.Clone(call.Args), isColumns))
				}
			case "map":
				n.nested(func() {
					n.scope.open = !known
					n.declareFields(fields)
					n.expr(c.Value)
				})
			case "augment":
				n.nested(func() {
					n.scope.open = !known
					n.declareFields(fields)
					n.declareFields(mapFields(d))
					n.expr(c.Value)
				})
			default:
				n.expr(c.Value)
			}
		}
	})
}

// fields lists the fields of a data declaration as its source gives them; known is false where only the data can tell.
func (n *names) fields(d *syntax.Data) (fields []*syntax.Ident, known bool) {
	for _, s := range d.Body.Stmts {
		c, ok := s.(*syntax.Clause)
		if !ok || c.Name.Name != "source" {
			continue
		}
		call, ok := c.Value.(*syntax.Call)
		if !ok {
			continue
		}
		if fn, ok := call.Fn.(*syntax.Name); ok {
			names, fixed := sourceFields[fn.Name]
			known = known || fixed
			for _, name := range names {
				fields = append(fields, &syntax.Ident{At: call.At, Name: name})
			}
			for _, a := range call.Args {
				if r, ok := a.Value.(*syntax.Record); ok && isColumns(a) {
					known = true
					for _, column := range r.Fields {
						if column.Name != nil {
							fields = append(fields, column.Name)
						}
					}
				}
			}
		}
	}
	return fields, known
}

// isColumns reports whether an argument of a source is a record of fields, whose values are kinds of columns.
func isColumns(a *syntax.Arg) bool { return a.Name != nil && a.Name.Name == "columns" }

// sourceFields are the fields of the sources whose fields do not depend on the files.
var sourceFields = map[string][]string{
	"image_folder": {"image", "label"},
	"idx":          {"image", "label"},
	"text":         {"text", "next"},
	"wav":          {"sound", "label"},
	"synthetic":    nil,
}

// mapFields lists what a data declaration's map gives.
func mapFields(d *syntax.Data) []*syntax.Ident {
	var out []*syntax.Ident
	for _, s := range d.Body.Stmts {
		c, ok := s.(*syntax.Clause)
		if !ok || c.Name.Name != "map" {
			continue
		}
		if r, ok := c.Value.(*syntax.Record); ok {
			for _, a := range r.Fields {
				if a.Name != nil {
					out = append(out, a.Name)
				}
			}
		}
	}
	return out
}

func (n *names) declareFields(list []*syntax.Ident) {
	for _, f := range list {
		n.scope.own[f.Name] = &declaredName{f.Span(), fieldNoun}
	}
}

// dataOf finds a data declaration.
func (n *names) dataOf(name string) *syntax.Data {
	for _, d := range n.tree.Decls {
		if d, ok := d.(*syntax.Data); ok && d.Name.Name == name {
			return d
		}
	}
	return nil
}

// train checks a train: its statements in order, then its settings, which see all of them.
func (n *names) train(t *syntax.Train) {
	n.body, n.words = trainBody, trainWords
	n.on = t.On
	defer func() { n.on = nil }()
	n.nested(func() {
		for _, on := range t.On {
			d := n.dataOf(on.Name)
			if d == nil {
				n.scope.open = true
				if n.scope.find(on.Name) == nil {
					n.unknownOf(diag.UnknownData, on.Span(), on.Name, "data", n.named("data declaration"))
				}
				continue
			}
			fields, known := n.fields(d)
			if len(t.On) > 1 {
				continue // their fields are Photos.image
			}
			n.scope.open = n.scope.open || !known
			n.declareFields(fields)
			n.declareFields(mapFields(d))
		}
		n.nested(func() {
			n.statements(t.Body)
			for _, s := range t.Body.Stmts {
				if c, ok := s.(*syntax.Clause); ok {
					n.trainClause(t, c)
				}
			}
		})
	})
}

// trainWords are the run's own values, which statements and settings of a train may use.
var trainWords = []string{"step", "epoch", "progress", "plateaus"}

func (n *names) trainClause(t *syntax.Train, c *syntax.Clause) {
	n.expr(c.Into)
	switch c.Name.Name {
	case "optimizer":
		n.using(c.Value)
	case "over":
		n.over(c.Value)
	case "clip":
		n.clip(c.Value)
	case "metrics":
		n.metrics(c.Value)
	case "until":
		n.until(t, c)
	case "keep":
		if c.Best != nil { // else it is no value of an epoch, and an error
			n.until(t, c)
		}
	default:
		n.expr(c.Value)
	}
}

// metrics checks the entries of `metrics:`, whose names are no names of values.
func (n *names) metrics(e syntax.Expr) {
	switch e := e.(type) {
	case *syntax.Record:
		n.args(e.Fields)
	case *syntax.Tuple:
		for _, a := range e.Elems {
			n.metrics(a.Value)
		}
	default:
		n.expr(e)
	}
}

// until checks the condition that ends a train, or the value that tells which epoch was best. It sees the loss and the metrics of an epoch, and nothing of a step.
func (n *names) until(t *syntax.Train, c *syntax.Clause) {
	n.step = n.scope
	defer func() { n.scope, n.step = n.step, nil }()
	n.scope = newReach(n.file)
	add := func(name string, at diag.Span) {
		n.scope.own[name] = &declaredName{at, valueNoun}
		if !strings.HasPrefix(name, "val_") {
			n.scope.own["val_"+name] = &declaredName{at, valueNoun}
		}
	}
	add("loss", c.Span())
	var entry func(syntax.Expr)
	entry = func(e syntax.Expr) {
		switch e := e.(type) {
		case *syntax.Record:
			for _, a := range e.Fields {
				if a.Name != nil {
					add(a.Name.Name, a.Name.Span())
				}
			}
		case *syntax.Tuple:
			for _, a := range e.Elems {
				if a.Name != nil {
					add(a.Name.Name, a.Name.Span())
				} else {
					entry(a.Value)
				}
			}
		case *syntax.Call:
			if fn, ok := e.Fn.(*syntax.Name); ok {
				add(fn.Name, e.Span())
			}
		}
	}
	for _, s := range t.Body.Stmts {
		if m, ok := s.(*syntax.Clause); ok && !slices.Contains(trainClauses, m.Name.Name) {
			n.scope.open = true // perhaps the metrics, misspelt
		} else if ok && m.Name.Name == "metrics" {
			entry(m.Value)
		}
		if m, ok := s.(*syntax.Minimize); ok { // reported under the name of what it minimises
			if name, ok := m.Loss.(*syntax.Name); ok {
				add(name.Name, m.Loss.Span())
			}
		}
	}
	if n.scope.open || !n.unmeasured(c.Value) {
		n.expr(c.Value)
	}
}

// unmeasured reports the library's metrics and losses that a condition uses as values, though the train does not measure them.
func (n *names) unmeasured(e syntax.Expr) bool {
	found := false
	syntax.Inspect(e, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.Call:
			return false
		case *syntax.Name:
			if n.scope.own[node.Name] == nil && n.std.lookup(node.Name) != nil {
				found = true
				n.unknown(node.Span(), node.Name)
			}
		}
		return true
	})
	return found
}

// generate checks `generate Model { … }`.
func (n *names) generate(d *syntax.Generate) {
	n.body, n.words = generateBody, nil
	if n.scope.find(d.Model.Name) == nil {
		n.unknownOf(diag.UnknownName, d.Model.Span(), d.Model.Name, "model", n.named("model"))
	}
	n.nested(func() {
		n.statements(d.Body)
		for _, s := range d.Body.Stmts {
			if c, ok := s.(*syntax.Clause); ok {
				n.expr(c.Value)
			}
		}
	})
}
