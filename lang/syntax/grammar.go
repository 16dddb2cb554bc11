package syntax

import (
	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// The productions below are the grammar of declarations and statements; participle builds the parser from their tags. It looks no token
// ahead once it has taken one, so a parse is linear and an error is where the text stops making sense. Expr and body are hooks: expressions
// are parsed by precedence climbing (expression.go), blocks statement by statement so that one mistake does not hide the next (block.go).
// convert.go turns productions into the tree of ast.go.

// extent records the tokens of a production.
type extent struct{ Tokens []lexer.Token }

// body is a *Block, as the interface that participle wants of a hook.
type body interface {
	Node
	body()
}

func (*Block) body() {}

type declaration struct {
	extent
	Import   *importRule   `parser:"  @@"`
	Option   *optionRule   `parser:"| @@"`
	Callable *callableRule `parser:"| @@"`
	Data     *dataRule     `parser:"| @@"`
	Train    *trainRule    `parser:"| @@"`
	Test     *testRule     `parser:"| @@"`
	Generate *generateRule `parser:"| @@"`
	Let      *letRule      `parser:"| @@"`
}

type importRule struct {
	Path lexer.Token `parser:"'import':Keyword @String"`
	As   *nameRule   `parser:"('as' @@)?"`
}

type optionRule struct {
	Name  *nameRule `parser:"'option':Keyword @@"`
	Type  *typeRule `parser:"(':' @@)?"`
	Value Expr      `parser:"('=' @@)?"`
}

// callableRule is a fn, layer, model, optimizer or metric; convert checks how many lists each has.
type callableRule struct {
	Kind     string           `parser:"@('fn':Keyword | 'layer':Keyword | 'model':Keyword | 'optimizer':Keyword | 'metric':Keyword)"`
	Name     *nameRule        `parser:"@@"`
	Shape    *shapeRule       `parser:"@@?"`
	Lists    []*parameterList `parser:"@@+"`
	Result   *typeRule        `parser:"('->' @@)?"`
	Equals   string           `parser:"( @'='"`
	Value    Expr             `parser:"  @@"`
	BodyRule body             `parser:"| @@ )"`
}

type dataRule struct {
	Name *nameRule `parser:"'data':Keyword @@"`
	Body body      `parser:"@@"`
}

type trainRule struct {
	Label *nameRule   `parser:"'train':Keyword ((?! 'on') @@)?"`
	On    []*nameRule `parser:"('on' @@ (',' @@)*)?"`
	Body  body        `parser:"@@"`
}

type testRule struct {
	Name lexer.Token `parser:"'test':Keyword @String"`
	Body body        `parser:"@@"`
}

type generateRule struct {
	Model *nameRule `parser:"'generate':Keyword @@"`
	Body  body      `parser:"@@"`
}

type nameRule struct {
	Token lexer.Token `parser:"@Name"`
}

// wordRule is a name where reserved words are names too: after a dot, before a colon.
type wordRule struct {
	Token lexer.Token `parser:"@(Name | Keyword)"`
}

type parameterList struct {
	extent
	Open   string           `parser:"@'('"`
	Params []*parameterRule `parser:"((?! ')') @@ ((?! ',' ')') ',' @@)* ','?)? ')'"`
}

type parameterRule struct {
	extent
	Name    *nameRule `parser:"@@"`
	Type    *typeRule `parser:"(':' @@)?"`
	Default Expr      `parser:"('=' @@)?"`
}

type typeRule struct {
	extent
	Name  lexer.Token `parser:"( @(Name | 'fn':Keyword | 'layer':Keyword)"`
	Field *wordRule   `parser:"  ('.' @@)?"`
	Shape *shapeRule  `parser:"  @@?"`
	Tuple *tupleRule  `parser:"| @@"`

	Choices []*choiceRule `parser:"| @@ ('|' @@)* )"`
}

type choiceRule struct {
	Token lexer.Token `parser:"@String"`
}

type tupleRule struct {
	Open     string           `parser:"@'('"`
	Elements []*tupleTypeRule `parser:"((?! ')') @@ ((?! ',' ')') ',' @@)* ','?)? ')'"`
}

type tupleTypeRule struct {
	Name *wordRule `parser:"((?= (Name | Keyword) ':') @@ ':')?"`
	Type *typeRule `parser:"@@"`
}

type shapeRule struct {
	Open string     `parser:"@'['"`
	Dims []*dimRule `parser:"((?! ']') @@ ((?! ',' ']') ',' @@)* ','?)? ']'"`
}

type dimRule struct {
	extent
	Spread     string    `parser:"( @'...'"`
	SpreadName *nameRule `parser:"  @@?"`
	Any        string    `parser:"| @'_':Name"`
	Size       Expr      `parser:"| @@ )"`
}

type statement struct {
	extent
	Keep     *keepRule     `parser:"  (?= Name ':' ('best' | 'lowest' | 'highest') Name) @@"`
	Clause   *clauseRule   `parser:"| (?= (Name | Keyword) ':') @@"`
	Let      *letRule      `parser:"| @@"`
	Cell     *cellRule     `parser:"| @@"`
	Yield    *yieldRule    `parser:"| @@"`
	Minimize *minimizeRule `parser:"| @@"`
	Expect   *expectRule   `parser:"| @@"`
	Repeat   *repeatRule   `parser:"| @@"`
	Simple   *simpleRule   `parser:"| @@"`
}

type clauseRule struct {
	Name   *wordRule `parser:"@@ ':'"`
	Values []Expr    `parser:"@@ ((?! ',' (((Name | Keyword) ':') | '}' | Newline)) ',' @@)*"`
	Into   Expr      `parser:"(('into' | 'to') @@)?"`
}

// keepRule is the clause `keep: best val_loss`.
type keepRule struct {
	Name  *wordRule `parser:"@@ ':'"`
	Best  *nameRule `parser:"@@"`
	Value Expr      `parser:"@@"`
}

type letRule struct {
	Bindings []*bindingRule `parser:"'let':Keyword @@ (',' @@)*"`
}

type bindingRule struct {
	extent
	Names *namesRule `parser:"@@"`
	Type  *typeRule  `parser:"(':' @@)?"`
	Value Expr       `parser:"'=' @@"`
}

type namesRule struct {
	Tuple []*nameRule `parser:"( '(' @@ ((?! ',' ')') ',' @@)* ','? ')'"`
	One   *nameRule   `parser:"| @@ )"`
}

type cellRule struct {
	Kind  string          `parser:"@('param':Keyword | 'state':Keyword | 'stream':Keyword)"`
	Cells []*cellItemRule `parser:"@@ (',' @@)*"`
}

type cellItemRule struct {
	extent
	Name *nameRule `parser:"@@"`
	Type *typeRule `parser:"(':' @@)?"`
	Init Expr      `parser:"('=' @@)?"`
}

type yieldRule struct {
	Value Expr `parser:"'yield':Keyword @@"`
}

type minimizeRule struct {
	Loss   Expr         `parser:"'minimize':Keyword @@"`
	Clip   Expr         `parser:"('clip':Keyword @@)?"`
	Groups []*groupRule `parser:"(@@ (',' @@)*)?"`
	Every  Expr         `parser:"('every':Keyword @@)?"`
}

type groupRule struct {
	extent
	Over    string `parser:"(@'over':Keyword"`
	Targets []Expr `parser:"((?! 'where') @@ (',' @@)*)?"`
	Where   Expr   `parser:"('where' @@)?)?"`
	Using   Expr   `parser:"'using':Keyword @@"`
}

type expectRule struct {
	Cond   Expr `parser:"'expect':Keyword @@"`
	Within Expr `parser:"('within':Keyword @@)?"`
}

type repeatRule struct {
	Count Expr `parser:"'repeat':Keyword @@"`
	Body  body `parser:"@@"`
}

type simpleRule struct {
	X     Expr `parser:"@@"`
	Value Expr `parser:"('<-' @@)?"`
}

// rules are the built parsers.
type rules struct {
	declaration *participle.Parser[declaration]
	statement   *participle.Parser[statement]
}

// newRules builds the parsers with hooks that call p.
func newRules(p *parser) rules {
	options := []participle.Option{
		participle.Lexer(symbols{}),
		participle.UseLookahead(0),
		participle.ParseTypeWith(p.exprHook),
		participle.ParseTypeWith(p.bodyHook),
	}
	return rules{
		declaration: participle.MustBuild[declaration](options...),
		statement:   participle.MustBuild[statement](options...),
	}
}
