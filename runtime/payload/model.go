package payload

import (
	"encoding/json"
	"fmt"

	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// Note [Sections of a model]
//
//	about         JSON, type About
//	plan          plan.Encode
//	module        text of the IR after all passes
//	tables.LEVEL  exec.Program.Tables, for each level of processors that there is code for, widest first
//	consts.LEVEL  its constants
//	code.LEVEL    its code, which is mapped and not copied
//	cells         JSON, what weights holds; only where weights are attached
//	weights       elements of the cells, each at a multiple of 64 bytes; mapped and not copied

// About says what a model was made from.
type About struct {
	File    string // the program, without its folder
	Version string // of the compiler
	OS      string // that the executable is for
	Arch    string
}

// Model is what is attached to an executable.
type Model struct {
	About   About
	Plan    *plan.Program
	Code    []*exec.Program // for levels of processors, widest first
	Weights []Cell          // nil where none are attached
}

// Cell is the value of a cell: its elements as they lie in memory.
type Cell struct {
	Name string
	Data []byte
}

// storedCell is a Cell's place in the section of weights.
type storedCell struct {
	Name         string
	Offset, Size int
}

// cellAlign is what the executor wants of memory that it is given.
const cellAlign = 64

// Sections returns the model as sections.
func (m *Model) Sections() ([]Section, error) {
	about, err := json.Marshal(m.About)
	if err != nil {
		return nil, err
	}
	text, err := plan.Encode(m.Plan)
	if err != nil {
		return nil, err
	}
	list := []Section{{"about", about}, {"plan", text}, {"module", []byte(ir.Print(m.Plan.Module))}}
	for _, p := range m.Code {
		list = append(list, Section{"tables." + p.Level, p.Tables()}, Section{"consts." + p.Level, p.Consts}, Section{"code." + p.Level, p.Code})
	}
	if m.Weights == nil {
		return list, nil
	}
	var cells []storedCell
	size := 0
	for _, c := range m.Weights {
		cells = append(cells, storedCell{c.Name, size, len(c.Data)})
		size += (len(c.Data) + cellAlign - 1) / cellAlign * cellAlign
	}
	index, err := json.Marshal(cells)
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	for k, c := range m.Weights {
		copy(data[cells[k].Offset:], c.Data)
	}
	return append(list, Section{"cells", index}, Section{"weights", data}), nil
}

// About reads what the model was made from.
func (f *File) About() (About, error) {
	var a About
	text, err := f.Read("about")
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("%w (about: %w)", ErrDamaged, err)
	}
	return a, nil
}

// Plan reads the plan of a module.
func (f *File) Plan(m *ir.Module) (*plan.Program, error) {
	text, err := f.Read("plan")
	if err != nil {
		return nil, err
	}
	return plan.Decode(text, m)
}

// Module reads the module, with the bodies of its functions.
func (f *File) Module() (*ir.Module, error) {
	text, err := f.Read("module")
	if err != nil {
		return nil, err
	}
	m, err := ir.Parse(diag.NewFile("module", string(text)))
	if err != nil {
		return nil, err
	}
	return m, ir.Verify(m)
}

// Levels returns the levels of processors that there is code for, widest first.
func (f *File) Levels() []string {
	var levels []string
	for _, s := range f.sections {
		if len(s.Name) > len(tables) && s.Name[:len(tables)] == tables {
			levels = append(levels, s.Name[len(tables):])
		}
	}
	return levels
}

const tables = "tables."

// Program reads the program for a level; code is its machine code, mapped executable.
func (f *File) Program(level string) (p *exec.Program, code []byte, err error) {
	table, err := f.Read(tables + level)
	if err != nil {
		return nil, nil, err
	}
	consts, err := f.Map("consts."+level, Private)
	if err != nil {
		return nil, nil, err
	}
	if code, err = f.Map("code."+level, Code); err != nil {
		return nil, nil, err
	}
	p, err = exec.Decode(table, code, consts)
	return p, code, err
}

// Weights maps the weights; nil if none are attached. What is written to them stays in this process.
func (f *File) Weights() ([]Cell, error) {
	if !f.Has("cells") {
		return nil, nil
	}
	index, err := f.Read("cells")
	if err != nil {
		return nil, err
	}
	var cells []storedCell
	if err := json.Unmarshal(index, &cells); err != nil {
		return nil, fmt.Errorf("%w (cells: %w)", ErrDamaged, err)
	}
	data, err := f.Map("weights", Private)
	if err != nil {
		return nil, err
	}
	list := make([]Cell, len(cells))
	for k, c := range cells {
		if c.Offset < 0 || c.Size < 0 || c.Offset%cellAlign != 0 || c.Size > len(data) || c.Offset > len(data)-c.Size {
			return nil, fmt.Errorf("%w (cell %s has no place among the weights)", ErrDamaged, c.Name)
		}
		list[k] = Cell{c.Name, data[c.Offset:][:c.Size:c.Size]}
	}
	return list, nil
}
