package diag

// Code is the permanent name of a kind of diagnostic. A released code is never renamed or reused.
type Code string

// The codes, by the stage that reports them.
const (
	// Syntax.
	UnexpectedToken    Code = "unexpected-token"
	UnterminatedString Code = "unterminated-string"
	UnterminatedBlock  Code = "unterminated-block"
	UnmatchedBracket   Code = "unmatched-bracket"
	InvalidCharacter   Code = "invalid-character"
	ForeignComment     Code = "foreign-comment"
	ForeignOperator    Code = "foreign-operator"
	WrongQuotes        Code = "wrong-quotes"
	InvalidNumber      Code = "invalid-number"
	InvalidEscape      Code = "invalid-escape"
	NestingTooDeep     Code = "nesting-too-deep"
	KeywordAsName      Code = "keyword-as-name"
	UnknownDeclaration Code = "unknown-declaration"
	WrongAssignment    Code = "wrong-assignment"
	ParameterLists     Code = "parameter-lists"
	ChainedComparison  Code = "chained-comparison"
)
