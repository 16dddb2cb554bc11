package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/atomicfile"
	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/exec"
	"github.com/nnc-lang/nnc/runtime/payload"
	"github.com/nnc-lang/nnc/runtime/term"
)

// buildCmd makes an executable of a program.
type buildCmd struct {
	source
	Out string `short:"o" help:"Write this file; FILE without .nn, if it is left out." placeholder:"FILE"`
	command.Weights
	weightsType
	CPU     []string `name:"cpu" help:"Make machine code for these levels of processors: native (this machine's), x86-64-v3 (AVX2), x86-64-v4 (AVX-512), armv8-a; or none, for the interpreter. Those of --arch, if it is left out; the executable chooses where it runs." placeholder:"LEVEL,..."`
	OS      string   `name:"os" help:"The system that the executable is for: linux." placeholder:"OS"`
	Arch    string   `help:"The processors that it is for: amd64 or arm64." placeholder:"ARCH"`
	Runtime bool     `help:"Write the program without a model, nnc-runtime-OS-ARCH, that a release has beside nnc for computers without Go; FILE is not read." hidden:""`
}

// Help shows how the command is used.
func (buildCmd) Help() string {
	return `Makes one executable file that trains, measures and predicts on any Linux machine, without Go, LLVM, Python or a C library.

    nnc build catdog.nn --weights model.h5       makes ./catdog
    ./catdog predict photo.jpg
    nnc build catdog.nn -o catdog-arm --arch arm64

Machine code needs LLVM (llc) on the machine that builds; without it the executable computes with the interpreter. The same program gives the same bytes.`
}

// Run carries out the command.
func (c *buildCmd) Run(std *command.Streams) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Runtime {
		return c.writeRuntime(std)
	}
	c.report = true
	l, err := c.load(std, wantsData)
	if err != nil {
		return err
	}
	l.noteMissing(std, c.File)
	if len(l.plan.Models) == 0 && len(l.plan.Trains) == 0 {
		return fmt.Errorf("%s declares neither a model nor a training: there is nothing to put into an executable", c.File)
	}
	if err := l.optimize(); err != nil {
		return err
	}
	for _, g := range l.plan.Generates {
		g.Capacity = cmp.Or(g.Window, max(leastCapacity, len(g.Prompt)+g.Length))
		before := len(l.plan.Module.Cells)
		step, prefill, err := passes.Step(l.plan.Module, g.Func, g.Capacity)
		if err != nil {
			fmt.Fprintf(std.Err, "note: the executable applies %s to all of the text for each unit: %s\n", g.Model, err)
			continue
		}
		g.Step, g.Prefill = step.Name, prefill.Name
		for _, c := range l.plan.Module.Cells[before:] {
			g.Cells = append(g.Cells, c.Name)
		}
	}
	c.weightsType.apply(l.plan.Module)
	if slices.ContainsFunc(l.plan.Module.Cells, func(c *ir.Cell) bool { return c.Half }) { // else all weights are small, and can be trained
		c.weightsType.drop(l.plan)
	}
	m := payload.Model{About: payload.About{File: filepath.Base(l.plan.File), Version: version(), OS: c.OS, Arch: c.Arch}, Plan: l.plan}
	if m.Code, err = c.code(std, l.plan.Module); err != nil {
		return err
	}
	if c.Weights.Weights != "" {
		if m.Weights, err = readWeights(std, l.plan, c.Weights); err != nil {
			return err
		}
	}
	l.plan.File = m.About.File // no path of this machine
	sections, err := m.Sections()
	if err != nil {
		return err
	}
	executable, note, err := stub(c.OS, c.Arch)
	if err != nil {
		return err
	}
	if note != "" {
		fmt.Fprintf(std.Err, "note: %s\n", note)
	}
	var file bytes.Buffer
	if err := payload.Write(&file, executable, sections); err != nil {
		return err
	}
	if err := writeExecutable(c.Out, file.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(std.Out, "%s: %s for %s/%s, %s\n", c.Out, term.Bytes(int64(file.Len())), c.OS, c.Arch, contents(&m))
	return nil
}

// leastCapacity is how many units of text an executable that generates remembers at least.
const leastCapacity = 1024

// check finds out what is wrong with the call, and completes it.
func (c *buildCmd) check() error {
	if c.OS == "" {
		c.OS = goruntime.GOOS
	}
	if c.Arch == "" {
		c.Arch = goruntime.GOARCH
	}
	if c.OS != "linux" {
		return fmt.Errorf("executables for %s cannot be made yet, for linux they can; nnc itself works there: `nnc run` and `nnc predict`", c.OS)
	}
	if !slices.Contains([]string{"amd64", "arm64"}, c.Arch) {
		return command.Misuse("executables are made for amd64 and arm64, not for %s", c.Arch)
	}
	if c.Out == "" {
		c.Out = strings.TrimSuffix(filepath.Base(c.File), ".nn")
		if c.File == stdinName {
			return command.Misuse("name the file to write with -o FILE")
		}
	}
	if c.Weights.Weights == "" {
		return nil
	}
	return command.CheckFile(c.Weights.Weights)
}

// code makes the machine code that was asked for, or that there is for the processors.
func (c *buildCmd) code(std *command.Streams, m *ir.Module) ([]*exec.Program, error) {
	levels := c.CPU
	if len(levels) == 0 {
		levels = native.Levels(c.Arch)
	}
	var list []*exec.Program
	for _, cpu := range levels {
		if cpu == "none" {
			if len(levels) > 1 {
				return nil, command.Misuse("--cpu none makes no machine code, so no other level can stand beside it")
			}
			return nil, nil
		}
		if cpu == "native" {
			level, err := native.DetectLevel()
			if err != nil {
				return nil, err
			}
			cpu = level.CPU
		}
		if !slices.Contains(native.Levels(c.Arch), cpu) {
			return nil, command.Misuse("there is no level %s of %s processors; there are %s", cpu, c.Arch, strings.Join(native.Levels(c.Arch), ", "))
		}
		if slices.ContainsFunc(list, func(p *exec.Program) bool { return p.Level == cpu }) {
			continue
		}
		p, err := native.Program(m, cpu, codegen.Fast)
		switch {
		case err == nil:
			list = append(list, p)
		case len(c.CPU) > 0:
			return nil, err
		case errors.Is(err, native.ErrNoLLVM):
			fmt.Fprintf(std.Err, "note: %s; without it the executable computes with the interpreter\n", err)
			return nil, nil
		default:
			fmt.Fprintf(std.Err, "note: %s; the executable computes with the interpreter\n", err)
			return nil, nil
		}
	}
	order := native.Levels(c.Arch)
	slices.SortFunc(list, func(a, b *exec.Program) int { return slices.Index(order, a.Level) - slices.Index(order, b.Level) })
	return list, nil
}

// writeRuntime writes the program that models are attached to.
func (c *buildCmd) writeRuntime(std *command.Streams) error {
	b, err := buildStub(c.OS, c.Arch)
	if err != nil {
		return err
	}
	out := filepath.Join(filepath.Dir(c.Out), stubName(c.OS, c.Arch))
	if err := writeExecutable(out, b); err != nil {
		return err
	}
	fmt.Fprintf(std.Out, "%s: %s\n", out, term.Bytes(int64(len(b))))
	return nil
}

// writeExecutable writes a file that can be executed, whole or not at all, also where it replaces one that could not.
func writeExecutable(path string, content []byte) error {
	if err := atomicfile.WriteBytes(path, 0o777, content); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode()&0o111 != 0 {
		return err
	}
	return os.Chmod(path, info.Mode().Perm()|0o111)
}

// readWeights returns the parameters and states that a file of weights has.
func readWeights(std *command.Streams, p *plan.Program, w command.Weights) ([]payload.Cell, error) {
	loading := command.Program{Plan: p, Make: func() (runtime.Program, error) { return interp.Backend{}.Compile(p.Module, codegen.Options{}) }}
	prog, err := loading.Trained(std, w)
	if err != nil {
		return nil, err
	}
	cells := []payload.Cell{} // attached, though there may be none
	for _, c := range p.Module.Cells {
		if c.Kind != ir.Param && c.Kind != ir.State {
			continue
		}
		t, err := prog.Cell(c.Name)
		if err != nil {
			return nil, err
		}
		data, err := exec.BytesOf(t)
		if err != nil {
			return nil, err
		}
		if c.Half {
			data = exec.Narrow(t)
		}
		cells = append(cells, payload.Cell{Name: c.Name, Data: data})
	}
	return cells, nil
}

// contents says what an executable holds.
func contents(m *payload.Model) string {
	text := "computed by the interpreter"
	if len(m.Code) > 0 {
		var levels []string
		for _, p := range m.Code {
			levels = append(levels, p.Level)
		}
		text = "machine code for " + strings.Join(levels, " and ")
	}
	if m.Weights == nil {
		return text + ", no weights: `train` makes them, --weights FILE names them"
	}
	size := 0
	for _, c := range m.Weights {
		size += len(c.Data)
	}
	return text + ", " + term.Bytes(int64(size)) + " of weights"
}
