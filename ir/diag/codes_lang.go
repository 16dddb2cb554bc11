package diag

// Codes of the checker and elaborator.
const (
	// Names.
	UnknownName       Code = "unknown-name"
	UnknownType       Code = "unknown-type"
	UnknownDimensions Code = "unknown-dimensions"
	UnknownData       Code = "unknown-data"
	UnknownSource     Code = "unknown-source"
	UnknownMetric     Code = "unknown-metric"
	UnknownOptimizer  Code = "unknown-optimizer"
	UnknownField      Code = "unknown-field"
	UsedBeforeValue   Code = "used-before-value"
	OutOfScope        Code = "out-of-scope"
	DuplicateName     Code = "duplicate-name"
	Recursion         Code = "recursion"
	ImportFailed      Code = "import-failed"

	// Where things may stand.
	Misplaced      Code = "misplaced"
	MisplacedBatch Code = "misplaced-batch"
	NotAssignable  Code = "not-assignable"
	NoExamples     Code = "no-examples"
	NoValue        Code = "no-value"

	// Types and shapes.
	TypeMismatch     Code = "type-mismatch"
	MissingType      Code = "missing-type"
	MixedTypes       Code = "mixed-types"
	NotAValue        Code = "not-a-value"
	NotACondition    Code = "not-a-condition"
	ValueCount       Code = "value-count"
	ShapeMismatch    Code = "shape-mismatch"
	InvalidDimension Code = "invalid-dimension"
	VaryingDimension Code = "varying-dimension"
	TooLarge         Code = "too-large"
	RaggedList       Code = "ragged-list"
	NotScalar        Code = "not-scalar"

	// Calls.
	TooManyArguments     Code = "too-many-arguments"
	MissingArgument      Code = "missing-argument"
	MissingConfiguration Code = "missing-configuration"
	UnknownArgument      Code = "unknown-argument"
	NoOverload           Code = "no-overload"
	NotCallable          Code = "not-callable"

	// Values.
	NotConstant      Code = "not-constant"
	NotShared        Code = "not-shared"
	InvalidValue     Code = "invalid-value"
	UnmetRequirement Code = "unmet-requirement"
	DivisionByZero   Code = "division-by-zero"
	IndexRange       Code = "index-range"
	IndexCount       Code = "index-count"
	UnknownRange     Code = "unknown-range"

	// Settings of data and trains.
	UnknownSetting      Code = "unknown-setting"
	MissingSetting      Code = "missing-setting"
	DuplicateSetting    Code = "duplicate-setting"
	ConflictingSettings Code = "conflicting-settings"
	MissingOption       Code = "missing-option"
	UnknownOption       Code = "unknown-option"
	UnknownDirection    Code = "unknown-direction"
	UnknownFormat       Code = "unknown-format"
	NoValidation        Code = "no-validation"
	NotTrained          Code = "not-trained"
	StaleValue          Code = "stale-value"
	NeedsWholeBatch     Code = "needs-whole-batch"
	NotGenerative       Code = "not-generative"
	DataError           Code = "data-error"
	NotSupported        Code = "not-supported"
)
