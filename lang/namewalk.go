package lang

import (
	"fmt"
	"slices"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/lang/syntax"
)

// block checks statements in order; what they declare is in reach of the ones after them.
func (n *names) block(b *syntax.Block) {
	if b == nil {
		return
	}
	n.statements(b)
	for _, s := range b.Stmts {
		if c, ok := s.(*syntax.Clause); ok && n.body == metricBody && c.Name.Name != requireWord { // the result, which sees all statements
			n.expr(c.Value)
		}
	}
}

// statements checks the statements of a block, not its settings.
func (n *names) statements(b *syntax.Block) {
	for _, s := range b.Stmts {
		switch s := s.(type) {
		case *syntax.Let:
			for _, name := range s.Names {
				n.announce(name)
			}
		case *syntax.Cell:
			n.announce(s.Name)
		}
	}
	for _, s := range b.Stmts {
		n.statement(s)
	}
	n.scope.later = nil
}

func (n *names) statement(s syntax.Stmt) {
	n.misplaced(s)
	switch s := s.(type) {
	case *syntax.Let:
		n.typ(s.Type)
		n.expr(s.Value)
		for _, name := range s.Names {
			n.declare(name, valueNoun)
		}
	case *syntax.Cell:
		n.typ(s.Type)
		n.expr(s.Init)
		n.declare(s.Name, noun(s.Kind))
	case *syntax.Assign:
		n.expr(s.Value)
		n.target(s.Target)
	case *syntax.Yield:
		n.expr(s.Value)
	case *syntax.ExprStmt:
		n.expr(s.X)
	case *syntax.Minimize:
		n.minimize(s)
	case *syntax.RepeatStmt:
		n.expr(s.Count)
		n.nested(func() { n.block(s.Body) })
	case *syntax.Expect:
		n.expr(s.Cond)
		n.expr(s.Within)
	case *syntax.Clause: // others are checked after the statements
		if s.Name.Name == requireWord {
			n.expr(s.Value)
		}
	default:
		panic(fmt.Sprintf("BUG: no names of %T", s))
	}
}

// misplaced reports statements that the declaration at hand cannot have.
func (n *names) misplaced(s syntax.Stmt) {
	switch s := s.(type) {
	case *syntax.Clause:
		if n.body <= optimizerBody && s.Name.Name != requireWord || n.body == testBody {
			n.wrong(s.Span(), diag.Misplaced, fmt.Sprintf("`%s:` is a setting, which this block does not have", s.Name.Name))
		}
	case *syntax.Expect:
		if n.body != testBody {
			n.wrong(s.Span(), diag.Misplaced, "`expect` belongs in a test")
		}
	case *syntax.Minimize:
		if n.body != testBody && n.body != trainBody {
			n.wrong(s.Span(), diag.Misplaced, "`minimize` belongs in a train or a test")
		}
	case *syntax.Yield:
		if !n.scan {
			n.wrong(s.Span(), diag.Misplaced, "`yield` belongs in a scan")
		}
	case *syntax.Cell:
		if n.body == fnBody || n.body == dataBody || n.body == trainBody && s.Kind != "stream" {
			n.wrong(s.Span(), diag.Misplaced, fmt.Sprintf("a %s belongs in a layer or a model", s.Kind))
		}
	}
}

// target checks what stands before `<-`.
func (n *names) target(e syntax.Expr) {
	name, ok := e.(*syntax.Name)
	if !ok {
		n.expr(e)
		return
	}
	if d := n.scope.find(name.Name); d != nil && !d.noun.assignable() {
		x := n.wrong(e.Span(), diag.NotAssignable, "`"+name.Name+"` cannot be assigned to")
		n.relate(x, d.at, "it is %s", d.noun.a())
		x.Fix = "`<-` changes a state; `let` gives a new name to a value"
		return
	}
	n.expr(e)
}

func (n *names) minimize(s *syntax.Minimize) {
	n.expr(s.Loss)
	n.clip(s.Clip)
	n.expr(s.Every)
	for _, g := range s.Groups {
		for _, t := range g.Targets {
			n.over(t)
		}
		n.with(whereWords, func() { n.expr(g.Where) })
		n.using(g.Using)
	}
}

// whereWords are what a condition on parameters may ask for.
var whereWords = []string{"rank", "name", "layer"}

// with runs f where these words mean something too.
func (n *names) with(words []string, f func()) {
	old := n.words
	n.words = slices.Concat(old, words)
	f()
	n.words = old
}

// over checks what is to be trained.
func (n *names) over(e syntax.Expr) {
	n.with([]string{"rest"}, func() { n.expr(e) })
}

// using checks an optimizer with its arguments.
func (n *names) using(e syntax.Expr) {
	n.with(trainWords, func() {
		call, ok := e.(*syntax.Call)
		if !ok {
			n.optimizer(e)
			return
		}
		n.optimizer(call.Fn)
		n.args(call.Args)
	})
}

func (n *names) optimizer(e syntax.Expr) {
	name, ok := e.(*syntax.Name)
	if !ok || n.scope.find(name.Name) != nil || n.std.lookup(name.Name) != nil {
		n.expr(e)
		return
	}
	have := n.named("optimizer")
	for _, s := range n.std.visible() {
		if _, ok := n.std.lookup(s).value.(*optimizerValue); ok {
			have = append(have, s)
		}
	}
	n.unknownOf(diag.UnknownOptimizer, e.Span(), name.Name, "optimizer", have)
}

// clipKinds are the ways to bound gradients.
var clipKinds = []string{"value", "norm", "global_norm", "by_example"}

func (n *names) clip(e syntax.Expr) {
	call, ok := e.(*syntax.Call)
	if !ok {
		n.expr(e)
		return
	}
	if name, ok := call.Fn.(*syntax.Name); !ok {
		n.expr(call.Fn)
	} else if !slices.Contains(clipKinds, name.Name) {
		n.unknownOf(diag.UnknownName, name.Span(), name.Name, "way to clip gradients called", clipKinds)
	}
	n.args(call.Args)
}

func (n *names) args(list []*syntax.Arg) {
	for _, a := range list {
		n.expr(a.Value)
	}
}

func (n *names) exprs(list []syntax.Expr) {
	for _, e := range list {
		n.expr(e)
	}
}

// expr checks the names of an expression.
func (n *names) expr(e syntax.Expr) {
	switch e := e.(type) {
	case nil, *syntax.Number, *syntax.String, *syntax.Bool:
	case *syntax.Name:
		n.use(e.Span(), e.Name)
	case *syntax.Ellipsis:
		name := "..."
		if e.Name != nil {
			name += e.Name.Name
		}
		n.spreadUse(e.Span(), name)
	case *syntax.Unary:
		n.expr(e.X)
	case *syntax.Binary:
		n.expr(e.X)
		n.expr(e.Y)
	case *syntax.Pipe:
		n.expr(e.X)
		n.expr(e.F)
	case *syntax.Call:
		n.expr(e.Fn)
		n.args(e.Args)
	case *syntax.Index:
		n.expr(e.X)
		n.exprs(e.Indices)
		n.expr(e.Else)
	case *syntax.Field:
		if x, ok := e.X.(*syntax.Name); ok && syntax.IsFileSuffix(e.Name.Name) && !n.known(x.Name) && foreignNames[x.Name] == "" {
			d := n.wrong(e.Span(), diag.UnknownName, "there is no `"+x.Name+"` here")
			d.Fix = "the name of a file stands in quotes: \"" + x.Name + "." + e.Name.Name + "\""
			return
		}
		n.expr(e.X)
	case *syntax.Lambda:
		n.nested(func() {
			n.binders(e.Binders, false)
			n.expr(e.Body)
		})
	case *syntax.Reduce:
		n.nested(func() {
			n.binders(e.Binders, true)
			n.expr(e.Body)
		})
	case *syntax.List:
		n.exprs(e.Elems)
	case *syntax.Tuple:
		n.args(e.Elems)
	case *syntax.Paren:
		n.expr(e.X)
	case *syntax.Record:
		n.args(e.Fields)
	case *syntax.If:
		n.expr(e.Cond)
		n.nested(func() { n.block(e.Then) })
		n.nested(func() { n.block(e.Else) })
	case *syntax.BlockExpr:
		n.nested(func() { n.block(e.Body) })
	case *syntax.Scan:
		n.scanExpr(e)
	default:
		panic(fmt.Sprintf("BUG: no names of %T", e))
	}
}

// spreadUse checks `...` or `...s`, which a parameter's type must have.
func (n *names) spreadUse(at diag.Span, name string) {
	if n.scope.find(name) == nil {
		d := n.wrong(at, diag.UnknownDimensions, "`"+name+"` stands for no dimensions here")
		d.Fix = "name it in a parameter's type, as in x: f32[" + name + ", n]"
	}
}

// binders declares the indices of an index expression or a reduction.
func (n *names) binders(list []*syntax.Binder, reduces bool) {
	for _, b := range list {
		switch {
		case b.Spread:
			name := "..."
			if b.Name != nil {
				name += b.Name.Name
			}
			n.spreadUse(b.Span(), name)
		case b.Name.Name == "batch":
			if !reduces {
				n.wrong(b.Span(), diag.MisplacedBatch, "`batch` can be reduced over, as in mean[batch], and is no index otherwise")
			} else if n.body == dataBody {
				n.wrong(b.Span(), diag.MisplacedBatch, "an example of data must not depend on its neighbours: there is no batch here")
			}
		default:
			n.expr(b.Bound)
			n.declare(b.Name, indexNoun)
		}
	}
}

// scanExpr checks a scan: what it runs over and starts from is outside, its condition and body see its names.
func (n *names) scanExpr(s *syntax.Scan) {
	n.expr(s.In)
	n.expr(s.Bound)
	for _, l := range s.With {
		n.typ(l.Type)
		n.expr(l.Value)
	}
	outer := n.scan
	n.nested(func() {
		k := valueNoun
		if s.In == nil {
			k = indexNoun
		}
		for _, name := range s.Names {
			n.declare(name, k)
		}
		for _, l := range s.With {
			for _, name := range l.Names {
				n.declare(name, carriedNoun)
			}
		}
		n.expr(s.While)
		n.scan = true
		n.block(s.Body)
	})
	n.scan = outer
}
