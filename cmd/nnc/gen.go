package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/gopkg"
	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/command"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// genCmd writes a model as a Go package. It embeds the weights, unless they are called "none".
type genCmd struct {
	source
	command.Weights
	Output  string `short:"o" required:"" help:"The folder of the package." placeholder:"DIR"`
	Package string `help:"The package's name, instead of the folder's." placeholder:"NAME"`
	Model   string `help:"Which model, where the program has several." placeholder:"NAME"`
	CPU     string `name:"cpu" default:"x86-64-v3" enum:"x86-64-v3,x86-64-v4,none" help:"The processors that the machine code is for: x86-64-v3 (AVX2), x86-64-v4 (AVX-512), or none for Go text alone."`
	Check   bool   `help:"Write nothing; fail if the folder does not hold what would be written."`
}

// Help shows how the command is used.
func (genCmd) Help() string {
	return `Writes a package that needs nothing but Go's standard library: Predict and PredictBatch with typed arrays, the names of the classes, the weights embedded, machine code as Go assembly for x86-64 and the same computation as Go text for every other processor.

    nnc gen -o catdog catdog.nn                    a package with the weights that nnc run saved
    nnc gen -o catdog --weights none catdog.nn     without weights; LoadWeights reads them
    nnc gen -o catdog --check catdog.nn            for CI: is the package up to date?

In a Go program: //go:generate nnc gen -o catdog catdog.nn`
}

// Run carries out the command.
func (c *genCmd) Run(std *command.Streams) error {
	l, err := c.load(std, wantsData)
	if err != nil {
		return err
	}
	p := l.program(engine{Backend: "interp", Precision: "f32"}, weightsType{})
	m, err := command.ChooseModel(p.Plan, c.Model)
	if err != nil {
		return err
	}
	prog, trained, err := c.program(std, p)
	if err != nil {
		return err
	}
	o := gopkg.Options{Package: c.packageName(), File: filepath.Base(c.File)}
	module := gopkg.Predictor(prog.Module(), m.Predict)
	if trained {
		if o.Weights, err = encodeCells(prog, module.Cells); err != nil {
			return err
		}
	}
	if c.CPU != noneWord {
		o.Native, err = native.Program(module, c.CPU, codegen.Fast)
		switch {
		case errors.Is(err, native.ErrNoLLVM):
			fmt.Fprintf(std.Err, "note: the package has no machine code: %s\n", err)
		case err != nil:
			return err
		}
	}
	files, err := gopkg.Generate(p.Plan, m, o)
	if err != nil {
		return err
	}
	if c.Check {
		return c.compare(files)
	}
	return c.write(std, files)
}

const noneWord = "none"

// packageName is the package's name: the folder's, without what a name cannot have.
func (c *genCmd) packageName() string {
	if c.Package != "" {
		return c.Package
	}
	folder := c.Output
	if abs, err := filepath.Abs(folder); err == nil {
		folder = abs
	}
	return strings.TrimLeftFunc(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' {
			return unicode.ToLower(r)
		}
		return -1
	}, filepath.Base(folder)), unicode.IsDigit)
}

// program returns the program, and whether it has trained weights.
func (c *genCmd) program(std *command.Streams, p *command.Program) (runtime.Program, bool, error) {
	w := c.Weights
	if w.Weights == "" {
		saved, err := p.WeightsFile("")
		if err != nil {
			fmt.Fprintf(std.Err, "note: the package has no weights, LoadWeights reads them: %s\n", err)
			w.Weights = noneWord
		} else {
			w.Weights = saved
		}
	}
	if w.Weights == noneWord {
		prog, err := p.Fresh(0)
		return prog, false, err
	}
	prog, err := p.Trained(std, w)
	return prog, true, err
}

// encodeCells returns the values of cells as a safetensors file.
func encodeCells(prog runtime.Program, cells []*ir.Cell) ([]byte, error) {
	values := map[string]*tensor.Tensor{}
	for _, c := range cells {
		v, err := prog.Cell(c.Name)
		if err != nil {
			return nil, err
		}
		values[c.Name] = v
	}
	var b bytes.Buffer
	err := weights.EncodeSafetensors(&b, values)
	return b.Bytes(), err
}

// present reads the files of the folder that a package consists of: those that begin as generated ones do, and those of want.
func (c *genCmd) present(want map[string][]byte) (map[string][]byte, error) {
	entries, err := os.ReadDir(c.Output)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, e := range entries {
		_, wanted := want[e.Name()]
		if !e.Type().IsRegular() || !wanted && !slices.Contains([]string{".go", ".s", ".safetensors"}, filepath.Ext(e.Name())) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(c.Output, e.Name()))
		if err != nil {
			return nil, err
		}
		if wanted || gopkg.Generated(e.Name(), text) {
			files[e.Name()] = text
		}
	}
	return files, nil
}

// compare fails if the folder does not hold the files.
func (c *genCmd) compare(want map[string][]byte) error {
	old, err := c.present(want)
	if err != nil {
		return err
	}
	stale := gopkg.Stale(old, want)
	if len(stale) == 0 {
		return nil
	}
	return fmt.Errorf("%s is not what %s makes: %s; write it anew with the same command without --check", c.Output, c.File, strings.Join(stale, ", "))
}

// write writes the files, and removes those that an earlier version of the program needed.
func (c *genCmd) write(std *command.Streams, files map[string][]byte) error {
	old, err := c.present(files)
	if err != nil {
		return err
	}
	for name, text := range old {
		if !gopkg.Generated(name, text) {
			return fmt.Errorf("%s was not generated by nnc gen, and would be overwritten: choose another folder with -o", filepath.Join(c.Output, name))
		}
	}
	if err := os.MkdirAll(c.Output, 0o755); err != nil {
		return err
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		total += len(files[name])
		if bytes.Equal(old[name], files[name]) {
			continue
		}
		if err := os.WriteFile(filepath.Join(c.Output, name), files[name], 0o644); err != nil {
			return err
		}
	}
	for name := range old {
		if _, still := files[name]; !still {
			if err := os.Remove(filepath.Join(c.Output, name)); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(std.Out, "%s: package %s, %d files, %d bytes\n", c.Output, c.packageName(), len(files), total)
	return nil
}
