package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/train"
	"github.com/nnc-lang/nnc/runtime/weights"
)

// settings give options of programs values.
type settings struct {
	Set map[string]string `help:"Give an option of the program a value; for several, repeat it." placeholder:"NAME=VALUE" mapsep:"none"`
}

// source is the program file of a command and the options given to it.
type source struct {
	File string `arg:"" help:"The program, a .nn file."`
	settings
}

// dataUse says what a command wants of a program's data.
type dataUse bool

const (
	needsData dataUse = true
	// wantsData takes class names and counts from the data, and does without where the program does not depend on them.
	wantsData dataUse = false
)

// loaded is a compiled program before code is made for it.
type loaded struct {
	plan    *plan.Program
	data    map[*plan.Data]*data.Dataset
	missing []error // data that could not be read
}

// load compiles a program. Its data is opened meanwhile, since class names and such are part of the program.
func (s source) load(std *streams, use dataUse) (*loaded, error) {
	src, err := readSource(std, s.File)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(src.Text) == "" {
		return nil, fmt.Errorf("%s is empty", src.Name)
	}
	l := &loaded{data: map[*plan.Data]*data.Dataset{}}
	schema := func(d *plan.Data) error {
		fields := d.Fields
		d.Fields = nil // what the program cannot know is not compared
		ds, err := train.OpenData(&plan.Program{File: s.File}, d)
		d.Fields = fields
		switch {
		case err == nil:
			l.data[d] = ds
			d.Fields = train.FieldsOf(ds)
		case use == wantsData:
			l.missing = append(l.missing, err)
			return nil
		}
		return err
	}
	program, list := lang.Compile(src, lang.Options{
		Set: s.Set, Schema: schema,
		Read: func(path string) (*diag.File, error) { return readSource(std, path) },
	})
	if len(list.All) > 0 {
		report(*std, list)
	}
	if list.HasErrors() {
		if codeOf(list) == exitWrong {
			l.noteMissing(std, s.File)
		}
		return nil, reportedError{codeOf(list)}
	}
	l.plan = program
	return l, nil
}

// noteMissing tells which data could not be read, where that is no error.
func (l *loaded) noteMissing(std *streams, file string) {
	for _, err := range l.missing {
		fmt.Fprintf(std.err, "note: %s was compiled without its data: %s\n", file, err)
	}
}

// build runs the passes and the backend; cells have their first values for the seed.
func (l *loaded) build(seed int32, e engine) (runtime.Program, error) {
	if err := passes.Run(l.plan.Module, passes.Options{}); err != nil {
		return nil, err
	}
	prog, err := e.compile(l.plan.Module)
	if err != nil {
		return nil, err
	}
	return prog, train.Init(prog, l.plan, seed)
}

// trained is build with the weights of a file, or of the one that the program saves.
func (l *loaded) trained(file string, e engine) (runtime.Program, error) {
	file, err := l.weightsFile(file)
	if err != nil {
		return nil, err
	}
	prog, err := l.build(0, e)
	if err != nil {
		return nil, err
	}
	return prog, weights.LoadProgram(file, prog, l.plan)
}

// weightsFile finds the trained weights.
func (l *loaded) weightsFile(file string) (string, error) {
	if file != "" {
		return file, checkExists(file)
	}
	program := l.plan.File
	for _, t := range l.plan.Trains {
		if t.Save != "" {
			file = beside(program, t.Save)
		}
	}
	if file == "" {
		return "", fmt.Errorf("the program saves no weights: name a file of trained weights with --weights FILE, or add save: \"model.h5\" to its train block and run `nnc run %s`", program)
	}
	if checkExists(file) != nil {
		return "", fmt.Errorf("there are no trained weights yet: train them with `nnc run %s`, which writes %s, or name a file with --weights FILE", program, file)
	}
	return file, nil
}

// beside makes a path of a program relative to the program's folder.
func beside(program, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(program), path)
}
