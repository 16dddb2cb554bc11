// Package plan holds everything of a compiled program that is not arithmetic: which functions of the module are which, where
// data comes from, how long training lasts, what a model's layers are called. The front end writes it, the runtime follows
// it; it is plain data and can be stored beside compiled code.
package plan

import (
	"fmt"
	"math"
	"slices"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
)

// Program is a compiled .nn file.
type Program struct {
	File   string   // path of the source file as the user gave it; relative paths in the program start from its folder
	Allow  []string // folders beside the program's that the user lets it read and write; the front end sets none
	Module *ir.Module
	Init   string // function (seed: i32[]) that gives every cell its first value
	Reset  string // function (seed: i32[]) that gives streams and metrics their first values; "" if there are none
	Data   []*Data
	Models []*Model
	Trains []*Train
	Tests  []*Test

	Generates []*Generate
}

// Beside reports whether no step and no validation of a training reads or writes a cell, so that the cell is no part of the training's state:
// nnc and the executables that it makes of a program differ in such cells.
func (p *Program) Beside(c *ir.Cell) bool {
	if c.Kind == ir.Part { // means nothing between calls
		return true
	}
	for _, t := range p.Trains {
		if t.Report != nil && slices.Contains(t.Report.Cells, c.Name) {
			return true
		}
	}
	for _, g := range p.Generates {
		if slices.Contains(g.Cells, c.Name) {
			return true
		}
	}
	return false
}

// Field is one named tensor of an example.
type Field struct {
	Name   string
	DType  tensor.DType
	Shape  []int    // of one example; -1 is each example's own length, which the field called LengthField(Name) holds
	Labels []string // names of the ids of a class field; nil for other fields

	// Columns names the elements of a field that holds several columns of a table; nil for others.
	Columns []string

	// Mean and Deviation of each element over the training split; nil where the source does not measure them.
	Mean, Deviation []float64
}

// LengthField is the name of the field, i32 per example, that holds the lengths of a field whose shape has a -1.
func LengthField(name string) string { return "length." + name }

// Data is a data declaration.
type Data struct {
	Name    string
	Source  Source
	Fields  []Field // as the source yields them, before the program's map
	Batch   int     // examples
	Shuffle bool    // the training split, anew each pass
	Chance  bool    // a training step takes each example of the split with a chance of its own, Batch being the mean number
	Order   string  // "streams": row i of a batch continues row i of the last; "lengths": examples of like length together; or ""
}

// Source says where examples come from. Exactly one member is set.
type Source struct {
	ImageFolder *ImageFolder
	IDX         *IDX
	CSV         *CSV
	Text        *Text
	WAV         *WAV
	Synthetic   *Synthetic
}

// Files are one file or folder for each split, or one that is split by share.
type Files struct {
	Train, Validation, Test string // "" for none
	Path                    string // the one file or folder; then Split holds the shares of training, validation and test
	Split                   [3]float64
	Seed                    int // of the split
	Folds, Fold             int // of how many folds which is the test split, from 1 on, Split being shares of what it leaves; 0: no folds
}

// CSV is tables of values that a character separates.
type CSV struct {
	Files
	Stratify  string // the field whose classes are dealt to the splits one by one, or ""
	Separator string // one character
	NoHeader  bool   // columns are called "1", "2", …
	Missing   string // "error", "drop" or "fill"
	Fill      float64
	Columns   []Column
}

// Column is a field that is made of columns of a table.
type Column struct {
	Field                   string
	Kind                    string   // "f32", "i32", "class", "id", "rest", "words" or "image"
	From                    []string // columns; nil: the one called Field
	Names                   []string // of a class's or id's values; nil: those in the data
	Unknown                 bool     // a value that Names lacks is the first of them
	Top, Longest, Length    int      // words: of the vocabulary, of an example at most, of every example; 0 for no limit
	Start, End              string   // words put before and after, or ""
	Unit                    string   // words: "words" or "characters"
	NGrams                  []int    // words: the lengths of the runs of units that stand for words; nil: the units
	Height, Width, Channels int      // pixels of an image
}

// Text is a text cut into units and sequences of them.
type Text struct {
	Files
	Unit     string // "characters", "bytes" or "words"
	Sequence int    // units
	Top      int    // words of the vocabulary; 0 for no limit
}

// WAV is folders of recordings.
type WAV struct {
	Files
	Rate    int    // samples a second; 0: what the files have
	Window  int    // samples; 0: as many as each recording has
	Frame   int    // samples of a row; 0: no rows
	Label   string // "folder", a pattern of file names, or "" for no classes
	Classes []string
}

// Synthetic is data by formula: a number of examples for each split.
type Synthetic struct {
	Train, Validation, Test int
	Seed                    int
}

// The fields of a Synthetic source.
const (
	FieldExample = "synthetic.example" // i32[]: the example's number in its split
	FieldSplit   = "synthetic.split"   // i32[]: 0 training, 1 validation, 2 test
)

// ImageFolder is a folder of class folders for each split, or one folder of class folders that is split by share.
type ImageFolder struct {
	Files
	Height, Width, Channels int      // pixels
	Resize                  string   // "nearest" or "bilinear"
	Orientation             string   // "exif" or "keep"
	OnCorrupt               string   // "skip" or "fail"
	Classes                 []string // nil: the class folders' names, sorted
}

// IDX is a pair of MNIST-style files for training and perhaps one for testing.
type IDX struct {
	Images, Labels         string
	TestImages, TestLabels string  // "" for none
	Validation             float64 // share of the training pair that is held out
	Seed                   int     // of the split
}

// Model is a model declaration.
type Model struct {
	Name    string
	Inputs  []Field // the model's parameters
	Output  Field
	Predict string   // function from the data's fields (Fields) to the output, one batch at once, in inference
	Fields  []Field  // what Predict takes: raw fields of the data, in the order of its parameters
	Data    *Data    // whose map Predict runs; nil if the model is trained on none
	Labels  []string // names of the classes the output stands for; nil where unknown
	Results []Result // what each tensor that the model gives stands for, as far as it is known
	Layers  []*Layer // in order of application, enclosing ones before those within
	Calls   []*Call  // how the outputs come from the inputs
	Outputs []Origin // one for each tensor that the model gives
}

// Result says what one of a model's tensors stands for.
type Result struct {
	Name   string   // in the record that the model gives; "" where it gives one tensor
	Labels []string // names of the classes whose values it has, or of the words whose ids it has; nil for neither
	Unit   string   // of a text whose ids it has, "words" or "characters"; "" if it is none
	End    string   // the word that ends the text, or ""
}

// Layer is one instance of a layer in a model.
type Layer struct {
	Path   string         // "conv2d_1", "block_2.dense"; unique in the model
	Kind   string         // the declaration's name, such as "Conv2D"
	Std    bool           // declared in the standard library
	Config map[string]any // configuration arguments: float64, bool, string, the name of a fn or layer as Ref, or Configured
	Input  []Shape        // of one example; -1 stands for a length known when the program runs
	Output []Shape
	Params []string // its own cells of kind param, in order of declaration, then those of kind state
	Depth  int      // 0 for the model's outermost layers
}

// Ref is a configuration argument that names a fn or a layer.
type Ref string

// Configured is a configuration argument that is a fn with arguments, such as elu(0.5).
type Configured struct {
	Fn     string
	Config map[string]any
}

// Shape is the shape of one example's tensor.
type Shape []int

// Names returns the names of the values that a metric has: its own name, or for a tensor one for each element in row-major order, such as
// confusion_matrix[0][1].
func (t *Train) Names(metric string) []string {
	names := []string{metric}
	for _, n := range t.Tensors[metric] {
		var next []string
		for _, name := range names {
			for i := range n {
				next = append(next, fmt.Sprintf("%s[%d]", name, i))
			}
		}
		names = next
	}
	return names
}

// Train is a train declaration.
type Train struct {
	Label    string           // "" if it has none
	Data     *Data            // nil if it trains on no data
	Others   []*Data          // data after the first: an example has one of each, fields are named "Photos.image", and epochs are those of Data
	Batch    int              // examples in a full batch
	Step     string           // function that does one step, where Every is empty; see StepFunc. "" where steps were left out
	Every    []int            // periods of updates that are not made at every step
	Eval     string           // function that measures one batch and changes nothing
	Fields   []Field          // fields of the data that Step and Eval take, as they name them
	Models   []*Model         // models that the loss reaches
	Metrics  []string         // names of Eval's results after the loss, and of Step's but for OnlyEval
	OnlyEval []string         // those of them that Step does not measure
	Running  []string         // those of them that are values since the last Reset; the others are means over a batch
	Tensors  map[string]Shape // shapes of those that are no single number: each element is a value, see Names
	Averages []Average        // what is measured and saved in place of parameters; nil if these are

	Epochs   int    // at most
	Steps    int    // per epoch; 0: one pass over the data
	Validate int    // steps per validation; 0: one pass over the split
	Until    string // function from epoch values (its parameters' names) to bool, or ""
	Target   string // Until as the program writes it
	Save     string // weights file, or ""
	SaveAt   ir.Loc // where the program says so

	Patience int    // training ends after so many epochs in a row without a better Watch; 0: it does not end so
	Keep     bool   // at the end the parameters and states of the epoch with the best Watch are put back
	Plateau  int    // so many epochs in a row without a better Watch are a plateau, see ParamPlateaus; 0: none are
	Watch    string // the value of an epoch that these three go by; "": val_loss, or loss where nothing is validated
	Greater  bool   // a greater Watch is a better one
	Load     *Load  // nil if the parameters keep the values that they have

	Samples *Samples // nil if none are drawn
	Report  *Report  // what evaluating measures beside; nil if that is nothing
}

// Load says which cells get their values from a file before the first step.
type Load struct {
	File  string   // relative to the program's folder
	At    ir.Loc   // where the program says so
	Into  string   // what the cells belong to, as the program writes it; "" for the whole program
	Root  string   // the path that the cells' names begin with, or ""
	Cells []string // names of the cells; nil for all parameters and states
}

// Report is what evaluating a classifier measures beside what its train lists.
type Report struct {
	Func    string // in place of Eval
	Metrics []string
	Running []string
	Tensors map[string]Shape
	Added   []string // those of Metrics that the train does not list
	Cells   []string // that nothing else reads or writes
}

// Reported is the train whose Eval measures all of Report.
func (t *Train) Reported() *Train {
	if t.Report == nil {
		return t
	}
	r := *t
	r.Eval, r.Metrics, r.Running, r.Tensors = t.Report.Func, t.Report.Metrics, t.Report.Running, t.Report.Tensors
	return &r
}

// StepFunc returns the function for a step, given how many were done before it. Where some updates are made only at every n-th step there is a
// function for each set of updates that are due: Step with the set as a number behind it.
func (t *Train) StepFunc(done int) string {
	if len(t.Every) == 0 {
		return t.Step
	}
	due := 0
	for i, n := range t.Every {
		if done%n == n-1 {
			due |= 1 << i
		}
	}
	return t.StepVariant(due)
}

// StepVariant returns the function for a set of due updates, bit i standing for Every[i].
func (t *Train) StepVariant(due int) string {
	if len(t.Every) == 0 {
		return t.Step
	}
	return fmt.Sprintf("%s.%d", t.Step, due)
}

// StepFuncs returns all functions for steps.
func (t *Train) StepFuncs() []string {
	var names []string
	for due := range 1 << len(t.Every) {
		names = append(names, t.StepVariant(due))
		if t.Data != nil && t.Data.Chance {
			names = append(names, t.StepVariant(due)+EmptySuffix)
		}
	}
	return names
}

// EmptySuffix is the end of the name of the function for a step without examples, which a train has where Data is taken by chance. Such a function
// measures nothing and looks at none of its arguments over the batch, which have one example.
const EmptySuffix = ".empty"

// Average is a cell that holds the average of a parameter over the updates.
type Average struct{ Param, Cell string }

// AllData lists the data that a train is on.
func (t *Train) AllData() []*Data {
	if t.Data == nil {
		return nil
	}
	return append([]*Data{t.Data}, t.Others...)
}

// FullBatch returns the number of examples of a full batch.
func (t *Train) FullBatch() int {
	if t.Batch == 0 && t.Data != nil {
		return t.Data.Batch
	}
	return t.Batch
}

// The parameters that Step and Eval may take beside fields; the runtime supplies them by name.
const (
	ParamSeed     = "seed"          // i32[]: the run's seed
	ParamStep     = "step"          // i32[]: training steps done before this one
	ParamEpoch    = "epoch"         // i32[]: epochs done before this one
	ParamProgress = "progress"      // f32[]: the share of the whole training that is done
	ParamPlateaus = "plateaus"      // i32[]: plateaus so far, see Train.Plateau
	ParamExamples = "part.examples" // i32[B]: where a train without data computes its batch in parts, as many zeros as it has examples
)

// ResultLoss is the name of Step's and Eval's first result.
const ResultLoss = "loss"

// Test is a test declaration.
type Test struct {
	Name    string
	Func    string // function without parameters whose results the expectations compare
	Loc     ir.Loc
	Expects []Expect
}

// Expect is one expectation of a test: the results numbered Left and Right agree, or Left alone is true.
type Expect struct {
	Text   string // as the program writes it
	Loc    ir.Loc
	Op     string // "==", "!=", "<", "<=", ">", ">=" element by element; "" : Left is a bool that must be true
	Left   int
	Right  int
	Within float64 // greatest difference that == passes; negative: exact
}

// Holds compares an element of the left value with its fellow of the right one.
func (x Expect) Holds(left, right float64) bool {
	switch x.Op {
	case "==":
		return left == right || x.Within >= 0 && math.Abs(left-right) <= x.Within
	case "!=":
		return left != right
	case "<":
		return left < right
	case "<=":
		return left <= right
	case ">":
		return left > right
	}
	return left >= right
}

// Generate is a generate declaration: how a model of texts continues one.
type Generate struct {
	Model string // its name
	// Func applies the model to one text: from ParamText, i32[1, t], and its length, i32[1], to f32[1, t, ids]. Row i says what may follow
	// the first i+1 units.
	Func string

	// Where they could be derived (passes.Step), Step is the function of one more unit, which remembers up to Capacity of them, and Prefill that
	// of several at the beginning; else "".
	Step, Prefill string
	Capacity      int      // units
	Cells         []string // of Step and Prefill, which nothing else reads or writes

	Probabilities bool     // a row holds probabilities, not their logarithms up to a constant
	Unit          string   // of the text: "characters", "bytes" or "words"
	Vocabulary    []string // names of the ids

	Prompt      string  // what is continued
	Length      int     // units to add
	Temperature float64 // logarithms of probabilities are divided by it; 0: always the likeliest unit
	TopK        int     // only so many of the likeliest units are drawn from; 0: all
	Window      int     // units that the model sees at most; 0: all
	Seed        int     // of the draws
}

// ParamText is the name of the text that a Generate's function takes.
const ParamText = "text"
