package native

import (
	"fmt"

	"github.com/nnc-lang/nnc/codegen"
	"github.com/nnc-lang/nnc/ir"
	"github.com/nnc-lang/nnc/runtime/exec"
)

// Build compiles a module to a program as data, for the processors of a level, "x86-64-v3" or "x86-64-v4", which need not be this one's.
//
// Errors: ErrNoLLVM, a level that is not known, an instruction that cannot be compiled.
func Build(m *ir.Module, cpu string) (*exec.Program, error) {
	for _, level := range levels {
		if level.CPU != cpu {
			continue
		}
		tools, err := FindToolchain()
		if err != nil {
			return nil, err
		}
		return compileModule(m, level, codegen.Fast, tools, openCache())
	}
	return nil, fmt.Errorf("there is no level of processors %s; %s and %s are", cpu, levels[1].CPU, levels[0].CPU)
}
