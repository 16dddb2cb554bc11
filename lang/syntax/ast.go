// Package syntax turns .nn source text into a syntax tree and back: lexer with the layout rule, grammar, tree,
// formatter. It knows no names, types or shapes.
package syntax

import "github.com/nnc-lang/nnc/ir/diag"

// Node is any part of a tree.
type Node interface{ Span() diag.Span }

// At is embedded by every node and holds its place.
type At struct{ Pos diag.Span }

// Span returns the node's place in its file.
func (a At) Span() diag.Span { return a.Pos }

// File is one parsed source file.
type File struct {
	Source *diag.File
	Decls  []Decl
}

// Ident is a name where it is written.
type Ident struct {
	At
	Name string
}

// ---- declarations ----

// Decl is a top-level declaration.
type Decl interface {
	Node
	decl()
}

type (
	// Import is `import "path.nn" [as name]`.
	Import struct {
		At
		Path *String
		As   *Ident // nil: the file's base name
	}
	// Option is `option name[: type] [= value]`.
	Option struct {
		At
		Name  *Ident
		Type  *Type // may be nil
		Value Expr  // nil: must be set on the command line
	}
	// Fn is `fn name[dims](config)(params) -> result = expr` or `{ … }`. A fn with one list has only Params.
	Fn struct {
		At
		Name     *Ident
		Shape    []Dim // `[...s, n]` after the name: shape parameters; HasShape tells `[]` from nothing
		HasShape bool
		Config   []*Param // first of two lists; nil if there is one list
		TwoLists bool
		Params   []*Param
		Result   *Type // nil: found from the body
		Body     *Block
	}
	// Layer is `layer Name(config)(params) -> result { … }` or `= expr`.
	Layer struct {
		At
		Name   *Ident
		Config []*Param
		Params []*Param
		Result *Type
		Body   *Block
	}
	// Model is `model Name(params) -> result { … }`.
	Model struct {
		At
		Name   *Ident
		Params []*Param
		Result *Type
		Body   *Block
	}
	// Optimizer is `optimizer name(config)(w, g) { … }`.
	Optimizer struct {
		At
		Name         *Ident
		Config       []*Param
		Weight, Grad *Param // types are optional
		Body         *Block
	}
	// Metric is `metric name(config)(params) { state …; value: … }`; the config list is optional.
	Metric struct {
		At
		Name     *Ident
		Config   []*Param
		TwoLists bool
		Params   []*Param
		Body     *Block // statements; the clause `value:` among them is the result
	}
	// Data is `data Name { clauses and lets }`.
	Data struct {
		At
		Name *Ident
		Body *Block
	}
	// Train is `train [Label] [on A, B] { statements and clauses }`.
	Train struct {
		At
		Label *Ident // may be nil
		On    []*Ident
		Body  *Block
	}
	// Test is `test "name" { … }`.
	Test struct {
		At
		Name *String
		Body *Block
	}
	// Generate is `generate Model { clauses }`.
	Generate struct {
		At
		Model *Ident
		Body  *Block
	}
	// TopLet is a top-level `let`, which names an instance or a constant.
	TopLet struct {
		At
		Let *Let
	}
	// BadDecl stands for text that could not be parsed; its diagnostics were reported.
	BadDecl struct{ At }
)

func (*Import) decl()    {}
func (*Option) decl()    {}
func (*Fn) decl()        {}
func (*Layer) decl()     {}
func (*Model) decl()     {}
func (*Optimizer) decl() {}
func (*Metric) decl()    {}
func (*Data) decl()      {}
func (*Train) decl()     {}
func (*Test) decl()      {}
func (*Generate) decl()  {}
func (*TopLet) decl()    {}
func (*BadDecl) decl()   {}

// Param is `name[: type] [= default]` in a parameter list.
type Param struct {
	At
	Name    *Ident
	Type    *Type // nil where the grammar allows leaving it out
	Default Expr  // nil: required
}

// Type is what may stand after a colon or an arrow:
//
//	f32  f32[]  i32[t]  f32[...s, h/2, _]        Name = "f32", HasShape, Dims
//	int  bool  string  fn  layer                 Name
//	Photos.label                                 Field of a data declaration: Name = "Photos", Field = "label"
//	(h: f32[n], c: f32[n])  (f32, i32[2])        Tuple
//	"valid" | "same"                             Choices
type Type struct {
	At
	Name     *Ident
	Field    *Ident
	HasShape bool
	Dims     []Dim
	Tuple    []TupleType // HasTuple tells it from a plain type
	HasTuple bool
	Choices  []*String // the texts that a parameter or an option may be; nil for other types
}

// TupleType is one element of a tuple type; Name may be nil.
type TupleType struct {
	Name *Ident
	Type *Type
}

// Dim is one entry of a shape or of a shape-parameter list.
type Dim struct {
	At
	Spread bool   // `...` or `...s`
	Name   *Ident // of a named spread
	Any    bool   // `_`
	Size   Expr   // otherwise
}

// ---- statements ----

// Block is a braced list of statements, or a single expression after `=` or `=>` (one ExprStmt, Braced false).
// Its value is that of its last ExprStmt.
type Block struct {
	At
	Braced bool
	Stmts  []Stmt
}

// Stmt is a statement or a clause.
type Stmt interface {
	Node
	stmt()
}

type (
	// Let is `let name[: type] = value` or `let (a, b) = value`. `let a = x, b = y` is two of them.
	Let struct {
		At
		Names []*Ident
		Tuple bool // written with parentheses
		Type  *Type
		Value Expr
	}
	// Cell is `param name: type = init`, `state …` or `stream …`.
	Cell struct {
		At
		Kind string // "param", "state" or "stream"
		Name *Ident
		Type *Type // nil where an optimiser or a metric leaves it out
		Init Expr  // may be nil
	}
	// Assign is `target <- value`.
	Assign struct {
		At
		Target Expr
		Value  Expr
	}
	// Yield is `yield value`.
	Yield struct {
		At
		Value Expr
	}
	// ExprStmt is an expression that stands alone.
	ExprStmt struct {
		At
		X Expr
	}
	// Minimize is `minimize loss [clip C] [[over …] using …, …] [every n]`.
	Minimize struct {
		At
		Loss   Expr
		Clip   Expr // may be nil
		Groups []*Group
		Every  Expr // may be nil
	}
	// RepeatStmt is the statement `repeat n { … }`.
	RepeatStmt struct {
		At
		Count Expr
		Body  *Block
	}
	// Expect is `expect condition [within tolerance]`.
	Expect struct {
		At
		Cond   Expr
		Within Expr // may be nil
	}
	// Clause is `name: value [into target]` in a data, train, generate or metric block. Value may be a Record; a block value (metric's
	// `value: { … }`) is a BlockExpr. Several values, `metrics: a, b`, are a Tuple whose span has no parentheses.
	Clause struct {
		At
		Name  *Ident
		Best  *Ident // `keep: best val_loss`: best, lowest or highest; may be nil
		Value Expr
		Into  Expr // `load: "f" into x`, `samples: e to "f"`: the second part; may be nil
	}
)

func (*Let) stmt()        {}
func (*Cell) stmt()       {}
func (*Assign) stmt()     {}
func (*Yield) stmt()      {}
func (*ExprStmt) stmt()   {}
func (*Minimize) stmt()   {}
func (*RepeatStmt) stmt() {}
func (*Expect) stmt()     {}
func (*Clause) stmt()     {}

// Group is one `over targets [where cond] using optimizer`.
type Group struct {
	At
	Targets []Expr // instances, parameters, or the name `rest`; empty: everything reached
	Where   Expr   // may be nil
	Using   Expr
}

// ---- expressions ----

// Expr is an expression.
type Expr interface {
	Node
	expr()
}

type (
	// Number is a literal; Text is as written (`1e-3`, `0.5`, `42`, `-inf` is Unary of Ident inf).
	Number struct {
		At
		Text string
	}
	// String is a quoted literal; Value has its escapes resolved.
	String struct {
		At
		Value string
	}
	// Bool is true or false.
	Bool struct {
		At
		Value bool
	}
	// Name is a use of a name.
	Name struct {
		At
		Name string
	}
	// Unary is `-x` or `not x`.
	Unary struct {
		At
		Op string
		X  Expr
	}
	// Binary is `a op b` with op one of + - * / % @ ^ == != < <= > >= and or.
	Binary struct {
		At
		Op    string
		OpPos diag.Span
		X, Y  Expr
	}
	// Pipe is `x |> f`.
	Pipe struct {
		At
		X, F Expr
	}
	// Call is `f(args)`.
	Call struct {
		At
		Fn   Expr
		Args []*Arg
	}
	// Index is `x[i, j] [else v]`, also the shape brackets of `uniform[4](…)`.
	Index struct {
		At
		X       Expr
		Indices []Expr // an Ellipsis may be among them
		Else    Expr   // may be nil
	}
	// Ellipsis is `...` or `...s` among indices.
	Ellipsis struct {
		At
		Name *Ident // may be nil
	}
	// Field is `x.name`.
	Field struct {
		At
		X    Expr
		Name *Ident
	}
	// Lambda is an index expression `[i, j < n] => body`.
	Lambda struct {
		At
		Binders []*Binder
		Body    Expr
	}
	// Reduce is `sum[i, j < n] body`, Op one of sum mean max min prod argmax any all.
	Reduce struct {
		At
		Op      *Ident
		Binders []*Binder
		Body    Expr
	}
	// List is `[a, b, c]`.
	List struct {
		At
		Elems []Expr
	}
	// Tuple is `(a, b)` or `(name: a, …)`; a parenthesised single unnamed expression is that expression, in Paren.
	Tuple struct {
		At
		Elems []*Arg
	}
	// Paren is `(x)`.
	Paren struct {
		At
		X Expr
	}
	// Record is `{ key: value, … }` as the value of a clause or an argument.
	Record struct {
		At
		Fields []*Arg
	}
	// If is `if cond { … } else { … }`; Else is nil, a *Block, or a Block holding one If.
	If struct {
		At
		Cond Expr
		Then *Block
		Else *Block
	}
	// BlockExpr is a braced block where an expression is expected (`value: { … }`).
	BlockExpr struct {
		At
		Body *Block
	}
	// Scan is `scan [reversed] head [while c] [with h = e, …] { … }`.
	Scan struct {
		At
		Reversed bool
		Names    []*Ident // `x in xs`, `(a, b) in (xs, ys)`, or the counter of `i < n`
		In       Expr     // nil for the counter form
		Bound    Expr     // of the counter form
		While    Expr     // may be nil
		With     []*Let
		Body     *Block
	}
)

func (*Number) expr()    {}
func (*String) expr()    {}
func (*Bool) expr()      {}
func (*Name) expr()      {}
func (*Unary) expr()     {}
func (*Binary) expr()    {}
func (*Pipe) expr()      {}
func (*Call) expr()      {}
func (*Index) expr()     {}
func (*Ellipsis) expr()  {}
func (*Field) expr()     {}
func (*Lambda) expr()    {}
func (*Reduce) expr()    {}
func (*List) expr()      {}
func (*Tuple) expr()     {}
func (*Paren) expr()     {}
func (*Record) expr()    {}
func (*If) expr()        {}
func (*BlockExpr) expr() {}
func (*Scan) expr()      {}

// Arg is `[name:] value` in a call, tuple or record.
type Arg struct {
	At
	Name  *Ident // may be nil
	Value Expr
}

// Binder is one index of a Lambda or Reduce: `i`, `i < n`, `batch`, `...` or `...s`.
type Binder struct {
	At
	Name   *Ident // nil for a bare `...`
	Spread bool
	Bound  Expr // may be nil
}
