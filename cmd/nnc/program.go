package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/ir/diag"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/lang"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/data"
	"github.com/nnc-lang/nnc/runtime/train"
)

// source is the program file of a command and the options given to it.
type source struct {
	File string            `arg:"" help:"The program, a .nn file."`
	Set  map[string]string `help:"Give an option of the program a value." placeholder:"NAME=VALUE" mapsep:"none"`
}

// load compiles a program. data is what its data declarations hold, opened while compiling, since class names and such are part of
// the program; with optional, data that cannot be read is an error only where the program depends on it.
func (s source) load(std *streams, optional bool) (*loaded, error) {
	src, err := readSource(s.File)
	if err != nil {
		return nil, err
	}
	l := &loaded{data: map[*plan.Data]*data.Dataset{}}
	schema := func(d *plan.Data) error {
		fields := d.Fields
		d.Fields = nil
		ds, err := train.OpenData(&plan.Program{File: s.File}, d)
		if err != nil {
			d.Fields = fields
			if optional {
				l.missing = append(l.missing, err)
				return nil
			}
			return err
		}
		l.data[d] = ds
		d.Fields = fieldsOf(ds)
		return nil
	}
	program, list := lang.Compile(src, lang.Options{Set: s.Set, Schema: schema, Read: readSource})
	if list.HasErrors() {
		return nil, list
	}
	if len(list.All) > 0 {
		report(*std, list)
	}
	l.plan = program
	return l, nil
}

// readSource reads a program's text.
func readSource(path string) (*diag.File, error) {
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, usageError{fmt.Errorf("there is no file %s", path)}
	case err != nil:
		return nil, err
	}
	return diag.NewFile(path, string(text)), nil
}

// fieldsOf describes the examples of a dataset as its sources do.
func fieldsOf(ds *data.Dataset) []plan.Field {
	var fields []plan.Field
	for _, src := range []data.Source{ds.Train, ds.Validation, ds.Test} {
		if src == nil {
			continue
		}
		for _, f := range src.Fields() {
			fields = append(fields, plan.Field{Name: f.Name, DType: f.DType, Shape: f.Shape, Labels: f.Labels})
		}
		break
	}
	return fields
}

// loaded is a compiled program before code is made for it.
type loaded struct {
	plan    *plan.Program
	data    map[*plan.Data]*data.Dataset
	missing []error // data that could not be read
}

// build runs the passes and the backend; cells have their first values for the seed.
func (l *loaded) build(seed int32) (runtime.Program, error) {
	if err := passes.Run(l.plan.Module, passes.Options{}); err != nil {
		return nil, err
	}
	prog, err := interp.Backend{}.Compile(l.plan.Module, codegen.Options{})
	if err != nil {
		return nil, err
	}
	return prog, train.Init(prog, l.plan, seed)
}
