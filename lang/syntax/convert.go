package syntax

import (
	"github.com/nnc-lang/nnc/ir/diag"
)

// convertDeclaration turns a production into nodes; `let a = 1, b = 2` makes two.
func (p *parser) convertDeclaration(r *declaration) []Decl {
	at := p.of(r.extent)
	switch {
	case r.Import != nil:
		return []Decl{&Import{at, p.string(r.Import.Path), p.optional(r.Import.As)}}
	case r.Option != nil:
		return []Decl{&Option{at, p.named(r.Option.Name), p.typ(r.Option.Type), r.Option.Value}}
	case r.Callable != nil:
		return []Decl{p.callable(at, r.Callable)}
	case r.Data != nil:
		return []Decl{&Data{at, p.named(r.Data.Name), r.Data.Body.(*Block)}}
	case r.Train != nil:
		return []Decl{&Train{at, p.optional(r.Train.Label), p.names(r.Train.On), r.Train.Body.(*Block)}}
	case r.Test != nil:
		return []Decl{&Test{at, p.string(r.Test.Name), r.Test.Body.(*Block)}}
	case r.Generate != nil:
		return []Decl{&Generate{at, p.named(r.Generate.Model), r.Generate.Body.(*Block)}}
	}
	var decls []Decl
	for _, let := range p.lets(at, r.Let) {
		decls = append(decls, &TopLet{let.At, let})
	}
	return decls
}

// callable checks how many parameter lists the declaration has and spreads them over the node's fields.
func (p *parser) callable(at At, r *callableRule) Decl {
	lists := make([][]*Param, len(r.Lists))
	for i, l := range r.Lists {
		lists[i] = make([]*Param, 0, len(l.Params))
		for _, param := range l.Params {
			lists[i] = append(lists[i], &Param{p.of(param.extent), p.named(param.Name), p.typ(param.Type), param.Default})
		}
	}
	block, ok := r.BodyRule.(*Block)
	if !ok {
		place := At{r.Value.Span()}
		block = &Block{At: place, Stmts: []Stmt{&ExprStmt{place, r.Value}}}
	}
	name := p.named(r.Name)
	if !p.checkLists(r, name, len(lists)) {
		return &BadDecl{at}
	}
	last := lists[len(lists)-1]
	var config []*Param
	if len(lists) == 2 {
		config = lists[0]
	}
	result := p.typ(r.Result)
	switch r.Kind {
	case "fn":
		fn := &Fn{At: at, Name: name, Config: config, TwoLists: len(lists) == 2, Params: last, Result: result, Body: block}
		if r.Shape != nil {
			fn.HasShape, fn.Shape = true, p.dims(r.Shape)
		}
		return fn
	case "layer":
		return &Layer{at, name, config, last, result, block}
	case "model":
		return &Model{at, name, last, result, block}
	case "metric":
		return &Metric{at, name, config, len(lists) == 2, last, block}
	}
	if len(last) != 2 {
		p.fail(&diag.Diagnostic{
			Span: p.of(r.Lists[len(lists)-1].extent).Pos, Code: diag.ParameterLists,
			Message: "an optimizer's second list names the weight and its gradient, two parameters", Fix: "write `optimizer " + name.Name + "(…)(w, g)`",
		})
		return &BadDecl{at}
	}
	return &Optimizer{at, name, config, last[0], last[1], block}
}

// checkLists reports a wrong number of parameter lists, shape parameters where there can be none, and results that cannot be declared.
func (p *parser) checkLists(r *callableRule, name *Ident, n int) bool {
	wrong := func(span diag.Span, message, fix string) bool {
		p.fail(&diag.Diagnostic{Span: span, Code: diag.ParameterLists, Message: message, Fix: fix})
		return false
	}
	if n > 2 {
		return wrong(p.of(r.Lists[2].extent).Pos, "there are at most two parameter lists: configuration, then tensors", "move these parameters into one of the first two lists")
	}
	switch {
	case r.Kind == "layer" && n == 1:
		return wrong(p.of(r.Lists[0].extent).Pos, "a layer has two parameter lists: configuration, then tensors",
			"write `layer "+name.Name+"()(x: …)` if there is nothing to configure")
	case r.Kind == "optimizer" && n == 1:
		return wrong(p.of(r.Lists[0].extent).Pos, "an optimizer has two parameter lists: configuration, then the weight and its gradient",
			"write `optimizer "+name.Name+"(lr: f32)(w, g)`")
	case r.Kind == "model" && n == 2:
		return wrong(p.of(r.Lists[1].extent).Pos, "a model has one parameter list: it is one instance, so there is nothing to configure",
			"declare a layer, or options with `option`")
	case r.Kind != "fn" && r.Shape != nil:
		return wrong(name.Pos, "only a fn has shape parameters", "remove the brackets after the name")
	case (r.Kind == "optimizer" || r.Kind == "metric") && r.Result != nil:
		return wrong(p.of(r.Result.extent).Pos, "the declaration of "+article(r.Kind)+" has no result type", "remove `->` and the type")
	}
	return true
}

func article(kind string) string {
	if kind == "optimizer" {
		return "an optimizer"
	}
	return "a " + kind
}

func (p *parser) named(n *nameRule) *Ident { return p.declared(p.ident(n.Token)) }

func (p *parser) optional(n *nameRule) *Ident {
	if n == nil {
		return nil
	}
	return p.named(n)
}

func (p *parser) names(rules []*nameRule) []*Ident {
	var names []*Ident
	for _, n := range rules {
		names = append(names, p.named(n))
	}
	return names
}

// typ converts a type, nil to nil.
func (p *parser) typ(r *typeRule) *Type {
	if r == nil {
		return nil
	}
	t := &Type{At: p.of(r.extent)}
	if r.Tuple != nil {
		t.HasTuple = true
		for _, e := range r.Tuple.Elements {
			var name *Ident
			if e.Name != nil {
				name = p.ident(e.Name.Token)
			}
			t.Tuple = append(t.Tuple, TupleType{name, p.typ(e.Type)})
		}
		return t
	}
	for _, c := range r.Choices {
		t.Choices = append(t.Choices, p.string(c.Token))
	}
	if t.Choices != nil {
		return t
	}
	t.Name = p.ident(r.Name)
	if r.Field != nil {
		t.Field = p.ident(r.Field.Token)
	}
	if r.Shape != nil {
		t.HasShape, t.Dims = true, p.dims(r.Shape)
	}
	return t
}

func (p *parser) dims(r *shapeRule) []Dim {
	var dims []Dim
	for _, d := range r.Dims {
		dims = append(dims, Dim{At: p.of(d.extent), Spread: d.Spread != "", Name: p.optional(d.SpreadName), Any: d.Any != "", Size: d.Size})
	}
	return dims
}

// lets converts `let a = x, b = y`; the first binding's span begins at the word `let`, the others' at their names.
func (p *parser) lets(at At, r *letRule) []*Let {
	var lets []*Let
	for i, b := range r.Bindings {
		let := &Let{At: p.of(b.extent), Type: p.typ(b.Type), Value: b.Value}
		if i == 0 {
			let.Pos.Start = at.Pos.Start
		}
		if b.Names.One != nil {
			let.Names = []*Ident{p.named(b.Names.One)}
		} else {
			let.Tuple, let.Names = true, p.names(b.Names.Tuple)
		}
		lets = append(lets, let)
	}
	return lets
}

// convertStatement turns a production into nodes; a list of bindings makes several.
func (p *parser) convertStatement(r *statement) []Stmt {
	at := p.of(r.extent)
	switch {
	case r.Keep != nil:
		return []Stmt{&Clause{At: at, Name: p.ident(r.Keep.Name.Token), Best: p.named(r.Keep.Best), Value: r.Keep.Value}}
	case r.Clause != nil:
		return []Stmt{&Clause{At: at, Name: p.ident(r.Clause.Name.Token), Value: p.clauseValue(r.Clause.Values), Into: r.Clause.Into}}
	case r.Let != nil:
		var stmts []Stmt
		for _, let := range p.lets(at, r.Let) {
			stmts = append(stmts, let)
		}
		return stmts
	case r.Cell != nil:
		var stmts []Stmt
		for i, c := range r.Cell.Cells {
			cell := &Cell{p.of(c.extent), r.Cell.Kind, p.named(c.Name), p.typ(c.Type), c.Init}
			if i == 0 {
				cell.Pos.Start = at.Pos.Start
			}
			stmts = append(stmts, cell)
		}
		return stmts
	case r.Yield != nil:
		return []Stmt{&Yield{at, r.Yield.Value}}
	case r.Minimize != nil:
		m := &Minimize{At: at, Loss: r.Minimize.Loss, Clip: r.Minimize.Clip, Every: r.Minimize.Every}
		for _, g := range r.Minimize.Groups {
			m.Groups = append(m.Groups, &Group{p.of(g.extent), g.Targets, g.Where, g.Using})
		}
		return []Stmt{m}
	case r.Expect != nil:
		return []Stmt{&Expect{at, r.Expect.Cond, r.Expect.Within}}
	case r.Repeat != nil:
		return []Stmt{&RepeatStmt{at, r.Repeat.Count, r.Repeat.Body.(*Block)}}
	case r.Simple.Value != nil:
		return []Stmt{&Assign{at, r.Simple.X, r.Simple.Value}}
	}
	return []Stmt{&ExprStmt{at, r.Simple.X}}
}

// clauseValue is the one value of a clause, or a Tuple of several.
func (p *parser) clauseValue(values []Expr) Expr {
	if len(values) == 1 {
		return values[0]
	}
	t := &Tuple{}
	for _, v := range values {
		t.Pos = t.Pos.Join(v.Span())
		t.Elems = append(t.Elems, &Arg{At: At{v.Span()}, Value: v})
	}
	return t
}
