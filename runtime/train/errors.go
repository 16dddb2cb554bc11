package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
)

// InterruptedError says that a run was stopped from outside at the end of a step, and how to go on.
type InterruptedError struct {
	Command    string // that goes on
	Checkpoint string // where the state was saved, or ""
	Where      string // "epoch 3/15, step 20/50"
	Step       int    // steps done
	Err        error  // why the state could not be saved, or nil
	Kept       int    // then: the step after which the last good checkpoint was made, or 0
}

// Error says how to go on.
func (e *InterruptedError) Error() string {
	text := fmt.Sprintf("interrupted after step %d (%s)", e.Step, e.Where)
	switch {
	case e.Err != nil && e.Kept > 0:
		return fmt.Sprintf("%s: %v\n  note: what came after step %d is lost; `%s` goes on from there", text, e.Err, e.Kept, e.Command)
	case e.Err != nil:
		return fmt.Sprintf("%s: %v\n  note: the run is lost; --resume needs a checkpoint, and there is none", text, e.Err)
	case e.Checkpoint == "":
		return text + "; checkpoints are off, so the state is lost"
	}
	return fmt.Sprintf("%s; the state is in %s: `%s` goes on from there", text, e.Checkpoint, e.Command)
}

// Unwrap returns why the state could not be saved.
func (e *InterruptedError) Unwrap() error { return e.Err }

// StepError says at which step a run failed.
type StepError struct {
	Step  int    // number of the failed step in the run, from 1
	Where string // "epoch 3/15, step 21/50"
	Err   error
	Hint  string // what is likely and what to do about it; may be empty
	Kept  string // which state can be gone back to; may be empty
}

// Error says what failed, where, and what to do.
func (e *StepError) Error() string {
	text := fmt.Sprintf("training stopped at step %d (%s): %v", e.Step, e.Where, e.Err)
	if e.Hint != "" {
		text += "\n  hint: " + e.Hint
	}
	if e.Kept != "" {
		text += "\n  note: " + e.Kept
	}
	return text
}

// Unwrap returns the error of the step.
func (e *StepError) Unwrap() error { return e.Err }

// hint says what is the likely cause of a failed step that read batch b, which is nil for a train without data.
func hint(err error, b *data.Batch, src data.Source, firstStep bool) string {
	if outside := new(runtime.RangeError); errors.As(err, &outside) {
		return "the number of a class or a word chose an element that is not there: a last layer needs as many units as there are classes " +
			"(`nnc data` counts them), an Embedding as many rows as there are words; numbers begin at 0"
	}
	var bad *runtime.NonFiniteError
	if !errors.As(err, &bad) {
		return ""
	}
	if text := badExample(b, src); text != "" {
		return text
	}
	text := "a learning rate that is too great is the usual cause: try a tenth of it, or clip the gradient"
	if firstStep && bad.What == plan.ResultLoss { // a cell is what the step has updated already
		text = "it happened at the very first step, so the learning rate has no part in it: look at the data's scale (are pixels " +
			"divided by 255, are columns standardised?), the first values of the parameters and the operation above"
	}
	switch bad.Op {
	case "log":
		text = "a logarithm of 0 or of a negative number: give the loss logits, not probabilities, or keep its operand above 0; else " + text
	case "div":
		text = "a division by 0 or nearly 0: add a small number to the divisor; else " + text
	case "sqrt":
		text = "a square root of a negative number, or the slope of one at 0: add a small number under the root; else " + text
	case "exp":
		text = "an exponential of a great number: subtract the greatest operand first, as softmax does; else " + text
	}
	return text
}

// badExample names the first example of b that is not finite itself.
func badExample(b *data.Batch, src data.Source) string {
	if b == nil {
		return ""
	}
	for row := range b.Examples {
		for i, t := range b.Tensors {
			if t.DType != tensor.F32 && t.DType != tensor.F64 {
				continue
			}
			size := t.Len() / t.Shape[0]
			for k := row * size; k < (row+1)*size; k++ {
				if v := t.At(k); math.IsNaN(v) || math.IsInf(v, 0) {
					return fmt.Sprintf("the data itself is not finite: field %s of example %s holds %v", src.Fields()[i].Name, b.NameOf(i, row), v)
				}
			}
		}
	}
	return ""
}

// checkFinite finds a loss that is not finite in results that the program let pass.
func checkFinite(names []string, results []float64) error {
	for i, name := range names {
		if name == plan.ResultLoss && (math.IsNaN(results[i]) || math.IsInf(results[i], 0)) {
			return &runtime.NonFiniteError{What: plan.ResultLoss, Op: "one that the program does not tell"}
		}
	}
	return nil
}
