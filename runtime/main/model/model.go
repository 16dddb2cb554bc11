// Package model is the command line of an executable with a model attached to it, and how the model computes.
package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/code"
	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/exec"
	"github.com/nnc-lang/nnc/runtime/payload"
)

// attached is the model that is attached to the executable that runs.
type attached struct {
	file  *payload.File
	about payload.About
	name  string // as the user calls the executable
}

// program makes the model ready for the commands, to be computed as e says.
func (a *attached) program(e engine, std *command.Streams) (*command.Program, error) {
	weights, err := a.file.Weights()
	if err != nil {
		return nil, err
	}
	m, build, err := a.compiled(e, std)
	if err != nil {
		return nil, err
	}
	p, err := a.file.Plan(m)
	if err != nil {
		return nil, err
	}
	p.File = filepath.Join(e.Folder, a.about.File)
	p.Allow = append(e.Allow, filepath.SplitList(os.Getenv("NNC_ALLOW"))...)
	c := &command.Program{
		Plan: p,
		Make: build,
		Words: func(v command.Verb) []string {
			return []string{a.name, map[command.Verb]string{command.VerbTrain: "train", command.VerbEval: "eval", command.VerbPredict: "predict", command.VerbTest: "info"}[v]}
		},
	}
	if weights != nil {
		c.Attach = func(prog runtime.Program) error { return attach(prog, weights) }
	}
	return c, nil
}

// compiled returns the module, perhaps without bodies, and what makes a program of it: machine code where there is some that this processor
// can run, else the interpreter.
func (a *attached) compiled(e engine, std *command.Streams) (*ir.Module, func() (runtime.Program, error), error) {
	if !e.Interpreter {
		err := code.Callable()
		levels := a.file.Levels()
		for _, level := range levels {
			if err = code.Check(level); err != nil {
				continue
			}
			p, mapped, err := a.file.Program(level)
			if err != nil {
				return nil, nil, err
			}
			options := exec.Options{Threads: int(e.Threads), Explain: a.explain}
			if len(mapped) > 0 {
				options.Code = code.Mapped(mapped)
			}
			return p.Module, func() (runtime.Program, error) { return exec.New(p, options) }, nil
		}
		if len(levels) > 0 {
			fmt.Fprintf(std.Err, "note: %s; the interpreter computes instead, which is slower\n", err)
		}
	}
	m, err := a.file.Module()
	if err != nil {
		return nil, nil, err
	}
	return m, func() (runtime.Program, error) {
		return interp.Backend{}.Compile(m, codegen.Options{Threads: int(e.Threads)})
	}, nil
}

// explain finds in the interpreter the operation to blame for a value that is not finite.
func (a *attached) explain(fn string, args []*tensor.Tensor, what string, cell func(string) (*tensor.Tensor, error)) error {
	m, err := a.file.Module()
	if err != nil {
		return err
	}
	return interp.Blame(m, fn, args, what, cell)
}

// attach gives the cells of a program the weights. The executor works on them where they are mapped.
func attach(prog runtime.Program, weights []payload.Cell) error {
	native, mapping := prog.(*exec.Instance)
	for _, w := range weights {
		if mapping {
			if err := native.MapCell(w.Name, w.Data); err != nil {
				return err
			}
			continue
		}
		c := prog.Module().Cell(w.Name)
		if c == nil {
			return fmt.Errorf("%w (there is no cell %s)", payload.ErrDamaged, w.Name)
		}
		t, err := tensorOf(c, w.Data)
		if err != nil {
			return err
		}
		if err := prog.SetCell(w.Name, t); err != nil {
			return err
		}
	}
	return nil
}

// tensorOf returns the elements of a cell in the memory data.
func tensorOf(c *ir.Cell, data []byte) (*tensor.Tensor, error) {
	t := &tensor.Tensor{DType: c.Type.DType, Shape: []int{}}
	for _, d := range c.Type.Shape {
		n, ok := d.IsConst()
		if !ok {
			return nil, fmt.Errorf("%w (cell %s has no size)", payload.ErrDamaged, c.Name)
		}
		t.Shape = append(t.Shape, n)
	}
	if t.Len()*exec.ElemSize(exec.Stored(c)) != len(data) {
		return nil, fmt.Errorf("%w (cell %s has %d bytes)", payload.ErrDamaged, c.Name, len(data))
	}
	if c.Half {
		return exec.Widened(t.Shape, data), nil
	}
	switch p := unsafe.Pointer(unsafe.SliceData(data)); t.DType {
	case tensor.F32:
		t.F32 = unsafe.Slice((*float32)(p), t.Len())
	case tensor.I32:
		t.I32 = unsafe.Slice((*int32)(p), t.Len())
	default:
		t.Bool = make([]bool, t.Len()) // whose bytes may be nothing but 0 and 1
		for k, b := range data {
			t.Bool[k] = b != 0
		}
	}
	return t, nil
}

// Self returns what runs the model that is attached to this executable; nil if there is none.
func Self(args []string) func(std command.Streams) int {
	file, err := payload.Self()
	if errors.Is(err, payload.ErrNone) {
		return nil
	}
	return func(std command.Streams) int { return run(args, std, file, err) }
}

// Run runs the model that is attached to this executable, which was built from that source.
func Run(args []string, std command.Streams, source string) int {
	if do := Self(args); do != nil {
		return do(std)
	}
	fmt.Fprintf(std.Err, "%s: %s\nIt was taken off (`strip` does that; there is nothing left to strip in such a file), or never attached: `nnc build FILE.nn` makes the file anew.\n(%s)\n", callName(args), payload.ErrNone, source)
	return command.ExitWrong
}

func callName(args []string) string {
	if len(args) == 0 {
		return "model"
	}
	return filepath.Base(args[0])
}

// run carries out a command line.
func run(args []string, std command.Streams, file *payload.File, err error) int {
	a := &attached{file: file, name: "model"}
	if len(args) > 0 {
		a.name = args[0]
	}
	if err == nil {
		a.about, err = file.About()
	}
	if err != nil {
		fmt.Fprintf(std.Err, "error: %s\n", err)
		return command.ExitWrong
	}
	app := command.App{
		Name: callName(args), Maker: "nnc", Version: versionOf(a.about), Description: fmt.Sprintf(description, a.about.File, callName(args)),
	}
	var rest []string
	if len(args) > 0 {
		rest = args[1:]
	}
	return app.Run(&commands{}, rest, std, a)
}
