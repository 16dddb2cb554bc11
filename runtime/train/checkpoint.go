package train

import (
	"fmt"
	"math"
	"strconv"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
)

// checkpoint is the whole state of a run at the boundary between two steps.
type checkpoint struct {
	header
	values []*tensor.Tensor // of header.Cells
	kept   []*tensor.Tensor // of header.Kept
}

// header is what a checkpoint file says in JSON before its tensors.
type header struct {
	File  string // the program, as the user named it; for messages only
	Train int    // number of the train declaration in the file
	Label string
	Seed  int32
	Cells []cellInfo
	Kept  []cellInfo `json:",omitempty"` // copies of cells, after the best epoch
	progress
}

// progress is how far a run is.
type progress struct {
	Epochs    int // of the run; 0: no limit
	Steps     int // of an epoch
	Step      int // steps done
	Epoch     int // epochs done, with their validation
	EpochStep int // steps of the epoch done
	Cursor    data.Cursor
	Names     []string // of Sums
	Sums      []exact  // over the examples of the epoch
	Examples  int      // in Sums
	Seconds   float64  // spent on the epoch
	History   []map[string]exact
	KeptEpoch int `json:",omitempty"` // the best epoch, of which header.Kept is; 0 if there is none
}

// cellInfo describes one tensor of a checkpoint.
type cellInfo struct {
	Name, Kind, Type string // as the module declares it
	DType            string // of the value
	Shape            []int  // of the value
}

// exact is a float64 that JSON keeps bit for bit, infinities and not-a-number included.
type exact float64

// MarshalText writes the shortest text that reads back as the same number.
func (e exact) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(e), 'g', -1, 64), nil
}

// UnmarshalText is the inverse of MarshalText.
func (e *exact) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !math.IsInf(v, 0) {
		return fmt.Errorf("%q is not a number", text)
	}
	*e = exact(v)
	return nil
}

// describe says where a run stands: "epoch 3/15, step 20/50".
func (p *progress) describe() string {
	epoch, step := p.Epoch+1, p.EpochStep
	if p.Epoch > 0 && p.EpochStep == 0 {
		epoch, step = p.Epoch, p.Steps
	}
	text := fmt.Sprintf("epoch %d", epoch)
	if p.Epochs > 0 {
		text += fmt.Sprintf("/%d", p.Epochs)
	}
	return text + fmt.Sprintf(", step %d/%d", step, p.Steps)
}

// capture takes the cells of prog as cell gives them: copies, or views that hold for a while.
//
// Metrics' cells go in too, though into no other file: in the middle of an epoch they are part of its values.
func capture(prog runtime.Program, p *plan.Program, cell cellFunc, h header) (*checkpoint, error) {
	ck := &checkpoint{header: h}
	var err error
	ck.Cells, ck.values, err = takeCells(prog, cell, func(c *ir.Cell) bool { return !p.Beside(c) })
	return ck, err
}

// cellFunc returns the value of a cell.
type cellFunc func(name string) (*tensor.Tensor, error)

// takeCells returns the cells that are wanted.
func takeCells(prog runtime.Program, cell cellFunc, wanted func(*ir.Cell) bool) (cells []cellInfo, values []*tensor.Tensor, err error) {
	for _, c := range prog.Module().Cells {
		if !wanted(c) {
			continue
		}
		v, err := cell(c.Name)
		if err != nil {
			return nil, nil, fmt.Errorf("cell %s: %w", c.Name, err)
		}
		cells = append(cells, cellInfo{c.Name, string(c.Kind), c.Type.String(), v.DType.String(), v.Shape})
		values = append(values, v)
	}
	return cells, values, nil
}

// restore gives the cells of prog the checkpoint's values.
//
// Errors: the first cell that the program and the checkpoint do not have in common.
func (ck *checkpoint) restore(prog runtime.Program, p *plan.Program) error {
	if err := sameCells(prog.Module().Cells, p, ck.Cells); err != nil {
		return err
	}
	for i, c := range ck.Cells {
		// A conversion would lose bits and go on as another run.
		if now, err := prog.Cell(c.Name); err == nil && now.DType.String() != c.DType {
			return fmt.Errorf("cell %s was saved as %s, but the program computes in %s: resume with the precision that the run was started with", c.Name, c.DType, now.DType)
		}
		if err := prog.SetCell(c.Name, ck.values[i]); err != nil {
			return fmt.Errorf("cell %s: %w", c.Name, err)
		}
	}
	return nil
}

// sameCells compares the cells that make up the state of a run of p with a checkpoint's.
func sameCells(cells []*ir.Cell, p *plan.Program, saved []cellInfo) error {
	byName := map[string]cellInfo{}
	for _, c := range saved {
		byName[c.Name] = c
	}
	for _, c := range cells {
		s, ok := byName[c.Name]
		switch {
		case p.Beside(c):
			continue
		case !ok:
			return fmt.Errorf("the program has changed: its %s %s is not in the checkpoint", c.Kind, c.Name)
		case s.Type != c.Type.String():
			return fmt.Errorf("the program has changed: %s %s is %s now and %s in the checkpoint", c.Kind, c.Name, c.Type, s.Type)
		case s.Kind != string(c.Kind):
			return fmt.Errorf("the program has changed: %s is a %s now and a %s in the checkpoint", c.Name, c.Kind, s.Kind)
		}
		delete(byName, c.Name)
	}
	for _, s := range saved {
		if _, left := byName[s.Name]; left {
			return fmt.Errorf("the program has changed: it no longer has the %s %s of the checkpoint", s.Kind, s.Name)
		}
	}
	return nil
}
