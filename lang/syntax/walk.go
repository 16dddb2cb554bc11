package syntax

import "fmt"

// Inspect calls f for n and the nodes inside it, outer ones first. Where f returns false the inside is left out.
func Inspect(n Node, f func(Node) bool) {
	w := walker(f)
	w.node(n)
}

type walker func(Node) bool

func (w walker) expr(e Expr) {
	if e != nil {
		w.node(e)
	}
}

func (w walker) exprs(list []Expr) {
	for _, e := range list {
		w.expr(e)
	}
}

func (w walker) args(list []*Arg) {
	for _, a := range list {
		w.expr(a.Value)
	}
}

func (w walker) block(b *Block) {
	if b == nil {
		return
	}
	for _, s := range b.Stmts {
		w.node(s)
	}
}

func (w walker) binders(list []*Binder) {
	for _, b := range list {
		w.expr(b.Bound)
	}
}

func (w walker) typ(t *Type) {
	if t == nil {
		return
	}
	for _, d := range t.Dims {
		w.expr(d.Size)
	}
	for _, e := range t.Tuple {
		w.typ(e.Type)
	}
}

func (w walker) node(n Node) {
	if !w(n) {
		return
	}
	switch n := n.(type) {
	case *Number, *String, *Bool, *Name, *Ellipsis:
	case *Unary:
		w.expr(n.X)
	case *Binary:
		w.expr(n.X)
		w.expr(n.Y)
	case *Pipe:
		w.expr(n.X)
		w.expr(n.F)
	case *Call:
		w.expr(n.Fn)
		w.args(n.Args)
	case *Index:
		w.expr(n.X)
		w.exprs(n.Indices)
		w.expr(n.Else)
	case *Field:
		w.expr(n.X)
	case *Lambda:
		w.binders(n.Binders)
		w.expr(n.Body)
	case *Reduce:
		w.binders(n.Binders)
		w.expr(n.Body)
	case *List:
		w.exprs(n.Elems)
	case *Tuple:
		w.args(n.Elems)
	case *Paren:
		w.expr(n.X)
	case *Record:
		w.args(n.Fields)
	case *If:
		w.expr(n.Cond)
		w.block(n.Then)
		w.block(n.Else)
	case *BlockExpr:
		w.block(n.Body)
	case *Scan:
		w.expr(n.In)
		w.expr(n.Bound)
		w.expr(n.While)
		for _, l := range n.With {
			w.node(l)
		}
		w.block(n.Body)
	case *Let:
		w.typ(n.Type)
		w.expr(n.Value)
	case *Cell:
		w.typ(n.Type)
		w.expr(n.Init)
	case *Assign:
		w.expr(n.Target)
		w.expr(n.Value)
	case *Yield:
		w.expr(n.Value)
	case *ExprStmt:
		w.expr(n.X)
	case *Minimize:
		w.expr(n.Loss)
		w.expr(n.Clip)
		for _, g := range n.Groups {
			w.exprs(g.Targets)
			w.expr(g.Where)
			w.expr(g.Using)
		}
		w.expr(n.Every)
	case *RepeatStmt:
		w.expr(n.Count)
		w.block(n.Body)
	case *Expect:
		w.expr(n.Cond)
		w.expr(n.Within)
	case *Clause:
		w.expr(n.Value)
		w.expr(n.Into)
	default:
		panic(fmt.Sprintf("BUG: no walk through %T", n))
	}
}
