package main

import (
	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/codegen/interp"
	"github.com/nnc-lang/nnc/codegen/native"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/ir/tensor"
	"github.com/nnc-lang/nnc/runtime"
	"github.com/nnc-lang/nnc/runtime/command"
)

// engine says how a program is carried out. Results of one backend do not depend on the number of threads.
type engine struct {
	Backend   string        `default:"interp" enum:"interp,native" help:"What computes: the interpreter (interp), or machine code made by LLVM (native), which is still being built."`
	Precision string        `default:"f32" enum:"f32,f64" help:"Compute in single (f32) or double precision (f64, interpreter only)."`
	Threads   command.Count `help:"Use this many threads, instead of all processors." placeholder:"N"`
}

// compile makes a program of a module after the passes.
func (e engine) compile(m *ir.Module) (runtime.Program, error) {
	options := codegen.Options{Threads: int(e.Threads)}
	options.Precision, _ = tensor.ParseDType(e.Precision)
	if e.Backend == "native" {
		return native.Backend{}.Compile(m, options)
	}
	return interp.Backend{}.Compile(m, options)
}
