package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/plan"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/passes"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/command"
)

// engine says how a program is carried out. Results of one backend do not depend on the number of threads.
type engine struct {
	Backend   string          `default:"" enum:",native,interp" env:"NNC_BACKEND" placeholder:"native|interp" help:"What computes: machine code made by LLVM (native), or the interpreter (interp), many times slower. The default is native where nnc doctor finds what it needs."`
	Precision string          `default:"f32" enum:"f32,f64" help:"Compute in single (f32) or double precision (f64, interpreter only)."`
	Math      string          `default:"fast" enum:"fast,strict" help:"Let the native backend use faster algorithms for convolutions that round more (fast), or only change the order of sums (strict)."`
	Threads   command.Threads `help:"Use this many threads, instead of all processors." placeholder:"N"`
}

// weightsType says how weights lie in memory, for commands that do not change them.
type weightsType struct {
	WeightsType string `default:"f32" enum:"f32,bf16" help:"Store large weights as they are (f32), or rounded to half of their size (bf16), in which small batches are predicted faster. Arithmetic stays in f32."`
}

// apply has the module's weights stored so.
func (w weightsType) apply(m *ir.Module) {
	if w.WeightsType == "bf16" {
		passes.HalfWeights(m)
	}
}

// drop takes out of a program what is never called with its weights stored so: training steps.
func (w weightsType) drop(p *plan.Program) {
	if w.WeightsType == "f32" || w.WeightsType == "" {
		return
	}
	for _, t := range p.Trains {
		p.Module.Drop(t.StepFuncs()...)
		t.Step = ""
	}
}

// compile makes a program of a module after the passes. Where the interpreter stands in for machine code, a line in notes says so.
func (e engine) compile(m *ir.Module, notes io.Writer) (runtime.Program, error) {
	options := codegen.Options{Threads: int(e.Threads)}
	options.Precision, _ = tensor.ParseDType(e.Precision)
	if e.Math == "strict" {
		options.Math = codegen.Strict
	}
	switch {
	case e.Backend == "native":
		return native.Backend{}.Compile(m, options)
	case e.Backend == "interp", options.Precision == tensor.F64:
		return interp.Backend{}.Compile(m, options)
	}
	p, err := native.Backend{}.Compile(m, options)
	if err == nil {
		return p, nil
	}
	if errors.Is(err, native.ErrNoLLVM) {
		fmt.Fprintf(notes, "note: the interpreter computes, since LLVM was not found; machine code is many times faster: %s\n", native.InstallLLVM)
	} else {
		fmt.Fprintf(notes, "note: the interpreter computes: %v\n", err)
	}
	return interp.Backend{}.Compile(m, options)
}
